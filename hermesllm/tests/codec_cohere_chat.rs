//! The codec of Cohere's chat against every recording of that API.

// A test that skips, or counts, says so where test output is read.
#![allow(clippy::print_stderr)]

mod traffic;

use std::fs;
use std::path::Path;

use hermesllm::apis::cohere_chat::{request, response, stream};
use hermesllm::apis::{ReadEvents, WriteOptions};
use hermesllm::representation::Losses;
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
    let files = traffic::files(&["v2_chat"])?;
    let recordings: Vec<_> = files.iter().map(|file| recording(file)).collect();
    assert!(recordings.len() > 20, "a corpus holds more recordings");
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

/// Streams that end with an error, and which.
const FAILED: [(&str, &str); 1] = [(
    "langchain-cohere--test-sql-agent--0-db2dcc62",
    "your request resulted in an invalid tool generation. Try updating the messages or tool definitions",
)];

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
    streams::pass(stream::Reader::default(), Order::Sequential, writer, events)
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
                .any(|(name, _)| name == "message-end");
            let has_ended = collector.is_complete() || collector.error().is_some();
            assert_eq!(has_ended, ended, "{}", recording.name);
        }
    }
    eprintln!("{count} cut events did no harm");
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
            let mut expected = body;
            expected.as_object_mut().unwrap().shift_remove("id");
            assert_eq!(
                response::write_error(&found.expect(&name)),
                expected,
                "{name}"
            );
            errors += 1;
            continue;
        }
        assert_eq!(found, None, "{name}");
        let read = response::read(body.clone()).expect(&name);
        assert!(read.choices[0].stop.is_some(), "{name}");
        assert!(read.usage.as_ref().unwrap().input > Some(0), "{name}");
        let mut losses = Losses::new();
        let written = response::write(read.clone(), &mut losses);
        assert!(losses.is_empty(), "{name}: {losses:?}");
        assert_eq!(response::read(written.clone()), Ok(read), "{name}");
        assert_eq!(without_nulls(written), without_nulls(body), "{name}");
        count += 1;
    }
    eprintln!("{count} answers and {errors} errors came back as they were");
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
        let failed = FAILED.iter().find(|(failed, _)| *failed == name);
        let failed = failed.map(|(_, message)| *message);
        assert_eq!(collector.error(), failed, "{name}");
        if failed.is_some() {
            let (again, _, _) = pass(&self::events(&written));
            assert_eq!(again.error(), failed, "{name}");
            assert_eq!(again.into_answer(), collector.into_answer(), "{name}");
            count += 1;
            continue;
        }
        assert!(collector.is_complete(), "{name}");
        let answer = collector.into_answer();
        assert!(!answer.id.is_empty(), "{name}");
        assert!(answer.choices[0].stop.is_some(), "{name}");
        let usage = answer.usage.as_ref().unwrap();
        assert!(usage.input > Some(0) && usage.output > Some(0), "{name}");

        let again = self::events(&written);
        let (collector, rewritten, _) = pass(&again);
        assert_eq!(collector.into_answer(), answer, "{name}");
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        assert_eq!(text(&rewritten), text(&written), "{name}");
        assert_eq!(told(&again), told(&events), "{name}");
        count += 1;
    }
    eprintln!("{count} streams came back with the same meaning");
}

/// The events themselves, as JSON; `[DONE]`, with which some recordings end, apart. A call without
/// arguments gets those of none.
fn told(events: &[(String, String)]) -> Vec<Value> {
    let mut told: Vec<Value> = (events.iter())
        .filter(|(_, data)| data != "[DONE]")
        .map(|(_, data)| serde_json::from_str(data).unwrap())
        .collect();
    let is_empty = |event: &Value| {
        let added = event.pointer("/delta/message");
        let text = |place: &str| added.and_then(|added| added.pointer(place)?.as_str());
        let arguments = text("/tool_calls/function/arguments");
        event["type"] == "tool-call-delta" && matches!(arguments, Some("" | "{}"))
            || text("/content/text") == Some("") && event["type"] == "content-delta"
    };
    told.retain(|event| !is_empty(event));
    told
}
