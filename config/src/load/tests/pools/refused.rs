//! What is refused, and why.

use super::*;

/// The one problem of a pool's keys: where it is below the pool, and what it says.
fn refused(keys: &str) -> (String, String) {
    let problems = bad(&document(keys));
    assert_eq!(problems.len(), 1, "{keys}: {problems:?}");
    let path = problems[0].path.strip_prefix("models.smart.").unwrap();
    (path.to_owned(), problems[0].to_string())
}

#[test]
fn what_is_wrong_with_a_name_with_several_targets_is_told() {
    let two = "targets: [ollama/a, ollama/b]";
    let one = "targets: [ollama/a]";
    for (keys, path, part) in [
        ("", "targets", "is missing"),
        ("targets: []", "targets", "no target"),
        ("targets: ollama/a", "targets", "must be a list"),
        ("targets: [5]", "targets[0]", "a text or a map"),
        ("targets: [{weight: 1}]", "targets[0].model", "is missing"),
        ("targets: [nobody/x]", "targets[0]", "no model"),
        (
            "targets: [openai/gpt-4]",
            "targets[0]",
            "did you mean `openai/gpt-4o`?",
        ),
        ("targets: [smart]", "targets[0]", "is a name of `models`"),
        ("targets: [ollama/a, ollama/a]", "targets[1]", "twice"),
        (
            "targets: [big, {model: openai/gpt-4o}]",
            "targets[1].model",
            "twice",
        ),
        (
            "targets: [{model: ollama/a, weight: 0}]",
            "targets[0].weight",
            "from 1",
        ),
        (
            "targets: [{model: ollama/a, weight: 1.5}]",
            "targets[0].weight",
            "whole number",
        ),
        (
            "targets: [{model: ollama/a, priority: -1}]",
            "targets[0].priority",
            "from 0",
        ),
        (
            "targets: [{model: ollama/a, context_window: 0}]",
            "targets[0].context_window",
            "at least 1",
        ),
        (
            &format!("{two}, select: cheapest"),
            "select",
            "needs the price table, which is not built yet",
        ),
        (&format!("{two}, select: best"), "select", "`fastest`"),
        (
            &format!("{two}, sticky: {{}}"),
            "sticky.header",
            "is missing",
        ),
        (
            &format!("{two}, sticky: {{consumer: true, header: x-a}}"),
            "sticky.consumer",
            "beside `header`",
        ),
        (
            &format!("{two}, sticky: {{header: 'x y'}}"),
            "sticky.header",
            "no name of a header",
        ),
        (
            &format!("{two}, sticky: {{header: X-Meseta-User}}"),
            "sticky.header",
            "taken off",
        ),
        (
            &format!("{one}, rules: [{{use: ollama/b}}]"),
            "rules[0].match",
            "is missing",
        ),
        (
            &format!("{one}, rules: [{{match: {{}}, use: ollama/b}}]"),
            "rules[0].match.header",
            "every request",
        ),
        (
            &format!("{one}, rules: [{{match: {{header: {{}}}}, use: ollama/b}}]"),
            "rules[0].match.header",
            "every request",
        ),
        (
            &format!("{one}, rules: [{{match: {{consumer: []}}, use: ollama/b}}]"),
            "rules[0].match.consumer",
            "names nobody",
        ),
        (
            &format!("{one}, rules: [{{match: {{header: {{a: 1, A: 2}}}}, use: ollama/b}}]"),
            "rules[0].match.header.A",
            "twice",
        ),
        (
            &format!("{one}, rules: [{{match: {{header: {{x-envoy-a: 1}}}}, use: ollama/b}}]"),
            "rules[0].match.header.x-envoy-a",
            "taken off",
        ),
        (
            &format!("{one}, rules: [{{match: {{header: {{a: ~}}}}, use: ollama/b}}]"),
            "rules[0].match.header.a",
            "a text",
        ),
        (
            &format!("{one}, rules: [{{match: {{header: {{a: 1}}}}}}]"),
            "rules[0].use",
            "is missing",
        ),
        (
            &format!("{one}, rules: [{{match: {{header: {{a: 1}}}}, use: smrt}}]"),
            "rules[0].use",
            "did you mean `smart`?",
        ),
        (
            &format!("{one}, mirror: {{model: ollama/b}}"),
            "mirror.percent",
            "is missing",
        ),
        (
            &format!("{one}, mirror: {{percent: 1}}"),
            "mirror.model",
            "is missing",
        ),
        (
            &format!("{one}, mirror: {{model: smart, percent: 1}}"),
            "mirror.model",
            "a name of `models`",
        ),
        (
            &format!("{one}, mirror: {{model: ollama/b, percent: 0}}"),
            "mirror.percent",
            "copies nothing",
        ),
        (
            &format!("{one}, mirror: {{model: ollama/b, percent: 101%}}"),
            "mirror.percent",
            "0 to 100",
        ),
        (&format!("{one}, path: envoy"), "path", "`relay`"),
        (&format!("{two}, path: direct"), "path", "several targets"),
        (
            &format!("{one}, path: direct, timeout: {{idle: 1s}}"),
            "path",
            "`timeout`",
        ),
        (
            &format!("{two}, failover: {{on: [600]}}"),
            "failover.on[0]",
            "400 to 599",
        ),
        (
            &format!("{two}, failover: {{on: [3xx]}}"),
            "failover.on[0]",
            "`context_length`",
        ),
        (
            &format!("{two}, failover: {{on: 5xx}}"),
            "failover.on",
            "a list",
        ),
        (
            &format!("{two}, failover: {{max_attempts: 0}}"),
            "failover.max_attempts",
            "1 to 10",
        ),
        (
            &format!("{two}, failover: {{max_attempts: 11}}"),
            "failover.max_attempts",
            "1 to 10",
        ),
        (
            &format!("{two}, failover: {{retry_budget: '-1%'}}"),
            "failover.retry_budget",
            "0 to 100",
        ),
        (
            &format!("{two}, failover: {{retry_budget: '1e1'}}"),
            "failover.retry_budget",
            "0 to 100",
        ),
        (
            &format!("{two}, failover: {{cooldown: {{failures: 0}}}}"),
            "failover.cooldown.failures",
            "from 1",
        ),
        (
            &format!("{two}, failover: {{cooldown: {{error_rate: 0%}}}}"),
            "failover.cooldown.error_rate",
            "zero",
        ),
        (
            &format!("{two}, failover: {{cooldown: {{first: 0s}}}}"),
            "failover.cooldown.first",
            "zero",
        ),
        (
            &format!("{two}, failover: {{cooldown: {{first: 2s, longest: 1s}}}}"),
            "failover.cooldown.longest",
            "shorter",
        ),
        (
            &format!("{two}, timeout: {{headers: 0s}}"),
            "timeout.headers",
            "zero",
        ),
        (
            &format!("{two}, timeout: {{first_token: 0s}}"),
            "timeout.first_token",
            "zero",
        ),
        (
            &format!("{two}, timeout: {{total: 5}}"),
            "timeout.total",
            "duration",
        ),
        (&format!("{two}, hedge_after: p49"), "hedge_after", "`p50`"),
        (&format!("{two}, hedge_after: p100"), "hedge_after", "`p50`"),
        (&format!("{two}, hedge_after: 0s"), "hedge_after", "zero"),
        (
            &format!("{one}, hedge_after: 1s"),
            "hedge_after",
            "second target",
        ),
        (&format!("{one}, resume: true"), "resume", "second target"),
        (
            &format!("{two}, targts: []"),
            "targts",
            "did you mean `targets`?",
        ),
    ] {
        let (found, text) = refused(keys);
        assert_eq!(found, path, "{keys}: {text}");
        assert!(text.contains(part), "{keys}: {text}");
    }
}

#[test]
fn every_problem_of_a_name_with_several_targets_is_found_at_once() {
    let keys = "targets: [ollama/a, ollama/a], select: cheapest, path: direct, \
                mirror: {model: nobody/x}, hedge_after: soon";
    assert_eq!(
        paths(&document(keys)),
        [
            "models.smart.targets[1]",
            "models.smart.select",
            "models.smart.path",
            "models.smart.mirror.percent",
            "models.smart.mirror.model",
            "models.smart.hedge_after",
        ]
    );
}

#[test]
fn names_that_cannot_be_or_that_mean_two_things_are_refused() {
    let long = "x".repeat(101);
    for name in ["''", "'a b'", "\"a\\tb\"", long.as_str()] {
        let text = format!("{PROVIDERS}models: {{{name}: {{targets: [ollama/a]}}}}\n");
        assert_eq!(bad(&text).len(), 1, "{name}");
    }
    let alias = format!(
        "{PROVIDERS}models: {{a: {{targets: [ollama/a]}}}}\nmodel_aliases: {{a: {{target: ollama/b}}}}\n"
    );
    assert_eq!(paths(&alias), ["models.a"]);
    let defaults = format!(
        "{SMALL}models: {{a: {{targets: [gpt-4o], default: true}}, b: {{targets: [gpt-4o]}}}}\n"
    );
    assert_eq!(paths(&defaults), ["models.a.default"]);
    let twice = format!(
        "{PROVIDERS}models: {{a: {{targets: [big], default: true}}, b: {{targets: [big], default: true}}}}\n"
    );
    assert_eq!(paths(&twice), ["models.b.default"]);
    let through = format!(
        "{PROVIDERS}models: {{a: {{targets: [c]}}, b: {{targets: [big]}}}}\nmodel_aliases: {{c: {{target: b}}}}\n"
    );
    let problem = &bad(&through)[0];
    assert_eq!(problem.path, "models.a.targets[0]");
    assert!(problem.reason.contains("leads to `b`"), "{problem}");
}
