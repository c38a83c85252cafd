//! What a caller says of a request, and what it is told.

use std::fmt::Write as _;
use std::time::Duration;

use crate::rule::{Rule, RuleName, Unit};

/// What a request uses, or is expected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Amounts {
    /// Requests; one, as a rule.
    pub requests: u64,
    /// Tokens of the prompt.
    pub input_tokens: u64,
    /// Tokens of the answer.
    pub output_tokens: u64,
}

impl Amounts {
    /// How much of a unit that is.
    pub fn of(&self, unit: Unit) -> u64 {
        match unit {
            Unit::Requests => self.requests,
            Unit::Tokens => self.input_tokens.saturating_add(self.output_tokens),
            Unit::InputTokens => self.input_tokens,
            Unit::OutputTokens => self.output_tokens,
        }
    }
}

/// Where a subject stands with a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The rule.
    pub rule: RuleName,
    /// What it counts.
    pub unit: Unit,
    /// How much is allowed in the time.
    pub limit: u64,
    /// The most that can pass at once: the burst of a bucket, the limit of a window.
    pub capacity: u64,
    /// The time of the limit; of a month, the one that it is.
    pub window: Duration,
    /// How much can pass now. Zero in debt.
    pub remaining: u64,
    /// When all of it can pass again: the bucket is full, the window is over.
    pub reset_after: Duration,
}

impl Standing {
    pub(crate) fn new(
        rule: &Rule,
        window: Duration,
        remaining: u64,
        reset_after: Duration,
    ) -> Self {
        Self {
            rule: rule.name().clone(),
            unit: rule.unit(),
            limit: rule.limit(),
            capacity: rule.capacity(),
            window,
            remaining,
            reset_after,
        }
    }
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// What is allowed is used, or reserved, or owed.
    Spent,
    /// It is more than can ever pass at once.
    TooLarge,
    /// There is no room to count another subject, and what cannot be counted is refused.
    Crowded,
}

impl Reason {
    /// As in metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Spent => "spent",
            Self::TooLarge => "too_large",
            Self::Crowded => "crowded",
        }
    }
}

/// A request that may not pass. Nothing of it is charged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The rule that refuses it; of several, the one that does so for longest.
    pub rule: RuleName,
    /// What it counts.
    pub unit: Unit,
    /// Why.
    pub reason: Reason,
    /// How much is allowed in the time.
    pub limit: u64,
    /// How much could pass now.
    pub remaining: u64,
    /// When it could pass, if nobody else comes; `None` if never, as it is too large.
    pub retry_after: Option<Duration>,
    /// All rules of the request, in the order of the charges.
    pub standing: Vec<Standing>,
    /// What befell the state.
    pub stats: Stats,
}

impl Refused {
    /// What the client reads. Names the rule, and nothing of its subject.
    pub fn message(&self, rule: Option<&Rule>) -> String {
        let (name, limit) = (&self.rule, self.limit);
        let mut unit = self.unit.as_str().replace('_', " ");
        if limit == 1 {
            unit.truncate(unit.trim_end_matches('s').len());
        }
        let mut text = match self.reason {
            Reason::Spent => format!("rate limit {name} reached: {limit} {unit}"),
            Reason::TooLarge => {
                format!(
                    "the request is larger than rate limit {name} ever lets pass: {limit} {unit}"
                )
            }
            Reason::Crowded => {
                format!("rate limit {name} cannot count another client now: {limit} {unit}")
            }
        };
        if let Some(rule) = rule {
            let _ = write!(text, " per {}", rule.per().as_str());
            let burst = rule.burst().filter(|_| self.reason == Reason::TooLarge);
            if let Some(burst) = burst {
                let _ = write!(text, ", {burst} at once");
            }
        }
        if let Some(after) = self.retry_after {
            let more = u64::from(after.subsec_nanos() > 0);
            let seconds = after.as_secs().saturating_add(more).max(1);
            let _ = write!(text, "; try again in {seconds} s");
        }
        text
    }
}

/// What befell the state in one call, to be added to counters. All zero as a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Shards that were corrupt or of a foreign version, and were taken for empty.
    pub corrupt: u32,
    /// Charges refused because their shard was full of live records.
    pub crowded_refused: u32,
    /// Charges not counted because their shard was full of live records.
    pub crowded_uncounted: u32,
}

impl Stats {
    /// Adds another call's.
    pub fn add(&mut self, other: Self) {
        self.corrupt = self.corrupt.saturating_add(other.corrupt);
        self.crowded_refused = self.crowded_refused.saturating_add(other.crowded_refused);
        self.crowded_uncounted = self
            .crowded_uncounted
            .saturating_add(other.crowded_uncounted);
    }
}
