//! The filter chain of a listener: the server, the meter, the router.

use meseta_proto::{RequestMetadata, UsageMetadata, LISTENER_KEY};

use super::yaml::{f, inline, list, map, why, Yaml};
use super::{cluster, type_url, RenderOptions};
use crate::config::{Config, Listener, MeterPlace};
use crate::limit::METER_SHARDS;

/// Where the path that the client sent is kept for the access log; the server changes `:path`.
pub(super) const PATH_STATE: &str = "meseta.path";

/// The filters, in their order.
pub(super) fn chain(config: &Config, listener: &Listener, options: &RenderOptions) -> Yaml {
    let mut filters = vec![original_path(), ext_proc(config, listener)];
    filters.extend(meter(config, options));
    filters.push(router());
    list(filters)
}

/// The filters of the egress listener.
pub(super) fn egress(config: &Config, options: &RenderOptions) -> Yaml {
    let meter = meter(config, options);
    list(meter.into_iter().chain([router()]))
}

/// Keeps the path, without its query string, for the access log.
fn original_path() -> Yaml {
    let kind = "envoy.extensions.filters.http.set_filter_state.v3.Config";
    let format = map([f("inline_string", "%PATH(NQ:PATH)%")]);
    map([
        f("name", "meseta.path"),
        f(
            "typed_config",
            map([
                f("@type", type_url(kind)),
                f(
                    "on_request_headers",
                    list([inline([
                        f("object_key", PATH_STATE),
                        f("factory_key", "envoy.string"),
                        f("format_string", map([f("text_format_source", format)])),
                    ])]),
                ),
            ]),
        ),
    ])
}

fn ext_proc(config: &Config, listener: &Listener) -> Yaml {
    let kind = "envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor";
    map([
        f("name", "envoy.filters.http.ext_proc"),
        f(
            "typed_config",
            map([
                f("@type", type_url(kind)),
                f(
                    "grpc_service",
                    map([
                        f("envoy_grpc", inline([f("cluster_name", cluster::SERVER)])),
                        why(
                            "Which listener this is. From here, not from a header: no client can\n\
                             reach it.",
                            f(
                                "initial_metadata",
                                list([inline([
                                    f("key", LISTENER_KEY),
                                    f("value", listener.name.as_str()),
                                ])]),
                            ),
                        ),
                    ]),
                ),
                why(
                    "The only mode the server speaks: everything is streamed, both ways.",
                    f(
                        "processing_mode",
                        map([
                            f("request_header_mode", "SEND"),
                            f("request_body_mode", "FULL_DUPLEX_STREAMED"),
                            f("request_trailer_mode", "SEND"),
                            f("response_header_mode", "SEND"),
                            f("response_body_mode", "FULL_DUPLEX_STREAMED"),
                            f("response_trailer_mode", "SEND"),
                        ]),
                    ),
                ),
                why(
                    "The server sets :path, :authority and the cluster.",
                    f(
                        "mutation_rules",
                        inline([f("allow_all_routing", true), f("allow_envoy", true)]),
                    ),
                ),
                why(
                    "Some providers refuse requests without a length.",
                    f("allow_content_length_header", true),
                ),
                f("metadata_options", metadata(config)),
                why(
                    "Tells the server whether a provider or Envoy itself has answered, and at which\n\
                     attempt.",
                    f(
                        "response_attributes",
                        list(["response.code_details", "upstream.request_attempt_count"]),
                    ),
                ),
                why(
                    "Without the server nothing passes.",
                    f("failure_mode_allow", false),
                ),
                f("status_on_error", inline([f("code", "ServiceUnavailable")])),
            ]),
        ),
    ])
}

/// The metadata that passes between Envoy and the server.
fn metadata(config: &Config) -> Yaml {
    let namespaces = |names: Vec<&str>| map([f("untyped", list(names))]);
    let received = vec![RequestMetadata::NAMESPACE, UsageMetadata::NAMESPACE];
    let mut fields = vec![why(
        "For the access log, the meter and Envoy's own answers.",
        f("receiving_namespaces", namespaces(received)),
    )];
    if let Some(claims) = config.claims() {
        fields.push(why(
            "What an earlier filter says of who asks.",
            f("forwarding_namespaces", namespaces(vec![claims])),
        ));
    }
    Yaml::Map(fields)
}

/// What the meter is told: which rules there are, and what to do with what it cannot count.
fn configuration(config: &Config) -> String {
    let configuration = serde_json::json!({
        "version": meseta_proto::VERSION,
        "rules": config.rules().to_string(),
        "fail": config.server.meter_failure.as_str(),
        "shards": METER_SHARDS,
    });
    configuration.to_string()
}

/// The meter, where it is in Envoy.
fn meter(config: &Config, options: &RenderOptions) -> Option<Yaml> {
    if config.server.meter != MeterPlace::Wasm {
        return None;
    }
    let kind = "envoy.extensions.filters.http.wasm.v3.Wasm";
    let file = map([f("filename", options.filter.display().to_string())]);
    Some(map([
        f("name", "meseta.meter"),
        f(
            "typed_config",
            map([
                f("@type", type_url(kind)),
                f(
                    "config",
                    map([
                        f("name", "meseta_meter"),
                        f(
                            "vm_config",
                            map([
                                why(
                                    "One VM for each worker and all listeners.",
                                    f("vm_id", "meseta"),
                                ),
                                f("runtime", "envoy.wasm.runtime.v8"),
                                f("code", map([f("local", file)])),
                            ]),
                        ),
                        f(
                            "configuration",
                            map([
                                f("@type", type_url("google.protobuf.StringValue")),
                                f("value", configuration(config)),
                            ]),
                        ),
                        why(
                            "A broken filter lets nothing pass (fail closed) and is loaded anew\n\
                             for the next request.",
                            f("failure_policy", "FAIL_RELOAD"),
                        ),
                        why(
                            "Without it a filter that waits at the headers never sees a body.",
                            f("allow_on_headers_stop_iteration", true),
                        ),
                    ]),
                ),
            ]),
        ),
    ]))
}

fn router() -> Yaml {
    let kind = "envoy.extensions.filters.http.router.v3.Router";
    map([
        f("name", "envoy.filters.http.router"),
        f(
            "typed_config",
            map([
                f("@type", type_url(kind)),
                why(
                    "No x-envoy-* to providers or clients.",
                    f("suppress_envoy_headers", true),
                ),
            ]),
        ),
    ])
}
