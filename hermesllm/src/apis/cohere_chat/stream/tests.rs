use serde_json::{json, Value};

use super::*;
use crate::apis::{ReadEvents, WriteEvents, WriteOptions};
use crate::representation::{
    BlockKind, Delta, Losses, PartKind, ProviderResponse, ProviderStreamResponse as Event,
    StopKind, StopReason, TokenUsage,
};
use crate::translate::{Collector, Grammar, Order};

fn read(events: &[Value]) -> Collector {
    let mut reader = Reader::default();
    let mut grammar = Grammar::new(Order::Sequential);
    let mut collector = Collector::new();
    for event in events {
        reader.event(None, &event.to_string(), &mut |event| {
            grammar.event(event, &mut |event| collector.event(event));
        });
    }
    reader.finish(&mut |event| grammar.event(event, &mut |event| collector.event(event)));
    collector
}

fn events(written: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(written).unwrap();
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    let data = data.filter(|data| *data != "[DONE]");
    data.map(|data| serde_json::from_str(data).unwrap())
        .collect()
}

fn write(stream: Vec<Event<'_>>) -> (Vec<Value>, Losses) {
    let mut writer = Writer::new(WriteOptions::default());
    let (mut out, mut losses) = (Vec::new(), Losses::new());
    for event in stream {
        writer.event(event, &mut out, &mut losses);
    }
    (events(&out), losses)
}

fn answer(collector: Collector) -> ProviderResponse {
    assert!(collector.is_complete());
    collector.into_answer()
}

fn delta(kind: &str, index: u32, message: Value) -> Value {
    json!({"type": kind, "index": index, "delta": {"message": message}})
}

fn end(word: &str) -> Value {
    json!({"type": "message-end", "delta": {"finish_reason": word}})
}

#[test]
fn plans_calls_and_texts_are_told_apart() {
    let call = json!({"tool_calls": {"id": "c", "function": {"name": "f", "arguments": ""}}});
    let answer = answer(read(&[
        json!({"type": "message-start", "id": "i"}),
        delta("tool-plan-delta", 0, json!({"tool_plan": "I "})),
        delta("tool-plan-delta", 0, json!({"tool_plan": "will"})),
        delta("tool-call-start", 0, call.clone()),
        delta(
            "tool-call-delta",
            0,
            json!({"tool_calls": {"function": {"arguments": "{}"}}}),
        ),
        json!({"type": "tool-call-end", "index": 0}),
        delta("tool-call-start", 1, call),
        json!({"type": "tool-call-end", "index": 1}),
        end("TOOL_CALL"),
    ]));
    let parts = &answer.choices[0].parts;
    let PartKind::Reasoning(plan) = &parts[0].kind else {
        panic!("a plan");
    };
    assert_eq!(plan.text, "I will");
    // A call without arguments is one with none.
    for part in &parts[1..] {
        let PartKind::ToolCall(call) = &part.kind else {
            panic!("a call");
        };
        assert_eq!(call.arguments, "{}");
    }
    let stop = answer.choices[0].stop.as_ref().unwrap();
    assert_eq!(stop.kind, StopKind::ToolCalls);
}

#[test]
fn unusual_members_hide_no_content() {
    let text = json!({"content": {"text": "a", "thinking": null}, "tool_plan": null});
    let call = json!({"tool_calls": {"function": {"arguments": "{}"}}, "content": null});
    let answer = answer(read(&[
        delta(
            "content-start",
            0,
            json!({"content": {"type": "text", "text": "<"}}),
        ),
        delta("content-delta", 0, text),
        json!({"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "b"}}},
            "logprobs": {"token_ids": [1], "text": "b", "logprobs": [-1.0]}}),
        json!({"type": "content-end", "index": 0}),
        delta(
            "tool-call-start",
            0,
            json!({"tool_calls": {"id": "c", "function": {"name": "f"}}}),
        ),
        delta("tool-call-delta", 0, call),
        json!({"type": "odd", "value": 1}),
        end("COMPLETE"),
    ]));
    let choice = &answer.choices[0];
    let kinds: Vec<_> = choice.parts.iter().map(|part| &part.kind).collect();
    assert!(matches!(kinds[0], PartKind::Text { text, .. } if text == "<ab"));
    assert!(matches!(kinds[1], PartKind::ToolCall(call) if call.arguments == "{}"));
    assert_eq!(choice.logprobs.as_ref().unwrap()[0]["token"], "b");
}

#[test]
fn citations_go_to_the_text_that_they_are_about() {
    let cited = json!({"citations": {"start": 0, "end": 1, "text": "a", "content_index": 0, "sources": []}});
    let stream = [
        delta("content-start", 0, json!({"content": {"type": "text"}})),
        delta("content-delta", 0, json!({"content": {"text": "a"}})),
        delta("citation-start", 0, cited.clone()),
        json!({"type": "citation-end", "index": 0}),
        json!({"type": "content-end", "index": 0}),
        // Too late: nobody's.
        delta("citation-start", 1, cited),
        end("COMPLETE"),
    ];
    let answer = answer(read(&stream));
    assert_eq!(answer.choices[0].parts.len(), 1);
    let PartKind::Text { citations, .. } = &answer.choices[0].parts[0].kind else {
        panic!("text");
    };
    assert_eq!(citations.len(), 1);
}

#[test]
fn a_failed_generation_is_an_error_and_a_cut_one_is_no_end() {
    for event in [
        end("TIMEOUT"),
        json!({"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "e"}}),
        json!({"message": "e"}),
    ] {
        let collector = read(&[json!({"type": "message-start"}), event]);
        assert!(collector.error().is_some_and(|message| !message.is_empty()));
    }
    let answer = answer(read(&[end("ERROR")]));
    let stop = answer.choices[0].stop.as_ref().unwrap();
    assert_eq!(stop.kind, StopKind::Malformed);
    let collector = read(&[delta("content-delta", 0, json!({"content": {"text": "a"}}))]);
    assert!(!collector.is_complete() && collector.error().is_none());
}

#[test]
fn a_stream_of_another_api_has_every_event_that_clients_expect() {
    let start = |block, kind| Event::BlockStart {
        choice: 0,
        block,
        kind,
    };
    let piece = |block, delta| Event::Delta {
        choice: 0,
        block,
        delta,
    };
    let stop = |block| Event::BlockStop { choice: 0, block };
    let call = |custom| BlockKind::ToolCall {
        id: "".into(),
        name: "f".into(),
        custom,
        by_provider: false,
    };
    let thoughts = BlockKind::Reasoning {
        id: None,
        encrypted: None,
    };
    let (events, losses) = write(vec![
        Event::Start {
            id: "i".into(),
            model: "m".into(),
            created: None,
            service_tier: None,
            usage: None,
        },
        start(0, thoughts),
        piece(0, Delta::Reasoning("hm".into())),
        piece(0, Delta::Signature("s".into())),
        stop(0),
        start(1, BlockKind::Text),
        piece(1, Delta::Text("a\n".into())),
        stop(1),
        start(2, call(false)),
        piece(2, Delta::Arguments("{\"a\":".into())),
        piece(2, Delta::Arguments("1}".into())),
        stop(2),
        start(3, call(true)),
        piece(3, Delta::Arguments("\"x".into())),
        piece(3, Delta::Arguments("\\".into())),
        stop(3),
        Event::Stop {
            choice: 0,
            reason: StopReason {
                kind: StopKind::ToolCalls,
                raw: "tool_use".to_owned(),
                sequence: None,
            },
        },
        Event::Usage(TokenUsage {
            input: Some(1),
            output: Some(2),
            ..TokenUsage::default()
        }),
        Event::End,
    ]);
    let kinds: Vec<_> = (events.iter())
        .map(|event| {
            let index = event.get("index").map(Value::to_string);
            let kind = event["type"].as_str().unwrap().to_owned();
            kind + &index.unwrap_or_default()
        })
        .collect();
    assert_eq!(
        kinds,
        [
            "message-start",
            "content-start0",
            "content-delta0",
            "content-end0",
            "content-start1",
            "content-delta1",
            "content-end1",
            "tool-call-start0",
            "tool-call-delta0",
            "tool-call-delta0",
            "tool-call-end0",
            "tool-call-start1",
            "tool-call-delta1",
            "tool-call-delta1",
            "tool-call-delta1",
            "tool-call-delta1",
            "tool-call-end1",
            "message-end",
        ]
    );
    let custom: String = (events.iter())
        .filter(|event| event["index"] == 1)
        .filter_map(|event| {
            event
                .pointer("/delta/message/tool_calls/function/arguments")?
                .as_str()
        })
        .collect();
    assert_eq!(custom, json!({"input": "\"x\\"}).to_string());
    assert_eq!(events[7]["delta"]["message"]["tool_calls"]["id"], "call_0");
    let last = &events.last().unwrap()["delta"];
    assert_eq!(last["finish_reason"], "TOOL_CALL");
    assert_eq!(
        last["usage"],
        json!({"tokens": {"input_tokens": 1, "output_tokens": 2}})
    );
    assert_eq!(losses.as_slice().len(), 2, "{losses:?}");
}

#[test]
fn an_error_in_the_middle_is_the_end_of_the_message() {
    let (events, _) = write(vec![Event::Error {
        kind: "overloaded_error".into(),
        status: Some(529),
        message: "busy".into(),
    }]);
    let expected =
        json!({"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "busy"}});
    assert_eq!(events, [expected]);
    assert_eq!(read(&events).error(), Some("busy"));
}
