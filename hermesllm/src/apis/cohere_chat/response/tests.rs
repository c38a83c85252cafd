use serde_json::json;

use super::*;

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
        "id": "i", "finish_reason": "COMPLETE", "odd": 1,
        "message": {"role": "assistant", "odd": 2,
            "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "a b"}],
            "citations": [
                {"start": 0, "end": 1, "text": "a", "sources": [{"type": "document", "id": "d",
                    "document": {"title": "T", "text": "x"}}], "type": "TEXT_CONTENT", "content_index": 1},
                {"start": 0, "end": 2, "text": "hm", "sources": [], "type": "THINKING_CONTENT", "content_index": 0}]},
        "usage": {"billed_units": {"input_tokens": 1}, "tokens": {"input_tokens": 2, "output_tokens": 3}},
        "logprobs": [{"token_ids": [1, 2], "text": "ab", "logprobs": [-0.5, -0.25]}],
    }));
    let choice = &answer.choices[0];
    let PartKind::Text { citations, .. } = &choice.parts[1].kind else {
        panic!("text");
    };
    assert_eq!(citations[0].title.as_deref(), Some("T"));
    assert_eq!(choice.logprobs.as_ref().unwrap()[0]["logprob"], -0.75);
    assert_eq!(answer.usage.unwrap().input, Some(2));
}

#[test]
fn ends_mean_what_they_say_and_are_written_in_the_words_of_the_api() {
    for (word, kind) in [
        ("COMPLETE", StopKind::End),
        ("STOP_SEQUENCE", StopKind::StopSequence),
        ("MAX_TOKENS", StopKind::MaxTokens),
        ("TOOL_CALL", StopKind::ToolCalls),
        ("ERROR", StopKind::Malformed),
        ("ERROR_TOXIC", StopKind::ContentFilter),
    ] {
        assert_eq!(stop_reason(word.to_owned()).kind, kind);
        assert_eq!(finish_reason(kind), word);
    }
    for word in ["TIMEOUT", "odd"] {
        assert_eq!(stop_reason(word.to_owned()).kind, StopKind::Other);
        again(&json!({"finish_reason": word, "message": {"role": "assistant"}}));
    }
}

#[test]
fn an_answer_of_another_api_has_what_this_one_requires_and_tells_the_rest() {
    let call = ToolCall {
        id: String::new(),
        name: "f".to_owned(),
        arguments: "raw \"text\"".to_owned(),
        custom: true,
        by_provider: false,
    };
    let answer = ProviderResponse {
        id: "i".to_owned(),
        choices: vec![
            Choice {
                parts: vec![
                    Part::text("t", "/t"),
                    Part::new(PartKind::ToolCall(call), "/c"),
                ],
                logprobs: Some(json!([{"token": "t", "logprob": -1.0, "top_logprobs": [{}]}])),
                ..Choice::default()
            },
            Choice::default(),
        ],
        ..ProviderResponse::default()
    };
    let mut losses = Losses::new();
    assert_eq!(
        write(answer, &mut losses),
        json!({
            "id": "i", "finish_reason": "TOOL_CALL",
            "message": {"role": "assistant", "content": [{"type": "text", "text": "t"}], "tool_calls": [
                {"id": "call_0", "type": "function", "function": {
                    "name": "f", "arguments": "{\"input\":\"raw \\\"text\\\"\"}"}}]},
            "logprobs": [{"token_ids": [], "text": "t", "logprobs": [-1.0]}],
        })
    );
    let places: Vec<_> = losses.as_slice().iter().map(|loss| &*loss.path).collect();
    assert_eq!(places, ["/choices/1", "/c", "/choices/0/logprobs"]);
}

#[test]
fn errors_keep_their_message() {
    let error = read_error(429, &json!({"id": "i", "message": "slow down"})).unwrap();
    assert_eq!((error.status, error.message.as_str()), (429, "slow down"));
    assert_eq!(write_error(&error), json!({"message": "slow down"}));
    assert_eq!(
        read_error(200, &json!({"message": {"role": "assistant"}})),
        None
    );
    assert!(read_error(200, &json!({"message": "no"})).is_some());
    assert_eq!(
        read_error(502, &json!({"error": "bad"})).unwrap().message,
        "bad"
    );
    assert_eq!(read_error(502, &json!(null)), None);
}

#[test]
fn nothing_makes_an_answer_unreadable() {
    for body in [
        json!(null),
        json!([]),
        json!({"message": 1, "usage": [], "logprobs": {}, "finish_reason": 7}),
        json!({"message": {"content": [1, {"type": 2}, {"type": "text"}], "tool_calls": [7], "citations": [{}]}}),
    ] {
        let read = read(body).unwrap();
        write(read, &mut Losses::new());
    }
}
