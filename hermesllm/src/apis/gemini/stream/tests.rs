use serde_json::json;

use super::*;
use crate::representation::{BlockKind, Delta};

fn run(chunks: &[Value]) -> Vec<String> {
    let mut reader = Reader::default();
    let mut seen = Vec::new();
    let mut note = |event: Event<'_>| {
        seen.push(match event {
            Event::Start { id, .. } => format!("start {id}"),
            Event::BlockStart { block, kind, .. } => match kind {
                BlockKind::Text => format!("+{block} text"),
                BlockKind::Reasoning { .. } => format!("+{block} thought"),
                BlockKind::ToolCall { name, .. } => format!("+{block} call {name}"),
                BlockKind::Media { media_type } => format!("+{block} {media_type}"),
                BlockKind::Other { kind, .. } => format!("+{block} {kind}"),
                BlockKind::Refusal => "refusal".to_owned(),
            },
            Event::Delta { block, delta, .. } => match delta {
                Delta::Text(own)
                | Delta::Reasoning(own)
                | Delta::Arguments(own)
                | Delta::Data(own) => format!("{block}:{own}"),
                Delta::Signature(own) => format!("{block} signed {own}"),
                Delta::Citation(own) => format!("{block} cites {:?}", own.span),
                _ => "delta".to_owned(),
            },
            Event::BlockStop { block, .. } => format!("-{block}"),
            Event::Stop { choice, reason } => format!("stop {choice} {:?}", reason.kind),
            Event::Usage(own) => format!("usage {:?}", own.output),
            Event::Other { kind, .. } => format!("other {kind}"),
            Event::Error { kind, status, .. } => format!("error {kind} {status:?}"),
            Event::End => "end".to_owned(),
            Event::Logprobs { .. } => "logprobs".to_owned(),
        });
    };
    for chunk in chunks {
        reader.event(None, &chunk.to_string(), &mut note);
    }
    reader.finish(&mut note);
    seen
}

fn chunk(parts: Value) -> Value {
    json!({"candidates": [{"content": {"parts": parts, "role": "model"}}]})
}

fn last(parts: Value) -> Value {
    let mut chunk = chunk(parts);
    chunk["candidates"][0]["finishReason"] = "STOP".into();
    chunk
}

#[test]
fn texts_and_thoughts_are_blocks_that_go_on_from_chunk_to_chunk() {
    let seen = run(&[
        chunk(json!([{"text": "a", "thought": true}])),
        chunk(json!([{"text": "b", "thought": true}, {"text": "c"}])),
        chunk(json!([{"text": "d"}])),
        last(json!([{"text": "", "thoughtSignature": "s"}])),
    ]);
    let expected = [
        "start ",
        "+0 thought",
        "0:a",
        "0:b",
        "-0",
        "+1 text",
        "1:c",
        "1:d",
        "1 signed s",
        "-1",
        "stop 0 End",
        "end",
    ];
    assert_eq!(seen, expected);
}

#[test]
fn a_text_after_a_signature_is_another_block() {
    let seen = run(&[last(
        json!([{"text": "a", "thoughtSignature": "s"}, {"text": "b"}]),
    )]);
    let expected = [
        "start ",
        "+0 text",
        "0:a",
        "0 signed s",
        "-0",
        "+1 text",
        "1:b",
        "-1",
        "stop 0 End",
        "end",
    ];
    assert_eq!(seen, expected);
}

#[test]
fn calls_media_and_unknown_parts_are_blocks_of_their_own() {
    let seen = run(&[
        chunk(
            json!([{"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "s"},
            {"functionCall": {"name": "g"}}]),
        ),
        last(
            json!([{"inlineData": {"mimeType": "image/png", "data": "AA=="}},
            {"executableCode": {"code": "1"}}, {"text": ""}]),
        ),
    ]);
    let expected = [
        "start ",
        "+0 call f",
        "0 signed s",
        "0:{\"a\":1}",
        "-0",
        "+1 call g",
        "1:{}",
        "-1",
        "+2 image/png",
        "2:AA==",
        "-2",
        "+3 executableCode",
        "-3",
        "stop 0 ToolCalls",
        "end",
    ];
    assert_eq!(seen, expected);
}

#[test]
fn a_call_in_pieces_is_told_when_it_begins_and_has_its_arguments_when_it_ends() {
    let seen = run(&[
        chunk(json!([{"functionCall": {"name": "f", "willContinue": true}}])),
        chunk(
            json!([{"functionCall": {"willContinue": true, "partialArgs":
            [{"jsonPath": "$.x", "stringValue": "a", "willContinue": true}]}}]),
        ),
        chunk(json!([{"functionCall": {"partialArgs":
            [{"jsonPath": "$.x", "stringValue": "b"}], "willContinue": true}}])),
        chunk(json!([{"functionCall": {}}])),
        last(json!([{"functionCall": {"name": "g", "willContinue": true}}])),
    ]);
    let expected = [
        "start ",
        "+0 call f",
        "0:{\"x\":\"ab\"}",
        "-0",
        "+1 call g",
        "1:{}",
        "-1",
        "stop 0 ToolCalls",
        "end",
    ];
    assert_eq!(seen, expected);
}

#[test]
fn all_is_said_when_every_candidate_has_ended() {
    let two = |first: Value| {
        let second = json!({"content": {"parts": [{"text": "b"}]}, "index": 1,
            "finishReason": "MAX_TOKENS"});
        json!({"candidates": [first, second]})
    };
    let open = json!({"content": {"parts": [{"text": "a"}]}, "index": 0});
    let seen = run(&[two(open.clone())]);
    assert!(!seen.contains(&"end".to_owned()));
    let mut ended = open;
    ended["finishReason"] = "STOP".into();
    let seen = run(&[two(ended)]);
    assert_eq!(
        seen[seen.len() - 3..],
        ["stop 0 End", "stop 1 MaxTokens", "end"]
    );
    assert!(run(&[]).is_empty());
}

#[test]
fn what_comes_after_the_first_end_is_part_of_the_answer() {
    let seen = run(&[
        last(json!([{"text": "a"}])),
        chunk(json!([{"text": "b"}])),
        last(json!([{"text": "c"}])),
    ]);
    let expected = [
        "start ",
        "+0 text",
        "0:a",
        "0:b",
        "0:c",
        "-0",
        "stop 0 End",
        "end",
    ];
    assert_eq!(seen, expected);
}

#[test]
fn errors_and_blocked_prompts_end_the_answer() {
    let error = json!({"error": {"code": 503, "message": "m", "status": "UNAVAILABLE"}});
    let expected = ["error UNAVAILABLE Some(503)"];
    assert_eq!(
        run(&[error.clone(), last(json!([{"text": "x"}]))]),
        expected
    );
    assert_eq!(run(&[json!([error])]), expected);
    let blocked = json!({"promptFeedback": {"blockReason": "SAFETY"}});
    let expected = [
        "start ",
        "other promptFeedback",
        "stop 0 ContentFilter",
        "end",
    ];
    assert_eq!(run(&[blocked]), expected);
}

#[test]
fn members_beside_the_parts_are_passed_on() {
    let mut chunk = last(json!([{"text": "ab", "partMetadata": {}}]));
    chunk["candidates"][0]["safetyRatings"] = json!([]);
    chunk["candidates"][0]["groundingMetadata"] = json!({
        "groundingChunks": [{"web": {"uri": "u"}}],
        "groundingSupports": [{"segment": {"endIndex": 2}, "groundingChunkIndices": [0]}],
    });
    chunk["usageMetadata"] = json!({"candidatesTokenCount": 2, "trafficType": "X"});
    chunk["responseId"] = "r".into();
    let expected = [
        "start r",
        "+0 text",
        "0:ab",
        "other part",
        "0 cites Some((0, 2))",
        "other candidate",
        "-0",
        "stop 0 End",
        "usage Some(2)",
        "other usageMetadata",
        "end",
    ];
    assert_eq!(run(&[chunk]), expected);
}

#[test]
fn what_cannot_be_read_is_skipped() {
    let mut reader = Reader::default();
    for data in [
        "",
        "{",
        "[DONE]",
        "1",
        "[1]",
        "{\"candidates\":1}",
        "{\"candidates\":[1]}",
    ] {
        reader.event(None, data, &mut |event| {
            let says_nothing = matches!(event, Event::Start { .. } | Event::Other { .. });
            assert!(says_nothing, "{event:?}");
        });
    }
    reader.finish(&mut |event| panic!("{event:?}"));
}
