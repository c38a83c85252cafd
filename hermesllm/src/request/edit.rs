//! Replaces spans of a body and shares the rest.

use std::fmt;

use bytes::Bytes;

use super::{Found, Span, StreamOptions};
use crate::endpoint::Endpoint;

/// What is to be different upstream.
#[derive(Debug, Clone, Copy, Default)]
pub struct RequestEdits<'a> {
    /// The model's name at the provider; `None` leaves what the client wrote.
    pub model: Option<&'a str>,
    /// Ask for the usage at the end of a stream, on the client's behalf.
    pub ask_usage: bool,
}

/// A body in pieces: slices of the original, which are shared, and the inserts between them.
#[derive(Clone, PartialEq, Eq)]
pub struct EditedBody {
    segments: Vec<Bytes>,
}

impl EditedBody {
    /// The length, in bytes.
    pub fn len(&self) -> usize {
        self.segments.iter().map(Bytes::len).sum()
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// The pieces in order; none is empty.
    pub fn into_segments(self) -> Vec<Bytes> {
        self.segments
    }

    /// The body in one piece, copied.
    pub fn to_vec(&self) -> Vec<u8> {
        self.segments.concat()
    }
}

impl fmt::Debug for EditedBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EditedBody")
            .field("len", &self.len())
            .field("segments", &self.segments.len())
            .finish()
    }
}

/// A replacement; an empty span inserts.
type Replacement = (Span, Bytes);

const INCLUDE_USAGE: &[u8] = br#"{"include_usage":true}"#;

pub(super) fn apply(
    endpoint: Endpoint,
    body: &Bytes,
    found: &Found,
    edits: &RequestEdits<'_>,
) -> EditedBody {
    let mut replacements = Vec::new();
    let in_body = endpoint.stream_by_path().is_none();
    if let Some(model) = edits.model.filter(|_| in_body) {
        set_model(found, model, &mut replacements);
    }
    let knows_usage = matches!(endpoint, Endpoint::ChatCompletions | Endpoint::Completions);
    if let (true, true, Some((stream_end, true))) = (edits.ask_usage, knows_usage, found.stream) {
        set_include_usage(found, stream_end, &mut replacements);
    }
    replacements.sort_by_key(|(at, _)| at.start);
    splice(body, replacements)
}

fn set_model(found: &Found, model: &str, replacements: &mut Vec<Replacement>) {
    if found.models.is_empty() {
        let comma = if found.empty { "" } else { "," };
        let member = literal("\"model\":", model, comma);
        replacements.push((found.open..found.open, member));
        return;
    }
    for (at, current) in &found.models {
        if current.as_deref() != Some(model) {
            replacements.push((at.clone(), literal("", model, "")));
        }
    }
}

/// A text as JSON writes it, between other bytes. Rarely needs an escape, and then more room.
fn literal(before: &str, text: &str, after: &str) -> Bytes {
    let mut out = Vec::with_capacity(before.len() + text.len() + 2 + after.len());
    out.extend_from_slice(before.as_bytes());
    // Writing to a Vec cannot fail.
    let _ = serde_json::to_writer(&mut out, text);
    out.extend_from_slice(after.as_bytes());
    out.into()
}

fn set_include_usage(found: &Found, stream_end: usize, replacements: &mut Vec<Replacement>) {
    if found.stream_options.is_empty() {
        // Beside `stream`, which is there, so that the comma is always right.
        let member = Bytes::from_static(br#","stream_options":{"include_usage":true}"#);
        replacements.push((stream_end..stream_end, member));
    }
    for options in &found.stream_options {
        match options {
            StreamOptions::Null(at) => {
                replacements.push((at.clone(), Bytes::from_static(INCLUDE_USAGE)));
            }
            StreamOptions::Object {
                open,
                empty,
                include_usage,
            } => {
                if include_usage.is_empty() {
                    let member: &[u8] = if *empty {
                        br#""include_usage":true"#
                    } else {
                        br#""include_usage":true,"#
                    };
                    replacements.push((*open..*open, Bytes::from_static(member)));
                }
                for (at, asked) in include_usage {
                    if !asked {
                        replacements.push((at.clone(), Bytes::from_static(b"true")));
                    }
                }
            }
            StreamOptions::Other => {}
        }
    }
}

/// Puts the replacements, in order and apart from each other, into the body.
fn splice(body: &Bytes, replacements: Vec<Replacement>) -> EditedBody {
    let mut segments = Vec::with_capacity(replacements.len() * 2 + 1);
    let mut done = 0;
    for (at, with) in replacements {
        if at.start > done {
            segments.push(body.slice(done..at.start));
        }
        segments.push(with);
        done = at.end;
    }
    if body.len() > done {
        segments.push(body.slice(done..));
    }
    EditedBody { segments }
}
