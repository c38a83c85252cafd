//! `targets` and `mirror`: what is asked.

use serde_yaml::Value;

use super::super::document::{Map, Node};
use super::super::findings::Findings;
use super::super::schema;
use super::Names;
use crate::pool::{Mirror, ModelRef, PoolTarget};
use crate::schema::{MIRROR, TARGET};

/// What `priority` may be.
const PRIORITIES: std::ops::RangeInclusive<u32> = 0..=1000;
/// What `weight` may be: small enough that sums of them are exact in any number.
const WEIGHTS: std::ops::RangeInclusive<u32> = 1..=10_000;

/// Reads `targets`, at least one; `None` when one of them has a problem.
pub(super) fn read(
    map: &Map<'_>,
    names: &Names<'_>,
    findings: &mut Findings<'_>,
) -> Option<Vec<PoolTarget>> {
    let hint = "write `targets: [provider/model]`";
    let Some(node) = map.get("targets") else {
        findings.problem_with(&map.absent("targets"), "is missing", hint);
        return None;
    };
    let items = node.list(findings)?;
    if items.is_empty() {
        findings.problem_with(&node, "has no target", hint);
        return None;
    }
    let mut targets: Vec<PoolTarget> = Vec::new();
    let mut is_complete = true;
    for item in items {
        let Some((place, target)) = target(&item, names, findings) else {
            is_complete = false;
            continue;
        };
        let same = |known: &PoolTarget| known.model == target.model;
        if targets.iter().any(same) {
            let hint = "give one target a larger `weight`";
            findings.problem_with(&place, "is there twice", hint);
            is_complete = false;
            continue;
        }
        targets.push(target);
    }
    is_complete.then_some(targets)
}

/// A target, and where its model is named.
fn target<'a>(
    node: &Node<'a>,
    names: &Names<'_>,
    findings: &mut Findings<'_>,
) -> Option<(Node<'a>, PoolTarget)> {
    let map = match node.value {
        Value::Mapping(_) => node.map(findings)?,
        Value::String(_) => {
            let model = names.model(node, findings)?;
            let target = PoolTarget {
                model,
                priority: 1,
                weight: 1,
                context_window: None,
            };
            return Some((node.clone(), target));
        }
        _ => {
            findings.wrong_type(node, "a text or a map");
            return None;
        }
    };
    schema::check(&map, &TARGET, findings);
    let model = model(&map, names, findings);
    let mut number = |key: &str, range: std::ops::RangeInclusive<u32>| match map.get(key) {
        Some(node) => node.whole(range, findings),
        None => Some(1),
    };
    let priority = number("priority", PRIORITIES);
    let weight = number("weight", WEIGHTS);
    let context_window = match map.get("context_window") {
        Some(node) => Some(tokens(&node, findings)?),
        None => None,
    };
    let target = PoolTarget {
        model: model?,
        priority: priority?,
        weight: weight?,
        context_window,
    };
    Some((map.get("model")?, target))
}

fn tokens(node: &Node<'_>, findings: &mut Findings<'_>) -> Option<u64> {
    let tokens = node.value.as_u64().filter(|tokens| *tokens > 0);
    if tokens.is_none() {
        findings.problem(node, "must be a number of tokens, at least 1");
    }
    tokens
}

/// `model`, which has to be there.
fn model(map: &Map<'_>, names: &Names<'_>, findings: &mut Findings<'_>) -> Option<ModelRef> {
    match map.get("model") {
        Some(node) => names.model(&node, findings),
        None => {
            let hint = "write `model: provider/model`";
            findings.problem_with(&map.absent("model"), "is missing", hint);
            None
        }
    }
}

/// Reads `mirror`.
pub(super) fn mirror(
    node: &Node<'_>,
    names: &Names<'_>,
    findings: &mut Findings<'_>,
) -> Option<Mirror> {
    let map = node.map(findings)?;
    schema::check(&map, &MIRROR, findings);
    let model = model(&map, names, findings);
    let share = match map.get("percent") {
        Some(node) => {
            let share = node.share(findings);
            if share == Some(0.0) {
                findings.problem_with(&node, "copies nothing", "take `mirror` out");
            }
            share.filter(|share| *share > 0.0)
        }
        None => {
            let hint = "write `percent: 10`: each copy costs what a request costs";
            findings.problem_with(&map.absent("percent"), "is missing", hint);
            None
        }
    };
    let compare = map.get("compare").and_then(|node| node.flag(findings));
    Some(Mirror {
        model: model?,
        share: share?,
        compare: compare.unwrap_or(false),
    })
}
