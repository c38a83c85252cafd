//! Answers.

mod errors;
mod stop;

pub(super) use errors::{kind_of, status_of};
pub use errors::{read_error, write_error};
pub(super) use stop::{is_own, read_stop, write_stop};

use serde_json::{Map, Value};

use crate::apis::object::{wrong, Object};
use crate::apis::{ReadError, SupportedUpstreamAPIs};
use crate::representation::{Choice, Losses, PartKind, ProviderResponse, ToolCall};

use super::content::{read_part, BlockWriter, Scope};
use super::usage::{write_tier, write_usage, Figures};
use super::{put_rest, rest_of};

/// Reads an answer.
pub fn read(body: Value) -> Result<ProviderResponse, ReadError> {
    if !body.is_object() {
        return Err(wrong("", "must be an object"));
    }
    let mut object = Object::lenient(body, "");
    // Always the same.
    for (key, word) in [("type", "message"), ("role", "assistant")] {
        if object.peek_text(key) == Some(word) {
            object.take(key);
        }
    }
    let word = |object: &mut Object, key: &str| -> Result<Option<String>, ReadError> {
        Ok(object.text(key)?.map(|word| word.value))
    };
    let id = word(&mut object, "id")?.unwrap_or_default();
    let model = word(&mut object, "model")?.unwrap_or_default();
    let mut parts = Vec::new();
    for block in object.list("content")?.unwrap_or_default() {
        parts.push(read_part(block, true)?);
    }
    let reason = word(&mut object, "stop_reason")?;
    let sequence = word(&mut object, "stop_sequence")?;
    let mut extensions = Vec::new();
    let mut usage = None;
    let mut service_tier = None;
    if let Some(mut report) = object.object("usage")? {
        usage = Some(Figures::take(&mut report).usage());
        service_tier = word(&mut report, "service_tier")?;
        extensions.extend(rest_of("usage", report));
    }
    extensions.extend(object.rest());
    let choice = Choice {
        parts,
        stop: reason.map(|reason| read_stop(reason, sequence)),
        ..Choice::default()
    };
    Ok(ProviderResponse {
        api: Some(SupportedUpstreamAPIs::AnthropicMessages),
        id,
        model,
        choices: vec![choice],
        usage,
        service_tier,
        extensions,
        ..ProviderResponse::default()
    })
}

/// Writes an answer: the first choice, for this API gives one.
pub fn write(answer: ProviderResponse, losses: &mut Losses) -> Value {
    let ProviderResponse {
        api,
        id,
        model,
        // HTTP has the date.
        created: _,
        choices,
        usage,
        service_tier,
        moderation,
        extensions,
    } = answer;
    let same = api == Some(SupportedUpstreamAPIs::AnthropicMessages);
    if moderation.is_some() {
        let reason = "the other API does not tell what moderation found";
        losses.dropped("/moderation", reason);
    }
    let mut choices = choices.into_iter();
    let choice = choices.next().unwrap_or_default();
    for (index, more) in choices.enumerate() {
        let at = more.parts.first().map(|part| part.at.clone());
        let at = at.unwrap_or_else(|| format!("/choices/{}", index + 1).into());
        losses.dropped(at, "the other API gives one answer");
    }
    let Choice {
        parts,
        stop,
        logprobs,
        extensions: beside,
    } = choice;
    if logprobs.is_some() {
        let reason = "the other API gives no log probabilities";
        losses.dropped("/choices/0/logprobs", reason);
    }
    let calls = parts.iter().any(|part| {
        let own = |call: &ToolCall| !call.by_provider;
        matches!(&part.kind, PartKind::ToolCall(call) if own(call))
    });
    let mut writer = BlockWriter {
        scope: Scope::Answer {
            id: id.clone(),
            calls: 0,
        },
        same,
        losses,
    };
    let content = writer.parts(parts, true);
    let mut body = Map::new();
    body.insert("id".to_owned(), Value::String(id));
    body.insert("type".to_owned(), Value::String("message".to_owned()));
    body.insert("role".to_owned(), Value::String("assistant".to_owned()));
    body.insert("model".to_owned(), Value::String(model));
    body.insert("content".to_owned(), Value::Array(content));
    let sequence = stop.as_ref().and_then(|stop| stop.sequence.clone());
    let reason = stop.map(|stop| write_stop(stop, calls, same, losses));
    let text = |text: Option<String>| text.map_or(Value::Null, Value::String);
    body.insert("stop_reason".to_owned(), text(reason));
    body.insert("stop_sequence".to_owned(), text(sequence));
    let report = usage.unwrap_or_default();
    let mut report = write_usage(report, losses);
    if let Some(tier) = service_tier.and_then(|tier| write_tier(&tier, same, losses)) {
        report.insert("service_tier".to_owned(), Value::String(tier));
    }
    body.insert("usage".to_owned(), Value::Object(report));
    put_rest(&mut body, beside, same, &[], losses);
    put_rest(&mut body, extensions, same, &[], losses);
    Value::Object(body)
}

#[cfg(test)]
mod tests;
