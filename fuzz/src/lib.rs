//! What the fuzz targets share: how an input is divided into choices and a body, how a body is split
//! into pieces, and JSON read in a second way to compare with.
//!
//! Invariant: all is decided by the input alone, so that an input that fails once fails always.

pub mod document;

/// The bytes at the start of an input that are choices. `seeds.py` writes as many.
pub const CHOICES: usize = 4;

/// An input's choices, in whatever meaning the target gives them, and its body.
pub fn divided(input: &[u8]) -> Option<([u8; CHOICES], &[u8])> {
    let (choices, body) = input.split_first_chunk()?;
    Some((*choices, body))
}

/// The pieces of a body, none of them empty: of one byte with `choice` 0, in one with 255, else of
/// 1 to `choice` bytes each, in an order that only looks like chance.
pub fn pieces(body: &[u8], choice: u8) -> impl Iterator<Item = &[u8]> {
    let mut rest = body;
    let mut state = u32::from(choice).wrapping_mul(0x9e37_79b9) | 1;
    std::iter::from_fn(move || {
        // Xorshift.
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        let length = match choice {
            0 => 1,
            255 => rest.len(),
            longest => 1 + state as usize % usize::from(longest),
        };
        let (piece, after) = rest.split_at(length.min(rest.len()));
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}
