//! Names: models of the entries, the known ones of wildcards, aliases, the default. (Names with
//! several targets are read in [`super::pools`].)

use indexmap::IndexMap;
use serde_yaml::Value;

use super::document::Node;
use super::findings::Findings;
use super::pools::{self, Declared};
use super::providers::Entry;
use super::schema;
use crate::pool::{Destination, ModelRef};
use crate::provider::Provider;
use crate::resolve::{Alias, Models};
use crate::schema::ALIAS;

/// Builds every name by which a model can be asked for.
pub(super) fn read(
    entries: &[Entry<'_>],
    providers: &[Provider],
    aliases: Option<Node<'_>>,
    pools: &[Declared<'_>],
    findings: &mut Findings<'_>,
) -> Models {
    let mut models = Models::default();
    let mut bare: Vec<(usize, &Entry<'_>)> = Vec::new();
    let mut seen: Vec<&str> = Vec::new();
    for entry in entries {
        let provider = providers.iter().position(|p| p.same_as(&entry.provider));
        let Some(provider) = provider else {
            continue;
        };
        if seen.contains(&entry.id.as_str()) {
            let hint = "two providers of one kind need different names before the slash";
            let node = key(entry, "model");
            findings.problem_with(&node, "is configured twice", hint);
            continue;
        }
        seen.push(&entry.id);
        if entry.is_wildcard() {
            let wildcard = (entry.provider.name.clone(), provider);
            models.wildcards.push(wildcard);
            expand(entry, entries, provider, &mut models);
            continue;
        }
        let place = models.known.len();
        let model = ModelRef {
            provider,
            model: entry.model.clone(),
            id: entry.id.clone(),
        };
        models.known.push(model.clone());
        models.by_name.insert(entry.id.clone(), place);
        bare.push((place, entry));
        if entry.is_default {
            match &models.default {
                None => models.default = Some(Destination::Model(model)),
                Some(Destination::Model(other)) => {
                    let reason = format!("`{}` is the default already", other.id);
                    let hint = "at most one entry has `default: true`";
                    findings.problem_with(&key(entry, "default"), reason, hint);
                }
                Some(Destination::Pool(_)) => {}
            }
        }
    }
    short_names(&bare, &mut models, findings);
    if let Some(node) = aliases {
        read_aliases(&node, pools, &mut models, findings);
    }
    models
}

/// The known models of a wildcard that have no entry of their own.
fn expand(entry: &Entry<'_>, entries: &[Entry<'_>], provider: usize, models: &mut Models) {
    for model in entry.provider.entry().models {
        let id = format!("{}/{model}", entry.provider.name);
        if entries.iter().any(|other| other.id == id) {
            continue;
        }
        models.by_name.insert(id.clone(), models.known.len());
        models.known.push(ModelRef {
            provider,
            model: model.clone(),
            id,
        });
    }
}

/// The names without a provider: an entry's own name, then bare model ids. The first one wins.
fn short_names(bare: &[(usize, &Entry<'_>)], models: &mut Models, findings: &mut Findings<'_>) {
    for (place, entry) in bare {
        let Some(name) = &entry.name else {
            continue;
        };
        match models.by_name.get(name) {
            Some(other) if other == place => {}
            Some(_) => {
                let hint = "give each entry its own name";
                findings.problem_with(&key(entry, "name"), "is taken", hint);
            }
            None => {
                models.by_name.insert(name.clone(), *place);
            }
        }
    }
    for (place, entry) in bare {
        let winner = match models.by_name.get(&entry.model) {
            Some(other) if other == place => continue,
            Some(other) => models.known.get(*other),
            None => None,
        };
        match winner {
            Some(winner) => findings.warning(
                &key(entry, "model"),
                format!(
                    "`{}` alone means `{}`: ask for `{}` with its provider's name",
                    entry.model, winner.id, entry.id
                ),
            ),
            None => {
                models.by_name.insert(entry.model.clone(), *place);
            }
        }
    }
    for (place, model) in models.known.iter().enumerate() {
        models.by_name.entry(model.model.clone()).or_insert(place);
    }
}

/// A key of an entry, for messages.
fn key<'a>(entry: &Entry<'a>, key: &str) -> Node<'a> {
    Node {
        path: format!("{}.{key}", entry.node.path),
        value: entry.node.value.get(key).unwrap_or(&Value::Null),
    }
}

fn read_aliases(
    node: &Node<'_>,
    pools: &[Declared<'_>],
    models: &mut Models,
    findings: &mut Findings<'_>,
) {
    let pools: Vec<&str> = pools.iter().map(|pool| pool.name.as_str()).collect();
    let Some(map) = node.map(findings) else {
        return;
    };
    let mut targets: IndexMap<String, (Node<'_>, String)> = IndexMap::new();
    for (name, node) in map.nodes() {
        let Some(map) = node.map(findings) else {
            continue;
        };
        schema::check(&map, &ALIAS, findings);
        match map.get("target") {
            Some(node) => {
                if let Some(target) = node.text(findings) {
                    targets.insert(name, (node, target.to_owned()));
                }
            }
            None => {
                let hint = "write `target: provider/model`";
                findings.problem_with(&map.absent("target"), "is missing", hint);
            }
        }
    }
    for (name, (node, target)) in &targets {
        let leads_to = match end(name, target, node, &targets, findings) {
            Some(end) if pools.contains(&end) => Destination::Pool(end.to_owned()),
            Some(end) => match models.find(end) {
                Some(model) => Destination::Model(model.into_owned()),
                None => {
                    // A chain that ends nowhere is reported where it ends.
                    if end == target {
                        let further = pools.iter().copied();
                        let further = further.chain(targets.keys().map(String::as_str));
                        pools::unknown(node, end, further, models, findings);
                    }
                    continue;
                }
            },
            None => continue,
        };
        let target = target.clone();
        let alias = Alias { target, leads_to };
        models.aliases.insert(name.clone(), alias);
    }
}

/// The end of a chain of aliases, which is none.
fn end<'t>(
    name: &'t str,
    target: &'t str,
    node: &Node<'_>,
    targets: &'t IndexMap<String, (Node<'_>, String)>,
    findings: &mut Findings<'_>,
) -> Option<&'t str> {
    let mut passed = vec![name];
    let mut current = target;
    while let Some((_, next)) = targets.get(current) {
        if passed.contains(&current) {
            passed.push(current);
            let reason = format!("leads back to itself: {}", passed.join(" -> "));
            let hint = "end the chain with `provider/model`";
            findings.problem_with(node, reason, hint);
            return None;
        }
        passed.push(current);
        current = next;
    }
    Some(current)
}
