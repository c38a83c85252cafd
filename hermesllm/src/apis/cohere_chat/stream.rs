//! Streamed answers: events from `message-start` to `message-end`.

mod reader;
mod writer;

pub use reader::Reader;
pub use writer::Writer;

#[cfg(test)]
mod tests;
