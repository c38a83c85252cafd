//! Writing events.
//!
//! Each block is an item of its own but for texts and refusals that follow each other: they are the
//! content of one message, which ends when something else begins. What every `*.done` and the last
//! event repeat is kept until then.

mod blocks;
mod item;
mod thoughts;

use std::collections::BTreeMap;

use serde_json::{json, Value};

use self::item::{Form, Item};
use super::frames::Frame;
use crate::apis::openai_responses::members::derived;
use crate::apis::openai_responses::response::{status_of, type_of, write_stop, Ending, Head};
use crate::apis::{WriteEvents, WriteOptions};
use crate::representation::{Losses, ProviderStreamResponse as Event, TokenUsage};

/// Writes a stream.
#[derive(Debug)]
pub struct Writer {
    options: WriteOptions,
    /// The number of the next event.
    sequence: u64,
    started: bool,
    head: Head,
    items: Vec<Item>,
    /// By the number of the block.
    blocks: BTreeMap<u32, Place>,
    /// Log probabilities that came before their text.
    logprobs: Vec<Value>,
    ending: Option<Ending>,
    usage: Option<TokenUsage>,
}

/// Where a block is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Content of a message.
    Content { item: usize, part: usize },
    /// An item.
    Item(usize),
    /// Sound, of which what is said becomes a text.
    Sound { text: Option<(usize, usize)> },
    /// Nowhere: it is lost.
    Nowhere,
}

impl WriteEvents for Writer {
    fn event(&mut self, event: Event<'_>, out: &mut Vec<u8>, losses: &mut Losses) {
        match event {
            Event::Start {
                id,
                model,
                created,
                service_tier,
                usage,
            } => {
                let or = |text: &str, otherwise: &str| match text {
                    "" => otherwise.to_owned(),
                    text => text.to_owned(),
                };
                self.head = Head {
                    id: or(&id, &self.options.id),
                    model: or(&model, &self.options.model),
                    created: Some(created.unwrap_or(self.options.created)),
                    service_tier: service_tier.map(|tier| tier.into_owned()),
                };
                self.usage = usage;
                self.start(out);
            }
            Event::BlockStart { choice, .. }
            | Event::Delta { choice, .. }
            | Event::BlockStop { choice, .. }
            | Event::Stop { choice, .. }
            | Event::Logprobs { choice, .. }
                if choice > 0 =>
            {
                losses.dropped(format!("/choices/{choice}"), "there is one answer");
            }
            Event::BlockStart { block, kind, .. } => self.open(block, kind, out, losses),
            Event::Delta { block, delta, .. } => self.delta(block, delta, out, losses),
            Event::BlockStop { block, .. } => self.close(block, out),
            Event::Stop { reason, .. } => {
                self.ending = Some(write_stop(reason, false, losses));
            }
            Event::Usage(usage) => {
                let known = self.usage.get_or_insert_with(TokenUsage::default);
                known.update(&usage);
            }
            Event::Logprobs { content, .. } => self.add_logprobs(content, out),
            Event::Other { .. } => {
                losses.dropped("", "an event that only another API has");
            }
            Event::Error {
                kind,
                status,
                message,
            } => self.fail(&kind, status, &message, out, losses),
            Event::End => self.end(out, losses),
        }
    }
}

impl Writer {
    /// A writer at the beginning of a stream.
    pub fn new(options: WriteOptions) -> Self {
        Self {
            options,
            sequence: 0,
            started: false,
            head: Head::default(),
            items: Vec::new(),
            blocks: BTreeMap::new(),
            logprobs: Vec::new(),
            ending: None,
            usage: None,
        }
    }

    fn frame<'o>(&mut self, name: &str, out: &'o mut Vec<u8>) -> Frame<'o> {
        let sequence = self.sequence;
        self.sequence += 1;
        Frame::begin(out, name, sequence)
    }

    /// A frame about an item, and the item's identifier.
    fn item_frame<'o>(
        &mut self,
        name: &str,
        item: usize,
        out: &'o mut Vec<u8>,
    ) -> (Frame<'o>, &str) {
        let frame = self.frame(name, out);
        let item = self.items.get(item);
        (frame, item.map_or("", |item| item.id.as_str()))
    }

    fn start(&mut self, out: &mut Vec<u8>) {
        self.started = true;
        let mut none = Losses::new();
        let document = self
            .head
            .clone()
            .document(false, None, Vec::new(), None, &mut none);
        for name in ["response.created", "response.in_progress"] {
            self.frame(name, out).member("response", &document).end();
        }
    }

    /// The identifier of the next item.
    fn id(&self, prefix: &str) -> String {
        derived(prefix, &self.head.id, self.items.len())
    }

    fn add_logprobs(&mut self, list: Value, out: &mut Vec<u8>) {
        let list = match list {
            Value::Array(list) => list,
            other => vec![other],
        };
        let open = |item: &Item| match &item.form {
            Form::Message(parts) => parts
                .iter()
                .rposition(|part| !part.closed && !part.is_refusal),
            _ => None,
        };
        let mut places = self.items.iter().enumerate().rev();
        let Some((index, number)) = places.find_map(|(index, item)| Some((index, open(item)?)))
        else {
            self.logprobs.extend(list);
            return;
        };
        self.text_delta((index, number), "", &list, out);
        if let Some(part) = self.part(index, number) {
            part.logprobs.extend(list);
        }
    }

    fn end(&mut self, out: &mut Vec<u8>, losses: &mut Losses) {
        self.settle(out);
        if !std::mem::take(&mut self.logprobs).is_empty() {
            let reason = "log probabilities stand with texts";
            losses.dropped("/choices/0/logprobs", reason);
        }
        let ending = self.ending.take().unwrap_or_else(Ending::completed);
        let name = if ending.is_incomplete() {
            "response.incomplete"
        } else {
            "response.completed"
        };
        let document = self.document(&ending, losses);
        self.frame(name, out).member("response", &document).end();
    }

    fn document(&mut self, ending: &Ending, losses: &mut Losses) -> serde_json::Map<String, Value> {
        let output = self.items.iter().map(|item| item.value(true)).collect();
        let usage = self.usage.take();
        let head = std::mem::take(&mut self.head);
        head.document(false, Some(ending), output, usage.as_ref(), losses)
    }

    fn fail(
        &mut self,
        kind: &str,
        status: Option<u16>,
        message: &str,
        out: &mut Vec<u8>,
        losses: &mut Losses,
    ) {
        if !self.started {
            self.head = Head {
                id: self.options.id.clone(),
                model: self.options.model.clone(),
                created: Some(self.options.created),
                service_tier: None,
            };
            self.start(out);
        }
        let code = code_of(kind, status);
        self.frame("error", out)
            .member("code", code)
            .member("message", message)
            .member("param", &Value::Null)
            .end();
        let mut document = self.document(&Ending::failed(), losses);
        let error = json!({"code": code, "message": message});
        document.insert("error".to_owned(), error);
        self.frame("response.failed", out)
            .member("response", &document)
            .end();
    }
}

/// The API's code for an error: the provider's own where it reads like one.
fn code_of(kind: &str, status: Option<u16>) -> &str {
    let reads_like_one = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let is_type = kind.ends_with("_error");
    if status_of(kind).is_some() && kind != "rate_limit_error" {
        return kind;
    }
    if !kind.is_empty() && kind.chars().all(reads_like_one) && !is_type {
        return kind;
    }
    match type_of(kind, status.unwrap_or(500)) {
        "rate_limit_error" => "rate_limit_exceeded",
        "invalid_request_error" => "invalid_prompt",
        "authentication_error" => "invalid_api_key",
        _ => "server_error",
    }
}
