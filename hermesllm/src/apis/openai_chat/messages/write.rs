//! Messages, written.

use std::collections::VecDeque;

use serde_json::{json, Map, Value};

use super::super::{content, extra, reasoning};
use super::{ends_with, forms, is_item_of};
use crate::apis::object;
use crate::representation::{
    Blob, Losses, Part, PartKind, Role, Setting, ToolCall, ToolResult, Turn,
};

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
pub(in crate::apis::openai_chat) fn write(
    turns: Vec<Turn>,
    same: bool,
    losses: &mut Losses,
) -> Vec<Value> {
    let turns = if same { turns } else { merged(turns) };
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

/// Turns of the model that follow each other, as one: this API wants all calls in one message,
/// before their results.
fn merged(turns: Vec<Turn>) -> Vec<Turn> {
    let mut all: Vec<Turn> = Vec::new();
    for turn in turns {
        match all.last_mut() {
            Some(last)
                if last.role == Role::Assistant
                    && turn.role == Role::Assistant
                    && value(&last.name) == value(&turn.name) =>
            {
                last.parts.extend(turn.parts);
                last.extensions.extend(turn.extensions);
            }
            _ => all.push(turn),
        }
    }
    all
}

fn value(name: &Setting<String>) -> Option<&str> {
    name.as_ref().map(|name| name.value.as_str())
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
    let mut message = Map::new();
    message.insert("role".to_owned(), role.into());
    content::put(&mut message, parts, same, losses);
    if !same && !message.contains_key("content") {
        losses.dropped_extensions(extensions);
        return None;
    }
    object::put(&mut message, "name", name.map(|name| name.value));
    extra::put(&mut message, extensions, same, &[], losses);
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
        losses.dropped_extensions(turn.extensions);
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
        signature,
        at,
        extensions,
    } = part;
    let mut message = Map::new();
    let PartKind::ToolResult(result) = kind else {
        return message.into();
    };
    let is_function = same && ends_with(&at, "name");
    let id = if same {
        result.call_id.clone()
    } else {
        ids.of_result(&result)
    };
    let ToolResult {
        call_id: _,
        name,
        mut parts,
        structured,
        is_error,
        // All calls are answered alike here.
        custom: _,
    } = result;
    let role = if is_function { "function" } else { "tool" };
    message.insert("role".to_owned(), role.into());
    if !same || !id.is_empty() {
        message.insert("tool_call_id".to_owned(), id.into());
    }
    if same {
        object::put(&mut message, "name", name);
    } else {
        // What is no text in a result.
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
    let is_none = parts.is_empty();
    content::put(&mut message, parts, same, losses);
    if let Some(value) = structured.filter(|_| is_none) {
        message.insert("content".to_owned(), value.to_string().into());
    }
    message.entry("content").or_insert("".into());
    match cache {
        Some(hint) if same => {
            message.insert("cache_control".to_owned(), content::cache_control(hint));
        }
        Some(_) => losses.dropped(at.clone(), "this API caches by itself"),
        None => {}
    }
    if signature.is_some() {
        losses.dropped(at, "this API has no place for a signature here");
    }
    extra::put(&mut message, extensions, same, &[], losses);
    message.into()
}

fn write_answer(turn: Turn, same: bool, ids: &mut Ids, losses: &mut Losses) -> Value {
    let Turn {
        role: _,
        name,
        mut parts,
        at: _,
        extensions,
    } = turn;
    let mut message = Map::new();
    message.insert("role".to_owned(), "assistant".into());
    spoken(&mut message, &mut parts, same, losses);
    let mut call_id = |call: &ToolCall| {
        if same {
            call.id.clone()
        } else {
            ids.of_call(call)
        }
    };
    put_parts(&mut message, parts, same, &mut call_id, losses);
    object::put(&mut message, "name", name.map(|name| name.value));
    extra::put(&mut message, extensions, same, &[], losses);
    message.into()
}

/// What the model said aloud, which the provider knows by its identifier.
fn spoken(
    message: &mut Map<String, Value>,
    parts: &mut Vec<Part>,
    same: bool,
    losses: &mut Losses,
) {
    let id = |part: &Part| match &part.kind {
        PartKind::Audio {
            source: Blob::File { id, .. },
            ..
        } if same => Some(id.clone()),
        _ => None,
    };
    let Some(place) = parts.iter().position(|part| id(part).is_some()) else {
        return;
    };
    let part = parts.remove(place);
    let mut audio = Map::new();
    object::put(&mut audio, "id", id(&part));
    extra::put(&mut audio, part.extensions, same, &[], losses);
    message.insert("audio".to_owned(), audio.into());
}

/// Writes what a model said into its message.
pub(in crate::apis::openai_chat) fn put_parts(
    message: &mut Map<String, Value>,
    parts: Vec<Part>,
    same: bool,
    call_id: &mut dyn FnMut(&ToolCall) -> String,
    losses: &mut Losses,
) {
    let (mut said, mut calls, mut thoughts) = (Vec::new(), Vec::new(), Vec::new());
    let mut refusals: Vec<String> = Vec::new();
    // What this message tells apart had an order.
    let (mut has_said, mut has_called) = (false, false);
    for mut part in parts {
        match &part.kind {
            PartKind::ToolCall(call) if call.by_provider => {
                losses.dropped(part.at, "this API does not show the provider's own tools");
                continue;
            }
            PartKind::Reasoning(_) if !same && (has_said || has_called) => {
                losses.approximated(part.at.clone(), "thoughts stand before all else here");
            }
            PartKind::Text { .. } if !same && has_called => {
                losses.approximated(part.at.clone(), "text stands before calls here");
            }
            _ => {}
        }
        match part.kind {
            PartKind::Refusal(text) if ends_with(&part.at, "refusal") || !same => {
                refusals.push(text);
                has_said = true;
            }
            PartKind::ToolCall(call) if same && ends_with(&part.at, "function_call") => {
                let older = json!({"name": call.name, "arguments": call.arguments});
                message.insert("function_call".to_owned(), older);
                extra::put(message, part.extensions, same, &[], losses);
            }
            PartKind::ToolCall(call) => {
                let id = call_id(&call);
                part.kind = PartKind::ToolCall(call);
                calls.push(write_call(part, id, same, losses));
                has_called = true;
            }
            PartKind::Reasoning(_) if !(same && is_item_of(&part.at, "content")) => {
                thoughts.push(part);
            }
            PartKind::Text { .. } => {
                has_said = true;
                if let Some(signature) = part.signature.take() {
                    message.insert("extra_content".to_owned(), google(&signature));
                    if same {
                        let (left, own) = std::mem::take(&mut part.extensions)
                            .into_iter()
                            .partition(|own| own.name.starts_with("extra_content/"));
                        part.extensions = own;
                        extra::put(message, left, same, &[], losses);
                    }
                }
                said.push(part);
            }
            _ => said.push(part),
        }
    }
    reasoning::write(message, thoughts, same, losses);
    content::put(message, said, same, losses);
    let is_empty = ["content", "function_call", "audio"]
        .iter()
        .all(|member| !message.contains_key(*member));
    // Required where there is nothing else.
    if !same && is_empty && calls.is_empty() && refusals.is_empty() {
        message.insert("content".to_owned(), "".into());
    }
    if !refusals.is_empty() {
        message.insert("refusal".to_owned(), refusals.concat().into());
    }
    if !calls.is_empty() {
        message.insert("tool_calls".to_owned(), calls.into());
    }
}

fn google(signature: &str) -> Value {
    json!({"google": {"thought_signature": signature}})
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
    let (kind, text) = forms(custom);
    let arguments = if arguments.is_empty() && !custom && !same {
        "{}".to_owned()
    } else {
        arguments
    };
    own.insert(text.to_owned(), arguments.into());
    let mut object = Map::new();
    if !same || !id.is_empty() {
        object.insert("id".to_owned(), id.into());
    }
    object.insert("type".to_owned(), kind.into());
    object.insert(kind.to_owned(), own.into());
    let signature = signature.map(|signature| google(&signature));
    object::put(&mut object, "extra_content", signature);
    match cache {
        Some(hint) if same => {
            object.insert("cache_control".to_owned(), content::cache_control(hint));
        }
        Some(_) => losses.dropped(at, "this API caches by itself"),
        None => {}
    }
    extra::put(&mut object, extensions, same, &[], losses);
    object.into()
}
