//! Requests, answers and streams from any API to any other: nothing panics, the same bytes give the
//! same translation however they are split, what is written can be read, and losses name places.
#![no_main]

use hermesllm::apis::{SupportedUpstreamAPIs as Api, WriteOptions};
use hermesllm::translate::{self, RequestOptions, StreamTranslator};
use libfuzzer_sys::fuzz_target;
use meseta_fuzz::{divided, pieces};

/// What `seeds.py` counts on: the kinds of input.
const REQUEST: u8 = 0;
const RESPONSE: u8 = 1;

fn api(choice: u8) -> Api {
    // What `seeds.py` counts on as well: their order.
    let known: Vec<Api> = Api::ALL.into_iter().filter(|api| api.has_codec()).collect();
    known[usize::from(choice) % known.len()]
}

fn options() -> WriteOptions {
    WriteOptions {
        model: "m".to_owned(),
        created: 1,
        id: "id".to_owned(),
        include_usage: true,
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
    if let Ok(translated) = translate::response(from, to, status, body, &options()) {
        serde_json::from_slice::<serde_json::Value>(&translated.body).expect("JSON is written");
    }
}

fn streamed(from: Api, to: Api, body: &[u8], split: u8) -> Vec<u8> {
    let mut translator =
        StreamTranslator::new(from, to, options(), 1 << 20).expect("both have streams");
    let mut out = Vec::new();
    for piece in pieces(body, split) {
        let mut gone = Vec::new();
        translator.push(piece, &mut gone);
        // Signs of life depend on how the bytes come.
        if gone != b": keep-alive\n\n" {
            out.extend(gone);
        }
    }
    translator.finish(&mut out);
    assert!(
        !out.is_empty(),
        "a stream without an event ends with an error"
    );
    out
}

fuzz_target!(|input: &[u8]| {
    let Some(([kind, from, to, split], body)) = divided(input) else {
        return;
    };
    let (from, to) = (api(from), api(to));
    match kind {
        REQUEST => request(from, to, body),
        RESPONSE => response(from, to, if split < 128 { 200 } else { 429 }, body),
        _ => {
            let whole = streamed(from, to, body, 255);
            assert!(
                whole == streamed(from, to, body, split),
                "{from} -> {to}: a split differs"
            );
        }
    }
});
