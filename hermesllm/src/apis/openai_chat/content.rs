//! The parts of a message's content.
//!
//! The place of a part says how it stood there: a text at `…/content` was the content itself, one
//! at `…/content/0` the item of a list; an image at `…/content/0/image_url` was an address without
//! an object around it. So everything comes back as it was.

mod write;

use serde_json::{Map, Value};

use super::extra;
use crate::apis::object::{items, wrong, Object};
use crate::apis::ReadError;
use crate::representation::{
    At, Blob, CacheHint, CacheTtl, Citation, Detail, Extension, Part, PartKind, Reasoning,
};

pub(super) use write::{address, cache_control, put};

/// Reads `content`: a text or a list of parts.
pub(super) fn read(content: At<Value>, lenient: bool) -> Result<Vec<Part>, ReadError> {
    match content.value {
        Value::String(text) => Ok(vec![Part::text(text, content.at)]),
        Value::Array(list) => {
            let items = items(list, &content.at);
            items.into_iter().map(|item| part(item, lenient)).collect()
        }
        _ if lenient => Ok(Vec::new()),
        _ => Err(wrong(
            content.at.into_owned(),
            "must be a text or a list of parts",
        )),
    }
}

/// A part that is understood.
struct Found {
    kind: PartKind,
    /// The member that holds the address or the bytes without an object around them.
    bare: Option<&'static str>,
    /// What is left inside.
    rest: Vec<Extension>,
}

impl Found {
    fn new(kind: PartKind) -> Self {
        Self {
            kind,
            bare: None,
            rest: Vec::new(),
        }
    }

    fn bare(kind: PartKind, member: &'static str) -> Self {
        Self {
            bare: Some(member),
            ..Self::new(kind)
        }
    }

    fn inside(kind: PartKind, member: &'static str, object: Object) -> Self {
        Self {
            rest: extra::inside(member, object),
            ..Self::new(kind)
        }
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
    let Some(found) = known(&kind, &mut object)? else {
        let value = PartKind::Other { kind, value: whole };
        return Ok(Part::new(value, at));
    };
    object.take("type");
    let at = match found.bare {
        Some(member) => object.pointer(member).into(),
        None => at,
    };
    let mut part = Part::new(found.kind, at);
    part.cache = cache(&mut object);
    part.extensions = found.rest;
    part.extensions.extend(object.rest());
    Ok(part)
}

/// A part of a kind that is understood; `None`: it is kept whole.
fn known(kind: &str, object: &mut Object) -> Result<Option<Found>, ReadError> {
    Ok(match kind {
        "text" | "input_text" | "output_text" if object.peek_text("text").is_some() => {
            object.text("text")?.map(|text| {
                Found::new(PartKind::Text {
                    text: text.value,
                    citations: Vec::new(),
                })
            })
        }
        "refusal" => object
            .text("refusal")?
            .map(|text| Found::new(PartKind::Refusal(text.value))),
        "thinking" => thinking(object),
        "image_url" => image(object)?,
        "input_audio" => audio(object)?,
        "video_url" => video(object)?,
        "file" => file(object)?,
        "document_url" => document(object)?,
        _ => None,
    })
}

/// Mistral's thoughts: a list of texts.
fn thinking(object: &mut Object) -> Option<Found> {
    let texts = object.peek("thinking")?.as_array()?;
    // References among them are left to Mistral.
    let text: String = texts.iter().map(only_text).collect::<Option<_>>()?;
    object.take("thinking");
    let closed = object.take("closed");
    let mut found = Found::new(PartKind::Reasoning(Reasoning {
        text,
        ..Reasoning::default()
    }));
    let closed = closed.map(|closed| extra::silent("closed", closed.value));
    found.rest.extend(closed);
    Some(found)
}

fn only_text(item: &Value) -> Option<&str> {
    let item = item.as_object().filter(|item| item.len() == 2)?;
    item.get("type").filter(|kind| *kind == "text")?;
    item.get("text")?.as_str()
}

fn image(object: &mut Object) -> Result<Option<Found>, ReadError> {
    let kind = |url: String, detail| PartKind::Image {
        source: blob(url),
        detail,
    };
    // Mistral's clients write the address itself.
    if object.peek_text("image_url").is_some() {
        let url = object.text("image_url")?;
        return Ok(url.map(|url| Found::bare(kind(url.value, None), "image_url")));
    }
    let Some(mut image) = object.object("image_url")? else {
        return Ok(None);
    };
    let Some(url) = image.text("url")? else {
        return Err(image.missing("url"));
    };
    let detail = image.text("detail")?.map(|detail| Detail(detail.value));
    Ok(Some(Found::inside(
        kind(url.value, detail),
        "image_url",
        image,
    )))
}

fn audio(object: &mut Object) -> Result<Option<Found>, ReadError> {
    let kind = |source| PartKind::Audio {
        source,
        transcript: None,
    };
    // Mistral's clients write the bytes or an address itself.
    if object.peek_text("input_audio").is_some() {
        let found = object.text("input_audio")?;
        return Ok(found.map(|found| Found::bare(kind(bytes(found.value)), "input_audio")));
    }
    let Some(mut audio) = object.object("input_audio")? else {
        return Ok(None);
    };
    let Some(data) = audio.text("data")? else {
        return Err(audio.missing("data"));
    };
    let format = audio.text("format")?.map(|f| f.value).unwrap_or_default();
    let source = Blob::Base64 {
        media_type: match format.as_str() {
            "" => String::new(),
            "mp3" => "audio/mpeg".to_owned(),
            other => format!("audio/{other}"),
        },
        data: data.value,
    };
    Ok(Some(Found::inside(kind(source), "input_audio", audio)))
}

fn video(object: &mut Object) -> Result<Option<Found>, ReadError> {
    if object.peek_text("video_url").is_some() {
        let url = object.text("video_url")?;
        return Ok(url.map(|url| Found::bare(PartKind::Video(blob(url.value)), "video_url")));
    }
    let Some(mut video) = object.object("video_url")? else {
        return Ok(None);
    };
    let Some(url) = video.text("url")? else {
        return Err(video.missing("url"));
    };
    let kind = PartKind::Video(blob(url.value));
    Ok(Some(Found::inside(kind, "video_url", video)))
}

fn file(object: &mut Object) -> Result<Option<Found>, ReadError> {
    let Some(mut file) = object.object("file")? else {
        return Ok(None);
    };
    let title = file.text("filename")?.map(|name| name.value);
    // Without bytes or an identifier it is nothing that is known.
    let source = if file.has("file_id") {
        file.text("file_id")?.map(|id| Blob::File {
            id: id.value,
            media_type: None,
        })
    } else {
        file.text("file_data")?.map(|data| bytes(data.value))
    };
    let Some(source) = source else {
        return Err(file.missing("file_id"));
    };
    Ok(Some(Found::inside(documented(source, title), "file", file)))
}

/// Mistral's documents.
fn document(object: &mut Object) -> Result<Option<Found>, ReadError> {
    let Some(url) = object.text("document_url")? else {
        return Ok(None);
    };
    let title = object.text("document_name")?.map(|name| name.value);
    let kind = documented(blob(url.value), title);
    Ok(Some(Found::bare(kind, "document_url")))
}

fn documented(source: Blob, title: Option<String>) -> PartKind {
    PartKind::Document {
        source,
        title,
        context: None,
        citations: None,
    }
}

/// Bytes in base64, or an address.
fn bytes(data: String) -> Blob {
    if data.starts_with("data:") || data.contains("://") {
        return blob(data);
    }
    Blob::Base64 {
        media_type: String::new(),
        data,
    }
}

/// An address; one that holds the bytes itself (`data:TYPE;base64,…`) is taken apart.
pub(super) fn blob(url: String) -> Blob {
    let embedded = url
        .strip_prefix("data:")
        .and_then(|rest| rest.split_once(";base64,"));
    match embedded {
        // Without a type the address would come back as bare bytes.
        Some((media_type, data)) if !media_type.is_empty() && !media_type.contains(';') => {
            Blob::Base64 {
                media_type: media_type.to_owned(),
                data: data.to_owned(),
            }
        }
        _ => Blob::Url {
            url,
            media_type: None,
        },
    }
}

/// `cache_control`, of providers that have Anthropic's models behind this API.
pub(super) fn cache(object: &mut Object) -> Option<CacheHint> {
    let hint = object.peek("cache_control")?.as_object()?;
    let ttl = hint.get("ttl").filter(|ttl| !ttl.is_null());
    let ttl = match ttl {
        Some(ttl) => Some(CacheTtl::named(ttl.as_str()?)?),
        None => None,
    };
    let is_ephemeral = hint.get("type").is_some_and(|kind| kind == "ephemeral");
    if !is_ephemeral || hint.keys().any(|key| key != "type" && key != "ttl") {
        return None;
    }
    object.take("cache_control");
    Some(CacheHint { ttl })
}

/// Gemini's signature of a thought, as its own chat API has it (`extra_content.google`), and what
/// else is said there.
pub(super) fn signature(object: &mut Object) -> Option<(String, Vec<Extension>)> {
    object
        .peek("extra_content")?
        .pointer("/google/thought_signature")?
        .as_str()?;
    let mut extra = object.object("extra_content").ok()??;
    let mut google = extra.object("google").ok()??;
    let signature = google.text("thought_signature").ok()??.value;
    let mut left = extra::inside("google", google);
    left.extend(extra.rest());
    Some((signature, extra::below("extra_content", left)))
}

/// `annotations` of an answer: citations of web pages, and what else there is.
pub(super) fn annotations(list: Value) -> Vec<Citation> {
    let Value::Array(items) = list else {
        return Vec::new();
    };
    let items = items.into_iter();
    items
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

/// Perplexity's `citations`: addresses, whose titles stand in `search_results`.
pub(super) fn pages(list: &Value, results: Option<&Value>) -> Option<Vec<Citation>> {
    let results = results.and_then(Value::as_array);
    let title = |url: &str| {
        let mut results = results.into_iter().flatten();
        let page = results.find(|page| page.get("url").is_some_and(|own| own == url))?;
        Some(page.get("title")?.as_str()?.to_owned())
    };
    let page = |item: &Value| {
        let url = item.as_str()?;
        Some(Citation {
            url: Some(url.to_owned()),
            title: title(url),
            raw: Some(item.clone()),
            ..Citation::default()
        })
    };
    list.as_array()?.iter().map(page).collect()
}

/// A citation as an annotation; one without an address has no form here.
pub(super) fn annotation(citation: Citation, same: bool) -> Option<Value> {
    let Citation {
        url,
        title,
        cited_text,
        span,
        raw,
    } = citation;
    if let Some(raw) = raw.filter(|_| same) {
        return Some(raw);
    }
    let mut page = Map::new();
    page.insert("url".to_owned(), url?.into());
    page.insert("title".to_owned(), title.unwrap_or_default().into());
    let (start, end) = span.unwrap_or((0, 0));
    page.insert("start_index".to_owned(), start.into());
    page.insert("end_index".to_owned(), end.into());
    // As OpenRouter has it.
    crate::apis::object::put(&mut page, "content", cited_text);
    let mut note = Map::new();
    note.insert("type".to_owned(), "url_citation".into());
    note.insert("url_citation".to_owned(), page.into());
    Some(note.into())
}
