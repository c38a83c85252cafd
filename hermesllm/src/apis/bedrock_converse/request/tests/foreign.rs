//! Requests of other APIs.

use super::*;
use crate::apis::SupportedUpstreamAPIs;
use crate::representation::{
    Blob, Detail, FunctionTool, Tool, ToolCall, ToolChoice, ToolKind, ToolResult,
};

/// A request of another API with these turns.
fn foreign(turns: Vec<(Role, Vec<Part>)>) -> Request {
    let turns = turns.into_iter().enumerate();
    Request {
        api: Some(SupportedUpstreamAPIs::OpenAiChat),
        model: "anthropic.claude-sonnet-4-5-v1:0".to_owned(),
        turns: turns
            .map(|(index, (role, parts))| Turn {
                role,
                name: None,
                parts,
                at: format!("/messages/{index}").into(),
                extensions: Vec::new(),
            })
            .collect(),
        ..Request::default()
    }
}

fn part(kind: PartKind) -> Part {
    Part::new(kind, "/part")
}

fn call(id: &str, name: &str, arguments: &str) -> Part {
    part(PartKind::ToolCall(ToolCall {
        id: id.to_owned(),
        name: name.to_owned(),
        arguments: arguments.to_owned(),
        custom: false,
        by_provider: false,
    }))
}

fn result(id: &str, name: Option<&str>, parts: Vec<Part>) -> Part {
    part(PartKind::ToolResult(ToolResult {
        call_id: id.to_owned(),
        name: name.map(str::to_owned),
        parts,
        structured: None,
        is_error: false,
        custom: false,
    }))
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
fn leading_system_turns_are_the_prompt_and_later_ones_the_user_s() {
    let text = |text: &str| vec![Part::text(text, "")];
    let (body, losses) = written(foreign(vec![
        (Role::System, text("a")),
        (Role::Developer, text("b")),
        (Role::User, text("c")),
        (Role::System, text("d")),
        (Role::Assistant, text("e")),
    ]));
    assert_eq!(
        body,
        json!({
            "messages": [
                {"role": "user", "content": [{"text": "c"}, {"text": "d"}]},
                {"role": "assistant", "content": [{"text": "e"}]},
            ],
            "system": [{"text": "a"}, {"text": "b"}],
        })
    );
    assert_eq!(losses, ["a later system turn is written as the user's"]);
}

#[test]
fn parallel_results_are_one_message_and_stand_first() {
    let mut answered = result("b", None, vec![Part::text("2", "")]);
    answered.cache = Some(CacheHint::default());
    let (body, losses) = written(foreign(vec![
        (
            Role::Assistant,
            vec![Part::text("", ""), call("a", "f", "{}"), call("b", "f", "")],
        ),
        (Role::User, vec![Part::text("hm", "")]),
        (
            Role::User,
            vec![result("a", None, vec![Part::text("1", "")])],
        ),
        (Role::User, vec![answered]),
    ]));
    assert_eq!(
        body["messages"],
        json!([
            {"role": "user", "content": [{"text": "Continue."}]},
            {"role": "assistant", "content": [
                {"toolUse": {"toolUseId": "a", "name": "f", "input": {}}},
                {"toolUse": {"toolUseId": "b", "name": "f", "input": {}}},
            ]},
            {"role": "user", "content": [
                {"toolResult": {"toolUseId": "a", "content": [{"text": "1"}]}},
                {"toolResult": {"toolUseId": "b", "content": [{"text": "2"}]}},
                {"cachePoint": {"type": "default"}},
                {"text": "hm"},
            ]},
        ])
    );
    // There have to be tools where there are calls.
    assert_eq!(
        body["toolConfig"],
        json!({"tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object"}}}}]})
    );
    assert_eq!(
        losses,
        [
            "Converse begins with the user: a word of the user's is put before",
            "tools that were called before are offered again",
        ]
    );
}

#[test]
fn calls_without_identifiers_and_with_bad_arguments_are_written() {
    let mut custom = call("c", "free", "say \"hi\"");
    if let PartKind::ToolCall(call) = &mut custom.kind {
        call.custom = true;
    }
    let (body, losses) = written(foreign(vec![
        (Role::User, vec![Part::text("a", "")]),
        (
            Role::Assistant,
            vec![call("", "f", "{broken"), call("", "g", "[1]"), custom],
        ),
        (
            Role::User,
            vec![result("", Some("g"), vec![]), result("", Some("f"), vec![])],
        ),
    ]));
    assert_eq!(
        body["messages"][1]["content"],
        json!([
            {"toolUse": {"toolUseId": "call_0", "name": "f", "input": {"arguments": "{broken"}}},
            {"toolUse": {"toolUseId": "call_1", "name": "g", "input": {"arguments": "[1]"}}},
            {"toolUse": {"toolUseId": "c", "name": "free", "input": {"input": "say \"hi\""}}},
        ])
    );
    let results = &body["messages"][2]["content"];
    assert_eq!(results[0]["toolResult"]["toolUseId"], "call_1");
    assert_eq!(results[1]["toolResult"]["toolUseId"], "call_0");
    assert_eq!(
        losses,
        [
            "arguments are an object: text is put into one",
            "tools that were called before are offered again",
        ]
    );
}

#[test]
fn structured_and_failed_results_and_hints_inside_are_written() {
    let mut inside = Part::text("t", "");
    inside.cache = Some(CacheHint {
        ttl: Some(CacheTtl::FiveMinutes),
    });
    let mut failed = result("a", None, vec![inside]);
    if let PartKind::ToolResult(own) = &mut failed.kind {
        own.structured = Some(json!({"x": 1}));
        own.is_error = true;
    }
    let mut plain = result("b", None, vec![]);
    if let PartKind::ToolResult(own) = &mut plain.kind {
        own.structured = Some(json!([1]));
    }
    let (body, losses) = written(foreign(vec![(Role::User, vec![failed, plain])]));
    assert_eq!(
        body["messages"][0]["content"],
        json!([
            {"toolResult": {
                "toolUseId": "a", "content": [{"json": {"x": 1}}, {"text": "t"}], "status": "error",
            }},
            {"cachePoint": {"type": "default", "ttl": "5m"}},
            {"toolResult": {"toolUseId": "b", "content": [{"text": "[1]"}]}},
        ])
    );
    assert!(losses.is_empty());
}

#[test]
fn media_that_converse_cannot_have_are_told() {
    let base64 = |media_type: &str| Blob::Base64 {
        media_type: media_type.to_owned(),
        data: "AA==".to_owned(),
    };
    let image = |source, detail| part(PartKind::Image { source, detail });
    let document = |title: &str, source| {
        part(PartKind::Document {
            source,
            title: Some(title.to_owned()),
            context: None,
            citations: Some(true),
        })
    };
    let address = |url: &str| Blob::Url {
        url: url.to_owned(),
        media_type: None,
    };
    let file = Blob::File {
        id: "file-1".to_owned(),
        media_type: None,
    };
    let (body, losses) = written(foreign(vec![(
        Role::User,
        vec![
            image(base64("image/jpg"), Some(Detail("low".to_owned()))),
            image(address("https://example.com/a.png"), None),
            image(base64("image/tiff"), None),
            document("a.pdf", base64("application/pdf")),
            document("plain", Blob::Text("t".to_owned())),
            document("gone", file),
            part(PartKind::Video(address("s3://b/film.MP4"))),
            part(PartKind::Audio {
                source: base64("audio/mp3"),
                transcript: None,
            }),
            part(PartKind::Other {
                kind: "x".to_owned(),
                value: json!({}),
            }),
        ],
    )]));
    assert_eq!(
        body["messages"][0]["content"],
        json!([
            {"image": {"format": "jpeg", "source": {"bytes": "AA=="}}},
            {"document": {
                "format": "pdf", "source": {"bytes": "AA=="}, "name": "a pdf",
                "citations": {"enabled": true},
            }},
            {"document": {
                "format": "txt", "source": {"text": "t"}, "name": "plain",
                "citations": {"enabled": true},
            }},
            {"video": {"format": "mp4", "source": {"s3Location": {"uri": "s3://b/film.MP4"}}}},
            {"audio": {"format": "mp3", "source": {"bytes": "AA=="}}},
        ])
    );
    assert_eq!(
        losses,
        [
            "Converse does not take how closely to look at a picture",
            "Converse fetches nothing but S3 objects",
            "Converse does not take this format",
            "Converse is strict about the names of documents",
            "Converse has no uploaded files",
            "only its own API has content of this kind",
        ]
    );
}

#[test]
fn thoughts_are_sent_back_with_their_signature_alone() {
    let thoughts = |text: &str, signature: Option<&str>, encrypted: Option<&str>| {
        part(PartKind::Reasoning(Reasoning {
            text: text.to_owned(),
            signature: signature.map(str::to_owned),
            encrypted: encrypted.map(str::to_owned),
            ..Reasoning::default()
        }))
    };
    let (body, losses) = written(foreign(vec![
        (Role::User, vec![Part::text("a", "")]),
        (
            Role::Assistant,
            vec![
                thoughts("t", Some("s"), None),
                thoughts("", None, Some("EtkECk")),
                thoughts("unsigned", None, None),
            ],
        ),
    ]));
    assert_eq!(
        body["messages"][1]["content"],
        json!([
            {"reasoningContent": {"reasoningText": {"text": "t", "signature": "s"}}},
            {"reasoningContent": {"redactedContent": "RXRrRUNr"}},
        ])
    );
    assert_eq!(losses, ["thoughts without a signature cannot be sent back"]);
}

#[test]
fn choices_between_tools_are_written_or_told() {
    let with = |choice: ToolChoice, has_calls: bool| {
        let mut turns = vec![(Role::User, vec![Part::text("a", "")])];
        if has_calls {
            turns.push((Role::Assistant, vec![call("a", "f", "{}")]));
        }
        let mut request = foreign(turns);
        request.tools = vec![function("f"), function("g")];
        request.tool_choice = Some(At::new(choice, "/tool_choice"));
        let (body, losses) = written(request);
        let config = &body["toolConfig"];
        let tools = config["tools"].as_array().map_or(0, Vec::len);
        (tools, config["toolChoice"].clone(), losses.len())
    };
    assert_eq!(with(ToolChoice::Auto, false), (2, json!({"auto": {}}), 0));
    assert_eq!(
        with(ToolChoice::Required, false),
        (2, json!({"any": {}}), 0)
    );
    let named = ToolChoice::Function("g".to_owned());
    assert_eq!(with(named, false), (2, json!({"tool": {"name": "g"}}), 0));
    let among = ToolChoice::Among {
        names: vec!["g".to_owned()],
        required: true,
    };
    assert_eq!(with(among, false), (1, json!({"any": {}}), 1));
    assert_eq!(with(ToolChoice::None, false), (0, Value::Null, 1));
    assert_eq!(with(ToolChoice::None, true), (2, Value::Null, 1));
    assert_eq!(
        with(ToolChoice::Other(json!({})), false),
        (2, Value::Null, 1)
    );
}

#[test]
fn tools_of_other_apis_are_written_or_told() {
    let mut request = foreign(vec![(Role::User, vec![Part::text("a", "")])]);
    let custom = ToolKind::Custom {
        name: "free".to_owned(),
        description: None,
        format: Some(json!({"type": "grammar"})),
    };
    let built_in = ToolKind::BuiltIn {
        kind: "web_search".to_owned(),
        value: json!({}),
    };
    request.tools = vec![function("f"), function("c"), function("b")];
    request.tools[0].cache = Some(CacheHint::default());
    request.tools[1].kind = custom;
    request.tools[2].kind = built_in;
    let (body, losses) = written(request);
    let text = json!({"type": "string"});
    assert_eq!(
        body["toolConfig"]["tools"],
        json!([
            {"toolSpec": {
                "name": "f", "inputSchema": {"json": {"type": "object", "properties": {}}},
            }},
            {"cachePoint": {"type": "default"}},
            {"toolSpec": {"name": "free", "inputSchema": {"json": {
                "type": "object", "properties": {"input": text}, "required": ["input"],
            }}}},
        ])
    );
    assert_eq!(losses.len(), 3);
}

#[test]
fn settings_without_a_place_are_told_and_those_that_say_nothing_are_not() {
    let setting = |at: &'static str| at;
    let mut request = foreign(vec![(Role::User, vec![Part::text("a", "")])]);
    request.parallel_tool_calls = Some(At::new(true, setting("/parallel_tool_calls")));
    request.choices = Some(At::new(1, "/n"));
    request.store = Some(At::new(false, "/store"));
    request.modalities = Some(At::new(vec!["text".to_owned()], "/modalities"));
    request.service_tier = Some(At::new("auto".to_owned(), "/service_tier"));
    request.format = Some(At::new(OutputFormat::Text, "/response_format"));
    let (_, losses) = written(request.clone());
    assert!(losses.is_empty(), "{losses:?}");

    request.parallel_tool_calls = Some(At::new(false, "/parallel_tool_calls"));
    request.choices = Some(At::new(2, "/n"));
    request.store = Some(At::new(true, "/store"));
    request.user = Some(At::new("u".to_owned(), "/user"));
    request.cache_key = Some(At::new("k".to_owned(), "/prompt_cache_key"));
    request.service_tier = Some(At::new("scale".to_owned(), "/service_tier"));
    request.format = Some(At::new(OutputFormat::Json, "/response_format"));
    request.sampling.temperature = Some(At::new(Number::from_f64(1.5).unwrap(), "/temperature"));
    request.sampling.seed = Some(At::new(1.into(), "/seed"));
    let labels = json!({"ok": "fine: yes", "list": [1], "bad": "a|b"});
    let labels = labels.as_object().unwrap().clone();
    request.metadata = Some(At::new(labels, "/metadata"));
    request.cache = Some(At::new(CacheHint::default(), "/cache_control"));
    let mut losses = Losses::new();
    let body = write(request, &mut losses);
    assert_eq!(
        body,
        json!({
            "messages": [{"role": "user", "content": [
                {"text": "a"}, {"cachePoint": {"type": "default"}},
            ]}],
            "inferenceConfig": {"temperature": 1},
            "requestMetadata": {"ok": "fine: yes"},
        })
    );
    let mut at: Vec<_> = losses.as_slice().iter().map(|loss| &*loss.path).collect();
    at.sort_unstable();
    assert_eq!(
        at,
        [
            "/cache_control",
            "/metadata/bad",
            "/metadata/list",
            "/n",
            "/parallel_tool_calls",
            "/prompt_cache_key",
            "/response_format",
            "/seed",
            "/service_tier",
            "/store",
            "/temperature",
            "/user",
        ]
    );
}

#[test]
fn a_conversation_that_goes_on_begins_as_it_did() {
    let document = || {
        part(PartKind::Document {
            source: Blob::Text("t".to_owned()),
            title: None,
            context: None,
            citations: None,
        })
    };
    let mut turns = vec![
        (Role::User, vec![document(), Part::text("a", "")]),
        (Role::Assistant, vec![call("", "f", "{\"z\":1,\"a\":2}")]),
        (Role::User, vec![result("", Some("f"), vec![document()])]),
        (Role::Assistant, vec![call("", "f", "{}")]),
    ];
    let (before, _) = written(foreign(turns.clone()));
    turns.push((Role::User, vec![result("", Some("f"), vec![document()])]));
    turns.push((Role::Assistant, vec![call("", "f", "{}")]));
    let (after, _) = written(foreign(turns));
    let text = |body: &Value| body["messages"].to_string();
    let before = text(&before);
    assert!(text(&after).starts_with(before.strip_suffix(']').unwrap()));
}
