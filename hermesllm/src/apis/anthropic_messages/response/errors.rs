//! Errors.

use serde_json::{json, Value};

use crate::apis::ProviderError;

/// The types of errors, and the status of each; the first of a status is the word for it.
const TYPES: [(&str, u16); 10] = [
    ("invalid_request_error", 400),
    ("authentication_error", 401),
    ("billing_error", 402),
    ("permission_error", 403),
    ("not_found_error", 404),
    ("request_too_large", 413),
    ("rate_limit_error", 429),
    ("api_error", 500),
    ("timeout_error", 504),
    ("overloaded_error", 529),
];

/// Reads an error body: this API's, or that of a server before it (Google's has a status word
/// instead of a type).
pub fn read_error(status: u16, body: &Value) -> Option<ProviderError> {
    let error = match body {
        Value::Array(list) => list.first()?.get("error")?,
        body => body.get("error")?,
    };
    if let Some(message) = error.as_str() {
        return Some(ProviderError {
            status,
            message: message.to_owned(),
            ..ProviderError::default()
        });
    }
    let word = |key: &str| error.get(key).and_then(Value::as_str).map(str::to_owned);
    let kind = word("type").or_else(|| word("status"));
    let message = word("message");
    if kind.is_none() && message.is_none() {
        return None;
    }
    Some(ProviderError {
        status,
        kind: kind.unwrap_or_default(),
        code: word("code"),
        message: message.unwrap_or_default(),
        param: word("param"),
    })
}

/// Writes an error body. The API has neither codes nor parameters: the message says it all.
pub fn write_error(error: &ProviderError) -> Value {
    let ProviderError {
        status,
        kind,
        code: _,
        message,
        param: _,
    } = error;
    let kind = kind_of(kind, Some(*status));
    json!({"type": "error", "error": {"type": kind, "message": message}})
}

/// The type of an error: the provider's if it is one, else by the status.
pub(in crate::apis::anthropic_messages) fn kind_of(
    kind: &str,
    status: Option<u16>,
) -> &'static str {
    if let Some((own, _)) = TYPES.iter().find(|(own, _)| *own == kind) {
        return own;
    }
    let Some(status) = status else {
        return "api_error";
    };
    if let Some((own, _)) = TYPES.iter().find(|(_, own)| *own == status) {
        return own;
    }
    match status {
        408 => "timeout_error",
        503 => "overloaded_error",
        400..=499 => "invalid_request_error",
        _ => "api_error",
    }
}

/// The status that goes with a type.
pub(in crate::apis::anthropic_messages) fn status_of(kind: &str) -> Option<u16> {
    let found = TYPES.iter().find(|(own, _)| *own == kind);
    found.map(|(_, status)| *status)
}
