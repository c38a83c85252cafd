//! What answers may have.

mod content;
mod frame;

use serde_json::Value;

use super::probe::{document, feature, unreadable, Passage};
use super::{conversations, streams, Direction, Group, Verdict};
use crate::apis::{SupportedUpstreamAPIs as Api, WriteOptions};
use crate::representation::{
    Choice, Losses, Part, PartKind, ProviderResponse, Reasoning, StopKind, StopReason, ToolCall,
};
use crate::translate;

/// The group of features.
pub(super) fn group() -> Group {
    let apis = conversations();
    let probes = content::PROBES.iter().chain(frame::PROBES);
    let features = probes.map(|probe| feature(probe, &apis, &Answers));
    let features = features.chain(streams::features(&apis));
    Group {
        title: "Answers",
        direction: Direction::ToClient,
        features: features.collect(),
        apis: apis.clone(),
    }
}

struct Answers;

impl Passage<ProviderResponse> for Answers {
    fn own(
        &self,
        api: Api,
        mut sample: ProviderResponse,
        native: bool,
    ) -> Option<ProviderResponse> {
        sample.api = native.then_some(api);
        let body = api.write_response(sample, &mut Losses::new())?;
        api.read_response(body)?.ok()
    }

    fn other(
        &self,
        from: Api,
        to: Api,
        own: ProviderResponse,
        losses: &mut Losses,
    ) -> Result<ProviderResponse, Verdict> {
        let body = from.write_response(own, &mut Losses::new());
        let body = body.unwrap_or_default().to_string();
        let options = WriteOptions::default();
        let translated = translate::response(from, to, 200, body.as_bytes(), &options);
        let body = document(translated, losses)?;
        match to.read_response(body) {
            Some(read) => read.map_err(|error| unreadable(&error)),
            None => Err(unreadable(&"not an answer")),
        }
    }
}

/// An answer of one choice.
fn answer(kinds: impl IntoIterator<Item = PartKind>) -> ProviderResponse {
    ProviderResponse {
        choices: vec![choice(kinds)],
        ..ProviderResponse::default()
    }
}

/// An answer of one text, with more about it.
fn told(change: impl FnOnce(&mut ProviderResponse)) -> ProviderResponse {
    let mut answer = answer([text("Hello.")]);
    change(&mut answer);
    answer
}

fn choice(kinds: impl IntoIterator<Item = PartKind>) -> Choice {
    let parts: Vec<_> = kinds.into_iter().map(|kind| Part::new(kind, "")).collect();
    let calls = |part: &Part| matches!(part.kind, PartKind::ToolCall(_));
    let kind = if parts.iter().any(calls) {
        StopKind::ToolCalls
    } else {
        StopKind::End
    };
    Choice {
        parts,
        stop: Some(stop(kind, "")),
        logprobs: None,
        extensions: Vec::new(),
    }
}

fn stop(kind: StopKind, raw: &str) -> StopReason {
    StopReason {
        kind,
        raw: raw.to_owned(),
        sequence: None,
    }
}

fn text(text: &str) -> PartKind {
    PartKind::Text {
        text: text.to_owned(),
        citations: Vec::new(),
    }
}

/// Text of the answer, of each choice.
pub(super) fn texts(answer: &ProviderResponse) -> Value {
    let texts = answer.choices.iter().map(|choice| {
        let texts = choice.parts.iter().filter_map(|part| match &part.kind {
            PartKind::Text { text, .. } => Some(text.as_str()),
            _ => None,
        });
        texts.collect::<String>()
    });
    texts.collect::<Vec<_>>().into()
}

/// Calls with their arguments.
pub(super) fn calls(answer: &ProviderResponse) -> Value {
    all_parts(answer, |kind| match kind {
        PartKind::ToolCall(ToolCall {
            name, arguments, ..
        }) => {
            let arguments: Value = serde_json::from_str(arguments).unwrap_or_default();
            Some(serde_json::json!([name, arguments]))
        }
        _ => None,
    })
}

/// What the first thoughts say of themselves.
pub(super) fn reasoning(answer: &ProviderResponse, say: impl Fn(&Reasoning) -> Value) -> Value {
    some_part(answer, |kind| match kind {
        PartKind::Reasoning(own) => Some(say(own)),
        _ => None,
    })
}

/// What is shown of thoughts: in APIs that have no summaries beside them, the thoughts are shown.
pub(super) fn shown(own: &Reasoning) -> Value {
    let texts = own.summary.iter().map(String::as_str);
    nonempty(&texts.chain([own.text.as_str()]).collect::<String>())
}

/// A text; nothing where it is empty.
pub(super) fn nonempty(text: &str) -> Value {
    Some(text).filter(|text| !text.is_empty()).into()
}

/// What some part says of itself; nothing where none does.
pub(super) fn some_part(
    answer: &ProviderResponse,
    say: impl FnMut(&PartKind) -> Option<Value>,
) -> Value {
    let choices = answer.choices.iter();
    let mut kinds = choices
        .flat_map(|choice| &choice.parts)
        .map(|part| &part.kind);
    kinds.find_map(say).unwrap_or_default()
}

/// What all parts say of themselves; nothing where none does.
fn all_parts(answer: &ProviderResponse, say: impl FnMut(&PartKind) -> Option<Value>) -> Value {
    let choices = answer.choices.iter();
    let kinds = choices
        .flat_map(|choice| &choice.parts)
        .map(|part| &part.kind);
    let said: Vec<_> = kinds.filter_map(say).collect();
    if said.is_empty() {
        Value::Null
    } else {
        said.into()
    }
}
