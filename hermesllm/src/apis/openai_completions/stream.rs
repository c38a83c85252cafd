//! Streamed answers: chunks up to `[DONE]`.

mod reader;
mod writer;

pub use reader::Reader;
pub use writer::Writer;

#[cfg(test)]
mod tests;
