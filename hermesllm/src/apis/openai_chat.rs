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
//! | `content: [one plain text]` | `content: "…"` |
//! | `stop: "…"` | `stop: ["…"]` |
//! | `logprobs: false` | absent |
//! | `function` messages and `function_call` | the same, if ids are absent |

pub mod request;
pub mod response;
pub mod stream;

mod content;
mod messages;
mod reasoning;
mod tools;
mod usage;

use crate::representation::StopKind;

/// What an answer's end means.
fn stop_kind(word: &str) -> StopKind {
    match word {
        "stop" | "eos" | "end_turn" => StopKind::End,
        "length" | "max_tokens" => StopKind::MaxTokens,
        "model_length" => StopKind::ContextWindow,
        "tool_calls" | "function_call" => StopKind::ToolCalls,
        "content_filter" => StopKind::ContentFilter,
        _ => StopKind::Other,
    }
}

/// The word for an end; the provider's own where it is one of this API.
fn finish_reason(kind: StopKind, raw: &str) -> &'static str {
    for word in [
        "stop",
        "length",
        "tool_calls",
        "function_call",
        "content_filter",
    ] {
        if word == raw && stop_kind(word) == kind {
            return word;
        }
    }
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
