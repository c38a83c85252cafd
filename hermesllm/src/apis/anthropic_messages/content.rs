//! Content blocks, read.

mod ids;
mod media;
mod write;

pub(super) use ids::{in_answer, Ids};
pub(super) use write::{content, is_bare, write_cache, write_citation, BlockWriter, Scope};

use serde_json::Value;

use crate::apis::object::{below, items, wrong, Object};
use crate::apis::ReadError;
use crate::representation::{
    At, Blob, CacheHint, CacheTtl, Citation, Extension, Part, PartKind, Reasoning, ToolCall,
    ToolResult,
};

use super::rest_of;

/// The kinds of citations that this API has.
const CITATIONS: [&str; 5] = [
    "char_location",
    "page_location",
    "content_block_location",
    "web_search_result_location",
    "search_result_location",
];

/// Blocks that are given whole, and that no other API calls so.
const OWN_BLOCKS: [&str; 3] = ["compaction", "container_upload", "search_result"];

/// Content that is a text or a list of blocks. A text becomes a part whose place is that of the
/// member itself: this tells it from a list of one text.
pub(super) fn read_content(content: At<Value>, lenient: bool) -> Result<Vec<Part>, ReadError> {
    match content.value {
        Value::String(text) => Ok(vec![Part::text(text, content.at)]),
        Value::Array(list) => items(list, &content.at)
            .into_iter()
            .map(|item| read_part(item, lenient))
            .collect(),
        value if lenient => Ok(vec![other(String::new(), value, content.at.into_owned())]),
        _ => Err(wrong(content.at, "must be a text or a list of blocks")),
    }
}

/// One block.
pub(super) fn read_part(block: At<Value>, lenient: bool) -> Result<Part, ReadError> {
    let at = block.at.into_owned();
    let Value::Object(members) = &block.value else {
        if lenient {
            return Ok(other(String::new(), block.value, at));
        }
        return Err(wrong(at, "must be an object"));
    };
    let Some(kind) = members.get("type").and_then(Value::as_str) else {
        if lenient {
            return Ok(other(String::new(), block.value, at));
        }
        return Err(wrong(below(&at, "type"), "must be a text"));
    };
    let kind = kind.to_owned();
    let required: &[&str] = match kind.as_str() {
        "text" => &["text"],
        "tool_use" | "server_tool_use" | "mcp_tool_use" => &["id", "name"],
        "tool_result" => &["tool_use_id"],
        "thinking" => &["thinking"],
        "redacted_thinking" => &["data"],
        "image" | "document" if has_known_source(&block.value) => &[],
        _ => return Ok(other(kind, block.value, at)),
    };
    let is_text = |key: &&&str| members.get(**key).is_some_and(Value::is_string);
    if let Some(fault) = required.iter().find(|key| !is_text(key)) {
        if lenient {
            return Ok(other(kind, block.value, at));
        }
        return Err(wrong(below(&at, fault), "must be a text"));
    }
    let mut object = if lenient {
        Object::lenient(block.value, at.clone())
    } else {
        Object::strict(block.value, at.clone())?
    };
    object.take("type");
    let cache = read_cache(&mut object);
    let mut nested = Vec::new();
    let kind = match kind.as_str() {
        "text" => PartKind::Text {
            text: text(&mut object, "text")?,
            citations: read_citations(&mut object)?,
        },
        "thinking" => PartKind::Reasoning(Reasoning {
            text: text(&mut object, "thinking")?,
            signature: object
                .text("signature")?
                .map(|signature| signature.value)
                .filter(|signature| !signature.is_empty()),
            ..Reasoning::default()
        }),
        "redacted_thinking" => PartKind::Reasoning(Reasoning {
            encrypted: Some(text(&mut object, "data")?),
            ..Reasoning::default()
        }),
        "tool_result" => read_result(&mut object, lenient)?,
        "image" => PartKind::Image {
            source: read_source(&mut object, &mut nested, lenient)?,
            detail: None,
        },
        "document" => read_document(&mut object, &mut nested, lenient)?,
        used => PartKind::ToolCall(ToolCall {
            id: text(&mut object, "id")?,
            name: text(&mut object, "name")?,
            arguments: object
                .take("input")
                .map_or_else(|| "{}".to_owned(), |input| input.value.to_string()),
            custom: false,
            by_provider: used != "tool_use",
        }),
    };
    let mut extensions = object.rest();
    extensions.extend(nested);
    Ok(Part {
        kind,
        cache,
        signature: None,
        at: at.into(),
        extensions,
    })
}

/// A cache hint in the form that is known; another stays for the extensions.
pub(super) fn read_cache(object: &mut Object) -> Option<CacheHint> {
    let control = object.peek("cache_control")?.as_object()?;
    if control.get("type")?.as_str()? != "ephemeral" {
        return None;
    }
    if control.keys().any(|key| key != "type" && key != "ttl") {
        return None;
    }
    let ttl = match control.get("ttl") {
        None | Some(Value::Null) => None,
        Some(ttl) => Some(CacheTtl::named(ttl.as_str()?)?),
    };
    object.take("cache_control");
    Some(CacheHint { ttl })
}

/// What a text rests on.
pub(super) fn read_citation(raw: Value) -> Citation {
    let word = |key: &str| raw.get(key).and_then(Value::as_str).map(str::to_owned);
    Citation {
        url: word("url").or_else(|| word("source")),
        title: word("title").or_else(|| word("document_title")),
        cited_text: word("cited_text"),
        span: None,
        raw: Some(raw),
    }
}

/// Whether a kind of block is one that only this API has.
pub(super) fn is_own_block(kind: &str) -> bool {
    kind.ends_with("_tool_result") || OWN_BLOCKS.contains(&kind)
}

/// Whether a citation is one of this API's.
pub(super) fn is_own_citation(raw: &Value) -> bool {
    let kind = raw.get("type").and_then(Value::as_str);
    kind.is_some_and(|kind| CITATIONS.contains(&kind))
}

fn other(kind: String, value: Value, at: String) -> Part {
    Part::new(PartKind::Other { kind, value }, at)
}

fn text(object: &mut Object, key: &str) -> Result<String, ReadError> {
    let found = object.text(key)?;
    found
        .map(|text| text.value)
        .ok_or_else(|| object.missing(key))
}

fn read_citations(object: &mut Object) -> Result<Vec<Citation>, ReadError> {
    let list = object.list("citations")?.unwrap_or_default();
    Ok(list
        .into_iter()
        .map(|citation| read_citation(citation.value))
        .collect())
}

fn read_result(object: &mut Object, lenient: bool) -> Result<PartKind, ReadError> {
    let call_id = text(object, "tool_use_id")?;
    let parts = match object.take("content") {
        Some(content) => read_content(content, lenient)?,
        None => Vec::new(),
    };
    Ok(PartKind::ToolResult(ToolResult {
        call_id,
        name: None,
        parts,
        structured: None,
        is_error: object.flag("is_error")?.is_some_and(|flag| flag.value),
        custom: false,
    }))
}

fn read_document(
    object: &mut Object,
    nested: &mut Vec<Extension>,
    lenient: bool,
) -> Result<PartKind, ReadError> {
    let source = read_source(object, nested, lenient)?;
    let title = object.text("title")?.map(|title| title.value);
    let context = object.text("context")?.map(|context| context.value);
    let mut citations = None;
    if let Some(mut config) = object.object("citations")? {
        citations = config.flag("enabled")?.map(|flag| flag.value);
        nested.extend(rest_of("citations", config));
    }
    Ok(PartKind::Document {
        source,
        title,
        context,
        citations,
    })
}

/// Whether a block's `source` is one that has a form; blocks with others stay whole.
fn has_known_source(block: &Value) -> bool {
    let Some(source) = block.get("source") else {
        return false;
    };
    let word = |key: &str| source.get(key).and_then(Value::as_str);
    let absent = |key: &str| source.get(key).is_none_or(Value::is_null);
    let is_document = block.get("type").and_then(Value::as_str) == Some("document");
    match word("type") {
        Some("base64") => {
            word("data").is_some() && (word("media_type").is_some() || absent("media_type"))
        }
        Some("url") => word("url").is_some(),
        Some("file") => word("file_id").is_some(),
        Some("text") if is_document => {
            word("data").is_some() && word("media_type") == Some("text/plain")
        }
        Some("content") if is_document => source
            .get("content")
            .is_some_and(|content| content.is_string() || content.is_array()),
        _ => false,
    }
}

fn read_source(
    object: &mut Object,
    nested: &mut Vec<Extension>,
    lenient: bool,
) -> Result<Blob, ReadError> {
    let mut source = object
        .object("source")?
        .ok_or_else(|| object.missing("source"))?;
    let kind = text(&mut source, "type")?;
    let blob = match kind.as_str() {
        "base64" => Blob::Base64 {
            media_type: source
                .text("media_type")?
                .map(|media_type| media_type.value)
                .unwrap_or_default(),
            data: text(&mut source, "data")?,
        },
        "url" => Blob::Url {
            url: text(&mut source, "url")?,
            media_type: None,
        },
        "file" => Blob::File {
            id: text(&mut source, "file_id")?,
            media_type: None,
        },
        "text" => {
            source.take("media_type");
            Blob::Text(text(&mut source, "data")?)
        }
        _ => {
            let content = source.take("content");
            let content = content.ok_or_else(|| source.missing("content"))?;
            Blob::Parts(read_content(content, lenient)?)
        }
    };
    nested.extend(rest_of("source", source));
    Ok(blob)
}

#[cfg(test)]
mod tests;
