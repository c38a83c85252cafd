//! Messages: turns of a conversation.

use std::collections::VecDeque;

use serde_json::{json, Map, Value};

use super::{content, reasoning};
use crate::apis::object::{put, put_extensions, wrong, Object};
use crate::apis::ReadError;
use crate::representation::{
    At, Extension, Losses, Part, PartKind, Role, ToolCall, ToolResult, Turn,
};

/// Reads messages. Results that follow each other are one turn.
pub(super) fn read(messages: Vec<At<Value>>) -> Result<Vec<Turn>, ReadError> {
    let mut turns: Vec<Turn> = Vec::new();
    // Whether the last turn holds results alone, and takes more of them.
    let mut results = false;
    for message in messages {
        let mut object = Object::strict(message.value, message.at.clone())?;
        let Some(role) = object.text("role")? else {
            return Err(object.missing("role"));
        };
        match role.value.as_str() {
            "tool" | "function" => {
                let part = result(object, role.value == "function")?;
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
            "assistant" => turns.push(answered(object)?),
            _ => return Err(wrong(role.at.into_owned(), "is no role")),
        }
        results = false;
    }
    Ok(turns)
}

fn turn(role: Role, parts: Vec<Part>, at: impl Into<crate::representation::Pointer>) -> Turn {
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
    if let Some(said) = object.take("content") {
        own.parts = content::read(said, false)?;
    }
    // Some clients mark the whole message.
    if let Some(hint) = content::cache(&mut object) {
        if let Some(last) = own.parts.last_mut() {
            last.cache = Some(hint);
        }
    }
    own.extensions = object.rest();
    Ok(own)
}

fn answered(mut object: Object) -> Result<Turn, ReadError> {
    let mut own = turn(Role::Assistant, Vec::new(), object.at().to_owned());
    own.name = object.text("name")?;
    own.parts = parts_of_answer(&mut object, false)?;
    own.extensions = object.rest();
    Ok(own)
}

/// The parts of what a model said: thoughts, content, refusal, calls.
pub(super) fn parts_of_answer(object: &mut Object, lenient: bool) -> Result<Vec<Part>, ReadError> {
    let mut parts = reasoning::read(object);
    if let Some(said) = object.take("content") {
        parts.extend(content::read(said, lenient)?);
    }
    if let Some(refusal) = object
        .text("refusal")?
        .filter(|text| !text.value.is_empty())
    {
        parts.push(Part::new(PartKind::Refusal(refusal.value), refusal.at));
    }
    for call in object.list("tool_calls")?.unwrap_or_default() {
        let call = object.item(call)?;
        parts.push(read_call(call)?);
    }
    // Snowflake's answers have all members, empty.
    let is_empty = |call: &Value| call.get("name").is_none_or(|name| name == "");
    if object.peek("function_call").is_some_and(is_empty) {
        object.take("function_call");
    }
    if let Some(mut call) = object.object("function_call")? {
        let at = call.at().to_owned();
        let name = call.text("name")?.map(|name| name.value);
        let arguments = call.text("arguments")?.map(|text| text.value);
        let kind = PartKind::ToolCall(ToolCall {
            id: String::new(),
            name: name.unwrap_or_default(),
            arguments: arguments.unwrap_or_default(),
            custom: false,
            by_provider: false,
        });
        let mut part = Part::new(kind, at);
        part.extensions = call.rest();
        parts.push(part);
    }
    Ok(parts)
}

fn read_call(mut object: Object) -> Result<Part, ReadError> {
    let at = object.at().to_owned();
    let id = object.text("id")?.map(|id| id.value).unwrap_or_default();
    let custom = object.peek_text("type") == Some("custom");
    object.take("type");
    object.take("index");
    let own = object.object(if custom { "custom" } else { "function" })?;
    let (mut name, mut arguments, mut rest) = (String::new(), String::new(), Vec::new());
    if let Some(mut own) = own {
        name = own.text("name")?.map(|name| name.value).unwrap_or_default();
        let text = if custom { "input" } else { "arguments" };
        // Some providers write an object where the API has its text.
        arguments = match own.take(text) {
            Some(At {
                value: Value::String(text),
                ..
            }) => text,
            Some(At { value, .. }) => value.to_string(),
            None => String::new(),
        };
        rest = own.rest();
    }
    let kind = PartKind::ToolCall(ToolCall {
        id,
        name,
        arguments,
        custom,
        by_provider: false,
    });
    let mut part = Part::new(kind, at);
    part.cache = content::cache(&mut object);
    part.signature = google_signature(&mut object);
    part.extensions = object.rest();
    part.extensions
        .extend(rest.into_iter().map(|extension| Extension {
            name: format!("{INSIDE}{}", extension.name),
            ..extension
        }));
    Ok(part)
}

/// How members of `function` are named among the extensions of a call.
const INSIDE: &str = "function/";

/// `extra_content.google.thought_signature`, as Gemini's own chat API has it.
fn google_signature(object: &mut Object) -> Option<String> {
    let extra = object.peek("extra_content")?.as_object()?;
    let google = extra.get("google")?.as_object()?;
    let signature = google.get("thought_signature")?.as_str()?.to_owned();
    if extra.len() == 1 && google.len() == 1 {
        object.take("extra_content");
    }
    Some(signature)
}

fn result(mut object: Object, is_function: bool) -> Result<Part, ReadError> {
    let at = object.at().to_owned();
    let call_id = object.text("tool_call_id")?.map(|id| id.value);
    let name = object.text("name")?.map(|name| name.value);
    let parts = match object.take("content") {
        Some(said) => content::read(said, false)?,
        None => Vec::new(),
    };
    // Without an identifier it answers the next call that has none.
    let name = name.or_else(|| (call_id.is_none() && is_function).then(String::new));
    let cache = content::cache(&mut object);
    let kind = PartKind::ToolResult(ToolResult {
        call_id: call_id.unwrap_or_default(),
        name,
        parts,
        structured: None,
        is_error: false,
        custom: false,
    });
    let mut part = Part::new(kind, at);
    part.cache = cache;
    part.extensions = object.rest();
    Ok(part)
}

/// Identifiers for calls that have none: by their place in the conversation, so that they are the
/// same in every turn of it.
#[derive(Default)]
struct Ids {
    next: usize,
    /// Those that wait for their results, with the tool's name.
    open: VecDeque<(String, String)>,
}

impl Ids {
    fn of_call(&mut self, call: &ToolCall) -> String {
        if !call.id.is_empty() {
            return call.id.clone();
        }
        let id = format!("call_{}", self.next);
        self.next += 1;
        self.open.push_back((id.clone(), call.name.clone()));
        id
    }

    fn of_result(&mut self, result: &ToolResult) -> String {
        if !result.call_id.is_empty() {
            return result.call_id.clone();
        }
        let named =
            |(_, name): &(String, String)| result.name.as_ref().is_none_or(|wanted| wanted == name);
        let at = self.open.iter().position(named).unwrap_or(0);
        self.open.remove(at).map(|(id, _)| id).unwrap_or_default()
    }
}

/// Writes turns as messages.
pub(super) fn write(turns: Vec<Turn>, same: bool, losses: &mut Losses) -> Vec<Value> {
    let mut messages = Vec::new();
    let mut ids = Ids::default();
    for turn in turns {
        match turn.role {
            Role::Assistant => messages.push(write_answer(turn, same, &mut ids, losses)),
            Role::User => write_user(turn, same, &mut ids, &mut messages, losses),
            Role::System | Role::Developer => messages.extend(write_said(turn, same, losses)),
        }
    }
    messages
}

fn write_said(turn: Turn, same: bool, losses: &mut Losses) -> Option<Value> {
    let Turn {
        role,
        name,
        parts,
        at: _,
        extensions,
    } = turn;
    let role = match role {
        Role::System => "system",
        Role::Developer => "developer",
        Role::User => "user",
        Role::Assistant => "assistant",
    };
    let said = content::write(parts, same, losses);
    if said.is_none() && !same {
        return None;
    }
    let mut message = Map::new();
    message.insert("role".to_owned(), role.into());
    put(&mut message, "content", said);
    put(&mut message, "name", name.map(|name| name.value));
    put_extensions(&mut message, extensions, same, &[], losses);
    Some(message.into())
}

fn write_user(
    turn: Turn,
    same: bool,
    ids: &mut Ids,
    messages: &mut Vec<Value>,
    losses: &mut Losses,
) {
    let is_result = |part: &Part| matches!(part.kind, PartKind::ToolResult(_));
    let (results, others): (Vec<Part>, Vec<Part>) = turn.parts.into_iter().partition(is_result);
    let only_results = !results.is_empty() && others.is_empty();
    // This API's results hold text: what else there is follows them as the user's.
    let mut beside = Vec::new();
    for part in results {
        messages.push(write_result(part, same, ids, &mut beside, losses));
    }
    beside.extend(others);
    if only_results && beside.is_empty() {
        return;
    }
    let rest = Turn {
        parts: beside,
        ..turn
    };
    messages.extend(write_said(rest, same, losses));
}

fn write_result(
    part: Part,
    same: bool,
    ids: &mut Ids,
    beside: &mut Vec<Part>,
    losses: &mut Losses,
) -> Value {
    let Part {
        kind,
        cache,
        signature: _,
        at,
        extensions,
    } = part;
    let mut message = Map::new();
    let PartKind::ToolResult(result) = kind else {
        return message.into();
    };
    let is_function = same && result.call_id.is_empty() && result.name.is_some();
    let id = ids.of_result(&result);
    let ToolResult {
        call_id: _,
        name,
        mut parts,
        structured,
        is_error,
        custom: _,
    } = result;
    message.insert(
        "role".to_owned(),
        if is_function { "function" } else { "tool" }.into(),
    );
    if !(is_function || same && id.is_empty()) {
        message.insert("tool_call_id".to_owned(), id.into());
    }
    if same {
        put(&mut message, "name", name.filter(|name| !name.is_empty()));
    }
    if !same {
        let is_text = |part: &Part| matches!(part.kind, PartKind::Text { .. });
        let (texts, media): (Vec<Part>, Vec<Part>) = parts.into_iter().partition(is_text);
        if !media.is_empty() {
            losses.approximated(
                at.clone(),
                "what is no text in a result follows as the user's",
            );
            beside.extend(media);
        }
        parts = texts;
        if is_error {
            losses.approximated(at.clone(), "this API does not tell failed results apart");
        }
    }
    let said = content::write(parts, same, losses);
    let said = said.or_else(|| structured.map(|value| value.to_string().into()));
    if same {
        put(&mut message, "content", said);
    } else {
        message.insert("content".to_owned(), said.unwrap_or_else(|| "".into()));
    }
    match cache {
        Some(hint) if same => {
            message.insert("cache_control".to_owned(), content::cache_control(hint));
        }
        Some(_) => losses.dropped(at, "this API caches by itself"),
        None => {}
    }
    put_extensions(&mut message, extensions, same, &[], losses);
    message.into()
}

fn write_answer(turn: Turn, same: bool, ids: &mut Ids, losses: &mut Losses) -> Value {
    let Turn {
        role: _,
        name,
        parts,
        at: _,
        extensions,
    } = turn;
    let mut message = Map::new();
    message.insert("role".to_owned(), "assistant".into());
    let mut call_id = |call: &ToolCall| ids.of_call(call);
    write_parts(&mut message, parts, same, &mut call_id, losses);
    put(&mut message, "name", name.map(|name| name.value));
    put_extensions(&mut message, extensions, same, &[], losses);
    message.into()
}

/// Writes what a model said into its message.
pub(super) fn write_parts(
    message: &mut Map<String, Value>,
    parts: Vec<Part>,
    same: bool,
    call_id: &mut dyn FnMut(&ToolCall) -> String,
    losses: &mut Losses,
) {
    let (mut said, mut calls, mut thoughts) = (Vec::new(), Vec::new(), Vec::new());
    let mut refusals: Vec<String> = Vec::new();
    for part in parts {
        match part.kind {
            PartKind::Refusal(ref text) if part.at.ends_with("/refusal") || !same => {
                refusals.push(text.clone());
            }
            PartKind::ToolCall(ref call) if call.by_provider => {
                losses.dropped(part.at, "this API does not show the provider's own tools");
            }
            PartKind::ToolCall(call) if same && call.id.is_empty() => {
                let legacy = json!({"name": call.name, "arguments": call.arguments});
                message.insert("function_call".to_owned(), legacy);
            }
            PartKind::ToolCall(ref call) => {
                let id = call_id(call);
                calls.push(write_call(part, id, same, losses));
            }
            PartKind::Reasoning(own) if !(same && is_item_of(&part.at, "content")) => {
                thoughts.push(At::new(own, part.at));
            }
            _ => said.push(part),
        }
    }
    reasoning::write(message, thoughts, same, losses);
    let said = content::write(said, same, losses);
    let empty = said.is_none() && calls.is_empty() && !message.contains_key("function_call");
    match said {
        Some(said) => {
            message.insert("content".to_owned(), said);
        }
        // Required where there is nothing else.
        None if !same && empty && refusals.is_empty() => {
            message.insert("content".to_owned(), "".into());
        }
        None => {}
    }
    if !refusals.is_empty() {
        message.insert("refusal".to_owned(), refusals.concat().into());
    }
    if !calls.is_empty() {
        message.insert("tool_calls".to_owned(), calls.into());
    }
}

/// Whether a place is that of an item of this list: `…/content/3`.
fn is_item_of(at: &str, list: &str) -> bool {
    let mut segments = at.rsplit('/');
    let number = segments
        .next()
        .is_some_and(|end| end.parse::<u32>().is_ok());
    number && segments.next() == Some(list)
}

fn write_call(part: Part, id: String, same: bool, losses: &mut Losses) -> Value {
    let Part {
        kind,
        cache,
        signature,
        at,
        extensions,
    } = part;
    let PartKind::ToolCall(call) = kind else {
        return Value::Null;
    };
    let ToolCall {
        id: _,
        name,
        arguments,
        custom,
        by_provider: _,
    } = call;
    let mut own = Map::new();
    own.insert("name".to_owned(), name.into());
    let (kind, text) = if custom {
        ("custom", "input")
    } else {
        ("function", "arguments")
    };
    let arguments = if arguments.is_empty() && !custom && !same {
        "{}".to_owned()
    } else {
        arguments
    };
    own.insert(text.to_owned(), arguments.into());
    let mut object = Map::new();
    object.insert("id".to_owned(), id.into());
    object.insert("type".to_owned(), kind.into());
    let mut others = Vec::new();
    for extension in extensions {
        match extension.name.strip_prefix(INSIDE) {
            Some(name) if same => {
                own.insert(name.to_owned(), extension.value);
            }
            _ => others.push(extension),
        }
    }
    object.insert(kind.to_owned(), own.into());
    if let Some(signature) = signature {
        let extra = json!({"google": {"thought_signature": signature}});
        object.insert("extra_content".to_owned(), extra);
    }
    match cache {
        Some(hint) if same => {
            object.insert("cache_control".to_owned(), content::cache_control(hint));
        }
        Some(_) => losses.dropped(at, "this API caches by itself"),
        None => {}
    }
    put_extensions(&mut object, others, same, &[], losses);
    object.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(messages: Value) -> Vec<Turn> {
        let Value::Array(list) = messages else {
            panic!("a list");
        };
        read(crate::apis::object::items(list, "/messages")).unwrap()
    }

    #[test]
    fn results_that_follow_each_other_are_one_turn_and_come_back_as_they_were() {
        let messages = json!([
            {"role": "user", "content": "two, please"},
            {"role": "assistant", "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                {"id": "b", "type": "function", "function": {"name": "f", "arguments": "{ not json"}}]},
            {"role": "tool", "tool_call_id": "a", "content": "1"},
            {"role": "tool", "tool_call_id": "b", "content": "2"},
            {"role": "user", "content": [{"type": "text", "text": "and"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]}
        ]);
        let turns = turns(messages.clone());
        assert_eq!(turns.len(), 4);
        assert_eq!(turns[2].parts.len(), 2);
        let mut losses = Losses::new();
        assert_eq!(Value::from(write(turns, true, &mut losses)), messages);
        assert!(losses.is_empty());
    }

    #[test]
    fn calls_without_an_id_get_one_by_their_place() {
        let call = |name: &str| {
            Part::new(
                PartKind::ToolCall(ToolCall {
                    id: String::new(),
                    name: name.to_owned(),
                    arguments: "{}".to_owned(),
                    custom: false,
                    by_provider: false,
                }),
                "/x",
            )
        };
        let answer = |name: &str| {
            Part::new(
                PartKind::ToolResult(ToolResult {
                    call_id: String::new(),
                    name: Some(name.to_owned()),
                    parts: vec![Part::text("ok", "/x")],
                    structured: None,
                    is_error: false,
                    custom: false,
                }),
                "/x",
            )
        };
        let turns = vec![
            turn(Role::Assistant, vec![call("f"), call("g")], "/0"),
            turn(Role::User, vec![answer("g"), answer("f")], "/1"),
        ];
        let messages = Value::from(write(turns, false, &mut Losses::new()));
        assert_eq!(messages[0]["tool_calls"][1]["id"], "call_1");
        assert_eq!(messages[1]["tool_call_id"], "call_1");
        assert_eq!(messages[2]["tool_call_id"], "call_0");
    }
}
