//! Events of a stream, understood.
//!
//! Deltas, which are most of a stream, are read in place; everything else through a second look.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{json, Map, Value};

use crate::apis::anthropic_messages::content::read_citation;
use crate::apis::anthropic_messages::response::{read_stop, status_of};
use crate::apis::anthropic_messages::usage::Figures;
use crate::apis::object::Object;
use crate::apis::{ReadEvents, Sink};
use crate::representation::{BlockKind, Delta, ProviderStreamResponse as Event};

/// Reads a stream. Members of deltas beside their content have no meaning and are left out.
///
/// What only this API has is given as `Other` of these kinds, for the writer of this API:
///
/// | kind | value |
/// | --- | --- |
/// | `content_block_start` | `index` and the members of the next block that have no field |
/// | `content_block_delta` | the event, for deltas of blocks that only this API has |
/// | `message_delta` | the members of this event, and of `message_start`, that have no field |
/// | any other | an event of a type that is not known |
#[derive(Debug, Default)]
pub struct Reader {
    started: bool,
    ended: bool,
    figures: Figures,
    has_figures: bool,
    /// Members of usage that have no field.
    usage_rest: Map<String, Value>,
    /// Members of the message that have no field.
    message_rest: Map<String, Value>,
    /// Calls that are open.
    calls: BTreeMap<u32, Call>,
}

/// A call whose arguments are awaited.
#[derive(Debug)]
struct Call {
    /// Arguments that came with the start of the block: they count if no others come.
    input: Option<String>,
    /// Others came.
    has_arguments: bool,
}

#[derive(Deserialize)]
struct Quick<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(default)]
    index: u32,
    #[serde(borrow)]
    delta: Option<QuickDelta<'a>>,
}

#[derive(Deserialize)]
struct QuickDelta<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    text: Cow<'a, str>,
    #[serde(borrow, default)]
    thinking: Cow<'a, str>,
    #[serde(borrow, default)]
    signature: Cow<'a, str>,
    #[serde(borrow, default)]
    partial_json: Cow<'a, str>,
}

impl ReadEvents for Reader {
    fn event(&mut self, name: Option<&str>, data: &str, sink: &mut Sink<'_>) {
        if self.ended {
            return;
        }
        if let Ok(quick) = serde_json::from_str::<Quick<'_>>(data) {
            let kind = match &*quick.kind {
                "" => name.unwrap_or_default(),
                kind => kind,
            };
            match (kind, quick.delta) {
                ("content_block_delta", Some(delta)) => {
                    let is_known = self.delta(quick.index, delta, sink);
                    if is_known {
                        return;
                    }
                }
                ("content_block_stop", _) => return self.block_stop(quick.index, sink),
                ("ping", _) => return,
                _ => {}
            }
        }
        if let Ok(value @ Value::Object(_)) = serde_json::from_str::<Value>(data) {
            self.look(name, value, sink);
        }
    }

    /// The API ends its streams with `message_stop`: without it, something was cut.
    fn finish(&mut self, _sink: &mut Sink<'_>) {}
}

impl Reader {
    /// Gives a delta of a kind that is known; `false` for others.
    fn delta(&mut self, block: u32, delta: QuickDelta<'_>, sink: &mut Sink<'_>) -> bool {
        let delta = match &*delta.kind {
            "text_delta" => Delta::Text(delta.text),
            "thinking_delta" => Delta::Reasoning(delta.thinking),
            "signature_delta" => Delta::Signature(delta.signature),
            "input_json_delta" => {
                if delta.partial_json.is_empty() {
                    return true;
                }
                if let Some(call) = self.calls.get_mut(&block) {
                    call.has_arguments = true;
                }
                Delta::Arguments(delta.partial_json)
            }
            _ => return false,
        };
        sink(Event::Delta {
            choice: 0,
            block,
            delta,
        });
        true
    }

    fn look(&mut self, name: Option<&str>, event: Value, sink: &mut Sink<'_>) {
        let kind = event.get("type").and_then(Value::as_str).or(name);
        let kind = kind.unwrap_or_default().to_owned();
        match kind.as_str() {
            "message_start" => self.start(event, sink),
            "content_block_start" => self.block_start(event, sink),
            "content_block_delta" => look_at_delta(event, sink),
            "message_delta" => self.message_delta(event, sink),
            "message_stop" => {
                self.ended = true;
                sink(Event::End);
            }
            // Those that can be read are.
            "content_block_stop" | "ping" => {}
            _ if kind == "error" || event.get("error").is_some_and(|e| !e.is_null()) => {
                self.ended = true;
                error(&event, sink);
            }
            _ if self.started && !kind.is_empty() => sink(Event::Other {
                kind: kind.into(),
                value: event,
            }),
            _ => {}
        }
    }

    fn start(&mut self, event: Value, sink: &mut Sink<'_>) {
        if self.started {
            return;
        }
        self.started = true;
        let mut event = Object::lenient(event, "");
        let Ok(Some(mut message)) = event.object("message") else {
            return;
        };
        let id = word(&mut message, "id").unwrap_or_default();
        let model = word(&mut message, "model").unwrap_or_default();
        let content = message.list("content").ok().flatten().unwrap_or_default();
        for key in ["type", "role", "stop_reason", "stop_sequence"] {
            message.take(key);
        }
        let service_tier = self.usage(&mut message);
        collect(message, &mut self.message_rest);
        let usage = self.has_figures.then(|| self.figures.usage());
        sink(Event::Start {
            id: id.into(),
            model: model.into(),
            created: None,
            service_tier: service_tier.map(Cow::Owned),
            usage,
        });
        // Always empty with the provider itself.
        for (block, content) in (0..).zip(content) {
            let event = json!({"index": block, "content_block": content.value});
            self.block_start(event, sink);
            self.block_stop(block, sink);
        }
    }

    /// Takes `usage` out of a message or event; gives the class of service.
    fn usage(&mut self, parent: &mut Object) -> Option<String> {
        let mut usage = parent.object("usage").ok().flatten()?;
        self.figures.update(Figures::take(&mut usage));
        self.has_figures = true;
        let tier = word(&mut usage, "service_tier");
        collect(usage, &mut self.usage_rest);
        tier
    }

    fn block_start(&mut self, mut event: Value, sink: &mut Sink<'_>) {
        let Some(block) = index(&event) else { return };
        let Some(content) = event.get_mut("content_block").map(Value::take) else {
            return;
        };
        let kind = content.get("type").and_then(Value::as_str);
        let kind = kind.unwrap_or_default().to_owned();
        let mut object = Object::lenient(Value::Null, "");
        let mut deltas = Vec::new();
        let opened = match kind.as_str() {
            "text" => {
                object = Object::lenient(content, "");
                let text = word(&mut object, "text").unwrap_or_default();
                deltas.push(Delta::Text(text.into()));
                let citations = object.list("citations").ok().flatten();
                let citations = citations.unwrap_or_default().into_iter();
                deltas.extend(citations.map(|c| Delta::Citation(read_citation(c.value))));
                BlockKind::Text
            }
            "thinking" => {
                object = Object::lenient(content, "");
                let text = word(&mut object, "thinking").unwrap_or_default();
                let signature = word(&mut object, "signature").unwrap_or_default();
                deltas.push(Delta::Reasoning(text.into()));
                deltas.push(Delta::Signature(signature.into()));
                BlockKind::Reasoning {
                    id: None,
                    encrypted: None,
                }
            }
            "redacted_thinking" => {
                object = Object::lenient(content, "");
                BlockKind::Reasoning {
                    id: None,
                    encrypted: Some(word(&mut object, "data").unwrap_or_default().into()),
                }
            }
            "tool_use" | "server_tool_use" | "mcp_tool_use" => {
                object = Object::lenient(content, "");
                let input = object.take("input").map(|input| input.value);
                let input = input.filter(|i| i.as_object().is_none_or(|i| !i.is_empty()));
                let call = Call {
                    input: input.map(|input| input.to_string()),
                    has_arguments: false,
                };
                self.calls.insert(block, call);
                BlockKind::ToolCall {
                    id: word(&mut object, "id").unwrap_or_default().into(),
                    name: word(&mut object, "name").unwrap_or_default().into(),
                    custom: false,
                    by_provider: kind != "tool_use",
                }
            }
            _ => BlockKind::Other {
                kind: kind.into(),
                value: content,
            },
        };
        object.take("type");
        let mut rest = Map::new();
        collect(object, &mut rest);
        if !rest.is_empty() {
            rest.insert("index".to_owned(), block.into());
            sink(Event::Other {
                kind: "content_block_start".into(),
                value: Value::Object(rest),
            });
        }
        sink(Event::BlockStart {
            choice: 0,
            block,
            kind: opened,
        });
        for delta in deltas {
            let is_empty = matches!(
                &delta,
                Delta::Text(text) | Delta::Reasoning(text) | Delta::Signature(text) if text.is_empty()
            );
            if !is_empty {
                sink(Event::Delta {
                    choice: 0,
                    block,
                    delta,
                });
            }
        }
    }

    fn block_stop(&mut self, block: u32, sink: &mut Sink<'_>) {
        if let Some(call) = self.calls.remove(&block).filter(|call| !call.has_arguments) {
            // A call without arguments is one with none.
            let input = call.input.unwrap_or_else(|| "{}".to_owned());
            sink(Event::Delta {
                choice: 0,
                block,
                delta: Delta::Arguments(input.into()),
            });
        }
        sink(Event::BlockStop { choice: 0, block });
    }

    fn message_delta(&mut self, event: Value, sink: &mut Sink<'_>) {
        let mut event = Object::lenient(event, "");
        event.take("type");
        let mut delta_rest = Map::new();
        let mut stop = None;
        if let Ok(Some(mut delta)) = event.object("delta") {
            let sequence = word(&mut delta, "stop_sequence");
            let reason = word(&mut delta, "stop_reason");
            stop = reason.map(|reason| read_stop(reason, sequence));
            collect(delta, &mut delta_rest);
        }
        if let Some(tier) = self.usage(&mut event) {
            self.usage_rest
                .insert("service_tier".to_owned(), tier.into());
        }
        let mut rest = std::mem::take(&mut self.message_rest);
        // What the message began with stands beside the reason of its end.
        rest.extend(delta_rest);
        let mut other = Map::new();
        if !rest.is_empty() {
            other.insert("delta".to_owned(), Value::Object(rest));
        }
        let usage = std::mem::take(&mut self.usage_rest);
        if !usage.is_empty() {
            other.insert("usage".to_owned(), Value::Object(usage));
        }
        collect(event, &mut other);
        if !other.is_empty() {
            sink(Event::Other {
                kind: "message_delta".into(),
                value: Value::Object(other),
            });
        }
        if let Some(reason) = stop {
            sink(Event::Stop { choice: 0, reason });
        }
        if self.has_figures {
            sink(Event::Usage(self.figures.usage()));
        }
    }
}

/// Deltas that are rare: citations, and those of blocks that only this API has.
fn look_at_delta(mut event: Value, sink: &mut Sink<'_>) {
    let Some(block) = index(&event) else { return };
    let delta = event.get_mut("delta");
    let Some(delta) = delta.filter(|delta| delta.is_object()) else {
        return;
    };
    let is_citation = delta
        .get("type")
        .is_some_and(|kind| kind == "citations_delta");
    let citation = delta.get_mut("citation").filter(|_| is_citation);
    match citation.map(Value::take) {
        Some(citation) => sink(Event::Delta {
            choice: 0,
            block,
            delta: Delta::Citation(read_citation(citation)),
        }),
        None => sink(Event::Other {
            kind: "content_block_delta".into(),
            value: event,
        }),
    }
}

fn error(event: &Value, sink: &mut Sink<'_>) {
    let error = event.get("error").unwrap_or(event);
    let word = |key: &str| error.get(key).and_then(Value::as_str);
    let kind = word("type").unwrap_or_default();
    let message = word("message")
        .or_else(|| error.as_str())
        .unwrap_or_default();
    sink(Event::Error {
        kind: kind.into(),
        status: status_of(kind),
        message: message.into(),
    });
}

/// The number of a block; the first where none is told.
fn index(event: &Value) -> Option<u32> {
    match event.get("index") {
        None | Some(Value::Null) => Some(0),
        Some(index) => u32::try_from(index.as_u64()?).ok(),
    }
}

fn word(object: &mut Object, key: &str) -> Option<String> {
    object.text(key).ok().flatten().map(|word| word.value)
}

fn collect(object: Object, rest: &mut Map<String, Value>) {
    let members = object.rest().into_iter();
    rest.extend(members.map(|member| (member.name, member.value)));
}
