//! Members without a field, and what has no meaning outside of its own document.

use serde_json::{Map, Value};

use crate::apis::object::Object;
use crate::representation::{Extension, Losses, Pointer};

const UNKNOWN: &str = "the other API does not know this member";

/// Puts members that the target knows by the same name (`known`), or all of them when source and
/// target are one API (`same`). Objects are joined; whatever else is there already stays.
pub(super) fn put_members(
    object: &mut Map<String, Value>,
    extensions: Vec<Extension>,
    same: bool,
    known: &[&str],
    losses: &mut Losses,
) {
    for extension in extensions {
        let Extension { name, value, at } = extension;
        if !same && !known.contains(&name.as_str()) {
            if !at.is_empty() {
                losses.dropped(at, UNKNOWN);
            }
            continue;
        }
        match object.get_mut(&name) {
            Some(there) => join(there, value),
            None => {
                object.insert(name, value);
            }
        }
    }
}

fn join(there: &mut Value, more: Value) {
    if let (Value::Object(there), Value::Object(more)) = (there, more) {
        for (name, value) in more {
            match there.get_mut(&name) {
                Some(there) => join(there, value),
                None => {
                    there.insert(name, value);
                }
            }
        }
    }
}

/// What is left of a member that is an object, as extensions of the object that holds it.
pub(super) fn rest_of(object: Object, name: &str) -> Vec<Extension> {
    inside(object.rest(), name)
}

/// Extensions of a member as extensions of the object that holds it.
pub(super) fn inside(extensions: Vec<Extension>, name: &str) -> Vec<Extension> {
    let wrap = |extension: Extension| {
        let mut value = Map::new();
        value.insert(extension.name, extension.value);
        Extension {
            name: name.to_owned(),
            value: Value::Object(value),
            at: extension.at,
        }
    };
    extensions.into_iter().map(wrap).collect()
}

/// Marks members that mean nothing outside of their own document (an item's identifier, the echo of
/// a request): they come back in their own API, and are no loss elsewhere.
pub(super) fn incidental(extensions: &mut [Extension], names: &[&str]) {
    for extension in extensions {
        if names.contains(&extension.name.as_str()) {
            extension.at = Pointer::Borrowed("");
        }
    }
}

/// Letters of an identifier that may be part of another, not too many of them.
pub(super) fn short(id: &str) -> String {
    let allowed = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    id.chars().filter(allowed).take(40).collect()
}

/// An identifier for something in an answer: by the answer's own and the place in it.
pub(super) fn derived(prefix: &str, answer: &str, place: usize) -> String {
    match short(answer).as_str() {
        "" => format!("{prefix}_{place}"),
        answer => format!("{prefix}_{answer}_{place}"),
    }
}

/// A text member of an object.
pub(super) fn word<'v>(value: &'v Value, key: &str) -> Option<&'v str> {
    value.get(key).and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_left_of_a_nested_object_joins_it_again() {
        let mut text = Object::lenient(json!({"verbosity": "low", "new": {"a": 1}}), "/text");
        text.text("verbosity").unwrap();
        let rest = rest_of(text, "text");
        assert_eq!(rest[0].at, "/text/new");
        let mut target = Map::new();
        target.insert("text".to_owned(), json!({"verbosity": "low"}));
        let mut losses = Losses::new();
        put_members(&mut target, rest.clone(), true, &[], &mut losses);
        assert_eq!(
            Value::Object(target),
            json!({"text": {"verbosity": "low", "new": {"a": 1}}})
        );
        assert!(losses.is_empty());
        put_members(&mut Map::new(), rest, false, &[], &mut losses);
        assert_eq!(losses.as_slice()[0].path, "/text/new");
    }

    #[test]
    fn identifiers_are_derived_from_the_answer_and_the_place() {
        assert_eq!(derived("msg", "resp/1", 2), "msg_resp1_2");
        assert_eq!(derived("call", "", 0), "call_0");
    }
}
