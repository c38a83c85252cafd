//! Envoy's own answers, in the dialect of the client's API.
//!
//! Time-outs, unreachable providers, a server that is down: Envoy answers those itself, in plain
//! text and with its internals in it. Here each gets the body that a client library understands,
//! with a fixed text. What the server answers passes as it is.

use hermesllm::dialect::Dialect;
use hermesllm::error::{ApiError, ErrorCode};
use meseta_proto::RequestMetadata;
use serde_json::{json, Value};

/// What a status that Envoy answers with means to a client.
const TABLE: [(u16, ErrorCode, &str); 8] = [
    (408, ErrorCode::RequestTimeout, "the request did not arrive in time"),
    (413, ErrorCode::PayloadTooLarge, "the request is too large"),
    (429, ErrorCode::RateLimited, "too many requests"),
    (431, ErrorCode::InvalidRequest, "the request headers are too large"),
    (500, ErrorCode::Internal, "the request could not be handled"),
    (502, ErrorCode::UpstreamProtocol, "the provider's answer could not be read"),
    (503, ErrorCode::UpstreamUnavailable, "the provider cannot be reached at the moment"),
    (504, ErrorCode::UpstreamTimeout, "the provider did not answer in time"),
];

/// The `local_reply_config` of a connection manager.
pub(super) fn config() -> Value {
    let mut mappers = vec![ours()];
    // Once a request is routed, its path is the provider's, and the metadata tells the dialect.
    for dialect in [Dialect::OpenAi, Dialect::Anthropic] {
        mappers.extend(rows(dialect, &metadata_filter(dialect)));
    }
    mappers.extend(rows(Dialect::Anthropic, &anthropic_client()));
    let anything = json!({"not_health_check_filter": {}});
    mappers.extend(rows(Dialect::OpenAi, &anything));
    json!({"mappers": mappers})
}

/// The server's own answers: their details begin with our name.
fn ours() -> Value {
    json!({
        "filter": {
            "extension_filter": {
                "name": "envoy.access_loggers.extension_filters.cel",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter",
                    "expression": "response.code_details.startsWith('meseta_')",
                },
            },
        },
        "body_format_override": {
            "text_format_source": {"inline_string": "%LOCAL_REPLY_BODY%"},
            "content_type": "application/json",
        },
    })
}

fn rows(dialect: Dialect, filter: &Value) -> Vec<Value> {
    let row = |filters: Vec<Value>, code: ErrorCode, message: &str| {
        let body = ApiError::new(code, message).body(dialect);
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        json!({
            "filter": {"and_filter": {"filters": filters}},
            "body_format_override": {"json_format": body, "content_type": "application/json"},
        })
    };
    let mut rows: Vec<Value> = TABLE
        .iter()
        .map(|(status, code, message)| {
            row(
                vec![filter.clone(), status_filter("EQ", *status)],
                *code,
                message,
            )
        })
        .collect();
    rows.push(row(
        vec![filter.clone(), status_filter("GE", 400)],
        ErrorCode::InvalidRequest,
        "the request could not be handled",
    ));
    rows
}

fn status_filter(op: &str, status: u16) -> Value {
    json!({
        "status_code_filter": {
            "comparison": {
                "op": op,
                "value": {"default_value": status, "runtime_key": "meseta.local_reply"},
            },
        },
    })
}

fn metadata_filter(dialect: Dialect) -> Value {
    json!({
        "metadata_filter": {
            "matcher": {
                "filter": RequestMetadata::NAMESPACE,
                "path": [{"key": RequestMetadata::DIALECT}],
                "value": {"string_match": {"exact": dialect.as_str()}},
            },
            "match_if_key_not_found": false,
        },
    })
}

/// A request that never reached the server: its path, or a header, tells whose client it is.
fn anthropic_client() -> Value {
    json!({
        "or_filter": {
            "filters": [
                {"header_filter": {"header": {
                    "name": ":path",
                    "string_match": {"prefix": "/v1/messages"},
                }}},
                {"header_filter": {"header": {"name": "anthropic-version", "present_match": true}}},
            ],
        },
    })
}
