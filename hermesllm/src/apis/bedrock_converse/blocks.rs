//! Content blocks, written.

use serde_json::{json, Map, Value};

use super::blob::sealed;
use super::content::GUARDED;
use super::ids::{Calls, Documents};
use super::media::{self, Medium};
use super::place::restore;
use crate::representation::{
    Blob, CacheHint, Citation, Extension, Losses, Part, PartKind, Pointer, Reasoning, ToolCall,
    ToolResult,
};

/// Where blocks stand: not every block may stand everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// The system prompt.
    System,
    /// A message of a request.
    Message,
    /// The result of a tool, in a message.
    Result,
    /// An answer.
    Answer,
}

/// Writes blocks, in the order of the conversation.
#[derive(Debug)]
pub(super) struct Blocks<'l> {
    /// The source is of this API.
    same: bool,
    calls: Calls,
    documents: Documents,
    pub(super) losses: &'l mut Losses,
}

impl<'l> Blocks<'l> {
    pub(super) fn new(same: bool, losses: &'l mut Losses) -> Self {
        Self {
            same,
            calls: Calls::default(),
            documents: Documents::default(),
            losses,
        }
    }

    /// Appends the blocks of parts.
    pub(super) fn parts(&mut self, parts: Vec<Part>, place: Place, out: &mut Vec<Value>) {
        for part in parts {
            self.part(part, place, out);
        }
    }

    fn part(&mut self, part: Part, place: Place, out: &mut Vec<Value>) {
        let Part {
            kind,
            cache,
            signature,
            at,
            extensions,
        } = part;
        if signature.is_some() {
            self.lost(&at, "Converse has signatures of thoughts alone");
        }
        let mut inner_cache = None;
        let before = out.len();
        match kind {
            PartKind::Text { text, citations } => self.text(text, citations, place, &at, out),
            PartKind::Refusal(text) => {
                self.near(&at, "Converse has no refusals: it is written as text");
                self.text(text, Vec::new(), place, &at, out);
            }
            PartKind::Image { source, detail } => {
                if detail.is_some_and(|detail| detail.0 != "auto") {
                    self.lost(
                        &at,
                        "Converse does not take how closely to look at a picture",
                    );
                }
                self.medium("image", Medium::Image, source, place, &at, out);
            }
            PartKind::Audio { source, transcript } => {
                self.audio(source, transcript, place, &at, out);
            }
            PartKind::Video(source) => {
                self.medium("video", Medium::Video, source, place, &at, out);
            }
            PartKind::Document {
                source,
                title,
                context,
                citations,
            } => self.document(source, (title, context, citations), place, &at, out),
            PartKind::ToolCall(call) => self.tool_use(call, place, &at, out),
            PartKind::ToolResult(result) => {
                inner_cache = self.tool_result(result, place, &at, out);
            }
            PartKind::Reasoning(thoughts) => self.reasoning(thoughts, place, &at, out),
            PartKind::Other { kind: _, value } => {
                if self.same {
                    out.push(value);
                } else {
                    self.lost(&at, "only its own API has content of this kind");
                }
            }
        }
        if out.len() > before {
            if let Some(last) = out.last_mut() {
                guard(last, &at, &extensions, self.same);
                let is_guard = |own: &Extension| self.same && own.name == GUARDED;
                let extensions = extensions.into_iter().filter(|own| !is_guard(own));
                restore(last, &at, extensions.collect(), self.same, self.losses);
            }
        } else {
            self.losses.dropped_extensions(extensions);
        }
        match cache.or(inner_cache) {
            // Nothing stands before it that could be cached.
            Some(_) if out.is_empty() => self.lost(&at, "there is no content here to be cached"),
            Some(_) if place == Place::Answer && !self.same => {
                self.lost(&at, "an answer has no cache points");
            }
            Some(hint) => out.push(cache_point(hint)),
            None => {}
        }
    }

    fn lost(&mut self, at: &Pointer, reason: &'static str) {
        self.losses.dropped(at.clone(), reason);
    }

    fn near(&mut self, at: &Pointer, reason: &'static str) {
        self.losses.approximated(at.clone(), reason);
    }

    fn text(
        &mut self,
        text: String,
        citations: Vec<Citation>,
        place: Place,
        at: &Pointer,
        out: &mut Vec<Value>,
    ) {
        if citations.is_empty() {
            // Blank text is refused, and says nothing.
            if self.same || !text.is_empty() || place == Place::Answer {
                out.push(json!({ "text": text }));
            }
            return;
        }
        if !self.same && place != Place::Answer {
            self.lost(at, "models take back the citations of their own API alone");
            if !text.is_empty() {
                out.push(json!({ "text": text }));
            }
            return;
        }
        let citations: Vec<Value> = citations
            .into_iter()
            .map(|citation| self.citation(citation, at))
            .collect();
        let mut block = Map::new();
        if !text.is_empty() {
            block.insert("content".to_owned(), json!([{ "text": text }]));
        }
        block.insert("citations".to_owned(), citations.into());
        out.push(json!({ "citationsContent": block }));
    }

    fn citation(&mut self, citation: Citation, at: &Pointer) -> Value {
        if self.same {
            if let Some(raw) = citation.raw {
                return raw;
            }
        }
        if citation.span.is_some() || citation.raw.is_some() {
            self.near(at, NEAR_CITATION);
        }
        write_citation(citation)
    }

    fn medium(
        &mut self,
        kind: &str,
        medium: Medium,
        source: Blob,
        place: Place,
        at: &Pointer,
        out: &mut Vec<Value>,
    ) {
        if place == Place::System && !self.same {
            self.lost(at, "a system prompt of Converse is text");
            return;
        }
        match media::write(medium, source, self.same, |_| Vec::new()) {
            Ok(block) => out.push(json!({ kind: block })),
            Err(reason) => self.lost(at, reason),
        }
    }

    fn audio(
        &mut self,
        source: Blob,
        transcript: Option<String>,
        place: Place,
        at: &Pointer,
        out: &mut Vec<Value>,
    ) {
        // The results of tools have no sound.
        let is_place = matches!(place, Place::Message) || self.same;
        match (is_place.then_some(source), transcript) {
            (Some(source @ Blob::Base64 { .. }), transcript) => {
                if transcript.is_some() {
                    self.lost(at, "Converse has no transcripts of sound");
                }
                self.medium("audio", Medium::Audio, source, place, at, out);
            }
            (_, Some(transcript)) => {
                self.near(at, "only what is said in the sound is kept");
                self.text(transcript, Vec::new(), place, at, out);
            }
            (Some(source), None) => self.medium("audio", Medium::Audio, source, place, at, out),
            (None, None) => self.lost(at, "Converse has no sound here"),
        }
    }

    fn document(
        &mut self,
        source: Blob,
        told: (Option<String>, Option<String>, Option<bool>),
        place: Place,
        at: &Pointer,
        out: &mut Vec<Value>,
    ) {
        if place == Place::System && !self.same {
            self.lost(at, "a system prompt of Converse is text");
            return;
        }
        let (title, context, citations) = told;
        let (same, losses) = (self.same, &mut *self.losses);
        let block = media::write(Medium::Document, source, same, |parts| {
            let mut pieces = Vec::new();
            for piece in parts {
                if piece.cache.is_some() {
                    losses.dropped(piece.at.clone(), "a document is cached as a whole");
                }
                match piece.kind {
                    PartKind::Other { value, .. } if same => pieces.push(value),
                    PartKind::Text { text, .. } => pieces.push(json!({ "text": text })),
                    _ => losses.dropped(piece.at, "documents consist of text alone"),
                }
                losses.dropped_extensions(piece.extensions);
            }
            pieces
        });
        let mut block = match block {
            Ok(block) => block,
            Err(reason) => return self.lost(at, reason),
        };
        let name = if self.same {
            title
        } else {
            let (name, is_changed) = self.documents.name(title.as_deref());
            if is_changed {
                self.near(at, "Converse is strict about the names of documents");
            }
            Some(name)
        };
        let mut put = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                block.insert(key.to_owned(), value);
            }
        };
        put("name", name.map(Value::from));
        put("context", context.map(Value::from));
        put("citations", citations.map(|on| json!({ "enabled": on })));
        out.push(json!({ "document": block }));
    }

    fn tool_use(&mut self, call: ToolCall, place: Place, at: &Pointer, out: &mut Vec<Value>) {
        let ToolCall {
            id,
            name,
            arguments,
            custom,
            by_provider,
        } = call;
        if by_provider && !self.same && place != Place::Answer {
            self.lost(at, "the provider's own tools differ from API to API");
            return;
        }
        let id = if self.same {
            id
        } else {
            self.calls.call(&id, &name)
        };
        let (input, is_near) = input(arguments, custom, self.same);
        if is_near {
            self.near(at, "arguments are an object: text is put into one");
        }
        let mut block = Map::new();
        block.insert("toolUseId".to_owned(), id.into());
        block.insert("name".to_owned(), name.into());
        block.insert("input".to_owned(), input);
        if by_provider {
            block.insert("type".to_owned(), "server_tool_use".into());
        }
        out.push(json!({ "toolUse": block }));
    }

    /// Gives the cache hint that was inside of the result.
    fn tool_result(
        &mut self,
        result: ToolResult,
        place: Place,
        at: &Pointer,
        out: &mut Vec<Value>,
    ) -> Option<CacheHint> {
        let ToolResult {
            call_id,
            name,
            mut parts,
            structured,
            is_error,
            custom: _,
        } = result;
        if place == Place::System && !self.same {
            self.lost(at, "a system prompt of Converse is text");
            return None;
        }
        let call_id = if self.same {
            call_id
        } else {
            self.calls.result(&call_id, name.as_deref())
        };
        let mut content = Vec::new();
        match structured {
            Some(value) if value.is_object() || self.same => content.push(json!({ "json": value })),
            Some(value) => content.push(json!({ "text": value.to_string() })),
            None => {}
        }
        // A result has no cache points inside; the one after it has the same effect.
        let mut hint = None;
        if !self.same {
            for part in &mut parts {
                hint = part.cache.take().or(hint);
            }
        }
        self.parts(parts, Place::Result, &mut content);
        let mut block = Map::new();
        block.insert("toolUseId".to_owned(), call_id.into());
        block.insert("content".to_owned(), content.into());
        if is_error {
            block.insert("status".to_owned(), "error".into());
        }
        out.push(json!({ "toolResult": block }));
        hint
    }

    fn reasoning(&mut self, thoughts: Reasoning, place: Place, at: &Pointer, out: &mut Vec<Value>) {
        // An identifier means nothing to another API.
        let Reasoning {
            id: _,
            mut text,
            summary,
            signature,
            encrypted,
        } = thoughts;
        let is_open = self.same || place == Place::Answer;
        if !is_open && signature.is_none() && encrypted.is_none() {
            self.lost(at, "thoughts without a signature cannot be sent back");
            return;
        }
        if !summary.is_empty() {
            if text.is_empty() && (is_open || signature.is_some()) {
                self.near(at, "a summary of thoughts is written as thoughts");
                text = summary.join("\n\n");
            } else {
                self.lost(at, "Converse has no summaries of thoughts");
            }
        }
        if signature.is_some() || is_open && (!text.is_empty() || encrypted.is_none()) {
            let mut told = Map::new();
            told.insert("text".to_owned(), text.into());
            if let Some(signature) = signature {
                told.insert("signature".to_owned(), signature.into());
            }
            out.push(json!({"reasoningContent": {"reasoningText": told}}));
        } else if !text.is_empty() {
            self.lost(at, "thoughts without a signature cannot be sent back");
        }
        if let Some(encrypted) = encrypted {
            let blob = sealed(&encrypted);
            out.push(json!({"reasoningContent": {"redactedContent": blob}}));
        }
    }
}

/// Why a citation of another API is not all there.
pub(super) const NEAR_CITATION: &str =
    "of a citation of another API the address, the title and the cited text are kept";

/// A citation of another API.
pub(super) fn write_citation(citation: Citation) -> Value {
    let Citation {
        url,
        title,
        cited_text,
        span: _,
        raw: _,
    } = citation;
    let mut block = Map::new();
    let mut put = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            block.insert(key.to_owned(), value);
        }
    };
    put("title", title.map(Value::from));
    put("source", url.as_deref().map(Value::from));
    put(
        "sourceContent",
        cited_text.map(|text| json!([{ "text": text }])),
    );
    put("location", url.map(|url| json!({"web": {"url": url}})));
    Value::Object(block)
}

/// The object that arguments are, and whether they had to be put into one: text that is no JSON
/// object as its member `arguments`, free text of a custom tool as its member `input`.
fn input(arguments: String, custom: bool, same: bool) -> (Value, bool) {
    if custom {
        return (json!({ "input": arguments }), true);
    }
    if arguments.trim().is_empty() {
        return (json!({}), false);
    }
    match serde_json::from_str(&arguments) {
        Ok(value @ Value::Object(_)) => (value, false),
        Ok(value) if same => (value, false),
        _ => (json!({ "arguments": arguments }), true),
    }
}

/// Puts content back under its guardrail.
fn guard(block: &mut Value, at: &str, extensions: &[Extension], same: bool) {
    let guarded = extensions.iter().find(|own| own.name == GUARDED && same);
    let Some(guarded) = guarded.filter(|own| own.at.strip_prefix(at) == Some("/guardContent"))
    else {
        return;
    };
    let mut beside = guarded.value.clone();
    for (kind, content) in block.as_object().into_iter().flatten() {
        let place = if kind == "text" {
            "/text/text"
        } else {
            "/image"
        };
        match content {
            Value::Object(members) => {
                for (key, value) in members {
                    super::place::put(&mut beside, &format!("{place}/{key}"), value.clone());
                }
            }
            text => {
                super::place::put(&mut beside, place, text.clone());
            }
        }
    }
    *block = json!({ GUARDED: beside });
}

/// A cache point.
pub(super) fn cache_point(hint: CacheHint) -> Value {
    let CacheHint { ttl } = hint;
    match ttl {
        Some(ttl) => json!({"cachePoint": {"type": "default", "ttl": ttl.as_str()}}),
        None => json!({"cachePoint": {"type": "default"}}),
    }
}
