//! Shards in proxy-wasm shared data, which all workers of an Envoy have in common.
//!
//! Invariants:
//! - A write always names the number of the value that it replaces. The ABI's zero would replace
//!   whatever is there, so [`Host`] cannot express it.
//! - The keys are a fixed set: shared data has no way to delete one.

use std::num::NonZeroU32;

use meseta_limits::Store;

use crate::host::{Host, Shared, Status};

/// How often a shard is tried that others keep changing. With as many workers as a machine has, the
/// second or third try gets through.
pub const TRIES: u32 = 64;

/// The number with which a shard is made that is not there. One that has come up meanwhile has
/// another, so that it is not overwritten.
const NEW: NonZeroU32 = NonZeroU32::MAX;

/// The keys of all shards.
#[derive(Debug, Clone, Default)]
pub struct Keys(Vec<String>);

impl Keys {
    /// Keys of so many shards.
    pub fn new(shards: u32) -> Self {
        Self(
            (0..shards)
                .map(|shard| format!("meseta.limits.{shard}"))
                .collect(),
        )
    }
}

/// Shards in the host's shared data.
#[derive(Debug)]
pub struct SharedData<'a, H> {
    host: &'a H,
    keys: &'a Keys,
}

impl<'a, H: Host> SharedData<'a, H> {
    /// Shards of these keys.
    pub fn new(host: &'a H, keys: &'a Keys) -> Self {
        Self { host, keys }
    }
}

impl<H: Host> Store for SharedData<'_, H> {
    type Error = StoreError;

    fn update<R>(
        &self,
        shard: u32,
        mut change: impl FnMut(Option<&[u8]>) -> (Option<Vec<u8>>, R),
    ) -> Result<R, StoreError> {
        let place = usize::try_from(shard).ok();
        let key = place
            .and_then(|place| self.keys.0.get(place))
            .ok_or(StoreError::NoShard { shard })?;
        for _ in 0..TRIES {
            let (before, cas) = match self.host.shared_data(key).map_err(StoreError::Read)? {
                Some(Shared { value, cas }) => (value, cas),
                None => (Vec::new(), NEW),
            };
            // Nobody writes an empty shard: one without bytes is as good as none.
            let (after, result) = change((!before.is_empty()).then_some(&*before));
            let Some(after) = after else {
                return Ok(result);
            };
            match self.host.set_shared_data(key, &after, cas) {
                Ok(()) => return Ok(result),
                Err(Status::CAS_MISMATCH) => {}
                Err(status) => return Err(StoreError::Write(status)),
            }
        }
        Err(StoreError::Contended)
    }
}

/// Why a shard cannot be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There are fewer shards.
    #[error("there is no shard {shard}")]
    NoShard {
        /// Its number.
        shard: u32,
    },
    /// The host does not give it.
    #[error("shared data cannot be read: {0}")]
    Read(#[source] Status),
    /// The host does not take it.
    #[error("shared data cannot be written: {0}")]
    Write(#[source] Status),
    /// Others have changed it each time.
    #[error("shared data has been changed by others {TRIES} times in a row")]
    Contended,
}
