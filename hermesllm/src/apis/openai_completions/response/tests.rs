use serde_json::json;

use super::*;
use crate::representation::{PartKind, ToolCall};

fn again(body: &Value) -> ProviderResponse {
    let read = read(body.clone()).unwrap();
    let mut losses = Losses::new();
    assert_eq!(write(read.clone(), &mut losses), *body);
    assert!(losses.is_empty(), "{losses:?}");
    read
}

#[test]
fn an_answer_comes_back_as_it_was() {
    let answer = again(&json!({
        "id": "i", "object": "text.completion", "created": 1, "model": "m", "system_fingerprint": "f",
        "choices": [
            {"text": "a", "index": 0, "finish_reason": "length", "logprobs": {
                "tokens": ["a"], "token_logprobs": [-1.0], "top_logprobs": null, "text_offset": [7]}},
            {"text": "b", "index": 1, "finish_reason": "stop", "logprobs": null, "stop_reason": 7},
            {"text": "c", "index": 5, "finish_reason": "eos", "logprobs": {"odd": 1}},
        ],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3, "odd": 4},
    }));
    let kinds: Vec<_> = (answer.choices.iter())
        .map(|choice| choice.stop.as_ref().unwrap().kind)
        .collect();
    assert_eq!(kinds, [StopKind::MaxTokens, StopKind::End, StopKind::End]);
    assert_eq!(
        answer.choices[0].logprobs.as_ref().unwrap()[0]["token"],
        "a"
    );
}

#[test]
fn an_answer_of_another_api_is_its_text_and_calls_are_told() {
    let call = ToolCall {
        id: "c".to_owned(),
        name: "f".to_owned(),
        arguments: "{}".to_owned(),
        custom: false,
        by_provider: false,
    };
    let answer = ProviderResponse {
        choices: vec![Choice {
            parts: vec![
                Part::text("a", "/a"),
                Part::text("b", "/b"),
                Part::new(PartKind::ToolCall(call), "/c"),
            ],
            stop: Some(StopReason {
                kind: StopKind::ToolCalls,
                raw: "tool_use".to_owned(),
                sequence: None,
            }),
            ..Choice::default()
        }],
        ..ProviderResponse::default()
    };
    let mut losses = Losses::new();
    let body = write(answer, &mut losses);
    let choice = json!({"text": "ab", "index": 0, "logprobs": null, "finish_reason": "stop"});
    assert_eq!(body["choices"], json!([choice]));
    let places: Vec<_> = losses.as_slice().iter().map(|loss| &*loss.path).collect();
    assert_eq!(places, ["/c", "/choices/0"]);
}

#[test]
fn errors_keep_their_message_and_get_a_type_by_their_status() {
    let body = json!({"error": {"message": "m", "type": "invalid_request_error", "param": "p", "code": "c"}});
    let error = read_error(400, &body).unwrap();
    assert_eq!(write_error(&error), body);
    let error = read_error(429, &json!({"detail": "slow"})).unwrap();
    assert_eq!(write_error(&error)["error"]["type"], "rate_limit_error");
    assert_eq!(read_error(200, &json!({"choices": []})), None);
    assert_eq!(kind_of(503, "overloaded_error"), "server_error");
}

#[test]
fn nothing_makes_an_answer_unreadable() {
    for body in [
        json!(null),
        json!({"choices": [1, {"text": 1, "index": "x", "finish_reason": 2}], "usage": 1}),
        json!({"choices": {}, "created": "x", "usage": {"prompt_tokens": "x"}}),
    ] {
        let read = read(body).unwrap();
        write(read, &mut Losses::new());
    }
}
