//! Events, understood.
//!
//! Pieces of text, thoughts and arguments, which are most of a stream, are read in place; everything
//! else through a second look.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::de::IgnoredAny;
use serde::Deserialize;
use serde_json::{json, Map, Value};

use super::super::{citations, logprobs, response, usage};
use crate::apis::{ReadEvents, Sink};
use crate::representation::{BlockKind, Delta, ProviderStreamResponse as Event};

/// The block of the plan; content and calls are numbered after it.
const PLAN: u32 = 0;

#[derive(Deserialize)]
struct Quick<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(default)]
    index: u32,
    #[serde(borrow)]
    delta: QuickDelta<'a>,
    #[serde(default)]
    logprobs: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct QuickDelta<'a> {
    #[serde(borrow)]
    message: QuickMessage<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct QuickMessage<'a> {
    #[serde(borrow)]
    tool_plan: Cow<'a, str>,
    #[serde(borrow)]
    content: QuickContent<'a>,
    #[serde(borrow)]
    tool_calls: QuickCall<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct QuickContent<'a> {
    #[serde(borrow)]
    text: Cow<'a, str>,
    #[serde(borrow)]
    thinking: Cow<'a, str>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct QuickCall<'a> {
    #[serde(borrow)]
    function: QuickFunction<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct QuickFunction<'a> {
    #[serde(borrow)]
    arguments: Cow<'a, str>,
}

/// Reads a stream.
///
/// What only this API has is given as `Other` of these kinds, for the writer of this API:
///
/// | kind | value |
/// | --- | --- |
/// | `tool-plan-delta` | `null`: the thoughts that begin are a plan |
/// | `message-end` | `usage`: its members that have no field |
/// | any other | the event, of a type that is not known or about something that is not there |
#[derive(Debug, Default)]
pub struct Reader {
    ended: bool,
    /// The plan is open.
    plans: bool,
    /// Texts that are open, by their number among the content.
    texts: Vec<u32>,
    /// Calls that are open, and whether arguments have come.
    calls: BTreeMap<u32, bool>,
}

impl ReadEvents for Reader {
    fn event(&mut self, name: Option<&str>, data: &str, sink: &mut Sink<'_>) {
        if self.ended {
            return;
        }
        if let Ok(quick) = serde_json::from_str::<Quick<'_>>(data) {
            if quick.logprobs.is_none() && self.quick(name, quick, sink) {
                return;
            }
        }
        if let Ok(value @ Value::Object(_)) = serde_json::from_str::<Value>(data) {
            self.look(name, value, sink);
        }
    }

    /// The API ends its streams with `message-end`: without it, something was cut.
    fn finish(&mut self, _sink: &mut Sink<'_>) {}
}

impl Reader {
    /// Gives a piece of a kind that is known; `false` for other events.
    fn quick(&mut self, name: Option<&str>, event: Quick<'_>, sink: &mut Sink<'_>) -> bool {
        let kind = match &*event.kind {
            "" => name.unwrap_or_default(),
            kind => kind,
        };
        let message = event.delta.message;
        match kind {
            "content-delta" => {
                let block = of_content(event.index);
                give(block, Delta::Reasoning(message.content.thinking), sink);
                give(block, Delta::Text(message.content.text), sink);
            }
            "tool-plan-delta" => self.plan(message.tool_plan, sink),
            "tool-call-delta" => {
                self.arguments(event.index, message.tool_calls.function.arguments, sink);
            }
            _ => return false,
        }
        true
    }

    fn plan(&mut self, piece: Cow<'_, str>, sink: &mut Sink<'_>) {
        if !self.plans {
            self.plans = true;
            sink(Event::Other {
                kind: "tool-plan-delta".into(),
                value: Value::Null,
            });
            sink(Event::BlockStart {
                choice: 0,
                block: PLAN,
                kind: BlockKind::Reasoning {
                    id: None,
                    encrypted: None,
                },
            });
        }
        give(PLAN, Delta::Reasoning(piece), sink);
    }

    /// Nothing tells that a plan has ended but what comes after it.
    fn end_plan(&mut self, sink: &mut Sink<'_>) {
        if std::mem::take(&mut self.plans) {
            stop(PLAN, sink);
        }
    }

    fn arguments(&mut self, index: u32, piece: Cow<'_, str>, sink: &mut Sink<'_>) {
        if !piece.is_empty() {
            self.calls.insert(index, true);
        }
        give(of_call(index), Delta::Arguments(piece), sink);
    }

    fn look(&mut self, name: Option<&str>, event: Value, sink: &mut Sink<'_>) {
        let kind = event.get("type").and_then(Value::as_str).or(name);
        let kind = kind.unwrap_or_default().to_owned();
        let index = event.get("index").and_then(Value::as_u64).unwrap_or(0);
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        match kind.as_str() {
            "message-start" => {
                let id = event.get("id").and_then(Value::as_str);
                sink(Event::Start {
                    id: id.unwrap_or_default().into(),
                    model: "".into(),
                    created: None,
                    service_tier: None,
                    usage: None,
                });
            }
            "content-start" => self.content_start(index, &event, sink),
            "content-delta" => odd_delta(index, &event, sink),
            "content-end" => {
                self.texts.retain(|open| *open != index);
                stop(of_content(index), sink);
            }
            "tool-plan-delta" => self.plan(text_at(&event, "/delta/message/tool_plan"), sink),
            "tool-call-start" => self.call_start(index, &event, sink),
            "tool-call-delta" => {
                let place = "/delta/message/tool_calls/function/arguments";
                self.arguments(index, text_at(&event, place), sink);
            }
            "tool-call-end" => {
                if self.calls.remove(&index) == Some(false) {
                    // A call without arguments is one with none.
                    give(of_call(index), Delta::Arguments("{}".into()), sink);
                }
                stop(of_call(index), sink);
            }
            "citation-start" => self.citation(event, sink),
            // Begun and ended at once.
            "citation-end" => {}
            "message-end" => self.message_end(&event, sink),
            // An error of what stands before the API has no type.
            _ if event.get("message").is_some_and(Value::is_string) => {
                let message = text_at(&event, "/message");
                self.error(kind, None, &message, sink);
            }
            "" => {}
            _ => sink(Event::Other {
                kind: kind.into(),
                value: event,
            }),
        }
    }

    fn content_start(&mut self, index: u32, event: &Value, sink: &mut Sink<'_>) {
        self.end_plan(sink);
        let text = |key: &str| text_at(event, &format!("/delta/message/content/{key}"));
        let (kind, first) = match &*text("type") {
            "text" | "" => {
                self.texts.push(index);
                (BlockKind::Text, Delta::Text(text("text")))
            }
            "thinking" => {
                let kind = BlockKind::Reasoning {
                    id: None,
                    encrypted: None,
                };
                (kind, Delta::Reasoning(text("thinking")))
            }
            other => {
                let value = event.pointer("/delta/message/content").cloned();
                let kind = BlockKind::Other {
                    kind: other.to_owned().into(),
                    value: value.unwrap_or_default(),
                };
                (kind, Delta::Text("".into()))
            }
        };
        let block = of_content(index);
        sink(Event::BlockStart {
            choice: 0,
            block,
            kind,
        });
        give(block, first, sink);
    }

    fn call_start(&mut self, index: u32, event: &Value, sink: &mut Sink<'_>) {
        self.end_plan(sink);
        let text = |key: &str| text_at(event, &format!("/delta/message/tool_calls/{key}"));
        sink(Event::BlockStart {
            choice: 0,
            block: of_call(index),
            kind: BlockKind::ToolCall {
                id: text("id"),
                name: text("function/name"),
                custom: false,
                by_provider: false,
            },
        });
        self.calls.insert(index, false);
        self.arguments(index, text("function/arguments"), sink);
    }

    fn citation(&mut self, event: Value, sink: &mut Sink<'_>) {
        let found = event.pointer("/delta/message/citations");
        let number = found.and_then(|citation| citation.get("content_index"));
        let number = number.and_then(Value::as_u64);
        let number = number.and_then(|number| u32::try_from(number).ok());
        let number = number.or(self.texts.last().copied());
        let number = number.filter(|number| self.texts.contains(number));
        match (found.filter(|own| citations::is_of_text(own)), number) {
            (Some(found), Some(number)) => {
                for citation in citations::citation(found) {
                    sink(Event::Delta {
                        choice: 0,
                        block: of_content(number),
                        delta: Delta::Citation(citation),
                    });
                }
            }
            // Of thoughts or of a plan, or too late.
            _ => sink(Event::Other {
                kind: "citation-start".into(),
                value: event,
            }),
        }
    }

    fn message_end(&mut self, event: &Value, sink: &mut Sink<'_>) {
        self.end_plan(sink);
        if let Some(found) = event.pointer("/delta/usage").filter(|own| own.is_object()) {
            let (figures, rest) = usage::read(found.clone());
            sink(Event::Usage(figures));
            let rest = rest.into_iter();
            let rest: Map<String, Value> = rest.map(|own| (own.name, own.value)).collect();
            if !rest.is_empty() {
                sink(Event::Other {
                    kind: "message-end".into(),
                    value: json!({ "usage": rest }),
                });
            }
        }
        let word = text_at(event, "/delta/finish_reason");
        let message = text_at(event, "/delta/error");
        if word == "TIMEOUT" && message.is_empty() {
            let meaning = "the generation took too long";
            return self.error(word.into_owned(), Some(504), meaning, sink);
        }
        if !message.is_empty() {
            let kind = match text_at(event, "/delta/error_type") {
                kind if kind.is_empty() => word,
                kind => kind,
            };
            return self.error(kind.into_owned(), None, &message, sink);
        }
        if !word.is_empty() {
            sink(Event::Stop {
                choice: 0,
                reason: response::stop_reason(word.into_owned()),
            });
        }
        self.ended = true;
        sink(Event::End);
    }

    fn error(&mut self, kind: String, status: Option<u16>, message: &str, sink: &mut Sink<'_>) {
        self.ended = true;
        sink(Event::Error {
            kind: kind.into(),
            status,
            message: message.into(),
        });
    }
}

/// A piece of content with log probabilities, or with members of unusual types.
fn odd_delta(index: u32, event: &Value, sink: &mut Sink<'_>) {
    let block = of_content(index);
    let text = |key: &str| text_at(event, &format!("/delta/message/content/{key}"));
    give(block, Delta::Reasoning(text("thinking")), sink);
    give(block, Delta::Text(text("text")), sink);
    let pieces = match event.get("logprobs") {
        Some(Value::Array(list)) => list.as_slice(),
        Some(one) => std::slice::from_ref(one),
        None => &[],
    };
    let pieces: Vec<Value> = pieces.iter().filter_map(logprobs::read_piece).collect();
    if !pieces.is_empty() {
        sink(Event::Logprobs {
            choice: 0,
            content: pieces.into(),
        });
    }
}

/// A text; empty where there is none.
fn text_at<'e>(event: &'e Value, place: &str) -> Cow<'e, str> {
    let text = event.pointer(place).and_then(Value::as_str);
    Cow::Borrowed(text.unwrap_or_default())
}

/// Gives what is added to a block, unless it is nothing.
fn give(block: u32, delta: Delta<'_>, sink: &mut Sink<'_>) {
    let is_empty = match &delta {
        Delta::Text(text) | Delta::Reasoning(text) | Delta::Arguments(text) => text.is_empty(),
        _ => false,
    };
    if !is_empty {
        sink(Event::Delta {
            choice: 0,
            block,
            delta,
        });
    }
}

fn stop(block: u32, sink: &mut Sink<'_>) {
    sink(Event::BlockStop { choice: 0, block });
}

/// The block of content of a number.
fn of_content(index: u32) -> u32 {
    index.saturating_mul(2).saturating_add(1)
}

/// The block of a call of a number.
fn of_call(index: u32) -> u32 {
    index.saturating_mul(2).saturating_add(2)
}
