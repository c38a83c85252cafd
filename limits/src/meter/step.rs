//! A charge on its way through [`Meter::admit`](crate::Meter::admit), and what may stop it.

use crate::bucket::Denied;
use crate::rule::Rule;
use crate::standing::{Reason, Standing};

/// Who refuses, and why.
pub(super) struct Refusal<'a> {
    pub(super) rule: &'a Rule,
    pub(super) remaining: u64,
    pub(super) no: No,
}

/// One charge on its way.
#[derive(Debug)]
pub(super) struct Step<'a> {
    /// Its place among the charges.
    pub(super) order: usize,
    pub(super) rule: &'a Rule,
    pub(super) subject: u64,
    pub(super) key: u64,
    pub(super) shard: u32,
    /// Set when it is charged.
    pub(super) mark: Option<u64>,
    pub(super) standing: Option<Standing>,
}

/// What came of one charge.
pub(super) struct Taken {
    /// The mark of the bucket or window that it came out of.
    pub(super) result: Result<u64, No>,
    pub(super) standing: Standing,
    pub(super) corrupt: bool,
}

/// Why a charge is not taken.
#[derive(Debug, Clone, Copy)]
pub(super) enum No {
    Denied(Denied),
    /// There is no room, for so many nanoseconds.
    Crowded(u64),
}

impl No {
    /// For how long; the longest is for ever.
    pub(super) fn nanos(self) -> u64 {
        match self {
            Self::Denied(Denied::TooLarge) => u64::MAX,
            Self::Denied(Denied::Spent(nanos)) | Self::Crowded(nanos) => {
                nanos.min(u64::MAX.saturating_sub(1))
            }
        }
    }

    pub(super) fn reason(self) -> Reason {
        match self {
            Self::Denied(Denied::TooLarge) => Reason::TooLarge,
            Self::Denied(Denied::Spent(_)) => Reason::Spent,
            Self::Crowded(_) => Reason::Crowded,
        }
    }
}
