//! The parts of a message's content.

use serde_json::{json, Map, Value};

use crate::apis::object::{put, put_extensions, Object};
use crate::apis::ReadError;
use crate::representation::{
    At, Blob, CacheHint, CacheTtl, Citation, Detail, Losses, Part, PartKind, Reasoning,
};

/// Reads `content`: a text or a list of parts.
pub(super) fn read(content: At<Value>, lenient: bool) -> Result<Vec<Part>, ReadError> {
    match content.value {
        Value::String(text) => Ok(vec![Part::text(text, content.at)]),
        Value::Array(list) => {
            let items = crate::apis::object::items(list, &content.at);
            items.into_iter().map(|item| part(item, lenient)).collect()
        }
        _ if lenient => Ok(Vec::new()),
        _ => Err(crate::apis::object::wrong(
            content.at.into_owned(),
            "must be a text or a list of parts",
        )),
    }
}

fn part(item: At<Value>, lenient: bool) -> Result<Part, ReadError> {
    let At { value, at } = item;
    if let Value::String(text) = value {
        // Some clients put plain texts into the list.
        return Ok(Part::text(text, at));
    }
    let whole = value.clone();
    let mut object = if lenient {
        Object::lenient(value, at.clone())
    } else {
        Object::strict(value, at.clone())?
    };
    let kind = object.peek_text("type").unwrap_or("text").to_owned();
    let known = known(&kind, &mut object)?;
    let Some(kind_of_part) = known else {
        let value = PartKind::Other { kind, value: whole };
        return Ok(Part::new(value, at));
    };
    object.take("type");
    let mut part = Part::new(kind_of_part, at);
    part.cache = cache(&mut object);
    part.extensions = object.rest();
    Ok(part)
}

/// A part of a kind that is understood; `None` leaves the object's other members untouched.
fn known(kind: &str, object: &mut Object) -> Result<Option<PartKind>, ReadError> {
    Ok(match kind {
        "text" | "input_text" | "output_text" if object.peek_text("text").is_some() => {
            object.text("text")?.map(|text| PartKind::Text {
                text: text.value,
                citations: Vec::new(),
            })
        }
        "refusal" => object
            .text("refusal")?
            .map(|text| PartKind::Refusal(text.value)),
        "thinking" => thinking(object),
        "image_url" => image(object)?,
        "input_audio" => audio(object)?,
        "file" => file(object)?,
        "video_url" => object.object("video_url")?.and_then(|mut video| {
            let url = video.text("url").ok()??.value;
            video.rest().is_empty().then(|| PartKind::Video(blob(url)))
        }),
        _ => None,
    })
}

/// Mistral's thoughts: a list of texts.
fn thinking(object: &mut Object) -> Option<PartKind> {
    let text = match object.peek("thinking")? {
        Value::String(text) => text.clone(),
        Value::Array(items) => items
            .iter()
            .filter_map(|item| item.get("text").and_then(Value::as_str))
            .collect(),
        _ => return None,
    };
    object.take("thinking");
    object.take("closed");
    Some(PartKind::Reasoning(Reasoning {
        text,
        ..Reasoning::default()
    }))
}

fn image(object: &mut Object) -> Result<Option<PartKind>, ReadError> {
    // Mistral's clients write the address itself.
    if object.peek_text("image_url").is_some() {
        let url = object.text("image_url")?.map(|url| url.value);
        return Ok(url.map(|url| PartKind::Image {
            source: blob(url),
            detail: None,
        }));
    }
    let Some(mut image) = object.object("image_url")? else {
        return Ok(None);
    };
    let Some(url) = image.text("url")? else {
        return Err(image.missing("url"));
    };
    let detail = image.text("detail")?.map(|detail| Detail(detail.value));
    Ok(Some(PartKind::Image {
        source: blob(url.value),
        detail,
    }))
}

fn audio(object: &mut Object) -> Result<Option<PartKind>, ReadError> {
    let Some(mut audio) = object.object("input_audio")? else {
        return Ok(None);
    };
    let Some(data) = audio.text("data")? else {
        return Err(audio.missing("data"));
    };
    let format = audio.text("format")?.map(|f| f.value).unwrap_or_default();
    Ok(Some(PartKind::Audio {
        source: Blob::Base64 {
            media_type: match format.as_str() {
                "" => String::new(),
                "mp3" => "audio/mpeg".to_owned(),
                other => format!("audio/{other}"),
            },
            data: data.value,
        },
        transcript: None,
    }))
}

fn file(object: &mut Object) -> Result<Option<PartKind>, ReadError> {
    let Some(mut file) = object.object("file")? else {
        return Ok(None);
    };
    let title = file.text("filename")?.map(|name| name.value);
    let source = match (file.text("file_id")?, file.text("file_data")?) {
        (Some(id), _) => Blob::File {
            id: id.value,
            media_type: None,
        },
        (None, Some(data)) if data.value.starts_with("data:") || data.value.contains("://") => {
            blob(data.value)
        }
        (None, Some(data)) => Blob::Base64 {
            media_type: String::new(),
            data: data.value,
        },
        (None, None) => return Err(file.missing("file_id")),
    };
    Ok(Some(PartKind::Document {
        source,
        title,
        context: None,
        citations: None,
    }))
}

/// An address; one that holds the bytes itself (`data:TYPE;base64,…`) is taken apart.
pub(super) fn blob(url: String) -> Blob {
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

/// `cache_control`, of providers that have Anthropic's models behind this API.
pub(super) fn cache(object: &mut Object) -> Option<CacheHint> {
    let hint = object.peek("cache_control")?.as_object()?;
    let understood = hint.iter().all(|(key, value)| match key.as_str() {
        "type" => value == "ephemeral",
        "ttl" => value
            .as_str()
            .is_some_and(|ttl| CacheTtl::named(ttl).is_some()),
        _ => false,
    });
    if !understood {
        return None;
    }
    let ttl = hint.get("ttl").and_then(Value::as_str);
    let ttl = ttl.and_then(CacheTtl::named);
    object.take("cache_control");
    Some(CacheHint { ttl })
}

pub(super) fn cache_control(hint: CacheHint) -> Value {
    match hint.ttl {
        Some(ttl) => json!({"type": "ephemeral", "ttl": ttl.as_str()}),
        None => json!({"type": "ephemeral"}),
    }
}

/// Writes the content of a message: a lone plain text as such, else a list; `None` where there is
/// none.
pub(super) fn write(mut parts: Vec<Part>, same: bool, losses: &mut Losses) -> Option<Value> {
    if !same {
        for part in &mut parts {
            strip(part, losses);
        }
    }
    if let [Part {
        kind: PartKind::Text { text, citations },
        cache: None,
        extensions,
        ..
    }] = parts.as_slice()
    {
        if citations.is_empty() && extensions.is_empty() {
            return Some(text.as_str().into());
        }
    }
    let parts = parts.into_iter();
    let list: Vec<Value> = parts
        .filter_map(|part| write_part(part, same, losses))
        .collect();
    if let [Value::Object(only)] = list.as_slice() {
        // What stood beside it has no place here.
        if let (false, 2, Some(text @ Value::String(_))) = (same, only.len(), only.get("text")) {
            return Some(text.clone());
        }
    }
    (!list.is_empty()).then(|| list.into())
}

/// Takes off what only the other API has.
fn strip(part: &mut Part, losses: &mut Losses) {
    if part.cache.take().is_some() {
        losses.dropped(part.at.clone(), "this API caches by itself");
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
    let mut object = match content(kind, &at, same, losses)? {
        Written::Members(members) => members,
        Written::Whole(value) => return Some(value),
    };
    if signature.is_some() {
        losses.dropped(at.clone(), "this API has no place for a signature here");
    }
    if let Some(hint) = cache {
        object.insert("cache_control".to_owned(), cache_control(hint));
    }
    put_extensions(&mut object, extensions, same, &[], losses);
    Some(object.into())
}

enum Written {
    Members(Map<String, Value>),
    Whole(Value),
}

fn content(
    kind: PartKind,
    at: &crate::representation::Pointer,
    same: bool,
    losses: &mut Losses,
) -> Option<Written> {
    let value = match kind {
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
            let mut image = Map::new();
            image.insert("url".to_owned(), url.into());
            put(&mut image, "detail", detail.map(|detail| detail.0));
            json!({"type": "image_url", "image_url": image})
        }
        PartKind::Audio { source, .. } => match source {
            Blob::Base64 { media_type, data } => {
                let mut audio = Map::new();
                audio.insert("data".to_owned(), data.into());
                put(&mut audio, "format", audio_format(&media_type));
                json!({"type": "input_audio", "input_audio": audio})
            }
            _ => {
                losses.dropped(at.clone(), "this API takes sound as bytes only");
                return None;
            }
        },
        PartKind::Video(source) => match address(source) {
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
            if context.is_some() || citations.is_some() {
                losses.dropped(
                    at.clone(),
                    "this API has no context and citations of documents",
                );
            }
            return document(source, title, at, losses).map(Written::Members);
        }
        PartKind::Reasoning(reasoning) if same => {
            json!({"type": "thinking", "thinking": [{"type": "text", "text": reasoning.text}]})
        }
        PartKind::Other { value, .. } if same => return Some(Written::Whole(value)),
        PartKind::Reasoning(_)
        | PartKind::ToolCall(_)
        | PartKind::ToolResult(_)
        | PartKind::Other { .. } => {
            losses.dropped(at.clone(), "this API has no such content here");
            return None;
        }
    };
    match value {
        Value::Object(members) => Some(Written::Members(members)),
        other => Some(Written::Whole(other)),
    }
}

fn document(
    source: Blob,
    title: Option<String>,
    at: &crate::representation::Pointer,
    losses: &mut Losses,
) -> Option<Map<String, Value>> {
    let mut file = Map::new();
    match source {
        // What is text can be read as text by any model.
        Blob::Text(text) => {
            if title.is_some() {
                losses.approximated(at.clone(), "a document of text becomes plain text");
            }
            let mut object = Map::new();
            object.insert("type".to_owned(), "text".into());
            object.insert("text".to_owned(), text.into());
            return Some(object);
        }
        Blob::Base64 { media_type, data } if media_type.is_empty() => {
            file.insert("file_data".to_owned(), data.into());
        }
        Blob::File { id, .. } => {
            file.insert("file_id".to_owned(), id.into());
        }
        Blob::Parts(parts) => {
            losses.approximated(at.clone(), "a document of parts becomes plain text");
            let mut object = Map::new();
            object.insert("type".to_owned(), "text".into());
            object.insert("text".to_owned(), plain(&parts).into());
            return Some(object);
        }
        other => {
            file.insert("file_data".to_owned(), address(other)?.into());
        }
    }
    put(&mut file, "filename", title);
    let mut object = Map::new();
    object.insert("type".to_owned(), "file".into());
    object.insert("file".to_owned(), file.into());
    Some(object)
}

/// The texts of parts, one after the other.
pub(super) fn plain(parts: &[Part]) -> String {
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
pub(super) fn address(source: Blob) -> Option<String> {
    match source {
        Blob::Base64 { media_type, data } => Some(format!("data:{media_type};base64,{data}")),
        Blob::Url { url, .. } => Some(url),
        Blob::File { .. } | Blob::Text(_) | Blob::Parts(_) => None,
    }
}

/// `annotations` of an answer: citations of web pages, and what else there is.
pub(super) fn annotations(list: Value) -> Vec<Citation> {
    let Value::Array(items) = list else {
        return Vec::new();
    };
    items
        .into_iter()
        .map(|item| {
            let page = item.get("url_citation").unwrap_or(&item);
            let text = |key: &str| page.get(key).and_then(Value::as_str).map(str::to_owned);
            let place = |key: &str| page.get(key).and_then(Value::as_u64);
            Citation {
                url: text("url"),
                title: text("title"),
                cited_text: text("content"),
                span: place("start_index").zip(place("end_index")),
                raw: Some(item),
            }
        })
        .collect()
}

/// A citation as an annotation; one without an address has no form here.
pub(super) fn annotation(citation: Citation, same: bool) -> Option<Value> {
    let Citation {
        url,
        title,
        cited_text: _,
        span,
        raw,
    } = citation;
    if same {
        return raw;
    }
    let mut page = Map::new();
    page.insert("url".to_owned(), url?.into());
    page.insert("title".to_owned(), title.unwrap_or_default().into());
    let (start, end) = span.unwrap_or((0, 0));
    page.insert("start_index".to_owned(), start.into());
    page.insert("end_index".to_owned(), end.into());
    Some(json!({"type": "url_citation", "url_citation": page}))
}
