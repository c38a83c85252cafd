use serde_json::json;

use super::*;
use crate::representation::Losses;

fn turns(messages: Value) -> Vec<Turn> {
    let Value::Array(list) = messages else {
        panic!("a list");
    };
    read(crate::apis::object::items(list, "/messages")).unwrap()
}

#[test]
fn results_that_follow_each_other_are_one_turn_and_come_back_as_they_were() {
    let messages = json!([
        {"role": "user", "content": "two, please"},
        {"role": "assistant", "tool_calls": [
            {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}},
            {"id": "b", "type": "function", "function": {"name": "f", "arguments": "{ not json"}}]},
        {"role": "tool", "tool_call_id": "a", "content": "1"},
        {"role": "tool", "tool_call_id": "b", "content": "2"},
        {"role": "user", "content": [{"type": "text", "text": "and"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]}
    ]);
    let turns = turns(messages.clone());
    assert_eq!(turns.len(), 4);
    assert_eq!(turns[2].parts.len(), 2);
    let mut losses = Losses::new();
    assert_eq!(Value::from(write(turns, true, &mut losses)), messages);
    assert!(losses.is_empty());
}

#[test]
fn calls_without_an_id_get_one_by_their_place() {
    let call = |name: &str| {
        Part::new(
            PartKind::ToolCall(ToolCall {
                id: String::new(),
                name: name.to_owned(),
                arguments: "{}".to_owned(),
                custom: false,
                by_provider: false,
            }),
            "/x",
        )
    };
    let answer = |name: &str| {
        Part::new(
            PartKind::ToolResult(ToolResult {
                call_id: String::new(),
                name: Some(name.to_owned()),
                parts: vec![Part::text("ok", "/x")],
                structured: None,
                is_error: false,
                custom: false,
            }),
            "/x",
        )
    };
    let turns = vec![
        turn(Role::Assistant, vec![call("f"), call("g")], "/0"),
        turn(Role::User, vec![answer("g"), answer("f")], "/1"),
    ];
    let messages = Value::from(write(turns, false, &mut Losses::new()));
    assert_eq!(messages[0]["tool_calls"][1]["id"], "call_1");
    assert_eq!(messages[1]["tool_call_id"], "call_1");
    assert_eq!(messages[2]["tool_call_id"], "call_0");
}

fn again(messages: Value) -> Value {
    let mut losses = Losses::new();
    let written = Value::from(write(turns(messages), true, &mut losses));
    assert!(losses.is_empty(), "{losses:?}");
    written
}

fn elsewhere(messages: Value) -> (Value, Losses) {
    let mut losses = Losses::new();
    let written = Value::from(write(turns(messages), false, &mut losses));
    (written, losses)
}

#[test]
fn messages_of_every_form_come_back_as_they_were() {
    for message in [
        json!({"role": "developer", "content": [{"type": "text", "text": "one"}]}),
        json!({"role": "user", "content": "hi", "name": "ann", "x": 1}),
        json!({"role": "system", "content": "hi", "cache_control": {"type": "ephemeral"}}),
        json!({"role": "user", "content": [
            {"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
            {"type": "text", "text": "b", "cache_control": {"type": "odd"}}]}),
        json!({"role": "user", "content": [
            {"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "low", "x": 1}},
            {"type": "image_url", "image_url": "https://x/y.png"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
            {"type": "image_url", "image_url": {"url": "data:;base64,AA=="}},
            {"type": "input_audio", "input_audio": {"data": "AA==", "format": "mp3"}},
            {"type": "input_audio", "input_audio": "AA=="},
            {"type": "input_audio", "input_audio": "https://x/y.mp3"},
            {"type": "video_url", "video_url": {"url": "https://x/y.mp4", "fps": 2}},
            {"type": "video_url", "video_url": "https://x/y.mp4"},
            {"type": "file", "file": {"file_data": "data:application/pdf;base64,AA==", "filename": "a.pdf"}},
            {"type": "file", "file": {"file_data": "AA==", "filename": "a.pdf"}},
            {"type": "file", "file": {"file_id": "file-1", "x": 1}},
            {"type": "document_url", "document_url": "https://x/a.pdf", "document_name": "a"},
            {"type": "odd", "odd": [1]}]}),
        json!({"role": "assistant", "content": "", "prefix": true}),
        json!({"role": "assistant", "content": [
            {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}], "closed": true},
            {"type": "thinking", "thinking": [{"type": "reference", "reference_ids": [1]}]},
            {"type": "text", "text": "yes"},
            {"type": "refusal", "refusal": "no"}]}),
        json!({"role": "assistant", "refusal": "no"}),
        json!({"role": "assistant", "audio": {"id": "audio_1"}}),
        json!({"role": "assistant", "content": "hm", "function_call": {"name": "f", "arguments": "{}"}}),
        json!({"role": "function", "name": "f", "content": "1"}),
        json!({"role": "tool", "tool_call_id": "a", "content": [{"type": "text", "text": "1"}]}),
        json!({"role": "tool", "tool_call_id": "a", "name": "f", "content": "", "cache_control": {"type": "ephemeral"}}),
        json!({"role": "assistant", "tool_calls": [
            {"id": "a", "type": "custom", "custom": {"name": "c", "input": "free"}},
            {"id": "b", "type": "function", "function": {"name": "f", "arguments": "{}", "x": 1},
             "extra_content": {"google": {"thought_signature": "s"}, "x": 2},
             "cache_control": {"type": "ephemeral"}}]}),
        json!({"role": "assistant", "content": "hm",
            "extra_content": {"google": {"thought_signature": "s", "thought": true}}}),
    ] {
        let messages = json!([message]);
        assert_eq!(again(messages.clone()), messages);
    }
}

#[test]
fn the_older_form_of_calls_is_paired_by_place_in_the_newer() {
    let (written, losses) = elsewhere(json!([
        {"role": "assistant", "function_call": {"name": "f", "arguments": ""}},
        {"role": "function", "name": "f", "content": "1"}]));
    assert!(losses.is_empty());
    assert_eq!(written[0]["tool_calls"][0]["id"], "call_0");
    assert_eq!(written[0]["tool_calls"][0]["function"]["arguments"], "{}");
    assert_eq!(written[1]["role"], "tool");
    assert_eq!(written[1]["tool_call_id"], "call_0");
}

#[test]
fn what_is_no_text_in_a_result_follows_as_the_users() {
    let (written, losses) = elsewhere(json!([
        {"role": "tool", "tool_call_id": "a", "content": [
            {"type": "text", "text": "see"},
            {"type": "image_url", "image_url": {"url": "https://x/y.png"}}]},
        {"role": "tool", "tool_call_id": "b", "content": "2"}]));
    assert_eq!(written[0]["content"], "see");
    assert_eq!(written[1]["tool_call_id"], "b");
    assert_eq!(written[2]["role"], "user");
    assert_eq!(written[2]["content"][0]["type"], "image_url");
    assert_eq!(losses.as_slice()[0].path, "/messages/0");
}

#[test]
fn turns_of_the_model_that_follow_each_other_are_one_message_elsewhere() {
    let call = |id: &str| json!({"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let (written, _) = elsewhere(json!([
        {"role": "assistant", "tool_calls": [call("a")]},
        {"role": "assistant", "tool_calls": [call("b")]},
        {"role": "tool", "tool_call_id": "a", "content": "1"},
        {"role": "tool", "tool_call_id": "b", "content": "2"}]));
    assert_eq!(written[0]["tool_calls"][1]["id"], "b");
    assert_eq!(written.as_array().map(Vec::len), Some(3));
}

#[test]
fn results_of_custom_tools_are_known_as_such() {
    let turns = turns(json!([
        {"role": "assistant", "tool_calls": [{"id": "a", "type": "custom", "custom": {"name": "c", "input": "x"}}]},
        {"role": "tool", "tool_call_id": "a", "content": "1"}]));
    assert!(matches!(&turns[1].parts[0].kind, PartKind::ToolResult(own) if own.custom));
}

#[test]
fn hints_for_caching_are_lost_and_told_in_requests_of_other_apis() {
    let (written, losses) = elsewhere(json!([
        {"role": "user", "content": "hi", "cache_control": {"type": "ephemeral"}}]));
    assert_eq!(written, json!([{"role": "user", "content": "hi"}]));
    assert_eq!(losses.as_slice()[0].path, "/messages/0/content");
}

#[test]
fn an_earlier_turn_is_written_the_same_whatever_follows() {
    let messages = json!([
        {"role": "user", "content": "a"},
        {"role": "assistant", "reasoning_content": "hm", "tool_calls": [{"type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "function", "name": "f", "content": "1"},
        {"role": "user", "content": "b"},
        {"role": "assistant", "content": "c"},
        {"role": "user", "content": "d"}]);
    let all = messages.as_array().unwrap();
    for kept in [1, 3, 4, 6] {
        let (own, _) = elsewhere(Value::from(all[..kept].to_vec()));
        let (whole, _) = elsewhere(messages.clone());
        let own = own.as_array().unwrap();
        assert_eq!(own[..], whole.as_array().unwrap()[..own.len()]);
    }
}
