//! The bytes of a stream that goes to a client of its own API, cut into whole events.
//!
//! Such a stream passes as it is, for a translation from an API to itself keeps what is said but not
//! every member that a provider adds. It passes event by event, so that an error can be held back
//! and another provider's events can follow.

use std::ops::Range;

use serde_json::Value;

use crate::apis::SupportedUpstreamAPIs as Api;

/// Cuts a stream where its events end.
#[derive(Debug)]
pub(super) struct Passing {
    api: Api,
    /// The chunk that tells nothing but usage is left out: the client has not asked for it.
    strips_usage: bool,
    max_event_bytes: usize,
    held: Vec<u8>,
    /// Of the bytes held: where what has not passed begins, where its last line begins, and how far
    /// that has been looked at.
    start: usize,
    line: usize,
    seen: usize,
    /// What would have been written, had it been translated.
    pub(super) shadow: Vec<u8>,
}

/// Where the next event is among the bytes that are held.
pub(super) enum Cut {
    /// It is whole, between these places.
    Event(Range<usize>),
    /// More is needed.
    More,
    /// It is another framing, that of a JSON array: all that has come.
    Array(Vec<u8>),
}

impl Passing {
    pub(super) fn new(api: Api, strips_usage: bool, max_event_bytes: usize) -> Self {
        let has_usage_chunk = matches!(api, Api::OpenAiChat | Api::OpenAiCompletions);
        Self {
            api,
            strips_usage: strips_usage && has_usage_chunk,
            max_event_bytes,
            held: Vec::new(),
            start: 0,
            line: 0,
            seen: 0,
            shadow: Vec::new(),
        }
    }

    /// Takes the next bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.held.drain(..self.start);
        self.line = self.line.saturating_sub(self.start);
        self.seen = self.seen.saturating_sub(self.start);
        self.start = 0;
        self.held.extend_from_slice(bytes);
    }

    /// The next event that is whole. One that is larger than what may be held counts as such.
    pub(super) fn next(&mut self) -> Cut {
        let held = self.held.get(self.start..).unwrap_or_default();
        let first = held.trim_ascii_start().first();
        if self.api == Api::Gemini && matches!(first, Some(b'[' | b'{')) {
            return Cut::Array(self.rest());
        }
        let is_full = held.len() > self.max_event_bytes;
        let end = match self.api {
            Api::BedrockConverse => self.end_of_frame(),
            _ => self.end_of_block(),
        };
        match end.or(is_full.then_some(self.held.len())) {
            Some(end) => {
                let event = self.start..end;
                (self.start, self.line, self.seen) = (end, end, end);
                Cut::Event(event)
            }
            None => Cut::More,
        }
    }

    /// The bytes of an event.
    pub(super) fn event(&self, place: Range<usize>) -> &[u8] {
        self.held.get(place).unwrap_or_default()
    }

    /// What has not come to its end.
    pub(super) fn rest(&mut self) -> Vec<u8> {
        let rest = self.held.split_off(self.start.min(self.held.len()));
        self.held.clear();
        (self.start, self.line, self.seen) = (0, 0, 0);
        rest
    }

    /// Whether an event goes to the client.
    pub(super) fn admits(&self, event: &[u8]) -> bool {
        !(self.strips_usage && is_bare_usage(event))
    }

    /// An AWS frame begins with its length.
    fn end_of_frame(&self) -> Option<usize> {
        let held = self.held.get(self.start..)?;
        let length = u32::from_be_bytes(*held.first_chunk::<4>()?);
        let length = usize::try_from(length).ok()?.max(4);
        (length <= held.len()).then_some(self.start + length)
    }

    /// A block of Server-Sent Events ends with an empty line.
    fn end_of_block(&mut self) -> Option<usize> {
        loop {
            let rest = self.held.get(self.seen..)?;
            let Some(at) = memchr::memchr2(b'\n', b'\r', rest) else {
                self.seen = self.held.len();
                return None;
            };
            self.seen += at;
            let end = match (rest.get(at)?, rest.get(at + 1)) {
                (b'\r', Some(b'\n')) => 2,
                // Whether a line feed follows is not known.
                (b'\r', None) => return None,
                _ => 1,
            };
            let is_empty = self.seen == self.line;
            self.seen += end;
            self.line = self.seen;
            if is_empty {
                return Some(self.line);
            }
        }
    }
}

/// A chunk with usage and an empty list of choices.
fn is_bare_usage(event: &[u8]) -> bool {
    let at = memchr::memmem::find(event, b"\"usage\"").and(memchr::memchr(b'{', event));
    let Some(data) = at.and_then(|at| event.get(at..)) else {
        return false;
    };
    let has_no_choice = memchr::memmem::find(data, b"\"choices\":[]").is_some()
        || memchr::memmem::find(data, b"\"choices\": []").is_some();
    has_no_choice
        && serde_json::from_slice::<Value>(data).is_ok_and(|chunk| {
            let choices = chunk.get("choices").and_then(Value::as_array);
            choices.is_some_and(Vec::is_empty) && chunk.get("usage").is_some_and(Value::is_object)
        })
}
