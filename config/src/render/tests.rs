//! What renderings hold, and what they must not.

use std::path::Path;

use hermesllm::dialect::Dialect;
use serde_yaml::Value;

use super::*;
use crate::{load, Source};

const TEXT: &str = "
listeners:
  - {name: front, address: 127.0.0.1, port: 12000, timeout: 90s}
  - {name: 'off', address: '::1', port: 0, timeout: 0s}
model_providers:
  - {model: openai/a, access_key: sk-literal, headers: {x-key: sk-header}}
  - {model: openai/b, access_key: $KEY}
  - {model: vllm/c, base_url: 'http://gpu:8000'}
  - {model: vllm/d, base_url: 'http://gpu:8001'}
";

/// What no provider may send to the server as if it came from Envoy or from the meter.
const FORGED: [&str; 4] = [
    "x-meseta-envoy",
    "x-meseta-meter",
    "x-meseta-standing",
    "x-meseta-reservation",
];

fn config() -> Config {
    read("")
}

/// With these further keys.
fn read(keys: &str) -> Config {
    load(&Source {
        text: &format!("{TEXT}{keys}\n"),
        name: "meseta.yaml",
        env: &|_| Some("sk-variable".to_owned()),
        dir: Path::new("/"),
        file: &|_| Err(std::io::ErrorKind::NotFound.into()),
    })
    .unwrap()
}

fn options() -> RenderOptions {
    RenderOptions {
        server: ListenAddress::Unix("/run/s.sock".into()),
        filter: "/lib/meter.wasm".into(),
        admin: ListenAddress::Unix("/run/admin.sock".into()),
        access_log: AccessLog::File("/var/log/access.log".into()),
        egress: Some(EgressSocket {
            path: "/run/egress.sock".into(),
            mode: 0o660,
        }),
    }
}

fn tree(text: &str) -> Value {
    serde_yaml::from_str(text).unwrap()
}

/// The connection manager of a listener.
fn manager(tree: &Value, listener: usize) -> &Value {
    let listener = &tree["static_resources"]["listeners"][listener];
    &listener["filter_chains"][0]["filters"][0]["typed_config"]
}

#[test]
fn no_secret_is_rendered() {
    for text in [
        bootstrap(&config(), &options()),
        snippet(&config(), &options()),
    ] {
        assert!(!text.contains("sk-"), "{text}");
        assert!(!text.contains("x-key"), "{text}");
    }
}

#[test]
fn a_snippet_has_the_transport_sockets_of_listeners_with_tls() {
    assert!(tree(&snippet(&config(), &options()))
        .get("transport_sockets")
        .is_none());
    let mut config = config();
    config.listeners[1].tls = Some(crate::Tls {
        certificate: "/c".into(),
        key: "/k".into(),
        client_ca: None,
    });
    let tree = tree(&snippet(&config, &options()));
    let sockets = tree["transport_sockets"].as_sequence().unwrap();
    assert_eq!(sockets.len(), 1);
    assert_eq!(sockets[0]["listener"], "off");
    let context = &sockets[0]["transport_socket"]["typed_config"];
    let certificate = &context["common_tls_context"]["tls_certificates"][0];
    assert_eq!(certificate["private_key"]["filename"], "/k");
}

#[test]
fn the_same_configuration_renders_the_same_text() {
    assert_eq!(
        bootstrap(&config(), &options()),
        bootstrap(&config(), &options())
    );
}

#[test]
fn each_address_of_a_provider_is_a_cluster_once() {
    let tree = tree(&bootstrap(&config(), &options()));
    let clusters = tree["static_resources"]["clusters"].as_sequence().unwrap();
    let names: Vec<_> = clusters
        .iter()
        .map(|c| c["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "meseta_server",
            "https_api.openai.com_443",
            "http_gpu_8000",
            "http_gpu_8001"
        ]
    );
    let tls = &clusters[1]["transport_socket"]["typed_config"];
    assert_eq!(tls["sni"], "api.openai.com");
    let context = &tls["common_tls_context"]["validation_context"];
    let name = &context["match_typed_subject_alt_names"][0];
    assert_eq!(
        (&name["san_type"], &name["matcher"]["exact"]),
        (&"DNS".into(), &"api.openai.com".into())
    );
    assert!(clusters[2].get("transport_socket").is_none());
    for cluster in clusters {
        let threshold = &cluster["circuit_breakers"]["thresholds"][0];
        for limit in ["max_connections", "max_pending_requests", "max_requests"] {
            assert!(threshold[limit].as_u64().unwrap() > 5_000, "{limit}");
        }
        assert!(cluster["per_connection_buffer_limit_bytes"].is_u64());
    }
}

#[test]
fn each_listener_tells_the_server_its_name_and_has_its_timeout() {
    let tree = tree(&bootstrap(&config(), &options()));
    for (at, name, timeout, idle) in [(0, "front", "90s", "90s"), (1, "off", "0s", "3600s")] {
        assert_eq!(tree["static_resources"]["listeners"][at]["name"], name);
        let manager = manager(&tree, at);
        let filters = manager["http_filters"].as_sequence().unwrap();
        let names: Vec<_> = filters
            .iter()
            .map(|f| f["name"].as_str().unwrap())
            .collect();
        assert_eq!(
            names,
            [
                "meseta.path",
                "envoy.filters.http.ext_proc",
                "meseta.meter",
                "envoy.filters.http.router"
            ]
        );
        let metadata = &filters[1]["typed_config"]["grpc_service"]["initial_metadata"][0];
        assert_eq!(metadata["key"], "x-meseta-listener");
        assert_eq!(metadata["value"], name);
        let route = &manager["route_config"]["virtual_hosts"][0]["routes"][0];
        assert_eq!(route["route"]["timeout"], timeout);
        assert_eq!(route["route"]["cluster_header"], "x-meseta-cluster");
        assert!(route["route"].get("retry_policy").is_none());
        assert_eq!(manager["stream_idle_timeout"], idle);
        let removed = route["request_headers_to_remove"].as_sequence().unwrap();
        for name in ["x-meseta-cluster", "x-meseta-charge"] {
            assert!(removed.contains(&name.into()), "{name}");
        }
        let removed = route["response_headers_to_remove"].as_sequence().unwrap();
        assert_eq!(removed[..], FORGED);
    }
}

#[test]
fn the_admin_socket_is_for_its_owner_only() {
    let tree = tree(&bootstrap(&config(), &options()));
    let pipe = &tree["admin"]["address"]["pipe"];
    assert_eq!(
        (&pipe["path"], &pipe["mode"]),
        (&"/run/admin.sock".into(), &0o600.into())
    );
}

#[test]
fn the_access_log_has_no_header_and_no_query_string() {
    let tree = tree(&bootstrap(&config(), &options()));
    let log = &manager(&tree, 0)["access_log"][0]["typed_config"];
    assert_eq!(log["path"], "/var/log/access.log");
    let format = log["log_format"]["json_format"].as_mapping().unwrap();
    for (key, value) in format {
        let value = value.as_str().unwrap();
        let harmless = ["%REQ(:METHOD)%", "%REQ(X-REQUEST-ID)%"].contains(&value);
        assert!(harmless || !value.starts_with("%REQ"), "{key:?}: {value}");
    }
    for key in [
        "provider",
        "model",
        "input_tokens",
        "output_tokens",
        "attempts",
        "consumer",
        "path",
    ] {
        assert!(format.contains_key(key), "{key}");
    }
}

#[test]
fn envoys_own_answers_are_json_in_every_dialect() {
    let tree = tree(&bootstrap(&config(), &options()));
    let mappers = &manager(&tree, 0)["local_reply_config"]["mappers"];
    let mappers = mappers.as_sequence().unwrap();
    let (own, others) = mappers.split_first().unwrap();
    assert!(own.get("body").is_none(), "the server's own answers pass");
    let mut dialects = std::collections::BTreeMap::<_, usize>::new();
    for mapper in others {
        let body = mapper["body"]["inline_string"].as_str().unwrap();
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        let error = body.get("error").unwrap_or(&body);
        assert!(error["message"].is_string());
        let dialect = if body["type"] == "error" {
            Dialect::Anthropic
        } else if body["__type"].is_string() {
            Dialect::Bedrock
        } else if error["status"].is_string() {
            Dialect::Gemini
        } else {
            Dialect::OpenAi
        };
        *dialects.entry(dialect.as_str()).or_default() += 1;
    }
    assert_eq!(dialects.len(), Dialect::ALL.len());
    let counts: std::collections::BTreeSet<_> = dialects.values().collect();
    assert_eq!(counts.len(), 1, "{dialects:?}");
}

#[test]
fn durations_are_written_as_protobuf_reads_them() {
    assert_eq!(seconds(Duration::from_millis(1_500)), "1.500s");
    assert_eq!(seconds(Duration::from_millis(5)), "0.005s");
    assert_eq!(seconds(Duration::ZERO), "0s");
}

#[test]
fn the_egress_listener_is_in_every_rendering_unless_calls_go_straight() {
    let directory = Path::new("/xds");
    let with = options();
    let without = RenderOptions {
        egress: None,
        ..options()
    };
    let names = |options: &RenderOptions| {
        let own = resources(&config(), options, directory).listeners;
        let names = own.iter().map(|own| own.name().to_owned());
        names.collect::<Vec<_>>()
    };
    assert_eq!(names(&with), [EGRESS_LISTENER, "front", "off"]);
    assert_eq!(names(&without), ["front", "off"]);
    let rendered = tree(&bootstrap(&config(), &with));
    let listeners = &rendered["static_resources"]["listeners"];
    let listeners = listeners.as_sequence().unwrap();
    assert_eq!(listeners.last().unwrap()["name"], EGRESS_LISTENER);
    assert!(!bootstrap(&config(), &without).contains(EGRESS_LISTENER));
    let snippet_with = tree(&snippet(&config(), &with));
    assert_eq!(snippet_with["listeners"][0]["name"], EGRESS_LISTENER);
    assert!(!snippet(&config(), &without).contains(EGRESS_LISTENER));
}

#[test]
fn the_egress_listener_is_for_the_server_alone_and_hides_what_is_ours() {
    let tree = tree(&bootstrap(&config(), &options()));
    let listener = &tree["static_resources"]["listeners"][2];
    let pipe = &listener["address"]["pipe"];
    assert_eq!(
        (&pipe["path"], &pipe["mode"]),
        (&"/run/egress.sock".into(), &0o660.into())
    );
    let manager = manager(&tree, 2);
    assert!(manager.get("early_header_mutation_extensions").is_none());
    let filters = manager["http_filters"].as_sequence().unwrap();
    assert_eq!(filters[0]["name"], "meseta.meter");
    assert_eq!(filters.len(), 2);
    let route = &manager["route_config"]["virtual_hosts"][0]["routes"][0];
    assert_eq!(route["route"]["cluster_header"], "x-meseta-cluster");
    assert_eq!(
        (&route["route"]["timeout"], &manager["stream_idle_timeout"]),
        (&"0s".into(), &"0s".into())
    );
    let removed = route["request_headers_to_remove"].as_sequence().unwrap();
    assert!(removed.contains(&"x-meseta-cluster".into()));
    let removed = route["response_headers_to_remove"].as_sequence().unwrap();
    assert_eq!(removed[..], FORGED);
}

/// The filters of every chain, by the listeners' names.
fn filters(config: &Config) -> Vec<(String, Vec<Value>)> {
    let tree = tree(&bootstrap(config, &options()));
    let listeners = &tree["static_resources"]["listeners"];
    let chains = listeners.as_sequence().unwrap().iter().map(|listener| {
        let manager = &listener["filter_chains"][0]["filters"][0]["typed_config"];
        let name = listener["name"].as_str().unwrap().to_owned();
        (name, manager["http_filters"].as_sequence().unwrap().clone())
    });
    chains.collect()
}

#[test]
fn the_meter_of_every_chain_is_told_the_rules() {
    let limits = "limits:\n  - {name: b, unit: tokens, limit: 5, per: hour, burst: 9}\n  - {name: a, unit: requests, limit: 1, per: day}";
    for (keys, expected) in [
        (
            "",
            r#"{"version":1,"rules":"v1","fail":"closed","shards":1024}"#,
        ),
        (
            limits,
            r#"{"version":1,"rules":"v1 a=requests:1/day b=tokens:5/hour:9","fail":"closed","shards":1024}"#,
        ),
        (
            "server: {meter_failure: open}",
            r#"{"version":1,"rules":"v1","fail":"open","shards":1024}"#,
        ),
    ] {
        let chains = filters(&read(keys));
        assert_eq!(chains.len(), 3);
        for (listener, filters) in chains {
            let meter = filters
                .iter()
                .find(|f| f["name"] == "meseta.meter")
                .unwrap();
            let value = &meter["typed_config"]["config"]["configuration"]["value"];
            assert_eq!(value, expected, "{listener}");
        }
    }
}

#[test]
fn without_a_meter_in_envoy_no_chain_has_the_filter() {
    for place in ["native", "off"] {
        let config = read(&format!("server: {{meter: {place}}}"));
        for text in [
            bootstrap(&config, &options()),
            snippet(&config, &options()),
            discovery_response(
                "1",
                &resources(&config, &options(), Path::new("/xds")).listeners,
            ),
        ] {
            assert!(!text.contains("wasm"), "{place}: {text}");
        }
        for (listener, filters) in filters(&config) {
            let wanted = if listener == EGRESS_LISTENER { 1 } else { 3 };
            assert_eq!(filters.len(), wanted, "{listener}");
        }
    }
}

#[test]
fn claims_reach_the_server_when_something_reads_them() {
    let forwarded = |keys: &str| {
        let chains = filters(&read(keys));
        let options = &chains[0].1[1]["typed_config"]["metadata_options"];
        assert!(options["receiving_namespaces"].is_mapping());
        let namespaces = &options["forwarding_namespaces"]["untyped"];
        namespaces.as_sequence().cloned()
    };
    assert_eq!(forwarded(""), None);
    assert_eq!(forwarded("consumer: {header: x-user}"), None);
    let jwt = Some(vec!["envoy.filters.http.jwt_authn".into()]);
    assert_eq!(forwarded("consumer: {claim: sub}"), jwt);
    let limit = "limits: [{name: a, unit: requests, limit: 1, per: day, match: {claim: sub}}]";
    assert_eq!(forwarded(limit), jwt);
    assert_eq!(
        forwarded("consumer: {claim: sub, metadata: own}"),
        Some(vec!["own".into()])
    );
}

#[test]
fn changed_rules_change_the_listeners_and_nothing_of_the_bootstrap() {
    let directory = Path::new("/xds");
    let limited = |limit: u64| {
        read(&format!(
            "limits: [{{name: a, unit: requests, limit: {limit}, per: day}}]"
        ))
    };
    let of = |config: &Config| resources(config, &options(), directory);
    let (one, two) = (of(&limited(1)), of(&limited(2)));
    for (one, two) in one.listeners.iter().zip(&two.listeners) {
        assert_ne!(one, two, "{}", one.name());
    }
    assert_eq!(one.clusters, two.clusters);
    let bootstrap = dynamic_bootstrap(&options(), directory);
    assert!(!bootstrap.contains("meseta.meter"), "{bootstrap}");
}
