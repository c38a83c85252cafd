//! What one target goes through: ready, left alone, probed, ready again.
//!
//! Each cool-down and each recovery begins an epoch. An attempt says something of the epoch in which
//! it began and of no later one: what was sent before a cool-down does not end it, and an old failure
//! does not count against a target that has recovered since. Only what a rate limit asks for is
//! heard at any time.

use std::time::Duration;

use super::latency::Latency;
use super::window::Window;
use super::{
    Ask, Failure, FailureKind, HealthPolicy, Refused, Standing, State, TargetHealth, Verdict,
};
use crate::budget::RetryBudget;
use crate::target::TargetId;

/// An attempt that is under way. There is one for each, and ending the attempt takes it.
#[must_use = "an attempt that is never ended counts as under way for ever"]
#[derive(Debug, PartialEq, Eq)]
pub struct Ticket {
    pub(super) number: u64,
    epoch: u64,
    probe: bool,
    /// It has begun to answer, and that has been counted as a success.
    answers: bool,
}

impl Ticket {
    /// Whether the attempt finds out if the target is well again.
    pub fn is_probe(&self) -> bool {
        self.probe
    }
}

/// What is known of one target.
#[derive(Debug)]
pub(super) struct Record {
    /// Tickets with smaller numbers belong to a record that was dropped.
    pub(super) first_ticket: u64,
    /// When a request for it last came.
    pub(super) used: Duration,
    pub(super) drained: bool,
    pub(super) in_flight: u32,
    pub(super) budget: RetryBudget,
    latency: Latency,
    window: Window,
    epoch: u64,
    /// When the cool-down ends; after that a probe is due.
    until: Option<Duration>,
    /// The number of the probe's ticket.
    probe: Option<u64>,
    /// How many cool-downs there were since it last was well.
    cooldowns: u32,
    consecutive_failures: u32,
    successes: u64,
    failures: u64,
    last_failure: Option<&'static str>,
}

impl Record {
    pub(super) fn new(first_ticket: u64, now: Duration) -> Self {
        Self {
            first_ticket,
            used: now,
            drained: false,
            in_flight: 0,
            budget: RetryBudget::new(now),
            latency: Latency::default(),
            window: Window::default(),
            epoch: 0,
            until: None,
            probe: None,
            cooldowns: 0,
            consecutive_failures: 0,
            successes: 0,
            failures: 0,
            last_failure: None,
        }
    }

    pub(super) fn standing(&self, now: Duration) -> Standing {
        Standing {
            state: self.state(now),
            until: self.until,
            in_flight: self.in_flight,
            first_token: self.latency.mean(),
            error_rate: self.window.error_rate(now).unwrap_or(0.0),
        }
    }

    /// `number` is that of the ticket, greater than any before.
    pub(super) fn begin(
        &mut self,
        number: u64,
        ask: Ask,
        now: Duration,
    ) -> Result<Ticket, Refused> {
        self.used = self.used.max(now);
        let probe = match self.state(now) {
            State::Drained => return Err(Refused::Drained),
            State::Ready => false,
            State::ProbeDue => true,
            State::Probing | State::CoolingDown if ask.regardless => false,
            State::Probing | State::CoolingDown => return Err(Refused::CoolingDown),
        };
        if ask.retry && !self.budget.withdraw(now) {
            return Err(Refused::Budget);
        }
        if probe {
            self.probe = Some(number);
        }
        self.in_flight = self.in_flight.saturating_add(1);
        Ok(Ticket {
            number,
            epoch: self.epoch,
            probe,
            answers: false,
        })
    }

    pub(super) fn cancel(&mut self, ticket: &Ticket) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if self.probe == Some(ticket.number) {
            self.probe = None;
        }
    }

    /// The answer has begun: what it takes to recover is there, although the attempt goes on.
    pub(super) fn answers(
        &mut self,
        ticket: &mut Ticket,
        first_token: Option<Duration>,
        now: Duration,
    ) {
        if std::mem::replace(&mut ticket.answers, true) {
            return;
        }
        if let Some(time) = first_token {
            self.latency.sample(time, now);
        }
        let of_this_epoch = ticket.epoch == self.epoch;
        self.succeeded(of_this_epoch, now);
        if self.probe == Some(ticket.number) {
            self.probe = None;
        }
        if of_this_epoch {
            // If it breaks later, that is told of the target as it is from now on.
            ticket.epoch = self.epoch;
            ticket.probe = false;
        }
    }

    pub(super) fn end(
        &mut self,
        ticket: &Ticket,
        verdict: &Verdict,
        policy: &HealthPolicy,
        now: Duration,
    ) {
        self.cancel(ticket);
        let of_this_epoch = ticket.epoch == self.epoch;
        match verdict {
            Verdict::Failure(failure) if failure.kind.is_of_target() => {
                self.failures = self.failures.saturating_add(1);
                self.last_failure = Some(failure.reason);
                if of_this_epoch {
                    self.failed(ticket.probe, failure, policy, now);
                }
                if let Some(asked) = asked_for(failure) {
                    self.leave_alone(now.saturating_add(asked));
                }
            }
            Verdict::Failure(failure) => {
                self.last_failure = Some(failure.reason);
                self.succeeded(of_this_epoch, now);
            }
            Verdict::Success { .. } if ticket.answers => {}
            Verdict::Success { first_token } => {
                if let Some(time) = first_token {
                    self.latency.sample(*time, now);
                }
                self.succeeded(of_this_epoch, now);
            }
        }
    }

    fn succeeded(&mut self, of_this_epoch: bool, now: Duration) {
        self.successes = self.successes.saturating_add(1);
        if !of_this_epoch {
            return;
        }
        self.consecutive_failures = 0;
        self.cooldowns = 0;
        if self.until.take().is_some() {
            self.epoch = self.epoch.wrapping_add(1);
            // What led to the cool-down is over; it must not lead to the next.
            self.window.clear();
        }
        self.window.count(false, now);
    }

    fn failed(&mut self, probe: bool, failure: &Failure, policy: &HealthPolicy, now: Duration) {
        self.consecutive_failures = self.consecutive_failures.saturating_add(1);
        self.window.count(true, now);
        let tripped = if self.until.is_some() {
            // Attempts that were made regardless would prolong a cool-down as fast as they come.
            probe
        } else {
            self.consecutive_failures >= policy.failures.max(1)
                || self.window.reaches(policy.error_rate, now)
        };
        // What a rate limit asks for takes the place of a cool-down.
        if tripped && asked_for(failure).is_none() {
            let doubled = 1_u32.checked_shl(self.cooldowns).unwrap_or(u32::MAX);
            let time = policy.first.saturating_mul(doubled).min(policy.longest);
            self.cooldowns = self.cooldowns.saturating_add(1);
            self.leave_alone(now.saturating_add(time));
        }
    }

    /// Until then at least.
    fn leave_alone(&mut self, until: Duration) {
        if self.until < Some(until) {
            self.until = Some(until);
            self.epoch = self.epoch.wrapping_add(1);
        }
    }

    fn state(&self, now: Duration) -> State {
        match self.until {
            _ if self.drained => State::Drained,
            None => State::Ready,
            Some(until) if now < until => State::CoolingDown,
            Some(_) if self.probe.is_some() => State::Probing,
            Some(_) => State::ProbeDue,
        }
    }

    /// All but the percentile, which takes [`Record::samples`].
    pub(super) fn health(&self, id: &TargetId, now: Duration) -> TargetHealth {
        TargetHealth {
            id: id.clone(),
            state: self.state(now),
            cooldown_remaining: self
                .until
                .and_then(|until| until.checked_sub(now))
                .filter(|remaining| !remaining.is_zero()),
            in_flight: self.in_flight,
            consecutive_failures: self.consecutive_failures,
            successes: self.successes,
            failures: self.failures,
            error_rate: self.window.error_rate(now),
            first_token: self.latency.mean(),
            first_token_p95: None,
            last_failure: self.last_failure,
        }
    }

    pub(super) fn samples(&self) -> Vec<u32> {
        self.latency.samples()
    }
}

/// For how long a rate limit asks to be left alone. Zero says nothing.
fn asked_for(failure: &Failure) -> Option<Duration> {
    if failure.kind != FailureKind::RateLimited {
        return None;
    }
    let asked = failure.retry_after.filter(|asked| !asked.is_zero())?;
    Some(asked.min(HealthPolicy::LONGEST_RETRY_AFTER))
}
