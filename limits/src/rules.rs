//! A set of rules, and its text form.
//!
//! The text form is one line of printable characters without quotes, so that it goes into JSON as
//! it is: a version, then the rules, each `name=unit:limit/per` with `:burst` where it has one:
//! `v1 per-user=tokens:1000/minute:2000 all=requests:10/second`.

use std::fmt;
use std::str::FromStr;

use crate::rule::{Per, Rule, RuleError, RuleName, Unit};

const VERSION: &str = "v1";

/// Rules by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuleSet {
    /// In the order of their names.
    rules: Vec<Rule>,
}

impl RuleSet {
    /// How many rules a set can have.
    pub const MOST: usize = 4096;

    /// Takes rules.
    ///
    /// # Errors
    /// [`RuleSetError::Twice`] for two of one name, [`RuleSetError::TooMany`] above
    /// [`MOST`](Self::MOST).
    pub fn new(mut rules: Vec<Rule>) -> Result<Self, RuleSetError> {
        if rules.len() > Self::MOST {
            return Err(RuleSetError::TooMany);
        }
        rules.sort_by(|one, other| one.name().cmp(other.name()));
        let twice = rules
            .iter()
            .zip(rules.iter().skip(1))
            .find(|(one, other)| one.name() == other.name());
        if let Some((rule, _)) = twice {
            return Err(RuleSetError::Twice {
                name: rule.name().clone(),
            });
        }
        Ok(Self { rules })
    }

    /// The rule of this name.
    pub fn find(&self, name: &RuleName) -> Option<&Rule> {
        let at = self.rules.binary_search_by(|rule| rule.name().cmp(name));
        self.rules.get(at.ok()?)
    }

    /// All of them, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }
}

/// The text form.
impl fmt::Display for RuleSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(VERSION)?;
        for rule in &self.rules {
            let (name, unit) = (rule.name(), rule.unit().as_str());
            let (limit, per) = (rule.limit(), rule.per().as_str());
            write!(formatter, " {name}={unit}:{limit}/{per}")?;
            if let Some(burst) = rule.burst() {
                write!(formatter, ":{burst}")?;
            }
        }
        Ok(())
    }
}

impl FromStr for RuleSet {
    type Err = RuleSetError;

    fn from_str(text: &str) -> Result<Self, RuleSetError> {
        let mut parts = text.split_ascii_whitespace();
        if parts.next() != Some(VERSION) {
            return Err(RuleSetError::Version);
        }
        let mut rules = Vec::new();
        for (index, part) in parts.enumerate() {
            if rules.len() == Self::MOST {
                return Err(RuleSetError::TooMany);
            }
            let rule = rule(part).ok_or(RuleSetError::Form { index })?;
            rules.push(rule.map_err(|error| RuleSetError::Rule { index, error })?);
        }
        Self::new(rules)
    }
}

/// One rule of the text form; `None` where it has not the form of one.
fn rule(text: &str) -> Option<Result<Rule, RuleError>> {
    let (name, rest) = text.split_once('=')?;
    let (unit, rest) = rest.split_once(':')?;
    let (limit, rest) = rest.split_once('/')?;
    let (per, burst) = match rest.split_once(':') {
        Some((per, burst)) => (per, Some(burst)),
        None => (rest, None),
    };
    let build = || {
        Rule::new(
            RuleName::new(name)?,
            Unit::from_str(unit)?,
            limit.parse().map_err(|_| RuleError::Limit)?,
            Per::from_str(per)?,
            burst
                .map(|burst| burst.parse().map_err(|_| RuleError::Burst))
                .transpose()?,
        )
    };
    Some(build())
}

/// Why rules are no set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RuleSetError {
    /// The text is not of a version that is known.
    #[error("rules must begin with the version, {VERSION}")]
    Version,
    /// A rule has not the form of one.
    #[error("rule {index} must be name=unit:limit/per or name=unit:limit/per:burst")]
    Form {
        /// Which one, from zero.
        index: usize,
    },
    /// A rule cannot be executed.
    #[error("rule {index}: {error}")]
    Rule {
        /// Which one, from zero.
        index: usize,
        /// Why.
        #[source]
        error: RuleError,
    },
    /// Two rules have one name.
    #[error("rule {name} is there twice")]
    Twice {
        /// The name.
        name: RuleName,
    },
    /// There are more than [`RuleSet::MOST`].
    #[error("there are more than {} rules", RuleSet::MOST)]
    TooMany,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rules_are_one_line_of_text() {
        let text = "v1 all=requests:10/second per-user=tokens:1000/minute:2000";
        let rules: RuleSet = text.parse().unwrap();
        let rule = rules.find(&RuleName::new("per-user").unwrap()).unwrap();
        assert_eq!((rule.limit(), rule.per()), (1000, Per::Minute));
        assert_eq!((rule.unit(), rule.capacity()), (Unit::Tokens, 2000));
        assert_eq!(rules.to_string(), text);
        assert_eq!(rules.find(&RuleName::new("nobody").unwrap()), None);
        assert!("v1".parse::<RuleSet>().unwrap().is_empty());
    }

    #[test]
    fn what_is_wrong_with_rules_is_said() {
        for (text, message) in [
            ("", "rules must begin with the version, v1"),
            ("v2 a=requests:1/day", "rules must begin with the version, v1"),
            (
                "v1 a=requests:1/day b",
                "rule 1 must be name=unit:limit/per or name=unit:limit/per:burst",
            ),
            (
                "v1 A=requests:1/day",
                "rule 0: name must be 1 to 64 of a-z, 0-9, '_', '.' and '-'",
            ),
            (
                "v1 a=bytes:1/day",
                "rule 0: unit must be requests, tokens, input_tokens or output_tokens",
            ),
            (
                "v1 a=requests:0/day",
                "rule 0: limit must be a whole number above zero",
            ),
            (
                "v1 a=requests:-1/day",
                "rule 0: limit must be a whole number above zero",
            ),
            (
                "v1 a=requests:1/year",
                "rule 0: per must be second, minute, hour, day or month",
            ),
            (
                "v1 a=requests:1/second:0",
                "rule 0: burst must be a whole number above zero",
            ),
            (
                "v1 a=requests:1/day:2",
                "rule 0: burst is for second, minute and hour: a day or a month is a window with no \
                 bucket",
            ),
            (
                "v1 a=requests:1/hour:9000",
                "rule 0: burst is too large for limit: the bucket would take more than a year to fill",
            ),
            (
                "v1 a=requests:1/day a=tokens:1/day",
                "rule a is there twice",
            ),
        ] {
            let error = text.parse::<RuleSet>().unwrap_err();
            assert_eq!(error.to_string(), message, "{text}");
        }
    }

    proptest! {
        #[test]
        fn text_and_rules_are_one(
            names in prop::collection::btree_set("[a-z0-9_.-]{1,64}", 0..8),
            unit in prop::sample::select(Unit::ALL.to_vec()),
            per in prop::sample::select(Per::ALL.to_vec()),
            limit in 1_u64..,
            burst in prop::option::of(1_u64..100_000),
        ) {
            let rules = names.iter().filter_map(|name| {
                let name = RuleName::new(name).unwrap();
                Rule::new(name, unit, limit, per, burst).ok()
            });
            let rules = RuleSet::new(rules.collect()).unwrap();
            prop_assert_eq!(rules.to_string().parse::<RuleSet>().unwrap(), rules);
        }

        #[test]
        fn no_text_panics(text in "(v1 )?[a-z=:/0-9 ]{0,60}|.*") {
            let _ = text.parse::<RuleSet>();
        }
    }
}
