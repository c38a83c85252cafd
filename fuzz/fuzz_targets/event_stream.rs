//! Streams that are no Server-Sent Events, AWS's frames and Gemini's arrays: nothing panics, a split
//! changes nothing, and frames that are written are read.
#![no_main]

use hermesllm::apis::bedrock_converse::frames::{self, Decoder};
use hermesllm::apis::gemini::stream::{ArrayFraming, Element};
use libfuzzer_sys::fuzz_target;
use meseta_fuzz::{divided, pieces};

/// What `seeds.py` counts on: the kinds of input.
const FRAMES: u8 = 0;
const ARRAY: u8 = 1;

/// The largest frame or item: in reach of an input.
const MOST: usize = 3000;

/// Frames, and whether all was whole.
fn framed(bytes: &[u8], split: u8) -> (Vec<(String, Vec<u8>)>, bool) {
    let mut decoder = Decoder::new(MOST);
    let mut seen = Vec::new();
    for piece in pieces(bytes, split) {
        decoder.push(piece, &mut |frame| {
            assert!(frame.payload.len() <= MOST);
            seen.push((frame.event_type.to_owned(), frame.payload.to_vec()));
        });
    }
    (seen, decoder.finish())
}

/// Items, and whether the array has ended.
fn items(bytes: &[u8], split: u8) -> (Vec<Option<String>>, bool) {
    let mut array = ArrayFraming::new(MOST);
    let mut seen = Vec::new();
    for piece in pieces(bytes, split) {
        array.push(piece, |element| {
            seen.push(match element {
                Element::Whole(text) => Some(text.to_owned()),
                Element::Unreadable => None,
            });
        });
    }
    (seen, array.is_complete())
}

fuzz_target!(|input: &[u8]| {
    let Some(([kind, split, ..], body)) = divided(input) else {
        return;
    };
    match kind {
        FRAMES => assert!(framed(body, 255) == framed(body, split), "a split differs"),
        ARRAY => assert!(items(body, 255) == items(body, split), "a split differs"),
        _ => {
            let mut written = Vec::new();
            for payload in pieces(body, split) {
                frames::write_event(&mut written, "messageStart", |out| out.extend(payload));
            }
            let (read, whole) = framed(&written, split);
            let read: Vec<u8> = read.into_iter().flat_map(|(_, payload)| payload).collect();
            // A frame is larger than what is in it.
            let fits = body.len() + 200 < MOST;
            assert!(!fits || (whole && read == body), "what is written is read");
        }
    }
});
