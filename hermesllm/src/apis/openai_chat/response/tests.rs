use serde_json::json;

use super::*;
use crate::apis::ProviderError;
use crate::representation::{Citation, Losses, Reasoning, ToolCall};

fn answer(message: Value) -> Value {
    json!({"id": "a", "object": "chat.completion", "created": 1, "model": "m", "choices": [
        {"index": 0, "message": message, "finish_reason": "stop"}]})
}

fn again(body: Value) -> Value {
    let mut losses = Losses::new();
    let written = write(read(body).unwrap(), &mut losses);
    assert!(losses.is_empty(), "{losses:?}");
    written
}

/// An answer of another API's.
fn foreign(parts: Vec<Part>, kind: StopKind) -> ProviderResponse {
    ProviderResponse {
        choices: vec![Choice {
            parts,
            stop: Some(StopReason {
                kind,
                raw: "odd".to_owned(),
                sequence: None,
            }),
            ..Choice::default()
        }],
        ..ProviderResponse::default()
    }
}

#[test]
fn an_answer_comes_back_as_it_was() {
    let body = json!({"id": "a", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [
            {"index": 0, "finish_reason": "odd", "message": {"role": "assistant", "content": "hi", "reasoning_content": "hm",
                "annotations": [{"type": "url_citation", "url_citation": {"url": "u", "title": "t", "start_index": 0, "end_index": 2, "x": 1}}],
                "x": 1},
             "logprobs": {"content": [{"token": "hi", "logprob": -1.0}]}, "content_filter_results": {"hate": {"filtered": false}}},
            {"index": 1, "finish_reason": "tool_calls", "message": {"role": "assistant", "content": null,
                "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{"}}],
                "images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]},
             "logprobs": {"content": [], "reasoning_content": []}},
            {"index": 2, "finish_reason": null, "message": {"role": "assistant", "content": null, "refusal": "no",
                "audio": {"data": "AA==", "transcript": "hi", "id": "x", "expires_at": 5}}}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5, "cost": 0.5,
            "prompt_tokens_details": {"cached_tokens": 1, "text_tokens": 2}},
        "service_tier": "default", "citations": ["https://x"], "system_fingerprint": "fp"});
    assert_eq!(again(body.clone()), body);
}

#[test]
fn members_that_say_nothing_are_no_calls_and_no_refusals() {
    let read = read(answer(
        json!({"role": "assistant", "content": "4", "annotations": [],
        "audio": {"data": "", "expires_at": 0, "id": "", "transcript": ""},
        "function_call": {"arguments": "", "name": ""}, "refusal": "", "tool_calls": []}),
    ))
    .unwrap();
    let choice = &read.choices[0];
    assert_eq!(choice.parts.len(), 1);
    assert!(!choice.extensions.iter().any(Extension::matters));
    assert_eq!(choice.stop.as_ref().unwrap().kind, StopKind::End);
}

#[test]
fn an_end_with_calls_is_for_the_calls() {
    let read = read(answer(
        json!({"tool_calls": [{"id": "", "type": "function", "custom": {"name": "", "input": ""},
        "function": {"name": "f", "arguments": {"a": 1}}}]}),
    ))
    .unwrap();
    let choice = &read.choices[0];
    assert_eq!(choice.stop.as_ref().unwrap().kind, StopKind::ToolCalls);
    let PartKind::ToolCall(call) = &choice.parts[0].kind else {
        panic!("a call");
    };
    assert_eq!(call.arguments, "{\"a\":1}");
    assert!(choice.parts[0].extensions.is_empty());
}

#[test]
fn pages_that_an_answer_cites_have_their_titles() {
    let mut body = answer(json!({"role": "assistant", "content": "x [1]"}));
    body["citations"] = json!(["https://a", "https://b"]);
    body["search_results"] = json!([{"url": "https://b", "title": "B"}]);
    let read = read(body).unwrap();
    let PartKind::Text { citations, .. } = &read.choices[0].parts[0].kind else {
        panic!("a text");
    };
    assert_eq!(citations.len(), 2);
    assert_eq!(citations[1].title.as_deref(), Some("B"));
}

#[test]
fn an_answer_of_another_api_is_one_message() {
    let cited = |text: &str, url: &str| {
        let citation = Citation {
            url: Some(url.to_owned()),
            span: Some((0, 2)),
            ..Citation::default()
        };
        let kind = PartKind::Text {
            text: text.to_owned(),
            citations: vec![citation],
        };
        Part::new(kind, "/content/0")
    };
    let thought = PartKind::Reasoning(Reasoning {
        text: "hm".to_owned(),
        signature: Some("s".to_owned()),
        ..Reasoning::default()
    });
    let call = PartKind::ToolCall(ToolCall {
        id: String::new(),
        name: "f".to_owned(),
        arguments: String::new(),
        custom: false,
        by_provider: false,
    });
    let parts = vec![
        Part::new(thought, "/content/0"),
        cited("äb", "u"),
        cited("cd", "v"),
        Part::new(call, "/content/3"),
    ];
    let mut losses = Losses::new();
    let body = write(foreign(parts, StopKind::ToolCalls), &mut losses);
    assert!(losses.is_empty(), "{losses:?}");
    let choice = &body["choices"][0];
    assert_eq!(choice["finish_reason"], "tool_calls");
    let message = &choice["message"];
    assert_eq!(message["content"], "äbcd");
    assert_eq!(message["reasoning_content"], "hm");
    assert_eq!(message["reasoning_details"][0]["signature"], "s");
    assert_eq!(message["tool_calls"][0]["id"], "call_0_0");
    assert_eq!(message["tool_calls"][0]["function"]["arguments"], "{}");
    assert_eq!(message["annotations"][1]["url_citation"]["start_index"], 2);
}

#[test]
fn every_end_has_a_word() {
    for (kind, word) in [
        (StopKind::End, "stop"),
        (StopKind::StopSequence, "stop"),
        (StopKind::MaxTokens, "length"),
        (StopKind::ContextWindow, "length"),
        (StopKind::ToolCalls, "tool_calls"),
        (StopKind::ContentFilter, "content_filter"),
        (StopKind::Refusal, "content_filter"),
        (StopKind::Malformed, "stop"),
    ] {
        let body = write(foreign(Vec::new(), kind), &mut Losses::new());
        assert_eq!(body["choices"][0]["finish_reason"], word);
    }
    let mut losses = Losses::new();
    write(foreign(Vec::new(), StopKind::Pause), &mut losses);
    assert_eq!(losses.as_slice()[0].path, "/choices/0");
}

#[test]
fn every_form_of_an_error_is_understood() {
    let error = |status, body| read_error(status, &body).unwrap();
    let own = error(
        400,
        json!({"error": {"message": "m", "type": "t", "code": "c", "param": "p"}}),
    );
    assert_eq!(
        own,
        ProviderError {
            status: 400,
            kind: "t".to_owned(),
            code: Some("c".to_owned()),
            message: "m".to_owned(),
            param: Some("p".to_owned()),
        }
    );
    assert_eq!(error(401, json!({"detail": "no"})).message, "no");
    assert_eq!(
        error(422, json!({"detail": [{"msg": "m"}]})).message,
        r#"[{"msg":"m"}]"#
    );
    assert_eq!(error(400, json!({"error": "text"})).message, "text");
    assert_eq!(
        error(400, json!([{"error": {"message": "m", "code": 400}}])).code,
        None
    );
    let mistral = error(
        400,
        json!({"object": "error", "message": "m", "type": "t", "code": "1500"}),
    );
    assert_eq!(
        (mistral.kind.as_str(), mistral.code.as_deref()),
        ("t", Some("1500"))
    );
    // With a success for a status, the code tells it.
    assert_eq!(
        error(200, json!({"error": {"message": "m", "code": 502}})).status,
        502
    );
    assert_eq!(read_error(200, &answer(json!({}))), None);
    assert_eq!(
        read_error(200, &json!({"error": null, "choices": []})),
        None
    );
    assert_eq!(read_error(500, &json!(7)), None);
}

#[test]
fn an_error_has_a_type_of_this_api_and_keeps_the_word_of_the_other() {
    let error = |status, kind: &str| {
        write_error(&ProviderError {
            status,
            kind: kind.to_owned(),
            message: "m".to_owned(),
            ..ProviderError::default()
        })
    };
    for (status, kind) in [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (429, "rate_limit_error"),
        (529, "server_error"),
    ] {
        assert_eq!(error(status, "odd")["error"]["type"], kind);
        assert_eq!(error(status, "odd")["error"]["code"], "odd");
    }
    assert_eq!(
        error(429, "insufficient_quota")["error"]["type"],
        "insufficient_quota"
    );
    assert_eq!(
        error(429, "insufficient_quota")["error"]["code"],
        Value::Null
    );
}
