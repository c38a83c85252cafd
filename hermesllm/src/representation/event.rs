//! A streamed answer, piece by piece.
//!
//! Grammar, for each choice; a decoder guarantees it whatever its input did:
//!
//! ```text
//! Start  ( BlockStart Delta* BlockStop | Usage | Other )*  [ Stop ]  Usage*  End
//! ```
//!
//! Blocks may overlap (parallel tool calls that arrive in turns); a block is known by its number,
//! which counts from 0 within a choice in the order of the starts. `Error` may come anywhere before
//! `End` and nothing comes after it. A stream without `End` and without `Error` was cut.

use std::borrow::Cow;

use serde_json::Value;

use super::{Citation, StopReason, TokenUsage};

/// With this begin the names of [`Other`](ProviderStreamResponse::Other) events that mean nothing to any
/// API but their own (how long an answer took, details of counts that are told already): to leave them
/// out is no loss.
const BOOKKEEPING: &str = "bookkeeping:";

/// One piece of a streamed answer.
#[derive(Debug, Clone, PartialEq)]
pub enum ProviderStreamResponse<'a> {
    /// The answer begins. Comes once, first.
    Start {
        /// The provider's identifier of the answer; empty where it gives none.
        id: Cow<'a, str>,
        /// The model that answers.
        model: Cow<'a, str>,
        /// When, in seconds of the Unix epoch.
        created: Option<u64>,
        /// The class of service.
        service_tier: Option<Cow<'a, str>>,
        /// What the input costs, where it is known that early (Anthropic).
        usage: Option<TokenUsage>,
    },
    /// A block begins.
    BlockStart {
        /// Of which answer.
        choice: u32,
        /// Its number.
        block: u32,
        /// What it is.
        kind: BlockKind<'a>,
    },
    /// More of a block.
    Delta {
        /// Of which answer.
        choice: u32,
        /// Of which block.
        block: u32,
        /// What is added.
        delta: Delta<'a>,
    },
    /// A block has ended.
    BlockStop {
        /// Of which answer.
        choice: u32,
        /// Its number.
        block: u32,
    },
    /// An answer has ended; further ones may go on.
    Stop {
        /// Which one.
        choice: u32,
        /// Why.
        reason: StopReason,
    },
    /// What it cost so far; a later one replaces the figures that it has.
    Usage(TokenUsage),
    /// Log probabilities of the text that came with them, in OpenAI's form (a list).
    Logprobs {
        /// Of which answer.
        choice: u32,
        /// The list.
        content: Value,
    },
    /// Something that only its own API has; not kept by any other.
    Other {
        /// The API's own name for it.
        kind: Cow<'a, str>,
        /// All of it.
        value: Value,
    },
    /// The provider failed in the middle.
    Error {
        /// Its own type or code: `overloaded_error`.
        kind: Cow<'a, str>,
        /// The status that it would have had, where that is told.
        status: Option<u16>,
        /// Its message.
        message: Cow<'a, str>,
    },
    /// The provider has said that this is all.
    End,
}

/// Kinds of blocks.
#[derive(Debug, Clone, PartialEq)]
pub enum BlockKind<'a> {
    /// Text.
    Text,
    /// The model declines.
    Refusal,
    /// The model thinks.
    Reasoning {
        /// The provider's identifier of it.
        id: Option<Cow<'a, str>>,
        /// Thoughts that only the provider can read, known at once (Anthropic's redacted thinking).
        encrypted: Option<Cow<'a, str>>,
    },
    /// A tool is called; arguments follow as deltas.
    ToolCall {
        /// By which the result is found.
        id: Cow<'a, str>,
        /// The tool's name.
        name: Cow<'a, str>,
        /// Free text instead of JSON.
        custom: bool,
        /// The provider runs it.
        by_provider: bool,
    },
    /// Sound or a picture; its bytes follow as deltas.
    Media {
        /// MIME type: `image/png`, `audio/pcm`.
        media_type: Cow<'a, str>,
    },
    /// Content that only its own API has, whole.
    Other {
        /// The API's own name for it.
        kind: Cow<'a, str>,
        /// All of it.
        value: Value,
    },
}

/// What is added to a block.
#[derive(Debug, Clone, PartialEq)]
pub enum Delta<'a> {
    /// Text, of a text or a refusal.
    Text(Cow<'a, str>),
    /// Thoughts.
    Reasoning(Cow<'a, str>),
    /// More of a summary of thoughts; the number says which one.
    Summary(u32, Cow<'a, str>),
    /// The signature of thoughts, or of whatever the block holds.
    Signature(Cow<'a, str>),
    /// Thoughts that only the provider can read.
    Encrypted(Cow<'a, str>),
    /// Arguments, as pieces of JSON text.
    Arguments(Cow<'a, str>),
    /// What the text rests on.
    Citation(Citation),
    /// Bytes of sound or a picture, in base64.
    Data(Cow<'a, str>),
    /// What is said in sound.
    Transcript(Cow<'a, str>),
}

impl ProviderStreamResponse<'_> {
    /// Whether it means nothing to any API but its own.
    pub fn is_bookkeeping(&self) -> bool {
        matches!(self, Self::Other { kind, .. } if kind.starts_with(BOOKKEEPING))
    }
}

fn owned(text: Cow<'_, str>) -> Cow<'static, str> {
    Cow::Owned(text.into_owned())
}

impl BlockKind<'_> {
    /// The same, borrowing nothing.
    pub fn into_owned(self) -> BlockKind<'static> {
        match self {
            Self::Text => BlockKind::Text,
            Self::Refusal => BlockKind::Refusal,
            Self::Reasoning { id, encrypted } => BlockKind::Reasoning {
                id: id.map(owned),
                encrypted: encrypted.map(owned),
            },
            Self::ToolCall {
                id,
                name,
                custom,
                by_provider,
            } => BlockKind::ToolCall {
                id: owned(id),
                name: owned(name),
                custom,
                by_provider,
            },
            Self::Media { media_type } => BlockKind::Media {
                media_type: owned(media_type),
            },
            Self::Other { kind, value } => BlockKind::Other {
                kind: owned(kind),
                value,
            },
        }
    }
}

impl Delta<'_> {
    /// The same, borrowing nothing.
    pub fn into_owned(self) -> Delta<'static> {
        match self {
            Self::Text(text) => Delta::Text(owned(text)),
            Self::Reasoning(text) => Delta::Reasoning(owned(text)),
            Self::Summary(number, text) => Delta::Summary(number, owned(text)),
            Self::Signature(text) => Delta::Signature(owned(text)),
            Self::Encrypted(text) => Delta::Encrypted(owned(text)),
            Self::Arguments(text) => Delta::Arguments(owned(text)),
            Self::Citation(citation) => Delta::Citation(citation),
            Self::Data(data) => Delta::Data(owned(data)),
            Self::Transcript(text) => Delta::Transcript(owned(text)),
        }
    }
}
