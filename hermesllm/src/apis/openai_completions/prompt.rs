//! The prompt, and conversations as one.

use serde_json::Value;

use crate::apis::object::{wrong, Object};
use crate::apis::ReadError;
use crate::representation::{At, Blob, Losses, Part, PartKind, Role, ToolCall, ToolResult, Turn};

/// Reads a prompt; several, or tokens, are left as they are.
pub(super) fn read(object: &mut Object) -> Result<Vec<Turn>, ReadError> {
    let is_lone = match object.peek("prompt") {
        Some(Value::String(_)) => true,
        Some(Value::Array(list)) => matches!(list.as_slice(), [Value::String(_)]),
        Some(_) => {
            let reason = "must be a text or a list of texts or tokens";
            return Err(wrong(object.pointer("prompt"), reason));
        }
        None => false,
    };
    if !is_lone {
        return Ok(Vec::new());
    }
    let Some(At { value, at }) = object.take("prompt") else {
        return Ok(Vec::new());
    };
    let part = match value {
        Value::String(text) => Part::text(text, at.clone()),
        Value::Array(mut list) => match list.pop() {
            Some(Value::String(text)) => Part::text(text, format!("{at}/0")),
            _ => return Ok(Vec::new()),
        },
        _ => return Ok(Vec::new()),
    };
    Ok(vec![Turn {
        role: Role::User,
        name: None,
        parts: vec![part],
        at,
        extensions: Vec::new(),
    }])
}

/// Writes turns as a prompt.
pub(super) fn write(turns: Vec<Turn>, same: bool, losses: &mut Losses) -> Option<Value> {
    if let (true, [turn]) = (same, turns.as_slice()) {
        if let [Part {
            kind: PartKind::Text { text, .. },
            at,
            ..
        }] = turn.parts.as_slice()
        {
            let text = Value::from(text.as_str());
            return Some(if at == "/prompt/0" {
                Value::Array(vec![text])
            } else {
                text
            });
        }
    }
    let is_lone = matches!(turns.as_slice(), [turn] if turn.role == Role::User);
    if let (false, Some(first)) = (is_lone, turns.first()) {
        losses.approximated(first.at.clone(), "a conversation becomes one text");
    }
    let answers_next = turns
        .last()
        .is_some_and(|turn| turn.role != Role::Assistant);
    let mut said = Vec::new();
    for turn in turns {
        said_in(turn, is_lone, &mut said, losses);
    }
    if said.is_empty() {
        return None;
    }
    if !is_lone && answers_next {
        said.push("Assistant:".to_owned());
    }
    Some(said.join("\n\n").into())
}

/// What is said in a turn; results of tools are paragraphs of their own.
fn said_in(turn: Turn, is_lone: bool, said: &mut Vec<String>, losses: &mut Losses) {
    let Turn {
        role,
        name,
        parts,
        at,
        extensions,
    } = turn;
    losses.dropped_extensions(extensions);
    losses.dropped_setting(name, "this API has no names of speakers");
    let who = match role {
        Role::System | Role::Developer => "System",
        Role::User => "User",
        Role::Assistant => "Assistant",
    };
    let mut texts = Vec::new();
    for part in parts {
        match part.kind {
            PartKind::ToolResult(result) => {
                let reason = "what a tool answered becomes text";
                losses.approximated(part.at.clone(), reason);
                losses.dropped_extensions(part.extensions);
                said.push(format!("Tool: {}", of_result(result, losses)));
            }
            _ => texts.extend(text_of(part, losses)),
        }
    }
    if texts.is_empty() {
        return;
    }
    if texts.len() > 1 {
        losses.approximated(at, "the pieces of a turn become one text");
    }
    let text = texts.join("\n");
    said.push(if is_lone {
        text
    } else {
        format!("{who}: {text}")
    });
}

fn of_result(result: ToolResult, losses: &mut Losses) -> String {
    let ToolResult {
        call_id: _,
        name: _,
        parts,
        structured,
        is_error: _,
        custom: _,
    } = result;
    let texts = parts.into_iter().filter_map(|part| text_of(part, losses));
    let mut texts: Vec<String> = texts.collect();
    if texts.is_empty() {
        texts.extend(structured.map(|value| value.to_string()));
    }
    texts.join("\n")
}

/// A part as text.
fn text_of(part: Part, losses: &mut Losses) -> Option<String> {
    let Part {
        kind,
        cache,
        signature,
        at,
        extensions,
    } = part;
    if cache.is_some() {
        losses.dropped(at.clone(), "this API caches by itself");
    }
    if signature.is_some() {
        losses.dropped(at.clone(), "this API has no signatures");
    }
    losses.dropped_extensions(extensions);
    match kind {
        PartKind::Text { text, citations } => {
            if !citations.is_empty() {
                losses.dropped(at, "this API has no citations");
            }
            Some(text)
        }
        PartKind::Refusal(text) => {
            losses.approximated(at, "a refusal becomes text");
            Some(text)
        }
        PartKind::ToolCall(call) => {
            losses.approximated(at, "a call of a tool becomes text");
            let ToolCall {
                name, arguments, ..
            } = call;
            Some(format!("{name}({arguments})"))
        }
        PartKind::Document {
            source: Blob::Text(text),
            title,
            context,
            citations: _,
        } => {
            losses.approximated(at, "a document becomes plain text");
            let all: Vec<String> = [title, context, Some(text)].into_iter().flatten().collect();
            Some(all.join("\n"))
        }
        PartKind::Document {
            source: Blob::Parts(parts),
            ..
        } => {
            losses.approximated(at, "a document becomes plain text");
            let texts = parts.into_iter().filter_map(|part| text_of(part, losses));
            let texts: Vec<String> = texts.collect();
            Some(texts.join("\n"))
        }
        PartKind::Audio {
            transcript: Some(text),
            ..
        } => {
            losses.approximated(at, "sound becomes what is said in it");
            Some(text)
        }
        PartKind::Reasoning(_) => {
            losses.dropped(at, "this API has no thoughts");
            None
        }
        PartKind::ToolResult(_)
        | PartKind::Image { .. }
        | PartKind::Audio { .. }
        | PartKind::Video(_)
        | PartKind::Document { .. }
        | PartKind::Other { .. } => {
            losses.dropped(at, "this API takes text only");
            None
        }
    }
}

/// The text of an answer.
pub(super) fn answered(parts: Vec<Part>, losses: &mut Losses) -> String {
    let mut text = String::new();
    for part in parts {
        match part.kind {
            PartKind::ToolCall(_) => losses.dropped(part.at, "this API has no tools"),
            _ => text.extend(text_of(part, losses)),
        }
    }
    text
}
