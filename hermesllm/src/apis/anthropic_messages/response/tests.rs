use serde_json::json;

use super::*;
use crate::apis::ProviderError;
use crate::representation::{Extension, Part, StopKind, StopReason, TokenUsage};

fn lines(losses: &Losses) -> Vec<String> {
    let losses = losses.as_slice().iter();
    losses
        .map(|l| format!("{} {}", l.path, l.kind.as_str()))
        .collect()
}

fn stop(kind: StopKind, raw: &str) -> StopReason {
    StopReason {
        kind,
        raw: raw.to_owned(),
        sequence: None,
    }
}

fn written(answer: ProviderResponse) -> (Value, Vec<String>) {
    let mut losses = Losses::new();
    let body = write(answer, &mut losses);
    (body, lines(&losses))
}

#[test]
fn an_answer_is_read_in_full_and_comes_back_as_it_was() {
    let body = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m",
        "content": [{"type": "text", "text": "t"}, {"type": "later"}],
        "stop_reason": "stop_sequence", "stop_sequence": "x",
        "container": {"id": "c"},
        "usage": {"input_tokens": 3, "cache_read_input_tokens": 4, "output_tokens": 5,
                  "service_tier": "batch", "server_tool_use": {"web_search_requests": 1}},
    });
    let read = read(body.clone()).unwrap();
    assert_eq!((read.id.as_str(), read.model.as_str()), ("msg_1", "m"));
    assert_eq!(read.service_tier.as_deref(), Some("batch"));
    let usage = read.usage.clone().unwrap();
    assert_eq!(
        (usage.input, usage.cached, usage.output),
        (Some(7), Some(4), Some(5))
    );
    let expected = StopReason {
        sequence: Some("x".to_owned()),
        ..stop(StopKind::StopSequence, "stop_sequence")
    };
    assert_eq!(read.choices[0].stop, Some(expected));
    let names: Vec<_> = read.extensions.iter().map(|e| e.name.as_str()).collect();
    assert_eq!(names, ["usage", "container"]);
    assert_eq!(written(read), (body, vec![]));
}

#[test]
fn answers_of_odd_shapes_are_read_as_far_as_they_go() {
    assert!(read(json!([])).is_err());
    let odd = json!({"type": "other", "id": 1, "content": "text", "usage": [], "stop_reason": {}});
    let read = read(odd).unwrap();
    assert_eq!(read.extensions.len(), 5);
    assert!(read.choices[0].parts.is_empty() && read.choices[0].stop.is_none());
}

#[test]
fn every_word_has_a_meaning_and_every_meaning_a_word() {
    for (kind, calls, word, lost) in [
        (StopKind::End, false, "end_turn", 0),
        (StopKind::End, true, "tool_use", 0),
        (StopKind::StopSequence, false, "stop_sequence", 0),
        (StopKind::MaxTokens, true, "max_tokens", 0),
        (
            StopKind::ContextWindow,
            false,
            "model_context_window_exceeded",
            0,
        ),
        (StopKind::ToolCalls, true, "tool_use", 0),
        (StopKind::Refusal, false, "refusal", 0),
        (StopKind::Pause, false, "pause_turn", 0),
        (StopKind::ContentFilter, false, "refusal", 1),
        (StopKind::Malformed, false, "end_turn", 1),
        (StopKind::Other, true, "tool_use", 1),
    ] {
        let mut losses = Losses::new();
        assert_eq!(
            write_stop(stop(kind, "raw"), calls, false, &mut losses),
            word
        );
        assert_eq!(losses.as_slice().len(), lost, "{kind:?}");
        if lost == 0 && kind != StopKind::End {
            assert_eq!(read_stop(word.to_owned(), None).kind, kind);
        }
    }
    let later = read_stop("compaction".to_owned(), None);
    assert_eq!(later.kind, StopKind::Other);
    assert_eq!(
        write_stop(later, true, true, &mut Losses::new()),
        "compaction"
    );
}

#[test]
fn an_answer_of_another_api_is_one_message() {
    let choice = |text: &str, at: &'static str| Choice {
        parts: vec![Part::text(text.to_owned(), at)],
        stop: Some(stop(StopKind::End, "stop")),
        logprobs: Some(json!([])),
        ..Choice::default()
    };
    let answer = ProviderResponse {
        id: "chat-1".to_owned(),
        model: "m".to_owned(),
        created: Some(7),
        choices: vec![
            choice("a", "/choices/0/message/content"),
            choice("b", "/choices/1/message/content"),
        ],
        usage: Some(TokenUsage {
            input: Some(9),
            cached: Some(4),
            output: Some(2),
            total: Some(11),
            ..TokenUsage::default()
        }),
        service_tier: Some("default".to_owned()),
        moderation: Some(json!({})),
        extensions: vec![Extension {
            name: "x".to_owned(),
            value: json!(1),
            at: "/x".into(),
        }],
        ..ProviderResponse::default()
    };
    let (body, losses) = written(answer);
    assert_eq!(
        body,
        json!({
            "id": "chat-1", "type": "message", "role": "assistant", "model": "m",
            "content": [{"type": "text", "text": "a"}],
            "stop_reason": "end_turn", "stop_sequence": null,
            "usage": {"input_tokens": 5, "cache_read_input_tokens": 4, "output_tokens": 2,
                      "service_tier": "standard"},
        })
    );
    assert_eq!(
        losses,
        [
            "/moderation dropped",
            "/choices/1/message/content dropped",
            "/choices/0/logprobs dropped",
            "/x dropped"
        ]
    );
}

#[test]
fn an_answer_of_nothing_is_a_message_still() {
    let (body, losses) = written(ProviderResponse::default());
    assert_eq!(body["content"], json!([]));
    assert_eq!(
        body["usage"],
        json!({"input_tokens": 0, "output_tokens": 0})
    );
    assert!(losses.is_empty());
}

#[test]
fn errors_are_read_from_the_api_and_from_servers_before_it() {
    let own = json!({"type": "error", "error": {"type": "overloaded_error", "message": "m"}});
    let error = read_error(529, &own).unwrap();
    assert_eq!(
        (error.kind.as_str(), error.message.as_str()),
        ("overloaded_error", "m")
    );
    assert_eq!(write_error(&error), own);
    let google = json!([{"error": {"code": 404, "status": "NOT_FOUND", "message": "m"}}]);
    let error = read_error(404, &google).unwrap();
    assert_eq!((error.kind.as_str(), error.code), ("NOT_FOUND", None));
    assert_eq!(
        read_error(500, &json!({"error": "m"})).unwrap().message,
        "m"
    );
    for none in [json!({}), json!([]), json!("x"), json!({"error": {}})] {
        assert_eq!(read_error(500, &none), None);
    }
}

#[test]
fn errors_are_written_with_the_word_for_their_status() {
    let with = |status: u16, kind: &str| {
        let error = ProviderError {
            status,
            kind: kind.to_owned(),
            message: "m".to_owned(),
            ..ProviderError::default()
        };
        write_error(&error)["error"]["type"].take()
    };
    for (status, kind, word) in [
        (400, "", "invalid_request_error"),
        (401, "UNAUTHENTICATED", "authentication_error"),
        (402, "", "billing_error"),
        (403, "", "permission_error"),
        (404, "", "not_found_error"),
        (408, "", "timeout_error"),
        (413, "", "request_too_large"),
        (422, "", "invalid_request_error"),
        (429, "RESOURCE_EXHAUSTED", "rate_limit_error"),
        (500, "server_error", "api_error"),
        (502, "", "api_error"),
        (503, "", "overloaded_error"),
        (504, "", "timeout_error"),
        (529, "", "overloaded_error"),
        (500, "rate_limit_error", "rate_limit_error"),
        (0, "", "api_error"),
    ] {
        assert_eq!(with(status, kind), word, "{status} {kind}");
    }
}
