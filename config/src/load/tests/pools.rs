//! `models`: what is read, and what is refused and why.

mod refused;

use super::*;
use crate::{
    Conditions, Destination, Egress, Failover, Hedge, Policy, Pool, Select, Sender, Sticky,
    UpstreamPath,
};

const PROVIDERS: &str = "
model_providers:
  - {model: openai/gpt-4o, access_key: $OTHER, name: big}
  - {model: anthropic/*, access_key: $OTHER}
  - {model: ollama/*}
";

fn document(models: &str) -> String {
    format!("{PROVIDERS}models:\n  smart: {{{models}}}\n")
}

fn pool(config: &Config, name: &str) -> Pool {
    config.pools().find(|p| p.name == name).unwrap().clone()
}

/// The pool of these keys, with two targets.
fn with(keys: &str) -> Pool {
    let text = document(&format!("targets: [ollama/a, ollama/b], {keys}"));
    pool(&good(&text), "smart")
}

#[test]
fn every_key_of_a_name_with_several_targets_is_read() {
    let config = good(&format!(
        "{PROVIDERS}
model_aliases: {{cheap: {{target: ollama/qwen3}}, best: {{target: better}}, better: {{target: smart}}}}
models:
  smart-gold: {{targets: [anthropic/claude-opus-4-8]}}
  smart:
    default: true
    targets:
      - {{model: openai/gpt-4o, priority: 0, weight: 9, context_window: 128000}}
      - anthropic/claude-sonnet-4-5
      - {{model: cheap, priority: 2}}
    select: least_busy
    sticky: {{header: X-User}}
    rules:
      - {{match: {{header: {{X-Tier: gold, x-org: '*', x-n: 5}}}}, use: smart-gold}}
      - {{match: {{header: {{x-tier: free}}}}, use: big}}
      - {{match: {{header: {{x-tier: best}}}}, use: best}}
    mirror: {{model: ollama/llama3.2, percent: 10%, compare: true}}
    path: relay
    failover:
      on: [429, 5xx, '404', 404, connect, content_filter]
      max_attempts: 4
      retry_budget: 25
      cooldown: {{failures: 5, error_rate: 30%, first: 1s, longest: 20s}}
    timeout: {{headers: 20s, first_token: 15s, idle: 60s, total: 600s}}
    hedge_after: p95
    resume: true
"
    ));
    let smart = pool(&config, "smart");
    let targets: Vec<_> = smart
        .targets
        .iter()
        .map(|t| (t.model.id.as_str(), t.priority, t.weight, t.context_window))
        .collect();
    assert_eq!(
        targets,
        [
            ("openai/gpt-4o", 0, 9, Some(128_000)),
            ("anthropic/claude-sonnet-4-5", 1, 1, None),
            ("ollama/qwen3", 2, 1, None),
        ]
    );
    assert_eq!(smart.select, Select::LeastBusy);
    assert_eq!(smart.sticky, Some(Sticky::Header("x-user".to_owned())));
    let wanted = [
        ("x-tier".to_owned(), Some("gold".to_owned())),
        ("x-org".to_owned(), None),
        ("x-n".to_owned(), Some("5".to_owned())),
    ];
    assert_eq!(smart.rules[0].headers, wanted);
    assert_eq!(
        smart.rules[0].to,
        Destination::Pool("smart-gold".to_owned())
    );
    assert!(matches!(&smart.rules[1].to, Destination::Model(m) if m.id == "openai/gpt-4o"));
    assert_eq!(smart.rules[2].to, Destination::Pool("smart".to_owned()));
    let mirror = smart.mirror.unwrap();
    assert_eq!(mirror.model.id, "ollama/llama3.2");
    assert!((mirror.share - 0.1).abs() < f64::EPSILON && mirror.compare);
    let policy = smart.policy;
    assert_eq!(policy.path, Some(UpstreamPath::Relay));
    let on = &policy.failover.on;
    assert_eq!(on.statuses.len(), 102);
    assert_eq!(on.statuses[..3], [404, 429, 500]);
    assert!(on.connect && on.content_filter && !on.reset && !on.bad_answer);
    assert_eq!(policy.failover.max_attempts, 4);
    assert!((policy.failover.retry_budget - 0.25).abs() < f64::EPSILON);
    let cooldown = policy.failover.cooldown;
    assert_eq!(cooldown.failures, 5);
    assert!((cooldown.error_rate - 0.3).abs() < f64::EPSILON);
    let times = [cooldown.first, cooldown.longest];
    assert_eq!(times, [1, 20].map(Duration::from_secs));
    let timeout = policy.timeout;
    let times = [
        timeout.headers,
        timeout.first_token,
        timeout.idle,
        timeout.total,
    ];
    assert_eq!(
        times,
        [20, 15, 60, 600].map(|s| Some(Duration::from_secs(s)))
    );
    assert_eq!(policy.hedge, Some(Hedge::Percentile(95)));
    assert!(policy.resume);
    assert_eq!(config.default_model(), Some("smart"));
    assert!(config.notices.is_empty(), "{:?}", config.notices);
}

#[test]
fn a_name_that_lists_its_targets_alone_gets_every_default() {
    let pool = with("");
    assert_eq!(pool.select, Select::Weighted);
    assert_eq!(*pool.policy, Policy::default());
    assert_eq!((pool.sticky, pool.mirror), (None, None));
    assert!(pool.rules.is_empty());
}

#[test]
fn what_is_not_said_of_a_cool_down_gives_way_to_what_is() {
    for (keys, first, longest) in [
        ("first: 10m", 600, 600),
        ("longest: 5s", 5, 5),
        ("longest: 10m", 10, 600),
        ("failures: 9", 10, 300),
    ] {
        let pool = with(&format!("failover: {{cooldown: {{{keys}}}}}"));
        let cooldown = pool.policy.failover.cooldown;
        let times = [cooldown.first, cooldown.longest];
        assert_eq!(times, [first, longest].map(Duration::from_secs), "{keys}");
    }
}

#[test]
fn a_list_of_failures_replaces_the_default_and_an_empty_one_is_none() {
    let on = |keys: &str| {
        with(&format!("failover: {{on: {keys}}}"))
            .policy
            .failover
            .on
            .clone()
    };
    let none = on("[]");
    assert!(none.statuses.is_empty() && !none.connect && !none.bad_answer);
    assert_eq!(on("[4xx]").statuses, (400..500).collect::<Vec<_>>());
    assert_eq!(with("failover: {}").policy.failover, Failover::default());
    let default = "[429, 500, 502, 503, 504, 529, connect, reset, headers_timeout, \
                   first_token_timeout, idle_timeout, bad_answer]";
    assert_eq!(on(default), Conditions::default());
}

#[test]
fn a_name_leads_to_its_targets_and_rules_lead_elsewhere_once() {
    let config = good(&format!(
        "{PROVIDERS}
model_aliases: {{clever: {{target: smart}}}}
models:
  smart:
    targets: [ollama/a, ollama/b]
    rules: [{{match: {{header: {{x-tier: gold}}}}, use: gold}}, {{match: {{consumer: [vip-*, alice]}}, use: gold}}]
    sticky: {{consumer: true}}
  gold:
    targets: [ollama/gold]
    rules: [{{match: {{header: {{x-tier: gold}}}}, use: ollama/never}}]
  openai/gpt-4o: {{targets: [openai/gpt-4o, anthropic/claude-sonnet-4-5]}}
"
    ));
    let ids = |name: &str, tier: Option<&'static str>| {
        let sender = Sender {
            header: &move |header: &str| tier.filter(|_| header == "x-tier"),
            consumer: None,
        };
        let resolved = config.resolve(Some(name), &sender).unwrap();
        let ids = resolved.targets.iter().map(|t| t.model.id.clone());
        ids.collect::<Vec<_>>()
    };
    assert_eq!(ids("smart", None), ["ollama/a", "ollama/b"]);
    assert_eq!(ids("clever", Some("silver")), ["ollama/a", "ollama/b"]);
    assert_eq!(ids("clever", Some("gold")), ["ollama/gold"]);
    for (consumer, targets) in [("alice", 1), ("vip-7", 1), ("bob", 2)] {
        let sender = Sender {
            consumer: Some(consumer),
            ..Sender::UNKNOWN
        };
        let resolved = config.resolve(Some("smart"), &sender).unwrap();
        assert_eq!(resolved.targets.len(), targets, "{consumer}");
    }
    let own = ["openai/gpt-4o", "anthropic/claude-sonnet-4-5"];
    assert_eq!(ids("openai/gpt-4o", None), own);
    assert_eq!(ids("big", None), ["openai/gpt-4o"]);
    let listed: Vec<_> = config.models().into_iter().map(|m| m.id).collect();
    for name in ["smart", "gold", "clever", "openai/gpt-4o"] {
        let listed = listed.iter().filter(|listed| *listed == name);
        assert_eq!(listed.count(), 1, "{name}");
    }
}

#[test]
fn the_default_of_the_providers_is_the_name_with_several_targets_where_there_is_one() {
    let text = "
model_providers: [{model: ollama/a, default: true}, {model: ollama/b}]
models: {ollama/a: {targets: [ollama/a, ollama/b]}}
";
    let config = good(text);
    let resolved = config.resolve(None, &Sender::UNKNOWN).unwrap();
    assert_eq!(resolved.targets.len(), 2);
}

#[test]
fn what_has_no_effect_with_one_target_is_told() {
    let text = document("targets: [ollama/a], select: fastest, failover: {max_attempts: 2}");
    let config = good(&text);
    let told: Vec<_> = config.notices.iter().map(|n| n.path.as_str()).collect();
    assert_eq!(told, ["models.smart.select", "models.smart.failover"]);
}

#[test]
fn the_view_for_people_has_the_targets_and_no_value_of_a_header() {
    let config = good(&document(
        "targets: [ollama/a, {model: ollama/b, weight: 3}], hedge_after: 1500ms, \
         rules: [{match: {header: {x-key: hidden, x-any: '*'}}, use: smart}]",
    ));
    let view = config.redacted();
    assert!(!view.to_string().contains("hidden"), "{view}");
    let pool = &view["pools"][0];
    assert_eq!(
        (&pool["name"], &pool["select"]),
        (&"smart".into(), &"weighted".into())
    );
    assert_eq!(pool["targets"][1]["id"], "ollama/b");
    assert_eq!(pool["targets"][1]["weight"], 3);
    assert_eq!(pool["rules"][0]["match"]["header"]["x-any"], "*");
    assert_eq!(pool["policy"]["hedge_after"], "1.5s");
    assert_eq!(pool["policy"]["failover"]["on"][0], 429);
    assert_eq!(view["server"]["egress"], "envoy");
    assert_eq!(view["server"]["heartbeat"], "15s");
}

#[test]
fn how_the_servers_own_calls_go_is_read() {
    let read = |server: &str| good(&format!("{SMALL}server: {{{server}}}\n")).server;
    assert_eq!(read("egress: envoy").egress, Egress::Envoy(None));
    assert_eq!(read("egress: direct").egress, Egress::Direct);
    let own = read("egress: ' unix:/run/e.sock', heartbeat: 0s, max_response_bytes: 1MiB");
    assert_eq!(own.egress, Egress::Envoy(Some("/run/e.sock".into())));
    assert_eq!((own.heartbeat, own.max_response_bytes), (None, 1 << 20));
    let long = format!("/{}/s", "x".repeat(100));
    for (server, path) in [
        ("egress: 'tcp:127.0.0.1:1'".to_owned(), "server.egress"),
        ("egress: 'unix:'".to_owned(), "server.egress"),
        ("egress: none".to_owned(), "server.egress"),
        ("listen: 'unix:/r/egress.sock'".to_owned(), "server.egress"),
        (format!("listen: 'unix:{long}'"), "server.egress"),
        ("heartbeat: 5".to_owned(), "server.heartbeat"),
        (
            "max_response_bytes: 0".to_owned(),
            "server.max_response_bytes",
        ),
    ] {
        assert_eq!(
            paths(&format!("{SMALL}server: {{{server}}}\n")),
            [path],
            "{server}"
        );
    }
    let reserved = format!("{SMALL}listeners: [{{name: meseta.egress}}]\n");
    assert_eq!(paths(&reserved), ["listeners[0].name"]);
}
