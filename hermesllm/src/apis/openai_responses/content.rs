//! Content of messages and of tool results.

mod media;

use serde_json::{json, Map, Value};

use super::members::{incidental, put_members, word};
use crate::apis::object::Object;
use crate::apis::ReadError;
use crate::representation::{Blob, CacheHint, Citation, Losses, Part, PartKind};

/// How the API names text: by who says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// `input_text`: of people, operators and tools.
    Input,
    /// `output_text`: of the model.
    Output,
}

impl Side {
    fn text(self) -> &'static str {
        match self {
            Self::Input => "input_text",
            Self::Output => "output_text",
        }
    }
}

/// A part, and what stands beside its text in answers.
pub(super) struct Content {
    pub(super) part: Part,
    /// Log probabilities; never an empty list.
    pub(super) logprobs: Option<Vec<Value>>,
}

/// Reads a piece of content.
pub(super) fn read(mut object: Object, side: Side) -> Result<Content, ReadError> {
    let at = object.at().to_owned();
    let mut logprobs = None;
    let form = object.peek_text("type").unwrap_or_default().to_owned();
    let read = match form.as_str() {
        "input_text" | "output_text" | "text" if object.peek_text("text").is_some() => {
            let text = object.text("text")?.map(|text| text.value);
            logprobs = take_list(&mut object, "logprobs");
            let citations = take_list(&mut object, "annotations").unwrap_or_default();
            text.map(|text| PartKind::Text {
                text,
                citations: citations.into_iter().map(citation).collect(),
            })
        }
        "refusal" => object
            .text("refusal")?
            .map(|text| PartKind::Refusal(text.value)),
        "input_image" => media::read_image(&mut object)?,
        "input_file" => media::read_file(&mut object)?,
        "input_audio" => media::read_audio(&mut object)?,
        _ => None,
    };
    let Some(kind) = read else {
        let part = other(object, form, at);
        return Ok(Content {
            part,
            logprobs: None,
        });
    };
    let is_usual = form == side.text() || !matches!(kind, PartKind::Text { .. });
    if is_usual {
        object.take("type");
    }
    let cache = cache_hint(&mut object);
    let mut extensions = object.rest();
    incidental(&mut extensions, &["type"]);
    let part = Part {
        kind,
        cache,
        signature: None,
        at: at.into(),
        extensions,
    };
    Ok(Content { part, logprobs })
}

/// All of an object, as it was.
fn other(object: Object, kind: String, at: String) -> Part {
    let members = object.rest().into_iter();
    let value = members.map(|member| (member.name, member.value)).collect();
    let value = Value::Object(value);
    Part::new(PartKind::Other { kind, value }, at)
}

/// A list that is taken if it is one; an empty one is as good as none.
fn take_list(object: &mut Object, key: &str) -> Option<Vec<Value>> {
    if !object.peek(key).is_some_and(Value::is_array) {
        return None;
    }
    match object.take(key)?.value {
        Value::Array(items) if !items.is_empty() => Some(items),
        _ => None,
    }
}

fn cache_hint(object: &mut Object) -> Option<CacheHint> {
    let breakpoint = object.peek("prompt_cache_breakpoint")?.as_object()?;
    let is_plain =
        breakpoint.len() == 1 && breakpoint.get("mode").and_then(Value::as_str) == Some("explicit");
    if !is_plain {
        return None;
    }
    object.take("prompt_cache_breakpoint");
    Some(CacheHint { ttl: None })
}

/// Reads an annotation.
pub(super) fn citation(raw: Value) -> Citation {
    let text = |key: &str| word(&raw, key).map(str::to_owned);
    let number = |key: &str| raw.get(key).and_then(Value::as_u64);
    Citation {
        url: text("url"),
        title: text("title").or_else(|| text("filename")),
        cited_text: None,
        span: number("start_index").zip(number("end_index")),
        raw: Some(raw),
    }
}

/// Writes an annotation. `length`: of the text, in characters. `None`: the API has no place for it.
pub(super) fn write_citation(
    citation: Citation,
    same: bool,
    length: u64,
    at: &str,
    losses: &mut Losses,
) -> Option<Value> {
    let Citation {
        url,
        title,
        cited_text,
        span,
        raw,
    } = citation;
    if same && raw.is_some() {
        return raw;
    }
    let Some(url) = url else {
        // A streamed citation does not say whose it is; one of this API's own words is its own.
        if let Some(raw) = raw.filter(is_own_annotation) {
            return Some(raw);
        }
        losses.dropped(at.to_owned(), "only web pages can be cited");
        return None;
    };
    if cited_text.is_some() {
        losses.approximated(at.to_owned(), "the text that is cited has no place");
    }
    let (start, end) = span.unwrap_or((0, length));
    Some(json!({
        "type": "url_citation",
        "url": url,
        "title": title.unwrap_or_default(),
        "start_index": start,
        "end_index": end,
    }))
}

fn is_own_annotation(raw: &Value) -> bool {
    matches!(
        word(raw, "type"),
        Some("file_citation" | "container_file_citation" | "file_path")
    )
}

/// What writing content needs to know.
pub(super) struct Target<'l> {
    /// Source and target are one API.
    pub(super) same: bool,
    /// The model takes cache breakpoints.
    pub(super) breakpoints: bool,
    /// An answer, whose texts have all their members.
    pub(super) answer: bool,
    /// What is lost.
    pub(super) losses: &'l mut Losses,
}

impl Target<'_> {
    /// Writes a piece of content, or several: a document may hold more than one. `item`: where the
    /// item is; extensions of other places are the item's and are left alone.
    pub(super) fn write(
        &mut self,
        part: Part,
        side: Side,
        logprobs: Option<Vec<Value>>,
        out: &mut Vec<Value>,
    ) {
        let Part {
            kind,
            cache,
            signature,
            at,
            extensions,
        } = part;
        if signature.is_some() {
            let reason = "only reasoning has a place for what the provider signed";
            self.losses.dropped(at.clone(), reason);
        }
        let before = out.len();
        self.write_kind(kind, side, logprobs, &at, out);
        let Some(Value::Object(object)) = out.get_mut(before..).and_then(|new| new.last_mut())
        else {
            return;
        };
        if let Some(hint) = cache {
            self.hint(hint, side, &at, object);
        }
        // What is said of the type of a text replaces the usual one.
        for extension in &extensions {
            if self.same && extension.name == "type" && object.contains_key("text") {
                object.insert("type".to_owned(), extension.value.clone());
            }
        }
        put_members(object, extensions, self.same, &[], self.losses);
    }

    fn hint(&mut self, hint: CacheHint, side: Side, at: &str, object: &mut Map<String, Value>) {
        let CacheHint { ttl } = hint;
        if !self.same && (side == Side::Output || !self.breakpoints) {
            let reason = "there is no cache breakpoint here: the provider caches by itself";
            self.losses.dropped(at.to_owned(), reason);
            return;
        }
        if ttl.is_some() {
            let reason = "the time of a cache is set for the whole request";
            self.losses.approximated(at.to_owned(), reason);
        }
        let value = json!({"mode": "explicit"});
        object.insert("prompt_cache_breakpoint".to_owned(), value);
    }

    fn write_kind(
        &mut self,
        kind: PartKind,
        side: Side,
        logprobs: Option<Vec<Value>>,
        at: &str,
        out: &mut Vec<Value>,
    ) {
        let written = match kind {
            PartKind::Text { text, citations } => {
                out.push(self.text(text, citations, side, logprobs, at));
                return;
            }
            PartKind::Refusal(text) if side == Side::Output => {
                out.push(json!({"type": "refusal", "refusal": text}));
                return;
            }
            PartKind::Other { kind: _, value } if self.same => {
                out.push(value);
                return;
            }
            PartKind::Document {
                source,
                title,
                context,
                citations,
            } if side == Side::Input || self.same => {
                if context.is_some() {
                    self.losses
                        .dropped(at.to_owned(), "documents have no context");
                }
                if citations == Some(true) {
                    let reason = "whether a document is cited cannot be said";
                    self.losses.dropped(at.to_owned(), reason);
                }
                return self.document(source, title, side, at, out);
            }
            PartKind::Image { source, detail } if side == Side::Input || self.same => {
                media::write_image(source, detail, self.same)
            }
            PartKind::Audio { source, transcript } if side == Side::Input || self.same => {
                media::write_audio(source, transcript, at, self.losses)
            }
            PartKind::Refusal(_)
            | PartKind::Document { .. }
            | PartKind::Image { .. }
            | PartKind::Audio { .. }
            | PartKind::Video(_)
            | PartKind::ToolCall(_)
            | PartKind::ToolResult(_)
            | PartKind::Reasoning(_)
            | PartKind::Other { .. } => None,
        };
        match written {
            Some(value) => out.push(value),
            None => self.losses.dropped(at.to_owned(), NO_PLACE),
        }
    }

    fn text(
        &mut self,
        text: String,
        citations: Vec<Citation>,
        side: Side,
        logprobs: Option<Vec<Value>>,
        at: &str,
    ) -> Value {
        let mut object = Map::new();
        object.insert("type".to_owned(), side.text().into());
        if side == Side::Input && !self.same && !citations.is_empty() {
            self.losses.dropped(at.to_owned(), "only the model cites");
        } else if self.answer || !citations.is_empty() {
            let length = u64::try_from(text.chars().count()).unwrap_or(u64::MAX);
            let write = |citation| write_citation(citation, self.same, length, at, self.losses);
            let annotations: Vec<_> = citations.into_iter().filter_map(write).collect();
            if self.answer || !annotations.is_empty() {
                object.insert("annotations".to_owned(), Value::Array(annotations));
            }
        }
        if self.answer || logprobs.is_some() {
            let logprobs = logprobs.unwrap_or_default();
            object.insert("logprobs".to_owned(), Value::Array(logprobs));
        }
        object.insert("text".to_owned(), text.into());
        Value::Object(object)
    }

    fn document(
        &mut self,
        source: Blob,
        title: Option<String>,
        side: Side,
        at: &str,
        out: &mut Vec<Value>,
    ) {
        match source {
            Blob::Text(text) => {
                let reason = "a document that is text is given as text";
                self.losses.approximated(at.to_owned(), reason);
                let text = match title {
                    Some(title) => format!("{title}\n\n{text}"),
                    None => text,
                };
                out.push(self.text(text, Vec::new(), side, None, at));
            }
            Blob::Parts(parts) => {
                let reason = "the pieces of a document are given one by one";
                self.losses.approximated(at.to_owned(), reason);
                if let Some(title) = title {
                    out.push(self.text(title, Vec::new(), side, None, at));
                }
                for part in parts {
                    self.write(part, side, None, out);
                }
            }
            source => match media::write_file(source, title, self.same) {
                Some(value) => out.push(value),
                None => self.losses.dropped(at.to_owned(), NO_PLACE),
            },
        }
    }
}

const NO_PLACE: &str = "the other API has no such content here";
