//! Plano's form.

use super::*;

fn config(entries: &str) -> Config {
    good(&with(&format!("ratelimits: [{entries}]")))
}

const AMOUNT: &str = "limit: {tokens: 100, unit: hour}";

/// The names of the limits that a request with this `x-user` falls under, and whose buckets.
fn of(config: &Config, model: &str, user: &str) -> Vec<(String, u64)> {
    let asked = Asked {
        model,
        header: Some(("x-user", user)),
        ..ASKED
    };
    charges(config, asked)
}

#[test]
fn planos_ratelimits_count_prompt_tokens_and_have_the_names_of_their_places() {
    let config = config(
        "{model: openai/gpt-4o, selector: {key: X-User, value: a}, limit: {tokens: 100, unit: day}},
         {model: gpt-4o, selector: {key: x-user, value: 5}, limit: {tokens: 7, unit: second}}",
    );
    let rules = "v1 ratelimits-0=input_tokens:100/day ratelimits-1=input_tokens:7/second";
    assert_eq!(config.rules().to_string(), rules);
    assert_eq!(told(&config), [""; 0]);
    assert_eq!(of(&config, "openai/gpt-4o", "a")[0].0, "ratelimits-0");
    for model in ["openai/gpt-4o", "openrouter/gpt-4o", "ollama/gpt-4o"] {
        assert_eq!(of(&config, model, "5")[0].0, "ratelimits-1", "{model}");
    }
    assert_eq!(of(&config, "openrouter/gpt-4o", "a"), []);
    assert_eq!(of(&config, "openai/gpt-4o", "other"), []);
    assert_eq!(charges(&config, ASKED), []);
}

#[test]
fn any_value_has_a_bucket_of_its_own_unless_an_entry_is_for_this_very_one() {
    let config = config(&format!(
        "{{model: gpt-4o, selector: {{key: x-user, value: '*'}}, {AMOUNT}}},
         {{model: openai/gpt-4o, selector: {{key: x-user, value: vip}}, {AMOUNT}}},
         {{model: '*', selector: {{key: x-team}}, {AMOUNT}}}",
    ));
    let (a, b) = (
        of(&config, "openai/gpt-4o", "a"),
        of(&config, "openai/gpt-4o", "b"),
    );
    assert_eq!(a[0].0, "ratelimits-0");
    assert_ne!(a, b);
    let vip = of(&config, "openai/gpt-4o", "vip");
    assert_eq!((vip.len(), vip[0].0.as_str()), (1, "ratelimits-1"));
    // Of another provider's model the entry says nothing.
    let other = of(&config, "openrouter/gpt-4o", "vip");
    assert_eq!((other.len(), other[0].0.as_str()), (1, "ratelimits-0"));
    let asked = Asked {
        header: Some(("x-team", "t")),
        ..ASKED
    };
    assert_eq!(charges(&config, asked)[0].0, "ratelimits-2");
}

#[test]
fn a_second_entry_for_the_same_has_no_effect_and_an_unknown_model_is_told() {
    let config = config(&format!(
        "{{model: big, selector: {{key: x-user, value: a}}, {AMOUNT}}},
         {{model: openai/gpt-4o, selector: {{key: X-USER, value: a}}, {AMOUNT}}},
         {{model: openai/gpt-5, selector: {{key: x-user}}, {AMOUNT}}},
         {{model: anything, selector: {{key: x-user}}, {AMOUNT}}}",
    ));
    assert_eq!(told(&config), ["ratelimits[1]", "ratelimits[2].model"]);
    let names: Vec<_> = config
        .rules()
        .iter()
        .map(|r| r.name().to_string())
        .collect();
    assert_eq!(names, ["ratelimits-0", "ratelimits-2", "ratelimits-3"]);
    assert_eq!(of(&config, "ollama/anything", "a").len(), 1);
}

#[test]
fn what_is_wrong_with_a_ratelimit_is_told() {
    let selector = "selector: {key: x-user}";
    for (entry, path, part) in [
        (format!("{selector}, {AMOUNT}"), "model", "is missing"),
        (format!("model: gpt-4o, {AMOUNT}"), "selector", "is missing"),
        (format!("model: gpt-4o, {selector}"), "limit", "is missing"),
        (
            format!("model: gpt-4o, selector: {{value: a}}, {AMOUNT}"),
            "selector.key",
            "is missing",
        ),
        (
            format!("model: gpt-4o, selector: {{key: x-meseta-a}}, {AMOUNT}"),
            "selector.key",
            "taken off",
        ),
        (
            format!("model: gpt-4o, selector: {{key: a, value: é}}, {AMOUNT}"),
            "selector.value",
            "no value",
        ),
        (
            format!("model: gpt-4o, {selector}, limit: {{tokens: 0, unit: hour}}"),
            "limit.tokens",
            "above zero",
        ),
        (
            format!("model: gpt-4o, {selector}, limit: {{tokens: 1, unit: month}}"),
            "limit.unit",
            "`day`",
        ),
        (
            format!("modle: gpt-4o, model: gpt-4o, {selector}, {AMOUNT}"),
            "modle",
            "unknown key",
        ),
    ] {
        let problems = bad(&with(&format!("ratelimits: [{{{entry}}}]")));
        assert_eq!(problems.len(), 1, "{entry}: {problems:?}");
        assert_eq!(problems[0].path, format!("ratelimits[0].{path}"));
        assert!(problems[0].to_string().contains(part), "{}", problems[0]);
        assert!(!problems[0].to_string().contains('é'), "{}", problems[0]);
    }
    let taken = format!(
        "limits: [{{name: ratelimits-0, unit: requests, limit: 1, per: day}}]\n\
         ratelimits: [{{model: gpt-4o, {selector}, {AMOUNT}}}]"
    );
    assert_eq!(paths(&with(&taken)), ["ratelimits[0]"]);
}
