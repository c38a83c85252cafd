//! Streams: chunks that are answers in the form of [`response`](super::response::read), each with the
//! parts that have come since the one before. There is no event at the end: all is said when every
//! candidate has told why it ended.
//!
//! Chunks come as Server-Sent Events (`alt=sse`), or as the items of one JSON array
//! ([`ArrayFraming`]).

mod array;
mod candidate;
mod fast;
mod partial;
mod writer;

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::{Map, Value};

pub use array::{ArrayFraming, Element};
pub use writer::Writer;

use super::grounding;
use super::members::{Members, Reading};
use super::usage::{self, Figures};
use super::{errors, logprobs, response, time};
use crate::apis::{ReadEvents, Sink};
use crate::representation::{At, Extension, ProviderStreamResponse as Event};
use candidate::{Candidate, Stop};

/// Members of a candidate, of a part, of the usage and of a chunk that only this API has.
pub(super) const OF_CANDIDATE: &str = "candidate";
pub(super) const OF_PART: &str = "part";
pub(super) const OF_USAGE: &str = "usageMetadata";
/// Members of the usage that say nothing more than its figures.
pub(super) const COUNTED: &str = "bookkeeping:usageMetadata";
pub(super) const OF_CHUNK: &str = "generateContentResponse";
pub(super) const FEEDBACK: &str = "promptFeedback";

/// Understands the chunks of a stream.
#[derive(Debug, Default)]
pub struct Reader {
    started: bool,
    ended: bool,
    candidates: BTreeMap<u32, Candidate>,
    figures: Option<Figures>,
    /// The last `usageMetadata`, as it came.
    usage: String,
}

impl ReadEvents for Reader {
    fn event(&mut self, _name: Option<&str>, data: &str, sink: &mut Sink<'_>) {
        if self.ended {
            return;
        }
        match serde_json::from_str::<fast::Chunk<'_>>(data) {
            Ok(chunk) => self.fast(chunk, sink),
            Err(_) => {
                if let Ok(value) = serde_json::from_str(data) {
                    self.slow(value, sink);
                }
            }
        }
    }

    fn finish(&mut self, sink: &mut Sink<'_>) {
        let all_said = self.candidates.values().all(|own| own.stop.is_some());
        // What was cut stays open, as in all APIs: another provider may go on with it.
        if self.ended || self.candidates.is_empty() || !all_said {
            return;
        }
        for (choice, own) in &mut self.candidates {
            own.end_call(*choice, sink);
            own.close(*choice, sink);
        }
        self.ended = true;
        for (choice, own) in std::mem::take(&mut self.candidates) {
            if let Some(reason) = own.reason() {
                sink(Event::Stop { choice, reason });
            }
        }
        self.tell_usage(sink);
        sink(Event::End);
    }
}

impl Reader {
    /// A chunk of texts and thoughts alone.
    fn fast(&mut self, chunk: fast::Chunk<'_>, sink: &mut Sink<'_>) {
        let fast::Chunk {
            candidates,
            usage_metadata,
            model_version,
            response_id,
            create_time,
        } = chunk;
        if !self.started {
            let text = |own: Option<fast::Text<'_>>| own.map(|own| own.0.into_owned());
            let head = Head {
                id: text(response_id).unwrap_or_default(),
                model: text(model_version).unwrap_or_default(),
                created: text(create_time).as_deref().and_then(time::seconds),
            };
            let tier = usage_metadata.and_then(|usage| fast::tier(usage.get()));
            self.start(head, tier, sink);
        }
        for (number, candidate) in candidates.into_iter().enumerate() {
            let choice = candidate.index.or_else(|| u32::try_from(number).ok());
            let choice = choice.unwrap_or_default();
            let own = self.candidates.entry(choice).or_default();
            let parts = candidate.content.map(|content| content.parts);
            for part in parts.unwrap_or_default() {
                let signature = part.thought_signature.map(|own| own.0);
                own.piece(choice, part.text.0, part.thought, signature, sink);
            }
            if let Some(fast::Text(reason)) = candidate.finish_reason {
                own.ends(reason.into_owned());
            }
        }
        if let Some(usage) = usage_metadata {
            self.note_usage(usage.get());
        }
    }

    fn start(&mut self, head: Head, tier: Option<String>, sink: &mut Sink<'_>) {
        self.started = true;
        sink(Event::Start {
            id: head.id.into(),
            model: head.model.into(),
            created: head.created,
            service_tier: tier.map(Cow::Owned),
            usage: None,
        });
    }

    fn note_usage(&mut self, text: &str) {
        if let Ok(figures) = serde_json::from_str::<Figures>(text) {
            self.figures.get_or_insert_default().update(figures);
        }
        self.usage.clear();
        self.usage.push_str(text);
    }

    fn tell_usage(&mut self, sink: &mut Sink<'_>) {
        let Ok(value) = serde_json::from_str(&self.usage) else {
            return;
        };
        let Ok(usage) = Members::new(value, "", Reading::Lenient) else {
            return;
        };
        let mut rest = Vec::new();
        let (mut own, _) = usage::read(usage, &mut rest);
        if let Some(figures) = self.figures {
            let all = figures.usage();
            own.update(&all);
        }
        sink(Event::Usage(own));
        let (counted, rest) = rest.into_iter().partition(usage::is_counted);
        keep(COUNTED, None, counted, sink);
        keep(OF_USAGE, None, rest, sink);
    }

    /// A chunk of any kind.
    fn slow(&mut self, chunk: Value, sink: &mut Sink<'_>) {
        let chunk = match chunk {
            Value::Array(chunks) => {
                for chunk in chunks.into_iter().filter(Value::is_object) {
                    self.slow(chunk, sink);
                }
                return;
            }
            chunk if chunk.is_object() && !self.ended => chunk,
            _ => return,
        };
        if let Some(error) = errors::read(200, &chunk) {
            self.ended = true;
            return sink(Event::Error {
                kind: error.kind.into(),
                status: Some(error.status),
                message: error.message.into(),
            });
        }
        if let Ok(chunk) = Members::new(chunk, "", Reading::Lenient) {
            self.members(chunk, sink);
        }
    }

    fn members(&mut self, mut chunk: Members, sink: &mut Sink<'_>) {
        let mut text = |key: &'static str| {
            let text = chunk.text(key).ok().flatten();
            text.map(|own| own.value).unwrap_or_default()
        };
        let head = Head {
            id: text("responseId"),
            model: text("modelVersion"),
            created: time::seconds(&text("createTime")),
        };
        let usage = chunk.take("usageMetadata").map(|own| own.value.to_string());
        if !self.started {
            let tier = usage.as_deref().and_then(fast::tier);
            self.start(head, tier, sink);
        }
        let list = chunk.many("candidates").ok().flatten().unwrap_or_default();
        for (number, item) in list.into_iter().enumerate() {
            self.candidate(item, number, sink);
        }
        if let Some(At { value, .. }) = chunk.take("promptFeedback") {
            if let (true, Some(reason)) = (
                self.candidates.is_empty(),
                response::block_reason(Some(&value)),
            ) {
                let own = self.candidates.entry(0).or_default();
                own.stop = Some(Stop::Blocked(reason));
            }
            sink(Event::Other {
                kind: FEEDBACK.into(),
                value,
            });
        }
        if let Some(usage) = usage {
            self.note_usage(&usage);
        }
        keep(OF_CHUNK, None, chunk.rest(), sink);
    }

    fn candidate(&mut self, item: At<Value>, number: usize, sink: &mut Sink<'_>) {
        let Ok(mut members) = Members::new(item.value, item.at, Reading::Lenient) else {
            return;
        };
        let index = members.whole("index").ok().flatten();
        let index = index.and_then(|index| u32::try_from(index.value).ok());
        let choice = index.or_else(|| u32::try_from(number).ok());
        let choice = choice.unwrap_or_default();
        let own = self.candidates.entry(choice).or_default();
        if let Ok(Some(mut content)) = members.object("content") {
            content.take("role");
            let parts = content.many("parts").ok().flatten();
            for part in parts.unwrap_or_default() {
                own.part(choice, part, sink);
            }
            keep(OF_CANDIDATE, Some(choice), content.rest(), sink);
        }
        let found = grounding::find(
            members.peek("groundingMetadata"),
            members.peek("citationMetadata"),
        );
        own.cite(choice, found, sink);
        if let Some((content, rest)) = members.peek("logprobsResult").and_then(logprobs::read) {
            if rest.is_empty() {
                members.take("logprobsResult");
            }
            sink(Event::Logprobs { choice, content });
        }
        if let Some(raw) = members.peek("finishReason").and_then(usage::word) {
            members.take("finishReason");
            own.ends(raw);
        }
        keep(OF_CANDIDATE, Some(choice), members.rest(), sink);
    }
}

/// What is known of an answer when it begins.
struct Head {
    id: String,
    model: String,
    created: Option<u64>,
}

/// Members that only this API has; of a candidate with its number.
fn keep(kind: &'static str, choice: Option<u32>, rest: Vec<Extension>, sink: &mut Sink<'_>) {
    if rest.is_empty() {
        return;
    }
    let mut members = Map::new();
    if let Some(choice) = choice {
        members.insert("index".to_owned(), choice.into());
    }
    for member in rest {
        members.insert(member.name, member.value);
    }
    sink(Event::Other {
        kind: kind.into(),
        value: Value::Object(members),
    });
}

#[cfg(test)]
mod tests;
