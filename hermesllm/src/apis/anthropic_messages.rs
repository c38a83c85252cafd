//! Messages (Anthropic), as Anthropic, Vertex AI and gateways serve it.
//!
//! Facts: the API reference of Anthropic (messages, streaming, extended and adaptive thinking, effort,
//! structured outputs, prompt caching, tool use, errors) and recorded traffic, which is the judge.
//!
//! # Read and written back
//!
//! What is read from this API is written back to it JSON-equal but for these normalisations:
//!
//! | read | written |
//! | --- | --- |
//! | a member that is `null` | nothing; `stop_reason` and `stop_sequence` of answers are always there |
//! | `stream: false` | nothing |
//! | `is_error: false` of a tool result | nothing |
//! | an empty `citations` list of a text | nothing |
//! | an empty `tools` list | nothing |
//! | an empty `content` list of a tool result | nothing |
//! | `type: "custom"` of a tool | nothing, the default |
//! | a call without `input` | `input: {}` |
//! | `thinking` without `signature` | `signature: ""` |
//! | no `max_tokens` | the default |
//!
//! Texts that stand as strings (`content`, `system`) come back as strings, by the place that their
//! part was read from.
//!
//! # Written from other APIs
//!
//! | from | becomes |
//! | --- | --- |
//! | system and developer turns that lead | `system` |
//! | those that come later | turns of the user (approximated: few models take `role: system` here) |
//! | consecutive turns of one role | one, tool results first |
//! | a conversation that the model begins | begins with a turn of the user that says "Continue." |
//! | no limit of output | `max_tokens: 4096`, and the thinking budget on top of it |
//! | a call without an identifier | `call_0`, `call_1` … by its place in the conversation; in answers with the answer's identifier |
//! | arguments that are no JSON object | `{"arguments": "…"}` |
//! | a tool with free text | a tool with `{"input": "…"}` |
//! | a structured answer of a tool | its JSON text |
//! | a schema's name and description | `title` and `description` of the schema, where it has none |
//! | effort | adaptive thinking and `output_config.effort`, or a thinking budget for older models |
//! | reasoning without a signature | nothing in requests (it cannot be replayed); `signature: ""` in answers |
//! | encrypted reasoning | `redacted_thinking` |
//! | a picture, sound or file for which there is no block | nothing, reported |
//!
//! Not reported, for they say nothing to a model or a client: the date of an answer (HTTP has it),
//! a total of tokens (it is the sum), MIME types of addresses, names of tools in results (the call
//! has it), `store: false`, `n: 1`, empty texts.

pub mod request;
pub mod response;
pub mod stream;

mod content;
mod models;
mod tools;
mod usage;

use serde_json::{Map, Value};

use super::object::Object;
use crate::representation::{Extension, Losses};

/// An extension that holds what nobody took from a member that is an object.
fn rest_of(name: &str, object: Object) -> Option<Extension> {
    let at = object.at().to_owned();
    let rest = object.rest();
    if rest.is_empty() {
        return None;
    }
    let members: Map<String, Value> = rest.into_iter().map(|e| (e.name, e.value)).collect();
    Some(Extension {
        name: name.to_owned(),
        value: Value::Object(members),
        at: at.into(),
    })
}

/// Puts members that have no field: all of them when source and target are this API, else those in
/// `known`. Objects that are there already are filled up, at any depth; nothing is overwritten.
fn put_rest(
    object: &mut Map<String, Value>,
    extensions: Vec<Extension>,
    same: bool,
    known: &[&str],
    losses: &mut Losses,
) {
    for extension in extensions {
        if !same && !known.contains(&extension.name.as_str()) {
            losses.dropped_extensions(vec![extension]);
            continue;
        }
        match object.get_mut(&extension.name) {
            Some(there) => fill(there, extension.value),
            None => {
                object.insert(extension.name, extension.value);
            }
        }
    }
}

fn fill(there: &mut Value, more: Value) {
    if let (Value::Object(there), Value::Object(more)) = (there, more) {
        for (name, value) in more {
            match there.get_mut(&name) {
                Some(there) => fill(there, value),
                None => {
                    there.insert(name, value);
                }
            }
        }
    }
}
