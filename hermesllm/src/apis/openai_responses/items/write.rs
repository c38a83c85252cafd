//! Writing items.

mod others;

use std::collections::VecDeque;

use serde_json::{json, Map, Value};

use super::{item_of, signed};
use crate::apis::openai_responses::content::{Side, Target};
use crate::apis::openai_responses::members::{derived, put_members, word};
use crate::representation::{
    Extension, Losses, Part, PartKind, Pointer, Reasoning, Role, ToolCall,
};

/// What items are written for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::apis::openai_responses) enum Mode {
    /// A request's input.
    Request,
    /// The output of the answer of this identifier.
    Answer(String),
}

/// Writes items one after the other.
#[derive(Debug)]
pub(in crate::apis::openai_responses) struct Writer<'l> {
    mode: Mode,
    same: bool,
    breakpoints: bool,
    losses: &'l mut Losses,
    items: Vec<Value>,
    /// The message that is being written, of whom, and where it was read.
    open: Option<Open>,
    /// Identifiers that calls without one were given, and whether a result took them.
    calls: Vec<(String, bool)>,
    /// Log probabilities of an answer's texts that are still to come.
    logprobs: VecDeque<Value>,
}

#[derive(Debug)]
struct Open {
    role: Role,
    item: Pointer,
    extensions: Vec<Extension>,
    content: Vec<Value>,
    /// The content is a lone text that was, or may be, written as a string.
    as_string: bool,
}

const OF_PROVIDER: &str = "a tool that another provider runs cannot be called here";

impl<'l> Writer<'l> {
    pub(in crate::apis::openai_responses) fn new(
        mode: Mode,
        same: bool,
        losses: &'l mut Losses,
    ) -> Self {
        Self {
            mode,
            same,
            breakpoints: false,
            losses,
            items: Vec::new(),
            open: None,
            calls: Vec::new(),
            logprobs: VecDeque::new(),
        }
    }

    /// The model takes cache breakpoints.
    pub(in crate::apis::openai_responses) fn with_breakpoints(mut self, takes: bool) -> Self {
        self.breakpoints = takes;
        self
    }

    /// Log probabilities of all texts.
    pub(in crate::apis::openai_responses) fn with_logprobs(mut self, all: Vec<Value>) -> Self {
        self.logprobs = all.into();
        self
    }

    /// What was lost so far.
    pub(in crate::apis::openai_responses) fn losses(&mut self) -> &mut Losses {
        self.losses
    }

    /// The items.
    pub(in crate::apis::openai_responses) fn finish(mut self) -> Vec<Value> {
        self.close();
        self.items
    }

    /// A turn or an answer. `extensions`: of its messages.
    pub(in crate::apis::openai_responses) fn turn(
        &mut self,
        role: Role,
        at: &Pointer,
        parts: Vec<Part>,
        extensions: Vec<Extension>,
    ) {
        let mut extensions = Some(extensions);
        if self.same && self.mode == Mode::Request && parts.is_empty() {
            self.open(role, at.clone(), extensions.take().unwrap_or_default());
        }
        for part in parts {
            self.part(role, part, &mut extensions);
        }
        self.close();
        if let Some(extensions) = extensions {
            self.losses.dropped_extensions(extensions);
        }
    }

    fn part(&mut self, role: Role, part: Part, extensions: &mut Option<Vec<Extension>>) {
        let is_model = role == Role::Assistant;
        match part.kind {
            PartKind::ToolCall(_) => self.call(part),
            PartKind::ToolResult(_) => self.result(part, is_model),
            PartKind::Reasoning(_) => self.reasoning(part),
            PartKind::Other { .. } if self.same && item_of(&part.at) == part.at => {
                self.close();
                self.whole(part);
            }
            PartKind::Image { .. } if is_model && self.answer().is_some() => self.image(part),
            PartKind::Audio { .. } if is_model && self.answer().is_some() => {
                self.spoken(part, extensions);
            }
            _ => self.content(role, part, extensions),
        }
    }

    fn answer(&self) -> Option<&str> {
        match &self.mode {
            Mode::Answer(id) => Some(id),
            Mode::Request => None,
        }
    }

    /// The identifier of the next item of an answer.
    fn id(&self, prefix: &str) -> Option<String> {
        let answer = self.answer().filter(|_| !self.same)?;
        Some(derived(prefix, answer, self.items.len()))
    }

    fn push(&mut self, mut object: Map<String, Value>, extensions: Vec<Extension>) {
        put_members(&mut object, extensions, self.same, &[], self.losses);
        self.items.push(Value::Object(object));
    }

    // Messages.

    fn open(&mut self, role: Role, item: Pointer, extensions: Vec<Extension>) {
        self.close();
        self.open = Some(Open {
            role,
            item,
            extensions,
            content: Vec::new(),
            as_string: false,
        });
    }

    fn content(&mut self, role: Role, mut part: Part, extensions: &mut Option<Vec<Extension>>) {
        let item = Pointer::Owned(item_of(&part.at).to_owned());
        let is_new = self.open.as_ref().is_none_or(|open| {
            open.role != role || self.same && role == Role::Assistant && open.item != item
        });
        if is_new {
            self.open(role, item, extensions.take().unwrap_or_default());
        }
        let own = format!("{}/", part.at);
        let all = std::mem::take(&mut part.extensions);
        let is_own = |e: &Extension| e.at.starts_with(&own) || e.name == "type";
        let (content, item): (Vec<_>, Vec<_>) = all.into_iter().partition(is_own);
        part.extensions = content;
        let may_be_string = match (&part.kind, self.same) {
            (PartKind::Text { citations, .. }, false) => {
                self.mode == Mode::Request && citations.is_empty() && part.cache.is_none()
            }
            (PartKind::Text { .. }, true) => {
                part.at.ends_with("/content") || part.at == "/input" || part.at == "/instructions"
            }
            _ => false,
        };
        let logprobs = match &part.kind {
            PartKind::Text { text, .. } => self.tokens(&text.clone()),
            _ => None,
        };
        let side = if role == Role::Assistant {
            Side::Output
        } else {
            Side::Input
        };
        let mut target = Target {
            same: self.same,
            breakpoints: self.breakpoints,
            answer: self.mode != Mode::Request,
            losses: self.losses,
        };
        let Some(open) = &mut self.open else {
            return;
        };
        target.write(part, side, logprobs, &mut open.content);
        open.extensions.extend(item);
        open.as_string = may_be_string && open.content.len() == 1;
    }

    /// The log probabilities of a text: as many tokens as add up to it.
    fn tokens(&mut self, text: &str) -> Option<Vec<Value>> {
        let mut left = text.len();
        let mut own = Vec::new();
        while left > 0 {
            let Some(token) = self.logprobs.pop_front() else {
                break;
            };
            left = left.saturating_sub(word(&token, "token").map_or(0, str::len));
            own.push(token);
        }
        (!own.is_empty()).then_some(own)
    }

    fn close(&mut self) {
        let Some(open) = self.open.take() else {
            return;
        };
        let Open {
            role,
            item: _,
            extensions,
            mut content,
            as_string,
        } = open;
        if content.is_empty() && !self.same {
            self.losses.dropped_extensions(extensions);
            return;
        }
        let mut object = Map::new();
        if let Some(id) = self.id("msg") {
            object.insert("id".to_owned(), id.into());
            object.insert("status".to_owned(), "completed".into());
        }
        object.insert("type".to_owned(), "message".into());
        object.insert("role".to_owned(), role_word(role).into());
        let text = match content.first_mut() {
            Some(Value::Object(text)) if as_string => text.get_mut("text").map(Value::take),
            _ => None,
        };
        let content = text.unwrap_or(Value::Array(content));
        object.insert("content".to_owned(), content);
        self.push(object, extensions);
    }

    // Other items.

    fn whole(&mut self, part: Part) {
        let Part {
            kind,
            cache: _,
            signature: _,
            at: _,
            extensions,
        } = part;
        let PartKind::Other { kind: _, value } = kind else {
            return;
        };
        self.items.push(value);
        self.losses.dropped_extensions(extensions);
    }

    /// A signature or a cache hint where there is no place for them.
    fn beside(&mut self, part: &Part) {
        if part.signature.is_some() {
            let reason = "only reasoning has a place for what the provider signed";
            self.losses.dropped(part.at.clone(), reason);
        }
        if part.cache.is_some() {
            let reason = "there is no cache breakpoint here: the provider caches by itself";
            self.losses.dropped(part.at.clone(), reason);
        }
    }

    fn reasoning(&mut self, part: Part) {
        self.close();
        self.beside(&part);
        let Part {
            kind,
            cache: _,
            signature: _,
            at,
            extensions,
        } = part;
        let PartKind::Reasoning(reasoning) = kind else {
            return;
        };
        let Reasoning {
            id,
            text,
            summary,
            signature,
            encrypted,
        } = reasoning;
        let thought = json!({"type": "reasoning_text", "text": text});
        // A further piece of the thoughts before.
        if self.same && item_of(&at) != at {
            let list = self
                .items
                .last_mut()
                .and_then(|item| item.get_mut("content"));
            if let Some(Value::Array(list)) = list {
                list.push(thought);
                return;
            }
        }
        let mut object = Map::new();
        if let Some(id) = id.or_else(|| self.id("rs")) {
            object.insert("id".to_owned(), id.into());
        }
        object.insert("type".to_owned(), "reasoning".into());
        let summary = summary.into_iter();
        let summary = summary.map(|text| json!({"type": "summary_text", "text": text}));
        object.insert("summary".to_owned(), Value::Array(summary.collect()));
        if !text.is_empty() {
            object.insert("content".to_owned(), Value::Array(vec![thought]));
        }
        let secret = match (encrypted, signature) {
            (Some(encrypted), None) => Some(encrypted),
            (Some(encrypted), Some(_)) => {
                let reason = "encrypted reasoning has no signature beside it";
                self.losses.dropped(at, reason);
                Some(encrypted)
            }
            (None, Some(signature)) if self.same || self.answer().is_some() => {
                Some(signed(&signature))
            }
            (None, Some(_)) => {
                let reason = "another provider cannot check the signature of reasoning";
                self.losses.dropped(at, reason);
                None
            }
            (None, None) => None,
        };
        if let Some(secret) = secret {
            object.insert("encrypted_content".to_owned(), secret.into());
        }
        self.push(object, extensions);
    }

    fn call(&mut self, part: Part) {
        self.close();
        self.beside(&part);
        let Part {
            kind,
            cache: _,
            signature: _,
            at,
            extensions,
        } = part;
        let PartKind::ToolCall(call) = kind else {
            return;
        };
        let ToolCall {
            id,
            name,
            arguments,
            custom,
            by_provider,
        } = call;
        if by_provider {
            self.losses.dropped(at, OF_PROVIDER);
            return;
        }
        let call_id = if id.is_empty() && !self.same {
            self.derived_call()
        } else {
            id
        };
        let mut object = Map::new();
        if let Some(id) = self.id(if custom { "ctc" } else { "fc" }) {
            object.insert("id".to_owned(), id.into());
            object.insert("status".to_owned(), "completed".into());
        }
        let (kind, key) = if custom {
            ("custom_tool_call", "input")
        } else {
            ("function_call", "arguments")
        };
        object.insert("type".to_owned(), kind.into());
        object.insert("call_id".to_owned(), call_id.into());
        object.insert("name".to_owned(), name.into());
        object.insert(key.to_owned(), arguments.into());
        self.push(object, extensions);
    }

    /// An identifier for a call that has none: by its place in the answer or among all such calls.
    fn derived_call(&mut self) -> String {
        let id = match self.answer() {
            Some(answer) => derived("call", answer, self.items.len()),
            None => format!("call_{}", self.calls.len()),
        };
        self.calls.push((id.clone(), false));
        id
    }
}

fn role_word(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::Developer => "developer",
        Role::User => "user",
        Role::Assistant => "assistant",
    }
}
