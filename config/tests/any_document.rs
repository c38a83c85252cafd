//! Whatever a document holds, the outcome is a configuration that renders, or problems; and what
//! gives a configuration fits the JSON Schema.

#[path = "support/schema.rs"]
mod schema;

use std::path::{Path, PathBuf};

use meseta_config::{
    bootstrap, load, snippet, AccessLog, Config, EgressSocket, LimitFacts, ListenAddress, Problems,
    RenderOptions, Source,
};
use proptest::prelude::*;
use serde_yaml::Value;

const DOCUMENT: &str = "
version: v0.4.0
listeners:
  - {type: model, name: front, address: 127.0.0.1, port: 12000, timeout: 30s, cors: {allow_origins: ['http://a.example']}}
model_providers:
  - {model: openai/gpt-4o, access_key: $KEY, default: true, name: big, headers: {x-team: a}}
  - {model: mine/*, base_url: 'http://localhost:1/v1', http_host: h, provider_interface: openai}
model_aliases: {fast: {target: gpt-4o}, faster: {target: fast}}
server: {listen: 'unix:/s', admin: '127.0.0.1:1', max_request_bytes: 1MiB, drain_timeout: 1s, log: json}
tracing: {otlp_endpoint: 'http://h:1', random_sampling: 5, exporters: [{type: posthog}]}
overrides: {upstream_connect_timeout: 1s}
routing: {session_cache: {type: memory}}
";

/// The older forms, and what the other document lacks.
const OLDER: &str = "
version: v0.1
listeners:
  egress_traffic: {address: 0.0.0.0, port: 1, message_format: openai, timeout: 5s}
  ingress_traffic: {port: 2}
llm_providers:
  - {model: ollama/*, passthrough_auth: false, access_key_file: keys/a, routing_preferences: [{name: n}]}
server: {socket_mode: '0660', max_event_bytes: 5}
tracing: {opentracing_grpc_endpoint: 'http://h:1', span_attributes: {static: {a: b}}}
prompt_targets: [{name: n, parameters: [{name: p, enum: [1]}], endpoint: {name: e, http_headers: {a: b}}}]
mode: llm
";

/// Listeners of every type.
const LISTENERS: &str = "
listeners:
  - {type: agent, name: a, port: 1, agents: [{id: i}], input_filters: [f], cors: {allow_origins: '*'}}
  - {type: prompt, name: b, address: x, timeout: y}
  - {name: c, port: 3, max_retries: 1, tls: {certificate: a.pem, key: b.pem, client_ca: c.pem}}
";

/// Every key of a name with several targets.
const POOLS: &str = "
model_providers: [{model: openai/*, access_key: $KEY}, {model: ollama/*}]
models:
  smart:
    default: true
    targets: [{model: openai/a, priority: 1, weight: 9, context_window: 1000}, ollama/b]
    select: fastest
    sticky: {header: x-user}
    rules: [{match: {header: {x-tier: gold, x-any: '*'}}, use: ollama/a}]
    mirror: {model: ollama/c, percent: 10%, compare: true}
    path: relay
    failover: {on: [429, 5xx, reset], max_attempts: 2, retry_budget: 20, cooldown: {failures: 2, error_rate: 50%, first: 1s, longest: 5s}}
    timeout: {headers: 1s, first_token: 2s, idle: 3s, total: 4s}
    hedge_after: p95
    resume: true
  other: {targets: [fast], path: direct}
model_aliases: {fast: {target: openai/a}, faster: {target: smart}}
server: {egress: 'unix:/e', max_response_bytes: 1MiB, heartbeat: 5s}
";

/// Every key of limits and consumers.
const LIMITS: &str = "
model_providers: [{model: openai/a, access_key: $KEY}, {model: ollama/*}]
model_aliases: {fast: {target: openai/a}}
models: {smart: {targets: [ollama/b, fast]}}
limits:
  - {name: all, unit: requests, limit: 100, per: second, burst: 200}
  - {name: by-header, match: {model: [smart, 'o*/a', fast], provider: openai, listener: model, header: {x-a: hidden-1}}, unit: tokens, limit: 5, per: month}
  - {name: by-claim, match: {consumer: ['*', b], claim: {a.b: hidden-1}}, unit: output_tokens, limit: 5, per: day}
  - {name: own, match: {header: x-b}, unit: input_tokens, limit: 5, per: hour}
keys:
  - {name: b, hash: 'sha256:717604fdee45da783f9f95562d2d29bf05e1e2d79aa0d602c844795929695bbf', models: [smart, fast, 'ollama/*'], limits: [own], expires: '2030-01-01T00:00:00Z', labels: {team: a}}
  - {name: c, hash: 'sha256:5f0b9b1ee7a5b3d4f5e3a2c1d0e9f8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c3d2e1'}
consumer: {claim: jwt.sub, metadata: own.filter}
ratelimits:
  - {model: a, selector: {key: x-user, value: '*'}, limit: {tokens: 9, unit: day}}
  - {model: openai/a, selector: {key: x-user, value: b}, limit: {tokens: 9, unit: hour}}
server: {meter: wasm, meter_failure: open}
";

const DOCUMENTS: [&str; 5] = [DOCUMENT, OLDER, LISTENERS, POOLS, LIMITS];

fn read(text: &str) -> Result<Config, Problems> {
    load(&Source {
        text,
        name: "any",
        env: &|name| (name == "KEY").then(|| "sk-hidden".to_owned()),
        dir: Path::new("/"),
        file: &|_| Err(std::io::ErrorKind::NotFound.into()),
    })
}

/// Renders what loads, and reads the rendering.
fn check(text: &str) {
    match read(text) {
        Err(problems) => assert!(!problems.0.is_empty()),
        Ok(config) => {
            let complaints = schema::complaints(text);
            assert!(complaints.is_empty(), "{text}\n{complaints:?}");
            let options = RenderOptions {
                server: ListenAddress::Unix(PathBuf::from("/s")),
                filter: PathBuf::from("/f"),
                admin: ListenAddress::Unix(PathBuf::from("/a")),
                access_log: AccessLog::Stdout,
                egress: EgressSocket::of(&config.server, &config.server.listen),
            };
            for text in [bootstrap(&config, &options), snippet(&config, &options)] {
                assert!(!text.contains("sk-hidden"));
                serde_yaml::from_str::<Value>(&text).unwrap();
            }
            let shown = format!("{config:?}{}", config.redacted());
            assert!(!shown.contains("sk-hidden") && !shown.contains("717604fdee45"));
            check_limits(&config);
            for model in config.models() {
                let resolved = config
                    .resolve(Some(&model.id), &meseta_config::Sender::UNKNOWN)
                    .unwrap();
                assert!(!resolved.targets.is_empty());
                for target in &*resolved.targets {
                    config.target(&target.model).unwrap();
                }
            }
        }
    }
}

/// Asks for the limits of some requests. Those of a request are rules that there are.
fn check_limits(config: &Config) {
    let mut consumers = vec![(None, None), (Some("any"), None)];
    let keys = config.keys().iter();
    consumers.extend(keys.map(|key| (Some(key.name.as_str()), Some(key))));
    for (consumer, key) in consumers {
        let facts = LimitFacts {
            consumer,
            key,
            model: "openai/a",
            pool: Some("smart"),
            provider: "openai",
            listener: "model",
            header: &|_| Some("b"),
            claim: &|_| Some("b".to_owned()),
        };
        for (rule, subject) in config.charges(&facts) {
            assert!(config.rules().find(&rule).is_some());
            let _ = subject.hash();
        }
    }
    assert!(config.key_of("no such key").is_none());
}

/// How many values a document has.
fn size(value: &Value) -> usize {
    1 + match value {
        Value::Sequence(items) => items.iter().map(size).sum(),
        Value::Mapping(map) => map.values().map(size).sum(),
        _ => 0,
    }
}

/// Puts a value in the place of the n-th one.
fn replace(value: &mut Value, place: &mut usize, new: &Value) {
    if *place == 0 {
        *value = new.clone();
        *place = usize::MAX;
        return;
    }
    *place = place.wrapping_sub(1);
    let below: Vec<&mut Value> = match value {
        Value::Sequence(items) => items.iter_mut().collect(),
        Value::Mapping(map) => map.values_mut().collect(),
        _ => Vec::new(),
    };
    for value in below {
        if *place > usize::MAX / 2 {
            return;
        }
        replace(value, place, new);
    }
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        prop_oneof![
            Just("$KEY"),
            Just("${KEY"),
            Just("$UNSET"),
            Just("openai/*"),
            Just("fast"),
            Just("http://[::1"),
            Just("http://h:99999"),
            Just("1e400s"),
            Just("0.0.0.0"),
            Just("unix:"),
            Just("*"),
            Just(" agent "),
            Just(" 1.5 KiB "),
            Just(".5m"),
            Just("600"),
            Just("localhost"),
            Just("smart"),
            Just("ollama/x"),
            Just("direct"),
            Just(" p50 "),
            Just(" .5 % "),
            Just(" 4xx "),
            Just("envoy"),
            Just("own"),
            Just(" x-b "),
            Just("a.b"),
            Just("off"),
            Just("2030-01-01 00:00:00+01:00"),
        ]
        .prop_map(Value::from),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Sequence),
            prop::collection::vec((scalar(), inner), 0..4)
                .prop_map(|entries| Value::Mapping(entries.into_iter().collect())),
        ]
    })
}

#[test]
fn the_documents_themselves_load() {
    let config = read(DOCUMENT).unwrap();
    let resolved = config
        .resolve(Some("faster"), &meseta_config::Sender::UNKNOWN)
        .unwrap();
    assert_eq!(resolved.targets[0].model.id, "openai/gpt-4o");
    for document in DOCUMENTS {
        read(document).unwrap();
        check(document);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(800))]

    #[test]
    fn any_value_in_any_place_gives_a_configuration_or_problems(text in prop::sample::select(&DOCUMENTS[..]), place in any::<prop::sample::Index>(), new in value()) {
        let mut document: Value = serde_yaml::from_str(text).unwrap();
        let mut place = place.index(size(&document));
        replace(&mut document, &mut place, &new);
        if let Ok(text) = serde_yaml::to_string(&document) {
            check(&text);
        }
    }

    #[test]
    fn any_text_gives_a_configuration_or_problems(text in "\\PC{0,80}") {
        check(&text);
    }

    #[test]
    fn any_cut_of_the_document_gives_a_configuration_or_problems(at in any::<prop::sample::Index>()) {
        check(&DOCUMENT[..at.index(DOCUMENT.len())]);
    }

    #[test]
    fn any_requested_model_is_found_or_not(name in "\\PC{0,200}") {
        let config = read(DOCUMENT).unwrap();
        let _ = config.resolve(Some(&name), &meseta_config::Sender::UNKNOWN);
    }
}
