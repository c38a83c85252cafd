use serde_json::{json, Value};

use super::{item_of, read, Mode, Writer};
use crate::representation::{
    At, Blob, CacheHint, Citation, Losses, Part, PartKind, Pointer, Reasoning, Role, ToolCall,
    ToolResult,
};

fn write(role: Role, mode: Mode, same: bool, parts: Vec<Part>) -> (Vec<Value>, Losses) {
    let mut losses = Losses::new();
    let mut writer = Writer::new(mode, same, &mut losses);
    writer.turn(role, &Pointer::Borrowed("/x"), parts, Vec::new());
    (writer.finish(), losses)
}

fn pass(item: Value) -> (Vec<Part>, Vec<Value>) {
    let read = read(At::new(item, "/input/0"), false).unwrap();
    let parts = read.parts.clone();
    let role = match read.who {
        super::Who::Message(role) => role,
        super::Who::Model => Role::Assistant,
        super::Who::Tool => Role::User,
    };
    let mut losses = Losses::new();
    let mut writer = Writer::new(Mode::Request, true, &mut losses);
    let at = Pointer::Borrowed("/input/0");
    writer.turn(role, &at, read.parts, read.extensions);
    let written = writer.finish();
    assert!(losses.is_empty(), "{losses:?}");
    (parts, written)
}

fn call(id: &str, name: &str) -> Part {
    let kind = PartKind::ToolCall(ToolCall {
        id: id.to_owned(),
        name: name.to_owned(),
        arguments: "{}".to_owned(),
        custom: false,
        by_provider: false,
    });
    Part::new(kind, "/m/0")
}

fn result(call_id: &str, parts: Vec<Part>) -> ToolResult {
    ToolResult {
        call_id: call_id.to_owned(),
        name: None,
        parts,
        structured: None,
        is_error: false,
        custom: false,
    }
}

#[test]
fn the_place_of_a_part_tells_its_item() {
    assert_eq!(item_of("/input/3/content/1"), "/input/3");
    assert_eq!(item_of("/input/3/content"), "/input/3");
    assert_eq!(item_of("/input/3"), "/input/3");
    assert_eq!(item_of(""), "");
}

#[test]
fn items_come_back_as_they_were() {
    for item in [
        json!({"type": "message", "role": "user", "content": "a"}),
        json!({"type": "message", "role": "user", "content": []}),
        json!({"type": "message", "role": "system", "content": [{"type": "input_text", "text": "a"}]}),
        json!({"type": "message", "role": "user", "id": "msg_1", "content": [
            {"type": "input_text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}},
            {"type": "text", "text": "b", "new": 1},
            {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "low"},
            {"type": "input_image", "image_url": "https://example.com/a.png"},
            {"type": "input_image", "file_id": "file-1", "detail": "auto"},
            {"type": "input_file", "file_data": "data:application/pdf;base64,AA==", "filename": "a"},
            {"type": "input_file", "file_data": "AA=="},
            {"type": "input_file", "file_url": "https://example.com/a.pdf"},
            {"type": "input_file", "file_id": "file-2"},
            {"type": "input_audio", "input_audio": {"data": "AA==", "format": "mp3"}},
            {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
            {"type": "input_video", "video": {"a": 1}},
        ]}),
        json!({"type": "message", "role": "assistant", "id": "msg_1", "status": "completed",
        "phase": "final_answer", "content": [
            {"type": "output_text", "text": "a", "annotations": [{"type": "url_citation",
                "url": "u", "title": "t", "start_index": 0, "end_index": 1}],
                "logprobs": [{"token": "a", "logprob": -1.0}]},
            {"type": "refusal", "refusal": "no"},
            {"type": "output_text", "text": "b"},
        ]}),
        json!({"type": "message", "role": "assistant", "content": []}),
        json!({"type": "function_call", "id": "fc_1", "call_id": "c", "name": "n",
            "arguments": "{not json", "status": "completed", "namespace": "x"}),
        json!({"type": "custom_tool_call", "call_id": "c", "name": "n", "input": "text"}),
        json!({"type": "function_call_output", "call_id": "c", "output": "x", "status": "completed"}),
        json!({"type": "function_call_output", "call_id": "c", "output": ""}),
        json!({"type": "custom_tool_call_output", "call_id": "c", "output": [
            {"type": "input_text", "text": "a"}, {"type": "input_image", "file_id": "f"}]}),
        json!({"type": "function_call_output", "call_id": "c", "output": []}),
        json!({"type": "reasoning", "id": "rs_1", "encrypted_content": "x", "status": "completed",
            "summary": [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"}],
            "content": [{"type": "reasoning_text", "text": "c"}, {"type": "reasoning_text", "text": "d"}]}),
        json!({"type": "reasoning", "summary": [{"type": "new", "x": 1}]}),
        json!({"type": "item_reference", "id": "msg_1"}),
        json!({"id": "msg_1"}),
        json!({"type": "web_search_call", "id": "ws_1", "action": {"type": "search"}}),
        json!({"type": "computer_call_output", "call_id": "c", "output": {"type": "x"}}),
    ] {
        let (_, written) = pass(item.clone());
        assert_eq!(written, [item]);
    }
}

#[test]
fn a_message_without_a_type_is_one() {
    let (parts, written) = pass(json!({"role": "assistant", "content": "a"}));
    assert_eq!(parts, [Part::text("a", "/input/0/content")]);
    assert_eq!(written[0]["type"], "message");
}

#[test]
fn what_tools_answer_has_to_be_text_or_a_list() {
    let item = json!({"type": "function_call_output", "call_id": "c", "output": 1});
    let error = read(At::new(item, "/input/0"), false).unwrap_err();
    assert_eq!(error.at, "/input/0/output");
    let error = read(At::new(json!(1), "/input/0"), false).unwrap_err();
    assert_eq!(error.at, "/input/0");
}

#[test]
fn identifiers_that_are_missing_are_derived_and_results_find_them() {
    let parts = vec![call("", "a"), call("own", "b"), call("", "c")];
    let mut losses = Losses::new();
    let mut writer = Writer::new(Mode::Request, false, &mut losses);
    let at = Pointer::Borrowed("/x");
    writer.turn(Role::Assistant, &at, parts, Vec::new());
    let results = [
        result("", vec![]),
        result("own", vec![]),
        result("", vec![]),
    ];
    let parts = results.map(|result| Part::new(PartKind::ToolResult(result), "/m/1"));
    writer.turn(Role::User, &at, parts.to_vec(), Vec::new());
    let items = writer.finish();
    let ids: Vec<_> = items.iter().map(|item| item["call_id"].clone()).collect();
    assert_eq!(ids, ["call_0", "own", "call_1", "call_0", "own", "call_1"]);
    assert!(losses.is_empty());
}

#[test]
fn an_answers_items_have_identifiers_of_their_own() {
    let parts = vec![Part::text("a", "/0"), Part::text("b", "/1"), call("", "n")];
    let mode = Mode::Answer("chat/1".to_owned());
    let (items, losses) = write(Role::Assistant, mode, false, parts);
    assert!(losses.is_empty());
    assert_eq!(items[0]["id"], "msg_chat1_0");
    assert_eq!(items[0]["content"].as_array().unwrap().len(), 2);
    assert_eq!(items[0]["content"][0]["annotations"], json!([]));
    assert_eq!(items[1]["id"], "fc_chat1_1");
    assert_eq!(items[1]["call_id"], "call_chat1_1");
}

#[test]
fn results_that_are_structured_or_errors_are_told_by_text() {
    let mut structured = result("a", vec![]);
    structured.structured = Some(json!({"x": 1}));
    let mut failed = result("b", vec![Part::text("boom", "/m/1/text")]);
    failed.is_error = true;
    let parts = [structured, failed].map(|r| Part::new(PartKind::ToolResult(r), "/m/1"));
    let (items, losses) = write(Role::User, Mode::Request, false, parts.to_vec());
    assert_eq!(items[0]["output"], "{\"x\":1}");
    assert_eq!(items[1]["output"], "boom");
    assert_eq!(losses.as_slice().len(), 1);
}

#[test]
fn a_signature_goes_to_clients_and_comes_back_but_not_to_another_provider() {
    let reasoning = |at: &'static str| {
        let kind = PartKind::Reasoning(Reasoning {
            text: "hm".to_owned(),
            signature: Some("sig".to_owned()),
            ..Reasoning::default()
        });
        Part::new(kind, at)
    };
    let mode = Mode::Answer("a".to_owned());
    let (items, losses) = write(Role::Assistant, mode, false, vec![reasoning("/content/0")]);
    assert!(losses.is_empty());
    let again = read(At::new(items[0].clone(), "/input/0"), false).unwrap();
    let PartKind::Reasoning(own) = &again.parts[0].kind else {
        panic!("no reasoning");
    };
    assert_eq!(
        (own.text.as_str(), own.signature.as_deref()),
        ("hm", Some("sig"))
    );
    assert_eq!(own.encrypted, None);
    let parts = vec![reasoning("/messages/1/content/0")];
    let (items, losses) = write(Role::Assistant, Mode::Request, false, parts);
    assert_eq!(
        items[0],
        json!({"type": "reasoning", "summary": [],
            "content": [{"type": "reasoning_text", "text": "hm"}]})
    );
    assert_eq!(losses.as_slice()[0].path, "/messages/1/content/0");
}

#[test]
fn what_has_no_place_is_reported_where_it_was() {
    let mut signed = call("c", "n");
    signed.signature = Some("s".to_owned());
    let mut by_provider = call("p", "n");
    if let PartKind::ToolCall(call) = &mut by_provider.kind {
        call.by_provider = true;
    }
    by_provider.at = "/by".into();
    let mut hinted = Part::text("a", "/hint");
    hinted.cache = Some(CacheHint { ttl: None });
    let url = Blob::Url {
        url: "u".to_owned(),
        media_type: None,
    };
    let other = PartKind::Other {
        kind: "thing".to_owned(),
        value: json!({}),
    };
    let parts = vec![
        signed,
        by_provider,
        hinted,
        Part::new(PartKind::Video(url), "/video"),
        Part::new(other, "/other"),
        Part::new(
            PartKind::Text {
                text: "b".to_owned(),
                citations: vec![Citation::default()],
            },
            "/cite",
        ),
    ];
    let (items, losses) = write(Role::Assistant, Mode::Request, false, parts);
    assert_eq!(items.len(), 2);
    let paths: Vec<_> = losses
        .as_slice()
        .iter()
        .map(|loss| loss.path.as_ref())
        .collect();
    assert_eq!(paths, ["/m/0", "/by", "/hint", "/video", "/other", "/cite"]);
}

#[test]
fn pictures_and_speech_of_the_model_have_a_place_in_answers() {
    let bytes = |media_type: &str| Blob::Base64 {
        media_type: media_type.to_owned(),
        data: "AA==".to_owned(),
    };
    let picture = PartKind::Image {
        source: bytes("image/png"),
        detail: None,
    };
    let speech = PartKind::Audio {
        source: bytes("audio/wav"),
        transcript: Some("hello".to_owned()),
    };
    let parts = vec![Part::new(picture, "/0"), Part::new(speech, "/1")];
    let mode = Mode::Answer("a".to_owned());
    let (items, losses) = write(Role::Assistant, mode, false, parts);
    assert_eq!(items[0]["type"], "image_generation_call");
    assert_eq!(items[0]["result"], "AA==");
    assert_eq!(items[1]["content"][0]["text"], "hello");
    assert_eq!(losses.as_slice().len(), 1);
}

#[test]
fn documents_that_are_no_files_are_given_as_content() {
    let document = |source: Blob, at: &'static str| {
        let kind = PartKind::Document {
            source,
            title: Some("t".to_owned()),
            context: Some("c".to_owned()),
            citations: Some(true),
        };
        Part::new(kind, at)
    };
    let parts = vec![
        document(Blob::Text("a".to_owned()), "/0"),
        document(Blob::Parts(vec![Part::text("b", "/1/0")]), "/1"),
    ];
    let (items, losses) = write(Role::User, Mode::Request, false, parts);
    let texts = items[0]["content"].as_array().unwrap().iter();
    let texts: Vec<_> = texts.map(|part| part["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["t\n\na", "t", "b"]);
    assert_eq!(losses.as_slice().len(), 6);
}
