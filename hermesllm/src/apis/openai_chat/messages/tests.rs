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
