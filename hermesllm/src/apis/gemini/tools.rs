//! Tools, and the choice between them.

use serde_json::{json, Map, Value};

use super::members::{restore, Members, Reading};
use super::schema::{to_json_schema, to_openapi};

use crate::apis::ReadError;
use crate::representation::{
    At, Extension, FunctionTool, Losses, Setting, Tool, ToolChoice, ToolKind,
};

/// Reads `tools`. Each of their members is a tool of its own.
pub(super) fn read(list: Vec<At<Value>>) -> Result<Vec<Tool>, ReadError> {
    let mut tools = Vec::new();
    for At { value, at } in list {
        let mut group = Members::new(value, at.as_ref(), Reading::Strict)?;
        for declaration in group.many("functionDeclarations")?.unwrap_or_default() {
            tools.push(function(declaration)?);
        }
        for Extension { name, value, at } in group.rest() {
            tools.push(Tool {
                kind: ToolKind::BuiltIn {
                    value: json!({ &name: value }),
                    kind: name,
                },
                cache: None,
                at,
                extensions: Vec::new(),
            });
        }
    }
    Ok(tools)
}

/// A function is known by the place of its parameters if they are in the form of OpenAPI, so that
/// they can be written so again.
const OPENAPI: &str = "/parameters";

fn function(declaration: At<Value>) -> Result<Tool, ReadError> {
    let At { value, at } = declaration;
    let mut own = Members::new(value, at.as_ref(), Reading::Strict)?;
    let Some(name) = own.text("name")? else {
        return Err(own.missing("name"));
    };
    let mut tool = FunctionTool {
        name: name.value,
        description: own.text("description")?.map(|text| text.value),
        ..FunctionTool::default()
    };
    let mut place = at;
    if let Some(schema) = own.take("parametersJsonSchema") {
        tool.parameters = Some(schema.value);
    } else if let Some(schema) = own.map("parameters")? {
        place = schema.at;
        tool.parameters = Some(to_json_schema(Value::Object(schema.value)));
    }
    if let Some(schema) = own.take("responseJsonSchema") {
        tool.returns = Some(schema.value);
    } else if let Some(schema) = own.map("response")? {
        tool.returns = Some(to_json_schema(Value::Object(schema.value)));
    }
    Ok(Tool {
        kind: ToolKind::Function(tool),
        cache: None,
        at: place,
        extensions: own.rest(),
    })
}

/// Writes `tools`. Functions of other APIs come in one tool, as this one wants them.
pub(super) fn write(tools: Vec<Tool>, same: bool, losses: &mut Losses) -> Vec<Value> {
    let mut groups: Vec<(String, Map<String, Value>)> = Vec::new();
    for tool in tools {
        let group = if same { group_of(&tool.at) } else { "" };
        let group = group.to_owned();
        let Some((key, value)) = write_one(tool, same, losses) else {
            continue;
        };
        if groups.last().is_none_or(|(last, _)| *last != group) {
            groups.push((group, Map::new()));
        }
        let Some((_, members)) = groups.last_mut() else {
            continue;
        };
        match members.get_mut(&key) {
            Some(Value::Array(list)) => list.push(value),
            _ if key == "functionDeclarations" => {
                members.insert(key, vec![value].into());
            }
            _ => {
                members.insert(key, value);
            }
        }
    }
    let groups = groups.into_iter();
    groups.map(|(_, members)| Value::Object(members)).collect()
}

/// The place of the tool that a member was read from.
fn group_of(at: &str) -> &str {
    let own = at.strip_prefix("/tools").unwrap_or_default();
    let number = own.trim_start_matches('/').split('/').next();
    number
        .filter(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
        .unwrap_or_default()
}

fn write_one(tool: Tool, same: bool, losses: &mut Losses) -> Option<(String, Value)> {
    let Tool {
        kind,
        cache,
        at,
        extensions,
    } = tool;
    if cache.is_some() {
        let reason = "this API caches by itself, or what was cached before";
        losses.dropped(at.clone(), reason);
    }
    let function = match kind {
        ToolKind::Function(function) => function,
        ToolKind::Custom {
            name,
            description,
            format,
        } => {
            losses.approximated(at.clone(), "free text for a tool is put into an object");
            if format.is_some() {
                losses.dropped(at.clone(), "the form of free text cannot be prescribed");
            }
            let text = json!({"type": "string"});
            FunctionTool {
                name,
                description,
                parameters: Some(json!({
                    "type": "object",
                    "properties": {"input": text},
                    "required": ["input"],
                })),
                ..FunctionTool::default()
            }
        }
        ToolKind::BuiltIn { kind, value } => {
            losses.dropped_extensions(extensions);
            let Value::Object(mut own) = value else {
                return None;
            };
            let member = own.shift_remove(&kind).filter(|_| same);
            if member.is_none() {
                losses.dropped(at, "the provider's own tools differ from API to API");
            }
            return member.map(|member| (kind, member));
        }
    };
    let is_openapi = same && at.ends_with(OPENAPI);
    let base = at.strip_suffix(OPENAPI).filter(|_| is_openapi);
    let mut written = write_function(function, same, is_openapi, &at, losses);
    restore(&mut written, base.unwrap_or(&at), extensions, same, losses);
    Some(("functionDeclarations".to_owned(), written))
}

fn write_function(
    tool: FunctionTool,
    same: bool,
    is_openapi: bool,
    at: &str,
    losses: &mut Losses,
) -> Value {
    let FunctionTool {
        name,
        description,
        parameters,
        returns,
        strict,
    } = tool;
    if strict == Some(true) {
        let reason = "arguments are not guaranteed for one function alone";
        losses.dropped(at.to_owned(), reason);
    }
    let mut own = Map::new();
    own.insert("name".to_owned(), name.into());
    if let Some(description) = description.filter(|text| same || !text.is_empty()) {
        own.insert("description".to_owned(), description.into());
    }
    let names = if is_openapi {
        ("parameters", "response")
    } else {
        ("parametersJsonSchema", "responseJsonSchema")
    };
    for (key, schema) in [(names.0, parameters), (names.1, returns)] {
        if let Some(schema) = schema {
            let schema = if is_openapi {
                to_openapi(schema)
            } else {
                schema
            };
            own.insert(key.to_owned(), schema);
        }
    }
    Value::Object(own)
}

/// Reads `toolConfig`.
pub(super) fn read_choice(
    mut config: Members,
    extensions: &mut Vec<Extension>,
) -> Result<Setting<ToolChoice>, ReadError> {
    let mut choice = None;
    if let Some(mut own) = config.object("functionCallingConfig")? {
        let at = own.pointer("mode");
        let place = at.strip_suffix("/mode").unwrap_or_default().to_owned();
        let mode = own.take("mode").map(|mode| mode.value);
        let word = mode.as_ref().map(mode_of).unwrap_or_default();
        let mut names = own.texts("allowedFunctionNames")?;
        names = names.filter(|names| !names.value.is_empty());
        let names = names.map(|names| names.value);
        let value = match (word.as_str(), names) {
            ("AUTO", None) => Some(ToolChoice::Auto),
            ("NONE", None) => Some(ToolChoice::None),
            ("ANY", None) => Some(ToolChoice::Required),
            ("ANY", Some(names)) => Some(match names.as_slice() {
                [name] => ToolChoice::Function(name.clone()),
                _ => ToolChoice::Among {
                    names,
                    required: true,
                },
            }),
            ("VALIDATED", Some(names)) => Some(ToolChoice::Among {
                names,
                required: false,
            }),
            ("", None) => None,
            (_, names) => {
                let mut whole = Map::new();
                if !word.is_empty() {
                    whole.insert("mode".to_owned(), word.into());
                }
                if let Some(names) = names {
                    whole.insert("allowedFunctionNames".to_owned(), names.into());
                }
                Some(ToolChoice::Other(Value::Object(whole)))
            }
        };
        choice = value.map(|value| At::new(value, place));
        extensions.extend(own.rest());
    }
    extensions.extend(config.rest());
    Ok(choice)
}

/// The word of a mode, which may come as its number.
fn mode_of(mode: &Value) -> String {
    let words = ["MODE_UNSPECIFIED", "AUTO", "ANY", "NONE", "VALIDATED"];
    match mode {
        Value::String(word) => word.to_ascii_uppercase(),
        other => {
            let number = other
                .as_u64()
                .and_then(|number| usize::try_from(number).ok());
            let word = number.and_then(|number| words.get(number));
            word.map_or_else(|| other.to_string(), |word| (*word).to_owned())
        }
    }
}

/// Writes `functionCallingConfig`.
pub(super) fn write_choice(
    choice: At<ToolChoice>,
    same: bool,
    losses: &mut Losses,
) -> Option<Value> {
    let At { value, at } = choice;
    Some(match value {
        ToolChoice::Auto => json!({"mode": "AUTO"}),
        ToolChoice::None => json!({"mode": "NONE"}),
        ToolChoice::Required => json!({"mode": "ANY"}),
        ToolChoice::Function(name) => json!({"mode": "ANY", "allowedFunctionNames": [name]}),
        ToolChoice::Among { names, required } => {
            let mode = if required { "ANY" } else { "VALIDATED" };
            json!({"mode": mode, "allowedFunctionNames": names})
        }
        ToolChoice::Other(value) if same => value,
        ToolChoice::Other(_) => {
            losses.dropped(at, "only its own API has such a choice");
            return None;
        }
    })
}

#[cfg(test)]
mod tests;
