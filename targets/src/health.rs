//! What is known of targets: who is ready, who is left alone and until when, who is fast.
//!
//! [`HealthStore`] is what a [`Plan`](crate::Plan) asks and tells; [`MemoryHealth`] keeps it in this
//! process. What one target goes through is `record`; `window` counts its recent failures and
//! `latency` its times.
//!
//! Invariants: each attempt that begins is ended once, because its [`Ticket`] goes with the end;
//! never are two probes of a target under way; a drained target begins nothing.

mod latency;
mod memory;
mod record;
mod window;

use std::fmt::Debug;
use std::time::Duration;

pub use memory::MemoryHealth;
pub use record::Ticket;

use crate::target::TargetId;

/// Keeps what is known of targets.
pub trait HealthStore: Send + Sync + Debug {
    /// What a choice needs to know of a target. One that is not known is ready.
    fn standing(&self, id: &TargetId, now: Duration) -> Standing;

    /// A request that may go to this target has come: its share of retries, for
    /// [`RetryBudget::deposit`](crate::RetryBudget::deposit).
    fn deposit(&self, id: &TargetId, share: f64, now: Duration);

    /// Begins an attempt, or says why not. It is under way until [`end`](Self::end) or
    /// [`cancel`](Self::cancel) gets the ticket.
    fn begin(&self, id: &TargetId, ask: Ask, now: Duration) -> Result<Ticket, Refused>;

    /// An attempt has begun to answer, after so long where that was measured, and goes on: the target
    /// is well so far. What comes of the attempt in the end is told by [`end`](Self::end).
    fn answers(
        &self,
        id: &TargetId,
        ticket: &mut Ticket,
        first_token: Option<Duration>,
        now: Duration,
    );

    /// Ends an attempt with what came of it.
    fn end(
        &self,
        id: &TargetId,
        ticket: Ticket,
        verdict: &Verdict,
        policy: &HealthPolicy,
        now: Duration,
    );

    /// Ends an attempt that nothing came of, such as one whose client has gone. It says nothing of
    /// the target; another probe may be made.
    fn cancel(&self, id: &TargetId, ticket: Ticket);

    /// From now on the target gets no new attempts.
    fn drain(&self, id: &TargetId);

    /// Takes [`drain`](Self::drain) back.
    fn undrain(&self, id: &TargetId);

    /// The time within which this share of the last 128 answers began, in percent; `None` before
    /// there were twenty.
    fn percentile(&self, id: &TargetId, percent: u8) -> Option<Duration>;

    /// All that is known, in the order of the identities.
    fn snapshot(&self, now: Duration) -> Vec<TargetHealth>;
}

/// When a target is left alone, and for how long.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HealthPolicy {
    /// So many failures in a row; zero is taken for one.
    pub failures: u32,
    /// Or this share of failures among at least ten attempts of the last 15 to 30 seconds.
    pub error_rate: f64,
    /// For how long, the first time; it doubles with each failed probe.
    pub first: Duration,
    /// For how long at most.
    pub longest: Duration,
}

impl Default for HealthPolicy {
    fn default() -> Self {
        Self {
            failures: 3,
            error_rate: 0.5,
            first: Duration::from_secs(10),
            longest: Duration::from_secs(300),
        }
    }
}

impl HealthPolicy {
    /// The longest time that a target is left alone because it asked for it, whatever
    /// [`longest`](Self::longest) is: a header must not put a target out of service for a day.
    pub const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(600);
}

/// Whether a target takes attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It does.
    Ready,
    /// Its cool-down has passed: it takes one attempt, which is the probe.
    ProbeDue,
    /// Its cool-down has passed and the probe is under way.
    Probing,
    /// It is left alone.
    CoolingDown,
    /// An operator has taken it out of service.
    Drained,
}

impl State {
    /// As in metrics and on the admin port.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::ProbeDue => "probe_due",
            Self::Probing => "probing",
            Self::CoolingDown => "cooling_down",
            Self::Drained => "drained",
        }
    }

    /// Whether it takes an attempt in its turn.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Ready | Self::ProbeDue)
    }
}

/// What a choice needs to know of a target.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Standing {
    /// Whether it takes attempts.
    pub state: State,
    /// When its cool-down ends or ended; `None` without one.
    pub until: Option<Duration>,
    /// How many attempts are under way.
    pub in_flight: u32,
    /// The mean time to the first token, the recent ones weighing more; `None` before the first.
    pub first_token: Option<Duration>,
    /// The share of failures among recent attempts; zero when there were none.
    pub error_rate: f64,
}

impl Standing {
    /// That of a target of which nothing is known.
    pub const UNKNOWN: Self = Self {
        state: State::Ready,
        until: None,
        in_flight: 0,
        first_token: None,
        error_rate: 0.0,
    };
}

/// How an attempt asks to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ask {
    /// Although the target is left alone, as there is no better one.
    pub regardless: bool,
    /// It is not its request's first, so that the retry budget of the target pays for it.
    pub retry: bool,
}

/// Why an attempt may not begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The target is left alone.
    CoolingDown,
    /// The target is drained.
    Drained,
    /// The target's retry budget is spent.
    Budget,
}

/// What came of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The target did what it should.
    Success {
        /// From the request to the first content of a stream.
        first_token: Option<Duration>,
    },
    /// It did not.
    Failure(Failure),
}

/// Why an attempt failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// What it means for what comes next.
    pub kind: FailureKind,
    /// For the operator; one of few.
    pub reason: &'static str,
    /// How long the target asks to be left alone.
    pub retry_after: Option<Duration>,
}

/// What a failure means for what comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The target is at fault, or the way to it.
    Target,
    /// The target has had too many requests. Where it says for how long, it is left alone at once.
    RateLimited,
    /// The request is larger than the model's window. The target is well.
    ContextLength,
    /// The provider's filter refused the request or the answer. The target is well.
    ContentFilter,
}

impl FailureKind {
    /// Whether it says that the target is not well.
    pub fn is_of_target(self) -> bool {
        matches!(self, Self::Target | Self::RateLimited)
    }
}

/// What is known of one target.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetHealth {
    /// Which.
    pub id: TargetId,
    /// Whether it takes attempts.
    pub state: State,
    /// How long it is still left alone.
    pub cooldown_remaining: Option<Duration>,
    /// How many attempts are under way.
    pub in_flight: u32,
    /// How many attempts failed since the last that did not.
    pub consecutive_failures: u32,
    /// How many attempts succeeded.
    pub successes: u64,
    /// How many attempts failed.
    pub failures: u64,
    /// The share of failures among recent attempts; `None` when there were none.
    pub error_rate: Option<f64>,
    /// The mean time to the first token, the recent ones weighing more.
    pub first_token: Option<Duration>,
    /// The time within which 95 of 100 recent answers began; `None` before there were twenty.
    pub first_token_p95: Option<Duration>,
    /// Why the last attempt that failed did.
    pub last_failure: Option<&'static str>,
}
