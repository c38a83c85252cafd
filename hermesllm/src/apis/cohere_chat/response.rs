//! Answers and errors.

use serde_json::{json, Map, Value};

use super::{ended, finish_reason, logprobs, messages, stop_kind, usage};
use crate::apis::object::{put, put_extensions, Object};
use crate::apis::{ProviderError, ReadError, SupportedUpstreamAPIs as Api};
use crate::representation::{
    At, Choice, Extension, Losses, Part, PartKind, ProviderResponse, StopKind, StopReason, ToolCall,
};

/// How members of `message` are named among the extensions of a choice.
const INSIDE: &str = "message/";

/// Log probabilities, kept as the API has them: nothing but the numbers of the tokens is lost in
/// OpenAI's form.
const LOGPROBS: &str = "logprobs";

/// Reads an answer.
///
/// # Errors
/// None: what is not understood is kept as it is.
pub fn read(body: Value) -> Result<ProviderResponse, ReadError> {
    let mut object = Object::lenient(body, "");
    let mut answer = ProviderResponse {
        api: Some(Api::CohereChat),
        id: object.text("id")?.map(|id| id.value).unwrap_or_default(),
        ..ProviderResponse::default()
    };
    let mut choice = Choice::default();
    if let Some(mut message) = object.object("message")? {
        if message.peek_text("role") == Some("assistant") {
            message.take("role");
        }
        let mut beside = Vec::new();
        choice.parts = messages::parts_of_answer(&mut message, &mut beside, true)?;
        let inside = message.rest().into_iter().chain(beside);
        choice.extensions = inside
            .map(|extension| Extension {
                name: format!("{INSIDE}{}", extension.name),
                ..extension
            })
            .collect();
    }
    choice.stop = object
        .text("finish_reason")?
        .map(|word| stop_reason(word.value));
    let pieces = object.peek(LOGPROBS).and_then(Value::as_array);
    let pieces: Option<Vec<Value>> =
        pieces.and_then(|pieces| pieces.iter().map(logprobs::read_piece).collect());
    if let Some(pieces) = pieces {
        choice.logprobs = Some(pieces.into());
        let whole = object.take(LOGPROBS);
        choice.extensions.extend(whole.map(|whole| Extension {
            name: LOGPROBS.to_owned(),
            value: whole.value,
            at: "".into(),
        }));
    }
    if object.peek("usage").is_some_and(Value::is_object) {
        if let Some(At { value, .. }) = object.take("usage") {
            let (own, extensions) = usage::read(value);
            answer.usage = Some(own);
            answer.extensions = extensions;
        }
    }
    answer.choices.push(choice);
    answer.extensions.extend(object.rest());
    Ok(answer)
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
        // Answers name neither model nor date.
        model: _,
        created: _,
        choices,
        usage,
        service_tier,
        moderation,
        extensions,
    } = answer;
    let same = api == Some(Api::CohereChat);
    let mut choices = choices.into_iter();
    let choice = choices.next().unwrap_or_default();
    if choices.next().is_some() {
        losses.dropped("/choices/1", "this API gives one answer");
    }
    let mut body = Map::new();
    if !(same && id.is_empty()) {
        body.insert("id".to_owned(), id.into());
    }
    write_choice(&mut body, choice, same, losses);
    let of_usage = |extension: &Extension| extension.name.starts_with(usage::INSIDE);
    let (inside, others): (Vec<_>, Vec<_>) = extensions.into_iter().partition(of_usage);
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

fn write_choice(body: &mut Map<String, Value>, choice: Choice, same: bool, losses: &mut Losses) {
    let Choice {
        parts,
        stop,
        logprobs,
        extensions,
    } = choice;
    let is_call = |part: &Part| matches!(part.kind, PartKind::ToolCall(_));
    let calls = parts.iter().any(is_call);
    let mut next = 0_usize;
    let mut call_id = |call: &ToolCall| {
        if call.id.is_empty() {
            next += 1;
            format!("call_{}", next - 1)
        } else {
            call.id.clone()
        }
    };
    let mut documents = Vec::new();
    let answer = messages::Answer {
        same,
        listed: true,
        documents: &mut documents,
        losses,
    };
    let mut message = answer.write(parts, &mut call_id);
    let mut others = Vec::new();
    for extension in extensions {
        match extension.name.strip_prefix(INSIDE) {
            Some(name) if same => {
                message.insert(name.to_owned(), extension.value);
            }
            _ => others.push(extension),
        }
    }
    body.insert("message".to_owned(), message.into());
    let word = match stop {
        Some(stop) if same => Some(stop.raw),
        Some(stop) => Some(ended(&stop, losses).to_owned()),
        None if same => None,
        // Required by the API.
        None if calls => Some(finish_reason(StopKind::ToolCalls).to_owned()),
        None => Some(finish_reason(StopKind::End).to_owned()),
    };
    put(body, "finish_reason", word);
    put_extensions(body, others, same, &[], losses);
    if let (Some(Value::Array(list)), false) = (logprobs, body.contains_key(LOGPROBS)) {
        let at = "/choices/0/logprobs".into();
        let pieces: Vec<Value> = list
            .iter()
            .map(|item| logprobs::write_piece(item, &at, losses))
            .collect();
        body.insert(LOGPROBS.to_owned(), pieces.into());
    }
}

/// Reads an error: `{"message": …, "id": …}`. In an answer, `message` is an object.
pub fn read_error(status: u16, body: &Value) -> Option<ProviderError> {
    let text = |place: &str| body.pointer(place).and_then(Value::as_str);
    let message = match text("/message") {
        Some(message) => message,
        None if status < 400 => return None,
        // Of what stands before the API.
        None => text("/error")
            .or(text("/detail"))
            .or(text("/error/message"))?,
    };
    Some(ProviderError {
        status,
        message: message.to_owned(),
        ..ProviderError::default()
    })
}

/// Writes an error: the API has no types, codes or members at fault; the status says it.
pub fn write_error(error: &ProviderError) -> Value {
    let ProviderError {
        status: _,
        kind: _,
        code: _,
        message,
        param: _,
    } = error;
    json!({ "message": message })
}

#[cfg(test)]
mod tests;
