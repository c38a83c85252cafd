//! Requests, answers and streams from any API to any other, and streams that only pass: nothing
//! panics, the same bytes give the same however they are split, what is written can be read, and
//! losses name places.
#![no_main]

use hermesllm::apis::embeddings::Encoding;
use hermesllm::apis::{SupportedUpstreamAPIs as Api, WriteOptions};
use hermesllm::translate::{self, Observed, Observer, RequestOptions, StreamTranslator};
use libfuzzer_sys::fuzz_target;
use meseta_fuzz::{divided, pieces};

/// What `seeds.py` counts on: the kinds of input.
const REQUEST: u8 = 0;
const RESPONSE: u8 = 1;
const STREAM: u8 = 2;
/// Two kinds, so that as many inputs are streams of either kind.
const ARRAY: u8 = 3;

fn api(choice: u8) -> Api {
    // What `seeds.py` counts on as well: their order.
    Api::ALL[usize::from(choice) % Api::ALL.len()]
}

fn options(json_array: bool) -> WriteOptions {
    WriteOptions {
        json_array,
        model: "m".to_owned(),
        created: 1,
        id: "id".to_owned(),
        include_usage: true,
        encoding: Some(Encoding::Base64).filter(|_| json_array),
        ..WriteOptions::default()
    }
}

fn request(from: Api, to: Api, body: &[u8]) {
    let options = RequestOptions::default();
    let Ok(translated) = translate::request(from, to, body, &options) else {
        return;
    };
    // What is written is a request of the other API.
    let again = translate::request(to, to, &translated.body, &options);
    assert!(again.is_ok(), "{from} -> {to}: {again:?}");
    for loss in translated.losses.as_slice() {
        assert!(loss.path.is_empty() || loss.path.starts_with('/'), "{loss}");
    }
}

fn response(from: Api, to: Api, status: u16, body: &[u8]) {
    let options = options(body.len() % 2 == 0);
    if let Ok(translated) = translate::response(from, to, status, body, &options) {
        serde_json::from_slice::<serde_json::Value>(&translated.body).expect("JSON is written");
    }
}

/// `None` where there are no streams.
fn streamed(from: Api, to: Api, array: bool, body: &[u8], split: u8) -> Option<Vec<u8>> {
    let mut translator = StreamTranslator::new(from, to, options(array), 1 << 20)?;
    let mut out = Vec::new();
    for piece in pieces(body, split) {
        let mut gone = Vec::new();
        translator.push(piece, &mut gone);
        // Signs of life depend on how the bytes come. Those of Gemini are empty lines.
        let lives = gone == b": keep-alive\n\n" || (from != to && gone == b"\r\n");
        if !lives {
            out.extend(gone);
        }
    }
    translator.finish(&mut out);
    assert!(
        !out.is_empty(),
        "a stream without an event ends with an error"
    );
    if array && to == Api::Gemini {
        let items = serde_json::from_slice::<Vec<serde_json::Value>>(&out);
        assert!(items.is_ok(), "{from} -> {to}: no array: {items:?}");
    }
    Some(out)
}

/// What an answer that only passes is understood as, and what is put behind it.
fn observed(api: Api, body: &[u8], split: u8) -> (Observed, Vec<u8>) {
    let mut observer = Observer::of_stream(api, 1 << 20);
    for piece in pieces(body, split) {
        observer.push(piece);
    }
    let mut out = Vec::new();
    observer.finish(&mut out);
    (observer.observed().clone(), out)
}

fuzz_target!(|input: &[u8]| {
    let Some(([kind, from, to, split], body)) = divided(input) else {
        return;
    };
    let (from, to) = (api(from), api(to));
    match kind {
        REQUEST => request(from, to, body),
        RESPONSE => response(from, to, if split < 128 { 200 } else { 429 }, body),
        STREAM | ARRAY => {
            let array = kind == ARRAY;
            let whole = streamed(from, to, array, body, 255);
            assert!(
                whole == streamed(from, to, array, body, split),
                "{from} -> {to}: a split differs"
            );
        }
        _ => assert!(
            observed(from, body, 255) == observed(from, body, split),
            "{from}: a split is understood otherwise"
        ),
    }
});
