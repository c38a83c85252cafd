//! Settings, written from other APIs.

use super::*;
use serde_json::Number;

#[test]
fn output_has_a_limit_that_exceeds_the_budget() {
    let with = |limit: Option<u64>, budget: Option<u64>| {
        let mut request = foreign("m");
        request.max_output = limit.map(|limit| At::new(limit, "/max"));
        request.reasoning = budget.map(|budget| ReasoningConfig {
            budget: set(budget, "/budget"),
            ..ReasoningConfig::default()
        });
        let (body, losses) = written(request);
        (body["max_tokens"].as_u64().unwrap(), losses.len())
    };
    assert_eq!(with(None, None), (4096, 0));
    assert_eq!(with(Some(7), None), (7, 0));
    assert_eq!(with(None, Some(2000)), (6096, 0));
    assert_eq!(with(Some(2001), Some(2000)), (2001, 0));
    assert_eq!(with(Some(2000), Some(2000)), (2001, 1));
    assert_eq!(
        with(Some(2000), Some(1)),
        (2000, 1),
        "the least budget is 1024"
    );
    assert_eq!(with(Some(9), Some(0)), (9, 0));
}

#[test]
fn effort_is_a_word_for_newer_models_and_a_budget_for_older_ones() {
    let with = |model: &str, effort: Effort, limit: Option<u64>| {
        let mut request = foreign(model);
        request.max_output = limit.map(|limit| At::new(limit, "/max"));
        request.reasoning = Some(ReasoningConfig {
            effort: set(effort, "/effort"),
            ..ReasoningConfig::default()
        });
        let (mut body, losses) = written(request);
        (
            body["thinking"].take(),
            body["output_config"].take(),
            losses,
        )
    };
    let adaptive = json!({"type": "adaptive"});
    let (thinking, config, losses) = with("claude-opus-4-6", Effort::High, Some(100));
    assert_eq!((thinking, config), (adaptive, json!({"effort": "high"})));
    assert!(losses.is_empty());
    let (_, config, losses) = with("claude-opus-4-6", Effort::XHigh, None);
    assert_eq!((config, losses.len()), (json!({"effort": "high"}), 1));
    let (_, config, losses) = with("claude-opus-4-7", Effort::XHigh, None);
    assert_eq!((config, losses.len()), (json!({"effort": "xhigh"}), 0));
    let (_, config, losses) = with("claude-opus-4-7", Effort::Minimal, None);
    assert_eq!((config, losses.len()), (json!({"effort": "low"}), 1));
    let (thinking, config, losses) = with("claude-sonnet-4-5", Effort::High, None);
    assert_eq!(
        thinking,
        json!({"type": "enabled", "budget_tokens": 24_576})
    );
    assert_eq!(
        (config, losses),
        (Value::Null, vec!["/effort approximated".to_owned()])
    );
    let (thinking, _, _) = with("claude-sonnet-4-5", Effort::High, Some(2000));
    assert_eq!(thinking["budget_tokens"], 1999);
    let (thinking, _, losses) = with("claude-sonnet-4-5", Effort::High, Some(100));
    assert_eq!(
        (thinking, losses),
        (Value::Null, vec!["/effort dropped".to_owned()])
    );
    let (thinking, _, losses) = with("claude-sonnet-4-5", Effort::None, Some(100));
    assert_eq!((thinking, losses.len()), (json!({"type": "disabled"}), 0));
}

#[test]
fn a_budget_is_a_word_where_models_take_none() {
    let mut request = foreign("claude-opus-4-7");
    request.reasoning = Some(ReasoningConfig {
        budget: set(8000, "/budget"),
        summary: set("none".to_owned(), "/summary"),
        ..ReasoningConfig::default()
    });
    let (body, losses) = written(request);
    assert_eq!(
        body["thinking"],
        json!({"type": "adaptive", "display": "omitted"})
    );
    assert_eq!(body["output_config"], json!({"effort": "medium"}));
    assert_eq!(losses, ["/budget approximated"]);
}

#[test]
fn nothing_is_thought_where_a_tool_must_be_called_or_thoughts_are_missing() {
    let thinking = || {
        Some(ReasoningConfig {
            budget: set(2000, "/budget"),
            ..ReasoningConfig::default()
        })
    };
    let mut request = foreign("m");
    request.reasoning = thinking();
    request.tools = vec![function("f")];
    request.tool_choice = set(ToolChoice::Required, "/choice");
    let (body, losses) = written(request);
    assert!(body.get("thinking").is_none());
    assert_eq!(losses, ["/budget dropped"]);

    let mut request = read(json!({"messages": [
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "i", "name": "f", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "i"}]},
    ]}))
    .unwrap();
    request.api = None;
    request.reasoning = thinking();
    assert_eq!(written(request.clone()).1, ["/budget dropped"]);
    let thoughts = crate::representation::Reasoning {
        signature: Some("s".to_owned()),
        ..Default::default()
    };
    let thoughts = Part::new(PartKind::Reasoning(thoughts), "/t");
    request.turns[1].parts.insert(0, thoughts);
    assert!(written(request).1.is_empty());
}

#[test]
fn sampling_is_what_the_model_takes() {
    let number = |number: f64, at: &'static str| set(Number::from_f64(number).unwrap(), at);
    let with = |model: &str| {
        let mut request = foreign(model);
        request.sampling.temperature = number(1.5, "/temperature");
        request.sampling.top_p = number(0.5, "/top_p");
        request.sampling.seed = number(7.0, "/seed");
        request.sampling.presence_penalty = number(0.0, "/presence");
        let (mut body, losses) = written(request);
        (body["temperature"].take(), body["top_p"].take(), losses)
    };
    let (temperature, top_p, losses) = with("claude-3-haiku");
    assert_eq!((temperature, top_p), (json!(1), json!(0.5)));
    assert_eq!(losses, ["/temperature approximated", "/seed dropped"]);
    let (temperature, top_p, losses) = with("claude-sonnet-4-5");
    assert_eq!((temperature, top_p), (json!(1), Value::Null));
    assert_eq!(
        losses,
        [
            "/top_p dropped",
            "/temperature approximated",
            "/seed dropped"
        ]
    );
    let (temperature, _, losses) = with("claude-opus-4-7");
    assert_eq!(temperature, Value::Null);
    assert_eq!(losses.len(), 3);
}

#[test]
fn schemas_take_name_and_description_along_and_json_mode_is_left_to_the_prompt() {
    let with = |format: OutputFormat| {
        let mut request = foreign("m");
        request.format = set(format, "/format");
        let (mut body, losses) = written(request);
        (body["output_config"].take(), losses)
    };
    let schema = OutputFormat::Schema {
        name: Some("n".to_owned()),
        description: Some("d".to_owned()),
        schema: json!({"type": "object", "title": "t"}),
        strict: Some(true),
    };
    let written = json!({"type": "object", "title": "t", "description": "d"});
    let expected = json!({"format": {"type": "json_schema", "schema": written}});
    assert_eq!(with(schema), (expected, vec![]));
    assert_eq!(
        with(OutputFormat::Json),
        (Value::Null, vec!["/format approximated".to_owned()])
    );
    assert_eq!(with(OutputFormat::Text), (Value::Null, vec![]));
    let other = with(OutputFormat::Other(json!({})));
    assert_eq!(other, (Value::Null, vec!["/format dropped".to_owned()]));
}

#[test]
fn tools_have_schemas_of_objects() {
    let with = |kind: ToolKind| {
        let mut request = foreign("m");
        request.tools = vec![Tool {
            kind,
            ..function("f")
        }];
        let (mut body, losses) = written(request);
        (
            body["tools"]
                .as_array_mut()
                .map_or(Value::Null, |tools| tools[0].take()),
            losses,
        )
    };
    let of = |parameters: Option<Value>| {
        ToolKind::Function(FunctionTool {
            name: "f".to_owned(),
            parameters,
            strict: Some(true),
            ..FunctionTool::default()
        })
    };
    let (tool, losses) = with(of(None));
    let empty = json!({"type": "object", "properties": {}});
    assert_eq!(
        tool,
        json!({"name": "f", "input_schema": empty, "strict": true})
    );
    assert!(losses.is_empty());
    let (tool, _) = with(of(Some(json!({"properties": {"z": {}, "a": {}}}))));
    assert_eq!(tool["input_schema"]["type"], "object");
    assert_eq!(with(of(Some(json!(true)))).1, ["/tools/0 approximated"]);
    let (tool, losses) = with(ToolKind::Custom {
        name: "c".to_owned(),
        description: None,
        format: Some(json!({})),
    });
    assert_eq!(tool["input_schema"]["required"], json!(["input"]));
    assert_eq!(losses, ["/tools/0 approximated", "/tools/0 dropped"]);
    let built_in = ToolKind::BuiltIn {
        kind: "x".to_owned(),
        value: json!({}),
    };
    assert_eq!(
        with(built_in),
        (Value::Null, vec!["/tools/0 dropped".to_owned()])
    );
}

#[test]
fn choices_are_written_in_the_words_of_the_api() {
    let with = |choice: Option<ToolChoice>, parallel: Option<bool>, tools: usize| {
        let mut request = foreign("m");
        request.tools = vec![function("f"); tools];
        request.tool_choice = choice.map(|choice| At::new(choice, "/choice"));
        request.parallel_tool_calls = parallel.map(|parallel| At::new(parallel, "/parallel"));
        let (mut body, losses) = written(request);
        (body["tool_choice"].take(), losses.len())
    };
    let among = |names: &[&str], required| ToolChoice::Among {
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        required,
    };
    let of_f = json!({"type": "tool", "name": "f"});
    for (choice, expected) in [
        (ToolChoice::Auto, (json!({"type": "auto"}), 0)),
        (ToolChoice::None, (json!({"type": "none"}), 0)),
        (ToolChoice::Required, (json!({"type": "any"}), 0)),
        (ToolChoice::Function("f".to_owned()), (of_f.clone(), 0)),
        (among(&["f"], true), (of_f, 0)),
        (among(&["f", "g"], true), (json!({"type": "any"}), 1)),
        (among(&["f"], false), (json!({"type": "auto"}), 1)),
        (ToolChoice::Other(json!({"type": "x"})), (Value::Null, 1)),
    ] {
        assert_eq!(with(Some(choice), None, 1), expected);
    }
    let alone = json!({"type": "auto", "disable_parallel_tool_use": true});
    assert_eq!(with(None, Some(false), 1), (alone, 0));
    assert_eq!(with(None, Some(true), 1), (Value::Null, 0));
    assert_eq!(
        with(Some(ToolChoice::None), Some(false), 1),
        (json!({"type": "none"}), 0)
    );
    assert_eq!(with(Some(ToolChoice::Required), None, 0), (Value::Null, 1));
    assert_eq!(
        with(Some(ToolChoice::Auto), Some(false), 0),
        (Value::Null, 0)
    );
}

#[test]
fn settings_without_a_place_are_reported_and_idle_ones_are_not() {
    let mut request = foreign("m");
    request.choices = set(1, "/n");
    request.store = set(false, "/store");
    request.modalities = set(vec!["text".to_owned()], "/modalities");
    request.service_tier = set("default".to_owned(), "/tier");
    request.metadata = set(Map::new(), "/metadata");
    request.user = set("u".to_owned(), "/user");
    let (body, losses) = written(request.clone());
    assert_eq!(body["service_tier"], "standard_only");
    assert_eq!(body["metadata"], json!({"user_id": "u"}));
    assert!(losses.is_empty());
    request.choices = set(2, "/n");
    request.store = set(true, "/store");
    request.modalities = set(vec!["audio".to_owned()], "/modalities");
    request.service_tier = set("flex".to_owned(), "/tier");
    request.metadata = set(Map::from_iter([("a".to_owned(), json!(1))]), "/metadata");
    request.cache_key = set("k".to_owned(), "/key");
    request.logprobs = set(0, "/logprobs");
    request.verbosity = set("low".to_owned(), "/verbosity");
    request.previous = set("r".to_owned(), "/previous");
    request.stop = set(vec!["\n".to_owned()], "/stop");
    request.turns[0].name = set("n".to_owned(), "/name");
    request.extensions = ["x", "mcp_servers"]
        .map(|name| Extension {
            name: name.to_owned(),
            value: json!([]),
            at: format!("/{name}").into(),
        })
        .into();
    let (body, losses) = written(request);
    assert_eq!(body["mcp_servers"], json!([]));
    let mut paths: Vec<&str> = losses
        .iter()
        .filter_map(|l| l.strip_suffix(" dropped"))
        .collect();
    paths.sort_unstable();
    assert_eq!(
        paths,
        [
            "/key",
            "/logprobs",
            "/metadata",
            "/modalities",
            "/n",
            "/name",
            "/previous",
            "/stop",
            "/store",
            "/tier",
            "/verbosity",
            "/x"
        ]
    );
}
