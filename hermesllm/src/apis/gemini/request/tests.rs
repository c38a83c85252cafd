use super::*;
use crate::representation::{Blob, CacheHint, Reasoning, ToolCall, ToolResult};

fn turn(role: Role, parts: Vec<PartKind>, at: &'static str) -> Turn {
    let part = |(number, kind)| Part::new(kind, format!("{at}/{number}"));
    Turn {
        role,
        name: None,
        parts: parts.into_iter().enumerate().map(part).collect(),
        at: at.into(),
        extensions: Vec::new(),
    }
}

fn text(text: &str) -> PartKind {
    Part::text(text, "").kind
}

fn call(id: &str, arguments: &str) -> PartKind {
    PartKind::ToolCall(ToolCall {
        id: id.to_owned(),
        name: "f".to_owned(),
        arguments: arguments.to_owned(),
        custom: false,
        by_provider: false,
    })
}

fn result(id: &str, parts: Vec<Part>, is_error: bool) -> PartKind {
    PartKind::ToolResult(ToolResult {
        call_id: id.to_owned(),
        name: None,
        parts,
        structured: None,
        is_error,
        custom: false,
    })
}

fn write_turns(turns: Vec<Turn>, model: &str) -> (Value, Vec<String>) {
    let request = Request {
        model: model.to_owned(),
        turns,
        ..Request::default()
    };
    let mut losses = Losses::new();
    let written = write(request, &mut losses);
    let paths = losses.as_slice().iter().map(|loss| loss.path.to_string());
    (written, paths.collect())
}

#[test]
fn a_body_comes_back_with_everything_that_is_not_understood() {
    let body = json!({
        "systemInstruction": {"parts": [{"text": "s"}], "new": 1},
        "contents": [
            {"role": "user", "parts": [{"text": "a", "partMetadata": {"x": 1}},
                {"inlineData": {"mimeType": "image/png", "data": "AA==", "displayName": "d"}}]},
            {"role": "model", "parts": [
                {"text": "t", "thought": true, "thoughtSignature": "s1"},
                {"functionCall": {"id": "1", "name": "f", "args": {"b": 1}, "new": 2},
                    "thoughtSignature": "s2"}]},
            {"role": "user", "parts": [{"functionResponse": {"id": "1", "name": "f",
                "response": {"output": "x"}, "scheduling": "SILENT",
                "parts": [{"inlineData": {"mimeType": "image/png", "data": "AA=="}}]}}]},
        ],
        "toolConfig": {"functionCallingConfig": {"mode": "AUTO"}, "retrievalConfig": {}},
        "safetySettings": [{"category": 1}],
        "cachedContent": "cachedContents/x",
        "labels": {"a": "b"},
        "serviceTier": "flex",
        "store": false,
        "model": "models/m",
    });
    let mut losses = Losses::new();
    let read = read(body.clone()).unwrap();
    assert_eq!(write(read, &mut losses), body);
    assert!(losses.is_empty(), "{losses:?}");
}

#[test]
fn bodies_of_the_wrong_form_are_refused_by_place() {
    for (body, at) in [
        (json!([]), ""),
        (json!({}), "/contents"),
        (
            json!({"contents": [{"role": "system"}]}),
            "/contents/0/role",
        ),
        (
            json!({"contents": [{"parts": ["x"]}]}),
            "/contents/0/parts/0",
        ),
        (
            json!({"contents": [{"parts": [{"text": 1}]}]}),
            "/contents/0/parts/0/text",
        ),
        (
            json!({"contents": [], "generation_config": {"top_p": "x"}}),
            "/generation_config/top_p",
        ),
    ] {
        assert_eq!(read(body).unwrap_err().at, at);
    }
}

#[test]
fn results_stand_first_and_have_the_name_of_their_call() {
    let turns = vec![
        turn(Role::System, vec![text("s")], "/0"),
        turn(Role::User, vec![text("a")], "/1"),
        turn(Role::Assistant, vec![call("1", "{}"), call("2", "")], "/2"),
        turn(Role::User, vec![text("b"), result("2", vec![], true)], "/3"),
        turn(
            Role::User,
            vec![result("1", vec![Part::text("x", "")], false)],
            "/4",
        ),
    ];
    let (written, lost) = write_turns(turns, "gemini-2.5-pro");
    assert!(lost.is_empty(), "{lost:?}");
    assert_eq!(
        written["systemInstruction"],
        json!({"parts": [{"text": "s"}]})
    );
    let expected = json!({"role": "user", "parts": [
        {"functionResponse": {"id": "2", "name": "f", "response": {"error": ""}}},
        {"functionResponse": {"id": "1", "name": "f", "response": {"output": "x"}}},
        {"text": "b"},
    ]});
    assert_eq!(written["contents"][2], expected);
    assert_eq!(
        written["contents"][1]["parts"][1]["functionCall"]["args"],
        json!({})
    );
}

#[test]
fn signatures_are_kept_and_a_first_call_without_one_says_so_where_it_has_to() {
    let thoughts = |signature: Option<&str>| {
        PartKind::Reasoning(Reasoning {
            text: "t".to_owned(),
            signature: signature.map(str::to_owned),
            ..Reasoning::default()
        })
    };
    let turns = || {
        let parts = vec![
            thoughts(Some("s")),
            thoughts(None),
            call("1", "{}"),
            call("2", "{}"),
        ];
        vec![turn(Role::Assistant, parts, "/0")]
    };
    let (written, lost) = write_turns(turns(), "gemini-3-flash-preview");
    let parts = &written["contents"][0]["parts"];
    assert_eq!(
        parts[0],
        json!({"text": "t", "thought": true, "thoughtSignature": "s"})
    );
    assert_eq!(parts[1]["thoughtSignature"], NO_SIGNATURE);
    assert_eq!(parts[2].get("thoughtSignature"), None);
    assert_eq!(lost, ["/0/1"]);
    let (written, _) = write_turns(turns(), "gemini-2.5-flash");
    assert_eq!(
        written["contents"][0]["parts"][1].get("thoughtSignature"),
        None
    );
}

#[test]
fn pictures_in_results_stand_behind_them_for_models_that_want_it() {
    let picture = || {
        let source = Blob::Base64 {
            media_type: String::new(),
            data: "iVBORw0KGgoAAA".to_owned(),
        };
        let kind = PartKind::Image {
            source,
            detail: None,
        };
        Part::new(kind, "/0/0/0")
    };
    let turns = || {
        vec![turn(
            Role::User,
            vec![result("1", vec![picture()], false)],
            "/0",
        )]
    };
    let blob = json!({"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgoAAA"}});
    let (written, _) = write_turns(turns(), "gemini-2.5-flash");
    assert_eq!(written["contents"][0]["parts"][1], blob);
    let (written, _) = write_turns(turns(), "gemini-3-flash-preview");
    let response = &written["contents"][0]["parts"][0]["functionResponse"];
    assert_eq!(response["parts"], json!([blob]));
}

#[test]
fn documents_of_text_are_text_in_base64_and_files_of_others_are_lost() {
    let document = |source: Blob| PartKind::Document {
        source,
        title: None,
        context: None,
        citations: None,
    };
    let file = Blob::File {
        id: "file-1".to_owned(),
        media_type: None,
    };
    let address = Blob::Url {
        url: "https://a/b.pdf?c".to_owned(),
        media_type: None,
    };
    let parts = vec![
        document(Blob::Text("foo".to_owned())),
        document(file),
        document(address),
    ];
    let (written, lost) = write_turns(vec![turn(Role::User, parts, "/0")], "");
    let expected = json!([
        {"inlineData": {"mimeType": "text/plain", "data": "Zm9v"}},
        {"fileData": {"mimeType": "application/pdf", "fileUri": "https://a/b.pdf?c"}},
    ]);
    assert_eq!(written["contents"][0]["parts"], expected);
    assert_eq!(lost, ["/0/1"]);
}

#[test]
fn arguments_that_are_no_object_are_put_into_one_and_told() {
    let turns = vec![turn(
        Role::Assistant,
        vec![call("", "{\"a\""), call("", "[1]")],
        "/0",
    )];
    let (written, lost) = write_turns(turns, "");
    let parts = &written["contents"][0]["parts"];
    assert_eq!(
        parts[0]["functionCall"],
        json!({"name": "f", "args": {"arguments": "{\"a\""}})
    );
    assert_eq!(lost, ["/0/0", "/0/1"]);
}

#[test]
fn cache_hints_empty_texts_and_instructions_alone() {
    let mut own = turn(Role::System, vec![text("s"), text("")], "/0");
    own.parts[0].cache = Some(CacheHint { ttl: None });
    let (written, lost) = write_turns(vec![own], "");
    let expected = json!([{"role": "user", "parts": [{"text": "s"}]}]);
    assert_eq!(written["contents"], expected);
    assert_eq!(written.get("systemInstruction"), None);
    assert_eq!(lost, ["/0/0", "/0"]);
}

#[test]
fn a_conversation_that_goes_on_begins_as_it_began() {
    let turns = || {
        vec![
            turn(Role::User, vec![text("a")], "/0"),
            turn(Role::Assistant, vec![call("1", "{}")], "/1"),
            turn(
                Role::User,
                vec![result("1", vec![Part::text("x", "")], false)],
                "/2",
            ),
        ]
    };
    let (before, _) = write_turns(turns(), "gemini-3-flash-preview");
    let mut more = turns();
    more.push(turn(Role::Assistant, vec![text("b")], "/3"));
    more.push(turn(Role::User, vec![text("c")], "/4"));
    let (after, _) = write_turns(more, "gemini-3-flash-preview");
    let before = before["contents"].to_string();
    let begin = before.strip_suffix(']').unwrap();
    assert!(after["contents"].to_string().starts_with(begin));
}

#[test]
fn a_choice_without_functions_is_not_written() {
    for (choice, lost) in [(ToolChoice::Auto, 0), (ToolChoice::Required, 1)] {
        let request = Request {
            tool_choice: Some(At::new(choice, "/tool_choice")),
            ..Request::default()
        };
        let mut losses = Losses::new();
        assert_eq!(write(request, &mut losses).get("toolConfig"), None);
        assert_eq!(losses.as_slice().len(), lost);
    }
}
