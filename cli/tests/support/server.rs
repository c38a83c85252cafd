//! A real server without an Envoy.

#![allow(dead_code, reason = "no test needs all of it")]

use std::fmt::Write;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use super::place::{Place, Run};

/// The time that anything may take.
pub const LIMIT: Duration = Duration::from_secs(20);

/// A `meseta serve` that takes exchanges, and its admin port.
pub struct Server {
    pub place: Place,
    child: Child,
    pub admin: String,
}

impl Server {
    pub fn start(config: &str) -> Self {
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

    pub fn run(&self, arguments: &[&str]) -> Run {
        let mut arguments = arguments.to_vec();
        arguments.extend(["--admin", &self.admin]);
        let mut run = self.place.run(&arguments);
        run.stdout = run.stdout.replace(&self.admin, "<admin>");
        run.stderr = run.stderr.replace(&self.admin, "<admin>");
        run
    }

    /// Runs, as people would show them to each other.
    pub fn shown(&self, runs: &[&[&str]]) -> String {
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
