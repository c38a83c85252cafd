//! Where a request stands with its limits, as a table for people.

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;

use crate::columns;

/// What a server tells of a request, as far as it is shown.
#[derive(Debug, Deserialize)]
pub struct Explained {
    refused: Option<String>,
    cases: Vec<Case>,
}

#[derive(Debug, Deserialize)]
struct Case {
    targets: Vec<String>,
    rules: Vec<Rule>,
    no_figures: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Rule {
    rule: String,
    unit: String,
    limit: u64,
    per: String,
    burst: Option<u64>,
    matches: bool,
    reasons: Vec<Reason>,
    subject: Option<Subject>,
    remaining: Option<u64>,
    resets_s: Option<f64>,
}

#[derive(Debug, Deserialize)]
struct Reason {
    part: String,
    text: String,
}

#[derive(Debug, Deserialize)]
struct Subject {
    kind: String,
    value: String,
}

const HEADINGS: [&str; 8] = [
    "LIMIT",
    "ALLOWED",
    "PER",
    "BURST",
    "LEFT",
    "ALL LEFT IN",
    "WHOSE",
    "WHY NOT",
];
/// What is not known, or does not apply.
const NONE: &str = "-";

impl Explained {
    /// From what the admin port answers.
    pub fn read(answer: &Value) -> Result<Self> {
        Self::deserialize(answer)
            .context("the server's admin port tells of limits in a form that is not known")
    }

    /// A table for each group of targets that differ in nothing.
    pub fn table(&self) -> String {
        let mut text = String::new();
        for case in &self.cases {
            if self.cases.len() > 1 {
                let gap = if text.is_empty() { "" } else { "\n" };
                text.push_str(&format!("{gap}served by {}:\n", case.targets.join(", ")));
            }
            if case.rules.is_empty() {
                text.push_str("there are no `limits`: nothing is limited\n");
                continue;
            }
            let mut rows = vec![HEADINGS.map(str::to_owned)];
            rows.extend(case.rules.iter().map(Rule::row));
            text.push_str(&columns::of(&rows));
        }
        text
    }

    /// What there is to say besides, each thing once.
    pub fn warnings(&self) -> Vec<String> {
        let refused = self.refused.iter();
        let mut warnings: Vec<String> = refused
            .map(|why| format!("such a request is refused before any limit: {why}"))
            .collect();
        for why in self
            .cases
            .iter()
            .filter_map(|case| case.no_figures.as_ref())
        {
            let warning = format!("what is left is not known: {why}");
            if !warnings.contains(&warning) {
                warnings.push(warning);
            }
        }
        warnings
    }
}

impl Rule {
    fn row(&self) -> [String; HEADINGS.len()] {
        let or_none = |text: Option<String>| text.unwrap_or_else(|| NONE.to_owned());
        let subject = self.subject.as_ref().map(|own| match own.kind.as_str() {
            "all" => "everybody's".to_owned(),
            kind => format!("{kind} {}", own.value),
        });
        let reasons = self.reasons.iter();
        let reasons: Vec<String> = reasons
            .map(|reason| format!("{}: {}", reason.part, reason.text))
            .collect();
        let unit = self.unit.replace('_', " ");
        [
            self.rule.clone(),
            format!("{} {unit}", self.limit),
            self.per.clone(),
            or_none(self.burst.map(|burst| burst.to_string())),
            or_none(self.remaining.map(|left| left.to_string())),
            or_none(self.resets_s.map(time)),
            or_none(subject),
            match self.matches {
                true => NONE.to_owned(),
                false => reasons.join("; "),
            },
        ]
    }
}

/// Seconds, or hours and minutes of what is long.
fn time(seconds: f64) -> String {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "casts of floats saturate"
    )]
    let whole = seconds.ceil() as u64;
    match whole {
        0..600 => format!("{whole}s"),
        600..86_400 => format!("{}h{:02}m", whole / 3600, whole / 60 % 60),
        _ => format!("{}d{:02}h", whole / 86_400, whole / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn times_are_as_exact_as_people_need_them() {
        assert_eq!(time(0.0), "0s");
        assert_eq!(time(59.2), "60s");
        assert_eq!(time(4000.0), "1h06m");
        assert_eq!(time(2_500_000.0), "28d22h");
        assert_eq!(time(f64::MAX), "213503982334601d07h");
    }

    #[test]
    fn each_group_of_targets_has_a_table_and_what_is_not_known_is_said_once() {
        let rule = |matches: bool| {
            json!({
                "rule": "r", "unit": "input_tokens", "limit": 9, "per": "day", "burst": null, "matches": matches,
                "reasons": if matches { json!([]) } else { json!([{"part": "model", "text": "it is for `x`"}]) },
                "subject": matches.then(|| json!({"kind": "all", "value": ""})), "remaining": null, "resets_s": null,
            })
        };
        let case = |target: &str, rule: Value| json!({"targets": [target], "rules": [rule], "no_figures": "why"});
        let answer = json!({"refused": "the key has expired", "cases": [case("a", rule(true)), case("b", rule(false))]});
        let explained = Explained::read(&answer).unwrap();
        let expected = "\
served by a:
LIMIT  ALLOWED         PER  BURST  LEFT  ALL LEFT IN  WHOSE        WHY NOT
r      9 input tokens  day  -      -     -            everybody's  -

served by b:
LIMIT  ALLOWED         PER  BURST  LEFT  ALL LEFT IN  WHOSE  WHY NOT
r      9 input tokens  day  -      -     -            -      model: it is for `x`
";
        assert_eq!(explained.table(), expected);
        assert_eq!(
            explained.warnings(),
            [
                "such a request is refused before any limit: the key has expired",
                "what is left is not known: why"
            ]
        );
    }
}
