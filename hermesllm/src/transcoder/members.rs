//! Which members of an answer are read, per endpoint and kind of body.
//!
//! Nothing but these tables knows where an API keeps its figures. What a member means is [`super::reading`]'s business.

use crate::endpoint::Endpoint;
use crate::json_tap::{Path, Want, EACH};

/// A member of an answer or of one event of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Member {
    /// The identifier of the answer.
    Id,
    /// The model that answered.
    Model,
    /// An error object.
    Error,
    /// A usage object with final or cumulative figures.
    Usage,
    /// A usage object that only accompanies another one in the same event.
    ExtraUsage,
    /// A usage object at the start of the answer: its output figure says nothing yet.
    StartUsage,
    /// A bare number of input tokens.
    InputTokens,
    /// Why generation ended.
    FinishReason,
    /// The state of a response: final states say why generation ended.
    Status,
    /// The type of an event.
    Type,
    /// The number of an event.
    Sequence,
    /// The array of choices.
    Choices,
    /// A choice.
    Choice,
    /// The number of a choice.
    ChoiceIndex,
    /// Why generation of a choice ended.
    ChoiceFinish,
    /// What the model wrote.
    Text,
}

const fn value(name: Member, segments: &'static [&'static str]) -> Path<Member> {
    Path {
        name,
        segments,
        want: Want::Value,
    }
}

const fn presence(name: Member, segments: &'static [&'static str]) -> Path<Member> {
    Path {
        name,
        segments,
        want: Want::Presence,
    }
}

const fn text(segments: &'static [&'static str]) -> Path<Member> {
    Path {
        name: Member::Text,
        segments,
        want: Want::Text,
    }
}

/// Chat completions and legacy completions, events.
const CHUNK: &[Path<Member>] = &[
    value(Member::Id, &["id"]),
    value(Member::Model, &["model"]),
    presence(Member::Error, &["error"]),
    value(Member::Usage, &["usage"]),
    value(Member::ExtraUsage, &["x_groq", "usage"]),
    presence(Member::Choices, &["choices"]),
    presence(Member::Choice, &["choices", EACH]),
    value(Member::ChoiceIndex, &["choices", EACH, "index"]),
    value(Member::ChoiceFinish, &["choices", EACH, "finish_reason"]),
    text(&["choices", EACH, "delta"]),
    text(&["choices", EACH, "text"]),
];

/// Chat completions and legacy completions, whole.
const COMPLETION: &[Path<Member>] = &[
    value(Member::Id, &["id"]),
    value(Member::Model, &["model"]),
    presence(Member::Error, &["error"]),
    presence(Member::Error, &[EACH, "error"]),
    value(Member::Usage, &["usage"]),
    value(Member::ExtraUsage, &["x_groq", "usage"]),
    value(Member::FinishReason, &["choices", EACH, "finish_reason"]),
    text(&["choices", EACH, "message"]),
    text(&["choices", EACH, "text"]),
];

/// Messages, events.
const MESSAGE_EVENT: &[Path<Member>] = &[
    value(Member::Type, &["type"]),
    value(Member::Id, &["message", "id"]),
    value(Member::Model, &["message", "model"]),
    presence(Member::Error, &["error"]),
    value(Member::StartUsage, &["message", "usage"]),
    value(Member::Usage, &["usage"]),
    value(Member::FinishReason, &["delta", "stop_reason"]),
    text(&["delta"]),
    text(&["content_block"]),
];

/// Messages, whole.
const MESSAGE: &[Path<Member>] = &[
    value(Member::Id, &["id"]),
    value(Member::Model, &["model"]),
    presence(Member::Error, &["error"]),
    presence(Member::Error, &[EACH, "error"]),
    value(Member::Usage, &["usage"]),
    value(Member::FinishReason, &["stop_reason"]),
    text(&["content"]),
];

/// Responses, events.
const RESPONSE_EVENT: &[Path<Member>] = &[
    value(Member::Type, &["type"]),
    value(Member::Sequence, &["sequence_number"]),
    value(Member::Id, &["response", "id"]),
    value(Member::Model, &["response", "model"]),
    presence(Member::Error, &["error"]),
    presence(Member::Error, &["response", "error"]),
    value(Member::Usage, &["response", "usage"]),
    value(Member::Status, &["response", "status"]),
    value(
        Member::FinishReason,
        &["response", "incomplete_details", "reason"],
    ),
    text(&["delta"]),
];

/// Responses, whole.
const RESPONSE: &[Path<Member>] = &[
    value(Member::Id, &["id"]),
    value(Member::Model, &["model"]),
    presence(Member::Error, &["error"]),
    presence(Member::Error, &[EACH, "error"]),
    value(Member::Usage, &["usage"]),
    value(Member::Status, &["status"]),
    value(Member::FinishReason, &["incomplete_details", "reason"]),
    text(&["output"]),
];

/// Embeddings, token counts and everything else.
const PLAIN: &[Path<Member>] = &[
    value(Member::Id, &["id"]),
    value(Member::Model, &["model"]),
    presence(Member::Error, &["error"]),
    presence(Member::Error, &[EACH, "error"]),
    value(Member::Usage, &["usage"]),
];

const TOKEN_COUNT: &[Path<Member>] = &[
    value(Member::InputTokens, &["input_tokens"]),
    presence(Member::Error, &["error"]),
    presence(Member::Error, &[EACH, "error"]),
];

/// The members of one event of an endpoint's stream.
pub(super) fn of_event(endpoint: Endpoint) -> &'static [Path<Member>] {
    match endpoint {
        Endpoint::ChatCompletions | Endpoint::Completions => CHUNK,
        Endpoint::Messages => MESSAGE_EVENT,
        Endpoint::Responses => RESPONSE_EVENT,
        _ => PLAIN,
    }
}

/// The members of an endpoint's whole answer.
pub(super) fn of_document(endpoint: Endpoint) -> &'static [Path<Member>] {
    match endpoint {
        Endpoint::ChatCompletions | Endpoint::Completions => COMPLETION,
        Endpoint::Messages => MESSAGE,
        Endpoint::Responses => RESPONSE,
        Endpoint::CountTokens => TOKEN_COUNT,
        _ => PLAIN,
    }
}
