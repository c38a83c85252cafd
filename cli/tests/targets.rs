//! `meseta targets` of a real server, without an Envoy and, where `MESETA_ENVOY` names one, with it.

#![allow(clippy::print_stderr, reason = "a skipped test is seen")]

#[path = "support/instance.rs"]
mod instance;
#[path = "support/place.rs"]
mod place;
#[path = "support/server.rs"]
mod server;

use std::io::{BufRead, BufReader, Read, Write as _};
use std::net::TcpStream;
use std::process::Stdio;

use instance::Instance;
use place::Place;
use rustix::process::{kill_process, Pid, Signal};
use server::Server;

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

/// Asks a model that nobody serves, and gives the whole answer.
fn ask(url: &str, model: &str) -> String {
    let host = url.strip_prefix("http://").unwrap();
    let body = serde_json::json!({"model": model, "messages": [{"role": "user", "content": "x"}]});
    let body = body.to_string();
    let mut stream = TcpStream::connect(host).unwrap();
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn what_requests_through_envoy_have_shown_is_listed_and_a_drained_target_is_not_asked() {
    let Some(instance) = Instance::new() else {
        return;
    };
    let Instance(place) = &instance;
    place.file(
        "meseta.yaml",
        "\
listeners:
  - {name: model, type: model, address: 127.0.0.1, port: 0}
model_providers:
  - {model: openai/gpt-4o, access_key: $OPENAI_API_KEY, base_url: 'http://127.0.0.1:9/v1'}
  - {model: openai/gpt-4o-mini, access_key: $OPENAI_API_KEY, base_url: 'http://127.0.0.1:9/v1'}
models:
  smart: {targets: [openai/gpt-4o, openai/gpt-4o-mini]}
server: {admin: \"127.0.0.1:0\", drain_timeout: 5s}
",
    );
    let up = place.run(&["up", "--state-dir", "s"]);
    assert_eq!(up.code, Some(0), "{}", up.stderr);
    let record = instance.record();
    let url = record["listeners"][0]["url"].as_str().unwrap();
    let targets = || -> serde_json::Value {
        let run = place.run(&["targets", "--state-dir", "s", "--json"]);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        serde_json::from_str(&run.stdout).unwrap()
    };
    let failures =
        |answer: &serde_json::Value, at: usize| answer["targets"][at]["failures"].as_u64();

    let drain = ["targets", "drain", "openai/gpt-4o", "--state-dir", "s"];
    assert_eq!(place.run(&drain).code, Some(0));
    let answer = ask(url, "smart");
    assert!(answer.starts_with("HTTP/1.1 5"), "{answer}");
    let known = targets();
    assert_eq!(known["targets"][0]["target"], "openai/gpt-4o");
    assert_eq!(failures(&known, 0), Some(0), "{known}");
    assert!(failures(&known, 1) > Some(0), "{known}");
    assert!(known["targets"][1]["last_failure"].is_string(), "{known}");

    let undrain = ["targets", "undrain", "openai/gpt-4o", "--state-dir", "s"];
    assert_eq!(place.run(&undrain).code, Some(0));
    ask(url, "smart");
    let known = targets();
    assert!(failures(&known, 0) > Some(0), "{known}");
    let log = std::fs::read_to_string(place.path().join("s/logs/server.log")).unwrap();
    assert!(log.contains("the target was taken out of service"), "{log}");
}
