use serde_json::{json, Value};

use super::{Reader, Writer};
use crate::apis::{ReadEvents, WriteEvents, WriteOptions};
use crate::representation::{
    BlockKind, Citation, Delta, Losses, ProviderStreamResponse as Event, StopKind, StopReason,
    TokenUsage,
};
use crate::translate::{Collector, Grammar, Order};

fn read(events: &[Value]) -> Vec<Event<'static>> {
    let mut reader = Reader::default();
    let mut seen = Vec::new();
    for event in events {
        // What the sink gets borrows from the text of the event.
        let text: &'static str = Box::leak(event.to_string().into_boxed_str());
        reader.event(None, text, &mut |event| seen.push(owned(event)));
    }
    reader.finish(&mut |event| seen.push(owned(event)));
    seen
}

fn owned(event: Event<'_>) -> Event<'static> {
    match event {
        Event::BlockStart {
            choice,
            block,
            kind,
        } => Event::BlockStart {
            choice,
            block,
            kind: kind.into_owned(),
        },
        Event::Delta {
            choice,
            block,
            delta,
        } => Event::Delta {
            choice,
            block,
            delta: delta.into_owned(),
        },
        Event::BlockStop { choice, block } => Event::BlockStop { choice, block },
        Event::Stop { choice, reason } => Event::Stop { choice, reason },
        Event::Usage(usage) => Event::Usage(usage),
        Event::Logprobs { choice, content } => Event::Logprobs { choice, content },
        Event::Error {
            kind,
            status,
            message,
        } => Event::Error {
            kind: kind.into_owned().into(),
            status,
            message: message.into_owned().into(),
        },
        Event::End => Event::End,
        Event::Start { .. } | Event::Other { .. } => Event::Other {
            kind: "".into(),
            value: Value::Null,
        },
    }
}

fn write(events: Vec<Event<'static>>) -> (Vec<Value>, Losses) {
    let mut grammar = Grammar::new(Order::Interleaved);
    let mut writer = Writer::new(WriteOptions {
        id: "id".to_owned(),
        model: "model".to_owned(),
        created: 7,
        include_usage: true,
        ..WriteOptions::default()
    });
    let (mut out, mut losses) = (Vec::new(), Losses::new());
    for event in events {
        grammar.event(event, &mut |event| {
            writer.event(event, &mut out, &mut losses);
        });
    }
    let text = String::from_utf8(out).unwrap();
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    let written: Vec<Value> = data.map(|d| serde_json::from_str(d).unwrap()).collect();
    for (event, number) in written.iter().zip(0_u64..) {
        assert_eq!(event["sequence_number"], number);
    }
    (written, losses)
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect()
}

fn start(block: u32, kind: BlockKind<'static>) -> Event<'static> {
    Event::BlockStart {
        choice: 0,
        block,
        kind,
    }
}

fn delta(block: u32, delta: Delta<'static>) -> Event<'static> {
    Event::Delta {
        choice: 0,
        block,
        delta,
    }
}

fn stop(block: u32) -> Event<'static> {
    Event::BlockStop { choice: 0, block }
}

fn call(id: &'static str, name: &'static str) -> BlockKind<'static> {
    BlockKind::ToolCall {
        id: id.into(),
        name: name.into(),
        custom: false,
        by_provider: false,
    }
}

fn ended(kind: StopKind) -> Event<'static> {
    Event::Stop {
        choice: 0,
        reason: StopReason {
            kind,
            raw: "x".to_owned(),
            sequence: None,
        },
    }
}

#[test]
fn the_events_of_an_answer_come_in_the_order_that_clients_expect() {
    let thinks = BlockKind::Reasoning {
        id: None,
        encrypted: None,
    };
    let (events, losses) = write(vec![
        start(0, thinks),
        delta(0, Delta::Reasoning("hm".into())),
        delta(0, Delta::Summary(0, "s".into())),
        delta(0, Delta::Signature("sig".into())),
        stop(0),
        start(1, BlockKind::Text),
        delta(1, Delta::Text("a".into())),
        start(2, call("c", "n")),
        delta(2, Delta::Arguments("{".into())),
        delta(2, Delta::Arguments("}".into())),
        ended(StopKind::ToolCalls),
        Event::Usage(TokenUsage {
            input: Some(1),
            output: Some(2),
            ..TokenUsage::default()
        }),
        Event::End,
    ]);
    assert!(losses.is_empty());
    assert_eq!(
        kinds(&events),
        [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added",
            "response.reasoning_text.delta",
            "response.reasoning_summary_part.added",
            "response.reasoning_summary_text.delta",
            "response.reasoning_summary_text.done",
            "response.reasoning_summary_part.done",
            "response.reasoning_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_item.added",
            "response.function_call_arguments.delta",
            "response.function_call_arguments.delta",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.function_call_arguments.done",
            "response.output_item.done",
            "response.completed",
        ]
    );
    let last = &events[23]["response"];
    assert_eq!(
        last["output"][0]["encrypted_content"],
        "meseta.signature:sig"
    );
    assert_eq!(last["output"][1]["content"][0]["text"], "a");
    assert_eq!(last["output"][2]["arguments"], "{}");
    assert_eq!(last["usage"]["total_tokens"], 3);
    assert_eq!(last["created_at"], 7);
    assert_eq!(events[15]["item"]["id"], "fc_id_2");
}

#[test]
fn texts_that_follow_each_other_are_one_message() {
    let citation = Citation {
        url: Some("u".to_owned()),
        ..Citation::default()
    };
    let (events, _) = write(vec![
        start(0, BlockKind::Text),
        delta(0, Delta::Text("é".into())),
        delta(0, Delta::Citation(citation)),
        stop(0),
        start(1, BlockKind::Refusal),
        delta(1, Delta::Text("no".into())),
        stop(1),
        ended(StopKind::MaxTokens),
        Event::End,
    ]);
    let last = events.last().unwrap();
    assert_eq!(last["type"], "response.incomplete");
    let output = last["response"]["output"].as_array().unwrap();
    assert_eq!(output.len(), 1);
    assert_eq!(output[0]["content"][0]["annotations"][0]["end_index"], 1);
    assert_eq!(output[0]["content"][1]["refusal"], "no");
    assert_eq!(output[0]["status"], "incomplete");
}

#[test]
fn an_empty_stream_and_an_early_error_are_whole_answers() {
    let (events, _) = write(vec![Event::End]);
    assert_eq!(
        kinds(&events),
        [
            "response.created",
            "response.in_progress",
            "response.completed"
        ]
    );
    let (events, _) = write(vec![Event::Error {
        kind: "overloaded_error".into(),
        status: Some(529),
        message: "m".into(),
    }]);
    assert_eq!(
        kinds(&events),
        [
            "response.created",
            "response.in_progress",
            "error",
            "response.failed"
        ]
    );
    assert_eq!(events[2]["message"], "m");
    assert_eq!(events[2]["code"], "server_error");
    assert_eq!(events[3]["response"]["error"]["message"], "m");
}

#[test]
fn what_a_stream_has_no_place_for_is_reported() {
    let by_provider = BlockKind::ToolCall {
        id: "x".into(),
        name: "search".into(),
        custom: false,
        by_provider: true,
    };
    let other = BlockKind::Other {
        kind: "thing".into(),
        value: json!({"type": "thing"}),
    };
    let own = BlockKind::Other {
        kind: "web_search_call".into(),
        value: json!({"type": "web_search_call", "id": "ws"}),
    };
    let sound = BlockKind::Media {
        media_type: "audio/pcm".into(),
    };
    let second = Event::BlockStart {
        choice: 1,
        block: 0,
        kind: BlockKind::Text,
    };
    let (events, losses) = write(vec![
        start(0, by_provider),
        delta(0, Delta::Arguments("{}".into())),
        start(1, other),
        start(2, own),
        start(3, sound),
        delta(3, Delta::Data("AA==".into())),
        delta(3, Delta::Transcript("hi".into())),
        second,
        Event::End,
    ]);
    let output = events.last().unwrap()["response"]["output"].clone();
    assert_eq!(output[0]["type"], "web_search_call");
    assert_eq!(output[1]["content"][0]["text"], "hi");
    let paths: Vec<_> = losses.as_slice().iter().map(|l| l.path.as_ref()).collect();
    assert_eq!(paths, ["/0/0", "/0/1", "/0/3", "/choices/1"]);
}

#[test]
fn log_probabilities_stand_with_their_text_whenever_they_come() {
    let logprobs = |token: &str| Event::Logprobs {
        choice: 0,
        content: json!([{"token": token}]),
    };
    let (events, losses) = write(vec![
        logprobs("a"),
        start(0, BlockKind::Text),
        delta(0, Delta::Text("ab".into())),
        logprobs("b"),
        Event::End,
    ]);
    assert!(losses.is_empty());
    let last = &events.last().unwrap()["response"]["output"][0]["content"][0];
    assert_eq!(last["logprobs"], json!([{"token": "a"}, {"token": "b"}]));
}

#[test]
fn a_done_gives_what_no_delta_gave() {
    let item = json!({"type": "function_call", "id": "fc", "call_id": "c", "name": "n",
        "arguments": ""});
    let events = read(&[
        json!({"type": "response.output_item.added", "output_index": 1, "item": item}),
        json!({"type": "response.function_call_arguments.delta", "output_index": 1, "delta": "{\"a"}),
        json!({"type": "response.function_call_arguments.done", "output_index": 1,
            "arguments": "{\"a\":1}"}),
        json!({"type": "response.output_text.done", "output_index": 0, "content_index": 0,
            "text": "whole"}),
        json!({"type": "response.completed", "response": {"status": "completed", "output": []}}),
    ]);
    let mut grammar = Grammar::new(Order::Interleaved);
    let mut collector = Collector::new();
    for event in events {
        grammar.event(event, &mut |event| collector.event(event));
    }
    assert!(collector.is_complete());
    let choice = collector.into_answer().choices.remove(0);
    assert_eq!(choice.stop.unwrap().kind, StopKind::ToolCalls);
    let parts: Vec<_> = choice.parts.into_iter().map(|part| part.kind).collect();
    assert!(
        matches!(&parts[0], crate::representation::PartKind::ToolCall(call) if call.arguments == "{\"a\":1}")
    );
    assert!(
        matches!(&parts[1], crate::representation::PartKind::Text { text, .. } if text == "whole")
    );
}

#[test]
fn errors_are_read_in_each_of_their_shapes() {
    for (event, kind, status) in [
        (
            json!({"type": "error", "code": "server_error", "message": "m"}),
            "server_error",
            Some(500),
        ),
        (
            json!({"type": "error", "error": {"type": "t", "code": "rate_limit_exceeded", "message": "m"}}),
            "rate_limit_exceeded",
            Some(429),
        ),
        (
            json!({"error": {"code": 502, "message": "m"}}),
            "server_error",
            Some(502),
        ),
        (
            json!({"type": "response.failed", "response": {"status": "failed",
            "error": {"code": "x", "message": "m"}}}),
            "x",
            None,
        ),
    ] {
        let events = read(&[event]);
        let error = Event::Error {
            kind: kind.into(),
            status,
            message: "m".into(),
        };
        assert_eq!(events.last(), Some(&error));
    }
}

#[test]
fn odd_events_do_no_harm() {
    let mut reader = Reader::default();
    for data in [
        "",
        "[DONE]",
        "1",
        "{}",
        "{\"type\":1}",
        "{\"type\":\"response.output_text.delta\",\"delta\":{}}",
        "{\"type\":\"response.output_text.delta\"}",
        "{\"type\":\"response.output_text.delta\",\"output_index\":-1,\"delta\":\"x\"}",
        "{\"type\":\"response.function_call_arguments.delta\",\"delta\":\"x\"}",
        "{\"type\":\"response.output_item.done\",\"output_index\":4294967295}",
        "{\"type\":\"response.output_item.added\",\"item\":[]}",
        "{\"type\":\"response.content_part.done\"}",
        "{\"type\":\"response.reasoning_summary_text.done\",\"summary_index\":4294967295,\"text\":\"x\"}",
    ] {
        reader.event(Some("x"), data, &mut |_| {});
    }
    reader.finish(&mut |event| panic!("{event:?}"));
}
