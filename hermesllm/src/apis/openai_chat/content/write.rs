//! Content, written.

use serde_json::{json, Map, Value};

use super::super::extra;
use crate::apis::object;
use crate::representation::{Blob, CacheHint, Losses, Part, PartKind, Pointer};

/// Puts the content of a message: a lone plain text as such, else a list; nothing if there is none.
/// Gives a hint for the whole message, which some clients mark.
pub(in crate::apis::openai_chat) fn put(
    message: &mut Map<String, Value>,
    mut parts: Vec<Part>,
    same: bool,
    losses: &mut Losses,
) {
    if !same {
        for part in &mut parts {
            strip(part, losses);
        }
    }
    if let Some((text, cache)) = plain_text(&parts, same) {
        message.insert("content".to_owned(), text.into());
        object::put(message, "cache_control", cache.map(cache_control));
        return;
    }
    let parts = parts.into_iter();
    let list: Vec<Value> = parts
        .filter_map(|part| write_part(part, same, losses))
        .collect();
    // A document of text has become one.
    let text = match list.as_slice() {
        [only] if !same && only.get("type").is_some_and(|kind| kind == "text") => only.get("text"),
        _ => None,
    };
    if let Some(text) = text {
        message.insert("content".to_owned(), text.clone());
    } else if !list.is_empty() {
        message.insert("content".to_owned(), list.into());
    }
}

/// The text of content that was not a list, or need not be one, and the hint of its message.
fn plain_text(parts: &[Part], same: bool) -> Option<(String, Option<CacheHint>)> {
    let [Part {
        kind: PartKind::Text { text, citations: _ },
        cache,
        signature: None,
        at,
        extensions,
    }] = parts
    else {
        return None;
    };
    let is_plain = if same {
        extensions.is_empty() && at.ends_with("/content")
    } else {
        true
    };
    is_plain.then(|| (text.clone(), *cache))
}

/// Takes off what only the other API has.
fn strip(part: &mut Part, losses: &mut Losses) {
    if part.cache.take().is_some() {
        losses.dropped(part.at.clone(), "this API caches by itself");
    }
    if part.signature.take().is_some() {
        losses.dropped(
            part.at.clone(),
            "this API has no place for a signature here",
        );
    }
    losses.dropped_extensions(std::mem::take(&mut part.extensions));
    if let PartKind::Text { citations, .. } = &mut part.kind {
        if !std::mem::take(citations).is_empty() {
            losses.dropped(part.at.clone(), "this API has no citations in a request");
        }
    }
}

fn write_part(part: Part, same: bool, losses: &mut Losses) -> Option<Value> {
    let Part {
        kind,
        cache,
        signature,
        at,
        extensions,
    } = part;
    let bare = at.rsplit('/').next().filter(|_| same).unwrap_or_default();
    let mut object = match content(kind, bare, &at, same, losses)? {
        Value::Object(members) => members,
        other => return Some(other),
    };
    if signature.is_some() {
        losses.dropped(at, "this API has no place for a signature here");
    }
    object::put(&mut object, "cache_control", cache.map(cache_control));
    extra::put(&mut object, extensions, same, &[], losses);
    Some(object.into())
}

fn content(
    kind: PartKind,
    bare: &str,
    at: &Pointer,
    same: bool,
    losses: &mut Losses,
) -> Option<Value> {
    Some(match kind {
        PartKind::Text { text, citations: _ } => json!({"type": "text", "text": text}),
        PartKind::Refusal(text) => json!({"type": "refusal", "refusal": text}),
        PartKind::Image { source, detail } => {
            let Some(url) = address(source) else {
                losses.dropped(
                    at.clone(),
                    "this API takes images by address or as bytes only",
                );
                return None;
            };
            if bare == "image_url" {
                return Some(json!({"type": "image_url", "image_url": url}));
            }
            let mut image = Map::new();
            image.insert("url".to_owned(), url.into());
            object::put(&mut image, "detail", detail.map(|detail| detail.0));
            json!({"type": "image_url", "image_url": image})
        }
        PartKind::Audio { source, transcript } => {
            return audio(source, transcript.is_some(), bare, at, losses);
        }
        PartKind::Video(source) => match address(source) {
            Some(url) if bare == "video_url" => json!({"type": "video_url", "video_url": url}),
            Some(url) => json!({"type": "video_url", "video_url": {"url": url}}),
            None => {
                losses.dropped(at.clone(), "this API takes no uploaded videos");
                return None;
            }
        },
        PartKind::Document {
            source,
            title,
            context,
            citations,
        } => {
            if context.is_some() {
                losses.dropped(at.clone(), "this API has no context of documents");
            }
            if citations == Some(true) {
                losses.dropped(at.clone(), "this API does not cite documents");
            }
            return document(source, title, bare, at, same, losses);
        }
        PartKind::Reasoning(reasoning) if same => {
            let texts = Some(reasoning.text).filter(|text| !text.is_empty());
            let texts = texts.map(|text| json!({"type": "text", "text": text}));
            let texts: Vec<Value> = texts.into_iter().collect();
            json!({"type": "thinking", "thinking": texts})
        }
        PartKind::Other { value, .. } if same => value,
        PartKind::Reasoning(_)
        | PartKind::ToolCall(_)
        | PartKind::ToolResult(_)
        | PartKind::Other { .. } => {
            losses.dropped(at.clone(), "this API has no such content here");
            return None;
        }
    })
}

fn audio(
    source: Blob,
    has_transcript: bool,
    bare: &str,
    at: &Pointer,
    losses: &mut Losses,
) -> Option<Value> {
    if has_transcript {
        losses.dropped(at.clone(), "this API takes sound without a transcript");
    }
    match source {
        Blob::Base64 { media_type, data } if bare != "input_audio" => {
            let mut audio = Map::new();
            audio.insert("data".to_owned(), data.into());
            object::put(&mut audio, "format", audio_format(&media_type));
            Some(json!({"type": "input_audio", "input_audio": audio}))
        }
        Blob::Base64 { media_type, data } if media_type.is_empty() => {
            Some(json!({"type": "input_audio", "input_audio": data}))
        }
        source if bare == "input_audio" => {
            Some(json!({"type": "input_audio", "input_audio": address(source)?}))
        }
        _ => {
            losses.dropped(at.clone(), "this API takes sound as bytes only");
            None
        }
    }
}

fn document(
    source: Blob,
    title: Option<String>,
    bare: &str,
    at: &Pointer,
    same: bool,
    losses: &mut Losses,
) -> Option<Value> {
    let mut file = Map::new();
    let text = match source {
        // What is text can be read as text by any model.
        Blob::Text(text) => {
            if title.is_some() {
                losses.approximated(at.clone(), "a document of text becomes plain text");
            }
            Some(text)
        }
        Blob::Parts(parts) => {
            losses.approximated(at.clone(), "a document of parts becomes plain text");
            Some(plain(&parts))
        }
        Blob::Base64 { media_type, data } if media_type.is_empty() => {
            file.insert("file_data".to_owned(), data.into());
            None
        }
        Blob::File { id, .. } => {
            file.insert("file_id".to_owned(), id.into());
            None
        }
        other => {
            let is_far = matches!(other, Blob::Url { .. });
            let url = address(other)?;
            if bare == "document_url" {
                let mut object = Map::new();
                object.insert("type".to_owned(), "document_url".into());
                object.insert("document_url".to_owned(), url.into());
                object::put(&mut object, "document_name", title);
                return Some(object.into());
            }
            if is_far && !same {
                let reason = "only some providers of this API take the address of a file";
                losses.approximated(at.clone(), reason);
            }
            file.insert("file_data".to_owned(), url.into());
            None
        }
    };
    if let Some(text) = text {
        return Some(json!({"type": "text", "text": text}));
    }
    // Bytes have to have a name in this API.
    let unnamed = (!same && file.contains_key("file_data")).then(|| "document".to_owned());
    object::put(&mut file, "filename", title.or(unnamed));
    Some(json!({"type": "file", "file": file}))
}

/// The texts of parts, one after the other.
fn plain(parts: &[Part]) -> String {
    let texts: Vec<&str> = parts
        .iter()
        .filter_map(|part| match &part.kind {
            PartKind::Text { text, .. } => Some(text.as_str()),
            _ => None,
        })
        .collect();
    texts.join("\n")
}

fn audio_format(media_type: &str) -> Option<String> {
    let format = media_type.strip_prefix("audio/")?;
    Some(match format {
        "mpeg" => "mp3".to_owned(),
        "x-wav" | "wave" => "wav".to_owned(),
        other => other.to_owned(),
    })
}

/// An address for bytes, unless they are at the provider's.
pub(in crate::apis::openai_chat) fn address(source: Blob) -> Option<String> {
    match source {
        Blob::Base64 { media_type, data } => Some(format!("data:{media_type};base64,{data}")),
        Blob::Url { url, .. } => Some(url),
        Blob::File { .. } | Blob::Text(_) | Blob::Parts(_) => None,
    }
}

/// `cache_control`.
pub(in crate::apis::openai_chat) fn cache_control(hint: CacheHint) -> Value {
    match hint.ttl {
        Some(ttl) => json!({"type": "ephemeral", "ttl": ttl.as_str()}),
        None => json!({"type": "ephemeral"}),
    }
}
