//! Event streams: however the bytes arrive, the same blocks come out, and they say what a plain
//! reading of the standard says.
#![no_main]

use hermesllm::sse::{Frame, Framer};
use libfuzzer_sys::fuzz_target;
use meseta_fuzz::{divided, pieces};

/// A block, with the parts of an oversized one put together.
#[derive(Debug, Default, PartialEq)]
struct Block {
    oversized: bool,
    start: Option<u64>,
    raw: Vec<u8>,
    name: Vec<u8>,
    data: Option<Vec<u8>>,
    id: Option<Vec<u8>>,
}

fn take(frame: Frame<'_>, blocks: &mut Vec<Block>) {
    match frame {
        Frame::Event(event) => {
            assert_eq!(
                event.range.end - event.range.start,
                event.raw.len() as u64,
                "the range is that of the bytes"
            );
            blocks.push(Block {
                oversized: false,
                start: Some(event.range.start),
                raw: event.raw.to_vec(),
                name: event.name.to_vec(),
                data: event.data.map(|data| data.into_owned()),
                id: event.id.map(<[u8]>::to_vec),
            });
        }
        Frame::Oversized { part, first, .. } => {
            if first {
                blocks.push(Block {
                    oversized: true,
                    ..Block::default()
                });
            }
            let block = blocks.last_mut().expect("a first part comes first");
            assert!(block.oversized, "parts belong to an oversized block");
            block.raw.extend_from_slice(part);
        }
    }
}

fn framed<'a>(pieces: impl Iterator<Item = &'a [u8]>, most: usize) -> (Vec<Block>, u64) {
    let mut framer = Framer::new(most);
    let mut blocks = Vec::new();
    let mut seen = 0;
    for piece in pieces {
        framer.push(piece, |frame| take(frame, &mut blocks));
        seen += piece.len() as u64;
        assert_eq!(framer.offset(), seen);
        assert!(
            framer.offset() - framer.boundary() <= most as u64,
            "no more than the bound is held"
        );
    }
    framer.finish(|frame| take(frame, &mut blocks));
    assert!(!framer.is_inside_block());
    (blocks, framer.oversized_blocks())
}

/// Name, data and identifier.
type Seen = (Vec<u8>, Vec<u8>, Option<Vec<u8>>);

/// What a client sees of a stream that ends with a blank line: name, data and identifier of each
/// block that has data. Written from the standard, over the whole text at once.
fn events(stream: &[u8]) -> Vec<Seen> {
    let stream = stream.strip_prefix(b"\xef\xbb\xbf").unwrap_or(stream);
    let mut lines: Vec<Vec<u8>> = vec![Vec::new()];
    let mut bytes = stream.iter().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\r' => {
                bytes.next_if_eq(&&b'\n');
                lines.push(Vec::new());
            }
            b'\n' => lines.push(Vec::new()),
            other => lines.last_mut().expect("never empty").push(*other),
        }
    }
    lines.push(Vec::new());
    let mut events = Vec::new();
    let (mut name, mut data, mut id) = (Vec::new(), Vec::new(), None);
    for line in lines {
        if line.is_empty() {
            if data.pop().is_some() {
                events.push((name, data, id));
            }
            (name, data, id) = (Vec::new(), Vec::new(), None);
            continue;
        }
        let colon = line.iter().position(|byte| *byte == b':');
        let (field, value) = match colon {
            Some(at) => (&line[..at], &line[at + 1..]),
            None => (&line[..], &b""[..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"event" => name = value.to_vec(),
            b"data" => {
                data.extend_from_slice(value);
                data.push(b'\n');
            }
            b"id" if !value.contains(&0) => id = Some(value.to_vec()),
            _ => {}
        }
    }
    events
}

fuzz_target!(|input: &[u8]| {
    let Some(([split, bound, ..], stream)) = divided(input) else {
        return;
    };
    let most = match bound % 4 {
        0 => 0,
        1 => usize::from(bound),
        _ => 1 << 20,
    };
    let whole = framed(pieces(stream, 255), most);
    assert_eq!(framed(pieces(stream, split), most), whole);
    let (blocks, oversized) = whole;

    // The blocks are the stream, but for a LF between two of them.
    let mut rest = stream;
    let mut after_cr = false;
    for block in &blocks {
        let raw = block.raw.as_slice();
        if after_cr {
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
        }
        let at = (stream.len() - rest.len()) as u64;
        assert!(block.start.is_none_or(|start| start == at), "in its place");
        assert!(block.oversized == (raw.len() > most), "oversized or not");
        rest = rest.strip_prefix(raw).expect("the bytes of the stream");
        after_cr = raw.ends_with(b"\r");
    }
    assert!(rest.is_empty() || (after_cr && rest == b"\n"));

    if oversized == 0 {
        let seen = blocks.into_iter().filter_map(|block| {
            let data = block.data?;
            Some((block.name, data, block.id))
        });
        assert_eq!(seen.collect::<Vec<_>>(), events(stream));
    }
});
