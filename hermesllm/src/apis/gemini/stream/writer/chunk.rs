//! Chunks, by hand.

use serde::Serialize;
use serde_json::{Map, Value};

use super::super::super::content::KINDS;
use super::super::super::time;
use super::{Framing, Writer};

/// Appends JSON. Writing to memory does not fail.
pub(super) fn json_text(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    let _ = serde_json::to_writer(out, value);
}

pub(super) fn raw(out: &mut Vec<u8>, json: &str) {
    out.extend_from_slice(json.as_bytes());
}

/// The end of a chunk: `,"modelVersion":…,"responseId":…}`.
pub(super) fn tail(id: &str, model: &str, created: Option<u64>) -> Vec<u8> {
    let mut tail = Vec::new();
    let time = created.and_then(time::written);
    for (key, text) in [
        ("modelVersion", Some(model)),
        ("createTime", time.as_deref()),
        ("responseId", Some(id)),
    ] {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            raw(&mut tail, ",\"");
            raw(&mut tail, key);
            raw(&mut tail, "\":");
            json_text(&mut tail, text);
        }
    }
    raw(&mut tail, "}");
    tail
}

impl Writer {
    pub(super) fn open_chunk(&mut self, out: &mut Vec<u8>) {
        let is_first = !std::mem::replace(&mut self.begun, true);
        raw(
            out,
            match self.framing {
                Framing::Sse => "data: ",
                Framing::Array if is_first => "[",
                Framing::Array => ",\r\n",
            },
        );
    }

    pub(super) fn close_chunk(&self, out: &mut Vec<u8>, is_last: bool) {
        match self.framing {
            Framing::Sse => raw(out, "\r\n\r\n"),
            Framing::Array if is_last => raw(out, "]"),
            Framing::Array => {}
        }
    }

    /// The end of a chunk that is not the last.
    fn end_answer(&self, is_first: bool, out: &mut Vec<u8>) {
        if let Some(tier) = self.tier.as_deref().filter(|_| is_first) {
            raw(out, ",\"usageMetadata\":{\"serviceTier\":");
            json_text(out, tier);
            raw(out, "}");
        }
        out.extend_from_slice(&self.tail);
        self.close_chunk(out, false);
    }

    /// Writes a chunk of one part.
    pub(super) fn part(&mut self, choice: u32, out: &mut Vec<u8>, part: impl FnOnce(&mut Vec<u8>)) {
        self.choices.entry(choice).or_default().has_parts = true;
        let is_first = !self.begun;
        self.open_chunk(out);
        raw(out, "{\"candidates\":[{\"content\":{\"parts\":[{");
        part(out);
        raw(out, "}],\"role\":\"model\"},\"index\":");
        json_text(out, &choice);
        raw(out, "}]");
        self.end_answer(is_first, out);
    }

    pub(super) fn text(&mut self, choice: u32, text: &str, out: &mut Vec<u8>) {
        self.part(choice, out, |out| {
            raw(out, "\"text\":");
            json_text(out, text);
        });
    }

    pub(super) fn thought(&mut self, choice: u32, text: &str, out: &mut Vec<u8>) {
        self.part(choice, out, |out| {
            raw(out, "\"text\":");
            json_text(out, text);
            raw(out, ",\"thought\":true");
        });
    }

    /// The signature of the text or the thoughts before.
    pub(super) fn signature(
        &mut self,
        choice: u32,
        is_thought: bool,
        text: &str,
        out: &mut Vec<u8>,
    ) {
        self.part(choice, out, |out| {
            raw(out, "\"text\":\"\"");
            if is_thought {
                raw(out, ",\"thought\":true");
            }
            raw(out, ",\"thoughtSignature\":");
            json_text(out, text);
        });
    }

    /// Writes members of a candidate in a chunk of their own.
    pub(super) fn members(&mut self, choice: u32, members: &Map<String, Value>, out: &mut Vec<u8>) {
        let is_first = !self.begun;
        self.open_chunk(out);
        raw(out, "{\"candidates\":[{\"index\":");
        json_text(out, &choice);
        raw(out, ",");
        inside(out, members);
        raw(out, "}]");
        self.end_answer(is_first, out);
    }
}

/// The members of an object without its brackets.
pub(super) fn inside(out: &mut Vec<u8>, members: &Map<String, Value>) {
    for (number, (key, value)) in members.iter().enumerate() {
        if number > 0 {
            raw(out, ",");
        }
        json_text(out, key);
        raw(out, ":");
        json_text(out, value);
    }
}

pub(super) fn signed(out: &mut Vec<u8>, signature: &str) {
    if !signature.is_empty() {
        raw(out, ",\"thoughtSignature\":");
        json_text(out, signature);
    }
}

/// The members of a part that only this API has.
pub(super) fn own_members(kind: &str, value: Value) -> Option<Map<String, Value>> {
    match value {
        Value::Object(members) if KINDS.contains(&kind) => {
            let is_there = members.keys().any(|key| KINDS.contains(&key.as_str()));
            is_there.then_some(members)
        }
        _ => None,
    }
}

/// The place of a block in the answer that the stream adds up to.
pub(super) fn place(choice: u32, block: u32) -> String {
    format!("/{choice}/{block}")
}
