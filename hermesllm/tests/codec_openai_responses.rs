//! The codec of the Responses API against every recording of it.

// A test that skips says so where test output is read.
#![allow(clippy::print_stderr)]

#[path = "codec_openai_responses/corpus.rs"]
mod corpus;
mod traffic;

use hermesllm::apis::openai_responses::stream::{Reader, Writer};
use hermesllm::apis::openai_responses::{request, response};
use hermesllm::apis::{ReadEvents, WriteEvents, WriteOptions};
use hermesllm::representation::{
    Losses, Part, PartKind, ProviderResponse, ProviderStreamResponse as Event, StopReason,
    TokenUsage,
};
use hermesllm::sse::{Frame, Framer};
use hermesllm::translate::{Collector, Grammar, Order};
use serde_json::{json, Value};

use corpus::{difference, normalised_answer, normalised_request, recordings};

fn judge(failures: &[String]) {
    assert!(
        failures.is_empty(),
        "{}:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

#[test]
fn every_request_comes_back_as_it_was() {
    let Some(recordings) = recordings() else {
        return;
    };
    let (mut checked, mut failures) = (0, Vec::new());
    for recording in recordings {
        let Some(body) = recording.request else {
            continue;
        };
        checked += 1;
        let read = match request::read(body.clone()) {
            Ok(read) => read,
            Err(error) => {
                failures.push(format!("{}: {error}", recording.name));
                continue;
            }
        };
        let mut losses = Losses::new();
        let written = request::write(read.clone(), &mut losses);
        let difference = difference(
            &normalised_request(body),
            &normalised_request(written.clone()),
            "",
        );
        if let Some(difference) = difference {
            failures.push(format!("{}: {difference}", recording.name));
        }
        if !losses.is_empty() {
            failures.push(format!("{}: {:?}", recording.name, losses));
        }
        if request::write(request::read(written.clone()).unwrap(), &mut losses) != written {
            failures.push(format!(
                "{}: another time is another document",
                recording.name
            ));
        }
    }
    eprintln!("{checked} requests");
    assert!(checked > 100);
    judge(&failures);
}

#[test]
fn every_answer_comes_back_as_it_was() {
    let Some(recordings) = recordings() else {
        return;
    };
    let (mut checked, mut errors, mut failures) = (0, 0, Vec::new());
    for recording in recordings {
        let Some(body) = recording.answer else {
            continue;
        };
        if let Some(error) = response::read_error(recording.status, &body) {
            errors += 1;
            let written = response::write_error(&error);
            let again = response::read_error(recording.status, &written).unwrap();
            if error.message.is_empty() || again.message != error.message {
                failures.push(format!("{}: the message is not kept", recording.name));
            }
            continue;
        }
        if body["object"] != "response" {
            failures.push(format!("{}: neither answer nor error", recording.name));
            continue;
        }
        checked += 1;
        let read = response::read(body.clone()).unwrap();
        let mut losses = Losses::new();
        let written = response::write(read.clone(), &mut losses);
        let difference = difference(
            &normalised_answer(body),
            &normalised_answer(written.clone()),
            "",
        );
        if let Some(difference) = difference {
            failures.push(format!("{}: {difference}", recording.name));
        }
        if !losses.is_empty() {
            failures.push(format!("{}: {:?}", recording.name, losses));
        }
        if response::read(written).unwrap() != read {
            failures.push(format!("{}: it is read as another answer", recording.name));
        }
    }
    eprintln!("{checked} answers, {errors} errors");
    assert!(checked > 50);
    judge(&failures);
}

/// What a stream comes to, and the bytes that it is written as.
fn pass(stream: &[u8]) -> (Collector, Vec<u8>, Losses) {
    let mut reader = Reader::default();
    let mut grammar = Grammar::new(Order::Interleaved);
    let mut writer = Writer::new(WriteOptions::default());
    let mut collector = Collector::new();
    let (mut out, mut losses) = (Vec::new(), Losses::new());
    let mut take = |event: Event<'_>| {
        grammar.event(event, &mut |event| {
            collector.event(event.clone());
            writer.event(event, &mut out, &mut losses);
        });
    };
    let mut framer = Framer::new(8 << 20);
    let mut on_frame = |frame: Frame<'_>, reader: &mut Reader| {
        if let Frame::Event(event) = frame {
            if let Some(data) = &event.data {
                let name = std::str::from_utf8(event.name).ok();
                let name = name.filter(|name| !name.is_empty());
                reader.event(name, &String::from_utf8_lossy(data), &mut take);
            }
        }
    };
    framer.push(stream, |frame| on_frame(frame, &mut reader));
    framer.finish(|frame| on_frame(frame, &mut reader));
    reader.finish(&mut take);
    (collector, out, losses)
}

/// What has to be the same however an answer comes.
#[derive(Debug, PartialEq)]
struct Core {
    texts: Vec<String>,
    calls: Vec<(String, String, String)>,
    reasoning: Vec<Value>,
    others: Vec<Value>,
    citations: Vec<Option<Value>>,
    logprobs: Option<Value>,
    stop: Option<StopReason>,
    usage: Option<TokenUsage>,
    id: String,
    model: String,
}

fn core(answer: &ProviderResponse) -> Core {
    let choices = &answer.choices;
    let parts: Vec<&Part> = choices.iter().flat_map(|choice| &choice.parts).collect();
    let each = |read: &dyn Fn(&PartKind) -> Option<Value>| -> Vec<Value> {
        parts.iter().filter_map(|part| read(&part.kind)).collect()
    };
    let texts = parts.iter().filter_map(|part| match &part.kind {
        PartKind::Text { text, .. } | PartKind::Refusal(text) => Some(text.clone()),
        _ => None,
    });
    let citations = parts.iter().flat_map(|part| match &part.kind {
        PartKind::Text { citations, .. } => citations.clone(),
        _ => Vec::new(),
    });
    let calls = parts.iter().filter_map(|part| match &part.kind {
        PartKind::ToolCall(call) => {
            Some((call.id.clone(), call.name.clone(), call.arguments.clone()))
        }
        _ => None,
    });
    Core {
        texts: texts.collect(),
        calls: calls.collect(),
        reasoning: each(&|kind| match kind {
            PartKind::Reasoning(own) => {
                let id = own.id.clone();
                Some(json!([
                    id,
                    own.text,
                    own.summary,
                    own.encrypted,
                    own.signature
                ]))
            }
            _ => None,
        }),
        others: each(&|kind| match kind {
            PartKind::Other { value, .. } => Some(value.clone()),
            _ => None,
        }),
        citations: citations.map(|citation| citation.raw).collect(),
        logprobs: choices
            .first()
            .and_then(|choice| choice.logprobs.clone().map(rounded)),
        stop: choices.first().and_then(|choice| choice.stop.clone()),
        usage: answer.usage.clone(),
        id: answer.id.clone(),
        model: answer.model.clone(),
    }
}

/// Without what providers tell otherwise from event to event: identifiers (Copilot, OpenRouter),
/// what is encrypted anew, and the last digits of log probabilities.
fn of_providers(mut core: Core) -> Core {
    for reasoning in &mut core.reasoning {
        reasoning[0] = Value::Null;
        reasoning[3] = Value::Bool(reasoning[3].is_string());
    }
    core.id.clear();
    core.logprobs = core.logprobs.map(|list| {
        let tokens = list.as_array().unwrap().iter();
        tokens.map(|token| token["token"].clone()).collect()
    });
    core
}

/// Numbers to nine places: a binary number may change its last bit on the way through text.
fn rounded(value: Value) -> Value {
    match value {
        Value::Number(number) => json!(format!("{:.9}", number.as_f64().unwrap() + 0.0)),
        Value::Array(list) => list.into_iter().map(rounded).collect(),
        Value::Object(object) => {
            let members = object.into_iter();
            Value::Object(members.map(|(key, value)| (key, rounded(value))).collect())
        }
        other => other,
    }
}

fn compare(name: &str, left: &Core, right: &Core, failures: &mut Vec<String>) {
    if left != right {
        let (left, right) = (format!("{left:#?}"), format!("{right:#?}"));
        let pairs = left.lines().zip(right.lines());
        let first = pairs.into_iter().find(|(left, right)| left != right);
        failures.push(format!("{name}: {first:.400?}"));
    }
}

fn data_of(stream: &str) -> Vec<Value> {
    let lines = stream.split(['\n', '\r']);
    lines
        .filter_map(|line| serde_json::from_str(line.strip_prefix("data:")?.trim()).ok())
        .collect()
}

/// The answer that a stream's last event repeats, where it does.
fn last_answer(stream: &str) -> Option<ProviderResponse> {
    let last = data_of(stream).pop()?;
    let repeats = last["type"] == "response.completed" || last["type"] == "response.incomplete";
    repeats.then(|| response::read(last["response"].clone()).unwrap())
}

#[test]
fn every_stream_adds_up_to_its_answer_and_comes_back_with_the_same_meaning() {
    let Some(recordings) = recordings() else {
        return;
    };
    let (mut checked, mut repeated, mut failures) = (0, 0, Vec::new());
    for recording in recordings {
        let Some(stream) = &recording.stream else {
            continue;
        };
        checked += 1;
        let name = &recording.name;
        let (collector, out, losses) = pass(stream.as_bytes());
        if !losses.is_empty() {
            failures.push(format!("{name}: {losses:?}"));
        }
        let ended = collector.is_complete() || collector.error().is_some();
        if recording.complete != ended {
            failures.push(format!("{name}: complete is {}", recording.complete));
        }
        let error = collector.error().map(str::to_owned);
        let once = core(&collector.into_answer());
        let written = String::from_utf8(out.clone()).unwrap();
        check_events(name, &written, &mut failures);
        let (again, ..) = pass(&out);
        if error.as_deref() != again.error() {
            failures.push(format!("{name}: the error is not kept"));
        }
        compare(name, &once, &core(&again.into_answer()), &mut failures);
        // Some providers repeat nothing of the output.
        let last = |text| last_answer(text).filter(|last| !last.choices[0].parts.is_empty());
        if let Some(last) = last(&written) {
            compare(
                &format!("{name} (ours)"),
                &once,
                &core(&last),
                &mut failures,
            );
        }
        if let Some(last) = last(stream) {
            repeated += 1;
            let (once, last) = (of_providers(once), of_providers(core(&last)));
            compare(&format!("{name} (last)"), &once, &last, &mut failures);
        }
    }
    eprintln!("{checked} streams, {repeated} last events");
    assert!(checked > 50);
    judge(&failures);
}

/// Numbers without gaps, each item and each piece begun and ended once, wholes that repeat deltas.
fn check_events(name: &str, stream: &str, failures: &mut Vec<String>) {
    let mut open = std::collections::BTreeMap::new();
    let mut fail = |what: String| failures.push(format!("{name}: {what}"));
    for (event, number) in data_of(stream).iter().zip(0_u64..) {
        if event["sequence_number"] != number {
            fail(format!("event {number} is {}", event["sequence_number"]));
        }
        let kind = event["type"].as_str().unwrap();
        let place = ["output_index", "content_index", "summary_index"]
            .map(|key| event[key].as_u64())
            .to_vec();
        let is_text = kind.ends_with(".delta");
        if kind.ends_with(".added") && !kind.contains("annotation") {
            if open.insert(place.clone(), String::new()).is_some() {
                fail(format!("{kind} twice at {place:?}"));
            }
        } else if is_text {
            match open.get_mut(&place) {
                Some(text) => text.push_str(event["delta"].as_str().unwrap()),
                None => fail(format!("{kind} at {place:?} of nothing")),
            }
        } else if let Some(key) = ["text", "arguments", "refusal", "input"]
            .into_iter()
            .find(|key| kind.ends_with(".done") && event[key].is_string())
        {
            if open.get(&place).map(String::as_str) != event[key].as_str() {
                fail(format!("{kind} at {place:?} is another text"));
            }
        } else if (kind.ends_with("part.done") || kind.ends_with("item.done"))
            && open.remove(&place).is_none()
        {
            fail(format!("{kind} at {place:?} of nothing"));
        }
    }
    if !open.is_empty() && !stream.contains("\"response.failed\"") {
        fail(format!("{open:?} never ended"));
    }
}

#[test]
fn no_place_to_cut_a_stream_at_makes_it_panic_or_complete() {
    let Some(recordings) = recordings() else {
        return;
    };
    let mut cuts = 0;
    for recording in recordings {
        let Some(stream) = &recording.stream else {
            continue;
        };
        let step = stream.len() / 40 + 1;
        for end in (0..stream.len()).step_by(step) {
            let bytes = &stream.as_bytes()[..end];
            let (collector, out, _) = pass(bytes);
            let has_end = ["completed", "incomplete", "failed"]
                .into_iter()
                .any(|word| stream[..floor(stream, end)].contains(&format!("response.{word}")));
            assert!(!collector.is_complete() || has_end, "{}", recording.name);
            for line in String::from_utf8(out).unwrap().lines() {
                if let Some(data) = line.strip_prefix("data: ") {
                    serde_json::from_str::<Value>(data).unwrap();
                }
            }
            cuts += 1;
        }
    }
    eprintln!("{cuts} cuts");
}

fn floor(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[test]
fn events_without_deltas_say_the_same() {
    let Some(recordings) = recordings() else {
        return;
    };
    let (mut checked, mut failures) = (0, Vec::new());
    for recording in recordings {
        let Some(stream) = &recording.stream else {
            continue;
        };
        let (collector, ..) = pass(stream.as_bytes());
        let whole = of_providers(core(&collector.into_answer()));
        for keep in ["done", "item.done", "no items"] {
            let lines = data_of(stream).into_iter().filter(|event| {
                let kind = event["type"].as_str().unwrap_or_default();
                let is_end = !kind.contains(".output") && !kind.contains('_');
                is_end
                    || match keep {
                        "done" => kind.ends_with(".done") || kind.ends_with("item.added"),
                        "item.done" => kind.ends_with("output_item.done"),
                        _ => false,
                    }
            });
            let text: String = lines.map(|event| format!("data: {event}\n\n")).collect();
            if keep == "no items" {
                let last = last_answer(&text);
                if last.is_none_or(|last| last.choices[0].parts.is_empty()) {
                    continue;
                }
            }
            checked += 1;
            let (collector, ..) = pass(text.as_bytes());
            let name = format!("{} ({keep})", recording.name);
            let read = of_providers(core(&collector.into_answer()));
            compare(&name, &whole, &read, &mut failures);
        }
    }
    eprintln!("{checked} streams without deltas");
    judge(&failures);
}
