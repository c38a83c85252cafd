//! The access log: one JSON object per exchange.
//!
//! Invariant: no header but `:method`, no query string, no body. The path is the one that the
//! client sent.

use meseta_proto::{RequestMetadata, UsageMetadata};

use super::filters::PATH_STATE;
use super::yaml::{f, inline, list, map, Yaml};
use super::{type_url, AccessLog};

pub(super) fn config(target: &AccessLog) -> Yaml {
    let mut fields = Vec::new();
    let (name, kind) = match target {
        AccessLog::Stdout => (
            "envoy.access_loggers.stdout",
            "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
        ),
        AccessLog::File(_) => (
            "envoy.access_loggers.file",
            "envoy.extensions.access_loggers.file.v3.FileAccessLog",
        ),
    };
    fields.push(f("@type", type_url(kind)));
    if let AccessLog::File(path) = target {
        fields.push(f("path", path.display().to_string()));
    }
    fields.push(f(
        "log_format",
        map([
            f("omit_empty_values", true),
            f("json_format", Yaml::Map(lines())),
        ]),
    ));
    list([map([f("name", name), f("typed_config", Yaml::Map(fields))])])
}

fn lines() -> Vec<super::Field> {
    let path = format!("%FILTER_STATE({PATH_STATE}:PLAIN)%");
    let mut lines = vec![
        f("start_time", "%START_TIME%"),
        f("request_id", "%REQ(X-REQUEST-ID)%"),
        f("method", "%REQ(:METHOD)%"),
        f("path", path),
        f("protocol", "%PROTOCOL%"),
        f("status", "%RESPONSE_CODE%"),
        f("response_code_details", "%RESPONSE_CODE_DETAILS%"),
        f("response_flags", "%RESPONSE_FLAGS%"),
        f("request_bytes", "%BYTES_RECEIVED%"),
        f("response_bytes", "%BYTES_SENT%"),
        f("duration_ms", "%DURATION%"),
        f("upstream_cluster", "%UPSTREAM_CLUSTER%"),
        f("upstream_host", "%UPSTREAM_HOST%"),
        f("upstream_failure", "%UPSTREAM_TRANSPORT_FAILURE_REASON%"),
    ];
    for (namespace, fields) in [
        (
            RequestMetadata::NAMESPACE,
            &[
                RequestMetadata::LISTENER,
                RequestMetadata::ENDPOINT,
                RequestMetadata::PROVIDER,
                RequestMetadata::MODEL,
                RequestMetadata::REQUESTED_MODEL,
                RequestMetadata::STREAM,
                RequestMetadata::CONSUMER,
            ][..],
        ),
        (
            UsageMetadata::NAMESPACE,
            &[
                UsageMetadata::INPUT_TOKENS,
                UsageMetadata::OUTPUT_TOKENS,
                UsageMetadata::CACHED_TOKENS,
                UsageMetadata::CACHE_WRITE_TOKENS,
                UsageMetadata::REASONING_TOKENS,
                UsageMetadata::ESTIMATED,
                UsageMetadata::COMPLETE,
                UsageMetadata::ATTEMPTS,
            ],
        ),
    ] {
        for field in fields {
            let value = format!("%DYNAMIC_METADATA({namespace}:{field})%");
            lines.push(f(*field, value));
        }
    }
    lines
}

/// How a body of Envoy's own is sent: as it is, as JSON.
pub(super) fn plain_json() -> Yaml {
    inline([
        f(
            "text_format_source",
            map([f("inline_string", "%LOCAL_REPLY_BODY%")]),
        ),
        f("content_type", "application/json"),
    ])
}
