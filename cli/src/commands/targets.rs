//! `meseta targets`: how the targets of a running server are, and taking one out of service.

mod table;

use std::io::{self, IsTerminal};
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::Subcommand;
use meseta_ext_proc::plain_http::Peer;
use serde_json::Value;
use tokio::signal::unix::{signal, SignalKind};

use super::{logs, status};
use crate::failure::Failure;
use crate::instance::StateDir;
use crate::running;
use crate::supervisor;
use crate::terminal::Terminal;
use table::Listed;

/// Between two looks.
const LOOK: Duration = Duration::from_secs(1);
/// Back to the upper left corner, and nothing below it.
const REDRAW: &str = "\u{1b}[H\u{1b}[2J";

/// Arguments of `meseta targets`.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Targets {
    #[command(flatten)]
    place: Place,
    /// Print JSON, for programs: what the admin port answers at `/targets`
    ///
    /// `pools` (each `name`; `path`: `relay` or `direct`; `select`; `targets`: each `target`, `priority`, `weight`) and
    /// `targets` (each `target`; `pools`: names; `state`: `ready`, `cooling_down`, `probe_due`, `probing` or `drained`;
    /// `drained`; `in_flight`; `consecutive_failures`; `successes`; `failures`; `error_rate`: 0 to 1; `first_token_ms`: `mean`
    /// and `p95`; `cooldown_remaining_s`; `last_failure`). What is not known is null. With `--watch` one line for each look.
    #[arg(long, verbatim_doc_comment)]
    json: bool,
    /// Look again every second, until interrupted
    #[arg(long)]
    watch: bool,
    #[command(subcommand)]
    change: Option<Change>,
}

/// Where the server is.
#[derive(Debug, clap::Args)]
pub struct Place {
    /// Directory of the instance [default: ~/.local/state/meseta]
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// The admin port of a server that `up` has not started, such as `127.0.0.1:9902`
    #[arg(long, value_name = "ADDRESS:PORT", conflicts_with = "state_dir")]
    admin: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Change {
    /// Take a target out of service, until `undrain` or until the server starts anew
    ///
    /// It gets no new attempts; those under way may finish.
    Drain(Changed),
    /// Put a target back into service
    Undrain(Changed),
}

#[derive(Debug, clap::Args)]
struct Changed {
    /// The target, as in the list: `provider/model`
    target: String,
    #[command(flatten)]
    place: Place,
}

impl Targets {
    /// Exit code 0 when a server has answered, 3 when none runs.
    pub fn run(self, terminal: &Terminal) -> Result<()> {
        match self.change {
            Some(Change::Drain(changed)) => changed.run(terminal, "drain"),
            Some(Change::Undrain(changed)) => changed.run(terminal, "undrain"),
            None if self.watch => match supervisor::block_on(self.watch(terminal)) {
                Err(error) if logs::reader_is_gone(&error) => Ok(()),
                ended => ended,
            },
            None => {
                let peer = self.place.find()?;
                let answer = supervisor::block_on(running::targets(&peer))?;
                terminal.result(&self.shown(&answer)?)?;
                Ok(())
            }
        }
    }

    /// Looks again and again; an instance that was started anew is found anew.
    async fn watch(&self, terminal: &Terminal) -> Result<()> {
        // Taken before the first line is written: from then on an interrupt is an end like any other.
        let mut interrupt = signal(SignalKind::interrupt())?;
        let redraws = io::stdout().is_terminal() && !self.json;
        let mut first = true;
        loop {
            let answer = running::targets(&self.place.find()?).await?;
            let shown = self.shown(&answer)?;
            let before = match (redraws, first || self.json) {
                (true, _) => REDRAW,
                (false, true) => "",
                (false, false) => "\n",
            };
            terminal.result(&format!("{before}{shown}"))?;
            first = false;
            if logs::nobody_reads() {
                return Ok(());
            }
            tokio::select! {
                _ = interrupt.recv() => return Ok(()),
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    fn shown(&self, answer: &Value) -> Result<String> {
        Ok(match (self.json, self.watch) {
            (true, true) => serde_json::to_string(answer)? + "\n",
            (true, false) => serde_json::to_string_pretty(answer)? + "\n",
            (false, _) => table::of(&Listed::read(answer)?),
        })
    }
}

impl Changed {
    fn run(self, terminal: &Terminal, change: &str) -> Result<()> {
        let peer = self.place.find()?;
        let asked = running::change_target(&peer, change, &self.target);
        let now = supervisor::block_on(asked)?;
        terminal.result(&format!("{} is {}\n", now.target, now.in_words()))?;
        if now.drained && !now.direct.is_empty() {
            terminal.warning(&format!(
                "Envoy alone calls it for requests that ask for {}, which are not held back (`path: relay` changes that)",
                quoted(&now.direct)
            ));
        }
        Ok(())
    }
}

fn quoted(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

impl Place {
    /// The admin port of the server that is meant.
    pub fn find(&self) -> Result<Peer> {
        if let Some(asked) = &self.admin {
            return resolve(asked).map(Peer::Tcp);
        }
        let state = StateDir::choose(self.state_dir.as_deref())?;
        let record = status::serving(&state).map_err(|failure| {
            failure.hint(
                "a server that `meseta up` has not started is found by `--admin ADDRESS:PORT`",
            )
        })?;
        running::admin(&record).map(Peer::Tcp)
    }
}

fn resolve(asked: &str) -> Result<SocketAddr> {
    let found = asked.to_socket_addrs().map(|mut found| found.next());
    let why = match found {
        Ok(Some(address)) => return Ok(address),
        Ok(None) => "it has no address".to_owned(),
        Err(error) => error.to_string(),
    };
    Err(Failure::usage(format!("--admin `{asked}`: {why}"))
        .hint("write an address and a port: `127.0.0.1:9902`")
        .into())
}
