//! The APIs that requests and answers are written in, one codec each.
//!
//! A codec reads its API's shapes into the [representation](crate::representation) and writes them
//! from it. All have the same rooms (`request`, `response`, `stream`) and the same functions:
//!
//! | function | does |
//! | --- | --- |
//! | `request::read(Value) -> Result<Request, ReadError>` | a request body, understood |
//! | `request::write(Request, &mut Losses) -> Value` | a request body, written |
//! | `response::read(Value) -> Result<ProviderResponse, ReadError>` | an answer, understood |
//! | `response::write(ProviderResponse, &mut Losses) -> Value` | an answer, written |
//! | `response::read_error(u16, &Value) -> Option<ProviderError>` | an error body, understood |
//! | `response::write_error(&ProviderError) -> Value` | an error body, written |
//! | `stream::Reader: `[`ReadEvents`] | events of a stream, understood |
//! | `stream::Writer: `[`WriteEvents`] | events of a stream, written |
//!
//! A codec never looks at another's shapes, never panics, and is deterministic: the same input gives
//! the same bytes, so that the providers' prompt caches keep hitting.

pub mod anthropic_messages;
pub mod bedrock_converse;
pub mod cohere_chat;
mod dispatch;
pub mod embeddings;
mod few;
mod files;
pub mod gemini;
pub(crate) mod object;
pub mod openai_chat;
pub mod openai_completions;
pub mod openai_responses;

use std::fmt;

use crate::representation::{Losses, ProviderStreamResponse};

/// An API, as a client speaks it or a provider serves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SupportedUpstreamAPIs {
    /// `POST /v1/chat/completions` (OpenAI).
    OpenAiChat,
    /// `POST /v1/responses` (OpenAI).
    OpenAiResponses,
    /// `POST /v1/completions` (OpenAI, legacy).
    OpenAiCompletions,
    /// `POST /v1/embeddings` (OpenAI).
    OpenAiEmbeddings,
    /// `POST /v1/messages` (Anthropic).
    AnthropicMessages,
    /// `generateContent`, `streamGenerateContent` (Gemini, Vertex AI).
    Gemini,
    /// `Converse`, `ConverseStream` (Amazon Bedrock).
    BedrockConverse,
    /// `POST /v2/chat` (Cohere).
    CohereChat,
    /// `POST /v2/embed` (Cohere).
    CohereEmbed,
}

impl SupportedUpstreamAPIs {
    /// Every API.
    pub const ALL: [Self; 9] = [
        Self::OpenAiChat,
        Self::OpenAiResponses,
        Self::OpenAiCompletions,
        Self::OpenAiEmbeddings,
        Self::AnthropicMessages,
        Self::Gemini,
        Self::BedrockConverse,
        Self::CohereChat,
        Self::CohereEmbed,
    ];

    /// The name on the command line and in the documentation.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OpenAiChat => "openai-chat",
            Self::OpenAiResponses => "openai-responses",
            Self::OpenAiCompletions => "openai-completions",
            Self::OpenAiEmbeddings => "openai-embeddings",
            Self::AnthropicMessages => "anthropic-messages",
            Self::Gemini => "gemini",
            Self::BedrockConverse => "bedrock-converse",
            Self::CohereChat => "cohere-chat",
            Self::CohereEmbed => "cohere-embed",
        }
    }

    /// Whether the API is one of embeddings.
    pub fn is_of_embeddings(self) -> bool {
        matches!(self, Self::OpenAiEmbeddings | Self::CohereEmbed)
    }
}

impl fmt::Display for SupportedUpstreamAPIs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A document that is not what its API prescribes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {reason}")]
pub struct ReadError {
    /// The member that is wrong, as a JSON Pointer; empty for the document as a whole.
    pub at: String,
    /// What is wrong with it. Never holds content.
    pub reason: &'static str,
}

/// An error that a provider answered with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProviderError {
    /// The HTTP status.
    pub status: u16,
    /// The provider's type or status word: `rate_limit_error`, `RESOURCE_EXHAUSTED`; may be empty.
    pub kind: String,
    /// The provider's code, where it has one beside: `context_length_exceeded`.
    pub code: Option<String>,
    /// The message, as the provider wrote it.
    pub message: String,
    /// The member of the request that is at fault.
    pub param: Option<String>,
}

/// Takes events as they come out of a reader.
pub type Sink<'s> = dyn FnMut(ProviderStreamResponse<'_>) + 's;

/// Understands the events of a stream. What it gives need not follow the grammar of
/// [`event`](crate::representation::event) to the letter: [`Grammar`](crate::translate::Grammar),
/// which stands behind it, sees to starts, stops and order. It has to number blocks, though.
pub trait ReadEvents: fmt::Debug + Send {
    /// Takes one event: its `event:` name (or the event type of an AWS frame) and its data.
    fn event(&mut self, name: Option<&str>, data: &str, sink: &mut Sink<'_>);

    /// Takes note of the end of the stream: gives `End` if the API has no terminal event and all
    /// was said, and nothing if it was cut.
    fn finish(&mut self, sink: &mut Sink<'_>);
}

/// What a writer has to know beside the events.
#[derive(Debug, Clone, Default)]
pub struct WriteOptions {
    /// The model that the client asked for, for APIs whose answers repeat it when the provider names
    /// none.
    pub model: String,
    /// Seconds of the Unix epoch, for APIs that date answers when the provider does not.
    pub created: u64,
    /// An identifier for an answer whose provider gives none.
    pub id: String,
    /// Whether the client wants usage at the end (`stream_options.include_usage`).
    pub include_usage: bool,
    /// Whether a stream of Gemini's is one JSON array, and not Server-Sent Events.
    pub json_array: bool,
    /// How the client wants embeddings written, if it says so.
    pub encoding: Option<embeddings::Encoding>,
}

/// Writes the events of a stream. What it gets follows the grammar of
/// [`event`](crate::representation::event).
pub trait WriteEvents: fmt::Debug + Send {
    /// Writes what an event comes to, in the API's own framing. Paths of losses point into the
    /// answer that the stream adds up to.
    fn event(&mut self, event: ProviderStreamResponse<'_>, out: &mut Vec<u8>, losses: &mut Losses);
}
