//! Recordings, and what has to be the same of a document that was read and written again.

use std::fs;
use std::path::Path;

use serde_json::{json, Value};

pub struct Recording {
    pub name: String,
    pub request: Option<Value>,
    pub status: u16,
    pub answer: Option<Value>,
    pub stream: Option<String>,
    pub complete: bool,
}

/// All recordings of the API; `None`, said aloud, without a corpus.
pub fn recordings() -> Option<Vec<Recording>> {
    let files = crate::traffic::files(&["responses", "responses_get"])?;
    assert!(files.len() > 100, "a corpus holds more recordings");
    Some(files.iter().map(|file| recording(file)).collect())
}

fn recording(file: &Path) -> Recording {
    let value: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    let there = |key: &str| value.get(key).filter(|found| !found.is_null()).cloned();
    Recording {
        name: format!("{}/{}", value["provider"], value["id"]),
        request: there("request_body").filter(|_| value["method"] == "POST"),
        status: u16::try_from(value["response_status"].as_u64().unwrap()).unwrap(),
        answer: there("response_body"),
        stream: there("response_stream").map(|text| text.as_str().unwrap().to_owned()),
        complete: value["stream_complete"] == true,
    }
}

/// Members that are `null` are as good as none.
fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(object) => {
            object.retain(|_, value| !value.is_null());
            object.values_mut().for_each(without_nulls);
        }
        Value::Array(list) => list.iter_mut().for_each(without_nulls),
        _ => {}
    }
}

fn is_empty_list(value: Option<&Value>) -> bool {
    value.and_then(Value::as_array).is_some_and(Vec::is_empty)
}

/// Empty lists of annotations and log probabilities are as good as none, and so is empty reasoning.
fn normalise_item(item: &mut Value) {
    let Value::Object(item) = item else { return };
    if item.get("type").is_some_and(|kind| kind == "reasoning") {
        if is_empty_list(item.get("content")) {
            item.remove("content");
        }
        item.entry("summary").or_insert_with(|| json!([]));
    }
    if let Some(Value::Array(parts)) = item.get_mut("content") {
        for part in parts {
            let Value::Object(part) = part else { continue };
            for key in ["annotations", "logprobs"] {
                if is_empty_list(part.get(key)) {
                    part.remove(key);
                }
            }
        }
    }
}

pub fn normalised_request(mut value: Value) -> Value {
    without_nulls(&mut value);
    if let Value::Object(object) = &mut value {
        if object.get("stream") == Some(&Value::Bool(false)) {
            object.remove("stream");
        }
        for key in ["include", "tools"] {
            if is_empty_list(object.get(key)) {
                object.remove(key);
            }
        }
    }
    if let Some(Value::Array(items)) = value.get_mut("input") {
        for item in items {
            let is_message = item.get("role").is_some() && item.get("type").is_none();
            if let (true, Value::Object(item)) = (is_message, &mut *item) {
                item.insert("type".to_owned(), "message".into());
            }
            normalise_item(item);
        }
    }
    value
}

pub fn normalised_answer(mut value: Value) -> Value {
    without_nulls(&mut value);
    if let Some(Value::Array(items)) = value.get_mut("output") {
        items.iter_mut().for_each(normalise_item);
    }
    value
}

/// Where two documents differ first.
pub fn difference(left: &Value, right: &Value, at: &str) -> Option<String> {
    match (left, right) {
        (Value::Object(a), Value::Object(b)) => {
            let keys = a.keys().chain(b.keys());
            let null = Value::Null;
            keys.into_iter().find_map(|key| {
                let at = format!("{at}/{key}");
                difference(
                    a.get(key).unwrap_or(&null),
                    b.get(key).unwrap_or(&null),
                    &at,
                )
            })
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            let pairs = a.iter().zip(b).enumerate();
            pairs
                .into_iter()
                .find_map(|(i, (a, b))| difference(a, b, &format!("{at}/{i}")))
        }
        (a, b) if a == b => None,
        (a, b) => Some(format!("{at}: {a:.300} / {b:.300}")),
    }
}
