//! How many limits can meet in one request. A request is looked for that falls under too many; each
//! header and claim of it has the value that most limits want.

use std::collections::{BTreeMap, BTreeSet};

use meseta_limits::MAX_CHARGES;

use super::super::document::Map;
use super::super::findings::Findings;
use crate::config::Config;
use crate::consumer::ConsumerKey;
use crate::limit::{Limit, LimitFacts, LimitField};

/// A problem where there is such a request.
pub(in super::super) fn check(config: &Config, top: &Map<'_>, findings: &mut Findings<'_>) {
    if config.limits.len() <= MAX_CHARGES {
        return;
    }
    let Some((number, model)) = too_many(config) else {
        return;
    };
    let reason = format!(
        "{number} limits can meet in one request, for `{model}`: at most {MAX_CHARGES} can be counted"
    );
    let hint = "let each of them match fewer requests".to_owned();
    let key = super::first_key(top);
    findings.problem_at_key(&top.absent(key), reason, Some(hint));
}

/// Who asks.
type Asking<'a> = (Option<&'a str>, Option<&'a ConsumerKey>);

/// What is asked: `provider/model`, the provider, the pool.
type Asked<'a> = (&'a str, &'a str, Option<&'a str>);

/// How many limits a request falls under, and its model, where these are too many.
fn too_many(config: &Config) -> Option<(usize, String)> {
    let headers = common(&config.limits, |limit| limit.when.header.as_ref());
    let claims = common(&config.limits, |limit| limit.when.claim.as_ref());
    let header = |name: &str| Some(headers.get(name).copied().unwrap_or("any"));
    let claim = |name: &str| Some(claims.get(name).copied().unwrap_or("any").to_owned());
    let consumers = consumers(config);
    // Of requests that are the same to all limits, one is enough.
    let mut known: BTreeSet<Vec<bool>> = BTreeSet::new();
    for listener in &config.listeners {
        for (model, provider, pool) in asked(config) {
            let facts = |(consumer, key): Asking<'_>| {
                let facts = LimitFacts {
                    consumer,
                    key,
                    model,
                    pool,
                    provider,
                    listener: &listener.name,
                    header: &|name| header(name),
                    claim: &claim,
                };
                config.charges(&facts).len()
            };
            let limits = config.limits.iter();
            let fits = limits.map(|limit| limit.when.serves(model, pool, provider, &listener.name));
            let fits: Vec<bool> = fits.collect();
            let most = fits.iter().filter(|fits| **fits).count();
            if most <= MAX_CHARGES || !known.insert(fits) {
                continue;
            }
            let mut numbers = consumers.iter().map(|asking| facts(*asking));
            if let Some(number) = numbers.find(|number| *number > MAX_CHARGES) {
                return Some((number, model.to_owned()));
            }
        }
    }
    None
}

/// The value that most limits want of each header or claim.
fn common<'a>(
    limits: &'a [Limit],
    of: impl Fn(&'a Limit) -> Option<&'a LimitField>,
) -> BTreeMap<&'a str, &'a str> {
    let mut numbers: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for field in limits.iter().filter_map(of) {
        if let Some(value) = &field.value {
            *numbers.entry((&field.name, value)).or_default() += 1;
        }
    }
    let mut numbers: Vec<_> = numbers.into_iter().collect();
    numbers.sort_by_key(|(_, number)| *number);
    // The last one of a name stays.
    numbers.into_iter().map(|(field, _)| field).collect()
}

/// Every model that is known, by itself and as a target.
fn asked(config: &Config) -> impl Iterator<Item = Asked<'_>> {
    let models = &config.models;
    let known = models.known.iter().map(|model| (model, None));
    let targets = models.pools.values().flat_map(|pool| {
        let targets = pool.targets.iter();
        targets.map(|target| (&target.model, Some(pool.name.as_str())))
    });
    known.chain(targets).map(|(model, pool)| {
        let provider = config.providers.get(model.provider);
        let provider = provider.map_or("", |provider| provider.name.as_str());
        (model.id.as_str(), provider, pool)
    })
}

/// Nobody, the consumers of keys, and those whom limits name. One of those who are the same to all
/// limits.
fn consumers(config: &Config) -> Vec<Asking<'_>> {
    let keys = config.keys().iter();
    let keys = keys.map(|key| (Some(key.name.as_str()), Some(key)));
    let named = config.limits.iter().flat_map(|limit| &limit.when.consumer);
    let named = named
        .flatten()
        .map(|pattern| (Some(pattern.as_str()), None));
    let mut known: BTreeSet<Vec<bool>> = BTreeSet::new();
    let all = std::iter::once((None, None)).chain(keys).chain(named);
    let others = all.filter(|(consumer, key)| {
        let limits = config.limits.iter();
        let fits = limits.map(|limit| limit.when.asks(*consumer) && limit.is_of(*key));
        known.insert(fits.collect())
    });
    others.collect()
}
