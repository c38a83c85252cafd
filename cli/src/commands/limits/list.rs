//! Limits as a table for people.

use meseta_config::{Config, Limit, LimitField, Pattern};

use crate::columns;

/// What does not apply.
const NONE: &str = "-";

/// A line for each limit of a configuration, in its order.
pub fn of(config: &Config) -> String {
    if config.limits().is_empty() {
        return "there are no `limits`: nothing is limited\n".to_owned();
    }
    let headings = ["NAME", "UNIT", "LIMIT", "PER", "BURST", "FOR"];
    let mut rows = vec![headings.map(str::to_owned)];
    for limit in config.limits() {
        let rule = &limit.rule;
        rows.push([
            rule.name().to_string(),
            rule.unit().as_str().replace('_', " "),
            rule.limit().to_string(),
            rule.per().as_str().to_owned(),
            rule.burst()
                .map_or_else(|| NONE.to_owned(), |burst| burst.to_string()),
            meant(config, limit),
        ]);
    }
    columns::of(&rows)
}

/// The requests that a limit is for, in words. The values of headers and claims may be secret.
fn meant(config: &Config, limit: &Limit) -> String {
    let mut parts = Vec::new();
    if limit.by_key {
        let keys = config.keys().iter();
        let keys = keys.filter(|key| key.limits.contains(limit.rule.name()));
        let names: Vec<&str> = keys.map(|key| key.name.as_str()).collect();
        parts.push(format!("key {}", names.join("|")));
    }
    let when = &limit.when;
    for (part, wanted) in [
        ("consumer", &when.consumer),
        ("model", &when.model),
        ("provider", &when.provider),
        ("listener", &when.listener),
    ] {
        if let Some(wanted) = wanted {
            let names: Vec<&str> = wanted.iter().map(Pattern::as_str).collect();
            parts.push(format!("{part} {}", names.join("|")));
        }
    }
    for (part, field) in [("header", &when.header), ("claim", &when.claim)] {
        if let Some(LimitField { name, value }) = field {
            parts.push(match value {
                Some(_) => format!("{part} {name} with one value"),
                None => format!("{part} {name}, each value by itself"),
            });
        }
    }
    match parts.is_empty() {
        true => "all".to_owned(),
        false => parts.join("; "),
    }
}
