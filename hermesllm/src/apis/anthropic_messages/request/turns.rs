//! The conversation, written.

use serde_json::{Map, Value};

use crate::apis::anthropic_messages::content::{content, is_bare, BlockWriter};
use crate::apis::anthropic_messages::put_rest;
use crate::representation::{Part, PartKind, Role, Turn};

use super::SYSTEM;

/// What a conversation consists of here.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    pub(super) system: Option<Value>,
    pub(super) messages: Vec<Value>,
}

/// Writes turns that were read from this API, each as it was.
pub(super) fn write_own(turns: Vec<Turn>, writer: &mut BlockWriter<'_>) -> Conversation {
    let mut conversation = Conversation::default();
    for turn in turns {
        let Turn {
            role,
            name,
            parts,
            at,
            extensions,
        } = turn;
        writer.losses.dropped_setting(name, NAME);
        if at == SYSTEM {
            let is_bare = is_bare(&parts, SYSTEM);
            let blocks = writer.parts(parts, false);
            conversation.system = Some(content(blocks, true, is_bare));
            continue;
        }
        let is_bare = is_bare(&parts, &format!("{at}/content"));
        let blocks = writer.parts(parts, role == Role::Assistant);
        let role = match role {
            Role::Assistant => "assistant",
            Role::User => "user",
            Role::System | Role::Developer => "system",
        };
        let mut message = message(role, content(blocks, true, is_bare));
        put_rest(&mut message, extensions, true, &[], writer.losses);
        conversation.messages.push(Value::Object(message));
    }
    conversation
}

const NAME: &str = "the other API does not name speakers";

/// Writes turns of another API: the system prompt apart, the others in turns.
pub(super) fn write_foreign(turns: Vec<Turn>, writer: &mut BlockWriter<'_>) -> Conversation {
    let mut system = Vec::new();
    let mut merged: Vec<(Role, Vec<Value>)> = Vec::new();
    let mut leads = true;
    let mut first = None;
    for turn in turns {
        let Turn {
            role,
            name,
            parts,
            at,
            extensions,
        } = turn;
        writer.losses.dropped_setting(name, NAME);
        writer.losses.dropped_extensions(extensions);
        let is_system = matches!(role, Role::System | Role::Developer);
        if is_system && leads {
            let parts = texts_alone(parts, writer);
            system.extend(writer.parts(parts, false));
            continue;
        }
        leads = false;
        if is_system {
            let reason = "the other API has the operator's words at the beginning only: written as the user's";
            writer.losses.approximated(at.clone(), reason);
        }
        let role = match role {
            Role::Assistant => Role::Assistant,
            Role::User | Role::System | Role::Developer => Role::User,
        };
        let blocks = writer.parts(parts, role == Role::Assistant);
        if blocks.is_empty() {
            continue;
        }
        first.get_or_insert(at);
        match merged.last_mut() {
            Some((last, own)) if *last == role => own.extend(blocks),
            _ => merged.push((role, blocks)),
        }
    }
    if let (Some((Role::Assistant, _)), Some(at)) = (merged.first(), first) {
        let reason = "the other API has conversations begin with the user: a word of the user's is put before";
        writer.losses.approximated(at, reason);
        let opening = serde_json::json!({"type": "text", "text": "Continue."});
        merged.insert(0, (Role::User, vec![opening]));
    }
    let messages = merged.into_iter().map(|(role, mut blocks)| {
        let role = match role {
            Role::Assistant => "assistant",
            _ => {
                // Results have to come before anything else.
                blocks.sort_by_key(|block| !is_kind(block, "tool_result"));
                "user"
            }
        };
        Value::Object(message(role, content(blocks, false, true)))
    });
    Conversation {
        messages: messages.collect(),
        system: (!system.is_empty()).then(|| content(system, false, true)),
    }
}

/// Whether the model is in the middle of using tools, and how it came to it was thought out, but the
/// thoughts are not there.
pub(super) fn lacks_thoughts(messages: &[Value]) -> bool {
    let kinds = |message: &Value, kind: &str| {
        let blocks = message.get("content").and_then(Value::as_array);
        blocks.is_some_and(|blocks| blocks.iter().any(|block| is_kind(block, kind)))
    };
    let [.., assistant, last] = messages else {
        return false;
    };
    kinds(last, "tool_result")
        && kinds(assistant, "tool_use")
        && !kinds(assistant, "thinking")
        && !kinds(assistant, "redacted_thinking")
}

fn texts_alone(parts: Vec<Part>, writer: &mut BlockWriter<'_>) -> Vec<Part> {
    let mut texts = Vec::with_capacity(parts.len());
    for part in parts {
        if matches!(part.kind, PartKind::Text { .. } | PartKind::Refusal(_)) {
            texts.push(part);
        } else {
            let reason = "the other API takes nothing but text of the operator";
            writer.losses.dropped(part.at, reason);
        }
    }
    texts
}

fn message(role: &str, content: Value) -> Map<String, Value> {
    let mut message = Map::new();
    message.insert("role".to_owned(), Value::String(role.to_owned()));
    message.insert("content".to_owned(), content);
    message
}

fn is_kind(block: &Value, kind: &str) -> bool {
    block.get("type").is_some_and(|found| found == kind)
}
