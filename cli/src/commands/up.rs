//! `meseta up`: starts the server and Envoy together and returns when requests pass.
//!
//! In the background (the default) a supervisor of its own session is left running; with `--foreground` this process is
//! the supervisor. Both do the same work, in `supervisor.rs`.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::signal::unix::{signal, Signal, SignalKind};

use crate::failure::Failure;
use crate::instance::{Lock, Phase, ProcessIdentity, Record, StateDir};
use crate::running::{self, InService};
use crate::source::{self, Source};
use crate::supervisor::{self, Output, Plan};
use crate::terminal::Terminal;
use crate::{envoy, filter, summary, zero_config};

/// Between two looks at a starting supervisor.
const POLL: Duration = Duration::from_millis(30);
/// How long a running instance may take to have a file in service that was changed just now.
const TAKEN: Duration = Duration::from_secs(5);
/// How long one that has just begun may take to write its record.
const RECORD: Duration = Duration::from_secs(2);
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
    /// Exit code 0 when requests pass, also when the same already ran.
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
            return self.already(terminal, &state, &source, detected.is_some());
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

    /// Someone holds the state directory: fine when what runs is what is asked for, an error otherwise.
    fn already(
        self,
        terminal: &Terminal,
        state: &StateDir,
        source: &Source,
        is_detected: bool,
    ) -> Result<()> {
        let Some(record) = started(terminal, state) else {
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
        let refused = |text: String| {
            let hint = format!("`{down}` stops it, then `meseta up` starts what you want");
            anyhow::Error::from(Failure::run(text).hint(hint))
        };
        if self.foreground {
            let pid = record.supervisor.pid;
            return Err(refused(format!(
                "this configuration already runs in another process (pid {pid})"
            )));
        }
        if !runs_envoy(&record, self.envoy.as_deref(), &self.envoy_flags)? {
            let text = "this configuration already runs, with another Envoy or other flags for it";
            return Err(refused(text.to_owned()));
        }
        // A file that was changed just now is taken at once; what was detected is in no file before the start.
        let limit = if is_detected { Duration::ZERO } else { TAKEN };
        let service = match supervisor::block_on(taken(&record, state, source, limit))? {
            Ok(service) => service,
            Err(reason) => return Err(refused(reason)),
        };
        terminal.info("already running with this configuration");
        terminal.result(&summary::of_status(&record, Some(&service), state))?;
        summary::warn_of_reloads(terminal, &service.reloads, state);
        Ok(())
    }
}

/// The record of whoever holds the state directory, once it is ready; `None` when it does not get so.
fn started(terminal: &Terminal, state: &StateDir) -> Option<Record> {
    let began = Instant::now();
    let mut told = false;
    loop {
        let record = Record::read(state).filter(|record| record.supervisor.is_alive());
        let limit = match record.as_ref().map(|record| record.phase) {
            Some(Phase::Ready) => return record,
            Some(Phase::Starting) => supervisor::START_LIMIT + MARGIN,
            Some(Phase::Stopping) => Duration::ZERO,
            None => RECORD,
        };
        if began.elapsed() >= limit {
            return None;
        }
        if !told {
            terminal.info("another `meseta up` is starting it: waiting");
            told = true;
        }
        std::thread::sleep(POLL);
    }
}

/// Whether the Envoy of an instance is the one asked for, with the flags asked for. None asked for is any.
fn runs_envoy(record: &Record, asked: Option<&Path>, flags: &[OsString]) -> Result<bool> {
    let Some(envoy) = &record.envoy else {
        return Ok(false);
    };
    let path = format!("/proc/{}/cmdline", envoy.pid);
    let line = std::fs::read(&path).with_context(|| format!("cannot read `{path}`"))?;
    let line = line.strip_suffix(b"\0").unwrap_or(&line);
    let arguments: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
    let flags: Vec<&[u8]> = flags.iter().map(|flag| flag.as_bytes()).collect();
    let asked = asked.map(std::path::absolute).transpose()?;
    let is_asked = |program: &&[u8]| {
        let asked = asked.as_ref().map(|path| path.as_os_str().as_bytes());
        asked.is_none_or(|asked| asked == *program)
    };
    Ok(arguments.first().is_some_and(is_asked) && arguments.ends_with(&flags))
}

/// Waits until an instance has a configuration in service; else the reason why it has not.
async fn taken(
    record: &Record,
    state: &StateDir,
    source: &Source,
    limit: Duration,
) -> Result<Result<InService, String>> {
    let wanted = source.config().redacted();
    let deadline = Instant::now() + limit;
    loop {
        let service = running::ask(record, state).await;
        match service {
            Ok(service) if running::is_same(&service.config, &wanted) => return Ok(Ok(service)),
            _ if Instant::now() < deadline => tokio::time::sleep(POLL).await,
            Ok(service) => {
                let last = service.reloads.last.and_then(|last| last.error);
                let why = last.map_or_else(String::new, |error| format!(": {error}"));
                let text = format!("another text of this configuration runs{why}");
                return Ok(Err(text));
            }
            Err(error) => {
                let text = format!("an instance runs here and does not answer: {error:#}");
                return Ok(Err(text));
            }
        }
    }
}

/// A supervisor that was killed may have left processes that are still ending; they must not meet the new ones.
fn end_leftovers(terminal: &Terminal, state: &StateDir) {
    let Some(record) = Record::read(state) else {
        return;
    };
    for (name, process) in record.processes() {
        if process.signal(rustix::process::Signal::KILL) {
            terminal.warning(&format!("ended the {name} that a killed instance left"));
            process.wait(MARGIN);
        }
    }
}

/// Starts the supervisor and waits until it is ready or has failed.
fn background(terminal: &Terminal, plan: &Plan, lock: Lock) -> Result<()> {
    let log = plan.state.log("supervisor");
    let mut command = supervise(plan, &log)?;
    supervisor::block_on(async {
        // Taken before there is anything to be left behind.
        let interrupts = [
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
        ];
        // The supervisor takes the lock itself, so that it is held exactly as long as that process lives.
        drop(lock);
        let child = command.spawn().context("cannot start the supervisor")?;
        wait(terminal, plan, child, interrupts, &log).await
    })
}

/// The supervisor and its server read the `.env` files themselves, from the same working directory: values that were
/// put into their environment would win over a file that is changed later.
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
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file);
    Ok(command)
}

async fn wait(
    terminal: &Terminal,
    plan: &Plan,
    mut child: Child,
    interrupts: [Signal; 2],
    log: &Path,
) -> Result<()> {
    let deadline = Instant::now() + supervisor::START_LIMIT + MARGIN;
    let [mut interrupt, mut terminate] = interrupts;
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
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            () = tokio::time::sleep(POLL) => continue,
        }
        end(&mut child)?;
        return Err(Failure::run("interrupted: what was started has been stopped").into());
    }
}

/// Asks our supervisor to stop what it started, and waits for it.
fn end(child: &mut Child) -> Result<()> {
    if let Some(supervisor) = ProcessIdentity::of(child.id()) {
        supervisor.signal(rustix::process::Signal::TERM);
    }
    child
        .wait()
        .map(drop)
        .context("cannot wait for the supervisor")
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::write(path, bytes).with_context(|| format!("cannot write `{}`", path.display()))
}
