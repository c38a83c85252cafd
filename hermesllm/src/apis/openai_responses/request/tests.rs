use serde_json::{json, Map, Number};

use super::settings::takes_breakpoints;
use super::*;
use crate::representation::request::Enabled;
use crate::representation::{
    CacheHint, Effort, Losses, OutputFormat, Part, ReasoningConfig, ToolChoice,
};

fn pass(body: Value) -> Value {
    let mut losses = Losses::new();
    let written = write(read(body).unwrap(), &mut losses);
    assert!(losses.is_empty(), "{losses:?}");
    written
}

#[test]
fn every_setting_comes_back_as_it_was() {
    let body = json!({
        "model": "m", "instructions": "be", "input": "hi", "stream": true,
        "stream_options": {"include_obfuscation": false},
        "tools": [{"type": "function", "name": "f"}], "tool_choice": "required",
        "parallel_tool_calls": false, "max_output_tokens": 9, "temperature": 0.5, "top_p": 1,
        "text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"},
            "strict": true, "description": "d", "new": 1}, "verbosity": "low", "new": 2},
        "reasoning": {"effort": "high", "summary": "auto", "context": "all_turns"},
        "include": ["reasoning.encrypted_content", "message.output_text.logprobs",
            "file_search_call.results"],
        "top_logprobs": 3, "service_tier": "flex", "metadata": {"a": "b"}, "user": "u",
        "safety_identifier": "s", "prompt_cache_key": "k", "prompt_cache_retention": "24h",
        "store": true, "previous_response_id": "resp_1", "conversation": "conv_1",
        "prompt": {"id": "p"}, "truncation": "auto", "background": true, "max_tool_calls": 3
    });
    assert_eq!(pass(body.clone()), body);
    for body in [
        json!({"input": "hi", "safety_identifier": "s", "reasoning": {"effort": "new"}}),
        json!({"text": {"format": {"type": "new", "x": 1}}}),
        json!({"text": {"format": {"type": "json_object"}}}),
        json!({"text": {"format": {"type": "text"}}, "include": ["x"]}),
    ] {
        assert_eq!(pass(body.clone()), body);
    }
}

#[test]
fn the_normalisations_are_those_that_are_documented() {
    let body = json!({"model": "m", "stream": false, "include": [], "reasoning": {}, "text": {},
        "tools": [], "input": [], "user": null, "top_logprobs": 0});
    assert_eq!(pass(body), json!({"model": "m"}));
    let logprobs = json!({"top_logprobs": 2});
    assert_eq!(
        pass(logprobs),
        json!({"top_logprobs": 2, "include": ["message.output_text.logprobs"]})
    );
}

#[test]
fn items_between_two_messages_are_one_turn() {
    let request = read(json!({"instructions": "x", "input": [
        {"role": "user", "content": "a"},
        {"role": "user", "content": "b"},
        {"type": "reasoning", "id": "rs", "summary": []},
        {"role": "assistant", "content": "c"},
        {"type": "function_call", "call_id": "1", "name": "n", "arguments": "{}"},
        {"type": "function_call", "call_id": "2", "name": "n", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "1", "output": "x"},
        {"type": "function_call_output", "call_id": "2", "output": "y"},
        {"role": "user", "content": "d"},
    ]}))
    .unwrap();
    let turns: Vec<_> = request
        .turns
        .iter()
        .map(|turn| (turn.role, turn.parts.len(), turn.at.as_ref()))
        .collect();
    assert_eq!(
        turns,
        [
            (Role::System, 1, "/instructions"),
            (Role::User, 1, "/input/0"),
            (Role::User, 1, "/input/1"),
            (Role::Assistant, 4, "/input/2"),
            (Role::User, 2, "/input/6"),
            (Role::User, 1, "/input/8"),
        ]
    );
}

#[test]
fn members_of_a_wrong_type_are_refused_where_they_are() {
    for (body, at) in [
        (json!([]), ""),
        (json!({"model": 1}), "/model"),
        (json!({"input": 1}), "/input"),
        (json!({"input": [1]}), "/input/0"),
        (
            json!({"input": [{"role": "user", "content": 1}]}),
            "/input/0/content",
        ),
        (json!({"tools": {}}), "/tools"),
        (json!({"tools": [{"type": "function"}]}), "/tools/0/name"),
        (json!({"text": {"verbosity": 1}}), "/text/verbosity"),
    ] {
        assert_eq!(read(body).unwrap_err().at, at);
    }
}

fn turn(role: Role, parts: Vec<Part>) -> Turn {
    Turn {
        role,
        name: None,
        parts,
        at: "/messages/0".into(),
        extensions: Vec::new(),
    }
}

#[test]
fn a_request_of_another_api_gets_what_this_one_requires() {
    let request = Request {
        model: "gpt-5".to_owned(),
        turns: vec![
            turn(Role::System, vec![Part::text("s", "/messages/0/content")]),
            turn(Role::User, vec![Part::text("u", "/messages/1/content")]),
            turn(
                Role::Assistant,
                vec![Part::text("a", "/messages/2/content")],
            ),
        ],
        max_output: Some(At::new(5, "/max_tokens")),
        format: Some(At::new(
            OutputFormat::Schema {
                name: None,
                description: None,
                schema: json!({}),
                strict: None,
            },
            "/response_format",
        )),
        ..Request::default()
    };
    let mut losses = Losses::new();
    assert_eq!(
        write(request, &mut losses),
        json!({
            "model": "gpt-5",
            "input": [
                {"type": "message", "role": "system", "content": "s"},
                {"type": "message", "role": "user", "content": "u"},
                {"type": "message", "role": "assistant", "content": "a"},
            ],
            "max_output_tokens": 16,
            "text": {"format": {"name": "response", "schema": {}, "type": "json_schema"}},
            "store": false,
        })
    );
    assert_eq!(losses.as_slice().len(), 1);
}

#[test]
fn what_this_api_has_not_is_reported() {
    let number = |at: &'static str| Some(At::new(Number::from(1), at));
    let request = Request {
        sampling: Sampling {
            temperature: None,
            top_p: None,
            top_k: number("/top_k"),
            min_p: number("/min_p"),
            frequency_penalty: number("/frequency_penalty"),
            presence_penalty: number("/presence_penalty"),
            seed: number("/seed"),
            logit_bias: Some(At::new(Map::new(), "/logit_bias")),
        },
        stop: Some(At::new(vec!["x".to_owned()], "/stop")),
        choices: Some(At::new(2, "/n")),
        modalities: Some(At::new(vec!["audio".to_owned()], "/modalities")),
        cache: Some(At::new(CacheHint::default(), "/cache_control")),
        tool_choice: Some(At::new(ToolChoice::Other(json!(1)), "/tool_choice")),
        reasoning: Some(ReasoningConfig {
            budget: Some(At::new(4096, "/thinking/budget_tokens")),
            ..ReasoningConfig::default()
        }),
        ..Request::default()
    };
    let mut losses = Losses::new();
    let written = write(request, &mut losses);
    assert_eq!(written["reasoning"], json!({"effort": "medium"}));
    let mut paths: Vec<_> = losses.as_slice().iter().map(|l| l.path.as_ref()).collect();
    paths.sort_unstable();
    assert_eq!(
        paths,
        [
            "/cache_control",
            "/frequency_penalty",
            "/logit_bias",
            "/min_p",
            "/modalities",
            "/n",
            "/presence_penalty",
            "/seed",
            "/stop",
            "/thinking/budget_tokens",
            "/tool_choice",
            "/top_k",
        ]
    );
    let one = Request {
        choices: Some(At::new(1, "/n")),
        modalities: Some(At::new(vec!["text".to_owned()], "/modalities")),
        ..Request::default()
    };
    let mut losses = Losses::new();
    write(one, &mut losses);
    assert!(losses.is_empty());
}

#[test]
fn how_much_to_think_is_told_in_words() {
    let effort = |enabled, effort: Option<Effort>| {
        let config = ReasoningConfig {
            enabled: Some(At::new(enabled, "/e")),
            effort: effort.map(|effort| At::new(effort, "/f")),
            summary: Some(At::new("none".to_owned(), "/s")),
            ..ReasoningConfig::default()
        };
        let request = Request {
            reasoning: Some(config),
            ..Request::default()
        };
        let mut losses = Losses::new();
        let written = write(request, &mut losses);
        assert!(losses.is_empty());
        written["reasoning"]["effort"].as_str().map(str::to_owned)
    };
    assert_eq!(effort(Enabled::No, None).as_deref(), Some("none"));
    assert_eq!(effort(Enabled::Yes, None).as_deref(), Some("medium"));
    assert_eq!(
        effort(Enabled::Yes, Some(Effort::Max)).as_deref(),
        Some("max")
    );
    assert_eq!(effort(Enabled::Adaptive, None), None);
}

#[test]
fn cache_hints_become_breakpoints_where_the_model_takes_them() {
    for (model, takes) in [
        ("gpt-5.6", true),
        ("openai/gpt-5.6-sol", true),
        ("gpt-6", true),
        ("gpt-5.1", false),
        ("gpt-5-mini", false),
        ("gpt-4o", false),
        ("grok-4", false),
    ] {
        assert_eq!(takes_breakpoints(model), takes, "{model}");
        let mut part = Part::text("a", "/m/0");
        part.cache = Some(CacheHint::default());
        let request = Request {
            model: model.to_owned(),
            turns: vec![turn(Role::User, vec![part])],
            ..Request::default()
        };
        let mut losses = Losses::new();
        let written = write(request, &mut losses);
        let hint = &written["input"][0]["content"][0]["prompt_cache_breakpoint"];
        assert_eq!(hint.is_object(), takes, "{written}");
        assert_eq!(losses.is_empty(), takes);
    }
}

#[test]
fn what_was_written_of_a_conversation_does_not_change_as_it_goes_on() {
    use crate::representation::{PartKind, ToolCall, ToolResult};
    let call = PartKind::ToolCall(ToolCall {
        id: String::new(),
        name: "n".to_owned(),
        arguments: "{}".to_owned(),
        custom: false,
        by_provider: false,
    });
    let result = PartKind::ToolResult(ToolResult {
        call_id: String::new(),
        name: None,
        parts: vec![Part::text("x", "/r")],
        structured: None,
        is_error: false,
        custom: false,
    });
    let round = || {
        [
            turn(Role::User, vec![Part::text("u", "/u")]),
            turn(
                Role::Assistant,
                vec![Part::text("a", "/a"), Part::new(call.clone(), "/c")],
            ),
            turn(Role::User, vec![Part::new(result.clone(), "/r")]),
        ]
    };
    let mut turns = Vec::new();
    let mut before: Vec<Value> = Vec::new();
    for _ in 0..3 {
        turns.extend(round());
        let request = Request {
            turns: turns.clone(),
            ..Request::default()
        };
        let mut written = write(request, &mut Losses::new());
        let Value::Array(input) = written["input"].take() else {
            panic!("no input");
        };
        assert_eq!(input[..before.len()], before);
        before = input;
    }
    assert_eq!(before[11]["call_id"], "call_2");
}
