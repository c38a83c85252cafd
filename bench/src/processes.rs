//! The processes that are measured: started, read from `/proc`, stopped.
//!
//! Owns children by their handles. Nothing is ever found or ended by name. A child that is still
//! running when its handle is dropped is killed.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{bail, Context as _};
use rustix::process::{kill_process, Pid, Signal};
use tokio::process::{Child, Command};

/// How long a process may take to stop by itself.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// How much of a log an error shows, in bytes.
const LOG_TAIL: usize = 2000;

/// A running child.
#[derive(Debug)]
pub(crate) struct Process {
    name: &'static str,
    child: Child,
    pid: u32,
    log: PathBuf,
}

impl Process {
    /// Starts a command; what it prints goes to `log`.
    pub(crate) fn start(
        name: &'static str,
        mut command: Command,
        log: PathBuf,
    ) -> anyhow::Result<Self> {
        let output = File::create(&log).with_context(|| format!("cannot write {log:?}"))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        let pid = child.id().with_context(|| format!("{name} has no pid"))?;
        Ok(Self {
            name,
            child,
            pid,
            log,
        })
    }

    /// An error with the end of its log if the process has ended.
    pub(crate) fn ensure_running(&mut self) -> anyhow::Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("{} ended ({status}): {}", self.name, self.log_tail());
        }
        Ok(())
    }

    /// The end of what it printed.
    pub(crate) fn log_tail(&self) -> String {
        let log = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&log[log.len().saturating_sub(LOG_TAIL)..]).into_owned()
    }

    /// CPU time that all its threads have used so far.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        cpu_of(&self.pid.to_string())
    }

    /// Memory that it holds now and the most it has held, in bytes.
    pub(crate) fn memory(&self) -> anyhow::Result<Memory> {
        let path = format!("/proc/{}/status", self.pid);
        let status = std::fs::read_to_string(&path).with_context(|| format!("no {path}"))?;
        Memory::parse(&status).with_context(|| format!("{path} says nothing of memory"))
    }

    /// Stops it: by SIGTERM, or by SIGKILL if that takes too long.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        if let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) {
            // Not an error: it may have ended by itself. It is not reaped before the wait below,
            // so that the pid is still its own.
            let _ = kill_process(pid, Signal::TERM);
        }
        if tokio::time::timeout(STOP_TIMEOUT, self.child.wait())
            .await
            .is_err()
        {
            self.child.kill().await?;
        }
        Ok(())
    }
}

/// CPU time that all processes of the machine have used so far.
pub(crate) fn machine_cpu() -> anyhow::Result<Duration> {
    let stat = std::fs::read_to_string("/proc/stat").context("no /proc/stat")?;
    ticks(busy_ticks(&stat).context("/proc/stat cannot be read")?)
}

/// What is neither `idle` nor `iowait` of the first line of `/proc/stat`; `steal` counts, because
/// another machine had the CPU. `guest` is in `user` already.
fn busy_ticks(stat: &str) -> Option<u64> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let fields: Vec<u64> = line
        .split_ascii_whitespace()
        .map(|field| field.parse().ok())
        .collect::<Option<_>>()?;
    let busy = fields.iter().take(8).sum::<u64>();
    Some(busy - fields.get(3)? - fields.get(4)?)
}

/// CPU time that this process has used so far.
pub(crate) fn own_cpu() -> anyhow::Result<Duration> {
    cpu_of("self")
}

fn cpu_of(process: &str) -> anyhow::Result<Duration> {
    let path = format!("/proc/{process}/stat");
    let stat = std::fs::read_to_string(&path).with_context(|| format!("no {path}"))?;
    ticks(cpu_ticks(&stat).with_context(|| format!("{path} cannot be read"))?)
}

fn ticks(count: u64) -> anyhow::Result<Duration> {
    let per_second = rustix::param::clock_ticks_per_second();
    anyhow::ensure!(per_second > 0, "the clock has no ticks");
    Ok(Duration::from_micros(count * 1_000_000 / per_second))
}

/// `utime` and `stime` of a line of `/proc/<pid>/stat`, together. The name, second and in
/// parentheses, may hold spaces and parentheses itself.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(") ")?;
    // After the name comes field 3; utime and stime are 14 and 15.
    let mut fields = fields.split(' ').skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// Resident memory in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Memory {
    /// Now.
    pub(crate) rss: u64,
    /// At most, so far.
    pub(crate) peak: u64,
}

impl Memory {
    fn parse(status: &str) -> Option<Self> {
        let kibibytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            let number: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
            Some(number * 1024)
        };
        Some(Self {
            rss: kibibytes("VmRSS:")?,
            peak: kibibytes("VmHWM:")?,
        })
    }
}

/// Lets this process and its children open as many files as the system allows, and makes sure
/// that these are at least `needed`.
pub(crate) fn raise_open_files(needed: u64) -> anyhow::Result<()> {
    use rustix::process::{getrlimit, setrlimit, Resource, Rlimit};
    let limit = getrlimit(Resource::Nofile);
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    )?;
    if let Some(maximum) = limit.maximum {
        anyhow::ensure!(
            maximum >= needed,
            "{needed} open files are needed and {maximum} are allowed (`ulimit -Hn`): take fewer \
             streams or raise the limit"
        );
    }
    Ok(())
}

/// The program at a path, or an error that says what to do about it.
pub(crate) fn program(path: &Path, hint: &str) -> anyhow::Result<PathBuf> {
    std::fs::canonicalize(path).with_context(|| format!("there is no {}: {hint}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_read_behind_any_name() {
        let stat = "7 (a) b) (c) S 1 7 7 0 -1 4194304 2 0 0 0 123 45 9 9 20 0 3 0 55";
        assert_eq!(cpu_ticks(stat), Some(168));
        assert_eq!(cpu_ticks("7 (a) S 1"), None);
    }

    #[test]
    fn the_machine_is_busy_when_it_neither_idles_nor_waits() {
        let stat = "cpu  100 20 30 4000 500 6 7 8 90 0\ncpu0 1 2 3\n";
        assert_eq!(busy_ticks(stat), Some(171));
        assert_eq!(busy_ticks("cpu0 1 2 3"), None);
    }

    #[test]
    fn memory_is_read_in_bytes() {
        let status = "Name:\tx\nVmHWM:\t     200 kB\nVmRSS:\t     100 kB\n";
        let memory = Memory::parse(status).expect("memory");
        assert_eq!((memory.rss, memory.peak), (102_400, 204_800));
        assert_eq!(Memory::parse("Name:\tx\n"), None);
    }

    #[tokio::test]
    async fn a_process_is_measured_and_stopped_by_its_handle() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut command = Command::new("sleep");
        command.arg("60");
        let mut process = Process::start("sleep", command, dir.path().join("log")).expect("starts");
        process.ensure_running().expect("runs");
        process.cpu().expect("CPU time");
        assert!(process.memory().expect("memory").rss > 0);
        let pid = process.pid;
        process.stop().await.expect("stops");
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
    }

    #[tokio::test]
    async fn a_process_that_ended_shows_the_end_of_its_log() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut command = Command::new("sh");
        command.args(["-c", "echo no such option >&2; exit 3"]);
        let mut process = Process::start("sh", command, dir.path().join("log")).expect("starts");
        process.child.wait().await.expect("ends");
        let error = process.ensure_running().expect_err("ended").to_string();
        assert!(error.contains("no such option"), "{error}");
    }
}
