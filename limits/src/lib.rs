//! Rate limits: what may pass now, what is left, and when more may pass.
//!
//! - [`Rule`], [`RuleSet`]: what is counted, how much of it is allowed in which time; with a text
//!   form that travels in a filter's configuration.
//! - [`Meter`]: [`admit`](Meter::admit) reserves what a request is expected to use,
//!   [`settle`](Meter::settle) corrects it to what it did use, [`peek`](Meter::peek) only looks.
//! - [`Reservation`]: what was reserved, as text that travels with the request.
//! - [`Order`], [`Standings`]: what server and meter tell each other, as text likewise.
//! - [`Store`]: where the state is; [`MemoryStore`] keeps it in this process.
//! - [`headers`]: what a client is told.
//!
//! Which rules a request falls under and who its subject is, others decide.
//!
//! State is a fixed number of shards ([`shard`]) of a bounded size, however many subjects there are.
//! Nothing here does I/O or reads a clock: `now` is always the time since the unix epoch, so that
//! all who share a store agree. Times that go back, bytes that make no sense and numbers of any
//! size are taken as they come: nothing here panics.

#![deny(unsafe_code)]
#![deny(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unreachable,
    clippy::unwrap_used
)]
// Tests add small numbers.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

mod bucket;
mod calendar;
mod counting;
pub mod headers;
mod meter;
mod order;
mod reservation;
mod rule;
mod rules;
pub mod shard;
mod standing;
mod standings;
mod store;
mod window;

pub use meter::{Admission, AdmitError, Charge, Meter, Settled, MAX_CHARGES};
pub use order::{Order, OrderError};
pub use reservation::{Reservation, ReservationError};
pub use rule::{Per, Rule, RuleError, RuleName, Unit};
pub use rules::{RuleSet, RuleSetError};
pub use standing::{Amounts, Reason, Refused, Standing, Stats};
pub use standings::{Standings, StandingsError};
pub use store::{MemoryStore, Store};
