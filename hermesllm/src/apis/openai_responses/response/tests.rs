use serde_json::{json, Value};

use super::*;
use crate::representation::{Part, StopKind, StopReason};

#[test]
fn an_answer_comes_back_with_the_echo_of_its_request() {
    let body = json!({
        "id": "resp_1", "object": "response", "created_at": 7, "status": "incomplete",
        "incomplete_details": {"reason": "max_output_tokens"}, "model": "m", "temperature": 1.0,
        "moderation": {"x": 1}, "service_tier": "default", "content_filters": [1],
        "output": [
            {"type": "reasoning", "id": "rs_1", "summary": []},
            {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant",
             "content": [
                {"type": "output_text", "text": "ab", "annotations": [],
                 "logprobs": [{"token": "a", "logprob": 0}, {"token": "b", "logprob": 0}]},
                {"type": "output_text", "text": "c", "annotations": [],
                 "logprobs": [{"token": "c", "logprob": 0}]}]},
            {"type": "message", "id": "msg_2", "status": "completed", "role": "assistant",
             "content": []},
            {"type": "image_generation_call", "id": "ig_1", "result": "AA=="}
        ],
        "usage": {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3, "cost": 1}
    });
    let answer = read(body.clone()).unwrap();
    assert_eq!(
        answer.choices[0].stop.as_ref().unwrap().kind,
        StopKind::MaxTokens
    );
    let logprobs = answer.choices[0].logprobs.as_ref().unwrap();
    assert_eq!(logprobs.as_array().unwrap().len(), 3);
    // The echo is no loss of a place; what is not is one.
    let of = |name: &str| answer.extensions.iter().find(|e| e.name == name).unwrap();
    assert_eq!(of("temperature").at, "");
    assert_eq!(of("content_filters").at, "/content_filters");
    let mut losses = Losses::new();
    assert_eq!(write(answer, &mut losses), body);
    assert!(losses.is_empty());
}

#[test]
fn odd_answers_are_read_all_the_same() {
    for body in [
        json!({}),
        json!({"output": 1, "usage": [], "id": 1, "created_at": 1.5, "status": []}),
        json!({"output": [1, null, {}, {"type": "message"}, {"type": "message", "content": [1]},
            {"type": "function_call", "arguments": {}}, {"type": "reasoning", "summary": "x"},
            {"type": "function_call_output", "output": {}}], "status": "completed"}),
    ] {
        let answer = read(body).unwrap();
        let mut losses = Losses::new();
        let written = write(answer.clone(), &mut losses);
        assert!(losses.is_empty(), "{losses:?}");
        assert_eq!(write(read(written.clone()).unwrap(), &mut losses), written);
    }
    assert!(read(json!([])).is_err());
}

#[test]
fn an_answer_of_another_api_has_what_clients_require() {
    let answer = ProviderResponse {
        id: "x".to_owned(),
        model: "m".to_owned(),
        choices: vec![
            Choice {
                parts: vec![Part::text("a", "/content/0")],
                stop: Some(StopReason {
                    kind: StopKind::MaxTokens,
                    raw: "length".to_owned(),
                    sequence: None,
                }),
                ..Choice::default()
            },
            Choice::default(),
        ],
        ..ProviderResponse::default()
    };
    let mut losses = Losses::new();
    let written = write(answer, &mut losses);
    for key in [
        "id",
        "object",
        "created_at",
        "error",
        "incomplete_details",
        "instructions",
        "model",
        "tools",
        "output",
        "parallel_tool_calls",
        "metadata",
        "tool_choice",
        "temperature",
        "top_p",
        "status",
        "usage",
    ] {
        assert!(written.get(key).is_some(), "{key}");
    }
    assert_eq!(written["status"], "incomplete");
    assert_eq!(written["incomplete_details"]["reason"], "max_output_tokens");
    assert_eq!(written["output"][0]["status"], "incomplete");
    assert_eq!(losses.as_slice()[0].path, "/choices/1");
    assert_eq!(written["error"], Value::Null);
}
