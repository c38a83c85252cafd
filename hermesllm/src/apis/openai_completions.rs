//! Completions of text (OpenAI, legacy), and the ways in which other providers speak it.
//!
//! Sources: OpenAI's API reference, and recorded exchanges with OpenAI, Azure, Hugging Face,
//! Together, vLLM and Writer.
//!
//! | here | in the representation |
//! | --- | --- |
//! | `prompt`, one text | one turn of the user's |
//! | several prompts, or tokens | no turns: an extension, which other APIs do not know |
//! | `logprobs`, four lists | OpenAI's newer list; alternatives of a token in the order of the document |
//!
//! A conversation becomes a prompt: the text of its only turn where that is the user's, else its
//! turns as lines of `System: …`, `User: …`, `Assistant: …` and `Tool: …`, with an empty line
//! between them and `Assistant:` at the end, so that the prompt of one turn begins that of the next. Calls are
//! written as `name(arguments)`. All of this is told as an approximation.
//!
//! Where nothing is said of it, an answer ends after 16 tokens in this API; a conversation from
//! another one gets `max_tokens: 1024`.
//!
//! Answers have no tool calls and no thoughts: they are lost, and a call for tools looks like an end.
//!
//! What is read and written again says the same in other words where:
//!
//! | was | is |
//! | --- | --- |
//! | a member that is `null` | absent |
//! | an answer without `object`, a choice without `index` | with them |

pub mod request;
pub mod response;
pub mod stream;

mod logprobs;
mod prompt;
mod usage;

use crate::representation::{Extension, StopKind};

/// What an answer's end means.
fn stop_kind(word: &str) -> StopKind {
    match word {
        "stop" | "eos" | "eos_token" => StopKind::End,
        "stop_sequence" => StopKind::StopSequence,
        "length" => StopKind::MaxTokens,
        "content_filter" => StopKind::ContentFilter,
        _ => StopKind::Other,
    }
}

/// The word for an end.
fn finish_reason(kind: StopKind) -> &'static str {
    match kind {
        StopKind::End
        | StopKind::StopSequence
        | StopKind::ToolCalls
        | StopKind::Malformed
        | StopKind::Pause
        | StopKind::Other => "stop",
        StopKind::MaxTokens | StopKind::ContextWindow => "length",
        StopKind::ContentFilter | StopKind::Refusal => "content_filter",
    }
}

/// A member that says nothing to other APIs.
fn own(name: &str, value: serde_json::Value) -> Extension {
    Extension {
        name: name.to_owned(),
        value,
        at: "".into(),
    }
}
