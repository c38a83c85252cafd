//! A listener: connection manager, header hygiene, the one route.

use meseta_proto::headers;

use super::tls::{self, Secrets};
use super::yaml::{f, inline, list, map, why, Field, Yaml};
use super::{access_log, essentials, seconds, socket, type_url, RenderOptions, CONNECTION_BUFFER};
use crate::config::{Config, Listener};

/// Headers with which clients steer Plano's internals; they mean nothing to us and nothing to
/// providers.
const FOREIGN: [&str; 6] = [
    "x-arch-llm-provider",
    "x-arch-llm-provider-hint",
    "x-arch-upstream",
    "x-arch-streaming-request",
    "x-arch-agent-listener-name",
    "x-plano-prefix-hash",
];

pub(super) fn listener(
    config: &Config,
    listener: &Listener,
    options: &RenderOptions,
    secrets: Secrets<'_>,
) -> Yaml {
    let mut chain = vec![f(
        "filters",
        list([map([
            f("name", "envoy.filters.network.http_connection_manager"),
            f("typed_config", manager(config, listener, options)),
        ])]),
    )];
    chain.extend(tls::of_filter_chain(listener, secrets));
    map([
        f("name", listener.name.as_str()),
        f(
            "address",
            socket(&listener.address.to_string(), listener.port),
        ),
        f("traffic_direction", "INBOUND"),
        why(
            "What a client that reads slowly makes Envoy hold; bodies are streamed, so that their\n\
             size is not bounded by it.",
            f("per_connection_buffer_limit_bytes", CONNECTION_BUFFER),
        ),
        f("filter_chains", list([Yaml::Map(chain)])),
    ])
}

fn manager(config: &Config, listener: &Listener, options: &RenderOptions) -> Yaml {
    let kind = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
    let mut fields = vec![
        f("@type", type_url(kind)),
        f("stat_prefix", listener.name.as_str()),
        f("codec_type", "AUTO"),
        why(
            "This is the edge: what a client says about itself is not believed.",
            f("use_remote_address", true),
        ),
        why(
            "No provider learns where clients are.",
            f("skip_xff_append", true),
        ),
        f("generate_request_id", true),
        why(
            "The provider's own `server` header passes.",
            f("server_header_transformation", "PASS_THROUGH"),
        ),
        why(
            "Nothing is routed by path, and names of models in paths may hold any character.",
            f("normalize_path", false),
        ),
        f("merge_slashes", false),
        f("path_with_escaped_slashes_action", "KEEP_UNCHANGED"),
        why(
            "Long keys and trace headers pass; more is an attack.",
            f("max_request_headers_kb", 64_u64),
        ),
        why(
            "A client that does not finish its headers, or its body, is let go.",
            f("request_headers_timeout", "10s"),
        ),
        f("request_timeout", seconds(super::idle_timeout(listener))),
        f(
            "common_http_protocol_options",
            inline([f("idle_timeout", "600s"), f("max_headers_count", 200_u64)]),
        ),
        f(
            "http2_protocol_options",
            map([
                f("max_concurrent_streams", 1000_u64),
                why(
                    "20 MiB bodies at full speed over a long way; the connection's window never\n\
                     binds, so that a stalled stream does not stall its neighbours.",
                    f("initial_stream_window_size", 1_u64 << 20),
                ),
                f("initial_connection_window_size", 1_u64 << 30),
                why(
                    "Clients that vanished without a word are noticed.",
                    f(
                        "connection_keepalive",
                        inline([f("interval", "60s"), f("timeout", "20s")]),
                    ),
                ),
            ]),
        ),
        f("access_log", access_log::config(&options.access_log)),
    ];
    fields.extend(essentials(config, listener, options));
    Yaml::Map(fields)
}

/// Takes internal headers off what a client sends.
pub(super) fn sanitize() -> Yaml {
    let prefix = |prefix: &str| {
        inline([f(
            "remove_on_match",
            map([f("key_matcher", map([f("prefix", prefix)]))]),
        )])
    };
    let mut mutations = vec![prefix(headers::INTERNAL_PREFIX), prefix("x-envoy-")];
    mutations.extend(FOREIGN.map(|name| inline([f("remove", name)])));
    let kind = "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation";
    list([map([
        f("name", "meseta.sanitize"),
        f(
            "typed_config",
            map([f("@type", type_url(kind)), f("mutations", list(mutations))]),
        ),
    ])])
}

/// What a route takes off the answers of providers.
pub(super) fn provider_headers() -> Field {
    why(
        "No provider passes for Envoy or for the meter.",
        f(
            "response_headers_to_remove",
            list([
                headers::ENVOY,
                headers::METER,
                headers::STANDING,
                headers::RESERVATION,
            ]),
        ),
    )
}

/// One route: the server says which cluster.
pub(super) fn routes(listener: &Listener) -> Yaml {
    let route = map([
        f("name", "by_model"),
        f("match", inline([f("prefix", "/")])),
        why(
            "No retry policy: with request trailers, Envoy 1.40 would send a body twice.",
            f(
                "route",
                map([
                    why(
                        "Set by the server and by nobody else.",
                        f("cluster_header", headers::CLUSTER),
                    ),
                    f("cluster_not_found_response_code", "SERVICE_UNAVAILABLE"),
                    why(
                        "The whole exchange, the stream included; 0s is no limit.",
                        f("timeout", seconds(listener.timeout)),
                    ),
                ]),
            ),
        ),
        f("request_headers_to_remove", list(headers::HIDDEN)),
        provider_headers(),
    ]);
    map([
        f("name", "meseta"),
        f(
            "virtual_hosts",
            list([map([
                f("name", "meseta"),
                f("domains", list(["*"])),
                f("routes", list([route])),
            ])]),
        ),
    ])
}
