//! Tools and the choice between them, in the newer and the older form.

use serde_json::{json, Map, Value};

use super::{content, extra};
use crate::apis::object::{put, Object};
use crate::apis::ReadError;
use crate::representation::{
    At, FunctionTool, Losses, Pointer, Setting, Tool, ToolChoice, ToolKind,
};

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
            extensions: own.rest(),
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
            extensions = extra::inside("function", own);
            ToolKind::Function(kind)
        }
        "custom" if object.has("custom") => {
            object.take("type");
            let Some(mut own) = object.object("custom")? else {
                return Err(object.missing("custom"));
            };
            let kind = ToolKind::Custom {
                name: own.text("name")?.map(|name| name.value).unwrap_or_default(),
                description: own.text("description")?.map(|text| text.value),
                format: own.take("format").map(|format| format.value),
            };
            extensions = extra::inside("custom", own);
            kind
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

fn choice(value: Value) -> ToolChoice {
    match value.as_str() {
        Some("auto") => return ToolChoice::Auto,
        Some("none") => return ToolChoice::None,
        Some("required" | "any") => return ToolChoice::Required,
        _ => {}
    }
    if let Some(kind @ ("function" | "custom")) = kind_of(&value) {
        let named = value.get(kind).and_then(|own| own.get("name"));
        if let Some(name) = named.and_then(Value::as_str) {
            return ToolChoice::Function(name.to_owned());
        }
    }
    among(&value).unwrap_or(ToolChoice::Other(value))
}

fn kind_of(value: &Value) -> Option<&str> {
    value.get("type").and_then(Value::as_str)
}

/// `allowed_tools`, if all of them have a name.
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
    let name = |tool: &Value| {
        let kind = kind_of(tool).filter(|kind| ["function", "custom"].contains(kind))?;
        Some(tool.get(kind)?.get("name")?.as_str()?.to_owned())
    };
    let names: Option<Vec<String>> = tools.iter().map(name).collect();
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
    let custom: Vec<String> = tools.iter().filter_map(custom_name).collect();
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
    } else if let Some(choice) = write_choice(At::new(value, at), &custom, same, losses) {
        body.insert("tool_choice".to_owned(), choice);
    }
}

fn custom_name(tool: &Tool) -> Option<String> {
    match &tool.kind {
        ToolKind::Custom { name, .. } => Some(name.clone()),
        _ => None,
    }
}

/// A function in the older form, which is of this API alone.
fn write_function(tool: Tool, same: bool, losses: &mut Losses) -> Option<Value> {
    let ToolKind::Function(function) = tool.kind else {
        return None;
    };
    let mut own = members(function, &tool.at, losses);
    extra::put(&mut own, tool.extensions, same, &[], losses);
    Some(own.into())
}

/// The members of `function`.
fn members(function: FunctionTool, at: &Pointer, losses: &mut Losses) -> Map<String, Value> {
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
        let reason = "this API has no schema of what a function returns";
        losses.dropped(at.clone(), reason);
    }
    own
}

fn write_tool(tool: Tool, same: bool, losses: &mut Losses) -> Option<Value> {
    let Tool {
        kind,
        cache,
        at,
        extensions,
    } = tool;
    let mut object = Map::new();
    match kind {
        ToolKind::Function(function) => {
            let own = members(function, &at, losses);
            object.insert("type".to_owned(), "function".into());
            object.insert("function".to_owned(), own.into());
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
        }
        ToolKind::BuiltIn { value, .. } if same => return Some(value),
        ToolKind::BuiltIn { .. } => {
            losses.dropped(at, "this tool is built into the other API");
            return None;
        }
    }
    match cache {
        Some(hint) if same => {
            object.insert("cache_control".to_owned(), content::cache_control(hint));
        }
        Some(_) => losses.dropped(at, "this API caches by itself"),
        None => {}
    }
    extra::put(&mut object, extensions, same, &[], losses);
    Some(object.into())
}

fn write_choice(
    choice: At<ToolChoice>,
    custom: &[String],
    same: bool,
    losses: &mut Losses,
) -> Option<Value> {
    let named = |name: String| {
        if custom.contains(&name) {
            json!({"type": "custom", "custom": {"name": name}})
        } else {
            json!({"type": "function", "function": {"name": name}})
        }
    };
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

#[cfg(test)]
mod tests {
    use super::*;

    fn again(body: Value) -> Value {
        let mut object = Object::strict(body, "").unwrap();
        let (tools, choice) = read(&mut object).unwrap();
        let (mut body, mut losses) = (Map::new(), Losses::new());
        write(&mut body, tools, choice, true, &mut losses);
        assert!(losses.is_empty(), "{losses:?}");
        body.into()
    }

    #[test]
    fn tools_and_choices_of_each_kind_come_back_as_they_were() {
        let function = json!({"type": "function", "function": {
            "name": "f", "description": "d", "strict": true, "x": 1,
            "parameters": {"type": "object", "properties": {"z": {}, "a": {}}}}});
        let custom = json!({"type": "custom", "custom": {
            "name": "c", "format": {"type": "text"}, "x": 1}});
        let built_in = json!({"type": "openrouter:advisor", "parameters": {"a": 1}});
        let cached = json!({"type": "function", "function": {"name": "g"},
            "cache_control": {"type": "ephemeral", "ttl": "1h"}});
        for choice in [
            json!("auto"),
            json!("none"),
            json!("required"),
            json!({"type": "function", "function": {"name": "f"}}),
            json!({"type": "custom", "custom": {"name": "c"}}),
            json!({"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [
                {"type": "function", "function": {"name": "f"}},
                {"type": "custom", "custom": {"name": "c"}}]}}),
            json!({"type": "odd", "x": 1}),
        ] {
            let body =
                json!({"tools": [function, custom, built_in, cached], "tool_choice": choice});
            assert_eq!(again(body.clone()), body);
        }
    }

    #[test]
    fn the_older_form_comes_back_as_it_was_and_goes_elsewhere_as_the_newer() {
        let body = json!({"functions": [{"name": "f", "parameters": {}, "x": 1}],
            "function_call": {"name": "f"}});
        assert_eq!(again(body.clone()), body);
        let mut object = Object::strict(body, "").unwrap();
        let (tools, choice) = read(&mut object).unwrap();
        let (mut body, mut losses) = (Map::new(), Losses::new());
        write(&mut body, tools, choice, false, &mut losses);
        assert_eq!(body["tools"][0]["function"]["name"], "f");
        assert_eq!(body["tool_choice"]["function"]["name"], "f");
        assert_eq!(losses.as_slice()[0].path, "/functions/0/x");
    }

    #[test]
    fn what_only_another_api_has_is_lost_by_its_place() {
        let tool = Tool {
            kind: ToolKind::BuiltIn {
                kind: "googleSearch".to_owned(),
                value: json!({"googleSearch": {}}),
            },
            cache: None,
            at: "/tools/0".into(),
            extensions: Vec::new(),
        };
        let (mut body, mut losses) = (Map::new(), Losses::new());
        let choice = At::new(ToolChoice::Other(json!({"x": 1})), "/toolConfig");
        write(&mut body, vec![tool], Some(choice), false, &mut losses);
        assert!(body.is_empty());
        let paths: Vec<_> = losses.as_slice().iter().map(|loss| &*loss.path).collect();
        assert_eq!(paths, ["/tools/0", "/toolConfig"]);
    }
}
