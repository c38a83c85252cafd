//! How a provider's stream is cut into events.

use crate::apis::bedrock_converse::frames;
use crate::apis::gemini::stream::{ArrayFraming, Element};
use crate::apis::SupportedUpstreamAPIs as Api;
use crate::sse::{Frame, Framer};

/// Cuts a stream. Any split of the bytes gives the same pieces.
#[derive(Debug)]
pub(super) enum Framing {
    /// Server-Sent Events.
    Sse(Framer),
    /// Frames of AWS.
    Aws(frames::Decoder),
    /// The items of a JSON array (Gemini without `alt=sse`).
    Array(ArrayFraming),
    /// One of the first and the third, which the first byte tells; no more is held of an event.
    Untold(usize),
}

/// What a stream consists of.
pub(super) enum Piece<'a> {
    /// An event: its name, where the framing has names, and its data.
    Event(Option<&'a str>, &'a str),
    /// A sign of life.
    Comment,
    /// An event that cannot be read for its size.
    Oversized,
}

impl Framing {
    /// At the start of a stream.
    pub(super) fn of(api: Api, max_event_bytes: usize) -> Self {
        match api {
            Api::BedrockConverse => Self::Aws(frames::Decoder::new(max_event_bytes)),
            Api::Gemini => Self::Untold(max_event_bytes),
            _ => Self::Sse(Framer::new(max_event_bytes)),
        }
    }

    /// Takes the next bytes.
    pub(super) fn push(&mut self, bytes: &[u8], take: &mut dyn FnMut(Piece<'_>)) {
        let mut bytes = bytes;
        if let Self::Untold(most) = *self {
            // Blank lines at the start mean nothing in either.
            bytes = bytes.trim_ascii_start();
            *self = match bytes.first() {
                None => return,
                Some(b'[' | b'{') => Self::Array(ArrayFraming::new(most)),
                Some(_) => Self::Sse(Framer::new(most)),
            };
        }
        match self {
            Self::Sse(framer) => framer.push(bytes, |frame| of_sse(frame, take)),
            Self::Aws(decoder) => decoder.push(bytes, &mut |frame| {
                let data = String::from_utf8_lossy(frame.payload);
                take(Piece::Event(Some(frame.event_type), &data));
            }),
            Self::Array(array) => array.push(bytes, |element| match element {
                Element::Whole(data) => take(Piece::Event(None, data)),
                Element::Unreadable => take(Piece::Oversized),
            }),
            Self::Untold(_) => {}
        }
    }

    /// Takes note of the end; `false` if it came in the middle of something that has to be whole.
    pub(super) fn finish(&mut self, take: &mut dyn FnMut(Piece<'_>)) -> bool {
        match self {
            Self::Sse(framer) => {
                framer.finish(|frame| of_sse(frame, take));
                true
            }
            Self::Aws(decoder) => decoder.finish(),
            Self::Array(array) => array.is_complete() || array.is_between_elements(),
            Self::Untold(_) => true,
        }
    }

    /// Puts an event, written as the only one of a stream in this framing, behind what has come,
    /// which may have ended anywhere. `false` if nothing can follow.
    pub(super) fn append(&self, event: &[u8], out: &mut Vec<u8>) -> bool {
        match self {
            // Closes an event that may be half out; between events blank lines mean nothing.
            Self::Sse(_) | Self::Untold(_) => out.extend_from_slice(b"\n\n"),
            Self::Aws(decoder) if decoder.finish() => {}
            Self::Array(array) if array.is_between_elements() => {
                if array.has_elements() {
                    out.extend_from_slice(b",\r\n");
                }
                out.extend_from_slice(event.strip_prefix(b"[").unwrap_or(event));
                return true;
            }
            Self::Aws(_) | Self::Array(_) => return false,
        }
        out.extend_from_slice(event);
        true
    }

    /// Whether the stream is a JSON array.
    pub(super) fn is_array(&self) -> bool {
        matches!(self, Self::Array(_))
    }
}

fn of_sse(frame: Frame<'_>, take: &mut dyn FnMut(Piece<'_>)) {
    match frame {
        Frame::Event(event) => {
            let Some(data) = &event.data else {
                return take(Piece::Comment);
            };
            let name = std::str::from_utf8(event.name).ok();
            let name = name.filter(|name| !name.is_empty());
            take(Piece::Event(name, &String::from_utf8_lossy(data)));
        }
        Frame::Oversized { first: true, .. } => take(Piece::Oversized),
        Frame::Oversized { .. } => {}
    }
}
