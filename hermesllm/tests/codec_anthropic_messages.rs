//! The codec of Anthropic's messages against every recording of that API.

// A test that skips, or counts, says so where test output is read.
#![allow(clippy::print_stderr)]

mod traffic;

use std::fs;
use std::path::Path;

use hermesllm::apis::anthropic_messages::{request, response, stream};
use hermesllm::apis::{ReadEvents, WriteOptions};
use hermesllm::representation::{Losses, ProviderResponse};
use hermesllm::translate::{Collector, Order};
use serde_json::{Map, Value};
use traffic::json::difference;
use traffic::streams::{self, events};

/// Requests that are none, which the provider refused as well.
const REFUSED: &[(&str, &str)] = &[(
    "dd-trace-py--anthropic-completion-error--0-ded6cc95",
    "/messages/0: must be an object",
)];

struct Recording {
    name: String,
    status: u16,
    request: Option<Value>,
    answer: Option<Value>,
    stream: Option<String>,
}

/// Every recording of the API, by whatever provider; `None`, said aloud, without a corpus.
fn recordings() -> Option<Vec<Recording>> {
    let files = traffic::files(&["messages"])?;
    let recordings: Vec<_> = files.iter().map(|file| recording(file)).collect();
    assert!(recordings.len() > 90, "a corpus holds more recordings");
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
        stream: take("response_stream").map(|text| text.as_str().unwrap().to_owned()),
    }
}

/// The normalisations: null members, `stream: false`, `is_error: false`, empty `citations` and
/// `tools` are as good as absent.
fn normal(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let is_none = |key: &str, value: &Value| match key {
                "stream" | "is_error" => *value == Value::Bool(false),
                "citations" | "tools" => value.as_array().is_some_and(Vec::is_empty),
                _ => value.is_null(),
            };
            let members = members.into_iter();
            let kept = members.filter(|(key, value)| !value.is_null() && !is_none(key, value));
            let kept: Map<_, _> = kept.map(|(key, value)| (key, normal(value))).collect();
            Value::Object(kept)
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
    let (mut count, mut refused) = (0, 0);
    for recording in recordings {
        let Some(body) = recording.request else {
            continue;
        };
        let name = recording.name;
        let read = match request::read(body.clone()) {
            Ok(read) => read,
            Err(error) => {
                let known = REFUSED.iter().find(|(known, _)| *known == name);
                assert_eq!(
                    known.map(|(_, why)| *why),
                    Some(&*error.to_string()),
                    "{name}"
                );
                refused += 1;
                continue;
            }
        };
        let mut losses = Losses::new();
        let written = request::write(read.clone(), &mut losses);
        assert!(losses.is_empty(), "{name}: {losses:?}");
        assert_eq!(request::read(written.clone()), Ok(read), "{name}");
        assert_same(written, body, &name);
        count += 1;
    }
    eprintln!("{count} requests came back as they were, {refused} were refused");
    assert_eq!(refused, REFUSED.len());
}

#[test]
fn every_answer_comes_back_as_it_was() {
    let Some(recordings) = recordings() else {
        return;
    };
    let (mut count, mut errors) = (0, 0);
    for recording in recordings {
        let Some(body) = recording.answer else {
            continue;
        };
        let name = recording.name;
        if recording.status >= 400 {
            let error = response::read_error(recording.status, &body).expect(&name);
            let mut expected = body;
            expected.as_object_mut().unwrap().shift_remove("request_id");
            assert_eq!(response::write_error(&error), expected, "{name}");
            errors += 1;
            continue;
        }
        let read = response::read(body.clone()).expect(&name);
        assert!(read.choices[0].stop.is_some(), "{name}");
        assert!(read.usage.as_ref().unwrap().input.is_some(), "{name}");
        let mut losses = Losses::new();
        let written = response::write(read.clone(), &mut losses);
        assert!(losses.is_empty(), "{name}: {losses:?}");
        assert_eq!(response::read(written.clone()), Ok(read), "{name}");
        assert_same(written, body, &name);
        count += 1;
    }
    eprintln!("{count} answers and {errors} errors came back as they were");
}

/// Reads events; gives the answer that they add up to, and the stream written again.
fn pass(events: &[(String, String)]) -> (Collector, Vec<u8>, Losses) {
    let writer = stream::Writer::new(WriteOptions::default());
    streams::pass(stream::Reader::default(), Order::Sequential, writer, events)
}

#[test]
fn every_stream_comes_back_with_the_same_meaning() {
    let Some(recordings) = recordings() else {
        return;
    };
    let mut count = 0;
    for recording in recordings {
        let Some(recorded) = recording.stream else {
            continue;
        };
        let name = recording.name;
        let events = events(recorded.as_bytes());
        let (collector, written, losses) = pass(&events);
        assert!(losses.is_empty(), "{name}: {losses:?}");
        assert!(
            collector.is_complete() && collector.error().is_none(),
            "{name}"
        );
        let answer = collector.into_answer();
        assert!(!answer.id.is_empty() && !answer.model.is_empty(), "{name}");
        assert!(answer.choices[0].stop.is_some(), "{name}");
        let usage = answer.usage.as_ref().unwrap();
        assert!(usage.input > Some(0) && usage.output > Some(0), "{name}");

        let again = self::events(&written);
        let (collector, rewritten, _) = pass(&again);
        assert!(collector.is_complete(), "{name}");
        assert_eq!(collector.into_answer(), answer, "{name}");
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        assert_eq!(text(&rewritten), text(&written), "{name}");
        assert_same(accumulated(&again), accumulated(&events), &name);
        count += 1;
    }
    eprintln!("{count} streams came back with the same meaning");
}

/// The message that a client of the API makes of a stream, without what this project has a hand in.
fn accumulated(events: &[(String, String)]) -> Value {
    let mut message = Value::Null;
    for (_, data) in events {
        let Ok(mut event) = serde_json::from_str::<Value>(data) else {
            continue;
        };
        match event["type"].as_str().unwrap() {
            "message_start" => message = normal(event["message"].take()),
            "content_block_start" => {
                let content = message["content"].as_array_mut().unwrap();
                assert_eq!(event["index"].as_u64(), Some(content.len() as u64));
                content.push(event["content_block"].take());
            }
            "content_block_delta" => {
                let index = event["index"].as_u64().unwrap() as usize;
                add(&mut message["content"][index], event["delta"].take());
            }
            "content_block_stop" => {
                let index = event["index"].as_u64().unwrap() as usize;
                let block = &mut message["content"][index];
                let text = block.as_object_mut().unwrap().shift_remove("input_text");
                if let Some(Value::String(text)) = text {
                    block["input"] = serde_json::from_str(&text).unwrap();
                }
            }
            "message_delta" => {
                for part in ["delta", "usage"] {
                    let Value::Object(members) = event[part].take() else {
                        continue;
                    };
                    for (key, value) in members.into_iter().filter(|(_, v)| !v.is_null()) {
                        let target = match part {
                            "usage" => &mut message["usage"],
                            _ => &mut message,
                        };
                        target[&key] = value;
                    }
                }
                if !event["context_management"].is_null() {
                    message["context_management"] = event["context_management"].take();
                }
            }
            _ => {}
        }
    }
    normal(message)
}

fn add(block: &mut Value, mut delta: Value) {
    let (from, to) = match delta["type"].as_str().unwrap() {
        "text_delta" => ("text", "text"),
        "thinking_delta" => ("thinking", "thinking"),
        "signature_delta" => ("signature", "signature"),
        "input_json_delta" => ("partial_json", "input_text"),
        "citations_delta" => {
            if !block["citations"].is_array() {
                block["citations"] = Value::Array(Vec::new());
            }
            let citations = block["citations"].as_array_mut().unwrap();
            citations.push(delta["citation"].take());
            return;
        }
        other => panic!("{other}"),
    };
    let more = delta[from].as_str().unwrap();
    if !more.is_empty() {
        let text = format!("{}{more}", block[to].as_str().unwrap_or_default());
        block[to] = Value::String(text);
    }
}

#[test]
fn events_that_are_cut_anywhere_do_no_harm() {
    let Some(recordings) = recordings() else {
        return;
    };
    let mut count = 0;
    for recording in recordings {
        let Some(recorded) = recording.stream else {
            continue;
        };
        let events = events(recorded.as_bytes());
        for (index, (name, data)) in events.iter().enumerate() {
            // Long events are cut at some places, short ones at all.
            let step = (data.len() / 100).max(1);
            for length in (0..data.len()).step_by(step) {
                let Some(cut) = data.get(..length) else {
                    continue;
                };
                let mut reader = stream::Reader::default();
                let mut seen = 0;
                reader.event(Some(name), cut, &mut |_| seen += 1);
                reader.finish(&mut |_| seen += 1);
                assert_eq!(seen, 0, "nothing is made up of half an event");
                count += 1;
            }
            let (collector, _, _) = pass(&events[..index]);
            assert!(!collector.is_complete() || index + 1 >= events.len());
        }
    }
    eprintln!("{count} cut events did no harm");
}

#[test]
fn whole_answers_written_as_requests_keep_what_was_said() {
    let Some(recordings) = recordings() else {
        return;
    };
    let mut count = 0;
    for recording in recordings.into_iter().filter(|r| r.status == 200) {
        let Some(body) = recording.answer else {
            continue;
        };
        // A client sends an answer back as a turn.
        let read: ProviderResponse = response::read(body.clone()).unwrap();
        let message = serde_json::json!({"role": "assistant", "content": body["content"]});
        let request = serde_json::json!({"model": "m", "max_tokens": 1, "messages": [message]});
        let replayed = request::read(request).expect(&recording.name);
        let kinds = |parts: &[hermesllm::representation::Part]| -> Vec<_> {
            parts.iter().map(|part| part.kind.clone()).collect()
        };
        let (turn, choice) = (&replayed.turns[0], &read.choices[0]);
        assert_eq!(
            kinds(&turn.parts),
            kinds(&choice.parts),
            "{}",
            recording.name
        );
        count += 1;
    }
    eprintln!("{count} answers were replayed");
}

/// Every place in a document, as a pointer.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    let escaped = |key: &str| key.replace('~', "~0").replace('/', "~1");
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                places(value, &format!("{at}/{}", escaped(key)), found);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                places(item, &format!("{at}/{index}"), found);
            }
        }
        _ => {}
    }
}

/// Documents like this one, each with something odd at one place.
fn odd(document: &Value) -> Vec<Value> {
    let mut found = Vec::new();
    places(document, "", &mut found);
    let step = (found.len() / 60).max(1);
    let odd = [
        Value::Null,
        7.into(),
        (-1.5).into(),
        "x".into(),
        true.into(),
    ];
    let empty = [Value::Array(Vec::new()), Value::Object(Map::new())];
    let values = odd.into_iter().chain(empty);
    let mut documents = Vec::new();
    for (place, value) in found.iter().step_by(step).zip(values.cycle()) {
        let mut copy = document.clone();
        *copy.pointer_mut(place).unwrap() = value;
        documents.push(copy);
    }
    documents
}

#[test]
fn odd_documents_are_refused_or_come_back_and_can_be_written_for_others() {
    let Some(recordings) = recordings() else {
        return;
    };
    let (mut count, mut refused) = (0, 0);
    for recording in recordings {
        for body in recording.request.iter().flat_map(odd) {
            count += 1;
            let Ok(mut read) = request::read(body.clone()) else {
                refused += 1;
                continue;
            };
            let mut losses = Losses::new();
            let written = request::write(read.clone(), &mut losses);
            assert!(losses.is_empty(), "{}: {losses:?}", recording.name);
            // Without a limit of output, the default is written.
            if read.max_output.is_some() {
                assert_eq!(
                    request::read(written).as_ref(),
                    Ok(&read),
                    "{}",
                    recording.name
                );
            }
            // As if it came from another API.
            read.api = None;
            request::write(read, &mut losses);
        }
        for body in recording.answer.iter().flat_map(odd) {
            count += 1;
            response::read_error(500, &body);
            let Ok(mut read) = response::read(body) else {
                refused += 1;
                continue;
            };
            let mut losses = Losses::new();
            response::write(read.clone(), &mut losses);
            assert!(losses.is_empty(), "{}: {losses:?}", recording.name);
            read.api = None;
            response::write(read, &mut losses);
        }
    }
    eprintln!("{count} odd documents did no harm, {refused} of them were refused");
}
