//! Answers and errors.

use serde_json::{json, Map, Value};

use super::{finish_reason, logprobs, own, prompt, stop_kind, usage};
use crate::apis::object::{put, put_extensions, Object};
use crate::apis::{ProviderError, ReadError, SupportedUpstreamAPIs as Api};
use crate::representation::{
    At, Choice, Extension, Losses, Part, ProviderResponse, StopKind, StopReason,
};

/// Log probabilities as the API has them, kept for it.
const LOGPROBS: &str = "logprobs";

/// Reads an answer.
///
/// # Errors
/// None: what is not understood is kept as it is.
pub fn read(body: Value) -> Result<ProviderResponse, ReadError> {
    let mut object = Object::lenient(body, "");
    let mut beside = Vec::new();
    // Others call it otherwise.
    if let Some(kind) = object.take("object") {
        if kind.value != "text_completion" {
            beside.push(own("object", kind.value));
        }
    }
    let mut answer = ProviderResponse {
        api: Some(Api::OpenAiCompletions),
        id: object.text("id")?.map(|id| id.value).unwrap_or_default(),
        model: object.text("model")?.map(|m| m.value).unwrap_or_default(),
        created: object.whole("created")?.map(|seconds| seconds.value),
        ..ProviderResponse::default()
    };
    for (index, item) in (0..).zip(object.list("choices")?.unwrap_or_default()) {
        let own = object.item(item)?;
        answer.choices.push(choice(own, index)?);
    }
    if object.peek("usage").is_some_and(Value::is_object) {
        if let Some(At { value, .. }) = object.take("usage") {
            let (own, extensions) = usage::read(value);
            answer.usage = Some(own);
            answer.extensions = extensions;
        }
    }
    answer.extensions.extend(object.rest());
    answer.extensions.extend(beside);
    Ok(answer)
}

fn choice(mut object: Object, index: u64) -> Result<Choice, ReadError> {
    let mut choice = Choice::default();
    if object.peek("index").and_then(Value::as_u64) == Some(index) {
        object.take("index");
    }
    if let Some(text) = object.text("text")? {
        choice.parts.push(Part::text(text.value, text.at));
    }
    choice.stop = object
        .text("finish_reason")?
        .map(|word| stop_reason(word.value));
    choice.logprobs = object.peek(LOGPROBS).and_then(logprobs::read);
    if choice.logprobs.is_some() {
        let whole = object.take(LOGPROBS);
        let whole = whole.map(|whole| own(LOGPROBS, whole.value));
        choice.extensions.extend(whole);
    }
    choice.extensions.extend(object.rest());
    Ok(choice)
}

/// Why an answer ended.
pub(super) fn stop_reason(raw: String) -> StopReason {
    StopReason {
        kind: stop_kind(&raw),
        raw,
        sequence: None,
    }
}

/// Writes an answer.
pub fn write(answer: ProviderResponse, losses: &mut Losses) -> Value {
    let ProviderResponse {
        api,
        id,
        model,
        created,
        choices,
        usage,
        service_tier,
        moderation,
        extensions,
    } = answer;
    let same = api == Some(Api::OpenAiCompletions);
    let mut body = Map::new();
    if !(same && id.is_empty()) {
        body.insert("id".to_owned(), id.into());
    }
    let of_usage = |extension: &Extension| extension.name.starts_with(usage::INSIDE);
    let (inside, mut others): (Vec<_>, Vec<_>) = extensions.into_iter().partition(of_usage);
    let kind = others.iter().position(|own| same && own.name == "object");
    let kind = kind.map(|index| others.remove(index).value);
    let kind = kind.unwrap_or_else(|| "text_completion".into());
    body.insert("object".to_owned(), kind);
    put(&mut body, "created", created);
    if !(same && model.is_empty()) {
        body.insert("model".to_owned(), model.into());
    }
    let choices = choices.into_iter().enumerate();
    let choices: Vec<Value> = choices
        .map(|(index, choice)| write_choice(index, choice, same, losses))
        .collect();
    body.insert("choices".to_owned(), choices.into());
    match usage {
        Some(own) => {
            let own = usage::write(own, inside, same, losses);
            body.insert("usage".to_owned(), own);
        }
        None => losses.dropped_extensions(inside),
    }
    if service_tier.is_some() {
        losses.dropped("/service_tier", "this API has no classes of service");
    }
    if moderation.is_some() {
        losses.dropped("/moderation", "this API has no such verdicts");
    }
    put_extensions(&mut body, others, same, &[], losses);
    body.into()
}

fn write_choice(index: usize, choice: Choice, same: bool, losses: &mut Losses) -> Value {
    let Choice {
        parts,
        stop,
        logprobs,
        extensions,
    } = choice;
    let mut object = Map::new();
    if !(same && parts.is_empty()) {
        let text = prompt::answered(parts, losses);
        object.insert("text".to_owned(), text.into());
    }
    let has_index = extensions.iter().any(|own| same && own.name == "index");
    if !has_index {
        object.insert("index".to_owned(), index.into());
    }
    let kept = extensions.iter().any(|own| same && own.name == LOGPROBS);
    if !kept {
        let lists = logprobs.map(|list| logprobs::write(&list, &mut 0));
        object.insert(LOGPROBS.to_owned(), lists.into());
    }
    let word = stop.map(|stop| {
        if same {
            stop.raw
        } else {
            told(&stop, &format!("/choices/{index}"), losses).to_owned()
        }
    });
    object.insert("finish_reason".to_owned(), word.into());
    put_extensions(&mut object, extensions, same, &[], losses);
    object.into()
}

/// The word for an end; tells what it does not say.
pub(super) fn told(stop: &StopReason, at: &str, losses: &mut Losses) -> &'static str {
    let reason = match stop.kind {
        StopKind::ToolCalls | StopKind::Malformed => Some("a call of tools looks like an end"),
        StopKind::Pause => Some("a pause looks like an end"),
        StopKind::Refusal => Some("the end by a refusal looks like one by a filter"),
        StopKind::ContextWindow => Some("a full context looks like the most output tokens"),
        _ => None,
    };
    if stop.sequence.is_some() {
        let reason = "this API does not tell which stop sequence it was";
        losses.dropped(at.to_owned(), reason);
    }
    if let Some(reason) = reason {
        losses.approximated(at.to_owned(), reason);
    }
    finish_reason(stop.kind)
}

/// Reads an error: `{"error": {message, type, code, param}}`, and the forms of others.
pub fn read_error(status: u16, body: &Value) -> Option<ProviderError> {
    let own = match body.get("error") {
        Some(own) if !own.is_null() => own,
        _ if status < 400 => return None,
        _ => body,
    };
    let text = |key: &str| match own.get(key)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let message = match own {
        Value::String(message) => message.clone(),
        _ => text("message").or_else(|| text("detail")).or_else(|| {
            let detail = own.get("detail")?;
            Some(detail.to_string())
        })?,
    };
    Some(ProviderError {
        status,
        kind: text("type").unwrap_or_default(),
        code: text("code"),
        message,
        param: text("param"),
    })
}

/// Writes an error.
pub fn write_error(error: &ProviderError) -> Value {
    let ProviderError {
        status,
        kind,
        code,
        message,
        param,
    } = error;
    json!({"error": {
        "message": message,
        "type": kind_of(*status, kind),
        "param": param,
        "code": code,
    }})
}

/// The type of an error, in this API's words.
pub(super) fn kind_of(status: u16, kind: &str) -> &str {
    const OWN: [&str; 8] = [
        "invalid_request_error",
        "authentication_error",
        "permission_error",
        "not_found_error",
        "rate_limit_error",
        "insufficient_quota",
        "server_error",
        "api_error",
    ];
    if OWN.contains(&kind) {
        return kind;
    }
    match status {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        429 => "rate_limit_error",
        400..=499 => "invalid_request_error",
        _ => "server_error",
    }
}

#[cfg(test)]
mod tests;
