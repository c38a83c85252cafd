//! Streams, written.

use super::*;

/// What is written for events, by event: name and data.
fn write(events: Vec<Event<'_>>) -> (Vec<(String, Value)>, Vec<String>) {
    let options = WriteOptions {
        model: "asked".to_owned(),
        id: "own".to_owned(),
        ..WriteOptions::default()
    };
    let mut writer = Writer::new(options);
    let mut losses = Losses::new();
    let mut out = Vec::new();
    for event in events {
        writer.event(event, &mut out, &mut losses);
    }
    let text = String::from_utf8(out).unwrap();
    let blocks = text.strip_suffix("\n\n").unwrap().split("\n\n");
    let frames = blocks.map(|block| {
        let (name, data) = block.split_once('\n').unwrap();
        let name = name.strip_prefix("event: ").unwrap().to_owned();
        let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(data["type"], name.as_str());
        (name, data)
    });
    let losses = losses.as_slice().iter();
    let losses = losses.map(|l| format!("{} {}", l.path, l.kind.as_str()));
    (frames.collect(), losses.collect())
}

/// Writes blocks between start and end; gives the events between as short lines.
fn blocks(events: Vec<Event<'_>>) -> (Vec<String>, Vec<String>) {
    let mut all = vec![start("a", "m")];
    all.extend(events);
    all.push(Event::End);
    let (frames, losses) = write(all);
    let lines = frames.into_iter().filter_map(|(name, data)| {
        let index = &data["index"];
        match name.as_str() {
            "content_block_start" => Some(format!("+{index} {}", data["content_block"])),
            "content_block_delta" => {
                let delta = data["delta"].as_object().unwrap();
                let value = delta.values().nth(1).unwrap();
                Some(format!(
                    "{index} {} {value}",
                    delta["type"].as_str().unwrap()
                ))
            }
            "content_block_stop" => Some(format!("-{index}")),
            _ => None,
        }
    });
    (lines.collect(), losses)
}

fn start(id: &'static str, model: &'static str) -> Event<'static> {
    Event::Start {
        id: id.into(),
        model: model.into(),
        created: Some(1),
        service_tier: None,
        usage: None,
    }
}

fn open(block: u32, kind: BlockKind<'static>) -> Event<'static> {
    Event::BlockStart {
        choice: 0,
        block,
        kind,
    }
}

fn close(block: u32) -> Event<'static> {
    Event::BlockStop { choice: 0, block }
}

fn thoughts() -> BlockKind<'static> {
    BlockKind::Reasoning {
        id: None,
        encrypted: None,
    }
}

fn call(id: &'static str, custom: bool) -> BlockKind<'static> {
    BlockKind::ToolCall {
        id: id.into(),
        name: "f".into(),
        custom,
        by_provider: false,
    }
}

fn stop(kind: StopKind, raw: &str) -> Event<'static> {
    Event::Stop {
        choice: 0,
        reason: StopReason {
            kind,
            raw: raw.to_owned(),
            sequence: None,
        },
    }
}

#[test]
fn a_stream_has_the_events_that_clients_expect() {
    let usage = TokenUsage {
        input: Some(5),
        output: Some(2),
        ..TokenUsage::default()
    };
    let (frames, losses) = write(vec![
        start("", ""),
        open(0, BlockKind::Text),
        delta(0, Delta::Text("a \"b\"\n".into())),
        close(0),
        stop(StopKind::MaxTokens, "length"),
        Event::Usage(usage),
        Event::End,
    ]);
    let names: Vec<_> = frames.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "message_start",
            "ping",
            "content_block_start",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop"
        ]
    );
    assert_eq!(
        frames[0].1["message"],
        json!({
            "id": "own", "type": "message", "role": "assistant", "model": "asked", "content": [],
            "stop_reason": null, "stop_sequence": null,
            "usage": {"input_tokens": 0, "output_tokens": 0},
        })
    );
    assert_eq!(
        frames[3].1["delta"],
        json!({"type": "text_delta", "text": "a \"b\"\n"})
    );
    assert_eq!(
        frames[5].1["delta"],
        json!({"stop_reason": "max_tokens", "stop_sequence": null})
    );
    assert_eq!(
        frames[5].1["usage"],
        json!({"input_tokens": 5, "output_tokens": 2})
    );
    assert!(losses.is_empty());
}

#[test]
fn calls_end_an_answer_with_the_word_that_clients_wait_for() {
    for reason in [
        stop(StopKind::End, "STOP"),
        stop(StopKind::End, "end_turn"),
        Event::Usage(TokenUsage::default()),
    ] {
        let (frames, _) = write(vec![
            start("", ""),
            open(0, call("", false)),
            close(0),
            reason,
            Event::End,
        ]);
        assert_eq!(frames[2].1["content_block"]["id"], "call_own_0");
        assert_eq!(frames[4].1["delta"]["stop_reason"], "tool_use");
    }
}

#[test]
fn thoughts_are_written_as_what_comes_of_them() {
    let (lines, losses) = blocks(vec![
        open(0, thoughts()),
        delta(0, Delta::Reasoning("t".into())),
        delta(0, Delta::Signature("s".into())),
        close(0),
        open(1, thoughts()),
        delta(1, Delta::Encrypted("e1".into())),
        delta(1, Delta::Encrypted("e2".into())),
        close(1),
        open(2, thoughts()),
        close(2),
        open(3, thoughts()),
        delta(3, Delta::Summary(0, "a".into())),
        delta(3, Delta::Summary(1, "b".into())),
        delta(3, Delta::Encrypted("e".into())),
        close(3),
    ]);
    let thinking = r#"{"type":"thinking","thinking":"","signature":""}"#;
    assert_eq!(
        lines,
        [
            format!("+0 {thinking}"),
            r#"0 thinking_delta "t""#.to_owned(),
            r#"0 signature_delta "s""#.to_owned(),
            "-0".to_owned(),
            r#"+1 {"type":"redacted_thinking","data":"e1e2"}"#.to_owned(),
            "-1".to_owned(),
            format!("+2 {thinking}"),
            r#"2 thinking_delta "a""#.to_owned(),
            r#"2 thinking_delta "\n\n""#.to_owned(),
            r#"2 thinking_delta "b""#.to_owned(),
            "-2".to_owned(),
            r#"+3 {"type":"redacted_thinking","data":"e"}"#.to_owned(),
            "-3".to_owned(),
        ]
    );
    assert_eq!(losses, ["/0/3 approximated"]);
}

#[test]
fn free_text_stands_in_an_object() {
    let (lines, losses) = blocks(vec![
        open(0, call("i", true)),
        delta(0, Delta::Arguments("a\"".into())),
        delta(0, Delta::Arguments("\nb".into())),
        close(0),
    ]);
    let pieces: String = lines[1..lines.len() - 1]
        .iter()
        .map(|line| {
            serde_json::from_str::<String>(line.strip_prefix("0 input_json_delta ").unwrap())
                .unwrap()
        })
        .collect();
    assert_eq!(pieces, r#"{"input":"a\"\nb"}"#);
    assert_eq!(losses, ["/0/0 approximated"]);
}

#[test]
fn what_has_no_place_is_reported_and_leaves_no_gap() {
    let citation = |url: Option<&str>| {
        Delta::Citation(Citation {
            url: url.map(str::to_owned),
            ..Citation::default()
        })
    };
    let other = BlockKind::Other {
        kind: "x".into(),
        value: json!({"type": "x"}),
    };
    let (lines, losses) = blocks(vec![
        open(
            0,
            BlockKind::Media {
                media_type: "image/png".into(),
            },
        ),
        delta(0, Delta::Data("AA".into())),
        close(0),
        open(1, other),
        close(1),
        open(2, BlockKind::Refusal),
        delta(2, Delta::Text("no".into())),
        delta(2, Delta::Signature("s".into())),
        delta(2, citation(None)),
        delta(2, citation(Some("https://a"))),
        close(2),
        Event::BlockStart {
            choice: 1,
            block: 0,
            kind: BlockKind::Text,
        },
        Event::Logprobs {
            choice: 0,
            content: json!([]),
        },
        Event::Other {
            kind: "x".into(),
            value: json!({}),
        },
    ]);
    assert_eq!(lines[0], r#"+0 {"type":"text","text":""}"#);
    assert_eq!(lines.len(), 4);
    assert_eq!(
        losses,
        [
            "/0/0 dropped",
            "/0/1 dropped",
            "/0/2 approximated",
            "/0/2 dropped",
            "/0/2 dropped",
            "/0/2 approximated",
            "/1 dropped",
            "/0/logprobs dropped",
            " dropped"
        ]
    );
}

#[test]
fn errors_are_written_in_the_words_of_the_api() {
    let error = |kind: &'static str, status| Event::Error {
        kind: kind.into(),
        status,
        message: "m".into(),
    };
    let with = |kind, status| write(vec![error(kind, status)]).0[0].1["error"].take();
    assert_eq!(
        with("rate_limit_exceeded", Some(429)),
        json!({"type": "rate_limit_error", "message": "m"})
    );
    assert_eq!(with("overloaded_error", None)["type"], "overloaded_error");
    assert_eq!(with("server_error", None)["type"], "api_error");
}
