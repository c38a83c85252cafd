//! Writes streams.

mod chunk;

use std::collections::BTreeMap;

use serde_json::{json, Map, Value};

use super::super::grounding::{self, Segment, Sources};
use super::super::parts::arguments_object;
use super::super::{logprobs, response, usage};
use super::{COUNTED, FEEDBACK, OF_CANDIDATE, OF_CHUNK, OF_USAGE};
use crate::apis::{WriteEvents, WriteOptions};
use crate::representation::{
    BlockKind, Citation, Delta, Losses, ProviderStreamResponse as Event, StopReason, TokenUsage,
};
use chunk::{inside, json_text, own_members, place, raw, signed, tail};

/// How the chunks of a stream stand one behind the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Framing {
    /// Server-Sent Events (`alt=sse`).
    #[default]
    Sse,
    /// The items of one JSON array.
    Array,
}

/// Writes the chunks of a stream. Texts and thoughts are written as they come; calls, and media,
/// when they are whole, as this API has them.
#[derive(Debug, Default)]
pub struct Writer {
    options: WriteOptions,
    framing: Framing,
    /// A chunk has been written.
    begun: bool,
    /// The end of every chunk: which answer it belongs to.
    tail: Vec<u8>,
    /// The class of service, told in the first chunk and in the last.
    tier: Option<String>,
    usage: Option<TokenUsage>,
    choices: BTreeMap<u32, Choice>,
    blocks: BTreeMap<(u32, u32), Block>,
    /// Members that only this API has: of the usage, and of a chunk.
    beside_usage: Map<String, Value>,
    beside: Map<String, Value>,
    feedback: Option<Value>,
}

/// What is known of an answer.
#[derive(Debug, Default)]
struct Choice {
    stop: Option<StopReason>,
    /// Bytes of text so far.
    length: usize,
    has_parts: bool,
    sources: Sources,
    /// Members that only this API has.
    rest: Map<String, Value>,
}

/// An open block.
#[derive(Debug)]
enum Block {
    Text {
        /// Where it begins in the text of its answer.
        start: usize,
        /// Letters are bytes.
        is_ascii: bool,
    },
    /// The number of the summary that was written last.
    Thought(Option<u32>),
    Call(Call),
    Media {
        media_type: String,
        data: String,
        signature: String,
    },
    /// It is written, or has been lost.
    Done,
}

#[derive(Debug, Default)]
struct Call {
    id: String,
    name: String,
    is_custom: bool,
    arguments: String,
    signature: String,
}

impl Writer {
    /// A writer at the start of an answer.
    pub fn new(options: WriteOptions) -> Self {
        let framing = if options.json_array {
            Framing::Array
        } else {
            Framing::Sse
        };
        Self {
            options,
            framing,
            tail: b"}".to_vec(),
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
                created,
                service_tier,
                usage,
            } => {
                let or = |own: &str, other: &str| match own {
                    "" => other.to_owned(),
                    own => own.to_owned(),
                };
                let id = or(&id, &self.options.id);
                let model = or(&model, &self.options.model);
                let known = Some(self.options.created).filter(|created| *created > 0);
                self.tail = tail(&id, &model, created.or(known));
                let tier = service_tier.map(|tier| tier.into_owned());
                self.tier = tier.and_then(|tier| response::write_tier(tier, false, losses));
                self.usage = usage;
            }
            Event::BlockStart {
                choice,
                block,
                kind,
            } => self.start(choice, block, kind, out, losses),
            Event::Delta {
                choice,
                block,
                delta,
            } => self.delta(choice, block, delta, out, losses),
            Event::BlockStop { choice, block } => self.stop(choice, block, out, losses),
            Event::Stop { choice, reason } => {
                self.choices.entry(choice).or_default().stop = Some(reason);
            }
            Event::Usage(later) => self
                .usage
                .get_or_insert_with(TokenUsage::default)
                .update(&later),
            Event::Logprobs { choice, content } => match logprobs::write(&content) {
                Some(result) => {
                    let mut members = Map::new();
                    members.insert("logprobsResult".to_owned(), result);
                    self.members(choice, &members, out);
                }
                None => {
                    let place = format!("/{choice}/logprobs");
                    losses.dropped(place, "log probabilities of another form");
                }
            },
            Event::Other { kind, value } => self.other(&kind, value, out, losses),
            Event::Error {
                kind,
                status,
                message,
            } => {
                let error = response::stream_error(&kind, status, &message);
                self.open_chunk(out);
                json_text(out, &error);
                self.close_chunk(out, true);
            }
            Event::End => self.end(out, losses),
        }
    }
}

impl Writer {
    fn start(
        &mut self,
        choice: u32,
        block: u32,
        kind: BlockKind<'_>,
        out: &mut Vec<u8>,
        losses: &mut Losses,
    ) {
        let start = self.choices.entry(choice).or_default().length;
        let text = Block::Text {
            start,
            is_ascii: true,
        };
        let own = match kind {
            BlockKind::Text => text,
            BlockKind::Refusal => {
                let reason = "this API has no refusals: it is written as text";
                losses.approximated(place(choice, block), reason);
                text
            }
            BlockKind::Reasoning { id: _, encrypted } => {
                if encrypted.is_some_and(|own| !own.is_empty()) {
                    losses.dropped(place(choice, block), ENCRYPTED);
                }
                Block::Thought(None)
            }
            BlockKind::ToolCall {
                by_provider: true, ..
            } => {
                let reason = "the provider's own tools differ from API to API";
                losses.dropped(place(choice, block), reason);
                Block::Done
            }
            BlockKind::ToolCall {
                id, name, custom, ..
            } => Block::Call(Call {
                id: id.into_owned(),
                name: name.into_owned(),
                is_custom: custom,
                ..Call::default()
            }),
            BlockKind::Media { media_type } => Block::Media {
                media_type: media_type.into_owned(),
                data: String::new(),
                signature: String::new(),
            },
            BlockKind::Other { kind, value } => {
                match own_members(&kind, value) {
                    Some(members) => self.part(choice, out, |out| {
                        inside(out, &members);
                    }),
                    None => {
                        let reason = "only its own API has content of this kind";
                        losses.dropped(place(choice, block), reason);
                    }
                }
                Block::Done
            }
        };
        self.blocks.insert((choice, block), own);
    }

    fn delta(
        &mut self,
        choice: u32,
        block: u32,
        delta: Delta<'_>,
        out: &mut Vec<u8>,
        losses: &mut Losses,
    ) {
        // Taken out while it is written, and put back.
        let Some(mut own) = self.blocks.remove(&(choice, block)) else {
            return;
        };
        match (&mut own, delta) {
            (Block::Text { is_ascii, .. }, Delta::Text(text)) => {
                *is_ascii &= text.is_ascii();
                let length = &mut self.choices.entry(choice).or_default().length;
                *length = length.saturating_add(text.len());
                self.text(choice, &text, out);
            }
            (Block::Text { .. }, Delta::Signature(text)) => {
                self.signature(choice, false, &text, out);
            }
            (Block::Text { start, is_ascii }, Delta::Citation(citation)) => {
                let at = place(choice, block);
                self.cite(choice, (*start, *is_ascii), citation, at, losses);
            }
            (Block::Thought(_), Delta::Reasoning(text) | Delta::Text(text)) => {
                self.thought(choice, &text, out);
            }
            (Block::Thought(last), Delta::Summary(number, text)) => {
                if last.replace(number).is_some_and(|last| last != number) {
                    self.thought(choice, "\n\n", out);
                }
                self.thought(choice, &text, out);
            }
            (Block::Thought(_), Delta::Signature(text)) => {
                self.signature(choice, true, &text, out);
            }
            (Block::Thought(_), Delta::Encrypted(_)) => {
                losses.dropped(place(choice, block), ENCRYPTED);
            }
            (Block::Call(call), Delta::Arguments(text) | Delta::Text(text)) => {
                call.arguments.push_str(&text);
            }
            (Block::Call(Call { signature, .. }), Delta::Signature(text))
            | (Block::Media { signature, .. }, Delta::Signature(text)) => signature.push_str(&text),
            (Block::Media { data, .. }, Delta::Data(text)) => data.push_str(&text),
            (Block::Media { .. }, Delta::Transcript(text) | Delta::Text(text)) => {
                let reason = "what is said in sound is written as text";
                losses.approximated(place(choice, block), reason);
                self.text(choice, &text, out);
            }
            // Told when it began.
            (Block::Done, _) => {}
            _ => losses.dropped(
                place(choice, block),
                "a block of this kind has no such piece",
            ),
        }
        self.blocks.insert((choice, block), own);
    }

    fn cite(
        &mut self,
        choice: u32,
        (start, is_ascii): (usize, bool),
        citation: Citation,
        at: String,
        losses: &mut Losses,
    ) {
        if grounding::is_own(&citation) {
            return;
        }
        let own = self.choices.entry(choice).or_default();
        // Without the text at hand letters are bytes only where all are ASCII.
        let span = citation.span.filter(|_| is_ascii).and_then(|(from, to)| {
            let bytes = |letters: u64| usize::try_from(letters).ok()?.checked_add(start);
            Some((bytes(from)?, bytes(to)?))
        });
        let (start, end) = span.unwrap_or((start, own.length));
        let segment = Segment {
            part: 0,
            start,
            end,
            text: None,
        };
        own.sources.add(citation, segment, &at.into(), losses);
    }

    fn stop(&mut self, choice: u32, block: u32, out: &mut Vec<u8>, losses: &mut Losses) {
        match self.blocks.remove(&(choice, block)) {
            Some(Block::Call(call)) => self.call(choice, call, place(choice, block), out, losses),
            Some(Block::Media {
                media_type,
                data,
                signature,
            }) if !data.is_empty() => self.part(choice, out, |out| {
                raw(out, "\"inlineData\":{\"mimeType\":");
                json_text(out, &media_type);
                raw(out, ",\"data\":");
                json_text(out, &data);
                raw(out, "}");
                signed(out, &signature);
            }),
            _ => {}
        }
    }

    fn call(
        &mut self,
        choice: u32,
        call: Call,
        at: String,
        out: &mut Vec<u8>,
        losses: &mut Losses,
    ) {
        let Call {
            id,
            name,
            is_custom,
            arguments,
            signature,
        } = call;
        let known = arguments_object(&arguments).filter(|_| !is_custom);
        let args = known.unwrap_or_else(|| {
            let reason = "arguments are an object: other text is put into one";
            losses.approximated(at, reason);
            let key = if is_custom { "input" } else { "arguments" };
            json!({ key: arguments })
        });
        self.part(choice, out, |out| {
            raw(out, "\"functionCall\":{");
            if !id.is_empty() {
                raw(out, "\"id\":");
                json_text(out, &id);
                raw(out, ",");
            }
            raw(out, "\"name\":");
            json_text(out, &name);
            raw(out, ",\"args\":");
            json_text(out, &args);
            raw(out, "}");
            signed(out, &signature);
        });
    }

    /// Members that only this API has. They stand in the last chunk, and before that if there are
    /// others by the same name to come.
    fn other(&mut self, kind: &str, value: Value, out: &mut Vec<u8>, losses: &mut Losses) {
        let Value::Object(mut members) = value else {
            return losses.dropped("", FOREIGN);
        };
        match kind {
            OF_CANDIDATE => {
                let index = members.shift_remove("index");
                let index = index.and_then(|index| u32::try_from(index.as_u64()?).ok());
                let choice = index.unwrap_or_default();
                let own = self.choices.entry(choice).or_default();
                let is_new = |(key, value): (&String, &Value)| {
                    own.rest.get(key).is_none_or(|before| before == value)
                };
                if !members.iter().all(is_new) {
                    let before = std::mem::take(&mut own.rest);
                    self.members(choice, &before, out);
                }
                let own = self.choices.entry(choice).or_default();
                own.rest.extend(members);
            }
            OF_USAGE | COUNTED => self.beside_usage.extend(members),
            OF_CHUNK => self.beside.extend(members),
            FEEDBACK => self.feedback = Some(Value::Object(members)),
            _ => losses.dropped("", FOREIGN),
        }
    }

    fn end(&mut self, out: &mut Vec<u8>, losses: &mut Losses) {
        let open: Vec<(u32, u32)> = self.blocks.keys().copied().collect();
        for (choice, block) in open {
            self.stop(choice, block, out, losses);
        }
        let mut choices = std::mem::take(&mut self.choices);
        if choices.is_empty() {
            choices.insert(0, Choice::default());
        }
        let feedback = self.feedback.take();
        let block = response::block_reason(feedback.as_ref());
        let is_blocked = |choice: &Choice| {
            let raw = choice.stop.as_ref().map(|stop| &stop.raw);
            !choice.has_parts && raw.is_some() && raw == block.as_ref()
        };
        choices.retain(|_, choice| !is_blocked(choice));
        let mut chunk = std::mem::take(&mut self.beside);
        if !choices.is_empty() {
            let each = choices.into_iter();
            let each: Vec<Value> = each
                .map(|(number, choice)| last_of(number, choice, losses))
                .collect();
            chunk.insert("candidates".to_owned(), each.into());
        }
        if let Some(feedback) = feedback {
            chunk.insert(FEEDBACK.to_owned(), feedback);
        }
        if let Some(usage) = self.usage_metadata(losses) {
            chunk.insert("usageMetadata".to_owned(), usage);
        }
        self.open_chunk(out);
        raw(out, "{");
        inside(out, &chunk);
        out.extend_from_slice(&self.tail);
        self.close_chunk(out, true);
    }

    fn usage_metadata(&mut self, losses: &mut Losses) -> Option<Value> {
        let beside = std::mem::take(&mut self.beside_usage);
        let tier = self.tier.take();
        let usage = self.usage.take();
        if usage.is_none() && tier.is_none() && beside.is_empty() {
            return None;
        }
        let mut own = usage
            .map(|own| usage::write(own, false, losses))
            .unwrap_or_default();
        own.extend(beside);
        if let Some(tier) = tier {
            own.insert("serviceTier".to_owned(), tier.into());
        }
        Some(Value::Object(own))
    }
}

const ENCRYPTED: &str = "encrypted thoughts are another provider's";
const FOREIGN: &str = "only its own API has such an event";

/// The candidate of the last chunk.
fn last_of(number: u32, choice: Choice, losses: &mut Losses) -> Value {
    let Choice {
        stop,
        length: _,
        has_parts: _,
        sources,
        rest,
    } = choice;
    let reason = match stop {
        Some(stop) => usage::word_of(stop, false, losses),
        None => usage::untold(losses),
    };
    let mut own = Map::new();
    let content = json!({"parts": [{"text": ""}], "role": "model"});
    own.insert("content".to_owned(), content);
    own.insert("finishReason".to_owned(), response::finish_reason(reason));
    own.insert("index".to_owned(), number.into());
    if let Some(metadata) = sources.metadata() {
        own.insert("groundingMetadata".to_owned(), metadata);
    }
    own.extend(rest);
    Value::Object(own)
}

#[cfg(test)]
mod tests;
