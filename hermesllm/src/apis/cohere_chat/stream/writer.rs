//! Events, written.

use std::collections::BTreeMap;
use std::io::Write as _;

use serde::Serialize;
use serde_json::{json, Map, Value};

use super::super::{citations, ended, finish_reason, logprobs, tools, usage};
use crate::apis::{WriteEvents, WriteOptions};
use crate::representation::{
    BlockKind, Delta, Extension, Losses, ProviderStreamResponse as Event, StopKind, StopReason,
    TokenUsage,
};

/// Where what is lost was.
const MESSAGE: &str = "/choices/0/message";

const SEALED: &str = "only the provider that thought can read signed or encrypted thoughts";

/// Writes a stream. It has one answer: others are lost.
#[derive(Debug)]
pub struct Writer {
    options: WriteOptions,
    blocks: BTreeMap<u32, Block>,
    /// Numbers of what comes next.
    content: u32,
    calls: u32,
    cited: u32,
    /// The thoughts that begin are a plan.
    plans: bool,
    stop: Option<StopReason>,
    usage: Option<TokenUsage>,
    /// Members of `usage` that have no field.
    usage_rest: Map<String, Value>,
}

#[derive(Debug)]
enum Block {
    Text {
        index: u32,
        /// So far, for what its citations are about.
        text: String,
    },
    Thoughts(u32),
    Plan,
    Call {
        index: u32,
        custom: bool,
    },
}

impl Writer {
    /// A writer at the beginning.
    pub fn new(options: WriteOptions) -> Self {
        Self {
            options,
            blocks: BTreeMap::new(),
            content: 0,
            calls: 0,
            cited: 0,
            plans: false,
            stop: None,
            usage: None,
            usage_rest: Map::new(),
        }
    }

    fn block(&mut self, block: u32, kind: BlockKind<'_>, out: &mut Vec<u8>, losses: &mut Losses) {
        let lost = match kind {
            BlockKind::Text | BlockKind::Refusal => {
                if kind == BlockKind::Refusal {
                    losses.approximated(MESSAGE, "a refusal becomes text");
                }
                let index = self.begin_content(out, "text");
                let text = String::new();
                self.blocks.insert(block, Block::Text { index, text });
                return;
            }
            BlockKind::Reasoning { id: _, encrypted } => {
                let own = if std::mem::take(&mut self.plans) {
                    Block::Plan
                } else if encrypted.is_some() {
                    return losses.dropped(MESSAGE, SEALED);
                } else {
                    Block::Thoughts(self.begin_content(out, "thinking"))
                };
                self.blocks.insert(block, own);
                return;
            }
            BlockKind::ToolCall {
                id,
                name,
                custom,
                by_provider: false,
            } => {
                let index = self.begin_call(out, &id, &name);
                if custom {
                    let reason = "free text for a tool becomes an object with one text";
                    losses.approximated(MESSAGE, reason);
                    arguments(out, index, &format!("{{\"{}\":\"", tools::INPUT));
                }
                self.blocks.insert(block, Block::Call { index, custom });
                return;
            }
            BlockKind::ToolCall { .. } => "this API does not show the provider's own tools",
            BlockKind::Media { .. } => "this API streams neither sound nor pictures",
            BlockKind::Other { .. } => "this API has no such content",
        };
        losses.dropped(MESSAGE, lost);
    }

    fn begin_content(&mut self, out: &mut Vec<u8>, kind: &str) -> u32 {
        let index = next(&mut self.content);
        begin(out, "content-start", Some(index));
        let _ = write!(out, ",\"delta\":{{\"message\":{{\"content\":{{\"type\":\"{kind}\",\"{kind}\":\"\"}}}}}}}}\n\n");
        index
    }

    fn begin_call(&mut self, out: &mut Vec<u8>, id: &str, name: &str) -> u32 {
        let index = next(&mut self.calls);
        begin(out, "tool-call-start", Some(index));
        out.extend_from_slice(b",\"delta\":{\"message\":{\"tool_calls\":{\"id\":");
        if id.is_empty() {
            let _ = write!(out, "\"call_{index}\"");
        } else {
            string(out, id);
        }
        out.extend_from_slice(b",\"type\":\"function\",\"function\":{\"name\":");
        string(out, name);
        out.extend_from_slice(b",\"arguments\":\"\"}}}}}\n\n");
        index
    }

    fn delta(&mut self, block: u32, delta: Delta<'_>, out: &mut Vec<u8>, losses: &mut Losses) {
        match (self.blocks.get_mut(&block), delta) {
            (Some(Block::Text { index, text }), Delta::Text(more)) => {
                text.push_str(&more);
                content(out, *index, "text", &more);
            }
            (Some(Block::Text { text, index }), Delta::Citation(citation)) => {
                if !citation.raw.as_ref().is_some_and(citations::is_own) {
                    losses.approximated(MESSAGE, "a citation keeps its address, title and texts");
                }
                let index = usize::try_from(*index).unwrap_or_default();
                if let Some(written) = citations::write(citation, text, index) {
                    let number = next(&mut self.cited);
                    begin(out, "citation-start", Some(number));
                    let _ = write!(
                        out,
                        ",\"delta\":{{\"message\":{{\"citations\":{written}}}}}}}\n\n"
                    );
                    begin(out, "citation-end", Some(number));
                    out.extend_from_slice(b"}\n\n");
                }
            }
            (Some(Block::Thoughts(index)), Delta::Reasoning(more)) => {
                content(out, *index, "thinking", &more);
            }
            (Some(Block::Thoughts(index)), Delta::Summary(_, more)) => {
                losses.approximated(MESSAGE, "a summary of thoughts is shown as thoughts");
                content(out, *index, "thinking", &more);
            }
            (Some(Block::Plan), Delta::Reasoning(more)) => {
                begin(out, "tool-plan-delta", None);
                out.extend_from_slice(b",\"delta\":{\"message\":{\"tool_plan\":");
                string(out, &more);
                out.extend_from_slice(b"}}}\n\n");
            }
            (Some(Block::Call { index, custom }), Delta::Arguments(more)) => {
                if *custom {
                    let quoted = Value::from(&*more).to_string();
                    let inner = quoted.strip_prefix('"').and_then(|q| q.strip_suffix('"'));
                    arguments(out, *index, inner.unwrap_or_default());
                } else {
                    arguments(out, *index, &more);
                }
            }
            (_, Delta::Signature(_) | Delta::Encrypted(_)) => losses.dropped(MESSAGE, SEALED),
            // Told when the block began.
            (None, _) => {}
            (Some(_), _) => losses.dropped(MESSAGE, "this API has no such content here"),
        }
    }

    fn close(&mut self, block: u32, out: &mut Vec<u8>) {
        let (kind, index) = match self.blocks.remove(&block) {
            Some(Block::Text { index, .. } | Block::Thoughts(index)) => ("content-end", index),
            Some(Block::Call { index, custom }) => {
                if custom {
                    arguments(out, index, "\"}");
                }
                ("tool-call-end", index)
            }
            Some(Block::Plan) | None => return,
        };
        begin(out, kind, Some(index));
        out.extend_from_slice(b"}\n\n");
    }

    fn logprobs(&self, items: &Value, out: &mut Vec<u8>, losses: &mut Losses) {
        let index = self.content.saturating_sub(1);
        let at = "/choices/0/logprobs".into();
        for item in items.as_array().into_iter().flatten() {
            let piece = logprobs::write_piece(item, &at, losses);
            begin(out, "content-delta", Some(index));
            let _ = write!(out, ",\"delta\":{{\"message\":{{\"content\":{{\"text\":\"\"}}}}}},\"logprobs\":{piece}}}\n\n");
        }
    }

    fn end(&mut self, out: &mut Vec<u8>, losses: &mut Losses) {
        let word = match self.stop.take() {
            Some(stop) => ended(&stop, losses),
            None if self.calls > 0 => finish_reason(StopKind::ToolCalls),
            None => finish_reason(StopKind::End),
        };
        let mut delta = Map::new();
        delta.insert("finish_reason".to_owned(), word.into());
        if let Some(own) = self.usage.take() {
            let rest = std::mem::take(&mut self.usage_rest).into_iter();
            let rest = rest.map(|(name, value)| Extension {
                name,
                value,
                at: "".into(),
            });
            let own = usage::write(own, rest.collect(), true, losses);
            delta.insert("usage".to_owned(), own);
        }
        begin(out, "message-end", None);
        let delta = Value::Object(delta);
        let _ = write!(out, ",\"delta\":{delta}}}\n\ndata: [DONE]\n\n");
    }
}

/// The number of what comes next.
fn next(number: &mut u32) -> u32 {
    let own = *number;
    *number = number.saturating_add(1);
    own
}

/// Begins an event, its object still open.
fn begin(out: &mut Vec<u8>, kind: &str, index: Option<u32>) {
    // Writing to a Vec cannot fail.
    let _ = write!(out, "event: {kind}\ndata: {{\"type\":\"{kind}\"");
    if let Some(index) = index {
        let _ = write!(out, ",\"index\":{index}");
    }
}

/// A piece of text or thoughts.
fn content(out: &mut Vec<u8>, index: u32, member: &str, text: &str) {
    begin(out, "content-delta", Some(index));
    let _ = write!(
        out,
        ",\"delta\":{{\"message\":{{\"content\":{{\"{member}\":"
    );
    string(out, text);
    out.extend_from_slice(b"}}}}\n\n");
}

/// A piece of a call's arguments.
fn arguments(out: &mut Vec<u8>, index: u32, text: &str) {
    begin(out, "tool-call-delta", Some(index));
    out.extend_from_slice(b",\"delta\":{\"message\":{\"tool_calls\":{\"function\":{\"arguments\":");
    string(out, text);
    out.extend_from_slice(b"}}}}}\n\n");
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
                // Answers name neither model nor date.
                model: _,
                created: _,
                service_tier: _,
                usage,
            } => {
                self.usage = usage;
                let id = if id.is_empty() {
                    &self.options.id
                } else {
                    &*id
                };
                begin(out, "message-start", None);
                out.extend_from_slice(b",\"id\":");
                string(out, id);
                out.extend_from_slice(b",\"delta\":{\"message\":{\"role\":\"assistant\",\"content\":[],\"tool_plan\":\"\",\"tool_calls\":[],\"citations\":[]}}}\n\n");
            }
            Event::BlockStart { choice, .. }
            | Event::Delta { choice, .. }
            | Event::BlockStop { choice, .. }
            | Event::Stop { choice, .. }
            | Event::Logprobs { choice, .. }
                if choice > 0 =>
            {
                losses.dropped("/choices/1", "this API gives one answer");
            }
            Event::BlockStart { block, kind, .. } => self.block(block, kind, out, losses),
            Event::Delta { block, delta, .. } => self.delta(block, delta, out, losses),
            Event::BlockStop { block, .. } => self.close(block, out),
            Event::Stop { reason, .. } => self.stop = Some(reason),
            Event::Usage(own) => match &mut self.usage {
                Some(known) => known.update(&own),
                None => self.usage = Some(own),
            },
            Event::Logprobs { content, .. } => self.logprobs(&content, out, losses),
            Event::Other { kind, mut value } => match &*kind {
                "tool-plan-delta" => self.plans = true,
                "message-end" => {
                    if let Some(Value::Object(rest)) = value.get_mut("usage").map(Value::take) {
                        self.usage_rest = rest;
                    }
                }
                // Signs of life and bookkeeping of another API.
                _ => {}
            },
            Event::Error {
                kind: _,
                status: _,
                message,
            } => {
                begin(out, "message-end", None);
                let delta = json!({"finish_reason": "ERROR", "error": message});
                let _ = write!(out, ",\"delta\":{delta}}}\n\n");
            }
            Event::End => self.end(out, losses),
        }
    }
}
