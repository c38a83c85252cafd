//! `meseta launch` (internal): becomes another program that ends when its parent does.
//!
//! The kernel's parent-death signal survives `exec`, so a supervisor that is killed outright leaves no Envoy behind, and no
//! code has to run between `fork` and `exec`.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{bail, Context, Result};
use rustix::process::{getppid, set_parent_process_death_signal, Pid, Signal};

/// Arguments of `meseta launch`.
#[derive(Debug, clap::Args)]
pub struct Launch {
    /// Process whose end ends the program
    #[arg(long)]
    parent: i32,
    /// The program and its arguments
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

impl Launch {
    /// Never returns but for an error.
    pub fn run(self) -> Result<()> {
        set_parent_process_death_signal(Some(Signal::TERM))
            .context("cannot ask for the parent's end")?;
        // A parent that ended before the line above will send no signal.
        if getppid() != Pid::from_raw(self.parent) {
            bail!("the parent process {} has ended", self.parent);
        }
        let mut command = self.command.into_iter();
        let program = command.next().context("no program to launch")?;
        let error = Command::new(&program).args(command).exec();
        Err(error).with_context(|| format!("cannot run `{}`", program.display()))
    }
}
