//! A fixed set of flags, one per nesting level.

/// `N` flags, all clear at first; `N` is at most 256.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bits<const N: usize>([u64; 4]);

impl<const N: usize> Bits<N> {
    /// The flag at `index`; clear beyond the end.
    pub(super) fn get(&self, index: usize) -> bool {
        self.0
            .get(index / 64)
            .is_some_and(|word| word & (1 << (index % 64)) != 0)
    }

    /// Sets the flag at `index`; nothing happens beyond the end.
    pub(super) fn set(&mut self, index: usize, value: bool) {
        if let Some(word) = self.0.get_mut(index / 64) {
            let bit = 1 << (index % 64);
            *word = if value { *word | bit } else { *word & !bit };
        }
    }
}
