//! Clusters: the server, and one for each address of a provider.

use std::net::IpAddr;

use crate::config::{Config, Upstream};
use crate::provider::{Provider, Scheme};

use super::yaml::{f, inline, list, map, why, Field, Yaml};
use super::{seconds, socket_of, type_url, RenderOptions, CONNECTION_BUFFER, MOST_STREAMS};
use crate::address::ListenAddress;

/// The server's cluster.
pub const SERVER: &str = "meseta_server";

/// All clusters: the server's first, then the providers' in the order of the file.
pub(super) fn all(config: &Config, options: &RenderOptions) -> Vec<Yaml> {
    let mut clusters = vec![server(&options.server)];
    clusters.extend(of_providers(config).map(|(_, cluster)| cluster));
    clusters
}

/// The providers' clusters with their names, in the order of the file: one for each address.
pub(super) fn of_providers(config: &Config) -> impl Iterator<Item = (String, Yaml)> + '_ {
    let mut seen: Vec<&str> = Vec::new();
    let firsts = config.providers.iter().filter(move |first| {
        let is_first = !seen.contains(&first.cluster.as_str());
        seen.push(&first.cluster);
        is_first
    });
    firsts.map(|first| {
        let mut sharing = config.providers.iter();
        let http2 = sharing.all(|p| p.cluster != first.cluster || p.entry().http2);
        let body = provider(first, http2, &config.upstream);
        (first.cluster.clone(), body)
    })
}

pub(super) fn server(address: &ListenAddress) -> Yaml {
    let mut fields = vec![
        f("name", SERVER),
        f("type", "STATIC"),
        why(
            "On this machine: it is there at once or not at all.",
            f("connect_timeout", "1s"),
        ),
        why(
            "Shared by all exchanges of a connection: room for one large body must not stop the\n\
             others.",
            f("per_connection_buffer_limit_bytes", 16_u64 << 20),
        ),
        // A stream of the server's for each exchange, while it lives.
        circuit_breakers(),
        f(
            "typed_extension_protocol_options",
            protocol_options(vec![f(
                "explicit_http_config",
                map([f(
                    "http2_protocol_options",
                    map([
                        why(
                            "More connections than one spread over the server's threads.",
                            f("max_concurrent_streams", 256_u64),
                        ),
                        why(
                            "What one exchange may have waiting; the connection's window never\n\
                             binds, so that slow readers do not stall the other exchanges.",
                            f("initial_stream_window_size", 1_u64 << 18),
                        ),
                        f("initial_connection_window_size", (1_u64 << 31) - 1),
                        why(
                            "A server that hangs is noticed.",
                            f(
                                "connection_keepalive",
                                inline([f("interval", "30s"), f("timeout", "15s")]),
                            ),
                        ),
                    ]),
                )]),
            )]),
        ),
        why(
            "Asked often also without traffic. Running exchanges are left alone: a server that\n\
             drains says so by its health and still ends what it has begun.",
            f(
                "health_checks",
                list([map([
                    f("interval", "5s"),
                    f("no_traffic_interval", "5s"),
                    f("unhealthy_interval", "1s"),
                    f("timeout", "3s"),
                    f("unhealthy_threshold", 2_u64),
                    f("healthy_threshold", 1_u64),
                    f(
                        "grpc_health_check",
                        inline([f("service_name", meseta_proto::HEALTH_SERVICE)]),
                    ),
                ])]),
            ),
        ),
    ];
    if matches!(address, ListenAddress::Tcp(_)) {
        fields.push(keepalive());
    }
    fields.push(endpoint(SERVER, socket_of(address)));
    Yaml::Map(fields)
}

fn provider(provider: &Provider, http2: bool, upstream: &Upstream) -> Yaml {
    let mut fields = vec![f("name", provider.cluster.as_str())];
    if provider.host.parse::<IpAddr>().is_ok() {
        fields.push(f("type", "STATIC"));
    } else {
        fields.extend([
            f("cluster_type", dns()),
            why(
                "A name that cannot be resolved does not keep Envoy from starting.",
                f("wait_for_warm_on_init", false),
            ),
        ]);
    }
    fields.extend([
        f("connect_timeout", seconds(upstream.connect_timeout)),
        why(
            "What a slow client makes Envoy hold of an answer.",
            f("per_connection_buffer_limit_bytes", CONNECTION_BUFFER),
        ),
        circuit_breakers(),
        keepalive(),
        f(
            "typed_extension_protocol_options",
            protocol_options(protocols(provider.scheme, http2)),
        ),
        endpoint(
            &provider.cluster,
            super::socket(&provider.host, provider.port),
        ),
    ]);
    if provider.scheme == Scheme::Https {
        fields.push(tls(provider, upstream));
    }
    Yaml::Map(fields)
}

/// Resolution by name: one logical host, whose addresses are tried in turn.
fn dns() -> Yaml {
    let kind = "envoy.extensions.clusters.dns.v3.DnsCluster";
    map([
        f("name", "envoy.clusters.dns"),
        f(
            "typed_config",
            map([
                f("@type", type_url(kind)),
                f("all_addresses_in_single_endpoint", true),
                why(
                    "Both families: the first address that connects wins.",
                    f("dns_lookup_family", "ALL"),
                ),
                f("respect_dns_ttl", true),
            ]),
        ),
    ])
}

/// Which HTTP is spoken, and for how long a connection may wait for its next request: less than
/// the other side grants, because a request on a connection that is being closed is lost.
fn protocols(scheme: Scheme, http2: bool) -> Vec<Field> {
    let idle = |timeout: &str| {
        f(
            "common_http_protocol_options",
            inline([f("idle_timeout", timeout), f("max_headers_count", 200_u64)]),
        )
    };
    if scheme == Scheme::Http {
        return vec![
            why(
                "Servers of one's own (uvicorn, Node.js) close idle connections after 5 s.",
                idle("4s"),
            ),
            f(
                "explicit_http_config",
                map([f("http_protocol_options", map([]))]),
            ),
        ];
    }
    let idle = why(
        "Load balancers close idle connections after 60 s.",
        idle("55s"),
    );
    if !http2 {
        let http1 = map([f("http_protocol_options", map([]))]);
        return vec![idle, f("explicit_http_config", http1)];
    }
    vec![
        idle,
        why(
            "By ALPN: HTTP/2 where the provider speaks it.",
            f(
                "auto_config",
                map([
                    f("http_protocol_options", map([])),
                    f(
                        "http2_protocol_options",
                        map([
                            f("max_concurrent_streams", 100_u64),
                            why(
                                "Full speed over a long way, and a connection's window that all\n\
                                 its streams together cannot fill.",
                                f("initial_stream_window_size", 1_u64 << 20),
                            ),
                            f("initial_connection_window_size", 1_u64 << 28),
                            f(
                                "connection_keepalive",
                                inline([f("interval", "60s"), f("timeout", "20s")]),
                            ),
                        ]),
                    ),
                ]),
            ),
        ),
    ]
}

fn protocol_options(fields: Vec<Field>) -> Yaml {
    let kind = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
    let mut all = vec![f("@type", type_url(kind))];
    all.extend(fields);
    map([f(kind, Yaml::Map(all))])
}

/// Envoy's defaults are 1,024 of each: too few for streams that last minutes.
fn circuit_breakers() -> Field {
    let threshold = map([
        f("max_connections", MOST_STREAMS),
        f("max_pending_requests", MOST_STREAMS),
        f("max_requests", MOST_STREAMS),
    ]);
    why(
        "5,000 live streams with headroom; HTTP/1.1 takes a connection for each.",
        f(
            "circuit_breakers",
            map([f("thresholds", list([threshold]))]),
        ),
    )
}

/// Finds peers that are gone while a stream is silent.
fn keepalive() -> Field {
    f(
        "upstream_connection_options",
        map([f(
            "tcp_keepalive",
            inline([
                f("keepalive_time", 60_u64),
                f("keepalive_interval", 15_u64),
                f("keepalive_probes", 4_u64),
            ]),
        )]),
    )
}

fn endpoint(cluster: &str, address: Yaml) -> Field {
    let endpoint = map([f("endpoint", map([f("address", address)]))]);
    f(
        "load_assignment",
        map([
            f("cluster_name", cluster),
            f(
                "endpoints",
                list([map([f("lb_endpoints", list([endpoint]))])]),
            ),
        ]),
    )
}

/// Verification of the certificate, always: chain and name.
fn tls(provider: &Provider, upstream: &Upstream) -> Field {
    let kind = "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext";
    let is_ip = provider.tls_name.parse::<IpAddr>().is_ok();
    let mut context = vec![f("@type", type_url(kind))];
    if !is_ip {
        context.push(f("sni", provider.tls_name.as_str()));
    }
    context.push(f(
        "common_tls_context",
        map([
            f(
                "tls_params",
                inline([f("tls_minimum_protocol_version", "TLSv1_2")]),
            ),
            f(
                "validation_context",
                map([
                    f(
                        "trusted_ca",
                        inline([f("filename", upstream.tls_ca_path.as_str())]),
                    ),
                    f(
                        "match_typed_subject_alt_names",
                        list([inline([
                            f("san_type", if is_ip { "IP_ADDRESS" } else { "DNS" }),
                            f("matcher", map([f("exact", provider.tls_name.as_str())])),
                        ])]),
                    ),
                ]),
            ),
        ]),
    ));
    f(
        "transport_socket",
        map([
            f("name", "envoy.transport_sockets.tls"),
            f("typed_config", Yaml::Map(context)),
        ]),
    )
}
