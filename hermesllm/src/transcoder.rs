//! Passes an answer on to the client while reading it.
//!
//! A [`Transcoder`] owns one answer body from its first byte to its last: what goes to the client, what it cost, and
//! whether a stream has come to its end. Today the client's API and the provider's are the same (identity), and the
//! client gets exactly the provider's bytes, with two exceptions, both on event streams:
//!
//! - **The usage chunk that only we asked for** ([`TranscoderOptions::strip_usage_chunk`]) is left out: the event with
//!   an empty `choices` array and a `usage` object, if all else in it is bookkeeping (listed in `transcoder/chunk.rs`). An
//!   event that says more goes on as it is, and so does usage in the last content chunk, which many providers put there
//!   asked or not. `"usage":null`, which some providers then put into each other chunk, stays: clients read it as they
//!   read its absence, DeepSeek, Together and vLLM send it unasked, and so no event has to be rewritten.
//! - **A stream that ends without the end that its API prescribes** gets an error event in the client's dialect, so that
//!   a cut-off answer never looks complete. The prescribed end is, for chat completions and completions, `[DONE]`, an
//!   error object, or a `finish_reason` for every choice seen (some providers send no `[DONE]`); for messages,
//!   `message_stop` or `error`; for responses, `response.completed`, `.incomplete`, `.failed`, `.cancelled` or `error`.
//!   The blank line after the last event is not insisted on. An event that stopped half-way is closed by a blank line
//!   first; if it still waited to be complete, it is dropped instead.
//!
//! Invariants: the way the body is split changes nothing but where the output is split. Every byte goes on with the push
//! that brought it, except that with `strip_usage_chunk` the bytes of an event wait until it is complete or larger than
//! `max_event_bytes`. Memory is bounded by a small multiple of `max_event_bytes`. Nothing in a body is an error here.

use std::ops::Range;

use bytes::Bytes;

use crate::endpoint::Endpoint;
use crate::error::{ApiError, ErrorCode};
use crate::json_tap::JsonTap;
use crate::sse::{Event, Frame, Framer};
use crate::usage::Usage;

mod chunk;
mod cutter;
mod members;
mod oversized;
mod reading;

use cutter::Cutter;
use members::Member;
use oversized::DataLines;
use reading::Reading;

/// What a body is, as far as reading it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyKind {
    /// Server-Sent Events.
    EventStream,
    /// One JSON document.
    Json,
    /// Anything else; passed on unread.
    Opaque,
}

impl BodyKind {
    /// The kind that a `content-type` value names: `text/event-stream`, `application/json` or a type ending in `+json`.
    pub fn of_content_type(content_type: Option<&str>) -> Self {
        let value = content_type.unwrap_or_default();
        let essence = value.split(';').next().unwrap_or_default().trim();
        let suffix = essence
            .len()
            .checked_sub("+json".len())
            .and_then(|start| essence.get(start..));
        if essence.eq_ignore_ascii_case("text/event-stream") {
            Self::EventStream
        } else if essence.eq_ignore_ascii_case("application/json")
            || suffix.is_some_and(|suffix| suffix.eq_ignore_ascii_case("+json"))
        {
            Self::Json
        } else {
            Self::Opaque
        }
    }
}

/// What is known of an answer before its body.
#[derive(Clone, Copy, Debug)]
pub struct TranscoderOptions {
    /// What the client called.
    pub endpoint: Endpoint,
    /// What the body is.
    pub kind: BodyKind,
    /// The status of the answer. The end of a stream is only looked for with 2xx.
    pub status: u16,
    /// `stream_options.include_usage` was set on the client's behalf: the client does not expect the usage chunk.
    pub strip_usage_chunk: bool,
    /// Input tokens to assume until the provider has reported.
    pub estimated_input: u64,
    /// The largest event, in bytes, that is held until it is complete.
    pub max_event_bytes: usize,
}

/// How a body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With the end that its API prescribes, or it prescribes none.
    Complete,
    /// An event stream stopped before its end; an error event has been appended.
    Truncated,
}

/// What has been learnt of an answer so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress<'a> {
    /// Tokens: the provider's figures, else an estimate (see `estimated`). All zero for an answer that is no success and
    /// reports nothing.
    pub usage: Usage,
    /// At least one figure of `usage` is estimated: output as a quarter of the bytes of text so far, rounded up, input
    /// as [`TranscoderOptions::estimated_input`].
    pub estimated: bool,
    /// Events so far; comments are none.
    pub events: u64,
    /// The model has begun to write: an event with text, reasoning or a tool call has passed; of another body, a byte.
    pub content_started: bool,
    /// The model that the provider names.
    pub model: Option<&'a str>,
    /// The identifier that the provider gave to the answer.
    pub response_id: Option<&'a str>,
    /// Why generation ended, in the API's own word.
    pub finish_reason: Option<&'a str>,
    /// An error object or event was seen.
    pub error: bool,
}

/// One answer body on its way from the provider to the client.
#[derive(Debug)]
pub struct Transcoder {
    endpoint: Endpoint,
    succeeded: bool,
    reading: Reading,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Opaque,
    Json(Box<JsonTap<Member>>),
    Events(Box<EventStream>),
}

#[derive(Debug)]
struct EventStream {
    framer: Framer,
    tap: JsonTap<Member>,
    oversized: Option<DataLines>,
    cutter: Option<Cutter>,
    /// Ranges to cut out of the chunk being read.
    cuts: Vec<Range<u64>>,
}

impl Transcoder {
    /// A transcoder between one and the same API.
    pub fn identity(options: TranscoderOptions) -> Self {
        let succeeded = (200..300).contains(&options.status);
        let body = match options.kind {
            BodyKind::Opaque => Body::Opaque,
            BodyKind::Json => Body::Json(Box::new(JsonTap::new(members::of_document(
                options.endpoint,
            )))),
            BodyKind::EventStream => {
                let strips = options.strip_usage_chunk
                    && matches!(
                        options.endpoint,
                        Endpoint::ChatCompletions | Endpoint::Completions
                    );
                Body::Events(Box::new(EventStream {
                    framer: Framer::new(options.max_event_bytes),
                    tap: JsonTap::new(members::of_event(options.endpoint)),
                    oversized: None,
                    cutter: strips.then(Cutter::default),
                    cuts: Vec::new(),
                }))
            }
        };
        Self {
            endpoint: options.endpoint,
            succeeded,
            reading: Reading::new(options.endpoint, options.estimated_input, succeeded),
            body,
        }
    }

    /// Takes the next bytes from the provider and appends to `out` what goes to the client now.
    pub fn push(&mut self, chunk: Bytes, out: &mut Vec<Bytes>) {
        if chunk.is_empty() {
            return;
        }
        match &mut self.body {
            Body::Opaque => {
                self.reading.document_passed(0);
                out.push(chunk);
            }
            Body::Json(tap) => {
                tap.push(&chunk, |member, signal| self.reading.note(member, signal));
                self.reading.document_passed(tap.text_bytes());
                out.push(chunk);
            }
            Body::Events(stream) => stream.push(chunk, &mut self.reading, out),
        }
    }

    /// Takes note of the end of the body, which the provider ended cleanly, and appends to `out` the last that goes to
    /// the client.
    pub fn finish(&mut self, out: &mut Vec<Bytes>) -> Ending {
        let Body::Events(stream) = &mut self.body else {
            return Ending::Complete;
        };
        let half = stream.finish(&mut self.reading);
        let complete = !self.succeeded || self.reading.is_finished();
        let mut inside_event = half != HalfEvent::None;
        if let Some(cutter) = &mut stream.cutter {
            let held = cutter.take();
            if held.is_empty() {
                // Nothing waits: an oversized event has gone on already.
            } else if complete || half == HalfEvent::Readable {
                out.push(held);
            } else {
                // A half event would only hide the error event behind a failure to parse.
                inside_event = false;
            }
        }
        if complete {
            return Ending::Complete;
        }
        let mut bytes = Vec::new();
        if inside_event {
            // So that the error is an event of its own, whatever line the stream stopped in.
            bytes.extend_from_slice(b"\n\n");
        }
        let error = ApiError::new(
            ErrorCode::UpstreamTruncated,
            "the provider ended the stream before the answer was complete",
        );
        bytes.extend(error.stream_event(self.endpoint, self.reading.next_sequence));
        out.push(Bytes::from(bytes));
        self.reading.error = true;
        Ending::Truncated
    }

    /// What has been learnt so far.
    pub fn progress(&self) -> Progress<'_> {
        let (usage, estimated) = self.reading.usage();
        Progress {
            usage,
            estimated,
            events: self.reading.events,
            content_started: self.reading.content_started,
            model: self.reading.model.as_deref(),
            response_id: self.reading.id.as_deref(),
            finish_reason: self.reading.finish_reason.as_deref(),
            error: self.reading.error,
        }
    }

    /// Events so far that were larger than `max_event_bytes`; they were passed on and read in pieces.
    pub fn oversized_events(&self) -> u64 {
        match &self.body {
            Body::Events(stream) => stream.framer.oversized_blocks(),
            _ => 0,
        }
    }
}

/// The block at the end of a stream that no blank line completes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HalfEvent {
    None,
    /// Its data is cut off.
    Unreadable,
    /// Only the blank line is missing, or it holds no data.
    Readable,
}

impl EventStream {
    fn push(&mut self, chunk: Bytes, reading: &mut Reading, out: &mut Vec<Bytes>) {
        let Self {
            framer,
            tap,
            oversized,
            cutter,
            cuts,
        } = self;
        framer.push(&chunk, |frame| match frame {
            Frame::Event(event) => {
                let bare_usage = read_event(&event, tap, reading);
                if cutter.is_some() && bare_usage {
                    cuts.push(event.range);
                }
            }
            Frame::Oversized { part, first, last } => {
                read_part(part, first, last, oversized, tap, reading);
            }
        });
        match cutter {
            Some(cutter) => {
                cutter.push(&chunk, cuts, framer.boundary(), out);
                cuts.clear();
            }
            None => out.push(chunk),
        }
    }

    /// Reads the half event at the end.
    fn finish(&mut self, reading: &mut Reading) -> HalfEvent {
        let mut half = HalfEvent::None;
        let Self {
            framer,
            tap,
            oversized,
            ..
        } = self;
        framer.finish(|frame| match frame {
            Frame::Event(event) => {
                read_event(&event, tap, reading);
                let readable = match event.data.as_deref() {
                    None => true,
                    Some(data) => is_done(data) || tap.is_complete(),
                };
                half = if readable {
                    HalfEvent::Readable
                } else {
                    HalfEvent::Unreadable
                };
            }
            Frame::Oversized { part, first, last } => {
                read_part(part, first, last, oversized, tap, reading);
                half = HalfEvent::Unreadable;
            }
        });
        half
    }
}

/// Reads an event; returns whether it is nothing but usage.
fn read_event(event: &Event<'_>, tap: &mut JsonTap<Member>, reading: &mut Reading) -> bool {
    let Some(data) = &event.data else {
        return false;
    };
    if is_done(data) {
        reading.done_marker();
        return false;
    }
    tap.reset();
    tap.push(data, |member, signal| reading.note(member, signal));
    let bare_usage = reading.event_is_bare_usage() && chunk::is_bare_usage(data);
    reading.event_ended(event.name, tap.text_bytes(), tap.is_complete());
    bare_usage
}

/// Reads a part of an event that is too large to be held.
fn read_part(
    part: &[u8],
    first: bool,
    last: bool,
    oversized: &mut Option<DataLines>,
    tap: &mut JsonTap<Member>,
    reading: &mut Reading,
) {
    if first {
        tap.reset();
    }
    let lines = oversized.get_or_insert_with(DataLines::new);
    lines.push(part, |data| {
        tap.push(data, |member, signal| reading.note(member, signal));
    });
    if last {
        reading.event_ended(lines.name(), tap.text_bytes(), tap.is_complete());
        *oversized = None;
    }
}

/// The marker that ends a stream of chunks.
fn is_done(data: &[u8]) -> bool {
    data.trim_ascii() == b"[DONE]"
}

#[cfg(test)]
mod tests;
