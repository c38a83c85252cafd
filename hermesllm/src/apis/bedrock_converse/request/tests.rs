mod foreign;

use proptest::prelude::*;

use super::*;
use crate::representation::{CacheHint, CacheTtl, Reasoning};

/// That a request comes back as it was, without a loss.
fn comes_back(body: Value) -> Request {
    let request = read(body.clone()).unwrap();
    let mut losses = Losses::new();
    assert_eq!(write(request.clone(), &mut losses), body);
    assert!(losses.is_empty(), "{losses:?}");
    request
}

/// A request with one message of these blocks.
fn of_blocks(blocks: &Value) -> Value {
    json!({"messages": [{"role": "user", "content": blocks}]})
}

fn refused(body: Value) -> String {
    read(body).unwrap_err().to_string()
}

/// What is written, and the reasons of what is lost.
fn written(request: Request) -> (Value, Vec<&'static str>) {
    let mut losses = Losses::new();
    let body = write(request, &mut losses);
    let reasons = losses.as_slice().iter().map(|loss| loss.reason);
    (body, reasons.collect())
}

#[test]
fn every_member_of_the_service_comes_back() {
    let request = comes_back(json!({
        "messages": [
            {"role": "user", "content": [{"text": "a"}], "new": 1},
            {"role": "system", "content": [{"toolAddition": {"tool": {"type": "t", "name": "n"}}}]},
            {"role": "assistant", "content": [{"text": "b"}]},
        ],
        "system": [{"text": "s"}, {"cachePoint": {"type": "default", "ttl": "1h"}}, {"text": "t"}],
        "inferenceConfig": {
            "maxTokens": 5, "temperature": 0.5, "topP": 1, "stopSequences": ["x"], "topK": 2,
        },
        "toolConfig": {
            "tools": [
                {"toolSpec": {
                    "name": "f", "description": "d", "inputSchema": {"json": {"type": "object"}},
                    "strict": true, "new": 1,
                }},
                {"cachePoint": {"type": "default"}},
                {"systemTool": {"name": "nova_grounding"}},
            ],
            "toolChoice": {"tool": {"name": "f"}},
        },
        "additionalModelRequestFields": {
            "thinking": {"type": "enabled", "budget_tokens": 2000, "display": "omitted", "new": 1},
            "top_k": 5, "anthropic_beta": ["b"],
        },
        "outputConfig": {
            "textFormat": {"type": "json_schema", "structure": {"jsonSchema": {
                "schema": "{\"type\":\"object\"}", "name": "n", "description": "d",
            }}},
            "effort": "high",
        },
        "serviceTier": {"type": "flex"},
        "requestMetadata": {"a": "b"},
        "guardrailConfig": {"guardrailIdentifier": "g"},
        "promptVariables": {"v": {"text": "x"}},
        "additionalModelResponseFieldPaths": ["/stop_sequence"],
        "performanceConfig": {"latency": "optimized"},
    }));
    let system = &request.turns[0];
    assert_eq!((system.role, system.parts.len()), (Role::System, 2));
    let hour = CacheHint {
        ttl: Some(CacheTtl::OneHour),
    };
    assert_eq!(system.parts[0].cache, Some(hour));
    assert_eq!(request.tools[0].cache, Some(CacheHint::default()));
    assert_eq!(
        request.max_output,
        Some(At::new(5, "/inferenceConfig/maxTokens"))
    );
    let reasoning = request.reasoning.unwrap();
    assert_eq!(reasoning.budget.unwrap().value, 2000);
    assert_eq!(reasoning.summary.unwrap().value, "none");
    let effort = reasoning.effort.unwrap();
    assert_eq!(effort.at, "/outputConfig/effort");
    let top_k = request.sampling.top_k.unwrap();
    assert_eq!(top_k.at, "/additionalModelRequestFields/top_k");
    let left: Vec<_> = request.extensions.iter().map(|own| &*own.at).collect();
    assert_eq!(
        left,
        [
            "/inferenceConfig/topK",
            "/additionalModelRequestFields/thinking/new",
            "/additionalModelRequestFields/anthropic_beta",
            "/guardrailConfig",
            "/promptVariables",
            "/additionalModelResponseFieldPaths",
            "/performanceConfig",
        ]
    );
}

#[test]
fn every_content_block_comes_back() {
    for blocks in [
        json!([{"text": ""}]),
        json!([{"image": {"format": "png", "source": {"bytes": "AA=="}, "error": {"message": "m"}}}]),
        json!([{"image": {"format": "jpeg", "source": {
            "s3Location": {"uri": "s3://b/k", "bucketOwner": "1"},
        }}}]),
        json!([{"image": {"format": "png", "source": {"new": 1}}}]),
        json!([{"audio": {"format": "wav", "source": {"bytes": "AA=="}}}]),
        json!([{"video": {"format": "three_gp", "source": {"s3Location": {"uri": "s3://b/k"}}}}]),
        json!([{"document": {
            "format": "pdf", "name": "n", "source": {"bytes": "AA=="}, "context": "c",
            "citations": {"enabled": true},
        }}]),
        json!([{"document": {"format": "txt", "name": "n", "source": {"text": "t"}}}]),
        json!([{"document": {"format": "md", "name": "n", "source": {"text": "t"}}}]),
        json!([{"document": {"format": "txt", "name": "n", "source": {
            "content": [{"text": "a"}, {"new": 1}],
        }}}]),
        json!([{"document": {"name": "n", "source": {"s3Location": {"uri": "s3://b/k"}}}}]),
        json!([{"toolUse": {"toolUseId": "i", "name": "n", "input": {"b": 1.0, "a": []}}}]),
        json!([{"toolUse": {
            "toolUseId": "i", "name": "n", "input": "text", "type": "server_tool_use", "new": 1,
        }}]),
        json!([{"toolResult": {"toolUseId": "i", "content": [
            {"json": {"a": 1}}, {"text": "t"}, {"json": 1},
            {"image": {"format": "png", "source": {"bytes": "AA=="}}},
            {"searchResult": {"source": "s", "title": "t", "content": [{"text": "x"}]}},
        ], "status": "error"}}]),
        json!([{"toolResult": {"toolUseId": "i", "content": [], "type": "nova_result"}}]),
        json!([{"guardContent": {"text": {"text": "t", "qualifiers": ["query"]}}}]),
        json!([{"guardContent": {"image": {"format": "png", "source": {"bytes": "AA=="}}}}]),
        json!([{"reasoningContent": {"reasoningText": {"text": "t", "signature": "s", "new": 1}}}]),
        json!([{"reasoningContent": {"redactedContent": "RXRr"}}]),
        json!([{"reasoningContent": {"redactedContent": "AAAA"}}]),
        json!([{"citationsContent": {
            "content": [{"text": "t"}],
            "citations": [{"title": "t", "location": {"documentChar": {"start": 0}}}],
        }}]),
        json!([{"searchResult": {"source": "s", "title": "t", "content": []}}]),
        json!([{"new": {"a": 1}}]),
        json!([{}]),
        json!([{"text": "a", "new": 1}]),
        json!([{"cachePoint": {"type": "default"}}, {"text": "a"}]),
        json!([{"text": "a"}, {"cachePoint": {"type": "default", "ttl": "5m"}}]),
        json!([{"text": "a"}, {"cachePoint": {"type": "default"}}, {"cachePoint": {"type": "default"}}]),
        json!([{"text": "a"}, {"cachePoint": {"type": "other"}}]),
        json!([{"text": "a"}, {"cachePoint": {"type": "default", "ttl": "1d"}}]),
    ] {
        comes_back(of_blocks(&blocks));
    }
}

#[test]
fn guarded_content_is_content() {
    let blocks = json!([{"guardContent": {"text": {"text": "t", "qualifiers": ["query"]}}}]);
    let request = comes_back(of_blocks(&blocks));
    let part = &request.turns[0].parts[0];
    assert_eq!(part.kind, Part::text("t", "").kind);
    assert_eq!(part.extensions[0].at, "/messages/0/content/0/guardContent");
}

#[test]
fn redacted_thoughts_are_read_as_their_provider_writes_them() {
    let request = comes_back(of_blocks(
        &json!([{"reasoningContent": {"redactedContent": "RXRrRUNr"}}]),
    ));
    let thoughts = Reasoning {
        encrypted: Some("EtkECk".to_owned()),
        ..Reasoning::default()
    };
    assert_eq!(
        request.turns[0].parts[0].kind,
        PartKind::Reasoning(thoughts)
    );
}

#[test]
fn normalisations_are_those_of_the_table() {
    let result = |status: Value| json!({"toolUseId": "i", "content": [], "status": status});
    let body = json!({
        "messages": [{"role": "user", "content": [
            {"toolResult": result(json!("success"))},
            {"toolUse": {"toolUseId": "i", "name": "n", "type": "tool_use"}},
            {"citationsContent": {"content": [{"text": "a"}, {"text": "b"}], "citations": []}},
            {"audio": {"format": "mpga", "source": {"bytes": "AA=="}}},
            {"document": {"name": "n", "source": {"text": "t"}}},
        ]}],
        "system": [], "toolConfig": {"tools": []}, "additionalModelRequestFields": {},
        "inferenceConfig": {"stopSequences": []}, "outputConfig": {}, "serviceTier": null,
    });
    let (written, losses) = written(read(body).unwrap());
    assert_eq!(
        written,
        of_blocks(&json!([
            {"toolResult": {"toolUseId": "i", "content": []}},
            {"toolUse": {"toolUseId": "i", "name": "n", "input": {}}},
            {"text": "ab"},
            {"audio": {"format": "mp3", "source": {"bytes": "AA=="}}},
            {"document": {"format": "txt", "name": "n", "source": {"text": "t"}}},
        ]))
    );
    assert!(losses.is_empty());
}

#[test]
fn what_is_of_the_wrong_type_is_refused() {
    let of = |block: Value| refused(of_blocks(&json!([block])));
    assert_eq!(refused(json!([])), ": must be an object");
    assert_eq!(refused(json!({})), "/messages: is missing");
    assert_eq!(
        refused(json!({"messages": "a"})),
        "/messages: must be a list"
    );
    assert_eq!(
        refused(json!({"messages": [{"role": "tool", "content": []}]})),
        "/messages/0/role: must be user, assistant or system"
    );
    assert_eq!(
        refused(json!({"messages": [{"role": "user"}]})),
        "/messages/0/content: is missing"
    );
    assert_eq!(of(json!("a")), "/messages/0/content/0: must be an object");
    assert_eq!(
        of(json!({"text": 1})),
        "/messages/0/content/0/text: must be a text"
    );
    assert_eq!(
        of(json!({"toolUse": {"name": "n"}})),
        "/messages/0/content/0/toolUse/toolUseId: is missing"
    );
    assert_eq!(
        refused(json!({"messages": [], "inferenceConfig": {"maxTokens": "5"}})),
        "/inferenceConfig/maxTokens: must be a whole number"
    );
}

fn any_json() -> impl Strategy<Value = Value> {
    let key = prop::sample::select(vec![
        "text",
        "image",
        "source",
        "bytes",
        "format",
        "toolUse",
        "toolUseId",
        "name",
        "input",
        "toolResult",
        "content",
        "json",
        "cachePoint",
        "type",
        "reasoningContent",
        "guardContent",
        "reasoningText",
        "citationsContent",
        "citations",
        "document",
        "s3Location",
        "uri",
        "other",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-z]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..4).prop_map(|members| {
                let members = members.into_iter();
                Value::Object(
                    members
                        .map(|(key, value)| (key.to_owned(), value))
                        .collect(),
                )
            }),
        ]
    })
}

proptest! {
    #[test]
    fn any_blocks_are_no_panic_and_stable(blocks in prop::collection::vec(any_json(), 0..4)) {
        if let Ok(request) = read(of_blocks(&Value::from(blocks))) {
            let mut losses = Losses::new();
            let body = write(request, &mut losses);
            prop_assert!(losses.is_empty(), "{:?}", losses);
            let again = write(read(body.clone()).unwrap(), &mut losses);
            prop_assert_eq!(again, body);
        }
    }

    #[test]
    fn any_document_is_no_panic(body in any_json()) {
        let _ = read(body);
    }
}
