//! `limits` and Plano's `ratelimits`: rules, and the requests that they are for.

mod names;
mod number;
mod ratelimits;

use meseta_limits::{Per, Rule, RuleError, RuleName, RuleSet, Unit};
use serde_yaml::Value;

use super::document::{Map, Node};
use super::findings::Findings;
use super::providers::headers;
use super::{pools, schema};
use crate::config::Listener;
use crate::limit::{Limit, LimitField, LimitMatch};
use crate::provider::Provider;
use crate::resolve::Models;
use crate::schema::{LIMIT, LIMIT_MATCH};

use names::{model, Names};
pub(super) use names::{unknown_model, warn_of_none};
pub(super) use number::check as check_number;

/// What limits can be for.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) models: &'a Models,
    pub(super) providers: &'a [Provider],
    pub(super) listeners: &'a [Listener],
    /// The names of keys.
    pub(super) consumers: &'a [&'a str],
    /// Something other than a key says who the consumer is.
    pub(super) has_source: bool,
}

/// What is read: the limits, and every name that one has, also where it has problems.
#[derive(Default)]
pub(super) struct Read {
    pub(super) limits: Vec<Limit>,
    pub(super) names: Vec<String>,
}

/// Reads both lists.
pub(super) fn read(top: &Map<'_>, known: &Known<'_>, findings: &mut Findings<'_>) -> Read {
    let mut read = Read::default();
    if let Some(node) = top.get("limits") {
        for item in node.list(findings).unwrap_or_default() {
            let limit = limit(&item, known, &mut read.names, findings);
            read.limits.extend(limit);
        }
    }
    if let Some(node) = top.get("ratelimits") {
        ratelimits::read(&node, known, &mut read, findings);
    }
    read
}

/// The rules of all limits.
pub(super) fn rules(limits: &[Limit], top: &Map<'_>, findings: &mut Findings<'_>) -> RuleSet {
    let rules = limits.iter().map(|limit| limit.rule.clone());
    match RuleSet::new(rules.collect()) {
        Ok(rules) => rules,
        Err(error) => {
            findings.problem(&top.absent(first_key(top)), error.to_string());
            RuleSet::default()
        }
    }
}

/// The list that problems of all limits are told of.
fn first_key(top: &Map<'_>) -> &'static str {
    if top.has("limits") {
        "limits"
    } else {
        "ratelimits"
    }
}

fn limit(
    node: &Node<'_>,
    known: &Known<'_>,
    names: &mut Vec<String>,
    findings: &mut Findings<'_>,
) -> Option<Limit> {
    let map = node.map(findings)?;
    schema::check(&map, &LIMIT, findings);
    let name = name(&map, names, findings);
    let unit = required(&map, "unit", "`unit: tokens`", findings);
    let unit = unit.and_then(|node| node.parsed(findings, unit_of));
    let amount = required(&map, "limit", "`limit: 100000`", findings);
    let amount = amount.and_then(|node| count(&node, findings));
    let per = required(&map, "per", "`per: minute`", findings);
    let per = per.and_then(|node| node.parsed(findings, str::parse::<Per>));
    let burst = map.get("burst");
    let holds = match &burst {
        Some(node) => count(node, findings).map(Some),
        None => Some(None),
    };
    let when = match map.get("match") {
        Some(node) => when(&node, known, findings),
        None => Some(LimitMatch::default()),
    };
    let (name, amount) = (name?, amount?);
    let rule = match Rule::new(name, unit?, amount, per?, holds?) {
        Ok(rule) => rule,
        Err(error) => {
            let key = match error {
                RuleError::Burst | RuleError::BurstOfWindow => "burst",
                RuleError::Fill if burst.is_some() => "burst",
                _ => "limit",
            };
            let place = map.get(key).unwrap_or_else(|| map.absent(key));
            findings.problem(&place, refusal(error));
            return None;
        }
    };
    Some(Limit {
        rule,
        when: when?,
        by_key: false,
        of_plano: false,
    })
}

/// What is wrong with a value of which the place is told already.
fn refusal(error: RuleError) -> String {
    match error {
        RuleError::BurstOfWindow => {
            "is for `second`, `minute` and `hour` alone: a day or a month has no bucket".to_owned()
        }
        RuleError::Fill => {
            "is too large for `limit`: it would take more than a year to fill".to_owned()
        }
        error => error.to_string(),
    }
}

fn name(map: &Map<'_>, names: &mut Vec<String>, findings: &mut Findings<'_>) -> Option<RuleName> {
    let node = required(map, "name", "`name: per-user`", findings)?;
    let text = node.text(findings)?;
    if names.iter().any(|known| known == text) {
        findings.problem(&node, "is the name of another limit");
        return None;
    }
    names.push(text.to_owned());
    match RuleName::new(text) {
        Ok(name) => Some(name),
        Err(_) => {
            let hint = "up to 64 of `a-z`, `0-9`, `_`, `.` and `-`";
            findings.problem_with(&node, "is no name for a limit", hint);
            None
        }
    }
}

fn unit_of(text: &str) -> Result<Unit, &'static str> {
    match text {
        "cost" => Err("needs the price table, which is not built yet: count tokens"),
        text => text
            .parse()
            .map_err(|_| "must be `requests`, `tokens`, `input_tokens` or `output_tokens`"),
    }
}

/// A whole number above zero.
fn count(node: &Node<'_>, findings: &mut Findings<'_>) -> Option<u64> {
    let number = node.value.as_u64().filter(|number| *number > 0);
    match (number, node.value) {
        (Some(_), _) => {}
        (None, Value::Number(_)) => findings.problem(node, "must be a whole number above zero"),
        (None, _) => findings.wrong_type(node, "a whole number above zero"),
    }
    number
}

/// A key that must be there; `write` says how.
pub(super) fn required<'a>(
    map: &Map<'a>,
    key: &str,
    write: &str,
    findings: &mut Findings<'_>,
) -> Option<Node<'a>> {
    let node = map.get(key);
    if node.is_none() {
        findings.problem_with(&map.absent(key), "is missing", format!("write {write}"));
    }
    node
}

/// `match`; `None` where something of it is wrong.
fn when(node: &Node<'_>, known: &Known<'_>, findings: &mut Findings<'_>) -> Option<LimitMatch> {
    let map = node.map(findings)?;
    schema::check(&map, &LIMIT_MATCH, findings);
    let names = Names { known: *known };
    let consumer = names.consumer(&map, findings);
    let model = names.model(&map, findings);
    let provider = names.provider(&map, findings);
    let listener = names.listener(&map, findings);
    let header = match map.get("header") {
        Some(node) => field(&node, Field::Header, findings).map(Some),
        None => Some(None),
    };
    let claim = match map.get("claim") {
        Some(node) => field(&node, Field::Claim, findings).map(Some),
        None => Some(None),
    };
    if let (true, Some(node)) = (map.get("header").is_some(), map.get("claim")) {
        let hint = "each of the two says whose count it is: keep one";
        findings.problem_at_key(&node, "is beside `header`", Some(hint.to_owned()));
        return None;
    }
    Some(LimitMatch {
        consumer: consumer?,
        model: model?,
        provider: provider?,
        listener: listener?,
        header: header?,
        claim: claim?,
    })
}

/// What a [`LimitField`] is of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Field {
    Header,
    Claim,
}

/// A name, or a name with its value. Values may be secret and are never shown.
fn field(node: &Node<'_>, of: Field, findings: &mut Findings<'_>) -> Option<LimitField> {
    if let Value::String(_) = node.value {
        let name = field_name(node, node.text(findings)?, of, findings)?;
        return Some(LimitField { name, value: None });
    }
    let Value::Mapping(_) = node.value else {
        findings.wrong_type(node, "a name, or a map of a name to its value");
        return None;
    };
    let entries = node.map(findings)?.nodes();
    let [(name, place)] = entries.as_slice() else {
        let hint = "write `NAME`, or `{NAME: VALUE}`; another limit can be for another one";
        findings.problem_at_key(node, "must be one name", Some(hint.to_owned()));
        return None;
    };
    let name = field_name(place, name.trim(), of, findings)?;
    let text = place.scalar(findings)?;
    let value = match text.trim() {
        "*" => None,
        "" => {
            findings.problem(place, "is empty");
            return None;
        }
        value if of == Field::Claim || headers::is_value(value) => Some(value.to_owned()),
        _ => {
            findings.secret_problem(place, "is no value of a header", None);
            return None;
        }
    };
    Some(LimitField { name, value })
}

fn field_name(
    node: &Node<'_>,
    text: &str,
    of: Field,
    findings: &mut Findings<'_>,
) -> Option<String> {
    match of {
        Field::Header => {
            let name = text.to_ascii_lowercase();
            pools::check_header(node, &name, findings).then_some(name)
        }
        Field::Claim => claim(node, text, findings),
    }
}

/// The path of a claim.
pub(super) fn claim(node: &Node<'_>, text: &str, findings: &mut Findings<'_>) -> Option<String> {
    if text.split('.').any(|name| name.trim().is_empty()) {
        let hint = "names with dots between them: `jwt_payload.sub`";
        findings.problem_at_key(node, "is no path of a claim", Some(hint.to_owned()));
        return None;
    }
    Some(text.to_owned())
}
