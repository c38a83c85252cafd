use proptest::prelude::*;

use super::*;
use crate::apis::{WriteEvents, WriteOptions};
use crate::representation::{Citation, Losses, ProviderResponse, StopKind, TokenUsage};
use crate::translate::{Collector, Grammar, Order};

/// Reads events, puts them in order, writes them; what is written, and what the stream adds up to.
fn pass(events: &[(&str, &str)]) -> (Vec<(String, Value)>, ProviderResponse, bool) {
    let mut reader = Reader::default();
    let mut grammar = Grammar::new(Order::Sequential);
    let mut collector = Collector::new();
    let mut seen = Vec::new();
    let mut note = |event: Event<'_>| {
        grammar.event(event, &mut |event| {
            collector.event(event.clone());
            seen.push(owned(event));
        });
    };
    for (name, data) in events {
        reader.event(Some(name), data, &mut note);
    }
    reader.finish(&mut note);
    let is_complete = collector.is_complete();
    let (written, losses) = write(seen);
    assert!(losses.is_empty(), "{losses:?}");
    (written, collector.into_answer(), is_complete)
}

fn owned(event: Event<'_>) -> Event<'static> {
    match event {
        Event::Start { usage, .. } => start(usage),
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
        Event::Other { kind, value } => Event::Other {
            kind: kind.into_owned().into(),
            value,
        },
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
    }
}

fn start(usage: Option<TokenUsage>) -> Event<'static> {
    Event::Start {
        id: "".into(),
        model: "".into(),
        created: None,
        service_tier: None,
        usage,
    }
}

/// What events are written as: names and payloads.
fn write(events: Vec<Event<'static>>) -> (Vec<(String, Value)>, Losses) {
    let mut writer = Writer::new(WriteOptions::default());
    let mut out = Vec::new();
    let mut losses = Losses::new();
    for event in events {
        writer.event(event, &mut out, &mut losses);
    }
    let mut decoder = frames::Decoder::default();
    let mut written = Vec::new();
    decoder.push(&out, &mut |frame| {
        let payload = serde_json::from_slice(frame.payload).unwrap();
        written.push((frame.event_type.to_owned(), payload));
    });
    assert!(decoder.finish());
    (written, losses)
}

fn open(block: u32, kind: BlockKind<'static>) -> Event<'static> {
    Event::BlockStart {
        choice: 0,
        block,
        kind,
    }
}

fn more(block: u32, delta: Delta<'static>) -> Event<'static> {
    piece(block, delta)
}

fn close(block: u32) -> Event<'static> {
    Event::BlockStop { choice: 0, block }
}

/// That a stream is written as it was read.
fn comes_back(events: &[(&str, &str)]) -> ProviderResponse {
    let (written, answer, is_complete) = pass(events);
    let expected: Vec<(String, Value)> = events
        .iter()
        .map(|(name, data)| {
            let mut payload: Value = serde_json::from_str(data).unwrap();
            payload.as_object_mut().unwrap().shift_remove("p");
            ((*name).to_owned(), payload)
        })
        .collect();
    assert_eq!(written, expected);
    assert!(is_complete);
    answer
}

#[test]
fn everything_that_the_service_streams_comes_back() {
    let answer = comes_back(&[
        ("messageStart", r#"{"role":"assistant","p":"abc"}"#),
        (
            "contentBlockDelta",
            r#"{"delta":{"reasoningContent":{"text":"th"}},"contentBlockIndex":0,"p":"a"}"#,
        ),
        (
            "contentBlockDelta",
            r#"{"delta":{"reasoningContent":{"signature":"s"}},"contentBlockIndex":0}"#,
        ),
        ("contentBlockStop", r#"{"contentBlockIndex":0}"#),
        (
            "contentBlockDelta",
            r#"{"delta":{"reasoningContent":{"redactedContent":"RXRrRUNr"}},"contentBlockIndex":1}"#,
        ),
        ("contentBlockStop", r#"{"contentBlockIndex":1}"#),
        (
            "contentBlockDelta",
            r#"{"delta":{"reasoningContent":{"redactedContent":"AAAA"}},"contentBlockIndex":2}"#,
        ),
        ("contentBlockStop", r#"{"contentBlockIndex":2}"#),
        (
            "contentBlockDelta",
            r#"{"delta":{"citation":{"title":"t","location":{"web":{"url":"u"}}}},"contentBlockIndex":3}"#,
        ),
        (
            "contentBlockDelta",
            r#"{"delta":{"text":"a \"quoted\" \n é"},"contentBlockIndex":3}"#,
        ),
        ("contentBlockStop", r#"{"contentBlockIndex":3}"#),
        (
            "contentBlockStart",
            r#"{"start":{"toolUse":{"toolUseId":"i","name":"n","type":"server_tool_use"}},"contentBlockIndex":4}"#,
        ),
        (
            "contentBlockDelta",
            r#"{"delta":{"toolUse":{"input":"{\"a\":"}},"contentBlockIndex":4}"#,
        ),
        (
            "contentBlockDelta",
            r#"{"delta":{"toolUse":{"input":"1}"}},"contentBlockIndex":4}"#,
        ),
        ("contentBlockStop", r#"{"contentBlockIndex":4}"#),
        (
            "contentBlockStart",
            r#"{"start":{"toolResult":{"toolUseId":"i","type":"r","status":"success"}},"contentBlockIndex":5}"#,
        ),
        (
            "contentBlockDelta",
            r#"{"delta":{"toolResult":[{"text":"t"},{"json":1}]},"contentBlockIndex":5}"#,
        ),
        ("contentBlockStop", r#"{"contentBlockIndex":5}"#),
        (
            "contentBlockStart",
            r#"{"start":{"image":{"format":"png"}},"contentBlockIndex":6}"#,
        ),
        (
            "contentBlockDelta",
            r#"{"delta":{"image":{"source":{"bytes":"AA=="}}},"contentBlockIndex":6}"#,
        ),
        ("contentBlockStop", r#"{"contentBlockIndex":6}"#),
        (
            "messageStop",
            r#"{"stopReason":"stop_sequence","additionalModelResponseFields":{"stop_sequence":"E"}}"#,
        ),
        (
            "metadata",
            r#"{"usage":{"inputTokens":1,"outputTokens":2,"totalTokens":8,"cacheReadInputTokens":5,"serverToolUsage":{"w":1}},"metrics":{"latencyMs":5},"trace":{"guardrail":{}},"serviceTier":{"type":"flex"}}"#,
        ),
    ]);
    assert_eq!(answer.choices[0].parts.len(), 7);
    let stop = answer.choices[0].stop.as_ref().unwrap();
    assert_eq!(stop.sequence.as_deref(), Some("E"));
    assert_eq!(answer.usage.unwrap().input, Some(6));
}

#[test]
fn an_exception_ends_the_stream_and_keeps_its_type() {
    for (name, data) in [
        ("throttlingException", r#"{"message":"slow"}"#),
        (
            "modelStreamErrorException",
            r#"{"message":"broken","originalStatusCode":502}"#,
        ),
    ] {
        let (written, _, is_complete) = pass(&[
            ("messageStart", r#"{"role":"assistant"}"#),
            (name, data),
            ("messageStop", r#"{"stopReason":"end_turn"}"#),
        ]);
        assert!(!is_complete);
        assert_eq!(written.len(), 2);
        assert_eq!(written[1].0, name);
        assert_eq!(written[1].1, serde_json::from_str::<Value>(data).unwrap());
    }
}

#[test]
fn exceptions_have_a_status() {
    let read = |name: &str, data: &str| {
        let mut seen = None;
        Reader::default().event(Some(name), data, &mut |event| {
            if let Event::Error {
                status, message, ..
            } = event
            {
                seen = Some((status, message.into_owned()));
            }
        });
        seen
    };
    let of = |status, message: &str| Some((status, message.to_owned()));
    assert_eq!(
        read("throttlingException", r#"{"message":"m"}"#),
        of(Some(429), "m")
    );
    assert_eq!(
        read(frames::PROTOCOL_ERROR, r#"{"message":"m"}"#),
        of(Some(502), "m")
    );
    assert_eq!(read("whatever", r#"{"message":"m"}"#), of(None, "m"));
    assert_eq!(read("newException", "no JSON"), of(None, "newException"));
    assert_eq!(read("newEvent", r#"{"a":1}"#), None);
}

#[test]
fn all_is_said_with_the_stop_and_nothing_without() {
    let text = (
        "contentBlockDelta",
        r#"{"delta":{"text":"a"},"contentBlockIndex":0}"#,
    );
    let (_, _, is_complete) = pass(&[("messageStart", "{}"), text]);
    assert!(!is_complete);
    let stop = ("messageStop", r#"{"stopReason":"end_turn"}"#);
    let (_, answer, is_complete) = pass(&[("messageStart", "{}"), text, stop]);
    assert!(is_complete);
    assert_eq!(answer.usage, None);
}

#[test]
fn the_stream_of_another_api_is_written() {
    let usage = TokenUsage {
        input: Some(10),
        cached: Some(4),
        ..TokenUsage::default()
    };
    let later = TokenUsage {
        output: Some(3),
        ..TokenUsage::default()
    };
    let call = |id: &'static str, custom| BlockKind::ToolCall {
        id: id.into(),
        name: "f".into(),
        custom,
        by_provider: false,
    };
    let (written, losses) = write(vec![
        start(Some(usage)),
        open(
            0,
            BlockKind::Reasoning {
                id: None,
                encrypted: Some("Etk".into()),
            },
        ),
        more(0, Delta::Summary(0, "a".into())),
        more(0, Delta::Summary(1, "b".into())),
        close(0),
        open(1, BlockKind::Text),
        close(1),
        open(
            2,
            BlockKind::Other {
                kind: "web_search_tool_result".into(),
                value: json!({}),
            },
        ),
        close(2),
        open(3, call("", false)),
        more(3, Delta::Arguments("{}".into())),
        close(3),
        open(4, call("c", true)),
        more(4, Delta::Arguments("say \"".into())),
        more(4, Delta::Arguments("hi\"".into())),
        close(4),
        open(
            5,
            BlockKind::Media {
                media_type: "audio/wav".into(),
            },
        ),
        more(5, Delta::Data("AA==".into())),
        more(5, Delta::Transcript("la".into())),
        close(5),
        Event::Stop {
            choice: 0,
            reason: StopReason {
                kind: StopKind::ToolCalls,
                raw: "tool_calls".to_owned(),
                sequence: None,
            },
        },
        Event::Usage(later),
        Event::End,
    ]);
    let delta = |block: u32, delta: Value| {
        (
            "contentBlockDelta".to_owned(),
            json!({"delta": delta, "contentBlockIndex": block}),
        )
    };
    let stop = |block: u32| {
        (
            "contentBlockStop".to_owned(),
            json!({"contentBlockIndex": block}),
        )
    };
    let tool = |block: u32, id: &str| {
        let start = json!({"toolUse": {"toolUseId": id, "name": "f"}});
        (
            "contentBlockStart".to_owned(),
            json!({"start": start, "contentBlockIndex": block}),
        )
    };
    let input = |piece: &str| json!({"toolUse": {"input": piece}});
    let thoughts = |text: &str| json!({"reasoningContent": {"text": text}});
    assert_eq!(
        written,
        [
            ("messageStart".to_owned(), json!({"role": "assistant"})),
            delta(0, json!({"reasoningContent": {"redactedContent": "RXRr"}})),
            delta(0, thoughts("a")),
            delta(0, thoughts("\n\n")),
            delta(0, thoughts("b")),
            stop(0),
            delta(1, json!({"text": ""})),
            stop(1),
            tool(2, "call_2"),
            delta(2, input("{}")),
            stop(2),
            tool(3, "c"),
            delta(3, input("{\"input\":\"")),
            delta(3, input("say \\\"")),
            delta(3, input("hi\\\"")),
            delta(3, input("\"}")),
            stop(3),
            delta(4, json!({"text": "la"})),
            stop(4),
            ("messageStop".to_owned(), json!({"stopReason": "tool_use"})),
            (
                "metadata".to_owned(),
                json!({
                    "usage": {
                        "inputTokens": 6, "outputTokens": 3, "totalTokens": 13, "cacheReadInputTokens": 4,
                    },
                    "metrics": {"latencyMs": 0},
                })
            ),
        ]
    );
    let at: Vec<_> = losses.as_slice().iter().map(|loss| &*loss.path).collect();
    assert_eq!(at, ["/0/0", "/0/2", "/0/4", "/0/5"]);
}

#[test]
fn what_a_stream_has_beside_converse_s_is_told() {
    let citation = Citation {
        url: Some("u".to_owned()),
        raw: Some(json!({"type": "url_citation", "url": "u"})),
        ..Citation::default()
    };
    let (written, losses) = write(vec![
        start(None),
        Event::BlockStart {
            choice: 1,
            block: 0,
            kind: BlockKind::Text,
        },
        open(0, BlockKind::Refusal),
        more(0, Delta::Text("no".into())),
        close(0),
        open(1, BlockKind::Text),
        more(1, Delta::Citation(citation)),
        more(1, Delta::Signature("s".into())),
        close(1),
        Event::Logprobs {
            choice: 0,
            content: json!([]),
        },
        Event::Other {
            kind: "new".into(),
            value: json!({}),
        },
        Event::End,
    ]);
    let names: Vec<_> = written.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "messageStart",
            "contentBlockDelta",
            "contentBlockStop",
            "contentBlockDelta",
            "contentBlockStop",
            "messageStop",
        ]
    );
    assert_eq!(
        written[3].1["delta"]["citation"],
        json!({"source": "u", "location": {"web": {"url": "u"}}})
    );
    let mut at: Vec<_> = losses.as_slice().iter().map(|loss| &*loss.path).collect();
    at.sort_unstable();
    assert_eq!(at, ["", "", "/0/0", "/0/1", "/0/1", "/0/logprobs", "/1"]);
}

#[test]
fn an_error_of_ours_is_an_exception() {
    let error = |kind: &'static str, status| {
        let (written, _) = write(vec![Event::Error {
            kind: kind.into(),
            status,
            message: "m".into(),
        }]);
        written.into_iter().next().unwrap()
    };
    assert_eq!(
        error("upstream_truncated", Some(502)),
        (
            "modelStreamErrorException".to_owned(),
            json!({"message": "m", "originalStatusCode": 502})
        )
    );
    assert_eq!(
        error("overloaded_error", Some(529)),
        (
            "serviceUnavailableException".to_owned(),
            json!({"message": "m"})
        )
    );
}

proptest! {
    #[test]
    fn any_event_is_no_panic(
        name in prop::sample::select(vec![
            "messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop",
            "messageStop", "metadata", "x", "xException",
        ]),
        data in prop_oneof![
            "\\PC{0,30}",
            "\\{\"(delta|start|usage|contentBlockIndex|stopReason)\":(1|-1|\"a\"|null|\\{\\}|\\[\\]|99999999999)\\}",
            "\\{\"(delta|start)\":\\{\"(text|toolUse|toolResult|image|citation|reasoningContent)\":(1|\"a\"|null|\\{\\}|\\[1\\])\\}\\}",
        ],
    ) {
        let mut reader = Reader::default();
        reader.event(Some(name), &data, &mut |_| {});
        reader.event(Some("contentBlockStop"), "{}", &mut |_| {});
        reader.finish(&mut |_| {});
    }
}
