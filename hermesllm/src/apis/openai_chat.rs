//! Chat completions (OpenAI), and the ways in which other providers speak it.
//!
//! Sources: OpenAI's API reference, and recorded exchanges with some 25 providers for what those add.
//! Reasoning has no member in OpenAI's own chat: `reasoning_content` (DeepSeek and most others) and
//! `reasoning` are read, `reasoning_content` is written; signatures and encrypted thoughts are read
//! and written as `reasoning_details`, as OpenRouter has them.
//!
//! A request that is read and written again says the same in other words where:
//!
//! | was | is |
//! | --- | --- |
//! | a member that is `null` | absent |
//! | `tool_choice: "any"` (Mistral) | `"required"` |
//! | a tool or a call without `type` (Mistral) | `type: "function"` |
//! | an empty `id` of a call | absent |
//! | plain texts in a list of content | parts of the type `text` |
//! | `cache_control` of a message whose content is a list, or that has calls | that of its last part |
//! | several texts of one `thinking` (Mistral) | one |
//!
//! In answers, beside these: figures of usage are those that [`crate::usage`] says and have OpenAI's
//! names, `index` of a choice is its place, `object` is always there.
//!
//! What is written for lack of another thing: `call_0` and so on for calls without an identifier, by
//! their place; `{}` for no arguments; `answer` for a schema and `document` for bytes without a name.
//! Members beside OpenAI's own are refused by some providers: what a request of another API has no
//! place for in OpenAI's chat (hints for caching) is lost and told, except thoughts, signatures and
//! `top_k`, `min_p`.

pub mod request;
pub mod response;
pub mod stream;

mod content;
mod extra;
mod messages;
mod reasoning;
mod tools;
mod usage;

use crate::representation::{Losses, StopKind, StopReason};

/// What an answer's end means. Gateways pass on words of other APIs.
fn stop_kind(word: &str) -> StopKind {
    match word {
        "stop" | "eos" | "eos_token" | "end_turn" | "STOP" | "COMPLETE" => StopKind::End,
        "stop_sequence" => StopKind::StopSequence,
        "length" | "max_tokens" | "MAX_TOKENS" => StopKind::MaxTokens,
        "model_length" | "model_context_window_exceeded" => StopKind::ContextWindow,
        "tool_calls" | "function_call" | "tool_use" => StopKind::ToolCalls,
        "content_filter" | "SAFETY" => StopKind::ContentFilter,
        "refusal" => StopKind::Refusal,
        _ => StopKind::Other,
    }
}

/// The word for an end that was told in another API; what it does not say is told.
fn ended(stop: &StopReason, at: String, losses: &mut Losses) -> &'static str {
    let near = match stop.kind {
        StopKind::Pause => Some("a pause looks like an end"),
        StopKind::Malformed => Some("a call of a tool that cannot be read looks like an end"),
        StopKind::Refusal => Some("the end by a refusal looks like one by a filter"),
        StopKind::ContextWindow => Some("a full context looks like the most output tokens"),
        _ => None,
    };
    if stop.sequence.is_some() {
        losses.dropped(
            at.clone(),
            "this API does not tell which stop sequence it was",
        );
    }
    if let Some(reason) = near {
        losses.approximated(at, reason);
    }
    finish_reason(stop.kind)
}

/// The word for an end.
fn finish_reason(kind: StopKind) -> &'static str {
    match kind {
        StopKind::End
        | StopKind::StopSequence
        | StopKind::Pause
        | StopKind::Malformed
        | StopKind::Other => "stop",
        StopKind::MaxTokens | StopKind::ContextWindow => "length",
        StopKind::ToolCalls => "tool_calls",
        StopKind::ContentFilter | StopKind::Refusal => "content_filter",
    }
}
