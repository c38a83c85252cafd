//! Errors as clients read them: one table from code to every shape.
//!
//! Owns the mapping of each [`ErrorCode`] to HTTP status, gRPC code, the error types of each
//! dialect and the metric label. The table is total: a code cannot be added without all columns.
//! Messages never hold secrets, prompt text or internals.

use serde_json::json;

use crate::apis::bedrock_converse::type_of;
use crate::dialect::Dialect;
use crate::endpoint::Endpoint;

/// A row of the table.
struct Row {
    status: u16,
    grpc: i32,
    openai_type: &'static str,
    openai_code: Option<&'static str>,
    anthropic_type: &'static str,
    gemini_status: &'static str,
    reason: &'static str,
}

const fn row(
    status: u16,
    grpc: i32,
    (openai_type, openai_code): (&'static str, Option<&'static str>),
    anthropic_type: &'static str,
    gemini_status: &'static str,
    reason: &'static str,
) -> Row {
    Row {
        status,
        grpc,
        openai_type,
        openai_code,
        anthropic_type,
        gemini_status,
        reason,
    }
}

const INVALID: &str = "invalid_request_error";
const SERVER: &str = "server_error";
const API: &str = "api_error";

/// Makes the codes and their table in one, so that no code can be without its row.
macro_rules! codes {
    ($($(#[$doc:meta])+ $code:ident => $row:expr,)+) => {
        /// What went wrong.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ErrorCode {
            $($(#[$doc])+ $code,)+
        }

        impl ErrorCode {
            /// Every code.
            pub const ALL: [Self; [$(stringify!($code)),+].len()] = [$(Self::$code),+];

            const fn row(self) -> Row {
                match self {
                    $(Self::$code => $row,)+
                }
            }
        }
    };
}

// gRPC codes by number: 3 invalid argument, 4 deadline exceeded, 5 not found, 7 permission denied,
// 8 resource exhausted, 9 failed precondition, 12 unimplemented, 13 internal, 14 unavailable,
// 15 data loss, 16 unauthenticated. Gemini's status is the same code by name.
codes! {
    /// The body is no JSON.
    InvalidJson => row(400, 3, (INVALID, Some("invalid_json")), INVALID, "INVALID_ARGUMENT", "invalid_json"),
    /// The body is JSON, but not a request.
    InvalidRequest => row(400, 3, (INVALID, None), INVALID, "INVALID_ARGUMENT", "invalid_request"),
    /// No model is named and none is the default.
    MissingModel => row(400, 3, (INVALID, Some("missing_model")), INVALID, "INVALID_ARGUMENT", "missing_model"),
    /// The model is not configured.
    ModelNotFound => row(404, 5, (INVALID, Some("model_not_found")), "not_found_error", "NOT_FOUND", "model_not_found"),
    /// There is no such endpoint.
    NotFound => row(404, 5, (INVALID, Some("unknown_url")), "not_found_error", "NOT_FOUND", "not_found"),
    /// The endpoint does not take this method.
    MethodNotAllowed => row(405, 12, (INVALID, Some("method_not_allowed")), INVALID, "UNIMPLEMENTED", "method_not_allowed"),
    /// Nobody is known by the key that was sent, or none was.
    Unauthenticated => row(401, 16, (INVALID, Some("invalid_api_key")), "authentication_error", "UNAUTHENTICATED", "unauthenticated"),
    /// The model is not for whoever asks.
    ModelForbidden => row(403, 7, (INVALID, Some("model_not_allowed")), "permission_error", "PERMISSION_DENIED", "model_forbidden"),
    /// The request may not be made from here.
    Forbidden => row(403, 7, (INVALID, Some("forbidden")), "permission_error", "PERMISSION_DENIED", "forbidden"),
    /// The body is of a type or encoding that is not read.
    UnsupportedMediaType => row(415, 3, (INVALID, Some("unsupported_media_type")), INVALID, "INVALID_ARGUMENT", "unsupported_media_type"),
    /// The body is too large.
    PayloadTooLarge => row(413, 3, (INVALID, Some("request_too_large")), "request_too_large", "INVALID_ARGUMENT", "payload_too_large"),
    /// The provider of the model does not serve this API.
    UnsupportedApi => row(400, 9, (INVALID, Some("unsupported_api")), INVALID, "FAILED_PRECONDITION", "unsupported_api"),
    /// The provider lacks what it needs, a credential for one.
    ProviderNotConfigured => row(503, 9, (SERVER, Some("provider_not_configured")), API, "FAILED_PRECONDITION", "provider_not_configured"),
    /// The provider cannot be reached.
    UpstreamUnavailable => row(503, 14, (SERVER, Some("upstream_unavailable")), API, "UNAVAILABLE", "upstream_unavailable"),
    /// The provider's answer cannot be read.
    UpstreamProtocol => row(502, 13, (SERVER, Some("upstream_protocol_error")), API, "INTERNAL", "upstream_protocol"),
    /// The provider did not answer in time.
    UpstreamTimeout => row(504, 4, (SERVER, Some("upstream_timeout")), "timeout_error", "DEADLINE_EXCEEDED", "upstream_timeout"),
    /// The provider's answer stopped before its end.
    UpstreamTruncated => row(502, 15, (SERVER, Some("upstream_truncated")), API, "DATA_LOSS", "upstream_truncated"),
    /// The client did not send its request in time.
    RequestTimeout => row(408, 4, (INVALID, Some("request_timeout")), "timeout_error", "DEADLINE_EXCEEDED", "request_timeout"),
    /// Too many requests.
    RateLimited => row(429, 8, ("rate_limit_error", Some("rate_limit_exceeded")), "rate_limit_error", "RESOURCE_EXHAUSTED", "rate_limited"),
    /// The server takes no more at the moment.
    Overloaded => row(503, 14, (SERVER, Some("overloaded")), "overloaded_error", "UNAVAILABLE", "overloaded"),
    /// The server is shutting down.
    Draining => row(503, 14, (SERVER, Some("shutting_down")), "overloaded_error", "UNAVAILABLE", "draining"),
    /// A defect of ours.
    Internal => row(500, 13, (SERVER, Some("internal_error")), API, "INTERNAL", "internal"),
}

impl ErrorCode {
    /// The HTTP status.
    pub fn status(self) -> u16 {
        self.row().status
    }

    /// The gRPC status code.
    pub fn grpc_code(self) -> i32 {
        self.row().grpc
    }

    /// OpenAI's `error.type`.
    pub fn openai_type(self) -> &'static str {
        self.row().openai_type
    }

    /// OpenAI's `error.code`.
    pub fn openai_code(self) -> Option<&'static str> {
        self.row().openai_code
    }

    /// Anthropic's `error.type`.
    pub fn anthropic_type(self) -> &'static str {
        self.row().anthropic_type
    }

    /// Gemini's `error.status`.
    pub fn gemini_status(self) -> &'static str {
        self.row().gemini_status
    }

    /// Bedrock's type, which is also the header `x-amzn-errortype`.
    pub fn bedrock_type(self) -> &'static str {
        type_of("", self.status())
    }

    /// The label in metrics and logs.
    pub fn reason(self) -> &'static str {
        self.row().reason
    }
}

/// An error on its way to a client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// What went wrong.
    pub code: ErrorCode,
    /// What the client reads.
    pub message: String,
    /// The member of the request that is at fault, where there is one.
    pub param: Option<String>,
}

impl ApiError {
    /// An error with a message for the client.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            param: None,
        }
    }

    /// Names the member of the request that is at fault.
    #[must_use]
    pub fn with_param(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// The JSON body in a dialect.
    ///
    /// OpenAI: `{"error":{"message","type","param","code"}}`. Anthropic:
    /// `{"type":"error","error":{"type","message"}}`. Gemini: `{"error":{"code","message","status"}}`,
    /// the code being the HTTP status. Bedrock: `{"__type","message"}`.
    pub fn body(&self, dialect: Dialect) -> Vec<u8> {
        self.value(dialect).to_string().into_bytes()
    }

    /// The error as an event of a running stream of Server-Sent Events, blank line included.
    ///
    /// `sequence_number` is used by the Responses API only.
    pub fn stream_event(&self, endpoint: Endpoint, sequence_number: u64) -> Vec<u8> {
        let (name, data) = match endpoint {
            Endpoint::Messages => (Some("error"), self.value(Dialect::Anthropic)),
            Endpoint::Responses => (
                Some("error"),
                json!({
                    "type": "error",
                    "code": self.code.openai_code().unwrap_or(self.code.openai_type()),
                    "message": self.message,
                    "param": self.param,
                    "sequence_number": sequence_number,
                }),
            ),
            _ => (None, self.value(endpoint.dialect())),
        };
        match name {
            Some(name) => format!("event: {name}\ndata: {data}\n\n").into_bytes(),
            None => format!("data: {data}\n\n").into_bytes(),
        }
    }

    fn value(&self, dialect: Dialect) -> serde_json::Value {
        match dialect {
            Dialect::OpenAi => json!({
                "error": {
                    "message": self.message,
                    "type": self.code.openai_type(),
                    "param": self.param,
                    "code": self.code.openai_code(),
                }
            }),
            Dialect::Anthropic => json!({
                "type": "error",
                "error": {
                    "type": self.code.anthropic_type(),
                    "message": self.message,
                }
            }),
            Dialect::Gemini => json!({
                "error": {
                    "code": self.code.status(),
                    "message": self.message,
                    "status": self.code.gemini_status(),
                }
            }),
            Dialect::Bedrock => json!({
                "__type": self.code.bedrock_type(),
                "message": self.message,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_row_of_its_own_with_a_sane_status() {
        let mut reasons: Vec<_> = ErrorCode::ALL.iter().map(|code| code.reason()).collect();
        reasons.sort_unstable();
        reasons.dedup();
        assert_eq!(reasons.len(), ErrorCode::ALL.len());
        for code in ErrorCode::ALL {
            let ours = (500..600).contains(&code.status());
            assert!(ours || (400..500).contains(&code.status()), "{code:?}");
            assert_eq!(code.openai_type() == SERVER, ours, "{code:?}");
            assert_ne!(code.openai_code(), Some(""), "{code:?}");
            assert!(code.anthropic_type().ends_with("_error") || code.status() == 413);
            let label = |c: char| c.is_ascii_lowercase() || c == '_';
            assert!(code.reason().chars().all(label), "{code:?}");
        }
    }

    #[test]
    fn geminis_status_is_the_grpc_code_by_name() {
        for code in ErrorCode::ALL {
            let name = match code.grpc_code() {
                3 => "INVALID_ARGUMENT",
                4 => "DEADLINE_EXCEEDED",
                5 => "NOT_FOUND",
                7 => "PERMISSION_DENIED",
                8 => "RESOURCE_EXHAUSTED",
                9 => "FAILED_PRECONDITION",
                12 => "UNIMPLEMENTED",
                13 => "INTERNAL",
                14 => "UNAVAILABLE",
                15 => "DATA_LOSS",
                16 => "UNAUTHENTICATED",
                _ => "",
            };
            assert_eq!(code.gemini_status(), name, "{code:?}");
        }
    }

    #[test]
    fn each_dialect_gets_its_own_shape() {
        let error = ApiError::new(ErrorCode::ModelNotFound, "no \"x\"").with_param("model");
        let openai: serde_json::Value =
            serde_json::from_slice(&error.body(Dialect::OpenAi)).unwrap();
        assert_eq!(openai["error"]["code"], "model_not_found");
        assert_eq!(openai["error"]["param"], "model");
        let anthropic: serde_json::Value =
            serde_json::from_slice(&error.body(Dialect::Anthropic)).unwrap();
        assert_eq!(anthropic["type"], "error");
        assert_eq!(anthropic["error"]["type"], "not_found_error");
        assert_eq!(anthropic["error"]["message"], "no \"x\"");
        let gemini: serde_json::Value =
            serde_json::from_slice(&error.body(Dialect::Gemini)).unwrap();
        assert_eq!(gemini["error"]["code"], 404);
        assert_eq!(gemini["error"]["status"], "NOT_FOUND");
        let bedrock: serde_json::Value =
            serde_json::from_slice(&error.body(Dialect::Bedrock)).unwrap();
        assert_eq!(bedrock["__type"], "ResourceNotFoundException");
    }

    #[test]
    fn a_stream_event_is_one_whole_event_whatever_the_message() {
        let error = ApiError::new(ErrorCode::UpstreamTruncated, "line one\nline two");
        for endpoint in Endpoint::ALL {
            let event = String::from_utf8(error.stream_event(endpoint, 3)).unwrap();
            assert!(event.ends_with("\n\n"), "{event}");
            assert_eq!(event.matches("\n\n").count(), 1, "{event}");
            assert_eq!(event.matches("data: ").count(), 1, "{event}");
        }
    }
}
