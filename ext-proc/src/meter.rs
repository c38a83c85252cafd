//! Rate limits, where the server itself executes them, and what answers are expected to cost.
//!
//! Owns the state of limits in this process (`meter: native`) and the mean length of answers, by which
//! is reserved before there is one. With the filter in Envoy (`meter: wasm`) only the latter is used.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use meseta_config::{Config, MeterFailure, METER_SHARDS};
use meseta_limits::{Admission, Amounts, Charge, MemoryStore, Reservation, RuleName, Standing};

/// What an answer of a model that has never answered is expected to have, in tokens.
const FIRST: f64 = 256.0;
/// So many answers count in a mean.
const MEMORY: f64 = 50.0;
/// For how many models a mean is kept: with wildcards clients may name any.
const MOST_MODELS: usize = 1000;

/// Limits of one configuration over the state of the process.
#[derive(Debug)]
pub(crate) struct Meter {
    limits: meseta_limits::Meter,
    state: Arc<State>,
}

/// What outlives a configuration.
#[derive(Debug)]
struct State {
    store: MemoryStore,
    lengths: RwLock<HashMap<String, Mean>>,
}

#[derive(Debug, Clone, Copy)]
struct Mean {
    count: f64,
    tokens: f64,
}

/// An admission, to be settled once.
#[derive(Debug)]
pub(crate) struct Reserved {
    meter: Arc<Meter>,
    reservation: Reservation,
}

impl Reserved {
    /// Corrects what was reserved to what was used.
    pub(crate) fn settle(self, used: Amounts) {
        let Self { meter, reservation } = self;
        // The store is this process's memory, which never fails; rules that are gone count nothing.
        let _ = meter
            .limits
            .settle(&meter.state.store, &reservation, used, unix_time());
    }
}

impl Meter {
    /// For the configuration that the process begins with.
    pub(crate) fn first(config: &Config) -> Self {
        let state = State {
            store: MemoryStore::new(METER_SHARDS),
            lengths: RwLock::default(),
        };
        Self::of(config, Arc::new(state))
    }

    /// For another configuration, over what is counted already.
    pub(crate) fn next(&self, config: &Config) -> Self {
        Self::of(config, Arc::clone(&self.state))
    }

    fn of(config: &Config, state: Arc<State>) -> Self {
        let closed = config.server.meter_failure == MeterFailure::Closed;
        let limits = meseta_limits::Meter::new(config.rules().clone(), METER_SHARDS);
        Self {
            limits: limits.with_fail_closed(closed),
            state,
        }
    }

    /// Reserves, or says why not. `None`: it cannot be said, because the request falls under too many
    /// rules.
    pub(crate) fn admit(
        self: &Arc<Self>,
        charges: &[(RuleName, u64)],
        amounts: Amounts,
    ) -> Option<Result<(Reserved, Vec<Standing>), meseta_limits::Refused>> {
        let charges = borrowed(charges);
        let store = &self.state.store;
        match self.limits.admit(store, &charges, amounts, unix_time()) {
            Ok(Admission::Admitted {
                reservation,
                standing,
                ..
            }) => {
                let reserved = Reserved {
                    meter: Arc::clone(self),
                    reservation,
                };
                Some(Ok((reserved, standing)))
            }
            Ok(Admission::Refused(refused)) => Some(Err(refused)),
            Err(_) => None,
        }
    }

    /// What a client reads who is refused.
    pub(crate) fn message(&self, refused: &meseta_limits::Refused) -> String {
        refused.message(self.limits.rules().find(&refused.rule))
    }

    /// Where the subjects stand. Nothing is charged.
    pub(crate) fn peek(&self, charges: &[(RuleName, u64)]) -> Option<Vec<Standing>> {
        let charges = borrowed(charges);
        let store = &self.state.store;
        self.limits.peek(store, &charges, unix_time()).ok()
    }

    /// How many tokens an answer of this model is expected to have.
    pub(crate) fn expected_output(&self, model: &str) -> u64 {
        let lengths = self.state.lengths.read();
        let lengths = lengths.unwrap_or_else(std::sync::PoisonError::into_inner);
        let mean = lengths.get(model).map_or(FIRST, |mean| mean.tokens);
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a mean of counts, and casts of floats saturate"
        )]
        let tokens = mean.ceil() as u64;
        tokens
    }

    /// An answer of this model had so many tokens.
    pub(crate) fn answered(&self, model: &str, output_tokens: u64) {
        let lengths = self.state.lengths.write();
        let mut lengths = lengths.unwrap_or_else(std::sync::PoisonError::into_inner);
        if !lengths.contains_key(model) && lengths.len() >= MOST_MODELS {
            return;
        }
        let mean = lengths.entry(model.to_owned()).or_insert(Mean {
            count: 0.0,
            tokens: 0.0,
        });
        mean.count = (mean.count + 1.0).min(MEMORY);
        #[allow(clippy::cast_precision_loss, reason = "counts of tokens are small")]
        let tokens = output_tokens as f64;
        mean.tokens += (tokens - mean.tokens) / mean.count;
    }
}

fn borrowed(charges: &[(RuleName, u64)]) -> Vec<Charge<'_>> {
    let charges = charges.iter().map(|(rule, subject_hash)| Charge {
        rule,
        subject_hash: *subject_hash,
    });
    charges.collect()
}

/// The time of limits: since the unix epoch.
pub(crate) fn unix_time() -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        meseta_config::load(&meseta_config::Source {
            text: "listeners: [{port: 0}]",
            name: "meseta.yaml",
            env: &|_| None,
            dir: std::path::Path::new("/"),
            file: &|_| Err(std::io::ErrorKind::NotFound.into()),
        })
        .unwrap()
    }

    #[test]
    fn an_answer_is_expected_to_be_as_long_as_those_before() {
        let meter = Meter::first(&config());
        assert_eq!(meter.expected_output("p/m"), 256);
        meter.answered("p/m", 100);
        assert_eq!(meter.expected_output("p/m"), 100);
        for _ in 0..500 {
            meter.answered("p/m", 40);
        }
        assert_eq!(meter.expected_output("p/m"), 41);
        let next = meter.next(&config());
        assert_eq!(next.expected_output("p/m"), 41);
    }
}
