mod settings;

use serde_json::json;

use super::*;
use crate::representation::{
    CacheHint, CacheTtl, FunctionTool, Losses, Part, PartKind, Tool, ToolCall, ToolChoice,
    ToolKind, ToolResult,
};

fn lines(losses: &Losses) -> Vec<String> {
    let losses = losses.as_slice().iter();
    losses
        .map(|l| format!("{} {}", l.path, l.kind.as_str()))
        .collect()
}

fn turn(role: Role, text: &str, at: &'static str) -> Turn {
    Turn {
        role,
        name: None,
        parts: vec![Part::text(text, at)],
        at: at.into(),
        extensions: Vec::new(),
    }
}

/// A request of another API.
fn foreign(model: &str) -> Request {
    Request {
        model: model.to_owned(),
        turns: vec![turn(Role::User, "hi", "/messages/0")],
        ..Request::default()
    }
}

fn written(request: Request) -> (Value, Vec<String>) {
    let mut losses = Losses::new();
    let body = write(request, &mut losses);
    (body, lines(&losses))
}

fn set<T>(value: T, at: &'static str) -> Setting<T> {
    Some(At::new(value, at))
}

fn function(name: &str) -> Tool {
    Tool {
        kind: ToolKind::Function(FunctionTool {
            name: name.to_owned(),
            ..FunctionTool::default()
        }),
        cache: None,
        at: "/tools/0".into(),
        extensions: Vec::new(),
    }
}

#[test]
fn everything_that_the_api_has_comes_back_as_it_was() {
    let body = json!({
        "model": "claude-x",
        "max_tokens": 3,
        "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}],
        "messages": [
            {"role": "user", "content": "as text"},
            {"role": "user", "content": [{"type": "text", "text": "as list"}]},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "i", "name": "f", "input": {}}]},
            {"role": "user", "content": [
                {"type": "text", "text": "before"},
                {"type": "tool_result", "tool_use_id": "i", "content": "r"},
            ]},
            {"role": "system", "content": "in place", "new": 1},
        ],
        "tools": [
            {"name": "f", "description": "d", "input_schema": {"type": "object"}, "strict": false,
             "cache_control": {"type": "ephemeral", "ttl": "5m"}, "defer_loading": true},
            {"name": "g", "input_schema": true},
            {"type": "web_search_20250305", "name": "web_search", "cache_control": {"type": "ephemeral"}},
        ],
        "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": true, "new": 1},
        "thinking": {"type": "enabled", "budget_tokens": 5000, "display": "omitted", "new": 1},
        "output_config": {
            "effort": "xhigh",
            "format": {"type": "json_schema", "schema": {"b": 1, "a": 2}, "new": 1},
            "task_budget": {"type": "tokens", "total": 9},
        },
        "temperature": 1.5,
        "top_p": 0.5,
        "top_k": 40,
        "stop_sequences": [" ", "x"],
        "service_tier": "standard_only",
        "metadata": {"user_id": "u", "new": 1},
        "cache_control": {"type": "ephemeral", "ttl": "1h"},
        "stream": true,
        "container": "c",
        "context_management": {"edits": []},
        "mcp_servers": [{"type": "url"}],
        "anthropic_version": "v",
    });
    let request = read(body.clone()).unwrap();
    assert_eq!(written(request), (body, vec![]));
}

#[test]
fn settings_are_read_with_their_places() {
    let request = read(json!({
        "model": "m", "max_tokens": 9, "messages": [], "metadata": {"user_id": "u"},
        "thinking": {"type": "adaptive", "display": "summarized"},
        "output_config": {"effort": "low"},
        "tool_choice": {"type": "any", "disable_parallel_tool_use": true},
        "cache_control": {"type": "ephemeral", "ttl": "1h"},
        "output_format": {"type": "json_schema", "schema": {}},
    }))
    .unwrap();
    assert_eq!(request.max_output, set(9, "/max_tokens"));
    assert_eq!(request.user, set("u".to_owned(), "/metadata/user_id"));
    assert_eq!(request.metadata, None);
    let reasoning = request.reasoning.unwrap();
    assert_eq!(reasoning.enabled, set(Enabled::Adaptive, "/thinking/type"));
    assert_eq!(reasoning.effort, set(Effort::Low, "/output_config/effort"));
    assert_eq!(
        reasoning.summary,
        set("auto".to_owned(), "/thinking/display")
    );
    assert_eq!(
        request.tool_choice,
        set(ToolChoice::Required, "/tool_choice")
    );
    let at = "/tool_choice/disable_parallel_tool_use";
    assert_eq!(request.parallel_tool_calls, set(false, at));
    let hour = CacheHint {
        ttl: Some(CacheTtl::OneHour),
    };
    assert_eq!(request.cache, set(hour, "/cache_control"));
    assert_eq!(request.format.unwrap().at, "/output_format");
    assert!(request.extensions.is_empty());
}

#[test]
fn forms_that_are_not_known_are_kept_whole() {
    let body = json!({
        "max_tokens": 1,
        "messages": [],
        "tool_choice": {"type": "later", "a": 1},
        "thinking": {"type": "later"},
        "output_config": {"effort": "later", "format": {"type": "later"}},
        "cache_control": {"type": "later"},
    });
    let request = read(body.clone()).unwrap();
    assert!(matches!(&request.tool_choice, Some(c) if matches!(c.value, ToolChoice::Other(_))));
    assert_eq!(written(request), (body, vec![]));
}

#[test]
fn requests_of_a_wrong_type_are_refused_with_the_place() {
    for (body, error) in [
        (json!([]), ": must be an object"),
        (json!({}), "/messages: is missing"),
        (json!({"messages": {}}), "/messages: must be a list"),
        (
            json!({"messages": [], "model": 1}),
            "/model: must be a text",
        ),
        (
            json!({"messages": [], "max_tokens": -1}),
            "/max_tokens: must be a whole number",
        ),
        (
            json!({"messages": [], "system": 1}),
            "/system: must be a text or a list of blocks",
        ),
        (
            json!({"messages": [{"content": ""}]}),
            "/messages/0/role: is missing",
        ),
        (
            json!({"messages": [{"role": "tool"}]}),
            "/messages/0/role: must be user, assistant or system",
        ),
        (
            json!({"messages": [{"role": "user"}]}),
            "/messages/0/content: is missing",
        ),
        (
            json!({"messages": [], "tools": [1]}),
            "/tools/0: must be an object",
        ),
        (
            json!({"messages": [], "tools": [{}]}),
            "/tools/0/name: is missing",
        ),
        (
            json!({"messages": [], "metadata": {"user_id": 1}}),
            "/metadata/user_id: must be a text",
        ),
    ] {
        assert_eq!(read(body).unwrap_err().to_string(), error);
    }
}

#[test]
fn system_turns_that_lead_stand_apart_and_later_ones_are_the_users() {
    let mut request = foreign("m");
    request.turns = vec![
        turn(Role::System, "a", "/messages/0"),
        turn(Role::Developer, "b", "/messages/1"),
        turn(Role::User, "c", "/messages/2"),
        turn(Role::Developer, "d", "/messages/3"),
        turn(Role::Assistant, "e", "/messages/4"),
    ];
    let (body, losses) = written(request);
    let text = |text: &str| json!({"type": "text", "text": text});
    assert_eq!(body["system"], json!([text("a"), text("b")]));
    assert_eq!(
        body["messages"],
        json!([
            {"role": "user", "content": [text("c"), text("d")]},
            {"role": "assistant", "content": "e"},
        ])
    );
    assert_eq!(losses, ["/messages/3 approximated"]);
}

#[test]
fn results_come_first_in_one_turn_and_share_their_calls_identifiers() {
    let call = |name: &str| {
        let call = ToolCall {
            id: String::new(),
            name: name.to_owned(),
            arguments: "{}".to_owned(),
            custom: false,
            by_provider: false,
        };
        Part::new(PartKind::ToolCall(call), "/c")
    };
    let result = |name: &str| {
        let result = ToolResult {
            call_id: String::new(),
            name: Some(name.to_owned()),
            parts: vec![Part::text(name, "/r")],
            structured: None,
            is_error: false,
            custom: false,
        };
        Part::new(PartKind::ToolResult(result), "/r")
    };
    let mut request = foreign("m");
    let with = |role: Role, parts: Vec<Part>| Turn {
        parts,
        ..turn(role, "", "/t")
    };
    request
        .turns
        .push(with(Role::Assistant, vec![call("f"), call("g")]));
    request.turns.push(with(Role::User, vec![result("g")]));
    request
        .turns
        .push(with(Role::User, vec![Part::text("and", "/x"), result("f")]));
    let (body, losses) = written(request);
    assert_eq!(
        body["messages"][2]["content"],
        json!([
            {"type": "tool_result", "tool_use_id": "call_1", "content": "g"},
            {"type": "tool_result", "tool_use_id": "call_0", "content": "f"},
            {"type": "text", "text": "and"},
        ])
    );
    assert!(losses.is_empty());
}

#[test]
fn a_conversation_begins_with_the_user() {
    let mut request = foreign("m");
    request.turns = vec![turn(Role::Assistant, "a", "/messages/0")];
    let (body, losses) = written(request);
    assert_eq!(
        body["messages"][0],
        json!({"role": "user", "content": "Continue."})
    );
    assert_eq!(losses, ["/messages/0 approximated"]);
}

#[test]
fn what_was_said_is_written_the_same_in_every_later_turn() {
    let mut request = foreign("m");
    let (first, _) = written(request.clone());
    request
        .turns
        .push(turn(Role::Assistant, "a", "/messages/1"));
    request.turns.push(turn(Role::User, "b", "/messages/2"));
    let (second, _) = written(request);
    let text = |body: &Value| body["messages"].to_string();
    let begin = text(&first);
    assert!(text(&second).starts_with(begin.strip_suffix(']').unwrap()));
}
