//! Chunks, understood.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::Value;

use super::super::{logprobs, response, usage};
use crate::apis::few::Few;
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
    choices: Option<Few<ChunkChoice<'a>>>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    /// Writer's chunks have this and nothing else.
    #[serde(borrow, default)]
    value: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct ChunkChoice<'a> {
    #[serde(default)]
    index: Option<u32>,
    #[serde(borrow, default)]
    text: Option<Text<'a>>,
    #[serde(borrow, default)]
    finish_reason: Option<Text<'a>>,
    #[serde(borrow, default)]
    logprobs: Option<&'a RawValue>,
}

/// Reads chunks. What stands beside the text of a choice (its seed, the number of its token) has no
/// meaning to any other API.
#[derive(Debug, Default)]
pub struct Reader {
    started: bool,
    /// Whether each choice that was seen has ended.
    choices: BTreeMap<u32, bool>,
}

impl ReadEvents for Reader {
    fn event(&mut self, _name: Option<&str>, data: &str, sink: &mut Sink<'_>) {
        if data.trim() == "[DONE]" {
            return sink(Event::End);
        }
        let Ok(chunk) = serde_json::from_str::<Chunk<'_>>(data) else {
            return odd(data, sink);
        };
        if chunk.error.is_some_and(|error| error.get() != "null") {
            return odd(data, sink);
        }
        let choices = chunk.choices.unwrap_or_default();
        // Azure begins with a verdict on the prompt, before there is an answer.
        let begins = choices.first().is_some() || chunk.usage.is_some() || chunk.value.is_some();
        if !self.started && begins {
            self.started = true;
            let text = |text: Option<Text<'_>>| Cow::Owned(text.map_or_else(String::new, owned));
            sink(Event::Start {
                id: text(chunk.id),
                model: text(chunk.model),
                created: chunk.created.and_then(|at| at.get().parse().ok()),
                service_tier: None,
                usage: None,
            });
        }
        if let Some(Text(text)) = chunk.value {
            self.text(0, text, sink);
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
        if !self.choices.is_empty() && self.choices.values().all(|ended| *ended) {
            sink(Event::End);
        }
    }
}

fn owned(text: Text<'_>) -> String {
    text.0.into_owned()
}

/// An error in the middle, or a chunk with a member of another type than usual.
fn odd(data: &str, sink: &mut Sink<'_>) {
    let Ok(value) = serde_json::from_str::<Value>(data) else {
        return;
    };
    if value.get("error").is_none_or(Value::is_null) {
        return;
    }
    let found = response::read_error(500, &value).unwrap_or_default();
    let code = found.code.as_deref().and_then(|code| code.parse().ok());
    sink(Event::Error {
        kind: found.kind.into(),
        status: code.filter(|status| (400..600).contains(status)),
        message: found.message.into(),
    });
}

impl Reader {
    fn choice(&mut self, choice: ChunkChoice<'_>, sink: &mut Sink<'_>) {
        let index = choice.index.unwrap_or(0);
        if let Some(Text(text)) = choice.text {
            self.text(index, text, sink);
        }
        let found = choice.logprobs.filter(|found| found.get() != "null");
        let found = found.and_then(|found| serde_json::from_str::<Value>(found.get()).ok());
        if let Some(content) = found.as_ref().and_then(logprobs::read) {
            sink(Event::Logprobs {
                choice: index,
                content,
            });
        }
        if let Some(Text(word)) = choice.finish_reason.filter(|word| !word.0.is_empty()) {
            self.choices.insert(index, true);
            sink(Event::Stop {
                choice: index,
                reason: response::stop_reason(word.into_owned()),
            });
        }
    }

    fn text(&mut self, index: u32, text: Cow<'_, str>, sink: &mut Sink<'_>) {
        if let std::collections::btree_map::Entry::Vacant(unseen) = self.choices.entry(index) {
            unseen.insert(false);
            sink(Event::BlockStart {
                choice: index,
                block: 0,
                kind: BlockKind::Text,
            });
        }
        if !text.is_empty() {
            sink(Event::Delta {
                choice: index,
                block: 0,
                delta: Delta::Text(text),
            });
        }
    }
}
