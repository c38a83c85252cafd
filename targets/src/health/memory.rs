//! What is known of targets, in the memory of this process.
//!
//! At most [`MemoryHealth::MOST`] targets are kept. Where a wildcard lets clients name any model,
//! each name is a target; when there are too many, the longest unused go, a sixteenth at a time so
//! that not each new name costs a look at all. What is drained goes last, what has an attempt under
//! way just before it. An attempt whose target went ends without a trace.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::latency::percentile;
use super::record::Record;
use super::{Ask, HealthPolicy, HealthStore, Refused, Standing, TargetHealth, Ticket, Verdict};
use crate::target::TargetId;

/// A [`HealthStore`] in memory.
#[derive(Debug)]
pub struct MemoryHealth {
    most: usize,
    // Held for some hundred nanoseconds; only the dropping of targets takes longer.
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    records: HashMap<TargetId, Record>,
    /// The number of the next ticket.
    next: u64,
}

impl Default for MemoryHealth {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryHealth {
    /// So many targets are kept at most.
    pub const MOST: usize = 10_000;

    /// Nothing is known yet.
    pub fn new() -> Self {
        Self::with_most(Self::MOST)
    }

    fn with_most(most: usize) -> Self {
        Self {
            most,
            known: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        // No record is left half changed: nothing that runs under the lock panics.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn record(&mut self, id: &TargetId, most: usize, now: Duration) -> &mut Record {
        if self.records.len() >= most && !self.records.contains_key(id) {
            self.drop_unused(most);
        }
        let next = self.next;
        self.records
            .entry(id.clone())
            .or_insert_with(|| Record::new(next, now))
    }

    /// Makes room for one target, and for some more.
    fn drop_unused(&mut self, most: usize) {
        let mut by_use: Vec<_> = self
            .records
            .iter()
            .map(|(id, record)| {
                let rank = (record.drained, record.in_flight > 0, record.used);
                (rank, id.clone())
            })
            .collect();
        by_use.sort_unstable();
        let too_many = (by_use.len() + 1).saturating_sub(most);
        for (_, id) in by_use.into_iter().take(too_many.max(most / 16)) {
            self.records.remove(&id);
        }
    }

    fn ended(&mut self, id: &TargetId, ticket: &Ticket) -> Option<&mut Record> {
        let record = self.records.get_mut(id)?;
        (ticket.number >= record.first_ticket).then_some(record)
    }
}

impl HealthStore for MemoryHealth {
    fn standing(&self, id: &TargetId, now: Duration) -> Standing {
        match self.lock().records.get(id) {
            Some(record) => record.standing(now),
            None => Standing::UNKNOWN,
        }
    }

    fn deposit(&self, id: &TargetId, share: f64, now: Duration) {
        let mut known = self.lock();
        let record = known.record(id, self.most, now);
        record.used = record.used.max(now);
        record.budget.deposit(share, now);
    }

    fn begin(&self, id: &TargetId, ask: Ask, now: Duration) -> Result<Ticket, Refused> {
        let mut known = self.lock();
        let number = known.next;
        let ticket = known.record(id, self.most, now).begin(number, ask, now)?;
        known.next = number.wrapping_add(1);
        Ok(ticket)
    }

    fn answers(
        &self,
        id: &TargetId,
        ticket: &mut Ticket,
        first_token: Option<Duration>,
        now: Duration,
    ) {
        if let Some(record) = self.lock().ended(id, ticket) {
            record.answers(ticket, first_token, now);
        }
    }

    fn end(
        &self,
        id: &TargetId,
        ticket: Ticket,
        verdict: &Verdict,
        policy: &HealthPolicy,
        now: Duration,
    ) {
        if let Some(record) = self.lock().ended(id, &ticket) {
            record.end(&ticket, verdict, policy, now);
        }
    }

    fn cancel(&self, id: &TargetId, ticket: Ticket) {
        if let Some(record) = self.lock().ended(id, &ticket) {
            record.cancel(&ticket);
        }
    }

    fn drain(&self, id: &TargetId) {
        self.lock().record(id, self.most, Duration::ZERO).drained = true;
    }

    fn undrain(&self, id: &TargetId) {
        if let Some(record) = self.lock().records.get_mut(id) {
            record.drained = false;
        }
    }

    fn percentile(&self, id: &TargetId, percent: u8) -> Option<Duration> {
        let samples = self.lock().records.get(id).map(Record::samples)?;
        percentile(samples, percent)
    }

    fn snapshot(&self, now: Duration) -> Vec<TargetHealth> {
        let ids: Vec<TargetId> = self.lock().records.keys().cloned().collect();
        // One after the other, so that requests are not kept waiting for all of them.
        let one = |id: &TargetId| {
            let known = self.lock();
            let record = known.records.get(id)?;
            Some((record.health(id, now), record.samples()))
        };
        let mut targets: Vec<_> = ids
            .iter()
            .filter_map(one)
            .map(|(health, samples)| TargetHealth {
                first_token_p95: percentile(samples, 95),
                ..health
            })
            .collect();
        targets.sort_unstable_by(|left, right| left.id.cmp(&right.id));
        targets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: usize) -> TargetId {
        TargetId::new(format!("some/model-{number}"))
    }

    fn at(seconds: usize) -> Duration {
        Duration::from_secs(seconds as u64)
    }

    fn ids(health: &MemoryHealth) -> Vec<TargetId> {
        let snapshot = health.snapshot(at(0));
        snapshot.into_iter().map(|target| target.id).collect()
    }

    #[test]
    fn at_most_ten_thousand_targets_are_kept() {
        let health = MemoryHealth::new();
        for number in 0..25_000 {
            health.deposit(&id(number), 0.5, at(number));
            assert!(health.lock().records.len() <= MemoryHealth::MOST);
        }
        assert!(ids(&health).contains(&id(24_999)));
        assert!(ids(&health).len() > 9_000);
    }

    #[test]
    fn the_longest_unused_are_dropped() {
        let health = MemoryHealth::with_most(4);
        (0..4).for_each(|number| health.deposit(&id(number), 0.5, at(number)));
        health.deposit(&id(0), 0.5, at(4));
        health.deposit(&id(4), 0.5, at(5));
        assert_eq!(ids(&health), [id(0), id(2), id(3), id(4)]);
    }

    #[test]
    fn what_is_drained_or_under_way_is_dropped_last() {
        let health = MemoryHealth::with_most(3);
        health.drain(&id(0));
        let ticket = health.begin(&id(1), Ask::default(), at(1)).unwrap();
        (2..6).for_each(|number| health.deposit(&id(number), 0.5, at(number)));
        assert_eq!(ids(&health), [id(0), id(1), id(5)]);
        health.cancel(&id(1), ticket);
        health.deposit(&id(6), 0.5, at(6));
        assert_eq!(ids(&health), [id(0), id(5), id(6)]);
    }

    #[test]
    fn an_attempt_whose_target_was_dropped_ends_without_a_trace() {
        let health = MemoryHealth::with_most(1);
        let ticket = health.begin(&id(0), Ask::default(), at(0)).unwrap();
        health.deposit(&id(1), 0.5, at(1));
        let other = health.begin(&id(0), Ask::default(), at(2)).unwrap();
        health.cancel(&id(0), ticket);
        assert_eq!(health.standing(&id(0), at(2)).in_flight, 1);
        health.cancel(&id(0), other);
        assert_eq!(health.standing(&id(0), at(2)).in_flight, 0);
    }

    #[test]
    fn a_poisoned_lock_is_no_obstacle() {
        let health = std::sync::Arc::new(MemoryHealth::new());
        let other = std::sync::Arc::clone(&health);
        let died = std::thread::spawn(move || {
            let _known = other.lock();
            panic!("on purpose");
        })
        .join();
        assert!(died.is_err());
        health.deposit(&id(0), 0.5, at(0));
        assert_eq!(ids(&health), [id(0)]);
    }
}
