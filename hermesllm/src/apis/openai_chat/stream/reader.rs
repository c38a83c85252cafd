//! Chunks, understood.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::Value;

use super::super::{content, response, usage};
use crate::apis::{ReadEvents, Sink};
use crate::representation::{BlockKind, Delta, ProviderStreamResponse as Event};

/// Text that is borrowed from the chunk where it has no escapes.
#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow, default)]
    id: Option<Text<'a>>,
    #[serde(borrow, default)]
    model: Option<Text<'a>>,
    #[serde(borrow, default)]
    created: Option<&'a RawValue>,
    #[serde(borrow, default)]
    service_tier: Option<Text<'a>>,
    #[serde(borrow, default)]
    choices: Option<Vec<ChunkChoice<'a>>>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ChunkChoice<'a> {
    #[serde(default)]
    index: Option<u32>,
    #[serde(borrow, default)]
    delta: Option<ChunkDelta<'a>>,
    #[serde(borrow, default)]
    finish_reason: Option<Text<'a>>,
    #[serde(borrow, default)]
    logprobs: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ChunkDelta<'a> {
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    reasoning_content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    reasoning: Option<&'a RawValue>,
    #[serde(borrow, default)]
    reasoning_details: Option<&'a RawValue>,
    #[serde(borrow, default)]
    refusal: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tool_calls: Option<Vec<ChunkCall<'a>>>,
    #[serde(borrow, default)]
    function_call: Option<ChunkFunction<'a>>,
    #[serde(borrow, default)]
    audio: Option<&'a RawValue>,
    #[serde(borrow, default)]
    images: Option<&'a RawValue>,
    #[serde(borrow, default)]
    annotations: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ChunkCall<'a> {
    #[serde(default)]
    index: Option<u32>,
    #[serde(borrow, default)]
    id: Option<Text<'a>>,
    #[serde(borrow, default)]
    function: Option<ChunkFunction<'a>>,
    #[serde(borrow, default)]
    custom: Option<ChunkFunction<'a>>,
    #[serde(borrow, default)]
    extra_content: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ChunkFunction<'a> {
    #[serde(borrow, default)]
    name: Option<Text<'a>>,
    #[serde(borrow, default, alias = "input")]
    arguments: Option<&'a RawValue>,
}

/// Reads chunks.
#[derive(Debug, Default)]
pub struct Reader {
    started: bool,
    choices: BTreeMap<u32, Choice>,
}

#[derive(Debug, Default)]
struct Choice {
    /// The number of the next block.
    next: u32,
    /// The block that text, thoughts or refusal go to.
    open: Option<(Open, u32)>,
    calls: Vec<Call>,
    stopped: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    Text,
    Reasoning,
    Refusal,
    Audio,
}

#[derive(Debug)]
struct Call {
    index: u32,
    id: String,
    /// The name has not come yet; nothing has been told.
    waiting: bool,
    block: u32,
}

impl ReadEvents for Reader {
    fn event(&mut self, _name: Option<&str>, data: &str, sink: &mut Sink<'_>) {
        if data.trim() == "[DONE]" {
            return sink(Event::End);
        }
        let Ok(chunk) = serde_json::from_str::<Chunk<'_>>(data) else {
            return self.odd(data, sink);
        };
        if let Some(error) = chunk.error.filter(|error| error.get() != "null") {
            return told(error.get(), sink);
        }
        let text =
            |text: &Option<Text<'_>>| text.as_ref().map_or("", |text| text.0.as_ref()).to_owned();
        let choices = chunk.choices.unwrap_or_default();
        // Azure begins with a verdict on the prompt, before there is an answer.
        if !self.started && (!choices.is_empty() || chunk.usage.is_some()) {
            self.started = true;
            sink(Event::Start {
                id: text(&chunk.id).into(),
                model: text(&chunk.model).into(),
                created: chunk.created.and_then(|at| at.get().parse().ok()),
                service_tier: chunk.service_tier.map(|tier| tier.0),
                usage: None,
            });
        }
        for choice in choices {
            self.choice(choice, sink);
        }
        if let Some(found) = chunk.usage.filter(|usage| usage.get() != "null") {
            if let Ok(value) = serde_json::from_str::<Value>(found.get()) {
                sink(Event::Usage(usage::read(value).0));
            }
        }
    }

    fn finish(&mut self, sink: &mut Sink<'_>) {
        // Some providers send no marker at the end.
        if !self.choices.is_empty() && self.choices.values().all(|choice| choice.stopped) {
            sink(Event::End);
        }
    }
}

/// An error object in the middle.
fn told(error: &str, sink: &mut Sink<'_>) {
    let value: Value = serde_json::from_str(error).unwrap_or_default();
    let body = serde_json::json!({"error": value});
    let found = response::read_error(500, &body).unwrap_or_default();
    let status = found
        .code
        .as_deref()
        .and_then(|code| code.parse().ok())
        .filter(|status| (400..600).contains(status));
    sink(Event::Error {
        kind: found.kind.into(),
        status,
        message: found.message.into(),
    });
}

impl Reader {
    /// A chunk with a member of another type than usual.
    fn odd(&mut self, data: &str, sink: &mut Sink<'_>) {
        let Ok(value) = serde_json::from_str::<Value>(data) else {
            return;
        };
        if response::read_error(200, &value).is_some() {
            let error = value.get("error").map(Value::to_string);
            told(&error.unwrap_or_default(), sink);
        }
    }

    fn choice(&mut self, choice: ChunkChoice<'_>, sink: &mut Sink<'_>) {
        let index = choice.index.unwrap_or(0);
        let own = self.choices.entry(index).or_default();
        if let Some(delta) = choice.delta {
            own.delta(index, delta, sink);
        }
        if let Some(found) = choice.logprobs.filter(|found| found.get() != "null") {
            own.logprobs(index, found, sink);
        }
        if let Some(word) = choice.finish_reason.filter(|word| !word.0.is_empty()) {
            own.stopped = true;
            sink(Event::Stop {
                choice: index,
                reason: response::stop(word.0.into_owned(), !own.calls.is_empty()),
            });
        }
    }
}

/// A JSON string, borrowed where it has no escapes; nothing for an empty one or another value.
fn string(raw: Option<&RawValue>) -> Option<Cow<'_, str>> {
    let raw = raw?.get();
    if !raw.starts_with('"') {
        return None;
    }
    let Text(text) = serde_json::from_str(raw).ok()?;
    (!text.is_empty()).then_some(text)
}

fn value(raw: Option<&RawValue>) -> Option<Value> {
    let raw = raw?.get();
    if raw == "null" || raw.starts_with('"') {
        return None;
    }
    serde_json::from_str(raw).ok()
}

impl Choice {
    fn delta(&mut self, index: u32, delta: ChunkDelta<'_>, sink: &mut Sink<'_>) {
        let thoughts = string(delta.reasoning_content).or_else(|| string(delta.reasoning));
        let has_thoughts = thoughts.is_some();
        if let Some(text) = thoughts {
            let block = self.open(index, Open::Reasoning, sink);
            pass(index, block, Delta::Reasoning(text), sink);
        }
        if let Some(details) = value(delta.reasoning_details) {
            self.details(index, details, has_thoughts, sink);
        }
        if let Some(text) = string(delta.content) {
            let block = self.open(index, Open::Text, sink);
            pass(index, block, Delta::Text(text), sink);
        } else if let Some(list) = value(delta.content) {
            self.list(index, list, sink);
        }
        if let Some(text) = string(delta.refusal) {
            let block = self.open(index, Open::Refusal, sink);
            pass(index, block, Delta::Text(text), sink);
        }
        if let Some(list) = value(delta.annotations) {
            for citation in content::annotations(list) {
                let block = self.open(index, Open::Text, sink);
                pass(index, block, Delta::Citation(citation), sink);
            }
        }
        if let Some(audio) = value(delta.audio) {
            self.audio(index, &audio, sink);
        }
        if let Some(Value::Array(images)) = value(delta.images) {
            for image in images {
                self.image(index, &image, sink);
            }
        }
        for call in delta.tool_calls.unwrap_or_default() {
            self.call(index, call, sink);
        }
        if let Some(function) = delta.function_call {
            let call = ChunkCall {
                index: Some(0),
                id: None,
                function: Some(function),
                custom: None,
                extra_content: None,
            };
            self.call(index, call, sink);
        }
    }

    /// The block for text of a kind: the open one, or a new one.
    fn open(&mut self, index: u32, kind: Open, sink: &mut Sink<'_>) -> u32 {
        if let Some((open, block)) = self.open {
            if open == kind {
                return block;
            }
        }
        self.close(index, sink);
        let block = self.number();
        self.open = Some((kind, block));
        let kind = match kind {
            Open::Text => BlockKind::Text,
            Open::Refusal => BlockKind::Refusal,
            Open::Reasoning => BlockKind::Reasoning {
                id: None,
                encrypted: None,
            },
            Open::Audio => BlockKind::Media {
                media_type: "".into(),
            },
        };
        sink(Event::BlockStart {
            choice: index,
            block,
            kind,
        });
        block
    }

    fn close(&mut self, index: u32, sink: &mut Sink<'_>) {
        if let Some((_, block)) = self.open.take() {
            sink(Event::BlockStop {
                choice: index,
                block,
            });
        }
    }

    fn number(&mut self) -> u32 {
        let number = self.next;
        self.next = self.next.saturating_add(1);
        number
    }

    /// Mistral's content: texts and thoughts in a list.
    fn list(&mut self, index: u32, list: Value, sink: &mut Sink<'_>) {
        let Value::Array(items) = list else {
            return;
        };
        for item in items {
            if let Some(text) = item.get("text").and_then(Value::as_str) {
                let block = self.open(index, Open::Text, sink);
                pass(index, block, Delta::Text(text.into()), sink);
            }
            let thoughts = item.get("thinking").and_then(Value::as_array);
            for thought in thoughts.into_iter().flatten() {
                if let Some(text) = thought.get("text").and_then(Value::as_str) {
                    let block = self.open(index, Open::Reasoning, sink);
                    pass(index, block, Delta::Reasoning(text.into()), sink);
                }
            }
        }
    }

    fn details(&mut self, index: u32, details: Value, has_thoughts: bool, sink: &mut Sink<'_>) {
        let Value::Array(details) = details else {
            return;
        };
        for detail in details {
            let text = |key: &str| {
                let text = detail.get(key).and_then(Value::as_str);
                text.filter(|text| !text.is_empty())
            };
            // Texts and summaries repeat what `reasoning` says.
            let mut deltas: Vec<Delta<'_>> = Vec::new();
            if !has_thoughts {
                deltas.extend(text("text").map(|text| Delta::Reasoning(text.into())));
                deltas.extend(text("summary").map(|text| Delta::Summary(0, text.into())));
            }
            deltas.extend(text("signature").map(|text| Delta::Signature(text.into())));
            deltas.extend(text("data").map(|text| Delta::Encrypted(text.into())));
            for delta in deltas {
                let block = self.open(index, Open::Reasoning, sink);
                pass(index, block, delta, sink);
            }
        }
    }

    fn audio(&mut self, index: u32, audio: &Value, sink: &mut Sink<'_>) {
        let text = |key: &str| audio.get(key).and_then(Value::as_str);
        if let Some(data) = text("data") {
            let block = self.open(index, Open::Audio, sink);
            pass(index, block, Delta::Data(data.into()), sink);
        }
        if let Some(said) = text("transcript") {
            let block = self.open(index, Open::Audio, sink);
            pass(index, block, Delta::Transcript(said.into()), sink);
        }
    }

    fn image(&mut self, index: u32, image: &Value, sink: &mut Sink<'_>) {
        let url = image.pointer("/image_url/url").and_then(Value::as_str);
        let Some(crate::representation::Blob::Base64 { media_type, data }) =
            url.map(|url| content::blob(url.to_owned()))
        else {
            return;
        };
        self.close(index, sink);
        let block = self.number();
        sink(Event::BlockStart {
            choice: index,
            block,
            kind: BlockKind::Media {
                media_type: media_type.into(),
            },
        });
        pass(index, block, Delta::Data(data.into()), sink);
        sink(Event::BlockStop {
            choice: index,
            block,
        });
    }

    fn call(&mut self, index: u32, call: ChunkCall<'_>, sink: &mut Sink<'_>) {
        let custom = call.custom.is_some();
        let function = call.function.or(call.custom);
        let (name, arguments) = match &function {
            Some(own) => (own.name.as_ref().map(|name| name.0.as_ref()), own.arguments),
            None => (None, None),
        };
        let name = name.filter(|name| !name.is_empty());
        let id = call.id.as_ref().map(|id| id.0.as_ref());
        let id = id.filter(|id| !id.is_empty());
        let Some(at) = self.place(call.index, id, name) else {
            return;
        };
        if self.calls.get(at).is_some_and(|own| own.waiting) && name.is_some() {
            self.close(index, sink);
            let block = self.number();
            if let Some(own) = self.calls.get_mut(at) {
                own.waiting = false;
                own.block = block;
                sink(Event::BlockStart {
                    choice: index,
                    block,
                    kind: BlockKind::ToolCall {
                        id: own.id.clone().into(),
                        name: name.unwrap_or_default().into(),
                        custom,
                        by_provider: false,
                    },
                });
            }
        }
        let Some(own) = self.calls.get(at).filter(|own| !own.waiting) else {
            return;
        };
        if let Some(piece) = string(arguments) {
            pass(index, own.block, Delta::Arguments(piece), sink);
        } else if let Some(whole) = value(arguments) {
            // Some providers write an object where the API has its text.
            pass(
                index,
                own.block,
                Delta::Arguments(whole.to_string().into()),
                sink,
            );
        }
        if let Some(extra) = value(call.extra_content) {
            let signature = extra.pointer("/google/thought_signature");
            if let Some(text) = signature.and_then(Value::as_str) {
                pass(index, own.block, Delta::Signature(text.into()), sink);
            }
        }
    }

    /// Which call a piece belongs to. Most providers number them; some say 0 for each, or nothing.
    fn place(
        &mut self,
        number: Option<u32>,
        id: Option<&str>,
        name: Option<&str>,
    ) -> Option<usize> {
        let known = match (number, id) {
            (Some(number), id) => {
                let mut calls = self.calls.iter();
                let at = calls.rposition(|call| call.index == number);
                at.filter(|at| {
                    let known = self.calls.get(*at).map_or("", |call| call.id.as_str());
                    // Another identifier with a name of its own is another call.
                    id.is_none_or(|id| known.is_empty() || known == id || name.is_none())
                })
            }
            (None, Some(id)) => self.calls.iter().rposition(|call| call.id == id),
            (None, None) if name.is_some() => None,
            (None, None) => self.calls.len().checked_sub(1),
        };
        if let Some(at) = known {
            if let (Some(call), Some(id)) = (self.calls.get_mut(at), id) {
                if call.id.is_empty() {
                    id.clone_into(&mut call.id);
                }
            }
            return Some(at);
        }
        if id.is_none() && name.is_none() && number.is_none() {
            return None;
        }
        let next = self
            .calls
            .iter()
            .map(|call| call.index.saturating_add(1))
            .max();
        self.calls.push(Call {
            index: number.or(next).unwrap_or(0),
            id: id.unwrap_or_default().to_owned(),
            waiting: true,
            block: 0,
        });
        Some(self.calls.len().saturating_sub(1))
    }

    fn logprobs(&mut self, index: u32, found: &RawValue, sink: &mut Sink<'_>) {
        let Ok(Value::Object(mut whole)) = serde_json::from_str(found.get()) else {
            return;
        };
        if let Some(content @ Value::Array(_)) = whole.remove("content") {
            sink(Event::Logprobs {
                choice: index,
                content,
            });
        }
    }
}

fn pass(choice: u32, block: u32, delta: Delta<'_>, sink: &mut Sink<'_>) {
    sink(Event::Delta {
        choice,
        block,
        delta,
    });
}
