//! Translation is deterministic and keeps beginnings: what a conversation began with is written in
//! the same bytes however it goes on. Providers' prompt caches live on that.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{json, Value};

use super::conversations;
use crate::apis::SupportedUpstreamAPIs as Api;
use crate::representation::{
    Blob, FunctionTool, Losses, Part, PartKind, Reasoning, Request, Role, Tool, ToolCall, ToolKind,
    ToolResult, Turn,
};
use crate::translate::{request, RequestOptions};

/// What the person asks, and what the model answers when there is a next request.
#[derive(Debug, Clone)]
struct Exchange {
    /// The operator puts in a word before.
    note: Option<String>,
    asked: Vec<String>,
    has_image: bool,
    thought: Option<(String, bool)>,
    answered: String,
    /// The arguments of calls, whose results are asked about instead of a text.
    calls: Vec<String>,
    failed: bool,
}

fn text() -> impl Strategy<Value = String> {
    "[a-zA-Zäß .\"\\\\\n]{0,12}[a-z]"
}

fn exchange() -> impl Strategy<Value = Exchange> {
    (
        proptest::option::weighted(0.2, text()),
        vec(text(), 1..3),
        any::<bool>(),
        proptest::option::of((text(), any::<bool>())),
        text(),
        vec(text(), 0..3),
        any::<bool>(),
    )
        .prop_map(
            |(note, asked, has_image, thought, answered, calls, failed)| Exchange {
                note,
                asked,
                has_image,
                thought,
                answered,
                calls,
                failed,
            },
        )
}

fn turn(role: Role, kinds: Vec<PartKind>) -> Turn {
    Turn {
        role,
        name: None,
        parts: kinds.into_iter().map(|kind| Part::new(kind, "")).collect(),
        at: "".into(),
        extensions: Vec::new(),
    }
}

fn said(text: &str) -> PartKind {
    PartKind::Text {
        text: text.to_owned(),
        citations: Vec::new(),
    }
}

/// The request that is sent when the person, or the tools, have the last word of `exchanges`.
fn conversation(system: &str, exchanges: &[Exchange], with_tools: bool) -> Request {
    let mut turns = vec![turn(Role::System, vec![said(system)])];
    // The results of the calls before, which have the next word.
    let mut results = Vec::new();
    for (number, exchange) in exchanges.iter().enumerate() {
        if let Some(note) = &exchange.note {
            if results.is_empty() {
                turns.push(turn(Role::Developer, vec![said(note)]));
            }
        }
        let mut asked: Vec<_> = std::mem::take(&mut results);
        if asked.is_empty() {
            asked.extend(exchange.asked.iter().map(|text| said(text)));
            if exchange.has_image {
                asked.push(PartKind::Image {
                    source: Blob::Base64 {
                        media_type: "image/png".to_owned(),
                        data: "iVBORw0KGgo=".to_owned(),
                    },
                    detail: None,
                });
            }
        }
        turns.push(turn(Role::User, asked));
        if number + 1 == exchanges.len() {
            break;
        }
        let mut answer = Vec::new();
        if let Some((text, is_signed)) = &exchange.thought {
            answer.push(PartKind::Reasoning(Reasoning {
                text: text.clone(),
                signature: is_signed.then(|| "c2lnbmF0dXJl".to_owned()),
                ..Reasoning::default()
            }));
        }
        answer.push(said(&exchange.answered));
        let calls = exchange.calls.iter().filter(|_| with_tools);
        for (call, argument) in calls.enumerate() {
            let id = format!("call_{number}_{call}");
            answer.push(PartKind::ToolCall(ToolCall {
                id: id.clone(),
                name: "find".to_owned(),
                arguments: json!({ "what": argument }).to_string(),
                custom: false,
                by_provider: false,
            }));
            results.push(PartKind::ToolResult(ToolResult {
                call_id: id,
                name: Some("find".to_owned()),
                parts: vec![Part::text(argument.clone(), "")],
                structured: None,
                is_error: exchange.failed,
                custom: false,
            }));
        }
        turns.push(turn(Role::Assistant, answer));
    }
    let find = Tool {
        kind: ToolKind::Function(FunctionTool {
            name: "find".to_owned(),
            parameters: Some(json!({"type": "object", "properties": {"what": {"type": "string"}}})),
            ..FunctionTool::default()
        }),
        cache: None,
        at: "".into(),
        extensions: Vec::new(),
    };
    Request {
        model: "a-model".to_owned(),
        turns,
        tools: with_tools.then_some(find).into_iter().collect(),
        ..Request::default()
    }
}

fn written(api: Api, request: Request) -> Vec<u8> {
    let value = api.write_request(request, &mut Losses::new()).unwrap();
    value.to_string().into_bytes()
}

fn translated(from: Api, to: Api, body: &[u8]) -> Vec<u8> {
    request(from, to, body, &RequestOptions::default())
        .unwrap()
        .body
}

/// What the conversation consists of, in bytes: its items, and before them the operator's words and
/// the tools.
fn items(api: Api, body: &[u8]) -> (Vec<String>, String) {
    let body: Value = serde_json::from_slice(body).unwrap();
    let key = match api {
        Api::OpenAiResponses => "input",
        Api::Gemini => "contents",
        Api::OpenAiCompletions => "prompt",
        _ => "messages",
    };
    let items = match &body[key] {
        Value::Array(items) => items.iter().map(Value::to_string).collect(),
        Value::String(text) => {
            let before = text.strip_suffix("\n\nAssistant:").unwrap_or(text);
            before.split("\n\n").map(str::to_owned).collect()
        }
        _ => Vec::new(),
    };
    let head = ["system", "instructions", "systemInstruction", "tools"];
    (items, head.map(|key| body[key].to_string()).concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_conversation_that_goes_on_begins_with_the_same_bytes(
        system in text(),
        exchanges in vec(exchange(), 2..6),
        with_tools in any::<bool>(),
    ) {
        // A prompt is one text, which has no turns to keep.
        for from in conversations().filter(|from| *from != Api::OpenAiCompletions) {
            let requests = (1..=exchanges.len())
                .map(|many| written(from, conversation(&system, &exchanges[..many], with_tools)));
            let requests: Vec<_> = requests.collect();
            for to in conversations().filter(|to| *to != from) {
                let mut before: Option<(Vec<String>, String)> = None;
                for body in &requests {
                    let once = translated(from, to, body);
                    prop_assert_eq!(&once, &translated(from, to, body), "{} -> {}", from, to);
                    let (list, head) = items(to, &once);
                    if let Some((shorter, known)) = before {
                        prop_assert!(
                            list.starts_with(&shorter),
                            "{} -> {}:\n{:#?}\n{:#?}", from, to, shorter, list
                        );
                        prop_assert_eq!(&known, &head, "{} -> {}", from, to);
                    }
                    before = Some((list, head));
                }
            }
        }
    }
}
