//! The attempts of one request: which target each goes to, when, and when there are no more.
//!
//! In the first round each target is asked once at most: by priority and then as [`Select`] says,
//! those that are ready or due for a probe; then those that are left alone, the least bad first. If
//! more attempts are allowed, further rounds go over the same targets after a pause.
//!
//! Invariants: no more than [`Terms::max_attempts`] attempts; a drained target is never asked; one
//! in cool-down is not asked while a ready one has not been; no target is asked twice at a time.

use std::cmp::Ordering;
use std::sync::Arc;
use std::time::Duration;

use crate::chance::Chance;
use crate::health::{
    Ask, Failure, FailureKind, HealthPolicy, HealthStore, Refused, Standing, State, Ticket, Verdict,
};
use crate::select::{choose, Candidate, Choice, Select};
use crate::target::TargetId;

/// On what terms a request is tried.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Terms {
    /// How one of several targets of equal priority is chosen.
    pub select: Select,
    /// A hash that keeps its requests at one target of equal priority.
    pub sticky: Option<u64>,
    /// How many attempts there are at most, the first and hedges included.
    pub max_attempts: u32,
    /// How many retries each target gets for each request, for
    /// [`RetryBudget::deposit`](crate::RetryBudget::deposit).
    pub retry_budget: f64,
    /// When a target is left alone.
    pub health: HealthPolicy,
}

/// The attempts of one request.
#[derive(Debug)]
pub struct Plan {
    store: Arc<dyn HealthStore>,
    candidates: Arc<[Candidate]>,
    /// One for each candidate.
    seats: Vec<Seat>,
    terms: Terms,
    chance: Chance,
    attempts: u32,
}

/// What comes next.
#[derive(Debug)]
pub enum Next {
    /// This attempt, which has begun as far as the target's health goes.
    Attempt(Attempt),
    /// Nothing, as things are.
    Exhausted(Exhausted),
}

/// Why there is no attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exhausted {
    /// There were as many as are allowed.
    Attempts,
    /// Each target that is left has spent its retry budget.
    Budget,
    /// All targets are drained.
    Drained,
    /// No target is left: each is being asked, cannot help with what failed, or wants to be left
    /// alone for longer than a request waits.
    Targets,
}

impl Exhausted {
    /// As in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Attempts => "attempts",
            Self::Budget => "budget",
            Self::Drained => "drained",
            Self::Targets => "targets",
        }
    }
}

/// What a plan knows of a candidate.
#[derive(Debug, Clone)]
struct Seat {
    standing: Standing,
    /// Why it did not let the attempt that is being planned begin.
    refused: Option<Refused>,
    /// How often it was asked.
    asked: u32,
    under_way: bool,
    /// It cannot help with what failed.
    ruled_out: bool,
    /// It asked to be left alone until then.
    not_before: Duration,
}

/// The pause before the second round is up to this long, and twice that before each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// No pause is longer, and no target is waited for longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

impl Plan {
    /// The plan of a request that has just come.
    pub fn new(
        store: Arc<dyn HealthStore>,
        candidates: Arc<[Candidate]>,
        terms: Terms,
        seed: u64,
        now: Duration,
    ) -> Self {
        for candidate in candidates.iter() {
            store.deposit(&candidate.id, terms.retry_budget, now);
        }
        let seat = Seat {
            standing: Standing::UNKNOWN,
            refused: None,
            asked: 0,
            under_way: false,
            ruled_out: false,
            not_before: Duration::ZERO,
        };
        Self {
            seats: vec![seat; candidates.len()],
            store,
            candidates,
            terms,
            chance: Chance::new(seed),
            attempts: 0,
        }
    }

    /// How many attempts have begun.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// The next attempt. While another is under way it is a hedge, which goes to another target.
    pub fn next(&mut self, now: Duration) -> Next {
        if self.attempts >= self.terms.max_attempts {
            return Next::Exhausted(Exhausted::Attempts);
        }
        for (seat, candidate) in self.seats.iter_mut().zip(self.candidates.iter()) {
            seat.standing = self.store.standing(&candidate.id, now);
            seat.refused = None;
        }
        let retry = self.attempts > 0;
        // Others may have begun attempts since: each refusal is one way less, so that this ends.
        while let Some((index, regardless)) = self.choose(now) {
            let candidates = Arc::clone(&self.candidates);
            let (Some(seat), Some(candidate)) = (self.seats.get_mut(index), candidates.get(index))
            else {
                break;
            };
            match self
                .store
                .begin(&candidate.id, Ask { regardless, retry }, now)
            {
                Ok(ticket) => {
                    let round = seat.asked;
                    let asked_for = seat.not_before.saturating_sub(now);
                    seat.asked = seat.asked.saturating_add(1);
                    seat.under_way = true;
                    self.attempts = self.attempts.saturating_add(1);
                    return Next::Attempt(Attempt {
                        index,
                        delay: pause(round, &mut self.chance).max(asked_for),
                        id: candidate.id.clone(),
                        policy: self.terms.health,
                        probe: ticket.is_probe(),
                        ticket: Some(ticket),
                        store: Arc::clone(&self.store),
                    });
                }
                Err(Refused::CoolingDown) if !regardless => {
                    seat.standing.state = State::CoolingDown;
                }
                Err(refused) => seat.refused = Some(refused),
            }
        }
        Next::Exhausted(self.why())
    }

    /// An attempt at the target of this index has failed: it may be asked again, and what it failed
    /// of may rule out others. A target whose attempt is neither reported here nor a success is not
    /// asked again.
    pub fn failed(&mut self, index: usize, failure: &Failure, now: Duration) {
        let candidates = Arc::clone(&self.candidates);
        let (Some(seat), Some(failed)) = (self.seats.get_mut(index), candidates.get(index)) else {
            return;
        };
        seat.under_way = false;
        if let Some(retry_after) = failure.retry_after {
            seat.not_before = now.saturating_add(retry_after);
        }
        match failure.kind {
            FailureKind::Target | FailureKind::RateLimited => {}
            FailureKind::ContextLength => {
                seat.ruled_out = true;
                let larger =
                    |candidate: &Candidate| match (candidate.context_window, failed.context_window)
                    {
                        (Some(window), Some(too_small)) => window > too_small,
                        (None, _) | (_, None) => true,
                    };
                self.rule_out(&candidates, |candidate| !larger(candidate));
            }
            FailureKind::ContentFilter => {
                self.rule_out(&candidates, |candidate| {
                    candidate.provider == failed.provider
                });
            }
        }
    }

    fn rule_out(&mut self, candidates: &[Candidate], which: impl Fn(&Candidate) -> bool) {
        for (seat, candidate) in self.seats.iter_mut().zip(candidates) {
            seat.ruled_out |= which(candidate);
        }
    }

    /// Whom to ask, and whether regardless of a cool-down.
    fn choose(&mut self, now: Duration) -> Option<(usize, bool)> {
        let free = || self.seats.iter().filter(|seat| seat.is_free(now));
        let round = free().map(|seat| seat.asked).min()?;
        let in_round = self
            .seats
            .iter()
            .zip(self.candidates.iter())
            .enumerate()
            .filter(|(_, (seat, _))| seat.asked == round && seat.is_free(now))
            .map(|(index, (seat, candidate))| Choice {
                index,
                candidate,
                standing: &seat.standing,
            });
        let open = in_round
            .clone()
            .filter(|choice| choice.standing.state.is_open());
        match open.clone().map(|choice| choice.candidate.priority).min() {
            Some(first) => {
                let group = open.filter(|choice| choice.candidate.priority == first);
                let Terms { select, sticky, .. } = self.terms;
                let index = choose(group, select, sticky, &mut self.chance)?;
                Some((index, false))
            }
            None => {
                let least = in_round.min_by(|a, b| compare_badness(a.standing, b.standing))?;
                Some((least.index, true))
            }
        }
    }

    fn why(&self) -> Exhausted {
        let refused = |reason| self.seats.iter().any(|seat| seat.refused == Some(reason));
        let drained = |seat: &Seat| {
            seat.standing.state == State::Drained || seat.refused == Some(Refused::Drained)
        };
        if refused(Refused::Budget) {
            Exhausted::Budget
        } else if !self.seats.is_empty() && self.seats.iter().all(drained) {
            Exhausted::Drained
        } else {
            Exhausted::Targets
        }
    }
}

impl Seat {
    fn is_free(&self, now: Duration) -> bool {
        !self.under_way
            && !self.ruled_out
            && self.refused.is_none()
            && self.standing.state != State::Drained
            && self.not_before.saturating_sub(now) <= LONGEST_PAUSE
    }
}

/// The one whose cool-down ends first, and of those the one with fewer failures.
fn compare_badness(a: &Standing, b: &Standing) -> Ordering {
    a.until
        .cmp(&b.until)
        .then_with(|| a.error_rate.total_cmp(&b.error_rate))
}

/// Any time up to that of the round, so that requests that failed together do not come back
/// together.
fn pause(round: u32, chance: &mut Chance) -> Duration {
    let Some(doublings) = round.checked_sub(1) else {
        return Duration::ZERO;
    };
    let doubled = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
    let longest = FIRST_PAUSE.saturating_mul(doubled).min(LONGEST_PAUSE);
    let micros = u64::try_from(longest.as_micros()).unwrap_or(u64::MAX);
    Duration::from_micros(chance.below(micros.saturating_add(1)))
}

/// An attempt that has begun. Dropped without an end it is cancelled, which says nothing of its
/// target.
#[must_use = "an attempt that is dropped is cancelled"]
#[derive(Debug)]
pub struct Attempt {
    index: usize,
    delay: Duration,
    id: TargetId,
    policy: HealthPolicy,
    probe: bool,
    ticket: Option<Ticket>,
    store: Arc<dyn HealthStore>,
}

impl Attempt {
    /// The index of the candidate that is asked.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Who is asked.
    pub fn id(&self) -> &TargetId {
        &self.id
    }

    /// Whether it finds out if the target is well again.
    pub fn is_probe(&self) -> bool {
        self.probe
    }

    /// How long to wait before the target is asked.
    pub fn delay(&self) -> Duration {
        self.delay
    }

    /// The target has begun to answer, after so long where that was measured, and goes on.
    pub fn answers(&mut self, first_token: Option<Duration>, now: Duration) {
        if let Some(ticket) = &mut self.ticket {
            self.store.answers(&self.id, ticket, first_token, now);
        }
    }

    /// Tells what came of it.
    pub fn end(mut self, verdict: &Verdict, now: Duration) {
        if let Some(ticket) = self.ticket.take() {
            self.store.end(&self.id, ticket, verdict, &self.policy, now);
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.store.cancel(&self.id, ticket);
        }
    }
}
