//! From one API to another.
//!
//! - [`request`], [`response`]: whole documents.
//! - [`StreamTranslator`]: answers as they come.
//!
//! Each gives the losses of the way: what the target API has no place for. Between two equal APIs
//! nothing is translated anywhere in this project; here such a way exists for tests, and loses
//! nothing.

mod collect;
mod depth;
mod document;
mod grammar;
#[cfg(test)]
mod judge;
mod stream;

pub use collect::Collector;
pub use document::{request, response, RequestOptions, TranslateError, Translated};
pub use grammar::{Grammar, Order};
pub use stream::{Observed, StreamEnd, StreamTranslator};
