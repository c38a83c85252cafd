//! `rules`: requests that go elsewhere. The values of headers may be secret and are never shown.

use super::super::document::Node;
use super::super::findings::Findings;
use super::super::providers::headers;
use super::super::schema;
use super::{check_header, Names};
use crate::pool::Rule;
use crate::schema::{MATCH, RULE};

/// Reads `rules`. One with a problem is left out.
pub(super) fn read(
    node: Option<Node<'_>>,
    names: &Names<'_>,
    findings: &mut Findings<'_>,
) -> Vec<Rule> {
    let items = node.and_then(|node| node.list(findings));
    let mut rules = Vec::new();
    for item in items.unwrap_or_default() {
        rules.extend(rule(&item, names, findings));
    }
    rules
}

fn rule(node: &Node<'_>, names: &Names<'_>, findings: &mut Findings<'_>) -> Option<Rule> {
    let map = node.map(findings)?;
    schema::check(&map, &RULE, findings);
    let headers = match map.get("match") {
        Some(node) => wanted(&node, findings),
        None => {
            let hint = "write `match: {header: {NAME: VALUE}}`";
            findings.problem_with(&map.absent("match"), "is missing", hint);
            None
        }
    };
    let to = match map.get("use") {
        Some(node) => names.destination(&node, findings),
        None => {
            let hint = "write `use:` and what is asked instead";
            findings.problem_with(&map.absent("use"), "is missing", hint);
            None
        }
    };
    Some(Rule {
        headers: headers?,
        to: to?,
    })
}

/// What a request must have.
fn wanted(node: &Node<'_>, findings: &mut Findings<'_>) -> Option<Vec<(String, Option<String>)>> {
    let map = node.map(findings)?;
    schema::check(&map, &MATCH, findings);
    let Some(place) = map.get("header") else {
        if !map.has("consumer") {
            nothing(&map.absent("header"), findings);
        }
        return None;
    };
    let header = place.map(findings)?;
    let mut wanted: Vec<(String, Option<String>)> = Vec::new();
    for (name, node) in header.nodes() {
        let name = name.to_ascii_lowercase();
        if !check_header(&node, &name, findings) {
            continue;
        }
        if wanted.iter().any(|(known, _)| *known == name) {
            let reason = "is there twice: names of headers have no case";
            findings.secret_problem(&node, reason, None);
            continue;
        }
        let Some(text) = node.scalar(findings) else {
            continue;
        };
        match text.trim() {
            "*" => wanted.push((name, None)),
            value if headers::is_value(value) => wanted.push((name, Some(value.to_owned()))),
            _ => findings.secret_problem(&node, "is no value of a header", None),
        }
    }
    if header.nodes().is_empty() {
        nothing(&place, findings);
        return None;
    }
    Some(wanted)
}

fn nothing(node: &Node<'_>, findings: &mut Findings<'_>) {
    let hint = "write `header: {NAME: VALUE}`, with `*` for any value".to_owned();
    findings.problem_at_key(node, "is missing: every request would match", Some(hint));
}
