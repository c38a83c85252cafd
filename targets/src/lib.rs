//! Which target of a pool an attempt goes to, and what is known of each target's health.
//!
//! - [`Plan`]: the attempts of one request, one after the other or side by side.
//! - [`Select`], [`Candidate`]: how one of several targets of equal priority is chosen.
//! - [`HealthStore`]: what is known of targets, kept per [`TargetId`] over pools and reloads;
//!   [`MemoryHealth`] keeps it in memory.
//! - [`RetryBudget`]: how many attempts after the first a target gets.
//!
//! Facts and times come in, decisions go out: nothing here does I/O, reads a clock or draws from
//! the system's randomness. `now` is always the time since an epoch that the caller keeps, and
//! chance comes from a seed that the caller gives. Times that go back, or that no clock shows, are
//! taken as they come: nothing here panics on any number.

#![deny(unsafe_code)]
#![deny(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unreachable,
    clippy::unwrap_used
)]

mod budget;
mod chance;
mod health;
mod plan;
mod select;
mod target;

pub use budget::RetryBudget;
pub use health::{
    Ask, Failure, FailureKind, HealthPolicy, HealthStore, MemoryHealth, Refused, Standing, State,
    TargetHealth, Ticket, Verdict,
};
pub use plan::{Attempt, Exhausted, Next, Plan, Terms};
pub use select::{Candidate, Select};
pub use target::TargetId;
