//! Which limits a request falls under, and of the others: why not.
//!
//! [`Config::charges`] decides; here it is only said in words. A test holds the two together.

use std::collections::BTreeMap;

use meseta_config::{Config, ConsumerKey, Limit, LimitFacts, LimitField, Pattern, Target};
use serde_json::{Map, Value};

/// A request for one target.
#[derive(Clone, Copy)]
pub(super) struct Asks<'a> {
    pub(super) consumer: Option<&'a str>,
    pub(super) key: Option<&'a ConsumerKey>,
    pub(super) target: Target<'a>,
    pub(super) pool: Option<&'a str>,
    pub(super) listener: &'a str,
    /// With names in lower case.
    pub(super) headers: &'a BTreeMap<String, String>,
    pub(super) claims: &'a Map<String, Value>,
}

/// What a limit does with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outcome<'a> {
    pub(super) limit: &'a Limit,
    /// Whose count it is, where the request falls under it.
    pub(super) charged: Option<Charged>,
    /// Why it does not: the part of the limit, and what is amiss with it.
    pub(super) reasons: Vec<(&'static str, String)>,
}

/// Whose count of a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Charged {
    pub(super) kind: &'static str,
    pub(super) value: String,
    pub(super) hash: u64,
}

impl<'a> Asks<'a> {
    /// What each limit of the configuration does, in its order.
    pub(super) fn outcomes<'c>(&self, config: &'c Config) -> Vec<Outcome<'c>> {
        let charges = config.charges(&LimitFacts {
            consumer: self.consumer,
            key: self.key,
            model: self.target.id,
            pool: self.pool,
            provider: &self.target.provider.name,
            listener: self.listener,
            header: &|name| self.header(name),
            claim: &|path| claim(self.claims, path),
        });
        let outcome = |limit: &'c Limit| {
            let mut charges = charges.iter();
            let charge = charges.find(|(rule, _)| rule == limit.rule.name());
            let charged = charge.map(|(_, subject)| {
                let (kind, value) = self.subject(limit);
                Charged {
                    kind,
                    value,
                    hash: subject.hash(),
                }
            });
            let reasons = match charged {
                Some(_) => Vec::new(),
                None => self.reasons(limit),
            };
            Outcome {
                limit,
                charged,
                reasons,
            }
        };
        config.limits().iter().map(outcome).collect()
    }

    fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.get(name).map(String::as_str)
    }

    /// Whose count it is of a limit that the request falls under.
    fn subject(&self, limit: &Limit) -> (&'static str, String) {
        let when = &limit.when;
        if let Some(header) = &when.header {
            let value = self.header(&header.name);
            return ("header", value.unwrap_or_default().to_owned());
        }
        if let Some(field) = &when.claim {
            let value = claim(self.claims, &field.name);
            return ("claim", value.unwrap_or_default());
        }
        let consumer = match (limit.by_key, self.key) {
            (true, Some(key)) => Some(key.name.as_str()),
            _ => self.consumer.filter(|_| when.consumer.is_some()),
        };
        match consumer {
            Some(name) => ("consumer", name.to_owned()),
            None => ("all", String::new()),
        }
    }

    fn reasons(&self, limit: &Limit) -> Vec<(&'static str, String)> {
        let mut reasons = Vec::new();
        let when = &limit.when;
        let is_named = |key: &ConsumerKey| key.limits.contains(limit.rule.name());
        if limit.by_key && !self.key.is_some_and(is_named) {
            let text = match self.key {
                Some(key) => format!("the key `{}` does not name it", key.name),
                None => "it is for keys that name it".to_owned(),
            };
            reasons.push(("key", text));
        }
        let (model, provider) = (Some(self.target.id), Some(&*self.target.provider.name));
        for (part, wanted, names) in [
            ("consumer", &when.consumer, [self.consumer, None]),
            ("model", &when.model, [model, self.pool]),
            ("provider", &when.provider, [provider, None]),
            ("listener", &when.listener, [Some(self.listener), None]),
        ] {
            let Some(wanted) = wanted else { continue };
            let mut names = names.into_iter().flatten();
            if !names.any(|name| wanted.iter().any(|pattern| pattern.matches(name))) {
                reasons.push((part, format!("it is for {}", listed(wanted))));
            }
        }
        if let Some(field) = &when.header {
            let why = missing(field, self.header(&field.name), "header");
            reasons.extend(why.map(|why| ("header", why)));
        }
        if let Some(field) = &when.claim {
            let value = claim(self.claims, &field.name);
            let why = missing(field, value.as_deref(), "claim");
            reasons.extend(why.map(|why| ("claim", why)));
        }
        if reasons.is_empty() {
            let text = "another entry of `ratelimits` is for this very value".to_owned();
            reasons.push(("value", text));
        }
        reasons
    }
}

/// Why a header or claim does not fit. The value that is wanted may be a secret.
fn missing(field: &LimitField, value: Option<&str>, what: &str) -> Option<String> {
    let name = &field.name;
    match (value, &field.value) {
        (None, _) => Some(format!("there is no {what} `{name}`")),
        (Some(value), Some(wanted)) if value != wanted => {
            Some(format!("the {what} `{name}` has another value"))
        }
        _ => None,
    }
}

fn listed(wanted: &[Pattern]) -> String {
    let names: Vec<String> = wanted.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

/// A claim as text, by the names that lead to it; as it is found in Envoy's dynamic metadata.
pub(super) fn claim(claims: &Map<String, Value>, path: &str) -> Option<String> {
    let mut names = path.split('.');
    let mut value = claims.get(names.next()?)?;
    for name in names {
        value = value.get(name)?;
    }
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.as_f64()?.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}
