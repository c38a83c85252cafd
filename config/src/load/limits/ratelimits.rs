//! Plano's `ratelimits`. Their names are those of their places: `ratelimits-0`.

use meseta_limits::{Per, Rule, RuleName, Unit};

use super::super::document::{Map, Node};
use super::super::findings::Findings;
use super::super::{pools, schema};
use super::{count, headers, model, required, Known, Read};
use crate::limit::{Limit, LimitField, LimitMatch};
use crate::pattern::Pattern;
use crate::resolve::Models;
use crate::schema::{AMOUNT, RATELIMIT, SELECTOR};

/// Reads the list.
pub(super) fn read(
    node: &Node<'_>,
    known: &Known<'_>,
    read: &mut Read,
    findings: &mut Findings<'_>,
) {
    let items = node.list(findings).unwrap_or_default();
    let mut others: Vec<LimitMatch> = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let Some(map) = item.map(findings) else {
            continue;
        };
        schema::check(&map, &RATELIMIT, findings);
        let when = when(&map, known.models, findings);
        let amount = required(
            &map,
            "limit",
            "`limit: {tokens: 100000, unit: hour}`",
            findings,
        );
        let amount = amount.and_then(|node| amount_of(&node, findings));
        let (Some(when), Some((tokens, per))) = (when, amount) else {
            continue;
        };
        if others.contains(&when) {
            let message =
                "another entry is for the same model and selector: this one has no effect";
            findings.warning(item, message);
            continue;
        }
        others.push(when.clone());
        let name = format!("ratelimits-{index}");
        if read.names.contains(&name) {
            let reason = format!("its name is `{name}`, which one of `limits` has");
            findings.problem_at_key(item, reason, None);
            continue;
        }
        let rule = RuleName::new(&name)
            .and_then(|name| Rule::new(name, Unit::InputTokens, tokens, per, None));
        match rule {
            Ok(rule) => {
                read.names.push(name);
                read.limits.push(Limit {
                    rule,
                    when,
                    by_key: false,
                    of_plano: true,
                });
            }
            Err(error) => {
                let reason = super::refusal(error);
                findings.problem_at_key(item, reason, None);
            }
        }
    }
}

/// The requests that an entry is for.
fn when(map: &Map<'_>, models: &Models, findings: &mut Findings<'_>) -> Option<LimitMatch> {
    let model = required(map, "model", "`model: provider/model`", findings);
    let model = model.and_then(|node| patterns(&node, models, findings));
    let selector = required(map, "selector", "`selector: {key: x-user-id}`", findings);
    let header = selector.and_then(|node| selected(&node, findings));
    Some(LimitMatch {
        model: Some(model?),
        header: Some(header?),
        ..LimitMatch::default()
    })
}

/// The models of an entry. Of one that is unknown Plano says nothing, so it is no problem here.
fn patterns(node: &Node<'_>, models: &Models, findings: &mut Findings<'_>) -> Option<Vec<Pattern>> {
    let text = node.text(findings)?;
    let mut patterns = model(text, models);
    if patterns.is_empty() && !text.contains('/') {
        let passed = models.wildcards.iter();
        patterns = passed
            .map(|(provider, _)| Pattern::new(format!("{provider}/{text}")))
            .collect();
    }
    if patterns.is_empty() {
        findings.warning(
            node,
            "is no model that is configured: the limit is for no request",
        );
        patterns.push(Pattern::new(text));
    }
    Some(patterns)
}

fn selected(node: &Node<'_>, findings: &mut Findings<'_>) -> Option<LimitField> {
    let map = node.map(findings)?;
    schema::check(&map, &SELECTOR, findings);
    let key = required(&map, "key", "`key: x-user-id`", findings);
    let name = key.and_then(|node| {
        let name = node.text(findings)?.to_ascii_lowercase();
        pools::check_header(&node, &name, findings).then_some(name)
    });
    let value = match map.get("value") {
        Some(node) => {
            let text = node.scalar(findings)?;
            match text.trim() {
                "*" => None,
                text if headers::is_value(text) => Some(text.to_owned()),
                _ => {
                    findings.secret_problem(&node, "is no value of a header", None);
                    return None;
                }
            }
        }
        None => None,
    };
    Some(LimitField { name: name?, value })
}

fn amount_of(node: &Node<'_>, findings: &mut Findings<'_>) -> Option<(u64, Per)> {
    let map = node.map(findings)?;
    schema::check(&map, &AMOUNT, findings);
    let tokens = required(&map, "tokens", "`tokens: 100000`", findings);
    let tokens = tokens.and_then(|node| count(&node, findings));
    let unit = required(&map, "unit", "`unit: hour`", findings);
    let unit = unit.and_then(|node| node.parsed(findings, unit_of));
    Some((tokens?, unit?))
}

fn unit_of(text: &str) -> Result<Per, &'static str> {
    match text {
        "second" => Ok(Per::Second),
        "minute" => Ok(Per::Minute),
        "hour" => Ok(Per::Hour),
        "day" => Ok(Per::Day),
        _ => Err("must be `second`, `minute`, `hour` or `day`"),
    }
}
