//! `keys` and `consumer`.

use super::*;
use crate::ConsumerSource;

/// With these keys, and a limit to name.
fn keyed(keys: &str) -> String {
    with(&format!(
        "limits: [{{name: own, unit: requests, limit: 1, per: day}}, {{name: all, unit: requests, limit: 9, per: day}}]\nkeys: [{keys}]"
    ))
}

#[test]
fn every_key_of_a_key_is_read() {
    let config = good(&keyed(&format!(
        "{{name: search, hash: {SEARCH}, models: [fast, smart, big, 'ollama/q*'], limits: [own], \
         expires: 2030-01-01T00:00:00Z, labels: {{team: search, floor: 5}}}}, \
         {{name: other, hash: {OTHER}}}"
    )));
    let [search, other] = config.keys() else {
        panic!("two keys");
    };
    let models: Vec<_> = search
        .models
        .iter()
        .flatten()
        .map(Pattern::as_str)
        .collect();
    assert_eq!(
        models,
        ["ollama/llama3.2", "smart", "openai/gpt-4o", "ollama/q*"]
    );
    assert_eq!(search.limits[0].as_str(), "own");
    assert_eq!(search.expires, Some(1_893_456_000));
    let labels = [("team", "search"), ("floor", "5")];
    let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(search.labels, labels);
    assert_eq!((&other.models, other.expires), (&None, None));
    assert!(config.needs_consumer());
    assert_eq!(told(&config), [""; 0]);
}

#[test]
fn a_key_is_found_by_what_is_presented_wherever_it_stands() {
    let config = good(&keyed(&format!(
        "{{name: search, hash: {SEARCH}}}, {{name: other, hash: {OTHER}}}"
    )));
    let found = |presented: &str| config.key_of(presented).map(|key| key.name.as_str());
    assert_eq!(found("mk-search"), Some("search"));
    assert_eq!(found("mk-other"), Some("other"));
    for wrong in ["", "mk-searc", "MK-SEARCH", "mk-search ", SEARCH] {
        assert_eq!(found(wrong), None, "{wrong}");
    }
    assert_eq!(good(SMALL).key_of("mk-search"), None);
}

#[test]
fn a_key_may_ask_for_what_its_names_lead_to() {
    let config = good(&keyed(&format!(
        "{{name: some, hash: {SEARCH}, models: [fast, smart, 'openrouter/*']}}, \
         {{name: all, hash: {OTHER}}}"
    )));
    let [some, all] = config.keys() else {
        panic!("two keys");
    };
    for (name, may) in [
        (Some("fast"), true),
        (Some("ollama/llama3.2"), true),
        (Some("smart"), true),
        (Some("openrouter/gpt-4o"), true),
        (Some("ollama/a"), false),
        (Some("big"), false),
        (Some("gpt-4o"), false),
        (Some("nobody/x"), false),
        (Some(""), false),
        (None, false),
    ] {
        assert_eq!(config.may_ask(some, name), may, "{name:?}");
        assert!(config.may_ask(all, name));
    }
}

#[test]
fn a_limit_that_a_key_names_is_for_such_keys_alone_and_each_has_a_bucket() {
    let config = good(&keyed(&format!(
        "{{name: a, hash: {SEARCH}, limits: [own]}}, {{name: b, hash: {OTHER}, limits: [own]}}, \
         {{name: c, hash: 'sha256:{}'}}",
        "0".repeat(64)
    )));
    let of = |name: Option<&str>| {
        let key = config
            .keys()
            .iter()
            .find(|key| Some(key.name.as_str()) == name);
        let asked = Asked {
            consumer: name,
            key,
            ..ASKED
        };
        charges(&config, asked)
    };
    let (a, b) = (of(Some("a")), of(Some("b")));
    assert_eq!((a[0].0.as_str(), a[1].0.as_str()), ("own", "all"));
    assert_ne!(a[0], b[0]);
    assert_eq!(a[1], b[1]);
    for other in [Some("c"), None] {
        let names: Vec<_> = of(other).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["all"], "{other:?}");
    }
    // The name alone is not enough: it may come from a header.
    let named = Asked {
        consumer: Some("a"),
        ..ASKED
    };
    assert_eq!(charges(&config, named).len(), 1);
}

#[test]
fn what_is_wrong_with_a_key_is_told_and_its_hash_is_not_shown() {
    for (keys, path, part) in [
        (format!("hash: {SEARCH}"), "name", "is missing"),
        ("name: a".to_owned(), "hash", "is missing"),
        (format!("name: 'a b', hash: {SEARCH}"), "name", "a space"),
        ("name: a, hash: mk-plain".to_owned(), "hash", "sha256sum"),
        (
            "name: a, hash: 'sha256:mk-plain'".to_owned(),
            "hash",
            "sha256sum",
        ),
        (format!("name: a, hash: '{SEARCH}0'"), "hash", "sha256sum"),
        ("name: a, hash: 5".to_owned(), "hash", "a text"),
        (
            format!("name: a, hash: {SEARCH}, models: [smrt]"),
            "models[0]",
            "did you mean `smart`?",
        ),
        (
            format!("name: a, hash: {SEARCH}, models: smart"),
            "models",
            "a list",
        ),
        (
            format!("name: a, hash: {SEARCH}, limits: [ownn]"),
            "limits[0]",
            "did you mean `own`?",
        ),
        (
            format!("name: a, hash: {SEARCH}, limits: [own, own]"),
            "limits[1]",
            "twice",
        ),
        (
            format!("name: a, hash: {SEARCH}, expires: 2030-01-01"),
            "expires",
            "is no time",
        ),
        (
            format!("name: a, hash: {SEARCH}, labels: {{a: [1]}}"),
            "labels.a",
            "a text",
        ),
        (
            format!("name: a, hash: {SEARCH}, key: mk-plain"),
            "key",
            "unknown key",
        ),
    ] {
        let problems = bad(&keyed(&format!("{{{keys}}}")));
        assert_eq!(problems.len(), 1, "{keys}: {problems:?}");
        assert_eq!(problems[0].path, format!("keys[0].{path}"));
        let text = problems[0].to_string();
        assert!(text.contains(part), "{keys}: {text}");
        assert!(
            !text.contains("mk-plain") && !text.contains("717604"),
            "{text}"
        );
    }
    let twice = format!("{{name: a, hash: {SEARCH}}}, {{name: a, hash: {SEARCH}}}");
    assert_eq!(paths(&keyed(&twice)), ["keys[1].name", "keys[1].hash"]);
    // A limit with a problem is not told of again.
    let broken = format!("limits: [{{name: own, unit: words, limit: 1, per: day}}]\nkeys: [{{name: a, hash: {SEARCH}, limits: [own]}}]");
    assert_eq!(paths(&with(&broken)), ["limits[0].unit"]);
}

#[test]
fn nothing_that_is_printed_holds_a_hash() {
    let config = good(&keyed(&format!("{{name: a, hash: {SEARCH}}}")));
    let printed = format!("{config:?} {}", config.redacted());
    let digits = SEARCH.trim_start_matches("sha256:");
    assert!(!printed.contains(digits), "{printed}");
    assert!(!printed.contains(&format!("{:?}", config.keys()[0].hash)));
    assert_eq!(config.redacted()["keys"][0]["name"], "a");
    assert!(good(SMALL).redacted()["keys"].is_null());
}

#[test]
fn a_key_that_has_expired_is_told_at_its_time() {
    let config = good(&keyed(&format!(
        "{{name: a, hash: {SEARCH}, expires: 2030-01-01T00:00:00Z}}"
    )));
    let end = 1_893_456_000;
    assert!(!config.keys()[0].is_expired(end - 1));
    assert!(config.keys()[0].is_expired(end));
    assert!(config.notices_at(end - 1).is_empty());
    let told = config.notices_at(end);
    assert_eq!(told[0].path, "keys[0].expires");
    assert_eq!(told[0].kind, NoticeKind::Warning);
}

#[test]
fn keys_that_open_nothing_or_reach_a_provider_are_told() {
    let none = good(&with("keys: []"));
    assert_eq!(told(&none), ["keys"]);
    assert!(none.needs_consumer() && none.keys().is_empty());
    assert!(!good(SMALL).needs_consumer());
    let passed = format!(
        "model_providers: [{{model: openai/x, passthrough_auth: true}}]\nkeys: [{{name: a, hash: {SEARCH}}}]\n"
    );
    let notices = good(&passed).notices;
    assert!(
        notices.iter().any(|notice| notice.path == "keys"),
        "{notices:?}"
    );
}

#[test]
fn who_the_consumer_is_comes_from_a_header_or_from_a_claim() {
    let of = |keys: &str| good(&format!("{SMALL}consumer: {{{keys}}}\n"));
    let header = of("header: X-User-Id");
    let wanted = ConsumerSource::Header("x-user-id".to_owned());
    assert_eq!((header.consumer(), header.claims()), (Some(&wanted), None));
    assert!(!header.needs_consumer());
    let claim = of("claim: jwt_payload.sub");
    assert_eq!(claim.claims(), Some("envoy.filters.http.jwt_authn"));
    let own = of("claim: sub, metadata: own.filter");
    assert_eq!(own.claims(), Some("own.filter"));
    for (keys, path) in [
        ("", "header"),
        ("metadata: a", "header"),
        ("header: a, claim: b", "claim"),
        ("header: a, metadata: b", "metadata"),
        ("header: x-meseta-a", "header"),
        ("header: 'a b'", "header"),
        ("claim: a.", "claim"),
        ("claim: a, metadata: ''", "metadata"),
        ("user: a, claim: b", "user"),
    ] {
        let found = paths(&format!("{SMALL}consumer: {{{keys}}}\n"));
        assert_eq!(found, [format!("consumer.{path}")], "{keys}");
    }
}

#[test]
fn consumers_of_limits_are_keys_unless_something_else_may_name_them() {
    let limits =
        "limits: [{name: one, unit: requests, limit: 1, per: day, match: {consumer: serch}}]";
    let keys = format!("keys: [{{name: search, hash: {SEARCH}}}]");
    let problems = bad(&with(&format!("{limits}\n{keys}")));
    assert_eq!(problems[0].path, "limits[0].match.consumer");
    assert_eq!(problems[0].hint.as_deref(), Some("did you mean `search`?"));
    good(&with(&format!("{limits}\n{keys}\nconsumer: {{header: x}}")));
}
