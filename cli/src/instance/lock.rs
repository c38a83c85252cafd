//! The lock that makes one instance per state directory.
//!
//! The kernel holds it for the process, so a killed instance never leaves it behind.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;

use anyhow::{Context, Result};
use rustix::fs::{flock, FlockOperation};

use super::StateDir;

/// An exclusive lock on a state directory, released when dropped or when the process ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock; `None` when another process (or another `Lock` of this one) holds it.
    pub fn try_acquire(state: &StateDir) -> Result<Option<Self>> {
        let path = state.lock();
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("cannot open the lock `{}`", path.display()))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot lock `{}`", path.display())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_directory_is_held_by_one_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let state = StateDir::choose(Some(directory.path())).unwrap();
        let first = Lock::try_acquire(&state).unwrap();
        assert!(first.is_some());
        assert!(Lock::try_acquire(&state).unwrap().is_none());
        drop(first);
        assert!(Lock::try_acquire(&state).unwrap().is_some());
    }
}
