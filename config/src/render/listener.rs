//! A model listener: connection manager, filters, the one route, the access log.

use meseta_proto::{headers, RequestMetadata, UsageMetadata, LISTENER_KEY};
use serde_json::{json, Map, Value};

use super::clusters::SERVER_CLUSTER;
use super::{local_reply, seconds, AccessLog, RenderOptions};
use crate::config::Listener;

/// Bytes that a connection may buffer before Envoy stops reading from it. Bodies stream through
/// the server, so this bounds what is in flight and not how large a body may be.
const CONNECTION_BUFFER: u32 = 1 << 20;
/// Flow-control windows for HTTP/2 clients.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;
/// Streams that one HTTP/2 client may have at once.
const CLIENT_STREAMS: u32 = 10_000;
/// The largest set of request headers.
const HEADERS_KIB: u32 = 96;

/// Plano's internal headers; a client has no business with them.
const PLANO_INTERNAL: [&str; 5] = [
    "x-arch-llm-provider",
    "x-arch-llm-provider-hint",
    "x-arch-upstream",
    "x-arch-streaming-request",
    "x-arch-agent-listener-name",
];

/// The listener resource.
pub(super) fn listener(listener: &Listener, options: &RenderOptions) -> Value {
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": listener.name,
        "codec_type": "AUTO",
        // The peer is the client: headers that claim otherwise are not believed, and its address
        // is not passed on.
        "use_remote_address": true,
        "skip_xff_append": true,
        "normalize_path": true,
        // The provider's `server` passes; Envoy's own answers have none.
        "server_header_transformation": "PASS_THROUGH",
        "generate_request_id": true,
        "preserve_external_request_id": true,
        "max_request_headers_kb": HEADERS_KIB,
        // A model that thinks is silent for long; so may be a stream.
        "stream_idle_timeout": seconds(listener.timeout),
        // A client has this long to send a request as a whole, and its headers.
        "request_timeout": "300s",
        "request_headers_timeout": "15s",
        "common_http_protocol_options": {"idle_timeout": "3600s", "max_headers_count": 200},
        "http2_protocol_options": {
            "max_concurrent_streams": CLIENT_STREAMS,
            "initial_stream_window_size": STREAM_WINDOW,
            "initial_connection_window_size": CONNECTION_WINDOW,
        },
        "early_header_mutation_extensions": early_header_mutation(),
        "local_reply_config": local_reply::config(),
        "access_log": [access_log(&options.access_log)],
        "http_filters": filters(listener, options),
        "route_config": {
            "name": listener.name,
            "virtual_hosts": [{
                "name": "all",
                "domains": ["*"],
                "routes": [route(listener)],
            }],
        },
    });
    json!({
        "name": listener.name,
        "address": super::socket_address((listener.address, listener.port).into()),
        "per_connection_buffer_limit_bytes": CONNECTION_BUFFER,
        "filter_chains": [{
            "filters": [{
                "name": "envoy.filters.network.http_connection_manager",
                "typed_config": manager,
            }],
        }],
    })
}

/// What is taken off every request before any filter or route sees it: our internal headers,
/// Plano's, and those with which a client could steer Envoy.
pub(super) fn early_header_mutation() -> Value {
    let mut mutations: Vec<Value> = [headers::INTERNAL_PREFIX, "x-envoy-"]
        .iter()
        .map(|prefix| json!({"remove_on_match": {"key_matcher": {"prefix": prefix}}}))
        .collect();
    mutations.extend(PLANO_INTERNAL.iter().map(|name| json!({"remove": name})));
    json!([{
        "name": "envoy.http.early_header_mutation.header_mutation",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
            "mutations": mutations,
        },
    }])
}

/// ext_proc, the meter, the router.
pub(super) fn filters(listener: &Listener, options: &RenderOptions) -> Value {
    json!([
        {
            "name": "envoy.filters.http.ext_proc",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor",
                "grpc_service": {
                    "envoy_grpc": {"cluster_name": SERVER_CLUSTER},
                    "initial_metadata": [{"key": LISTENER_KEY, "value": listener.name}],
                },
                "processing_mode": {
                    "request_header_mode": "SEND",
                    "request_body_mode": "FULL_DUPLEX_STREAMED",
                    "request_trailer_mode": "SEND",
                    "response_header_mode": "SEND",
                    "response_body_mode": "FULL_DUPLEX_STREAMED",
                    "response_trailer_mode": "SEND",
                },
                "mutation_rules": {"allow_all_routing": true, "allow_envoy": true},
                "allow_content_length_header": true,
                "metadata_options": {
                    "receiving_namespaces": {
                        "untyped": [RequestMetadata::NAMESPACE, UsageMetadata::NAMESPACE],
                    },
                },
                // Tells a provider's answer from Envoy's own.
                "response_attributes": ["response.code_details"],
                "failure_mode_allow": false,
                "status_on_error": {"code": "ServiceUnavailable"},
            },
        },
        {
            "name": "meseta.meter",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
                "config": {
                    "name": "meseta_meter",
                    "root_id": "meseta_meter",
                    // A virtual machine that fails is made anew; until then nothing passes unmetered.
                    "failure_policy": "FAIL_RELOAD",
                    "allow_on_headers_stop_iteration": true,
                    "vm_config": {
                        "vm_id": "meseta_meter",
                        "runtime": "envoy.wasm.runtime.v8",
                        "code": {"local": {"filename": options.filter}},
                    },
                },
            },
        },
        {
            "name": "envoy.filters.http.router",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
                "suppress_envoy_headers": true,
            },
        },
    ])
}

/// The one route: wherever the server says.
pub(super) fn route(listener: &Listener) -> Value {
    json!({
        "match": {"prefix": "/"},
        "route": {
            "cluster_header": headers::CLUSTER,
            // The whole exchange, a long generation included.
            "timeout": seconds(listener.timeout),
        },
        // Envoy finds no route without `x-forwarded-proto`, so it can only be taken off here.
        "request_headers_to_remove": [headers::CLUSTER, "x-forwarded-proto"],
    })
}

/// One JSON object a line. Never the query string: a provider's key may be in it.
fn access_log(place: &AccessLog) -> Value {
    let mut format = Map::new();
    for (name, operator) in [
        ("start_time", "%START_TIME%"),
        ("request_id", "%REQ(X-REQUEST-ID)%"),
        ("method", "%REQ(:METHOD)%"),
        ("path", "%PATH(NQ:PATH)%"),
        ("protocol", "%PROTOCOL%"),
        ("status", "%RESPONSE_CODE%"),
        ("details", "%RESPONSE_CODE_DETAILS%"),
        ("flags", "%RESPONSE_FLAGS%"),
        ("bytes_received", "%BYTES_RECEIVED%"),
        ("bytes_sent", "%BYTES_SENT%"),
        ("duration_ms", "%DURATION%"),
        ("cluster", "%UPSTREAM_CLUSTER%"),
        ("attempts", "%UPSTREAM_REQUEST_ATTEMPT_COUNT%"),
    ] {
        format.insert(name.to_owned(), operator.into());
    }
    type Field = (&'static str, &'static [&'static str]);
    const FIELDS: [Field; 2] = [
        (
            RequestMetadata::NAMESPACE,
            &[
                RequestMetadata::LISTENER,
                RequestMetadata::ENDPOINT,
                RequestMetadata::PROVIDER,
                RequestMetadata::MODEL,
                RequestMetadata::REQUESTED_MODEL,
                RequestMetadata::STREAM,
            ],
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
            ],
        ),
    ];
    for (namespace, fields) in FIELDS {
        for field in fields {
            let operator = format!("%DYNAMIC_METADATA({namespace}:{field})%");
            format.insert((*field).to_owned(), operator.into());
        }
    }
    let (name, kind, path) = match place {
        AccessLog::Stdout => ("stdout", "stream.v3.StdoutAccessLog", None),
        AccessLog::File(path) => ("file", "file.v3.FileAccessLog", Some(path)),
    };
    let mut config = json!({
        "@type": format!("type.googleapis.com/envoy.extensions.access_loggers.{kind}"),
        "log_format": {"json_format": format},
    });
    if let (Some(path), Some(config)) = (path, config.as_object_mut()) {
        config.insert("path".to_owned(), json!(path));
    }
    json!({"name": format!("envoy.access_loggers.{name}"), "typed_config": config})
}
