//! Where shards are kept.

use std::convert::Infallible;
use std::sync::{Mutex, PoisonError};

/// Keeps shards, each changed as a whole: compare and swap.
pub trait Store {
    /// Why a shard cannot be read or written.
    type Error: std::error::Error;

    /// Gives the bytes of a shard to `change`, `None` where there are none yet. What it returns
    /// becomes the shard, if nobody else changed it meanwhile, else `change` is asked again with what
    /// is there then; `None` leaves the shard as it is. The result is that of the last call.
    ///
    /// # Errors
    /// The store's, and then the shard is as if nobody had asked.
    fn update<R>(
        &self,
        shard: u32,
        change: impl FnMut(Option<&[u8]>) -> (Option<Vec<u8>>, R),
    ) -> Result<R, Self::Error>;
}

/// Keeps shards in this process.
#[derive(Debug)]
pub struct MemoryStore {
    shards: Vec<Mutex<Option<Vec<u8>>>>,
}

impl MemoryStore {
    /// Room for so many shards; zero is taken for one.
    pub fn new(shards: u32) -> Self {
        let shards = (0..shards.max(1)).map(|_| Mutex::new(None)).collect();
        Self { shards }
    }
}

impl Store for MemoryStore {
    type Error = Infallible;

    /// A number above the last is taken round.
    fn update<R>(
        &self,
        shard: u32,
        mut change: impl FnMut(Option<&[u8]>) -> (Option<Vec<u8>>, R),
    ) -> Result<R, Infallible> {
        let at = usize::try_from(shard)
            .unwrap_or(usize::MAX)
            .checked_rem(self.shards.len())
            .unwrap_or(0);
        let Some(shard) = self.shards.get(at) else {
            return Ok(change(None).1);
        };
        // A shard is replaced in one step, so a panic elsewhere leaves none half changed.
        let mut bytes = shard.lock().unwrap_or_else(PoisonError::into_inner);
        let (changed, result) = change(bytes.as_deref());
        if changed.is_some() {
            *bytes = changed;
        }
        Ok(result)
    }
}
