//! `meseta translate`: what it prints, and how it ends.

#[path = "support/place.rs"]
mod place;

use std::io::Write;
use std::process::Stdio;

use place::{Place, Run};
use serde_json::Value;

fn translate(arguments: &[&str], input: &str) -> Run {
    let mut place = Place::new();
    place.variable("NO_COLOR", "1");
    let mut child = place
        .command(&[&["translate"], arguments].concat())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let written = child.stdin.take().unwrap().write_all(input.as_bytes());
    // Wrong arguments are told before anything is read.
    if let Err(error) = written {
        assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
    }
    let output = child.wait_with_output().unwrap();
    Run {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn a_request_is_translated_and_what_is_lost_is_told_line_by_line() {
    let way = [
        "--from",
        "openai-chat",
        "--to",
        "anthropic-messages",
        "--kind",
        "request",
    ];
    let plain =
        r#"{"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}"#;
    let run = translate(&way, plain);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    assert_eq!(json(&run.stdout)["max_tokens"], 5);
    let lossy = plain.replace("\"max_tokens\"", "\"seed\": 1, \"max_tokens\"");
    let run = translate(&way, &lossy);
    assert_eq!(run.code, Some(3));
    let loss = json(run.stderr.trim());
    assert_eq!(
        (&loss["path"], &loss["kind"]),
        (&"/seed".into(), &"dropped".into())
    );
}

#[test]
fn between_equal_apis_every_byte_stays_and_nothing_is_lost() {
    let body = "{ \"model\":\"m\" ,\"unknown\": [1.0, 2e3],\"messages\":[]}\n";
    let way = [
        "--from",
        "openai-chat",
        "--to",
        "openai-chat",
        "--kind",
        "request",
    ];
    let run = translate(&way, body);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), body));
}

#[test]
fn a_stream_is_the_same_however_it_is_fed() {
    let chunk = r#"{"id":"c","model":"m","choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":"stop"}]}"#;
    let stream = format!("data: {chunk}\n\ndata: [DONE]\n\n");
    let way = [
        "--from",
        "openai-chat",
        "--to",
        "anthropic-messages",
        "--kind",
        "stream",
    ];
    let whole = translate(&way, &stream);
    assert!(whole.stdout.contains("event: message_stop"), "{whole:?}");
    let split = translate(&[&way[..], &["--chunk", "1"]].concat(), &stream);
    assert_eq!(split, whole);
}

#[test]
fn an_error_comes_out_as_the_other_apis_own_with_its_words() {
    let body = r#"{"error": {"message": "slow down", "type": "rate_limit_error"}}"#;
    let way = [
        "--from",
        "openai-chat",
        "--to",
        "anthropic-messages",
        "--kind",
        "response",
    ];
    let run = translate(&way, body);
    let error = json(&run.stdout);
    assert_eq!((run.code, &error["type"]), (Some(0), &"error".into()));
    assert_eq!(error["error"]["message"], "slow down");
}

#[test]
fn input_that_cannot_be_read_and_apis_that_are_none_are_usage_errors() {
    let way = [
        "--from",
        "openai-chat",
        "--to",
        "anthropic-messages",
        "--kind",
        "request",
    ];
    assert_eq!(translate(&way, "{").code, Some(2));
    let wrong = [
        "--from",
        "smoke-signals",
        "--to",
        "openai-chat",
        "--kind",
        "request",
    ];
    let run = translate(&wrong, "{}");
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("openai-responses"), "{}", run.stderr);
}
