//! `/targets`: what is known of each target, and the two changes that an operator can make.
//!
//! Owns who is a target to be asked about: those of pools, those that were called, and, to be
//! drained before their first call, all models of the configuration.
//!
//! Invariant: no web page can make a change.

mod near;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State as Extracted;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use meseta_config::{Config, Pool, Select, UpstreamPath};
use meseta_targets::{HealthStore as _, State, TargetHealth, TargetId};
use serde::Deserialize;
use serde_json::{json, Value};

use super::guard::{self, Foreign};
use super::{answer, Admin};
use crate::providers::Providers;

/// What an operator can do with a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Drain,
    Undrain,
}

/// The body of a change.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    target: String,
}

/// Why a change is not made.
#[derive(Debug, PartialEq, Eq)]
enum Refusal {
    /// A web page asks, or could have asked.
    Foreign(Foreign),
    /// The body is not what it should be.
    Body(String),
    /// No target has this name.
    Unknown { name: String, near: Vec<String> },
    /// The name stands for targets; which is meant?
    NotATarget { name: String, targets: Vec<String> },
}

/// `GET /targets`: every pool, and the health of every target.
pub(super) async fn list(Extracted(admin): Extracted<Admin>) -> Response {
    let config = Arc::clone(&admin.shared.generation.load().config);
    let known = snapshot(&admin.shared.providers).await;
    let pools: Vec<Value> = config.pools().map(pool).collect();
    let targets: Vec<Value> = with_configured(&config, known)
        .values()
        .map(|health| self::health(&config, health))
        .collect();
    answer(
        StatusCode::OK,
        &json!({ "pools": pools, "targets": targets }),
    )
}

/// `POST /targets/drain`.
pub(super) async fn drain(admin: Extracted<Admin>, headers: HeaderMap, body: Bytes) -> Response {
    change(admin, &headers, &body, Change::Drain).await
}

/// `POST /targets/undrain`.
pub(super) async fn undrain(admin: Extracted<Admin>, headers: HeaderMap, body: Bytes) -> Response {
    change(admin, &headers, &body, Change::Undrain).await
}

async fn change(
    Extracted(admin): Extracted<Admin>,
    headers: &HeaderMap,
    body: &[u8],
    change: Change,
) -> Response {
    let name = match wanted(headers, body) {
        Ok(name) => name,
        Err(refusal) => return refusal.into_response(),
    };
    let providers = &admin.shared.providers;
    let config = Arc::clone(&admin.shared.generation.load().config);
    let known = snapshot(providers).await;
    let id = match find(&config, &known, &name) {
        Ok(id) => id,
        Err(refusal) => return refusal.into_response(),
    };
    match change {
        Change::Drain => {
            providers.health.drain(&id);
            tracing::info!(target: "meseta", model = %id, "the target was taken out of service");
        }
        Change::Undrain => {
            providers.health.undrain(&id);
            tracing::info!(target: "meseta", model = %id, "the target was put back into service");
        }
    }
    let now = snapshot(providers).await;
    let now = now.into_iter().find(|health| health.id == id);
    let mut told = health(&config, &now.unwrap_or_else(|| never_used(id)));
    // Those do not ask whether it is drained.
    told["direct"] = json!(direct_names(&config, &name));
    answer(StatusCode::OK, &told)
}

/// What a change is for.
fn wanted(headers: &HeaderMap, body: &[u8]) -> Result<String, Refusal> {
    guard::check(headers).map_err(Refusal::Foreign)?;
    let wanted: Wanted =
        serde_json::from_slice(body).map_err(|error| Refusal::Body(error.to_string()))?;
    Ok(wanted.target)
}

/// The target of a name: one of a pool, one that was called, or a model of the configuration.
fn find(config: &Config, known: &[TargetHealth], name: &str) -> Result<TargetId, Refusal> {
    let called = known.iter().any(|health| health.id.as_str() == name);
    if called || pool_targets(config).any(|id| id == name) {
        return Ok(TargetId::new(name));
    }
    let listed = config.models();
    let models = || listed.iter().map(|model| model.id.as_str());
    let targets_of = |name: &str| -> Vec<String> {
        let resolved = config.resolve(
            Some(name).filter(|name| !name.is_empty()),
            &meseta_config::Sender::UNKNOWN,
        );
        let targets = resolved
            .map(|resolved| resolved.targets)
            .unwrap_or_default();
        let targets = targets.iter();
        targets.map(|target| target.model.id.clone()).collect()
    };
    let meant = targets_of(name);
    // A model that no wildcard alone stands for: of those each name is one, also a wrong one.
    if models().any(|id| id == name) && meant == [name] {
        return Ok(TargetId::new(name));
    }
    let name = name.to_owned();
    if !name.is_empty() && meant.iter().any(|target| *target != name) {
        return Err(Refusal::NotATarget {
            name,
            targets: meant,
        });
    }
    let called = known.iter().map(|health| health.id.as_str());
    let candidates = pool_targets(config).chain(called).chain(models());
    let near = near::matches(&name, candidates);
    Err(Refusal::Unknown { name, near })
}

/// What is known, read where it keeps no exchange waiting.
pub(super) async fn snapshot(providers: &Arc<Providers>) -> Vec<TargetHealth> {
    let providers = Arc::clone(providers);
    let read = move || providers.health.snapshot(providers.now());
    tokio::task::spawn_blocking(read).await.unwrap_or_default()
}

/// What is known, and the targets of pools that were never called.
pub(super) fn with_configured(
    config: &Config,
    known: Vec<TargetHealth>,
) -> BTreeMap<TargetId, TargetHealth> {
    let configured = pool_targets(config).map(|id| never_used(TargetId::new(id)));
    // The latter of two stays.
    let all = configured.chain(known);
    all.map(|health| (health.id.clone(), health)).collect()
}

/// Names that resemble one, the nearest first.
pub(super) fn near<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    near::matches(name, names)
}

/// The targets of all pools; one of several pools comes several times.
pub(super) fn pool_targets(config: &Config) -> impl Iterator<Item = &str> {
    let targets = config.pools().flat_map(|pool| &pool.targets);
    targets.map(|target| target.model.id.as_str())
}

fn never_used(id: TargetId) -> TargetHealth {
    TargetHealth {
        id,
        state: State::Ready,
        cooldown_remaining: None,
        in_flight: 0,
        consecutive_failures: 0,
        successes: 0,
        failures: 0,
        error_rate: None,
        first_token: None,
        first_token_p95: None,
        last_failure: None,
    }
}

/// The names by which clients reach a target through Envoy alone.
fn direct_names<'a>(config: &'a Config, target: &'a str) -> Vec<&'a str> {
    let direct = UpstreamPath::Direct;
    let has = |pool: &&Pool| pool.targets.iter().any(|own| own.model.id == target);
    let pools = config.pools().filter(has);
    let mut names: Vec<&str> = pools
        .filter(|pool| pool.path() == direct)
        .map(|pool| pool.name.as_str())
        .collect();
    let itself = config.resolve(Some(target), &meseta_config::Sender::UNKNOWN);
    if itself.is_ok_and(|own| own.pool.is_none() && own.path() == direct) {
        names.push(target);
    }
    names
}

fn pool(pool: &Pool) -> Value {
    let targets = pool.targets.iter().map(|target| {
        json!({
            "target": target.model.id,
            "priority": target.priority,
            "weight": target.weight,
        })
    });
    json!({
        "name": pool.name,
        "path": pool.path().as_str(),
        "select": match pool.select {
            Select::Weighted => "weighted",
            Select::Fastest => "fastest",
            Select::LeastBusy => "least_busy",
        },
        "targets": targets.collect::<Vec<_>>(),
    })
}

fn health(config: &Config, health: &TargetHealth) -> Value {
    let name = health.id.as_str();
    let has = |pool: &&Pool| pool.targets.iter().any(|own| own.model.id == name);
    let pools: Vec<&str> = config
        .pools()
        .filter(has)
        .map(|pool| pool.name.as_str())
        .collect();
    let millis = |time: std::time::Duration| rounded(time.as_secs_f64() * 1e3);
    json!({
        "target": name,
        "pools": pools,
        "state": health.state.as_str(),
        "drained": health.state == State::Drained,
        "in_flight": health.in_flight,
        "consecutive_failures": health.consecutive_failures,
        "successes": health.successes,
        "failures": health.failures,
        "error_rate": health.error_rate.map(rounded),
        "first_token_ms": {
            "mean": health.first_token.map(millis),
            "p95": health.first_token_p95.map(millis),
        },
        "cooldown_remaining_s": health.cooldown_remaining.map(|left| rounded(left.as_secs_f64())),
        "last_failure": health.last_failure,
    })
}

/// To three places: more are noise.
fn rounded(number: f64) -> f64 {
    (number * 1e3).round() / 1e3
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, error) = match &self {
            Self::Foreign(foreign) => {
                let (status, error) = foreign.told();
                (status, error.to_owned())
            }
            Self::Body(error) => (
                StatusCode::BAD_REQUEST,
                format!(r#"the body must be {{"target": "provider/model"}}: {error}"#),
            ),
            Self::Unknown { name, .. } => (
                StatusCode::NOT_FOUND,
                format!("no target `{name}`: it is not configured and was never called"),
            ),
            Self::NotATarget { name, .. } => (
                StatusCode::NOT_FOUND,
                format!("`{name}` is a name for targets, and none itself"),
            ),
        };
        let near = match self {
            Self::Unknown { near, .. } => near,
            Self::NotATarget { targets, .. } => targets,
            _ => Vec::new(),
        };
        answer(status, &json!({ "error": error, "near": near }))
    }
}

#[cfg(test)]
mod tests;
