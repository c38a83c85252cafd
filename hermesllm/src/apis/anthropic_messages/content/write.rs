//! Content blocks, written.

use serde_json::{json, Map, Value};

use crate::apis::anthropic_messages::put_rest;
use crate::apis::object::{put, says_more};
use crate::representation::{
    Blob, CacheHint, Citation, Losses, Part, PartKind, Pointer, Reasoning, ToolCall, ToolResult,
};

use super::ids::{in_answer, Ids};
use super::is_own_citation;

/// Which document blocks are written for.
#[derive(Debug)]
pub(in crate::apis::anthropic_messages) enum Scope {
    /// A request, which the provider checks.
    Request(Ids),
    /// An answer of this identifier, with this many calls so far.
    Answer {
        /// The answer's identifier.
        id: String,
        /// Calls so far.
        calls: usize,
    },
}

/// Writes blocks.
#[derive(Debug)]
pub(in crate::apis::anthropic_messages) struct BlockWriter<'l> {
    /// Which document they are for.
    pub(in crate::apis::anthropic_messages) scope: Scope,
    /// They were read from this API.
    pub(in crate::apis::anthropic_messages) same: bool,
    /// What is lost.
    pub(in crate::apis::anthropic_messages) losses: &'l mut Losses,
}

/// Members of a block that stand beside its kind.
struct Beside {
    cache: Option<CacheHint>,
    extensions: Vec<crate::representation::Extension>,
}

impl BlockWriter<'_> {
    /// Writes the content of a turn or an answer; `assistant`: the model's.
    pub(in crate::apis::anthropic_messages) fn parts(
        &mut self,
        parts: Vec<Part>,
        assistant: bool,
    ) -> Vec<Value> {
        let mut blocks = Vec::with_capacity(parts.len());
        for part in parts {
            self.part(part, assistant, &mut blocks);
        }
        blocks
    }

    fn part(&mut self, part: Part, assistant: bool, blocks: &mut Vec<Value>) {
        let Part {
            kind,
            cache,
            signature,
            at,
            extensions,
        } = part;
        if signature.is_some() {
            let reason = "the other API signs nothing but thoughts";
            self.losses.dropped(at.clone(), reason);
        }
        let beside = Beside { cache, extensions };
        let block = match kind {
            PartKind::Text { text, citations } => self.text(text, citations, &at),
            PartKind::Refusal(text) => {
                let reason = "the other API has no refusals beside text";
                self.losses.approximated(at.clone(), reason);
                self.text(text, Vec::new(), &at)
            }
            PartKind::Image { source, detail } => {
                if detail.is_some_and(|detail| detail.0 != "auto") {
                    let reason = "the other API cannot be told how closely to look";
                    self.losses.dropped(at.clone(), reason);
                }
                self.image(source, assistant, &at)
            }
            PartKind::Document {
                source,
                title,
                context,
                citations,
            } => self.source(source, assistant, &at).map(|source| {
                let mut block = typed("document");
                block.insert("source".to_owned(), source);
                put(&mut block, "title", title);
                put(&mut block, "context", context);
                let citations = citations.map(|enabled| json!({"enabled": enabled}));
                put(&mut block, "citations", citations);
                block
            }),
            PartKind::Audio { source, transcript } => {
                drop(source);
                self.sound(transcript, &at)
            }
            PartKind::Video(_) => self.lost(&at, "the other API takes no moving pictures"),
            PartKind::ToolCall(call) => {
                let is_mcp = beside.extensions.iter().any(|e| e.name == "server_name");
                self.call(call, is_mcp, &at)
            }
            PartKind::ToolResult(result) => Some(self.result(result, &at)),
            PartKind::Reasoning(reasoning) => {
                self.reasoning(reasoning, beside, &at, blocks);
                return;
            }
            PartKind::Other { kind: _, value } if self.same => {
                blocks.push(value);
                return;
            }
            PartKind::Other { .. } => self.lost(&at, "the other API has no such content"),
        };
        if let Some(block) = block {
            self.finish(block, beside, blocks);
        } else {
            self.losses.dropped_extensions(beside.extensions);
        }
    }

    /// Puts what stands beside a block's kind.
    fn finish(&mut self, mut block: Map<String, Value>, beside: Beside, blocks: &mut Vec<Value>) {
        put(&mut block, "cache_control", beside.cache.map(write_cache));
        put_rest(&mut block, beside.extensions, self.same, &[], self.losses);
        blocks.push(Value::Object(block));
    }

    fn lost(&mut self, at: &Pointer, reason: &'static str) -> Option<Map<String, Value>> {
        self.losses.dropped(at.clone(), reason);
        None
    }

    fn text(
        &mut self,
        text: String,
        citations: Vec<Citation>,
        at: &Pointer,
    ) -> Option<Map<String, Value>> {
        if !self.same && text.trim().is_empty() {
            if text.is_empty() {
                return None;
            }
            if matches!(self.scope, Scope::Request(_)) {
                return self.lost(at, "the other API takes no text of spaces alone");
            }
        }
        let mut block = typed("text");
        block.insert("text".to_owned(), Value::String(text));
        let citations: Vec<Value> = citations
            .into_iter()
            .filter_map(|citation| self.citation(citation, at))
            .collect();
        if !citations.is_empty() {
            block.insert("citations".to_owned(), Value::Array(citations));
        }
        Some(block)
    }

    fn citation(&mut self, citation: Citation, at: &Pointer) -> Option<Value> {
        let is_answer = matches!(self.scope, Scope::Answer { .. });
        write_citation(citation, self.same, is_answer, at, self.losses)
    }

    fn image(&mut self, source: Blob, assistant: bool, at: &Pointer) -> Option<Map<String, Value>> {
        if !self.same && assistant {
            return self.lost(at, "the other API has no pictures of the model's");
        }
        let source = match source {
            Blob::Base64 { media_type, data } if self.same => Some(base64(media_type, data)),
            Blob::Base64 { media_type, data } => Some(super::media::of_image(media_type, data)),
            Blob::Url { url, media_type: _ } => self.url(url, at),
            Blob::File { id, media_type: _ } => Some(json!({"type": "file", "file_id": id})),
            Blob::Text(_) | Blob::Parts(_) => {
                return self.lost(at, "a picture cannot be a text");
            }
        }?;
        let mut block = typed("image");
        block.insert("source".to_owned(), source);
        Some(block)
    }

    /// The source of a document.
    fn source(&mut self, source: Blob, assistant: bool, at: &Pointer) -> Option<Value> {
        if !self.same && assistant {
            self.lost(at, "the other API has no documents of the model's");
            return None;
        }
        match source {
            Blob::Base64 { media_type, data } if self.same => Some(base64(media_type, data)),
            Blob::Base64 { media_type, data } => {
                super::media::of_document(media_type, data, at, self.losses)
            }
            Blob::Url { url, media_type: _ } => self.url(url, at),
            Blob::File { id, media_type: _ } => Some(json!({"type": "file", "file_id": id})),
            Blob::Text(text) => {
                Some(json!({"type": "text", "media_type": "text/plain", "data": text}))
            }
            Blob::Parts(parts) => {
                let is_bare = is_bare(&parts, &format!("{at}/source/content"));
                let blocks = self.parts(parts, assistant);
                Some(json!({"type": "content", "content": content(blocks, self.same, is_bare)}))
            }
        }
    }

    fn url(&mut self, url: String, at: &Pointer) -> Option<Value> {
        if self.same {
            return Some(json!({"type": "url", "url": url}));
        }
        super::media::of_url(url, at, self.losses)
    }

    fn sound(&mut self, transcript: Option<String>, at: &Pointer) -> Option<Map<String, Value>> {
        let Some(transcript) = transcript else {
            return self.lost(at, "the other API takes no sound");
        };
        let reason = "the other API takes no sound: what is said in it is sent as text";
        self.losses.approximated(at.clone(), reason);
        self.text(transcript, Vec::new(), at)
    }

    fn call(&mut self, call: ToolCall, is_mcp: bool, at: &Pointer) -> Option<Map<String, Value>> {
        let ToolCall {
            id,
            name,
            arguments,
            custom,
            by_provider,
        } = call;
        let id = match &mut self.scope {
            _ if self.same => id,
            Scope::Request(_) if by_provider => {
                return self.lost(
                    at,
                    "the other API does not know this tool of the provider's",
                );
            }
            Scope::Request(ids) => ids.call(&id, &name),
            Scope::Answer { id: answer, calls } => {
                let number = *calls;
                *calls += 1;
                in_answer(&id, answer, number)
            }
        };
        let kind = match by_provider {
            // Only these name a server.
            true if is_mcp && self.same => "mcp_tool_use",
            true => "server_tool_use",
            false => "tool_use",
        };
        let mut block = typed(kind);
        block.insert("id".to_owned(), Value::String(id));
        block.insert("name".to_owned(), Value::String(name));
        let input = self.input(arguments, custom, at);
        block.insert("input".to_owned(), input);
        Some(block)
    }

    fn input(&mut self, arguments: String, custom: bool, at: &Pointer) -> Value {
        if custom {
            let reason = "the other API has no tools that take free text";
            self.losses.approximated(at.clone(), reason);
            return json!({"input": arguments});
        }
        if arguments.trim().is_empty() {
            return json!({});
        }
        match serde_json::from_str(&arguments) {
            Ok(input @ Value::Object(_)) => input,
            Ok(input) if self.same => input,
            _ => {
                let reason = "the other API takes arguments as a JSON object only";
                self.losses.approximated(at.clone(), reason);
                json!({"arguments": arguments})
            }
        }
    }

    fn result(&mut self, result: ToolResult, at: &Pointer) -> Map<String, Value> {
        let ToolResult {
            call_id,
            name,
            parts,
            structured,
            is_error,
            // The call tells.
            custom: _,
        } = result;
        let id = match &mut self.scope {
            Scope::Request(ids) if !self.same => ids.result(&call_id, name.as_deref()),
            _ => call_id,
        };
        let mut block = typed("tool_result");
        block.insert("tool_use_id".to_owned(), Value::String(id));
        let is_bare = is_bare(&parts, &format!("{at}/content"));
        let mut blocks = Vec::new();
        if let Some(value) = structured.filter(|own| says_more(own, &parts)) {
            blocks.push(json!({"type": "text", "text": value.to_string()}));
        }
        blocks.extend(self.parts(parts, false));
        if !blocks.is_empty() {
            let content = content(blocks, self.same, is_bare);
            block.insert("content".to_owned(), content);
        }
        if is_error {
            block.insert("is_error".to_owned(), Value::Bool(true));
        }
        block
    }

    fn reasoning(
        &mut self,
        reasoning: Reasoning,
        beside: Beside,
        at: &Pointer,
        blocks: &mut Vec<Value>,
    ) {
        let Reasoning {
            id,
            mut text,
            summary,
            signature,
            encrypted,
        } = reasoning;
        if id.is_some() {
            let reason = "the other API gives thoughts no identifiers";
            self.losses.dropped(at.clone(), reason);
        }
        let is_answer = matches!(self.scope, Scope::Answer { .. });
        if !summary.is_empty() {
            let reason = "the other API has no summaries beside thoughts";
            self.losses.approximated(at.clone(), reason);
            if text.is_empty() {
                text = summary.join("\n\n");
            }
        }
        let replays = signature.is_some() || is_answer || self.same;
        let is_thinking = match &encrypted {
            Some(_) => signature.is_some() || !text.is_empty(),
            None => signature.is_some() || self.same || !text.is_empty(),
        };
        let redacted = encrypted.map(|data| {
            let mut block = typed("redacted_thinking");
            block.insert("data".to_owned(), Value::String(data));
            block
        });
        if is_thinking && !replays {
            let reason = "thoughts without the provider's signature cannot be replayed";
            self.losses.dropped(at.clone(), reason);
        }
        // Thoughts cannot be marked for caching.
        let beside = if self.same {
            beside
        } else {
            self.uncached(beside, at)
        };
        let thinking = (is_thinking && replays).then(|| {
            let mut block = typed("thinking");
            block.insert("thinking".to_owned(), Value::String(text));
            let signature = signature.unwrap_or_default();
            block.insert("signature".to_owned(), Value::String(signature));
            block
        });
        match (thinking, redacted) {
            (Some(thinking), Some(redacted)) => {
                self.finish(thinking, beside, blocks);
                blocks.push(Value::Object(redacted));
            }
            (Some(block), None) | (None, Some(block)) => self.finish(block, beside, blocks),
            (None, None) => self.losses.dropped_extensions(beside.extensions),
        }
    }

    fn uncached(&mut self, beside: Beside, at: &Pointer) -> Beside {
        if beside.cache.is_some() {
            let reason = "the other API takes no cache hints at thoughts";
            self.losses.dropped(at.clone(), reason);
        }
        Beside {
            cache: None,
            extensions: beside.extensions,
        }
    }
}

/// Whether content was a text rather than a list, told by the place of its only part.
pub(in crate::apis::anthropic_messages) fn is_bare(parts: &[Part], member: &str) -> bool {
    matches!(parts, [only] if only.at == member)
}

/// Content as it was (`same`), or a lone text as a string.
pub(in crate::apis::anthropic_messages) fn content(
    mut blocks: Vec<Value>,
    same: bool,
    is_bare: bool,
) -> Value {
    if blocks.len() == 1 && (is_bare || !same) {
        if let Some(Value::Object(block)) = blocks.first_mut() {
            let is_plain = block.len() == 2 && block.get("type").is_some_and(|t| t == "text");
            if let Some(Value::String(text)) = block.get_mut("text").filter(|_| is_plain) {
                return Value::String(std::mem::take(text));
            }
        }
    }
    Value::Array(blocks)
}

/// `cache_control`.
pub(in crate::apis::anthropic_messages) fn write_cache(cache: CacheHint) -> Value {
    match cache.ttl {
        Some(ttl) => json!({"type": "ephemeral", "ttl": ttl.as_str()}),
        None => json!({"type": "ephemeral"}),
    }
}

/// A citation: as it was, or, in answers, as one of a web page.
pub(in crate::apis::anthropic_messages) fn write_citation(
    citation: Citation,
    same: bool,
    is_answer: bool,
    at: &Pointer,
    losses: &mut Losses,
) -> Option<Value> {
    let Citation {
        url,
        title,
        cited_text,
        span,
        raw,
    } = citation;
    if let Some(raw) = raw.filter(|raw| same || is_own_citation(raw)) {
        return Some(raw);
    }
    let Some(url) = url.filter(|_| is_answer) else {
        losses.dropped(at.clone(), "the other API has no place for this citation");
        return None;
    };
    let reason = match span {
        Some(_) => "the other API does not say which part of a text rests on a page",
        None => "a citation is written as one of a web search",
    };
    losses.approximated(at.clone(), reason);
    Some(json!({
        "type": "web_search_result_location",
        "url": url,
        "title": title,
        "cited_text": cited_text.unwrap_or_default(),
        "encrypted_index": "",
    }))
}

fn base64(media_type: String, data: String) -> Value {
    let mut source = typed("base64");
    if !media_type.is_empty() {
        source.insert("media_type".to_owned(), Value::String(media_type));
    }
    source.insert("data".to_owned(), Value::String(data));
    Value::Object(source)
}

fn typed(kind: &str) -> Map<String, Value> {
    let mut block = Map::new();
    block.insert("type".to_owned(), Value::String(kind.to_owned()));
    block
}
