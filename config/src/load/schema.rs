//! The keys of a map against those that exist ([`crate::schema`]).
//!
//! A key that the table does not have is a problem with a near match, also inside of what has no
//! effect yet: a slip of the pen must not wait for the feature to be found.

use super::document::{Map, Node};
use super::findings::Findings;
use crate::near;
use crate::schema::{Kind, Object, Status};

/// Checks the keys of a map: those that are read are left to their readers, those without effect
/// so far give a notice, those that are not built and unknown ones a problem.
pub(super) fn check(map: &Map<'_>, object: &'static Object, findings: &mut Findings<'_>) {
    for (name, node) in map.nodes() {
        // As `Map::get` has it: `on` as YAML 1.1 writes it.
        let is_on = || name == "true" && object.key("on").is_some();
        let Some(key) = object.key(if is_on() { "on" } else { &name }) else {
            unknown(&node, &name, object, findings);
            continue;
        };
        match key.status {
            Status::Read | Status::Needless => {}
            Status::NotYetActive if node.value.is_null() => {}
            Status::NotYetActive => {
                check_inside(&node, key.kind, findings);
                findings.not_yet_active(&node);
            }
            Status::NotBuilt => {
                let hint = Some("take it out".to_owned());
                findings.problem_at_key(&node, "is not built yet", hint);
            }
        }
    }
}

/// Looks for unknown keys inside of what has no effect yet. Values are not judged.
fn check_inside(node: &Node<'_>, kind: Kind, findings: &mut Findings<'_>) {
    if node.value.is_null() {
        return;
    }
    match kind {
        Kind::List(kind) => {
            for item in node.list(findings).unwrap_or_default() {
                check_inside(&item, *kind, findings);
            }
        }
        Kind::Map(named) => {
            let entries = node.map(findings).map(|map| map.nodes());
            for (_, entry) in entries.unwrap_or_default() {
                check_inside(&entry, named.value, findings);
            }
        }
        Kind::Object(object) => {
            let entries = node.map(findings).map(|map| map.nodes());
            for (name, entry) in entries.unwrap_or_default() {
                match object.key(&name) {
                    Some(key) => check_inside(&entry, key.kind, findings),
                    None => unknown(&entry, &name, object, findings),
                }
            }
        }
        _ => {}
    }
}

fn unknown(node: &Node<'_>, name: &str, object: &Object, findings: &mut Findings<'_>) {
    let built = object.keys.iter();
    let built = built.filter(|key| key.status != Status::NotBuilt);
    let known: Vec<&str> = built.map(|key| key.name).collect();
    let hint = match near::matches(name, known.iter().copied(), 1).first() {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known keys: {}", known.join(", ")),
    };
    findings.problem_at_key(node, "unknown key", Some(hint));
}
