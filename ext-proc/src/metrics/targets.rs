//! What is known of targets, as metrics of one scrape.
//!
//! They are made anew each time, so that a target that is gone leaves nothing behind and two scrapes
//! do not meet.

use std::sync::atomic::AtomicU64;

use meseta_targets::{State, TargetHealth};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::PREFIX;

/// Every state that a target can be in.
const STATES: [State; 5] = [
    State::Ready,
    State::ProbeDue,
    State::Probing,
    State::CoolingDown,
    State::Drained,
];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    target: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabels {
    target: String,
    state: &'static str,
}

type Seconds = Gauge<f64, AtomicU64>;

/// The metrics of these targets, to be printed once.
pub(super) fn registry<'a>(targets: impl Iterator<Item = &'a TargetHealth>) -> Registry {
    let states = Family::<StateLabels, Gauge>::default();
    let in_flight = Family::<Labels, Gauge>::default();
    let error_rates = Family::<Labels, Gauge<f64, AtomicU64>>::default();
    let cooldowns = Family::<Labels, Seconds>::default();
    let first_tokens = Family::<Labels, Seconds>::default();
    for health in targets {
        let labels = Labels {
            target: health.id.as_str().to_owned(),
        };
        for state in STATES {
            let labels = StateLabels {
                target: labels.target.clone(),
                state: state.as_str(),
            };
            let is_in_it = i64::from(state == health.state);
            states.get_or_create(&labels).set(is_in_it);
        }
        let under_way = i64::from(health.in_flight);
        in_flight.get_or_create(&labels).set(under_way);
        let error_rate = health.error_rate.unwrap_or(0.0);
        error_rates.get_or_create(&labels).set(error_rate);
        let left = health.cooldown_remaining.unwrap_or_default();
        cooldowns.get_or_create(&labels).set(left.as_secs_f64());
        if let Some(mean) = health.first_token {
            first_tokens.get_or_create(&labels).set(mean.as_secs_f64());
        }
    }
    let mut registry = Registry::with_prefix(PREFIX);
    registry.register(
        "target_state",
        "1 for the state that a target is in",
        states,
    );
    registry.register(
        "target_in_flight",
        "Attempts at a target that are under way",
        in_flight,
    );
    registry.register(
        "target_error_rate",
        "The share of failures among recent attempts at a target",
        error_rates,
    );
    registry.register_with_unit(
        "target_cooldown",
        "How long a target is still left alone",
        Unit::Seconds,
        cooldowns,
    );
    registry.register_with_unit(
        "target_first_token",
        "A target's mean time to the first content of a stream, the recent ones weighing more",
        Unit::Seconds,
        first_tokens,
    );
    registry
}
