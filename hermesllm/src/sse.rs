//! Server-Sent Events, framed as the WHATWG HTML standard says (section 9.2.6, "Interpreting an event stream").
//!
//! A [`Framer`] is given the bytes of a stream in pieces of any size and hands out blocks: the bytes up to and including
//! each blank line, exactly as they came, with their decoded fields. Lines may end in LF, CR or CRLF, also across
//! pieces; a byte order mark at the start is accepted; comments and unknown fields are part of the raw bytes only.
//!
//! Invariants: the way a stream is split changes neither blocks nor ranges. A block is handed out with the byte that
//! completes it, never later: the LF that may follow a block that ended in CR is part of no block. No more than
//! `max_event_bytes` are held; a larger block is handed out in parts as [`Frame::Oversized`], none of it kept.

use std::borrow::Cow;
use std::ops::Range;

use memchr::{memchr, memchr2};

/// A block of a stream, complete with the blank line that ends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// The bytes as they came, without the LF after a final CR.
    pub raw: &'a [u8],
    /// Where these bytes stand in the stream, counted from its first byte.
    pub range: Range<u64>,
    /// The `event` field; empty if there was none.
    pub name: &'a [u8],
    /// The `data` lines joined with LF; `None` if there was none, then a client sees no event (a comment, say).
    pub data: Option<Cow<'a, [u8]>>,
    /// The `id` field; ignored, as the standard says, if it holds a NUL.
    pub id: Option<&'a [u8]>,
}

impl<'a> Event<'a> {
    fn parse(raw: &'a [u8], range: Range<u64>) -> Self {
        let mut event = Self {
            raw,
            range,
            name: b"",
            data: None,
            id: None,
        };
        let mut rest = raw;
        if event.range.start == 0 {
            rest = rest.strip_prefix(BYTE_ORDER_MARK).unwrap_or(rest);
        }
        while !rest.is_empty() {
            let (line, after) = split_line(rest);
            rest = after;
            let (field, value) = split_field(line);
            match field {
                b"event" => event.name = value,
                b"data" => match &mut event.data {
                    None => event.data = Some(Cow::Borrowed(value)),
                    Some(data) => {
                        let data = data.to_mut();
                        data.push(b'\n');
                        data.extend_from_slice(value);
                    }
                },
                b"id" if !value.contains(&0) => event.id = Some(value),
                _ => {}
            }
        }
        event
    }
}

/// What a [`Framer`] hands out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A block of at most `max_event_bytes`.
    Event(Event<'a>),
    /// A part of a block that is larger. The first part holds at least the first `max_event_bytes`, or the whole block.
    Oversized {
        /// The bytes as they came; may be empty in the last part.
        part: &'a [u8],
        /// The block begins here.
        first: bool,
        /// The block has ended.
        last: bool,
    },
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Cuts a stream into blocks.
#[derive(Debug)]
pub struct Framer {
    max_event_bytes: usize,
    /// The incomplete block, unless it is oversized.
    held: Vec<u8>,
    /// Bytes seen.
    offset: u64,
    /// Where the incomplete block begins.
    block_start: u64,
    /// The line being read has no byte yet.
    line_empty: bool,
    /// The last byte was CR: a LF that follows belongs to it.
    after_cr: bool,
    /// The incomplete block has outgrown the bound.
    oversized: bool,
    oversized_blocks: u64,
}

impl Framer {
    /// A framer at the start of a stream that holds at most `max_event_bytes` of an incomplete block.
    pub fn new(max_event_bytes: usize) -> Self {
        Self {
            max_event_bytes,
            held: Vec::new(),
            offset: 0,
            block_start: 0,
            line_empty: true,
            after_cr: false,
            oversized: false,
            oversized_blocks: 0,
        }
    }

    /// Blocks that were larger than the bound, so far.
    pub fn oversized_blocks(&self) -> u64 {
        self.oversized_blocks
    }

    /// Where the incomplete block begins, in bytes from the start of the stream; inside an oversized one, the number of
    /// bytes seen. All bytes before have been handed out (or are the LF between two blocks).
    pub fn boundary(&self) -> u64 {
        if self.oversized {
            self.offset
        } else {
            self.block_start
        }
    }

    /// Bytes seen so far.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The stream ends inside a block.
    pub fn is_inside_block(&self) -> bool {
        self.block_start < self.offset
    }

    /// Reads the next piece of the stream and hands out what it completes.
    pub fn push(&mut self, piece: &[u8], mut on_frame: impl FnMut(Frame<'_>)) {
        // Where the current block begins in this piece.
        let mut start = 0;
        let mut at = 0;
        while let Some(&byte) = piece.get(at) {
            if std::mem::take(&mut self.after_cr) && byte == b'\n' {
                // After a blank line it belongs to no block.
                let between_blocks = self.block_start == self.offset + at as u64;
                at += 1;
                if between_blocks {
                    self.block_start += 1;
                    start = at;
                }
                continue;
            }
            if self.line_empty && matches!(byte, b'\n' | b'\r') {
                at += 1;
                self.after_cr = byte == b'\r';
                let end = self.offset + at as u64;
                let part = piece.get(start..at).unwrap_or_default();
                self.end_block(part, end, &mut on_frame);
                start = at;
                continue;
            }
            let line = piece.get(at..).unwrap_or_default();
            match memchr2(b'\n', b'\r', line) {
                Some(length) => {
                    self.after_cr = line.get(length) == Some(&b'\r');
                    self.line_empty = true;
                    at += length + 1;
                }
                None => {
                    self.line_empty = false;
                    at = piece.len();
                }
            }
        }
        self.offset += piece.len() as u64;
        let part = piece.get(start..).unwrap_or_default();
        if !part.is_empty() {
            self.hold(part, &mut on_frame);
        }
    }

    /// The end of the stream: hands out the incomplete block, if any, as if a blank line followed. The standard has a
    /// client drop it.
    pub fn finish(&mut self, mut on_frame: impl FnMut(Frame<'_>)) {
        if self.is_inside_block() {
            self.end_block(b"", self.offset, &mut on_frame);
        }
    }

    fn hold(&mut self, part: &[u8], on_frame: &mut impl FnMut(Frame<'_>)) {
        if self.oversized {
            on_frame(Frame::Oversized {
                part,
                first: false,
                last: false,
            });
            return;
        }
        self.held.extend_from_slice(part);
        if self.held.len() > self.max_event_bytes {
            self.oversized = true;
            self.oversized_blocks += 1;
            on_frame(Frame::Oversized {
                part: &std::mem::take(&mut self.held),
                first: true,
                last: false,
            });
        }
    }

    /// The block that began at `block_start` ends with `part`, at `end` in the stream.
    fn end_block(&mut self, part: &[u8], end: u64, on_frame: &mut impl FnMut(Frame<'_>)) {
        let range = self.block_start..end;
        self.block_start = end;
        self.line_empty = true;
        if std::mem::take(&mut self.oversized) {
            on_frame(Frame::Oversized {
                part,
                first: false,
                last: true,
            });
            return;
        }
        let raw = if self.held.is_empty() {
            part
        } else {
            self.held.extend_from_slice(part);
            &self.held
        };
        if raw.len() > self.max_event_bytes {
            self.oversized_blocks += 1;
            on_frame(Frame::Oversized {
                part: raw,
                first: true,
                last: true,
            });
        } else {
            on_frame(Frame::Event(Event::parse(raw, range)));
        }
        self.held.clear();
    }
}

/// The first line, without its end, and what follows.
fn split_line(bytes: &[u8]) -> (&[u8], &[u8]) {
    let Some(length) = memchr2(b'\n', b'\r', bytes) else {
        return (bytes, b"");
    };
    let line = bytes.get(..length).unwrap_or_default();
    let rest = bytes.get(length..).unwrap_or_default();
    let rest = rest
        .strip_prefix(b"\r\n")
        .or_else(|| rest.get(1..))
        .unwrap_or_default();
    (line, rest)
}

/// A line's field name and value. A comment has the empty name.
fn split_field(line: &[u8]) -> (&[u8], &[u8]) {
    let Some(colon) = memchr(b':', line) else {
        return (line, b"");
    };
    let name = line.get(..colon).unwrap_or_default();
    let value = line.get(colon + 1..).unwrap_or_default();
    (name, value.strip_prefix(b" ").unwrap_or(value))
}

#[cfg(test)]
mod tests;
