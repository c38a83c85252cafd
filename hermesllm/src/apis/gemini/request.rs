//! Requests.

use serde_json::{json, Map, Value};

use super::config::{self, Settings};
use super::content;
use super::members::{restore, Members, Reading};
use super::models::Model;
use super::parts::{Parts, Place};
use super::{tools, API};
use crate::apis::object::wrong;
use crate::apis::ReadError;
use crate::representation::{
    At, Losses, Part, PartKind, Request, Role, Setting, Tool, ToolChoice, Turn,
};

/// Takes the place of a signature that is not there, as the provider documents it for calls that
/// come from another model.
const NO_SIGNATURE: &str = "skip_thought_signature_validator";

/// Understands a request body. The model and whether the answer is streamed are in its path.
///
/// # Errors
/// [`ReadError`]: a member of the wrong type, or one that is missing.
pub fn read(body: Value) -> Result<Request, ReadError> {
    let mut body = Members::new(body, "", Reading::Strict)?;
    let model = body.text("model")?;
    let mut request = Request {
        api: Some(API),
        model: model.map(|model| model.value).unwrap_or_default(),
        ..Request::default()
    };
    if let Some(system) = body.take("systemInstruction") {
        request.turns.push(instruction(system)?);
    }
    let Some(contents) = body.many("contents")? else {
        return Err(body.missing("contents"));
    };
    for turn in contents {
        request.turns.push(read_turn(turn)?);
    }
    if let Some(list) = body.many("tools")? {
        request.tools = tools::read(list)?;
    }
    if let Some(own) = body.object("toolConfig")? {
        request.tool_choice = tools::read_choice(own, &mut request.extensions)?;
    }
    if let Some(own) = body.object("generationConfig")? {
        config::read(own, &mut request)?;
    }
    request.service_tier = body.text("serviceTier")?;
    request.metadata = body.map("labels")?;
    request.store = body.flag("store")?;
    request.extensions.extend(body.rest());
    Ok(request)
}

/// The role of the instruction says nothing.
fn instruction(system: At<Value>) -> Result<Turn, ReadError> {
    let At { value, at } = system;
    let mut own = Members::new(value, at.as_ref(), Reading::Strict)?;
    own.text("role")?;
    turn_of(Role::System, own, at)
}

fn read_turn(turn: At<Value>) -> Result<Turn, ReadError> {
    let At { value, at } = turn;
    let mut own = Members::new(value, at.as_ref(), Reading::Strict)?;
    let role = own.text("role")?.map(|role| role.value);
    let role = match role.as_deref() {
        Some("model") => Role::Assistant,
        Some("user" | "function" | "") | None => Role::User,
        Some(_) => return Err(wrong(own.pointer("role"), "must be user or model")),
    };
    turn_of(role, own, at)
}

fn turn_of(
    role: Role,
    mut own: Members,
    at: crate::representation::Pointer,
) -> Result<Turn, ReadError> {
    let parts = own.many("parts")?.unwrap_or_default();
    Ok(Turn {
        role,
        name: None,
        parts: content::read(parts, Reading::Strict)?,
        at,
        extensions: own.rest(),
    })
}

/// Writes a request body.
pub fn write(request: Request, losses: &mut Losses) -> Value {
    // Whether it streams is in the path, and usage comes always.
    let Request {
        api,
        model,
        stream: _,
        include_usage: _,
        turns,
        tools,
        tool_choice,
        parallel_tool_calls,
        max_output,
        sampling,
        stop,
        choices,
        logprobs,
        format,
        reasoning,
        verbosity,
        modalities,
        service_tier,
        metadata,
        user,
        cache_key,
        cache,
        store,
        previous,
        extensions,
    } = request;
    let same = api == Some(API);
    let mut body = Map::new();
    let (system, contents) = conversation(turns, &model, same, losses);
    let settings = Settings {
        max_output,
        sampling,
        stop,
        choices,
        logprobs,
        format,
        reasoning,
        modalities,
    };
    let config = config::write(settings, &model, same, losses);
    // It is in the path, but may be repeated.
    if same && !model.is_empty() {
        body.insert("model".to_owned(), model.into());
    }
    if let Some(system) = system {
        body.insert("systemInstruction".to_owned(), system);
    }
    body.insert("contents".to_owned(), contents.into());
    write_tools(tools, tool_choice, same, &mut body, losses);
    if !config.is_empty() {
        body.insert("generationConfig".to_owned(), config.into());
    }
    if let Some(tier) = service_tier.and_then(|tier| write_tier(tier, same, losses)) {
        body.insert("serviceTier".to_owned(), tier.into());
    }
    if same {
        if let Some(labels) = metadata {
            body.insert("labels".to_owned(), labels.value.into());
        }
        if let Some(store) = store {
            body.insert("store".to_owned(), store.value.into());
        }
    } else {
        let reason = "not every service of this API takes labels";
        losses.dropped_setting(metadata, reason);
        let store = store.filter(|store| store.value);
        losses.dropped_setting(store, "this API does not store answers");
    }
    let mut body = Value::Object(body);
    restore(&mut body, "", extensions, same, losses);

    let forbidden = parallel_tool_calls.filter(|allowed| !allowed.value);
    losses.dropped_setting(forbidden, "this API cannot forbid parallel calls");
    losses.dropped_setting(verbosity, "this API has no verbosity");
    losses.dropped_setting(user, "this API does not take who the user is");
    losses.dropped_setting(cache_key, "this API has no keys of caches");
    let reason = "this API caches by itself, or what was cached before";
    losses.dropped_setting(cache, reason);
    losses.dropped_setting(previous, "this API has no stored answers");
    body
}

/// The instruction and the contents.
fn conversation(
    turns: Vec<Turn>,
    model: &str,
    same: bool,
    losses: &mut Losses,
) -> (Option<Value>, Vec<Value>) {
    let mut parts = Parts::new(Place::Request, same, losses);
    if same {
        return own_conversation(turns, &mut parts);
    }
    let model = Model::named(model);
    parts.media_in_results = model.takes_media_in_results();
    foreign_conversation(turns, &model, &mut parts)
}

/// Of this API: every content stays as it was.
fn own_conversation(turns: Vec<Turn>, parts: &mut Parts<'_>) -> (Option<Value>, Vec<Value>) {
    let mut system = None;
    let mut contents = Vec::new();
    for turn in turns {
        let Turn {
            role,
            name,
            parts: own,
            at,
            extensions,
        } = turn;
        parts.losses.dropped_setting(name, NAMELESS);
        let mut written = Vec::new();
        parts.write(own, &mut written);
        let mut content = match role {
            Role::System | Role::Developer => json!({ "parts": written }),
            Role::Assistant => json!({"role": "model", "parts": written}),
            Role::User => json!({"role": "user", "parts": written}),
        };
        restore(&mut content, &at, extensions, true, parts.losses);
        match role {
            Role::System | Role::Developer => system = Some(content),
            Role::Assistant | Role::User => contents.push(content),
        }
    }
    (system, contents)
}

const NAMELESS: &str = "speakers have no names in this API";

/// Of another API: what one side says is one content, and functions' responses stand first in it,
/// right behind their calls.
fn foreign_conversation(
    turns: Vec<Turn>,
    model: &Model,
    parts: &mut Parts<'_>,
) -> (Option<Value>, Vec<Value>) {
    let mut system: Vec<Value> = Vec::new();
    let mut said_by_system = None;
    let mut merged: Vec<(&'static str, Vec<Part>)> = Vec::new();
    for turn in turns {
        let Turn {
            role,
            name,
            parts: own,
            at,
            extensions,
        } = turn;
        parts.losses.dropped_setting(name, NAMELESS);
        parts.losses.dropped_extensions(extensions);
        let role = match role {
            Role::System | Role::Developer if merged.is_empty() => {
                parts.write(own, &mut system);
                said_by_system.get_or_insert(at);
                continue;
            }
            Role::System | Role::Developer => {
                let reason = "a later system turn is written as the user's";
                parts.losses.approximated(at, reason);
                "user"
            }
            Role::Assistant => "model",
            Role::User => "user",
        };
        match merged.last_mut() {
            Some((last, before)) if *last == role => before.extend(own),
            _ => merged.push((role, own)),
        }
    }
    let mut contents: Vec<(&'static str, Vec<Value>)> = Vec::new();
    for (role, mut own) in merged {
        if role == "user" {
            // Keeps the order of both.
            own.sort_by_key(|part| !matches!(part.kind, PartKind::ToolResult(_)));
        }
        let mut written = Vec::new();
        parts.write(own, &mut written);
        if role == "model" && model.wants_signatures() {
            sign(&mut written);
        }
        if written.is_empty() {
            continue;
        }
        // What stood between may have come to nothing.
        match contents.last_mut() {
            Some((last, before)) if *last == role => before.append(&mut written),
            _ => contents.push((role, written)),
        }
    }
    if contents.is_empty() && !system.is_empty() {
        let reason = "instructions without a conversation are written as the user's";
        parts
            .losses
            .approximated(said_by_system.unwrap_or_default(), reason);
        contents.push(("user", std::mem::take(&mut system)));
    }
    let system = (!system.is_empty()).then(|| json!({ "parts": system }));
    let contents = contents.into_iter();
    let contents = contents.map(|(role, parts)| json!({"role": role, "parts": parts}));
    (system, contents.collect())
}

/// The first call of a turn has to have a signature.
fn sign(parts: &mut [Value]) {
    let call = parts
        .iter_mut()
        .filter_map(Value::as_object_mut)
        .find(|part| part.contains_key("functionCall"));
    if let Some(call) = call {
        call.entry("thoughtSignature")
            .or_insert_with(|| NO_SIGNATURE.into());
    }
}

fn write_tools(
    tools: Vec<Tool>,
    choice: Setting<ToolChoice>,
    same: bool,
    body: &mut Map<String, Value>,
    losses: &mut Losses,
) {
    let tools = tools::write(tools, same, losses);
    let has_functions = tools
        .iter()
        .any(|tool| tool.get("functionDeclarations").is_some());
    if !tools.is_empty() {
        body.insert("tools".to_owned(), tools.into());
    }
    let Some(choice) = choice else {
        return;
    };
    if !same && !has_functions {
        // Refused without functions; these two mean the same without them.
        if !matches!(choice.value, ToolChoice::Auto | ToolChoice::None) {
            losses.dropped(choice.at, "there are no functions to choose from");
        }
        return;
    }
    if let Some(choice) = tools::write_choice(choice, same, losses) {
        let config = json!({ "functionCallingConfig": choice });
        body.insert("toolConfig".to_owned(), config);
    }
}

fn write_tier(tier: At<String>, same: bool, losses: &mut Losses) -> Option<String> {
    let At { value, at } = tier;
    match value.as_str() {
        _ if same => Some(value),
        "flex" | "priority" => Some(value),
        // What a request gets that says nothing.
        "auto" | "default" | "standard" | "standard_only" => None,
        _ => {
            losses.dropped(at, "this API has no such class of service");
            None
        }
    }
}

#[cfg(test)]
mod tests;
