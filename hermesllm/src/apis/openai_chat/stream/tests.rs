use serde_json::{json, Value};

use super::*;
use crate::apis::{ReadEvents, WriteEvents, WriteOptions};
use crate::representation::{
    BlockKind, Delta, Losses, Part, PartKind, ProviderResponse, ProviderStreamResponse as Event,
    StopKind,
};
use crate::translate::{Collector, Grammar, Order};

fn chunk(delta: Value) -> Value {
    json!({"id": "i", "model": "m", "created": 1, "choices": [{"index": 0, "delta": delta}]})
}

fn end(word: &str) -> Value {
    json!({"choices": [{"index": 0, "delta": {}, "finish_reason": word}]})
}

/// The events that a stream comes to, behind the grammar.
fn collect(chunks: &[Value]) -> Collector {
    let mut reader = Reader::default();
    let mut grammar = Grammar::new(Order::Interleaved);
    let mut collector = Collector::new();
    let mut pass = |event: Event<'_>| grammar.event(event, &mut |event| collector.event(event));
    for chunk in chunks {
        match chunk {
            Value::String(data) => reader.event(None, data, &mut pass),
            other => reader.event(None, &other.to_string(), &mut pass),
        }
    }
    reader.finish(&mut pass);
    collector
}

fn answer(chunks: &[Value]) -> ProviderResponse {
    collect(chunks).into_answer()
}

fn calls(chunks: &[Value]) -> Vec<(String, String, String)> {
    let parts = answer(chunks).choices.remove(0).parts;
    let call = |part: Part| match part.kind {
        PartKind::ToolCall(call) => Some((call.id, call.name, call.arguments)),
        _ => None,
    };
    parts.into_iter().filter_map(call).collect()
}

fn call(id: &str, name: &str, arguments: &str) -> (String, String, String) {
    (id.to_owned(), name.to_owned(), arguments.to_owned())
}

#[test]
fn a_call_comes_in_one_piece_or_in_many() {
    let one = [chunk(json!({"tool_calls": [
        {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": "{\"x\":1}"}}]}))];
    let many = [
        chunk(
            json!({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": ""}}]}),
        ),
        chunk(json!({"tool_calls": [{"index": 0, "function": {"arguments": "{\"x\""}}]})),
        chunk(
            json!({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": ":1}"}}]}),
        ),
    ];
    let wanted = [call("a", "f", "{\"x\":1}")];
    assert_eq!(calls(&one), wanted);
    assert_eq!(calls(&many), wanted);
}

#[test]
fn calls_in_turns_without_numbers_or_with_the_same_are_told_apart() {
    let in_turns = [
        chunk(
            json!({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{"}}]}),
        ),
        chunk(
            json!({"tool_calls": [{"index": 1, "id": "b", "function": {"name": "g", "arguments": "{"}}]}),
        ),
        chunk(
            json!({"tool_calls": [{"index": 0, "function": {"arguments": "}"}}, {"index": 1, "function": {"arguments": "}"}}]}),
        ),
    ];
    let unnumbered = [
        chunk(json!({"tool_calls": [{"id": "a", "function": {"name": "f", "arguments": "{"}}]})),
        chunk(json!({"tool_calls": [{"function": {"arguments": "}"}}]})),
        chunk(json!({"tool_calls": [{"id": "b", "function": {"name": "g", "arguments": "{}"}}]})),
    ];
    let all_zero = [
        chunk(
            json!({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}]}),
        ),
        chunk(
            json!({"tool_calls": [{"index": 0, "id": "b", "function": {"name": "g", "arguments": "{}"}}]}),
        ),
    ];
    for chunks in [&in_turns[..], &unnumbered, &all_zero] {
        assert_eq!(calls(chunks), [call("a", "f", "{}"), call("b", "g", "{}")]);
    }
}

#[test]
fn arguments_that_come_before_the_name_wait_for_it() {
    let chunks = [
        chunk(json!({"tool_calls": [{"index": 0, "id": "a", "function": {"arguments": "{"}}]})),
        chunk(json!({"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": "}"}}]})),
    ];
    assert_eq!(calls(&chunks), [call("a", "f", "{}")]);
}

#[test]
fn arguments_may_be_an_object_and_calls_may_be_of_the_older_form() {
    let object = [chunk(
        json!({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": {"x": 1}}}]}),
    )];
    assert_eq!(calls(&object), [call("a", "f", "{\"x\":1}")]);
    let older = [
        chunk(json!({"function_call": {"name": "f", "arguments": "{"}})),
        chunk(json!({"function_call": {"arguments": "}"}})),
        end("function_call"),
    ];
    assert_eq!(calls(&older), [call("", "f", "{}")]);
}

#[test]
fn content_end_and_usage_may_come_in_one_chunk() {
    let collector = collect(&[json!({"id": "i", "choices": [
        {"index": 0, "delta": {"content": "hi"}, "finish_reason": "length"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2}})]);
    assert!(collector.is_complete());
    let answer = collector.into_answer();
    assert_eq!(answer.usage.unwrap().output, Some(2));
    assert_eq!(
        answer.choices[0].stop.as_ref().unwrap().kind,
        StopKind::MaxTokens
    );
}

#[test]
fn usage_may_come_alone_or_at_groqs_place() {
    let alone = [
        end("stop"),
        json!({"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}}),
    ];
    let groq = [
        json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}],
        "x_groq": {"id": "r", "usage": {"prompt_tokens": 1, "completion_tokens": 2}}}),
    ];
    for chunks in [&alone[..], &groq] {
        assert_eq!(answer(chunks).usage.unwrap().output, Some(2));
    }
}

#[test]
fn the_marker_may_be_missing_or_doubled_but_an_end_must_be_told() {
    let text = chunk(json!({"content": "hi"}));
    let done = json!("[DONE]");
    assert!(collect(&[text.clone(), end("stop")]).is_complete());
    assert!(collect(&[text.clone(), end("stop"), done.clone(), done.clone()]).is_complete());
    assert!(!collect(std::slice::from_ref(&text)).is_complete());
    assert!(!collect(&[]).is_complete());
    // The marker without a reason: all was said.
    let silent = collect(&[text, done]);
    assert!(silent.is_complete());
    assert_eq!(
        silent.into_answer().choices[0].stop.as_ref().unwrap().kind,
        StopKind::End
    );
}

#[test]
fn with_several_choices_all_have_to_end() {
    let choice = |index: u32, word: Option<&str>| {
        json!({"choices": [
        {"index": index, "delta": {"content": index.to_string()}, "finish_reason": word}]})
    };
    let chunks = [choice(0, None), choice(1, Some("stop"))];
    assert!(!collect(&chunks).is_complete());
    let chunks = [choice(1, Some("stop")), choice(0, Some("length"))];
    let collector = collect(&chunks);
    assert!(collector.is_complete());
    let stops: Vec<_> = collector
        .into_answer()
        .choices
        .iter()
        .map(|c| c.stop.as_ref().unwrap().kind)
        .collect();
    assert_eq!(stops, [StopKind::MaxTokens, StopKind::End]);
}

#[test]
fn an_error_in_the_middle_is_the_last() {
    for (name, error) in [
        (
            None,
            json!({"error": {"message": "m", "type": "t", "code": 502}}),
        ),
        (
            None,
            json!({"error": {"message": "m", "type": "t", "status_code": 502}, "choices": []}),
        ),
        (
            Some("error"),
            json!({"message": "m", "type": "t", "code": 502}),
        ),
    ] {
        let mut seen = Vec::new();
        Reader::default().event(name, &error.to_string(), &mut |event| match event {
            Event::Error {
                kind,
                status,
                message,
            } => {
                seen.push((kind.into_owned(), status, message.into_owned()));
            }
            other => panic!("{other:?}"),
        });
        assert_eq!(seen, [("t".to_owned(), Some(502), "m".to_owned())]);
    }
}

#[test]
fn chunks_with_odd_members_are_read_all_the_same() {
    let odd = json!({"id": 7, "model": null, "created": "x", "choices": [
        null, {"index": -1, "delta": {"content": "hi", "tool_calls": {"a": 1}}, "finish_reason": 3}]});
    let chunks = [odd, json!("no json"), json!("[]"), json!("7"), end("stop")];
    let answer = answer(&chunks);
    let PartKind::Text { text, .. } = &answer.choices[0].parts[0].kind else {
        panic!("a text");
    };
    assert_eq!(text, "hi");
}

#[test]
fn mistrals_thoughts_refusals_and_citations_are_read() {
    let chunks = [
        chunk(
            json!({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]}),
        ),
        chunk(json!({"content": "yes"})),
        json!({"citations": ["https://x"], "search_results": [{"url": "https://x", "title": "X"}],
            "choices": [{"index": 0, "delta": {"content": "."}}]}),
        json!({"citations": ["https://x"], "choices": [{"index": 0, "delta": {"content": "."}}]}),
        chunk(json!({"refusal": "no"})),
        end("stop"),
    ];
    let parts = answer(&chunks).choices.remove(0).parts;
    assert!(matches!(&parts[0].kind, PartKind::Reasoning(own) if own.text == "hm"));
    assert!(matches!(&parts[1].kind, PartKind::Text { text, citations }
        if text == "yes.." && citations.len() == 1 && citations[0].title.as_deref() == Some("X")));
    assert!(matches!(&parts[2].kind, PartKind::Refusal(text) if text == "no"));
}

/// What comes of events in the streams of this API, and again of these.
fn written(events: Vec<Event<'_>>) -> (String, Losses) {
    let mut writer = Writer::new(WriteOptions {
        model: "asked".to_owned(),
        created: 9,
        id: "own".to_owned(),
        include_usage: true,
        ..WriteOptions::default()
    });
    let (mut out, mut losses) = (Vec::new(), Losses::new());
    let mut grammar = Grammar::new(Order::Interleaved);
    for event in events {
        grammar.event(event, &mut |event| {
            writer.event(event, &mut out, &mut losses)
        });
    }
    (String::from_utf8(out).unwrap(), losses)
}

fn chunks(out: &str) -> Vec<Value> {
    let data = out
        .split_terminator("\n\n")
        .map(|block| block.strip_prefix("data: ").unwrap());
    let parsed = data.map(|data| serde_json::from_str(data).unwrap_or_else(|_| data.into()));
    parsed.collect()
}

fn start<'a>(block: u32, kind: BlockKind<'a>) -> Event<'a> {
    Event::BlockStart {
        choice: 0,
        block,
        kind,
    }
}

fn delta(block: u32, delta: Delta<'_>) -> Event<'_> {
    Event::Delta {
        choice: 0,
        block,
        delta,
    }
}

#[test]
fn a_stream_has_the_role_first_one_end_and_the_marker() {
    let (out, losses) = written(vec![
        start(0, BlockKind::Text),
        delta(0, Delta::Text("a\n\"b\"".into())),
        Event::Usage(crate::representation::TokenUsage {
            input: Some(1),
            output: Some(2),
            ..Default::default()
        }),
        Event::End,
    ]);
    assert!(losses.is_empty());
    let chunks = chunks(&out);
    let head = |choices: Value| json!({"id": "own", "object": "chat.completion.chunk", "created": 9, "model": "asked", "choices": choices});
    assert_eq!(
        chunks[0],
        head(
            json!([{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": null}])
        )
    );
    assert_eq!(
        chunks[1],
        head(json!([{"index": 0, "delta": {"content": "a\n\"b\""}, "finish_reason": null}]))
    );
    assert_eq!(
        chunks[2],
        head(json!([{"index": 0, "delta": {}, "finish_reason": "stop"}]))
    );
    assert_eq!(chunks[3]["choices"], json!([]));
    assert_eq!(chunks[3]["usage"]["total_tokens"], 3);
    assert_eq!(chunks[4], "[DONE]");
    assert_eq!(chunks.len(), 5);
}

#[test]
fn calls_are_numbered_and_have_an_identifier() {
    let tool = |custom| BlockKind::ToolCall {
        id: "".into(),
        name: "f".into(),
        custom,
        by_provider: false,
    };
    let (out, _) = written(vec![
        start(0, BlockKind::Text),
        start(1, tool(false)),
        start(2, tool(true)),
        delta(2, Delta::Arguments("free".into())),
        delta(1, Delta::Arguments("{}".into())),
        Event::End,
    ]);
    let all = chunks(&out);
    let calls = |at: usize| all[at]["choices"][0]["delta"]["tool_calls"][0].clone();
    assert_eq!(
        calls(1),
        json!({"index": 0, "id": "call_0_0", "type": "function", "function": {"name": "f", "arguments": ""}})
    );
    assert_eq!(
        calls(2),
        json!({"index": 1, "id": "call_0_1", "type": "custom", "custom": {"name": "f", "input": ""}})
    );
    assert_eq!(calls(3), json!({"index": 1, "custom": {"input": "free"}}));
    assert_eq!(
        calls(4),
        json!({"index": 0, "function": {"arguments": "{}"}})
    );
    assert_eq!(all[5]["choices"][0]["finish_reason"], "tool_calls");
}

#[test]
fn thoughts_with_their_signatures_survive_a_stream() {
    let thought =
        |id: Option<&'static str>, encrypted: Option<&'static str>| BlockKind::Reasoning {
            id: id.map(Into::into),
            encrypted: encrypted.map(Into::into),
        };
    let (out, losses) = written(vec![
        start(0, thought(None, None)),
        delta(0, Delta::Reasoning("one".into())),
        delta(0, Delta::Signature("s1".into())),
        start(1, thought(None, None)),
        delta(1, Delta::Reasoning("two".into())),
        delta(1, Delta::Signature("s2".into())),
        start(2, thought(None, Some("hidden"))),
        start(3, thought(Some("rs"), None)),
        delta(3, Delta::Summary(0, "a".into())),
        delta(3, Delta::Summary(1, "b".into())),
        delta(3, Delta::Encrypted("data".into())),
        start(4, thought(Some("rs2"), None)),
        delta(4, Delta::Reasoning("named".into())),
        start(5, BlockKind::Text),
        delta(5, Delta::Text("x".into())),
        Event::End,
    ]);
    assert!(losses.is_empty());
    let parts = answer(&chunks(&out)).choices.remove(0).parts;
    let told: Vec<_> = parts
        .iter()
        .filter_map(|part| match &part.kind {
            PartKind::Reasoning(own) => Some((
                own.text.as_str(),
                own.summary.join("|"),
                own.signature.as_deref(),
                own.encrypted.as_deref(),
                own.id.as_deref(),
            )),
            _ => None,
        })
        .collect();
    let none = String::new;
    assert_eq!(
        told,
        [
            ("one", none(), Some("s1"), None, None),
            ("two", none(), Some("s2"), None, None),
            ("", none(), None, Some("hidden"), None),
            ("", "a|b".to_owned(), None, Some("data"), Some("rs")),
            ("named", none(), None, None, Some("rs2")),
        ]
    );
}

#[test]
fn pictures_and_signatures_of_texts_and_calls_survive_a_stream() {
    let (out, losses) = written(vec![
        start(0, BlockKind::Text),
        delta(0, Delta::Text("x".into())),
        delta(0, Delta::Signature("s".into())),
        start(
            1,
            BlockKind::Media {
                media_type: "image/png".into(),
            },
        ),
        delta(1, Delta::Data("AA".into())),
        delta(1, Delta::Data("==".into())),
        Event::End,
    ]);
    assert!(losses.is_empty());
    let parts = answer(&chunks(&out)).choices.remove(0).parts;
    assert_eq!(parts[0].signature.as_deref(), Some("s"));
    assert!(matches!(&parts[1].kind, PartKind::Image {
        source: crate::representation::Blob::Base64 { data, .. }, .. } if data == "AA=="));
}

#[test]
fn an_error_keeps_its_own_word_as_the_code() {
    let (out, _) = written(vec![Event::Error {
        kind: "overloaded_error".into(),
        status: Some(529),
        message: "m".into(),
    }]);
    assert_eq!(
        chunks(&out),
        [
            json!({"error": {"message": "m", "type": "server_error", "param": null, "code": "overloaded_error"}})
        ]
    );
}

#[test]
fn what_the_provider_ran_itself_is_lost_and_told() {
    let (out, losses) = written(vec![
        start(
            0,
            BlockKind::ToolCall {
                id: "a".into(),
                name: "web_search".into(),
                custom: false,
                by_provider: true,
            },
        ),
        delta(0, Delta::Arguments("{}".into())),
        Event::End,
    ]);
    assert!(!out.contains("tool_calls"));
    assert_eq!(losses.as_slice()[0].path, "/choices/0/message");
}
