//! Answers and errors.
//!
//! Members of an answer that say nothing (empty texts, lists and objects) are without meaning: some
//! providers write all that there might be. So are `padding`, which hides the length, a `delta`
//! beside the message, and what providers note for themselves. They come back in this API, and are
//! no loss to others.

mod errors;
mod write;

use serde_json::{Map, Value};

use super::{content, extra, messages, stop_kind, usage};
use crate::apis::object::Object;
use crate::apis::{ReadError, SupportedUpstreamAPIs as Api};
use crate::representation::{
    At, Blob, Choice, Extension, Part, PartKind, Pointer, ProviderResponse, StopKind, StopReason,
};

pub(super) use errors::{code_of, kind_of};
pub use errors::{read_error, write_error};
pub use write::write;

/// Reads an answer.
///
/// # Errors
/// None: what is not understood is kept as it is.
pub fn read(body: Value) -> Result<ProviderResponse, ReadError> {
    let mut object = Object::lenient(body, "");
    object.take("object");
    let mut answer = ProviderResponse {
        api: Some(Api::OpenAiChat),
        id: object.text("id")?.map(|id| id.value).unwrap_or_default(),
        model: object.text("model")?.map(|m| m.value).unwrap_or_default(),
        created: object.whole("created")?.map(|seconds| seconds.value),
        service_tier: object.text("service_tier")?.map(|tier| tier.value),
        ..ProviderResponse::default()
    };
    for item in object.list("choices")?.unwrap_or_default() {
        answer.choices.push(choice(item)?);
    }
    if object.peek("usage").is_some_and(Value::is_object) {
        if let Some(At { value, .. }) = object.take("usage") {
            let (own, extensions) = usage::read(value);
            answer.usage = Some(own);
            answer.extensions = extensions;
        }
    }
    pages(&mut object, &mut answer.choices);
    answer.extensions.extend(object.rest());
    let choices = answer.choices.iter_mut();
    let of_choices = choices.flat_map(|choice| &mut choice.extensions);
    for extension in of_choices.chain(&mut answer.extensions) {
        let is_noted = BOOKKEEPING.contains(&extension.name.as_str());
        if is_noted || !tells_inside(&extension.value) {
            extension.at = Pointer::default();
        }
    }
    Ok(answer)
}

/// What providers note for themselves, which is no loss to clients of other APIs.
const BOOKKEEPING: [&str; 30] = [
    "copilot_usage",
    "generationId",
    "kv_transfer_params",
    "native_finish_reason",
    "provider",
    "request_id",
    "seed",
    "stop_reason",
    "system_fingerprint",
    "time_info",
    "timings",
    "usage/avg_compl_tok_per_sec",
    "usage/avg_prompt_tok_per_sec",
    "usage/avg_tok_per_sec",
    "usage/completion_time",
    "usage/completion_tokens_details/text_tokens",
    "usage/is_byok",
    "usage/num_sources_used",
    "usage/prompt_time",
    "usage/prompt_tokens_details/text_tokens",
    "usage/queue_time",
    "usage/search_context_size",
    "usage/service_tier",
    "usage/total_completion_time_sec",
    "usage/total_prompt_time_sec",
    "usage/total_time",
    "usage/total_time_sec",
    "usage_breakdown",
    "user_id",
    "x_groq",
];

fn choice(item: At<Value>) -> Result<Choice, ReadError> {
    let mut object = Object::lenient(item.value, item.at);
    object.take("index");
    let mut own = Choice::default();
    let said = object.take("message");
    let delta = object.take("delta");
    if let Some(At { value, at }) = said {
        let beside = delta.map(|delta| extra::silent("delta", delta.value));
        own.extensions.extend(beside);
        let (value, silent) = telling(value);
        let mut message = Object::lenient(value, at);
        message.take("role");
        own.parts = messages::parts_of_answer(&mut message, true)?;
        annotations(&mut message, &mut own.parts);
        media(&mut message, &mut own.parts)?;
        let rest = [silent, message.rest()].concat();
        own.extensions.extend(extra::below("message", rest));
    }
    let is_call = |part: &Part| matches!(part.kind, PartKind::ToolCall(_));
    let calls = own.parts.iter().any(is_call);
    let word = object.text("finish_reason")?.map(|word| word.value);
    own.stop = word
        .filter(|word| !word.is_empty())
        .map(|word| stop(word, calls));
    own.logprobs = logprobs(&mut object);
    own.extensions.extend(object.rest());
    Ok(own)
}

/// A message, and those of its members that say nothing.
fn telling(message: Value) -> (Value, Vec<Extension>) {
    let Value::Object(mut members) = message else {
        return (message, Vec::new());
    };
    let mut silent = Vec::new();
    for (key, value) in &members {
        // What hides the length.
        let is_silent = key == "padding" || !value.is_null() && !tells(value);
        if is_silent && key != "role" {
            silent.push(extra::silent(key, value.clone()));
        }
    }
    members.retain(|key, _| !silent.iter().any(|own| own.name == *key));
    if let Some(Value::Array(calls)) = members.get_mut("tool_calls") {
        for call in calls.iter_mut().filter_map(Value::as_object_mut) {
            let kind = call.get("type").and_then(Value::as_str);
            let other = match kind {
                Some("custom") => "function",
                _ => "custom",
            };
            if call.get(other).is_some_and(|own| !tells(own)) {
                call.shift_remove(other);
            }
        }
    }
    (members.into(), silent)
}

fn tells(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => items.iter().any(tells),
        Value::Object(members) => members.values().any(tells_inside),
        Value::Bool(_) | Value::Number(_) => true,
    }
}

/// Inside of an object, a zero stands for nothing.
fn tells_inside(value: &Value) -> bool {
    value.as_u64() != Some(0) && tells(value)
}

/// Some providers say `stop` where they call tools.
pub(super) fn stop(raw: String, calls: bool) -> StopReason {
    let kind = match stop_kind(&raw) {
        StopKind::End if calls => StopKind::ToolCalls,
        kind => kind,
    };
    StopReason {
        kind,
        raw,
        sequence: None,
    }
}

/// The list of log probabilities; what stands beside it is left.
fn logprobs(object: &mut Object) -> Option<Value> {
    let whole = object.peek("logprobs")?.as_object()?;
    let beside: Map<String, Value> = whole
        .iter()
        .filter(|(key, value)| *key != "content" && !value.is_null())
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let list = whole.get("content").filter(|list| list.is_array()).cloned();
    if beside.is_empty() {
        object.take("logprobs");
        return list;
    }
    // DeepSeek's, of thoughts: all of it is its own.
    None
}

fn annotations(message: &mut Object, parts: &mut [Part]) {
    if !message.peek("annotations").is_some_and(Value::is_array) {
        return;
    }
    let Some(citations) = citations(parts) else {
        return;
    };
    if let Some(found) = message.take("annotations") {
        citations.extend(content::annotations(found.value));
    }
}

/// The citations of the first text.
fn citations(parts: &mut [Part]) -> Option<&mut Vec<crate::representation::Citation>> {
    parts.iter_mut().find_map(|part| match &mut part.kind {
        PartKind::Text { citations, .. } => Some(citations),
        _ => None,
    })
}

/// Perplexity's citations, which are those of the answer.
fn pages(object: &mut Object, choices: &mut [Choice]) {
    let pages = object.peek("citations");
    let pages = pages.and_then(|list| content::pages(list, object.peek("search_results")));
    let own = choices
        .first_mut()
        .and_then(|own| citations(&mut own.parts));
    if let (Some(pages), Some(own)) = (pages, own) {
        object.take("citations");
        own.extend(pages);
    }
}

/// Sound, and pictures as OpenRouter has them.
fn media(message: &mut Object, parts: &mut Vec<Part>) -> Result<(), ReadError> {
    if let Some(mut audio) = message.object("audio")? {
        let at = audio.at().to_owned();
        let data = audio.text("data")?.map(|data| data.value);
        let transcript = audio.text("transcript")?.map(|text| text.value);
        let kind = PartKind::Audio {
            source: Blob::Base64 {
                media_type: String::new(),
                data: data.unwrap_or_default(),
            },
            transcript,
        };
        let mut part = Part::new(kind, at);
        part.extensions = audio.rest();
        parts.push(part);
    }
    for item in message.list("images")?.unwrap_or_default() {
        let url = item.value.pointer("/image_url/url").and_then(Value::as_str);
        let kind = match url {
            Some(url) => PartKind::Image {
                source: content::blob(url.to_owned()),
                detail: None,
            },
            None => PartKind::Other {
                kind: "images".to_owned(),
                value: item.value,
            },
        };
        parts.push(Part::new(kind, item.at));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
