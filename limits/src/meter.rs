//! Reserve, then settle.
//!
//! Charges of one request are taken in the order of their shards and keys: of two requests that meet
//! in several rules, one gets through. What a later rule refuses, the earlier ones get back.
//!
//! A process that ends between the two leaves a reservation behind: a bucket fills all the same, and
//! a window ends.

mod step;

use std::time::Duration;

use self::step::{No, Refusal, Step, Taken};
use crate::bucket::Correction;
use crate::counting::{self, nanos};
use crate::reservation::{Entry, Reservation};
use crate::rule::{Rule, RuleName};
use crate::rules::RuleSet;
use crate::shard::{shard_of, Shard, LARGEST_CAPACITY};
use crate::standing::{Amounts, Refused, Standing, Stats};
use crate::store::Store;

/// The most rules that one request can fall under.
pub const MAX_CHARGES: usize = 16;

/// One rule that a request falls under, and for whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Charge<'a> {
    /// The rule.
    pub rule: &'a RuleName,
    /// Whose bucket or window it is. Where clients choose the subject's name, the hash has to be one
    /// for which nobody finds another's, such as a keyed one.
    pub subject_hash: u64,
}

/// Whether a request may pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// It may, and what it is expected to use is reserved.
    Admitted {
        /// To be settled when it is known what the request has used.
        reservation: Reservation,
        /// Where the subjects stand now, in the order of the charges, each once.
        standing: Vec<Standing>,
        /// What befell the state.
        stats: Stats,
    },
    /// It may not, and nothing is charged.
    Refused(Refused),
}

/// What came of settling.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settled {
    /// Rules of the reservation that are gone, or count another unit or time by now: nothing was
    /// settled with these.
    pub unknown: Vec<RuleName>,
    /// What befell the state.
    pub stats: Stats,
}

/// Why it cannot be said whether a request may pass.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdmitError<E: std::error::Error> {
    /// There is no rule of this name; nothing is charged.
    #[error("there is no rule {name}")]
    UnknownRule {
        /// The name.
        name: RuleName,
    },
    /// The request falls under more than [`MAX_CHARGES`] rules; nothing is charged.
    #[error("a request falls under at most {MAX_CHARGES} rules, not {count}")]
    TooManyCharges {
        /// How many there are.
        count: usize,
    },
    /// The store. What was charged before is given back, as far as the store allows.
    #[error("the store of limits failed")]
    Store(#[source] E),
}

/// Executes rules over a store.
///
/// In any time T that ends with an admission, reservations and later corrections of them, each at
/// its own time, sum up to at most `burst + limit · T / per` of a bucket, and to the limit of a
/// window. A correction upwards is charged whether there is room or not (the tokens are used
/// already): this debt blocks until time has paid it.
#[derive(Debug, Clone)]
pub struct Meter {
    rules: RuleSet,
    shards: u32,
    capacity: usize,
    fail_closed: bool,
}

impl Meter {
    /// How many records a shard has room for, unless that is set: it stays below 32 KiB.
    pub const CAPACITY: usize = 1023;

    /// A meter over so many shards; zero is taken for one. All who share a store need the same
    /// number.
    pub fn new(rules: RuleSet, shards: u32) -> Self {
        Self {
            rules,
            shards: shards.max(1),
            capacity: Self::CAPACITY,
            fail_closed: true,
        }
    }

    /// Sets for how many records a shard has room, between 1 and
    /// [`shard::LARGEST_CAPACITY`](crate::shard::LARGEST_CAPACITY).
    #[must_use]
    pub fn with_capacity(mut self, capacity: usize) -> Self {
        self.capacity = capacity.clamp(1, LARGEST_CAPACITY);
        self
    }

    /// Sets what becomes of a subject for whom its shard has no room, because all records there
    /// are live: refused, which is the default, or admitted and not counted.
    ///
    /// Limits guard what somebody pays for, so what cannot be counted is refused. Those who are
    /// counted already are not touched either way.
    #[must_use]
    pub fn with_fail_closed(mut self, fail_closed: bool) -> Self {
        self.fail_closed = fail_closed;
        self
    }

    /// The rules.
    pub fn rules(&self) -> &RuleSet {
        &self.rules
    }

    /// The number of shards.
    pub fn shards(&self) -> u32 {
        self.shards
    }

    /// Reserves these amounts with all rules, or with none. A rule and subject that is named twice
    /// is charged once. Amounts of zero pass unless there is debt.
    ///
    /// # Errors
    /// [`AdmitError`]; nothing is charged then, as far as the store allows.
    pub fn admit<S: Store>(
        &self,
        store: &S,
        charges: &[Charge<'_>],
        amounts: Amounts,
        now: Duration,
    ) -> Result<Admission, AdmitError<S::Error>> {
        let now = nanos(now);
        let mut steps = self.steps(charges)?;
        let mut stats = Stats::default();
        let mut refusal = None;
        let mut failed = None;
        for step in &mut steps {
            let taken = match self.take(store, step, amounts.of(step.rule.unit()), now) {
                Ok(taken) => taken,
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            };
            stats.corrupt = stats.corrupt.saturating_add(u32::from(taken.corrupt));
            match taken.result {
                Ok(mark) => step.mark = Some(mark),
                Err(No::Crowded(_)) if !self.fail_closed => {
                    stats.crowded_uncounted = stats.crowded_uncounted.saturating_add(1);
                }
                Err(no) => {
                    if matches!(no, No::Crowded(_)) {
                        stats.crowded_refused = stats.crowded_refused.saturating_add(1);
                    }
                    let (rule, remaining) = (step.rule, taken.standing.remaining);
                    refusal = Some(Refusal {
                        rule,
                        remaining,
                        no,
                    });
                }
            }
            step.standing = Some(taken.standing);
            if refusal.is_some() {
                break;
            }
        }
        if let Some(error) = failed {
            self.give_back(store, &steps, amounts, now, &mut stats);
            return Err(AdmitError::Store(error));
        }
        if let Some(refusal) = refusal {
            self.give_back(store, &steps, amounts, now, &mut stats);
            return self.refused(store, steps, refusal, amounts, now, stats);
        }
        steps.sort_unstable_by_key(|step| step.order);
        let entries = steps.iter().filter_map(|step| {
            Some(Entry {
                rule: step.rule.name().clone(),
                unit: step.rule.unit(),
                per: step.rule.per(),
                subject: step.subject,
                amount: amounts.of(step.rule.unit()),
                mark: step.mark?,
            })
        });
        let mut reservation = Reservation {
            entries: Vec::with_capacity(steps.len()),
        };
        reservation.entries.extend(entries);
        let mut standing = Vec::with_capacity(steps.len());
        standing.extend(steps.into_iter().filter_map(|step| step.standing));
        Ok(Admission::Admitted {
            reservation,
            standing,
            stats,
        })
    }

    /// Corrects what was reserved to what was used, requests included: `actual` says whether this
    /// one counts.
    ///
    /// More than reserved is charged in any case; less is given back, to the bucket that it came
    /// out of, unless that has been full since, or to the window, unless it is over. To settle
    /// twice corrects twice, at most up to a full bucket or an empty window; whoever settles sees to
    /// it that they do so once.
    ///
    /// # Errors
    /// The store's first; what comes after it in the reservation is settled all the same.
    pub fn settle<S: Store>(
        &self,
        store: &S,
        reservation: &Reservation,
        actual: Amounts,
        now: Duration,
    ) -> Result<Settled, S::Error> {
        let now = nanos(now);
        let mut settled = Settled::default();
        let mut failed = None;
        for entry in &reservation.entries {
            let rule = self
                .rules
                .find(&entry.rule)
                .filter(|rule| entry.is_of(rule));
            let Some(rule) = rule else {
                settled.unknown.push(entry.rule.clone());
                continue;
            };
            let correction = Correction::Settled {
                reserved: entry.amount,
                actual: actual.of(entry.unit),
            };
            let key = rule.key(entry.subject);
            let outcome = self.correct(
                store,
                rule,
                key,
                correction,
                entry.mark,
                now,
                &mut settled.stats,
            );
            if let Err(error) = outcome {
                failed.get_or_insert(error);
            }
        }
        failed.map_or(Ok(settled), Err)
    }

    /// Where the subjects stand, in the order of the charges, each once. Nothing is charged.
    ///
    /// # Errors
    /// [`AdmitError`].
    pub fn peek<S: Store>(
        &self,
        store: &S,
        charges: &[Charge<'_>],
        now: Duration,
    ) -> Result<Vec<Standing>, AdmitError<S::Error>> {
        let now = nanos(now);
        let mut steps = self.steps(charges)?;
        steps.sort_unstable_by_key(|step| step.order);
        steps
            .iter()
            .map(|step| {
                let look = |record| counting::standing(step.rule, record, now);
                self.look(store, step, look).map_err(AdmitError::Store)
            })
            .collect()
    }

    /// The charges in the order in which they are taken, each once.
    fn steps<E: std::error::Error>(
        &self,
        charges: &[Charge<'_>],
    ) -> Result<Vec<Step<'_>>, AdmitError<E>> {
        let count = charges.len();
        if count > MAX_CHARGES {
            return Err(AdmitError::TooManyCharges { count });
        }
        let mut steps = Vec::with_capacity(count);
        for (order, charge) in charges.iter().enumerate() {
            let Some(rule) = self.rules.find(charge.rule) else {
                let name = charge.rule.clone();
                return Err(AdmitError::UnknownRule { name });
            };
            let key = rule.key(charge.subject_hash);
            steps.push(Step {
                order,
                rule,
                subject: charge.subject_hash,
                key,
                shard: shard_of(key, self.shards),
                mark: None,
                standing: None,
            });
        }
        steps.sort_unstable_by_key(|step| (step.shard, step.key, step.order));
        steps.dedup_by_key(|step| step.key);
        Ok(steps)
    }

    /// Takes an amount for one rule.
    fn take<S: Store>(
        &self,
        store: &S,
        step: &Step<'_>,
        amount: u64,
        now: u64,
    ) -> Result<Taken, S::Error> {
        let (rule, key) = (step.rule, step.key);
        store.update(step.shard, |bytes| {
            let (shard, corrupt) = Shard::read(bytes);
            let before = shard.find(key);
            let (bytes, after, result) = match counting::admit(rule, before, key, amount, now) {
                Err(denied) => (None, before, Err(No::Denied(denied))),
                Ok(change) => match change.record {
                    None => (None, before, Ok(change.mark)),
                    Some(record) => {
                        match shard.with(&record, Duration::from_nanos(now), self.capacity) {
                            Ok(bytes) => (Some(bytes), Some(record), Ok(change.mark)),
                            Err(full) => (
                                None,
                                before,
                                Err(No::Crowded(full.until.saturating_sub(now))),
                            ),
                        }
                    }
                },
            };
            let taken = Taken {
                result,
                standing: counting::standing(rule, after, now),
                corrupt,
            };
            (bytes, taken)
        })
    }

    /// Gives back what has been taken. A store that fails here keeps it: it comes back with time.
    fn give_back<S: Store>(
        &self,
        store: &S,
        steps: &[Step<'_>],
        amounts: Amounts,
        now: u64,
        stats: &mut Stats,
    ) {
        for step in steps {
            if let Some(mark) = step.mark {
                let reserved = amounts.of(step.rule.unit());
                let correction = Correction::Undone { reserved };
                let _ = self.correct(store, step.rule, step.key, correction, mark, now, stats);
            }
        }
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one call of the rule's own `correct`"
    )]
    fn correct<S: Store>(
        &self,
        store: &S,
        rule: &Rule,
        key: u64,
        correction: Correction,
        mark: u64,
        now: u64,
        stats: &mut Stats,
    ) -> Result<(), S::Error> {
        let befell = store.update(shard_of(key, self.shards), |bytes| {
            let (shard, corrupt) = Shard::read(bytes);
            let mut befell = Stats {
                corrupt: u32::from(corrupt),
                ..Stats::default()
            };
            let record = counting::correct(rule, shard.find(key), key, correction, mark, now);
            let changed = record
                .map(|record| shard.with(&record, Duration::from_nanos(now), self.capacity))
                .transpose();
            let bytes = changed.unwrap_or_else(|_| {
                befell.crowded_uncounted = 1;
                None
            });
            (bytes, befell)
        })?;
        stats.add(befell);
        Ok(())
    }

    fn look<S: Store, R>(
        &self,
        store: &S,
        step: &Step<'_>,
        look: impl Fn(Option<crate::shard::Record>) -> R,
    ) -> Result<R, S::Error> {
        store.update(step.shard, |bytes| {
            (None, look(Shard::read(bytes).0.find(step.key)))
        })
    }

    /// The refusal: by the rule that refuses for longest, with the standing of all.
    fn refused<S: Store>(
        &self,
        store: &S,
        mut steps: Vec<Step<'_>>,
        first: Refusal<'_>,
        amounts: Amounts,
        now: u64,
        stats: Stats,
    ) -> Result<Admission, AdmitError<S::Error>> {
        let mut longest = first;
        for step in &mut steps {
            let (rule, amount) = (step.rule, amounts.of(step.rule.unit()));
            let look = |record| {
                let denied = counting::admit(rule, record, step.key, amount, now).err();
                (denied, counting::standing(rule, record, now))
            };
            let (denied, standing) = self.look(store, step, look).map_err(AdmitError::Store)?;
            if let Some(no) = denied.map(No::Denied) {
                if no.nanos() > longest.no.nanos() {
                    let remaining = standing.remaining;
                    longest = Refusal {
                        rule,
                        remaining,
                        no,
                    };
                }
            }
            step.standing = Some(standing);
        }
        steps.sort_unstable_by_key(|step| step.order);
        let Refusal {
            rule,
            remaining,
            no,
        } = longest;
        let retry_after = no.nanos();
        Ok(Admission::Refused(Refused {
            rule: rule.name().clone(),
            unit: rule.unit(),
            reason: no.reason(),
            limit: rule.limit(),
            remaining,
            retry_after: (retry_after < u64::MAX).then(|| Duration::from_nanos(retry_after)),
            standing: steps.into_iter().filter_map(|step| step.standing).collect(),
            stats,
        }))
    }
}
