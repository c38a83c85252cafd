//! Where subjects stand, as the text of a header.
//!
//! `v1` and then, after a semicolon each,
//! `rule:unit:limit:capacity:window:remaining:reset`, the times in nanoseconds. From the meter to
//! the server, which makes of it what a client is told.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::meter::MAX_CHARGES;
use crate::rule::RuleName;
use crate::standing::Standing;

const VERSION: &str = "v1";

/// Where the subjects of one request stand, in the order of its charges.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standings(pub Vec<Standing>);

impl Standings {
    /// How long the text can be, in bytes.
    pub const LONGEST: usize = 4096;
}

impl fmt::Display for Standings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(VERSION)?;
        for standing in &self.0 {
            let Standing {
                rule,
                unit,
                limit,
                capacity,
                window,
                remaining,
                reset_after,
            } = standing;
            let (unit, window, reset) = (unit.as_str(), nanos(*window), nanos(*reset_after));
            write!(
                formatter,
                ";{rule}:{unit}:{limit}:{capacity}:{window}:{remaining}:{reset}"
            )?;
        }
        Ok(())
    }
}

impl FromStr for Standings {
    type Err = StandingsError;

    fn from_str(text: &str) -> Result<Self, StandingsError> {
        if text.len() > Self::LONGEST {
            return Err(StandingsError::TooLong);
        }
        let mut parts = text.split(';');
        if parts.next() != Some(VERSION) {
            return Err(StandingsError::Version);
        }
        let mut standings = Vec::new();
        for part in parts {
            if standings.len() >= MAX_CHARGES {
                return Err(StandingsError::TooLong);
            }
            standings.push(standing(part).ok_or(StandingsError::Form)?);
        }
        Ok(Self(standings))
    }
}

fn standing(text: &str) -> Option<Standing> {
    let mut parts = text.split(':');
    let mut next = || parts.next();
    let standing = Standing {
        rule: RuleName::new(next()?).ok()?,
        unit: next()?.parse().ok()?,
        limit: next()?.parse().ok()?,
        capacity: next()?.parse().ok()?,
        window: Duration::from_nanos(next()?.parse().ok()?),
        remaining: next()?.parse().ok()?,
        reset_after: Duration::from_nanos(next()?.parse().ok()?),
    };
    next().is_none().then_some(standing)
}

/// What no number of 64 bits holds is more than five hundred years.
fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Why a text says nothing of standings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StandingsError {
    /// It is longer than any can be.
    #[error("the standing is longer than any can be")]
    TooLong,
    /// It is not of a version that is known.
    #[error("the standing is of another version than {VERSION}")]
    Version,
    /// It has not the form of one.
    #[error("the standing is malformed")]
    Form,
}
