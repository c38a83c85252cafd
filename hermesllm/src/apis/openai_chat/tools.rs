//! Tools and the choice between them, in the newer and the older form.

use serde_json::{json, Map, Value};

use super::content;
use crate::apis::object::{put, put_extensions, Object};
use crate::apis::ReadError;
use crate::representation::{
    At, Extension, FunctionTool, Losses, Setting, Tool, ToolChoice, ToolKind,
};

/// How members of `function` are named among the extensions of a tool.
const INSIDE: &str = "function/";

/// Reads `tools` and `tool_choice`, or `functions` and `function_call`.
pub(super) fn read(object: &mut Object) -> Result<(Vec<Tool>, Setting<ToolChoice>), ReadError> {
    let mut tools = Vec::new();
    for item in object.list("tools")?.unwrap_or_default() {
        tools.push(tool(item)?);
    }
    for item in object.list("functions")?.unwrap_or_default() {
        let mut own = Object::strict(item.value, item.at.clone())?;
        let kind = function(&mut own)?;
        tools.push(Tool {
            kind: ToolKind::Function(kind),
            cache: None,
            at: item.at,
            extensions: inside(own),
        });
    }
    let choice = match object.take("tool_choice") {
        Some(found) => Some(At::new(choice(found.value), found.at)),
        None => object
            .take("function_call")
            .map(|found| At::new(old_choice(found.value), found.at)),
    };
    Ok((tools, choice))
}

fn tool(item: At<Value>) -> Result<Tool, ReadError> {
    let whole = item.value.clone();
    let mut object = Object::strict(item.value, item.at.clone())?;
    let kind = object.peek_text("type").unwrap_or("function").to_owned();
    let mut extensions = Vec::new();
    let kind = match kind.as_str() {
        "function" if object.has("function") => {
            object.take("type");
            let Some(mut own) = object.object("function")? else {
                return Err(object.missing("function"));
            };
            let kind = function(&mut own)?;
            extensions = inside(own);
            ToolKind::Function(kind)
        }
        "custom" if object.has("custom") => {
            object.take("type");
            let Some(mut own) = object.object("custom")? else {
                return Err(object.missing("custom"));
            };
            ToolKind::Custom {
                name: own.text("name")?.map(|name| name.value).unwrap_or_default(),
                description: own.text("description")?.map(|text| text.value),
                format: own.take("format").map(|format| format.value),
            }
        }
        _ => {
            return Ok(Tool {
                kind: ToolKind::BuiltIn { kind, value: whole },
                cache: None,
                at: item.at,
                extensions,
            })
        }
    };
    let cache = content::cache(&mut object);
    extensions.extend(object.rest());
    Ok(Tool {
        kind,
        cache,
        at: item.at,
        extensions,
    })
}

fn function(own: &mut Object) -> Result<FunctionTool, ReadError> {
    Ok(FunctionTool {
        name: own.text("name")?.map(|name| name.value).unwrap_or_default(),
        description: own.text("description")?.map(|text| text.value),
        parameters: own.take("parameters").map(|schema| schema.value),
        returns: None,
        strict: own.flag("strict")?.map(|flag| flag.value),
    })
}

fn inside(own: Object) -> Vec<Extension> {
    let rest = own.rest().into_iter();
    rest.map(|extension| Extension {
        name: format!("{INSIDE}{}", extension.name),
        ..extension
    })
    .collect()
}

fn choice(value: Value) -> ToolChoice {
    match value.as_str() {
        Some("auto") => return ToolChoice::Auto,
        Some("none") => return ToolChoice::None,
        Some("required" | "any") => return ToolChoice::Required,
        _ => {}
    }
    let named = value.get("function").and_then(|own| own.get("name"));
    if let (Some("function"), Some(name)) = (kind_of(&value), named.and_then(Value::as_str)) {
        return ToolChoice::Function(name.to_owned());
    }
    among(&value).unwrap_or(ToolChoice::Other(value))
}

fn kind_of(value: &Value) -> Option<&str> {
    value.get("type").and_then(Value::as_str)
}

/// `allowed_tools`, if all of them are functions.
fn among(value: &Value) -> Option<ToolChoice> {
    if kind_of(value) != Some("allowed_tools") {
        return None;
    }
    let own = value.get("allowed_tools")?;
    let required = match own.get("mode")?.as_str()? {
        "required" => true,
        "auto" => false,
        _ => return None,
    };
    let tools = own.get("tools")?.as_array()?;
    let names: Option<Vec<String>> = tools
        .iter()
        .map(|tool| Some(tool.get("function")?.get("name")?.as_str()?.to_owned()))
        .collect();
    Some(ToolChoice::Among {
        names: names?,
        required,
    })
}

fn old_choice(value: Value) -> ToolChoice {
    match (value.as_str(), value.get("name").and_then(Value::as_str)) {
        (Some("auto"), _) => ToolChoice::Auto,
        (Some("none"), _) => ToolChoice::None,
        (_, Some(name)) => ToolChoice::Function(name.to_owned()),
        _ => ToolChoice::Other(value),
    }
}

/// Writes tools and the choice.
pub(super) fn write(
    body: &mut Map<String, Value>,
    tools: Vec<Tool>,
    choice: Setting<ToolChoice>,
    same: bool,
    losses: &mut Losses,
) {
    let (mut newer, mut older) = (Vec::new(), Vec::new());
    for tool in tools {
        if same && tool.at.starts_with("/functions/") {
            older.extend(write_function(tool, same, losses));
        } else {
            newer.extend(write_tool(tool, same, losses));
        }
    }
    if !newer.is_empty() {
        body.insert("tools".to_owned(), newer.into());
    }
    if !older.is_empty() {
        body.insert("functions".to_owned(), older.into());
    }
    let Some(At { value, at }) = choice else {
        return;
    };
    if same && at == "/function_call" {
        body.insert("function_call".to_owned(), write_old_choice(value));
    } else if let Some(choice) = write_choice(At::new(value, at), same, losses) {
        body.insert("tool_choice".to_owned(), choice);
    }
}

fn write_function(tool: Tool, same: bool, losses: &mut Losses) -> Option<Value> {
    let ToolKind::Function(function) = tool.kind else {
        return None;
    };
    let (own, _) = members(function, tool.extensions, same, &tool.at, losses);
    Some(own.into())
}

/// The members of `function`, and the extensions that stand beside it.
fn members(
    function: FunctionTool,
    extensions: Vec<Extension>,
    same: bool,
    at: &crate::representation::Pointer,
    losses: &mut Losses,
) -> (Map<String, Value>, Vec<Extension>) {
    let FunctionTool {
        name,
        description,
        parameters,
        returns,
        strict,
    } = function;
    let mut own = Map::new();
    own.insert("name".to_owned(), name.into());
    put(&mut own, "description", description);
    put(&mut own, "parameters", parameters);
    put(&mut own, "strict", strict);
    if returns.is_some() {
        losses.dropped(
            at.clone(),
            "this API has no schema of what a function returns",
        );
    }
    let mut beside = Vec::new();
    for extension in extensions {
        match extension.name.strip_prefix(INSIDE) {
            Some(name) if same => {
                own.insert(name.to_owned(), extension.value);
            }
            _ => beside.push(extension),
        }
    }
    (own, beside)
}

fn write_tool(tool: Tool, same: bool, losses: &mut Losses) -> Option<Value> {
    let Tool {
        kind,
        cache,
        at,
        extensions,
    } = tool;
    let mut object = Map::new();
    let beside = match kind {
        ToolKind::Function(function) => {
            let (own, beside) = members(function, extensions, same, &at, losses);
            object.insert("type".to_owned(), "function".into());
            object.insert("function".to_owned(), own.into());
            beside
        }
        ToolKind::Custom {
            name,
            description,
            format,
        } => {
            let mut own = Map::new();
            own.insert("name".to_owned(), name.into());
            put(&mut own, "description", description);
            put(&mut own, "format", format);
            object.insert("type".to_owned(), "custom".into());
            object.insert("custom".to_owned(), own.into());
            extensions
        }
        ToolKind::BuiltIn { value, .. } if same => return Some(value),
        ToolKind::BuiltIn { .. } => {
            losses.dropped(at, "this tool is built into the other API");
            return None;
        }
    };
    match cache {
        Some(hint) if same => {
            object.insert("cache_control".to_owned(), content::cache_control(hint));
        }
        Some(_) => losses.dropped(at, "this API caches by itself"),
        None => {}
    }
    put_extensions(&mut object, beside, same, &[], losses);
    Some(object.into())
}

fn write_choice(choice: At<ToolChoice>, same: bool, losses: &mut Losses) -> Option<Value> {
    let named = |name: String| json!({"type": "function", "function": {"name": name}});
    Some(match choice.value {
        ToolChoice::Auto => "auto".into(),
        ToolChoice::None => "none".into(),
        ToolChoice::Required => "required".into(),
        ToolChoice::Function(name) => named(name),
        ToolChoice::Among { names, required } => {
            let mode = if required { "required" } else { "auto" };
            let tools: Vec<Value> = names.into_iter().map(named).collect();
            json!({"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}})
        }
        ToolChoice::Other(value) if same => value,
        ToolChoice::Other(_) => {
            losses.dropped(choice.at, "this choice is the other API's own");
            return None;
        }
    })
}

fn write_old_choice(choice: ToolChoice) -> Value {
    match choice {
        ToolChoice::Auto | ToolChoice::Required | ToolChoice::Among { .. } => "auto".into(),
        ToolChoice::None => "none".into(),
        ToolChoice::Function(name) => json!({"name": name}),
        ToolChoice::Other(value) => value,
    }
}
