//! The codec of Converse against every recording of that API.

// A test that skips, or counts, says so where test output is read.
#![allow(clippy::print_stderr)]

mod traffic;

use std::fs;
use std::path::Path;

use hermesllm::apis::bedrock_converse::frames::Decoder;
use hermesllm::apis::bedrock_converse::{request, response, stream};
use hermesllm::apis::{ReadEvents, WriteEvents, WriteOptions};
use hermesllm::representation::{Losses, ProviderResponse};
use hermesllm::translate::{Collector, Grammar, Order};
use serde_json::{Map, Value};
use traffic::json::difference;

struct Recording {
    name: String,
    status: u16,
    request: Option<Value>,
    answer: Option<Value>,
    stream: Option<Vec<u8>>,
}

/// Every recording of the API, by whatever provider; `None`, said aloud, without a corpus.
fn recordings() -> Option<Vec<Recording>> {
    let files = traffic::files(&["converse"])?;
    let recordings: Vec<_> = files.iter().map(|file| recording(file)).collect();
    assert!(recordings.len() > 50, "a corpus holds more recordings");
    Some(recordings)
}

fn recording(file: &Path) -> Recording {
    let mut json: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    let mut take = |key: &str| Some(json[key].take()).filter(|value| !value.is_null());
    Recording {
        name: file.file_stem().unwrap().to_str().unwrap().to_owned(),
        status: take("response_status").unwrap().as_u64().unwrap() as u16,
        request: take("request_body"),
        answer: take("response_body"),
        stream: take("response_stream_base64").map(|text| bytes(text.as_str().unwrap())),
    }
}

/// Bytes in base64.
fn bytes(text: &str) -> Vec<u8> {
    let value = |digit: u8| match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let digits = text.trim_end_matches('=').as_bytes();
    let mut out = Vec::new();
    for chunk in digits.chunks(4) {
        let bits = (0..4).fold(0_u32, |bits, at| {
            bits << 6 | chunk.get(at).map_or(0, |digit| u32::from(value(*digit)))
        });
        out.extend(&bits.to_be_bytes()[1..chunk.len()]);
    }
    out
}

/// The normalisations of the codec's table.
fn normal(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let is_empty = |value: &Value| match value {
                Value::Array(items) => items.is_empty(),
                Value::Object(members) => members.is_empty(),
                _ => false,
            };
            let is_none = |key: &str, value: &Value| match key {
                "system" | "inferenceConfig" | "stopSequences" | "serverToolUsage" => {
                    is_empty(value)
                }
                "status" => value == "success",
                "type" => value == "tool_use",
                "cacheReadInputTokenCount" | "cacheWriteInputTokenCount" => true,
                _ => false,
            };
            let members = members.into_iter();
            let kept = members.filter(|(key, value)| !value.is_null() && !is_none(key, value));
            let kept = kept.map(|(key, value)| {
                // A schema that is a text is compared as what it says.
                let document = match (key.as_str(), &value) {
                    ("schema", Value::String(text)) => serde_json::from_str(text).ok(),
                    _ => None,
                };
                (key, normal(document.unwrap_or(value)))
            });
            Value::Object(kept.collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(normal).collect()),
        other => other,
    }
}

fn assert_same(left: Value, right: Value, name: &str) {
    let difference = difference(&normal(left), &normal(right), "");
    assert_eq!(difference, None, "{name}");
}

#[test]
fn every_request_comes_back_as_it_was() {
    let Some(recordings) = recordings() else {
        return;
    };
    let mut count = 0;
    for recording in recordings {
        let Some(body) = recording.request else {
            continue;
        };
        let name = recording.name;
        let read = request::read(body.clone()).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut losses = Losses::new();
        let written = request::write(read.clone(), &mut losses);
        assert!(losses.is_empty(), "{name}: {losses:?}");
        assert_eq!(request::read(written.clone()), Ok(read), "{name}");
        assert_same(written, body, &name);
        count += 1;
    }
    eprintln!("{count} requests came back as they were");
    assert!(count > 50);
}

#[test]
fn every_answer_comes_back_as_it_was() {
    let Some(recordings) = recordings() else {
        return;
    };
    let (mut answers, mut errors) = (0, 0);
    for recording in recordings {
        let Some(body) = recording.answer else {
            continue;
        };
        let name = recording.name;
        if recording.status >= 300 {
            let read = response::read_error(recording.status, &body).expect(&name);
            assert_eq!(read.status, recording.status, "{name}");
            assert_eq!(read.message, body["message"], "{name}");
            let again = response::read_error(read.status, &response::write_error(&read));
            assert_eq!(again.unwrap().message, read.message, "{name}");
            errors += 1;
            continue;
        }
        assert_eq!(response::read_error(recording.status, &body), None);
        let read = response::read(body.clone()).unwrap();
        let mut losses = Losses::new();
        let written = response::write(read.clone(), &mut losses);
        assert!(losses.is_empty(), "{name}: {losses:?}");
        assert_eq!(response::read(written.clone()), Ok(read), "{name}");
        assert_same(written, body, &name);
        answers += 1;
    }
    eprintln!("{answers} answers and {errors} errors came back as they were");
    assert!(answers > 15 && errors > 10);
}

/// The events of a stream: name and payload.
fn events(bytes: &[u8]) -> Vec<(String, String)> {
    events_in_pieces(bytes, bytes.len().max(1))
}

fn events_in_pieces(bytes: &[u8], size: usize) -> Vec<(String, String)> {
    let mut decoder = Decoder::default();
    let mut events = Vec::new();
    for piece in bytes.chunks(size) {
        decoder.push(piece, &mut |frame| {
            let payload = std::str::from_utf8(frame.payload).unwrap();
            events.push((frame.event_type.to_owned(), payload.to_owned()));
        });
    }
    assert!(decoder.finish());
    events
}

/// What a stream adds up to, whether it is complete, and the same stream as it is written.
fn add_up(events: &[(String, String)]) -> (ProviderResponse, bool, Vec<u8>) {
    let mut reader = stream::Reader::default();
    let mut writer = stream::Writer::new(WriteOptions::default());
    let mut grammar = Grammar::new(Order::Sequential);
    let mut collector = Collector::new();
    let mut losses = Losses::new();
    let mut out = Vec::new();
    for (name, payload) in events {
        reader.event(Some(name), payload, &mut |event| {
            grammar.event(event, &mut |event| {
                collector.event(event.clone());
                writer.event(event, &mut out, &mut losses);
            });
        });
    }
    reader.finish(&mut |event| {
        grammar.event(event, &mut |event| {
            collector.event(event.clone());
            writer.event(event, &mut out, &mut losses);
        });
    });
    assert!(losses.is_empty(), "{losses:?}");
    let is_complete = collector.is_complete();
    (collector.into_answer(), is_complete, out)
}

#[test]
fn every_stream_comes_back_as_it_was() {
    let Some(recordings) = recordings() else {
        return;
    };
    let mut count = 0;
    for recording in recordings {
        let Some(bytes) = recording.stream else {
            continue;
        };
        let name = recording.name;
        let recorded = events(&bytes);
        for size in [1, 7, 1000] {
            assert!(events_in_pieces(&bytes, size) == recorded, "{name}");
        }
        let (answer, is_complete, written) = add_up(&recorded);
        assert!(is_complete, "{name}");
        assert!(answer.usage.is_some(), "{name}");
        let written = events(&written);
        let (again, is_complete, _) = add_up(&written);
        assert!(is_complete, "{name}");
        assert_eq!(again, answer, "{name}");
        // Event for event, but for the padding.
        assert_eq!(written.len(), recorded.len(), "{name}");
        for (written, recorded) in written.iter().zip(&recorded) {
            assert_eq!(written.0, recorded.0, "{name}");
            let payload = |text: &str| {
                let mut value: Value = serde_json::from_str(text).unwrap();
                value.as_object_mut().unwrap().shift_remove("p");
                value
            };
            assert_same(payload(&written.1), payload(&recorded.1), &name);
        }
        count += 1;
    }
    eprintln!("{count} streams came back as they were");
    assert!(count > 20);
}

#[test]
fn a_stream_that_is_cut_anywhere_is_no_panic_and_not_complete() {
    let Some(recordings) = recordings() else {
        return;
    };
    let mut count = 0;
    for recording in recordings {
        let Some(bytes) = recording.stream else {
            continue;
        };
        let recorded = events(&bytes);
        for length in 0..recorded.len() {
            let (_, is_complete, _) = add_up(&recorded[..length]);
            // All is said with `messageStop`, though usage follows.
            let is_stopped = recorded[..length]
                .iter()
                .any(|(name, _)| name == "messageStop");
            assert_eq!(is_complete, is_stopped, "{} at {length}", recording.name);
            count += 1;
            let Some((name, payload)) = recorded.get(length) else {
                continue;
            };
            // Cut in mid-event.
            if length < 12 {
                for end in (0..payload.len()).filter(|end| payload.is_char_boundary(*end)) {
                    let mut events = recorded[..length].to_vec();
                    events.push((name.clone(), payload[..end].to_owned()));
                    add_up(&events);
                }
            }
        }
    }
    eprintln!("{count} cuts");
}
