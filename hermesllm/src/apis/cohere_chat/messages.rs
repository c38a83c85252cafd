//! Messages: turns of a conversation.

use std::collections::VecDeque;

use serde_json::{json, Map, Value};

use super::{citations, content, tools};
use crate::apis::object::{put, put_extensions, wrong, Object};
use crate::apis::ReadError;
use crate::representation::{
    At, Extension, Losses, Part, PartKind, Pointer, Reasoning, Role, ToolCall, ToolResult, Turn,
};

/// How members of `function` are named among the extensions of a call.
const INSIDE: &str = "function/";

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
        let role = match role.value.as_str() {
            "tool" => {
                let part = result(object)?;
                match turns.last_mut() {
                    Some(turn) if results => turn.parts.push(part),
                    _ => turns.push(turn(Role::User, vec![part], message.at)),
                }
                results = true;
                continue;
            }
            "system" => Role::System,
            "user" => Role::User,
            "assistant" => Role::Assistant,
            _ => return Err(wrong(role.at.into_owned(), "is no role")),
        };
        results = false;
        let mut own = turn(role, Vec::new(), message.at);
        let mut beside = Vec::new();
        if role == Role::Assistant {
            own.parts = parts_of_answer(&mut object, &mut beside, false)?;
        } else if let Some(said) = object.take("content") {
            own.parts = content::read(said, false)?;
        }
        own.extensions = object.rest();
        own.extensions.extend(beside);
        turns.push(own);
    }
    Ok(turns)
}

fn turn(role: Role, parts: Vec<Part>, at: Pointer) -> Turn {
    Turn {
        role,
        name: None,
        parts,
        at,
        extensions: Vec::new(),
    }
}

/// The parts of what a model said: plan, content, calls.
pub(super) fn parts_of_answer(
    object: &mut Object,
    beside: &mut Vec<Extension>,
    lenient: bool,
) -> Result<Vec<Part>, ReadError> {
    let mut parts = Vec::new();
    if let Some(plan) = object.text("tool_plan")? {
        let thoughts = Reasoning {
            text: plan.value,
            ..Reasoning::default()
        };
        parts.push(Part::new(PartKind::Reasoning(thoughts), plan.at));
    }
    let nothing = |key: &str| Extension {
        name: key.to_owned(),
        value: json!([]),
        at: Pointer::default(),
    };
    if let Some(said) = object.take("content") {
        let said = content::read(said, lenient)?;
        beside.extend(said.is_empty().then(|| nothing("content")));
        parts.extend(said);
    }
    if let Some(calls) = object.list("tool_calls")? {
        beside.extend(calls.is_empty().then(|| nothing("tool_calls")));
        for call in calls {
            let call = object.item(call)?;
            parts.push(read_call(call)?);
        }
    }
    citations::read(object, &mut parts, beside);
    Ok(parts)
}

fn read_call(mut object: Object) -> Result<Part, ReadError> {
    let at = object.at().to_owned();
    let id = object.text("id")?.map(|id| id.value).unwrap_or_default();
    if object.peek_text("type") == Some("function") {
        object.take("type");
    }
    let (mut name, mut arguments, mut inside) = (None, None, Vec::new());
    if let Some(mut own) = object.object("function")? {
        name = own.text("name")?.map(|name| name.value);
        arguments = own.text("arguments")?.map(|text| text.value);
        inside = own.rest();
    }
    let kind = PartKind::ToolCall(ToolCall {
        id,
        name: name.unwrap_or_default(),
        arguments: arguments.unwrap_or_default(),
        custom: false,
        by_provider: false,
    });
    let mut part = Part::new(kind, at);
    part.extensions = object.rest();
    let inside = inside.into_iter().map(|extension| Extension {
        name: format!("{INSIDE}{}", extension.name),
        ..extension
    });
    part.extensions.extend(inside);
    Ok(part)
}

fn result(mut object: Object) -> Result<Part, ReadError> {
    let at = object.at().to_owned();
    let call_id = object.text("tool_call_id")?.map(|id| id.value);
    let parts = match object.take("content") {
        Some(said) => content::read(said, false)?,
        None => Vec::new(),
    };
    let kind = PartKind::ToolResult(ToolResult {
        call_id: call_id.unwrap_or_default(),
        name: None,
        parts,
        structured: None,
        is_error: false,
        custom: false,
    });
    let mut part = Part::new(kind, at);
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

/// Writes turns as messages. `documents` takes what is to be cited.
pub(super) fn write(
    turns: Vec<Turn>,
    same: bool,
    documents: &mut Vec<Value>,
    losses: &mut Losses,
) -> Vec<Value> {
    let mut writer = Writer {
        same,
        ids: Ids::default(),
        documents,
        losses,
        messages: Vec::new(),
    };
    for turn in turns {
        writer.turn(turn);
    }
    writer.messages
}

struct Writer<'a> {
    same: bool,
    ids: Ids,
    documents: &'a mut Vec<Value>,
    losses: &'a mut Losses,
    messages: Vec<Value>,
}

impl Writer<'_> {
    fn turn(&mut self, turn: Turn) {
        let Turn {
            role,
            name,
            parts,
            at: _,
            extensions,
        } = turn;
        let reason = "this API has no names of speakers";
        self.losses.dropped_setting(name, reason);
        match role {
            Role::Assistant => self.answered(parts, extensions),
            Role::System | Role::Developer => self.said("system", parts, extensions),
            Role::User => self.asked(parts, extensions),
        }
    }

    fn asked(&mut self, parts: Vec<Part>, extensions: Vec<Extension>) {
        let is_result = |part: &Part| matches!(part.kind, PartKind::ToolResult(_));
        let (results, others): (Vec<Part>, Vec<Part>) = parts.into_iter().partition(is_result);
        let only_results = !results.is_empty() && others.is_empty();
        // Results hold text: what else there is follows them as the user's.
        let mut beside = Vec::new();
        for part in results {
            self.result(part, &mut beside);
        }
        beside.extend(others);
        if only_results && beside.is_empty() {
            self.losses.dropped_extensions(extensions);
        } else {
            self.said("user", beside, extensions);
        }
    }

    fn said(&mut self, role: &str, parts: Vec<Part>, extensions: Vec<Extension>) {
        for part in &parts {
            self.uncited(part);
        }
        let said = content::write(parts, self.same, self.documents, self.losses);
        // A message that says nothing is none.
        if said.is_none() && !self.same {
            return self.losses.dropped_extensions(extensions);
        }
        let mut message = Map::new();
        message.insert("role".to_owned(), role.into());
        put(&mut message, "content", said);
        put_extensions(&mut message, extensions, self.same, &[], self.losses);
        self.messages.push(message.into());
    }

    /// Only what the model said has citations.
    fn uncited(&mut self, part: &Part) {
        if let PartKind::Text { citations, .. } = &part.kind {
            if !citations.is_empty() {
                let reason = "this API has citations of what the model says only";
                self.losses.dropped(part.at.clone(), reason);
            }
        }
    }

    fn result(&mut self, part: Part, beside: &mut Vec<Part>) {
        let Part {
            kind,
            cache,
            signature,
            at,
            extensions,
        } = part;
        let PartKind::ToolResult(result) = kind else {
            return;
        };
        if cache.is_some() {
            self.losses.dropped(at.clone(), "this API caches by itself");
        }
        if signature.is_some() {
            self.losses
                .dropped(at.clone(), "this API has no signatures");
        }
        let id = self.ids.of_result(&result);
        let ToolResult {
            call_id,
            // The call tells.
            name: _,
            mut parts,
            structured,
            is_error,
            // As is its call.
            custom: _,
        } = result;
        if is_error {
            let reason = "this API does not tell failed results apart";
            self.losses.approximated(at.clone(), reason);
        }
        if !self.same {
            let is_text = |part: &Part| {
                matches!(part.kind, PartKind::Text { .. } | PartKind::Document { .. })
            };
            let (texts, media): (Vec<Part>, Vec<Part>) = parts.into_iter().partition(is_text);
            parts = texts;
            if !media.is_empty() {
                let reason = "what is no text in a result follows as the user's";
                self.losses.approximated(at, reason);
                beside.extend(media);
            }
        }
        for part in &parts {
            self.uncited(part);
        }
        let said = content::write(parts, self.same, self.documents, self.losses);
        let said = said.or_else(|| structured.map(|value| value.to_string().into()));
        let mut message = Map::new();
        message.insert("role".to_owned(), "tool".into());
        if !(self.same && call_id.is_empty()) {
            message.insert("tool_call_id".to_owned(), id.into());
        }
        // Required by the API.
        let nothing = || (!self.same).then(|| "".into());
        put(&mut message, "content", said.or_else(nothing));
        put_extensions(&mut message, extensions, self.same, &[], self.losses);
        self.messages.push(message.into());
    }

    fn answered(&mut self, parts: Vec<Part>, extensions: Vec<Extension>) {
        let ids = &mut self.ids;
        let mut call_id = |call: &ToolCall| ids.of_call(call);
        let answer = Answer {
            same: self.same,
            listed: false,
            documents: self.documents,
            losses: self.losses,
        };
        let mut message = answer.write(parts, &mut call_id);
        // A message that says nothing is none.
        if message.len() < 2 && !self.same {
            return self.losses.dropped_extensions(extensions);
        }
        put_extensions(&mut message, extensions, self.same, &[], self.losses);
        self.messages.push(message.into());
    }
}

/// How what a model said is written.
pub(super) struct Answer<'a> {
    pub(super) same: bool,
    /// Content is always a list, as in answers.
    pub(super) listed: bool,
    pub(super) documents: &'a mut Vec<Value>,
    pub(super) losses: &'a mut Losses,
}

impl Answer<'_> {
    /// Writes what a model said as a message.
    pub(super) fn write(
        self,
        parts: Vec<Part>,
        call_id: &mut dyn FnMut(&ToolCall) -> String,
    ) -> Map<String, Value> {
        let Self {
            same,
            listed,
            documents,
            losses,
        } = self;
        let mut message = Map::new();
        message.insert("role".to_owned(), "assistant".into());
        let (mut said, mut calls, mut cited) = (Vec::new(), Vec::new(), Vec::new());
        // A text that stood for all of the content.
        let mut as_text = false;
        for part in parts {
            match part.kind {
                PartKind::ToolCall(ref call) => {
                    let id = call_id(call);
                    calls.extend(write_call(part, id, same, losses));
                    continue;
                }
                PartKind::Reasoning(own) if same && part.at.ends_with("/tool_plan") => {
                    message.insert("tool_plan".to_owned(), own.text.into());
                    continue;
                }
                PartKind::Text {
                    ref text,
                    ref citations,
                } => {
                    as_text |= same && part.at.ends_with("/content");
                    if !citations.is_empty() && !same {
                        let reason = "a citation keeps its address, title and texts";
                        losses.approximated(part.at.clone(), reason);
                    }
                    for citation in citations {
                        cited.extend(citations::write(citation.clone(), text, said.len()));
                    }
                }
                _ => {}
            }
            said.extend(content::write_part(part, same, documents, losses));
        }
        if let Some(content) = listed_or_text(said, as_text || !listed && !same) {
            message.insert("content".to_owned(), content);
        }
        if !calls.is_empty() {
            message.insert("tool_calls".to_owned(), calls.into());
        }
        if !cited.is_empty() {
            message.insert("citations".to_owned(), cited.into());
        }
        message
    }
}

/// Content of what a model said: a lone text as such, unless it stood in a list or has to.
fn listed_or_text(said: Vec<Value>, as_text: bool) -> Option<Value> {
    if let (true, [Value::Object(only)]) = (as_text, said.as_slice()) {
        if let Some(text) = only.get("text").filter(|_| only.len() == 2) {
            return Some(text.clone());
        }
    }
    (!said.is_empty()).then(|| said.into())
}

fn write_call(part: Part, id: String, same: bool, losses: &mut Losses) -> Option<Value> {
    let Part {
        kind,
        cache,
        signature,
        at,
        extensions,
    } = part;
    let PartKind::ToolCall(call) = kind else {
        return None;
    };
    let ToolCall {
        id: own_id,
        name,
        mut arguments,
        custom,
        by_provider,
    } = call;
    if by_provider {
        losses.dropped(at, "this API does not show the provider's own tools");
        return None;
    }
    if cache.is_some() {
        losses.dropped(at.clone(), "this API caches by itself");
    }
    if signature.is_some() {
        losses.dropped(at.clone(), "this API has no signatures");
    }
    if custom {
        losses.approximated(at, "free text for a tool becomes an object with one text");
        arguments = json!({ tools::INPUT: arguments }).to_string();
    } else if arguments.is_empty() && !same {
        arguments.push_str("{}");
    }
    let mut object = Map::new();
    if !(same && own_id.is_empty()) {
        object.insert("id".to_owned(), id.into());
    }
    object.insert("type".to_owned(), "function".into());
    let mut function = Map::new();
    function.insert("name".to_owned(), name.into());
    function.insert("arguments".to_owned(), arguments.into());
    let mut beside = Vec::new();
    for extension in extensions {
        match extension.name.strip_prefix(INSIDE) {
            Some(name) if same => {
                function.insert(name.to_owned(), extension.value);
            }
            _ => beside.push(extension),
        }
    }
    object.insert("function".to_owned(), function.into());
    put_extensions(&mut object, beside, same, &[], losses);
    Some(object.into())
}
