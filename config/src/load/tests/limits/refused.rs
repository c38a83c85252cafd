//! What is refused, and why.

use super::*;

/// The one problem of a limit's keys: where it is below the limit, and what it says.
fn refused(keys: &str) -> (String, String) {
    let problems = bad(&with(&format!("limits: [{{{keys}}}]")));
    assert_eq!(problems.len(), 1, "{keys}: {problems:?}");
    let path = problems[0].path.strip_prefix("limits[0]").unwrap();
    (path.to_owned(), problems[0].to_string())
}

#[test]
fn what_is_wrong_with_a_limit_is_told() {
    for (keys, path, part) in [
        ("unit: tokens, limit: 1, per: day", "name", "is missing"),
        ("name: a, limit: 1, per: day", "unit", "is missing"),
        ("name: a, unit: tokens, per: day", "limit", "is missing"),
        ("name: a, unit: tokens, limit: 1", "per", "is missing"),
        ("name: A, unit: tokens, limit: 1, per: day", "name", "a-z"),
        (
            "name: 5, unit: tokens, limit: 1, per: day",
            "name",
            "a text",
        ),
        (
            "name: a, unit: cost, limit: 1, per: day",
            "unit",
            "needs the price table, which is not built yet",
        ),
        (
            "name: a, unit: words, limit: 1, per: day",
            "unit",
            "`tokens`",
        ),
        (
            "name: a, unit: tokens, limit: 0, per: day",
            "limit",
            "above zero",
        ),
        (
            "name: a, unit: tokens, limit: 1.5, per: day",
            "limit",
            "whole",
        ),
        (
            "name: a, unit: tokens, limit: '5', per: day",
            "limit",
            "not a text",
        ),
        ("name: a, unit: tokens, limit: 1, per: week", "per", "month"),
        (
            "name: a, unit: tokens, limit: 1, per: hour, burst: 0",
            "burst",
            "above zero",
        ),
        (
            "name: a, unit: tokens, limit: 1, per: day, burst: 5",
            "burst",
            "no bucket",
        ),
        (
            "name: a, unit: tokens, limit: 1, per: hour, burst: 1000000",
            "burst",
            "more than a year",
        ),
        (
            "name: a, unit: tokens, limit: 1, per: day, brst: 5",
            "brst",
            "`burst`",
        ),
    ] {
        let (found, text) = refused(keys);
        assert_eq!(found, format!(".{path}"), "{keys}");
        assert!(text.contains(part), "{keys}: {text}");
    }
}

#[test]
fn what_is_wrong_with_a_match_is_told_without_the_values_of_headers() {
    for (keys, path, part) in [
        (
            "model: openai/gpt-4",
            "model",
            "did you mean `openai/gpt-4o`?",
        ),
        ("model: [smart, nobody/x]", "model[1]", "no model"),
        ("model: []", "model", "lists nothing"),
        ("model: [smart, 5]", "model[1]", "a text"),
        ("model: 5", "model", "a text or a list"),
        ("provider: olama", "provider", "did you mean `ollama`?"),
        ("provider: 'x*'", "provider", "is not a provider"),
        ("listener: front", "listener", "a model listener"),
        ("header: 'x y'", "header", "no name of a header"),
        ("header: X-Envoy-A", "header", "taken off"),
        ("header: {}", "header", "one name"),
        ("header: {a: 1, b: 2}", "header", "one name"),
        ("header: [a]", "header", "not a list"),
        ("header: {a: ~}", "header.a", "a text"),
        ("header: {a: hidden é}", "header.a", "no value"),
        ("header: {a: ' '}", "header.a", "is empty"),
        ("claim: a..b", "claim", "no path"),
        ("claim: {'a.': hidden}", "claim.a.", "no path"),
        ("header: a, claim: b", "claim", "keep one"),
        ("heder: a", "heder", "did you mean `header`?"),
    ] {
        let keys = format!("name: a, unit: tokens, limit: 1, per: day, match: {{{keys}}}");
        let (found, text) = refused(&keys);
        assert_eq!(found, format!(".match.{path}"), "{keys}");
        assert!(text.contains(part), "{keys}: {text}");
        assert!(!text.contains("hidden"), "{text}");
    }
}

#[test]
fn two_limits_have_two_names_and_all_problems_are_told_at_once() {
    let problems = paths(&with(
        "limits: [{name: a, unit: x, per: y}, {name: a, unit: tokens, limit: 1, per: day}, 5]",
    ));
    assert_eq!(
        problems,
        [
            "limits[0].limit",
            "limits[0].unit",
            "limits[0].per",
            "limits[1].name",
            "limits[2]"
        ]
    );
    let many: String = (0..4097)
        .map(|i| format!("{{name: l{i}, unit: requests, limit: 1, per: day, match: {{model: ollama/m{i}}}}},"))
        .collect();
    assert_eq!(paths(&with(&format!("limits: [{many}]"))), ["limits"]);
}

#[test]
fn a_pattern_that_fits_nothing_and_a_consumer_that_nobody_names_are_told() {
    for (when, path) in [("model: 'opnai/*'", "model"), ("consumer: a", "consumer")] {
        let config = limited(&format!("match: {{{when}}}"));
        let path = format!("limits[0].match.{path}");
        assert_eq!(told(&config), [path]);
    }
    for model in ["ollama/x*", "*", "fa*", "o*/gpt-4o"] {
        let config = limited(&format!("match: {{model: '{model}'}}"));
        assert_eq!(told(&config), [""; 0], "{model}");
    }
}
