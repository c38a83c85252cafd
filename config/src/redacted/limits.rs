//! Limits, keys and consumers, for people. Hashes of keys and the values that headers and claims must
//! have may be secret.

use serde_json::{json, Map, Value};

use crate::consumer::{ConsumerKey, ConsumerSource};
use crate::limit::{Limit, LimitField, LimitMatch};
use crate::pattern::Pattern;
use crate::secret::REDACTED;

pub(super) fn limit(limit: &Limit) -> Value {
    let rule = &limit.rule;
    json!({
        "name": rule.name().as_str(),
        "unit": rule.unit().as_str(),
        "limit": rule.limit(),
        "per": rule.per().as_str(),
        "burst": rule.burst(),
        "match": when(&limit.when),
        "by_key": limit.by_key,
    })
}

/// What is wanted, without what is not.
fn when(when: &LimitMatch) -> Map<String, Value> {
    let names = [
        ("consumer", &when.consumer),
        ("model", &when.model),
        ("provider", &when.provider),
        ("listener", &when.listener),
    ];
    let names = names.into_iter().filter_map(|(key, names)| {
        let names = patterns(names.as_deref()?);
        Some((key.to_owned(), names))
    });
    let fields = [("header", &when.header), ("claim", &when.claim)];
    let fields = fields.into_iter().filter_map(|(key, wanted)| {
        let wanted = field(wanted.as_ref()?);
        Some((key.to_owned(), wanted))
    });
    names.chain(fields).collect()
}

fn field(field: &LimitField) -> Value {
    let shown = field.value.as_ref().map_or("*", |_| REDACTED);
    json!({&field.name: shown})
}

fn patterns(patterns: &[Pattern]) -> Value {
    patterns.iter().map(Pattern::as_str).collect()
}

pub(super) fn key(key: &ConsumerKey) -> Value {
    let labels = key.labels.iter();
    let labels = labels.map(|(name, value)| (name.clone(), json!(value)));
    let limits = key.limits.iter().map(|name| name.as_str());
    json!({
        "name": key.name,
        "hash": REDACTED,
        "models": key.models.as_deref().map(patterns),
        "limits": limits.collect::<Vec<_>>(),
        "expires": key.expires,
        "labels": labels.collect::<Map<_, _>>(),
    })
}

pub(super) fn consumer(source: &ConsumerSource) -> Value {
    match source {
        ConsumerSource::Header(name) => json!({"header": name}),
        ConsumerSource::Claim { path, metadata } => json!({"claim": path, "metadata": metadata}),
    }
}
