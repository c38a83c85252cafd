//! Targets as a table for people.

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;

use crate::columns;

/// What a server tells of its targets, as far as it is shown.
#[derive(Debug, Deserialize)]
pub struct Listed {
    pools: Vec<Pool>,
    targets: Vec<Health>,
}

#[derive(Debug, Deserialize)]
struct Pool {
    name: String,
    path: String,
    targets: Vec<Seat>,
}

#[derive(Debug, Deserialize)]
struct Seat {
    target: String,
    priority: u32,
    weight: u32,
}

#[derive(Debug, Deserialize)]
struct Health {
    target: String,
    pools: Vec<String>,
    state: String,
    in_flight: u32,
    failures: u64,
    consecutive_failures: u32,
    error_rate: Option<f64>,
    first_token_ms: FirstToken,
    cooldown_remaining_s: Option<f64>,
    last_failure: Option<String>,
}

#[derive(Debug, Deserialize)]
struct FirstToken {
    mean: Option<f64>,
    p95: Option<f64>,
}

impl Listed {
    /// From what the admin port answers.
    pub fn read(answer: &Value) -> Result<Self> {
        Self::deserialize(answer)
            .context("the server's admin port tells of targets in a form that is not known")
    }
}

const HEADINGS: [&str; 12] = [
    "POOL",
    "TARGET",
    "PRIORITY",
    "WEIGHT",
    "STATE",
    "IN FLIGHT",
    "FAILURES",
    "ERROR RATE",
    "FIRST TOKEN",
    "P95",
    "COOL-DOWN",
    "LAST FAILURE",
];
/// What is not known, or does not apply.
const NONE: &str = "-";

type Row = [String; HEADINGS.len()];

/// A line for each target of each pool, then one for each that is in none.
pub fn of(listed: &Listed) -> String {
    let mut rows = vec![HEADINGS.map(str::to_owned)];
    for pool in &listed.pools {
        let name = match pool.path.as_str() {
            "direct" => format!("{} (direct)", pool.name),
            _ => pool.name.clone(),
        };
        for seat in &pool.targets {
            let health = listed.targets.iter().find(|own| own.target == seat.target);
            rows.extend(health.map(|health| row(&name, Some(seat), health)));
        }
    }
    let others = listed.targets.iter().filter(|own| own.pools.is_empty());
    rows.extend(others.map(|health| row(NONE, None, health)));
    if rows.len() == 1 {
        return "no pool is configured, and the server has called no target yet\n".to_owned();
    }
    columns::of(&rows)
}

fn row(pool: &str, seat: Option<&Seat>, health: &Health) -> Row {
    let or_none = |text: Option<String>| text.unwrap_or_else(|| NONE.to_owned());
    let in_a_row = match health.consecutive_failures {
        0 => String::new(),
        count => format!(" ({count} in a row)"),
    };
    [
        pool.to_owned(),
        health.target.clone(),
        or_none(seat.map(|seat| seat.priority.to_string())),
        or_none(seat.map(|seat| seat.weight.to_string())),
        health.state.replace('_', " "),
        health.in_flight.to_string(),
        format!("{}{in_a_row}", health.failures),
        or_none(
            health
                .error_rate
                .map(|rate| format!("{:.0}%", rate * 100.0)),
        ),
        or_none(health.first_token_ms.mean.map(time)),
        or_none(health.first_token_ms.p95.map(time)),
        or_none(
            health
                .cooldown_remaining_s
                .map(|left| format!("{:.0}s", left.ceil())),
        ),
        or_none(health.last_failure.clone()),
    ]
}

/// Milliseconds below ten seconds, seconds above.
fn time(millis: f64) -> String {
    if millis < 10_000.0 {
        format!("{millis:.0}ms")
    } else {
        format!("{:.1}s", millis / 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_target_has_a_line_in_each_pool_and_one_without_a_pool_comes_last() {
        let health = |target: &str, pools: &[&str]| {
            json!({
                "target": target, "pools": pools, "state": "ready", "drained": false, "in_flight": 0,
                "consecutive_failures": 0, "successes": 0, "failures": 0, "error_rate": null,
                "first_token_ms": {"mean": null, "p95": null}, "cooldown_remaining_s": null,
                "last_failure": null,
            })
        };
        let mut ill = health("a/x", &["one", "two"]);
        ill["state"] = json!("cooling_down");
        ill["failures"] = json!(4);
        ill["consecutive_failures"] = json!(3);
        ill["error_rate"] = json!(0.571);
        ill["first_token_ms"] = json!({"mean": 412.345, "p95": 12_345.6});
        ill["cooldown_remaining_s"] = json!(8.2);
        ill["last_failure"] = json!("connect");
        let answer = json!({
            "pools": [
                {"name": "one", "path": "relay", "select": "weighted", "targets": [
                    {"target": "a/x", "priority": 1, "weight": 3},
                    {"target": "b/y", "priority": 2, "weight": 1},
                ]},
                {"name": "two", "path": "direct", "select": "weighted", "targets": [
                    {"target": "a/x", "priority": 1, "weight": 1},
                ]},
            ],
            "targets": [health("c/alone", &[]), ill, health("b/y", &["one"])],
        });
        let expected = "\
POOL          TARGET   PRIORITY  WEIGHT  STATE         IN FLIGHT  FAILURES        ERROR RATE  FIRST TOKEN  P95    COOL-DOWN  LAST FAILURE
one           a/x      1         3       cooling down  0          4 (3 in a row)  57%         412ms        12.3s  9s         connect
one           b/y      2         1       ready         0          0               -           -            -      -          -
two (direct)  a/x      1         1       cooling down  0          4 (3 in a row)  57%         412ms        12.3s  9s         connect
-             c/alone  -         -       ready         0          0               -           -            -      -          -
";
        assert_eq!(of(&Listed::read(&answer).unwrap()), expected);
    }

    #[test]
    fn without_targets_there_is_a_sentence_and_no_table() {
        let listed = Listed::read(&json!({"pools": [], "targets": []})).unwrap();
        assert!(of(&listed).starts_with("no pool is configured"));
        assert!(Listed::read(&json!({"pools": []})).is_err());
    }
}
