//! Thoughts, which come as a text, as details, or as both at once.

use std::borrow::Cow;

use serde_json::Value;

use super::choice::{Choice, Open};
use crate::apis::Sink;
use crate::representation::{BlockKind, Delta};

/// What is known of the open thoughts.
#[derive(Debug, Default)]
pub(super) struct Thought {
    id: Option<String>,
    /// A signature or encrypted data has come, which ends them.
    sealed: bool,
    /// The number of the first detail.
    first: Option<u64>,
}

impl Choice {
    /// More of the thoughts as a text.
    pub(super) fn think(&mut self, text: Cow<'_, str>, id: Option<&str>, sink: &mut Sink<'_>) {
        let block = self.thoughts(id, true, sink);
        self.pass(block, Delta::Reasoning(text), sink);
    }

    /// `reasoning_details`, and what is told beside them: the same, where they tell anything.
    pub(super) fn details(
        &mut self,
        details: &[Value],
        beside: Option<Cow<'_, str>>,
        sink: &mut Sink<'_>,
    ) {
        let tells = |detail: &Value| text(detail, "text").or(text(detail, "summary")).is_some();
        if let Some(beside) = beside.filter(|_| !details.iter().any(tells)) {
            let id = details.iter().find_map(|detail| text(detail, "id"));
            self.think(beside, id, sink);
        }
        for detail in details {
            self.detail(detail, sink);
        }
    }

    fn detail(&mut self, detail: &Value, sink: &mut Sink<'_>) {
        let id = text(detail, "id");
        if id.is_some() && is_begun(detail) {
            self.thoughts(id, true, sink);
        }
        if let Some(text) = text(detail, "text") {
            self.think(text.into(), id, sink);
        }
        if let Some(summary) = text(detail, "summary") {
            let block = self.thoughts(id, true, sink);
            let number = detail.get("index").and_then(Value::as_u64).unwrap_or(0);
            let first = *self.thought.first.get_or_insert(number);
            let number = u32::try_from(number.saturating_sub(first)).unwrap_or(0);
            self.pass(block, Delta::Summary(number, summary.into()), sink);
        }
        if let Some(signature) = text(detail, "signature") {
            let block = self.thoughts(id, false, sink);
            self.thought.sealed = true;
            self.pass(block, Delta::Signature(signature.into()), sink);
        }
        if let Some(data) = text(detail, "data") {
            let goes_on = match (&self.thought.id, id) {
                _ if self.thought.sealed => false,
                (known, Some(id)) => known.as_deref() == Some(id),
                (_, None) => true,
            };
            match self.is_open(Open::Reasoning).filter(|_| goes_on) {
                Some(block) => self.pass(block, Delta::Encrypted(data.into()), sink),
                None => {
                    self.begin_thoughts(id, Some(data), sink);
                }
            }
            self.thought.sealed = true;
        }
    }

    /// The block of thoughts: the open one, unless it has ended (`more`: and there is more than a
    /// signature) or it is another's.
    fn thoughts(&mut self, id: Option<&str>, more: bool, sink: &mut Sink<'_>) -> u32 {
        let known = self.thought.id.as_deref();
        let is_other = matches!((known, id), (Some(known), Some(id)) if known != id);
        let goes_on = !(is_other || more && self.thought.sealed);
        match self.is_open(Open::Reasoning).filter(|_| goes_on) {
            Some(block) => block,
            None => self.begin_thoughts(id, None, sink),
        }
    }

    fn begin_thoughts(
        &mut self,
        id: Option<&str>,
        encrypted: Option<&str>,
        sink: &mut Sink<'_>,
    ) -> u32 {
        self.thought = Thought {
            id: id.map(str::to_owned),
            ..Thought::default()
        };
        let kind = BlockKind::Reasoning {
            id: id.map(Into::into),
            encrypted: encrypted.map(Into::into),
        };
        self.start(Open::Reasoning, kind, sink)
    }
}

/// A detail that names thoughts alone, which are told beside.
fn is_begun(detail: &Value) -> bool {
    let told = ["text", "summary", "signature", "data"];
    told.iter().all(|key| text(detail, key).is_none())
}

fn text<'d>(detail: &'d Value, key: &str) -> Option<&'d str> {
    let text = detail.get(key).and_then(Value::as_str);
    text.filter(|text| !text.is_empty())
}
