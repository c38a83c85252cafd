//! Reading items.

use serde_json::{Map, Value};

use super::signature_of;
use crate::apis::object::{below, items, wrong, Object};
use crate::apis::openai_responses::content::{self, Side};
use crate::apis::openai_responses::members::{incidental, word};
use crate::apis::ReadError;
use crate::representation::{
    At, Extension, Part, PartKind, Pointer, Reasoning, Role, ToolCall, ToolResult,
};

/// Members of an item that mean nothing in another document.
const INCIDENTAL: [&str; 2] = ["id", "status"];

/// Who an item comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::apis::openai_responses) enum Who {
    /// A message, of people and operators.
    Message(Role),
    /// The model, or the provider while it answered.
    Model,
    /// A tool of the client's.
    Tool,
}

/// An item.
#[derive(Debug)]
pub(in crate::apis::openai_responses) struct Item {
    pub(in crate::apis::openai_responses) who: Who,
    pub(in crate::apis::openai_responses) parts: Vec<Part>,
    /// Of messages of people and operators; the others have them at their first part.
    pub(in crate::apis::openai_responses) extensions: Vec<Extension>,
    /// Of an answer's texts.
    pub(in crate::apis::openai_responses) logprobs: Vec<Value>,
}

/// Reads an item. `lenient`: of an answer.
pub(in crate::apis::openai_responses) fn read(
    item: At<Value>,
    lenient: bool,
) -> Result<Item, ReadError> {
    let At { value, at } = item;
    if lenient && !value.is_object() {
        return Ok(whole(value, &at));
    }
    let kind = match word(&value, "type") {
        Some(kind) => kind,
        None if word(&value, "role").is_some() => "message",
        None => "item_reference",
    };
    match kind {
        "message" => message(value, &at, lenient),
        "reasoning" if is_plain_reasoning(&value) => reasoning(object(value, &at, lenient)?),
        "function_call" => call(object(value, &at, lenient)?, "arguments", false),
        "custom_tool_call" => call(object(value, &at, lenient)?, "input", true),
        "function_call_output" => output(value, &at, lenient, false),
        "custom_tool_call_output" => output(value, &at, lenient, true),
        _ if value.is_object() => Ok(whole(value, &at)),
        _ => Err(wrong(at, "must be an object")),
    }
}

fn object(value: Value, at: &str, lenient: bool) -> Result<Object, ReadError> {
    if lenient {
        Ok(Object::lenient(value, at))
    } else {
        Object::strict(value, at)
    }
}

/// An item that only this API has.
fn whole(value: Value, at: &str) -> Item {
    let kind = word(&value, "type").unwrap_or(match &value {
        Value::Object(_) => "item_reference",
        _ => "",
    });
    let kind = kind.to_owned();
    let by_server = word(&value, "execution") == Some("server");
    let is_result = kind.ends_with("_output") || kind == "mcp_approval_response";
    let who = if is_result && !by_server {
        Who::Tool
    } else {
        Who::Model
    };
    let part = Part::new(PartKind::Other { kind, value }, at.to_owned());
    of(who, vec![part])
}

fn of(who: Who, parts: Vec<Part>) -> Item {
    Item {
        who,
        parts,
        extensions: Vec::new(),
        logprobs: Vec::new(),
    }
}

fn rest(object: Object) -> Vec<Extension> {
    let mut extensions = object.rest();
    incidental(&mut extensions, &INCIDENTAL);
    extensions
}

fn message(value: Value, at: &str, lenient: bool) -> Result<Item, ReadError> {
    let role = match word(&value, "role") {
        Some("user") => Role::User,
        Some("system") => Role::System,
        Some("developer") => Role::Developer,
        Some("assistant") => Role::Assistant,
        Some(_) | None if lenient => Role::Assistant,
        Some(_) => return Ok(whole(value, at)),
        None => return Err(wrong(below(at, "role"), "is missing")),
    };
    let is_model = role == Role::Assistant;
    let is_empty = |content: &Value| content.as_array().is_some_and(Vec::is_empty);
    if is_model && !lenient && value.get("content").is_none_or(is_empty) {
        return Ok(whole(value, at));
    }
    let mut object = object(value, at, lenient)?;
    object.take("type");
    let had_role = object.take("role").is_some();
    let side = if is_model { Side::Output } else { Side::Input };
    let mut parts = Vec::new();
    let mut logprobs = Vec::new();
    if object.peek("content").is_some_and(Value::is_string) {
        if let Some(text) = object.text("content")? {
            parts.push(Part::text(text.value, text.at));
        }
    } else {
        for item in object.list("content")?.unwrap_or_default() {
            let item = object.item(item)?;
            let content = content::read(item, side)?;
            let mut part = content.part;
            if let Some(tokens) = content.logprobs {
                if lenient {
                    logprobs.extend(tokens);
                } else {
                    part.extensions.push(Extension {
                        name: "logprobs".to_owned(),
                        value: Value::Array(tokens),
                        at: below(&part.at, "logprobs").into(),
                    });
                }
            }
            parts.push(part);
        }
    }
    if lenient && !had_role && parts.is_empty() {
        // Nothing that could be told apart from a message that is empty.
        parts.push(Part::text("", below(at, "content")));
    }
    let mut extensions = rest(object);
    if is_model {
        if parts.is_empty() {
            parts.push(empty_message(std::mem::take(&mut extensions), at));
        } else if let Some(first) = parts.first_mut() {
            first.extensions.append(&mut extensions);
        }
    }
    Ok(Item {
        who: if is_model {
            Who::Model
        } else {
            Who::Message(role)
        },
        parts,
        extensions,
        logprobs,
    })
}

/// A message of an answer without content.
fn empty_message(extensions: Vec<Extension>, at: &str) -> Part {
    let mut value = Map::new();
    value.insert("type".to_owned(), "message".into());
    value.insert("role".to_owned(), "assistant".into());
    value.insert("content".to_owned(), Value::Array(Vec::new()));
    for extension in extensions {
        value.insert(extension.name, extension.value);
    }
    let kind = PartKind::Other {
        kind: "message".to_owned(),
        value: Value::Object(value),
    };
    Part::new(kind, at.to_owned())
}

/// Whether summary and thoughts are lists of texts and nothing else.
fn is_plain_reasoning(value: &Value) -> bool {
    [("summary", "summary_text"), ("content", "reasoning_text")]
        .into_iter()
        .all(|(key, kind)| match value.get(key) {
            None | Some(Value::Null) => true,
            Some(Value::Array(items)) => items.iter().all(|item| {
                let members = item.as_object().map_or(0, Map::len);
                members == 2 && word(item, "type") == Some(kind) && word(item, "text").is_some()
            }),
            Some(_) => false,
        })
}

fn reasoning(mut object: Object) -> Result<Item, ReadError> {
    let at = object.at().to_owned();
    object.take("type");
    let id = object.text("id")?.map(|id| id.value);
    let (encrypted, signature) = match object.text("encrypted_content")?.map(|text| text.value) {
        Some(text) => match signature_of(&text) {
            Some(signature) => (None, Some(signature.to_owned())),
            None => (Some(text), None),
        },
        None => (None, None),
    };
    let summary = texts(&mut object, "summary");
    let mut thoughts = texts(&mut object, "content").into_iter();
    let kind = PartKind::Reasoning(Reasoning {
        id,
        text: thoughts.next().unwrap_or_default(),
        summary,
        signature,
        encrypted,
    });
    let mut parts = vec![Part {
        extensions: rest(object),
        ..Part::new(kind, at.clone())
    }];
    for (text, number) in thoughts.zip(1..) {
        let more = Reasoning {
            text,
            ..Reasoning::default()
        };
        let at = format!("{at}/content/{number}");
        parts.push(Part::new(PartKind::Reasoning(more), at));
    }
    Ok(of(Who::Model, parts))
}

fn texts(object: &mut Object, key: &str) -> Vec<String> {
    let Some(Value::Array(items)) = object.take(key).map(|list| list.value) else {
        return Vec::new();
    };
    let text = |item: &Value| word(item, "text").map(str::to_owned);
    items.iter().filter_map(text).collect()
}

fn call(mut object: Object, arguments: &str, custom: bool) -> Result<Item, ReadError> {
    let at = Pointer::Owned(object.at().to_owned());
    object.take("type");
    let text = |object: &mut Object, key: &str| -> Result<String, ReadError> {
        Ok(object.text(key)?.map(|text| text.value).unwrap_or_default())
    };
    let kind = PartKind::ToolCall(ToolCall {
        id: text(&mut object, "call_id")?,
        name: text(&mut object, "name")?,
        arguments: text(&mut object, arguments)?,
        custom,
        by_provider: false,
    });
    let part = Part {
        extensions: rest(object),
        ..Part::new(kind, at)
    };
    Ok(of(Who::Model, vec![part]))
}

fn output(value: Value, at: &str, lenient: bool, custom: bool) -> Result<Item, ReadError> {
    let mut object = object(value, at, lenient)?;
    object.take("type");
    let call_id = object.text("call_id")?.map(|id| id.value);
    let name = object.text("name")?.map(|name| name.value);
    let mut parts = Vec::new();
    let mut structured = None;
    if let Some(output) = object.take("output") {
        match output.value {
            Value::String(text) => parts.push(Part::text(text, output.at)),
            Value::Array(list) => {
                for item in items(list, &output.at) {
                    let item = object.item(item)?;
                    parts.push(content::read(item, Side::Input)?.part);
                }
            }
            other if lenient => structured = Some(other),
            _ => return Err(wrong(output.at, "must be a text or a list")),
        }
    }
    let kind = PartKind::ToolResult(ToolResult {
        call_id: call_id.unwrap_or_default(),
        name,
        parts,
        structured,
        is_error: false,
        custom,
    });
    let part = Part {
        extensions: rest(object),
        ..Part::new(kind, at.to_owned())
    };
    Ok(of(Who::Tool, vec![part]))
}
