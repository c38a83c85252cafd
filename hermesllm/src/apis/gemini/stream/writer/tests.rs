use super::*;
use crate::representation::StopKind;

fn start() -> Event<'static> {
    Event::Start {
        id: "r".into(),
        model: "m".into(),
        created: None,
        service_tier: None,
        usage: None,
    }
}

fn block(block: u32, kind: BlockKind<'static>) -> Event<'static> {
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

fn end(block: u32) -> Event<'static> {
    Event::BlockStop { choice: 0, block }
}

fn call(is_custom: bool, by_provider: bool) -> BlockKind<'static> {
    BlockKind::ToolCall {
        id: "1".into(),
        name: "f".into(),
        custom: is_custom,
        by_provider,
    }
}

fn run(framing: Framing, events: Vec<Event<'static>>) -> (String, Vec<String>) {
    let mut writer = Writer::new(WriteOptions {
        json_array: framing == Framing::Array,
        ..WriteOptions::default()
    });
    let mut out = Vec::new();
    let mut losses = Losses::new();
    for event in events {
        writer.event(event, &mut out, &mut losses);
    }
    let paths = losses.as_slice().iter().map(|loss| loss.path.to_string());
    (String::from_utf8(out).unwrap(), paths.collect())
}

/// The parts of every chunk but the last.
fn parts(events: Vec<Event<'static>>) -> (Vec<Value>, Vec<String>) {
    let mut all = vec![start()];
    all.extend(events);
    all.push(Event::End);
    let (text, lost) = run(Framing::Array, all);
    let chunks: Vec<Value> = serde_json::from_str(&text).unwrap();
    let parts = chunks.iter().take(chunks.len() - 1);
    let part = |chunk: &Value| chunk["candidates"][0]["content"]["parts"][0].clone();
    (parts.map(part).collect(), lost)
}

fn stop() -> Event<'static> {
    Event::Stop {
        choice: 0,
        reason: StopReason {
            kind: StopKind::End,
            raw: "end_turn".to_owned(),
            sequence: None,
        },
    }
}

#[test]
fn chunks_are_events_or_items_of_one_array() {
    let events = || {
        vec![
            start(),
            block(0, BlockKind::Text),
            delta(0, Delta::Text("a\"".into())),
            end(0),
            stop(),
            Event::Usage(TokenUsage {
                output: Some(1),
                ..TokenUsage::default()
            }),
            Event::End,
        ]
    };
    let first = r#"{"candidates":[{"content":{"parts":[{"text":"a\""}],"role":"model"},"index":0}],"modelVersion":"m","responseId":"r"}"#;
    let last = r#"{"candidates":[{"content":{"parts":[{"text":""}],"role":"model"},"finishReason":"STOP","index":0}],"usageMetadata":{"candidatesTokenCount":1},"modelVersion":"m","responseId":"r"}"#;
    let (sse, lost) = run(Framing::Sse, events());
    assert_eq!(sse, format!("data: {first}\r\n\r\ndata: {last}\r\n\r\n"));
    assert!(lost.is_empty());
    let (array, _) = run(Framing::Array, events());
    assert_eq!(array, format!("[{first},\r\n{last}]"));
}

#[test]
fn an_error_is_a_chunk_and_closes_the_array() {
    let error = || Event::Error {
        kind: "overloaded_error".into(),
        status: Some(529),
        message: "m".into(),
    };
    let body = r#"{"error":{"code":529,"message":"m","status":"UNAVAILABLE"}}"#;
    let (sse, _) = run(Framing::Sse, vec![error()]);
    assert_eq!(sse, format!("data: {body}\r\n\r\n"));
    let (array, _) = run(Framing::Array, vec![error()]);
    assert_eq!(array, format!("[{body}]"));
}

#[test]
fn calls_are_written_when_they_are_whole() {
    let (parts, lost) = parts(vec![
        block(0, call(false, false)),
        block(1, call(true, false)),
        delta(0, Delta::Arguments("{\"a\"".into())),
        delta(1, Delta::Arguments("free".into())),
        delta(0, Delta::Arguments(":1}".into())),
        delta(0, Delta::Signature("s".into())),
        end(0),
        end(1),
        block(2, call(false, false)),
        delta(2, Delta::Arguments("{\"cut".into())),
        end(2),
        block(3, call(false, true)),
        end(3),
    ]);
    let call = |args: Value| json!({"functionCall": {"id": "1", "name": "f", "args": args}});
    let mut first = call(json!({"a": 1}));
    first["thoughtSignature"] = "s".into();
    let second = call(json!({"input": "free"}));
    let third = call(json!({"arguments": "{\"cut"}));
    assert_eq!(parts, [first, second, third]);
    assert_eq!(lost, ["/0/1", "/0/2", "/0/3", ""]);
}

#[test]
fn thoughts_keep_their_signature_and_summaries_their_number() {
    let thoughts = BlockKind::Reasoning {
        id: None,
        encrypted: Some("e".into()),
    };
    let (parts, lost) = parts(vec![
        block(0, thoughts),
        delta(0, Delta::Summary(0, "a".into())),
        delta(0, Delta::Summary(1, "b".into())),
        delta(0, Delta::Signature("s".into())),
        end(0),
    ]);
    let text = |text: &str| json!({"text": text, "thought": true});
    let signed = json!({"text": "", "thought": true, "thoughtSignature": "s"});
    assert_eq!(parts, [text("a"), text("\n\n"), text("b"), signed]);
    assert_eq!(lost, ["/0/0", ""]);
}

#[test]
fn an_answer_without_a_reason_or_anything_ends_all_the_same() {
    let (text, lost) = run(Framing::Array, vec![start(), Event::End]);
    let chunks: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(chunks[0]["candidates"][0]["finishReason"], "STOP");
    assert_eq!(lost.len(), 1);
}

#[test]
fn sound_is_written_with_what_is_said_in_it() {
    let media = BlockKind::Media {
        media_type: "audio/wav".into(),
    };
    let (parts, lost) = parts(vec![
        block(0, media),
        delta(0, Delta::Data("AA".into())),
        delta(0, Delta::Transcript("hi".into())),
        delta(0, Delta::Data("==".into())),
        end(0),
    ]);
    let blob = json!({"inlineData": {"mimeType": "audio/wav", "data": "AA=="}});
    assert_eq!(parts, [json!({"text": "hi"}), blob]);
    assert_eq!(lost[0], "/0/0");
}

#[test]
fn citations_of_another_api_stand_in_the_last_chunk() {
    let citation = Citation {
        url: Some("u".to_owned()),
        span: Some((0, 1)),
        ..Citation::default()
    };
    let events = vec![
        start(),
        block(0, BlockKind::Text),
        delta(0, Delta::Text("ab".into())),
        delta(0, Delta::Citation(citation)),
        end(0),
        Event::End,
    ];
    let (text, _) = run(Framing::Array, events);
    let chunks: Value = serde_json::from_str(&text).unwrap();
    let metadata = &chunks[1]["candidates"][0]["groundingMetadata"];
    assert_eq!(metadata["groundingChunks"][0]["web"]["uri"], "u");
    assert_eq!(metadata["groundingSupports"][0]["segment"]["endIndex"], 1);
}
