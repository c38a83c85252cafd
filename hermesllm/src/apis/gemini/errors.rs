//! Errors: `{"error": {"code", "message", "status", "details"}}`, also as a list of one.

use serde_json::{json, Value};

use crate::apis::ProviderError;

/// Status words (`google.rpc.Code`), with their HTTP status; the first of a status is the one that
/// is written for it.
const STATUSES: [(u16, &str); 16] = [
    (400, "INVALID_ARGUMENT"),
    (400, "FAILED_PRECONDITION"),
    (400, "OUT_OF_RANGE"),
    (401, "UNAUTHENTICATED"),
    (403, "PERMISSION_DENIED"),
    (404, "NOT_FOUND"),
    (409, "ABORTED"),
    (409, "ALREADY_EXISTS"),
    (429, "RESOURCE_EXHAUSTED"),
    (499, "CANCELLED"),
    (500, "INTERNAL"),
    (500, "DATA_LOSS"),
    (500, "UNKNOWN"),
    (501, "UNIMPLEMENTED"),
    (503, "UNAVAILABLE"),
    (504, "DEADLINE_EXCEEDED"),
];

const REASON: &str = "type.googleapis.com/google.rpc.ErrorInfo";
const FIELDS: &str = "type.googleapis.com/google.rpc.BadRequest";

/// Understands an error body.
pub(super) fn read(status: u16, body: &Value) -> Option<ProviderError> {
    let body = match body {
        Value::Array(list) => list.first()?,
        body => body,
    };
    let error = body.get("error")?;
    let text = |key: &str| error.get(key).and_then(Value::as_str);
    let message = match (error, text("message")) {
        (Value::String(message), _) => message,
        (Value::Object(_), message) => message.unwrap_or_default(),
        _ => return None,
    };
    let kind = text("status").unwrap_or_default().to_owned();
    let is_error = |status: &u16| (400..600).contains(status);
    let code = error.get("code").and_then(Value::as_u64);
    let code = code.and_then(|code| u16::try_from(code).ok());
    let of_kind = STATUSES.iter().find(|(_, word)| *word == kind);
    let status = Some(status)
        .filter(is_error)
        .or(code.filter(is_error))
        .or(of_kind.map(|(status, _)| *status))
        .unwrap_or(500);
    let details = error.get("details").and_then(Value::as_array);
    let detail = |pointer: &str| {
        let found = details?.iter().find_map(|detail| detail.pointer(pointer));
        found.and_then(Value::as_str).map(str::to_owned)
    };
    Some(ProviderError {
        status,
        kind,
        code: detail("/reason"),
        message: message.to_owned(),
        param: detail("/fieldViolations/0/field"),
    })
}

/// Writes an error body.
pub(super) fn write(error: &ProviderError) -> Value {
    let ProviderError {
        status,
        kind,
        code,
        message,
        param,
    } = error;
    let mut body = json!({
        "code": status,
        "message": message,
        "status": word(kind, *status),
    });
    let mut details = Vec::new();
    if let Some(code) = code {
        details.push(json!({"@type": REASON, "reason": code}));
    }
    if let Some(param) = param {
        let violation = json!({"field": param, "description": message});
        details.push(json!({"@type": FIELDS, "fieldViolations": [violation]}));
    }
    if let (false, Some(own)) = (details.is_empty(), body.as_object_mut()) {
        own.insert("details".to_owned(), details.into());
    }
    json!({ "error": body })
}

/// The status word of an error.
pub(super) fn word(kind: &str, status: u16) -> &'static str {
    let mut known = STATUSES.iter();
    if let Some((_, word)) = known.find(|(_, word)| *word == kind) {
        return word;
    }
    let mut known = STATUSES.iter();
    match known.find(|(own, _)| *own == status) {
        Some((_, word)) => word,
        None if status == 408 => "DEADLINE_EXCEEDED",
        None if matches!(status, 502 | 529) => "UNAVAILABLE",
        None if (400..500).contains(&status) => "INVALID_ARGUMENT",
        None => "INTERNAL",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_read_with_its_reason_and_field_and_written_so() {
        let body = json!([{"error": {"code": 400, "message": "m", "status": "INVALID_ARGUMENT",
            "details": [{"@type": REASON, "reason": "API_KEY_INVALID"},
                {"@type": FIELDS, "fieldViolations": [{"field": "contents"}]}]}}]);
        let error = read(400, &body).unwrap();
        assert_eq!(error.code.as_deref(), Some("API_KEY_INVALID"));
        assert_eq!(error.param.as_deref(), Some("contents"));
        let written = write(&error);
        assert_eq!(written["error"]["code"], 400);
        assert_eq!(read(400, &written), Some(error));
    }

    #[test]
    fn an_error_that_is_answered_with_success_has_its_own_status() {
        let body = json!({"error": {"code": 429, "message": "m"}});
        assert_eq!(read(200, &body).unwrap().status, 429);
        assert_eq!(read(200, &json!({"error": {}})).unwrap().status, 500);
        assert_eq!(read(200, &json!({"candidates": []})), None);
        assert_eq!(read(500, &json!([])), None);
        assert_eq!(read(500, &json!({"error": "m"})).unwrap().message, "m");
    }

    #[test]
    fn a_word_is_the_status_s_unless_it_is_one_already() {
        for (kind, status, expected) in [
            ("rate_limit_error", 429, "RESOURCE_EXHAUSTED"),
            ("DATA_LOSS", 500, "DATA_LOSS"),
            ("overloaded_error", 529, "UNAVAILABLE"),
            ("", 413, "INVALID_ARGUMENT"),
            ("", 599, "INTERNAL"),
        ] {
            assert_eq!(word(kind, status), expected);
        }
    }
}
