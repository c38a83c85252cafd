//! Every recorded answer through the transcoder: its bytes, its usage and its end, against readers that look at the
//! whole answer at once.

// A test that skips says so where test output is read.
#![allow(clippy::print_stderr)]

mod traffic;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use bytes::Bytes;
use hermesllm::endpoint::Endpoint;
use hermesllm::transcoder::{BodyKind, Ending, Transcoder, TranscoderOptions};
use hermesllm::usage::Usage;
use serde_json::Value;

const ESTIMATED_INPUT: u64 = 123_456_789;

struct Recording {
    id: String,
    endpoint: Endpoint,
    kind: BodyKind,
    status: u16,
    body: Vec<u8>,
    stream_complete: bool,
}

impl Recording {
    fn options(&self, strip_usage_chunk: bool) -> TranscoderOptions {
        TranscoderOptions {
            endpoint: self.endpoint,
            kind: self.kind,
            status: self.status,
            strip_usage_chunk,
            estimated_input: ESTIMATED_INPUT,
            max_event_bytes: 4 << 20,
        }
    }

    fn is_stream(&self) -> bool {
        self.kind == BodyKind::EventStream
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// All recorded answers of the endpoints that are served; `None`, said aloud, without a corpus.
fn recordings() -> Option<Vec<Recording>> {
    let files = traffic::files(&[])?;
    let recordings: Vec<Recording> = files.iter().filter_map(|file| recording(file)).collect();
    assert!(recordings.len() > 500, "a corpus holds more recordings");
    Some(recordings)
}

fn recording(file: &Path) -> Option<Recording> {
    let value: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    let name = value["endpoint"].as_str()?;
    let endpoint = Endpoint::ALL
        .into_iter()
        .filter(|endpoint| endpoint.is_of_clients() && endpoint.stream_by_path().is_none())
        .find(|endpoint| endpoint.as_str() == name && endpoint.methods().starts_with("POST"))?;
    let (kind, body) = match value["response_format"].as_str()? {
        "json" => (
            BodyKind::Json,
            serde_json::to_vec(&value["response_body"]).unwrap(),
        ),
        "sse" => (
            BodyKind::EventStream,
            value["response_stream"].as_str()?.as_bytes().to_vec(),
        ),
        _ => return None,
    };
    Some(Recording {
        id: format!("{}/{name}/{}", value["provider"], value["id"]),
        endpoint,
        kind,
        status: u16::try_from(value["response_status"].as_u64()?).unwrap(),
        body,
        stream_complete: value["stream_complete"] == true,
    })
}

/// A few splits of a body: whole, even pieces, random pieces.
fn splits(body: &[u8], seed: u64) -> Vec<Vec<usize>> {
    let even = |length: usize| vec![length; body.len().div_ceil(length)];
    let mut random = Vec::new();
    let mut state = seed | 1;
    let mut total = 0;
    while total < body.len() {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let length = 1 + (state >> 33) as usize % [5, 60, 900][(state >> 61) as usize % 3];
        random.push(length);
        total += length;
    }
    let single = if body.len() <= 10_000 { 1 } else { 17 };
    vec![vec![body.len()], even(single), random]
}

/// Output, ending and the transcoder after `body` in pieces of `lengths`.
fn pass(
    options: TranscoderOptions,
    body: &[u8],
    lengths: &[usize],
) -> (Vec<u8>, Ending, Transcoder) {
    let mut transcoder = Transcoder::identity(options);
    let body = Bytes::copy_from_slice(body);
    let mut out = Vec::new();
    let mut at = 0;
    for length in lengths {
        let end = (at + length).min(body.len());
        transcoder.push(body.slice(at..end), &mut out);
        at = end;
    }
    let ending = transcoder.finish(&mut out);
    (out.concat(), ending, transcoder)
}

/// The `data` lines of a recorded stream; none of the recordings has an event with two.
fn data_lines(stream: &str) -> impl Iterator<Item = &str> {
    stream
        .split(['\n', '\r'])
        .filter_map(|line| line.strip_prefix("data:"))
        .map(str::trim)
}

fn documents(recording: &Recording) -> Vec<Value> {
    if recording.is_stream() {
        data_lines(recording.text())
            .filter_map(|data| serde_json::from_str(data).ok())
            .collect()
    } else {
        vec![serde_json::from_slice(&recording.body).unwrap()]
    }
}

/// The largest whole number at any of the JSON pointers.
fn figure(usage: &Value, pointers: &[&str]) -> Option<u64> {
    pointers
        .iter()
        .filter_map(|pointer| usage.pointer(pointer)?.as_u64())
        .max()
}

/// Usage as a reader of whole documents finds it.
fn naive_usage(recording: &Recording) -> Option<Usage> {
    let documents = documents(recording);
    let objects: Vec<&Value> = documents
        .iter()
        .flat_map(|document| match recording.endpoint {
            Endpoint::Responses if recording.is_stream() => vec![&document["response"]["usage"]],
            Endpoint::Messages => vec![&document["message"]["usage"], &document["usage"]],
            _ => vec![&document["x_groq"]["usage"], &document["usage"]],
        })
        .filter(|usage| usage.is_object())
        .collect();
    if recording.endpoint == Endpoint::CountTokens {
        let input = documents[0]["input_tokens"].as_u64()?;
        return Some(Usage {
            input,
            ..Usage::default()
        });
    }
    if recording.endpoint == Endpoint::Messages {
        let most = |key: &str| {
            let figures = objects.iter().filter_map(|usage| usage.pointer(key));
            figures.filter_map(Value::as_u64).max().unwrap_or(0)
        };
        let (cached, cache_write) = (
            most("/cache_read_input_tokens"),
            most("/cache_creation_input_tokens"),
        );
        return (!objects.is_empty()).then(|| Usage {
            input: most("/input_tokens") + cached + cache_write,
            output: most("/output_tokens"),
            cached,
            cache_write,
            reasoning: most("/output_tokens_details/thinking_tokens"),
        });
    }
    let usage = objects.last()?;
    let cached = figure(
        usage,
        &[
            "/prompt_tokens_details/cached_tokens",
            "/prompt_token_details/cached_tokens",
            "/input_tokens_details/cached_tokens",
            "/prompt_cache_hit_tokens",
            "/cached_tokens",
            "/num_cached_tokens",
            "/cache_read_input_tokens",
        ],
    );
    let cache_write = figure(
        usage,
        &[
            "/prompt_tokens_details/cache_write_tokens",
            "/input_tokens_details/cache_write_tokens",
            "/cache_creation_input_tokens",
        ],
    );
    let reasoning = figure(
        usage,
        &[
            "/completion_tokens_details/reasoning_tokens",
            "/completion_token_details/reasoning_tokens",
            "/output_tokens_details/reasoning_tokens",
            "/reasoning_tokens",
        ],
    );
    let output = figure(usage, &["/completion_tokens", "/output_tokens"]).unwrap_or(0);
    let total = figure(usage, &["/total_tokens"]);
    let input = figure(usage, &["/prompt_tokens", "/input_tokens"])
        .or_else(|| total.map(|total| total - output))?;
    let cached = cached.unwrap_or(0);
    let mut found = Usage {
        input,
        output,
        cached,
        cache_write: cache_write.unwrap_or(0),
        reasoning: reasoning.unwrap_or(0),
    };
    if cached > input {
        found.input += cached;
    }
    let hidden = total.map_or(0, |total| total - input - output);
    if hidden > 0 {
        found.output += hidden;
        found.reasoning = hidden;
    }
    Some(found)
}

#[test]
fn every_recorded_answer_passes_unchanged_however_it_is_split() {
    let Some(recordings) = recordings() else {
        return;
    };
    for (number, recording) in recordings.into_iter().enumerate() {
        for lengths in splits(&recording.body, number as u64) {
            let (out, ..) = pass(recording.options(false), &recording.body, &lengths);
            let out = &out[..out.len().min(recording.body.len())];
            assert!(out == recording.body, "{} is changed", recording.id);
        }
    }
}

#[test]
fn usage_is_what_a_reader_of_the_whole_answer_finds_however_it_is_split() {
    let mut reported = 0;
    let Some(recordings) = recordings() else {
        return;
    };
    for (number, recording) in recordings.into_iter().enumerate() {
        let naive = naive_usage(&recording);
        reported += u32::from(naive.is_some());
        for lengths in splits(&recording.body, number as u64) {
            let (.., transcoder) = pass(recording.options(false), &recording.body, &lengths);
            let progress = transcoder.progress();
            let succeeded = (200..300).contains(&recording.status);
            match naive {
                Some(usage) => {
                    assert_eq!(progress.usage, usage, "{}", recording.id);
                    assert!(!progress.estimated, "{}", recording.id);
                }
                None if succeeded => {
                    assert!(progress.estimated, "{}", recording.id);
                    assert_eq!(progress.usage.input, ESTIMATED_INPUT);
                }
                None => assert_eq!(progress.usage, Usage::default(), "{}", recording.id),
            }
        }
    }
    assert!(reported > 400, "only {reported} answers have usage");
}

#[test]
fn names_reasons_and_errors_are_those_of_the_answer() {
    let Some(recordings) = recordings() else {
        return;
    };
    for recording in recordings {
        let (.., transcoder) = pass(
            recording.options(false),
            &recording.body,
            &[recording.body.len()],
        );
        let progress = transcoder.progress();
        let documents = documents(&recording);
        let first = |pointers: &[&str]| {
            documents
                .iter()
                .flat_map(|document| pointers.iter().filter_map(|at| document.pointer(at)))
                .filter_map(Value::as_str)
                .find(|text| !text.is_empty())
        };
        if recording.endpoint != Endpoint::CountTokens {
            let prefixes = match (recording.endpoint, recording.is_stream()) {
                (Endpoint::Messages, true) => ["/message/id", "/message/model"],
                (Endpoint::Responses, true) => ["/response/id", "/response/model"],
                _ => ["/id", "/model"],
            };
            assert_eq!(
                progress.response_id,
                first(&prefixes[..1]),
                "{}",
                recording.id
            );
            assert_eq!(progress.model, first(&prefixes[1..]), "{}", recording.id);
        }
        if recording.status >= 400 {
            let object = documents[0]
                .pointer("/error")
                .or(documents[0].pointer("/0/error"));
            let object = object.is_some_and(|error| !error.is_null());
            assert_eq!(progress.error, object, "{}", recording.id);
        } else if recording.is_stream() && recording.stream_complete {
            let any_text = documents.iter().any(|document| {
                let delta = &document["choices"][0]["delta"];
                ["content", "reasoning_content", "reasoning", "refusal"]
                    .iter()
                    .any(|key| delta[*key].as_str().is_some_and(|text| !text.is_empty()))
                    || delta["tool_calls"].is_array()
            });
            if recording.endpoint == Endpoint::ChatCompletions {
                assert_eq!(progress.content_started, any_text, "{}", recording.id);
            }
            let reason = first(&[
                "/choices/0/finish_reason",
                "/delta/stop_reason",
                "/response/incomplete_details/reason",
            ]);
            match recording.endpoint {
                Endpoint::Responses if reason.is_none() => {
                    assert!(progress.finish_reason.is_some(), "{}", recording.id);
                }
                _ => assert_eq!(progress.finish_reason, reason, "{}", recording.id),
            }
        }
    }
}

/// The events of a recorded stream, each with its blank line.
fn blocks(stream: &str) -> Vec<&str> {
    let blank = if stream.contains("\r\n\r\n") {
        "\r\n\r\n"
    } else {
        "\n\n"
    };
    stream.split_inclusive(blank).collect()
}

fn is_usage_chunk(block: &str) -> bool {
    let mut documents =
        data_lines(block).filter_map(|data| serde_json::from_str::<Value>(data).ok());
    documents
        .any(|chunk| chunk["choices"] == Value::Array(Vec::new()) && chunk["usage"].is_object())
}

#[test]
fn stripping_leaves_out_the_usage_chunk_and_nothing_else() {
    let mut stripped = 0;
    let Some(recordings) = recordings() else {
        return;
    };
    for (number, recording) in recordings.into_iter().enumerate() {
        let chunks = matches!(
            recording.endpoint,
            Endpoint::ChatCompletions | Endpoint::Completions
        );
        let expected: String = if recording.is_stream() && chunks {
            let kept = blocks(recording.text())
                .into_iter()
                .filter(|block| !is_usage_chunk(block));
            kept.collect()
        } else {
            recording.text().to_owned()
        };
        stripped += usize::from(expected.len() != recording.body.len());
        for lengths in splits(&recording.body, number as u64) {
            let (out, _, transcoder) = pass(recording.options(true), &recording.body, &lengths);
            let out = &out[..out.len().min(expected.len())];
            assert!(out == expected.as_bytes(), "{} is changed", recording.id);
            if let Some(usage) = naive_usage(&recording) {
                assert_eq!(transcoder.progress().usage, usage, "{}", recording.id);
            }
        }
    }
    assert!(stripped > 50, "only {stripped} streams have a usage chunk");
}

/// Whether a stream has said that it is over, by its `data` lines so far.
#[derive(Clone, Default)]
struct End {
    over: bool,
    choices: BTreeMap<Option<u64>, bool>,
}

impl End {
    fn read(&mut self, endpoint: Endpoint, lines: &str) {
        for data in data_lines(lines) {
            let Ok(event) = serde_json::from_str::<Value>(data) else {
                self.over |= data == "[DONE]" && endpoint.as_str().ends_with("completions");
                continue;
            };
            let kind = event["type"].as_str().unwrap_or_default();
            self.over |= match endpoint {
                Endpoint::Messages => ["message_stop", "error"].contains(&kind),
                Endpoint::Responses => [
                    "response.completed",
                    "response.incomplete",
                    "response.failed",
                    "error",
                ]
                .contains(&kind),
                _ => event["error"].is_object(),
            };
            for choice in event["choices"].as_array().into_iter().flatten() {
                let reason = choice["finish_reason"].as_str().unwrap_or_default();
                let finished = self.choices.entry(choice["index"].as_u64());
                *finished.or_insert(false) |= !reason.is_empty();
            }
        }
    }

    fn has_come(&self) -> bool {
        self.over || !self.choices.is_empty() && self.choices.values().all(|finished| *finished)
    }
}

#[test]
fn a_complete_recording_is_never_reported_truncated_and_a_cut_one_always() {
    let mut cuts = 0;
    let Some(recordings) = recordings() else {
        return;
    };
    for recording in recordings {
        let whole = [recording.body.len()];
        let (out, ending, _) = pass(recording.options(false), &recording.body, &whole);
        if !recording.is_stream() || recording.stream_complete {
            assert_eq!(ending, Ending::Complete, "{}", recording.id);
            assert_eq!(out.len(), recording.body.len(), "{}", recording.id);
        } else {
            assert_eq!(ending, Ending::Truncated, "{}", recording.id);
        }
        if !recording.is_stream() {
            continue;
        }
        // Between events, inside them, and at each of the last bytes.
        let text = recording.text();
        let last = text.len().saturating_sub(60);
        let cuts_per_stream = (1_000_000 / text.len()).clamp(20, 100);
        let step = (text.len() / cuts_per_stream).max(1);
        let mut end = End::default();
        let mut start = 0;
        for block in blocks(text) {
            let inside = (start..start + block.len()).filter(|at| at % step == 0 || *at >= last);
            for place in inside.filter(|at| text.is_char_boundary(*at)) {
                let cut = &text[..place];
                let mut end = end.clone();
                end.read(recording.endpoint, &text[start..place]);
                let ended = end.has_come();
                let (out, ending, _) = pass(recording.options(false), cut.as_bytes(), &[place]);
                let truncated = ending == Ending::Truncated;
                assert_eq!(truncated, !ended, "{} cut at {place}", recording.id);
                assert_eq!(out.len() > place, !ended, "{} at {place}", recording.id);
                cuts += usize::from(truncated);
            }
            end.read(recording.endpoint, block);
            start += block.len();
        }
    }
    assert!(cuts > 10_000, "only {cuts} cuts were tried");
}
