//! One supervised process: started so that it dies with its supervisor, its last log lines kept, stopped in two steps.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::Signal;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::process::Command;
use tokio::task::JoinHandle;

use crate::instance::{ProcessIdentity, StateDir};

/// How many of its last log lines a crash report shows.
const TAIL_LINES: usize = 20;
/// How much of the end of a log file is read for them.
const TAIL_BYTES: u64 = 32 * 1024;
/// A longer line is passed on in pieces.
const LINE_LIMIT: u64 = 64 * 1024;
/// How long output may still arrive after a process ended (a grandchild may hold the pipe).
const LAST_OUTPUT: Duration = Duration::from_millis(500);

/// Where the processes write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Each to its file in the state directory.
    Files,
    /// To this process's own standard output and error.
    Stream,
}

/// A running process.
#[derive(Debug)]
pub struct Child {
    /// What it is called in reports: `server` or `envoy`.
    pub name: &'static str,
    /// Its identity for the record.
    pub identity: ProcessIdentity,
    process: tokio::process::Child,
    tail: Tail,
}

#[derive(Debug)]
enum Tail {
    File(PathBuf),
    Memory(Arc<Mutex<VecDeque<String>>>, Vec<JoinHandle<()>>),
}

impl Child {
    /// Starts a program in its own process group (a terminal's Ctrl-C reaches the supervisor alone, which drains in order).
    /// `without` names variables that are taken out of its environment.
    pub fn start<A: AsRef<OsStr>>(
        name: &'static str,
        program: &Path,
        arguments: impl IntoIterator<Item = A>,
        without: &std::collections::BTreeSet<String>,
        output: Output,
        state: &StateDir,
    ) -> Result<Self> {
        let launcher = std::env::current_exe().context("cannot find this executable")?;
        let mut command = Command::new(launcher);
        command
            .arg("launch")
            .arg(format!("--parent={}", std::process::id()))
            .arg("--")
            .arg(program)
            .args(arguments)
            .stdin(Stdio::null())
            .process_group(0)
            .kill_on_drop(true);
        for variable in without {
            command.env_remove(variable);
        }
        let log = state.log(name);
        match output {
            Output::Files => {
                let file = OpenOptions::new()
                    .create(true)
                    .append(true)
                    .mode(0o600)
                    .open(&log)
                    .with_context(|| format!("cannot open `{}`", log.display()))?;
                command.stdout(file.try_clone()?).stderr(file);
            }
            Output::Stream => {
                command.stdout(Stdio::piped()).stderr(Stdio::piped());
            }
        }
        let mut process = command
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        // One that has ended at once is told of by whoever waits for it, with its last lines.
        let pid = process.id();
        let identity = pid
            .and_then(ProcessIdentity::of_child)
            .with_context(|| format!("cannot find {name} in /proc"))?;
        let tail = match output {
            Output::Files => Tail::File(log),
            Output::Stream => {
                let lines = Arc::default();
                let out = process.stdout.take();
                let err = process.stderr.take();
                let pumps = [
                    out.map(|from| {
                        tokio::spawn(pump(from, tokio::io::stdout(), Arc::clone(&lines)))
                    }),
                    err.map(|from| {
                        tokio::spawn(pump(from, tokio::io::stderr(), Arc::clone(&lines)))
                    }),
                ];
                Tail::Memory(lines, pumps.into_iter().flatten().collect())
            }
        };
        Ok(Self {
            name,
            identity,
            process,
            tail,
        })
    }

    /// Waits for its end. May be cancelled and called again.
    pub async fn wait(&mut self) -> Result<ExitStatus> {
        let name = self.name;
        let status = self.process.wait().await;
        status.with_context(|| format!("cannot wait for {name}"))
    }

    /// Asks it to end, and kills it when `limit` is over. Returns how it ended.
    pub async fn stop(&mut self, limit: Duration) -> Result<ExitStatus> {
        self.identity.signal(Signal::TERM);
        if let Ok(status) = tokio::time::timeout(limit, self.process.wait()).await {
            return Ok(status?);
        }
        self.process.start_kill()?;
        self.wait().await
    }

    /// Its last log lines, once it has ended or as far as they are there.
    pub async fn last_lines(&mut self) -> Vec<String> {
        match &mut self.tail {
            Tail::File(path) => lines_at_end(path).unwrap_or_default(),
            Tail::Memory(lines, pumps) => {
                let ended = async {
                    for pump in pumps.drain(..) {
                        let _ = pump.await;
                    }
                };
                let _ = tokio::time::timeout(LAST_OUTPUT, ended).await;
                let lines = lines.lock().unwrap_or_else(|broken| broken.into_inner());
                lines.iter().cloned().collect()
            }
        }
    }
}

/// Passes lines on as they come and keeps the last ones.
async fn pump(
    from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    kept: Arc<Mutex<VecDeque<String>>>,
) {
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut from)
            .take(LINE_LIMIT)
            .read_until(b'\n', &mut line)
            .await
        {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        // Nobody may be reading any more; the process must not block on that.
        let _ = to.write_all(&line).await;
        let _ = to.flush().await;
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        let mut kept = kept.lock().unwrap_or_else(|broken| broken.into_inner());
        if kept.len() == TAIL_LINES {
            kept.pop_front();
        }
        kept.push_back(text);
    }
}

/// The last lines of a log file.
pub fn lines_at_end(path: &Path) -> std::io::Result<Vec<String>> {
    let mut file = std::fs::File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
    let mut end = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut end)?;
    let end = String::from_utf8_lossy(&end);
    let lines: Vec<&str> = end.lines().collect();
    let first = lines.len().saturating_sub(TAIL_LINES);
    Ok(lines
        .iter()
        .skip(first)
        .map(|line| (*line).to_owned())
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_log_is_its_last_twenty_lines() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("x.log");
        let long = "y".repeat(3000);
        let text: String = (0..50).map(|n| format!("{n} {long}\n")).collect();
        std::fs::write(&log, text).unwrap();
        let lines = lines_at_end(&log).unwrap();
        assert!(lines.last().unwrap().starts_with("49 "));
        assert!(lines.len() > 5 && lines.len() <= TAIL_LINES);
        std::fs::write(&log, "a\nb\n").unwrap();
        assert_eq!(lines_at_end(&log).unwrap(), ["a", "b"]);
    }

    #[tokio::test]
    async fn pumped_output_arrives_unchanged_and_its_end_is_kept() {
        let text: String = (0..30).map(|n| format!("line {n}\n")).collect();
        let mut sink = Vec::new();
        let kept = Arc::default();
        pump(text.as_bytes(), &mut sink, Arc::clone(&kept)).await;
        assert_eq!(String::from_utf8(sink).unwrap(), text);
        let kept = kept.lock().unwrap();
        assert_eq!((kept.len(), kept[0].as_str()), (TAIL_LINES, "line 10"));
    }
}
