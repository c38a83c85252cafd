//! `meseta supervise` (internal): what `up` leaves running in the background.
//!
//! Its standard streams are a log file; what it says there at a failed start, `up` repeats to the user.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::failure::Failure;
use crate::instance::{Lock, StateDir};
use crate::source::Source;
use crate::supervisor::{self, Output, Plan};
use crate::terminal::Terminal;

/// Arguments of `meseta supervise`.
#[derive(Debug, clap::Args)]
pub struct Supervise {
    #[arg(long)]
    state_dir: PathBuf,
    #[arg(long)]
    config: PathBuf,
    #[arg(long)]
    envoy: PathBuf,
    #[arg(last = true)]
    envoy_flags: Vec<OsString>,
}

impl Supervise {
    /// Runs both processes until a signal or a failure.
    pub fn run(self, terminal: &Terminal) -> Result<()> {
        // A session of its own: the terminal's signals and its end do not reach it.
        rustix::process::setsid().context("cannot leave the terminal's session")?;
        let state = StateDir::choose(Some(&self.state_dir))?;
        let Some(lock) = Lock::try_acquire(&state)? else {
            return Err(Failure::run("another instance took the state directory").into());
        };
        let plan = Plan {
            state,
            source: Source::read(&self.config)?,
            envoy: self.envoy,
            envoy_flags: self.envoy_flags,
            output: Output::Files,
        };
        supervisor::block_on(supervisor::run(terminal, plan, lock))
    }
}
