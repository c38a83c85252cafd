//! One rule: what is counted, how much of it is allowed, in which time.
//!
//! Invariant: a rule that exists can be executed. Its limit is more than zero, and what its bucket
//! computes with fits the numbers it is computed in.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use crate::bucket::Scale;

/// The name of a rule: 1 to 64 of `a-z`, `0-9`, `_`, `.` and `-`. Clients see it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleName(Arc<str>);

impl RuleName {
    /// How long a name can be, in bytes.
    pub const LONGEST: usize = 64;

    /// Takes a name.
    ///
    /// # Errors
    /// [`RuleError::Name`] for what is no name.
    pub fn new(name: &str) -> Result<Self, RuleError> {
        let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b'-');
        if name.is_empty() || name.len() > Self::LONGEST || !name.bytes().all(allowed) {
            return Err(RuleError::Name);
        }
        Ok(Self(name.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RuleName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for RuleName {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        Self::new(text)
    }
}

/// What a rule counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unit {
    /// Requests.
    Requests,
    /// Tokens of prompts and answers.
    Tokens,
    /// Tokens of prompts.
    InputTokens,
    /// Tokens of answers.
    OutputTokens,
}

impl Unit {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Requests,
        Self::Tokens,
        Self::InputTokens,
        Self::OutputTokens,
    ];

    /// As in rules and headers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
            Self::InputTokens => "input_tokens",
            Self::OutputTokens => "output_tokens",
        }
    }
}

impl FromStr for Unit {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let named = |unit: &Self| unit.as_str() == text;
        Self::ALL.into_iter().find(named).ok_or(RuleError::Unit)
    }
}

/// In which time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Per {
    /// A bucket that fills in a second.
    Second,
    /// A bucket that fills in a minute.
    Minute,
    /// A bucket that fills in an hour.
    Hour,
    /// From midnight to midnight, UTC.
    Day,
    /// From the first of a month to the first of the next, UTC.
    Month,
}

impl Per {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Second,
        Self::Minute,
        Self::Hour,
        Self::Day,
        Self::Month,
    ];

    /// As in rules.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
        }
    }

    /// The time of a bucket; `None` for windows of the calendar.
    pub(crate) fn bucket(self) -> Option<Duration> {
        match self {
            Self::Second => Some(Duration::from_secs(1)),
            Self::Minute => Some(Duration::from_secs(60)),
            Self::Hour => Some(Duration::from_secs(3600)),
            Self::Day | Self::Month => None,
        }
    }
}

impl FromStr for Per {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let named = |per: &Self| per.as_str() == text;
        Self::ALL.into_iter().find(named).ok_or(RuleError::Per)
    }
}

/// A rule.
///
/// `second`, `minute` and `hour` are token buckets: in any time T, what is admitted is at most
/// `burst + limit · T / per`. `day` and `month` are counters of fixed windows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    name: RuleName,
    unit: Unit,
    limit: u64,
    per: Per,
    burst: Option<u64>,
    /// The bucket's arithmetic; `None` for windows of the calendar.
    scale: Option<Scale>,
    /// What the name contributes to keys.
    hash: u64,
}

impl Rule {
    /// The longest time that a bucket may take to fill, from empty.
    pub const LONGEST_FILL: Duration = Duration::from_secs(366 * 86_400);

    /// Takes a rule. Without a burst, a bucket holds `limit`.
    ///
    /// # Errors
    /// [`RuleError`] where it could not be executed.
    pub fn new(
        name: RuleName,
        unit: Unit,
        limit: u64,
        per: Per,
        burst: Option<u64>,
    ) -> Result<Self, RuleError> {
        if limit == 0 {
            return Err(RuleError::Limit);
        }
        if burst == Some(0) {
            return Err(RuleError::Burst);
        }
        let scale = match per.bucket() {
            Some(period) => Some(
                Scale::new(limit, period, burst.unwrap_or(limit), Self::LONGEST_FILL)
                    .ok_or(RuleError::Fill)?,
            ),
            None if burst.is_some() => return Err(RuleError::BurstOfWindow),
            None => None,
        };
        Ok(Self {
            hash: fnv(name.as_str()),
            name,
            unit,
            limit,
            per,
            burst,
            scale,
        })
    }

    /// Its name.
    pub fn name(&self) -> &RuleName {
        &self.name
    }

    /// What it counts.
    pub fn unit(&self) -> Unit {
        self.unit
    }

    /// How much of it is allowed in the time.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// In which time.
    pub fn per(&self) -> Per {
        self.per
    }

    /// How much a bucket holds, where the rule says so.
    pub fn burst(&self) -> Option<u64> {
        self.burst
    }

    /// The most that can pass at once: the burst, else the limit.
    pub fn capacity(&self) -> u64 {
        self.burst.unwrap_or(self.limit)
    }

    pub(crate) fn scale(&self) -> Option<&Scale> {
        self.scale.as_ref()
    }

    /// Where the state of this rule for a subject is kept. The same in every process and version.
    pub fn key(&self, subject_hash: u64) -> u64 {
        mix(self.hash ^ mix(subject_hash))
    }
}

/// Why a rule cannot be executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RuleError {
    /// The name.
    #[error("name must be 1 to 64 of a-z, 0-9, '_', '.' and '-'")]
    Name,
    /// The unit.
    #[error("unit must be requests, tokens, input_tokens or output_tokens")]
    Unit,
    /// The time.
    #[error("per must be second, minute, hour, day or month")]
    Per,
    /// The limit.
    #[error("limit must be a whole number above zero")]
    Limit,
    /// The burst.
    #[error("burst must be a whole number above zero")]
    Burst,
    /// A burst where there is no bucket.
    #[error("burst is for second, minute and hour: a day or a month is a window with no bucket")]
    BurstOfWindow,
    /// A bucket that would hardly ever fill.
    #[error("burst is too large for limit: the bucket would take more than a year to fill")]
    Fill,
}

/// FNV-1a. Names are the operator's, so nobody looks for collisions.
fn fnv(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// The finalizer of SplitMix64: each bit of the input moves each of the output.
fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
