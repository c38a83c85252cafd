//! Reading events.
//!
//! Blocks are known by `output_index` and `content_index`: identifiers of items may change from
//! event to event (Copilot's do). Each `*.done` gives what no delta gave. What is known of an item
//! that only this API has comes with its `response.output_item.done`, whole; the events of its
//! progress mean nothing beside.

mod whole;

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::Value;

use crate::apis::openai_responses::members::word;
use crate::apis::{ReadEvents, Sink};
use crate::representation::{BlockKind, Delta, ProviderStreamResponse as Event};

/// A text that borrows from the event where it can.
#[derive(Debug, Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// What the frequent events consist of.
#[derive(Debug, Default, Deserialize)]
struct Small<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Option<Text<'a>>,
    #[serde(default)]
    output_index: Option<u32>,
    #[serde(default)]
    content_index: Option<u32>,
    #[serde(default)]
    summary_index: Option<u32>,
    #[serde(borrow, default)]
    delta: Option<Text<'a>>,
    #[serde(borrow, default)]
    text: Option<Text<'a>>,
    #[serde(borrow, default)]
    arguments: Option<Text<'a>>,
    #[serde(borrow, default)]
    input: Option<Text<'a>>,
    #[serde(borrow, default)]
    refusal: Option<Text<'a>>,
    #[serde(borrow, default)]
    logprobs: Option<&'a RawValue>,
}

/// Reads a stream.
#[derive(Debug, Default)]
pub struct Reader {
    ended: bool,
    /// The number of the next block.
    next: u32,
    /// By `output_index`.
    items: BTreeMap<u32, Item>,
    /// Tools are called.
    calls: bool,
}

#[derive(Debug, Default)]
struct Item {
    kind: String,
    /// By `content_index`; what has no content has one block.
    blocks: BTreeMap<u32, Block>,
    done: bool,
}

#[derive(Debug, Default)]
struct Block {
    number: u32,
    /// Bytes of its text, thoughts or arguments that were given.
    seen: usize,
    /// Bytes of each summary that were given.
    summaries: BTreeMap<u32, usize>,
    citations: usize,
    has_logprobs: bool,
    closed: bool,
}

/// What has a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Refusal,
    Reasoning,
    Arguments,
}

impl Kind {
    fn delta(self, text: Cow<'_, str>) -> Delta<'_> {
        match self {
            Self::Text | Self::Refusal => Delta::Text(text),
            Self::Reasoning => Delta::Reasoning(text),
            Self::Arguments => Delta::Arguments(text),
        }
    }

    /// The block that it begins if none is there; arguments do not tell whose they are.
    fn block(self) -> Option<BlockKind<'static>> {
        match self {
            Self::Text => Some(BlockKind::Text),
            Self::Refusal => Some(BlockKind::Refusal),
            Self::Reasoning => Some(BlockKind::Reasoning {
                id: None,
                encrypted: None,
            }),
            Self::Arguments => None,
        }
    }
}

impl ReadEvents for Reader {
    fn event(&mut self, name: Option<&str>, data: &str, sink: &mut Sink<'_>) {
        if self.ended {
            return;
        }
        let Ok(event) = serde_json::from_str::<Small<'_>>(data) else {
            // Members of unexpected types: only events that are read whole make sense of them.
            if let Ok(value) = serde_json::from_str::<Value>(data) {
                let kind = word(&value, "type").or(name).unwrap_or_default().to_owned();
                self.whole(&kind, value, sink);
            }
            return;
        };
        let own = event.kind.as_ref().map(|kind| kind.0.as_ref());
        let kind = own.or(name).unwrap_or_default().to_owned();
        if !self.small(&kind, event, sink) {
            if let Ok(value) = serde_json::from_str::<Value>(data) {
                self.whole(&kind, value, sink);
            }
        }
    }

    fn finish(&mut self, _sink: &mut Sink<'_>) {
        // The end is an event of its own: a stream without it was cut.
    }
}

impl Reader {
    /// Takes an event that is small; `false`: it is none.
    fn small(&mut self, kind: &str, event: Small<'_>, sink: &mut Sink<'_>) -> bool {
        let Small {
            kind: _,
            output_index,
            content_index,
            summary_index,
            delta,
            text,
            arguments,
            input,
            refusal,
            logprobs,
        } = event;
        let place = (output_index.unwrap_or(0), content_index.unwrap_or(0));
        let call = (place.0, 0);
        match kind {
            "response.output_text.delta" => {
                self.delta(place, Kind::Text, delta, sink);
                self.logprobs(place, logprobs, true, sink);
            }
            "response.output_text.done" => {
                self.rest(place, Kind::Text, text, sink);
                self.logprobs(place, logprobs, false, sink);
            }
            "response.refusal.delta" => self.delta(place, Kind::Refusal, delta, sink),
            "response.refusal.done" => self.rest(place, Kind::Refusal, refusal, sink),
            "response.reasoning_text.delta" => self.delta(place, Kind::Reasoning, delta, sink),
            "response.reasoning_text.done" => self.rest(place, Kind::Reasoning, text, sink),
            "response.reasoning_summary_text.delta" => {
                let number = summary_index.unwrap_or(0);
                self.summary(call, number, delta, true, sink);
            }
            "response.reasoning_summary_text.done" => {
                let number = summary_index.unwrap_or(0);
                self.summary(call, number, text, false, sink);
            }
            "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" => {
                self.delta(call, Kind::Arguments, delta, sink);
            }
            "response.function_call_arguments.done" => {
                self.rest(call, Kind::Arguments, arguments, sink);
            }
            "response.custom_tool_call_input.done" => {
                self.rest(call, Kind::Arguments, input, sink);
            }
            _ => return false,
        }
        true
    }

    /// The block of a place; `None`: it has ended, or nothing tells what it is.
    fn block(&mut self, place: (u32, u32), kind: Kind, sink: &mut Sink<'_>) -> Option<&mut Block> {
        let is_there = |item: &Item| item.blocks.contains_key(&place.1);
        if !self.items.get(&place.0).is_some_and(is_there) {
            self.open(place, kind.block()?, sink);
        }
        let block = self.items.get_mut(&place.0)?.blocks.get_mut(&place.1)?;
        (!block.closed).then_some(block)
    }

    fn open(&mut self, place: (u32, u32), kind: BlockKind<'_>, sink: &mut Sink<'_>) {
        let block = self.next;
        self.next += 1;
        self.calls |= matches!(kind, BlockKind::ToolCall { .. });
        sink(Event::BlockStart {
            choice: 0,
            block,
            kind,
        });
        let item = self.items.entry(place.0).or_default();
        let state = Block {
            number: block,
            ..Block::default()
        };
        item.blocks.insert(place.1, state);
    }

    fn delta(
        &mut self,
        place: (u32, u32),
        kind: Kind,
        delta: Option<Text<'_>>,
        sink: &mut Sink<'_>,
    ) {
        let Some(Text(text)) = delta.filter(|delta| !delta.0.is_empty()) else {
            return;
        };
        if let Some(block) = self.block(place, kind, sink) {
            block.seen += text.len();
            sink(Event::Delta {
                choice: 0,
                block: block.number,
                delta: kind.delta(text),
            });
        }
    }

    /// Gives what no delta gave of a whole text.
    fn rest(
        &mut self,
        place: (u32, u32),
        kind: Kind,
        whole: Option<Text<'_>>,
        sink: &mut Sink<'_>,
    ) {
        let Some(Text(whole)) = whole else {
            return;
        };
        let seen = |item: &Item| item.blocks.get(&place.1).map(|block| block.seen);
        let seen = self.items.get(&place.0).and_then(seen).unwrap_or(0);
        if let Some(rest) = whole.get(seen..) {
            self.delta(place, kind, Some(Text(rest.into())), sink);
        }
    }

    fn summary(
        &mut self,
        place: (u32, u32),
        number: u32,
        text: Option<Text<'_>>,
        is_delta: bool,
        sink: &mut Sink<'_>,
    ) {
        let (Some(Text(text)), Some(block)) = (text, self.block(place, Kind::Reasoning, sink))
        else {
            return;
        };
        let seen = block.summaries.entry(number).or_insert(0);
        let from = if is_delta { 0 } else { *seen };
        let Some(rest) = text.get(from..).filter(|rest| !rest.is_empty()) else {
            return;
        };
        *seen += rest.len();
        let rest = match (from, text) {
            (0, text) => text,
            (_, ref whole) => whole.get(from..).unwrap_or_default().to_owned().into(),
        };
        sink(Event::Delta {
            choice: 0,
            block: block.number,
            delta: Delta::Summary(number, rest),
        });
    }

    fn logprobs(
        &mut self,
        place: (u32, u32),
        list: Option<&RawValue>,
        is_delta: bool,
        sink: &mut Sink<'_>,
    ) {
        let Some(list) = list.map(RawValue::get).filter(|list| *list != "[]") else {
            return;
        };
        let Ok(Value::Array(list)) = serde_json::from_str::<Value>(list) else {
            return;
        };
        self.give_logprobs(place, list, is_delta, sink);
    }

    fn give_logprobs(
        &mut self,
        place: (u32, u32),
        list: Vec<Value>,
        is_delta: bool,
        sink: &mut Sink<'_>,
    ) {
        let item = self.items.get_mut(&place.0);
        let Some(block) = item.and_then(|item| item.blocks.get_mut(&place.1)) else {
            return;
        };
        if list.is_empty() || block.closed || block.has_logprobs && !is_delta {
            return;
        }
        block.has_logprobs = true;
        sink(Event::Logprobs {
            choice: 0,
            content: Value::Array(list),
        });
    }
}

fn close(block: &mut Block, sink: &mut Sink<'_>) {
    if !std::mem::replace(&mut block.closed, true) {
        sink(Event::BlockStop {
            choice: 0,
            block: block.number,
        });
    }
}
