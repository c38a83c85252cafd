//! The codec of generateContent against every recording of that API.

// A test that skips, or counts, says so where test output is read.
#![allow(clippy::print_stderr)]

mod traffic;

use std::fs;
use std::path::Path;

use hermesllm::apis::gemini::stream::{ArrayFraming, Element, Reader, Writer};
use hermesllm::apis::gemini::{request, response};
use hermesllm::apis::{ReadEvents, WriteEvents, WriteOptions};
use hermesllm::representation::{Losses, PartKind, ProviderResponse, StopReason, TokenUsage};
use hermesllm::sse::{Frame, Framer};
use hermesllm::translate::{Collector, Grammar, Order};
use serde_json::{json, Map, Value};
use traffic::json::difference;

struct Recording {
    name: String,
    status: u16,
    request: Option<Value>,
    answer: Option<Value>,
    /// The chunks of a stream, whatever they were framed in.
    chunks: Option<Vec<String>>,
}

/// Every recording of the API, by whatever provider; `None`, said aloud, without a corpus.
fn recordings() -> Option<Vec<Recording>> {
    let files = traffic::files(&["generate_content"])?;
    let recordings: Vec<_> = files.iter().map(|file| recording(file)).collect();
    assert!(recordings.len() > 90, "a corpus holds more recordings");
    Some(recordings)
}

fn recording(file: &Path) -> Recording {
    let mut json: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    let mut take = |key: &str| Some(json[key].take()).filter(|value| !value.is_null());
    let mut answer = take("response_body");
    let mut chunks = take("response_stream").map(|text| events(text.as_str().unwrap().as_bytes()));
    if let Some(list) = answer.take_if(|answer| answer.is_array()) {
        let text = list.to_string();
        let whole = elements(text.as_bytes(), text.len());
        for size in [1, 7, 100] {
            assert_eq!(elements(text.as_bytes(), size), whole);
        }
        assert_eq!(whole.len(), list.as_array().unwrap().len());
        chunks = Some(whole);
    }
    Recording {
        name: file.file_stem().unwrap().to_str().unwrap().to_owned(),
        status: take("response_status").unwrap().as_u64().unwrap() as u16,
        request: take("request_body").filter(Value::is_object),
        answer,
        chunks,
    }
}

/// The events of a stream of Server-Sent Events.
fn events(bytes: &[u8]) -> Vec<String> {
    let mut framer = Framer::new(64 << 20);
    let mut events = Vec::new();
    let mut note = |frame: Frame<'_>| {
        if let Frame::Event(event) = frame {
            let data = event.data.map(|data| data.into_owned());
            events.extend(data.map(|data| String::from_utf8(data).unwrap()));
        }
    };
    framer.push(bytes, &mut note);
    framer.finish(&mut note);
    events
}

/// The items of a stream that is one array.
fn elements(bytes: &[u8], size: usize) -> Vec<String> {
    let mut framing = ArrayFraming::new(64 << 20);
    let mut elements = Vec::new();
    for piece in bytes.chunks(size.max(1)) {
        framing.push(piece, |element| match element {
            Element::Whole(text) => elements.push(text.to_owned()),
            Element::Unreadable => panic!("unreadable"),
        });
    }
    assert!(framing.is_complete());
    elements
}

fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let mut out = words.next().unwrap_or_default().to_owned();
    for word in words {
        let (first, rest) = word.split_at(word.len().min(1));
        out.push_str(&first.to_uppercase());
        out.push_str(rest);
    }
    out
}

/// Members whose values are the client's own.
const OPAQUE: [&str; 7] = [
    "args",
    "response",
    "parametersJsonSchema",
    "responseJsonSchema",
    "labels",
    "modelArmorConfig",
    "promptFeedback",
];

/// The normalisations of the codec's table.
fn normal(value: Value, under: &str) -> Value {
    if OPAQUE.contains(&under) {
        return value;
    }
    match value {
        Value::Object(members) => {
            let mut own = Map::new();
            for (key, value) in members {
                let key = if under == "properties" {
                    key
                } else {
                    camel(&key)
                };
                let value = normal(value, &key);
                let is_list =
                    ["tools", "contents", "parts", "functionDeclarations"].contains(&key.as_str());
                let value = match value {
                    Value::Object(_) if is_list => json!([value]),
                    // Words of enumerations.
                    Value::String(word) if key == "thinkingLevel" => word.to_uppercase().into(),
                    Value::Number(number) if key == "finishReason" => match number.as_u64() {
                        Some(1) => "STOP".into(),
                        Some(2) => "MAX_TOKENS".into(),
                        _ => Value::Number(number),
                    },
                    // Parts of seconds.
                    Value::String(time) if key == "createTime" => match time.split_once('.') {
                        Some((seconds, _)) => format!("{seconds}Z").into(),
                        None => time.into(),
                    },
                    value => value,
                };
                let says_nothing = match key.as_str() {
                    "stopSequences" => value == json!([]),
                    "generationConfig" => value == json!({}),
                    "thought" => value == json!(false),
                    _ => false,
                };
                if !value.is_null() && !says_nothing {
                    own.insert(key, value);
                }
            }
            match under {
                "systemInstruction" => {
                    own.shift_remove("role");
                }
                "contents" => {
                    let role = own.entry("role").or_insert_with(|| "user".into());
                    if role == "function" {
                        *role = "user".into();
                    }
                }
                "functionCall" => {
                    own.entry("args").or_insert_with(|| json!({}));
                }
                "candidates" => {
                    own.entry("index").or_insert_with(|| 0.into());
                    let content = own.entry("content").or_insert_with(|| json!({}));
                    content["role"] = "model".into();
                }
                _ => {}
            }
            if [
                "parameters",
                "responseSchema",
                "properties",
                "items",
                "anyOf",
            ]
            .contains(&under)
                && own.get("type").is_some_and(Value::is_string)
            {
                let word = own["type"].as_str().unwrap().to_uppercase();
                own["type"] = word.into();
            }
            // What is inside of `properties` is schemas by their names.
            if under == "properties" {
                let schemas = own.into_iter();
                own = schemas
                    .map(|(key, own)| (key, normal(own, "items")))
                    .collect();
            }
            Value::Object(own)
        }
        Value::Array(items) => {
            let items = items.into_iter().map(|item| normal(item, under));
            let items = items.filter(|item| under != "tools" || *item != json!({}));
            Value::Array(items.collect())
        }
        other => other,
    }
}

fn assert_same(left: Value, right: Value, name: &str) {
    let difference = difference(&normal(left, ""), &normal(right, ""), "");
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
                // The provider refused it as well.
                assert!(recording.status >= 400, "{name}: {error}");
                refused += 1;
                continue;
            }
        };
        let mut losses = Losses::new();
        let written = request::write(read.clone(), &mut losses);
        assert!(losses.is_empty(), "{name}: {losses:?}");
        assert_same(written.clone(), body, &name);
        let again = request::read(written.clone()).unwrap();
        assert_eq!(request::write(again, &mut losses), written, "{name}");
        count += 1;
    }
    eprintln!("{count} requests came back as they were, {refused} were refused");
    assert!(count > 80 && refused < 3);
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
            assert_eq!(read.message, body["error"]["message"], "{name}");
            assert_eq!(read.kind, body["error"]["status"], "{name}");
            let again = response::read_error(read.status, &response::write_error(&read));
            assert_eq!(again, Some(read), "{name}");
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
    assert!(answers > 35 && errors > 10);
}

/// What a stream adds up to, whether it is complete, and the same stream as it is written.
fn add_up(chunks: &[String], json_array: bool) -> (ProviderResponse, bool, Vec<u8>) {
    let mut reader = Reader::default();
    let mut writer = Writer::new(WriteOptions {
        json_array,
        ..WriteOptions::default()
    });
    let mut grammar = Grammar::new(Order::Interleaved);
    let mut collector = Collector::new();
    let mut losses = Losses::new();
    let mut out = Vec::new();
    for chunk in chunks {
        reader.event(None, chunk, &mut |event| {
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

/// What has to be the same.
#[derive(Debug, PartialEq)]
struct Meaning {
    head: (String, String, Option<u64>, Option<String>),
    parts: Vec<PartKind>,
    signatures: Vec<String>,
    stops: Vec<Option<StopReason>>,
    usage: Option<TokenUsage>,
}

fn meaning(answer: ProviderResponse) -> Meaning {
    let parts = answer.choices.iter().flat_map(|choice| &choice.parts);
    Meaning {
        signatures: parts
            .clone()
            .filter_map(|part| part.signature.clone())
            .collect(),
        parts: parts.map(|part| part.kind.clone()).collect(),
        stops: answer.choices.into_iter().map(|own| own.stop).collect(),
        usage: answer.usage,
        head: (answer.id, answer.model, answer.created, answer.service_tier),
    }
}

/// What a stream says, read off its chunks.
fn said(chunks: &[String]) -> (String, String, Vec<(String, Value)>) {
    let (mut text, mut thoughts, mut calls) = (String::new(), String::new(), Vec::new());
    for chunk in chunks {
        let chunk: Value = serde_json::from_str(chunk).unwrap();
        for part in chunk["candidates"][0]["content"]["parts"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let own = part["text"].as_str().unwrap_or_default();
            if part["thought"] == true {
                thoughts.push_str(own);
            } else {
                text.push_str(own);
            }
            let call = &part["functionCall"];
            if let Some(name) = call["name"].as_str() {
                let args = call.get("args").cloned().unwrap_or_else(|| json!({}));
                calls.push((name.to_owned(), args));
            }
            for piece in call["partialArgs"].as_array().into_iter().flatten() {
                let path = piece["jsonPath"].as_str().unwrap().trim_start_matches("$.");
                let (_, args) = calls.last_mut().unwrap();
                let before = args[path].as_str().unwrap_or_default();
                args[path] = format!("{before}{}", piece["stringValue"].as_str().unwrap()).into();
            }
        }
    }
    (text, thoughts, calls)
}

fn said_by(answer: &ProviderResponse) -> (String, String, Vec<(String, Value)>) {
    let (mut text, mut thoughts, mut calls) = (String::new(), String::new(), Vec::new());
    for part in &answer.choices[0].parts {
        match &part.kind {
            PartKind::Text { text: own, .. } => text.push_str(own),
            PartKind::Reasoning(own) => thoughts.push_str(&own.text),
            PartKind::ToolCall(call) => {
                let args = serde_json::from_str(&call.arguments).unwrap();
                calls.push((call.name.clone(), args));
            }
            _ => {}
        }
    }
    (text, thoughts, calls)
}

#[test]
fn every_stream_comes_back_as_it_was() {
    let Some(recordings) = recordings() else {
        return;
    };
    let mut count = 0;
    for recording in recordings {
        let Some(chunks) = recording.chunks else {
            continue;
        };
        let name = recording.name;
        let (answer, is_complete, written) = add_up(&chunks, false);
        assert!(is_complete, "{name}");
        assert!(answer.usage.is_some(), "{name}");
        assert_eq!(said_by(&answer), said(&chunks), "{name}");
        let written = events(&written);
        let usage = |chunks: &[String]| {
            let last: Value = serde_json::from_str(chunks.last().unwrap()).unwrap();
            last["usageMetadata"].clone()
        };
        assert_same(usage(&written), usage(&chunks), &name);
        let (again, is_complete, _) = add_up(&written, false);
        assert!(is_complete, "{name}");
        let answer = meaning(answer);
        let again = meaning(again);
        assert_eq!(again, answer, "{name}");
        let (again, is_complete, written) = add_up(&chunks, true);
        assert!(is_complete, "{name}");
        assert_eq!(meaning(again), answer, "{name}");
        let list: Value = serde_json::from_slice(&written).unwrap();
        assert!(list.is_array(), "{name}");
        let (again, is_complete, _) = add_up(&elements(&written, 13), true);
        assert!(is_complete, "{name}");
        assert_eq!(meaning(again), answer, "{name}");
        count += 1;
    }
    eprintln!("{count} streams came back as they were");
    assert!(count > 40);
}

#[test]
fn a_stream_that_is_cut_anywhere_is_no_panic_and_not_complete() {
    let Some(recordings) = recordings() else {
        return;
    };
    let mut count = 0;
    for recording in recordings {
        let Some(chunks) = recording.chunks else {
            continue;
        };
        for length in 0..chunks.len() {
            let (_, is_complete, _) = add_up(&chunks[..length], false);
            let has_ended = chunks[..length]
                .iter()
                .any(|chunk| chunk.contains("\"finishReason\""));
            assert_eq!(is_complete, has_ended, "{} at {length}", recording.name);
            count += 1;
            let Some(chunk) = chunks.get(length).filter(|_| length < 8) else {
                continue;
            };
            // Cut in mid-event.
            for end in (0..chunk.len().min(600)).filter(|end| chunk.is_char_boundary(*end)) {
                let mut cut = chunks[..length].to_vec();
                cut.push(chunk[..end].to_owned());
                add_up(&cut, false);
            }
        }
    }
    eprintln!("{count} cuts");
}
