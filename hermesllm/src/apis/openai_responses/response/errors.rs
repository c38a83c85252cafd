//! Errors.

use serde_json::{json, Value};

use crate::apis::openai_responses::members::word;
use crate::apis::ProviderError;

/// Types of errors that the API has.
const TYPES: [&str; 11] = [
    "invalid_request_error",
    "authentication_error",
    "permission_error",
    "not_found_error",
    "rate_limit_error",
    "insufficient_quota",
    "requests",
    "tokens",
    "server_error",
    "api_error",
    "image_generation_user_error",
];

/// Reads an error body; `None` where it is none.
pub fn read_error(status: u16, body: &Value) -> Option<ProviderError> {
    let failed = !(200..300).contains(&status);
    let error = |kind: &str, code: Option<String>, message: &str, param: Option<&str>| {
        Some(ProviderError {
            status,
            kind: kind.to_owned(),
            code,
            message: message.to_owned(),
            param: param.map(str::to_owned),
        })
    };
    match body.get("error") {
        Some(value @ Value::Object(_)) => {
            let code = match value.get("code") {
                Some(Value::String(code)) => Some(code.clone()),
                Some(Value::Number(code)) => Some(code.to_string()),
                _ => None,
            };
            let kind = word(value, "type").unwrap_or_default();
            let message = word(value, "message").unwrap_or_default();
            return error(kind, code, message, word(value, "param"));
        }
        Some(Value::String(message)) => return error("", None, message, None),
        _ => {}
    }
    if word(body, "type") == Some("error") && word(body, "message").is_some() {
        let code = word(body, "code").map(str::to_owned);
        let message = word(body, "message").unwrap_or_default();
        return error("", code, message, word(body, "param"));
    }
    if !failed {
        return None;
    }
    // Gateways in front of the API, and frameworks that others are built with.
    match body.get("detail").or_else(|| body.get("message")) {
        Some(Value::String(message)) => error("", None, message, None),
        Some(Value::Null) | None => None,
        Some(other) => error("", None, &other.to_string(), None),
    }
}

/// Writes an error body.
pub fn write_error(error: &ProviderError) -> Value {
    let ProviderError {
        status,
        kind,
        code,
        message,
        param,
    } = error;
    json!({
        "error": {
            "message": message,
            "type": type_of(kind, *status),
            "param": param,
            "code": code,
        }
    })
}

/// The API's word for a type of error.
pub(in crate::apis::openai_responses) fn type_of(kind: &str, status: u16) -> &str {
    if TYPES.contains(&kind) {
        return kind;
    }
    match status {
        401 => "authentication_error",
        403 => "permission_error",
        429 => "rate_limit_error",
        400..=499 => "invalid_request_error",
        _ => "server_error",
    }
}

/// The status that an error in a stream would have had, by its code.
pub(in crate::apis::openai_responses) fn status_of(code: &str) -> Option<u16> {
    Some(match code {
        "rate_limit_exceeded" | "rate_limit_error" | "insufficient_quota" => 429,
        "server_error" | "internal_error" => 500,
        "server_is_overloaded" | "slow_down" | "overloaded" => 503,
        "invalid_api_key" | "authentication_error" => 401,
        "invalid_prompt" | "invalid_request_error" | "context_length_exceeded" => 400,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_read_in_every_shape_that_was_seen() {
        let body = json!({"error": {"message": "m", "type": "t", "param": "p", "code": "c"}});
        let error = read_error(400, &body).unwrap();
        assert_eq!(
            error,
            ProviderError {
                status: 400,
                kind: "t".to_owned(),
                code: Some("c".to_owned()),
                message: "m".to_owned(),
                param: Some("p".to_owned()),
            }
        );
        let detail = read_error(401, &json!({"detail": "no"})).unwrap();
        assert_eq!(detail.message, "no");
        let number = read_error(400, &json!({"error": {"message": "m", "code": 400}})).unwrap();
        assert_eq!(number.code.as_deref(), Some("400"));
        assert_eq!(
            read_error(200, &json!({"error": null, "status": "completed"})),
            None
        );
        assert_eq!(read_error(500, &json!({"foo": 1})), None);
    }

    #[test]
    fn errors_are_written_in_the_apis_words() {
        let error = ProviderError {
            status: 529,
            kind: "overloaded_error".to_owned(),
            message: "m".to_owned(),
            ..ProviderError::default()
        };
        assert_eq!(
            write_error(&error),
            json!({"error": {"message": "m", "type": "server_error", "param": null, "code": null}})
        );
        assert_eq!(type_of("insufficient_quota", 429), "insufficient_quota");
        assert_eq!(type_of("RESOURCE_EXHAUSTED", 429), "rate_limit_error");
    }
}
