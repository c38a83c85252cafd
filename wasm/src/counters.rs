//! The meter's own counters, which Envoy adds up over all workers and shows with its own prefix,
//! `wasmcustom.`.
//!
//! Invariant: a counter that the host refuses is given up with one line in the log, and nothing else
//! changes.

use std::cell::Cell;

use crate::host::{CounterId, Host, Level};

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counter {
    /// Exchanges, however they ended.
    Exchanges,
    /// Requests with an order that were let through.
    Admitted,
    /// Requests that were refused, by a rule or because they could not be counted.
    Refused,
    /// Reservations that were settled.
    Settled,
    /// Calls of the shared state, or of the clock, that failed; shards that were corrupt.
    StoreFailures,
    /// Charges for which a shard had no room.
    ShardFull,
    /// Charges with rules that this filter does not know (yet): not counted, not limited.
    UnknownRule,
    /// Orders and reservations that could not be read.
    Unreadable,
}

impl Counter {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Exchanges,
        Self::Admitted,
        Self::Refused,
        Self::Settled,
        Self::StoreFailures,
        Self::ShardFull,
        Self::UnknownRule,
        Self::Unreadable,
    ];

    /// As Envoy shows it, but for the prefix.
    pub fn name(self) -> &'static str {
        match self {
            Self::Exchanges => "meseta_meter_exchanges",
            Self::Admitted => "meseta_meter_admitted",
            Self::Refused => "meseta_meter_refused",
            Self::Settled => "meseta_meter_settled",
            Self::StoreFailures => "meseta_meter_store_failures",
            Self::ShardFull => "meseta_meter_shard_full",
            Self::UnknownRule => "meseta_meter_unknown_rule",
            Self::Unreadable => "meseta_meter_unreadable",
        }
    }
}

/// The counters of one virtual machine.
#[derive(Debug, Default)]
pub struct Counters {
    ids: [Cell<Option<CounterId>>; Counter::ALL.len()],
}

impl Counters {
    /// Defines all of them.
    pub fn define<H: Host>(&self, host: &H) {
        for (counter, id) in Counter::ALL.into_iter().zip(&self.ids) {
            let name = counter.name();
            match host.define_counter(name) {
                Ok(defined) => id.set(Some(defined)),
                Err(status) => {
                    id.set(None);
                    let line = format!("counter {name} not defined: {status}; it is not counted");
                    host.log(Level::Warn, &line);
                }
            }
        }
    }

    /// Adds to one of them.
    pub fn add<H: Host>(&self, host: &H, counter: Counter, by: u32) {
        let place = Counter::ALL.iter().position(|known| *known == counter);
        let Some(cell) = place.and_then(|place| self.ids.get(place)) else {
            return;
        };
        let Some(id) = cell.get().filter(|_| by > 0) else {
            return;
        };
        if let Err(status) = host.increment(id, by) {
            cell.set(None);
            let name = counter.name();
            let line = format!("counter {name} not counted: {status}; it is given up");
            host.log(Level::Warn, &line);
        }
    }
}
