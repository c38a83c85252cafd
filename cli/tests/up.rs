//! `meseta up`, `status` and `down` with the real Envoy that `MESETA_ENVOY` names; skipped visibly without it.

#![allow(clippy::print_stderr, reason = "a skipped test is seen")]

#[path = "support/instance.rs"]
mod instance;
#[path = "support/place.rs"]
mod place;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use instance::{Instance, CONFIG};

fn signal(pid: i32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

fn is_gone(pid: i32) -> bool {
    match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => stat.contains(") Z "),
        Err(_) => true,
    }
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !done() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn get(url: &str) -> String {
    let host = url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    let request = format!("GET /v1/models HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn an_instance_answers_as_soon_as_up_returns_and_down_ends_all_of_it() {
    let Some(instance) = Instance::new() else {
        return;
    };
    let Instance(place) = &instance;
    let up = place.run(&["up", "--state-dir", "s"]);
    assert_eq!(up.code, Some(0), "{}", up.stderr);
    let record = instance.record();
    let url = record["listeners"][0]["url"].as_str().unwrap();
    for expected in [
        format!("model at {url}/v1\n"),
        "providers     openai\n".to_owned(),
        "fast -> openai/gpt-4o-mini\n".to_owned(),
        format!(
            "admin         http://{}\n",
            record["admin"].as_str().unwrap()
        ),
        "meseta down --state-dir <dir>/s\n".to_owned(),
    ] {
        assert!(up.stdout.contains(&expected), "{expected}: {}", up.stdout);
    }
    assert!(get(url).starts_with("HTTP/1.1 200 "));

    let again = place.run(&["up", "meseta.yaml", "--state-dir", "s"]);
    assert_eq!(again.code, Some(0));
    assert!(again.stderr.contains("already running"), "{}", again.stderr);
    let other = place.file("other.yaml", CONFIG);
    let other = place.run(&["up", other.to_str().unwrap(), "--state-dir", "s"]);
    assert_eq!(other.code, Some(1));
    assert!(
        other.stderr.contains("hint: stop it with `meseta down"),
        "{}",
        other.stderr
    );
    let status = place.run(&["status", "--state-dir", "s"]);
    assert!(
        status.code == Some(0) && status.stdout.contains(url),
        "{status:?}"
    );

    let envoy = std::fs::read(format!("/proc/{}/environ", instance.pid("envoy"))).unwrap();
    let envoy = String::from_utf8_lossy(&envoy);
    assert!(
        !envoy.contains("sk-in-the-environment"),
        "Envoy needs no key"
    );
    let pids = ["supervisor", "server", "envoy"].map(|process| instance.pid(process));
    let down = place.run(&["down", "--state-dir", "s"]);
    assert_eq!(down.code, Some(0), "{}", down.stderr);
    assert!(pids.into_iter().all(is_gone));
    assert_eq!(place.run(&["status", "--state-dir", "s"]).code, Some(3));
    for left in ["instance.json", "server.sock", "envoy-admin.sock"] {
        assert!(!place.path().join("s").join(left).exists(), "{left}");
    }
}

#[test]
fn two_instances_live_side_by_side() {
    let (Some(first), Some(second)) = (Instance::new(), Instance::new()) else {
        return;
    };
    for instance in [&first, &second] {
        let up = instance.0.run(&["up", "--state-dir", "s"]);
        assert_eq!(up.code, Some(0), "{}", up.stderr);
    }
    first.0.run(&["down", "--state-dir", "s"]);
    let record = second.record();
    let url = record["listeners"][0]["url"].as_str().unwrap();
    assert!(get(url).starts_with("HTTP/1.1 200 "));
}

#[test]
fn two_instances_that_start_at_once_do_not_share_a_port() {
    let (Some(first), Some(second)) = (Instance::new(), Instance::new()) else {
        return;
    };
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let starts = [&first, &second].map(|instance| {
        let config = CONFIG.replace("port: 0", &format!("port: {port}"));
        instance.0.file("meseta.yaml", &config);
        let mut up = instance.0.command(&["up", "--state-dir", "s"]);
        up.stdout(std::process::Stdio::piped());
        up.stderr(std::process::Stdio::piped()).spawn().unwrap()
    });
    let ends = starts.map(|up| up.wait_with_output().unwrap());
    let codes = ends.each_ref().map(|end| end.status.code().unwrap());
    let said: String = ends
        .iter()
        .map(|end| String::from_utf8_lossy(&end.stderr))
        .collect();
    assert_eq!(codes.iter().sum::<i32>(), 1, "{codes:?}: {said}");
    let told =
        format!("error: listener `model` cannot have 127.0.0.1:{port}: Address already in use");
    assert!(said.contains(&told), "{said}");
}

#[test]
fn up_beside_an_up_that_starts_the_same_waits_for_it() {
    let Some(instance) = Instance::new() else {
        return;
    };
    let starts = [(); 2].map(|()| {
        let mut up = instance.0.command(&["up", "--state-dir", "s"]);
        up.stdout(std::process::Stdio::piped());
        up.stderr(std::process::Stdio::piped()).spawn().unwrap()
    });
    let ends = starts.map(|up| up.wait_with_output().unwrap());
    let codes = ends.each_ref().map(|end| end.status.code());
    // One that comes before the other has written its record is told to try again.
    let good = codes.iter().filter(|code| **code == Some(0)).count();
    assert!(good >= 1, "{ends:?}");
    let pids = ["supervisor", "server", "envoy"].map(|process| instance.pid(process));
    assert!(!pids.into_iter().any(is_gone));
}

#[test]
fn a_flag_that_envoy_refuses_is_reported_with_its_last_lines() {
    let Some(instance) = Instance::new() else {
        return;
    };
    let up = instance
        .0
        .run(&["up", "--state-dir", "s", "--", "--no-such-flag"]);
    assert_eq!((up.code, up.stdout.as_str()), (Some(1), ""));
    let told = "error: envoy ended before it was ready (exit status: 1); its last log lines:\n";
    assert!(up.stderr.contains(told), "{}", up.stderr);
    assert!(up.stderr.contains("--no-such-flag"), "{}", up.stderr);
    assert!(!instance.0.path().join("s/instance.json").exists());
}

#[test]
fn a_listener_port_that_is_taken_is_told_before_anything_starts() {
    let Some(instance) = Instance::new() else {
        return;
    };
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let config = CONFIG.replace("port: 0", &format!("port: {port}"));
    instance.0.file("meseta.yaml", &config);
    let up = instance.0.run(&["up", "--state-dir", "s"]);
    assert_eq!((up.code, up.stdout.as_str()), (Some(1), ""));
    let told = format!("error: listener `model` cannot have 127.0.0.1:{port}: ");
    assert!(up.stderr.contains(&told), "{}", up.stderr);
}

#[test]
fn when_one_process_dies_the_other_is_stopped_and_the_reason_is_kept() {
    let Some(instance) = Instance::new() else {
        return;
    };
    for process in ["server", "envoy"] {
        let up = instance.0.run(&["up", "--state-dir", "s"]);
        assert_eq!(up.code, Some(0), "{}", up.stderr);
        let pids = ["supervisor", "server", "envoy"].map(|process| instance.pid(process));
        signal(instance.pid(process), rustix::process::Signal::KILL);
        until("all are gone", || pids.into_iter().all(is_gone));
        let status = instance.0.run(&["status", "--state-dir", "s"]);
        assert_eq!(status.code, Some(3));
        let told = format!("{process} ended while it was serving (signal: 9 (SIGKILL))");
        assert!(status.stderr.contains(&told), "{}", status.stderr);
    }
}

#[test]
fn a_killed_supervisor_leaves_nothing_running() {
    let Some(instance) = Instance::new() else {
        return;
    };
    let up = instance.0.run(&["up", "--state-dir", "s"]);
    assert_eq!(up.code, Some(0), "{}", up.stderr);
    let pids = ["supervisor", "server", "envoy"].map(|process| instance.pid(process));
    signal(pids[0], rustix::process::Signal::KILL);
    until("all are gone", || pids.into_iter().all(is_gone));
    let up = instance.0.run(&["up", "--state-dir", "s"]);
    assert_eq!(up.code, Some(0), "{}", up.stderr);
}

#[test]
fn down_after_a_killed_supervisor_ends_what_is_left() {
    let Some(instance) = Instance::new() else {
        return;
    };
    let up = instance.0.run(&["up", "--state-dir", "s"]);
    assert_eq!(up.code, Some(0), "{}", up.stderr);
    let pids = ["supervisor", "server", "envoy"].map(|process| instance.pid(process));
    signal(pids[0], rustix::process::Signal::KILL);
    for _ in 0..2 {
        let down = instance.0.run(&["down", "--state-dir", "s"]);
        assert_eq!(down.code, Some(0), "{}", down.stderr);
        assert!(pids.into_iter().all(is_gone));
    }
    assert!(!instance.0.path().join("s/instance.json").exists());
}

#[test]
fn up_that_is_asked_to_end_leaves_nothing_running() {
    let Some(instance) = Instance::new() else {
        return;
    };
    let Instance(place) = &instance;
    // Tells its version and then never gets ready.
    let envoy = place.file(
        "envoy",
        "#!/bin/sh\n[ \"$1\" = --version ] && echo 'version: 0/1.40.0/x' && exit\nexec sleep 600\n",
    );
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&envoy, executable).unwrap();
    for asked in [rustix::process::Signal::INT, rustix::process::Signal::TERM] {
        let child = place
            .command(&["up", "--state-dir", "s", "--envoy", "envoy"])
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let path = place.path().join("s/instance.json");
        until("Envoy is started", || {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            let record: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
            record["envoy"]["pid"].is_u64()
        });
        let pids = ["supervisor", "server", "envoy"].map(|process| instance.pid(process));
        signal(i32::try_from(child.id()).unwrap(), asked);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let stderr = String::from_utf8_lossy(&output.stderr);
        let told = "error: interrupted: what was started has been stopped\n";
        assert!(stderr.ends_with(told), "{stderr}");
        assert!(pids.into_iter().all(is_gone));
    }
}

#[test]
fn up_again_means_that_the_file_as_it_is_now_is_in_service() {
    let Some(instance) = Instance::new() else {
        return;
    };
    let Instance(place) = &instance;
    let up = || place.run(&["up", "--state-dir", "s"]);
    let status = || place.run(&["status", "--state-dir", "s"]);
    assert_eq!(up().code, Some(0));
    let pids = ["supervisor", "server", "envoy"].map(|process| instance.pid(process));

    place.file("meseta.yaml", &CONFIG.replace("fast:", "quick:"));
    let again = up();
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    assert!(again.stdout.contains("quick -> "), "{}", again.stdout);
    assert!(!again.stdout.contains("fast -> "), "{}", again.stdout);

    place.file(
        "meseta.yaml",
        &CONFIG.replace("drain_timeout: 5s", "drain_timeout: 6s"),
    );
    let again = up();
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    let told = "warning: changed, and waiting for a restart (`meseta down --state-dir <dir>/s`, then `meseta up`): server.drain_timeout\n";
    assert!(again.stderr.contains(told), "{}", again.stderr);

    place.file("meseta.yaml", &CONFIG.replace("openai/", "openai"));
    let again = up();
    assert_eq!((again.code, again.stdout.as_str()), (Some(2), ""));
    let untaken =
        "warning: the configuration has changed and is not taken, the one before stays:\n";
    until("the status tells of it", || {
        let status = status();
        status.code == Some(0)
            && status.stdout.contains("fast -> ")
            && status.stderr.contains(untaken)
            && status.stderr.contains("model_providers[0].model")
    });

    std::fs::remove_file(place.path().join("meseta.yaml")).unwrap();
    assert_eq!(
        place.run(&["up", "--state-dir", "s", "meseta.yaml"]).code,
        Some(2)
    );
    until("the status tells that it is gone", || {
        let status = status();
        status.code == Some(0) && status.stderr.contains("cannot read `<dir>/meseta.yaml`")
    });
    assert_eq!(
        pids,
        ["supervisor", "server", "envoy"].map(|process| instance.pid(process)),
        "nothing was started anew"
    );
}

#[test]
fn status_of_a_server_that_does_not_answer_tells_so_and_what_is_known() {
    let Some(instance) = Instance::new() else {
        return;
    };
    let Instance(place) = &instance;
    assert_eq!(place.run(&["up", "--state-dir", "s"]).code, Some(0));
    let server = instance.pid("server");
    signal(server, rustix::process::Signal::STOP);
    let status = place.run(&["status", "--state-dir", "s"]);
    let json = place.run(&["status", "--state-dir", "s", "--json"]);
    signal(server, rustix::process::Signal::CONT);
    assert_eq!(status.code, Some(0));
    assert!(
        status.stdout.contains("listener      model at http://"),
        "{}",
        status.stdout
    );
    assert!(!status.stdout.contains("providers"), "{}", status.stdout);
    let told = "warning: what is in service is not known: it does not answer: ";
    assert!(status.stderr.starts_with(told), "{}", status.stderr);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["phase"], "ready");
    assert!(json["providers"].is_null() && json["listeners"][0]["url"].is_string());
}

#[test]
fn in_the_foreground_logs_are_streamed_and_a_signal_ends_it_well() {
    let Some(instance) = Instance::new() else {
        return;
    };
    let child = instance
        .0
        .command(&["up", "--foreground", "--state-dir", "s"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let path = instance.0.path().join("s/instance.json");
    until("ready", || {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        text.contains("\"ready\"")
    });
    let record = instance.record();
    assert_eq!(record["supervisor"]["pid"], child.id());
    assert!(get(record["listeners"][0]["url"].as_str().unwrap()).starts_with("HTTP/1.1 200 "));
    let logs = instance.0.run(&["logs", "--state-dir", "s"]);
    assert_eq!((logs.code, logs.stdout.as_str()), (Some(3), ""));
    let told = format!(
        "error: no log files: `meseta up --foreground` (pid {}) logs to its own terminal\n",
        child.id()
    );
    assert!(logs.stderr.starts_with(&told), "{}", logs.stderr);
    signal(
        i32::try_from(child.id()).unwrap(),
        rustix::process::Signal::INT,
    );
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let (stdout, stderr) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(stdout.contains("/v1/models"), "the access log: {stdout}");
    assert!(stderr.contains("meseta is running"), "{stderr}");
}

/// A provider that streams one event, and the rest when it is told to. Gives its base URL and what tells it.
fn provider_that_waits() -> (String, mpsc::Sender<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (go_on, told) = mpsc::channel();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"}") {
            let mut part = [0; 4096];
            let length = stream.read(&mut part).unwrap();
            request.extend_from_slice(&part[..length]);
        }
        let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        let event = |word: &str| {
            chunk(&format!(
                "data: {{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{word}\"}}}}]}}\n\n"
            ))
        };
        let first = format!("{head}{}", event("begun"));
        stream.write_all(first.as_bytes()).unwrap();
        told.recv().unwrap();
        let rest = format!("{}{}0\r\n\r\n", event("ended"), chunk("data: [DONE]\n\n"));
        stream.write_all(rest.as_bytes()).unwrap();
    });
    (url, go_on)
}

#[test]
fn down_lets_a_running_stream_finish_and_refuses_new_connections() {
    let Some(instance) = Instance::new() else {
        return;
    };
    let Instance(place) = &instance;
    let (provider, go_on) = provider_that_waits();
    let key = "access_key: $OPENAI_API_KEY";
    let config = CONFIG.replace(key, &format!("{key}, base_url: \"{provider}\""));
    place.file(
        "meseta.yaml",
        &config.replace("drain_timeout: 5s", "drain_timeout: 30s"),
    );
    let up = place.run(&["up", "--state-dir", "s"]);
    assert_eq!(up.code, Some(0), "{}", up.stderr);
    let record = instance.record();
    let host = record["listeners"][0]["bound"].as_str().unwrap();

    let body = r#"{"model":"fast","stream":true,"messages":[{"role":"user","content":"hi"}]}"#;
    let mut client = TcpStream::connect(host).unwrap();
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    client.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    until("the first event", || {
        let mut part = [0; 4096];
        let length = client.read(&mut part).unwrap();
        assert_ne!(length, 0, "{}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&part[..length]);
        String::from_utf8_lossy(&answer).contains("begun")
    });

    let mut down = place
        .command(&["down", "--state-dir", "s"])
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    until("new connections are refused", || {
        TcpStream::connect(host).is_err()
    });
    assert_eq!(instance.record()["phase"], "stopping");
    go_on.send(()).unwrap();
    client.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer);
    assert!(
        answer.contains("ended") && answer.contains("data: [DONE]"),
        "{answer}"
    );
    assert!(answer.ends_with("0\r\n\r\n"), "{answer}");
    assert!(down.wait().unwrap().success());
}
