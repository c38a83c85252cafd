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

#[test]
fn settings_of_several_names_come_back_under_theirs() {
    for setting in [
        json!({"max_tokens": 5}),
        json!({"max_completion_tokens": 5, "max_tokens": 6}),
        json!({"stop": "a"}),
        json!({"stop": ["a"]}),
        json!({"stop": ["a", "b"]}),
        json!({"stop": []}),
        json!({"seed": 1}),
        json!({"random_seed": 1}),
        json!({"user": "u"}),
        json!({"safety_identifier": "u"}),
        json!({"user": "u", "safety_identifier": "v"}),
        json!({"logprobs": true}),
        json!({"logprobs": true, "top_logprobs": 0}),
        json!({"logprobs": 3}),
        json!({"top_logprobs": 2}),
        json!({"reasoning_effort": "high"}),
        json!({"reasoning": {"effort": "low", "exclude": true}}),
        json!({"reasoning": {"max_tokens": 5, "enabled": true}}),
        json!({"reasoning_effort": "high", "reasoning": {"effort": "low"}}),
        json!({"thinking": {"type": "disabled", "clear_thinking": false}}),
        json!({"thinking": {"type": "enabled", "budget_tokens": 1024}}),
        json!({"enable_thinking": false, "thinking_budget": 5}),
        json!({"cache_control": {"type": "ephemeral", "ttl": "5m"}}),
        json!({"response_format": {"type": "text"}}),
        json!({"response_format": {"type": "json_object"}}),
        json!({"response_format": {"type": "json_object", "schema": {"type": "object"}}}),
        json!({"response_format": {"type": "json_schema", "json_schema": {"schema": {}, "x": 1}, "y": 2}}),
        json!({"response_format": {"type": "json_schema", "json_schema": {"name": "n"}}}),
        json!({"response_format": {"type": "grammar", "grammar": "g"}}),
        json!({"stream_options": {"include_usage": false}}),
        json!({"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}}),
        json!({"n": 2, "store": true, "metadata": {"a": "b"}, "service_tier": "flex",
            "prompt_cache_key": "k", "verbosity": "low", "logit_bias": {"1": -100},
            "web_search_options": {}, "frequency_penalty": 0.5, "top_k": 3, "min_p": 0.1}),
    ] {
        let mut body = json!({"model": "m", "messages": []});
        let members = body.as_object_mut().unwrap();
        members.extend(setting.as_object().unwrap().clone());
        assert_eq!(again(body.clone()), body);
    }
}

fn elsewhere(setting: Value) -> (Value, Losses) {
    let mut body = json!({"model": "m", "messages": []});
    let members = body.as_object_mut().unwrap();
    members.extend(setting.as_object().unwrap().clone());
    let mut request = read(body).unwrap();
    request.api = None;
    let mut losses = Losses::new();
    (write(request, &mut losses), losses)
}

#[test]
fn settings_of_other_apis_have_this_ones_names() {
    let (body, losses) = elsewhere(json!({
        "random_seed": 1, "safety_identifier": "u", "max_completion_tokens": 5, "stop": "a",
        "response_format": {"type": "json_object", "schema": {}}, "reasoning": {"effort": "low"}}));
    assert!(losses.is_empty());
    assert_eq!(
        body,
        json!({"model": "m", "messages": [], "seed": 1, "user": "u", "max_tokens": 5, "stop": ["a"],
            "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": {}}},
            "reasoning_effort": "low"})
    );
}

#[test]
fn models_that_know_the_newer_limit_alone_get_it() {
    for (model, name) in [
        ("gpt-5", "max_completion_tokens"),
        ("gpt-5.1-mini", "max_completion_tokens"),
        ("openai/o4-mini", "max_completion_tokens"),
        ("gpt-4o", "max_tokens"),
        ("o1x", "max_tokens"),
        ("mistral-large", "max_tokens"),
        ("", "max_tokens"),
    ] {
        let (body, _) = elsewhere(json!({"model": model, "max_tokens": 5}));
        assert_eq!(body[name], 5, "{model}");
    }
}

#[test]
fn a_switch_for_thoughts_is_no_effort_and_is_told() {
    let (body, losses) = elsewhere(json!({"thinking": {"type": "disabled"}}));
    assert_eq!(body.get("reasoning_effort"), None);
    assert_eq!(losses.as_slice()[0].path, "/thinking/type");
    let (body, _) = elsewhere(json!({"thinking": {"type": "enabled", "budget_tokens": 8000}}));
    assert_eq!(body["reasoning_effort"], "medium");
}
