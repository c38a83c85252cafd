//! Chat (Cohere, v2).
//!
//! Sources: Cohere's API reference and SDKs, and recorded exchanges.
//!
//! | here | in the representation |
//! | --- | --- |
//! | `tool_plan`, content of type `thinking` | [`Reasoning`](crate::representation::Reasoning); written as content, unless it was read from `tool_plan` |
//! | `k`, `p`, `stop_sequences` | `top_k`, `top_p`, `stop` |
//! | `strict_tools` | `strict` of each function |
//! | `documents` of a tool's result | text: the document's own, or all of it as JSON |
//! | `citations` | of the text that they name; a citation with several sources is several, the first of which has it whole (`raw`) and the others `null` |
//! | `logprobs`, of tokens or pieces of several | OpenAI's list; that of a piece is the sum |
//! | `usage.tokens`, `usage.cached_tokens` | [`TokenUsage`](crate::representation::TokenUsage); `billed_units` are no tokens that were read or written |
//!
//! What other APIs have and this one has only nearly: `p`, `k` and penalties beyond this API's bounds
//! are brought to them; of stop sequences it takes five; tools that take free text take an object with
//! one text, `input`; documents that are to be cited stand beside the messages, others in the text.
//!
//! A request that is read and written again says the same in other words where:
//!
//! | was | is |
//! | --- | --- |
//! | a member that is `null` | absent |
//! | `logprobs: false`; `content: []` of a user or a tool | absent |
//!
//! A stream that is read and written again has no token numbers in its log probabilities. One that
//! ends with an error, or because it took too long, is one that failed: an error, not an end.

pub mod request;
pub mod response;
pub mod stream;

mod citations;
mod content;
mod logprobs;
mod messages;
mod tools;
mod usage;

use crate::representation::{Losses, StopKind, StopReason};

/// What an answer's end means.
fn stop_kind(word: &str) -> StopKind {
    match word {
        "COMPLETE" => StopKind::End,
        "STOP_SEQUENCE" => StopKind::StopSequence,
        "MAX_TOKENS" => StopKind::MaxTokens,
        "TOOL_CALL" => StopKind::ToolCalls,
        // What is known of it is an invalid call of a tool.
        "ERROR" => StopKind::Malformed,
        // Words of the API's first version.
        "ERROR_TOXIC" => StopKind::ContentFilter,
        "ERROR_LIMIT" => StopKind::ContextWindow,
        _ => StopKind::Other,
    }
}

/// The word for an end that was told in another API; what it does not say is told.
fn ended(stop: &StopReason, losses: &mut Losses) -> &'static str {
    let near = match stop.kind {
        StopKind::Pause => Some("a pause looks like an end"),
        StopKind::Refusal => Some("the end by a refusal looks like one by a filter"),
        StopKind::ContextWindow => Some("a full context looks like the most output tokens"),
        _ => None,
    };
    if stop.sequence.is_some() {
        losses.dropped("", "this API does not tell which stop sequence it was");
    }
    if let Some(reason) = near {
        losses.approximated("", reason);
    }
    finish_reason(stop.kind)
}

/// The word for an end. For what is withheld there is only the word of the API's first version.
fn finish_reason(kind: StopKind) -> &'static str {
    match kind {
        StopKind::End | StopKind::Pause | StopKind::Other => "COMPLETE",
        StopKind::StopSequence => "STOP_SEQUENCE",
        StopKind::MaxTokens | StopKind::ContextWindow => "MAX_TOKENS",
        StopKind::ToolCalls => "TOOL_CALL",
        StopKind::Malformed => "ERROR",
        StopKind::ContentFilter | StopKind::Refusal => "ERROR_TOXIC",
    }
}
