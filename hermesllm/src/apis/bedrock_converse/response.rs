//! Answers and errors.

use serde_json::{json, Map, Value};

use super::blocks::{Blocks, Place};
use super::content::{self, Reading};
use super::place::{put, restore};
use super::{errors, usage, API};
use crate::apis::object::Object;
use crate::apis::{ProviderError, ReadError};
use crate::representation::{
    Choice, Extension, Losses, Part, PartKind, ProviderResponse, StopReason,
};

/// Understands an answer.
///
/// # Errors
/// [`ReadError`]: it is no object.
pub fn read(body: Value) -> Result<ProviderResponse, ReadError> {
    if !body.is_object() {
        return Err(crate::apis::object::wrong("", "must be an object"));
    }
    let mut body = Object::lenient(body, "");
    let mut extensions = Vec::new();
    let mut choice = Choice::default();
    let fields = body.peek("additionalModelResponseFields");
    let sequence = stop_sequence(fields);
    if let Some(mut output) = body.object("output")? {
        if let Some(mut message) = output.object("message")? {
            if message.peek_text("role") == Some("assistant") {
                message.take("role");
            }
            let content = message.list("content")?.unwrap_or_default();
            choice.parts = content::read(content, Reading::Lenient)?;
            extensions.extend(message.rest());
        }
        extensions.extend(output.rest());
    }
    choice.stop = body.text("stopReason")?.map(|raw| StopReason {
        kind: usage::stop_of(&raw.value),
        raw: raw.value,
        sequence,
    });
    let mut answer = ProviderResponse {
        api: Some(API),
        choices: vec![choice],
        ..ProviderResponse::default()
    };
    if let Some(own) = body.object("usage")? {
        answer.usage = Some(usage::read(own, &mut extensions));
    }
    if let Some(mut tier) = body.object("serviceTier")? {
        answer.service_tier = tier.text("type")?.map(|tier| tier.value);
        extensions.extend(tier.rest());
    }
    if let Some(mut trace) = body.object("trace")? {
        answer.moderation = trace.take("guardrail").map(|own| own.value);
        extensions.extend(trace.rest());
    }
    // How long it took says nothing to another API.
    if let Some(metrics) = body.take("metrics") {
        extensions.push(Extension {
            name: "metrics".to_owned(),
            value: metrics.value,
            at: "".into(),
        });
    }
    extensions.extend(body.rest());
    answer.extensions = extensions;
    Ok(answer)
}

/// The text that ended an answer; a request may ask for it (`additionalModelResponseFieldPaths`).
pub(super) fn stop_sequence(fields: Option<&Value>) -> Option<String> {
    let sequence = fields?.get("stop_sequence")?.as_str()?;
    Some(sequence.to_owned())
}

/// Writes an answer.
pub fn write(answer: ProviderResponse, losses: &mut Losses) -> Value {
    // The model is in the path and the identifier in a header, of what was asked and answered;
    // answers have no date.
    let ProviderResponse {
        api,
        id: _,
        model: _,
        created: _,
        choices,
        usage,
        service_tier,
        moderation,
        extensions,
    } = answer;
    let same = api == Some(API);
    let mut choices = choices.into_iter();
    let Choice {
        parts,
        stop,
        logprobs,
        extensions: beside,
    } = choices.next().unwrap_or_default();
    if choices.next().is_some() {
        losses.dropped("/choices/1", "Converse gives one answer");
    }
    if logprobs.is_some() {
        losses.dropped("/choices/0/logprobs", "Converse has no log probabilities");
    }
    let is_call = |part: &Part| matches!(part.kind, PartKind::ToolCall(_));
    let calls_tools = parts.iter().any(is_call);
    let mut content = Vec::new();
    Blocks::new(same, losses).parts(parts, Place::Answer, &mut content);
    let mut body = Map::new();
    let message = json!({"role": "assistant", "content": content});
    body.insert("output".to_owned(), json!({ "message": message }));
    let reason = match stop {
        Some(stop) => Some(usage::word_of(stop, same, losses)),
        None if same => None,
        None => Some(usage::untold(calls_tools, losses).to_owned()),
    };
    if let Some(reason) = reason {
        body.insert("stopReason".to_owned(), reason.into());
    }
    if let Some(own) = usage {
        body.insert("usage".to_owned(), usage::write(own, losses));
    }
    if !same {
        // The members are required; how long it took is not known.
        body.entry("usage")
            .or_insert_with(|| json!({"inputTokens": 0, "outputTokens": 0, "totalTokens": 0}));
        body.insert("metrics".to_owned(), json!({"latencyMs": 0}));
    }
    match service_tier.as_deref() {
        Some("default" | "priority" | "flex" | "reserved") => {
            body.insert("serviceTier".to_owned(), json!({ "type": service_tier }));
        }
        Some(_) if same => {
            body.insert("serviceTier".to_owned(), json!({ "type": service_tier }));
        }
        Some("standard") | None => {}
        Some(_) => losses.dropped("/service_tier", "Converse has no such class of service"),
    }
    let mut body = Value::Object(body);
    match moderation {
        Some(moderation) if same => {
            put(&mut body, "/trace/guardrail", moderation);
        }
        Some(_) => losses.dropped("/moderation", "guardrails of Converse speak otherwise"),
        None => {}
    }
    let extensions: Vec<Extension> = beside.into_iter().chain(extensions).collect();
    restore(&mut body, "", extensions, same, losses);
    body
}

/// Understands an error: `{"message": …}`, its type in a header, or beside it (`__type`).
pub fn read_error(status: u16, body: &Value) -> Option<ProviderError> {
    if (200..300).contains(&status) && body.get("output").is_some() {
        return None;
    }
    // A request that the service does not know is answered in this form.
    let body = body.get("Output").unwrap_or(body);
    let text = |key: &str| body.get(key).and_then(Value::as_str);
    let kind = text("__type").or(text("code")).map(errors::plain);
    let message = text("message").or(text("Message"));
    let message = message.or(text("originalMessage")).or(kind)?;
    Some(ProviderError {
        status,
        kind: kind.unwrap_or_default().to_owned(),
        code: None,
        message: message.to_owned(),
        param: None,
    })
}

/// Writes an error. The type goes into the body, where the SDKs look for it when no header has it.
pub fn write_error(error: &ProviderError) -> Value {
    // Neither codes nor members at fault have a place.
    let ProviderError {
        status,
        kind,
        code: _,
        message,
        param: _,
    } = error;
    json!({"__type": errors::type_of(kind, *status), "message": message})
}

#[cfg(test)]
mod tests;
