//! What the server orders of the meter for one request, as the text of a header.
//!
//! `v1;dialect;way;input:output` and then, after a semicolon each, `rule:subject`: the way is
//! `direct` or `relay`, the amounts are tokens, the subject is hexadecimal. The header is the
//! server's own: it must never be taken from a client.

use std::fmt;
use std::str::FromStr;

use crate::meter::{Charge, MAX_CHARGES};
use crate::rule::RuleName;
use crate::standing::Amounts;

const VERSION: &str = "v1";
const DIRECT: &str = "direct";
const RELAY: &str = "relay";

/// What is to be charged for a request, and what whoever executes it needs to know besides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    dialect: String,
    relayed: bool,
    input_tokens: u64,
    output_tokens: u64,
    charges: Vec<(RuleName, u64)>,
}

impl Order {
    /// How long the text can be, in bytes.
    pub const LONGEST: usize = 2048;
    /// How long a dialect's name can be, in bytes.
    pub const LONGEST_DIALECT: usize = 16;

    /// An order that charges nothing yet. The dialect is the one of a refusal: a word of `a-z`.
    ///
    /// # Errors
    /// [`OrderError::Dialect`] for what is no such word.
    pub fn new(dialect: &str) -> Result<Self, OrderError> {
        let is_word = dialect.bytes().all(|byte| byte.is_ascii_lowercase());
        if dialect.is_empty() || dialect.len() > Self::LONGEST_DIALECT || !is_word {
            return Err(OrderError::Dialect);
        }
        Ok(Self {
            dialect: dialect.to_owned(),
            relayed: false,
            input_tokens: 0,
            output_tokens: 0,
            charges: Vec::new(),
        })
    }

    /// Says that the answer goes to the server, which takes the reservation over and sees to it
    /// that it is settled.
    #[must_use]
    pub fn relayed(mut self, relayed: bool) -> Self {
        self.relayed = relayed;
        self
    }

    /// Sets how many tokens the prompt has and the answer is expected to have.
    #[must_use]
    pub fn tokens(mut self, input: u64, output: u64) -> Self {
        self.input_tokens = input;
        self.output_tokens = output;
        self
    }

    /// Adds a rule that the request falls under, and for whom.
    ///
    /// # Errors
    /// [`OrderError::TooMany`] where there are [`MAX_CHARGES`] already.
    pub fn charge(&mut self, rule: RuleName, subject_hash: u64) -> Result<(), OrderError> {
        if self.charges.len() >= MAX_CHARGES {
            return Err(OrderError::TooMany);
        }
        self.charges.push((rule, subject_hash));
        Ok(())
    }

    /// In whose shapes a refusal is.
    pub fn dialect(&self) -> &str {
        &self.dialect
    }

    /// Whether the answer goes to the server, which takes the reservation over.
    pub fn is_relayed(&self) -> bool {
        self.relayed
    }

    /// What is to be reserved: one request, and the tokens.
    pub fn amounts(&self) -> Amounts {
        Amounts {
            requests: 1,
            input_tokens: self.input_tokens,
            output_tokens: self.output_tokens,
        }
    }

    /// The rules that the request falls under, and for whom.
    pub fn charges(&self) -> impl Iterator<Item = Charge<'_>> {
        self.charges.iter().map(|(rule, subject)| Charge {
            rule,
            subject_hash: *subject,
        })
    }
}

impl fmt::Display for Order {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let way = if self.relayed { RELAY } else { DIRECT };
        let (dialect, input, output) = (&self.dialect, self.input_tokens, self.output_tokens);
        write!(formatter, "{VERSION};{dialect};{way};{input}:{output}")?;
        for (rule, subject) in &self.charges {
            write!(formatter, ";{rule}:{subject:x}")?;
        }
        Ok(())
    }
}

impl FromStr for Order {
    type Err = OrderError;

    fn from_str(text: &str) -> Result<Self, OrderError> {
        if text.len() > Self::LONGEST {
            return Err(OrderError::TooLong);
        }
        let mut parts = text.split(';');
        if parts.next() != Some(VERSION) {
            return Err(OrderError::Version);
        }
        let mut order = Self::new(parts.next().ok_or(OrderError::Form)?)?;
        order.relayed = match parts.next() {
            Some(DIRECT) => false,
            Some(RELAY) => true,
            _ => return Err(OrderError::Form),
        };
        let (input, output) = parts.next().and_then(tokens).ok_or(OrderError::Form)?;
        order.input_tokens = input;
        order.output_tokens = output;
        for part in parts {
            let (rule, subject) = charge(part).ok_or(OrderError::Form)?;
            order.charge(rule, subject)?;
        }
        Ok(order)
    }
}

fn tokens(text: &str) -> Option<(u64, u64)> {
    let (input, output) = text.split_once(':')?;
    Some((input.parse().ok()?, output.parse().ok()?))
}

fn charge(text: &str) -> Option<(RuleName, u64)> {
    let (rule, subject) = text.split_once(':')?;
    let subject = u64::from_str_radix(subject, 16).ok()?;
    Some((RuleName::new(rule).ok()?, subject))
}

/// Why there is no order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OrderError {
    /// The text is longer than any can be.
    #[error("the order is longer than any can be")]
    TooLong,
    /// The text is not of a version that is known.
    #[error("the order is of another version than {VERSION}")]
    Version,
    /// The text has not the form of one.
    #[error("the order is malformed")]
    Form,
    /// The dialect.
    #[error("the order's dialect must be 1 to {} of a-z", Order::LONGEST_DIALECT)]
    Dialect,
    /// The request falls under more than [`MAX_CHARGES`] rules.
    #[error("a request falls under at most {MAX_CHARGES} rules")]
    TooMany,
}
