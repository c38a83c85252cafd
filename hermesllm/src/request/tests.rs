use proptest::prelude::*;

use super::*;
use crate::error::ErrorCode;

fn parse(text: &str) -> ProviderRequest {
    ProviderRequest::parse(
        Endpoint::ChatCompletions,
        Bytes::copy_from_slice(text.as_bytes()),
    )
    .unwrap()
}

fn refused(body: &[u8]) -> ApiError {
    ProviderRequest::parse(Endpoint::Messages, Bytes::copy_from_slice(body)).unwrap_err()
}

fn edited(text: &str, model: &str) -> String {
    let edits = RequestEdits {
        model: Some(model),
        ask_usage: true,
    };
    String::from_utf8(parse(text).edit(&edits).to_vec()).unwrap()
}

#[test]
fn what_routing_needs_is_read() {
    let request = parse(
        r#" {"model":"caf\u00e9/x","stream" : true,"max_tokens":5,"max_completion_tokens":7,
            "stream_options":{"include_usage":true},"messages":[1,2],"tools":[]} "#,
    );
    assert_eq!(request.model(), Some("café/x"));
    assert!(request.stream());
    assert!(request.include_usage());
    assert_eq!(request.max_output_tokens(), Some(7));
    assert_eq!(request.prompt_bytes(), "[1,2]".len() + "[]".len());
    assert_eq!(request.endpoint(), Endpoint::ChatCompletions);
}

#[test]
fn what_is_absent_or_odd_counts_as_not_given() {
    for text in [
        "{}",
        r#"{"model":null,"stream":null,"stream_options":null,"max_tokens":null}"#,
        r#"{"model":"","stream":"true","stream_options":[],"max_tokens":-1}"#,
        r#"{"model":"a","model":null,"stream":true,"stream":false,"max_tokens":1.5}"#,
        r#"{"nested":{"model":"a","stream":true,"max_tokens":3}}"#,
    ] {
        let request = parse(text);
        assert_eq!(request.model(), None, "{text}");
        assert!(!request.stream(), "{text}");
        assert!(!request.include_usage(), "{text}");
        assert_eq!(request.max_output_tokens(), None, "{text}");
    }
}

#[test]
fn what_is_no_json_is_refused_without_showing_it() {
    for body in [
        b"".as_slice(),
        b"{",
        b"secret",
        b"\"secret",
        b"[1,",
        b"{\"secret\":}",
        b"{\"model\":\"secret\"} x",
        b"{\"model\":\"secret\",}",
        b"{\"a\":\"secret\n\"}",
        b"{\"a\":01}",
        b"\xef\xbb\xbf{}",
        b"{\"a\":\"secret\xff\"}",
        b"{'model':1}",
        b"{\"a\":NaN}",
    ] {
        let error = refused(body);
        assert_eq!(error.code, ErrorCode::InvalidJson, "{body:?}");
        assert!(!error.message.contains("secret"), "{error}");
    }
}

#[test]
fn what_is_json_and_no_request_is_refused() {
    for body in ["[]", "null", "1", r#""secret""#, "true"] {
        let error = refused(body.as_bytes());
        assert_eq!(error.code, ErrorCode::InvalidRequest, "{body}");
        assert!(!error.message.contains("secret"), "{error}");
    }
    let long = format!(r#"{{"model":"{}"}}"#, "m".repeat(MAX_MODEL_BYTES + 1));
    for body in [
        r#"{"model":7}"#,
        r#"{"model":["a"],"model":"a"}"#,
        r#"{"model":"\ud800"}"#,
        &long,
    ] {
        let error = refused(body.as_bytes());
        assert_eq!(error.code, ErrorCode::InvalidRequest, "{body}");
        assert_eq!(error.param.as_deref(), Some("model"));
    }
}

#[test]
fn no_depth_of_nesting_exhausts_the_stack() {
    let depth = 2_000_000;
    let text = format!(
        r#"{{"model":"a","deep":{}{}}}"#,
        "[".repeat(depth),
        "]".repeat(depth)
    );
    assert_eq!(parse(&text).model(), Some("a"));
}

#[test]
fn a_model_is_replaced_wherever_it_stands_and_added_where_it_is_not() {
    for (text, expected) in [
        (r#"{"model":"a"}"#, r#"{"model":"b\"/1"}"#),
        (r#"{ "model" : null }"#, r#"{ "model" : "b\"/1" }"#),
        (
            r#"{"model":"a","x":1,"model":"c"}"#,
            r#"{"model":"b\"/1","x":1,"model":"b\"/1"}"#,
        ),
        (r#"{"mod\u0065l":"a"}"#, r#"{"mod\u0065l":"b\"/1"}"#),
        ("{}", r#"{"model":"b\"/1"}"#),
        (r#"{"\udc00":1}"#, r#"{"model":"b\"/1","\udc00":1}"#),
        (" { \n}", " {\"model\":\"b\\\"/1\" \n}"),
        (
            r#"{"x":{"model":"a"}}"#,
            r#"{"model":"b\"/1","x":{"model":"a"}}"#,
        ),
    ] {
        assert_eq!(edited(text, "b\"/1"), expected);
    }
}

#[test]
fn usage_is_asked_for_on_streams_without_disturbing_other_options() {
    for (text, expected) in [
        (
            r#"{"model":"a","stream":true,"n":1}"#,
            r#"{"model":"a","stream":true,"stream_options":{"include_usage":true},"n":1}"#,
        ),
        (
            r#"{"stream_options":null,"stream":true,"model":"a"}"#,
            r#"{"stream_options":{"include_usage":true},"stream":true,"model":"a"}"#,
        ),
        (
            r#"{"model":"a","stream":true,"stream_options":{ }}"#,
            r#"{"model":"a","stream":true,"stream_options":{"include_usage":true }}"#,
        ),
        (
            r#"{"model":"a","stream":true,"stream_options":{ "x":[1] }}"#,
            r#"{"model":"a","stream":true,"stream_options":{"include_usage":true, "x":[1] }}"#,
        ),
        (
            r#"{"model":"a","stream":true,"stream_options":{"include_usage": false}}"#,
            r#"{"model":"a","stream":true,"stream_options":{"include_usage": true}}"#,
        ),
        // Nothing to ask for, or nobody who would understand.
        (
            r#"{"model":"a","stream":false}"#,
            r#"{"model":"a","stream":false}"#,
        ),
        (r#"{"model":"a"}"#, r#"{"model":"a"}"#),
        (
            r#"{"model":"a","stream":true,"stream_options":7}"#,
            r#"{"model":"a","stream":true,"stream_options":7}"#,
        ),
    ] {
        assert_eq!(edited(text, "a"), expected);
    }
}

#[test]
fn usage_is_asked_for_only_where_the_endpoint_knows_the_option() {
    let text = r#"{"model":"a","stream":true}"#;
    for endpoint in Endpoint::ALL {
        let request =
            ProviderRequest::parse(endpoint, Bytes::from_static(text.as_bytes())).unwrap();
        let edits = RequestEdits {
            model: None,
            ask_usage: true,
        };
        let asks = matches!(endpoint, Endpoint::ChatCompletions | Endpoint::Completions);
        assert_eq!(
            request.edit(&edits).to_vec() != text.as_bytes(),
            asks,
            "{endpoint:?}"
        );
    }
}

#[test]
fn the_path_names_the_model_where_the_api_has_it_there() {
    let text =
        r#"{"model":"b","stream":true,"contents":[],"generationConfig":{"maxOutputTokens":7}}"#;
    let body = Bytes::from_static(text.as_bytes());
    let request = ProviderRequest::parse(Endpoint::GenerateContent, body.clone()).unwrap();
    assert_eq!(request.model(), None);
    let request = request.with_path_model("a").unwrap();
    assert_eq!(request.model(), Some("a"));
    assert!(!request.stream());
    assert_eq!(request.max_output_tokens(), Some(7));
    let edits = RequestEdits {
        model: Some("c"),
        ask_usage: true,
    };
    assert_eq!(request.edit(&edits).to_vec(), text.as_bytes());
    let streamed = ProviderRequest::parse(Endpoint::ConverseStream, body.clone()).unwrap();
    assert!(streamed.stream());
    let long = "m".repeat(MAX_MODEL_BYTES + 1);
    assert!(streamed.with_path_model(&long).is_err());
    let chat = ProviderRequest::parse(Endpoint::ChatCompletions, body).unwrap();
    assert_eq!(chat.with_path_model("a").unwrap().model(), Some("b"));
}

#[test]
fn embedded_media_are_no_prompt() {
    let picture = "A".repeat(100_000);
    let text = format!(
        r#"{{"messages":[{{"image_url":{{"url":"data:image/png;base64,{picture}"}}}},"hello"]}}"#
    );
    let bytes = parse(&text).prompt_bytes();
    assert!((50..100).contains(&bytes), "{bytes}");
}

#[test]
fn debug_output_shows_no_prompt() {
    let text = r#"{"model":"secret","stream":true,"messages":["secret"]}"#;
    let request = parse(text);
    let edits = RequestEdits {
        model: Some("b"),
        ask_usage: true,
    };
    let shown = format!("{request:?} {:?}", request.edit(&edits));
    assert!(!shown.contains("secret"), "{shown}");
}

#[test]
fn an_edit_shares_the_bytes_that_it_keeps() {
    let text = r#"{"model":"a","messages":["long"]}"#;
    let request = parse(text);
    let edits = RequestEdits {
        model: Some("b"),
        ask_usage: false,
    };
    let segments = request.edit(&edits).into_segments();
    assert_eq!(segments.len(), 3);
    let original = request.body.as_ptr_range();
    assert!(original.contains(&segments[0].as_ptr()));
    assert!(original.contains(&segments[2].as_ptr()));
}

/// A member of an object as it is written, and as it is to be written after the edit.
#[derive(Debug, Clone)]
struct Member {
    key: String,
    before: String,
    after: String,
}

impl Member {
    fn same(key: impl Into<String>, value: impl Into<String>) -> Self {
        let value = value.into();
        Self {
            key: key.into(),
            before: value.clone(),
            after: value,
        }
    }
}

const NEW: &str = "new/\"m\u{f6}del\"";

fn space() -> impl Strategy<Value = String> {
    "[ \t\r\n]{0,2}"
}

/// Any JSON value, as text.
fn value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("-0.5e+9999".to_owned()),
        Just(r#""\ud800 \u00e9 \" { } [ ] , : \\""#.to_owned()),
        any::<u64>().prop_map(|number| number.to_string()),
        any::<String>().prop_map(|text| serde_json::Value::from(text).to_string()),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let spaced = (space(), inner, space())
            .prop_map(|(a, value, b)| format!("{a}{value}{b}"))
            .boxed();
        prop_oneof![
            proptest::collection::vec(spaced.clone(), 1..4)
                .prop_map(|values| format!("[{}]", values.join(","))),
            proptest::collection::vec(("[a-z]{1,3}|model|stream", spaced), 1..4).prop_map(
                |members| {
                    let members: Vec<_> = members
                        .iter()
                        .map(|(key, value)| format!("\"{key}\" :{value}"))
                        .collect();
                    format!("{{{}}}", members.join(","))
                }
            ),
        ]
    })
}

fn written(model: &str) -> String {
    serde_json::Value::from(model).to_string()
}

fn model_member() -> impl Strategy<Value = Member> {
    let key = prop_oneof![Just(r#""model""#), Just(r#""\u006dodel""#)];
    let value = prop_oneof![
        Just("null".to_owned()),
        Just(written(NEW)),
        // The same name, written in another way: it stays as it is.
        Just(r#""new\/\"m\u00f6del\"""#.to_owned()),
        any::<String>().prop_map(|text| written(&text)),
    ];
    (key, value).prop_map(|(key, before)| {
        let says: Option<String> = serde_json::from_str(&before).unwrap();
        let after = match says.as_deref() {
            Some(NEW) => before.clone(),
            _ => written(NEW),
        };
        Member {
            key: key.to_owned(),
            before,
            after,
        }
    })
}

fn options_member() -> impl Strategy<Value = Member> {
    let asked = prop_oneof![Just("true".to_owned()), Just("false".to_owned()), value()];
    let inner = proptest::collection::vec(
        prop_oneof![
            value().prop_map(|value| Member::same("\"other\"", value)),
            asked.prop_map(|before| Member {
                key: r#""include_usage""#.to_owned(),
                before,
                after: "true".to_owned(),
            }),
        ],
        0..3,
    );
    let object = (inner, space()).prop_map(|(members, space)| {
        let before = object(&members, &space, false, "");
        let asks = members
            .iter()
            .any(|member| member.key.contains("include_usage"));
        let insert = match (asks, members.is_empty()) {
            (true, _) => "",
            (false, true) => r#""include_usage":true"#,
            (false, false) => r#""include_usage":true,"#,
        };
        (before, object(&members, &space, true, insert))
    });
    prop_oneof![
        object,
        Just(("null".to_owned(), r#"{"include_usage":true}"#.to_owned())),
        Just(("[1]".to_owned(), "[1]".to_owned())),
    ]
    .prop_map(|(before, after)| Member {
        key: r#""stream_options""#.to_owned(),
        before,
        after,
    })
}

fn member() -> impl Strategy<Value = Member> {
    let key = prop_oneof![
        Just(r#""messages""#.to_owned()),
        Just(r#""\udc00""#.to_owned()),
        any::<String>()
            .prop_filter("an edited key", |key| {
                !["model", "stream", "stream_options"].contains(&key.as_str())
            })
            .prop_map(|key| written(&key)),
    ];
    prop_oneof![
        3 => (key, value()).prop_map(|(key, value)| Member::same(key, value)),
        1 => model_member(),
        1 => options_member(),
        1 => any::<bool>().prop_map(|on| Member::same("\"stream\"", on.to_string())),
    ]
}

/// The object that these members make, before or after the edit.
fn object(members: &[Member], space: &str, after: bool, insert: &str) -> String {
    let members: Vec<_> = members
        .iter()
        .map(|member| {
            let value = if after { &member.after } else { &member.before };
            format!("{space}{}{space}:{space}{value}{space}", member.key)
        })
        .collect();
    let inside = if members.is_empty() {
        space.to_owned()
    } else {
        members.join(",")
    };
    format!("{{{insert}{inside}}}")
}

proptest! {
    #[test]
    fn an_edit_changes_the_edited_values_and_no_other_byte(
        members in proptest::collection::vec(member(), 0..8),
        space in space(),
        ask_usage in any::<bool>(),
    ) {
        let text = format!("{space}{}{space}", object(&members, &space, false, ""));
        let last_stream = members.iter().rposition(|member| member.key == "\"stream\"");
        let streams = last_stream.is_some_and(|at| members[at].before == "true");
        let has_options = members.iter().any(|member| member.key.contains("stream_options"));
        let has_model = members.iter().any(|member| member.key.contains("odel\""));

        let mut expected = members.clone();
        for (at, member) in expected.iter_mut().enumerate() {
            if member.key.contains("stream_options") && !(ask_usage && streams) {
                member.after.clone_from(&member.before);
            }
            if ask_usage && streams && !has_options && last_stream == Some(at) {
                member.after.push_str(r#","stream_options":{"include_usage":true}"#);
            }
        }
        let insert = match (has_model, members.is_empty()) {
            (true, _) => String::new(),
            (false, true) => format!("\"model\":{}", written(NEW)),
            (false, false) => format!("\"model\":{},", written(NEW)),
        };
        let expected = format!("{space}{}{space}", object(&expected, &space, true, &insert));

        let request = ProviderRequest::parse(Endpoint::ChatCompletions, text.clone().into()).unwrap();
        prop_assert_eq!(request.stream(), streams);
        let body = request.edit(&RequestEdits { model: Some(NEW), ask_usage });
        prop_assert_eq!(body.len(), expected.len());
        let body = body.to_vec();
        prop_assert_eq!(std::str::from_utf8(&body).unwrap(), &expected);

        // The result is a request for that model, and a second edit has nothing to do.
        let again = ProviderRequest::parse(Endpoint::ChatCompletions, body.clone().into()).unwrap();
        prop_assert_eq!(again.model(), Some(NEW));
        let same = again.edit(&RequestEdits { model: Some(NEW), ask_usage });
        prop_assert_eq!(same.to_vec(), body);

        // Nothing asked for, nothing changed.
        let untouched = request.edit(&RequestEdits::default()).into_segments();
        prop_assert_eq!(untouched, vec![Bytes::from(text)]);
    }

    #[test]
    fn a_body_is_read_exactly_when_it_is_a_json_object(body in r#"[\[\]{}",:a1 \\u]{0,12}"#) {
        let read = ProviderRequest::parse(Endpoint::Responses, body.clone().into());
        let object = serde_json::from_str::<serde_json::Value>(&body).is_ok_and(|v| v.is_object());
        prop_assert_eq!(read.is_ok(), object);
    }

    #[test]
    fn no_bytes_make_reading_panic(body in any::<Vec<u8>>()) {
        let _ = ProviderRequest::parse(Endpoint::Embeddings, body.into());
    }
}
