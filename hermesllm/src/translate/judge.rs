//! Recorded traffic as the judge of translation: every answer and stream, from its own API to every
//! other, means the same before and after, or the loss is told; and so does every request that goes
//! there and back.

#![allow(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a skipped test is seen"
)]

mod conversation;
mod known_gaps;
mod meaning;
mod prefix;
mod recordings;
mod resumption;
mod round_trip;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::apis::{SupportedUpstreamAPIs as Api, WriteOptions};
use crate::representation::Losses;

use super::{Observed, StreamEnd, StreamTranslator};
use known_gaps::is_known;
use meaning::{Aspect, Meaning};
use recordings::{Kind, Recording};

fn options() -> WriteOptions {
    WriteOptions {
        model: "a-model".to_owned(),
        created: 1_700_000_000,
        id: "an-id".to_owned(),
        include_usage: true,
        ..WriteOptions::default()
    }
}

fn conversations() -> impl Iterator<Item = Api> {
    Api::ALL.into_iter().filter(|api| api.has_codec())
}

/// Differences between what an answer meant and what it means in another API.
#[derive(Default)]
struct Verdict {
    compared: usize,
    wrong: Vec<String>,
    by_pair: BTreeMap<(Api, Api, Aspect), usize>,
}

impl Verdict {
    fn judge(
        &mut self,
        recording: &Recording,
        to: Api,
        before: &Meaning,
        after: &Meaning,
        losses: &Losses,
    ) {
        self.compared += 1;
        for aspect in Aspect::ALL {
            if before.same(after, aspect) || is_known(&recording.id, to, aspect) {
                continue;
            }
            // What the target has no place for has to be told.
            if !losses.is_empty() && aspect.may_be_lost(to) {
                continue;
            }
            *self.by_pair.entry((recording.api, to, aspect)).or_default() += 1;
            self.wrong.push(format!(
                "{} -> {to}: {aspect:?}: {} / {}",
                recording.id,
                before.show(aspect),
                after.show(aspect)
            ));
        }
    }

    fn finish(self, what: &str) {
        println!("{what}: {} translations compared", self.compared);
        for ((from, to, aspect), count) in &self.by_pair {
            println!("  {from} -> {to}: {aspect:?} differs in {count}");
        }
        for wrong in self.wrong.iter().take(60) {
            println!("  {wrong}");
        }
        assert!(
            self.wrong.is_empty(),
            "{} of {} differ",
            self.wrong.len(),
            self.compared
        );
        assert!(self.compared > 100, "a corpus holds more");
    }
}

#[test]
fn at_most_one_recording_in_a_hundred_is_a_known_gap() {
    let Some(recordings) = recordings::all() else {
        return;
    };
    assert!(known_gaps::recordings() * 100 <= recordings.len());
}

#[test]
fn every_recorded_answer_means_the_same_in_every_api() {
    let Some(recordings) = recordings::all() else {
        return;
    };
    let mut verdict = Verdict::default();
    for recording in recordings.iter().filter(|r| r.kind == Kind::Answer) {
        let answer = recording.api.read_response(recording.json());
        let answer = answer
            .unwrap()
            .unwrap_or_else(|error| panic!("{}: {error}", recording.id));
        let before = Meaning::of(&answer);
        for to in conversations() {
            let mut losses = Losses::new();
            let written = to.write_response(answer.clone(), &mut losses).unwrap();
            let read = to.read_response(written).unwrap().unwrap();
            verdict.judge(recording, to, &before, &Meaning::of(&read), &losses);
            if to == recording.api {
                assert!(losses.is_empty(), "{}: {:?}", recording.id, losses);
            }
        }
    }
    verdict.finish("answers");
}

#[test]
fn every_recorded_stream_means_the_same_in_every_api() {
    let Some(recordings) = recordings::all() else {
        return;
    };
    let mut verdict = Verdict::default();
    for recording in recordings.iter().filter(|r| r.kind == Kind::Stream) {
        let (before, complete) = meaning::of_stream(recording.api, &recording.body);
        for to in conversations() {
            let mut whole = Vec::new();
            let mut translator =
                StreamTranslator::new(recording.api, to, options(), 64 << 20).unwrap();
            translator.push(&recording.body, &mut whole);
            let end = translator.finish(&mut whole);
            assert_eq!(
                end == StreamEnd::Complete,
                complete,
                "{} -> {to}",
                recording.id
            );
            let (after, _) = meaning::of_stream(to, &whole);
            verdict.judge(recording, to, &before, &after, translator.losses());
            for step in [1, 7, 1000] {
                let mut split = Vec::new();
                let mut translator =
                    StreamTranslator::new(recording.api, to, options(), 64 << 20).unwrap();
                for chunk in recording.body.chunks(step) {
                    translator.push(chunk, &mut split);
                }
                translator.finish(&mut split);
                assert!(
                    without_keep_alive(&split) == without_keep_alive(&whole),
                    "{} -> {to}: split by {step} differs",
                    recording.id
                );
            }
        }
    }
    verdict.finish("streams");
}

/// The first place where two documents differ.
fn difference(one: &Value, other: &Value, at: &str) -> Option<String> {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            let keys = one.keys().chain(other.keys());
            keys.into_iter().find_map(|key| {
                let (one, other) = (one.get(key), other.get(key));
                let null = Value::Null;
                difference(
                    one.unwrap_or(&null),
                    other.unwrap_or(&null),
                    &format!("{at}/{key}"),
                )
            })
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            let mut pairs = one.iter().zip(other).enumerate();
            pairs.find_map(|(index, (one, other))| difference(one, other, &format!("{at}/{index}")))
        }
        _ if one == other => None,
        // An empty list says as much as none.
        (Value::Null, Value::Array(list)) | (Value::Array(list), Value::Null)
            if list.is_empty() =>
        {
            None
        }
        _ => Some(format!("{at}: {one} / {other}").chars().take(600).collect()),
    }
}

/// How often a sign of life is passed on depends on how the bytes come.
fn without_keep_alive(bytes: &[u8]) -> Vec<u8> {
    let mut left = bytes.to_vec();
    // No writer of ours ends its lines like the second.
    for sign in [&b": keep-alive\n\n"[..], b"\r\n"] {
        let mut out = Vec::with_capacity(left.len());
        let mut rest = left.as_slice();
        while let Some(at) = memchr::memmem::find(rest, sign) {
            out.extend_from_slice(&rest[..at]);
            rest = &rest[at + sign.len()..];
        }
        out.extend_from_slice(rest);
        left = out;
    }
    left
}

#[test]
fn every_recorded_request_means_the_same_in_its_own_api_and_is_read_in_every_other() {
    let Some(recordings) = recordings::all() else {
        return;
    };
    let mut compared = 0;
    for recording in &recordings {
        let Some(body) = &recording.request else {
            continue;
        };
        let Ok(request) = recording.api.read_request(body.clone()).unwrap() else {
            // A provider refused it as well, or it is no request of this API.
            assert!(
                !(200..300).contains(&recording.status),
                "{}: {:?}",
                recording.id,
                recording.api.read_request(body.clone()).unwrap().err()
            );
            continue;
        };
        for to in conversations() {
            compared += 1;
            let mut losses = Losses::new();
            let written = to.write_request(request.clone(), &mut losses).unwrap();
            let read = to.read_request(written.clone()).unwrap();
            let read = read.unwrap_or_else(|error| panic!("{} -> {to}: {error}", recording.id));
            let again = to.write_request(read, &mut Losses::new()).unwrap();
            let differs = difference(&written, &again, "");
            assert_eq!(differs, None, "{} -> {to}: not stable", recording.id);
            if to == recording.api {
                assert!(losses.is_empty(), "{}: {losses:?}", recording.id);
            }
            for loss in losses.as_slice() {
                assert!(
                    body.pointer(&loss.path).is_some() || loss.path.is_empty(),
                    "{} -> {to}: {} leads nowhere",
                    recording.id,
                    loss.path
                );
            }
        }
    }
    println!("requests: {compared} translations");
    assert!(compared > 500, "a corpus holds more");
}
