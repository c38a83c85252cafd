//! `meseta status`: what runs in a state directory and where it listens.

use std::path::PathBuf;

use anyhow::Result;

use crate::failure::Failure;
use crate::instance::{Phase, Record, StateDir};
use crate::summary;
use crate::supervisor::lines_at_end;
use crate::terminal::Terminal;

/// Arguments of `meseta status`.
#[derive(Debug, clap::Args)]
pub struct Status {
    /// Directory of the instance [default: ~/.local/state/meseta]
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
}

impl Status {
    /// Exit code 0 while an instance serves, 3 when none does.
    pub fn run(self, terminal: &Terminal) -> Result<()> {
        let state = StateDir::choose(self.state_dir.as_deref())?;
        let record = Record::read(&state).filter(|record| record.supervisor.is_alive());
        let Some(record) = record else {
            let place = state.path().display();
            let mut message = format!("nothing runs (state directory {place})");
            let log = state.log("supervisor");
            let said = lines_at_end(&log).unwrap_or_default();
            if !said.is_empty() {
                message.push_str(&format!("\nthe last run said ({}):", log.display()));
            }
            for line in said {
                message.push_str(&format!("\n  | {line}"));
            }
            return Err(Failure::not_running(message).into());
        };
        match record.phase {
            Phase::Ready => Ok(terminal.result(&summary::of_running(&record, None, &state))?),
            Phase::Starting => Err(Failure::not_running("an instance is starting").into()),
            Phase::Stopping => Err(Failure::not_running("an instance is stopping").into()),
        }
    }
}
