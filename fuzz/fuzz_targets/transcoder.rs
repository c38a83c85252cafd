//! Answers on their way: however they arrive, the client gets the same bytes and the same is learnt;
//! nothing is held but the event that is incomplete; nothing is left out but usage that nobody asked
//! for; and a stream that was cut off says so.
#![no_main]

use std::collections::HashMap;

use bytes::Bytes;
use hermesllm::endpoint::Endpoint;
use hermesllm::sse::{Frame, Framer};
use hermesllm::transcoder::{BodyKind, Ending, Transcoder, TranscoderOptions};
use libfuzzer_sys::fuzz_target;
use meseta_fuzz::document::Tree;
use meseta_fuzz::{divided, pieces};
use serde_json::value::RawValue;

/// What `seeds.py` counts on: the places in this list.
const ENDPOINTS: [Endpoint; 6] = [
    Endpoint::ChatCompletions,
    Endpoint::Completions,
    Endpoint::Responses,
    Endpoint::Messages,
    Endpoint::Embeddings,
    Endpoint::CountTokens,
];

/// Whether an event can be left out.
fn strips(options: &TranscoderOptions) -> bool {
    options.kind == BodyKind::EventStream
        && options.strip_usage_chunk
        && matches!(
            options.endpoint,
            Endpoint::ChatCompletions | Endpoint::Completions
        )
}

struct Passed {
    /// What the client had before the end, and what the end added.
    out: Vec<u8>,
    end: Vec<u8>,
    ending: Ending,
    learnt: String,
}

fn passed(options: TranscoderOptions, body: &[u8], split: u8) -> Passed {
    let mut transcoder = Transcoder::identity(options);
    let mut framer = Framer::new(options.max_event_bytes);
    let mut segments = Vec::new();
    let strips = strips(&options);
    let (mut came, mut went) = (0, 0);
    // One place of many: what has gone on there is all that was complete.
    let probe = body.len() / 2;
    for piece in pieces(body, split) {
        let from = segments.len();
        transcoder.push(Bytes::copy_from_slice(piece), &mut segments);
        framer.push(piece, |_| {});
        let was_before = came < probe;
        came += piece.len();
        went += segments[from..].iter().map(Bytes::len).sum::<usize>();
        assert!(went <= came, "nothing is added before the end");
        if !strips {
            assert_eq!(went, came, "every byte goes on with its push");
        } else if was_before && came >= probe {
            let boundary = usize::try_from(framer.boundary()).expect("small");
            let mut complete = Vec::new();
            Transcoder::identity(options)
                .push(Bytes::copy_from_slice(&body[..boundary]), &mut complete);
            let complete: usize = complete.iter().map(Bytes::len).sum();
            assert_eq!(went, complete, "complete events are not held");
            assert!(came - boundary <= options.max_event_bytes);
        }
    }
    assert!(segments.iter().all(|segment| !segment.is_empty()));
    let mut end = Vec::new();
    let ending = transcoder.finish(&mut end);
    let progress = transcoder.progress();
    let usage = progress.usage;
    let cache = usage.cached.saturating_add(usage.cache_write);
    assert!(cache <= usage.input, "{usage:?}");
    assert!(usage.reasoning <= usage.output, "{usage:?}");
    let oversized = transcoder.oversized_events();
    Passed {
        out: segments.concat(),
        end: end.concat(),
        ending,
        learnt: format!("{ending:?} {progress:?} {oversized}"),
    }
}

/// Whether an event's data may be usage that nobody asked for.
fn may_be_bare_usage(data: &[u8]) -> bool {
    let Ok(members) = serde_json::from_slice::<HashMap<String, &RawValue>>(data) else {
        return false;
    };
    let choices = members.get("choices").map(|choices| choices.get());
    let choices = choices.and_then(|choices| serde_json::from_str::<[(); 0]>(choices).ok());
    let usage = members.get("usage");
    choices.is_some() && usage.is_some_and(|usage| usage.get().starts_with('{'))
}

/// Walks the stream and the client's bytes together.
fn only_usage_is_left_out(stream: &[u8], client: &[u8], most: usize) {
    let mut framer = Framer::new(most);
    // What each block is, whether it may be left out, and whether a LF follows that is in none.
    let mut blocks: Vec<(Vec<u8>, bool)> = Vec::new();
    framer.push(stream, |frame| match frame {
        Frame::Event(event) => {
            let optional = event.data.as_deref().is_some_and(may_be_bare_usage);
            blocks.push((event.raw.to_vec(), optional));
        }
        Frame::Oversized { part, first, .. } => {
            if first {
                blocks.push((Vec::new(), false));
            }
            let (raw, _) = blocks.last_mut().expect("a first part comes first");
            raw.extend_from_slice(part);
        }
    });
    let (mut stream, mut client) = (stream, client);
    for (raw, optional) in blocks {
        stream = stream.strip_prefix(raw.as_slice()).expect("its bytes");
        let kept = client.strip_prefix(raw.as_slice());
        let ends_in_cr = raw.ends_with(b"\r");
        let lf = ends_in_cr.then(|| stream.strip_prefix(b"\n")).flatten();
        match kept {
            Some(rest) => {
                client = rest;
                if lf.is_some() {
                    client = client.strip_prefix(b"\n").expect("a kept line end");
                }
            }
            None => assert!(optional, "an event was left out: {}", raw.escape_ascii()),
        }
        stream = lf.unwrap_or(stream);
    }
    assert!(
        client.is_empty(),
        "something else: {}",
        client.escape_ascii()
    );
}

/// The last event that a client reads, which has to be complete.
fn last_event(stream: &[u8]) -> Vec<u8> {
    let mut framer = Framer::new(usize::MAX);
    let mut last = None;
    framer.push(stream, |frame| {
        if let Frame::Event(event) = frame {
            last = event.data.map(|data| data.into_owned()).or(last.take());
        }
    });
    assert!(!framer.is_inside_block(), "the last event is complete");
    last.expect("an event")
}

fuzz_target!(|input: &[u8]| {
    let Some(([endpoint, form, bound, split], body)) = divided(input) else {
        return;
    };
    let options = TranscoderOptions {
        endpoint: ENDPOINTS[usize::from(endpoint) % ENDPOINTS.len()],
        kind: match form & 3 {
            0 | 1 => BodyKind::EventStream,
            2 => BodyKind::Json,
            _ => BodyKind::Opaque,
        },
        status: if form & 4 == 0 { 200 } else { 500 },
        strip_usage_chunk: form & 8 != 0,
        estimated_input: u64::from(bound),
        max_event_bytes: if bound < 128 {
            usize::from(bound)
        } else {
            1 << 20
        },
    };
    let whole = passed(options, body, 255);
    let split = passed(options, body, split);
    assert_eq!(split.learnt, whole.learnt);
    let [whole_bytes, split_bytes] =
        [&whole, &split].map(|passed| [&*passed.out, &*passed.end].concat());
    assert!(
        whole_bytes == split_bytes,
        "whole: {}\nsplit: {}",
        whole_bytes.escape_ascii(),
        split_bytes.escape_ascii()
    );

    let strips = strips(&options);
    if strips {
        let mut framer = Framer::new(options.max_event_bytes);
        framer.push(body, |_| {});
        let boundary = usize::try_from(framer.boundary()).expect("small");
        only_usage_is_left_out(&body[..boundary], &whole.out, options.max_event_bytes);
    } else {
        assert!(whole.out == body, "the provider's very bytes");
    }
    match whole.ending {
        Ending::Complete if strips => assert!(body.ends_with(&whole.end)),
        Ending::Complete => assert!(whole.end.is_empty()),
        Ending::Truncated => {
            assert!(options.kind == BodyKind::EventStream && options.status == 200);
            let error = last_event(&whole_bytes);
            let error = Tree::read(&error).expect("the error event is JSON");
            assert!(error.last("error").is_some() || error.last("code").is_some());
        }
    }
});
