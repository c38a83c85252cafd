use serde_json::json;

use super::*;
use crate::representation::{Losses, ReasoningConfig};

fn again(body: Value) -> Value {
    let mut losses = Losses::new();
    let written = write(read(body).unwrap(), &mut losses);
    assert!(losses.is_empty(), "{losses:?}");
    written
}

#[test]
fn a_request_comes_back_as_it_was() {
    let body = json!({
        "model": "m", "messages": [{"role": "user", "content": "hi"}], "max_completion_tokens": 5,
        "stream": true, "stream_options": {"include_usage": true, "include_obfuscation": false},
        "logprobs": true, "top_logprobs": 2, "stop": ["a"], "reasoning_effort": "odd",
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"b": 1, "a": 2}, "strict": true}},
        "x_vendor": {"deep": [1]}, "temperature": 0.5, "prediction": {"type": "content", "content": "x"}
    });
    assert_eq!(again(body.clone()), body);
}

#[test]
fn a_budget_of_thoughts_becomes_an_effort_and_is_told() {
    let mut request = read(json!({"model": "m", "messages": []})).unwrap();
    request.api = None;
    request.reasoning = Some(ReasoningConfig {
        budget: Some(At::new(8000, "/thinking/budget_tokens")),
        ..ReasoningConfig::default()
    });
    let mut losses = Losses::new();
    let body = write(request, &mut losses);
    assert_eq!(body["reasoning_effort"], "medium");
    assert_eq!(losses.as_slice()[0].path, "/thinking/budget_tokens");
}

#[test]
fn what_is_wrong_is_named_by_its_place() {
    let error = read(json!({"messages": [{"role": "user", "content": 1}]})).unwrap_err();
    assert_eq!(error.at, "/messages/0/content");
    let error = read(json!({"temperature": "hot"})).unwrap_err();
    assert_eq!(error.at, "/temperature");
}
