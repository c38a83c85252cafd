//! Writing parts.

use std::collections::BTreeMap;

use serde_json::{json, Map, Value};

use base64::engine::general_purpose::STANDARD as BASE64;
use base64::Engine as _;

use super::content::type_of_address;
use super::members::restore;
use crate::representation::{
    Blob, Citation, Losses, Part, PartKind, Pointer, Reasoning, ToolCall, ToolResult,
};

/// Where parts are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Request,
    Answer,
}

/// A text that rests on something.
#[derive(Debug)]
pub(super) struct Cited {
    /// The number of its part.
    pub(super) part: usize,
    pub(super) text: String,
    pub(super) citations: Vec<Citation>,
    pub(super) at: Pointer,
}

/// Writes parts.
#[derive(Debug)]
pub(super) struct Parts<'l> {
    /// Source and target are this API.
    pub(super) same: bool,
    pub(super) place: Place,
    /// Pictures may be inside of a function's response.
    pub(super) media_in_results: bool,
    /// The names of the functions that were called, by identifier; the latest of each.
    names: BTreeMap<String, String>,
    /// What texts of an answer rest on.
    pub(super) cited: Vec<Cited>,
    pub(super) losses: &'l mut Losses,
}

const NO_OBJECT: &str = "arguments are an object: other text is put into one";

impl<'l> Parts<'l> {
    pub(super) fn new(place: Place, same: bool, losses: &'l mut Losses) -> Self {
        Self {
            same,
            place,
            media_in_results: true,
            names: BTreeMap::new(),
            cited: Vec::new(),
            losses,
        }
    }

    /// Writes parts behind those that are there.
    pub(super) fn write(&mut self, parts: Vec<Part>, out: &mut Vec<Value>) {
        for part in parts {
            self.part(part, out);
        }
    }

    fn part(&mut self, part: Part, out: &mut Vec<Value>) {
        let Part {
            kind,
            cache,
            signature,
            at,
            extensions,
        } = part;
        if cache.is_some() {
            let reason = "this API caches by itself, or what was cached before";
            self.losses.dropped(at.clone(), reason);
        }
        // What goes behind the part that is written.
        let mut behind = Vec::new();
        let written = match kind {
            PartKind::Text { text, citations } => {
                self.text(text, citations, signature.is_some(), &at, out.len())
            }
            PartKind::Refusal(text) => {
                let reason = "this API has no refusals: it is written as text";
                self.losses.approximated(at.clone(), reason);
                Some(json!({ "text": text }))
            }
            PartKind::Image { source, detail } => {
                if detail.is_some_and(|detail| detail.0 != "auto") {
                    let reason = "how closely to look at a picture cannot be told for every model";
                    self.losses.dropped(at.clone(), reason);
                }
                self.blob(source, &at)
            }
            PartKind::Audio { source, transcript } => {
                if let Some(text) = transcript.filter(|text| !text.is_empty()) {
                    let reason = "what is said in sound is written as text";
                    self.losses.approximated(at.clone(), reason);
                    behind.push(json!({ "text": text }));
                }
                match source {
                    // Sound that is known by what is said in it alone.
                    Blob::Base64 { data, .. } if data.is_empty() && !behind.is_empty() => None,
                    source => self.blob(source, &at),
                }
            }
            PartKind::Video(source) => self.blob(source, &at),
            PartKind::Document {
                source,
                title,
                context,
                citations,
            } => {
                if let Some(context) = context {
                    let reason = "what is said about a document is written as text before it";
                    self.losses.approximated(at.clone(), reason);
                    out.push(json!({ "text": context }));
                }
                if citations == Some(true) {
                    let reason = "this API has no citations of documents";
                    self.losses.dropped(at.clone(), reason);
                }
                self.document(source, title, &at)
            }
            PartKind::ToolCall(call) => self.call(call, &at),
            PartKind::ToolResult(result) => Some(self.result(result, &at, &mut behind)),
            PartKind::Reasoning(reasoning) => self.reasoning(reasoning, &at),
            PartKind::Other { kind: _, value } => {
                if !self.same {
                    let reason = "only its own API has content of this kind";
                    self.losses.dropped(at.clone(), reason);
                }
                self.same.then_some(value)
            }
        };
        match written {
            Some(mut written) => {
                if let (Some(signature), Some(own)) = (signature, written.as_object_mut()) {
                    own.insert("thoughtSignature".to_owned(), signature.into());
                }
                restore(&mut written, &at, extensions, self.same, self.losses);
                out.push(written);
            }
            None => self.losses.dropped_extensions(extensions),
        }
        out.append(&mut behind);
    }

    fn text(
        &mut self,
        text: String,
        citations: Vec<Citation>,
        is_signed: bool,
        at: &Pointer,
        number: usize,
    ) -> Option<Value> {
        // Of this API they are in the metadata of the candidate, which comes back.
        if !citations.is_empty() && !self.same {
            match self.place {
                Place::Answer => self.cited.push(Cited {
                    part: number,
                    text: text.clone(),
                    citations,
                    at: at.clone(),
                }),
                Place::Request => {
                    let reason = "what a text rests on is not told to models";
                    self.losses.dropped(at.clone(), reason);
                }
            }
        }
        // Refused by the API, and without meaning.
        let is_nothing = text.is_empty() && !is_signed && !self.same;
        (!is_nothing).then(|| json!({ "text": text }))
    }

    fn document(&mut self, source: Blob, title: Option<String>, at: &Pointer) -> Option<Value> {
        let mut written = match source {
            Blob::Text(text) => {
                json!({"inlineData": {"mimeType": "text/plain", "data": BASE64.encode(text.as_bytes())}})
            }
            Blob::Parts(parts) => {
                let reason = "a document of pieces is written as its text";
                self.losses.approximated(at.clone(), reason);
                let texts = self.texts(parts, &mut Vec::new());
                json!({ "text": texts.join("\n\n") })
            }
            source => self.blob(source, at)?,
        };
        if let Some(title) = title {
            let blob = written
                .as_object_mut()
                .and_then(|own| own.values_mut().next());
            match blob.and_then(Value::as_object_mut) {
                Some(blob) if self.same => {
                    blob.insert("displayName".to_owned(), title.into());
                }
                _ => {
                    let reason = "not every service of this API takes names of documents";
                    self.losses.dropped(at.clone(), reason);
                }
            }
        }
        Some(written)
    }

    fn blob(&mut self, source: Blob, at: &Pointer) -> Option<Value> {
        match source {
            Blob::Base64 { media_type, data } => {
                let mut own = Map::new();
                let media_type = match media_type.as_str() {
                    "" if self.same => None,
                    "" => Some(type_of_data(&data).to_owned()),
                    _ => Some(media_type),
                };
                if let Some(media_type) = media_type {
                    own.insert("mimeType".to_owned(), media_type.into());
                }
                own.insert("data".to_owned(), data.into());
                Some(json!({ "inlineData": own }))
            }
            Blob::Url { url, media_type } => Some(self.file(url, media_type)),
            Blob::File { id, media_type } if self.same => Some(self.file(id, media_type)),
            Blob::File { .. } => {
                let reason = "the file was uploaded to another provider";
                self.losses.dropped(at.clone(), reason);
                None
            }
            // Only documents are these.
            Blob::Text(text) => Some(json!({ "text": text })),
            Blob::Parts(parts) => {
                let texts = self.texts(parts, &mut Vec::new());
                Some(json!({ "text": texts.join("\n\n") }))
            }
        }
    }

    fn file(&self, uri: String, media_type: Option<String>) -> Value {
        let told = |uri: &str| type_of_address(uri).filter(|_| !self.same);
        let media_type = media_type.or_else(|| told(&uri));
        let mut own = Map::new();
        if let Some(media_type) = media_type {
            own.insert("mimeType".to_owned(), media_type.into());
        }
        own.insert("fileUri".to_owned(), uri.into());
        json!({ "fileData": own })
    }

    /// The texts among parts; media go to `others`.
    fn texts(&mut self, parts: Vec<Part>, others: &mut Vec<Value>) -> Vec<String> {
        let mut texts = Vec::new();
        for part in parts {
            let mut written = Vec::new();
            self.part(part, &mut written);
            for value in written {
                match value {
                    Value::Object(own) if own.get("text").is_some_and(Value::is_string) => {
                        let text = own.get("text").and_then(Value::as_str);
                        texts.extend(text.map(str::to_owned));
                    }
                    other => others.push(other),
                }
            }
        }
        texts
    }

    fn call(&mut self, call: ToolCall, at: &Pointer) -> Option<Value> {
        let ToolCall {
            id,
            name,
            arguments,
            custom,
            by_provider,
        } = call;
        if by_provider {
            let reason = "the provider's own tools differ from API to API";
            self.losses.dropped(at.clone(), reason);
            return None;
        }
        let args = if custom {
            self.losses.approximated(at.clone(), NO_OBJECT);
            json!({ "input": arguments })
        } else {
            arguments_object(&arguments).unwrap_or_else(|| {
                self.losses.approximated(at.clone(), NO_OBJECT);
                json!({ "arguments": arguments })
            })
        };
        let mut own = Map::new();
        if !id.is_empty() {
            self.names.insert(id.clone(), name.clone());
            own.insert("id".to_owned(), id.into());
        }
        own.insert("name".to_owned(), name.into());
        own.insert("args".to_owned(), args);
        Some(json!({ "functionCall": own }))
    }

    fn result(&mut self, result: ToolResult, at: &Pointer, behind: &mut Vec<Value>) -> Value {
        let ToolResult {
            call_id,
            name,
            parts,
            structured,
            is_error,
            // Whatever the tool, its result is said in the same way.
            custom: _,
        } = result;
        let name = name.or_else(|| self.names.get(&call_id).cloned());
        let name = name.unwrap_or_else(|| {
            if !self.same {
                let reason = "the call that is answered is not there, nor its function's name";
                self.losses.approximated(at.clone(), reason);
            }
            call_id.clone()
        });
        let mut media = Vec::new();
        let (said, nested): (Vec<Part>, Vec<Part>) = parts.into_iter().partition(|part| {
            !self.same || part.at.ends_with("/output") || part.at.ends_with("/error")
        });
        let place = std::mem::replace(&mut self.place, Place::Request);
        let texts = self.texts(said, &mut media);
        self.write(nested, &mut media);
        self.place = place;
        let response = self.response(texts, structured, is_error, at);
        let mut own = Map::new();
        if !call_id.is_empty() {
            own.insert("id".to_owned(), call_id.into());
        }
        own.insert("name".to_owned(), name.into());
        own.insert("response".to_owned(), response);
        if !media.is_empty() {
            if self.media_in_results {
                own.insert("parts".to_owned(), media.into());
            } else {
                let reason = "the model takes pictures behind a function's response, not inside";
                self.losses.approximated(at.clone(), reason);
                behind.append(&mut media);
            }
        }
        json!({ "functionResponse": own })
    }

    fn response(
        &mut self,
        texts: Vec<String>,
        structured: Option<Value>,
        is_error: bool,
        at: &Pointer,
    ) -> Value {
        let key = if is_error { "error" } else { "output" };
        if texts.len() > 1 || structured.is_some() && !texts.is_empty() {
            let reason = "the pieces of a result are put together";
            self.losses.approximated(at.clone(), reason);
        }
        match structured {
            None if texts.is_empty() && self.same => json!({}),
            None => json!({ key: texts.join("\n") }),
            Some(Value::Object(own)) if texts.is_empty() => {
                if is_error && !own.contains_key("error") {
                    json!({ "error": own })
                } else {
                    Value::Object(own)
                }
            }
            Some(value) if texts.is_empty() => json!({ key: value }),
            Some(value) => json!({ key: value, "text": texts.join("\n") }),
        }
    }

    fn reasoning(&mut self, reasoning: Reasoning, at: &Pointer) -> Option<Value> {
        let Reasoning {
            // Only others find thoughts by it.
            id: _,
            text,
            summary,
            signature,
            encrypted,
        } = reasoning;
        if encrypted.is_some() {
            let reason = "encrypted thoughts are another provider's";
            self.losses.dropped(at.clone(), reason);
        }
        let is_encrypted = encrypted.is_some();
        if self.place == Place::Request && !self.same && signature.is_none() {
            if !is_encrypted {
                let reason = "thoughts without a signature cannot be replayed";
                self.losses.dropped(at.clone(), reason);
            }
            return None;
        }
        let text = if text.is_empty() {
            summary.join("\n\n")
        } else {
            if summary.iter().any(|own| !own.is_empty()) {
                let reason = "thoughts are there themselves, without a summary";
                self.losses.dropped(at.clone(), reason);
            }
            text
        };
        if text.is_empty() && signature.is_none() && !self.same {
            return None;
        }
        let mut written = json!({"text": text, "thought": true});
        if let (Some(signature), Some(own)) = (signature, written.as_object_mut()) {
            own.insert("thoughtSignature".to_owned(), signature.into());
        }
        Some(written)
    }
}

/// Arguments that are an object, or nothing.
pub(super) fn arguments_object(arguments: &str) -> Option<Value> {
    if arguments.trim().is_empty() {
        return Some(json!({}));
    }
    let value: Value = serde_json::from_str(arguments).ok()?;
    match value {
        Value::Object(_) => Some(value),
        Value::Null => Some(json!({})),
        _ => None,
    }
}

/// The MIME type that the beginning of data in base64 tells.
fn type_of_data(data: &str) -> &'static str {
    let starts = [
        ("iVBORw0KGgo", "image/png"),
        ("/9j/", "image/jpeg"),
        ("R0lGOD", "image/gif"),
        ("UklGR", "image/webp"),
        ("JVBERi", "application/pdf"),
        ("SUQz", "audio/mp3"),
    ];
    let known = starts
        .into_iter()
        .find(|(start, _)| data.starts_with(start));
    known.map_or("application/octet-stream", |(_, media_type)| media_type)
}
