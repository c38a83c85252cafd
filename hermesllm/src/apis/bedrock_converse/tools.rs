//! Tools and the choice between them (`toolConfig`).

use serde_json::{json, Map, Value};

use super::blocks::cache_point as write_cache_point;
use super::content::cache_point;
use super::place::restore;
use crate::apis::object::Object;
use crate::apis::ReadError;
use crate::representation::{
    At, Extension, FunctionTool, Losses, PartKind, Setting, Tool, ToolChoice, ToolKind, Turn,
};

/// Reads `toolConfig`.
pub(super) fn read(
    mut config: Object,
    extensions: &mut Vec<Extension>,
) -> Result<(Vec<Tool>, Setting<ToolChoice>), ReadError> {
    let mut tools: Vec<Tool> = Vec::new();
    for item in config.list("tools")?.unwrap_or_default() {
        let hint = cache_point(&item.value);
        match (hint, tools.last_mut()) {
            (Some(hint), Some(last)) if last.cache.is_none() => last.cache = Some(hint),
            _ => tools.push(tool(item)?),
        }
    }
    let choice = config.take("toolChoice");
    extensions.extend(config.rest());
    Ok((
        tools,
        choice.map(|At { value, at }| At::new(chosen(value), at)),
    ))
}

fn tool(item: At<Value>) -> Result<Tool, ReadError> {
    let At { value, at } = item;
    let mut outer = Object::strict(value, at.clone())?;
    let mut extensions = Vec::new();
    let kind = match outer.object("toolSpec")? {
        Some(spec) => ToolKind::Function(function(spec, &mut extensions)?),
        None => {
            let members: Map<String, Value> = outer
                .rest()
                .into_iter()
                .map(|member| (member.name, member.value))
                .collect();
            let system = members.get("systemTool").and_then(|tool| tool.get("name"));
            let kind = system.and_then(Value::as_str);
            let kind = kind.or(members.keys().next().map(String::as_str));
            return Ok(Tool {
                kind: ToolKind::BuiltIn {
                    kind: kind.unwrap_or_default().to_owned(),
                    value: Value::Object(members),
                },
                cache: None,
                at,
                extensions,
            });
        }
    };
    extensions.extend(outer.rest());
    Ok(Tool {
        kind,
        cache: None,
        at,
        extensions,
    })
}

fn function(mut spec: Object, extensions: &mut Vec<Extension>) -> Result<FunctionTool, ReadError> {
    let Some(name) = spec.text("name")? else {
        return Err(spec.missing("name"));
    };
    let parameters = match spec.object("inputSchema")? {
        Some(mut schema) => {
            let parameters = schema.take("json").map(|schema| schema.value);
            extensions.extend(schema.rest());
            parameters
        }
        None => None,
    };
    let tool = FunctionTool {
        name: name.value,
        description: spec.text("description")?.map(|text| text.value),
        parameters,
        returns: None,
        strict: spec.flag("strict")?.map(|strict| strict.value),
    };
    extensions.extend(spec.rest());
    Ok(tool)
}

fn chosen(value: Value) -> ToolChoice {
    let known = value.as_object().filter(|members| members.len() == 1);
    let member = known.and_then(|members| members.iter().next());
    let is_empty = |value: &Value| value.as_object().is_some_and(Map::is_empty);
    match member.map(|(kind, inner)| (kind.as_str(), inner)) {
        Some(("auto", inner)) if is_empty(inner) => ToolChoice::Auto,
        Some(("any", inner)) if is_empty(inner) => ToolChoice::Required,
        Some(("tool", inner)) => match (inner.as_object(), inner.get("name")) {
            (Some(members), Some(Value::String(name))) if members.len() == 1 => {
                ToolChoice::Function(name.clone())
            }
            _ => ToolChoice::Other(value),
        },
        _ => ToolChoice::Other(value),
    }
}

/// The names of the tools that a conversation has called, in the order of their first call; `None`
/// if it knows nothing of tools.
pub(super) fn used(turns: &[Turn]) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let mut is_used = false;
    for part in turns.iter().flat_map(|turn| &turn.parts) {
        match &part.kind {
            PartKind::ToolCall(call) if !call.by_provider => {
                is_used = true;
                if !names.contains(&call.name) {
                    names.push(call.name.clone());
                }
            }
            PartKind::ToolResult(_) => is_used = true,
            _ => {}
        }
    }
    is_used.then_some(names)
}

/// Writes `toolConfig`. `used`: what the conversation has called; then there has to be a
/// configuration.
pub(super) fn write(
    mut tools: Vec<Tool>,
    choice: Setting<ToolChoice>,
    used: Option<Vec<String>>,
    same: bool,
    losses: &mut Losses,
) -> Option<Value> {
    let mut chosen = None;
    if let Some(At { value, at }) = choice {
        match value {
            ToolChoice::Auto => chosen = Some(json!({"auto": {}})),
            ToolChoice::Required => chosen = Some(json!({"any": {}})),
            ToolChoice::Function(name) => chosen = Some(json!({"tool": {"name": name}})),
            ToolChoice::Among { names, required } => {
                losses.approximated(at, "only the tools of the choice are offered");
                tools.retain(|tool| name(tool).is_some_and(|name| names.contains(name)));
                chosen = Some(match required {
                    true => json!({"any": {}}),
                    false => json!({"auto": {}}),
                });
            }
            ToolChoice::Other(value) if same => chosen = Some(value),
            ToolChoice::Other(_) => losses.dropped(at, "only its own API has this choice"),
            ToolChoice::None if tools.is_empty() => {}
            ToolChoice::None if used.is_none() => {
                losses.approximated(at, "instead of forbidding the tools they are left out");
                tools.clear();
            }
            ToolChoice::None => losses.dropped(
                at,
                "Converse cannot forbid tools in a conversation that has called some",
            ),
        }
    }
    let mut list = Vec::new();
    for tool in tools {
        write_tool(tool, same, losses, &mut list);
    }
    if list.is_empty() && !same {
        // A conversation with calls has to have tools: those that it has called.
        let stub =
            |name| json!({"toolSpec": {"name": name, "inputSchema": {"json": {"type": "object"}}}});
        list.extend(used.unwrap_or_default().into_iter().map(stub));
        if !list.is_empty() {
            losses.approximated("", "tools that were called before are offered again");
        }
        chosen = chosen.filter(|_| !list.is_empty());
    }
    let mut config = Map::new();
    if !list.is_empty() {
        config.insert("tools".to_owned(), list.into());
    }
    if let Some(chosen) = chosen {
        config.insert("toolChoice".to_owned(), chosen);
    }
    (!config.is_empty()).then_some(Value::Object(config))
}

fn name(tool: &Tool) -> Option<&String> {
    match &tool.kind {
        ToolKind::Function(function) => Some(&function.name),
        ToolKind::Custom { name, .. } => Some(name),
        ToolKind::BuiltIn { .. } => None,
    }
}

fn write_tool(tool: Tool, same: bool, losses: &mut Losses, out: &mut Vec<Value>) {
    let Tool {
        kind,
        cache,
        at,
        extensions,
    } = tool;
    let written = match kind {
        ToolKind::Function(function) => Some(write_function(function, same, &at, losses)),
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
            let function = FunctionTool {
                name,
                description,
                parameters: Some(json!({
                    "type": "object",
                    "properties": {"input": text},
                    "required": ["input"],
                })),
                ..FunctionTool::default()
            };
            Some(write_function(function, same, &at, losses))
        }
        ToolKind::BuiltIn { kind: _, value } if same => Some(value),
        ToolKind::BuiltIn { .. } => {
            losses.dropped(
                at.clone(),
                "the provider's own tools differ from API to API",
            );
            None
        }
    };
    match written {
        Some(mut written) => {
            restore(&mut written, &at, extensions, same, losses);
            out.push(written);
        }
        None => losses.dropped_extensions(extensions),
    }
    match cache {
        Some(_) if out.is_empty() => losses.dropped(at, "there is no tool here to be cached"),
        Some(hint) => out.push(write_cache_point(hint)),
        None => {}
    }
}

fn write_function(tool: FunctionTool, same: bool, at: &str, losses: &mut Losses) -> Value {
    let FunctionTool {
        name,
        description,
        parameters,
        returns,
        strict,
    } = tool;
    if returns.is_some() {
        losses.dropped(at.to_owned(), "Converse does not take what a tool returns");
    }
    let mut spec = Map::new();
    spec.insert("name".to_owned(), name.into());
    if let Some(description) = description.filter(|text| same || !text.is_empty()) {
        spec.insert("description".to_owned(), description.into());
    }
    let schema = parameters.unwrap_or_else(|| json!({"type": "object", "properties": {}}));
    spec.insert("inputSchema".to_owned(), json!({ "json": schema }));
    if let Some(strict) = strict {
        spec.insert("strict".to_owned(), strict.into());
    }
    json!({ "toolSpec": spec })
}
