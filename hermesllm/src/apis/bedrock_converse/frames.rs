//! AWS event streams (`application/vnd.amazon.eventstream`): frames from bytes, and bytes from frames.
//!
//! ```text
//! total length u32 | headers length u32 | CRC of these 8 bytes | headers | payload | CRC of all before
//! ```
//!
//! Numbers are big-endian, checksums CRC-32. A header is the length of its name (one byte), the name,
//! a type and a value; what a frame is stands in the headers `:message-type`, `:event-type`,
//! `:exception-type` and `:error-code`.
//!
//! Any split of the bytes gives the same frames, each as soon as its last byte is there. A stream
//! that cannot be framed (a wrong checksum, an impossible or too large length) ends with one
//! exception of the type [`PROTOCOL_ERROR`]: nothing behind it can be trusted.

use std::borrow::Cow;

use serde_json::json;

/// The exception type of a stream that cannot be framed.
pub const PROTOCOL_ERROR: &str = "upstream_protocol_error";

/// The largest frame of a decoder that is made without a bound: the most that AWS allows for a
/// payload.
const MAX_FRAME_BYTES: usize = 16 * 1024 * 1024;

const PRELUDE: usize = 12;
const CHECKSUM: usize = 4;

/// An event or an exception.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame<'a> {
    /// `:event-type`; of an exception its type, of an error its code.
    pub event_type: &'a str,
    /// A JSON document. Of an exception it is an object with a `message`, whatever came.
    pub payload: &'a [u8],
    /// The provider failed: nothing follows.
    pub is_exception: bool,
}

/// Cuts a stream into frames.
#[derive(Debug)]
pub struct Decoder {
    max_frame_bytes: usize,
    /// The incomplete frame.
    held: Vec<u8>,
    failed: bool,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new(MAX_FRAME_BYTES)
    }
}

/// What the beginning of some bytes is.
enum Cut<'a> {
    /// Not enough of a frame to say more.
    Incomplete,
    /// A whole frame without its checksums, and its length with them.
    Whole(Message<'a>, usize),
    /// No frame, and why.
    Broken(&'static str),
}

struct Message<'a> {
    headers: &'a [u8],
    payload: &'a [u8],
}

impl Decoder {
    /// A decoder at the start of a stream, which holds at most `max_frame_bytes`.
    pub fn new(max_frame_bytes: usize) -> Self {
        Self {
            max_frame_bytes,
            held: Vec::new(),
            failed: false,
        }
    }

    /// Takes the next bytes and gives the frames that they complete.
    pub fn push(&mut self, bytes: &[u8], on_frame: &mut dyn FnMut(Frame<'_>)) {
        if self.failed {
            return;
        }
        if self.held.is_empty() {
            let used = self.take(bytes, on_frame);
            self.held
                .extend_from_slice(bytes.get(used..).unwrap_or_default());
        } else {
            let mut held = std::mem::take(&mut self.held);
            held.extend_from_slice(bytes);
            let used = self.take(&held, on_frame);
            held.drain(..used.min(held.len()));
            self.held = held;
        }
        if self.failed {
            self.held = Vec::new();
        }
    }

    /// Takes note of the end of the stream: whether it ends where a frame ends.
    pub fn finish(&self) -> bool {
        !self.failed && self.held.is_empty()
    }

    /// Gives the whole frames that bytes begin with; the number of bytes that they are.
    fn take(&mut self, bytes: &[u8], on_frame: &mut dyn FnMut(Frame<'_>)) -> usize {
        let mut used = 0;
        loop {
            let rest = bytes.get(used..).unwrap_or_default();
            match cut(rest, self.max_frame_bytes) {
                Cut::Incomplete => return used,
                Cut::Whole(message, length) => {
                    used += length;
                    message.give(on_frame);
                }
                Cut::Broken(reason) => {
                    self.failed = true;
                    on_frame(Frame {
                        event_type: PROTOCOL_ERROR,
                        payload: json!({ "message": reason }).to_string().as_bytes(),
                        is_exception: true,
                    });
                    return bytes.len();
                }
            }
        }
    }
}

fn cut(bytes: &[u8], max: usize) -> Cut<'_> {
    let (Some(total), Some(headers), Some(checksum)) =
        (number(bytes, 0), number(bytes, 4), number(bytes, 8))
    else {
        return Cut::Incomplete;
    };
    let (lengths, _) = bytes.split_at_checked(8).unwrap_or_default();
    if crc32fast::hash(lengths) != checksum {
        return Cut::Broken("the checksum of a frame's lengths is wrong");
    }
    let (Ok(total), Ok(headers)) = (usize::try_from(total), usize::try_from(headers)) else {
        return Cut::Broken("a frame is too large");
    };
    if total > max {
        return Cut::Broken("a frame is too large");
    }
    let Some(payload) = total
        .checked_sub(PRELUDE + CHECKSUM)
        .and_then(|content| content.checked_sub(headers))
    else {
        return Cut::Broken("the lengths of a frame contradict each other");
    };
    let Some(content) = bytes.get(..total - CHECKSUM) else {
        return Cut::Incomplete;
    };
    let Some(checksum) = number(bytes, total - CHECKSUM) else {
        return Cut::Incomplete;
    };
    if crc32fast::hash(content) != checksum {
        return Cut::Broken("the checksum of a frame is wrong");
    }
    let end = PRELUDE + headers;
    let message = Message {
        headers: content.get(PRELUDE..end).unwrap_or_default(),
        payload: content.get(end..end + payload).unwrap_or_default(),
    };
    Cut::Whole(message, total)
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let digits = bytes.get(at..)?.first_chunk::<4>()?;
    Some(u32::from_be_bytes(*digits))
}

impl<'a> Message<'a> {
    fn give(&self, on_frame: &mut dyn FnMut(Frame<'_>)) {
        let mut message_type = "event";
        let mut event_type = None;
        let mut exception_type = None;
        let mut error_code = None;
        let mut error_message = None;
        for (name, value) in Headers(self.headers) {
            match name {
                ":message-type" => message_type = value,
                ":event-type" => event_type = Some(value),
                ":exception-type" => exception_type = Some(value),
                ":error-code" => error_code = Some(value),
                ":error-message" => error_message = Some(value),
                _ => {}
            }
        }
        if message_type == "event" && exception_type.is_none() && error_code.is_none() {
            on_frame(Frame {
                event_type: event_type.unwrap_or_default(),
                payload: self.payload,
                is_exception: false,
            });
            return;
        }
        let kind = exception_type.or(error_code).or(event_type);
        on_frame(Frame {
            event_type: kind.unwrap_or("internalServerException"),
            payload: &self.told(error_message),
            is_exception: true,
        });
    }

    /// The payload as an object with a message.
    fn told(&self, error_message: Option<&str>) -> Cow<'a, [u8]> {
        let payload = serde_json::from_slice(self.payload).unwrap_or(serde_json::Value::Null);
        if payload.get("message").is_some_and(|text| text.is_string()) {
            return Cow::Borrowed(self.payload);
        }
        let message = payload
            .get("Message")
            .and_then(|text| text.as_str())
            .or(error_message)
            .unwrap_or("the provider failed without a message");
        Cow::Owned(json!({ "message": message }).to_string().into_bytes())
    }
}

/// The headers whose values are texts. What cannot be read ends them: the checksum was right, so it
/// is a kind that AWS has added.
struct Headers<'a>(&'a [u8]);

impl<'a> Headers<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn sized(&mut self) -> Option<&'a [u8]> {
        let length = self.take(2)?.first_chunk::<2>()?;
        self.take(usize::from(u16::from_be_bytes(*length)))
    }

    /// One header; its value if it is a text.
    fn header(&mut self) -> Option<(&'a [u8], Option<&'a [u8]>)> {
        let length = self.byte()?;
        let name = self.take(usize::from(length))?;
        let value = match self.byte()? {
            // True and false.
            0 | 1 => None,
            // Numbers of one, two and four bytes.
            2 => self.take(1).map(|_| None)?,
            3 => self.take(2).map(|_| None)?,
            4 => self.take(4).map(|_| None)?,
            // A number of eight bytes, and a time.
            5 | 8 => self.take(8).map(|_| None)?,
            // Bytes.
            6 => self.sized().map(|_| None)?,
            7 => Some(self.sized()?),
            // A UUID.
            9 => self.take(16).map(|_| None)?,
            _ => return None,
        };
        Some((name, value))
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        while !self.0.is_empty() {
            let (name, value) = self.header()?;
            let value = value.and_then(|value| std::str::from_utf8(value).ok());
            if let (Ok(name), Some(value)) = (std::str::from_utf8(name), value) {
                return Some((name, value));
            }
        }
        None
    }
}

/// Appends an event, whose payload `write` appends.
pub fn write_event(out: &mut Vec<u8>, event_type: &str, write: impl FnOnce(&mut Vec<u8>)) {
    frame(out, (":event-type", event_type), "event", write);
}

/// Appends an exception, whose payload `write` appends.
pub fn write_exception(out: &mut Vec<u8>, exception_type: &str, write: impl FnOnce(&mut Vec<u8>)) {
    frame(out, (":exception-type", exception_type), "exception", write);
}

fn frame(
    out: &mut Vec<u8>,
    kind: (&str, &str),
    message_type: &str,
    write: impl FnOnce(&mut Vec<u8>),
) {
    let start = out.len();
    out.extend_from_slice(&[0; PRELUDE]);
    for (name, value) in [
        kind,
        (":content-type", "application/json"),
        (":message-type", message_type),
    ] {
        header(out, name, value);
    }
    let headers = out.len() - start - PRELUDE;
    write(out);
    let total = out.len() - start + CHECKSUM;
    let (Ok(total), Ok(headers)) = (u32::try_from(total), u32::try_from(headers)) else {
        // More than the format can hold: nothing of it is said.
        out.truncate(start);
        return;
    };
    let Some(own) = out.get_mut(start..) else {
        return;
    };
    let mut prelude = [0; PRELUDE];
    put(&mut prelude, 0, total);
    put(&mut prelude, 4, headers);
    let (lengths, _) = prelude.split_at(8);
    let checksum = crc32fast::hash(lengths);
    put(&mut prelude, 8, checksum);
    if let Some(place) = own.first_chunk_mut::<PRELUDE>() {
        *place = prelude;
    }
    let checksum = crc32fast::hash(own);
    out.extend_from_slice(&checksum.to_be_bytes());
}

fn header(out: &mut Vec<u8>, name: &str, value: &str) {
    let (Ok(name_length), Ok(value_length)) =
        (u8::try_from(name.len()), u16::try_from(value.len()))
    else {
        return;
    };
    out.push(name_length);
    out.extend_from_slice(name.as_bytes());
    out.push(7);
    out.extend_from_slice(&value_length.to_be_bytes());
    out.extend_from_slice(value.as_bytes());
}

fn put(prelude: &mut [u8; PRELUDE], at: usize, value: u32) {
    for (place, byte) in prelude.iter_mut().skip(at).zip(value.to_be_bytes()) {
        *place = byte;
    }
}

#[cfg(test)]
mod tests;
