//! A client's request, byte for byte, and the few edits that are made to it.
//!
//! Owns the reading of the members that decide something and the byte-preserving edit. The body is
//! never taken apart and put together again: what is unknown to us passes through in its place,
//! with its own spelling. The whole document is validated once, without recursion.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use serde::de::{DeserializeSeed, MapAccess, Visitor};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::endpoint::Endpoint;
use crate::error::{ApiError, ErrorCode};

/// A place in the body: start and end, in bytes.
type Span = std::ops::Range<usize>;

/// A request body with the members that matter.
#[derive(Debug, Clone)]
pub struct ProviderRequest {
    endpoint: Endpoint,
    body: Bytes,
    head: Head,
}

/// What is read of a body; spans are of values.
#[derive(Debug, Clone, Default)]
struct Head {
    /// Behind the opening brace.
    inside: usize,
    /// The object has members.
    has_members: bool,
    model: Option<String>,
    /// Every `model` member: a parser may take the first or the last.
    model_spans: Vec<Span>,
    stream: bool,
    include_usage: bool,
    stream_options: Vec<(Span, StreamOptions)>,
    max_output_tokens: Option<u64>,
    prompt_bytes: usize,
}

/// What stands at `stream_options`.
#[derive(Debug, Clone)]
enum StreamOptions {
    /// An object: behind its brace, whether it has members, its `include_usage` values.
    Object {
        inside: usize,
        has_members: bool,
        include_usage: Vec<Span>,
    },
    /// `null` or something that is no object.
    Other { is_null: bool },
}

/// What to change in a request.
#[derive(Debug, Clone, Copy, Default)]
pub struct RequestEdits<'a> {
    /// The model's name at the provider.
    pub model: Option<&'a str>,
    /// Ask for usage on a stream, where the endpoint has an option for it.
    pub ask_usage: bool,
}

/// A body after an edit, in pieces: slices of the original and what was put in.
#[derive(Debug, Clone, Default)]
pub struct EditedBody {
    segments: Vec<Bytes>,
}

impl EditedBody {
    /// The length in bytes.
    pub fn len(&self) -> usize {
        self.segments.iter().map(Bytes::len).sum()
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The pieces, in order.
    pub fn into_segments(self) -> Vec<Bytes> {
        self.segments
    }

    /// The body in one piece.
    pub fn to_vec(&self) -> Vec<u8> {
        self.segments.concat()
    }
}

impl ProviderRequest {
    /// Reads a body.
    ///
    /// # Errors
    /// [`ErrorCode::InvalidJson`] when it is no JSON, [`ErrorCode::InvalidRequest`] when it is no
    /// object or its model no string.
    pub fn parse(endpoint: Endpoint, body: Bytes) -> Result<Self, ApiError> {
        let text = std::str::from_utf8(&body).map_err(|_| not_json())?;
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let head = match (Reader { text }).deserialize(&mut deserializer) {
            Ok(head) => deserializer.end().map(|()| head),
            Err(error) => Err(error),
        };
        let mut head = head.map_err(|error| {
            // A document of another type is JSON all the same; `is_data` says just that.
            if error.is_data() && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok() {
                ApiError::new(ErrorCode::InvalidRequest, "the request has to be a JSON object")
            } else {
                not_json()
            }
        })?;
        if head.model.is_none() && !head.model_spans.is_empty() {
            let last = head.model_spans.last().cloned().unwrap_or_default();
            match text.get(last).unwrap_or_default() {
                "null" => {}
                value => match serde_json::from_str::<String>(value) {
                    Ok(model) => head.model = (!model.is_empty()).then_some(model),
                    Err(_) => {
                        return Err(ApiError::new(
                            ErrorCode::InvalidRequest,
                            "`model` has to be a string",
                        )
                        .with_param("model"));
                    }
                },
            }
        }
        Ok(Self {
            endpoint,
            body,
            head,
        })
    }

    /// The model that the client named; an empty name and `null` count as none.
    pub fn model(&self) -> Option<&str> {
        self.head.model.as_deref()
    }

    /// Whether the client wants a stream.
    pub fn stream(&self) -> bool {
        self.head.stream
    }

    /// Whether the client itself asked for usage on its stream.
    pub fn include_usage(&self) -> bool {
        self.head.include_usage
    }

    /// The limit on the answer's tokens that the client set, under whichever name.
    pub fn max_output_tokens(&self) -> Option<u64> {
        self.head.max_output_tokens
    }

    /// The length of the body as it came, in bytes.
    pub fn body_len(&self) -> usize {
        self.body.len()
    }

    /// The length of what the model reads (messages, prompt, input, system, tools), in bytes,
    /// without embedded media: the base of the estimate.
    pub fn prompt_bytes(&self) -> usize {
        self.head.prompt_bytes
    }

    /// The body with the edits made.
    ///
    /// Untouched bytes stay as they are. An edit that changes nothing gives the original.
    pub fn edit(&self, edits: &RequestEdits<'_>) -> EditedBody {
        let mut changes: Vec<(Span, String)> = Vec::new();
        let mut insert = Vec::new();
        if let Some(model) = edits.model {
            if self.model() != Some(model) || self.head.model_spans.len() > 1 {
                let value = json_string(model);
                if self.head.model_spans.is_empty() {
                    insert.push(format!("\"model\":{value}"));
                }
                for span in &self.head.model_spans {
                    changes.push((span.clone(), value.clone()));
                }
            }
        }
        let has_option = matches!(
            self.endpoint,
            Endpoint::ChatCompletions | Endpoint::Completions
        );
        if edits.ask_usage && has_option && self.stream() && !self.include_usage() {
            self.ask_usage(&mut changes, &mut insert);
        }
        if !insert.is_empty() {
            let mut text = insert.join(",");
            if self.head.has_members {
                text.push(',');
            }
            changes.push((self.head.inside..self.head.inside, text));
        }
        self.apply(changes)
    }

    fn ask_usage(&self, changes: &mut Vec<(Span, String)>, insert: &mut Vec<String>) {
        if self.head.stream_options.is_empty() {
            insert.push("\"stream_options\":{\"include_usage\":true}".to_owned());
        }
        for (span, options) in &self.head.stream_options {
            match options {
                StreamOptions::Other { is_null: true } => {
                    changes.push((span.clone(), "{\"include_usage\":true}".to_owned()));
                }
                // The provider says what is wrong with it.
                StreamOptions::Other { is_null: false } => {}
                StreamOptions::Object {
                    inside,
                    has_members,
                    include_usage,
                } => {
                    if include_usage.is_empty() {
                        let comma = if *has_members { "," } else { "" };
                        let text = format!("\"include_usage\":true{comma}");
                        changes.push((*inside..*inside, text));
                    }
                    for span in include_usage {
                        changes.push((span.clone(), "true".to_owned()));
                    }
                }
            }
        }
    }

    fn apply(&self, mut changes: Vec<(Span, String)>) -> EditedBody {
        changes.sort_by_key(|(span, _)| span.start);
        let mut segments = Vec::with_capacity(changes.len() * 2 + 1);
        let mut done = 0;
        for (span, text) in changes {
            segments.push(self.body.slice(done..span.start));
            segments.push(Bytes::from(text));
            done = span.end;
        }
        segments.push(self.body.slice(done..));
        segments.retain(|segment| !segment.is_empty());
        EditedBody { segments }
    }
}

fn not_json() -> ApiError {
    ApiError::new(ErrorCode::InvalidJson, "the request is not valid JSON")
}

fn json_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Reads the members of the top-level object.
struct Reader<'de> {
    text: &'de str,
}

impl Reader<'_> {
    /// Where a raw value stands in the text. Raw values are borrowed from it.
    fn span(&self, raw: &RawValue) -> Span {
        let start = (raw.get().as_ptr() as usize).wrapping_sub(self.text.as_ptr() as usize);
        start..start.wrapping_add(raw.get().len())
    }

    /// The offset behind the first brace at or after `from`.
    fn behind_brace(&self, from: usize) -> usize {
        let rest = self.text.get(from..).unwrap_or_default();
        from + rest.find('{').map_or(0, |at| at + 1)
    }
}

impl<'de> DeserializeSeed<'de> for Reader<'de> {
    type Value = Head;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Head, D::Error> {
        deserializer.deserialize_map(self)
    }
}

/// A member's name, borrowed where it has no escapes.
#[derive(Deserialize)]
#[serde(transparent)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Visitor<'de> for Reader<'de> {
    type Value = Head;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Head, A::Error> {
        let mut head = Head {
            inside: self.behind_brace(0),
            ..Head::default()
        };
        while let Some(Key(key)) = map.next_key()? {
            let raw: &'de RawValue = map.next_value()?;
            head.has_members = true;
            match &*key {
                "model" => head.model_spans.push(self.span(raw)),
                "stream" => head.stream = raw.get() == "true",
                "stream_options" => {
                    let span = self.span(raw);
                    let (options, include_usage) = self.stream_options(raw, span.start);
                    head.include_usage = include_usage;
                    head.stream_options.push((span, options));
                }
                "max_tokens" | "max_completion_tokens" | "max_output_tokens" => {
                    if let Ok(limit) = raw.get().parse() {
                        head.max_output_tokens = Some(limit);
                    }
                }
                "messages" | "prompt" | "input" | "system" | "instructions" | "tools" => {
                    head.prompt_bytes += raw.get().len() - media_bytes(raw.get());
                }
                _ => {}
            }
        }
        Ok(head)
    }
}

impl<'de> Reader<'de> {
    fn stream_options(&self, raw: &'de RawValue, start: usize) -> (StreamOptions, bool) {
        let mut deserializer = serde_json::Deserializer::from_str(raw.get());
        let options = OptionsReader(self).deserialize(&mut deserializer);
        let Ok((has_members, include_usage, wanted)) = options else {
            let is_null = raw.get() == "null";
            return (StreamOptions::Other { is_null }, false);
        };
        let options = StreamOptions::Object {
            inside: self.behind_brace(start),
            has_members,
            include_usage,
        };
        (options, wanted)
    }
}

/// Reads the members of `stream_options`.
struct OptionsReader<'r, 'de>(&'r Reader<'de>);

type Options = (bool, Vec<Span>, bool);

impl<'de> DeserializeSeed<'de> for OptionsReader<'_, 'de> {
    type Value = Options;

    fn deserialize<D: serde::Deserializer<'de>>(self, de: D) -> Result<Options, D::Error> {
        de.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for OptionsReader<'_, 'de> {
    type Value = Options;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Options, A::Error> {
        let (mut has_members, mut spans, mut wanted) = (false, Vec::new(), false);
        while let Some(Key(key)) = map.next_key()? {
            let raw: &'de RawValue = map.next_value()?;
            has_members = true;
            if key == "include_usage" {
                wanted = raw.get() == "true";
                spans.push(self.0.span(raw));
            }
        }
        Ok((has_members, spans, wanted))
    }
}

/// A string this long without a space or an escape is no prose.
const MEDIA: usize = 1024;

/// The bytes of long unbroken runs of base64, which are media and no text.
fn media_bytes(json: &str) -> usize {
    let mut total = 0;
    let mut run = 0;
    for byte in json.bytes() {
        if byte.is_ascii_alphanumeric() || b"+/=-_".contains(&byte) {
            run += 1;
        } else {
            if run >= MEDIA {
                total += run;
            }
            run = 0;
        }
    }
    if run >= MEDIA {
        total += run;
    }
    total
}

#[cfg(test)]
mod tests;
