use serde_json::json;

use super::*;
use crate::representation::{Part, PartKind, Role, ToolCall, ToolResult, Turn};

fn again(body: &Value) -> Request {
    let read = read(body.clone()).unwrap();
    let mut losses = Losses::new();
    assert_eq!(write(read.clone(), &mut losses), *body);
    assert!(losses.is_empty(), "{losses:?}");
    read
}

fn turn(role: Role, parts: Vec<Part>) -> Turn {
    Turn {
        role,
        name: None,
        parts,
        at: "/messages/0".into(),
        extensions: Vec::new(),
    }
}

fn said(role: Role, text: &str) -> Turn {
    turn(role, vec![Part::text(text, "/messages/0/content")])
}

fn prompt(turns: Vec<Turn>) -> (String, usize) {
    let mut losses = Losses::new();
    let request = Request {
        turns,
        ..Request::default()
    };
    let body = write(request, &mut losses);
    assert_eq!(body["max_tokens"], 1024);
    let prompt = body["prompt"].as_str().unwrap().to_owned();
    (prompt, losses.as_slice().len())
}

#[test]
fn a_request_comes_back_as_it_was() {
    let request = again(&json!({
        "model": "m", "prompt": "p", "suffix": "s", "max_tokens": 5, "temperature": 0.5, "top_p": 1, "n": 2,
        "stream": true, "stream_options": {"include_usage": true, "odd": 1}, "logprobs": 3, "echo": true,
        "stop": ".", "presence_penalty": 1, "frequency_penalty": 1, "best_of": 3, "logit_bias": {},
        "user": "u", "seed": 1, "odd": [1],
    }));
    assert_eq!(request.stop.unwrap().value, ["."]);
    assert_eq!(request.logprobs.unwrap().value, 3);
    again(
        &json!({"prompt": ["p"], "stop": ["."], "stream": false, "logprobs": true, "max_tokens": -1}),
    );
}

#[test]
fn several_prompts_and_tokens_are_kept_whole_and_lost_elsewhere() {
    for prompt in [
        json!(["a", "b"]),
        json!([1, 2]),
        json!([[1], [2]]),
        json!([]),
    ] {
        let request = again(&json!({"prompt": prompt}));
        assert!(request.turns.is_empty());
        assert_eq!(request.extensions[0].at, "/prompt");
    }
    assert_eq!(read(json!({"prompt": 1})).unwrap_err().at, "/prompt");
}

#[test]
fn the_only_turn_is_the_prompt_itself() {
    let (text, losses) = prompt(vec![said(Role::User, "Once upon a time")]);
    assert_eq!((text.as_str(), losses), ("Once upon a time", 0));
}

#[test]
fn a_conversation_becomes_lines_and_begins_the_next_one() {
    let mut turns = vec![said(Role::System, "Be brief."), said(Role::User, "Hi")];
    let (first, losses) = prompt(turns.clone());
    assert_eq!(first, "System: Be brief.\n\nUser: Hi\n\nAssistant:");
    assert_eq!(losses, 1);
    let call = PartKind::ToolCall(ToolCall {
        id: "c".to_owned(),
        name: "f".to_owned(),
        arguments: "{}".to_owned(),
        custom: false,
        by_provider: false,
    });
    let result = PartKind::ToolResult(ToolResult {
        call_id: "c".to_owned(),
        name: None,
        parts: vec![Part::text("4", "/r")],
        structured: None,
        is_error: false,
        custom: false,
    });
    turns.push(turn(Role::Assistant, vec![Part::new(call, "/c")]));
    turns.push(turn(Role::User, vec![Part::new(result, "/d")]));
    let (second, losses) = prompt(turns);
    assert_eq!(second, format!("{first} f({{}})\n\nTool: 4\n\nAssistant:"));
    assert_eq!(losses, 3);
}

#[test]
fn what_the_api_does_not_have_is_told() {
    let mut request = again(&json!({"prompt": "p", "echo": true, "odd": 1}));
    request.api = None;
    request.logprobs = Some(At::new(20, "/top_logprobs"));
    request.store = Some(At::new(true, "/store"));
    request.format = Some(At::new(OutputFormat::Json, "/response_format"));
    let mut losses = Losses::new();
    let body = write(request, &mut losses);
    assert_eq!(
        (&body["logprobs"], &body["echo"]),
        (&json!(5), &json!(true))
    );
    let places: Vec<_> = losses.as_slice().iter().map(|loss| &*loss.path).collect();
    assert_eq!(
        places,
        ["/top_logprobs", "/response_format", "/store", "/odd"]
    );
}
