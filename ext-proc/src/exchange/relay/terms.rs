//! From the configuration to the terms of a plan.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use hermesllm::error::ApiError;
use meseta_config::{Config, Hedge, ModelRef, Policy, Resolved, Select, Sticky};
use meseta_targets::{Candidate, HealthPolicy, HealthStore as _, TargetId, Terms};

use crate::exchange::onward::Asked;
use crate::providers::Providers;

/// The targets that can be asked this at all, with what a choice needs to know.
///
/// # Errors
/// When none can: what keeps the first from it.
pub(super) fn candidates(
    config: &Config,
    resolved: &Resolved<'_>,
    asked: &Asked,
) -> Result<(Vec<ModelRef>, Arc<[Candidate]>), ApiError> {
    let endpoint = asked.client.endpoint;
    let able = resolved.targets.iter().filter(|own| {
        config.target(&own.model).is_some_and(|target| {
            let entry = target.provider.entry();
            let way = entry.way(endpoint, asked.request.stream());
            way.is_some() && !target.provider.lacks_key()
        })
    });
    let mut able: Vec<_> = able.collect();
    if able.is_empty() {
        // The first is asked all the same, and says what is missing.
        able.extend(resolved.targets.first());
    }
    let names: HashMap<usize, Arc<str>> = able
        .iter()
        .filter_map(|own| {
            let provider = config.providers.get(own.model.provider)?;
            Some((own.model.provider, provider.name.as_str().into()))
        })
        .collect();
    let candidates = able.iter().map(|own| Candidate {
        id: TargetId::new(own.model.id.as_str()),
        provider: names.get(&own.model.provider).cloned().unwrap_or_default(),
        priority: own.priority,
        weight: own.weight,
        context_window: own.context_window,
    });
    let candidates = candidates.collect();
    Ok((
        able.iter().map(|own| own.model.clone()).collect(),
        candidates,
    ))
}

/// The terms on which a request is tried.
pub(super) fn of(resolved: &Resolved<'_>, asked: &Asked, consumer: Option<&str>) -> Terms {
    let failover = &resolved.policy.failover;
    let pool = resolved.pool;
    let sticky = pool.and_then(|pool| match pool.sticky.as_ref()? {
        Sticky::Header(name) => asked.head.all.text(name),
        Sticky::Consumer => consumer,
    });
    Terms {
        select: match pool.map(|pool| pool.select).unwrap_or_default() {
            Select::Weighted => meseta_targets::Select::Weighted,
            Select::Fastest => meseta_targets::Select::Fastest,
            Select::LeastBusy => meseta_targets::Select::LeastBusy,
        },
        sticky: sticky.map(number),
        max_attempts: failover.max_attempts,
        retry_budget: failover.retry_budget,
        health: HealthPolicy {
            failures: failover.cooldown.failures,
            error_rate: failover.cooldown.error_rate,
            first: failover.cooldown.first,
            longest: failover.cooldown.longest,
        },
    }
}

/// When a second target is asked beside this one.
pub(super) fn hedge_after(
    policy: &Policy,
    providers: &Providers,
    id: &TargetId,
) -> Option<Duration> {
    match policy.hedge? {
        Hedge::After(time) => Some(time),
        Hedge::Percentile(percent) => providers.health.percentile(id, percent),
    }
}

/// The same number for the same value in every process (FNV-1a).
fn number(value: &str) -> u64 {
    value
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        })
}
