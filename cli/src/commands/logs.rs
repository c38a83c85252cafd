//! `meseta logs`: the log files of a state directory, their last lines or as they grow.
//!
//! Reads only. What the files hold goes to standard output byte for byte; several files at once have each line under the
//! name of its source. Invariant: a reader that goes away and Ctrl-C are ends like any other.

mod tail;

use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::ValueEnum;
use rustix::event::{poll, PollFd, PollFlags, Timespec};
use tokio::signal::unix::{signal, SignalKind};

use crate::failure::Failure;
use crate::instance::{Record, StateDir};
use crate::supervisor;
use crate::terminal::Terminal;
use tail::Tail;

/// Between two looks at files that are followed.
const POLL: Duration = Duration::from_millis(100);

/// Arguments of `meseta logs`.
#[derive(Debug, clap::Args)]
pub struct Logs {
    /// Which log [default: all of them, each line under the name of its source]
    source: Option<LogSource>,
    /// Go on with new lines as they are written, until Ctrl-C
    #[arg(short, long)]
    follow: bool,
    /// How many of its last lines each log shows
    #[arg(short = 'n', long, value_name = "LINES", default_value_t = 50)]
    lines: usize,
    /// Directory of the instance [default: ~/.local/state/meseta]
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
}

/// Who writes a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogSource {
    /// Envoy's access log: a line for each request
    Access,
    /// What Envoy says of itself
    Envoy,
    /// The server: a line for each exchange, and what it says of itself
    Server,
    /// What started and watched the two, with crash reports
    Supervisor,
}

impl LogSource {
    const ALL: [Self; 4] = [Self::Supervisor, Self::Server, Self::Envoy, Self::Access];

    fn name(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Envoy => "envoy",
            Self::Server => "server",
            Self::Supervisor => "supervisor",
        }
    }
}

impl fmt::Display for LogSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Logs {
    /// Exit code 0 when there was a log to read, 3 when there is none.
    pub fn run(self, terminal: &Terminal) -> Result<()> {
        let state = StateDir::choose(self.state_dir.as_deref())?;
        let shown = match &self.source {
            Some(source) => std::slice::from_ref(source),
            None => &LogSource::ALL,
        };
        let mut logs: Vec<Log> = Vec::new();
        for source in shown {
            logs.push(Log::open(*source, &state, self.lines, shown.len() > 1)?);
        }
        if !logs.iter().any(Log::is_there) {
            let waited_for = self.follow && is_awaited(&state);
            if !waited_for {
                return Err(none(&state, self.source).into());
            }
            terminal.info("nothing is logged yet: waiting");
        }
        match supervisor::block_on(read(&mut logs, self.follow)) {
            Err(error) if reader_is_gone(&error) => Ok(()),
            ended => ended,
        }
    }
}

/// Whether an instance runs here that logs to files, so that one that is not there will come.
fn is_awaited(state: &StateDir) -> bool {
    running(state).is_some() && !is_in_foreground(state)
}

fn running(state: &StateDir) -> Option<Record> {
    Record::read(state).filter(|record| record.supervisor.is_alive())
}

/// The supervisor's own log is the first thing that `up` makes, unless the supervisor is `up` itself.
fn is_in_foreground(state: &StateDir) -> bool {
    !state.log(LogSource::Supervisor.name()).exists()
}

/// Why there is nothing to show.
fn none(state: &StateDir, asked: Option<LogSource>) -> Failure {
    let place = state.path().display();
    match (running(state), asked) {
        (Some(record), _) if is_in_foreground(state) => {
            let pid = record.supervisor.pid;
            Failure::not_running(format!(
                "no log files: `meseta up --foreground` (pid {pid}) logs to its own terminal"
            ))
            .hint("look there, or start without `--foreground` to have files")
        }
        (Some(_), Some(source)) => {
            Failure::not_running(format!("the {source} log is not there yet"))
                .hint("`--follow` waits for it")
        }
        (Some(_), None) => Failure::not_running("no log is there yet"),
        (None, Some(source)) => {
            Failure::not_running(format!("no {source} log (state directory {place})"))
        }
        (None, None) => Failure::not_running(format!(
            "nothing runs and nothing was logged (state directory {place})"
        )),
    }
}

/// One log and how its lines are marked.
struct Log {
    tail: Tail,
    mark: Option<String>,
}

impl Log {
    fn open(source: LogSource, state: &StateDir, lines: usize, marked: bool) -> Result<Self> {
        let path = state.log(source.name());
        let tail = Tail::open(path.clone(), lines)
            .with_context(|| format!("cannot read `{}`", path.display()))?;
        Ok(Self {
            tail,
            mark: marked.then(|| format!("{source:<10} | ")),
        })
    }

    fn is_there(&self) -> bool {
        self.tail.is_there()
    }

    /// Writes what is there to be read now. With `all`, also a line that has no end yet.
    fn write(&mut self, out: &mut impl Write, all: bool) -> Result<()> {
        let path = self.tail.path().to_owned();
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = self.tail.line(&mut line, all);
            if !read.with_context(|| format!("cannot read `{}`", path.display()))? {
                return Ok(());
            }
            if let Some(mark) = &self.mark {
                out.write_all(mark.as_bytes())?;
            }
            out.write_all(&line)?;
        }
    }
}

/// Writes all logs; with `follow` again and again.
async fn read(logs: &mut [Log], follow: bool) -> Result<()> {
    // Taken before the first line is written: from then on an interrupt is an end like any other.
    let mut interrupt = signal(SignalKind::interrupt())?;
    loop {
        let mut out = io::BufWriter::new(io::stdout().lock());
        for log in &mut *logs {
            log.write(&mut out, !follow)?;
        }
        out.flush()?;
        drop(out);
        if !follow || nobody_reads() {
            return Ok(());
        }
        tokio::select! {
            _ = interrupt.recv() => return Ok(()),
            () = tokio::time::sleep(POLL) => {}
        }
    }
}

/// Whether the reader of our output has gone: a log that stays silent would never find out by writing.
pub(super) fn nobody_reads() -> bool {
    let stdout = io::stdout();
    // Errors and the end are told without being asked for.
    let mut watched = [PollFd::new(&stdout, PollFlags::empty())];
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let told = poll(&mut watched, Some(&now)).is_ok_and(|told| told > 0);
    told && watched
        .iter()
        .any(|stdout| stdout.revents().intersects(PollFlags::ERR | PollFlags::HUP))
}

/// Whether writing failed because nobody reads: an end like any other.
pub(super) fn reader_is_gone(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
