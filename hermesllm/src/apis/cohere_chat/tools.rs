//! Tools and the choice between them.

use serde_json::{json, Map, Value};

use crate::apis::object::{put, put_extensions, Object};
use crate::apis::ReadError;
use crate::representation::{
    At, Extension, FunctionTool, Losses, Setting, Tool, ToolChoice, ToolKind,
};

/// How members of `function` are named among the extensions of a tool.
const INSIDE: &str = "function/";

/// The one member of the arguments of a tool that takes free text.
pub(super) const INPUT: &str = "input";

/// Reads `tools`, `strict_tools` and `tool_choice`.
pub(super) fn read(object: &mut Object) -> Result<(Vec<Tool>, Setting<ToolChoice>), ReadError> {
    let mut tools = Vec::new();
    for item in object.list("tools")?.unwrap_or_default() {
        tools.push(tool(item)?);
    }
    let functions = tools.iter_mut().filter_map(|tool| match &mut tool.kind {
        ToolKind::Function(function) => Some(function),
        _ => None,
    });
    let mut functions = functions.peekable();
    // Without a function it says nothing, and stays where it is.
    if functions.peek().is_some() {
        let strict = object.flag("strict_tools")?.map(|flag| flag.value);
        functions.for_each(|function| function.strict = strict);
    }
    let choice = object.take("tool_choice").map(|found| {
        let choice = match found.value.as_str() {
            Some("REQUIRED") => ToolChoice::Required,
            Some("NONE") => ToolChoice::None,
            _ => ToolChoice::Other(found.value),
        };
        At::new(choice, found.at)
    });
    Ok((tools, choice))
}

fn tool(item: At<Value>) -> Result<Tool, ReadError> {
    let whole = item.value.clone();
    let mut object = Object::strict(item.value, item.at.clone())?;
    let kind = object.peek_text("type").unwrap_or_default().to_owned();
    if kind != "function" || !object.has("function") {
        return Ok(Tool {
            kind: ToolKind::BuiltIn { kind, value: whole },
            cache: None,
            at: item.at,
            extensions: Vec::new(),
        });
    }
    object.take("type");
    let Some(mut own) = object.object("function")? else {
        return Err(object.missing("function"));
    };
    let kind = ToolKind::Function(FunctionTool {
        name: own.text("name")?.map(|name| name.value).unwrap_or_default(),
        description: own.text("description")?.map(|text| text.value),
        parameters: own.take("parameters").map(|schema| schema.value),
        returns: None,
        strict: None,
    });
    let inside = own.rest().into_iter().map(|extension| Extension {
        name: format!("{INSIDE}{}", extension.name),
        ..extension
    });
    Ok(Tool {
        kind,
        cache: None,
        at: item.at,
        extensions: inside.chain(object.rest()).collect(),
    })
}

/// Writes tools and the choice.
pub(super) fn write(
    body: &mut Map<String, Value>,
    tools: Vec<Tool>,
    choice: Setting<ToolChoice>,
    same: bool,
    losses: &mut Losses,
) {
    let strict = strictness(&tools, losses);
    let tools: Vec<Value> = (tools.into_iter())
        .filter_map(|tool| write_tool(tool, same, losses))
        .collect();
    if !tools.is_empty() {
        body.insert("tools".to_owned(), tools.into());
    }
    // That schemas are no more than a hint is the default.
    let strict = strict.filter(|strict| *strict || same);
    put(body, "strict_tools", strict);
    let choice = choice.and_then(|choice| write_choice(choice, same, losses));
    put(body, "tool_choice", choice);
}

/// Whether schemas are guaranteed, which is so for all tools or for none.
fn strictness(tools: &[Tool], losses: &mut Losses) -> Option<bool> {
    let strict = |tool: &Tool| match &tool.kind {
        ToolKind::Function(function) => function.strict,
        _ => None,
    };
    let is_function = |tool: &&Tool| matches!(tool.kind, ToolKind::Function(_));
    let of: Vec<Option<bool>> = tools.iter().filter(is_function).map(strict).collect();
    if of.iter().all(|strict| *strict == Some(true)) {
        return (!of.is_empty()).then_some(true);
    }
    for tool in tools.iter().filter(|tool| strict(tool) == Some(true)) {
        let reason = "this API guarantees the schemas of all tools or of none";
        losses.dropped(tool.at.clone(), reason);
    }
    of.contains(&Some(false)).then_some(false)
}

fn write_tool(tool: Tool, same: bool, losses: &mut Losses) -> Option<Value> {
    let Tool {
        kind,
        cache,
        at,
        extensions,
    } = tool;
    if cache.is_some() {
        losses.dropped(at.clone(), "this API caches by itself");
    }
    let mut own = Map::new();
    match kind {
        ToolKind::Function(FunctionTool {
            name,
            description,
            parameters,
            returns,
            // For all tools.
            strict: _,
        }) => {
            own.insert("name".to_owned(), name.into());
            put(&mut own, "description", description);
            // Required by the API.
            let none = || (!same).then(|| json!({"type": "object", "properties": {}}));
            put(&mut own, "parameters", parameters.or_else(none));
            if returns.is_some() {
                let reason = "this API has no schema of what a function returns";
                losses.dropped(at, reason);
            }
        }
        ToolKind::Custom {
            name,
            description,
            format,
        } => {
            losses.approximated(at.clone(), "this API has no tools that take free text");
            if format.is_some() {
                losses.dropped(at, "this API cannot prescribe the form of free text");
            }
            own.insert("name".to_owned(), name.into());
            put(&mut own, "description", description);
            let schema = json!({
                "type": "object",
                "properties": {INPUT: {"type": "string"}},
                "required": [INPUT],
            });
            own.insert("parameters".to_owned(), schema);
        }
        ToolKind::BuiltIn { value, .. } if same => return Some(value),
        ToolKind::BuiltIn { .. } => {
            losses.dropped(at, "this tool is built into the other API");
            return None;
        }
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
    let mut object = Map::new();
    object.insert("type".to_owned(), "function".into());
    object.insert("function".to_owned(), own.into());
    put_extensions(&mut object, beside, same, &[], losses);
    Some(object.into())
}

fn write_choice(choice: At<ToolChoice>, same: bool, losses: &mut Losses) -> Option<Value> {
    match choice.value {
        // As it is without a choice.
        ToolChoice::Auto => None,
        ToolChoice::None => Some("NONE".into()),
        ToolChoice::Required => Some("REQUIRED".into()),
        ToolChoice::Function(_) => {
            let reason = "this API can require a call, but not one of a certain tool";
            losses.approximated(choice.at, reason);
            Some("REQUIRED".into())
        }
        ToolChoice::Among { names: _, required } => {
            let reason = "this API cannot choose among its tools";
            losses.approximated(choice.at, reason);
            required.then(|| "REQUIRED".into())
        }
        ToolChoice::Other(value) if same => Some(value),
        ToolChoice::Other(_) => {
            losses.dropped(choice.at, "this choice is the other API's own");
            None
        }
    }
}
