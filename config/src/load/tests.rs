//! What is read, what is refused, and what is said about it.

mod files;
mod keys;
mod limits;
mod pools;

use std::path::Path;
use std::time::Duration;

use super::*;
use crate::problem::NoticeKind;
use crate::{Cors, ListenAddress, LogFormat, ResolveError, Scheme, Secret};

fn env(name: &str) -> Option<String> {
    match name {
        "OPENAI_API_KEY" => Some("sk-openai".to_owned()),
        "OTHER" => Some("sk-other".to_owned()),
        "HOST" => Some("models.example".to_owned()),
        "BROKEN" => Some("line\nbreak".to_owned()),
        _ => None,
    }
}

fn read(text: &str) -> Result<Config, Problems> {
    load(&Source {
        text,
        name: "meseta.yaml",
        env: &env,
        dir: Path::new("/"),
        file: &|_| Err(std::io::ErrorKind::NotFound.into()),
    })
}

fn good(text: &str) -> Config {
    read(text).unwrap_or_else(|problems| panic!("{problems}"))
}

fn bad(text: &str) -> Vec<Problem> {
    read(text).map(|_| ()).unwrap_err().0
}

/// The paths of the problems of a document.
fn paths(text: &str) -> Vec<String> {
    bad(text).into_iter().map(|problem| problem.path).collect()
}

/// The one provider entry of a document.
fn with_provider(entry: &str) -> String {
    format!("model_providers:\n  - {{{entry}}}\n")
}

const SMALL: &str = "model_providers: [{model: openai/gpt-4o, default: true}]\n";

#[test]
fn a_small_file_gets_every_default() {
    let config = good(SMALL);
    assert_eq!(config.listeners.len(), 1);
    let listener = &config.listeners[0];
    assert_eq!((listener.name.as_str(), listener.port), ("model", 12000));
    assert!(listener.address.is_loopback());
    assert_eq!(listener.timeout, Duration::from_secs(600));
    assert_eq!(listener.cors, Cors::Loopback);
    assert_eq!(
        config.server.listen.to_string(),
        "unix:/run/meseta/server.sock"
    );
    assert_eq!(config.server.admin.to_string(), "127.0.0.1:9902");
    assert_eq!(config.server.max_request_bytes, 32 << 20);
    assert_eq!(config.server.log, LogFormat::Json);
    assert_eq!(config.tracing.otlp_endpoint, None);
    assert!(config.notices.is_empty(), "{:?}", config.notices);
}

#[test]
fn our_own_settings_are_read() {
    let config = good(
        "
listeners:
  - {name: a, address: localhost, port: 0, timeout: 2m, cors: {allow_origins: ['https://App.example']}}
  - {name: b, type: model, address: '::1', port: 0, cors: {allow_origins: '*'}}
model_providers: [{model: ollama/*}]
server: {listen: 'unix:/tmp/s.sock', admin: '127.0.0.1:0', max_request_bytes: 100KiB, max_event_bytes: 1MiB, drain_timeout: 5s, log: text}
tracing: {otlp_endpoint: 'http://$HOST:4317', random_sampling: 25}
overrides: {upstream_connect_timeout: 300ms, upstream_tls_ca_path: /ca.pem}
",
    );
    let [a, b] = &config.listeners[..] else {
        panic!("two listeners");
    };
    assert_eq!((a.address.to_string(), a.port), ("127.0.0.1".to_owned(), 0));
    assert_eq!(a.timeout, Duration::from_secs(120));
    assert!(a.cors.allows("https://app.example") && !a.cors.allows("http://localhost"));
    assert_eq!(
        (b.address.to_string(), &b.cors),
        ("::1".to_owned(), &Cors::Any)
    );
    let server = &config.server;
    assert_eq!(server.listen, ListenAddress::Unix("/tmp/s.sock".into()));
    assert_eq!(
        (server.admin.port(), server.max_request_bytes),
        (0, 102_400)
    );
    assert_eq!(
        (server.max_event_bytes, server.log),
        (1 << 20, LogFormat::Text)
    );
    assert_eq!(server.drain_timeout, Duration::from_secs(5));
    let endpoint = config.tracing.otlp_endpoint.as_deref();
    assert_eq!(endpoint, Some("http://models.example:4317"));
    assert!((config.tracing.sampling - 0.25).abs() < f64::EPSILON);
    assert_eq!(config.upstream.connect_timeout, Duration::from_millis(300));
    assert_eq!(config.upstream.tls_ca_path, "/ca.pem");
    assert!(config.notices.is_empty(), "{:?}", config.notices);
}

#[test]
fn every_problem_is_found_at_once_in_the_order_of_the_document() {
    let problems = bad("
server: {drain_timeout: soon, metre: wasm}
model_providers:
  - {model: openai/gpt-4o, acess_key: sk-secret}
  - {access_key: $OPENAI_API_KEY}
listeners: [{type: modle, port: 70000}, {cors: {allow_origins: ['https://x/']}}]
model_aliases: {fast: {target: nowhere}}
stores: []
");
    let found: Vec<_> = problems
        .iter()
        .map(|problem| problem.path.as_str())
        .collect();
    assert_eq!(
        found,
        [
            "server.drain_timeout",
            "server.metre",
            "model_providers[0].acess_key",
            "model_providers[1].model",
            "listeners[0].type",
            "listeners[1].cors.allow_origins[0]",
            "model_aliases.fast.target",
            "stores",
        ]
    );
    let key = &problems[2];
    assert_eq!(key.value, None, "an unknown key may hold a secret");
    assert_eq!(key.hint.as_deref(), Some("did you mean `access_key`?"));
    assert_eq!(problems[0].value.as_deref(), Some("soon"));
    assert_eq!(problems[7].reason, "is not built yet");
}

#[test]
fn what_is_no_configuration_is_one_problem() {
    for (text, part) in [
        ("", "empty"),
        ("# nothing\n", "empty"),
        ("listeners: [", "line"),
        ("a: 1\na: 2\n", "duplicate"),
        ("[]", "must be a map"),
        ("text", "must be a map"),
    ] {
        let problems = bad(text);
        assert_eq!(problems.len(), 1, "{text}");
        assert!(problems[0].reason.contains(part), "{text}: {problems:?}");
    }
}

#[test]
fn planos_keys_without_effect_are_told_and_their_inside_is_still_checked() {
    let config = good(&format!(
        "{SMALL}state_storage: {{type: memory}}\nrouting: {{session_ttl_seconds: 5}}\nprompt_targets: null\n\
         listeners: [{{type: agent, name: a, port: 1}}, {{type: model, name: m, max_retries: 3}}]\n\
         tracing: {{exporters: [{{type: posthog}}]}}\n"
    ));
    let found: Vec<_> = config
        .notices
        .iter()
        .filter(|notice| notice.kind == NoticeKind::NotYetActive)
        .map(|notice| notice.path.as_str())
        .collect();
    assert_eq!(
        found,
        [
            "state_storage",
            "routing",
            "listeners[0].type",
            "listeners[1].max_retries",
            "tracing.exporters",
        ]
    );
    assert_eq!(config.listeners.len(), 1);
    let slips =
        format!("{SMALL}routing: {{session_cache: {{tpye: redis}}}}\nstate_storage: {{tpye: x}}\n");
    assert_eq!(
        paths(&slips),
        ["routing.session_cache.tpye", "state_storage.tpye"]
    );
}

#[test]
fn a_public_listener_is_warned_of_and_plano_files_learn_of_the_other_default() {
    let public = good(&format!(
        "{SMALL}listeners: [{{name: m, address: 0.0.0.0}}]\n"
    ));
    let notice = &public.notices[0];
    assert_eq!(notice.path, "listeners[0].address");
    assert!(notice.message.contains("PUBLIC"), "{}", notice.message);
    let planos = good(&format!(
        "version: v0.4.0\n{SMALL}listeners: [{{name: m, type: model}}]\n"
    ));
    assert!(planos.listeners[0].address.is_loopback());
    assert!(planos.notices[0].message.contains("0.0.0.0"));
    let legacy = good(&format!(
        "version: v0.1\n{SMALL}listeners: {{egress_traffic: {{address: 127.0.0.1, port: 9, timeout: 30s}}, ingress_traffic: {{port: 10}}}}\n"
    ));
    assert_eq!(legacy.listeners[0].port, 9);
    assert_eq!(legacy.listeners[0].timeout, Duration::from_secs(30));
    assert_eq!(legacy.notices[0].path, "listeners.ingress_traffic");
}

#[test]
fn listeners_have_their_own_names_and_ports() {
    let listeners = |text: &str| format!("{SMALL}listeners: [{text}]\n");
    assert_eq!(
        paths(&listeners("{name: a, port: 1}, {name: a, port: 2}")),
        ["listeners[1].name"]
    );
    assert_eq!(
        paths(&listeners(
            "{name: a, port: 1}, {name: b, port: 1, address: 0.0.0.0}"
        )),
        ["listeners[1].port"]
    );
    good(&listeners("{name: a, port: 0}, {name: b, port: 0}"));
    good(&listeners(
        "{name: a, port: 1}, {name: b, port: 1, address: '::1'}",
    ));
    assert_eq!(paths(&listeners("{name: 'a%b'}")), ["listeners[0].name"]);
}

#[test]
fn providers_that_are_wrong_are_told_what_is_wrong() {
    for (entry, path) in [
        ("model: gpt-4o", "model"),
        ("model: 'openai/'", "model"),
        ("model: 'openai/*', default: true", "default"),
        ("model: azure_openai/x", "base_url"),
        ("model: nobody/x", "model"),
        ("model: nobody/x, provider_interface: openai", "base_url"),
        (
            "model: nobody/x, base_url: 'http://h', provider_interface: opnai",
            "provider_interface",
        ),
        (
            "model: openai/x, provider_interface: openai",
            "provider_interface",
        ),
        ("model: openai/x, base_url: 'ftp://h'", "base_url"),
        ("model: openai/x, base_url: 'http://u:p@h'", "base_url"),
        ("model: openai/x, base_url: 'http://h?k=v'", "base_url"),
        ("model: openai/x, base_url: 'http://$UNSET'", "base_url"),
        ("model: openai/x, http_host: 'https://h'", "http_host"),
        ("model: openai/x, headers: {'x y': z}", "headers.x y"),
        ("model: openai/x, headers: {Host: z}", "headers.Host"),
        (
            "model: openai/x, headers: {x-meseta-cluster: z}",
            "headers.x-meseta-cluster",
        ),
        ("model: openai/x, headers: {x: $BROKEN}", "headers.x"),
        ("model: openai/x, default: maybe", "default"),
    ] {
        let problems = bad(&with_provider(entry));
        assert_eq!(problems.len(), 1, "{entry}: {problems:?}");
        assert_eq!(
            problems[0].path,
            format!("model_providers[0].{path}"),
            "{entry}"
        );
        assert!(!format!("{problems:?}").contains("u:p"), "{problems:?}");
    }
    let both = "model_providers: [{model: ollama/x}]\nllm_providers: [{model: ollama/y}]\n";
    assert_eq!(paths(both), ["llm_providers"]);
    let twice = "model_providers: [{model: ollama/x}, {model: ollama/x}]\n";
    assert_eq!(paths(twice), ["model_providers[1].model"]);
    let defaults =
        "model_providers: [{model: ollama/x, default: true}, {model: ollama/y, default: true}]\n";
    assert_eq!(paths(defaults), ["model_providers[1].default"]);
    let names = "model_providers: [{model: ollama/x, name: n}, {model: ollama/y, name: n}]\n";
    assert_eq!(paths(names), ["model_providers[1].name"]);
}

#[test]
fn each_address_has_its_own_cluster_and_equal_entries_share_a_provider() {
    let config = good(
        "
model_providers:
  - {model: openai/a, access_key: $OTHER}
  - {model: openai/b, access_key: $OTHER}
  - {model: openai/c, access_key: $OPENAI_API_KEY}
  - {model: vllm/a, base_url: 'http://10.0.0.1:8000'}
  - {model: vllm/b, base_url: 'http://10.0.0.1:8001'}
  - {model: vllm/c, base_url: 'https://10.0.0.1:8001', http_host: vllm.internal}
  - {model: vllm/d, base_url: 'https://[::1]', headers: {X-Team: search}}
",
    );
    let clusters: Vec<_> = config
        .providers
        .iter()
        .map(|p| p.cluster.as_str())
        .collect();
    assert_eq!(
        clusters,
        [
            "https_api.openai.com_443",
            "https_api.openai.com_443",
            "http_10.0.0.1_8000",
            "http_10.0.0.1_8001",
            "https_10.0.0.1_8001_vllm.internal",
            "https_::1_443",
        ]
    );
    let last = config.providers.last().unwrap();
    assert_eq!(
        (last.scheme, last.authority.as_str()),
        (Scheme::Https, "[::1]")
    );
    assert_eq!(last.headers, [("x-team".to_owned(), "search".to_owned())]);
}

#[test]
fn models_are_found_by_alias_name_id_and_wildcard_and_the_first_wins() {
    let config = good(
        "
model_providers:
  - {model: openai/gpt-4o, default: true, name: big}
  - {model: openrouter/gpt-4o, access_key: $OTHER}
  - {model: together_ai/openai/gpt-oss-20b, access_key: $OTHER}
  - {model: ollama/*}
  - {model: deepseek/*, access_key: $OTHER}
model_aliases:
  smart: {target: smarter}
  smarter: {target: gpt-4o}
  local: {target: 'ollama/llama3.2:1b'}
",
    );
    let found = |name: Option<&str>| {
        let resolved = config.resolve(name, &crate::Sender::UNKNOWN).unwrap();
        let target = config.target(&resolved.targets[0].model).unwrap();
        (target.id.to_owned(), target.model.to_owned())
    };
    for (name, id, model) in [
        (None, "openai/gpt-4o", "gpt-4o"),
        (Some(""), "openai/gpt-4o", "gpt-4o"),
        (Some("smart"), "openai/gpt-4o", "gpt-4o"),
        (Some("big"), "openai/gpt-4o", "gpt-4o"),
        (Some("gpt-4o"), "openai/gpt-4o", "gpt-4o"),
        (Some("openrouter/gpt-4o"), "openrouter/gpt-4o", "gpt-4o"),
        (
            Some("openai/gpt-oss-20b"),
            "together_ai/openai/gpt-oss-20b",
            "openai/gpt-oss-20b",
        ),
        (Some("ollama/any/thing"), "ollama/any/thing", "any/thing"),
        (Some("local"), "ollama/llama3.2:1b", "llama3.2:1b"),
        (
            Some("deepseek-chat"),
            "deepseek/deepseek-chat",
            "deepseek-chat",
        ),
    ] {
        assert_eq!(found(name), (id.to_owned(), model.to_owned()), "{name:?}");
    }
    let ambiguous = "model_providers[1].model";
    assert!(config.notices.iter().any(|notice| notice.path == ambiguous));
    for name in ["ollama/", "ollama/*", "nothing", "openai/other"] {
        assert!(
            matches!(
                config.resolve(Some(name), &crate::Sender::UNKNOWN),
                Err(ResolveError::Unknown { .. })
            ),
            "{name}"
        );
    }
    let Err(ResolveError::Unknown { near }) =
        config.resolve(Some("openai/gpt-4"), &crate::Sender::UNKNOWN)
    else {
        panic!("found");
    };
    assert_eq!(near[0], "openai/gpt-4o");
    let listed: Vec<_> = config.models().into_iter().map(|model| model.id).collect();
    assert_eq!(
        listed[..3],
        [
            "openai/gpt-4o",
            "openrouter/gpt-4o",
            "together_ai/openai/gpt-oss-20b"
        ]
    );
    assert!(listed.contains(&"deepseek/deepseek-chat".to_owned()));
    assert_eq!(listed[listed.len() - 3..], ["smart", "smarter", "local"]);
    let aliases: Vec<_> = config.aliases().collect();
    assert_eq!(aliases[0], ("smart", "smarter"));
}

#[test]
fn without_a_default_a_request_must_name_its_model() {
    let config = good("model_providers: [{model: ollama/x}]\n");
    let missing = config
        .resolve(None, &crate::Sender::UNKNOWN)
        .map(|_| ())
        .unwrap_err();
    assert_eq!(missing, ResolveError::Missing);
}

#[test]
fn aliases_that_lead_nowhere_or_back_are_problems() {
    let problems = bad(&format!(
        "{SMALL}model_aliases: {{a: {{target: b}}, b: {{target: a}}, c: {{target: gpt-4}}, d: {{target: c}}, e: {{}}, gpt-4o: {{target: gpt-4o}}}}\n"
    ));
    let found: Vec<_> = problems
        .iter()
        .map(|problem| problem.path.as_str())
        .collect();
    assert_eq!(
        found,
        [
            "model_aliases.a.target",
            "model_aliases.b.target",
            "model_aliases.c.target",
            "model_aliases.e.target",
            "model_aliases.gpt-4o.target",
        ]
    );
    assert!(
        problems[0].reason.contains("a -> b -> a"),
        "{}",
        problems[0]
    );
    assert!(problems[2].hint.as_ref().unwrap().contains("gpt-4o"));
}

#[test]
fn nothing_that_is_printed_holds_a_secret() {
    let config = good(
        "model_providers: [{model: openai/x, access_key: sk-literal, headers: {x-key: sk-header}}]\n",
    );
    let printed = format!("{config:?} {}", config.redacted());
    assert!(!printed.contains("sk-"), "{printed}");
    assert!(printed.contains("[redacted]"));
}

#[test]
fn a_dollar_is_a_reference_only_where_keys_and_addresses_are() {
    let config = good(&format!(
        "{SMALL}system_prompt: costs $OTHER\nmodel_aliases: {{'$OTHER': {{target: gpt-4o}}}}\n"
    ));
    assert_eq!(config.aliases().next(), Some(("$OTHER", "gpt-4o")));
}
