//! JSON read in passing: however it arrives, the same is reported, and of a whole document it is
//! what a parser finds there.
#![no_main]

use hermesllm::json_tap::{JsonTap, Path, Signal, Want, EACH};
use libfuzzer_sys::fuzz_target;
use meseta_fuzz::document::Tree;
use meseta_fuzz::{divided, pieces};

/// What is looked for; the name is the place in this list.
const PATHS: &[Path<usize>] = &[
    path(0, &["model"], Want::Value),
    path(1, &["usage"], Want::Value),
    path(2, &["error"], Want::Presence),
    path(3, &["choices", EACH, "index"], Want::Value),
    path(4, &["choices", EACH, "delta"], Want::Text),
    path(5, &["choices", EACH], Want::Presence),
    path(6, &["response", "id"], Want::Value),
    path(7, &["response", "usage"], Want::Presence),
    path(8, &["a", "b", "c", "d"], Want::Value),
    path(9, &[EACH, EACH], Want::Value),
];

const fn path(name: usize, segments: &'static [&'static str], want: Want) -> Path<usize> {
    Path {
        name,
        segments,
        want,
    }
}

#[derive(Debug, PartialEq)]
enum Report {
    Seen(usize, u8),
    Value(usize, Vec<u8>),
}

fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Report>, u64, bool) {
    let mut tap = JsonTap::new(PATHS);
    // What was read before a reset leaves no trace.
    tap.push(
        br#"{"model":"x","choices":[{"delta":{"content":"ab"#,
        |_, _| {},
    );
    tap.reset();
    let mut reports = Vec::new();
    for piece in pieces {
        tap.push(piece, |name, signal| {
            reports.push(match signal {
                Signal::Seen(first) => Report::Seen(name, first),
                Signal::Value(text) => Report::Value(name, text.to_vec()),
            });
        });
    }
    (reports, tap.text_bytes(), tap.is_complete())
}

/// The values at a path, in the order of the document.
fn at<'t>(tree: &'t Tree, segments: &[&str], found: &mut Vec<&'t Tree>) {
    let Some((segment, rest)) = segments.split_first() else {
        return found.push(tree);
    };
    match tree {
        Tree::List(items) if *segment == EACH => {
            items.iter().for_each(|item| at(item, rest, found));
        }
        Tree::Map(members) if *segment != EACH => {
            for (_, value) in members.iter().filter(|(key, _)| key == segment) {
                at(value, rest, found);
            }
        }
        _ => {}
    }
}

/// The first byte of a value, as far as its kind tells it.
fn begins(tree: &Tree, first: u8) -> bool {
    match tree {
        Tree::Null => first == b'n',
        Tree::Bool(true) => first == b't',
        Tree::Bool(false) => first == b'f',
        Tree::Number(_) => matches!(first, b'-' | b'0'..=b'9'),
        Tree::Text(_) => first == b'"',
        Tree::List(_) => first == b'[',
        Tree::Map(_) => first == b'{',
    }
}

fuzz_target!(|input: &[u8]| {
    let Some(([split, ..], document)) = divided(input) else {
        return;
    };
    let whole = read(pieces(document, 255));
    assert_eq!(read(pieces(document, split)), whole);
    let (reports, text_bytes, complete) = whole;
    assert!(text_bytes <= document.len() as u64);

    let Some(tree) = Tree::read(document) else {
        return;
    };
    // The end of a number is only known by what follows.
    let ends_itself = matches!(tree, Tree::List(_) | Tree::Map(_) | Tree::Text(_));
    assert!(complete || !ends_itself, "a whole document is complete");
    for path in PATHS {
        let mut expected = Vec::new();
        at(&tree, path.segments, &mut expected);
        match path.want {
            Want::Value => {
                let mut values = reports.iter().filter_map(|report| match report {
                    Report::Value(name, text) if *name == path.name => Some(text),
                    _ => None,
                });
                for tree in expected {
                    let text = values.next().expect("each value is reported");
                    assert_eq!(Tree::read(text).as_ref(), Some(tree));
                }
                assert_eq!(values.next(), None, "nothing else is reported");
            }
            Want::Presence => {
                let mut seen = reports.iter().filter_map(|report| match report {
                    Report::Seen(name, first) if *name == path.name => Some(*first),
                    _ => None,
                });
                for tree in expected {
                    assert!(seen.next().is_some_and(|first| begins(tree, first)));
                }
                assert_eq!(seen.next(), None, "nothing else is seen");
            }
            Want::Text => {}
        }
    }
});
