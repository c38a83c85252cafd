//! `meseta down`: stops what `up` started in a state directory.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Result;
use rustix::process::Signal;

use crate::failure::Failure;
use crate::instance::{Lock, Record, StateDir};
use crate::terminal::Terminal;

/// What a supervisor gets beyond the drain time of requests: it stops two processes one after the other.
const MARGIN: Duration = Duration::from_secs(15);
/// What a killed process gets to be gone.
const KILLED: Duration = Duration::from_secs(5);
/// How long a starting instance may take to write its record.
const RECORD: Duration = Duration::from_secs(2);

/// Arguments of `meseta down`.
#[derive(Debug, clap::Args)]
pub struct Down {
    /// Directory of the instance [default: ~/.local/state/meseta]
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
}

impl Down {
    /// Exit code 0 when nothing runs afterwards, also when nothing ran before.
    pub fn run(self, terminal: &Terminal) -> Result<()> {
        let state = StateDir::choose(self.state_dir.as_deref())?;
        if !state.path().exists() {
            return nothing(terminal, &state);
        }
        if let Some(lock) = Lock::try_acquire(&state)? {
            // No supervisor: at most its children, should it have been killed.
            let leftover = Record::read(&state).is_some_and(|record| stop_all(terminal, &record));
            state.clear(&lock);
            return if leftover {
                terminal.info("stopped what was left of an instance");
                Ok(())
            } else {
                nothing(terminal, &state)
            };
        }
        let Some(record) = awaited_record(&state) else {
            let text = "an instance is being prepared here and cannot be stopped yet";
            return Err(Failure::run(text)
                .hint("try again, or end the `meseta up` that prepares it")
                .into());
        };
        terminal.info("stopping: running requests may finish");
        stop_all(terminal, &record);
        if let Some(lock) = Lock::try_acquire(&state)? {
            state.clear(&lock);
        }
        terminal.info("stopped");
        Ok(())
    }
}

fn nothing(terminal: &Terminal, state: &StateDir) -> Result<()> {
    terminal.info(&format!(
        "nothing runs (state directory {})",
        state.path().display()
    ));
    Ok(())
}

/// The record of whoever holds the lock: it is written right after the lock is taken.
fn awaited_record(state: &StateDir) -> Option<Record> {
    let deadline = Instant::now() + RECORD;
    loop {
        match Record::read(state) {
            Some(record) if record.supervisor.is_alive() => return Some(record),
            _ if Instant::now() >= deadline => return None,
            _ => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// Asks each recorded process that is still ours to end, waits, and kills what does not. Returns whether one was there.
fn stop_all(terminal: &Terminal, record: &Record) -> bool {
    let limit = Duration::from_secs(record.drain_seconds).saturating_mul(2) + MARGIN;
    let mut found = false;
    for (name, process) in record.processes() {
        if !process.signal(Signal::TERM) {
            continue;
        }
        found = true;
        if !process.wait(limit) {
            let text = format!("{name} (pid {}) does not end and is killed", process.pid);
            terminal.warning(&text);
            process.signal(Signal::KILL);
            process.wait(KILLED);
        }
    }
    found
}
