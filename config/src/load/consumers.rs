//! `keys` and `consumer`: who asks. Hashes of keys are never shown, nor what stands in their place.

use super::document::{Map, Node};
use super::findings::Findings;
use super::limits::{self, required};
use super::{pools, schema};
use crate::consumer::{ConsumerKey, ConsumerSource, JWT_METADATA};
use crate::limit::Limit;
use crate::near;
use crate::pattern::Pattern;
use crate::pool::Destination;
use crate::provider::Provider;
use crate::resolve::Models;
use crate::schema::{CONSUMER, CONSUMER_KEY};
use crate::units::parse_time;

/// The longest name of a consumer, in characters.
const LONGEST_NAME: usize = 100;

/// How a hash begins.
const SHA256: &str = "sha256:";

/// Reads `consumer`.
pub(super) fn source(
    node: Option<Node<'_>>,
    findings: &mut Findings<'_>,
) -> Option<ConsumerSource> {
    let map = node?.map(findings)?;
    schema::check(&map, &CONSUMER, findings);
    let (header, claim) = (map.get("header"), map.get("claim"));
    let metadata = map.get("metadata");
    let namespace = match &metadata {
        Some(node) => node.text(findings).map(str::to_owned),
        None => Some(JWT_METADATA.to_owned()),
    };
    match (header, claim) {
        (Some(_), Some(claim)) => {
            let hint = "keep `header` or `claim`";
            findings.problem_with(&claim, "is beside `header`", hint);
            None
        }
        (Some(node), None) => {
            if let Some(metadata) = metadata {
                findings.problem_with(&metadata, "is for `claim` alone", "take it out");
            }
            let name = node.text(findings)?.to_ascii_lowercase();
            pools::check_header(&node, &name, findings).then_some(ConsumerSource::Header(name))
        }
        (None, Some(node)) => {
            let path = limits::claim(&node, node.text(findings)?, findings)?;
            Some(ConsumerSource::Claim {
                path,
                metadata: namespace?,
            })
        }
        (None, None) => {
            let hint = "write `header: x-user-id`, or `claim: jwt_payload.sub`";
            findings.problem_with(&map.absent("header"), "is missing", hint);
            None
        }
    }
}

/// The names of all keys that have one, for what refers to them.
pub(super) fn names<'a>(node: Option<&Node<'a>>) -> Vec<&'a str> {
    let items = node.and_then(|node| node.value.as_sequence());
    let names = items.into_iter().flatten();
    let names = names.filter_map(|item| item.get("name")?.as_str());
    names.map(str::trim).collect()
}

/// Reads `keys`, and notes which limits are named. `None` when there are none to read.
pub(super) fn keys(
    node: Option<Node<'_>>,
    read: &mut limits::Read,
    models: &Models,
    providers: &[Provider],
    findings: &mut Findings<'_>,
) -> Option<Vec<ConsumerKey>> {
    let node = node?;
    let items = node.list(findings)?;
    if items.is_empty() {
        findings.warning(
            &node,
            "there is no key: only what `consumer` names may pass",
        );
    }
    if let Some(provider) = providers.iter().find(|p| p.passthrough_auth) {
        let message = format!(
            "provider `{}` has `passthrough_auth`: it is sent the keys of clients that present them in \
             its own way",
            provider.name
        );
        findings.warning(&node, message);
    }
    let mut keys: Vec<ConsumerKey> = Vec::new();
    for item in items {
        if let Some(key) = key(&item, &keys, read, models, findings) {
            keys.push(key);
        }
    }
    for limit in &mut read.limits {
        limit.by_key = keys
            .iter()
            .any(|key| key.limits.contains(limit.rule.name()));
    }
    Some(keys)
}

fn key(
    node: &Node<'_>,
    others: &[ConsumerKey],
    read: &limits::Read,
    models: &Models,
    findings: &mut Findings<'_>,
) -> Option<ConsumerKey> {
    let map = node.map(findings)?;
    schema::check(&map, &CONSUMER_KEY, findings);
    let name = name(&map, others, findings);
    let hash = hash(&map, others, findings);
    let allowed = match map.get("models") {
        Some(node) => allowed(&node, models, findings).map(Some),
        None => Some(None),
    };
    let limits = named(&map, read, findings);
    let expires = map.get("expires");
    let expires = match expires {
        Some(node) => node.parsed(findings, parse_time).map(Some),
        None => Some(None),
    };
    let labels = labels(&map, findings);
    Some(ConsumerKey {
        name: name?,
        hash: hash?,
        models: allowed?,
        limits: limits?,
        expires: expires?,
        labels,
        path: map.path.clone(),
    })
}

fn name(map: &Map<'_>, others: &[ConsumerKey], findings: &mut Findings<'_>) -> Option<String> {
    let node = required(map, "name", "`name:` and who the key is for", findings)?;
    let text = node.text(findings)?;
    let fits = |c: char| !c.is_control() && !c.is_whitespace();
    if text.chars().count() > LONGEST_NAME || !text.chars().all(fits) {
        let hint = "up to 100 characters, none of them a space";
        findings.problem_with(&node, "is no name for a consumer", hint);
        return None;
    }
    if others.iter().any(|other| other.name == text) {
        findings.problem(&node, "is the name of another key");
        return None;
    }
    Some(text.to_owned())
}

fn hash(map: &Map<'_>, others: &[ConsumerKey], findings: &mut Findings<'_>) -> Option<[u8; 32]> {
    let how = "`sha256:` and what `printf %s KEY | sha256sum` prints";
    let node = required(map, "hash", how, findings)?;
    let text = node.text(findings)?;
    let hash = text.strip_prefix(SHA256).and_then(bytes);
    let Some(hash) = hash else {
        let hint = Some(format!("write {how}"));
        findings.secret_problem(&node, "is no SHA-256 of a key", hint);
        return None;
    };
    if let Some(other) = others.iter().find(|other| other.hash == hash) {
        let reason = format!("is the key of `{}` too", other.name);
        findings.secret_problem(&node, reason, None);
        return None;
    }
    Some(hash)
}

/// 64 hexadecimal digits.
fn bytes(digits: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    let mut digits = digits.chars().map(|digit| digit.to_digit(16));
    for byte in &mut bytes {
        let (high, low) = (digits.next()??, digits.next()??);
        *byte = u8::try_from(high * 16 + low).ok()?;
    }
    digits.next().is_none().then_some(bytes)
}

/// What a key may ask for, as what the names lead to.
fn allowed(node: &Node<'_>, models: &Models, findings: &mut Findings<'_>) -> Option<Vec<Pattern>> {
    let mut patterns = Vec::new();
    let mut all_known = true;
    for item in node.list(findings)? {
        let Some(text) = item.text(findings) else {
            all_known = false;
            continue;
        };
        if text.contains('*') {
            limits::warn_of_none(&item, text, models, findings);
            patterns.push(Pattern::new(text));
            continue;
        }
        match models.named(text) {
            Some(Destination::Pool(name)) => patterns.push(Pattern::new(name)),
            Some(Destination::Model(model)) => patterns.push(Pattern::new(model.id)),
            None => {
                limits::unknown_model(&item, text, models, findings);
                all_known = false;
            }
        }
    }
    all_known.then_some(patterns)
}

/// The limits that a key names.
fn named(
    map: &Map<'_>,
    read: &limits::Read,
    findings: &mut Findings<'_>,
) -> Option<Vec<meseta_limits::RuleName>> {
    let Some(node) = map.get("limits") else {
        return Some(Vec::new());
    };
    let mut named = Vec::new();
    let mut all_known = true;
    for item in node.list(findings)? {
        let Some(text) = item.text(findings) else {
            all_known = false;
            continue;
        };
        let is_it = |limit: &&Limit| limit.rule.name().as_str() == text;
        match read.limits.iter().find(is_it) {
            Some(limit) if named.contains(limit.rule.name()) => {
                findings.problem(&item, "is there twice");
                all_known = false;
            }
            Some(limit) => named.push(limit.rule.name().clone()),
            // One that is there and has problems is told of where it is.
            None if read.names.iter().any(|name| name == text) => all_known = false,
            None => {
                let near = near::matches(text, read.names.iter().map(String::as_str), 1);
                let hint = match near.first() {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "add it to `limits`".to_owned(),
                };
                findings.problem_with(&item, "is no limit that is configured", hint);
                all_known = false;
            }
        }
    }
    all_known.then_some(named)
}

fn labels(map: &Map<'_>, findings: &mut Findings<'_>) -> Vec<(String, String)> {
    let map = map.get("labels").and_then(|node| node.map(findings));
    let mut labels = Vec::new();
    for (name, node) in map.map(|map| map.nodes()).unwrap_or_default() {
        if let Some(value) = node.scalar(findings) {
            labels.push((name, value));
        }
    }
    labels
}
