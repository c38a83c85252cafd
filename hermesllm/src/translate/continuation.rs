//! The request to a provider that goes on with what another has begun.
//!
//! The beginning of the answer is put at the end of the client's conversation, as words of the model:
//! Anthropic's, Bedrock's and Gemini's APIs go on there, and so do the chat completions of some
//! providers, each asked in its own way ([`Prefill`]). Where a model refuses that all the same, as
//! Anthropic's newer ones do, the attempt fails as any other.

use serde_json::Value;

use crate::apis::SupportedUpstreamAPIs as Api;
use crate::providers::CatalogueEntry;
use crate::representation::{Losses, Part, PartKind, Request, Role, Turn};

pub use crate::providers::Prefill;

use super::document::{translated, written};
use super::{trim, Partial, RequestOptions, TranslateError, Translated};

/// Whether a provider, asked in an API, can go on with an answer that has begun.
pub fn can_continue(entry: &CatalogueEntry, api: Api) -> bool {
    continues(api, entry.prefill)
}

fn continues(api: Api, prefill: Prefill) -> bool {
    match api {
        Api::AnthropicMessages | Api::BedrockConverse | Api::Gemini => true,
        Api::OpenAiChat => prefill != Prefill::None,
        _ => false,
    }
}

/// Translates the client's request for a provider that goes on with its answer: in all as
/// [`request`](super::request) does, even from an API to itself. Where nothing has come of the
/// answer but thoughts, the request is just the client's.
///
/// # Errors
/// [`TranslateError::NotContinued`] where the provider cannot go on with it: [`can_continue`] is
/// `false`, several answers were asked for, or thinking was, which Anthropic's models do not do in the
/// middle of an answer. Else as for [`request`](super::request).
pub fn continuation(
    (from, body): (Api, &[u8]),
    partial: &Partial,
    (to, prefill): (Api, Prefill),
    options: &RequestOptions<'_>,
) -> Result<Translated, TranslateError> {
    let text = trim::given(&partial.text);
    if text.is_empty() {
        return super::request(from, to, body, options);
    }
    let not_continued = TranslateError::NotContinued { to };
    if !continues(to, prefill) {
        return Err(not_continued);
    }
    let no_way = TranslateError::NoWay { from, to };
    let body: Value = serde_json::from_slice(body).map_err(|_| TranslateError::NotJson)?;
    let mut request = from.read_request(body).ok_or(no_way.clone())??;
    if request.choices.as_ref().is_some_and(|most| most.value > 1) {
        return Err(not_continued);
    }
    append(&mut request, text);
    let mut losses = Losses::new();
    let mut value = written(request, from, to, options, &mut losses).ok_or(no_way)?;
    if thinks(to, &value) || !marked(to, prefill, &mut value) {
        return Err(not_continued);
    }
    Ok(translated(&value, losses))
}

/// Puts what the model has said at the end of a conversation, which may end with the beginning that
/// the client itself has given.
fn append(request: &mut Request, text: &str) {
    let part = || Part::text(text, "");
    match request.turns.last_mut() {
        Some(turn) if turn.role == Role::Assistant => match turn.parts.last_mut() {
            Some(Part {
                kind: PartKind::Text { text: begun, .. },
                ..
            }) => begun.push_str(text),
            _ => turn.parts.push(part()),
        },
        _ => request.turns.push(Turn {
            role: Role::Assistant,
            name: None,
            parts: vec![part()],
            at: "".into(),
            extensions: Vec::new(),
        }),
    }
}

/// Whether thinking is asked of a model that does not take it up in the middle of an answer.
fn thinks(to: Api, request: &Value) -> bool {
    let places: &[&str] = match to {
        Api::AnthropicMessages => &["/thinking/type"],
        Api::BedrockConverse => &[
            "/additionalModelRequestFields/thinking/type",
            "/additionalModelRequestFields/reasoning_config/type",
            "/additionalModelRequestFields/reasoningConfig/type",
        ],
        _ => &[],
    };
    let kinds = places
        .iter()
        .filter_map(|place| request.pointer(place)?.as_str());
    kinds.into_iter().any(|kind| kind != "disabled")
}

/// Says in the provider's way that its last message is to be continued; `false` if that is none of
/// the model's.
fn marked(to: Api, prefill: Prefill, request: &mut Value) -> bool {
    if to != Api::OpenAiChat {
        return true;
    }
    let messages = request.get_mut("messages").and_then(Value::as_array_mut);
    let last = messages.and_then(|list| list.last_mut()?.as_object_mut());
    let Some(last) = last.filter(|own| own.get("role").is_some_and(|role| role == "assistant"))
    else {
        return false;
    };
    // The templates of models want a plain text here.
    let plain = last.get("content").and_then(|content| match content {
        Value::Array(parts) if parts.len() == 1 => parts.first()?.get("text").cloned(),
        _ => None,
    });
    if let Some(plain) = plain {
        last.insert("content".to_owned(), plain);
    }
    match prefill {
        Prefill::None => return false,
        Prefill::Assistant => {}
        Prefill::Prefix => {
            last.insert("prefix".to_owned(), true.into());
        }
        Prefill::Partial => {
            last.insert("partial".to_owned(), true.into());
        }
        Prefill::ContinueFinalMessage => {
            let Some(body) = request.as_object_mut() else {
                return false;
            };
            body.insert("continue_final_message".to_owned(), true.into());
            body.insert("add_generation_prompt".to_owned(), false.into());
        }
    }
    true
}

#[cfg(test)]
mod tests;
