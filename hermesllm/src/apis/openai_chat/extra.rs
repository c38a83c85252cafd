//! Members without a field that stand inside of other members.
//!
//! Among the extensions of what they belong to, they are named by their way: `function/x` is the
//! member `x` of the member `function`.

use serde_json::{Map, Value};

use crate::apis::object::{put_extensions, Object};
use crate::representation::{Extension, Losses, Pointer};

/// The members that are objects of this API's own, and may hold what has no field.
const OWN: [&str; 19] = [
    "cache_creation",
    "completion_tokens_details",
    "custom",
    "extra_content",
    "file",
    "function",
    "function_call",
    "google",
    "image_url",
    "input_audio",
    "json_schema",
    "message",
    "prompt_tokens_details",
    "reasoning",
    "response_format",
    "stream_options",
    "thinking",
    "usage",
    "video_url",
];

/// What nobody took of an object that is the member `name` of another.
pub(super) fn inside(name: &str, object: Object) -> Vec<Extension> {
    below(name, object.rest())
}

/// The same one step further out.
pub(super) fn below(name: &str, extensions: Vec<Extension>) -> Vec<Extension> {
    let named = |extension: Extension| Extension {
        name: format!("{name}/{}", extension.name),
        ..extension
    };
    extensions.into_iter().map(named).collect()
}

/// What means nothing to any other API, but comes back.
pub(super) fn silent(name: impl Into<String>, value: Value) -> Extension {
    Extension {
        name: name.into(),
        value,
        at: Pointer::default(),
    }
}

/// Puts extensions to where they were, if they were read from this API, or if this API has members
/// of these names (`known`); the others are lost. A member that is there already stays.
pub(super) fn put(
    object: &mut Map<String, Value>,
    extensions: Vec<Extension>,
    same: bool,
    known: &[&str],
    losses: &mut Losses,
) {
    if !same {
        return put_extensions(object, extensions, same, known, losses);
    }
    for extension in extensions {
        place(object, &extension.name, extension.value);
    }
}

fn place(object: &mut Map<String, Value>, name: &str, value: Value) {
    let way = name.split_once('/').filter(|(own, _)| OWN.contains(own));
    if let Some((own, rest)) = way {
        let empty = || Value::Object(Map::new());
        let inner = object.entry(own).or_insert_with(empty);
        if let Some(inner) = inner.as_object_mut() {
            place(inner, rest, value);
        }
        return;
    }
    object.entry(name).or_insert(value);
}

/// Puts a setting to where it was (`/reasoning/effort`), if it was read from this API.
pub(super) fn put_at(object: &mut Map<String, Value>, at: &str, value: impl Into<Value>) {
    place(object, at.trim_start_matches('/'), value.into());
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn members_come_back_to_where_they_were() {
        let inner = Object::lenient(json!({"x": 1, "y/z": 2}), "/a/function");
        let extensions = inside("function", inner);
        assert_eq!(extensions[0].at, "/a/function/x");
        let mut object = Map::new();
        object.insert("function".to_owned(), json!({"name": "f"}));
        let mut losses = Losses::new();
        put(&mut object, extensions, true, &[], &mut losses);
        assert_eq!(
            Value::from(object),
            json!({"function": {"name": "f", "x": 1, "y/z": 2}})
        );
        assert!(losses.is_empty());
    }
}
