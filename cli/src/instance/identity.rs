//! Which process a recorded pid means.
//!
//! A pid alone is reused; with the kernel's start time and the id of the boot it names one process for ever.
//! Invariant: no signal is sent to a process whose identity does not match. Linux only (`/proc`).

use std::time::{Duration, Instant};

use rustix::process::{kill_process, Pid, Signal};
use serde::{Deserialize, Serialize};

/// How often a process that should end is looked at.
const POLL: Duration = Duration::from_millis(20);

/// One process of one boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessIdentity {
    /// The process id.
    pub pid: u32,
    /// Start time in clock ticks since boot, from `/proc/<pid>/stat`.
    start: u64,
    /// The kernel's id of this boot, where it has one.
    boot: Option<String>,
}

impl ProcessIdentity {
    /// The identity of a process that lives now.
    pub fn of(pid: u32) -> Option<Self> {
        let (start, lives) = Self::stat(pid)?;
        lives.then(|| Self::new(pid, start))
    }

    /// The identity of a child that has not been waited for, be it that it has ended already.
    pub fn of_child(pid: u32) -> Option<Self> {
        let (start, _) = Self::stat(pid)?;
        Some(Self::new(pid, start))
    }

    fn stat(pid: u32) -> Option<(u64, bool)> {
        start_and_life(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    fn new(pid: u32, start: u64) -> Self {
        Self {
            pid,
            start,
            boot: boot_id(),
        }
    }

    /// Whether this very process still lives; a zombie does not.
    pub fn is_alive(&self) -> bool {
        Self::of(self.pid).as_ref() == Some(self)
    }

    /// How long it has been running; `None` when it has ended.
    pub fn age(&self) -> Option<Duration> {
        if !self.is_alive() {
            return None;
        }
        let uptime = std::fs::read_to_string("/proc/uptime").ok()?;
        age_at(&uptime, self.start, rustix::param::clock_ticks_per_second())
    }

    /// Sends a signal, if the process is still this one. Returns whether it was sent.
    pub fn signal(&self, signal: Signal) -> bool {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        match pid {
            Some(pid) if self.is_alive() => kill_process(pid, signal).is_ok(),
            _ => false,
        }
    }

    /// Waits until the process is gone; `false` when the time is over first. Works for processes that are no children.
    pub fn wait(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        while self.is_alive() {
            if Instant::now() >= deadline {
                return false;
            }
            std::thread::sleep(POLL);
        }
        true
    }
}

/// Field 22 of `/proc/<pid>/stat`, and by field 3 whether it lives. The second field may hold blanks and brackets, so counting
/// begins after the last `)`.
fn start_and_life(stat: &str) -> Option<(u64, bool)> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace();
    let lives = !matches!(fields.next()?, "Z" | "X" | "x");
    Some((fields.nth(18)?.parse().ok()?, lives))
}

/// The first number of `/proc/uptime` is the seconds since boot, with two digits behind the point.
fn age_at(uptime: &str, start: u64, ticks_per_second: u64) -> Option<Duration> {
    let since_boot: f64 = uptime.split_ascii_whitespace().next()?.parse().ok()?;
    let since_boot = Duration::try_from_secs_f64(since_boot).ok()?;
    let start = start.checked_mul(1000)?.checked_div(ticks_per_second)?;
    Some(since_boot.saturating_sub(Duration::from_millis(start)))
}

fn boot_id() -> Option<String> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn the_start_time_is_read_behind_any_process_name() {
        let tail = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 303040 99";
        let lives = Some((303_040, true));
        assert_eq!(start_and_life(&format!("7 (sh) {tail}")), lives);
        let odd = format!("7 (a) b) Z (c) {tail}");
        assert_eq!(start_and_life(&odd), lives);
        let ended = Some((303_040, false));
        assert_eq!(start_and_life(&odd.replace(") S", ") Z")), ended);
        assert_eq!(start_and_life(""), None);
    }

    #[test]
    fn the_age_of_a_process_is_the_time_since_its_start() {
        let age = |uptime, start| age_at(uptime, start, 100);
        assert_eq!(age("75.50 1.00\n", 5050), Some(Duration::from_secs(25)));
        assert_eq!(age("75.50 1.00\n", 9000), Some(Duration::ZERO));
        assert_eq!(age("", 1), None);
        assert_eq!(age_at("1 1", 1, 0), None);
        let own = ProcessIdentity::of(std::process::id()).unwrap();
        assert!(own.age().unwrap() < Duration::from_secs(3600));
    }

    #[test]
    fn a_process_is_known_while_it_lives_and_not_by_its_pid_alone() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let identity = ProcessIdentity::of(child.id()).unwrap();
        assert!(identity.is_alive());
        let mut other = identity.clone();
        other.start += 1;
        assert!(!other.is_alive() && !other.signal(Signal::KILL));
        let mut before_reboot = identity.clone();
        before_reboot.boot = Some("another".to_owned());
        assert!(!before_reboot.is_alive() && !before_reboot.signal(Signal::KILL));
        assert!(!identity.wait(Duration::from_millis(50)), "nobody ended it");
        assert!(identity.signal(Signal::KILL));
        assert!(
            identity.wait(Duration::from_secs(10)),
            "a zombie counts as gone"
        );
        assert_eq!(ProcessIdentity::of(child.id()), None);
        let ended = ProcessIdentity::of_child(child.id());
        assert_eq!(ended.as_ref(), Some(&identity), "and is known still");
        child.wait().unwrap();
        assert!(!identity.is_alive());
    }
}
