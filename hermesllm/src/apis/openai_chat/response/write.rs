//! Answers, written.

use serde_json::{json, Map, Value};

use super::super::{content, extra, messages, usage};
use crate::apis::object::put;
use crate::apis::SupportedUpstreamAPIs as Api;
use crate::representation::{
    Blob, Choice, Losses, Part, PartKind, ProviderResponse, StopReason, ToolCall,
};

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
    let mut pages = Vec::new();
    let choices = choices.into_iter().enumerate();
    let choices: Vec<Value> = choices
        .map(|(index, choice)| write_choice(index, choice, same, &mut pages, losses))
        .collect();
    body.insert("choices".to_owned(), choices.into());
    if let Some(own) = usage {
        body.insert("usage".to_owned(), usage::write(&own, losses));
    }
    put(&mut body, "service_tier", service_tier);
    if !pages.is_empty() {
        body.insert("citations".to_owned(), pages.into());
    }
    if moderation.is_some() {
        losses.dropped("/moderation", "this API has no such verdicts");
    }
    extra::put(&mut body, extensions, same, &[], losses);
    body.into()
}

fn write_choice(
    index: usize,
    choice: Choice,
    same: bool,
    pages: &mut Vec<Value>,
    losses: &mut Losses,
) -> Value {
    let Choice {
        mut parts,
        stop,
        logprobs,
        extensions,
    } = choice;
    let mut message = Map::new();
    message.insert("role".to_owned(), "assistant".into());
    let notes = annotations(&mut parts, same, pages, losses);
    let (mut said, mut images) = (Vec::new(), Vec::new());
    for part in parts {
        match part.kind {
            PartKind::Audio { .. } => write_audio(&mut message, part, same, losses),
            PartKind::Image { .. } => images.extend(write_image(part, same, losses)),
            PartKind::Other {
                ref kind,
                ref value,
            } if same && kind == "images" => {
                images.push(value.clone());
            }
            _ => said.push(part),
        }
    }
    let mut next = 0_usize;
    let mut call_id = |call: &ToolCall| {
        if same || !call.id.is_empty() {
            return call.id.clone();
        }
        next += 1;
        format!("call_{index}_{}", next - 1)
    };
    let said = if same { said } else { joined(said, losses) };
    messages::put_parts(&mut message, said, same, &mut call_id, losses);
    if !notes.is_empty() {
        message.insert("annotations".to_owned(), notes.into());
    }
    if !images.is_empty() {
        message.insert("images".to_owned(), images.into());
    }
    let mut object = Map::new();
    object.insert("index".to_owned(), index.into());
    object.insert("message".to_owned(), message.into());
    put(
        &mut object,
        "logprobs",
        logprobs.map(|list| json!({"content": list})),
    );
    let word = stop.map(|stop| ended(stop, index, same, losses));
    object.insert("finish_reason".to_owned(), word.into());
    extra::put(&mut object, extensions, same, &[], losses);
    // Clients look for it whether there is any or not.
    if let Some(message) = object.get_mut("message").and_then(Value::as_object_mut) {
        let said = message.shift_remove("content").unwrap_or_default();
        let after_role = message.len().min(1);
        message.shift_insert(after_role, "content".to_owned(), said);
    }
    object.into()
}

fn ended(stop: StopReason, index: usize, same: bool, losses: &mut Losses) -> String {
    if same {
        return stop.raw;
    }
    super::super::ended(&stop, format!("/choices/{index}"), losses).to_owned()
}

/// Takes the citations out of the texts; their spans count from the beginning of the whole text.
fn annotations(
    parts: &mut [Part],
    same: bool,
    pages: &mut Vec<Value>,
    losses: &mut Losses,
) -> Vec<Value> {
    let mut notes = Vec::new();
    let mut before = 0_u64;
    for part in parts {
        let PartKind::Text { text, citations } = &mut part.kind else {
            continue;
        };
        for mut citation in std::mem::take(citations) {
            if !same {
                let from_start = |place: u64| place.saturating_add(before);
                citation.span = citation
                    .span
                    .map(|(start, end)| (from_start(start), from_start(end)));
            }
            match content::annotation(citation, same) {
                Some(page @ Value::String(_)) => pages.push(page),
                Some(note) => notes.push(note),
                None => losses.dropped(part.at.clone(), "this API cites web pages only"),
            }
        }
        before = before.saturating_add(text.chars().count() as u64);
    }
    notes
}

fn write_audio(message: &mut Map<String, Value>, part: Part, same: bool, losses: &mut Losses) {
    let PartKind::Audio { source, transcript } = part.kind else {
        return;
    };
    let mut audio = Map::new();
    match source {
        Blob::Base64 { data, .. } => {
            audio.insert("data".to_owned(), data.into());
        }
        _ => losses.dropped(part.at, "this API gives sound as bytes only"),
    }
    put(&mut audio, "transcript", transcript);
    extra::put(&mut audio, part.extensions, same, &[], losses);
    message.insert("audio".to_owned(), audio.into());
}

fn write_image(part: Part, same: bool, losses: &mut Losses) -> Option<Value> {
    let PartKind::Image { source, detail: _ } = part.kind else {
        return None;
    };
    let Some(url) = content::address(source) else {
        losses.dropped(part.at, "this API gives images by address or as bytes only");
        return None;
    };
    let mut image = Map::new();
    image.insert("type".to_owned(), "image_url".into());
    image.insert("image_url".to_owned(), json!({"url": url}));
    extra::put(&mut image, part.extensions, same, &[], losses);
    Some(image.into())
}

/// The texts of an answer as one, which is what clients of this API read.
fn joined(parts: Vec<Part>, losses: &mut Losses) -> Vec<Part> {
    let mut all: Vec<Part> = Vec::new();
    for part in parts {
        let PartKind::Text { text: more, .. } = &part.kind else {
            all.push(part);
            continue;
        };
        let first = all.iter_mut().find_map(|known| match &mut known.kind {
            PartKind::Text { text, .. } => Some((text, &mut known.signature)),
            _ => None,
        });
        match first {
            Some((text, signature)) => {
                text.push_str(more);
                if part.signature.is_some() {
                    // The last is that of the whole.
                    *signature = part.signature;
                }
                losses.dropped_extensions(part.extensions);
            }
            None => all.push(part),
        }
    }
    all
}
