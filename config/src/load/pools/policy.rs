//! How the targets of a pool are called: `path`, `failover`, `timeout`, `hedge_after`, `resume`.

use std::time::Duration;

use super::super::document::{Map, Node};
use super::super::findings::Findings;
use super::super::schema;
use crate::pool::{Conditions, Cooldown, Failover, Hedge, Policy, Timeouts, UpstreamPath};
use crate::schema::{COOLDOWN, FAILOVER, TIMEOUT};
use crate::units::parse_duration;

/// What `max_attempts` may be.
const ATTEMPTS: std::ops::RangeInclusive<u32> = 1..=10;
/// What `failures` of a cool-down may be.
const FAILURES: std::ops::RangeInclusive<u32> = 1..=1000;
/// The statuses that may be failures.
const STATUSES: std::ops::RangeInclusive<u16> = 400..=599;

/// Reads the policy of a pool with so many targets; `None` when they are not known.
pub(super) fn read(map: &Map<'_>, targets: Option<usize>, findings: &mut Findings<'_>) -> Policy {
    let mut policy = Policy::default();
    if let Some(node) = map.get("path") {
        policy.path = node.parsed(findings, path);
    }
    if let Some(node) = map.get("failover") {
        policy.failover = failover(&node, findings);
    }
    if let Some(node) = map.get("timeout") {
        policy.timeout = timeouts(&node, findings);
    }
    if let Some(node) = map.get("hedge_after") {
        policy.hedge = node.parsed(findings, hedge);
    }
    if let Some(node) = map.get("resume") {
        policy.resume = node.flag(findings).unwrap_or(false);
    }
    if targets == Some(1) {
        for (key, is_set) in [
            ("hedge_after", policy.hedge.is_some()),
            ("resume", policy.resume),
        ] {
            if let (Some(node), true) = (map.get(key), is_set) {
                let hint = "add one to `targets`, or take it out";
                findings.problem_with(&node, "needs a second target", hint);
            }
        }
    }
    if let (Some(node), Some(UpstreamPath::Direct)) = (map.get("path"), policy.path) {
        check_direct(&node, map, targets, &policy, findings);
    }
    policy
}

fn path(text: &str) -> Result<UpstreamPath, &'static str> {
    match text {
        "direct" => Ok(UpstreamPath::Direct),
        "relay" => Ok(UpstreamPath::Relay),
        _ => Err("is no path: write `direct` or `relay`"),
    }
}

/// Envoy sends a request once and to one target.
fn check_direct(
    node: &Node<'_>,
    map: &Map<'_>,
    targets: Option<usize>,
    policy: &Policy,
    findings: &mut Findings<'_>,
) {
    let timeout = policy.timeout != Timeouts::default();
    let relayed: Vec<&str> = [
        (targets.is_some_and(|count| count > 1), "several targets"),
        (map.get("failover").is_some(), "`failover`"),
        (timeout, "`timeout`"),
        (policy.hedge.is_some(), "`hedge_after`"),
        (policy.resume, "`resume`"),
    ]
    .into_iter()
    .filter_map(|(is_set, name)| is_set.then_some(name))
    .collect();
    if !relayed.is_empty() {
        let reason = format!(
            "is not enough for {}: Envoy sends a request once, to one target",
            relayed.join(", ")
        );
        findings.problem_with(node, reason, "write `path: relay`, or leave it out");
    }
}

fn failover(node: &Node<'_>, findings: &mut Findings<'_>) -> Failover {
    let mut failover = Failover::default();
    let Some(map) = node.map(findings) else {
        return failover;
    };
    schema::check(&map, &FAILOVER, findings);
    if let Some(node) = map.get("on") {
        failover.on = conditions(&node, findings);
    }
    if let Some(node) = map.get("max_attempts") {
        let attempts = node.whole(ATTEMPTS, findings);
        failover.max_attempts = attempts.unwrap_or(failover.max_attempts);
    }
    if let Some(node) = map.get("retry_budget") {
        let budget = node.share(findings);
        failover.retry_budget = budget.unwrap_or(failover.retry_budget);
    }
    if let Some(node) = map.get("cooldown") {
        failover.cooldown = cooldown(&node, findings);
    }
    failover
}

/// What is listed, and nothing else.
fn conditions(node: &Node<'_>, findings: &mut Findings<'_>) -> Conditions {
    let mut on = Conditions {
        statuses: Vec::new(),
        connect: false,
        reset: false,
        headers_timeout: false,
        first_token_timeout: false,
        idle_timeout: false,
        bad_answer: false,
        context_length: false,
        content_filter: false,
    };
    for item in node.list(findings).unwrap_or_default() {
        item.parsed(findings, |text| condition(text, &mut on));
    }
    on.statuses.sort_unstable();
    on.statuses.dedup();
    on
}

fn condition(text: &str, on: &mut Conditions) -> Result<(), String> {
    let flag = match text {
        "connect" => &mut on.connect,
        "reset" => &mut on.reset,
        "headers_timeout" => &mut on.headers_timeout,
        "first_token_timeout" => &mut on.first_token_timeout,
        "idle_timeout" => &mut on.idle_timeout,
        "bad_answer" => &mut on.bad_answer,
        "context_length" => &mut on.context_length,
        "content_filter" => &mut on.content_filter,
        "4xx" => {
            on.statuses.extend(400..=499);
            return Ok(());
        }
        "5xx" => {
            on.statuses.extend(500..=599);
            return Ok(());
        }
        text => {
            let digits = text.chars().all(|c| c.is_ascii_digit());
            let status = text.parse().ok().filter(|status| STATUSES.contains(status));
            return match status.filter(|_| digits && text.len() == 3) {
                Some(status) => {
                    on.statuses.push(status);
                    Ok(())
                }
                None if digits => Err("is no status from 400 to 599".to_owned()),
                None => Err(format!(
                    "is no failure: write a status from 400 to 599, `4xx`, `5xx`, {}",
                    listed()
                )),
            };
        }
    };
    *flag = true;
    Ok(())
}

fn listed() -> String {
    let names = crate::schema::CONDITIONS.iter();
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

fn cooldown(node: &Node<'_>, findings: &mut Findings<'_>) -> Cooldown {
    let mut cooldown = Cooldown::default();
    let Some(map) = node.map(findings) else {
        return cooldown;
    };
    schema::check(&map, &COOLDOWN, findings);
    if let Some(node) = map.get("failures") {
        let failures = node.whole(FAILURES, findings);
        cooldown.failures = failures.unwrap_or(cooldown.failures);
    }
    if let Some(node) = map.get("error_rate") {
        let rate = node.share(findings);
        if rate == Some(0.0) {
            findings.problem(&node, "must not be zero: no target would ever be tried");
        }
        cooldown.error_rate = rate.unwrap_or(cooldown.error_rate);
    }
    let first = duration(&map, "first", findings);
    let longest = duration(&map, "longest", findings);
    let default = Cooldown::default();
    match (first, longest) {
        (Some(first), Some(longest)) if longest < first => {
            if let Some(node) = map.get("longest") {
                findings.problem(&node, "is shorter than `first`");
            }
        }
        // What is not said gives way to what is.
        (first, longest) => {
            let bound = longest.unwrap_or(default.first);
            cooldown.first = first.unwrap_or(default.first.min(bound));
            cooldown.longest = longest.unwrap_or(default.longest.max(cooldown.first));
        }
    }
    cooldown
}

fn timeouts(node: &Node<'_>, findings: &mut Findings<'_>) -> Timeouts {
    let Some(map) = node.map(findings) else {
        return Timeouts::default();
    };
    schema::check(&map, &TIMEOUT, findings);
    Timeouts {
        headers: duration(&map, "headers", findings),
        first_token: duration(&map, "first_token", findings),
        idle: duration(&map, "idle", findings),
        total: duration(&map, "total", findings),
    }
}

/// A duration that is not zero.
fn duration(map: &Map<'_>, key: &str, findings: &mut Findings<'_>) -> Option<Duration> {
    let node = map.get(key)?;
    let duration = node.parsed(findings, parse_duration)?;
    if duration.is_zero() {
        findings.problem(&node, "must not be zero");
        return None;
    }
    Some(duration)
}

fn hedge(text: &str) -> Result<Hedge, &'static str> {
    const WANTED: &str = "is neither a duration, for example `2s`, nor `p50` to `p99`";
    if let Some(percentile) = text.strip_prefix('p') {
        let digits = percentile.len() == 2 && percentile.chars().all(|c| c.is_ascii_digit());
        let percentile = percentile.parse().ok().filter(|p| *p >= 50 && digits);
        return percentile.map(Hedge::Percentile).ok_or(WANTED);
    }
    match parse_duration(text) {
        Ok(duration) if duration.is_zero() => Err("must not be zero"),
        Ok(duration) => Ok(Hedge::After(duration)),
        Err(_) => Err(WANTED),
    }
}
