//! The identity of a target.

use std::fmt;
use std::sync::Arc;

use crate::chance::mix;

/// What a target is known by: the provider's name, the model and the account, however the caller
/// writes them. Two pools that name the same target share what is known of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetId(Arc<str>);

impl TargetId {
    /// The target of this name.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same number in every process: sticky keys must find their target from any of them.
    /// FNV-1a, and mixed because that leaves names with a common beginning alike.
    pub(crate) fn number(&self) -> u64 {
        let fnv = self
            .0
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
            });
        mix(fnv)
    }
}

impl fmt::Display for TargetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
