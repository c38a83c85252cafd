use proptest::prelude::*;
use serde_json::{json, Value};

use super::*;

const PATHS: &[Path<&str>] = &[
    Path {
        name: "usage",
        segments: &["usage"],
        want: Want::Value,
    },
    Path {
        name: "model",
        segments: &["model"],
        want: Want::Value,
    },
    Path {
        name: "nested",
        segments: &["response", "usage"],
        want: Want::Value,
    },
    Path {
        name: "choice",
        segments: &["choices", EACH],
        want: Want::Presence,
    },
    Path {
        name: "finish",
        segments: &["choices", EACH, "finish_reason"],
        want: Want::Value,
    },
    Path {
        name: "delta",
        segments: &["choices", EACH, "delta"],
        want: Want::Text,
    },
];

/// Reports of `document`, fed in pieces of the given lengths, over and over.
fn tapped(document: &[u8], lengths: &[usize]) -> (Vec<(&'static str, String)>, u64) {
    let mut tap = JsonTap::new(PATHS);
    let mut reports = Vec::new();
    let mut rest = document;
    let mut turn = 0;
    while !rest.is_empty() {
        let length = lengths[turn % lengths.len()].clamp(1, rest.len());
        turn += 1;
        let (piece, after) = rest.split_at(length);
        tap.push(piece, |name, signal| {
            reports.push(match signal {
                Signal::Seen(first) => (name, char::from(first).to_string()),
                Signal::Value(text) => (name, String::from_utf8_lossy(text).into_owned()),
            });
        });
        rest = after;
    }
    (reports, tap.text_bytes())
}

/// What serde_json finds at the same places, in the order of the document.
fn expected(document: &Value) -> Vec<(&'static str, Value)> {
    let mut found = Vec::new();
    for (key, value) in document.as_object().into_iter().flatten() {
        match (key.as_str(), value) {
            ("usage", value) => found.push(("usage", value.clone())),
            ("model", value) => found.push(("model", value.clone())),
            ("response", Value::Object(response)) => {
                if let Some(usage) = response.get("usage") {
                    found.push(("nested", usage.clone()));
                }
            }
            ("choices", Value::Array(choices)) => {
                for choice in choices {
                    found.push(("choice", Value::Null));
                    if let Some(reason) = choice.get("finish_reason") {
                        found.push(("finish", reason.clone()));
                    }
                }
            }
            _ => {}
        }
    }
    found
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e9..1e9f64).prop_map(Value::from),
        "[ -~\\n\\t\"\\\\é漢🦀]{0,12}".prop_map(Value::from),
    ];
    let key = prop_oneof![
        Just("usage".to_owned()),
        Just("model".to_owned()),
        Just("response".to_owned()),
        Just("choices".to_owned()),
        Just("finish_reason".to_owned()),
        Just("delta".to_owned()),
        Just("[]".to_owned()),
        "[a-z\"\\\\é]{0,70}",
    ];
    leaf.prop_recursive(5, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(key.clone(), inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn captured_members_are_those_that_serde_json_finds_however_the_document_is_split(
        document in any_json(),
        pretty in any::<bool>(),
        lengths in prop::collection::vec(1usize..9, 1..6),
    ) {
        let text = if pretty {
            serde_json::to_string_pretty(&document).unwrap()
        } else {
            document.to_string()
        };
        let (reports, text_bytes) = tapped(text.as_bytes(), &lengths);
        let (whole, whole_text_bytes) = tapped(text.as_bytes(), &[usize::MAX]);
        prop_assert_eq!(&reports, &whole);
        prop_assert_eq!(text_bytes, whole_text_bytes);
        let found: Vec<(&str, Value)> = reports
            .iter()
            .map(|(name, text)| match *name {
                "choice" => (*name, Value::Null),
                _ => (*name, serde_json::from_str(text).unwrap()),
            })
            .collect();
        // As read back: a float may change in its last digit.
        let document = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(found, expected(&document));
    }

    #[test]
    fn bytes_that_are_no_json_never_panic_and_any_split_reports_the_same(
        bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            "[\\[\\]{}:,\"\\\\a-f0-9nul usagemodel]{0,120}".prop_map(String::into_bytes),
        ],
        lengths in prop::collection::vec(1usize..9, 1..6),
    ) {
        prop_assert_eq!(tapped(&bytes, &lengths), tapped(&bytes, &[usize::MAX]));
    }
}

#[test]
fn the_end_of_a_long_key_is_not_a_key_wherever_it_is_split() {
    let long = "x".repeat(MAX_KEY + 1);
    let document = format!(r#"{{"{long}usage":1}}"#);
    for first in 1..document.len() {
        let rest = document.len() - first;
        let (reports, _) = tapped(document.as_bytes(), &[first, rest]);
        assert_eq!(reports, [], "split at {first}");
    }
}

#[test]
fn an_escaped_key_is_the_key_it_stands_for() {
    let document = br#"{"mod\u0065l":"a","usag\u0065x":1}"#;
    assert_eq!(
        tapped(document, &[1]).0,
        [("model", r#""a""#.to_owned())],
        "split into bytes"
    );
    assert_eq!(tapped(document, &[99]), tapped(document, &[1]));
}

#[test]
fn after_malformed_input_the_tap_is_silent_until_reset() {
    for broken in [
        r#"{"a" 1,"model":"m"}"#,
        r#"{,"model":"m"}"#,
        r#"{"a":[1}],"model":"m"}"#,
        r#"{"a":nope!,"model":"m"}"#,
        r#"}{"model":"m"}"#,
        r#"{} {"model":"m"}"#,
    ] {
        let (reports, _) = tapped(broken.as_bytes(), &[usize::MAX]);
        assert!(reports.is_empty(), "{broken}: {reports:?}");
    }
    let mut tap = JsonTap::new(PATHS);
    tap.push(b"]", |_, _| panic!("nothing to report"));
    tap.reset();
    let mut seen = 0;
    tap.push(br#"{"model":"m"}"#, |_, _| seen += 1);
    assert_eq!(seen, 1);
}

#[test]
fn a_value_beyond_the_bound_is_left_out_and_the_rest_is_read() {
    let big = "x".repeat(MAX_CAPTURE);
    let document = json!({"model": big, "usage": {"a": 1}}).to_string();
    for lengths in [vec![usize::MAX], vec![1000, 7]] {
        let (reports, _) = tapped(document.as_bytes(), &lengths);
        assert_eq!(reports, [("usage", r#"{"a":1}"#.to_owned())]);
    }
}

#[test]
fn nesting_beyond_the_bound_silences_the_tap() {
    let document = format!(
        r#"{{"a":{}{},"model":"m"}}"#,
        "[".repeat(300),
        "]".repeat(300)
    );
    assert!(tapped(document.as_bytes(), &[usize::MAX]).0.is_empty());
}

#[test]
fn text_is_counted_below_its_path_under_the_keys_that_carry_it() {
    let count = |document: Value| tapped(document.to_string().as_bytes(), &[3]).1;
    let delta = |delta: Value| count(json!({ "choices": [{ "delta": delta, "index": 0 }] }));
    assert_eq!(delta(json!({"role": "assistant", "content": ""})), 0);
    assert_eq!(delta(json!({"content": "four"})), 4);
    assert_eq!(delta(json!({"content": "a\nb"})), 3);
    assert_eq!(delta(json!("plain")), 5);
    assert_eq!(
        delta(json!({"content": [{"type": "text", "text": "ab"}, "c"]})),
        3
    );
    assert_eq!(
        delta(
            json!({"tool_calls": [{"id": "call", "function": {"name": "f", "arguments": "{}"}}]})
        ),
        3
    );
    assert_eq!(count(json!({"content": "outside"})), 0);
}
