use serde_json::{json, Value};

use super::*;
use crate::apis::{ReadEvents, WriteEvents, WriteOptions};
use crate::representation::{
    BlockKind, Delta, Losses, PartKind, ProviderStreamResponse as Event, StopKind, StopReason,
    TokenUsage,
};
use crate::translate::{Collector, Grammar, Order};

fn read(data: &[String]) -> Collector {
    let mut reader = Reader::default();
    let mut grammar = Grammar::new(Order::Interleaved);
    let mut collector = Collector::new();
    for data in data {
        reader.event(None, data, &mut |event| {
            grammar.event(event, &mut |event| collector.event(event));
        });
    }
    reader.finish(&mut |event| grammar.event(event, &mut |event| collector.event(event)));
    collector
}

fn chunk(index: u32, text: &str, end: Option<&str>) -> String {
    let choice = json!({"index": index, "text": text, "finish_reason": end, "logprobs": null});
    json!({"id": "i", "created": 1, "model": "m", "choices": [choice], "usage": null}).to_string()
}

fn texts(collector: Collector) -> Vec<String> {
    let answer = collector.into_answer();
    let choices = answer.choices.into_iter();
    let texts = choices.map(|choice| match &choice.parts[0].kind {
        PartKind::Text { text, .. } => text.clone(),
        other => panic!("{other:?}"),
    });
    texts.collect()
}

#[test]
fn choices_that_come_in_turns_are_told_apart_and_end_without_a_marker() {
    let mut stream = vec![
        chunk(0, "a", None),
        chunk(1, "x", None),
        chunk(0, "b", Some("length")),
    ];
    assert!(!read(&stream).is_complete(), "the second has not ended");
    stream.push(chunk(1, "", Some("stop")));
    let collector = read(&stream);
    assert!(collector.is_complete());
    assert_eq!(texts(collector), ["ab", "x"]);
}

#[test]
fn an_error_in_the_middle_is_one_and_noise_is_nothing() {
    let error =
        json!({"error": {"message": "m", "type": "server_error", "code": "503"}}).to_string();
    let collector = read(&[chunk(0, "a", None), "{".to_owned(), "7".to_owned(), error]);
    assert_eq!(collector.error(), Some("m"));
}

#[test]
fn a_stream_of_another_api_is_its_text() {
    let mut writer = Writer::new(WriteOptions {
        include_usage: true,
        model: "asked".to_owned(),
        created: 7,
        id: "made".to_owned(),
        ..WriteOptions::default()
    });
    let thoughts = BlockKind::Reasoning {
        id: None,
        encrypted: None,
    };
    let piece = |block, delta| Event::Delta {
        choice: 0,
        block,
        delta,
    };
    let start = |block, kind| Event::BlockStart {
        choice: 0,
        block,
        kind,
    };
    let (mut out, mut losses) = (Vec::new(), Losses::new());
    for event in [
        Event::Start {
            id: "".into(),
            model: "".into(),
            created: None,
            service_tier: None,
            usage: None,
        },
        start(0, thoughts),
        piece(0, Delta::Reasoning("hm".into())),
        start(1, BlockKind::Text),
        piece(1, Delta::Text("a".into())),
        Event::Logprobs {
            choice: 0,
            content: json!([{"token": "a", "logprob": -1.0, "top_logprobs": []}]),
        },
        Event::Stop {
            choice: 0,
            reason: StopReason {
                kind: StopKind::MaxTokens,
                raw: "max_tokens".to_owned(),
                sequence: None,
            },
        },
        Event::Usage(TokenUsage::default()),
        Event::End,
    ] {
        writer.event(event, &mut out, &mut losses);
    }
    let text = String::from_utf8(out).unwrap();
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    let mut data: Vec<String> = data.map(str::to_owned).collect();
    assert_eq!(data.pop().as_deref(), Some("[DONE]"));
    let first: Value = serde_json::from_str(&data[0]).unwrap();
    assert_eq!(
        first,
        json!({"id": "made", "object": "text_completion", "created": 7, "model": "asked",
            "choices": [{"index": 0, "text": "a", "logprobs": null, "finish_reason": null}]})
    );
    let last: Value = serde_json::from_str(&data[3]).unwrap();
    assert_eq!(last["usage"]["total_tokens"], 0);
    assert_eq!(losses.as_slice().len(), 1, "{losses:?}");
    let collector = read(&data);
    let answer = collector.into_answer();
    let choice = &answer.choices[0];
    assert_eq!(choice.stop.as_ref().unwrap().raw, "length");
    assert_eq!(choice.logprobs.as_ref().unwrap()[0]["logprob"], -1.0);
}
