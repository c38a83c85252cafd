//! The egress listener: through it the server's own calls reach providers, with Envoy's connections,
//! TLS and statistics.
//!
//! The server is its only client, and says in a header which cluster is meant. Invariants: no
//! provider sees that header, and none can forge what tells Envoy's own answers apart.

use std::path::Path;

use meseta_proto::headers;

use super::yaml::{f, inline, list, map, why, Yaml};
use super::{filters, listener, type_url, RenderOptions, CONNECTION_BUFFER, EGRESS_LISTENER};
use crate::config::Config;

/// How long an idle connection of the server's is kept.
const IDLE: &str = "3600s";

/// The listener, when there is one.
pub(super) fn listener(config: &Config, options: &RenderOptions) -> Option<Yaml> {
    let egress = options.egress.as_ref()?;
    let chain = map([f(
        "filters",
        list([map([
            f("name", "envoy.filters.network.http_connection_manager"),
            f("typed_config", manager(config, options)),
        ])]),
    )]);
    Some(map([
        f("name", EGRESS_LISTENER),
        f("address", pipe(&egress.path, egress.mode)),
        why(
            "Draining the inbound listeners leaves this open: running exchanges may need it.",
            f("traffic_direction", "OUTBOUND"),
        ),
        why(
            "Each call here belongs to an exchange of a client that has been let in.",
            f("ignore_global_conn_limit", true),
        ),
        f("per_connection_buffer_limit_bytes", CONNECTION_BUFFER),
        f("filter_chains", list([chain])),
    ]))
}

/// Whoever can speak to this socket spends the providers' quota, if not their keys.
fn pipe(path: &Path, mode: u32) -> Yaml {
    inline([f(
        "pipe",
        map([
            f("path", path.display().to_string()),
            f("mode", u64::from(mode)),
        ]),
    )])
}

fn manager(config: &Config, options: &RenderOptions) -> Yaml {
    let kind = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
    map([
        f("@type", type_url(kind)),
        f("stat_prefix", EGRESS_LISTENER),
        f("codec_type", "AUTO"),
        why(
            "The server is the client: its headers are taken as they are, its request id too.",
            f("use_remote_address", false),
        ),
        f("skip_xff_append", true),
        f("generate_request_id", false),
        f("preserve_external_request_id", true),
        f("server_header_transformation", "PASS_THROUGH"),
        why(
            "HTTP/2 tells providers the scheme: theirs, not that of this socket.",
            f(
                "scheme_header_transformation",
                inline([f("match_upstream", true)]),
            ),
        ),
        why(
            "Paths are the server's: they go as they come.",
            f("normalize_path", false),
        ),
        f("merge_slashes", false),
        f("path_with_escaped_slashes_action", "KEEP_UNCHANGED"),
        why(
            "What clients may send, with what the server adds.",
            f("max_request_headers_kb", 96_u64),
        ),
        f(
            "common_http_protocol_options",
            inline([f("idle_timeout", IDLE), f("max_headers_count", 300_u64)]),
        ),
        why(
            "The server keeps the time of each step, and ends what takes too long.",
            f("stream_idle_timeout", "0s"),
        ),
        why(
            "An answer that broke off is told at once: this client has read all it was sent.",
            f("delayed_close_timeout", "0s"),
        ),
        why(
            "Tells the server that Envoy has answered, and why. Added last, so that it is Envoy's.",
            f("local_reply_config", local_reply()),
        ),
        f("http_filters", filters::egress(config, options)),
        f("route_config", routes()),
    ])
}

/// Every answer of Envoy's own has the header.
fn local_reply() -> Yaml {
    let value = map([
        f("default_value", 0_u64),
        // Required; there is no runtime layer that could change it.
        f("runtime_key", "meseta.egress_local_reply"),
    ]);
    let comparison = map([f("op", "GE"), f("value", value)]);
    let any = map([f("status_code_filter", map([f("comparison", comparison)]))]);
    let header = map([
        f("key", headers::ENVOY),
        f("value", "%RESPONSE_FLAGS%;%RESPONSE_CODE_DETAILS%"),
    ]);
    let header = inline([
        f("header", header),
        f("append_action", "OVERWRITE_IF_EXISTS_OR_ADD"),
    ]);
    map([f(
        "mappers",
        list([map([
            f("filter", Yaml::Inline(Box::new(any))),
            f("headers_to_add", list([header])),
        ])]),
    )])
}

fn routes() -> Yaml {
    let route = map([
        f("name", "by_cluster"),
        f("match", inline([f("prefix", "/")])),
        f(
            "route",
            map([
                why(
                    "Set by the server and by nobody else.",
                    f("cluster_header", headers::CLUSTER),
                ),
                f("cluster_not_found_response_code", "SERVICE_UNAVAILABLE"),
                why(
                    "The server keeps the time of the whole exchange.",
                    f("timeout", "0s"),
                ),
            ]),
        ),
        f("request_headers_to_remove", list(headers::HIDDEN)),
        listener::provider_headers(),
    ]);
    map([
        f("name", EGRESS_LISTENER),
        f(
            "virtual_hosts",
            list([map([
                f("name", EGRESS_LISTENER),
                f("domains", list(["*"])),
                f("routes", list([route])),
            ])]),
        ),
    ])
}
