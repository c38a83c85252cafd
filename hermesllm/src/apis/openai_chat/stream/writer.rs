//! Chunks, written.

use std::collections::BTreeMap;
use std::io::Write as _;

use serde::Serialize;
use serde_json::{json, Value};

use super::super::{content, finish_reason, response, usage};
use crate::apis::{WriteEvents, WriteOptions};
use crate::representation::{
    BlockKind, Delta, Losses, ProviderStreamResponse as Event, StopKind, TokenUsage,
};

/// Writes chunks.
#[derive(Debug)]
pub struct Writer {
    options: WriteOptions,
    /// What each chunk begins with, up to its choices.
    head: Vec<u8>,
    blocks: BTreeMap<(u32, u32), Block>,
    /// Calls so far, by choice.
    calls: BTreeMap<u32, u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Block {
    Text,
    Refusal,
    Reasoning,
    Call {
        number: u32,
        custom: bool,
    },
    Audio,
    /// Without a form in this API.
    None,
}

impl Writer {
    /// A writer at the beginning.
    pub fn new(options: WriteOptions) -> Self {
        Self {
            options,
            head: Vec::new(),
            blocks: BTreeMap::new(),
            calls: BTreeMap::new(),
        }
    }

    fn start(&mut self, id: &str, model: &str, created: Option<u64>, tier: Option<&str>) {
        let id = if id.is_empty() { &self.options.id } else { id };
        let model = if model.is_empty() {
            &self.options.model
        } else {
            model
        };
        let created = created.unwrap_or(self.options.created);
        let head = &mut self.head;
        head.extend_from_slice(b"data: {\"id\":");
        string(head, id);
        // Writing to a Vec cannot fail.
        let _ = write!(
            head,
            ",\"object\":\"chat.completion.chunk\",\"created\":{created},\"model\":"
        );
        string(head, model);
        if let Some(tier) = tier {
            head.extend_from_slice(b",\"service_tier\":");
            string(head, tier);
        }
    }

    /// A chunk with one choice, whose delta is written by `delta`.
    fn chunk(&self, out: &mut Vec<u8>, choice: u32, delta: impl FnOnce(&mut Vec<u8>)) {
        self.open(out, choice);
        delta(out);
        out.extend_from_slice(b"},\"finish_reason\":null}]}\n\n");
    }

    fn open(&self, out: &mut Vec<u8>, choice: u32) {
        out.extend_from_slice(&self.head);
        let _ = write!(out, ",\"choices\":[{{\"index\":{choice},\"delta\":{{");
    }

    /// A chunk with one text in its delta.
    fn text(&self, out: &mut Vec<u8>, choice: u32, member: &str, text: &str) {
        self.chunk(out, choice, |out| {
            let _ = write!(out, "\"{member}\":");
            string(out, text);
        });
    }

    fn value(&self, out: &mut Vec<u8>, choice: u32, member: &str, value: &Value) {
        self.chunk(out, choice, |out| {
            let _ = write!(out, "\"{member}\":{value}");
        });
    }

    fn block(
        &mut self,
        choice: u32,
        block: u32,
        kind: BlockKind<'_>,
        out: &mut Vec<u8>,
        losses: &mut Losses,
    ) {
        let place = || format!("/choices/{choice}/message");
        let own = match kind {
            BlockKind::Text => Block::Text,
            BlockKind::Refusal => Block::Refusal,
            BlockKind::Reasoning { id, encrypted } => {
                if let Some(data) = encrypted {
                    let detail = json!([{"type": "reasoning.encrypted", "data": data, "id": id}]);
                    self.value(out, choice, "reasoning_details", &detail);
                }
                Block::Reasoning
            }
            BlockKind::ToolCall {
                by_provider: true, ..
            } => {
                losses.dropped(place(), "this API does not show the provider's own tools");
                Block::None
            }
            BlockKind::ToolCall {
                id, name, custom, ..
            } => {
                let next = self.calls.entry(choice).or_default();
                let number = *next;
                *next = next.saturating_add(1);
                let id = if id.is_empty() {
                    format!("call_{choice}_{number}")
                } else {
                    id.into_owned()
                };
                self.chunk(out, choice, |out| {
                    let _ = write!(out, "\"tool_calls\":[{{\"index\":{number},\"id\":");
                    string(out, &id);
                    let (kind, text) = forms(custom);
                    let _ = write!(out, ",\"type\":\"{kind}\",\"{kind}\":{{\"name\":");
                    string(out, &name);
                    let _ = write!(out, ",\"{text}\":\"\"}}}}]");
                });
                Block::Call { number, custom }
            }
            BlockKind::Media { media_type } if !media_type.starts_with("image/") => Block::Audio,
            BlockKind::Media { .. } => {
                losses.dropped(place(), "this API streams no pictures");
                Block::None
            }
            BlockKind::Other { .. } => {
                losses.dropped(place(), "this API has no such content");
                Block::None
            }
        };
        self.blocks.insert((choice, block), own);
    }

    fn delta(
        &mut self,
        choice: u32,
        block: u32,
        delta: Delta<'_>,
        out: &mut Vec<u8>,
        losses: &mut Losses,
    ) {
        let own = self.blocks.get(&(choice, block)).copied();
        match (own.unwrap_or(Block::None), delta) {
            (Block::None, _) => {}
            (Block::Refusal, Delta::Text(text)) => self.text(out, choice, "refusal", &text),
            (_, Delta::Text(text)) => self.text(out, choice, "content", &text),
            (_, Delta::Reasoning(text) | Delta::Summary(_, text)) => {
                self.text(out, choice, "reasoning_content", &text);
            }
            (Block::Reasoning, Delta::Signature(text)) => {
                let detail = json!([{"type": "reasoning.text", "signature": text}]);
                self.value(out, choice, "reasoning_details", &detail);
            }
            (Block::Call { number, .. }, Delta::Signature(text)) => {
                let extra = json!([{"index": number, "extra_content": {"google": {"thought_signature": text}}}]);
                self.value(out, choice, "tool_calls", &extra);
            }
            (_, Delta::Signature(_)) => {
                let place = format!("/choices/{choice}/message");
                losses.dropped(place, "this API has no place for a signature here");
            }
            (_, Delta::Encrypted(text)) => {
                let detail = json!([{"type": "reasoning.encrypted", "data": text}]);
                self.value(out, choice, "reasoning_details", &detail);
            }
            (Block::Call { number, custom }, Delta::Arguments(text)) => {
                self.chunk(out, choice, |out| {
                    let (kind, member) = forms(custom);
                    let _ = write!(
                        out,
                        "\"tool_calls\":[{{\"index\":{number},\"{kind}\":{{\"{member}\":"
                    );
                    string(out, &text);
                    out.extend_from_slice(b"}}]");
                });
            }
            (_, Delta::Arguments(_)) => {}
            (_, Delta::Citation(citation)) => match content::annotation(citation, false) {
                Some(note) => self.value(out, choice, "annotations", &json!([note])),
                None => {
                    let place = format!("/choices/{choice}/message/content");
                    losses.dropped(place, "this API cites web pages only");
                }
            },
            (_, Delta::Data(data)) => {
                self.value(out, choice, "audio", &json!({"data": data}));
            }
            (_, Delta::Transcript(text)) => {
                self.value(out, choice, "audio", &json!({"transcript": text}));
            }
        }
    }

    fn usage(&self, own: TokenUsage, out: &mut Vec<u8>) {
        if !self.options.include_usage {
            return;
        }
        out.extend_from_slice(&self.head);
        let own = usage::write(own, Vec::new());
        let _ = write!(out, ",\"choices\":[],\"usage\":{own}}}\n\n");
    }
}

/// What a call is called, and what its arguments are.
fn forms(custom: bool) -> (&'static str, &'static str) {
    if custom {
        ("custom", "input")
    } else {
        ("function", "arguments")
    }
}

fn string(out: &mut Vec<u8>, text: &str) {
    // Writing a text to a Vec cannot fail.
    let _ = text.serialize(&mut serde_json::Serializer::new(out));
}

impl WriteEvents for Writer {
    fn event(&mut self, event: Event<'_>, out: &mut Vec<u8>, losses: &mut Losses) {
        match event {
            Event::Start {
                id,
                model,
                created,
                service_tier,
                usage: _,
            } => {
                self.start(&id, &model, created, service_tier.as_deref());
                self.chunk(out, 0, |out| {
                    out.extend_from_slice(b"\"role\":\"assistant\",\"content\":\"\"");
                });
            }
            Event::BlockStart {
                choice,
                block,
                kind,
            } => self.block(choice, block, kind, out, losses),
            Event::Delta {
                choice,
                block,
                delta,
            } => self.delta(choice, block, delta, out, losses),
            Event::BlockStop { choice, block } => {
                self.blocks.remove(&(choice, block));
            }
            Event::Stop { choice, reason } => {
                if reason.kind == StopKind::Pause {
                    let place = format!("/choices/{choice}");
                    losses.approximated(place, "a pause looks like an end");
                }
                self.open(out, choice);
                let word = finish_reason(reason.kind, &reason.raw);
                let _ = write!(out, "}},\"finish_reason\":\"{word}\"}}]}}\n\n");
            }
            Event::Usage(usage) => self.usage(usage, out),
            Event::Logprobs { choice, content } => {
                self.open(out, choice);
                let _ = write!(
                    out,
                    "}},\"logprobs\":{{\"content\":{content}}},\"finish_reason\":null}}]}}\n\n"
                );
            }
            // Signs of life and bookkeeping of another API.
            Event::Other { .. } => {}
            Event::Error {
                kind,
                status,
                message,
            } => {
                let kind = response::kind_of(status.unwrap_or(500), &kind);
                let code = status.map(|status| status.to_string());
                let error = json!({"error": {
                    "message": message, "type": kind, "param": null, "code": code,
                }});
                let _ = write!(out, "data: {error}\n\n");
            }
            Event::End => out.extend_from_slice(b"data: [DONE]\n\n"),
        }
    }
}
