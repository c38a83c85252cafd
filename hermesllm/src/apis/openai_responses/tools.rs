//! Tools, and the choice between them.

use serde_json::{json, Map, Value};

use super::members::{put_members, word};
use crate::apis::object::Object;
use crate::apis::ReadError;
use crate::representation::{At, FunctionTool, Losses, Tool, ToolChoice, ToolKind};

/// Members of function tools that other APIs may know by the same name.
const KNOWN: [&str; 2] = ["defer_loading", "allowed_callers"];

/// Reads a tool.
pub(super) fn read(value: At<Value>) -> Result<Tool, ReadError> {
    let At { value, at } = value;
    let mut object = Object::strict(value, at.clone())?;
    let kind = object.peek_text("type").unwrap_or_default().to_owned();
    let text = |object: &mut Object, key: &str| -> Result<Option<String>, ReadError> {
        Ok(object.text(key)?.map(|text| text.value))
    };
    let kind = match kind.as_str() {
        "function" => {
            object.take("type");
            ToolKind::Function(FunctionTool {
                name: text(&mut object, "name")?.ok_or_else(|| object.missing("name"))?,
                description: text(&mut object, "description")?,
                parameters: object.take("parameters").map(|schema| schema.value),
                returns: object.take("output_schema").map(|schema| schema.value),
                strict: object.flag("strict")?.map(|strict| strict.value),
            })
        }
        "custom" => {
            object.take("type");
            ToolKind::Custom {
                name: text(&mut object, "name")?.ok_or_else(|| object.missing("name"))?,
                description: text(&mut object, "description")?,
                format: object.take("format").map(|format| format.value),
            }
        }
        _ => {
            let members = object.rest().into_iter();
            let value: Map<_, _> = members.map(|e| (e.name, e.value)).collect();
            let value = Value::Object(value);
            return Ok(tool(ToolKind::BuiltIn { kind, value }, at.into_owned()));
        }
    };
    Ok(Tool {
        extensions: object.rest(),
        ..tool(kind, at.into_owned())
    })
}

fn tool(kind: ToolKind, at: String) -> Tool {
    Tool {
        kind,
        cache: None,
        at: at.into(),
        extensions: Vec::new(),
    }
}

/// Writes a tool. `None`: the API has no such tool.
pub(super) fn write(tool: Tool, same: bool, losses: &mut Losses) -> Option<Value> {
    let Tool {
        kind,
        cache,
        at,
        extensions,
    } = tool;
    if cache.is_some() {
        let reason = "tools have no cache breakpoint here: the provider caches by itself";
        losses.dropped(at.clone(), reason);
    }
    let mut object = Map::new();
    match kind {
        ToolKind::Function(function) => write_function(function, same, &mut object),
        ToolKind::Custom {
            name,
            description,
            format,
        } => {
            object.insert("type".to_owned(), "custom".into());
            object.insert("name".to_owned(), name.into());
            put(&mut object, "description", description);
            put(&mut object, "format", format.map(flat));
        }
        ToolKind::BuiltIn { kind: _, value } if same => return Some(value),
        ToolKind::BuiltIn { .. } => {
            losses.dropped(at, "a tool of another provider's own");
            return None;
        }
    }
    put_members(&mut object, extensions, same, &KNOWN, losses);
    Some(Value::Object(object))
}

fn write_function(function: FunctionTool, same: bool, object: &mut Map<String, Value>) {
    let FunctionTool {
        name,
        description,
        parameters,
        returns,
        strict,
    } = function;
    object.insert("type".to_owned(), "function".into());
    object.insert("name".to_owned(), name.into());
    put(object, "description", description);
    // This API wants a schema, and is strict unless told otherwise; others are not.
    let none = || json!({"type": "object", "properties": {}});
    let parameters = parameters.or_else(|| (!same).then(none));
    put(object, "parameters", parameters);
    put(object, "output_schema", returns);
    put(
        object,
        "strict",
        strict.or_else(|| (!same).then_some(false)),
    );
}

fn put(object: &mut Map<String, Value>, key: &str, value: Option<impl Into<Value>>) {
    crate::apis::object::put(object, key, value);
}

/// The form of a custom tool's argument; chat completions have the grammar one level deeper.
fn flat(format: Value) -> Value {
    match format {
        Value::Object(mut format) if format.get("grammar").is_some_and(Value::is_object) => {
            if let Some(Value::Object(grammar)) = format.shift_remove("grammar") {
                format.extend(grammar);
            }
            Value::Object(format)
        }
        other => other,
    }
}

/// Reads `tool_choice`.
pub(super) fn read_choice(value: Value, tools: &[Tool]) -> ToolChoice {
    match value.as_str() {
        Some("auto") => return ToolChoice::Auto,
        Some("none") => return ToolChoice::None,
        Some("required") => return ToolChoice::Required,
        _ => {}
    }
    let named = match word(&value, "type") {
        Some("allowed_tools") => among(&value, tools),
        _ => single(&value, tools).map(ToolChoice::Function),
    };
    named.unwrap_or(ToolChoice::Other(value))
}

/// The name of a function or custom tool, if nothing but that is said.
fn single(value: &Value, tools: &[Tool]) -> Option<String> {
    let name = word(value, "name")?;
    let kind = word(value, "type")?;
    let is_it = kind == kind_of(name, tools) && value.as_object()?.len() == 2;
    is_it.then(|| name.to_owned())
}

fn among(value: &Value, tools: &[Tool]) -> Option<ToolChoice> {
    let required = match word(value, "mode")? {
        "required" => true,
        "auto" => false,
        _ => return None,
    };
    let list = value.get("tools")?.as_array()?;
    let names: Option<Vec<String>> = list.iter().map(|item| single(item, tools)).collect();
    (value.as_object()?.len() == 3).then_some(ToolChoice::Among {
        names: names?,
        required,
    })
}

/// `custom` or `function`.
fn kind_of(name: &str, tools: &[Tool]) -> &'static str {
    let is_it =
        |tool: &Tool| matches!(&tool.kind, ToolKind::Custom { name: own, .. } if own == name);
    if tools.iter().any(is_it) {
        "custom"
    } else {
        "function"
    }
}

/// Writes `tool_choice`.
pub(super) fn write_choice(
    choice: At<ToolChoice>,
    tools: &[Tool],
    same: bool,
    losses: &mut Losses,
) -> Option<Value> {
    let named = |name: String| json!({"type": kind_of(&name, tools), "name": name});
    Some(match choice.value {
        ToolChoice::Auto => "auto".into(),
        ToolChoice::None => "none".into(),
        ToolChoice::Required => "required".into(),
        ToolChoice::Function(name) => named(name),
        ToolChoice::Among { names, required } => json!({
            "type": "allowed_tools",
            "mode": if required { "required" } else { "auto" },
            "tools": names.into_iter().map(named).collect::<Vec<_>>(),
        }),
        ToolChoice::Other(value) if same => value,
        ToolChoice::Other(_) => {
            losses.dropped(choice.at, "a choice that only another API has");
            return None;
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pass(value: Value) -> Value {
        let tool = read(At::new(value, "/tools/0")).unwrap();
        let mut losses = Losses::new();
        let written = write(tool, true, &mut losses).unwrap();
        assert!(losses.is_empty());
        written
    }

    #[test]
    fn tools_come_back_as_they_were() {
        for tool in [
            json!({"type": "function", "name": "a", "parameters": {}, "strict": true,
                "description": "d", "defer_loading": true, "output_schema": {"type": "string"}}),
            json!({"type": "function", "name": "a"}),
            json!({"type": "custom", "name": "a", "format": {"type": "grammar", "syntax": "lark",
                "definition": "x"}}),
            json!({"type": "web_search", "search_context_size": "low"}),
            json!({"type": "mcp", "server_label": "x", "allowed_tools": ["a"]}),
        ] {
            assert_eq!(pass(tool.clone()), tool);
        }
    }

    #[test]
    fn a_function_of_another_api_is_not_strict_unless_it_says_so() {
        let function = ToolKind::Function(FunctionTool {
            name: "a".to_owned(),
            ..FunctionTool::default()
        });
        let mut losses = Losses::new();
        let written = write(tool(function, "/tools/0".to_owned()), false, &mut losses);
        assert_eq!(
            written.unwrap(),
            json!({"type": "function", "name": "a", "strict": false,
                "parameters": {"type": "object", "properties": {}}})
        );
        let built_in = ToolKind::BuiltIn {
            kind: "googleSearch".to_owned(),
            value: json!({}),
        };
        assert_eq!(
            write(tool(built_in, "/tools/1".to_owned()), false, &mut losses),
            None
        );
        assert_eq!(losses.as_slice()[0].path, "/tools/1");
    }

    #[test]
    fn a_grammar_of_chat_completions_is_written_flat() {
        let format = json!({"type": "grammar", "grammar": {"syntax": "lark", "definition": "x"}});
        assert_eq!(
            flat(format),
            json!({"type": "grammar", "syntax": "lark", "definition": "x"})
        );
    }

    #[test]
    fn choices_come_back_as_they_were() {
        let tools = [
            read(At::new(json!({"type": "custom", "name": "c"}), "/tools/0")).unwrap(),
            read(At::new(
                json!({"type": "function", "name": "f"}),
                "/tools/1",
            ))
            .unwrap(),
        ];
        let named = |name: &str| ToolChoice::Function(name.to_owned());
        let choices = [
            (json!("auto"), Some(ToolChoice::Auto)),
            (json!("none"), Some(ToolChoice::None)),
            (json!("required"), Some(ToolChoice::Required)),
            (json!({"type": "function", "name": "f"}), Some(named("f"))),
            (json!({"type": "custom", "name": "c"}), Some(named("c"))),
            (json!({"type": "custom", "name": "f"}), None),
            (
                json!({"type": "mcp", "server_label": "x", "name": "f"}),
                None,
            ),
            (json!({"type": "web_search_preview"}), None),
            (
                json!({"type": "allowed_tools", "mode": "auto", "tools": [
                    {"type": "custom", "name": "c"}, {"type": "function", "name": "f"}]}),
                Some(ToolChoice::Among {
                    names: vec!["c".to_owned(), "f".to_owned()],
                    required: false,
                }),
            ),
            (
                json!({"type": "allowed_tools", "mode": "auto", "tools": [{"type": "mcp"}]}),
                None,
            ),
        ];
        for (value, expected) in choices {
            let choice = read_choice(value.clone(), &tools);
            assert_eq!(choice, expected.unwrap_or(ToolChoice::Other(value.clone())));
            let mut losses = Losses::new();
            let written = write_choice(At::new(choice, ""), &tools, true, &mut losses);
            assert_eq!(written, Some(value));
        }
    }
}
