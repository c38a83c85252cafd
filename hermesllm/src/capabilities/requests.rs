//! What requests may have.

mod content;
mod dialogue;
mod settings;
mod tools;

use serde_json::Value;

use super::probe::{document, feature, unreadable, Passage, Probe};
use super::{conversations, Direction, Group, Verdict};
use crate::apis::SupportedUpstreamAPIs as Api;
use crate::representation::{
    At, Blob, Losses, Part, PartKind, Request, Role, Setting, ToolCall, ToolResult, Turn,
};
use crate::translate::{self, RequestOptions};

/// The groups of features.
pub(super) fn groups() -> Vec<Group> {
    let (said, sent_back) = (content::PROBES.iter(), dialogue::PROBES.iter());
    vec![
        group("Requests: content", said.chain(sent_back)),
        group("Requests: tools", tools::PROBES.iter()),
        group("Requests: settings", settings::PROBES.iter()),
    ]
}

fn group<'a>(title: &'static str, probes: impl Iterator<Item = &'a Probe<Request>>) -> Group {
    let apis = conversations();
    let features = probes.map(|probe| feature(probe, &apis, &Requests));
    Group {
        title,
        direction: Direction::ToProvider,
        features: features.collect(),
        apis,
    }
}

struct Requests;

impl Passage<Request> for Requests {
    fn own(&self, api: Api, mut sample: Request, native: bool) -> Option<Request> {
        sample.api = native.then_some(api);
        let body = api.write_request(sample, &mut Losses::new())?;
        api.read_request(body)?.ok()
    }

    fn other(
        &self,
        from: Api,
        to: Api,
        own: Request,
        losses: &mut Losses,
    ) -> Result<Request, Verdict> {
        let body = from.write_request(own, &mut Losses::new());
        let body = body.unwrap_or_default().to_string();
        let options = RequestOptions::default();
        let translated = translate::request(from, to, body.as_bytes(), &options);
        let body = document(translated, losses)?;
        match to.read_request(body) {
            Some(read) => read.map_err(|error| unreadable(&error)),
            None => Err(unreadable(&"not a request")),
        }
    }
}

/// A setting that was read nowhere.
fn set<T>(value: T) -> Setting<T> {
    Some(At::new(value, ""))
}

fn turn(role: Role, kinds: impl IntoIterator<Item = PartKind>) -> Turn {
    Turn {
        role,
        name: None,
        parts: kinds.into_iter().map(|kind| Part::new(kind, "")).collect(),
        at: "".into(),
        extensions: Vec::new(),
    }
}

fn text(text: &str) -> PartKind {
    PartKind::Text {
        text: text.to_owned(),
        citations: Vec::new(),
    }
}

fn conversation(turns: impl IntoIterator<Item = Turn>) -> Request {
    Request {
        model: "a-model".to_owned(),
        turns: turns.into_iter().collect(),
        ..Request::default()
    }
}

/// A question, with settings.
fn asking(change: impl FnOnce(&mut Request)) -> Request {
    let mut request = conversation([turn(Role::User, [text("What is the weather?")])]);
    change(&mut request);
    request
}

fn call(id: &str) -> PartKind {
    PartKind::ToolCall(ToolCall {
        id: id.to_owned(),
        name: "weather".to_owned(),
        arguments: format!(r#"{{"city":"{id}"}}"#),
        custom: false,
        by_provider: false,
    })
}

fn result(id: &str, kinds: impl IntoIterator<Item = PartKind>) -> ToolResult {
    ToolResult {
        call_id: id.to_owned(),
        name: Some("weather".to_owned()),
        parts: kinds.into_iter().map(|kind| Part::new(kind, "")).collect(),
        structured: None,
        is_error: false,
        custom: false,
    }
}

fn base64(media_type: &str, data: &str) -> Blob {
    Blob::Base64 {
        media_type: media_type.to_owned(),
        data: data.to_owned(),
    }
}

fn parts(request: &Request) -> impl Iterator<Item = &Part> {
    request.turns.iter().flat_map(|turn| &turn.parts)
}

/// What some part says of itself; nothing where none does.
fn some_part(request: &Request, say: impl FnMut(&PartKind) -> Option<Value>) -> Value {
    let mut kinds = parts(request).map(|part| &part.kind);
    kinds.find_map(say).unwrap_or_default()
}

/// What all parts say of themselves; nothing where none does.
fn all_parts(request: &Request, say: impl FnMut(&PartKind) -> Option<Value>) -> Value {
    list(parts(request).map(|part| &part.kind).filter_map(say))
}

/// A list; nothing where it is empty.
fn list(values: impl Iterator<Item = Value>) -> Value {
    let values: Vec<_> = values.collect();
    if values.is_empty() {
        Value::Null
    } else {
        values.into()
    }
}

/// The value of a setting; nothing where it is absent.
fn value<T: Clone + Into<Value>>(setting: &Setting<T>) -> Value {
    let value = setting.as_ref().map(|setting| setting.value.clone());
    value.map(Into::into).unwrap_or_default()
}
