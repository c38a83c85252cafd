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
