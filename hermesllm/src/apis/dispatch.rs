//! Which codec an API has.

use serde_json::Value;

use super::{
    ProviderError, ReadError, ReadEvents, SupportedUpstreamAPIs, WriteEvents, WriteOptions,
};
use crate::representation::{Losses, ProviderResponse, Request};

/// Leads each API to its codec; the others have none of this kind.
macro_rules! codecs {
    ($($api:ident => $codec:ident,)*) => {
        impl SupportedUpstreamAPIs {
            /// Reads a request; `None` where the API is none of conversations.
            pub(crate) fn read_request(self, body: Value) -> Option<Result<Request, ReadError>> {
                match self {
                    $(Self::$api => Some(super::$codec::request::read(body)),)*
                    _ => None,
                }
            }

            /// Writes a request.
            pub(crate) fn write_request(
                self,
                mut request: Request,
                losses: &mut Losses,
            ) -> Option<Value> {
                super::files::leave_out(&mut request, self, losses);
                match self {
                    $(Self::$api => Some(super::$codec::request::write(request, losses)),)*
                    _ => None,
                }
            }

            /// Reads an answer.
            pub(crate) fn read_response(
                self,
                body: Value,
            ) -> Option<Result<ProviderResponse, ReadError>> {
                match self {
                    $(Self::$api => Some(super::$codec::response::read(body)),)*
                    _ => None,
                }
            }

            /// Writes an answer.
            pub(crate) fn write_response(
                self,
                answer: ProviderResponse,
                losses: &mut Losses,
            ) -> Option<Value> {
                match self {
                    $(Self::$api => Some(super::$codec::response::write(answer, losses)),)*
                    _ => None,
                }
            }

            /// Reads an error; `None` where the body is none that the API has.
            pub(crate) fn read_error(self, status: u16, body: &Value) -> Option<ProviderError> {
                match self {
                    $(Self::$api => super::$codec::response::read_error(status, body),)*
                    _ => super::embeddings::response::read_error(self, status, body),
                }
            }

            /// Writes an error.
            pub(crate) fn write_error(self, error: &ProviderError) -> Option<Value> {
                match self {
                    $(Self::$api => Some(super::$codec::response::write_error(error)),)*
                    _ => super::embeddings::response::write_error(self, error),
                }
            }

            /// A reader of the API's streams.
            pub(crate) fn reader(self) -> Option<Box<dyn ReadEvents>> {
                match self {
                    $(Self::$api => Some(Box::<super::$codec::stream::Reader>::default()),)*
                    _ => None,
                }
            }

            /// A writer of the API's streams.
            pub(crate) fn writer(self, options: WriteOptions) -> Option<Box<dyn WriteEvents>> {
                match self {
                    $(Self::$api => Some(Box::new(super::$codec::stream::Writer::new(options))),)*
                    _ => None,
                }
            }

            /// Whether the API is one of conversations: its requests, answers and streams can be
            /// translated to all others of these.
            pub fn has_codec(self) -> bool {
                match self {
                    $(Self::$api => true,)*
                    _ => false,
                }
            }
        }
    };
}

codecs! {
    AnthropicMessages => anthropic_messages,
    BedrockConverse => bedrock_converse,
    CohereChat => cohere_chat,
    Gemini => gemini,
    OpenAiChat => openai_chat,
    OpenAiCompletions => openai_completions,
    OpenAiResponses => openai_responses,
}
