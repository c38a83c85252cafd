//! Chunks as bytes.

use std::io::Write as _;

use serde::Serialize;
use serde_json::Value;

use crate::apis::WriteOptions;

/// What each chunk begins with, up to its choices.
#[derive(Debug, Default)]
pub(super) struct Frames {
    head: Vec<u8>,
}

// Writing to a Vec cannot fail.
impl Frames {
    pub(super) fn start(
        &mut self,
        options: &WriteOptions,
        id: &str,
        model: &str,
        created: Option<u64>,
        tier: Option<&str>,
    ) {
        let id = if id.is_empty() { &options.id } else { id };
        let model = if model.is_empty() {
            &options.model
        } else {
            model
        };
        let created = created.unwrap_or(options.created);
        let head = &mut self.head;
        head.extend_from_slice(b"data: {\"id\":");
        string(head, id);
        let _ = write!(head, ",\"object\":\"chat.completion.chunk\",");
        let _ = write!(head, "\"created\":{created},\"model\":");
        string(head, model);
        if let Some(tier) = tier {
            head.extend_from_slice(b",\"service_tier\":");
            string(head, tier);
        }
    }

    /// A chunk with one choice, whose delta is written by `delta`.
    pub(super) fn chunk(&self, out: &mut Vec<u8>, choice: u32, delta: impl FnOnce(&mut Vec<u8>)) {
        self.open(out, choice);
        delta(out);
        out.extend_from_slice(b"},\"finish_reason\":null}]}\n\n");
    }

    fn open(&self, out: &mut Vec<u8>, choice: u32) {
        out.extend_from_slice(&self.head);
        let _ = write!(out, ",\"choices\":[{{\"index\":{choice},\"delta\":{{");
    }

    /// A chunk with one text in its delta.
    pub(super) fn text(&self, out: &mut Vec<u8>, choice: u32, member: &str, text: &str) {
        self.chunk(out, choice, |out| {
            let _ = write!(out, "\"{member}\":");
            string(out, text);
        });
    }

    /// A chunk with one member in its delta.
    pub(super) fn value(&self, out: &mut Vec<u8>, choice: u32, member: &str, value: &Value) {
        self.chunk(out, choice, |out| {
            let _ = write!(out, "\"{member}\":{value}");
        });
    }

    pub(super) fn stop(&self, out: &mut Vec<u8>, choice: u32, word: &str) {
        self.open(out, choice);
        let _ = write!(out, "}},\"finish_reason\":\"{word}\"}}]}}\n\n");
    }

    pub(super) fn logprobs(&self, out: &mut Vec<u8>, choice: u32, content: &Value) {
        self.open(out, choice);
        let _ = write!(out, "}},\"logprobs\":{{\"content\":{content}}},");
        out.extend_from_slice(b"\"finish_reason\":null}]}\n\n");
    }

    pub(super) fn usage(&self, out: &mut Vec<u8>, usage: &Value) {
        out.extend_from_slice(&self.head);
        let _ = write!(out, ",\"choices\":[],\"usage\":{usage}}}\n\n");
    }
}

/// Writes a text with its escapes.
pub(super) fn string(out: &mut Vec<u8>, text: &str) {
    let _ = text.serialize(&mut serde_json::Serializer::new(out));
}
