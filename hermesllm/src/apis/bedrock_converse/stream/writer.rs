//! Writes streams.

use std::fmt::Display;

use serde::Serialize;
use serde_json::{json, Map, Value};

use super::super::blob::sealed;
use super::super::blocks::{write_citation, NEAR_CITATION};
use super::super::frames::{write_event, write_exception};
use super::super::ids::tool_id;
use super::super::media::Medium;
use super::super::{errors, usage};
use super::METRICS;
use crate::apis::{WriteEvents, WriteOptions};
use crate::representation::{
    BlockKind, Delta, Losses, ProviderStreamResponse as Event, StopReason, TokenUsage,
};

/// Writes the events of a stream, each in a frame of its own.
#[derive(Debug, Default)]
pub struct Writer {
    /// The number of the next block.
    next: u32,
    open: Option<Open>,
    calls_tools: bool,
    stopped: bool,
    usage: Option<TokenUsage>,
    /// Members of `messageStop`, of `usage` and of `metadata` that only this API has.
    message_stop: Map<String, Value>,
    beside_usage: Map<String, Value>,
    metadata: Map<String, Value>,
}

/// The open block.
#[derive(Debug)]
struct Open {
    number: u32,
    kind: Kind,
    /// It has a delta.
    begun: bool,
}

#[derive(Debug, PartialEq)]
enum Kind {
    Text,
    /// The number of the summary that was written last.
    Reasoning(Option<u32>),
    ToolUse,
    /// Free text, which is the member of an object.
    Custom,
    /// The bytes, in base64 that may be cut anywhere.
    Image(String),
    /// Of sound what is said in it is written, as text.
    Sound,
    /// Nothing is written.
    Lost,
}

/// Appends JSON. Writing to memory does not fail.
fn text(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    let _ = serde_json::to_writer(out, value);
}

fn raw(out: &mut Vec<u8>, json: &str) {
    out.extend_from_slice(json.as_bytes());
}

/// The end of an event of a block.
fn number(out: &mut Vec<u8>, number: impl Display) {
    use std::io::Write;
    let _ = write!(out, ",\"contentBlockIndex\":{number}}}");
}

/// Appends a delta: `before`, a text, `after`.
fn delta(out: &mut Vec<u8>, block: u32, before: &str, piece: &str, after: &str) {
    write_event(out, "contentBlockDelta", |out| {
        raw(out, "{\"delta\":");
        raw(out, before);
        text(out, piece);
        raw(out, after);
        number(out, block);
    });
}

const TEXT: (&str, &str) = ("{\"text\":", "}");
const INPUT: (&str, &str) = ("{\"toolUse\":{\"input\":", "}}");
const THOUGHTS: (&str, &str) = ("{\"reasoningContent\":{\"text\":", "}}");
const SIGNATURE: (&str, &str) = ("{\"reasoningContent\":{\"signature\":", "}}");
const REDACTED: (&str, &str) = ("{\"reasoningContent\":{\"redactedContent\":", "}}");
const IMAGE: (&str, &str) = ("{\"image\":{\"source\":{\"bytes\":", "}}}");

impl Writer {
    /// A writer at the start of an answer. Nothing that the options say has a place in it.
    pub fn new(_options: WriteOptions) -> Self {
        Self::default()
    }
}

/// The place of a block in the answer that the stream adds up to.
fn place(choice: u32, block: u32) -> String {
    format!("/{choice}/{block}")
}

impl WriteEvents for Writer {
    fn event(&mut self, event: Event<'_>, out: &mut Vec<u8>, losses: &mut Losses) {
        match event {
            Event::Start { usage, .. } => {
                self.usage = usage;
                write_event(out, "messageStart", |out| {
                    raw(out, "{\"role\":\"assistant\"}");
                });
            }
            Event::BlockStart { choice: 1.., .. }
            | Event::Delta { choice: 1.., .. }
            | Event::BlockStop { choice: 1.., .. }
            | Event::Stop { choice: 1.., .. } => {
                losses.dropped("/1", "Converse gives one answer");
            }
            Event::BlockStart {
                choice,
                block,
                kind,
            } => self.start(kind, &place(choice, block), out, losses),
            Event::Delta {
                choice,
                block,
                delta,
            } => self.delta(delta, (choice, block), out, losses),
            Event::BlockStop { .. } => self.stop(out),
            Event::Stop { reason, .. } => self.message_stop(Some(reason), out, losses),
            Event::Usage(later) => self
                .usage
                .get_or_insert_with(TokenUsage::default)
                .update(&later),
            Event::Logprobs { choice, .. } => {
                let place = format!("/{choice}/logprobs");
                losses.dropped(place, "Converse has no log probabilities");
            }
            Event::Other { kind, value } => self.other(&kind, value, losses),
            Event::Error {
                kind,
                status,
                message,
            } => error(out, &kind, status, &message),
            Event::End => self.end(out, losses),
        }
    }
}

impl Writer {
    fn start(&mut self, kind: BlockKind<'_>, at: &str, out: &mut Vec<u8>, losses: &mut Losses) {
        let number = self.next;
        let mut begun = false;
        let kind = match kind {
            BlockKind::Text => Kind::Text,
            BlockKind::Refusal => {
                let reason = "Converse has no refusals: it is written as text";
                losses.approximated(at.to_owned(), reason);
                Kind::Text
            }
            BlockKind::Reasoning { id: _, encrypted } => {
                if let Some(encrypted) = encrypted.filter(|encrypted| !encrypted.is_empty()) {
                    let blob = sealed(&encrypted);
                    delta(out, number, REDACTED.0, &blob, REDACTED.1);
                    begun = true;
                }
                Kind::Reasoning(None)
            }
            BlockKind::ToolCall {
                id,
                name,
                custom,
                by_provider,
            } => {
                let id = match id.as_ref() {
                    "" => format!("call_{number}"),
                    id => tool_id(id),
                };
                self.calls_tools = true;
                tool_use(out, number, &id, &name, by_provider);
                if custom {
                    let reason = "arguments are an object: text is put into one";
                    losses.approximated(at.to_owned(), reason);
                    delta(out, number, INPUT.0, "{\"input\":\"", INPUT.1);
                }
                begun = custom;
                if custom {
                    Kind::Custom
                } else {
                    Kind::ToolUse
                }
            }
            BlockKind::Media { media_type } => match Medium::Image.format(&media_type, true) {
                Some(format) => {
                    image(out, number, &format);
                    Kind::Image(String::new())
                }
                None => {
                    let reason = "of sound only what is said in it is kept";
                    losses.approximated(at.to_owned(), reason);
                    Kind::Sound
                }
            },
            BlockKind::Other { kind, value } => {
                if !own_block(out, number, &kind, &value) {
                    let reason = "only its own API has content of this kind";
                    losses.dropped(at.to_owned(), reason);
                    self.open = Some(Open {
                        number,
                        kind: Kind::Lost,
                        begun,
                    });
                    return;
                }
                begun = true;
                Kind::Text
            }
        };
        self.next = self.next.saturating_add(1);
        self.open = Some(Open {
            number,
            kind,
            begun,
        });
    }

    fn delta(&mut self, piece: Delta<'_>, at: (u32, u32), out: &mut Vec<u8>, losses: &mut Losses) {
        let Some(open) = &mut self.open else {
            return;
        };
        if open.kind == Kind::Lost {
            return;
        }
        let block = open.number;
        let mut say = |form: (&str, &str), piece: &str| {
            open.begun = true;
            delta(out, block, form.0, piece, form.1);
        };
        match (&mut open.kind, piece) {
            (Kind::Text, Delta::Text(piece)) => say(TEXT, &piece),
            (Kind::Sound, Delta::Transcript(piece) | Delta::Text(piece)) => say(TEXT, &piece),
            (Kind::Reasoning(_), Delta::Reasoning(piece) | Delta::Text(piece)) => {
                say(THOUGHTS, &piece);
            }
            (Kind::Reasoning(last), Delta::Summary(number, piece)) => {
                let reason = "a summary of thoughts is written as thoughts";
                losses.approximated(place(at.0, at.1), reason);
                if last.replace(number).is_some_and(|last| last != number) {
                    say(THOUGHTS, "\n\n");
                }
                say(THOUGHTS, &piece);
            }
            (Kind::Reasoning(_), Delta::Signature(piece)) => say(SIGNATURE, &piece),
            (Kind::Reasoning(_), Delta::Encrypted(piece)) => say(REDACTED, &sealed(&piece)),
            (Kind::ToolUse, Delta::Arguments(piece) | Delta::Text(piece)) => say(INPUT, &piece),
            (Kind::Custom, Delta::Arguments(piece) | Delta::Text(piece)) => {
                // The piece as it is inside of a JSON text.
                let quoted = Value::from(piece.as_ref()).to_string();
                let inside = quoted
                    .strip_prefix('"')
                    .and_then(|own| own.strip_suffix('"'));
                say(INPUT, inside.unwrap_or_default());
            }
            (Kind::Image(data), Delta::Data(piece)) => data.push_str(&piece),
            (Kind::Text, Delta::Citation(citation)) => {
                let is_own = citation.raw.as_ref().is_some_and(is_own_citation);
                let value = match citation.raw {
                    Some(raw) if is_own => raw,
                    raw => {
                        losses.approximated(place(at.0, at.1), NEAR_CITATION);
                        write_citation(crate::representation::Citation { raw, ..citation })
                    }
                };
                open.begun = true;
                write_event(out, "contentBlockDelta", |out| {
                    raw(out, "{\"delta\":{\"citation\":");
                    text(out, &value);
                    raw(out, "}");
                    number(out, block);
                });
            }
            // Told already when the block began.
            (Kind::Sound, Delta::Data(_)) => {}
            _ => losses.dropped(place(at.0, at.1), "a block of this kind has no such piece"),
        }
    }

    fn stop(&mut self, out: &mut Vec<u8>) {
        let Some(open) = self.open.take() else {
            return;
        };
        let Open {
            number: block,
            kind,
            begun,
        } = open;
        match kind {
            Kind::Lost => return,
            // What begins without a start begins with a delta.
            Kind::Text | Kind::Sound if !begun => delta(out, block, TEXT.0, "", TEXT.1),
            Kind::Reasoning(_) if !begun => delta(out, block, THOUGHTS.0, "", THOUGHTS.1),
            Kind::ToolUse if !begun => delta(out, block, INPUT.0, "", INPUT.1),
            Kind::Custom => delta(out, block, INPUT.0, "\"}", INPUT.1),
            Kind::Image(data) => delta(out, block, IMAGE.0, &data, IMAGE.1),
            _ => {}
        }
        write_event(out, "contentBlockStop", |out| {
            raw(out, "{\"contentBlockIndex\":");
            text(out, &block);
            raw(out, "}");
        });
    }

    fn message_stop(&mut self, reason: Option<StopReason>, out: &mut Vec<u8>, losses: &mut Losses) {
        if std::mem::replace(&mut self.stopped, true) {
            return;
        }
        let is_told = self
            .message_stop
            .contains_key("additionalModelResponseFields");
        let word = match reason {
            Some(reason) => {
                let reason = StopReason {
                    sequence: reason.sequence.filter(|_| !is_told),
                    ..reason
                };
                usage::word_of(reason, false, losses)
            }
            None => usage::untold(self.calls_tools, losses).to_owned(),
        };
        let mut event = std::mem::take(&mut self.message_stop);
        event.insert("stopReason".to_owned(), word.into());
        write_event(out, "messageStop", |out| text(out, &event));
    }

    fn other(&mut self, kind: &str, value: Value, losses: &mut Losses) {
        let place = match kind {
            "messageStop" => &mut self.message_stop,
            "usage" => &mut self.beside_usage,
            "metadata" | METRICS => &mut self.metadata,
            _ => return losses.dropped("", "only its own API has such an event"),
        };
        if let Value::Object(members) = value {
            place.extend(members);
        }
    }

    fn end(&mut self, out: &mut Vec<u8>, losses: &mut Losses) {
        self.stop(out);
        self.message_stop(None, out, losses);
        let usage = self.usage.take();
        if usage.is_none() && self.metadata.is_empty() {
            return;
        }
        let mut event = std::mem::take(&mut self.metadata);
        if let Some(usage) = usage {
            let mut usage = usage::write(usage, losses);
            if let Value::Object(usage) = &mut usage {
                usage.extend(std::mem::take(&mut self.beside_usage));
            }
            event.insert("usage".to_owned(), usage);
        }
        // Required; how long it took is not known.
        event
            .entry("metrics")
            .or_insert_with(|| json!({"latencyMs": 0}));
        write_event(out, "metadata", |out| text(out, &event));
    }
}

fn tool_use(out: &mut Vec<u8>, block: u32, id: &str, name: &str, by_provider: bool) {
    write_event(out, "contentBlockStart", |out| {
        raw(out, "{\"start\":{\"toolUse\":{\"toolUseId\":");
        text(out, id);
        raw(out, ",\"name\":");
        text(out, name);
        if by_provider {
            raw(out, ",\"type\":\"server_tool_use\"");
        }
        raw(out, "}}");
        number(out, block);
    });
}

fn image(out: &mut Vec<u8>, block: u32, format: &str) {
    write_event(out, "contentBlockStart", |out| {
        raw(out, "{\"start\":{\"image\":{\"format\":");
        text(out, format);
        raw(out, "}}");
        number(out, block);
    });
}

/// Whether a citation is in this API's words.
fn is_own_citation(citation: &Value) -> bool {
    let Some(members) = citation.as_object() else {
        return false;
    };
    let known = ["title", "source", "sourceContent", "location"];
    members.keys().all(|key| known.contains(&key.as_str()))
}

/// Writes a whole block that only this API has; whether it is one.
fn own_block(out: &mut Vec<u8>, block: u32, kind: &str, value: &Value) -> bool {
    match (kind, value.get(kind).and_then(Value::as_object)) {
        ("toolResult", Some(result)) if result.contains_key("toolUseId") => {
            let mut start = result.clone();
            let content = start.shift_remove("content");
            write_event(out, "contentBlockStart", |out| {
                raw(out, "{\"start\":");
                text(out, &json!({ "toolResult": start }));
                number(out, block);
            });
            write_event(out, "contentBlockDelta", |out| {
                raw(out, "{\"delta\":");
                text(out, &json!({ "toolResult": content }));
                number(out, block);
            });
            true
        }
        ("reasoningContent", Some(thoughts)) => {
            write_event(out, "contentBlockDelta", |out| {
                raw(out, "{\"delta\":");
                text(out, &json!({ "reasoningContent": thoughts }));
                number(out, block);
            });
            true
        }
        _ => false,
    }
}

fn error(out: &mut Vec<u8>, kind: &str, status: Option<u16>, message: &str) {
    let exception = errors::exception_of(kind, status);
    write_exception(out, exception, |out| {
        raw(out, "{\"message\":");
        text(out, message);
        if exception == "modelStreamErrorException" {
            if let Some(status) = status.filter(|status| (100..600).contains(status)) {
                raw(out, ",\"originalStatusCode\":");
                text(out, &status);
            }
        }
        raw(out, "}");
    });
}
