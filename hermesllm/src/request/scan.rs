//! Finds the members of a request body and where they stand.
//!
//! Rests on `serde_json`'s raw values: they borrow from the input, so that an address tells the
//! place, and they are checked without recursion, so that no depth of nesting can exhaust the
//! stack. Keys are compared as they are written unless they hold an escape.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::Deserializer;

use super::{Found, Span, StreamOptions, MAX_MODEL_BYTES};
use crate::error::{ApiError, ErrorCode};

/// Reads a whole body.
pub(super) fn scan(body: &[u8]) -> Result<Found, ApiError> {
    let text = std::str::from_utf8(body)
        .map_err(|_| ApiError::new(ErrorCode::InvalidJson, "the body is not valid UTF-8"))?;
    let mut found = Found {
        open: text.find('{').map_or(0, |brace| brace + 1),
        ..Found::default()
    };
    let mut problem = None;
    let count = members(text, |key, value| {
        if let Err(error) = found.take(text, key, value) {
            problem.get_or_insert(error);
        }
    })
    .map_err(|error| describe(text, &error))?;
    found.empty = count == 0;
    problem.map_or(Ok(found), Err)
}

impl Found {
    /// Takes a top-level member.
    fn take(&mut self, body: &str, key: &str, value: &str) -> Result<(), ApiError> {
        match key {
            "model" => {
                let model = model(value)?;
                self.models.extend(span(body, value).map(|at| (at, model)));
            }
            "stream" => self.stream = span(body, value).map(|at| (at.end, value == "true")),
            "stream_options" => {
                self.stream_options.extend(stream_options(body, value));
            }
            "max_completion_tokens" | "max_output_tokens" => {
                self.max_output.0 = value.parse().ok();
            }
            "max_tokens" => self.max_output.1 = value.parse().ok(),
            // Gemini's, and Converse's.
            "generationConfig" | "generation_config" | "inferenceConfig" => {
                self.max_output.1 = max_output(value).or(self.max_output.1);
            }
            "messages" | "input" | "prompt" | "system" | "instructions" | "tools" | "functions"
            | "contents" | "systemInstruction" | "system_instruction" | "toolConfig" => {
                self.prompt.extend(span(body, value));
            }
            _ => {}
        }
        Ok(())
    }
}

/// The model that a value of `model` names.
fn model(value: &str) -> Result<Option<String>, ApiError> {
    if value == "null" {
        return Ok(None);
    }
    let problem = match string(value) {
        Some(model) if model.len() <= MAX_MODEL_BYTES => return Ok(Some(model.into_owned())),
        Some(_) => return Err(model_too_long()),
        None => "`model` has to be a string",
    };
    Err(ApiError::new(ErrorCode::InvalidRequest, problem).with_param("model"))
}

pub(super) fn model_too_long() -> ApiError {
    let problem = format!("`model` is longer than {MAX_MODEL_BYTES} bytes");
    ApiError::new(ErrorCode::InvalidRequest, problem).with_param("model")
}

/// The limit on the answer's length in an object of settings.
fn max_output(settings: &str) -> Option<u64> {
    let mut most = None;
    members(settings, |key, value| {
        if matches!(key, "maxOutputTokens" | "max_output_tokens" | "maxTokens") {
            most = value.parse().ok();
        }
    })
    .ok()?;
    most
}

fn stream_options(body: &str, value: &str) -> Option<StreamOptions> {
    let at = span(body, value)?;
    if value == "null" {
        return Some(StreamOptions::Null(at));
    }
    if !value.starts_with('{') {
        return Some(StreamOptions::Other);
    }
    let mut include_usage = Vec::new();
    let count = members(value, |key, value| {
        if key == "include_usage" {
            include_usage.extend(span(body, value).map(|at| (at, value == "true")));
        }
    })
    .ok()?;
    Some(StreamOptions::Object {
        open: at.start + 1,
        empty: count == 0,
        include_usage,
    })
}

/// Calls `take` with the members of the one object that `text` is: key, unescaped, and value, as
/// written. Returns how many members there are.
///
/// Keys are read raw as well: one that no string can hold (half a surrogate pair) is still a key
/// of somebody else's. It counts, is not shown to `take`, and goes on untouched.
fn members<'a>(text: &'a str, take: impl FnMut(&str, &'a str)) -> serde_json::Result<usize> {
    struct Members<F>(F);

    impl<'de, F: FnMut(&str, &'de str)> Visitor<'de> for Members<F> {
        type Value = usize;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<usize, A::Error> {
            let mut count = 0;
            while let Some((key, value)) = map.next_entry::<&RawValue, &RawValue>()? {
                count += 1;
                if let Some(key) = string(key.get()) {
                    (self.0)(&key, value.get());
                }
            }
            Ok(count)
        }
    }

    let mut reader = Deserializer::from_str(text);
    let count = reader.deserialize_map(Members(take))?;
    reader.end()?;
    Ok(count)
}

/// What a string literal says.
fn string(literal: &str) -> Option<Cow<'_, str>> {
    let inner = literal.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        serde_json::from_str(literal).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(inner))
    }
}

/// Where a slice of `whole` stands in it.
fn span(whole: &str, part: &str) -> Option<Span> {
    let start = (part.as_ptr() as usize).checked_sub(whole.as_ptr() as usize)?;
    let end = start.checked_add(part.len())?;
    (end <= whole.len()).then_some(start..end)
}

/// Says where reading failed, without showing what was read.
fn describe(text: &str, error: &serde_json::Error) -> ApiError {
    // The wrong kind of document is noticed before the rest of it is read.
    let invalid = if error.is_data() {
        serde_json::from_str::<IgnoredAny>(text).err()
    } else {
        None
    };
    if error.is_data() && invalid.is_none() {
        return ApiError::new(
            ErrorCode::InvalidRequest,
            "the body has to be a JSON object",
        );
    }
    let error = invalid.as_ref().unwrap_or(error);
    let message = if error.is_eof() {
        "the body is no complete JSON document".to_owned()
    } else {
        format!(
            "the body is no valid JSON: line {}, column {}",
            error.line(),
            error.column()
        )
    };
    ApiError::new(ErrorCode::InvalidJson, message)
}
