//! Passes a stream on block by block, with some blocks left out.
//!
//! Works on the byte ranges that the framer reports. Bytes of a block go on as soon as it is complete; those of one
//! chunk as one slice of it, not copied. Only the start of a block that goes on in the next chunk is held, and copied.

use std::ops::Range;

use bytes::{Bytes, BytesMut};

/// The bytes that wait for the end of their block.
#[derive(Debug, Default)]
pub(super) struct Cutter {
    held: BytesMut,
    /// Where the held bytes begin in the stream.
    held_start: u64,
    /// A block was left out that ended in CR with its chunk: a LF that comes next goes with it.
    cut_after_cr: bool,
}

impl Cutter {
    /// Passes `chunk` on up to `boundary`, where the incomplete block begins, and holds the rest. `cuts` are the ranges
    /// to leave out, in order, none of them overlapping.
    pub(super) fn push(
        &mut self,
        chunk: &Bytes,
        cuts: &[Range<u64>],
        boundary: u64,
        out: &mut Vec<Bytes>,
    ) {
        let chunk_start = self.held_start + self.held.len() as u64;
        let byte_at = |position: u64| {
            let index = usize::try_from(position.checked_sub(chunk_start)?).ok()?;
            chunk.get(index).copied()
        };
        let mut from = self.held_start;
        if std::mem::take(&mut self.cut_after_cr) && byte_at(chunk_start) == Some(b'\n') {
            from = chunk_start + 1;
        }
        let mut kept = Vec::with_capacity(cuts.len() + 1);
        for cut in cuts {
            kept.push(from..cut.start);
            from = cut.end;
            if byte_at(cut.end.saturating_sub(1)) == Some(b'\r') {
                match byte_at(cut.end) {
                    Some(b'\n') => from += 1,
                    Some(_) => {}
                    None => self.cut_after_cr = true,
                }
            }
        }
        kept.push(from..boundary);
        for range in kept {
            self.emit(range, chunk, chunk_start, out);
        }
        // What lies before the boundary has gone on or was cut.
        let held_bytes = boundary.min(chunk_start) - self.held_start.min(boundary);
        let _ = self.held.split_to(clamp(held_bytes, self.held.len()));
        let passed = clamp(boundary.saturating_sub(chunk_start), chunk.len());
        self.held
            .extend_from_slice(chunk.get(passed..).unwrap_or_default());
        self.held_start = boundary;
    }

    /// The bytes still held.
    pub(super) fn take(&mut self) -> Bytes {
        self.held.split().freeze()
    }

    fn emit(&self, range: Range<u64>, chunk: &Bytes, chunk_start: u64, out: &mut Vec<Bytes>) {
        if range.start >= range.end {
            return;
        }
        let in_chunk = clamp(range.start.saturating_sub(chunk_start), chunk.len())
            ..clamp(range.end.saturating_sub(chunk_start), chunk.len());
        if range.start >= chunk_start {
            out.push(chunk.slice(in_chunk));
            return;
        }
        let in_held = clamp(range.start - self.held_start, self.held.len())
            ..clamp(range.end.saturating_sub(self.held_start), self.held.len());
        let held = self.held.get(in_held).unwrap_or_default();
        let mut joined = BytesMut::with_capacity(held.len() + in_chunk.len());
        joined.extend_from_slice(held);
        joined.extend_from_slice(chunk.get(in_chunk).unwrap_or_default());
        out.push(joined.freeze());
    }
}

/// An offset in the stream as one in a buffer of `length` bytes.
fn clamp(offset: u64, length: usize) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX).min(length)
}
