//! `rules`: requests that go elsewhere. The values of headers may be secret and are never shown.

use super::super::document::Node;
use super::super::findings::Findings;
use super::super::providers::headers;
use super::super::schema;
use super::{check_header, Names};
use crate::pattern::Pattern;
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
    let wanted = match map.get("match") {
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
    let (headers, consumer) = wanted?;
    Some(Rule {
        consumer,
        headers,
        to: to?,
    })
}

/// Headers that a request must have, with their values.
type Headers = Vec<(String, Option<String>)>;

/// What a request must have: headers, and who must ask.
fn wanted(node: &Node<'_>, findings: &mut Findings<'_>) -> Option<(Headers, Option<Vec<Pattern>>)> {
    let map = node.map(findings)?;
    schema::check(&map, &MATCH, findings);
    let consumer = match map.get("consumer") {
        Some(node) => Some(consumers(&node, findings)?),
        None => None,
    };
    match map.get("header") {
        Some(place) => Some((headers_of(&place, findings)?, consumer)),
        None if consumer.is_some() => Some((Vec::new(), consumer)),
        None => {
            nothing(&map.absent("header"), findings);
            None
        }
    }
}

/// Consumers: a text or a list of texts, each with `*` for any characters.
fn consumers(node: &Node<'_>, findings: &mut Findings<'_>) -> Option<Vec<Pattern>> {
    let items = match node.value {
        serde_yaml::Value::Sequence(_) => node.list(findings)?,
        _ => vec![node.clone()],
    };
    let mut patterns = Vec::new();
    for item in &items {
        patterns.push(Pattern::new(item.text(findings)?));
    }
    if patterns.is_empty() {
        findings.problem(node, "names nobody");
        return None;
    }
    Some(patterns)
}

fn headers_of(place: &Node<'_>, findings: &mut Findings<'_>) -> Option<Headers> {
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
        nothing(place, findings);
        return None;
    }
    Some(wanted)
}

fn nothing(node: &Node<'_>, findings: &mut Findings<'_>) {
    let hint = "write `header: {NAME: VALUE}`, with `*` for any value".to_owned();
    findings.problem_at_key(node, "is missing: every request would match", Some(hint));
}
