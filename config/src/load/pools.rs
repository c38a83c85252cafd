//! `models`: names with several targets.
//!
//! The names are read first ([`declared`]), because aliases may lead to them; the rest when all
//! other names are known. Rules may lead to any name, targets and mirrors to models alone, so that
//! no name leads back to itself.

mod policy;
mod rules;
mod targets;

use serde_yaml::Value;

use super::document::{Map, Node};
use super::findings::Findings;
use super::providers::headers;
use super::schema;
use crate::near;
use crate::pool::{Destination, ModelRef, Pool, Select, Sticky};
use crate::resolve::Models;
use crate::schema::{POOL, STICKY};

/// The longest name, in characters.
const LONGEST_NAME: usize = 100;

/// An entry of `models` of which the name is read.
#[derive(Debug)]
pub(super) struct Declared<'a> {
    pub(super) name: String,
    map: Map<'a>,
}

/// The entries with a name that can be one.
pub(super) fn declared<'a>(
    node: Option<Node<'a>>,
    aliases: Option<&Node<'_>>,
    findings: &mut Findings<'_>,
) -> Vec<Declared<'a>> {
    let mut entries = Vec::new();
    let map = node.and_then(|node| node.map(findings));
    for (name, node) in map.map(|map| map.nodes()).unwrap_or_default() {
        let fits = |c: char| !c.is_control() && !c.is_whitespace();
        let length = name.chars().count();
        if !(1..=LONGEST_NAME).contains(&length) || !name.chars().all(fits) {
            let hint = "up to 100 characters, none of them a space";
            let reason = "is no name for a model";
            findings.problem_at_key(&node, reason, Some(hint.to_owned()));
        }
        if aliases.is_some_and(|aliases| has_key(aliases.value, &name)) {
            let hint = "give one of the two another name".to_owned();
            findings.problem_at_key(&node, "is an alias too", Some(hint));
        }
        if let Some(map) = node.map(findings) {
            schema::check(&map, &POOL, findings);
            entries.push(Declared { name, map });
        }
    }
    entries
}

fn has_key(value: &Value, name: &str) -> bool {
    value
        .as_mapping()
        .is_some_and(|mapping| mapping.contains_key(name))
}

/// Reads the entries into `models`, which has all other names. One with a problem is left out.
pub(super) fn read(entries: &[Declared<'_>], models: &mut Models, findings: &mut Findings<'_>) {
    let names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
    for entry in entries {
        if is_default(entry, models, findings) {
            models.default = Some(Destination::Pool(entry.name.clone()));
        }
        let lookup = Names {
            models,
            pools: &names,
        };
        if let Some(pool) = pool(entry, &lookup, findings) {
            models.pools.insert(entry.name.clone(), pool);
        }
    }
    // The default is asked for by its name, which may be that of a pool.
    if let Some(Destination::Model(model)) = &models.default {
        if models.pools.contains_key(&model.id) {
            models.default = Some(Destination::Pool(model.id.clone()));
        }
    }
}

fn is_default(entry: &Declared<'_>, models: &Models, findings: &mut Findings<'_>) -> bool {
    let Some(node) = entry.map.get("default") else {
        return false;
    };
    if node.flag(findings) != Some(true) {
        return false;
    }
    let other = match &models.default {
        None => return true,
        Some(Destination::Pool(name)) => name,
        Some(Destination::Model(model)) => &model.id,
    };
    let reason = format!("`{other}` is the default already");
    let hint = "at most one entry of `models` and `model_providers` has `default: true`";
    findings.problem_with(&node, reason, hint);
    false
}

fn pool(entry: &Declared<'_>, names: &Names<'_>, findings: &mut Findings<'_>) -> Option<Pool> {
    let map = &entry.map;
    let targets = targets::read(map, names, findings);
    let select = map
        .get("select")
        .and_then(|node| node.parsed(findings, select));
    let sticky = map.get("sticky").and_then(|node| sticky(&node, findings));
    let rules = rules::read(map.get("rules"), names, findings);
    let mirror = map
        .get("mirror")
        .and_then(|node| targets::mirror(&node, names, findings));
    // Their number tells what else is wrong, also when one of them is.
    let listed = map.get("targets");
    let listed = listed.and_then(|node| node.value.as_sequence().map(Vec::len));
    let policy = policy::read(map, listed, findings);
    if targets.as_ref().is_some_and(|targets| targets.len() == 1) {
        for key in ["select", "sticky", "failover"] {
            if let Some(node) = map.get(key) {
                findings.warning(&node, "has no effect: there is one target alone");
            }
        }
    }
    Some(Pool {
        name: entry.name.clone(),
        targets: targets?,
        select: select.unwrap_or_default(),
        sticky,
        rules,
        mirror,
        policy: policy.into(),
    })
}

fn select(text: &str) -> Result<Select, &'static str> {
    match text {
        "weighted" => Ok(Select::Weighted),
        "fastest" => Ok(Select::Fastest),
        "least_busy" => Ok(Select::LeastBusy),
        "cheapest" => Err(
            "needs the price table, which is not built yet: write `weighted`, `fastest` or \
             `least_busy`",
        ),
        _ => Err("is no way to select: write `weighted`, `fastest` or `least_busy`"),
    }
}

fn sticky(node: &Node<'_>, findings: &mut Findings<'_>) -> Option<Sticky> {
    let map = node.map(findings)?;
    schema::check(&map, &STICKY, findings);
    let consumer = map.get("consumer");
    let by_consumer = match &consumer {
        Some(node) => node.flag(findings)?,
        None => false,
    };
    match (map.get("header"), consumer.filter(|_| by_consumer)) {
        (Some(node), None) => {
            let name = node.text(findings)?.to_ascii_lowercase();
            check_header(&node, &name, findings).then_some(Sticky::Header(name))
        }
        (None, Some(_)) => Some(Sticky::Consumer),
        (None, None) => {
            let hint = "write `header: x-user`, or `consumer: true`";
            findings.problem_with(&map.absent("header"), "is missing", hint);
            None
        }
        (Some(_), Some(node)) => {
            let hint = "keep one of the two";
            findings.problem_with(&node, "is there beside `header`", hint);
            None
        }
    }
}

/// Whether a request can have a header of this name when the server reads it.
pub(super) fn check_header(node: &Node<'_>, name: &str, findings: &mut Findings<'_>) -> bool {
    let reason = if !headers::is_name(name) {
        "is no name of a header"
    } else if headers::is_internal(name) {
        "is taken off what clients send"
    } else {
        return true;
    };
    findings.problem_at_key(node, reason, None);
    false
}

/// Every name that something can lead to.
struct Names<'a> {
    models: &'a Models,
    /// The names of `models`, also of those that have problems.
    pools: &'a [&'a str],
}

impl Names<'_> {
    /// The model that a text means where only a model will do. Models come before the pools of the
    /// same name.
    fn model(&self, node: &Node<'_>, findings: &mut Findings<'_>) -> Option<ModelRef> {
        let name = node.text(findings)?;
        if let Some(alias) = self.models.aliases.get(name) {
            match &alias.leads_to {
                Destination::Model(model) => return Some(model.clone()),
                Destination::Pool(pool) => {
                    let reason = format!("leads to `{pool}`, a name of `models`");
                    findings.problem_with(node, reason, A_MODEL);
                    return None;
                }
            }
        }
        if let Some(model) = self.models.find(name) {
            return Some(model.into_owned());
        }
        if self.pools.contains(&name) {
            findings.problem_with(node, "is a name of `models`", A_MODEL);
        } else {
            self.unknown(node, name, false, findings);
        }
        None
    }

    /// What a text means where any name will do.
    fn destination(&self, node: &Node<'_>, findings: &mut Findings<'_>) -> Option<Destination> {
        let name = node.text(findings)?;
        if self.pools.contains(&name) {
            return Some(Destination::Pool(name.to_owned()));
        }
        let found = self.models.named(name);
        if found.is_none() {
            self.unknown(node, name, true, findings);
        }
        found
    }

    fn unknown(&self, node: &Node<'_>, name: &str, any: bool, findings: &mut Findings<'_>) {
        let pools = self.pools.iter().copied().filter(|_| any);
        let aliases = self.models.aliases.keys().map(String::as_str);
        unknown(node, name, pools.chain(aliases), self.models, findings);
    }
}

/// What to do about a pool in the place of a model.
const A_MODEL: &str = "name a model: `provider/model`";

/// A name that is none. `further` are names beside those of models.
pub(super) fn unknown<'a>(
    node: &Node<'_>,
    name: &str,
    further: impl Iterator<Item = &'a str>,
    models: &'a Models,
    findings: &mut Findings<'_>,
) {
    let known = models.known.iter();
    let names = known.flat_map(|model| [model.id.as_str(), model.model.as_str()]);
    let near = near::matches(name, names.chain(further), 1)
        .first()
        .copied();
    let hint = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => "add it to `model_providers`".to_owned(),
    };
    findings.problem_with(node, "is no model that is configured", hint);
}
