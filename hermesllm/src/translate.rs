//! From one API to another.

mod depth;
mod grammar;

pub use grammar::{Grammar, Order};
