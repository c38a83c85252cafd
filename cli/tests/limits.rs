//! `meseta limits explain` of a real server, without an Envoy and, where `MESETA_ENVOY` names one, with it.

#![allow(clippy::print_stderr, reason = "a skipped test is seen")]

#[path = "support/instance.rs"]
mod instance;
#[path = "support/place.rs"]
mod place;
#[path = "support/server.rs"]
mod server;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Stdio;
use std::time::{Duration, Instant};

use instance::Instance;
use place::Run;
use serde_json::Value;
use server::{Server, LIMIT};

/// The key of `alice` is `key-of-alice`.
const CONFIG: &str = "\
model_providers:
  - {model: ollama/llama3.2}
  - {model: openai/gpt-4o, access_key: $KEY}
models:
  smart: {targets: [ollama/llama3.2, openai/gpt-4o]}
limits:
  - {name: per-key, unit: tokens, limit: 100000, per: minute, burst: 200000}
  - {name: all, unit: requests, limit: 10, per: second}
  - {name: teams, unit: input_tokens, limit: 1000, per: hour, match: {header: x-team}}
  - {name: paid, unit: output_tokens, limit: 5, per: hour, match: {provider: openai}}
  - {name: people, unit: requests, limit: 7, per: minute, match: {claim: jwt_payload.sub}}
keys:
  - name: alice
    hash: sha256:d16a80956c32f3f5fb979bea408abac8c3eef6c54ecb234279e337146cf87b47
    limits: [per-key]
  - name: old
    hash: sha256:0000000000000000000000000000000000000000000000000000000000000000
    expires: \"2001-01-01T00:00:00Z\"
server: {meter: native}
";

fn check(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text.trim_end()));
}

#[test]
fn a_request_is_explained_by_key_by_name_and_by_what_it_carries() {
    let server = Server::start(CONFIG);
    let text = server.shown(&[
        &[
            "limits",
            "explain",
            "--key",
            "key-of-alice",
            "--model",
            "smart",
        ],
        &[
            "limits",
            "explain",
            "--consumer",
            "alice",
            "--model",
            "ollama/llama3.2",
            "--header",
            "X-Team: blue",
            "--claim",
            "jwt_payload.sub=u-1",
        ],
        &[
            "limits",
            "explain",
            "--consumer",
            "alice",
            "--model",
            "ollama/llama3.2",
            "--json",
        ],
        &[
            "limits",
            "explain",
            "--consumer",
            "old",
            "--model",
            "ollama/llama3.2",
        ],
        &["limits", "explain", "--model", "ollama/llama3.2"],
        &[
            "limits",
            "explain",
            "--key",
            "key-of-nobody",
            "--model",
            "smart",
        ],
        &[
            "limits",
            "explain",
            "--consumer",
            "alise",
            "--model",
            "smart",
        ],
        &[
            "limits",
            "explain",
            "--consumer",
            "alice",
            "--model",
            "smrt",
        ],
    ]);
    let after_commands = text.replace("$ meseta limits explain --key key-of-", "");
    assert!(!after_commands.contains("key-of-"), "{text}");
    check("limits_explain", &text);
}

#[test]
fn a_key_is_read_from_standard_input_where_no_list_of_processes_shows_it() {
    let server = Server::start(CONFIG);
    let arguments = [
        "limits",
        "explain",
        "--key",
        "-",
        "--model",
        "smart",
        "--admin",
        &server.admin,
    ];
    let mut command = server.place.command(&arguments);
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"key-of-alice\n")
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8(output.stdout)
        .unwrap()
        .contains("consumer alice"));
}

#[test]
fn no_key_is_sent_nor_said() {
    let place = place::Place::new();
    for arguments in [
        ["--header", "Authorization: Bearer own-key"],
        ["--header", "x-api-key: own-key"],
        ["--header", "x-team: mk-own-key"],
        ["--claim", "a.b=mk-own-key"],
        ["--consumer", "mk-own-key"],
    ] {
        let run = place.run(&[&["limits", "explain"], &arguments[..]].concat());
        assert_eq!(run.code, Some(2), "{}", run.stderr);
        assert!(run.stderr.contains("give it as `--key`"), "{}", run.stderr);
        assert!(!run.stderr.contains("own-key"), "{}", run.stderr);
    }
}

/// Runs until it ends with this exit code.
fn until(server: &Server, arguments: &[&str], code: i32) -> Run {
    let deadline = Instant::now() + LIMIT;
    loop {
        let run = server.run(arguments);
        if run.code == Some(code) {
            return run;
        }
        assert!(Instant::now() < deadline, "{run:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_running_server_knows_a_key_that_is_made_and_forgets_one_that_is_revoked() {
    let server = Server::start(CONFIG);
    let explain = ["limits", "explain", "--consumer", "bob", "--model", "smart"];
    assert_eq!(server.run(&explain).code, Some(2));
    let created = server
        .place
        .run(&["keys", "create", "bob", "--limits", "per-key"]);
    assert_eq!(created.code, Some(0), "{}", created.stderr);
    let told = until(&server, &explain, 0);
    assert!(told.stdout.contains("consumer bob"), "{}", told.stdout);
    let by_key = [
        "limits",
        "explain",
        "--key",
        created.stdout.trim(),
        "--model",
        "smart",
    ];
    assert_eq!(server.run(&by_key).stdout, told.stdout);
    assert_eq!(server.place.run(&["keys", "revoke", "bob"]).code, Some(0));
    until(&server, &explain, 2);
    let text = std::fs::read_to_string(server.place.path().join("meseta.yaml")).unwrap();
    assert_eq!(text, CONFIG);
}

#[test]
fn without_a_server_the_exit_code_is_three() {
    let place = place::Place::new();
    for place_of_server in [["--state-dir", "s"], ["--admin", "127.0.0.1:1"]] {
        let arguments = [&["limits", "explain", "--model", "x"][..], &place_of_server].concat();
        let run = place.run(&arguments);
        assert_eq!(run.code, Some(3), "{}", run.stderr);
    }
}

/// Asks with a key, and gives the whole answer.
fn ask(url: &str, key: &str) -> String {
    let host = url.strip_prefix("http://").unwrap();
    let body = r#"{"model": "smart", "messages": [{"role": "user", "content": "x"}]}"#;
    let mut stream = TcpStream::connect(host).unwrap();
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\nauthorization: Bearer {key}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\nx-meseta-explain: 1\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn what_envoy_has_counted_is_told_and_asking_counts_nothing() {
    let Some(instance) = Instance::new() else {
        return;
    };
    let Instance(place) = &instance;
    for (path, target) in [("direct", "smart"), ("relay", "smart")] {
        place.file(
            "meseta.yaml",
            &format!(
                "\
listeners:
  - {{name: model, type: model, address: 127.0.0.1, port: 0}}
model_providers:
  - {{model: openai/gpt-4o, access_key: $OPENAI_API_KEY, base_url: 'http://127.0.0.1:9/v1'}}
models:
  smart: {{path: {path}, targets: [openai/gpt-4o]}}
limits:
  - {{name: a-day, unit: requests, limit: 5, per: month, match: {{consumer: '*'}}}}
keys: []
server: {{admin: \"127.0.0.1:0\", drain_timeout: 5s}}
"
            ),
        );
        let created = place.run(&["keys", "create", "alice"]);
        let key = created.stdout.trim();
        let up = place.run(&["up", "--state-dir", "s"]);
        assert_eq!(up.code, Some(0), "{}", up.stderr);
        let record = instance.record();
        let url = record["listeners"][0]["url"].as_str().unwrap();
        let left = || -> Value {
            let explain = [
                "limits",
                "explain",
                "--key",
                key,
                "--model",
                target,
                "--json",
                "--state-dir",
                "s",
            ];
            let run = place.run(&explain);
            assert_eq!(run.code, Some(0), "{}", run.stderr);
            let answer: Value = serde_json::from_str(&run.stdout).unwrap();
            assert_eq!(answer["cases"][0]["no_figures"], Value::Null, "{answer}");
            answer["cases"][0]["rules"][0]["remaining"].clone()
        };
        for _ in 0..3 {
            assert_eq!(left(), 5, "{path}");
        }
        for used in 1..=2 {
            let answer = ask(url, key);
            assert!(answer.starts_with("HTTP/1.1 5"), "{answer}");
            assert!(
                !answer.to_ascii_lowercase().contains("x-meseta-standing"),
                "{answer}"
            );
            assert_eq!(left(), 5 - used, "{path}");
            assert_eq!(left(), 5 - used, "{path}");
        }
        assert_eq!(place.run(&["down", "--state-dir", "s"]).code, Some(0));
    }
}
