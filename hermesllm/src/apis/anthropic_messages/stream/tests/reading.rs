//! Streams, read.

use super::*;

/// What events add up to.
fn read(events: &[Value]) -> (ProviderResponse, bool, Option<String>) {
    let mut reader = Reader::default();
    let mut grammar = Grammar::new(Order::Sequential);
    let mut collector = Collector::new();
    for event in events {
        reader.event(None, &event.to_string(), &mut |event| {
            grammar.event(event, &mut |event| collector.event(event));
        });
    }
    reader.finish(&mut |_| panic!("nothing is said after the last event"));
    let complete = collector.is_complete();
    let error = collector.error().map(str::to_owned);
    (collector.into_answer(), complete, error)
}

fn message_start(usage: Value) -> Value {
    json!({"type": "message_start", "message": {"id": "msg", "model": "m", "content": [], "usage": usage}})
}

fn start_of(index: u32, block: Value) -> Value {
    json!({"type": "content_block_start", "index": index, "content_block": block})
}

fn more(index: u32, delta: Value) -> Value {
    json!({"type": "content_block_delta", "index": index, "delta": delta})
}

fn stop_of(index: u32) -> Value {
    json!({"type": "content_block_stop", "index": index})
}

#[test]
fn deltas_are_read_in_place() {
    let data =
        r#"{"type":"content_block_delta","index":3,"delta":{"type":"text_delta","text":"hi"}}"#;
    let mut seen = 0;
    Reader::default().event(None, data, &mut |event| {
        let text = Delta::Text("hi".into());
        assert!(matches!(
            &event,
            Event::Delta {
                delta: Delta::Text(Cow::Borrowed(_)),
                ..
            }
        ));
        assert_eq!(event, delta(3, text));
        seen += 1;
    });
    assert_eq!(seen, 1);
}

#[test]
fn the_name_tells_the_type_where_the_data_does_not() {
    let mut reader = Reader::default();
    let mut seen = Vec::new();
    let mut event =
        |name, data| reader.event(Some(name), data, &mut |e| seen.push(format!("{e:?}")));
    event(
        "content_block_delta",
        r#"{"delta":{"type":"text_delta","text":"x"}}"#,
    );
    event("message_stop", "{}");
    event(
        "content_block_delta",
        r#"{"delta":{"type":"text_delta","text":"late"}}"#,
    );
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[1], "End");
}

#[test]
fn arguments_come_with_the_start_or_after_it_but_not_twice() {
    let tool = |input: Value| json!({"type": "tool_use", "id": "i", "name": "f", "input": input});
    let json_delta = |text: &str| json!({"type": "input_json_delta", "partial_json": text});
    for (input, deltas, expected) in [
        (json!({}), vec![], "{}"),
        (json!({}), vec![""], "{}"),
        (json!({"a": 1}), vec![], "{\"a\":1}"),
        (json!({"a": 1}), vec!["", "{\"b\"", ":2}"], "{\"b\":2}"),
    ] {
        let mut events = vec![message_start(json!({})), start_of(0, tool(input))];
        events.extend(deltas.iter().map(|text| more(0, json_delta(text))));
        events.push(stop_of(0));
        let (answer, _, _) = read(&events);
        let PartKind::ToolCall(call) = &answer.choices[0].parts[0].kind else {
            panic!("a call");
        };
        assert_eq!(call.arguments, expected);
    }
}

#[test]
fn blocks_that_come_whole_are_read_whole() {
    let cited = json!({"type": "char_location", "cited_text": "c"});
    let (answer, _, _) = read(&[
        json!({"type": "message_start", "message": {"content": [{"type": "text", "text": "a"}]}}),
        start_of(
            1,
            json!({"type": "text", "text": "b", "citations": [cited]}),
        ),
        stop_of(1),
        start_of(
            2,
            json!({"type": "thinking", "thinking": "t", "signature": "s"}),
        ),
        stop_of(2),
        start_of(3, json!({"type": "redacted_thinking", "data": "d"})),
    ]);
    let written = crate::apis::anthropic_messages::response::write(answer, &mut Losses::new());
    assert_eq!(
        written["content"],
        json!([
            {"type": "text", "text": "a"},
            {"type": "text", "text": "b", "citations": [cited]},
            {"type": "thinking", "thinking": "t", "signature": "s"},
            {"type": "redacted_thinking", "data": "d"},
        ])
    );
}

#[test]
fn figures_of_the_start_stay_where_the_end_leaves_them_out() {
    let (answer, complete, _) = read(&[
        message_start(json!({"input_tokens": 1, "cache_read_input_tokens": 5, "output_tokens": 1})),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"},
               "usage": {"input_tokens": 3, "output_tokens": 9}}),
        json!({"type": "message_stop"}),
    ]);
    assert!(complete);
    let usage = answer.usage.unwrap();
    assert_eq!((usage.input, usage.output), (Some(8), Some(9)));
}

#[test]
fn a_stream_without_its_last_event_was_cut() {
    let (answer, complete, _) = read(&[
        message_start(json!({})),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}}),
    ]);
    assert!(!complete && answer.choices.is_empty());
}

#[test]
fn errors_in_the_middle_end_the_stream() {
    for event in [
        json!({"type": "error", "error": {"type": "overloaded_error", "message": "m"}}),
        json!({"error": {"message": "m"}}),
        json!({"error": "m"}),
    ] {
        let (_, complete, error) = read(&[
            message_start(json!({})),
            event,
            json!({"type": "message_stop"}),
        ]);
        assert_eq!((complete, error.as_deref()), (false, Some("m")));
    }
}

#[test]
fn events_that_cannot_be_read_are_passed_over() {
    let mut reader = Reader::default();
    for data in [
        "",
        "[DONE]",
        "[]",
        "null",
        "{",
        r#"{"type":1}"#,
        r#"{"type":"ping"}"#,
        r#"{"type":"content_block_start","index":-1,"content_block":{}}"#,
        r#"{"type":"content_block_start","index":0}"#,
        r#"{"type":"content_block_delta","index":0,"delta":7}"#,
        r#"{"type":"content_block_stop","index":9999999999}"#,
    ] {
        reader.event(None, data, &mut |event| panic!("{data}: {event:?}"));
    }
}

#[test]
fn what_only_this_api_has_passes_through_its_own_stream() {
    let events = [
        message_start(
            json!({"input_tokens": 1, "inference_geo": "global", "service_tier": "standard"}),
        ),
        start_of(
            0,
            json!({"type": "mcp_tool_use", "id": "i", "name": "f", "input": {}, "server_name": "s"}),
        ),
        stop_of(0),
        start_of(1, json!({"type": "compaction", "content": null})),
        more(1, json!({"type": "compaction_delta", "content": "c"})),
        stop_of(1),
        json!({"type": "message_delta", "context_management": {"applied_edits": []},
               "delta": {"stop_reason": "compaction", "container": {"id": "c"}},
               "usage": {"output_tokens": 2, "iterations": []}}),
        json!({"type": "message_stop"}),
    ];
    let mut reader = Reader::default();
    let mut grammar = Grammar::new(Order::Sequential);
    let mut writer = Writer::new(WriteOptions::default());
    let (mut out, mut losses) = (Vec::new(), Losses::new());
    for event in &events {
        reader.event(None, &event.to_string(), &mut |event| {
            grammar.event(event, &mut |event| {
                writer.event(event, &mut out, &mut losses)
            });
        });
    }
    assert!(losses.is_empty());
    let text = String::from_utf8(out).unwrap();
    for expected in [
        r#""service_tier":"standard""#,
        r#"{"type":"mcp_tool_use","id":"i","name":"f","input":{},"server_name":"s"}"#,
        r#"{"type":"compaction","content":null}"#,
        r#""delta":{"type":"compaction_delta","content":"c"}"#,
        r#""stop_reason":"compaction","stop_sequence":null,"container":{"id":"c"}"#,
        r#""inference_geo":"global""#,
        r#""iterations":[]"#,
        r#""context_management":{"applied_edits":[]}"#,
    ] {
        assert!(text.contains(expected), "{expected} in {text}");
    }
}
