//! Errors.

use serde_json::{json, Value};

use crate::apis::ProviderError;

/// Reads an error: `{"error": {message, type, code, param}}`, and the forms of others: the members
/// without an object around them (Mistral), `{"detail": …}`, a text, a list of one (Gemini).
pub fn read_error(status: u16, body: &Value) -> Option<ProviderError> {
    let body = match body {
        Value::Array(list) => list.first()?,
        other => other,
    };
    let own = match body.get("error") {
        Some(own) if !own.is_null() => own,
        _ if status < 400 => return None,
        _ => body,
    };
    let text = |key: &str| match own.get(key)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let message = match own {
        Value::String(message) => message.clone(),
        _ => text("message")
            .or_else(|| text("detail"))
            .or_else(|| own.get("detail").map(Value::to_string))
            .or_else(|| own.get("message").map(Value::to_string))?,
    };
    let code = text("code");
    // Some answer with a success, or in a stream, and tell the status as the code.
    let told = ["status_code", "code"]
        .iter()
        .filter_map(|key| text(key)?.parse().ok())
        .find(|told| (400..600).contains(told));
    let status = match told {
        Some(told) if status < 400 => told,
        _ => status,
    };
    let repeats = |code: &String| *code == status.to_string();
    Some(ProviderError {
        status,
        kind: text("type").or_else(|| text("status")).unwrap_or_default(),
        code: code.filter(|code| !repeats(code)),
        message,
        param: text("param"),
    })
}

/// Writes an error. A type of another API's is told as the code, if there is none.
pub fn write_error(error: &ProviderError) -> Value {
    let ProviderError {
        status,
        kind,
        code,
        message,
        param,
    } = error;
    json!({"error": {
        "message": message,
        "type": kind_of(*status, kind),
        "param": param,
        "code": code.as_deref().or(code_of(kind)),
    }})
}

/// The types of this API.
const OWN: [&str; 8] = [
    "invalid_request_error",
    "authentication_error",
    "permission_error",
    "not_found_error",
    "rate_limit_error",
    "insufficient_quota",
    "server_error",
    "api_error",
];

/// The type of an error, in this API's words.
pub(in crate::apis::openai_chat) fn kind_of(status: u16, kind: &str) -> &str {
    if OWN.contains(&kind) {
        return kind;
    }
    match status {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        429 => "rate_limit_error",
        400..=499 => "invalid_request_error",
        _ => "server_error",
    }
}

/// The code that says what a type of another API's said.
pub(in crate::apis::openai_chat) fn code_of(kind: &str) -> Option<&str> {
    Some(kind).filter(|kind| !kind.is_empty() && !OWN.contains(kind))
}
