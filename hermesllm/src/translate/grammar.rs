//! The grammar of a streamed answer, whatever the provider's stream did.
//!
//! Stands between a reader and a writer. A writer behind it sees exactly one `Start`, blocks that
//! are opened once and closed once, then for each choice one `Stop`, then the usage once, then one
//! `End`, or at any point one `Error` as the last of all.
//!
//! Stops and usage wait for the end: providers send them in any order, in one event or in several.
//! Nothing else waits, with one exception: for APIs that know one open block at a time
//! ([`Order::Sequential`]) the pieces of a block wait while the one before is open. Parallel tool
//! calls come one after the other in practice; a call whose arguments are a whole JSON document is
//! closed when the next one begins, so that only arguments that really arrive in turns are held.

use std::collections::BTreeMap;

use crate::apis::Sink;
use crate::representation::{
    BlockKind, Delta, ProviderStreamResponse as Event, StopReason, TokenUsage,
};

use super::depth::JsonDepth;

/// How many blocks an API may have open at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Any number, within a choice.
    Interleaved,
    /// One, within a choice.
    Sequential,
}

/// Enforces the grammar.
#[derive(Debug)]
pub struct Grammar {
    order: Order,
    started: bool,
    ended: bool,
    choices: BTreeMap<u32, Choice>,
    usage: Option<TokenUsage>,
}

#[derive(Debug, Default)]
struct Choice {
    /// By the reader's number.
    blocks: BTreeMap<u32, Block>,
    /// The number that the next block gets.
    next: u32,
    stop: Option<StopReason>,
}

#[derive(Debug)]
struct Block {
    /// The number that the writer knows it by; `None` while it waits.
    number: Option<u32>,
    kind: BlockKind<'static>,
    depth: JsonDepth,
    /// The order of its start among all of its choice.
    place: u32,
    /// What waits.
    held: Vec<Delta<'static>>,
    /// The reader has closed it while it waited.
    closed: bool,
}

impl Grammar {
    /// A grammar at its beginning.
    pub fn new(order: Order) -> Self {
        Self {
            order,
            started: false,
            ended: false,
            choices: BTreeMap::new(),
            usage: None,
        }
    }

    /// Whether the answer has ended, with `End` or `Error`.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// Whether the answer has been said to end.
    pub(super) fn has_stopped(&self) -> bool {
        self.choices.values().any(|own| own.stop.is_some())
    }

    /// Goes on with another provider's answer, after `spent`: whatever is open ends, but for a text,
    /// whose number is given.
    pub(super) fn resume(&mut self, spent: Option<TokenUsage>, sink: &mut Sink<'_>) -> Option<u32> {
        self.ended = false;
        self.usage = spent;
        let own = self.choices.get(&0)?;
        let (texts, others): (Vec<_>, Vec<_>) = own
            .blocks
            .iter()
            .partition(|(_, block)| block.number.is_some() && block.kind == BlockKind::Text);
        let text = texts.first().map(|(number, _)| **number);
        let others: Vec<u32> = others.into_iter().map(|(number, _)| *number).collect();
        for block in others {
            self.close(0, block, sink);
        }
        text
    }

    /// Takes an event from a reader.
    pub fn event(&mut self, event: Event<'_>, sink: &mut Sink<'_>) {
        if self.ended {
            return;
        }
        if !self.started && !matches!(event, Event::Start { .. } | Event::Error { .. }) {
            self.started = true;
            sink(Event::Start {
                id: "".into(),
                model: "".into(),
                created: None,
                service_tier: None,
                usage: None,
            });
        }
        match event {
            Event::Start { .. } if self.started => {}
            Event::Start { .. } => {
                self.started = true;
                sink(event);
            }
            Event::BlockStart {
                choice,
                block,
                kind,
            } => self.open(choice, block, kind, sink),
            Event::Delta {
                choice,
                block,
                delta,
            } => self.delta(choice, block, delta, sink),
            Event::BlockStop { choice, block } => self.close(choice, block, sink),
            Event::Stop { choice, reason } => {
                self.choices
                    .entry(choice)
                    .or_default()
                    .stop
                    .get_or_insert(reason);
            }
            Event::Usage(usage) => match &mut self.usage {
                Some(known) => known.update(&usage),
                None => self.usage = Some(usage),
            },
            Event::Logprobs { .. } | Event::Other { .. } => sink(event),
            Event::Error { .. } => {
                self.ended = true;
                sink(event);
            }
            Event::End => self.end(sink),
        }
    }

    fn open(&mut self, choice: u32, block: u32, kind: BlockKind<'_>, sink: &mut Sink<'_>) {
        let own = self.choices.entry(choice).or_default();
        if own.blocks.contains_key(&block) {
            return;
        }
        if self.order == Order::Sequential {
            let done: Vec<u32> = own
                .blocks
                .iter()
                .filter(|(_, open)| open.number.is_some() && open.is_done())
                .map(|(number, _)| *number)
                .collect();
            for number in done {
                self.close(choice, number, sink);
            }
        }
        let Some(own) = self.choices.get_mut(&choice) else {
            return;
        };
        let waits = self.order == Order::Sequential && !own.blocks.is_empty();
        let place = own.blocks.values().map(|b| b.place + 1).max().unwrap_or(0);
        let number = (!waits).then(|| own.number());
        let kind = kind.into_owned();
        if let Some(number) = number {
            sink(Event::BlockStart {
                choice,
                block: number,
                kind: kind.clone(),
            });
        }
        own.blocks.insert(
            block,
            Block {
                number,
                kind,
                depth: JsonDepth::default(),
                place,
                held: Vec::new(),
                closed: false,
            },
        );
    }

    fn delta(&mut self, choice: u32, block: u32, delta: Delta<'_>, sink: &mut Sink<'_>) {
        let is_open = |own: &Choice| own.blocks.contains_key(&block);
        if !self.choices.get(&choice).is_some_and(is_open) {
            self.open(choice, block, kind_of(&delta), sink);
        }
        let own = self.choices.get_mut(&choice);
        let Some(open) = own.and_then(|own| own.blocks.get_mut(&block)) else {
            return;
        };
        if let Delta::Arguments(piece) = &delta {
            open.depth.push(piece.as_bytes());
        }
        match open.number {
            Some(number) => sink(Event::Delta {
                choice,
                block: number,
                delta,
            }),
            None => open.held.push(delta.into_owned()),
        }
    }

    fn close(&mut self, choice: u32, block: u32, sink: &mut Sink<'_>) {
        let Some(own) = self.choices.get_mut(&choice) else {
            return;
        };
        let Some(open) = own.blocks.get_mut(&block) else {
            return;
        };
        let Some(number) = open.number else {
            open.closed = true;
            return;
        };
        own.blocks.remove(&block);
        sink(Event::BlockStop {
            choice,
            block: number,
        });
        self.release(choice, sink);
    }

    /// Lets blocks go that waited for the one before.
    fn release(&mut self, choice: u32, sink: &mut Sink<'_>) {
        while let Some(own) = self.choices.get_mut(&choice) {
            if own.blocks.values().any(|open| open.number.is_some()) {
                return;
            }
            let first = own.blocks.iter().min_by_key(|(_, block)| block.place);
            let Some(key) = first.map(|(key, _)| *key) else {
                return;
            };
            let number = own.number();
            let more_wait = own.blocks.len() > 1;
            let Some(block) = own.blocks.get_mut(&key) else {
                return;
            };
            block.number = Some(number);
            sink(Event::BlockStart {
                choice,
                block: number,
                kind: block.kind.clone(),
            });
            for delta in std::mem::take(&mut block.held) {
                sink(Event::Delta {
                    choice,
                    block: number,
                    delta,
                });
            }
            if !(block.closed || more_wait && block.is_done()) {
                return;
            }
            own.blocks.remove(&key);
            sink(Event::BlockStop {
                choice,
                block: number,
            });
        }
    }

    fn end(&mut self, sink: &mut Sink<'_>) {
        self.ended = true;
        let choices: Vec<u32> = self.choices.keys().copied().collect();
        for choice in &choices {
            // Those that wait are let go by each close.
            while let Some(open) = self.first_open(*choice) {
                self.close(*choice, open, sink);
            }
        }
        for (choice, own) in std::mem::take(&mut self.choices) {
            if let Some(reason) = own.stop {
                sink(Event::Stop { choice, reason });
            }
        }
        if let Some(usage) = self.usage.take() {
            sink(Event::Usage(usage));
        }
        sink(Event::End);
    }

    fn first_open(&self, choice: u32) -> Option<u32> {
        let own = self.choices.get(&choice)?;
        let mut open = own.blocks.iter();
        open.find(|(_, block)| block.number.is_some())
            .map(|(key, _)| *key)
    }
}

impl Choice {
    fn number(&mut self) -> u32 {
        let number = self.next;
        self.next += 1;
        number
    }
}

impl Block {
    /// Whether nothing more is to be expected once another block begins.
    fn is_done(&self) -> bool {
        match self.kind {
            BlockKind::ToolCall { custom: false, .. } => self.depth.is_complete(),
            BlockKind::ToolCall { custom: true, .. } => false,
            _ => true,
        }
    }
}

/// The kind of a block that was never opened.
pub(super) fn kind_of(delta: &Delta<'_>) -> BlockKind<'static> {
    match delta {
        Delta::Text(_) | Delta::Citation(_) => BlockKind::Text,
        Delta::Data(_) | Delta::Transcript(_) => BlockKind::Media {
            media_type: "".into(),
        },
        Delta::Reasoning(_) | Delta::Summary(..) | Delta::Signature(_) | Delta::Encrypted(_) => {
            BlockKind::Reasoning {
                id: None,
                encrypted: None,
            }
        }
        Delta::Arguments(_) => BlockKind::ToolCall {
            id: "".into(),
            name: "".into(),
            custom: false,
            by_provider: false,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(order: Order, events: Vec<Event<'static>>) -> Vec<String> {
        let mut grammar = Grammar::new(order);
        let mut seen = Vec::new();
        for event in events {
            grammar.event(event, &mut |event| {
                seen.push(match event {
                    Event::Start { .. } => "start".to_owned(),
                    Event::BlockStart { block, .. } => format!("+{block}"),
                    Event::Delta { block, delta, .. } => match delta {
                        Delta::Text(text) | Delta::Arguments(text) => format!("{block}:{text}"),
                        _ => format!("{block}:?"),
                    },
                    Event::BlockStop { block, .. } => format!("-{block}"),
                    Event::Stop { .. } => "stop".to_owned(),
                    Event::Usage(usage) => format!("usage {:?}", usage.output),
                    Event::Error { .. } => "error".to_owned(),
                    Event::End => "end".to_owned(),
                    _ => "other".to_owned(),
                });
            });
        }
        seen
    }

    fn tool(block: u32) -> Event<'static> {
        Event::BlockStart {
            choice: 0,
            block,
            kind: BlockKind::ToolCall {
                id: "".into(),
                name: "".into(),
                custom: false,
                by_provider: false,
            },
        }
    }

    fn arguments(block: u32, text: &'static str) -> Event<'static> {
        Event::Delta {
            choice: 0,
            block,
            delta: Delta::Arguments(text.into()),
        }
    }

    fn text(block: u32, text: &'static str) -> Event<'static> {
        Event::Delta {
            choice: 0,
            block,
            delta: Delta::Text(text.into()),
        }
    }

    fn stop() -> Event<'static> {
        Event::Stop {
            choice: 0,
            reason: StopReason {
                kind: crate::representation::StopKind::End,
                raw: "stop".to_owned(),
                sequence: None,
            },
        }
    }

    #[test]
    fn starts_stops_and_usage_come_once_and_in_order() {
        let usage = |output| {
            Event::Usage(TokenUsage {
                output: Some(output),
                ..TokenUsage::default()
            })
        };
        let events = vec![
            usage(1),
            stop(),
            text(4, "late"),
            stop(),
            usage(2),
            Event::End,
            Event::End,
            text(5, "after"),
        ];
        assert_eq!(
            run(Order::Sequential, events),
            [
                "start",
                "+0",
                "0:late",
                "-0",
                "stop",
                "usage Some(2)",
                "end"
            ]
        );
    }

    #[test]
    fn calls_that_come_one_after_the_other_wait_for_nothing() {
        let events = vec![
            text(0, "hm"),
            tool(1),
            arguments(1, "{\"a\":"),
            arguments(1, "\"}\"}"),
            tool(2),
            arguments(2, "{}"),
        ];
        assert_eq!(
            run(Order::Sequential, events),
            [
                "start",
                "+0",
                "0:hm",
                "-0",
                "+1",
                "1:{\"a\":",
                "1:\"}\"}",
                "-1",
                "+2",
                "2:{}"
            ]
        );
    }

    #[test]
    fn calls_that_come_in_turns_are_put_one_after_the_other_or_left_as_they_are() {
        let events = || {
            vec![
                tool(0),
                arguments(0, "{"),
                tool(1),
                arguments(1, "{\"b\""),
                arguments(0, "}"),
                arguments(1, ":1}"),
                Event::End,
            ]
        };
        assert_eq!(
            run(Order::Sequential, events()),
            ["start", "+0", "0:{", "0:}", "-0", "+1", "1:{\"b\"", "1::1}", "-1", "end"]
        );
        assert_eq!(
            run(Order::Interleaved, events()),
            ["start", "+0", "0:{", "+1", "1:{\"b\"", "0:}", "1::1}", "-0", "-1", "end"]
        );
    }

    #[test]
    fn nothing_comes_after_an_error() {
        let error = Event::Error {
            kind: "overloaded".into(),
            status: None,
            message: "".into(),
        };
        assert_eq!(
            run(Order::Sequential, vec![error, text(0, "x"), Event::End]),
            ["error"]
        );
    }
}
