//! What was reserved for a request, as text that travels with it.
//!
//! `v1` and then, after a semicolon each, `rule:kind:subject:amount:mark`: kind is one letter for
//! the unit and one for the time, subject and mark are hexadecimal. A server's own header carries it;
//! it is no proof of anything, and must never be taken from a client.

use std::fmt;
use std::str::FromStr;

use crate::meter::MAX_CHARGES;
use crate::rule::{Per, Rule, RuleName, Unit};

const VERSION: &str = "v1";

/// What was reserved.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reservation {
    pub(crate) entries: Vec<Entry>,
}

/// What one rule has reserved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) rule: RuleName,
    pub(crate) unit: Unit,
    pub(crate) per: Per,
    pub(crate) subject: u64,
    pub(crate) amount: u64,
    /// Which run of the bucket or which window it came out of.
    pub(crate) mark: u64,
}

impl Entry {
    /// Whether the rule of this name still counts the same thing.
    pub(crate) fn is_of(&self, rule: &Rule) -> bool {
        rule.unit() == self.unit && rule.per() == self.per
    }
}

impl Reservation {
    /// How long the text can be, in bytes.
    pub const LONGEST: usize = 2048;

    /// Whether nothing is to be settled.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether what it is to be corrected to hangs on the tokens that are used. One that counts
    /// requests alone has nothing to correct once its request has been made.
    pub fn counts_tokens(&self) -> bool {
        let counts = |entry: &Entry| entry.unit != Unit::Requests;
        self.entries.iter().any(counts)
    }

    /// The rules that have reserved something.
    pub fn rules(&self) -> impl Iterator<Item = &RuleName> {
        self.entries.iter().map(|entry| &entry.rule)
    }
}

impl fmt::Display for Reservation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(VERSION)?;
        for entry in &self.entries {
            let Entry {
                rule,
                subject,
                amount,
                mark,
                ..
            } = entry;
            let (unit, per) = (unit_letter(entry.unit), per_letter(entry.per));
            write!(
                formatter,
                ";{rule}:{unit}{per}:{subject:x}:{amount}:{mark:x}"
            )?;
        }
        Ok(())
    }
}

impl FromStr for Reservation {
    type Err = ReservationError;

    fn from_str(text: &str) -> Result<Self, ReservationError> {
        if text.len() > Self::LONGEST {
            return Err(ReservationError::TooLong);
        }
        let mut parts = text.split(';');
        if parts.next() != Some(VERSION) {
            return Err(ReservationError::Version);
        }
        let entries = parts
            .map(entry)
            .collect::<Option<Vec<_>>>()
            .ok_or(ReservationError::Form)?;
        if entries.len() > MAX_CHARGES {
            return Err(ReservationError::TooLong);
        }
        Ok(Self { entries })
    }
}

fn entry(text: &str) -> Option<Entry> {
    let mut parts = text.split(':');
    let mut next = || parts.next();
    let rule = RuleName::new(next()?).ok()?;
    let mut kind = next()?.chars();
    let (unit, per) = (kind.next()?, kind.next()?);
    let entry = Entry {
        rule,
        unit: Unit::ALL
            .into_iter()
            .find(|known| unit_letter(*known) == unit)?,
        per: Per::ALL
            .into_iter()
            .find(|known| per_letter(*known) == per)?,
        subject: u64::from_str_radix(next()?, 16).ok()?,
        amount: next()?.parse().ok()?,
        mark: u64::from_str_radix(next()?, 16).ok()?,
    };
    (next().is_none() && kind.next().is_none()).then_some(entry)
}

fn unit_letter(unit: Unit) -> char {
    match unit {
        Unit::Requests => 'r',
        Unit::Tokens => 't',
        Unit::InputTokens => 'i',
        Unit::OutputTokens => 'o',
    }
}

fn per_letter(per: Per) -> char {
    match per {
        Per::Second => 's',
        Per::Minute => 'm',
        Per::Hour => 'h',
        Per::Day => 'd',
        Per::Month => 'n',
    }
}

/// Why a text is no reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReservationError {
    /// It is longer than any can be.
    #[error("the reservation is longer than any can be")]
    TooLong,
    /// It is not of a version that is known.
    #[error("the reservation is of another version than {VERSION}")]
    Version,
    /// It has not the form of one.
    #[error("the reservation is malformed")]
    Form,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_reservation_is_a_line_of_header() {
        let reservation = Reservation {
            entries: vec![Entry {
                rule: RuleName::new("per-user").unwrap(),
                unit: Unit::Tokens,
                per: Per::Minute,
                subject: 0xabc,
                amount: 500,
                mark: 16,
            }],
        };
        assert_eq!(reservation.to_string(), "v1;per-user:tm:abc:500:10");
        assert_eq!("v1".parse(), Ok(Reservation::default()));
    }

    #[test]
    fn what_is_no_reservation_is_said_to_be_none() {
        for (text, error) in [
            ("", ReservationError::Version),
            ("v2;a:tm:1:1:1", ReservationError::Version),
            ("v1;", ReservationError::Form),
            ("v1;a:tm:1:1", ReservationError::Form),
            ("v1;a:tm:1:1:1:1", ReservationError::Form),
            ("v1;a:tmm:1:1:1", ReservationError::Form),
            ("v1;a:xm:1:1:1", ReservationError::Form),
            ("v1;A:tm:1:1:1", ReservationError::Form),
            ("v1;a:tm:1:-1:1", ReservationError::Form),
        ] {
            assert_eq!(text.parse::<Reservation>(), Err(error), "{text}");
        }
        let many = format!("v1{}", ";a:tm:1:1:1".repeat(MAX_CHARGES + 1));
        assert_eq!(many.parse::<Reservation>(), Err(ReservationError::TooLong));
        let long = "v".repeat(Reservation::LONGEST + 1);
        assert_eq!(long.parse::<Reservation>(), Err(ReservationError::TooLong));
    }

    #[test]
    fn the_longest_reservation_is_within_the_bound() {
        let entry = Entry {
            rule: RuleName::new(&"n".repeat(RuleName::LONGEST)).unwrap(),
            unit: Unit::Tokens,
            per: Per::Month,
            subject: u64::MAX,
            amount: u64::MAX,
            mark: u64::MAX,
        };
        let reservation = Reservation {
            entries: vec![entry; MAX_CHARGES],
        };
        let text = reservation.to_string();
        assert!(text.len() <= Reservation::LONGEST, "{}", text.len());
        assert_eq!(text.parse(), Ok(reservation));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "v1(;[a-z0-9:]{0,30}){0,3}|.*") {
            if let Ok(reservation) = text.parse::<Reservation>() {
                prop_assert_eq!(reservation.to_string().parse(), Ok(reservation));
            }
        }
    }
}
