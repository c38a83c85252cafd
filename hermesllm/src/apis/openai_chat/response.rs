//! Answers and errors.

use serde_json::{json, Map, Value};

use super::{content, finish_reason, messages, stop_kind, usage};
use crate::apis::object::{put, put_extensions, Object};
use crate::apis::{ProviderError, ReadError, SupportedUpstreamAPIs as Api};
use crate::representation::{
    At, Blob, Choice, Extension, Losses, Part, PartKind, ProviderResponse, StopKind, StopReason,
    ToolCall,
};

/// How members of `message` are named among the extensions of a choice.
const INSIDE: &str = "message/";

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
        let own = object.item(item)?;
        answer.choices.push(choice(own)?);
    }
    if object.peek("usage").is_some_and(Value::is_object) {
        if let Some(At { value, .. }) = object.take("usage") {
            let (own, extensions) = usage::read(value);
            answer.usage = Some(own);
            answer.extensions = extensions;
        }
    }
    answer.extensions.extend(object.rest());
    Ok(answer)
}

fn choice(mut object: Object) -> Result<Choice, ReadError> {
    object.take("index");
    let mut own = Choice::default();
    if let Some(mut message) = object.object("message")? {
        message.take("role");
        own.parts = messages::parts_of_answer(&mut message, true)?;
        annotations(&mut message, &mut own.parts);
        media(&mut message, &mut own.parts)?;
        let rest = message.rest().into_iter();
        own.extensions.extend(rest.map(|extension| Extension {
            name: format!("{INSIDE}{}", extension.name),
            ..extension
        }));
    }
    let calls = own
        .parts
        .iter()
        .any(|part| matches!(part.kind, PartKind::ToolCall(_)));
    own.stop = object
        .text("finish_reason")?
        .filter(|word| !word.value.is_empty())
        .map(|word| stop(word.value, calls));
    own.logprobs = logprobs(&mut object);
    own.extensions.extend(object.rest());
    Ok(own)
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

/// The list of log probabilities, if that is all there is of them.
fn logprobs(object: &mut Object) -> Option<Value> {
    let whole = object.peek("logprobs")?.as_object()?;
    let mut others = whole.iter().filter(|(key, _)| *key != "content");
    if !others.all(|(_, value)| value.is_null()) {
        return None;
    }
    let list = whole.get("content")?.clone();
    if !list.is_array() {
        return None;
    }
    object.take("logprobs");
    Some(list)
}

fn annotations(message: &mut Object, parts: &mut [Part]) {
    let has_text = |part: &&mut Part| matches!(part.kind, PartKind::Text { .. });
    let Some(part) = parts.iter_mut().find(has_text) else {
        return;
    };
    if !message.peek("annotations").is_some_and(Value::is_array) {
        return;
    }
    if let (Some(found), PartKind::Text { citations, .. }) =
        (message.take("annotations"), &mut part.kind)
    {
        *citations = content::annotations(found.value);
    }
}

/// Sound, and pictures as OpenRouter has them.
fn media(message: &mut Object, parts: &mut Vec<Part>) -> Result<(), ReadError> {
    if message.peek("audio").and_then(|audio| audio.get("id")) == Some(&Value::from("")) {
        message.take("audio");
    }
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
    let same = api == Some(Api::OpenAiChat);
    let mut body = Map::new();
    body.insert("id".to_owned(), id.into());
    body.insert("object".to_owned(), "chat.completion".into());
    put(&mut body, "created", created);
    body.insert("model".to_owned(), model.into());
    let choices = choices.into_iter().enumerate();
    let choices: Vec<Value> = choices
        .map(|(index, choice)| write_choice(index, choice, same, losses))
        .collect();
    body.insert("choices".to_owned(), choices.into());
    let of_usage = |extension: &Extension| extension.name.starts_with(usage::INSIDE);
    let (inside, others): (Vec<_>, Vec<_>) = extensions.into_iter().partition(of_usage);
    if let Some(own) = usage {
        let inside = if same {
            inside
        } else {
            losses.dropped_extensions(inside);
            Vec::new()
        };
        body.insert("usage".to_owned(), usage::write(own, inside));
    }
    put(&mut body, "service_tier", service_tier);
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
    let mut message = Map::new();
    message.insert("role".to_owned(), "assistant".into());
    let mut said = Vec::new();
    let (mut notes, mut images) = (Vec::new(), Vec::new());
    for mut part in parts {
        match &mut part.kind {
            PartKind::Text { citations, .. } => {
                for citation in std::mem::take(citations) {
                    match content::annotation(citation, same) {
                        Some(note) => notes.push(note),
                        None => losses.dropped(part.at.clone(), "this API cites web pages only"),
                    }
                }
                said.push(part);
            }
            PartKind::Audio { source, transcript } => {
                let mut audio = Map::new();
                if let Blob::Base64 { data, .. } = source {
                    audio.insert("data".to_owned(), std::mem::take(data).into());
                }
                put(&mut audio, "transcript", transcript.take());
                put_extensions(&mut audio, part.extensions, same, &[], losses);
                message.insert("audio".to_owned(), audio.into());
            }
            PartKind::Image { source, .. } => {
                let source = std::mem::replace(source, Blob::Text(String::new()));
                if let Some(url) = content::address(source) {
                    images.push(json!({"type": "image_url", "image_url": {"url": url}}));
                }
            }
            _ => said.push(part),
        }
    }
    // Texts that follow each other are one in this API.
    let mut next = 0_usize;
    let mut call_id = |call: &ToolCall| {
        if call.id.is_empty() {
            next += 1;
            format!("call_{index}_{}", next - 1)
        } else {
            call.id.clone()
        }
    };
    let said = if same { said } else { joined(said) };
    messages::write_parts(&mut message, said, same, &mut call_id, losses);
    if !same {
        // Clients look for it whether there is any or not.
        message.entry("content").or_insert(Value::Null);
    }
    if !notes.is_empty() {
        message.insert("annotations".to_owned(), notes.into());
    }
    if !images.is_empty() {
        message.insert("images".to_owned(), images.into());
    }
    let mut others = Vec::new();
    for extension in extensions {
        match extension.name.strip_prefix(INSIDE) {
            Some(name) if same => {
                message.insert(name.to_owned(), extension.value);
            }
            _ => others.push(extension),
        }
    }
    let mut object = Map::new();
    object.insert("index".to_owned(), index.into());
    object.insert("message".to_owned(), message.into());
    if let Some(list) = logprobs {
        object.insert("logprobs".to_owned(), json!({"content": list}));
    }
    let word = stop.map(|stop| {
        if same {
            stop.raw
        } else {
            if stop.kind == StopKind::Pause {
                let at = format!("/choices/{index}");
                losses.approximated(at, "a pause looks like an end");
            }
            finish_reason(stop.kind, &stop.raw).to_owned()
        }
    });
    object.insert("finish_reason".to_owned(), word.into());
    put_extensions(&mut object, others, same, &[], losses);
    object.into()
}

/// Texts that follow each other, as one.
fn joined(parts: Vec<Part>) -> Vec<Part> {
    let mut all: Vec<Part> = Vec::new();
    for part in parts {
        if let PartKind::Text { text: more, .. } = &part.kind {
            let first = all
                .iter_mut()
                .find(|known| matches!(known.kind, PartKind::Text { .. }));
            if let Some(Part {
                kind: PartKind::Text { text, .. },
                ..
            }) = first
            {
                text.push_str(more);
                continue;
            }
        }
        all.push(part);
    }
    all
}

/// Reads an error: `{"error": {message, type, code, param}}`, and the forms of others.
pub fn read_error(status: u16, body: &Value) -> Option<ProviderError> {
    // Gemini's chat API answers with a list of one.
    let body = match body {
        Value::Array(list) => list.first()?,
        other => other,
    };
    let own = match body.get("error") {
        Some(own) if !own.is_null() => own,
        _ if status < 400 => return None,
        _ => body,
    };
    let text = |key: &str| {
        let value = own.get(key)?;
        match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    };
    let message = match own {
        Value::String(message) => message.clone(),
        _ => text("message")
            .or_else(|| text("detail"))
            .or_else(|| own.get("detail").map(Value::to_string))?,
    };
    Some(ProviderError {
        status,
        kind: text("type").or_else(|| text("status")).unwrap_or_default(),
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
