//! Events of a stream, written.

mod frames;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::apis::anthropic_messages::content::{in_answer, is_own_block, write_citation};
use crate::apis::anthropic_messages::put_rest;
use crate::apis::anthropic_messages::response::{is_own, kind_of, write_stop};
use crate::apis::anthropic_messages::usage::{write_tier, write_usage};
use crate::apis::{WriteEvents, WriteOptions};
use crate::representation::{
    BlockKind, Delta, Extension, Losses, Pointer, ProviderStreamResponse as Event, StopReason,
    TokenUsage,
};

use frames::{begin_delta, begin_start, end, escaped, event, stop_block, text_delta, TextDelta};

/// Writes a stream. Wants blocks one after the other: [`Order::Sequential`](crate::translate::Order).
#[derive(Debug, Default)]
pub struct Writer {
    options: WriteOptions,
    /// The answer's identifier.
    id: String,
    /// The block that is open, by the number it comes with.
    open: BTreeMap<u32, Open>,
    /// The number that the next block gets here.
    next: u32,
    /// Calls so far.
    calls: usize,
    /// Tools of the client's are called.
    has_calls: bool,
    stop: Option<StopReason>,
    usage: TokenUsage,
    /// Members of the next block that only this API has.
    beside: Option<Map<String, Value>>,
    /// Members of `message_delta` that only this API has.
    at_end: Map<String, Value>,
}

/// A block that is open.
#[derive(Debug)]
struct Open {
    /// Its number here; `None` while it is not known what it will be.
    index: Option<u32>,
    form: Form,
}

#[derive(Debug)]
enum Form {
    Text,
    /// Thoughts: text, or such as only the provider can read, or both in turn.
    Thoughts {
        encrypted: String,
        /// The summary that is being written.
        summary: Option<u32>,
    },
    Call {
        custom: bool,
    },
    /// One that only this API has.
    Own,
    /// One that this API has no place for.
    Lost,
}

impl Writer {
    /// A writer at the beginning of a stream.
    pub fn new(options: WriteOptions) -> Self {
        Self {
            options,
            ..Self::default()
        }
    }
}

impl WriteEvents for Writer {
    fn event(&mut self, event: Event<'_>, out: &mut Vec<u8>, losses: &mut Losses) {
        match event {
            Event::Start {
                id,
                model,
                // HTTP has the date.
                created: _,
                service_tier,
                usage,
            } => {
                let usage = usage.unwrap_or_default();
                self.start(&id, &model, service_tier.as_deref(), usage, out, losses);
            }
            Event::BlockStart { choice, .. }
            | Event::Delta { choice, .. }
            | Event::BlockStop { choice, .. }
            | Event::Stop { choice, .. }
            | Event::Logprobs { choice, .. }
                if choice > 0 =>
            {
                losses.dropped(format!("/{choice}"), "the other API gives one answer");
            }
            Event::BlockStart { block, kind, .. } => self.block_start(block, kind, out, losses),
            Event::Delta { block, delta, .. } => self.delta(block, delta, out, losses),
            Event::BlockStop { block, .. } => self.block_stop(block, out),
            Event::Stop { reason, .. } => self.stop = Some(reason),
            Event::Usage(usage) => self.usage.update(&usage),
            Event::Logprobs { .. } => {
                let reason = "the other API gives no log probabilities";
                losses.dropped("/0/logprobs", reason);
            }
            Event::Other { kind, value } => self.other(&kind, value, out, losses),
            Event::Error {
                kind,
                status,
                message,
            } => frames::error(kind_of(&kind, status), &message, out),
            Event::End => self.end(out, losses),
        }
    }
}

impl Writer {
    fn start(
        &mut self,
        id: &str,
        model: &str,
        service_tier: Option<&str>,
        usage: TokenUsage,
        out: &mut Vec<u8>,
        losses: &mut Losses,
    ) {
        let or = |told: &str, own: &str| {
            if told.is_empty() {
                own.to_owned()
            } else {
                told.to_owned()
            }
        };
        self.id = or(id, &self.options.id);
        let model = or(model, &self.options.model);
        self.usage = usage.clone();
        let mut usage = write_usage(usage, losses);
        // What it comes from is not told: a word that is one of this API's stays.
        if let Some(tier) = service_tier.and_then(|tier| write_tier(tier, false, losses)) {
            usage.insert("service_tier".to_owned(), tier.into());
        }
        frames::message_start(&self.id, &model, usage, out);
    }

    fn block_start(
        &mut self,
        block: u32,
        kind: BlockKind<'_>,
        out: &mut Vec<u8>,
        losses: &mut Losses,
    ) {
        let at = || place(block);
        let beside = self.beside.take();
        let mut content = Map::new();
        let mut put = |key: &str, value: &str| content.insert(key.to_owned(), value.into());
        let form = match kind {
            BlockKind::Text | BlockKind::Refusal => {
                if kind == BlockKind::Refusal {
                    let reason = "the other API has no refusals beside text";
                    losses.approximated(at(), reason);
                }
                put("type", "text");
                put("text", "");
                Form::Text
            }
            BlockKind::Reasoning { id, encrypted } => {
                if id.is_some() {
                    let reason = "the other API gives thoughts no identifiers";
                    losses.dropped(at(), reason);
                }
                // It is thoughts or encrypted thoughts by what comes.
                let form = Form::Thoughts {
                    encrypted: encrypted.map(|data| data.into_owned()).unwrap_or_default(),
                    summary: None,
                };
                self.beside = beside;
                self.open.insert(block, Open { index: None, form });
                return;
            }
            BlockKind::ToolCall {
                id,
                name,
                custom,
                by_provider,
            } => {
                let is_mcp = beside
                    .as_ref()
                    .is_some_and(|b| b.contains_key("server_name"));
                put(
                    "type",
                    match (by_provider, is_mcp) {
                        (true, true) => "mcp_tool_use",
                        (true, false) => "server_tool_use",
                        (false, _) => "tool_use",
                    },
                );
                put("id", &in_answer(&id, &self.id, self.calls));
                put("name", &name);
                content.insert("input".to_owned(), Value::Object(Map::new()));
                self.calls += 1;
                self.has_calls |= !by_provider;
                if custom {
                    let reason = "the other API has no tools that take free text";
                    losses.approximated(at(), reason);
                }
                Form::Call { custom }
            }
            BlockKind::Media { media_type: _ } => {
                losses.dropped(at(), "the other API answers with text only");
                Form::Lost
            }
            BlockKind::Other { kind, value } => match value {
                Value::Object(value) if is_own_block(&kind) => {
                    content = value;
                    Form::Own
                }
                _ => {
                    losses.dropped(at(), "the other API has no such content");
                    Form::Lost
                }
            },
        };
        let index = match form {
            Form::Lost => None,
            _ => Some(self.begin(content, beside, out)),
        };
        if let (Form::Call { custom: true }, Some(index)) = (&form, index) {
            text_delta(index, TextDelta::Json, "{\"input\":\"", out);
        }
        self.open.insert(block, Open { index, form });
    }

    /// Writes the start of a block; gives its number.
    fn begin(
        &mut self,
        mut content: Map<String, Value>,
        beside: Option<Map<String, Value>>,
        out: &mut Vec<u8>,
    ) -> u32 {
        let index = self.next;
        self.next += 1;
        for (key, value) in beside.into_iter().flatten() {
            content.entry(key).or_insert(value);
        }
        begin_start(index, out);
        frames::value(&Value::Object(content), out);
        end(out);
        index
    }

    /// The number of a block of thoughts, which begins now if it has not.
    fn thoughts(&mut self, block: u32, out: &mut Vec<u8>) -> u32 {
        let known = self.open.get(&block).and_then(|open| open.index);
        if let Some(index) = known {
            return index;
        }
        let mut content = Map::new();
        content.insert("type".to_owned(), "thinking".into());
        content.insert("thinking".to_owned(), "".into());
        content.insert("signature".to_owned(), "".into());
        let beside = self.beside.take();
        let index = self.begin(content, beside, out);
        if let Some(open) = self.open.get_mut(&block) {
            open.index = Some(index);
        }
        index
    }

    fn delta(&mut self, block: u32, delta: Delta<'_>, out: &mut Vec<u8>, losses: &mut Losses) {
        let Some(open) = self.open.get_mut(&block) else {
            return;
        };
        match (&mut open.form, delta) {
            (Form::Thoughts { .. }, Delta::Reasoning(text) | Delta::Text(text)) => {
                let index = self.thoughts(block, out);
                text_delta(index, TextDelta::Thinking, &text, out);
            }
            (Form::Thoughts { .. }, Delta::Signature(signature)) => {
                let index = self.thoughts(block, out);
                text_delta(index, TextDelta::Signature, &signature, out);
            }
            (Form::Thoughts { summary, .. }, Delta::Summary(number, text)) => {
                let begins = summary.is_some_and(|current| current != number);
                *summary = Some(number);
                let reason = "the other API has no summaries beside thoughts";
                losses.approximated(place(block), reason);
                let index = self.thoughts(block, out);
                if begins {
                    text_delta(index, TextDelta::Thinking, "\n\n", out);
                }
                text_delta(index, TextDelta::Thinking, &text, out);
            }
            (Form::Thoughts { encrypted, .. }, Delta::Encrypted(data)) => encrypted.push_str(&data),
            (Form::Lost, _) => {}
            (_, Delta::Signature(_)) => {
                let reason = "the other API signs nothing but thoughts";
                losses.dropped(place(block), reason);
            }
            (form, delta) => {
                let Some(index) = open.index else { return };
                match (form, delta) {
                    (Form::Text, Delta::Text(text)) => {
                        text_delta(index, TextDelta::Text, &text, out);
                    }
                    (Form::Text, Delta::Citation(citation)) => {
                        let at = Pointer::from(place(block));
                        if let Some(raw) = write_citation(citation, false, true, &at, losses) {
                            begin_delta(index, "citations_delta", "citation", out);
                            frames::value(&raw, out);
                            frames::end_delta(out);
                        }
                    }
                    (Form::Call { custom: true }, Delta::Arguments(text)) => {
                        text_delta(index, TextDelta::Json, &escaped(&text), out);
                    }
                    (Form::Call { .. } | Form::Own, Delta::Arguments(text)) => {
                        text_delta(index, TextDelta::Json, &text, out);
                    }
                    _ => losses.dropped(place(block), "the other API has no place for this here"),
                }
            }
        }
    }

    fn block_stop(&mut self, block: u32, out: &mut Vec<u8>) {
        let Some(open) = self.open.remove(&block) else {
            return;
        };
        if let (Form::Call { custom: true }, Some(index)) = (&open.form, open.index) {
            text_delta(index, TextDelta::Json, "\"}", out);
        }
        if let Some(index) = open.index {
            stop_block(index, out);
        }
        if let Form::Thoughts { encrypted, .. } = open.form {
            if !encrypted.is_empty() {
                let mut content = Map::new();
                content.insert("type".to_owned(), "redacted_thinking".into());
                content.insert("data".to_owned(), encrypted.into());
                let beside = self.beside.take();
                let index = self.begin(content, beside, out);
                stop_block(index, out);
            }
            // Of thoughts that nothing came of.
            self.beside = None;
        }
    }

    /// What the reader of this API has set apart for it.
    fn other(&mut self, kind: &str, value: Value, out: &mut Vec<u8>, losses: &mut Losses) {
        match (kind, value) {
            ("content_block_start", Value::Object(mut members)) => {
                members.shift_remove("index");
                self.beside = Some(members);
            }
            ("message_delta", Value::Object(members)) => self.at_end.extend(members),
            ("content_block_delta", Value::Object(mut delta)) => {
                // The block is the one that is open.
                let index = self.open.values().find_map(|open| open.index);
                if let Some(index) = index {
                    delta.insert("index".to_owned(), index.into());
                    event(kind, &Value::Object(delta), out);
                }
            }
            _ => losses.dropped("", "the other API has no such event"),
        }
    }

    fn end(&mut self, out: &mut Vec<u8>, losses: &mut Losses) {
        let mut delta = Map::new();
        let stop = self.stop.take().unwrap_or_else(|| StopReason {
            kind: crate::representation::StopKind::End,
            raw: String::new(),
            sequence: None,
        });
        let sequence = stop.sequence.clone();
        let same = is_own(&stop.raw) && !(self.has_calls && stop.raw == "end_turn");
        let reason = write_stop(stop, self.has_calls, same, losses);
        delta.insert("stop_reason".to_owned(), reason.into());
        delta.insert(
            "stop_sequence".to_owned(),
            sequence.map_or(Value::Null, Value::String),
        );
        let usage = write_usage(std::mem::take(&mut self.usage), losses);
        let mut message = Map::new();
        message.insert("type".to_owned(), "message_delta".into());
        message.insert("delta".to_owned(), Value::Object(delta));
        message.insert("usage".to_owned(), Value::Object(usage));
        let extensions = std::mem::take(&mut self.at_end).into_iter();
        let extensions = extensions.map(|(name, value)| Extension {
            name,
            value,
            at: Pointer::default(),
        });
        put_rest(&mut message, extensions.collect(), true, &[], losses);
        event("message_delta", &Value::Object(message), out);
        frames::message_stop(out);
    }
}

/// Where a block is in the answer that the stream adds up to.
fn place(block: u32) -> String {
    format!("/0/{block}")
}
