//! One of the answers.

use serde_json::Value;

use super::super::super::content;
use super::calls::Calls;
use super::chunk::{string, value, ChunkCall, ChunkDelta};
use super::thoughts::Thought;
use crate::apis::Sink;
use crate::representation::{Blob, BlockKind, Citation, Delta, ProviderStreamResponse as Event};

#[derive(Debug)]
pub(super) struct Choice {
    pub(super) index: u32,
    /// The number of the next block.
    next: u32,
    /// The block that text, thoughts or refusal go to.
    open: Option<(Open, u32)>,
    /// What is known of the open thoughts.
    pub(super) thought: Thought,
    calls: Calls,
    pub(super) stopped: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Open {
    Text,
    Reasoning,
    Refusal,
    Audio,
}

impl Choice {
    pub(super) fn new(index: u32) -> Self {
        Self {
            index,
            next: 0,
            open: None,
            thought: Thought::default(),
            calls: Calls::default(),
            stopped: false,
        }
    }

    pub(super) fn has_calls(&self) -> bool {
        !self.calls.is_empty()
    }

    pub(super) fn delta(&mut self, delta: ChunkDelta<'_>, sink: &mut Sink<'_>) {
        let thoughts = string(delta.reasoning_content).or_else(|| string(delta.reasoning));
        match value(delta.reasoning_details) {
            Some(Value::Array(details)) => self.details(&details, thoughts, sink),
            _ => {
                if let Some(text) = thoughts {
                    self.think(text, None, sink);
                }
            }
        }
        if let Some(text) = string(delta.content) {
            let block = self.open(Open::Text, sink);
            self.pass(block, Delta::Text(text), sink);
        } else if let Some(Value::Array(items)) = value(delta.content) {
            self.list(&items, sink);
        }
        if let Some(text) = string(delta.refusal) {
            let block = self.open(Open::Refusal, sink);
            self.pass(block, Delta::Text(text), sink);
        }
        if let Some(list) = value(delta.annotations) {
            self.cite(content::annotations(list), sink);
        }
        if let Some(audio) = value(delta.audio) {
            self.audio(&audio, sink);
        }
        if let Some(Value::Array(images)) = value(delta.images) {
            for image in images {
                self.image(&image, sink);
            }
        }
        for call in delta.tool_calls.unwrap_or_default() {
            self.call(call, sink);
        }
        if let Some(function) = delta.function_call {
            let call = ChunkCall {
                index: Some(0),
                id: None,
                function: Some(function),
                custom: None,
                extra_content: None,
            };
            self.call(call, sink);
        }
        if let Some(signature) = signature(value(delta.extra_content)) {
            // It belongs to the first call, or else to the text.
            let block = match self.calls.first_block() {
                Some(block) => block,
                None => self.open(Open::Text, sink),
            };
            self.pass(block, Delta::Signature(signature.into()), sink);
        }
    }

    pub(super) fn pass(&self, block: u32, delta: Delta<'_>, sink: &mut Sink<'_>) {
        sink(Event::Delta {
            choice: self.index,
            block,
            delta,
        });
    }

    /// The open block, if it is of this kind.
    pub(super) fn is_open(&self, kind: Open) -> Option<u32> {
        let open = self.open.filter(|(open, _)| *open == kind);
        open.map(|(_, block)| block)
    }

    /// The block for text of a kind: the open one, or a new one.
    fn open(&mut self, kind: Open, sink: &mut Sink<'_>) -> u32 {
        if let Some(block) = self.is_open(kind) {
            return block;
        }
        let start = match kind {
            Open::Text => BlockKind::Text,
            Open::Refusal => BlockKind::Refusal,
            Open::Reasoning => BlockKind::Reasoning {
                id: None,
                encrypted: None,
            },
            Open::Audio => BlockKind::Media {
                media_type: "".into(),
            },
        };
        self.start(kind, start, sink)
    }

    /// Starts a block that stays open.
    pub(super) fn start(&mut self, open: Open, kind: BlockKind<'_>, sink: &mut Sink<'_>) -> u32 {
        let block = self.begin(kind, sink);
        self.open = Some((open, block));
        block
    }

    /// Starts a block, and ends the open one.
    fn begin(&mut self, kind: BlockKind<'_>, sink: &mut Sink<'_>) -> u32 {
        let choice = self.index;
        if let Some((_, block)) = self.open.take() {
            sink(Event::BlockStop { choice, block });
        }
        let block = self.next;
        self.next = self.next.saturating_add(1);
        sink(Event::BlockStart {
            choice,
            block,
            kind,
        });
        block
    }

    /// Mistral's content: texts and thoughts in a list.
    fn list(&mut self, items: &[Value], sink: &mut Sink<'_>) {
        for item in items {
            if let Some(text) = item.get("text").and_then(Value::as_str) {
                let block = self.open(Open::Text, sink);
                self.pass(block, Delta::Text(text.into()), sink);
            }
            let thoughts = item.get("thinking").and_then(Value::as_array);
            for thought in thoughts.into_iter().flatten() {
                if let Some(text) = thought.get("text").and_then(Value::as_str) {
                    self.think(text.into(), None, sink);
                }
            }
        }
    }

    pub(super) fn cite(&mut self, citations: Vec<Citation>, sink: &mut Sink<'_>) {
        for citation in citations {
            let block = self.open(Open::Text, sink);
            self.pass(block, Delta::Citation(citation), sink);
        }
    }

    fn audio(&mut self, audio: &Value, sink: &mut Sink<'_>) {
        let text = |key: &str| audio.get(key).and_then(Value::as_str);
        if let Some(data) = text("data") {
            let block = self.open(Open::Audio, sink);
            self.pass(block, Delta::Data(data.into()), sink);
        }
        if let Some(said) = text("transcript") {
            let block = self.open(Open::Audio, sink);
            self.pass(block, Delta::Transcript(said.into()), sink);
        }
    }

    fn image(&mut self, image: &Value, sink: &mut Sink<'_>) {
        let url = image.pointer("/image_url/url").and_then(Value::as_str);
        let Some(url) = url else {
            return;
        };
        let choice = self.index;
        let block = match content::blob(url.to_owned()) {
            Blob::Base64 { media_type, data } => {
                let media_type = media_type.into();
                let block = self.begin(BlockKind::Media { media_type }, sink);
                self.pass(block, Delta::Data(data.into()), sink);
                block
            }
            _ => {
                let kind = "images".into();
                let value = image.clone();
                self.begin(BlockKind::Other { kind, value }, sink)
            }
        };
        sink(Event::BlockStop { choice, block });
    }

    fn call(&mut self, call: ChunkCall<'_>, sink: &mut Sink<'_>) {
        let custom = call.custom.is_some() && call.function.is_none();
        let (name, arguments) = match call.function.as_ref().or(call.custom.as_ref()) {
            Some(own) => (own.name.as_ref().map(|name| name.0.as_ref()), own.arguments),
            None => (None, None),
        };
        let name = name.filter(|name| !name.is_empty());
        let id = call.id.as_ref().map(|id| id.0.as_ref());
        let id = id.filter(|id| !id.is_empty());
        let Some(place) = self.calls.place(call.index, id, name) else {
            return;
        };
        if let (Some(name), Some(id)) = (name, self.calls.waiting(place)) {
            let kind = BlockKind::ToolCall {
                id: id.into(),
                name: name.into(),
                custom,
                by_provider: false,
            };
            let block = self.begin(kind, sink);
            self.calls.begin(place, block);
            for piece in self.calls.held(place) {
                self.pass(block, Delta::Arguments(piece.into()), sink);
            }
        }
        // Some providers write an object where the API has its text.
        let whole = value(arguments).map(|whole| whole.to_string());
        let piece = string(arguments).or(whole.map(Into::into));
        let Some(block) = self.calls.block(place) else {
            // The name is still to come.
            if let Some(piece) = piece {
                self.calls.hold(place, piece.into_owned());
            }
            return;
        };
        if let Some(piece) = piece {
            self.pass(block, Delta::Arguments(piece), sink);
        }
        if let Some(signature) = signature(value(call.extra_content)) {
            self.pass(block, Delta::Signature(signature.into()), sink);
        }
    }
}

/// Gemini's signature, as its own chat API has it.
fn signature(extra: Option<Value>) -> Option<String> {
    let signature = extra?
        .pointer("/google/thought_signature")?
        .as_str()?
        .to_owned();
    Some(signature).filter(|signature| !signature.is_empty())
}
