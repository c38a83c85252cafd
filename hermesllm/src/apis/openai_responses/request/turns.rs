//! The conversation: items become turns, turns become items.

use serde_json::Value;

use crate::apis::object::items;
use crate::apis::openai_responses::items::{self, Who, Writer};
use crate::apis::ReadError;
use crate::representation::{At, Part, PartKind, Role, Turn};

/// A turn that is one text.
pub(super) fn of_text(role: Role, text: At<String>) -> Turn {
    Turn {
        role,
        name: None,
        parts: vec![Part::text(text.value, text.at.clone())],
        at: text.at,
        extensions: Vec::new(),
    }
}

/// Reads items: each message of people and operators is a turn, and so is what the model, or the
/// tools, say without one of the others in between.
pub(super) fn read(list: Vec<Value>, at: &str) -> Result<Vec<Turn>, ReadError> {
    let mut turns: Vec<Turn> = Vec::new();
    let mut last = None;
    for item in items(list, at) {
        let at = item.at.clone();
        let item = items::read(item, false)?;
        let joins = last == Some(item.who) && !matches!(item.who, Who::Message(_));
        last = Some(item.who);
        match turns.last_mut() {
            Some(turn) if joins => turn.parts.extend(item.parts),
            _ => turns.push(Turn {
                role: match item.who {
                    Who::Message(role) => role,
                    Who::Model => Role::Assistant,
                    Who::Tool => Role::User,
                },
                name: None,
                parts: item.parts,
                at,
                extensions: item.extensions,
            }),
        }
    }
    Ok(turns)
}

/// What the turns come to.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    pub(super) instructions: Option<String>,
    pub(super) input: Option<Value>,
}

/// Writes turns.
pub(super) fn write(mut turns: Vec<Turn>, same: bool, mut writer: Writer<'_>) -> Conversation {
    let mut conversation = Conversation::default();
    if same {
        let first = turns
            .first()
            .and_then(|turn| lone_text(turn, "/instructions"));
        if let Some(text) = first.map(str::to_owned) {
            conversation.instructions = Some(text);
            turns.remove(0);
        }
        if let [turn] = turns.as_slice() {
            if let Some(text) = lone_text(turn, "/input") {
                conversation.input = Some(text.into());
                return conversation;
            }
        }
    }
    for turn in turns {
        let Turn {
            role,
            name,
            parts,
            at,
            extensions,
        } = turn;
        let losses = writer.losses();
        losses.dropped_setting(name, "speakers have no names here");
        writer.turn(role, &at, parts, extensions);
    }
    let items = writer.finish();
    conversation.input = (!items.is_empty()).then_some(Value::Array(items));
    conversation
}

/// The text of a turn that was read at a place and is nothing else.
fn lone_text<'t>(turn: &'t Turn, at: &str) -> Option<&'t str> {
    match turn.parts.as_slice() {
        [Part {
            kind: PartKind::Text { text, .. },
            cache: None,
            ..
        }] if turn.at == at => Some(text),
        _ => None,
    }
}
