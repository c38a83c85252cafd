//! The chunks that make up most of a stream, read without a detour. Anything else is refused here.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::super::content::KINDS;
use crate::apis::few::Few;

#[derive(Deserialize)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Chunk<'a> {
    #[serde(borrow)]
    pub(super) candidates: Few<Candidate<'a>>,
    #[serde(borrow)]
    pub(super) usage_metadata: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) model_version: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) response_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) create_time: Option<Text<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Candidate<'a> {
    #[serde(borrow)]
    pub(super) content: Option<Content<'a>>,
    #[serde(borrow)]
    pub(super) finish_reason: Option<Text<'a>>,
    pub(super) index: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Content<'a> {
    #[serde(borrow, default)]
    pub(super) parts: Few<Part<'a>>,
    /// It is the model.
    #[serde(borrow, rename = "role")]
    _role: Option<Text<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Part<'a> {
    #[serde(borrow)]
    pub(super) text: Text<'a>,
    #[serde(default)]
    pub(super) thought: bool,
    #[serde(borrow)]
    pub(super) thought_signature: Option<Text<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Tier {
    #[serde(alias = "service_tier")]
    service_tier: Option<String>,
}

/// The class of service in `usageMetadata`.
pub(super) fn tier(usage: &str) -> Option<String> {
    serde_json::from_str::<Tier>(usage).ok()?.service_tier
}

/// The call in a part.
pub(super) fn function_call(part: &Value) -> Option<&Map<String, Value>> {
    let call = part.get("functionCall").or(part.get("function_call"))?;
    call.as_object()
}

/// The member that says what a part is.
pub(super) fn kind_of(part: &Value) -> &'static str {
    let mut kinds = KINDS.iter();
    let kind = kinds.find(|kind| part.get(**kind).is_some_and(|own| !own.is_null()));
    kind.copied().unwrap_or_default()
}
