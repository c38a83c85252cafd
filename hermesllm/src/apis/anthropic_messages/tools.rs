//! Tools and the choice between them.

use serde_json::{json, Map, Value};

use crate::apis::object::{put, wrong, Object};
use crate::apis::ReadError;
use crate::representation::{
    At, Extension, FunctionTool, Losses, Pointer, Setting, Tool, ToolChoice, ToolKind,
};

use super::content::{read_cache, write_cache};
use super::{put_rest, rest_of};

/// A tool: one of the client's, or one that the provider has built in.
pub(super) fn read_tool(tool: At<Value>) -> Result<Tool, ReadError> {
    let at = tool.at;
    let kind = tool.value.get("type").and_then(Value::as_str);
    if let Some(kind) = kind.filter(|kind| *kind != "custom") {
        return Ok(Tool {
            kind: ToolKind::BuiltIn {
                kind: kind.to_owned(),
                value: tool.value,
            },
            cache: None,
            at,
            extensions: Vec::new(),
        });
    }
    let mut object = Object::strict(tool.value, at.clone())?;
    object.text("type")?;
    let name = object.text("name")?.ok_or_else(|| object.missing("name"))?;
    let function = FunctionTool {
        name: name.value,
        description: object.text("description")?.map(|text| text.value),
        parameters: object.take("input_schema").map(|schema| schema.value),
        returns: None,
        strict: object.flag("strict")?.map(|strict| strict.value),
    };
    Ok(Tool {
        kind: ToolKind::Function(function),
        cache: read_cache(&mut object),
        at,
        extensions: object.rest(),
    })
}

/// Writes a tool, if this API can have it.
pub(super) fn write_tool(tool: Tool, same: bool, losses: &mut Losses) -> Option<Value> {
    let Tool {
        kind,
        cache,
        at,
        extensions,
    } = tool;
    let mut object = Map::new();
    match kind {
        ToolKind::Function(function) => write_function(function, &at, same, &mut object, losses),
        ToolKind::Custom {
            name,
            description,
            format,
        } => {
            let reason = "the other API has no tools that take free text";
            losses.approximated(at.clone(), reason);
            if format.is_some() {
                losses.dropped(at, "the other API cannot prescribe the form of free text");
            }
            object.insert("name".to_owned(), Value::String(name));
            put(&mut object, "description", description);
            let schema = json!({
                "type": "object",
                "properties": {"input": {"type": "string"}},
                "required": ["input"],
            });
            object.insert("input_schema".to_owned(), schema);
        }
        ToolKind::BuiltIn { kind: _, value } if same => return Some(value),
        ToolKind::BuiltIn { .. } => {
            losses.dropped(
                at,
                "the other API does not know this tool of the provider's",
            );
            return None;
        }
    }
    put(&mut object, "cache_control", cache.map(write_cache));
    put_rest(&mut object, extensions, same, &[], losses);
    Some(Value::Object(object))
}

fn write_function(
    function: FunctionTool,
    at: &Pointer,
    same: bool,
    object: &mut Map<String, Value>,
    losses: &mut Losses,
) {
    let FunctionTool {
        name,
        description,
        parameters,
        returns,
        strict,
    } = function;
    if returns.is_some() {
        let reason = "the other API does not say what tools return";
        losses.dropped(at.clone(), reason);
    }
    object.insert("name".to_owned(), Value::String(name));
    put(object, "description", description);
    let schema = match parameters {
        parameters if same => parameters,
        // The API requires an object's schema.
        Some(Value::Object(mut schema)) => {
            schema
                .entry("type")
                .or_insert_with(|| Value::String("object".to_owned()));
            Some(Value::Object(schema))
        }
        None => Some(json!({"type": "object", "properties": {}})),
        Some(_) => {
            let reason = "the other API takes schemas of objects only";
            losses.approximated(at.clone(), reason);
            Some(json!({"type": "object"}))
        }
    };
    put(object, "input_schema", schema);
    put(object, "strict", strict);
}

/// What `tool_choice` says.
#[derive(Debug, Default)]
pub(super) struct ReadChoice {
    pub(super) choice: Setting<ToolChoice>,
    pub(super) parallel: Setting<bool>,
    pub(super) rest: Option<Extension>,
}

/// Reads `tool_choice`; one of an unknown type stays whole.
pub(super) fn read_choice(request: &mut Object) -> Result<ReadChoice, ReadError> {
    let Some(found) = request.peek("tool_choice") else {
        request.take("tool_choice");
        return Ok(ReadChoice::default());
    };
    if !found.is_object() {
        return Err(wrong(request.pointer("tool_choice"), "must be an object"));
    }
    let kind = found.get("type").and_then(Value::as_str);
    let name = found.get("name").and_then(Value::as_str).map(str::to_owned);
    let choice = match (kind, name) {
        (Some("auto"), _) => ToolChoice::Auto,
        (Some("any"), _) => ToolChoice::Required,
        (Some("none"), _) => ToolChoice::None,
        (Some("tool"), Some(name)) => ToolChoice::Function(name),
        _ => {
            let whole = request.take("tool_choice");
            return Ok(ReadChoice {
                choice: whole.map(|whole| At::new(ToolChoice::Other(whole.value), whole.at)),
                ..ReadChoice::default()
            });
        }
    };
    let Some(mut object) = request.object("tool_choice")? else {
        return Ok(ReadChoice::default());
    };
    object.take("type");
    if matches!(choice, ToolChoice::Function(_)) {
        object.take("name");
    }
    let disabled = object.flag("disable_parallel_tool_use")?;
    Ok(ReadChoice {
        choice: Some(At::new(choice, object.at().to_owned())),
        parallel: disabled.map(|disabled| At::new(!disabled.value, disabled.at)),
        rest: rest_of("tool_choice", object),
    })
}

/// Writes `tool_choice`. Without tools there is nothing to choose, and the API refuses a choice.
pub(super) fn write_choice(
    choice: Setting<ToolChoice>,
    parallel: Setting<bool>,
    has_tools: bool,
    same: bool,
    losses: &mut Losses,
) -> Option<Value> {
    if !has_tools && !same {
        let idle = |choice: &ToolChoice| matches!(choice, ToolChoice::Auto | ToolChoice::None);
        let reason = "without tools there is no choice";
        losses.dropped_setting(choice.filter(|choice| !idle(&choice.value)), reason);
        return None;
    }
    let mut object = match choice {
        Some(choice) => chosen(choice, same, losses),
        None => None,
    };
    if let Some(parallel) = parallel.filter(|parallel| same || !parallel.value) {
        let choice = object.get_or_insert_with(|| kind("auto"));
        if choice.get("type").is_some_and(|kind| kind != "none") {
            let disabled = Value::Bool(!parallel.value);
            choice.insert("disable_parallel_tool_use".to_owned(), disabled);
        }
    }
    object.map(Value::Object)
}

fn chosen(choice: At<ToolChoice>, same: bool, losses: &mut Losses) -> Option<Map<String, Value>> {
    let At { value, at } = choice;
    Some(match value {
        ToolChoice::Auto => kind("auto"),
        ToolChoice::None => kind("none"),
        ToolChoice::Required => kind("any"),
        ToolChoice::Function(name) => of_name(name),
        ToolChoice::Among { names, required } => {
            if let ([name], true) = (names.as_slice(), required) {
                return Some(of_name(name.clone()));
            }
            let reason = "the other API cannot choose among some of the tools";
            losses.approximated(at, reason);
            kind(if required { "any" } else { "auto" })
        }
        ToolChoice::Other(Value::Object(whole)) if same => whole,
        ToolChoice::Other(_) => {
            losses.dropped(at, "the other API has no such choice of tools");
            return None;
        }
    })
}

fn kind(word: &str) -> Map<String, Value> {
    let mut choice = Map::new();
    choice.insert("type".to_owned(), Value::String(word.to_owned()));
    choice
}

fn of_name(name: String) -> Map<String, Value> {
    let mut choice = kind("tool");
    choice.insert("name".to_owned(), Value::String(name));
    choice
}
