use proptest::prelude::*;

use super::*;

/// Name, data, id, raw bytes and range of a block, owned.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Owned {
    Event(
        Vec<u8>,
        Option<Vec<u8>>,
        Option<Vec<u8>>,
        Vec<u8>,
        Range<u64>,
    ),
    Oversized(Vec<u8>),
}

/// The blocks of `stream`, fed in pieces of the given lengths, over and over.
fn framed(stream: &[u8], lengths: &[usize], max_event_bytes: usize) -> (Vec<Owned>, Framer) {
    let mut framer = Framer::new(max_event_bytes);
    let mut blocks = Vec::new();
    let mut oversized = Vec::new();
    let mut keep = |frame: Frame<'_>| match frame {
        Frame::Event(event) => blocks.push(Owned::Event(
            event.name.to_vec(),
            event.data.map(Cow::into_owned),
            event.id.map(<[u8]>::to_vec),
            event.raw.to_vec(),
            event.range,
        )),
        Frame::Oversized { part, first, last } => {
            assert_eq!(first, oversized.is_empty(), "only the first part is first");
            oversized.extend_from_slice(part);
            if last {
                blocks.push(Owned::Oversized(std::mem::take(&mut oversized)));
            }
        }
    };
    let mut rest = stream;
    let mut turn = 0;
    while !rest.is_empty() {
        let length = lengths[turn % lengths.len()].clamp(1, rest.len());
        turn += 1;
        framer.push(&rest[..length], &mut keep);
        rest = &rest[length..];
    }
    framer.finish(&mut keep);
    (blocks, framer)
}

/// Names and data that a client sees.
fn dispatched(stream: &str) -> Vec<(String, String)> {
    framed(stream.as_bytes(), &[usize::MAX], 1000)
        .0
        .into_iter()
        .filter_map(|block| match block {
            Owned::Event(name, Some(data), ..) => Some((
                String::from_utf8(name).unwrap(),
                String::from_utf8(data).unwrap(),
            )),
            _ => None,
        })
        .collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected
        .iter()
        .map(|(name, data)| ((*name).to_owned(), (*data).to_owned()))
        .collect()
}

#[test]
fn fields_are_read_as_the_standard_says() {
    for (stream, expected) in [
        ("data: a\n\n", vec![("", "a")]),
        ("data:a\n\n", vec![("", "a")]),
        ("data:  a \n\n", vec![("", " a ")]),
        (
            "data: YHOO\ndata: +2\ndata: 10\n\n",
            vec![("", "YHOO\n+2\n10")],
        ),
        ("data\n\ndata\ndata\n\n", vec![("", ""), ("", "\n")]),
        (": comment\n\ndata:x\n\n", vec![("", "x")]),
        ("event: e\rdata: x\r\r", vec![("e", "x")]),
        (
            "event: e\r\ndata: x\r\n\r\ndata: y\r\n\r\n",
            vec![("e", "x"), ("", "y")],
        ),
        ("event: e\n\ndata: x\n\n", vec![("", "x")]),
        (
            "\u{feff}data: bom\n\n\u{feff}data: none\n\n",
            vec![("", "bom")],
        ),
        (
            "retry: 10\nunknown: 1\ndata: {\"a\": \"b:c\"}\n\n",
            vec![("", "{\"a\": \"b:c\"}")],
        ),
        ("\n\n\ndata: x\n\n", vec![("", "x")]),
    ] {
        assert_eq!(dispatched(stream), pairs(&expected), "{stream:?}");
    }
}

#[test]
fn an_id_with_a_nul_is_ignored() {
    let (blocks, _) = framed(b"id: 1\nid: 2\0\ndata: x\n\n", &[1], 100);
    assert!(matches!(&blocks[..], [Owned::Event(_, _, Some(id), ..)] if id == b"1"));
}

#[test]
fn a_block_is_handed_out_with_the_byte_that_completes_it() {
    for stream in ["data: x\n\n", "data: x\r\r", "data: x\r\n\r"] {
        let mut framer = Framer::new(100);
        let (last, before) = stream.as_bytes().split_last().unwrap();
        framer.push(before, |_| panic!("incomplete"));
        let mut events = 0;
        framer.push(&[*last], |_| events += 1);
        assert_eq!(events, 1, "{stream:?}");
        assert_eq!(framer.boundary(), stream.len() as u64);
    }
}

#[test]
fn a_block_beyond_the_bound_is_passed_on_unkept_and_the_next_is_read() {
    let stream = format!("data: {}\n\ndata: next\n\n", "x".repeat(100));
    for lengths in [vec![1], vec![7], vec![usize::MAX]] {
        let (blocks, framer) = framed(stream.as_bytes(), &lengths, 20);
        assert_eq!(framer.oversized_blocks(), 1);
        assert!(
            matches!(&blocks[..], [Owned::Oversized(raw), Owned::Event(_, Some(data), ..)]
            if raw.len() == 108 && data == b"next")
        );
    }
}

fn any_stream() -> impl Strategy<Value = Vec<u8>> {
    let token = prop_oneof![
        Just("\n"),
        Just("\r"),
        Just("\r\n"),
        Just("\n\n"),
        Just("\r\n\r\n"),
        Just("data:"),
        Just("data: "),
        Just("event: e"),
        Just("id: 7"),
        Just(": c"),
        Just("\u{feff}"),
        Just("é"),
        Just("{\"a\":1}"),
        Just("0123456789abcdef0123456789abcdef"),
        Just("\0"),
    ];
    prop::collection::vec(token, 0..40).prop_map(|tokens| tokens.concat().into_bytes())
}

proptest! {
    #[test]
    fn any_split_gives_the_same_blocks_and_no_byte_is_lost(
        stream in any_stream(),
        lengths in prop::collection::vec(1usize..6, 1..6),
        max_event_bytes in prop_oneof![Just(16usize), Just(1000)],
    ) {
        let (whole, _) = framed(&stream, &[usize::MAX], max_event_bytes);
        let (split, framer) = framed(&stream, &lengths, max_event_bytes);
        prop_assert_eq!(&split, &whole);
        prop_assert_eq!(framer.offset(), stream.len() as u64);
        // The raw bytes are the stream, but for a LF between two blocks.
        let mut rest = &stream[..];
        for block in &whole {
            let raw = match block {
                Owned::Event(_, _, _, raw, _) | Owned::Oversized(raw) => raw,
            };
            rest = rest
                .strip_prefix(&raw[..])
                .or_else(|| rest.strip_prefix(b"\n").and_then(|rest| rest.strip_prefix(&raw[..])))
                .expect("blocks in the order of the stream");
            if let Owned::Event(_, _, _, raw, range) = block {
                prop_assert_eq!(&stream[range.start as usize..range.end as usize], &raw[..]);
            }
        }
        prop_assert!(rest.is_empty() || rest == b"\n");
    }
}
