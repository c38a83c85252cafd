//! From one API to another.

mod collect;
mod depth;
mod grammar;

pub use collect::Collector;
pub use grammar::{Grammar, Order};
