use proptest::prelude::*;
use serde_json::{json, Value};

use super::*;

fn parsed(body: &str) -> ProviderRequest {
    ProviderRequest::parse(Endpoint::ChatCompletions, Bytes::from(body.to_owned())).unwrap()
}

fn edited(body: &str, model: Option<&str>, ask_usage: bool) -> String {
    let edits = RequestEdits { model, ask_usage };
    String::from_utf8(parsed(body).edit(&edits).to_vec()).unwrap()
}

#[test]
fn only_the_model_changes_and_everything_else_keeps_its_spelling() {
    let body = "{ \"temperature\" : 1.0e0,\n \"mod\\u0065l\": \"a\", \"z\":[1,{\"model\":\"in\"}] }\n";
    assert_eq!(
        edited(body, Some("b\"c"), false),
        body.replace("\"a\"", "\"b\\\"c\"")
    );
    assert_eq!(parsed(body).model(), Some("a"));
}

#[test]
fn an_edit_that_changes_nothing_gives_the_original() {
    let body = r#"{"model": "a", "stream": true, "stream_options": {"include_usage": true}}"#;
    assert_eq!(edited(body, Some("a"), true), body);
}

#[test]
fn every_duplicate_of_the_model_is_replaced() {
    assert_eq!(
        edited(r#"{"model":"a","model":"b"}"#, Some("c"), false),
        r#"{"model":"c","model":"c"}"#
    );
}

#[test]
fn a_missing_model_is_put_in() {
    assert_eq!(edited("{}", Some("a"), false), r#"{"model":"a"}"#);
    assert_eq!(
        edited(r#" {"n":1}"#, Some("a"), false),
        r#" {"model":"a","n":1}"#
    );
    assert_eq!(
        edited(r#"{"model":null}"#, Some("a"), false),
        r#"{"model":"a"}"#
    );
}

#[test]
fn usage_is_asked_for_on_streams_only_and_however_the_options_stand() {
    for (body, expected) in [
        (
            r#"{"stream":true}"#,
            r#"{"stream_options":{"include_usage":true},"stream":true}"#,
        ),
        (
            r#"{"stream":true,"stream_options":null}"#,
            r#"{"stream":true,"stream_options":{"include_usage":true}}"#,
        ),
        (
            r#"{"stream":true,"stream_options":{ }}"#,
            r#"{"stream":true,"stream_options":{"include_usage":true }}"#,
        ),
        (
            r#"{"stream":true,"stream_options":{"x":1}}"#,
            r#"{"stream":true,"stream_options":{"include_usage":true,"x":1}}"#,
        ),
        (
            r#"{"stream":true,"stream_options":{"include_usage": false}}"#,
            r#"{"stream":true,"stream_options":{"include_usage": true}}"#,
        ),
        (r#"{"stream":false}"#, r#"{"stream":false}"#),
        (
            r#"{"stream":true,"stream_options":3}"#,
            r#"{"stream":true,"stream_options":3}"#,
        ),
    ] {
        assert_eq!(edited(body, None, true), expected);
    }
}

#[test]
fn endpoints_without_the_option_are_not_asked() {
    let body = r#"{"stream":true}"#;
    let request = ProviderRequest::parse(Endpoint::Messages, Bytes::from(body)).unwrap();
    let edits = RequestEdits {
        model: None,
        ask_usage: true,
    };
    assert_eq!(request.edit(&edits).to_vec(), body.as_bytes());
}

#[test]
fn what_is_no_request_is_said_to_be_so() {
    let refused = |body: &'static [u8]| {
        ProviderRequest::parse(Endpoint::Messages, Bytes::from_static(body))
            .unwrap_err()
            .code
    };
    for body in [
        &b""[..],
        b"{",
        b"{\"a\":}",
        b"{} x",
        b"\xff{}",
        b"\xef\xbb\xbf{}",
        b"{\"a\":\"\xff\"}",
        b"nul",
        b"[1,",
    ] {
        assert_eq!(refused(body), ErrorCode::InvalidJson, "{body:?}");
    }
    for body in [&b"[]"[..], b"null", b"\"text\"", b"{\"model\":7}"] {
        assert_eq!(refused(body), ErrorCode::InvalidRequest, "{body:?}");
    }
}

#[test]
fn deep_nesting_is_read_without_recursion() {
    let depth = 200_000;
    let body = format!(
        "{{\"x\":{}{},\"model\":\"a\"}}",
        "[".repeat(depth),
        "]".repeat(depth)
    );
    assert_eq!(parsed(&body).model(), Some("a"));
}

#[test]
fn media_does_not_count_as_prompt() {
    let text = "words and words ".repeat(10);
    let image = "iVBORw0KGgo".repeat(1000);
    let body = json!({"messages": [{"content": [text, format!("data:image/png;base64,{image}")]}]});
    let request = parsed(&body.to_string());
    assert!(request.prompt_bytes() >= text.len());
    assert!(request.prompt_bytes() < text.len() + 200);
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(".{0,6}", inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn an_edit_changes_the_named_members_and_nothing_else(
        members in prop::collection::btree_map(".{0,8}", any_json(), 0..6),
        old in prop::option::of(".{1,8}"),
        options in prop::option::of(any_json()),
        stream in any::<bool>(),
        model in ".{1,12}",
        ask_usage in any::<bool>(),
        pretty in any::<bool>(),
    ) {
        let mut object: serde_json::Map<_, _> = members.into_iter().collect();
        object.insert("stream".into(), stream.into());
        object.remove("model");
        object.remove("stream_options");
        if let Some(old) = old {
            object.insert("model".into(), old.into());
        }
        if let Some(options) = options {
            object.insert("stream_options".into(), options);
        }
        let original = Value::Object(object.clone());
        let body = if pretty {
            serde_json::to_string_pretty(&original).unwrap()
        } else {
            original.to_string()
        };
        let result: Value = serde_json::from_str(&edited(&body, Some(&model), ask_usage)).unwrap();
        object.insert("model".into(), model.into());
        if ask_usage && stream {
            match object.get_mut("stream_options") {
                None => { object.insert("stream_options".into(), json!({"include_usage": true})); }
                Some(Value::Object(options)) => { options.insert("include_usage".into(), true.into()); }
                Some(options @ Value::Null) => *options = json!({"include_usage": true}),
                Some(_) => {}
            }
        }
        prop_assert_eq!(result, Value::Object(object));
    }

    #[test]
    fn no_bytes_make_it_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = ProviderRequest::parse(Endpoint::ChatCompletions, Bytes::from(body));
    }
}
