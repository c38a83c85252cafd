//! Log probabilities.

use serde_json::{json, Value};

use crate::representation::{Losses, Pointer};

/// A piece of text with those of its tokens, in OpenAI's form; that of several is their sum.
pub(super) fn read_piece(piece: &Value) -> Option<Value> {
    let text = piece.get("text").and_then(Value::as_str)?;
    let numbers = piece.get("logprobs").and_then(Value::as_array)?;
    let all: Option<Vec<f64>> = numbers.iter().map(Value::as_f64).collect();
    let whole: f64 = all?.iter().sum();
    Some(json!({
        "token": text,
        "logprob": whole,
        "bytes": text.as_bytes(),
        "top_logprobs": [],
    }))
}

/// Writes an item of OpenAI's form. Which tokens they are is not known there.
pub(super) fn write_piece(item: &Value, at: &Pointer, losses: &mut Losses) -> Value {
    let alternatives = item.get("top_logprobs").and_then(Value::as_array);
    if alternatives.is_some_and(|list| !list.is_empty()) {
        losses.dropped(at.clone(), "this API has no alternatives to tokens");
    }
    let text = item.get("token").and_then(Value::as_str);
    let number = item.get("logprob").cloned().unwrap_or_default();
    json!({"token_ids": [], "text": text.unwrap_or_default(), "logprobs": [number]})
}
