//! Which codec an API has.

use serde_json::Value;

use super::{
    anthropic_messages, bedrock_converse, cohere_chat, gemini, openai_chat, openai_completions,
    openai_responses, ProviderError, ReadError, ReadEvents, SupportedUpstreamAPIs, WriteEvents,
    WriteOptions,
};
use crate::representation::{Losses, ProviderResponse, Request};

/// Calls the function of the API's codec; embeddings have codecs of another kind.
macro_rules! codec {
    ($api:expr, $room:ident :: $function:ident ( $($argument:expr),* )) => {
        match $api {
            SupportedUpstreamAPIs::OpenAiChat => Some(openai_chat::$room::$function($($argument),*)),
            SupportedUpstreamAPIs::OpenAiResponses => Some(openai_responses::$room::$function($($argument),*)),
            SupportedUpstreamAPIs::OpenAiCompletions => Some(openai_completions::$room::$function($($argument),*)),
            SupportedUpstreamAPIs::AnthropicMessages => Some(anthropic_messages::$room::$function($($argument),*)),
            SupportedUpstreamAPIs::Gemini => Some(gemini::$room::$function($($argument),*)),
            SupportedUpstreamAPIs::BedrockConverse => Some(bedrock_converse::$room::$function($($argument),*)),
            SupportedUpstreamAPIs::CohereChat => Some(cohere_chat::$room::$function($($argument),*)),
            SupportedUpstreamAPIs::OpenAiEmbeddings | SupportedUpstreamAPIs::CohereEmbed => None,
        }
    };
}

impl SupportedUpstreamAPIs {
    /// Reads a request; `None` where the API is none of conversations.
    pub(crate) fn read_request(self, body: Value) -> Option<Result<Request, ReadError>> {
        codec!(self, request::read(body))
    }

    /// Writes a request.
    pub(crate) fn write_request(self, request: Request, losses: &mut Losses) -> Option<Value> {
        codec!(self, request::write(request, losses))
    }

    /// Reads an answer.
    pub(crate) fn read_response(self, body: Value) -> Option<Result<ProviderResponse, ReadError>> {
        codec!(self, response::read(body))
    }

    /// Writes an answer.
    pub(crate) fn write_response(
        self,
        answer: ProviderResponse,
        losses: &mut Losses,
    ) -> Option<Value> {
        codec!(self, response::write(answer, losses))
    }

    /// Reads an error; `None` where the body is none that the API has.
    pub(crate) fn read_error(self, status: u16, body: &Value) -> Option<ProviderError> {
        codec!(self, response::read_error(status, body)).flatten()
    }

    /// Writes an error.
    pub(crate) fn write_error(self, error: &ProviderError) -> Option<Value> {
        codec!(self, response::write_error(error))
    }

    /// A reader of the API's streams.
    pub(crate) fn reader(self) -> Option<Box<dyn ReadEvents>> {
        match self {
            Self::OpenAiChat => Some(Box::<openai_chat::stream::Reader>::default()),
            Self::OpenAiResponses => Some(Box::<openai_responses::stream::Reader>::default()),
            Self::OpenAiCompletions => Some(Box::<openai_completions::stream::Reader>::default()),
            Self::AnthropicMessages => Some(Box::<anthropic_messages::stream::Reader>::default()),
            Self::Gemini => Some(Box::<gemini::stream::Reader>::default()),
            Self::BedrockConverse => Some(Box::<bedrock_converse::stream::Reader>::default()),
            Self::CohereChat => Some(Box::<cohere_chat::stream::Reader>::default()),
            Self::OpenAiEmbeddings | Self::CohereEmbed => None,
        }
    }

    /// A writer of the API's streams.
    pub(crate) fn writer(self, options: WriteOptions) -> Option<Box<dyn WriteEvents>> {
        Some(match self {
            Self::OpenAiChat => Box::new(openai_chat::stream::Writer::new(options)),
            Self::OpenAiResponses => Box::new(openai_responses::stream::Writer::new(options)),
            Self::OpenAiCompletions => Box::new(openai_completions::stream::Writer::new(options)),
            Self::AnthropicMessages => Box::new(anthropic_messages::stream::Writer::new(options)),
            Self::Gemini => Box::new(gemini::stream::Writer::new(options)),
            Self::BedrockConverse => Box::new(bedrock_converse::stream::Writer::new(options)),
            Self::CohereChat => Box::new(cohere_chat::stream::Writer::new(options)),
            Self::OpenAiEmbeddings | Self::CohereEmbed => return None,
        })
    }
}
