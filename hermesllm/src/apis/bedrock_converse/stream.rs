//! Streams: the events of ConverseStream. Their frames are read and written by [`frames`](super::frames).
//!
//! ```text
//! messageStart ( [contentBlockStart] contentBlockDelta* contentBlockStop )* messageStop metadata
//! ```
//!
//! Blocks of text and of thoughts come without a start. The member `p`, padding that hides how long
//! an event is, means nothing.

mod writer;

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::{json, Map, Value};

pub use writer::Writer;

use super::blob::revealed;
use super::media::Medium;
use super::{content, errors, frames, response, usage};
use crate::apis::object::Object;
use crate::apis::{ReadEvents, Sink};
use crate::representation::{BlockKind, Delta, ProviderStreamResponse as Event, StopReason};

/// How long an answer took.
const METRICS: &str = "bookkeeping:metrics";

/// Understands the events of a stream. An exception's type is the name of its event.
#[derive(Debug, Default)]
pub struct Reader {
    /// A tool's answer that is not whole yet: its block, and what is there.
    result: Option<(u32, Map<String, Value>)>,
    stopped: bool,
    ended: bool,
}

#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DeltaEvent<'a> {
    #[serde(default)]
    content_block_index: u32,
    #[serde(borrow)]
    delta: BlockDelta<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BlockDelta<'a> {
    #[serde(borrow)]
    text: Option<Text<'a>>,
    #[serde(borrow)]
    tool_use: Option<Input<'a>>,
    #[serde(borrow)]
    reasoning_content: Option<Thoughts<'a>>,
}

#[derive(Deserialize)]
struct Input<'a> {
    #[serde(borrow)]
    input: Option<Text<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Thoughts<'a> {
    #[serde(borrow)]
    text: Option<Text<'a>>,
    #[serde(borrow)]
    signature: Option<Text<'a>>,
    #[serde(borrow)]
    redacted_content: Option<Text<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    #[serde(default)]
    content_block_index: u32,
}

impl ReadEvents for Reader {
    fn event(&mut self, name: Option<&str>, data: &str, sink: &mut Sink<'_>) {
        match name.unwrap_or_default() {
            "contentBlockDelta" => self.delta(data, sink),
            "contentBlockStart" => self.start(data, sink),
            "contentBlockStop" => self.stop(data, sink),
            "messageStart" => sink(Event::Start {
                id: "".into(),
                model: "".into(),
                created: None,
                service_tier: None,
                usage: None,
            }),
            "messageStop" => self.message_stop(data, sink),
            "metadata" => self.metadata(data, sink),
            "" | "initial-response" => {}
            other => self.other(other, data, sink),
        }
    }

    fn finish(&mut self, sink: &mut Sink<'_>) {
        if self.stopped && !self.ended {
            self.ended = true;
            sink(Event::End);
        }
    }
}

fn object(data: &str) -> Option<Object> {
    let value: Value = serde_json::from_str(data).ok()?;
    value.is_object().then(|| Object::lenient(value, ""))
}

fn index(object: &mut Object) -> u32 {
    let index = object.whole("contentBlockIndex").ok().flatten();
    index
        .and_then(|index| u32::try_from(index.value).ok())
        .unwrap_or_default()
}

/// A piece of one block.
fn piece<'a>(block: u32, delta: Delta<'a>) -> Event<'a> {
    Event::Delta {
        choice: 0,
        block,
        delta,
    }
}

impl Reader {
    fn delta(&mut self, data: &str, sink: &mut Sink<'_>) {
        let Ok(event) = serde_json::from_str::<DeltaEvent<'_>>(data) else {
            return self.unusual(data, sink);
        };
        let block = event.content_block_index;
        let BlockDelta {
            text,
            tool_use,
            reasoning_content,
        } = event.delta;
        if let Some(Text(text)) = text {
            sink(piece(block, Delta::Text(text)));
        } else if let Some(Input { input: Some(input) }) = tool_use {
            sink(piece(block, Delta::Arguments(input.0)));
        } else if let Some(thoughts) = reasoning_content {
            let Thoughts {
                text,
                signature,
                redacted_content,
            } = thoughts;
            if let Some(Text(text)) = text {
                sink(piece(block, Delta::Reasoning(text)));
            }
            if let Some(Text(signature)) = signature {
                sink(piece(block, Delta::Signature(signature)));
            }
            if let Some(Text(blob)) = redacted_content {
                redacted(block, &blob, sink);
            }
        } else {
            self.unusual(data, sink);
        }
    }

    /// A delta that is not of the common kinds.
    fn unusual(&mut self, data: &str, sink: &mut Sink<'_>) {
        let Some(mut event) = object(data) else {
            return;
        };
        let block = index(&mut event);
        let Ok(Some(mut delta)) = event.object("delta") else {
            return;
        };
        if let Some(citation) = delta.take("citation") {
            sink(piece(
                block,
                Delta::Citation(content::citation(citation.value)),
            ));
        }
        if let Ok(Some(mut image)) = delta.object("image") {
            let source = image.object("source").ok().flatten();
            let bytes = source.and_then(|mut source| source.text("bytes").ok().flatten());
            if let Some(bytes) = bytes {
                sink(piece(block, Delta::Data(bytes.value.into())));
            }
            keep("image", image.rest(), sink);
        }
        if let Ok(Some(list)) = delta.list("toolResult") {
            if let Some((_, own)) = self.result.as_mut().filter(|(own, _)| *own == block) {
                let content = own.entry("content").or_insert_with(|| json!([]));
                if let Value::Array(content) = content {
                    content.extend(list.into_iter().map(|item| item.value));
                }
            }
        }
        keep("contentBlockDelta", delta.rest(), sink);
    }

    fn start(&mut self, data: &str, sink: &mut Sink<'_>) {
        let Some(mut event) = object(data) else {
            return;
        };
        let block = index(&mut event);
        let Ok(Some(mut start)) = event.object("start") else {
            return;
        };
        let mut open = |kind: BlockKind<'_>| {
            sink(Event::BlockStart {
                choice: 0,
                block,
                kind,
            });
        };
        if let Ok(Some(mut own)) = start.object("toolUse") {
            let mut text = |key: &str| {
                let text = own.text(key).ok().flatten();
                text.map(|text| text.value).unwrap_or_default()
            };
            open(BlockKind::ToolCall {
                id: text("toolUseId").into(),
                name: text("name").into(),
                custom: false,
                by_provider: text("type") == "server_tool_use",
            });
        } else if let Ok(Some(own)) = start.map("toolResult") {
            // What a tool of the provider's answered is told as a whole.
            self.flush(sink);
            self.result = Some((block, own.value));
        } else if let Ok(Some(mut own)) = start.object("image") {
            let format = own.text("format").ok().flatten();
            let format = format.map(|format| format.value).unwrap_or_default();
            open(BlockKind::Media {
                media_type: Medium::Image.media_type(&format).into(),
            });
        }
        keep("contentBlockStart", start.rest(), sink);
    }

    fn stop(&mut self, data: &str, sink: &mut Sink<'_>) {
        let Ok(event) = serde_json::from_str::<Index>(data) else {
            return;
        };
        let block = event.content_block_index;
        if self.result.as_ref().is_some_and(|(own, _)| *own == block) {
            return self.flush(sink);
        }
        sink(Event::BlockStop { choice: 0, block });
    }

    /// Tells the answer of a tool that was waited for.
    fn flush(&mut self, sink: &mut Sink<'_>) {
        let Some((block, mut own)) = self.result.take() else {
            return;
        };
        own.entry("content").or_insert_with(|| json!([]));
        sink(Event::BlockStart {
            choice: 0,
            block,
            kind: BlockKind::Other {
                kind: "toolResult".into(),
                value: json!({ "toolResult": own }),
            },
        });
        sink(Event::BlockStop { choice: 0, block });
    }

    fn message_stop(&mut self, data: &str, sink: &mut Sink<'_>) {
        let Some(mut event) = object(data) else {
            return;
        };
        self.flush(sink);
        self.stopped = true;
        let sequence = response::stop_sequence(event.peek("additionalModelResponseFields"));
        let raw = event.text("stopReason").ok().flatten();
        if let Some(raw) = raw {
            let reason = StopReason {
                kind: usage::stop_of(&raw.value),
                raw: raw.value,
                sequence,
            };
            sink(Event::Stop { choice: 0, reason });
        }
        event.take("p");
        keep("messageStop", event.rest(), sink);
    }

    fn metadata(&mut self, data: &str, sink: &mut Sink<'_>) {
        let Some(mut event) = object(data) else {
            return;
        };
        if let Ok(Some(own)) = event.object("usage") {
            let mut unknown = Vec::new();
            sink(Event::Usage(usage::read(own, &mut unknown)));
            keep("usage", unknown, sink);
        }
        event.take("p");
        if let Some(metrics) = event.take("metrics") {
            sink(Event::Other {
                kind: METRICS.into(),
                value: json!({"metrics": metrics.value}),
            });
        }
        keep("metadata", event.rest(), sink);
        if self.stopped {
            self.finish(sink);
        }
    }

    /// An exception, or an event that the service has added.
    fn other(&mut self, name: &str, data: &str, sink: &mut Sink<'_>) {
        let value: Value = serde_json::from_str(data).unwrap_or(Value::Null);
        let text = |key: &str| value.get(key).and_then(Value::as_str);
        let is_error = name.ends_with("Exception")
            || name.ends_with("Error")
            || name == frames::PROTOCOL_ERROR
            || text("message").is_some();
        if !is_error {
            sink(Event::Other {
                kind: name.into(),
                value,
            });
            return;
        }
        let original = value.get("originalStatusCode").and_then(Value::as_u64);
        let original = original.and_then(|status| u16::try_from(status).ok());
        let is_broken = name == frames::PROTOCOL_ERROR;
        let status = original.or(errors::status_of(name));
        let message = text("message")
            .or(text("Message"))
            .or(text("originalMessage"));
        sink(Event::Error {
            kind: name.into(),
            status: status.or(is_broken.then_some(502)),
            message: message.unwrap_or(name).into(),
        });
    }
}

/// Thoughts that only the provider can read.
fn redacted(block: u32, blob: &str, sink: &mut Sink<'_>) {
    if let Some(text) = revealed(blob) {
        return sink(piece(block, Delta::Encrypted(text.into())));
    }
    sink(Event::BlockStart {
        choice: 0,
        block,
        kind: BlockKind::Other {
            kind: "reasoningContent".into(),
            value: json!({"reasoningContent": {"redactedContent": blob}}),
        },
    });
}

/// Members that only this API has.
fn keep(kind: &'static str, rest: Vec<crate::representation::Extension>, sink: &mut Sink<'_>) {
    if rest.is_empty() {
        return;
    }
    let members = rest.into_iter().map(|member| (member.name, member.value));
    sink(Event::Other {
        kind: kind.into(),
        value: Value::Object(members.collect()),
    });
}

#[cfg(test)]
mod tests;
