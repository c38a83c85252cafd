use serde_json::json;

use super::*;
use crate::representation::{Reasoning, TokenUsage, ToolCall};

fn assert_comes_back(body: Value) -> ProviderResponse {
    let answer = read(body.clone()).unwrap();
    let mut losses = Losses::new();
    assert_eq!(write(answer.clone(), &mut losses), body);
    assert!(losses.is_empty(), "{losses:?}");
    answer
}

#[test]
fn an_answer_comes_back_with_everything_that_is_not_understood() {
    let answer = assert_comes_back(json!({
        "candidates": [
            {"content": {"parts": [
                {"text": "t", "thought": true},
                {"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "s"},
                {"executableCode": {"code": "1"}}], "role": "model"},
                "finishReason": "STOP", "index": 0, "finishMessage": "m", "avgLogprobs": -0.1,
                "groundingMetadata": {"webSearchQueries": ["q"]}},
            {"content": {"parts": [{"text": "b"}], "role": "model"}, "finishReason": 12,
                "index": 1},
        ],
        "usageMetadata": {"promptTokenCount": 1, "serviceTier": "standard",
            "trafficType": "ON_DEMAND"},
        "modelVersion": "m", "responseId": "r", "createTime": "2026-05-04T20:01:02Z", "new": 1,
    }));
    assert_eq!(answer.service_tier.as_deref(), Some("standard"));
    let stop = |number: usize| answer.choices[number].stop.clone().unwrap();
    assert_eq!(stop(0).kind, StopKind::ToolCalls);
    assert_eq!(stop(1).kind, StopKind::Other);
    assert_eq!(answer.choices[0].parts[1].signature.as_deref(), Some("s"));
}

#[test]
fn a_prompt_that_is_blocked_is_an_answer_that_was_filtered() {
    let answer = assert_comes_back(json!({"promptFeedback": {"blockReason": "MODEL_ARMOR"}}));
    assert_eq!(answer.choices.len(), 1);
    let stop = answer.choices[0].stop.as_ref().unwrap();
    assert_eq!(stop.kind, StopKind::ContentFilter);
    assert_eq!(stop.raw, "MODEL_ARMOR");
}

#[test]
fn what_is_wrong_in_an_answer_is_kept_as_it_is() {
    assert_comes_back(json!({
        "candidates": [{"content": {"parts": [{"text": 1}, {"inlineData": {}},
            {"functionCall": 1}, "x"], "role": "model"}, "index": 0, "finishReason": []}],
        "usageMetadata": {"promptTokenCount": "1"},
        "modelVersion": {},
    }));
    assert!(read(json!([])).is_err());
}

#[test]
fn an_answer_of_another_api_is_written_in_this_one_s_words() {
    let parts = vec![
        Part::new(
            PartKind::Reasoning(Reasoning {
                summary: vec!["a".to_owned(), "b".to_owned()],
                ..Reasoning::default()
            }),
            "/0",
        ),
        Part::new(PartKind::Refusal("no".to_owned()), "/1"),
        Part::new(
            PartKind::ToolCall(ToolCall {
                id: "1".to_owned(),
                name: "search".to_owned(),
                arguments: String::new(),
                custom: false,
                by_provider: true,
            }),
            "/2",
        ),
    ];
    let answer = ProviderResponse {
        model: "m".to_owned(),
        choices: vec![Choice {
            parts,
            ..Choice::default()
        }],
        usage: Some(TokenUsage {
            input: Some(5),
            output: Some(3),
            reasoning: Some(2),
            ..TokenUsage::default()
        }),
        service_tier: Some("default".to_owned()),
        ..ProviderResponse::default()
    };
    let mut losses = Losses::new();
    let written = write(answer, &mut losses);
    let expected = json!({
        "candidates": [{"content": {"parts": [{"text": "a\n\nb", "thought": true},
            {"text": "no"}], "role": "model"}, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 1,
            "thoughtsTokenCount": 2, "totalTokenCount": 8, "serviceTier": "standard"},
        "modelVersion": "m",
    });
    assert_eq!(written, expected);
    let paths: Vec<_> = losses.as_slice().iter().map(|loss| &*loss.path).collect();
    assert_eq!(paths, ["/1", "/2", ""]);
}
