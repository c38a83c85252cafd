//! Chunks, understood.
//!
//! Texts are borrowed from the chunk; what is seldom there is looked at a second time.

mod calls;
mod choice;
mod chunk;
mod thoughts;

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use serde_json::Value;

use super::super::{content, response, usage};
use crate::apis::{ReadEvents, Sink};
use crate::representation::ProviderStreamResponse as Event;
use choice::Choice;
use chunk::{Chunk, ChunkChoice, Text};

/// Reads chunks.
#[derive(Debug, Default)]
pub struct Reader {
    started: bool,
    choices: BTreeMap<u32, Choice>,
    /// Citations have come: some providers repeat them in each chunk.
    cited: bool,
}

impl ReadEvents for Reader {
    fn event(&mut self, name: Option<&str>, data: &str, sink: &mut Sink<'_>) {
        if data.trim() == "[DONE]" {
            return self.done(sink);
        }
        if name == Some("error") {
            return told(data, sink);
        }
        match serde_json::from_str::<Chunk<'_>>(data) {
            Ok(chunk) => self.chunk(chunk, data, sink),
            Err(_) => self.odd(data, sink),
        }
    }

    fn finish(&mut self, sink: &mut Sink<'_>) {
        // Some providers send no marker at the end.
        if !self.choices.is_empty() && self.choices.values().all(|choice| choice.stopped) {
            sink(Event::End);
        }
    }
}

/// An error in the middle; what is none is skipped.
fn told(data: &str, sink: &mut Sink<'_>) {
    let Ok(mut body) = serde_json::from_str::<Value>(data) else {
        return;
    };
    if body.get("error").is_none_or(Value::is_null) {
        body = serde_json::json!({"error": body});
    }
    // The answer had begun as a success: its status, if any, is told inside.
    let Some(found) = response::read_error(200, &body) else {
        return;
    };
    let kind = if found.kind.is_empty() {
        found.code.unwrap_or_default()
    } else {
        found.kind
    };
    sink(Event::Error {
        kind: kind.into(),
        status: Some(found.status).filter(|status| (400..600).contains(status)),
        message: found.message.into(),
    });
}

impl Reader {
    /// The marker at the end. Some providers do not say why an answer ended.
    fn done(&mut self, sink: &mut Sink<'_>) {
        for (index, own) in &mut self.choices {
            if !std::mem::replace(&mut own.stopped, true) {
                sink(Event::Stop {
                    choice: *index,
                    reason: response::stop("stop".to_owned(), own.has_calls()),
                });
            }
        }
        sink(Event::End);
    }

    fn chunk(&mut self, chunk: Chunk<'_>, data: &str, sink: &mut Sink<'_>) {
        if chunk.error.is_some_and(|error| error.get() != "null") {
            return told(data, sink);
        }
        let text = |text: Option<Text<'_>>| text.map(|text| text.0.into_owned());
        let choices = chunk.choices.unwrap_or_default();
        // Azure begins with a verdict on the prompt, before there is an answer.
        if !self.started && (choices.first().is_some() || chunk.usage.is_some()) {
            self.started = true;
            sink(Event::Start {
                id: text(chunk.id).unwrap_or_default().into(),
                model: text(chunk.model).unwrap_or_default().into(),
                created: chunk.created.and_then(|at| at.get().parse().ok()),
                service_tier: chunk.service_tier.map(|tier| tier.0),
                usage: None,
            });
        }
        let first = choices.first().map(|choice| choice.index.unwrap_or(0));
        for choice in choices {
            self.choice(choice, sink);
        }
        if let (Some(list), Some(first)) = (chunk.citations, first) {
            self.citations(first, list, chunk.search_results, sink);
        }
        if let Some(found) = chunk.usage.and_then(object) {
            sink(Event::Usage(usage::read(found).0));
        } else if let Some(found) = chunk.x_groq.filter(|own| own.get().contains("\"usage\"")) {
            // Groq tells it here to those who do not ask for it.
            let own = object(found).and_then(|mut own| own.get_mut("usage").map(Value::take));
            if let Some(own) = own.filter(Value::is_object) {
                sink(Event::Usage(usage::read(own).0));
            }
        }
    }

    /// A chunk with a member of another type than usual: without it.
    fn odd(&mut self, data: &str, sink: &mut Sink<'_>) {
        let Ok(Value::Object(members)) = serde_json::from_str::<Value>(data) else {
            return;
        };
        let plain = Value::Object(chunk::usual(members)).to_string();
        if let Ok(chunk) = serde_json::from_str::<Chunk<'_>>(&plain) {
            self.chunk(chunk, &plain, sink);
        }
    }

    fn choice(&mut self, choice: ChunkChoice<'_>, sink: &mut Sink<'_>) {
        let index = choice.index.unwrap_or(0);
        let own = self
            .choices
            .entry(index)
            .or_insert_with(|| Choice::new(index));
        if let Some(delta) = choice.delta {
            own.delta(delta, sink);
        }
        if let Some(found) = choice.logprobs.filter(|found| found.get() != "null") {
            logprobs(index, found, sink);
        }
        if let Some(word) = choice.finish_reason.filter(|word| !word.0.is_empty()) {
            own.stopped = true;
            sink(Event::Stop {
                choice: index,
                reason: response::stop(word.0.into_owned(), own.has_calls()),
            });
        }
    }

    /// Perplexity's citations, once.
    fn citations(
        &mut self,
        choice: u32,
        list: &RawValue,
        results: Option<&RawValue>,
        sink: &mut Sink<'_>,
    ) {
        let Some(own) = self.choices.get_mut(&choice).filter(|_| !self.cited) else {
            return;
        };
        let results = results.and_then(|results| serde_json::from_str(results.get()).ok());
        let list = serde_json::from_str(list.get()).unwrap_or_default();
        if let Some(pages) = content::pages(&list, results.as_ref()) {
            self.cited = true;
            own.cite(pages, sink);
        }
    }
}

fn logprobs(choice: u32, found: &RawValue, sink: &mut Sink<'_>) {
    let content = object(found).and_then(|mut whole| whole.get_mut("content").map(Value::take));
    if let Some(content @ Value::Array(_)) = content {
        sink(Event::Logprobs { choice, content });
    }
}

/// An object, looked at a second time.
fn object(raw: &RawValue) -> Option<Value> {
    let value: Value = serde_json::from_str(raw.get()).ok()?;
    value.is_object().then_some(value)
}
