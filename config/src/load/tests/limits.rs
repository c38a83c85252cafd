//! `limits`, `ratelimits`, `keys` and `consumer`: what is read, and what is refused and why.

mod consumers;
mod ratelimits;
mod refused;

use super::*;
use crate::{ConsumerKey, LimitFacts, LimitField, MeterFailure, MeterPlace, Pattern};

const PROVIDERS: &str = "
model_providers:
  - {model: openai/gpt-4o, access_key: $OTHER, name: big}
  - {model: openrouter/gpt-4o, access_key: $OTHER}
  - {model: ollama/*}
model_aliases: {fast: {target: ollama/llama3.2}}
models: {smart: {targets: [ollama/a, openai/gpt-4o]}}
";

/// The SHA-256 of `mk-search`.
const SEARCH: &str = "sha256:717604fdee45da783f9f95562d2d29bf05e1e2d79aa0d602c844795929695bbf";
/// The SHA-256 of `mk-other`.
const OTHER: &str = "sha256:cdb03b104da57aef06bcc37a8934aa7c5674ecb34067d49405a81cfad3d2ad56";

/// With these further keys of the document.
fn with(keys: &str) -> String {
    format!("{PROVIDERS}{keys}\n")
}

/// With one limit of 10 tokens each minute, that has these keys too.
fn limited(keys: &str) -> Config {
    good(&with(&format!(
        "limits: [{{name: one, unit: tokens, limit: 10, per: minute, {keys}}}]"
    )))
}

/// Where something is told, but for the models that two providers have.
fn told(config: &Config) -> Vec<&str> {
    let paths = config.notices.iter().map(|notice| notice.path.as_str());
    paths
        .filter(|path| !path.starts_with("model_providers"))
        .collect()
}

/// A request.
#[derive(Clone, Copy)]
struct Asked<'a> {
    consumer: Option<&'a str>,
    key: Option<&'a ConsumerKey>,
    model: &'a str,
    pool: Option<&'a str>,
    header: Option<(&'a str, &'a str)>,
    claim: Option<(&'a str, &'a str)>,
}

const ASKED: Asked<'static> = Asked {
    consumer: None,
    key: None,
    model: "ollama/llama3.2",
    pool: None,
    header: None,
    claim: None,
};

/// The limits that a request falls under, each with the hash of its subject.
fn charges(config: &Config, asked: Asked<'_>) -> Vec<(String, u64)> {
    let value = |field: Option<(&str, &str)>, name: &str| {
        let found = field.filter(|(known, _)| *known == name);
        found.map(|(_, value)| value.to_owned())
    };
    let header = |name: &str| {
        let found = asked.header.filter(|(known, _)| *known == name);
        found.map(|(_, value)| value)
    };
    let provider = asked.model.split_once('/').unwrap().0;
    let facts = LimitFacts {
        consumer: asked.consumer,
        key: asked.key,
        model: asked.model,
        pool: asked.pool,
        provider,
        listener: "model",
        header: &header,
        claim: &|name| value(asked.claim, name),
    };
    let charges = config.charges(&facts).into_iter();
    charges
        .map(|(name, subject)| (name.to_string(), subject.hash()))
        .collect()
}

/// Whose bucket of the one limit it is, if the request falls under it.
fn bucket(config: &Config, asked: Asked<'_>) -> Option<u64> {
    let charges = charges(config, asked);
    assert!(charges.len() <= 1, "{charges:?}");
    charges.first().map(|(_, hash)| *hash)
}

#[test]
fn every_key_of_a_limit_is_read() {
    let config = good(&with(
        "
limits:
  - name: per.user_1-a
    match: {model: [smart, 'openai/*', fast], provider: 'o*', listener: model, header: {X-Team: gold}}
    unit: input_tokens
    limit: 18446744073709551615
    per: hour
    burst: 18446744073709551615
  - {name: by-claim, unit: requests, limit: 5, per: month, match: {claim: org.team}}
  - {name: any, unit: output_tokens, limit: 7, per: second, match: {header: {x: '*'}, consumer: [a, 'b*']}}
consumer: {header: X-User}
",
    ));
    let [one, claim, any] = config.limits() else {
        panic!("three limits");
    };
    let names = |names: &Option<Vec<Pattern>>| {
        let names = names.iter().flatten().map(Pattern::to_string);
        names.collect::<Vec<_>>()
    };
    assert_eq!(
        names(&one.when.model),
        ["smart", "openai/*", "ollama/llama3.2"]
    );
    assert_eq!(names(&one.when.provider), ["o*"]);
    assert_eq!(names(&one.when.listener), ["model"]);
    let field = |name: &str, value: Option<&str>| {
        Some(LimitField {
            name: name.to_owned(),
            value: value.map(str::to_owned),
        })
    };
    assert_eq!(one.when.header, field("x-team", Some("gold")));
    assert_eq!((&one.when.claim, one.by_key), (&None, false));
    assert_eq!(claim.when.claim, field("org.team", None));
    assert_eq!(any.when.header, field("x", None));
    assert_eq!(names(&any.when.consumer), ["a", "b*"]);
    let rules = "v1 any=output_tokens:7/second by-claim=requests:5/month \
                 per.user_1-a=input_tokens:18446744073709551615/hour:18446744073709551615";
    assert_eq!(config.rules().to_string(), rules);
    assert_eq!(told(&config), [""; 0]);
}

#[test]
fn a_limit_without_a_match_is_one_bucket_for_all() {
    let config = limited("");
    let all = bucket(&config, ASKED).unwrap();
    let other = Asked {
        consumer: Some("a"),
        model: "openai/gpt-4o",
        ..ASKED
    };
    assert_eq!(bucket(&config, other), Some(all));
}

#[test]
fn models_are_meant_by_every_name_they_have() {
    for (wanted, model, pool, fits) in [
        ("ollama/llama3.2", "ollama/llama3.2", None, true),
        ("fast", "ollama/llama3.2", None, true),
        ("fast", "ollama/other", None, false),
        ("big", "openai/gpt-4o", None, true),
        ("gpt-4o", "openai/gpt-4o", None, true),
        ("gpt-4o", "openrouter/gpt-4o", None, true),
        ("gpt-4o", "ollama/gpt-4o", None, true),
        ("openai/gpt-4o", "openrouter/gpt-4o", None, false),
        ("smart", "ollama/a", Some("smart"), true),
        ("smart", "ollama/a", None, false),
        ("sm*", "ollama/a", Some("smart"), true),
        ("ollama/*", "ollama/a", Some("smart"), true),
        ("openai/*", "ollama/a", Some("smart"), false),
    ] {
        let config = limited(&format!("match: {{model: '{wanted}'}}"));
        let asked = Asked {
            model,
            pool,
            ..ASKED
        };
        let found = bucket(&config, asked).is_some();
        assert_eq!(found, fits, "{wanted}: {model} {pool:?}");
    }
}

#[test]
fn a_header_gives_each_of_its_values_a_bucket() {
    let config = limited("match: {header: x-team}");
    let of = |value: &'static str| {
        let header = Some(("x-team", value));
        bucket(&config, Asked { header, ..ASKED })
    };
    assert_eq!(bucket(&config, ASKED), None);
    assert_ne!(of("a").unwrap(), of("b").unwrap());
    let gold = limited("match: {header: {x-team: gold}}");
    let of = |value: &'static str| {
        let header = Some(("x-team", value));
        bucket(&gold, Asked { header, ..ASKED })
    };
    assert!(of("gold").is_some());
    assert_eq!((of("Gold"), of("silver")), (None, None));
}

#[test]
fn a_claim_gives_each_of_its_values_a_bucket() {
    let config = limited("match: {claim: jwt.sub}");
    let of = |value: &'static str| {
        let claim = Some(("jwt.sub", value));
        bucket(&config, Asked { claim, ..ASKED })
    };
    assert_eq!(bucket(&config, ASKED), None);
    assert_ne!(of("a").unwrap(), of("b").unwrap());
    assert_eq!(config.claims(), Some("envoy.filters.http.jwt_authn"));
    assert_eq!(limited("").claims(), None);
}

#[test]
fn a_consumer_has_a_bucket_unless_the_limit_is_by_header() {
    let config = good(&with(
        "
consumer: {header: x-user}
limits:
  - {name: each, unit: requests, limit: 1, per: day, match: {consumer: 'team-*'}}
  - {name: header, unit: requests, limit: 1, per: day, match: {consumer: 'team-*', header: x-session}}
",
    ));
    let of = |consumer: &'static str| {
        let asked = Asked {
            consumer: Some(consumer),
            header: Some(("x-session", "s")),
            ..ASKED
        };
        charges(&config, asked)
    };
    assert_eq!(of("other"), []);
    let (a, b) = (of("team-a"), of("team-b"));
    assert_eq!((a[0].0.as_str(), a[1].0.as_str()), ("each", "header"));
    assert_ne!(a[0], b[0]);
    assert_eq!(a[1], b[1]);
}

#[test]
fn subjects_are_told_apart_by_rule_and_kind_and_their_hashes_never_change() {
    let config = good(&with(
        "
consumer: {header: x-user}
limits:
  - {name: a, unit: requests, limit: 1, per: day, match: {consumer: x}}
  - {name: b, unit: requests, limit: 1, per: day, match: {header: h}}
  - {name: c, unit: requests, limit: 1, per: day, match: {claim: c}}
  - {name: d, unit: requests, limit: 1, per: day}
",
    ));
    let asked = Asked {
        consumer: Some("x"),
        header: Some(("h", "x")),
        claim: Some(("c", "x")),
        ..ASKED
    };
    let hashes: Vec<u64> = charges(&config, asked)
        .iter()
        .map(|(_, hash)| *hash)
        .collect();
    // The first eight bytes of the SHA-256 of `a\0consumer\0x`, and so on.
    let expected = [
        0xeb25_46d1_b1f2_ef6b,
        0x4980_298a_68d4_ee6b,
        0xfaaf_f439_88e2_56f2,
        0xbeff_8b09_cc7b_2465,
    ];
    assert_eq!(hashes, expected);
}

#[test]
fn what_the_meter_is_told_is_read() {
    let server = good(SMALL).server;
    let default = (MeterPlace::Wasm, MeterFailure::Closed);
    assert_eq!((server.meter, server.meter_failure), default);
    let server = good(&format!(
        "{SMALL}server: {{meter: ' native ', meter_failure: open}}\n"
    ))
    .server;
    let read = (MeterPlace::Native, MeterFailure::Open);
    assert_eq!((server.meter, server.meter_failure), read);
    assert_eq!(
        paths(&format!("{SMALL}server: {{meter: x, meter_failure: y}}\n")),
        ["server.meter", "server.meter_failure"]
    );
}

#[test]
fn limits_in_the_filter_need_calls_that_go_through_envoy() {
    let limits = "limits: [{name: a, unit: requests, limit: 1, per: day}]";
    for server in [
        "egress: direct",
        "listen: 'tcp:127.0.0.1:1'",
        "meter: wasm, egress: direct",
    ] {
        let problems = bad(&format!("{SMALL}{limits}\nserver: {{{server}}}\n"));
        assert_eq!(problems.len(), 1, "{server}: {problems:?}");
        assert_eq!(problems[0].path, "server.meter");
        assert_eq!(problems[0].hint.as_deref(), Some("write `meter: native`"));
        good(&format!("{SMALL}server: {{{server}}}\n"));
    }
    good(&format!(
        "{SMALL}{limits}\nserver: {{egress: direct, meter: native}}\n"
    ));
    good(&format!(
        "{SMALL}{limits}\nserver: {{listen: 'tcp:127.0.0.1:1', egress: 'unix:/e'}}\n"
    ));
    let off = good(&format!("{SMALL}{limits}\nserver: {{meter: off}}\n"));
    assert_eq!(off.notices[0].path, "server.meter");
    let off = good(&format!("{SMALL}server: {{meter: off}}\n"));
    assert!(off.notices.is_empty(), "{:?}", off.notices);
}

#[test]
fn the_view_for_people_has_the_limits_and_no_value_of_a_header_or_claim() {
    let config = good(&with(
        "
limits:
  - {name: a, unit: tokens, limit: 5, per: hour, burst: 9, match: {header: {x-key: hidden}, model: smart}}
  - {name: b, unit: tokens, limit: 5, per: day, match: {claim: {sub: hidden}}}
consumer: {claim: sub, metadata: own}
",
    ));
    let view = config.redacted();
    assert!(!view.to_string().contains("hidden"), "{view}");
    let limit = &view["limits"][0];
    assert_eq!(
        (&limit["burst"], &limit["per"]),
        (&9.into(), &"hour".into())
    );
    assert_eq!(limit["match"]["model"], serde_json::json!(["smart"]));
    assert!(limit["match"].get("provider").is_none());
    assert!(limit["match"]["header"]["x-key"].is_string());
    assert_eq!(view["consumer"]["metadata"], "own");
    assert_eq!(view["server"]["meter"], "wasm");
}

#[test]
fn more_limits_than_can_be_counted_must_not_meet_in_one_request() {
    let limit = |index: usize, when: &str| {
        format!("  - {{name: l{index}, unit: requests, limit: 1, per: day, match: {when}}}\n")
    };
    let document = |when: &dyn Fn(usize) -> String, number: usize| {
        let limits: String = (0..number)
            .map(|index| limit(index, &when(index)))
            .collect();
        with(&format!("consumer: {{header: u}}\nlimits:\n{limits}"))
    };
    let any = |_: usize| "{}".to_owned();
    good(&document(&any, 16));
    let problems = bad(&document(&any, 17));
    assert_eq!(problems[0].path, "limits");
    assert!(problems[0].reason.starts_with("17 limits"), "{problems:?}");
    // Of values of one header, of consumers and of models, a request has one.
    let values = |index: usize| format!("{{header: {{x: v{index}}}}}");
    good(&document(&values, 40));
    let consumers = |index: usize| format!("{{consumer: c{index}}}");
    good(&document(&consumers, 40));
    let models = |index: usize| format!("{{model: ollama/m{index}}}");
    good(&document(&models, 40));
    let headers = |index: usize| format!("{{header: x{index}}}");
    assert_eq!(paths(&document(&headers, 17)), ["limits"]);
    let one_model = |index: usize| match index {
        0..4 => "{model: smart}".to_owned(),
        4..8 => "{consumer: a}".to_owned(),
        8..12 => "{listener: model}".to_owned(),
        12..16 => "{header: {x: y}}".to_owned(),
        16..20 => "{claim: {x: y}}".to_owned(),
        _ => "{header: {x: z}}".to_owned(),
    };
    good(&document(&|index| one_model(index + 4), 16));
    assert_eq!(paths(&document(&one_model, 22)), ["limits"]);
}
