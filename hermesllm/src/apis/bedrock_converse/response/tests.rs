use super::*;
use crate::apis::SupportedUpstreamAPIs;
use crate::representation::{Citation, PartKind, Reasoning, StopKind, TokenUsage, ToolCall};

fn comes_back(body: Value) -> ProviderResponse {
    let answer = read(body.clone()).unwrap();
    let mut losses = Losses::new();
    assert_eq!(write(answer.clone(), &mut losses), body);
    assert!(losses.is_empty(), "{losses:?}");
    answer
}

#[test]
fn every_member_of_the_service_comes_back() {
    let answer = comes_back(json!({
        "output": {"message": {"role": "assistant", "content": [
            {"reasoningContent": {"reasoningText": {"text": "t", "signature": "s"}}},
            {"text": "a"},
            {"citationsContent": {
                "content": [{"text": "b"}],
                "citations": [{
                    "title": "Ruby", "source": "https://example.com/a",
                    "sourceContent": [{"text": "x"}, {"text": "y"}],
                    "location": {"searchResultLocation": {"start": 0}},
                }],
            }},
            {"toolUse": {"toolUseId": "i", "name": "n", "input": {"a": 1}, "type": "server_tool_use"}},
            {"toolResult": {"toolUseId": "i", "content": [{"text": "[HIDDEN]"}], "type": "r"}},
        ], "new": 1}, "more": 2},
        "stopReason": "stop_sequence",
        "usage": {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3, "new": 4},
        "metrics": {"latencyMs": 5},
        "additionalModelResponseFields": {"stop_sequence": "END"},
        "trace": {"guardrail": {"actionReason": "r"}, "promptRouter": {"invokedModelId": "m"}},
        "performanceConfig": {"latency": "standard"},
        "serviceTier": {"type": "reserved"},
    }));
    let choice = &answer.choices[0];
    assert_eq!(
        choice.stop,
        Some(StopReason {
            kind: StopKind::StopSequence,
            raw: "stop_sequence".to_owned(),
            sequence: Some("END".to_owned()),
        })
    );
    let PartKind::Text { citations, .. } = &choice.parts[2].kind else {
        panic!("no text");
    };
    assert_eq!(citations[0].url.as_deref(), Some("https://example.com/a"));
    assert_eq!(citations[0].cited_text.as_deref(), Some("xy"));
    assert_eq!(answer.moderation, Some(json!({"actionReason": "r"})));
    assert_eq!(answer.service_tier.as_deref(), Some("reserved"));
    let left: Vec<_> = answer.extensions.iter().map(|own| &*own.at).collect();
    assert_eq!(
        left,
        [
            "/output/message/new",
            "/output/more",
            "/usage/new",
            "/trace/promptRouter",
            "",
            "/additionalModelResponseFields",
            "/performanceConfig",
        ]
    );
}

#[test]
fn answers_of_the_wrong_types_are_read_and_come_back() {
    for content in [
        json!([{"text": 1}, "text", 5, [], {"toolUse": 1}, {"toolResult": "x"}]),
        json!([{"image": {"format": 1, "source": {"bytes": 1}}}]),
        json!([{"reasoningContent": {"reasoningText": 1}}, {"citationsContent": {"content": [1]}}]),
    ] {
        comes_back(json!({
            "output": {"message": {"role": "assistant", "content": content}},
            "stopReason": "new_reason",
            "metrics": 1,
        }));
    }
    assert!(read(json!([])).is_err());
    read(json!({"output": 1, "usage": [], "stopReason": {}})).unwrap();
}

fn foreign(parts: Vec<PartKind>) -> ProviderResponse {
    let parts = parts.into_iter().enumerate();
    ProviderResponse {
        api: Some(SupportedUpstreamAPIs::OpenAiChat),
        id: "chatcmpl-1".to_owned(),
        model: "m".to_owned(),
        created: Some(1),
        choices: vec![Choice {
            parts: parts
                .map(|(index, kind)| Part::new(kind, format!("/parts/{index}")))
                .collect(),
            stop: Some(StopReason {
                kind: StopKind::ToolCalls,
                raw: "tool_calls".to_owned(),
                sequence: None,
            }),
            ..Choice::default()
        }],
        ..ProviderResponse::default()
    }
}

#[test]
fn answers_of_other_apis_are_written() {
    let mut answer = foreign(vec![
        PartKind::Reasoning(Reasoning {
            text: "t".to_owned(),
            ..Reasoning::default()
        }),
        PartKind::Reasoning(Reasoning {
            summary: vec!["a".to_owned(), "b".to_owned()],
            encrypted: Some("EtkECk".to_owned()),
            ..Reasoning::default()
        }),
        PartKind::Refusal("no".to_owned()),
        PartKind::Text {
            text: "x".to_owned(),
            citations: vec![Citation {
                url: Some("https://example.com".to_owned()),
                title: Some("t".to_owned()),
                ..Citation::default()
            }],
        },
        PartKind::ToolCall(ToolCall {
            id: String::new(),
            name: "f".to_owned(),
            arguments: "{\"a\": 1}".to_owned(),
            custom: false,
            by_provider: false,
        }),
    ]);
    answer.usage = Some(TokenUsage {
        input: Some(5),
        output: Some(6),
        ..TokenUsage::default()
    });
    let mut losses = Losses::new();
    assert_eq!(
        write(answer, &mut losses),
        json!({
            "output": {"message": {"role": "assistant", "content": [
                {"reasoningContent": {"reasoningText": {"text": "t"}}},
                {"reasoningContent": {"reasoningText": {"text": "a\n\nb"}}},
                {"reasoningContent": {"redactedContent": "RXRrRUNr"}},
                {"text": "no"},
                {"citationsContent": {"content": [{"text": "x"}], "citations": [{
                    "title": "t", "source": "https://example.com",
                    "location": {"web": {"url": "https://example.com"}},
                }]}},
                {"toolUse": {"toolUseId": "call_0", "name": "f", "input": {"a": 1}}},
            ]}},
            "stopReason": "tool_use",
            "usage": {"inputTokens": 5, "outputTokens": 6, "totalTokens": 11},
            "metrics": {"latencyMs": 0},
        })
    );
    let at: Vec<_> = losses.as_slice().iter().map(|loss| &*loss.path).collect();
    assert_eq!(at, ["/parts/1", "/parts/2"]);
}

#[test]
fn what_an_answer_has_beside_converse_s_is_told() {
    let mut answer = foreign(vec![PartKind::Text {
        text: String::new(),
        citations: Vec::new(),
    }]);
    answer.choices[0].logprobs = Some(json!([]));
    answer.choices[0].stop = None;
    answer.choices.push(Choice::default());
    answer.moderation = Some(json!({}));
    answer.service_tier = Some("scale".to_owned());
    answer.extensions.push(Extension {
        name: "system_fingerprint".to_owned(),
        value: json!("fp"),
        at: "/system_fingerprint".into(),
    });
    let mut losses = Losses::new();
    assert_eq!(
        write(answer, &mut losses),
        json!({
            "output": {"message": {"role": "assistant", "content": [{"text": ""}]}},
            "stopReason": "end_turn",
            "usage": {"inputTokens": 0, "outputTokens": 0, "totalTokens": 0},
            "metrics": {"latencyMs": 0},
        })
    );
    assert_eq!(losses.as_slice().len(), 6);
}

#[test]
fn errors_are_read_in_every_form() {
    let read = |status, body| {
        let error = read_error(status, &body)?;
        Some((error.kind, error.message))
    };
    let of = |kind: &str, message: &str| Some((kind.to_owned(), message.to_owned()));
    assert_eq!(read(400, json!({"message": "m"})), of("", "m"));
    assert_eq!(read(403, json!({"Message": "m"})), of("", "m"));
    let body = json!({"__type": "com.amazon#ThrottlingException", "message": "m"});
    assert_eq!(read(429, body), of("ThrottlingException", "m"));
    let body = json!({"Output": {"__type": "a#UnknownOperationException"}, "Version": "1.0"});
    let kind = "UnknownOperationException";
    assert_eq!(read(404, body), of(kind, kind));
    assert_eq!(read(500, json!({"x": 1})), None);
    assert_eq!(read(500, json!(null)), None);
    assert_eq!(read(200, json!({"output": {}, "message": "m"})), None);
    assert_eq!(read(200, json!({"message": "m"})), of("", "m"));
}

#[test]
fn errors_are_written_with_the_type_of_their_status() {
    let error = ProviderError {
        status: 429,
        kind: "rate_limit_error".to_owned(),
        message: "slow down".to_owned(),
        ..ProviderError::default()
    };
    let body = json!({"__type": "ThrottlingException", "message": "slow down"});
    assert_eq!(write_error(&error), body);
}
