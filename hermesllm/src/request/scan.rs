//! Finds the members of a request body and where they stand.
//!
//! Names are compared as they are written unless they hold an escape.

use serde::de::IgnoredAny;

use super::walk::{Member, Walker};
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
    let mut walker = Walker::new(text, 0);
    let count = walker.members(|member| {
        if let Err(error) = found.take(text, member) {
            problem.get_or_insert(error);
        }
    });
    let count = count.filter(|_| walker.is_at_end());
    found.empty = count.ok_or_else(|| describe(text))? == 0;
    problem.map_or(Ok(found), Err)
}

impl Found {
    /// Takes a top-level member.
    fn take(&mut self, body: &str, member: Member<'_>) -> Result<(), ApiError> {
        let Member { name, value, at } = member;
        let Some(name) = name.said() else {
            return Ok(());
        };
        match name.as_ref() {
            "model" => self.models.push((at, model(value)?)),
            "stream" => self.stream = Some((at.end, value == "true")),
            "stream_options" => self.stream_options.extend(stream_options(body, at)),
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
                self.prompt.push(at);
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
    let problem = match serde_json::from_str::<String>(value) {
        Ok(model) if model.len() <= MAX_MODEL_BYTES => return Ok(Some(model)),
        Ok(_) => return Err(model_too_long()),
        Err(_) => "`model` has to be a string",
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
    Walker::new(settings, 0).members(|Member { name, value, .. }| {
        let name = name.said().unwrap_or_default();
        if matches!(
            name.as_ref(),
            "maxOutputTokens" | "max_output_tokens" | "maxTokens"
        ) {
            most = value.parse().ok();
        }
    })?;
    most
}

fn stream_options(body: &str, at: Span) -> Option<StreamOptions> {
    let value = body.get(at.clone())?;
    if value == "null" {
        return Some(StreamOptions::Null(at));
    }
    if !value.starts_with('{') {
        return Some(StreamOptions::Other);
    }
    let mut include_usage = Vec::new();
    let count = Walker::new(body, at.start).members(|Member { name, value, at }| {
        if name.said().as_deref() == Some("include_usage") {
            include_usage.push((at, value == "true"));
        }
    })?;
    Some(StreamOptions::Object {
        open: at.start + 1,
        empty: count == 0,
        include_usage,
    })
}

/// Says why a body is none, and where, without showing it. `serde_json` reads it once more for that.
fn describe(text: &str) -> ApiError {
    let Err(error) = serde_json::from_str::<IgnoredAny>(text) else {
        let message = "the body has to be a JSON object";
        return ApiError::new(ErrorCode::InvalidRequest, message);
    };
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
