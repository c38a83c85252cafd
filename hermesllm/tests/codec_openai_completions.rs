//! The codec of legacy completions against every recording of that API.

// A test that skips, or counts, says so where test output is read.
#![allow(clippy::print_stderr)]

mod traffic;

use std::fs;
use std::path::Path;

use hermesllm::apis::openai_completions::{request, response, stream};
use hermesllm::apis::{ReadEvents, WriteOptions};
use hermesllm::representation::{Losses, PartKind, ProviderResponse};
use hermesllm::translate::{Collector, Order};
use serde_json::Value;
use traffic::json::without_nulls;
use traffic::streams::{self, events};

struct Recording {
    name: String,
    status: u16,
    request: Option<Value>,
    answer: Option<Value>,
    stream: Option<String>,
}

/// Every recording of the API, by whatever provider; `None`, said aloud, without a corpus.
fn recordings() -> Option<Vec<Recording>> {
    let files = traffic::files(&["completions"])?;
    let recordings: Vec<_> = files.iter().map(|file| recording(file)).collect();
    assert!(recordings.len() > 15, "a corpus holds more recordings");
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
        let read = request::read(body.clone()).expect(&name);
        let mut losses = Losses::new();
        let written = request::write(read.clone(), &mut losses);
        assert!(losses.is_empty(), "{name}: {losses:?}");
        assert_eq!(request::read(written.clone()), Ok(read), "{name}");
        assert_eq!(without_nulls(written), without_nulls(body), "{name}");
        count += 1;
    }
    eprintln!("{count} requests came back as they were");
}

/// Reads events; gives the answer that they add up to, and the stream written again.
fn pass(events: &[(String, String)]) -> (Collector, Vec<u8>, Losses) {
    let writer = stream::Writer::new(WriteOptions {
        include_usage: true,
        ..WriteOptions::default()
    });
    streams::pass(
        stream::Reader::default(),
        Order::Interleaved,
        writer,
        events,
    )
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
            let ended = events[..index]
                .iter()
                .filter(|(_, data)| ends(data))
                .count();
            assert!(!collector.is_complete() || ended > 0, "{}", recording.name);
        }
    }
    eprintln!("{count} cut events did no harm");
}

/// Whether a choice or all of the answer ends with this chunk.
fn ends(data: &str) -> bool {
    let chunk: Value = serde_json::from_str(data).unwrap_or_default();
    let end = chunk.pointer("/choices/0/finish_reason");
    data == "[DONE]" || end.is_some_and(|end| !end.is_null())
}

/// Streams whose provider does not say that it has said all: its chunks are `{"value": …}`, none of
/// which is the last.
const ENDLESS: [&str; 1] = ["openllmetry--test-writer-streaming-completions-legacy--0-0da5bc42"];

/// The normalisation of answers: they have an `object`, and choices an `index`.
fn numbered(mut body: Value) -> Value {
    let object = body.as_object_mut().unwrap();
    object.entry("object").or_insert("text_completion".into());
    let choices = object["choices"].as_array_mut().unwrap();
    for (index, choice) in choices.iter_mut().enumerate() {
        let choice = choice.as_object_mut().unwrap();
        choice.entry("index").or_insert(index.into());
    }
    body
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
        let found = response::read_error(recording.status, &body);
        if recording.status >= 400 {
            let written = response::write_error(&found.expect(&name));
            assert_eq!(without_nulls(written), without_nulls(body), "{name}");
            errors += 1;
            continue;
        }
        assert_eq!(found, None, "{name}");
        let read = response::read(body.clone()).expect(&name);
        let mut losses = Losses::new();
        let written = response::write(read.clone(), &mut losses);
        assert!(losses.is_empty(), "{name}: {losses:?}");
        assert_eq!(
            without_nulls(written.clone()),
            without_nulls(numbered(body)),
            "{name}"
        );
        assert_eq!(response::read(written), Ok(read), "{name}");
        count += 1;
    }
    eprintln!("{count} answers and {errors} errors came back as they were");
}

#[test]
fn every_stream_comes_back_with_the_same_meaning() {
    let Some(recordings) = recordings() else {
        return;
    };
    let (mut count, mut endless) = (0, 0);
    for recording in recordings {
        let Some(recorded) = recording.stream else {
            continue;
        };
        let name = recording.name;
        let events = events(recorded.as_bytes());
        let (collector, written, losses) = pass(&events);
        assert!(losses.is_empty(), "{name}: {losses:?}");
        assert_eq!(collector.error(), None, "{name}");
        let is_endless = ENDLESS.contains(&name.as_str());
        assert_eq!(collector.is_complete(), !is_endless, "{name}");
        endless += usize::from(is_endless);
        let answer = collector.into_answer();
        assert_eq!(texts(&answer), told(&events), "{name}");
        let all_end = answer.choices.iter().all(|choice| choice.stop.is_some());
        assert!(all_end || is_endless, "{name}");

        let again = self::events(&written);
        let (collector, rewritten, _) = pass(&again);
        let reread = collector.into_answer();
        assert_eq!(texts(&reread), texts(&answer), "{name}");
        let ends = |answer: &ProviderResponse| -> Vec<_> {
            let choices = answer.choices.iter();
            choices
                .map(|choice| choice.stop.as_ref().map(|stop| stop.kind))
                .collect()
        };
        assert_eq!(ends(&reread), ends(&answer), "{name}");
        assert_eq!(
            (&reread.id, &reread.usage),
            (&answer.id, &answer.usage),
            "{name}"
        );
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        assert_eq!(text(&rewritten), text(&written), "{name}");
        count += 1;
    }
    eprintln!("{count} streams came back with the same meaning");
    assert_eq!(endless, ENDLESS.len());
}

/// The text of each choice.
fn texts(answer: &ProviderResponse) -> Vec<String> {
    let choices = answer.choices.iter();
    let texts = choices.map(|choice| match choice.parts.first().map(|part| &part.kind) {
        Some(PartKind::Text { text, .. }) => text.clone(),
        _ => String::new(),
    });
    texts.collect()
}

/// The text of each choice, as any client adds it up.
fn told(events: &[(String, String)]) -> Vec<String> {
    let mut texts: Vec<String> = Vec::new();
    for (_, data) in events {
        let chunk: Value = serde_json::from_str(data).unwrap_or_default();
        let mut add = |index: usize, text: &Value| {
            texts.resize(texts.len().max(index + 1), String::new());
            texts[index].push_str(text.as_str().unwrap_or_default());
        };
        for choice in chunk["choices"].as_array().into_iter().flatten() {
            let index = choice["index"].as_u64().unwrap_or(0) as usize;
            add(index, &choice["text"]);
        }
        if let Some(value) = chunk.get("value") {
            add(0, value);
        }
    }
    texts
}
