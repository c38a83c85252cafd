//! Events that are read whole: the beginning and the end, items and parts.

use std::borrow::Cow;

use serde_json::Value;

use super::{close, Item, Kind, Reader, Text};
use crate::apis::object::Object;
use crate::apis::openai_responses::content::citation;
use crate::apis::openai_responses::items::signature_of;
use crate::apis::openai_responses::members::word;
use crate::apis::openai_responses::response::{read_stop, read_usage, status_of};
use crate::apis::Sink;
use crate::representation::{BlockKind, Delta, ProviderStreamResponse as Event};

impl Reader {
    /// Takes an event that is read whole.
    pub(super) fn whole(&mut self, kind: &str, mut event: Value, sink: &mut Sink<'_>) {
        let number = |key: &str| {
            let number = event.get(key).and_then(Value::as_u64);
            number
                .and_then(|number| u32::try_from(number).ok())
                .unwrap_or(0)
        };
        let place = (number("output_index"), number("content_index"));
        let mut take = |key: &str| event.get_mut(key).map(Value::take).unwrap_or_default();
        match kind {
            "response.created" | "response.in_progress" | "response.queued" => {
                start(&take("response"), sink);
            }
            "response.output_item.added" => self.added(place.0, &take("item"), sink),
            "response.output_item.done" => self.item(place.0, take("item"), sink),
            "response.content_part.added" => {
                let part = take("part");
                if let Some(kind) = part_kind(&part) {
                    self.block(place, kind, sink);
                }
            }
            "response.content_part.done" => {
                self.part(place, take("part"), sink);
            }
            "response.output_text.annotation.added" => {
                let raw = take("annotation");
                if let Some(block) = self.block(place, Kind::Text, sink) {
                    block.citations += 1;
                    cite(block.number, raw, sink);
                }
            }
            "response.completed"
            | "response.incomplete"
            | "response.failed"
            | "response.cancelled" => {
                let status = kind.strip_prefix("response.").unwrap_or_default();
                self.end(status, take("response"), sink);
            }
            "error" => self.fail(&event, sink),
            // What no type tells apart, some gateways send in the shape of an error body.
            "" if event.get("error").is_some_and(Value::is_object) => self.fail(&event, sink),
            // Progress of items that come whole, and events that are not known.
            _ => {}
        }
    }

    fn added(&mut self, index: u32, item: &Value, sink: &mut Sink<'_>) {
        // An index that comes again is another item.
        if self.items.get(&index).is_some_and(|item| item.done) {
            self.items.remove(&index);
        }
        let kind = word(item, "type").unwrap_or_default();
        self.items.entry(index).or_default().kind = kind.to_owned();
        match kind {
            "reasoning" => {
                let id = word(item, "id").map(Cow::Borrowed);
                let kind = BlockKind::Reasoning {
                    id,
                    encrypted: None,
                };
                self.open((index, 0), kind, sink);
            }
            "function_call" | "custom_tool_call" => {
                // Without its names it waits until it is there whole.
                if let (Some(id), Some(name)) = (word(item, "call_id"), word(item, "name")) {
                    self.open((index, 0), call(id, name, kind), sink);
                }
            }
            _ => {}
        }
    }

    /// An item that is there whole: gives what is still missing, and ends its blocks.
    fn item(&mut self, index: u32, item: Value, sink: &mut Sink<'_>) {
        if self.items.get(&index).is_some_and(|item| item.done) {
            return;
        }
        let kind = word(&item, "type").unwrap_or_default().to_owned();
        match kind.as_str() {
            "message" => {
                if let Some(Value::Array(parts)) = item.get("content") {
                    for (part, number) in parts.iter().zip(0..) {
                        self.part((index, number), part.clone(), sink);
                    }
                }
            }
            "reasoning" => self.reasoning(index, &item, sink),
            "function_call" | "custom_tool_call" => {
                let place = (index, 0);
                let is_open = |item: &Item| !item.blocks.is_empty();
                if !self.items.get(&index).is_some_and(is_open) {
                    let id = word(&item, "call_id").or(word(&item, "id"));
                    let name = word(&item, "name").unwrap_or_default();
                    self.open(place, call(id.unwrap_or_default(), name, &kind), sink);
                }
                let arguments = word(&item, "arguments").or(word(&item, "input"));
                let arguments = arguments.map(|text| Text(text.into()));
                self.rest(place, Kind::Arguments, arguments, sink);
            }
            "" => {}
            _ => {
                let kind = BlockKind::Other {
                    kind: kind.as_str().into(),
                    value: item,
                };
                self.open((index, 0), kind, sink);
            }
        }
        let state = self.items.entry(index).or_default();
        state.kind = kind;
        state.done = true;
        for block in state.blocks.values_mut() {
            close(block, sink);
        }
    }

    fn reasoning(&mut self, index: u32, item: &Value, sink: &mut Sink<'_>) {
        let place = (index, 0);
        let is_open = |item: &Item| item.blocks.contains_key(&0);
        if !self.items.get(&index).is_some_and(is_open) {
            let id = word(item, "id").map(Cow::Borrowed);
            let kind = BlockKind::Reasoning {
                id,
                encrypted: None,
            };
            self.open(place, kind, sink);
        }
        let texts = |key: &str| {
            let list = item.get(key).and_then(Value::as_array);
            list.into_iter().flatten().zip(0..)
        };
        for (summary, number) in texts("summary") {
            let text = word(summary, "text").map(|text| Text(text.into()));
            self.summary(place, number, text, false, sink);
        }
        for (thought, number) in texts("content") {
            let text = word(thought, "text").map(|text| Text(text.into()));
            self.rest((index, number), Kind::Reasoning, text, sink);
        }
        let Some(secret) = word(item, "encrypted_content") else {
            return;
        };
        let delta = match signature_of(secret) {
            Some(signature) => Delta::Signature(signature.into()),
            None => Delta::Encrypted(secret.into()),
        };
        if let Some(block) = self.block(place, Kind::Reasoning, sink) {
            sink(Event::Delta {
                choice: 0,
                block: block.number,
                delta,
            });
        }
    }

    /// A part that is there whole.
    fn part(&mut self, place: (u32, u32), mut part: Value, sink: &mut Sink<'_>) {
        let Some(kind) = part_kind(&part) else {
            return;
        };
        let key = if kind == Kind::Refusal {
            "refusal"
        } else {
            "text"
        };
        let text = word(&part, key).map(|text| Text(text.into()));
        self.block(place, kind, sink);
        self.rest(place, kind, text, sink);
        let mut take = |key: &str| match part.get_mut(key).map(Value::take) {
            Some(Value::Array(list)) => list,
            _ => Vec::new(),
        };
        let (annotations, logprobs) = (take("annotations"), take("logprobs"));
        self.give_logprobs(place, logprobs, false, sink);
        let Some(block) = self.block(place, kind, sink) else {
            return;
        };
        for raw in annotations.into_iter().skip(block.citations) {
            block.citations += 1;
            cite(block.number, raw, sink);
        }
        // Reasoning may still get its summary and what only the provider can read.
        if kind != Kind::Reasoning {
            close(block, sink);
        }
    }

    /// The last event.
    fn end(&mut self, status: &str, mut response: Value, sink: &mut Sink<'_>) {
        start(&response, sink);
        if status == "failed" {
            self.fail(&response, sink);
            return;
        }
        let output = match response.get_mut("output").map(Value::take) {
            Some(Value::Array(output)) => output,
            _ => Vec::new(),
        };
        let nothing_came = self.items.is_empty();
        for (item, index) in output.into_iter().zip(0..) {
            let kind = word(&item, "type").unwrap_or_default();
            let is_missing =
                |known: &Item| !known.done && (known.kind.is_empty() || known.kind == kind);
            if nothing_came || self.items.get(&index).is_some_and(is_missing) {
                self.item(index, item, sink);
            }
        }
        if word(&response, "status").is_none() {
            if let Value::Object(response) = &mut response {
                response.insert("status".to_owned(), status.into());
            }
        }
        let mut response = Object::lenient(response, "");
        if let Some(reason) = read_stop(&mut response, self.calls) {
            sink(Event::Stop { choice: 0, reason });
        }
        if let Ok(Some(usage)) = response.object("usage") {
            sink(Event::Usage(read_usage(usage)));
        }
        self.ended = true;
        sink(Event::End);
    }

    /// An error, in itself or in a member.
    fn fail(&mut self, value: &Value, sink: &mut Sink<'_>) {
        let error = match value.get("error") {
            Some(error @ Value::Object(_)) => error,
            _ => value,
        };
        let code = word(error, "code");
        let own = word(error, "type").filter(|kind| *kind != "error");
        let kind = code.or(own).unwrap_or("server_error");
        let number = |key: &str| error.get(key).and_then(Value::as_u64);
        let status = number("status").or_else(|| number("code"));
        let status = status.and_then(|status| u16::try_from(status).ok());
        self.ended = true;
        sink(Event::Error {
            kind: kind.into(),
            status: status.or_else(|| status_of(kind)),
            message: word(error, "message").unwrap_or_default().into(),
        });
    }
}

fn start(response: &Value, sink: &mut Sink<'_>) {
    let text = |key: &str| word(response, key).unwrap_or_default().into();
    sink(Event::Start {
        id: text("id"),
        model: text("model"),
        created: response.get("created_at").and_then(Value::as_u64),
        service_tier: word(response, "service_tier").map(Cow::Borrowed),
        usage: None,
    });
}

fn call<'a>(id: &'a str, name: &'a str, kind: &str) -> BlockKind<'a> {
    BlockKind::ToolCall {
        id: id.into(),
        name: name.into(),
        custom: kind == "custom_tool_call",
        by_provider: false,
    }
}

fn part_kind(part: &Value) -> Option<Kind> {
    match word(part, "type")? {
        "output_text" | "text" => Some(Kind::Text),
        "refusal" => Some(Kind::Refusal),
        "reasoning_text" => Some(Kind::Reasoning),
        _ => None,
    }
}

fn cite(block: u32, raw: Value, sink: &mut Sink<'_>) {
    sink(Event::Delta {
        choice: 0,
        block,
        delta: Delta::Citation(citation(raw)),
    });
}
