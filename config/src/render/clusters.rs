//! Clusters: one for the server, one for each place where providers are.

use std::net::IpAddr;

use serde_json::{json, Value};

use super::{seconds, socket_address, RenderOptions};
use crate::address::ListenAddress;
use crate::config::{Config, Upstream};
use crate::provider::{Provider, Scheme};

/// The cluster of the ext_proc server.
pub(super) const SERVER_CLUSTER: &str = "meseta_server";

/// Exchanges that may run at once, per cluster. Envoy's own default of 1,024 would end the
/// 1,025th stream with an error; thousands of long streams are the normal case here.
const MAX_EXCHANGES: u32 = 100_000;
/// Bytes that a connection may buffer before Envoy stops reading from it.
const CONNECTION_BUFFER: u32 = 1 << 20;
/// Flow-control windows: what one stream, and all streams of a connection, may have unread.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;

/// All clusters, the server's first, then in the order of the file.
pub(super) fn all(config: &Config, options: &RenderOptions) -> Value {
    let mut clusters = vec![server(&options.server)];
    let mut seen: Vec<&str> = Vec::new();
    for provider in &config.providers {
        if !seen.contains(&provider.cluster.as_str()) {
            seen.push(&provider.cluster);
            clusters.push(upstream(provider, &config.upstream));
        }
    }
    Value::Array(clusters)
}

fn limits() -> Value {
    json!({
        "thresholds": [{
            "max_connections": MAX_EXCHANGES,
            "max_pending_requests": MAX_EXCHANGES,
            "max_requests": MAX_EXCHANGES,
        }],
    })
}

fn http2() -> Value {
    json!({
        "initial_stream_window_size": STREAM_WINDOW,
        "initial_connection_window_size": CONNECTION_WINDOW,
        // Finds out that the other side is gone while a stream is silent.
        "connection_keepalive": {"interval": "30s", "timeout": "10s"},
    })
}

fn protocol_options(options: Value) -> Value {
    let mut options = options;
    if let Some(options) = options.as_object_mut() {
        options.insert(
            "@type".to_owned(),
            "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions".into(),
        );
    }
    json!({"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options})
}

fn endpoint(name: &str, address: Value) -> Value {
    json!({
        "cluster_name": name,
        "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
    })
}

/// The server: one HTTP/2 connection for each Envoy worker.
fn server(address: &ListenAddress) -> Value {
    let address = match address {
        ListenAddress::Unix(path) => json!({"pipe": {"path": path}}),
        ListenAddress::Tcp(address) => socket_address(*address),
    };
    json!({
        "name": SERVER_CLUSTER,
        "type": "STATIC",
        "connect_timeout": "1s",
        "per_connection_buffer_limit_bytes": CONNECTION_BUFFER,
        "circuit_breakers": limits(),
        "typed_extension_protocol_options": protocol_options(json!({
            "explicit_http_config": {"http2_protocol_options": http2()},
        })),
        "health_checks": [{
            "timeout": "1s",
            "interval": "5s",
            "interval_jitter": "1s",
            "unhealthy_threshold": 2,
            "healthy_threshold": 1,
            "unhealthy_interval": "1s",
            "no_traffic_interval": "5s",
            "grpc_health_check": {"service_name": meseta_proto::HEALTH_SERVICE},
        }],
        "load_assignment": endpoint(SERVER_CLUSTER, address),
    })
}

/// A place where providers are.
fn upstream(provider: &Provider, settings: &Upstream) -> Value {
    let ip: Option<IpAddr> = provider.host.parse().ok();
    let address = json!({
        "socket_address": {"address": provider.host, "port_value": provider.port},
    });
    let http2_too = provider.scheme == Scheme::Https && provider.entry().http2;
    let http = if http2_too {
        // What ALPN agrees on.
        json!({"auto_config": {"http_protocol_options": {}, "http2_protocol_options": http2()}})
    } else {
        json!({"explicit_http_config": {"http_protocol_options": {}}})
    };
    let mut http = http;
    if let Some(http) = http.as_object_mut() {
        // Shorter than the idle time-outs of providers, so that a request does not meet a
        // connection that is just being closed.
        http.insert(
            "common_http_protocol_options".to_owned(),
            json!({"idle_timeout": "55s"}),
        );
    }
    let mut cluster = json!({
        "name": provider.cluster,
        "type": if ip.is_some() { "STATIC" } else { "LOGICAL_DNS" },
        "connect_timeout": seconds(settings.connect_timeout),
        "per_connection_buffer_limit_bytes": CONNECTION_BUFFER,
        "circuit_breakers": limits(),
        "typed_extension_protocol_options": protocol_options(http),
        "upstream_connection_options": {
            "tcp_keepalive": {"keepalive_time": 60, "keepalive_interval": 20, "keepalive_probes": 3},
        },
        "load_assignment": endpoint(&provider.cluster, address),
    });
    if let Some(cluster) = cluster.as_object_mut() {
        if ip.is_none() {
            // IPv6 and IPv4, whichever connects first.
            cluster.insert("dns_lookup_family".to_owned(), "ALL".into());
        }
        if provider.scheme == Scheme::Https {
            cluster.insert("transport_socket".to_owned(), tls(provider, ip, settings));
        }
    }
    cluster
}

/// TLS with the certificate verified: issued by a known authority, for this very host.
fn tls(provider: &Provider, ip: Option<IpAddr>, settings: &Upstream) -> Value {
    let kind = if ip.is_some() { "IP_ADDRESS" } else { "DNS" };
    let mut context = json!({
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        "common_tls_context": {
            "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
            "validation_context": {
                "trusted_ca": {"filename": settings.tls_ca_path},
                "match_typed_subject_alt_names": [{
                    "san_type": kind,
                    "matcher": {"exact": provider.host},
                }],
            },
        },
    });
    if let (None, Some(context)) = (ip, context.as_object_mut()) {
        context.insert("sni".to_owned(), provider.host.as_str().into());
    }
    json!({"name": "envoy.transport_sockets.tls", "typed_config": context})
}
