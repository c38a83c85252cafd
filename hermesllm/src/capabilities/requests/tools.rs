//! Tools, calls and results.

use serde_json::{json, Value};

use super::{all_parts, asking, base64, call, conversation, list, result, set, text, turn, value};
use crate::apis::SupportedUpstreamAPIs as Api;
use crate::capabilities::probe::Probe;
use crate::representation::{
    FunctionTool, PartKind, Request, Role, Tool, ToolChoice, ToolKind, ToolResult,
};

const PNG: &str = "iVBORw0KGgo=";

pub(super) const PROBES: &[Probe<Request>] = &[
    Probe::new(
        "function tools",
        |_| equipped(None),
        |request| functions(request, |f| json!([f.name, f.description, f.parameters])),
    ),
    Probe::new(
        "strict schema of a tool",
        |_| equipped(Some(true)),
        |request| functions(request, |function| function.strict.into()),
    ),
    Probe::new(
        "custom tools (free text)",
        |_| {
            asking(|request| {
                request.tools = vec![tool(ToolKind::Custom {
                    name: "shell".to_owned(),
                    description: Some("Runs a command.".to_owned()),
                    format: None,
                })];
            })
        },
        |request| {
            let tools = request.tools.iter();
            list(tools.filter_map(|tool| match &tool.kind {
                ToolKind::Custom { name, .. } => Some(name.clone().into()),
                _ => None,
            }))
        },
    ),
    Probe::new(
        "web search of the provider's",
        |api| asking(|request| request.tools = vec![search(api)]),
        |request| {
            let tools = request.tools.iter();
            let built_in = |tool: &Tool| matches!(tool.kind, ToolKind::BuiltIn { .. });
            list(tools.filter(|tool| built_in(tool)).map(|_| "search".into()))
        },
    )
    .of(&[
        Api::OpenAiResponses,
        Api::AnthropicMessages,
        Api::Gemini,
        Api::BedrockConverse,
    ])
    .native(),
    Probe::new("tool choice: auto", |_| choosing(ToolChoice::Auto), choice)
        .implied_by(&[Api::CohereChat]),
    Probe::new("tool choice: none", |_| choosing(ToolChoice::None), choice),
    Probe::new(
        "tool choice: required",
        |_| choosing(ToolChoice::Required),
        choice,
    ),
    Probe::new(
        "tool choice: one function",
        |_| choosing(ToolChoice::Function("weather".to_owned())),
        choice,
    ),
    Probe::new(
        "tool choice: some of the functions",
        |_| {
            let mut request = choosing(ToolChoice::Among {
                names: vec!["weather".to_owned(), "time".to_owned()],
                required: true,
            });
            let others = ["time", "stocks"].map(|name| function(name, None));
            request.tools.extend(others);
            request
        },
        choice,
    ),
    Probe::new(
        "parallel calls allowed",
        |_| parallel(true),
        |request| value(&request.parallel_tool_calls),
    )
    .native()
    .implied_by(&[
        Api::AnthropicMessages,
        Api::Gemini,
        Api::BedrockConverse,
        Api::CohereChat,
    ]),
    Probe::new(
        "parallel calls forbidden",
        |_| parallel(false),
        |request| value(&request.parallel_tool_calls),
    ),
    Probe::new(
        "tool call and result",
        |_| answered([result("Rome", [text("18 °C")])]),
        exchange,
    ),
    Probe::new(
        "parallel tool calls and results",
        |_| {
            answered([
                result("Rome", [text("18 °C")]),
                result("Oslo", [text("4 °C")]),
            ])
        },
        exchange,
    ),
    Probe::new(
        "tool result with an image",
        |_| answered([result("Rome", [text("18 °C"), image()])]),
        exchange,
    ),
    Probe::new(
        "tool result that is an error",
        |_| {
            answered([ToolResult {
                is_error: true,
                ..result("Rome", [text("no such city")])
            }])
        },
        |request| {
            all_parts(request, |kind| match kind {
                PartKind::ToolResult(result) if result.is_error => Some(true.into()),
                _ => None,
            })
        },
    ),
];

fn tool(kind: ToolKind) -> Tool {
    Tool {
        kind,
        cache: None,
        at: "".into(),
        extensions: Vec::new(),
    }
}

fn weather(strict: Option<bool>) -> Tool {
    function("weather", strict)
}

fn function(name: &str, strict: Option<bool>) -> Tool {
    tool(ToolKind::Function(FunctionTool {
        name: name.to_owned(),
        description: Some("What it is in a city.".to_owned()),
        parameters: Some(json!({
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": false
        })),
        returns: None,
        strict,
    }))
}

/// The tool by which a provider's model searches the web.
fn search(api: Api) -> Tool {
    let (kind, value) = match api {
        Api::AnthropicMessages => (
            "web_search_20250305",
            json!({"type": "web_search_20250305", "name": "web_search"}),
        ),
        Api::Gemini => ("googleSearch", json!({"googleSearch": {}})),
        Api::BedrockConverse => (
            "systemTool",
            json!({"systemTool": {"name": "nova_grounding"}}),
        ),
        _ => ("web_search", json!({"type": "web_search"})),
    };
    tool(ToolKind::BuiltIn {
        kind: kind.to_owned(),
        value,
    })
}

fn equipped(strict: Option<bool>) -> Request {
    asking(|request| request.tools = vec![weather(strict)])
}

fn choosing(choice: ToolChoice) -> Request {
    let mut request = equipped(None);
    request.tool_choice = set(choice);
    request
}

fn parallel(allowed: bool) -> Request {
    let mut request = choosing(ToolChoice::Auto);
    request.parallel_tool_calls = set(allowed);
    request
}

fn image() -> PartKind {
    PartKind::Image {
        source: base64("image/png", PNG),
        detail: None,
    }
}

/// A question, the calls that it led to, and their results.
fn answered<const N: usize>(results: [ToolResult; N]) -> Request {
    let calls: Vec<_> = results.iter().map(|result| call(&result.call_id)).collect();
    let mut request = conversation([
        turn(Role::User, [text("What is the weather?")]),
        turn(Role::Assistant, calls),
        turn(Role::User, results.map(PartKind::ToolResult)),
    ]);
    request.tools = vec![weather(None)];
    request
}

fn functions(request: &Request, say: impl Fn(&FunctionTool) -> Value) -> Value {
    let tools = request.tools.iter();
    let said = tools.filter_map(|tool| match &tool.kind {
        ToolKind::Function(function) => Some(say(function)),
        _ => None,
    });
    list(said.filter(|said| !said.is_null()))
}

fn choice(request: &Request) -> Value {
    let choice = request.tool_choice.as_ref().map(|choice| &choice.value);
    match choice {
        None => Value::Null,
        Some(ToolChoice::Auto) => "auto".into(),
        Some(ToolChoice::None) => "none".into(),
        Some(ToolChoice::Required) => "required".into(),
        Some(ToolChoice::Function(name)) => json!([name]),
        Some(ToolChoice::Among { names, required }) => json!([names, required]),
        Some(ToolChoice::Other(other)) => json!({ "other": other }),
    }
}

/// Calls with their arguments, and results with the call that they answer: its place, since some
/// APIs have no identifiers.
fn exchange(request: &Request) -> Value {
    let mut ids: Vec<String> = Vec::new();
    all_parts(request, |kind| match kind {
        PartKind::ToolCall(call) => {
            ids.push(call.id.clone());
            let arguments: Value = serde_json::from_str(&call.arguments).unwrap_or_default();
            Some(json!({"call": call.name, "arguments": arguments}))
        }
        PartKind::ToolResult(result) => {
            let call = ids.iter().position(|id| *id == result.call_id);
            let parts = result.parts.iter().map(|part| match &part.kind {
                PartKind::Text { text, .. } => text.clone().into(),
                PartKind::Image { .. } => "an image".into(),
                _ => Value::Null,
            });
            Some(json!({"of": call, "result": parts.collect::<Vec<_>>()}))
        }
        _ => None,
    })
}
