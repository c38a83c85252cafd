use serde_json::{json, Value};

use super::*;
use crate::representation::{
    Blob, CacheHint, Citation, Effort, FunctionTool, Losses, Part, PartKind, Role, Tool,
    ToolChoice, ToolKind, ToolResult, Turn,
};

fn again(body: &Value) -> Value {
    let mut losses = Losses::new();
    let written = write(read(body.clone()).unwrap(), &mut losses);
    assert!(losses.is_empty(), "{losses:?}");
    written
}

/// A request of another API with one turn.
fn foreign(role: Role, parts: Vec<Part>) -> Request {
    Request {
        model: "m".to_owned(),
        turns: vec![Turn {
            role,
            name: None,
            parts,
            at: "/messages/0".into(),
            extensions: Vec::new(),
        }],
        ..Request::default()
    }
}

fn written(request: Request) -> (Value, Vec<(String, &'static str)>) {
    let mut losses = Losses::new();
    let body = write(request, &mut losses);
    let losses = losses.as_slice().iter();
    let losses = losses.map(|loss| (loss.path.to_string(), loss.kind.as_str()));
    (body, losses.collect())
}

#[test]
fn a_request_comes_back_as_it_was() {
    let body = json!({
        "model": "m", "stream": false, "max_tokens": 5, "temperature": 0.3, "k": 600, "p": 1, "seed": 1,
        "frequency_penalty": -1, "presence_penalty": 2, "stop_sequences": ["a"], "logprobs": true,
        "thinking": {"type": "enabled", "token_budget": 9, "odd": true}, "safety_mode": "OFF",
        "documents": [{"id": "d", "data": {"text": "x"}}], "citation_options": {"mode": "FAST"},
        "response_format": {"type": "json_object", "json_schema": {"b": 1, "a": 2}},
        "strict_tools": true, "tool_choice": "REQUIRED", "priority": 3,
        "tools": [
            {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}, "odd": 1}},
            {"type": "odd", "value": 1}
        ],
        "messages": [
            {"role": "system", "content": "s"},
            {"role": "user", "content": [{"type": "text", "text": "u"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,QQ==", "detail": "low"}},
                {"type": "odd", "odd": {}}]},
            {"role": "assistant", "tool_plan": "I will", "tool_calls": [
                {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{\"a\":"}}]},
            {"role": "tool", "tool_call_id": "c", "content": [
                {"type": "document", "document": {"id": "x", "data": {"title": "T", "text": "t"}}}]},
            {"role": "tool", "tool_call_id": "d", "content": "plain"},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "a"}],
                "citations": [{"start": 0, "end": 1, "text": "a", "sources": [], "type": "TEXT_CONTENT", "content_index": 1}]},
            {"role": "assistant", "content": "b",
                "citations": [{"start": 0, "end": 1, "text": "b", "sources": [], "type": "PLAN"}]},
            {"role": "user", "content": [{"type": "text", "text": ""}], "odd": 1},
        ],
    });
    assert_eq!(again(&body), body);
}

#[test]
fn what_is_read_means_what_it_says() {
    let request = read(json!({
        "model": "m", "tools": [{"type": "function", "function": {"name": "f"}}], "strict_tools": true,
        "tool_choice": "NONE", "k": 3, "p": 0.5, "documents": [], "thinking": {"type": "disabled"},
        "messages": [
            {"role": "assistant", "tool_plan": "plan", "tool_calls": []},
            {"role": "tool", "tool_call_id": "c", "content": [{"type": "document", "document": {"data": {"text": "t"}}}]},
            {"role": "tool", "tool_call_id": "d", "content": [{"type": "document", "document": {"data": {"n": 1}}}]},
        ],
    }))
    .unwrap();
    let ToolKind::Function(function) = &request.tools[0].kind else {
        panic!("a function");
    };
    assert_eq!(function.strict, Some(true));
    assert_eq!(request.tool_choice.unwrap().value, ToolChoice::None);
    assert_eq!(request.sampling.top_k.unwrap().at, "/k");
    assert_eq!(
        request.reasoning.unwrap().enabled.unwrap().value,
        Enabled::No
    );
    assert!(request.extensions.iter().all(|own| !own.matters()));
    let PartKind::Reasoning(plan) = &request.turns[0].parts[0].kind else {
        panic!("a plan");
    };
    assert_eq!(plan.text, "plan");
    let texts: Vec<_> = (request.turns[1].parts.iter())
        .map(|part| match &part.kind {
            PartKind::ToolResult(result) => match &result.parts[0].kind {
                PartKind::Text { text, .. } => text.clone(),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(texts, ["t", r#"{"data":{"n":1}}"#]);
}

#[test]
fn what_is_wrong_is_named_by_its_place() {
    for (body, at) in [
        (json!([]), ""),
        (json!({"messages": 1}), "/messages"),
        (json!({"messages": [{"content": "x"}]}), "/messages/0/role"),
        (json!({"messages": [{"role": "odd"}]}), "/messages/0/role"),
        (
            json!({"messages": [{"role": "user", "content": 1}]}),
            "/messages/0/content",
        ),
        (json!({"k": "x"}), "/k"),
        (
            json!({"thinking": {"token_budget": -1}}),
            "/thinking/token_budget",
        ),
        (json!({"tools": [1]}), "/tools/0"),
    ] {
        assert_eq!(read(body).unwrap_err().at, at);
    }
}

#[test]
fn settings_beyond_the_bounds_are_brought_to_them_and_told() {
    let mut request = foreign(Role::User, vec![Part::text("u", "/messages/0/content")]);
    let number = |number: f64| serde_json::Number::from_f64(number).unwrap();
    request.sampling.top_p = Some(At::new(number(1.0), "/top_p"));
    request.sampling.top_k = Some(At::new(40.into(), "/top_k"));
    request.sampling.frequency_penalty = Some(At::new(number(-1.5), "/frequency_penalty"));
    request.stop = Some(At::new(vec!["s".to_owned(); 6], "/stop"));
    let (body, losses) = written(request);
    assert_eq!((&body["p"], &body["k"]), (&json!(0.99), &json!(40)));
    assert_eq!(body["frequency_penalty"], 0.0);
    assert_eq!(body["stop_sequences"].as_array().unwrap().len(), 5);
    let places: Vec<_> = losses.iter().map(|(at, _)| at.as_str()).collect();
    assert_eq!(places, ["/top_p", "/frequency_penalty", "/stop"]);
    assert!(losses.iter().all(|(_, kind)| *kind == "approximated"));
}

#[test]
fn an_effort_becomes_a_budget_and_no_effort_turns_thinking_off() {
    let thinking = |effort| {
        let mut request = foreign(Role::User, Vec::new());
        request.reasoning = Some(ReasoningConfig {
            effort: Some(At::new(effort, "/reasoning_effort")),
            ..ReasoningConfig::default()
        });
        let (body, losses) = written(request);
        (body["thinking"].clone(), losses.len())
    };
    let on = json!({"type": "enabled", "token_budget": 1024});
    assert_eq!(thinking(Effort::Low), (on, 1));
    assert_eq!(thinking(Effort::None), (json!({"type": "disabled"}), 0));
}

#[test]
fn results_are_messages_and_what_is_no_text_follows_as_the_users() {
    let image = PartKind::Image {
        source: Blob::Url {
            url: "https://i".to_owned(),
            media_type: None,
        },
        detail: None,
    };
    let result = |call_id: &str, parts| {
        let result = ToolResult {
            call_id: call_id.to_owned(),
            name: None,
            parts,
            structured: (call_id == "b").then(|| json!({"a": 1})),
            is_error: call_id == "a",
            custom: false,
        };
        Part::new(PartKind::ToolResult(result), "/messages/0")
    };
    let parts = vec![
        result("a", vec![Part::text("t", "/x"), Part::new(image, "/y")]),
        result("b", Vec::new()),
    ];
    let (body, losses) = written(foreign(Role::User, parts));
    assert_eq!(
        body["messages"],
        json!([
            {"role": "tool", "tool_call_id": "a", "content": "t"},
            {"role": "tool", "tool_call_id": "b", "content": "{\"a\":1}"},
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://i"}}]},
        ])
    );
    assert_eq!(losses.len(), 2, "{losses:?}");
}

#[test]
fn documents_that_are_to_be_cited_stand_beside_the_messages() {
    let document = |citations| {
        let kind = PartKind::Document {
            source: Blob::Text("all".to_owned()),
            title: Some("T".to_owned()),
            context: None,
            citations,
        };
        Part::new(kind, "/messages/0/content/0")
    };
    let question = || Part::text("why", "/messages/0/content/1");
    let (body, losses) = written(foreign(Role::User, vec![document(Some(true)), question()]));
    let beside = json!([{"id": "doc_0", "data": {"title": "T", "text": "all"}}]);
    assert_eq!(body["documents"], beside);
    assert_eq!(body["messages"][0]["content"], "why");
    assert_eq!(losses.len(), 1);
    let (body, losses) = written(foreign(Role::User, vec![document(None), question()]));
    assert_eq!(body["messages"][0]["content"][0]["text"], "T\nall");
    assert_eq!((body.get("documents"), losses.len()), (None, 1));
}

#[test]
fn tools_take_free_text_in_an_object_and_schemas_are_strict_for_all_or_none() {
    let function = |name: &str, strict| Tool {
        kind: ToolKind::Function(FunctionTool {
            name: name.to_owned(),
            strict,
            ..FunctionTool::default()
        }),
        cache: Some(CacheHint { ttl: None }),
        at: format!("/tools/{name}").into(),
        extensions: Vec::new(),
    };
    let mut request = foreign(Role::User, Vec::new());
    request.tools = vec![function("a", Some(true)), function("b", None)];
    let (body, losses) = written(request.clone());
    assert_eq!(body.get("strict_tools"), None);
    assert_eq!(body["tools"][0]["function"]["parameters"]["type"], "object");
    assert_eq!(losses.len(), 3, "{losses:?}");
    request.tools = vec![function("a", Some(true))];
    request.tool_choice = Some(At::new(
        ToolChoice::Function("a".to_owned()),
        "/tool_choice",
    ));
    let (body, _) = written(request.clone());
    assert_eq!(
        (&body["strict_tools"], &body["tool_choice"]),
        (&json!(true), &json!("REQUIRED"))
    );
    let custom = ToolKind::Custom {
        name: "c".to_owned(),
        description: None,
        format: None,
    };
    request.tools[0].kind = custom;
    let (body, _) = written(request);
    let schema = &body["tools"][0]["function"]["parameters"];
    assert_eq!(schema["properties"]["input"]["type"], "string");
}

#[test]
fn calls_without_identifiers_get_them_by_their_place() {
    let body = json!({"model": "m", "messages": [
        {"role": "assistant", "tool_calls": [
            {"type": "function", "function": {"name": "f", "arguments": ""}},
            {"type": "function", "function": {"name": "g", "arguments": "{}"}}]},
        {"role": "tool", "content": "1"}, {"role": "tool", "content": "2"},
    ]});
    assert_eq!(again(&body), body);
    let mut request = read(body).unwrap();
    request.api = None;
    let (body, _) = written(request);
    let messages = &body["messages"];
    assert_eq!(messages[0]["tool_calls"][1]["id"], "call_1");
    assert_eq!(messages[0]["tool_calls"][0]["function"]["arguments"], "{}");
    assert_eq!(messages[1]["tool_call_id"], "call_0");
    assert_eq!(messages[2]["tool_call_id"], "call_1");
}

#[test]
fn citations_of_what_the_model_said_stay_and_others_are_told() {
    let text = |at: &'static str| {
        let mut part = Part::text("cited", at);
        if let PartKind::Text { citations, .. } = &mut part.kind {
            citations.push(Citation {
                title: Some("T".to_owned()),
                span: Some((0, 5)),
                ..Citation::default()
            });
        }
        part
    };
    let (body, losses) = written(foreign(Role::Assistant, vec![text("/a")]));
    assert_eq!(body["messages"][0]["citations"][0]["text"], "cited");
    assert_eq!(losses, [("/a".to_owned(), "approximated")]);
    let (body, losses) = written(foreign(Role::User, vec![text("/u")]));
    assert_eq!(
        body["messages"][0],
        json!({"role": "user", "content": "cited"})
    );
    assert_eq!(losses, [("/u".to_owned(), "dropped")]);
}

#[test]
fn what_was_said_is_written_the_same_in_the_next_turn() {
    let call = |id: &str| {
        json!({"role": "assistant", "tool_calls": [
            {"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}}]})
    };
    let conversation = [
        json!({"role": "system", "content": "s"}),
        json!({"role": "user", "content": [{"type": "text", "text": "u"}]}),
        call(""),
        json!({"role": "tool", "content": "r"}),
        call("c"),
        json!({"role": "tool", "tool_call_id": "c", "content": "r"}),
        json!({"role": "assistant", "content": "a"}),
    ];
    let mut last = String::new();
    for length in 1..=conversation.len() {
        let mut request = read(json!({"messages": conversation[..length]})).unwrap();
        request.api = None;
        let (body, _) = written(request);
        let messages = body["messages"].to_string();
        let messages = messages.strip_suffix(']').unwrap().to_owned();
        assert!(messages.starts_with(&last), "{messages}");
        last = messages;
    }
}
