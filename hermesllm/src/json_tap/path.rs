//! How a reader says what it looks for, and what it is told.

/// The segment that stands for every element of an array.
pub const EACH: &str = "[]";

/// What is wanted of the value at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// The whole value, as [`Signal::Value`]. Paths below it are not looked for.
    Value,
    /// That it is there, as [`Signal::Seen`].
    Presence,
    /// The number of bytes of text in it, added to [`super::JsonTap::text_bytes`]: of the value itself if it is a string, else
    /// of the strings below it whose key is one that carries generated text.
    Text,
}

/// One member to look for.
#[derive(Clone, Copy, Debug)]
pub struct Path<T: 'static> {
    /// What the reader calls it.
    pub name: T,
    /// Keys from the root, at most four; [`EACH`] is any element of an array.
    pub segments: &'static [&'static str],
    /// What is wanted of it.
    pub want: Want,
}

/// What a [`super::JsonTap`] reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal<'a> {
    /// A value begins; its first byte (`{`, `[`, `"`, `n`, `t`, `f`, a digit or `-`).
    Seen(u8),
    /// A value has ended; its JSON text.
    Value(&'a [u8]),
}
