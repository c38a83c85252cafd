//! `meseta targets` of a real server, without an Envoy.

#[path = "support/place.rs"]
mod place;

use std::fmt::Write;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use place::{Place, Run};
use rustix::process::{kill_process, Pid, Signal};

const LIMIT: Duration = Duration::from_secs(20);

const CONFIG: &str = "\
model_providers:
  - {model: openai/gpt-4o, access_key: $KEY}
  - {model: groq/llama-3.1-8b-instant, access_key: $KEY}
models:
  smart:
    targets:
      - {model: openai/gpt-4o, weight: 3}
      - {model: groq/llama-3.1-8b-instant, priority: 2}
  plain: {targets: [openai/gpt-4o]}
";

/// A `meseta serve` that takes exchanges, and its admin port.
struct Server {
    place: Place,
    child: Child,
    admin: String,
}

impl Server {
    fn start(config: &str) -> Self {
        let mut place = Place::new();
        place.variable("KEY", "sk-place");
        place.file("meseta.yaml", config);
        let mut command = place.command(&[
            "serve",
            "--listen",
            "unix:server.sock",
            "--admin",
            "127.0.0.1:0",
            "--ready-file",
            "ready",
        ]);
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut server = Self {
            place,
            child,
            admin: String::new(),
        };
        let deadline = Instant::now() + LIMIT;
        while server.admin.is_empty() {
            assert!(Instant::now() < deadline, "the server does not start");
            std::thread::sleep(Duration::from_millis(10));
            let ready = std::fs::read_to_string(server.place.path().join("ready"));
            server.admin = ready.unwrap_or_default();
        }
        server
    }

    fn run(&self, arguments: &[&str]) -> Run {
        let mut arguments = arguments.to_vec();
        arguments.extend(["--admin", &self.admin]);
        let mut run = self.place.run(&arguments);
        run.stdout = run.stdout.replace(&self.admin, "<admin>");
        run.stderr = run.stderr.replace(&self.admin, "<admin>");
        run
    }

    /// Runs, as people would show them to each other.
    fn shown(&self, runs: &[&[&str]]) -> String {
        let mut text = String::new();
        for arguments in runs {
            let run = self.run(arguments);
            let _ = writeln!(text, "$ meseta {} --admin <admin>", arguments.join(" "));
            for (stream, said) in [("stdout", &run.stdout), ("stderr", &run.stderr)] {
                if !said.is_empty() {
                    let _ = write!(text, "--- {stream}\n{said}");
                }
            }
            let _ = writeln!(text, "--- exit code {}\n", run.code.unwrap());
        }
        text
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn targets_of_a_server_are_listed_drained_and_put_back() {
    let server = Server::start(CONFIG);
    let text = server.shown(&[
        &["targets"],
        &["targets", "--json"],
        &["targets", "drain", "openai/gpt-4o"],
        &["targets", "drain", "openai/gpt-4o"],
        &["targets", "drain", "groq/llama-3.1-8b-instant"],
        &["targets"],
        &["targets", "undrain", "openai/gpt-4o"],
        &["targets", "drain", "openai/gpt4o"],
        &["targets", "drain", "smart"],
        &["targets", "drain", "nothing"],
    ]);
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!("targets", text.trim_end()));
}

#[test]
fn a_server_without_pools_says_that_it_has_none() {
    let server = Server::start("model_providers: [{model: openai/gpt-4o, access_key: $KEY}]\n");
    let run = server.run(&["targets"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(
        run.stdout.starts_with("no pool is configured"),
        "{}",
        run.stdout
    );
}

#[test]
fn watching_prints_blocks_without_escape_codes_and_an_interrupt_is_a_good_end() {
    let server = Server::start(CONFIG);
    let arguments = ["targets", "--watch", "--admin", &server.admin];
    let mut command = server.place.command(&arguments);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut block = || -> Vec<String> { lines.by_ref().take(4).map(Result::unwrap).collect() };
    let first = block();
    assert!(first[0].starts_with("POOL  "), "{first:?}");
    assert!(!first.concat().contains('\u{1b}'), "{first:?}");
    let drained = server.run(&["targets", "drain", "openai/gpt-4o"]);
    assert_eq!(drained.code, Some(0), "{}", drained.stderr);
    // An empty line, and the next block without its last line.
    let second = block();
    assert!(second[0].is_empty() && second[1].starts_with("POOL  "));
    assert!(second[2].contains("drained"), "{second:?}");
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn watching_for_programs_gives_one_line_for_each_look_and_ends_with_its_reader() {
    let server = Server::start(CONFIG);
    let arguments = ["targets", "--watch", "--json", "--admin", &server.admin];
    let mut command = server.place.command(&arguments);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for _ in 0..2 {
        let line = lines.next().unwrap().unwrap();
        let answer: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(answer["pools"][0]["name"], "smart");
    }
    drop(lines);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn where_nothing_runs_the_exit_code_is_three_and_an_address_that_is_none_is_wrong_usage() {
    let place = Place::new();
    let told = "\
error: nothing runs (state directory <dir>/s)
hint: a server that `meseta up` has not started is found by `--admin ADDRESS:PORT`
";
    for arguments in [
        &["targets", "--state-dir", "s"][..],
        &["targets", "--state-dir", "s", "--json"],
        &["targets", "--state-dir", "s", "--watch"],
        &["targets", "drain", "openai/gpt-4o", "--state-dir", "s"],
    ] {
        let run = place.run(arguments);
        assert_eq!(
            (run.code, run.stdout.as_str()),
            (Some(3), ""),
            "{arguments:?}"
        );
        assert_eq!(run.stderr, told, "{arguments:?}");
    }
    assert!(!place.path().join("s").exists(), "asking creates nothing");
    let run = place.run(&["targets", "--admin", "127.0.0.1:1"]);
    assert_eq!(run.code, Some(3));
    assert!(
        run.stderr.contains("no server answers at 127.0.0.1:1"),
        "{}",
        run.stderr
    );
    let run = place.run(&["targets", "--admin", "9902"]);
    assert_eq!(run.code, Some(2));
    assert!(
        run.stderr.contains("hint: write an address and a port"),
        "{}",
        run.stderr
    );
    let run = place.run(&["targets", "--admin", "127.0.0.1:1", "--state-dir", "s"]);
    assert_eq!(run.code, Some(2));
}
