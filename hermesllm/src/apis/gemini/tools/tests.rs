use super::*;

fn read_alone(tools: Value) -> Vec<Tool> {
    let mut body = Members::new(json!({ "tools": tools }), "", Reading::Strict).unwrap();
    read(body.many("tools").unwrap().unwrap()).unwrap()
}

fn choice(own: Value) -> (Setting<ToolChoice>, Vec<Extension>) {
    let config = json!({ "functionCallingConfig": own });
    let config = Members::new(config, "/toolConfig", Reading::Strict).unwrap();
    let mut extensions = Vec::new();
    (read_choice(config, &mut extensions).unwrap(), extensions)
}

#[test]
fn tools_come_back_in_their_groups_and_forms() {
    let tools = json!([
        {"functionDeclarations": [
            {"name": "a", "parameters": {"type": "OBJECT"}, "response": {"type": "STRING"},
                "behavior": "BLOCKING"},
            {"name": "b", "parametersJsonSchema": {"type": "object"}},
            {"name": "c", "description": ""},
        ], "googleSearch": {}},
        {"codeExecution": {}},
    ]);
    let read = read_alone(tools.clone());
    assert_eq!(read.len(), 5);
    assert_eq!(read[0].extensions[0].name, "behavior");
    assert_eq!(read[3].at, "/tools/0/googleSearch");
    let mut losses = Losses::new();
    assert_eq!(Value::from(write(read, true, &mut losses)), tools);
    assert!(losses.is_empty());
}

#[test]
fn other_apis_read_json_schema() {
    let tools = json!({"function_declarations": {"name": "a",
        "parameters": {"type": "OBJECT", "properties": {"x": {"type": "STRING"}}}}});
    let read = read_alone(tools);
    let ToolKind::Function(function) = &read[0].kind else {
        panic!("no function")
    };
    let schema = json!({"type": "object", "properties": {"x": {"type": "string"}}});
    assert_eq!(function.parameters, Some(schema));
}

#[test]
fn functions_of_other_apis_are_one_tool_with_json_schema() {
    let function = |name: &str| Tool {
        kind: ToolKind::Function(FunctionTool {
            name: name.to_owned(),
            parameters: Some(json!({"type": "object"})),
            strict: Some(true),
            ..FunctionTool::default()
        }),
        cache: None,
        at: "/tools/0".into(),
        extensions: Vec::new(),
    };
    let built_in = Tool {
        kind: ToolKind::BuiltIn {
            kind: "web_search".to_owned(),
            value: json!({"type": "web_search"}),
        },
        ..function("")
    };
    let custom = Tool {
        kind: ToolKind::Custom {
            name: "free".to_owned(),
            description: None,
            format: None,
        },
        at: "/tools/3".into(),
        ..function("")
    };
    let mut losses = Losses::new();
    let tools = vec![function("a"), built_in, function("b"), custom];
    let written = Value::from(write(tools, false, &mut losses));
    let list = &written[0]["functionDeclarations"];
    assert_eq!(
        list[0],
        json!({"name": "a", "parametersJsonSchema": {"type": "object"}})
    );
    assert_eq!(
        list[2]["parametersJsonSchema"]["required"],
        json!(["input"])
    );
    assert_eq!(written.as_array().map(Vec::len), Some(1));
    assert_eq!(losses.as_slice().len(), 3);
}

#[test]
fn every_choice_is_understood_and_comes_back() {
    for (own, expected) in [
        (json!({"mode": "AUTO"}), ToolChoice::Auto),
        (json!({"mode": "NONE"}), ToolChoice::None),
        (json!({"mode": "ANY"}), ToolChoice::Required),
        (
            json!({"mode": "ANY", "allowedFunctionNames": ["a"]}),
            ToolChoice::Function("a".to_owned()),
        ),
        (
            json!({"mode": "VALIDATED", "allowedFunctionNames": ["a"]}),
            ToolChoice::Among {
                names: vec!["a".to_owned()],
                required: false,
            },
        ),
        (
            json!({"mode": "VALIDATED"}),
            ToolChoice::Other(json!({"mode": "VALIDATED"})),
        ),
    ] {
        let (read, _) = choice(own.clone());
        let read = read.unwrap();
        assert_eq!(read.at, "/toolConfig/functionCallingConfig");
        assert_eq!(read.value, expected);
        assert_eq!(write_choice(read, true, &mut Losses::new()), Some(own));
    }
    let (read, extensions) = choice(json!({"mode": 2, "streamFunctionCallArguments": true}));
    assert_eq!(read.unwrap().value, ToolChoice::Required);
    assert_eq!(extensions.len(), 1);
    assert_eq!(choice(json!({})).0, None);
}
