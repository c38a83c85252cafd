//! Content blocks, read. Each is an object with one member, whose name is its kind; a block that is
//! not understood in full is kept whole.

use serde_json::{Map, Value};

use super::blob::revealed;
use super::media::{self, Medium};
use crate::apis::object::{wrong, Object};
use crate::apis::ReadError;
use crate::representation::{
    At, CacheHint, CacheTtl, Citation, Extension, Part, PartKind, Reasoning, ToolCall, ToolResult,
};

/// How strictly a document is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// A request: what is of the wrong type is refused.
    Strict,
    /// An answer: nothing is.
    Lenient,
}

impl Reading {
    pub(super) fn object(self, value: Value, at: impl Into<String>) -> Result<Object, ReadError> {
        match self {
            Self::Strict => Object::strict(value, at),
            Self::Lenient => Ok(Object::lenient(value, at)),
        }
    }
}

/// Blocks; cache points are hints on the blocks before them.
pub(super) fn read(list: Vec<At<Value>>, reading: Reading) -> Result<Vec<Part>, ReadError> {
    let mut parts: Vec<Part> = Vec::with_capacity(list.len());
    for item in list {
        let hint = cache_point(&item.value);
        match (hint, parts.last_mut()) {
            (Some(hint), Some(last)) if last.cache.is_none() => last.cache = Some(hint),
            _ => parts.push(block(item, reading)?),
        }
    }
    Ok(parts)
}

/// What a cache point says, if it says nothing that has no place in a hint.
pub(super) fn cache_point(block: &Value) -> Option<CacheHint> {
    let (_, point) = only_member(block).filter(|(kind, _)| *kind == "cachePoint")?;
    let mut is_default = false;
    let mut ttl = None;
    for (key, value) in point.as_object()? {
        match (key.as_str(), value.as_str()) {
            ("type", Some("default")) => is_default = true,
            ("ttl", Some(time)) => ttl = Some(CacheTtl::named(time)?),
            (_, None) if value.is_null() => {}
            _ => return None,
        }
    }
    is_default.then_some(CacheHint { ttl })
}

/// The one member of an object that has one, nulls aside.
fn only_member(value: &Value) -> Option<(&str, &Value)> {
    let object = value.as_object()?;
    let mut members = object.iter().filter(|(_, value)| !value.is_null());
    let (key, value) = members.next()?;
    members.next().is_none().then_some((key, value))
}

/// The member of this name, if it is the only one.
fn only<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    only_member(value)
        .filter(|(name, _)| *name == key)
        .map(|(_, value)| value)
}

/// Whether a block is one that [`block`] has a part for.
fn is_understood(kind: &str, value: &Value, reading: Reading) -> bool {
    match kind {
        // Where a request has the wrong type, the reader says so.
        "text" => value.is_string() || reading == Reading::Strict,
        "toolUse" => value.is_object() || reading == Reading::Strict,
        "image" | "audio" | "video" | "document" => media::is_known(value),
        // What a tool of the provider's answered is in no other API's words.
        "toolResult" => {
            let is_provided = value.get("type").is_some_and(|kind| !kind.is_null());
            !is_provided && (value.is_object() || reading == Reading::Strict)
        }
        "reasoningContent" => {
            let blob = only(value, "redactedContent").and_then(Value::as_str);
            only(value, "reasoningText").is_some_and(Value::is_object)
                || blob.is_some_and(|blob| revealed(blob).is_some())
        }
        "citationsContent" => is_plain_citations(value),
        "guardContent" => match only_member(value) {
            Some(("text", text)) => text.get("text").is_some_and(Value::is_string),
            Some(("image", image)) => media::is_known(image),
            _ => false,
        },
        _ => false,
    }
}

/// Whether the text of a block with citations is nothing but text.
fn is_plain_citations(value: &Value) -> bool {
    let content = match value.get("content") {
        None | Some(Value::Null) => return value.is_object(),
        Some(content) => content,
    };
    let is_text = |piece: &Value| only(piece, "text").is_some_and(Value::is_string);
    content
        .as_array()
        .is_some_and(|pieces| pieces.iter().all(is_text))
}

fn block(item: At<Value>, reading: Reading) -> Result<Part, ReadError> {
    let At { value, at } = item;
    if reading == Reading::Strict && !value.is_object() {
        return Err(wrong(at, "must be an object"));
    }
    let kind = only_member(&value)
        .filter(|(kind, inner)| is_understood(kind, inner, reading))
        .map(|(kind, _)| kind.to_owned());
    let Some(kind) = kind else {
        return Ok(Part::new(whole(value), at));
    };
    let mut outer = reading.object(value, at.clone())?;
    let mut extensions = Vec::new();
    let own = &mut extensions;
    let understood = match kind.as_str() {
        "text" => text(
            outer
                .text(&kind)?
                .map(|text| text.value)
                .unwrap_or_default(),
        ),
        kind => {
            let Some(inner) = outer.object(kind)? else {
                return Err(outer.missing(kind));
            };
            match kind {
                "toolUse" => tool_use(inner, own, reading)?,
                "toolResult" => tool_result(inner, own, reading)?,
                "reasoningContent" => reasoning(inner, own)?,
                "citationsContent" => citations(inner, own)?,
                "guardContent" => guarded(inner, own, reading)?,
                kind => medium(kind, inner, own, reading)?,
            }
        }
    };
    let mut part = Part::new(understood, at);
    part.extensions = extensions;
    Ok(part)
}

fn whole(value: Value) -> PartKind {
    let object = value.as_object();
    let kind = object.and_then(|object| object.keys().next());
    PartKind::Other {
        kind: kind.cloned().unwrap_or_default(),
        value,
    }
}

fn text(text: String) -> PartKind {
    PartKind::Text {
        text,
        citations: Vec::new(),
    }
}

fn medium(
    kind: &str,
    mut inner: Object,
    extensions: &mut Vec<Extension>,
    reading: Reading,
) -> Result<PartKind, ReadError> {
    let pieces = |list| read(list, reading);
    let mut source = |medium| media::read(medium, &mut inner, extensions, pieces);
    let part = match kind {
        "audio" => PartKind::Audio {
            source: source(Medium::Audio)?,
            transcript: None,
        },
        "video" => PartKind::Video(source(Medium::Video)?),
        "document" => {
            let source = source(Medium::Document)?;
            let citations = match inner.object("citations")? {
                Some(mut config) => {
                    let enabled = config.flag("enabled")?;
                    extensions.extend(config.rest());
                    enabled.map(|enabled| enabled.value)
                }
                None => None,
            };
            PartKind::Document {
                source,
                title: inner.text("name")?.map(|name| name.value),
                context: inner.text("context")?.map(|context| context.value),
                citations,
            }
        }
        _ => PartKind::Image {
            source: source(Medium::Image)?,
            detail: None,
        },
    };
    extensions.extend(inner.rest());
    Ok(part)
}

fn required(object: &mut Object, key: &str, reading: Reading) -> Result<String, ReadError> {
    match object.text(key)? {
        Some(text) => Ok(text.value),
        None if reading == Reading::Lenient => Ok(String::new()),
        None => Err(object.missing(key)),
    }
}

fn tool_use(
    mut inner: Object,
    extensions: &mut Vec<Extension>,
    reading: Reading,
) -> Result<PartKind, ReadError> {
    let call = ToolCall {
        id: required(&mut inner, "toolUseId", reading)?,
        name: required(&mut inner, "name", reading)?,
        arguments: inner
            .take("input")
            .map(|input| input.value.to_string())
            .unwrap_or_default(),
        custom: false,
        by_provider: inner.peek_text("type") == Some("server_tool_use"),
    };
    // `tool_use` is what a call is that says nothing.
    if matches!(
        inner.peek_text("type"),
        Some("server_tool_use" | "tool_use")
    ) {
        inner.take("type");
    }
    extensions.extend(inner.rest());
    Ok(PartKind::ToolCall(call))
}

fn tool_result(
    mut inner: Object,
    extensions: &mut Vec<Extension>,
    reading: Reading,
) -> Result<PartKind, ReadError> {
    let mut list = inner.list("content")?.unwrap_or_default();
    // The structured answer that comes first is told apart; others stay in their places.
    let is_structured = |first: &At<Value>| only(&first.value, "json").is_some();
    let leads = usize::from(list.first().is_some_and(is_structured));
    let structured = list
        .drain(..leads)
        .next()
        .and_then(|first| match first.value {
            Value::Object(mut block) => block.remove("json"),
            _ => None,
        });
    let is_error = inner.peek_text("status") == Some("error");
    // `success` is what a result is that says nothing.
    if matches!(inner.peek_text("status"), Some("error" | "success")) {
        inner.take("status");
    }
    let result = ToolResult {
        call_id: required(&mut inner, "toolUseId", reading)?,
        name: None,
        parts: read(list, reading)?,
        structured,
        is_error,
        custom: false,
    };
    extensions.extend(inner.rest());
    Ok(PartKind::ToolResult(result))
}

fn reasoning(mut inner: Object, extensions: &mut Vec<Extension>) -> Result<PartKind, ReadError> {
    let mut thoughts = Reasoning::default();
    if let Some(mut told) = inner.object("reasoningText")? {
        thoughts.text = told
            .text("text")?
            .map(|text| text.value)
            .unwrap_or_default();
        thoughts.signature = told.text("signature")?.map(|signature| signature.value);
        extensions.extend(told.rest());
    }
    if let Some(blob) = inner.text("redactedContent")? {
        thoughts.encrypted = revealed(&blob.value);
    }
    extensions.extend(inner.rest());
    Ok(PartKind::Reasoning(thoughts))
}

fn citations(mut inner: Object, extensions: &mut Vec<Extension>) -> Result<PartKind, ReadError> {
    let mut text = String::new();
    for piece in inner.list("content")?.unwrap_or_default() {
        text.push_str(
            only(&piece.value, "text")
                .and_then(Value::as_str)
                .unwrap_or_default(),
        );
    }
    let list = inner.list("citations")?.unwrap_or_default();
    let citations = list.into_iter().map(|item| citation(item.value)).collect();
    extensions.extend(inner.rest());
    Ok(PartKind::Text { text, citations })
}

/// What a piece of text rests on.
pub(super) fn citation(raw: Value) -> Citation {
    let member = |key: &str| raw.get(key).and_then(Value::as_str).map(str::to_owned);
    let web = raw.pointer("/location/web/url").and_then(Value::as_str);
    let source = raw.get("source").and_then(Value::as_str);
    let address = source.filter(|source| source.starts_with("http"));
    let pieces = raw.get("sourceContent").and_then(Value::as_array);
    let cited = pieces.map(|pieces| {
        let texts = pieces
            .iter()
            .filter_map(|piece| piece.get("text")?.as_str());
        texts.collect::<String>()
    });
    Citation {
        url: web.or(address).map(str::to_owned),
        title: member("title"),
        cited_text: cited,
        span: None,
        raw: Some(raw),
    }
}

/// Content that a guardrail looks at is content like any other; that it is guarded is an extension,
/// which holds what is said beside the content.
fn guarded(
    mut inner: Object,
    extensions: &mut Vec<Extension>,
    reading: Reading,
) -> Result<PartKind, ReadError> {
    let at = inner.at().to_owned();
    let mut beside = Map::new();
    let mut keep = |key: &str, rest: Vec<Extension>| {
        let members = rest.into_iter().map(|member| (member.name, member.value));
        beside.insert(key.to_owned(), Value::Object(members.collect()));
    };
    let part = if let Some(mut told) = inner.object("text")? {
        let part = text(
            told.text("text")?
                .map(|text| text.value)
                .unwrap_or_default(),
        );
        keep("text", told.rest());
        part
    } else {
        let Some(mut image) = inner.object("image")? else {
            return Err(inner.missing("text"));
        };
        let source = media::read(Medium::Image, &mut image, extensions, |list| {
            read(list, reading)
        })?;
        keep("image", image.rest());
        PartKind::Image {
            source,
            detail: None,
        }
    };
    extensions.extend(inner.rest());
    extensions.push(Extension {
        name: GUARDED.to_owned(),
        value: Value::Object(beside),
        at: at.into(),
    });
    Ok(part)
}

/// The name of guarded content, and of the extension that says so.
pub(super) const GUARDED: &str = "guardContent";
