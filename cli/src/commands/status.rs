//! `meseta status`: what runs in a state directory, where it listens and what it has in service.

use std::path::PathBuf;

use anyhow::Result;

use crate::failure::Failure;
use crate::instance::{Phase, Record, StateDir};
use crate::running;
use crate::summary;
use crate::supervisor::{self, lines_at_end};
use crate::terminal::Terminal;

mod report;

use report::Report;

/// Arguments of `meseta status`.
#[derive(Debug, clap::Args)]
pub struct Status {
    /// Directory of the instance [default: ~/.local/state/meseta]
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// Print one JSON object, for programs
    ///
    /// Its fields: `phase` (`stopped`, `starting`, `ready` or `stopping`), `state_dir`, `logs`, `configuration` (the file),
    /// `processes` (`supervisor`, `server` and `envoy`: each null or `pid`, `alive`, `uptime_seconds`), `listeners` (each `name`,
    /// `url`, `bound`), `admin` (URL of the server's admin port), `providers` (`active`: names; `missing_keys`: each `provider`,
    /// `variable`, `file`), `aliases` (name to target), `default_model`, `generation` (1 for the configuration of the start, one
    /// more for each that was taken since), `last_reload` (null or `at`: seconds since 1970; `error`; `needs_restart`: settings),
    /// `last_words` (what a supervisor that has ended said last). What is not known is null or empty. The exit code is the same
    /// as without it.
    #[arg(long, verbatim_doc_comment)]
    json: bool,
}

impl Status {
    /// Exit code 0 while an instance serves, 3 when none does.
    pub fn run(self, terminal: &Terminal) -> Result<()> {
        let state = StateDir::choose(self.state_dir.as_deref())?;
        let record = Record::read(&state).filter(|record| record.supervisor.is_alive());
        if self.json {
            json(terminal, &state, record)
        } else {
            text(terminal, &state, record)
        }
    }
}

fn text(terminal: &Terminal, state: &StateDir, record: Option<Record>) -> Result<()> {
    let record = in_service(state, record)?;
    let service = supervisor::block_on(async { Ok(running::ask(&record, state).await) })?;
    let (service, unknown) = match service {
        Ok(service) => (Some(service), None),
        Err(error) => (None, Some(error)),
    };
    terminal.result(&summary::of_status(&record, service.as_ref(), state))?;
    if let Some(error) = unknown {
        terminal.warning(&format!(
            "what is in service is not known: it does not answer: {error:#}"
        ));
    }
    if let Some(service) = service {
        summary::warn_of_reloads(terminal, &service.reloads, state);
    }
    Ok(())
}

/// What serves in a state directory; a failure that says why nothing does.
pub(super) fn serving(state: &StateDir) -> Result<Record, Failure> {
    let record = Record::read(state).filter(|record| record.supervisor.is_alive());
    in_service(state, record)
}

fn in_service(state: &StateDir, record: Option<Record>) -> Result<Record, Failure> {
    let Some(record) = record else {
        return Err(Failure::not_running(nothing(state)));
    };
    match record.phase {
        Phase::Ready => Ok(record),
        Phase::Starting => Err(Failure::not_running("an instance is starting")),
        Phase::Stopping => Err(Failure::not_running("an instance is stopping")),
    }
}

fn nothing(state: &StateDir) -> String {
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
    message
}

fn json(terminal: &Terminal, state: &StateDir, record: Option<Record>) -> Result<()> {
    let report = match &record {
        Some(record) => {
            let service = supervisor::block_on(async { Ok(running::ask(record, state).await) })?;
            Report::of(record, service.ok(), state)
        }
        None => Report::of_nothing(state, lines_at_end(&state.log("supervisor")).ok()),
    };
    let text = serde_json::to_string_pretty(&report)? + "\n";
    terminal.result(&text)?;
    match record {
        Some(record) if record.phase == Phase::Ready => Ok(()),
        // All is said.
        _ => Err(Failure::not_running("").into()),
    }
}
