//! Messages: turns of a conversation.
//!
//! The place of a part says how it stood in its message: a result at `…/name` was a message of the
//! role `function`, a call at `…/function_call` the only one of the older form.

mod write;

use serde_json::Value;

use super::{content, extra, reasoning};
use crate::apis::object::{wrong, Object};
use crate::apis::ReadError;
use crate::representation::{
    At, Extension, Part, PartKind, Pointer, Role, ToolCall, ToolResult, Turn,
};

pub(super) use write::{put_parts, write};

/// Reads messages. Results that follow each other are one turn.
pub(super) fn read(messages: Vec<At<Value>>) -> Result<Vec<Turn>, ReadError> {
    let mut turns: Vec<Turn> = Vec::new();
    // Whether the last turn holds results alone, and takes more of them.
    let mut results = false;
    // Calls with free text for an argument, whose results are told apart in other APIs.
    let mut custom: Vec<String> = Vec::new();
    for message in messages {
        let mut object = Object::strict(message.value, message.at.clone())?;
        let Some(role) = object.text("role")? else {
            return Err(object.missing("role"));
        };
        match role.value.as_str() {
            "tool" | "function" => {
                let part = result(object, role.value == "function", &custom)?;
                match turns.last_mut() {
                    Some(turn) if results => turn.parts.push(part),
                    _ => turns.push(turn(Role::User, vec![part], message.at)),
                }
                results = true;
                continue;
            }
            "system" => turns.push(said(Role::System, object)?),
            "developer" => turns.push(said(Role::Developer, object)?),
            "user" => turns.push(said(Role::User, object)?),
            "assistant" => {
                let turn = answered(object)?;
                custom.extend(turn.parts.iter().filter_map(custom_call));
                turns.push(turn);
            }
            _ => return Err(wrong(role.at.into_owned(), "is no role")),
        }
        results = false;
    }
    Ok(turns)
}

fn custom_call(part: &Part) -> Option<String> {
    match &part.kind {
        PartKind::ToolCall(call) if call.custom => Some(call.id.clone()),
        _ => None,
    }
}

fn turn(role: Role, parts: Vec<Part>, at: impl Into<Pointer>) -> Turn {
    Turn {
        role,
        name: None,
        parts,
        at: at.into(),
        extensions: Vec::new(),
    }
}

fn said(role: Role, mut object: Object) -> Result<Turn, ReadError> {
    let mut own = turn(role, Vec::new(), object.at().to_owned());
    own.name = object.text("name")?;
    own.extensions = empty(&mut object);
    if let Some(said) = object.take("content") {
        own.parts = content::read(said, false)?;
    }
    mark(&mut object, &mut own.parts);
    own.extensions.extend(object.rest());
    Ok(own)
}

fn answered(mut object: Object) -> Result<Turn, ReadError> {
    let mut own = turn(Role::Assistant, Vec::new(), object.at().to_owned());
    own.name = object.text("name")?;
    own.extensions = empty(&mut object);
    own.parts = parts_of_answer(&mut object, false)?;
    mark(&mut object, &mut own.parts);
    audio(&mut object, &mut own.parts)?;
    own.extensions.extend(object.rest());
    Ok(own)
}

/// Takes members that are there and empty, and mean nothing.
fn empty(object: &mut Object) -> Vec<Extension> {
    let mut all = Vec::new();
    for (key, nothing) in [
        ("content", Value::Array(Vec::new())),
        ("tool_calls", Value::Array(Vec::new())),
        ("reasoning_content", "".into()),
        ("reasoning", "".into()),
        ("refusal", "".into()),
    ] {
        if object.peek(key) == Some(&nothing) {
            object.take(key);
            all.push(extra::silent(key, nothing));
        }
    }
    all
}

/// Some clients mark a whole message: it is worth caching up to its end.
fn mark(object: &mut Object, parts: &mut [Part]) {
    if let Some(last) = parts.last_mut().filter(|last| last.cache.is_none()) {
        last.cache = content::cache(object);
    }
}

/// What the model said aloud before, by its identifier.
fn audio(object: &mut Object, parts: &mut Vec<Part>) -> Result<(), ReadError> {
    use crate::representation::Blob;
    let Some(mut audio) = object.object("audio")? else {
        return Ok(());
    };
    let at = audio.at().to_owned();
    if let Some(id) = audio.text("id")? {
        let kind = PartKind::Audio {
            source: Blob::File {
                id: id.value,
                media_type: None,
            },
            transcript: None,
        };
        let mut part = Part::new(kind, at);
        part.extensions = audio.rest();
        parts.push(part);
    }
    Ok(())
}

/// The parts of what a model said: thoughts, content, refusal, calls. `lenient`: of an answer.
pub(super) fn parts_of_answer(object: &mut Object, lenient: bool) -> Result<Vec<Part>, ReadError> {
    let mut parts = reasoning::read(object);
    if let Some(said) = object.take("content") {
        parts.extend(content::read(said, lenient)?);
    }
    if let Some(refusal) = object.text("refusal")? {
        parts.push(Part::new(PartKind::Refusal(refusal.value), refusal.at));
    }
    for call in object.list("tool_calls")?.unwrap_or_default() {
        let call = object.item(call)?;
        parts.push(read_call(call)?);
    }
    if let Some(mut call) = object.object("function_call")? {
        let at = call.at().to_owned();
        let name = call.text("name")?.map(|name| name.value);
        let kind = PartKind::ToolCall(ToolCall {
            id: String::new(),
            name: name.unwrap_or_default(),
            arguments: arguments(call.take("arguments")),
            custom: false,
            by_provider: false,
        });
        let mut part = Part::new(kind, at);
        part.extensions = extra::inside("function_call", call);
        parts.push(part);
    }
    sign(object, &mut parts);
    Ok(parts)
}

/// A signature of the whole message belongs to its first call, or else to its text.
fn sign(object: &mut Object, parts: &mut [Part]) {
    let is_call = |part: &Part| matches!(part.kind, PartKind::ToolCall(_));
    let is_text = |part: &Part| matches!(part.kind, PartKind::Text { .. });
    let place = parts.iter().position(is_call);
    let place = place.or_else(|| parts.iter().rposition(is_text));
    let Some(part) = place.and_then(|place| parts.get_mut(place)) else {
        return;
    };
    if part.signature.is_some() {
        return;
    }
    if let Some((signature, left)) = content::signature(object) {
        // An older form of the same.
        if object.peek_text("thought_signature") == Some(&signature) {
            object.take("thought_signature");
        }
        part.signature = Some(signature);
        part.extensions.extend(left);
    }
}

/// Some providers write an object where the API has its text.
fn arguments(found: Option<At<Value>>) -> String {
    match found {
        Some(At {
            value: Value::String(text),
            ..
        }) => text,
        Some(At { value, .. }) => value.to_string(),
        None => String::new(),
    }
}

fn read_call(mut object: Object) -> Result<Part, ReadError> {
    let at = object.at().to_owned();
    let id = object.text("id")?.map(|id| id.value).unwrap_or_default();
    let custom = object.peek_text("type") == Some("custom");
    object.take("type");
    // Its place says it.
    let index = object.take("index");
    let (member, text) = forms(custom);
    let (mut name, mut input, mut rest) = (String::new(), String::new(), Vec::new());
    if let Some(mut own) = object.object(member)? {
        name = own.text("name")?.map(|name| name.value).unwrap_or_default();
        input = arguments(own.take(text));
        rest = extra::inside(member, own);
    }
    let kind = PartKind::ToolCall(ToolCall {
        id,
        name,
        arguments: input,
        custom,
        by_provider: false,
    });
    let mut part = Part::new(kind, at);
    part.cache = content::cache(&mut object);
    if let Some((signature, left)) = content::signature(&mut object) {
        part.signature = Some(signature);
        part.extensions = left;
    }
    part.extensions.extend(rest);
    part.extensions
        .extend(index.map(|index| extra::silent("index", index.value)));
    part.extensions.extend(object.rest());
    Ok(part)
}

/// What a call is called, and what its arguments are.
pub(super) fn forms(custom: bool) -> (&'static str, &'static str) {
    if custom {
        ("custom", "input")
    } else {
        ("function", "arguments")
    }
}

fn result(mut object: Object, is_function: bool, custom: &[String]) -> Result<Part, ReadError> {
    let at: Pointer = if is_function {
        object.pointer("name").into()
    } else {
        object.at().to_owned().into()
    };
    let call_id = object.text("tool_call_id")?.map(|id| id.value);
    let call_id = call_id.unwrap_or_default();
    let name = object.text("name")?.map(|name| name.value);
    let parts = match object.take("content") {
        Some(At {
            value: Value::String(text),
            ..
        }) if text.is_empty() => Vec::new(),
        Some(said) => content::read(said, false)?,
        None => Vec::new(),
    };
    let cache = content::cache(&mut object);
    let kind = PartKind::ToolResult(ToolResult {
        custom: custom.contains(&call_id),
        call_id,
        name,
        parts,
        structured: None,
        is_error: false,
    });
    let mut part = Part::new(kind, at);
    part.cache = cache;
    part.extensions = object.rest();
    Ok(part)
}

/// Whether a place ends like this.
fn ends_with(at: &str, member: &str) -> bool {
    at.rsplit('/').next() == Some(member)
}

/// Whether a place is that of an item of this list: `…/content/3`.
fn is_item_of(at: &str, list: &str) -> bool {
    let mut way = at.rsplit('/');
    let number = way.next().is_some_and(|end| end.parse::<u32>().is_ok());
    number && way.next() == Some(list)
}

#[cfg(test)]
mod tests;
