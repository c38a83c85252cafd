//! `/limits/explain`: which limits a request would fall under, whose counts those are, and where they
//! stand.
//!
//! Invariant: keys are not told here. The port is plain HTTP, so who knows a key asks by its name, and
//! a question with a key in it is refused.

mod matching;

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::extract::State as Extracted;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use meseta_config::{Config, ConsumerKey, ConsumerSource, MeterPlace, ResolveError, Sender};
use meseta_limits::{Order, Per, RuleName, Standing, MAX_CHARGES};
use serde::Deserialize;
use serde_json::{json, Value};

use super::guard::{self, Foreign};
use super::{answer, Admin};
use crate::generation::Generation;
use matching::{Asks, Outcome};

/// Headers that carry keys.
const CREDENTIALS: [&str; 6] = [
    "authorization",
    "proxy-authorization",
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    "cookie",
];

/// The dialect of refusals, of which there are none here.
const DIALECT: &str = "openai";

/// A request that is asked about.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    /// The name of the key that is presented.
    #[serde(default)]
    key_name: Option<String>,
    /// Who asks, as something in front would say.
    #[serde(default)]
    consumer: Option<String>,
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    listener: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    claims: serde_json::Map<String, Value>,
}

impl Question {
    /// The model that is asked for; `None` for the default.
    fn requested(&self) -> Option<&str> {
        self.model.as_deref().filter(|name| !name.is_empty())
    }
}

/// A question, with what it means.
struct Asked<'a> {
    question: &'a Question,
    consumer: Option<&'a str>,
    key: Option<&'a ConsumerKey>,
    listener: &'a str,
}

/// Targets of a request that differ in nothing.
struct Case<'c> {
    targets: Vec<String>,
    outcomes: Vec<Outcome<'c>>,
}

/// Why a question has no answer.
#[derive(Debug, PartialEq, Eq)]
enum Refusal {
    Foreign(Foreign),
    /// The body is not what it should be.
    Body(String),
    /// There is a key in it.
    HoldsKey,
    /// Something of it is not configured.
    Unknown {
        error: String,
        near: Vec<String>,
    },
}

/// `POST /limits/explain`.
pub(super) async fn explain(
    Extracted(admin): Extracted<Admin>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let generation = admin.shared.generation.load_full();
    match explained(&admin, &generation, &headers, &body).await {
        Ok(told) => answer(StatusCode::OK, &told),
        Err(refusal) => refusal.into_response(),
    }
}

async fn explained(
    admin: &Admin,
    generation: &Generation,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Value, Refusal> {
    guard::check(headers).map_err(Refusal::Foreign)?;
    let config = &generation.config;
    let question = question(config, body)?;
    let (consumer, key) = who(config, &question)?;
    let listener = listener(config, question.listener.as_deref())?;
    let asked = Asked {
        question: &question,
        consumer: consumer.as_deref(),
        key,
        listener,
    };
    let (pool, cases) = asked.cases(config)?;
    let requested = question.requested();
    let mut told = Vec::new();
    for Case { targets, outcomes } in &cases {
        let (standing, unknown) = match figures(admin, generation, outcomes).await {
            Ok(standing) => (standing, None),
            Err(reason) => (Vec::new(), Some(reason)),
        };
        let rules: Vec<Value> = outcomes.iter().map(|own| rule(own, &standing)).collect();
        told.push(json!({ "targets": targets, "rules": rules, "no_figures": unknown }));
    }
    Ok(json!({
        "meter": config.server.meter.as_str(),
        "consumer": consumer,
        "by_key": key.is_some(),
        "listener": listener,
        "model": requested.or(config.default_model()),
        "pool": pool,
        "refused": refused(config, consumer.as_deref(), key, requested),
        "cases": told,
    }))
}

impl Asked<'_> {
    /// What the limits do with the request at each target that it may go to, and the pool of these.
    fn cases<'c>(&self, config: &'c Config) -> Result<(Option<&'c str>, Vec<Case<'c>>), Refusal> {
        let question = self.question;
        let header = |name: &str| question.headers.get(name).map(String::as_str);
        let requested = question.requested();
        let sender = Sender {
            header: &header,
            consumer: self.consumer,
        };
        let resolved = config
            .resolve(requested, &sender)
            .map_err(|error| unknown_model(requested, error))?;
        let pool = resolved.pool.map(|pool| pool.name.as_str());
        let mut cases: Vec<Case<'c>> = Vec::new();
        for seat in resolved.targets.iter() {
            let Some(target) = config.target(&seat.model) else {
                continue;
            };
            let asks = Asks {
                consumer: self.consumer,
                key: self.key,
                target,
                pool,
                listener: self.listener,
                headers: &question.headers,
                claims: &question.claims,
            };
            let outcomes = asks.outcomes(config);
            match cases.iter_mut().find(|case| case.outcomes == outcomes) {
                Some(case) => case.targets.push(target.id.to_owned()),
                None => cases.push(Case {
                    targets: vec![target.id.to_owned()],
                    outcomes,
                }),
            }
        }
        Ok((pool, cases))
    }
}

/// What is asked. What is wrong is told by its place alone: it may be a key.
fn question(config: &Config, body: &[u8]) -> Result<Question, Refusal> {
    let question: Question = serde_json::from_slice(body).map_err(|error| {
        Refusal::Body(format!("line {}, column {}", error.line(), error.column()))
    })?;
    let texts = [
        &question.key_name,
        &question.consumer,
        &question.model,
        &question.listener,
    ];
    let texts = texts.into_iter().flatten().chain(question.headers.values());
    let is_key = |text: &str| config.key_of(text).is_some();
    let names = question.headers.keys();
    let mut carriers =
        names.filter(|name| CREDENTIALS.iter().any(|own| own.eq_ignore_ascii_case(name)));
    let in_claims = has_text(&Value::Object(question.claims.clone()), &is_key);
    if carriers.next().is_some() || in_claims || texts.map(String::as_str).any(is_key) {
        return Err(Refusal::HoldsKey);
    }
    let headers = question.headers.into_iter();
    Ok(Question {
        headers: headers
            .map(|(name, value)| (name.to_ascii_lowercase(), value))
            .collect(),
        ..question
    })
}

/// Whether one of the texts in a value is such.
fn has_text(value: &Value, is_such: &dyn Fn(&str) -> bool) -> bool {
    match value {
        Value::String(text) => is_such(text),
        Value::Array(items) => items.iter().any(|item| has_text(item, is_such)),
        Value::Object(fields) => fields.values().any(|field| has_text(field, is_such)),
        _ => false,
    }
}

/// Who asks: by a key, or as something in front has found out.
fn who<'c>(
    config: &'c Config,
    question: &Question,
) -> Result<(Option<String>, Option<&'c ConsumerKey>), Refusal> {
    let by_key = |name: &str| {
        let key = config.keys().iter().find(|key| key.name == name);
        key.map(|key| (Some(key.name.clone()), Some(key)))
            .ok_or_else(|| Refusal::Unknown {
                error: format!("no key has the name `{name}`"),
                near: near(name, config.keys().iter().map(|key| key.name.as_str())),
            })
    };
    match (&question.key_name, &question.consumer) {
        (Some(_), Some(_)) => Err(Refusal::Body("both `key_name` and `consumer`".to_owned())),
        (Some(name), None) => by_key(name),
        // Nothing but a key says who asks.
        (None, Some(name)) if config.consumer().is_none() => by_key(name),
        (None, Some(name)) => Ok((Some(name.clone()), None)),
        (None, None) => {
            let found = match config.consumer() {
                Some(ConsumerSource::Header(name)) => question.headers.get(name).cloned(),
                Some(ConsumerSource::Claim { path, .. }) => matching::claim(&question.claims, path),
                None => None,
            };
            Ok((found.filter(|name| !name.is_empty()), None))
        }
    }
}

/// The listener of that name; without one, the first, unless that makes a difference.
fn listener<'c>(config: &'c Config, asked: Option<&str>) -> Result<&'c str, Refusal> {
    let mut names = config.listeners.iter().map(|own| own.name.as_str());
    let all: Vec<&str> = names.clone().collect();
    let listed = || all.iter().map(|name| (*name).to_owned()).collect();
    let found = match asked {
        Some(asked) => names.find(|name| *name == asked),
        None => {
            let differ = config
                .limits()
                .iter()
                .any(|own| own.when.listener.is_some());
            if differ && all.len() > 1 {
                return Err(Refusal::Unknown {
                    error: "a limit is for one listener and not for others: name one".to_owned(),
                    near: listed(),
                });
            }
            names.next()
        }
    };
    found.ok_or_else(|| Refusal::Unknown {
        error: format!("no listener has the name `{}`", asked.unwrap_or_default()),
        near: listed(),
    })
}

fn unknown_model(requested: Option<&str>, error: ResolveError) -> Refusal {
    match error {
        ResolveError::Missing => Refusal::Unknown {
            error: "no `model` is named, and there is no default".to_owned(),
            near: Vec::new(),
        },
        ResolveError::Unknown { near } => Refusal::Unknown {
            error: format!("no model has the name `{}`", requested.unwrap_or_default()),
            near,
        },
    }
}

/// Names that resemble one.
fn near<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    super::targets::near(name, names)
}

/// Why such a request does not come as far as its limits.
fn refused(
    config: &Config,
    consumer: Option<&str>,
    key: Option<&ConsumerKey>,
    requested: Option<&str>,
) -> Option<&'static str> {
    let now = crate::meter::unix_time().as_secs();
    match key {
        Some(key) if key.is_expired(now) => Some("the key has expired"),
        Some(key) if !config.may_ask(key, requested) => Some("the key may not ask for this model"),
        None if consumer.is_none() && config.needs_consumer() => {
            Some("a key is needed, or what `consumer` names")
        }
        _ => None,
    }
}

/// Where the subjects stand, or why that is not known.
async fn figures(
    admin: &Admin,
    generation: &Generation,
    outcomes: &[Outcome<'_>],
) -> Result<Vec<Standing>, String> {
    let charges: Vec<(RuleName, u64)> = outcomes
        .iter()
        .filter_map(|own| Some((own.limit.rule.name().clone(), own.charged.as_ref()?.hash)))
        .collect();
    if charges.is_empty() {
        return Ok(Vec::new());
    }
    let too_many =
        || format!("such a request is refused: it falls under more than {MAX_CHARGES} limits");
    match generation.config.server.meter {
        MeterPlace::Off => Err("nothing is limited: `server.meter` is `off`".to_owned()),
        MeterPlace::Native => generation.meter.peek(&charges).ok_or_else(too_many),
        MeterPlace::Wasm => {
            let mut order = Order::new(DIALECT).map_err(|error| error.to_string())?;
            for (rule, subject) in charges {
                order.charge(rule, subject).map_err(|_| too_many())?;
            }
            let upstreams = &admin.shared.providers.upstreams;
            let asked = upstreams.ask_meter(&order).await;
            asked.map(|own| own.0).map_err(|error| error.to_string())
        }
    }
}

fn rule(outcome: &Outcome<'_>, standing: &[Standing]) -> Value {
    let rule = &outcome.limit.rule;
    let bucket = !matches!(rule.per(), Per::Day | Per::Month);
    let charged = outcome.charged.as_ref();
    let own = standing.iter().find(|own| own.rule == *rule.name());
    let own = own.filter(|_| charged.is_some());
    json!({
        "rule": rule.name().as_str(),
        "unit": rule.unit().as_str(),
        "limit": rule.limit(),
        "per": rule.per().as_str(),
        "burst": bucket.then(|| rule.capacity()),
        "matches": charged.is_some(),
        "reasons": outcome.reasons.iter().map(|(part, text)| {
            json!({ "part": part, "text": text })
        }).collect::<Vec<_>>(),
        "subject": charged.map(|own| json!({ "kind": own.kind, "value": own.value })),
        "remaining": own.map(|own| own.remaining),
        "resets_s": own.map(|own| (own.reset_after.as_secs_f64() * 1e3).round() / 1e3),
    })
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        const FORM: &str = r#"{"key_name": "…"} or {"consumer": "…"}, with "model", "listener", "headers": {"name": "value"} and "claims": {…}"#;
        let (status, error, near) = match self {
            Self::Foreign(foreign) => {
                let (status, error) = foreign.told();
                (status, error.to_owned(), Vec::new())
            }
            Self::Body(error) => (
                StatusCode::BAD_REQUEST,
                format!("the body must be {FORM}: {error}"),
                Vec::new(),
            ),
            Self::HoldsKey => (
                StatusCode::BAD_REQUEST,
                "send no key here: ask by its name, as `key_name`".to_owned(),
                Vec::new(),
            ),
            Self::Unknown { error, near } => (StatusCode::NOT_FOUND, error, near),
        };
        answer(status, &json!({ "error": error, "near": near }))
    }
}

#[cfg(test)]
mod tests;
