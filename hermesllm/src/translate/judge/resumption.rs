//! Recorded streams, broken off after each of their events and continued by another provider's: the
//! client has one answer, whose text is that of both.

use super::*;
use crate::representation::{Part, PartKind, TokenUsage};
use crate::translate::{collected, Partial};

const MOST_BYTES: usize = 64 << 20;
/// What is estimated of every attempt that reports nothing.
const ESTIMATED: u64 = 1000;

/// A recorded answer that is nothing but a text, and thoughts before it perhaps.
struct Sample {
    api: Api,
    body: Vec<u8>,
    text: String,
    has_thoughts: bool,
    usage: Option<TokenUsage>,
}

fn text_of(parts: &[Part]) -> String {
    let texts = parts.iter().filter_map(|part| match &part.kind {
        PartKind::Text { text, .. } => Some(text.as_str()),
        _ => None,
    });
    texts.collect()
}

fn sample(recording: &Recording) -> Option<Sample> {
    let collector = collected(recording.api, &recording.body, MOST_BYTES)?;
    let is_complete = collector.is_complete();
    let answer = collector.into_answer();
    let [choice] = answer.choices.as_slice() else {
        return None;
    };
    let is_text = |part: &Part| matches!(part.kind, PartKind::Text { .. });
    let is_thought = |part: &Part| matches!(part.kind, PartKind::Reasoning(_));
    let (last, before) = choice.parts.split_last()?;
    let fits = is_complete && is_text(last) && before.iter().all(is_thought);
    fits.then(|| Sample {
        api: recording.api,
        body: recording.body.clone(),
        text: text_of(&choice.parts),
        has_thoughts: !before.is_empty(),
        usage: answer.usage,
    })
}

/// The shortest of each API, and the shortest with thoughts.
fn samples() -> Option<Vec<Sample>> {
    let recordings = recordings::all()?;
    let mut all = Vec::new();
    for api in conversations() {
        let of_api = |r: &&Recording| r.kind == Kind::Stream && r.api == api;
        let mut own: Vec<_> = recordings
            .iter()
            .filter(of_api)
            .filter_map(sample)
            .collect();
        own.retain(|sample| sample.text.len() > 20);
        own.sort_by_key(|sample| sample.body.len());
        let (mut thoughtful, mut plain): (Vec<_>, Vec<_>) =
            own.into_iter().partition(|sample| sample.has_thoughts);
        thoughtful.truncate(1);
        plain.truncate(1);
        all.extend(plain);
        all.extend(thoughtful);
    }
    Some(all)
}

/// The ends of the events of a stream.
fn ends(sample: &Sample) -> Vec<usize> {
    let bytes = &sample.body;
    let mut ends = vec![0];
    if sample.api == Api::BedrockConverse {
        let mut at = 0;
        while let Some(length) = bytes.get(at..at + 4) {
            at += u32::from_be_bytes(length.try_into().unwrap()) as usize;
            ends.push(at);
        }
    } else {
        ends.extend(memchr::memmem::find_iter(bytes, b"\n\n").map(|at| at + 2));
    }
    ends
}

fn translator(from: Api, to: Api) -> StreamTranslator {
    let translator = StreamTranslator::new(from, to, options(), MOST_BYTES);
    translator.unwrap().resumable()
}

fn estimated() -> TokenUsage {
    TokenUsage {
        input: Some(ESTIMATED),
        output: Some(ESTIMATED),
        ..TokenUsage::default()
    }
}

/// What the client has to see of a text and what another provider has answered.
fn joined(partial: &Partial, text: &str) -> String {
    let mut seam = super::super::trim::Seam::new(&partial.text);
    let new = seam.push(text).into_owned();
    format!("{}{new}{}", partial.text, seam.flush())
}

/// How many starts and ends a client reads.
fn starts_and_ends(api: Api, body: &[u8]) -> (usize, usize) {
    let count = |word: &str| memchr::memmem::find_iter(body, word).count();
    match api {
        Api::AnthropicMessages => (count("event: message_start"), count("event: message_stop")),
        Api::OpenAiResponses => (
            count("event: response.created"),
            count("event: response.completed"),
        ),
        Api::OpenAiChat | Api::OpenAiCompletions => (1, count("data: [DONE]")),
        Api::BedrockConverse => (count("messageStart"), count("messageStop")),
        Api::CohereChat => (count("\"message-start\""), count("\"message-end\"")),
        _ => (1, count("\"finishReason\"")),
    }
}

fn is_one_answer(client: Api, out: &[u8], text: &str, observed: &Observed, at: &str) {
    assert_eq!(starts_and_ends(client, out), (1, 1), "{at}");
    let collector = collected(client, out, MOST_BYTES).unwrap();
    assert!(
        collector.is_complete() && collector.error().is_none(),
        "{at}"
    );
    let answer = collector.into_answer();
    assert_eq!(text_of(&answer.choices[0].parts), text, "{at}");
    let told = answer.usage.map(|usage| (usage.input, usage.output));
    let known = observed.usage.as_ref();
    assert_eq!(told, known.map(|usage| (usage.input, usage.output)), "{at}");
}

#[test]
fn every_stream_that_breaks_off_is_continued_by_every_other_for_every_client() {
    let Some(samples) = samples() else {
        return;
    };
    let mut continued = 0;
    for (broken, next) in samples
        .iter()
        .flat_map(|one| samples.iter().map(move |other| (one, other)))
    {
        let ends = ends(broken);
        let step = ends.len() / 30 + 1;
        for (client, end) in
            conversations().flat_map(|to| ends.iter().step_by(step).map(move |end| (to, *end)))
        {
            let at = format!("{} at {end}, {} for {client}", broken.api, next.api);
            let mut out = Vec::new();
            let mut translator = translator(broken.api, client);
            translator.push(&broken.body[..end], &mut out);
            if translator.close(&mut out) {
                assert_eq!(translator.partial(), None, "{at}");
                continue;
            }
            let Some(partial) = translator.partial().cloned() else {
                // Nothing but the end was missing, or it passes as it is.
                let before = out.len();
                assert!(!translator.resume(next.api, &estimated(), &mut out), "{at}");
                assert_eq!(out.len(), before, "{at}");
                continue;
            };
            assert!(broken.text.starts_with(&partial.text), "{at}");
            let before = translator.observed().usage.clone().unwrap_or_default();
            assert!(translator.resume(next.api, &estimated(), &mut out), "{at}");
            for piece in next.body.chunks(997) {
                translator.push(piece, &mut out);
            }
            assert_eq!(translator.finish(&mut out), StreamEnd::Complete, "{at}");
            is_one_answer(
                client,
                &out,
                &joined(&partial, &next.text),
                translator.observed(),
                &at,
            );
            if let Some(own) = next.usage.as_ref().and_then(|usage| usage.input) {
                let sum = own + before.input.unwrap_or(ESTIMATED);
                let known = translator.observed().usage.as_ref().unwrap();
                assert_eq!(known.input, Some(sum), "{at}");
            }
            continued += 1;
        }
    }
    println!("{continued} continuations of {} streams", samples.len());
    assert!(continued > 1000, "a corpus holds more");
}

#[test]
fn a_stream_that_does_not_break_off_is_the_same_as_ever() {
    let Some(samples) = samples() else {
        return;
    };
    for sample in &samples {
        for client in conversations() {
            if client == sample.api {
                continue;
            }
            let (mut plain, mut kept) = (Vec::new(), Vec::new());
            let mut other =
                StreamTranslator::new(sample.api, client, options(), MOST_BYTES).unwrap();
            other.push(&sample.body, &mut plain);
            other.finish(&mut plain);
            assert_eq!(other.partial(), None);
            let mut own = translator(sample.api, client);
            own.push(&sample.body, &mut kept);
            own.finish(&mut kept);
            assert!(plain == kept, "{} for {client}", sample.api);
        }
    }
}

#[test]
fn every_recorded_stream_passes_as_it_is_to_a_client_of_its_own_api() {
    let Some(recordings) = recordings::all() else {
        return;
    };
    for recording in recordings.iter().filter(|r| r.kind == Kind::Stream) {
        // The array of Gemini's streams is read, and written as events.
        if recording.body.starts_with(b"[") {
            continue;
        }
        for step in [7, 1000, usize::MAX] {
            let mut out = Vec::new();
            let mut translator = translator(recording.api, recording.api);
            for chunk in recording.body.chunks(step) {
                translator.push(chunk, &mut out);
            }
            let error = translator.is_broken();
            if translator.close(&mut out) {
                assert!(out == recording.body, "{} by {step}", recording.id);
            } else {
                assert!(
                    recording.body.starts_with(&out),
                    "{} by {step}",
                    recording.id
                );
                assert!(!error || translator.partial().is_some(), "{}", recording.id);
            }
        }
    }
}
