//! `meseta up`: starts the server and Envoy together and returns when requests pass.
//!
//! In the background (the default) a supervisor of its own session is left running; with `--foreground` this process is
//! the supervisor. Both do the same work, in `supervisor.rs`.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::Signal;

use crate::failure::Failure;
use crate::instance::{Lock, Phase, ProcessIdentity, Record, StateDir};
use crate::source::{self, Source};
use crate::supervisor::{self, Output, Plan};
use crate::terminal::Terminal;
use crate::{envoy, filter, summary, zero_config};

/// Between two looks at a starting supervisor.
const POLL: Duration = Duration::from_millis(30);
/// What the supervisor gets to give up by itself after its own limit.
const MARGIN: Duration = Duration::from_secs(30);

/// Arguments of `meseta up`.
#[derive(Debug, clap::Args)]
pub struct Up {
    /// Configuration file [default: meseta.yaml, plano_config.yaml or arch_config.yaml here]
    ///
    /// Without a file, the providers whose keys are in the environment and a local Ollama are used, on loopback.
    file: Option<PathBuf>,
    /// Stay in the foreground and stream the logs; Ctrl-C drains and stops
    #[arg(long)]
    foreground: bool,
    /// Envoy's executable [default: $MESETA_ENVOY, then `envoy` on $PATH]
    ///
    /// Without one, the pinned release is installed by pip into the state directory.
    #[arg(long, value_name = "PATH")]
    envoy: Option<PathBuf>,
    /// Directory of the instance [default: ~/.local/state/meseta]
    ///
    /// Sockets, rendered files and logs are there; one instance each. $XDG_STATE_HOME is obeyed.
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// Further flags for Envoy, for example `-- --concurrency 2`
    #[arg(last = true, value_name = "ENVOY FLAGS")]
    envoy_flags: Vec<OsString>,
}

impl Up {
    /// Exit code 0 when requests pass, also when the same file already ran.
    pub fn run(self, terminal: &Terminal) -> Result<()> {
        let state = StateDir::choose(self.state_dir.as_deref())?;
        let (source, detected) = match source::discover(self.file.as_deref())? {
            Some(path) => (Source::read(&path)?, None),
            None => {
                let (source, text) = zero_config::detect(terminal, &state)?;
                (source, Some(text))
            }
        };
        source.print_notices(terminal);
        source.check_certificates()?;
        let wasm = filter::embedded().ok_or_else(Failure::no_filter)?;
        state.prepare()?;
        let Some(lock) = Lock::try_acquire(&state)? else {
            return already(terminal, &state, &source);
        };
        end_leftovers(terminal, &state);
        state.clear(&lock);
        write(&state.filter(), wasm)?;
        if let Some(text) = detected {
            write(source.path(), text.as_bytes())?;
        }
        let envoy = envoy::find(terminal, self.envoy.as_deref(), &state)?;
        for name in ["supervisor", "server", "envoy", "access"] {
            state.rotate_log(name)?;
        }
        let plan = Plan {
            state,
            source,
            envoy,
            envoy_flags: self.envoy_flags,
            output: if self.foreground {
                Output::Stream
            } else {
                Output::Files
            },
        };
        terminal.info("starting the server and Envoy");
        if self.foreground {
            supervisor::block_on(supervisor::run(terminal, plan, lock))
        } else {
            background(terminal, &plan, lock)
        }
    }
}

/// Someone holds the state directory: fine when it runs the same file, an error otherwise.
fn already(terminal: &Terminal, state: &StateDir, source: &Source) -> Result<()> {
    let record = Record::read(state).filter(|record| record.supervisor.is_alive());
    let Some(record) = record.filter(|record| record.phase == Phase::Ready) else {
        let text = format!(
            "another instance is starting or stopping in `{}`",
            state.path().display()
        );
        return Err(Failure::run(text).hint("try again when it is done").into());
    };
    let down = format!("meseta down{}", state.flag());
    if record.config != source.path() {
        let text = format!(
            "`{}` already runs in this state directory",
            record.config.display()
        );
        let hint = format!("stop it with `{down}`, or pass another --state-dir");
        return Err(Failure::run(text).hint(hint).into());
    }
    if record.digest == source.digest() {
        terminal.info("already running with this configuration");
    } else {
        terminal.warning(&format!(
            "already running, with an older text of this file: `{down}` and `meseta up` apply the new one"
        ));
    }
    let summary = summary::of_running(&record, None, state);
    Ok(terminal.result(&summary)?)
}

/// A supervisor that was killed may have left processes that are still ending; they must not meet the new ones.
fn end_leftovers(terminal: &Terminal, state: &StateDir) {
    let Some(record) = Record::read(state) else {
        return;
    };
    for (name, process) in record.processes() {
        if process.signal(Signal::KILL) {
            terminal.warning(&format!("ended the {name} that a killed instance left"));
            process.wait(MARGIN);
        }
    }
}

/// Starts the supervisor and waits until it is ready or has failed.
fn background(terminal: &Terminal, plan: &Plan, lock: Lock) -> Result<()> {
    let log = plan.state.log("supervisor");
    let mut command = supervise(plan, &log)?;
    // The supervisor takes the lock itself, so that it is held exactly as long as that process lives.
    drop(lock);
    let child = command.spawn().context("cannot start the supervisor")?;
    supervisor::block_on(wait(terminal, plan, child, &log))
}

fn supervise(plan: &Plan, log: &Path) -> Result<Command> {
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(log)
        .with_context(|| format!("cannot open `{}`", log.display()))?;
    let program = std::env::current_exe().context("cannot find this executable")?;
    let mut command = Command::new(program);
    command
        .arg("supervise")
        .arg("--state-dir")
        .arg(plan.state.path())
        .arg("--config")
        .arg(plan.source.path())
        .arg("--envoy")
        .arg(&plan.envoy)
        .arg("--")
        .args(&plan.envoy_flags)
        .envs(plan.source.environment().additions())
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file);
    Ok(command)
}

async fn wait(terminal: &Terminal, plan: &Plan, mut child: Child, log: &Path) -> Result<()> {
    let deadline = Instant::now() + supervisor::START_LIMIT + MARGIN;
    let mut asked_to_stop = std::pin::pin!(tokio::signal::ctrl_c());
    loop {
        if let Some(status) = child.try_wait()? {
            let said = std::fs::read_to_string(log).unwrap_or_default();
            if said.trim().is_empty() {
                return Err(Failure::run(format!("the supervisor ended ({status})")).into());
            }
            terminal.info(said.trim_end());
            return Err(Failure::reported().into());
        }
        let record = Record::read(&plan.state);
        let ours = record.filter(|record| record.supervisor.pid == child.id());
        if let Some(record) = ours.filter(|record| record.phase == Phase::Ready) {
            let said = std::fs::read_to_string(log).unwrap_or_default();
            if !said.trim().is_empty() {
                terminal.info(said.trim_end());
            }
            let summary = summary::of_running(&record, Some(plan.source.config()), &plan.state);
            return Ok(terminal.result(&summary)?);
        }
        if Instant::now() >= deadline {
            end(&mut child)?;
            return Err(Failure::run("the supervisor does not answer").into());
        }
        tokio::select! {
            _ = &mut asked_to_stop => {
                end(&mut child)?;
                return Err(Failure::run("interrupted: what was started has been stopped").into());
            }
            () = tokio::time::sleep(POLL) => {}
        }
    }
}

/// Asks our supervisor to stop what it started, and waits for it.
fn end(child: &mut Child) -> Result<()> {
    if let Some(supervisor) = ProcessIdentity::of(child.id()) {
        supervisor.signal(Signal::TERM);
    }
    child
        .wait()
        .map(drop)
        .context("cannot wait for the supervisor")
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::write(path, bytes).with_context(|| format!("cannot write `{}`", path.display()))
}
