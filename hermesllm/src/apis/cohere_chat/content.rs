//! The parts of a message's content.

use serde_json::{json, Map, Value};

use crate::apis::object::{items, put, put_extensions, wrong, Object};
use crate::apis::ReadError;
use crate::representation::{
    At, Blob, Detail, Extension, Losses, Part, PartKind, Pointer, Reasoning,
};

/// How a document is named among the extensions of the text that it is read as.
const DOCUMENT: &str = "document";

/// Reads `content`: a text or a list of parts.
pub(super) fn read(content: At<Value>, lenient: bool) -> Result<Vec<Part>, ReadError> {
    match content.value {
        Value::String(text) => Ok(vec![Part::text(text, content.at)]),
        Value::Array(list) => {
            let items = items(list, &content.at).into_iter();
            items.map(|item| part(item, lenient)).collect()
        }
        _ if lenient => Ok(Vec::new()),
        _ => Err(wrong(
            content.at.into_owned(),
            "must be a text or a list of parts",
        )),
    }
}

fn part(item: At<Value>, lenient: bool) -> Result<Part, ReadError> {
    let At { value, at } = item;
    let whole = value.clone();
    let mut object = if lenient {
        Object::lenient(value, at.clone())
    } else {
        Object::strict(value, at.clone())?
    };
    let kind = object.peek_text("type").unwrap_or_default().to_owned();
    let mut beside = None;
    let known = match kind.as_str() {
        "text" => object.text("text")?.map(|text| PartKind::Text {
            text: text.value,
            citations: Vec::new(),
        }),
        "thinking" => object.text("thinking")?.map(|text| {
            PartKind::Reasoning(Reasoning {
                text: text.value,
                ..Reasoning::default()
            })
        }),
        "image_url" => image(&mut object)?,
        DOCUMENT => object.take(DOCUMENT).map(|own| {
            let text = plain(&own.value);
            beside = Some(own.value);
            PartKind::Text {
                text,
                citations: Vec::new(),
            }
        }),
        _ => None,
    };
    let Some(known) = known else {
        let other = PartKind::Other { kind, value: whole };
        return Ok(Part::new(other, at));
    };
    object.take("type");
    let mut part = Part::new(known, at);
    part.extensions = object.rest();
    part.extensions.extend(beside.map(|value| Extension {
        name: DOCUMENT.to_owned(),
        value,
        // All of it is in the text.
        at: Pointer::default(),
    }));
    Ok(part)
}

/// A document as text: its own where that is all there is, else all of it as JSON.
fn plain(document: &Value) -> String {
    if let Value::String(text) = document {
        return text.clone();
    }
    let only = |value: &Value, key: &str| {
        let members = value.as_object().filter(|members| members.len() == 1)?;
        members.get(key).cloned()
    };
    let text = only(document, "data").and_then(|data| only(&data, "text"));
    match text {
        Some(Value::String(text)) => text,
        _ => document.to_string(),
    }
}

fn image(object: &mut Object) -> Result<Option<PartKind>, ReadError> {
    let understood = |value: &Value| {
        let members = value.as_object().is_some_and(|members| {
            let known = |key: &String| key == "url" || key == "detail";
            members.keys().all(known)
        });
        members && value.get("url").is_some_and(Value::is_string)
    };
    if !object.peek("image_url").is_some_and(understood) {
        return Ok(None);
    }
    let Some(mut image) = object.object("image_url")? else {
        return Ok(None);
    };
    let url = image.text("url")?.map(|url| url.value).unwrap_or_default();
    Ok(Some(PartKind::Image {
        source: blob(url),
        detail: image.text("detail")?.map(|detail| Detail(detail.value)),
    }))
}

/// An address; one that holds the bytes itself (`data:TYPE;base64,…`) is taken apart.
fn blob(url: String) -> Blob {
    let embedded = url
        .strip_prefix("data:")
        .and_then(|rest| rest.split_once(";base64,"));
    match embedded {
        Some((media_type, data)) if !media_type.contains(';') => Blob::Base64 {
            media_type: media_type.to_owned(),
            data: data.to_owned(),
        },
        _ => Blob::Url {
            url,
            media_type: None,
        },
    }
}

/// Writes parts as `content`: a lone text as it stood, or as such; `None` where there is none.
pub(super) fn write(
    parts: Vec<Part>,
    same: bool,
    documents: &mut Vec<Value>,
    losses: &mut Losses,
) -> Option<Value> {
    if let (true, [only]) = (same, parts.as_slice()) {
        if let (PartKind::Text { text, .. }, true) = (&only.kind, only.at.ends_with("/content")) {
            return Some(text.as_str().into());
        }
    }
    let mut list = Vec::new();
    for part in parts {
        list.extend(write_part(part, same, documents, losses));
    }
    if let (false, [Value::Object(only)]) = (same, list.as_slice()) {
        if let (2, Some(text @ Value::String(_))) = (only.len(), only.get("text")) {
            return Some(text.clone());
        }
    }
    (!list.is_empty()).then(|| list.into())
}

/// Writes a part. Documents that are to be cited are put beside the messages.
pub(super) fn write_part(
    part: Part,
    same: bool,
    documents: &mut Vec<Value>,
    losses: &mut Losses,
) -> Option<Value> {
    let Part {
        kind,
        cache,
        signature,
        at,
        mut extensions,
    } = part;
    if cache.is_some() {
        losses.dropped(at.clone(), "this API caches by itself");
    }
    if signature.is_some() {
        losses.dropped(at.clone(), "this API has no signatures");
    }
    let value = match kind {
        // Citations stand beside the content.
        PartKind::Text { text, citations: _ } => {
            let is_document = |own: &Extension| same && own.name == DOCUMENT && !own.matters();
            match extensions.iter().position(is_document) {
                Some(index) => json!({"type": DOCUMENT, DOCUMENT: extensions.remove(index).value}),
                None => json!({"type": "text", "text": text}),
            }
        }
        PartKind::Refusal(text) => {
            losses.approximated(at.clone(), "a refusal becomes text");
            json!({"type": "text", "text": text})
        }
        PartKind::Reasoning(own) => {
            json!({"type": "thinking", "thinking": thoughts(own, &at, losses)?})
        }
        PartKind::Image { source, detail } => {
            let Some(url) = address(source) else {
                losses.dropped(at, "this API takes images by address or as bytes only");
                return None;
            };
            let mut image = Map::new();
            image.insert("url".to_owned(), url.into());
            put(&mut image, "detail", detail.map(|detail| detail.0));
            json!({"type": "image_url", "image_url": image})
        }
        PartKind::Document {
            source,
            title,
            context,
            citations,
        } => {
            let text = document(source, &at, losses)?;
            let head = [("title", title), ("context", context)];
            if citations == Some(true) {
                documents.push(cited(head, text, documents.len()));
                let reason = "a document that is to be cited stands beside the messages";
                losses.approximated(at, reason);
                return None;
            }
            losses.approximated(at.clone(), "a document becomes plain text");
            let head = head.into_iter().filter_map(|(_, text)| text);
            let all: Vec<String> = head.chain([text]).collect();
            json!({"type": "text", "text": all.join("\n")})
        }
        PartKind::Audio {
            transcript: Some(text),
            ..
        } => {
            losses.approximated(at.clone(), "sound becomes what is said in it");
            json!({"type": "text", "text": text})
        }
        PartKind::Audio { .. } | PartKind::Video(_) => {
            losses.dropped(at, "this API takes no sound and no moving pictures");
            return None;
        }
        PartKind::Other { value, .. } if same => return Some(value),
        PartKind::ToolCall(_) | PartKind::ToolResult(_) | PartKind::Other { .. } => {
            losses.dropped(at, "this API has no such content here");
            return None;
        }
    };
    let Value::Object(mut members) = value else {
        return Some(value);
    };
    put_extensions(&mut members, extensions, same, &[], losses);
    Some(members.into())
}

/// What is shown of thoughts; `None` where only their provider can read them.
fn thoughts(own: Reasoning, at: &Pointer, losses: &mut Losses) -> Option<String> {
    let Reasoning {
        // By which another provider finds them.
        id: _,
        text,
        summary,
        signature,
        encrypted,
    } = own;
    let is_sealed = signature.is_some() || encrypted.is_some();
    if is_sealed {
        let reason = "only the provider that thought can read signed or encrypted thoughts";
        losses.dropped(at.clone(), reason);
    }
    if !text.is_empty() {
        if !summary.is_empty() {
            losses.dropped(at.clone(), "this API has no summaries of thoughts");
        }
        return Some(text);
    }
    if !summary.is_empty() {
        losses.approximated(at.clone(), "a summary of thoughts is shown as thoughts");
        return Some(summary.join("\n"));
    }
    (!is_sealed).then_some(text)
}

/// The text of a document.
fn document(source: Blob, at: &Pointer, losses: &mut Losses) -> Option<String> {
    let parts = match source {
        Blob::Text(text) => return Some(text),
        Blob::Parts(parts) => parts,
        Blob::Base64 { .. } | Blob::Url { .. } | Blob::File { .. } => {
            losses.dropped(at.clone(), "this API takes documents of text only");
            return None;
        }
    };
    let mut texts = Vec::new();
    for part in parts {
        match part.kind {
            PartKind::Text { text, .. } => texts.push(text),
            _ => losses.dropped(part.at, "this API takes documents of text only"),
        }
    }
    Some(texts.join("\n"))
}

/// A document that stands beside the messages.
fn cited(head: [(&str, Option<String>); 2], text: String, number: usize) -> Value {
    let mut data = Map::new();
    for (key, value) in head {
        put(&mut data, key, value);
    }
    data.insert("text".to_owned(), text.into());
    json!({"id": format!("doc_{number}"), "data": data})
}

/// An address for bytes, unless they are at the provider's.
fn address(source: Blob) -> Option<String> {
    match source {
        Blob::Base64 { media_type, data } => Some(format!("data:{media_type};base64,{data}")),
        Blob::Url { url, .. } => Some(url),
        Blob::File { .. } | Blob::Text(_) | Blob::Parts(_) => None,
    }
}
