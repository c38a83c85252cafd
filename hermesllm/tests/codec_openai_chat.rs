//! The codec of chat completions against every recording of that API, by some 35 providers.

// A test that skips, or counts, says so where test output is read.
#![allow(clippy::print_stderr)]

mod traffic;

use std::fs;
use std::path::Path;

use hermesllm::apis::openai_chat::{request, response, stream};
use hermesllm::apis::{ReadEvents, WriteEvents, WriteOptions};
use hermesllm::representation::{
    Losses, PartKind, ProviderResponse, ProviderStreamResponse, StopKind, TokenUsage,
};
use hermesllm::sse::{Frame, Framer};
use hermesllm::translate::{Collector, Grammar, Order};
use serde_json::{Map, Value};
use traffic::json::difference;

/// Requests that are none, which the provider refused as well.
const REFUSED: &[(&str, &str)] = &[(
    "rig--malformed-request-field--0-98a1dc64",
    "/temperature: must be a number",
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
    // Mistral's agents are asked as chats are.
    let files = traffic::files(&["chat_completions", "agents_completions"])?;
    let recordings: Vec<_> = files.iter().map(|file| recording(file)).collect();
    assert!(recordings.len() > 350, "a corpus holds more recordings");
    Some(recordings)
}

fn recording(file: &Path) -> Recording {
    let mut json: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    let mut take = |key: &str| Some(json[key].take()).filter(|value| !value.is_null());
    let status = take("response_status").and_then(|status| status.as_u64());
    Recording {
        name: file.file_stem().unwrap().to_str().unwrap().to_owned(),
        status: u16::try_from(status.unwrap_or(200)).unwrap(),
        request: take("request_body"),
        answer: take("response_body"),
        stream: take("response_stream").map(|text| text.as_str().unwrap().to_owned()),
    }
}

/// What the codec's table calls the same in other words, for requests.
fn normal(value: Value) -> Value {
    let mut value = without_null(value);
    let Some(members) = value.as_object_mut() else {
        return value;
    };
    if members.get("tool_choice") == Some(&Value::from("any")) {
        members.insert("tool_choice".to_owned(), "required".into());
    }
    for message in lists(members.get_mut("messages")) {
        for call in lists(message.get_mut("tool_calls")) {
            let call = call.as_object_mut().unwrap();
            call.retain(|key, value| !(key == "id" && *value == ""));
            call.entry("type").or_insert("function".into());
        }
    }
    for tool in lists(members.get_mut("tools")) {
        let tool = tool.as_object_mut().unwrap();
        tool.entry("type").or_insert("function".into());
    }
    value
}

fn lists(value: Option<&mut Value>) -> impl Iterator<Item = &mut Value> {
    value.and_then(Value::as_array_mut).into_iter().flatten()
}

fn without_null(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let kept = members.into_iter().filter(|(_, value)| !value.is_null());
            let kept: Map<_, _> = kept
                .map(|(key, value)| (key, without_null(value)))
                .collect();
            Value::Object(kept)
        }
        Value::Array(items) => Value::Array(items.into_iter().map(without_null).collect()),
        other => other,
    }
}

/// All that is wrong, at once.
fn assert_none(wrong: &[String]) {
    let shown: Vec<String> = (wrong.iter().take(40))
        .map(|line| line.chars().take(400).collect())
        .collect();
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        shown.join("\n")
    );
}

#[test]
fn every_request_comes_back_as_it_was() {
    let Some(recordings) = recordings() else {
        return;
    };
    let (mut count, mut refused, mut wrong) = (0, 0, Vec::new());
    for recording in recordings {
        let Some(body) = recording.request else {
            continue;
        };
        let name = recording.name;
        let read = match request::read(body.clone()) {
            Ok(read) => read,
            Err(error) => {
                let known = REFUSED.iter().find(|(known, _)| *known == name);
                let why = known.map(|(_, why)| *why);
                assert_eq!(why, Some(&*error.to_string()), "{name}");
                refused += 1;
                continue;
            }
        };
        let mut losses = Losses::new();
        let written = request::write(read.clone(), &mut losses);
        assert!(losses.is_empty(), "{name}: {losses:?}");
        let again = request::read(written.clone());
        if again.as_ref() != Ok(&read) {
            wrong.push(format!("{name}: is read otherwise"));
        }
        if let Some(difference) = difference(&normal(written), &normal(body), "") {
            wrong.push(format!("{name}{difference}"));
        }
        count += 1;
    }
    assert_none(&wrong);
    eprintln!("{count} requests came back as they were, {refused} were refused");
    assert!(count > 350);
}

#[test]
fn every_answer_comes_back_with_its_meaning() {
    let Some(recordings) = recordings() else {
        return;
    };
    let (mut count, mut equal, mut wrong) = (0, 0, Vec::new());
    for recording in recordings {
        let Some(body) = recording.answer.filter(|_| recording.status < 300) else {
            continue;
        };
        let name = recording.name;
        assert_eq!(
            response::read_error(recording.status, &body),
            None,
            "{name}"
        );
        let read = response::read(body.clone()).unwrap();
        let mut losses = Losses::new();
        let written = response::write(read.clone(), &mut losses);
        assert!(losses.is_empty(), "{name}: {losses:?}");
        let again = response::read(written.clone()).unwrap();
        if let Some(difference) = differs(&read, &again) {
            wrong.push(format!("{name}: {difference}"));
        }
        match difference(&without_null(written), &without_null(body), "") {
            None => equal += 1,
            Some(difference) if std::env::var_os("SHOW_DIFFERENCES").is_some() => {
                eprintln!("{name}{}", difference.chars().take(200).collect::<String>());
            }
            Some(_) => {}
        }
        count += 1;
    }
    assert_none(&wrong);
    eprintln!("{count} answers came back with their meaning, {equal} of them to the letter");
    assert!(count > 150);
}

fn differs(left: &ProviderResponse, right: &ProviderResponse) -> Option<String> {
    let (left, right) = (placeless(left), placeless(right));
    (left != right).then(|| format!("{left:?}\n is not \n{right:?}"))
}

/// An answer without the places where all of it was read: what a message holds for its first call
/// is written there.
fn placeless(answer: &ProviderResponse) -> ProviderResponse {
    let mut answer = answer.clone();
    let mut extensions: Vec<_> = answer.extensions.iter_mut().collect();
    for choice in &mut answer.choices {
        extensions.extend(&mut choice.extensions);
        for part in &mut choice.parts {
            part.at = "".into();
            extensions.extend(&mut part.extensions);
        }
    }
    for extension in extensions {
        extension.at = "".into();
    }
    answer
}

#[test]
fn every_error_is_understood_and_keeps_its_message() {
    let Some(recordings) = recordings() else {
        return;
    };
    let mut count = 0;
    for recording in recordings {
        let Some(body) = recording.answer.filter(|_| recording.status >= 400) else {
            continue;
        };
        let name = recording.name;
        let error = response::read_error(recording.status, &body).unwrap();
        assert!(!error.message.is_empty(), "{name}");
        let written = response::write_error(&error);
        assert_eq!(written["error"]["message"], error.message.as_str());
        let again = response::read_error(recording.status, &written).unwrap();
        assert_eq!(again.message, error.message, "{name}");
        if error.code.is_some() {
            assert_eq!(again.code, error.code, "{name}");
        }
        count += 1;
    }
    eprintln!("{count} errors were understood");
    assert!(count > 50);
}

/// The events of a stream, as they are framed.
fn events(bytes: &[u8]) -> Vec<(Option<String>, String)> {
    let mut framer = Framer::new(64 << 20);
    let mut events = Vec::new();
    let mut take = |frame: Frame<'_>| {
        let Frame::Event(event) = frame else {
            panic!("no event is that large");
        };
        let Some(data) = event.data else {
            return;
        };
        let name = String::from_utf8(event.name.to_vec()).unwrap();
        let name = Some(name).filter(|name| !name.is_empty());
        events.push((name, String::from_utf8(data.to_vec()).unwrap()));
    };
    framer.push(bytes, &mut take);
    framer.finish(&mut take);
    events
}

/// What a stream says.
#[derive(Debug, PartialEq)]
struct Said {
    choices: Vec<Spoken>,
    usage: Option<TokenUsage>,
    error: Option<String>,
    complete: bool,
}

#[derive(Debug, Default, PartialEq)]
struct Spoken {
    text: String,
    reasoning: String,
    hidden: String,
    calls: Vec<(String, String, String)>,
    citations: usize,
    logprobs: Option<Value>,
    stop: Option<StopKind>,
}

fn read(events: &[(Option<String>, String)], written: Option<&mut Vec<u8>>) -> Said {
    let mut reader = stream::Reader::default();
    let mut grammar = Grammar::new(Order::Interleaved);
    let mut collector = Collector::new();
    let mut writer = stream::Writer::new(WriteOptions {
        include_usage: true,
        ..WriteOptions::default()
    });
    let mut losses = Losses::new();
    let mut out = Vec::new();
    let mut pass = |event: ProviderStreamResponse<'_>| {
        grammar.event(event, &mut |event| {
            collector.event(event.clone());
            writer.event(event, &mut out, &mut losses);
        });
    };
    for (name, data) in events {
        reader.event(name.as_deref(), data, &mut pass);
    }
    reader.finish(&mut pass);
    assert!(losses.is_empty(), "{losses:?}");
    if let Some(written) = written {
        *written = out;
    }
    let error = collector.error().map(str::to_owned);
    let complete = collector.is_complete();
    let answer = collector.into_answer();
    Said {
        choices: answer.choices.iter().map(spoken).collect(),
        usage: answer.usage,
        error,
        complete,
    }
}

fn spoken(choice: &hermesllm::representation::Choice) -> Spoken {
    let mut said = Spoken::default();
    for part in &choice.parts {
        match &part.kind {
            PartKind::Text { text, citations } => {
                said.text.push_str(text);
                said.citations += citations.len();
            }
            PartKind::Refusal(text) => said.text.push_str(text),
            PartKind::Reasoning(own) => {
                said.reasoning.push_str(&own.text);
                said.reasoning.push_str(&own.summary.concat());
                said.hidden
                    .push_str(own.signature.as_deref().unwrap_or_default());
                said.hidden
                    .push_str(own.encrypted.as_deref().unwrap_or_default());
                said.hidden.push_str(own.id.as_deref().unwrap_or_default());
            }
            PartKind::ToolCall(call) => {
                said.calls
                    .push((call.id.clone(), call.name.clone(), call.arguments.clone()))
            }
            other => panic!("no recording streams {other:?}"),
        }
    }
    said.logprobs.clone_from(&choice.logprobs);
    said.stop = choice.stop.as_ref().map(|stop| stop.kind);
    said
}

/// What the chunks say, added up by hand.
fn by_hand(events: &[(Option<String>, String)]) -> (String, String, usize) {
    let (mut text, mut thoughts, mut calls) = (String::new(), String::new(), 0);
    for (_, data) in events {
        let Ok(chunk) = serde_json::from_str::<Value>(data) else {
            continue;
        };
        let choices = chunk["choices"].as_array().into_iter().flatten();
        let Some(first) = choices.into_iter().find(|choice| choice["index"] == 0) else {
            continue;
        };
        let delta = &first["delta"];
        text.push_str(delta["refusal"].as_str().unwrap_or_default());
        text.push_str(delta["content"].as_str().unwrap_or_default());
        for item in delta["content"].as_array().into_iter().flatten() {
            text.push_str(item["text"].as_str().unwrap_or_default());
            for thought in item["thinking"].as_array().into_iter().flatten() {
                thoughts.push_str(thought["text"].as_str().unwrap_or_default());
            }
        }
        let named = ["reasoning_content", "reasoning"]
            .iter()
            .find_map(|name| delta[*name].as_str());
        match named {
            Some(named) => thoughts.push_str(named),
            None => {
                for detail in delta["reasoning_details"].as_array().into_iter().flatten() {
                    thoughts.push_str(detail["text"].as_str().unwrap_or_default());
                    thoughts.push_str(detail["summary"].as_str().unwrap_or_default());
                }
            }
        }
        for call in delta["tool_calls"].as_array().into_iter().flatten() {
            let name = call["function"]["name"].as_str().unwrap_or_default();
            calls += usize::from(!name.is_empty());
        }
    }
    (text, thoughts, calls)
}

#[test]
fn every_stream_says_the_same_when_written_again() {
    let Some(recordings) = recordings() else {
        return;
    };
    let (mut count, mut wrong) = (0, Vec::new());
    for recording in recordings {
        let Some(text) = recording.stream else {
            continue;
        };
        let name = recording.name;
        let events = events(text.as_bytes());
        let mut written = Vec::new();
        let said = read(&events, Some(&mut written));
        assert!(said.complete || said.error.is_some(), "{name}: {said:?}");
        let first = said.choices.first();
        let seen = first.map(|own| (own.text.clone(), own.reasoning.clone(), own.calls.len()));
        let wanted = by_hand(&events);
        if seen.clone().unwrap_or_default() != wanted {
            wrong.push(format!("{name}: {seen:?} is not {wanted:?}"));
        }
        if text.contains("\"usage\":{") || text.contains("\"usage\": {") {
            assert!(said.usage.is_some(), "{name}: no usage");
        }
        let again = read(&self::events(&written), None);
        if said != again {
            wrong.push(format!("{name}: {said:?}\n is not\n {again:?}"));
        }
        count += 1;
    }
    assert_none(&wrong);
    eprintln!("{count} streams say the same when written again");
    assert!(count > 150);
}

#[test]
fn a_stream_that_is_cut_anywhere_says_the_beginning_and_no_end() {
    let Some(recordings) = recordings() else {
        return;
    };
    let mut count = 0;
    for recording in recordings {
        let Some(text) = recording.stream else {
            continue;
        };
        let all = events(text.as_bytes());
        let whole = read(&all, None);
        let step = all.len().div_ceil(20).max(1);
        for kept in (0..all.len()).step_by(step) {
            let said = read(&all[..kept], None);
            for (own, all) in said.choices.iter().zip(&whole.choices) {
                assert!(all.text.starts_with(&own.text), "{}", recording.name);
            }
            // An event that is cut does no harm.
            if let Some((name, data)) = all.get(kept) {
                let mut reader = stream::Reader::default();
                let marks = data.char_indices().map(|(at, _)| at);
                for cut in marks.take(600) {
                    reader.event(name.as_deref(), &data[..cut], &mut |_| {});
                }
            }
            count += 1;
        }
    }
    eprintln!("{count} cuts of streams did no harm");
    assert!(count > 1000);
}
