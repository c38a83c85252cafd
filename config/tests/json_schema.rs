//! The JSON Schema against what the loader takes and refuses. `any_document.rs` does the same with
//! documents that nobody would write.

#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

#[path = "support/files.rs"]
mod files;
#[path = "support/schema.rs"]
mod schema;

use std::path::Path;

use meseta_config::{json_schema, load, Source};
use schema::complaints;

fn loads(text: &str) -> bool {
    let source = Source {
        text,
        name: "meseta.yaml",
        env: &|_| None,
        dir: Path::new("/"),
        file: &|_| Err(std::io::ErrorKind::NotFound.into()),
    };
    load(&source).is_ok()
}

#[test]
fn planos_files_fit() {
    for (name, text) in files::planos() {
        assert_eq!(complaints(&text), [""; 0], "{name}");
    }
}

#[test]
fn unusual_documents_that_load_fit() {
    for text in [
        "model_providers:\n",
        "version: ''\nserver: ~\n",
        "server: {max_request_bytes: 1000, max_event_bytes: ' .5 KiB', log: ' json '}\n",
        "server: {listen: ' tcp:localhost:1', admin: 'localhost:+0', drain_timeout: 1.m}\n",
        "server: {socket_mode: 660}\n",
        "listeners: [{name: 7, type: ' model ', address: '[::1]', timeout: 0s, cors: ~}]\n",
        "listeners: [{type: agent, address: 5, port: x, cors: y, agents: [{id: 1}, ~]}]\n",
        "listeners: [{cors: {allow_origins: '*'}}]\n",
        "listeners: [{cors: {allow_origins: []}}]\n",
        "listeners: [{cors: {allow_origins: [' * ', 5]}}]\n",
        "listeners: {egress_traffic: {port: 1, message_format: {}}, ingress_traffic: {port: x}}\n",
        "model_providers: [{model: ' openai//x ', name: false, headers: {a: 1, b: ~, c: true}}]\n",
        "llm_providers: [{model: own/*, base_url: 'http://h', provider_interface: OpenAI}]\n",
        "model_providers: [&a {model: openai/a}, {<<: *a, model: openai/b}]\n",
        "tracing: {random_sampling: 0.5, exporters: ~, span_attributes: {static: {a: [1]}}}\n",
        "server: {egress: ' unix:/a b ', heartbeat: 0s, max_response_bytes: 1000}\n",
        "server: {egress: ' direct '}\nmodels: ~\n",
        "model_providers: [{model: ollama/*}]\nmodels: {5: {targets: [{model: ollama/a, weight: ~}]}}\n",
        "model_providers: [{model: ollama/*}]\nmodels: {a: {targets: [ollama/a, ' ollama/b '], hedge_after: ' .5 s', resume: ~, failover: {on: [429, ' 5xx', '404'], retry_budget: ' 5. %', cooldown: {error_rate: 0.5}}}}\n",
        "model_providers: [{model: ollama/*}]\nmodels: {a: {targets: [ollama/a], rules: [{match: {header: {x: true, y: 5}}, use: a}]}}\n",
        "limits: [{name: ' a ', unit: ' tokens ', limit: 1, per: day, burst: ~, match: {listener: ' model ', header: {x: 5}}}]\n",
        "limits: [{name: a, unit: tokens, limit: 1, per: hour, match: {claim: {sub: true}}}]\n",
        "keys: [{name: a, hash: ' sha256:73FB51A0c9be7d988355706b18374e775b18707a8a03f7a61198eefc64b409e8', models: [], expires: ' 2030-01-01t00:00:00.5-01:00 ', labels: {a: 5}}]\n",
        "keys: []\nconsumer: {claim: ' a.b '}\n",
        "ratelimits: [{model: 'x', selector: {key: X, value: 5}, limit: {tokens: 5, unit: ' day '}}]\n",
        "ratelimits: ~\nlimits: ~\nkeys: ~\nconsumer: ~\n",
        "agents: [~, {id: ~}]\nmode: 5\nsystem_prompt: {1: 2}\n",
    ] {
        assert!(loads(text), "{text}");
        assert_eq!(complaints(text), [""; 0], "{text}");
    }
}

#[test]
fn what_an_editor_can_see_is_wrong_is_refused_by_both() {
    for text in [
        "[]\n",
        "model_provider: []\n",
        "stores: {}\n",
        "server: {meter: here}\n",
        "server: {meter_failure: ajar}\n",
        "limits: {}\n",
        "limits: [{unit: tokens, limit: 1, per: day}]\n",
        "limits: [{name: a, limit: 1, per: day}]\n",
        "limits: [{name: a, unit: cost, limit: 1, per: day}]\n",
        "limits: [{name: a, unit: tokens, limit: many, per: day}]\n",
        "limits: [{name: a, unit: tokens, limit: 1, per: week}]\n",
        "limits: [{name: a, unit: tokens, limit: 1, per: day, match: {team: a}}]\n",
        "limits: [{name: a, unit: tokens, limit: 1, per: day, match: {listener: 5}}]\n",
        "limits: [{name: a, unit: tokens, limit: 1, per: day, match: {header: [x]}}]\n",
        "keys: {}\n",
        "keys: [{name: a}]\n",
        "keys: [{name: a, hash: mk-plain}]\n",
        "keys: [{name: a, key: mk-plain}]\n",
        "consumer: x-user\n",
        "consumer: {header: 5}\n",
        "ratelimits: [{model: openai/gpt-4o}]\n",
        "ratelimits: [{model: a, selector: {key: x}, limit: {tokens: 5, unit: month}}]\n",
        "server: {drain_timeout: 30}\n",
        "server: {max_request_bytes: lots}\n",
        "server: {max_request_bytes: 0}\n",
        "server: {listen: '127.0.0.1:80'}\n",
        "server: {admin: '9902'}\n",
        "server: {log: xml}\n",
        "server: {socket_mode: '0666'}\n",
        "server: {egress: tcp}\n",
        "server: {heartbeat: 15}\n",
        "models: []\n",
        "models: {a: ollama/a}\n",
        "models: {a: {select: fastest}}\n",
        "models: {a: {targets: ollama/a}}\n",
        "models: {a: {targets: [{weight: 1}]}}\n",
        "models: {a: {targets: [ollama/a], select: cheapest}}\n",
        "models: {a: {targets: [ollama/a], sticky: {consumer: 3}}}\n",
        "models: {a: {targets: [ollama/a], path: relayed}}\n",
        "models: {a: {targets: [ollama/a], mirror: {model: ollama/a}}}\n",
        "models: {a: {targets: [ollama/a], mirror: {model: ollama/a, percent: 101}}}\n",
        "models: {a: {targets: [ollama/a], rules: [{use: ollama/a}]}}\n",
        "models: {a: {targets: [ollama/a], failover: {on: [399]}}}\n",
        "models: {a: {targets: [ollama/a], failover: {on: [slow]}}}\n",
        "models: {a: {targets: [ollama/a], hedge_after: p49}}\n",
        "models: {a: {targets: [ollama/a], timeout: {idle: soon}}}\n",
        "version: v9\n",
        "listeners: [{type: modle}]\n",
        "listeners: [{prot: 1}]\n",
        "listeners: [{type: agent, agents: [{name: x}]}]\n",
        "listeners: [{port: 65536}]\n",
        "listeners: [{address: example.com}]\n",
        "listeners: [{cors: {allow_origins: ['https://x/']}}]\n",
        "listeners: [{tls: {certificate: c.pem}}]\n",
        "model_providers: [{access_key: $KEY}]\n",
        "model_providers: [{model: gpt-4o}]\n",
        "model_providers: [{model: openai/x, default: yes please}]\n",
        "model_providers: [{model: openai/x, acess_key: k}]\n",
        "model_providers: {model: openai/x}\n",
        "model_aliases: {fast: gpt-4o}\n",
        "model_aliases: {fast: {}}\n",
        "tracing: {random_sampling: 101}\n",
        "overrides: {upstream_connect_timeout: soon}\n",
        "routing: {session_cache: {tpye: redis}}\n",
        "prompt_targets: {name: x}\n",
    ] {
        assert!(!loads(text), "{text}");
        assert_ne!(complaints(text), [""; 0], "{text}");
    }
}

#[test]
fn an_editor_is_told_what_a_key_means_and_what_counts_without_it() {
    let schema = json_schema();
    let port = &schema["$defs"]["listener"]["properties"]["port"];
    assert_eq!(port["default"], 12000);
    assert!(port["description"].as_str().unwrap().contains("port"));
    assert_eq!(port["examples"], serde_json::json!([8080]));
    let properties = &schema["properties"];
    assert_eq!(properties["llm_providers"]["deprecated"], true);
    assert_eq!(properties["model_providers"].get("deprecated"), None);
    assert_eq!(properties.get("stores"), None, "not built");
}
