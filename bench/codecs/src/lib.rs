//! What reading, editing and translating costs, case by case.
//!
//! Owns the cases ([`cases`]), which go over every API that has a codec, and the data that they run
//! on. Two programs run them: `benches/translate.rs` takes the time, `src/main.rs` lets Callgrind
//! count the instructions and counts the allocations itself (`cargo xtask counters`).
//!
//! Invariants: a case does the same work each time that it runs, and the same on each machine.

mod bodies;
mod cases;
mod streams;

pub use bodies::Size;
pub use cases::{cases, Case, Kind, Work};
pub use streams::{Piece, Stream};
