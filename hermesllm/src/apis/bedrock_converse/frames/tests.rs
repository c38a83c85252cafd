use proptest::prelude::*;

use super::*;

type Seen = Vec<(String, String, bool)>;

fn event(kind: &str, payload: &str) -> Vec<u8> {
    let mut out = Vec::new();
    write_event(&mut out, kind, |out| {
        out.extend_from_slice(payload.as_bytes());
    });
    out
}

fn decode(pieces: &[&[u8]], max: usize) -> (Seen, bool) {
    let mut decoder = Decoder::new(max);
    let mut seen = Vec::new();
    for piece in pieces {
        decoder.push(piece, &mut |frame| {
            seen.push((
                frame.event_type.to_owned(),
                String::from_utf8_lossy(frame.payload).into_owned(),
                frame.is_exception,
            ));
        });
    }
    (seen, decoder.finish())
}

fn broken(reason: &str) -> (String, String, bool) {
    let payload = json!({ "message": reason }).to_string();
    (PROTOCOL_ERROR.to_owned(), payload, true)
}

/// A frame of raw headers, with right checksums.
fn raw(headers: &[u8], payload: &[u8]) -> Vec<u8> {
    let total = u32::try_from(PRELUDE + headers.len() + payload.len() + CHECKSUM).unwrap();
    let mut out = total.to_be_bytes().to_vec();
    out.extend(u32::try_from(headers.len()).unwrap().to_be_bytes());
    out.extend(crc32fast::hash(&out).to_be_bytes());
    out.extend(headers);
    out.extend(payload);
    out.extend(crc32fast::hash(&out).to_be_bytes());
    out
}

fn text_header(name: &str, value: &str) -> Vec<u8> {
    let mut out = Vec::new();
    header(&mut out, name, value);
    out
}

#[test]
fn an_event_is_the_bytes_that_aws_writes() {
    // The frame of the specification's smallest example: no headers, no payload.
    let empty = [
        0, 0, 0, 0x10, 0, 0, 0, 0, 0x05, 0xc2, 0x48, 0xeb, 0x7d, 0x98, 0xc8, 0xff,
    ];
    assert_eq!(raw(&[], &[]), empty);
    let bytes = event("messageStart", "{}");
    let (seen, complete) = decode(&[&bytes], 1000);
    assert_eq!(seen, [("messageStart".into(), "{}".into(), false)]);
    assert!(complete);
}

#[test]
fn an_incomplete_frame_gives_nothing_and_is_known_at_the_end() {
    let bytes = event("messageStart", "{}");
    for length in 1..bytes.len() {
        assert_eq!(decode(&[&bytes[..length]], 1000), (vec![], false));
    }
    assert_eq!(decode(&[], 1000), (vec![], true));
}

#[test]
fn a_wrong_bit_anywhere_ends_the_stream_with_one_error() {
    let good = event("contentBlockDelta", r#"{"delta":{"text":"a"}}"#);
    for at in 0..good.len() {
        let mut bytes = good.clone();
        bytes[at] ^= 4;
        bytes.extend(event("messageStop", "{}"));
        let (seen, complete) = decode(&[&bytes], 1000);
        let reason = if at < PRELUDE {
            "the checksum of a frame's lengths is wrong"
        } else {
            "the checksum of a frame is wrong"
        };
        assert_eq!(seen, [broken(reason)], "{at}");
        assert!(!complete);
    }
}

#[test]
fn impossible_and_too_large_lengths_are_refused_before_their_bytes_come() {
    for (total, headers, reason) in [
        (
            15_u32,
            0_u32,
            "the lengths of a frame contradict each other",
        ),
        (0, 0, "the lengths of a frame contradict each other"),
        (20, 5, "the lengths of a frame contradict each other"),
        (1001, 0, "a frame is too large"),
        (u32::MAX, u32::MAX, "a frame is too large"),
    ] {
        let mut bytes = total.to_be_bytes().to_vec();
        bytes.extend(headers.to_be_bytes());
        bytes.extend(crc32fast::hash(&bytes).to_be_bytes());
        assert_eq!(decode(&[&bytes], 1000).0, [broken(reason)]);
    }
}

#[test]
fn headers_of_every_type_are_passed_over() {
    let mut headers = Vec::new();
    for (kind, length) in [
        (0_u8, 0_usize),
        (1, 0),
        (2, 1),
        (3, 2),
        (4, 4),
        (5, 8),
        (8, 8),
        (9, 16),
    ] {
        headers.extend([1, b'x', kind]);
        headers.extend(vec![7; length]);
    }
    headers.extend([1, b'x', 6, 0, 3, 1, 2, 3]);
    headers.extend([1, b'x', 7, 0, 1, 0xff]);
    headers.extend(text_header(":event-type", "metadata"));
    let (seen, _) = decode(&[&raw(&headers, b"{}")], 1000);
    assert_eq!(seen, [("metadata".into(), "{}".into(), false)]);
}

#[test]
fn headers_that_cannot_be_read_are_no_panic() {
    for headers in [&[9_u8][..], &[1, b'x', 10], &[1, b'x', 7, 0, 9], &[0, 7]] {
        let (seen, complete) = decode(&[&raw(headers, b"{}")], 1000);
        assert_eq!(seen, [(String::new(), "{}".into(), false)]);
        assert!(complete);
    }
}

#[test]
fn exceptions_and_errors_have_their_type_and_a_message() {
    let mut bytes = Vec::new();
    write_exception(&mut bytes, "throttlingException", |out| {
        out.extend_from_slice(br#"{"message":"slow"}"#);
    });
    let mut headers = text_header(":message-type", "error");
    headers.extend(text_header(":error-code", "InternalError"));
    headers.extend(text_header(":error-message", "broken \"here\""));
    bytes.extend(raw(&headers, b""));
    let headers = text_header(":message-type", "exception");
    bytes.extend(raw(&headers, br#"{"Message":"capital"}"#));
    bytes.extend(raw(&headers, b"no JSON"));
    let (seen, _) = decode(&[&bytes], 1000);
    let is = |kind: &str, payload: &str| (kind.to_owned(), payload.to_owned(), true);
    assert_eq!(
        seen,
        [
            is("throttlingException", r#"{"message":"slow"}"#),
            is("InternalError", r#"{"message":"broken \"here\""}"#),
            is("internalServerException", r#"{"message":"capital"}"#),
            is(
                "internalServerException",
                r#"{"message":"the provider failed without a message"}"#
            ),
        ]
    );
}

proptest! {
    #[test]
    fn any_split_gives_the_same_frames(
        payloads in prop::collection::vec("[a-z]{0,40}", 0..6),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let bytes: Vec<u8> = payloads.iter().flat_map(|payload| event("e", payload)).collect();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect();
        let expected: Seen = payloads.iter().map(|p| ("e".into(), p.clone(), false)).collect();
        prop_assert_eq!(decode(&pieces, 1000), (expected, true));
    }

    #[test]
    fn any_bytes_are_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        decode(&[&bytes], 100);
        decode(&[&raw(&bytes, b"")], 1000);
    }
}
