//! `meseta logs --follow`: what comes while it looks, and how it ends.

#[path = "support/place.rs"]
mod place;

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Stdio};
use std::sync::mpsc::{channel, Receiver};
use std::time::{Duration, Instant};

use place::Place;
use rustix::process::{kill_process, Pid, Signal};

const LIMIT: Duration = Duration::from_secs(20);

/// A `meseta logs` that runs, and the lines that it prints.
struct Following {
    child: Child,
    lines: Receiver<String>,
}

impl Following {
    fn start(place: &Place, further: &[&str]) -> Self {
        let mut child = spawn(place, further);
        let (tell, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in stdout.lines() {
                if tell.send(line.unwrap()).is_err() {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    fn next(&self) -> String {
        self.lines.recv_timeout(LIMIT).expect("a line")
    }

    /// Ends it as Ctrl-C does, and gives its exit code and what it printed meanwhile.
    fn interrupt(mut self) -> (Option<i32>, Vec<String>) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, Signal::INT).unwrap();
        let code = ended(&mut self.child);
        (code, self.lines.iter().collect())
    }
}

fn spawn(place: &Place, further: &[&str]) -> Child {
    let arguments = [&["logs", "--state-dir", "s", "--follow"], further].concat();
    let mut command = place.command(&arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command.stderr(Stdio::inherit()).spawn().unwrap()
}

fn ended(child: &mut Child) -> Option<i32> {
    let deadline = Instant::now() + LIMIT;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        if Instant::now() >= deadline {
            child.kill().unwrap();
            panic!("it does not end");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn append(place: &Place, name: &str, text: &str) {
    let path = place.path().join("s/logs").join(name);
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.unwrap().write_all(text.as_bytes()).unwrap();
}

#[test]
fn new_lines_come_across_rotation_and_truncation_and_ctrl_c_is_a_good_end() {
    let place = Place::new();
    let log = place.file("s/logs/server.log", "one\ntwo\n");
    let following = Following::start(&place, &["-n", "1", "server"]);
    assert_eq!(following.next(), "two");
    append(&place, "server.log", "three\n");
    assert_eq!(following.next(), "three");

    std::fs::rename(&log, log.with_extension("log.old")).unwrap();
    append(&place, "server.log.old", "last of the old\n");
    assert_eq!(following.next(), "last of the old");
    append(&place, "server.log", "first of the new\n");
    assert_eq!(following.next(), "first of the new");

    std::fs::write(&log, "cut\n").unwrap();
    assert_eq!(following.next(), "cut");
    assert_eq!(following.interrupt(), (Some(0), Vec::new()));
}

#[test]
fn a_log_that_appears_later_is_shown_under_its_name() {
    let place = Place::new();
    place.file("s/logs/supervisor.log", "starting\n");
    let following = Following::start(&place, &[]);
    assert_eq!(following.next(), "supervisor | starting");
    append(&place, "access.log", "{}\n");
    assert_eq!(following.next(), "access     | {}");
    assert_eq!(following.interrupt(), (Some(0), Vec::new()));
}

#[test]
fn a_reader_that_goes_away_ends_it_well_even_when_nothing_more_is_written() {
    let place = Place::new();
    place.file("s/logs/server.log", "one\n");
    let mut child = spawn(&place, &["server"]);
    let mut stdout: BufReader<ChildStdout> = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    assert_eq!(line, "one\n");
    drop(stdout);
    assert_eq!(ended(&mut child), Some(0));
}

#[test]
fn a_reader_that_takes_only_the_beginning_of_much_is_no_failure() {
    let place = Place::new();
    place.file("s/logs/server.log", &"a line of a log\n".repeat(100_000));
    let mut child = place
        .command(&["logs", "--state-dir", "s", "-n", "100000", "server"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    drop(stdout);
    assert_eq!(ended(&mut child), Some(0));
}
