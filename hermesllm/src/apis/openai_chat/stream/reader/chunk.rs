//! The shapes of chunks.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::apis::few::Few;

/// Text that is borrowed from the chunk where it has no escapes.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

#[derive(Deserialize)]
pub(super) struct Chunk<'a> {
    #[serde(borrow, default)]
    pub(super) id: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) model: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) created: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) service_tier: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) choices: Option<Few<ChunkChoice<'a>>>,
    #[serde(borrow, default)]
    pub(super) usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) citations: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) search_results: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) x_groq: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub(super) struct ChunkChoice<'a> {
    #[serde(default)]
    pub(super) index: Option<u32>,
    #[serde(borrow, default)]
    pub(super) delta: Option<ChunkDelta<'a>>,
    #[serde(borrow, default)]
    pub(super) finish_reason: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) logprobs: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub(super) struct ChunkDelta<'a> {
    #[serde(borrow, default)]
    pub(super) content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) reasoning_content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) reasoning: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) reasoning_details: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) refusal: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) tool_calls: Option<Few<ChunkCall<'a>>>,
    #[serde(borrow, default)]
    pub(super) function_call: Option<ChunkFunction<'a>>,
    #[serde(borrow, default)]
    pub(super) audio: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) images: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) annotations: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) extra_content: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub(super) struct ChunkCall<'a> {
    #[serde(default)]
    pub(super) index: Option<u32>,
    #[serde(borrow, default)]
    pub(super) id: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) function: Option<ChunkFunction<'a>>,
    #[serde(borrow, default)]
    pub(super) custom: Option<ChunkFunction<'a>>,
    #[serde(borrow, default)]
    pub(super) extra_content: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub(super) struct ChunkFunction<'a> {
    #[serde(borrow, default)]
    pub(super) name: Option<Text<'a>>,
    #[serde(borrow, default, alias = "input")]
    pub(super) arguments: Option<&'a RawValue>,
}

/// A text, borrowed where it has no escapes; nothing for an empty one or another value.
pub(super) fn string(raw: Option<&RawValue>) -> Option<Cow<'_, str>> {
    let raw = raw?.get();
    if !raw.starts_with('"') {
        return None;
    }
    let Text(text) = serde_json::from_str(raw).ok()?;
    (!text.is_empty()).then_some(text)
}

/// A value that is no text.
pub(super) fn value(raw: Option<&RawValue>) -> Option<Value> {
    let raw = raw?.get();
    if raw == "null" || raw.starts_with('"') {
        return None;
    }
    serde_json::from_str(raw).ok()
}

/// A chunk without the members that are of another type than they should be.
pub(super) fn usual(mut chunk: Map<String, Value>) -> Map<String, Value> {
    retain(
        &mut chunk,
        &["id", "model", "service_tier"],
        Value::is_string,
    );
    for choice in objects(&mut chunk, "choices") {
        retain(choice, &["index"], is_number);
        retain(choice, &["finish_reason"], Value::is_string);
        retain(choice, &["delta"], Value::is_object);
        let Some(delta) = choice.get_mut("delta").and_then(Value::as_object_mut) else {
            continue;
        };
        function(delta, "function_call");
        for call in objects(delta, "tool_calls") {
            retain(call, &["index"], is_number);
            retain(call, &["id"], Value::is_string);
            function(call, "function");
            function(call, "custom");
        }
    }
    chunk
}

fn is_number(value: &Value) -> bool {
    value
        .as_u64()
        .is_some_and(|number| u32::try_from(number).is_ok())
}

fn retain(object: &mut Map<String, Value>, keys: &[&str], keep: impl Fn(&Value) -> bool) {
    for key in keys {
        if object.get(*key).is_some_and(|value| !keep(value)) {
            object.shift_remove(*key);
        }
    }
}

/// The objects of a list; what is none in it, and what is no list, is left out.
fn objects<'o>(
    object: &'o mut Map<String, Value>,
    key: &str,
) -> impl Iterator<Item = &'o mut Map<String, Value>> {
    retain(object, &[key], Value::is_array);
    let mut list = object.get_mut(key).and_then(Value::as_array_mut);
    if let Some(list) = &mut list {
        list.retain(Value::is_object);
    }
    let items = list.into_iter().flatten();
    items.filter_map(Value::as_object_mut)
}

fn function(object: &mut Map<String, Value>, key: &str) {
    retain(object, &[key], Value::is_object);
    if let Some(function) = object.get_mut(key).and_then(Value::as_object_mut) {
        retain(function, &["name"], Value::is_string);
    }
}
