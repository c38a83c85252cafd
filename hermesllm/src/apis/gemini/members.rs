//! Reading and putting back members, whose names come in camelCase and in snake_case.

use std::borrow::Cow;

use serde_json::{Map, Number, Value};

use crate::apis::object::Object;
use crate::apis::ReadError;
use crate::representation::{At, Extension, Losses, Setting};

/// An object whose members are asked for in camelCase and found in either form. A list may come as
/// its only item.
#[derive(Debug)]
pub(super) struct Members(Object);

/// How a body is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// A request: what is wrong is refused.
    Strict,
    /// An answer: what is wrong is kept as it is.
    Lenient,
}

impl Members {
    pub(super) fn new(
        value: Value,
        at: impl Into<String>,
        reading: Reading,
    ) -> Result<Self, ReadError> {
        Ok(Self(match reading {
            Reading::Strict => Object::strict(value, at)?,
            Reading::Lenient => Object::lenient(value, at),
        }))
    }

    /// The name by which a member is there.
    fn key(&self, camel: &'static str) -> Cow<'static, str> {
        if self.0.peek(camel).is_some() || !camel.contains(|own: char| own.is_ascii_uppercase()) {
            return Cow::Borrowed(camel);
        }
        let snake = snake(camel);
        if self.0.peek(&snake).is_some() {
            return Cow::Owned(snake);
        }
        Cow::Borrowed(camel)
    }

    pub(super) fn has(&self, camel: &'static str) -> bool {
        self.0.has(&self.key(camel))
    }

    pub(super) fn peek(&self, camel: &'static str) -> Option<&Value> {
        self.0.peek(&self.key(camel))
    }

    pub(super) fn peek_text(&self, camel: &'static str) -> Option<&str> {
        self.peek(camel).and_then(Value::as_str)
    }

    pub(super) fn pointer(&self, camel: &'static str) -> String {
        self.0.pointer(&self.key(camel))
    }

    pub(super) fn missing(&self, camel: &'static str) -> ReadError {
        self.0.missing(camel)
    }

    pub(super) fn take(&mut self, camel: &'static str) -> Option<At<Value>> {
        self.0.take(&self.key(camel))
    }

    pub(super) fn text(&mut self, camel: &'static str) -> Result<Setting<String>, ReadError> {
        self.0.text(&self.key(camel))
    }

    pub(super) fn flag(&mut self, camel: &'static str) -> Result<Setting<bool>, ReadError> {
        self.0.flag(&self.key(camel))
    }

    pub(super) fn number(&mut self, camel: &'static str) -> Result<Setting<Number>, ReadError> {
        self.0.number(&self.key(camel))
    }

    pub(super) fn whole(&mut self, camel: &'static str) -> Result<Setting<u64>, ReadError> {
        self.0.whole(&self.key(camel))
    }

    pub(super) fn texts(&mut self, camel: &'static str) -> Result<Setting<Vec<String>>, ReadError> {
        self.0.texts(&self.key(camel))
    }

    pub(super) fn map(
        &mut self,
        camel: &'static str,
    ) -> Result<Setting<Map<String, Value>>, ReadError> {
        self.0.map(&self.key(camel))
    }

    pub(super) fn object(&mut self, camel: &'static str) -> Result<Option<Members>, ReadError> {
        Ok(self.0.object(&self.key(camel))?.map(Members))
    }

    /// A list, or its only item without a list around it.
    pub(super) fn many(
        &mut self,
        camel: &'static str,
    ) -> Result<Option<Vec<At<Value>>>, ReadError> {
        let key = self.key(camel);
        if self.0.peek(&key).is_some_and(Value::is_object) {
            return Ok(self.0.take(&key).map(|one| vec![one]));
        }
        self.0.list(&key)
    }

    pub(super) fn rest(self) -> Vec<Extension> {
        self.0.rest()
    }
}

/// `maxOutputTokens` as `max_output_tokens`.
fn snake(camel: &str) -> String {
    let mut out = String::with_capacity(camel.len() + 4);
    for letter in camel.chars() {
        if letter.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}

/// `max_output_tokens` as `maxOutputTokens`.
fn camel(name: &str) -> Cow<'_, str> {
    if !name.contains('_') {
        return Cow::Borrowed(name);
    }
    let mut out = String::with_capacity(name.len());
    let mut upper = false;
    for letter in name.chars() {
        if letter == '_' && !out.is_empty() {
            upper = true;
        } else if std::mem::take(&mut upper) {
            out.push(letter.to_ascii_uppercase());
        } else {
            out.push(letter);
        }
    }
    Cow::Owned(out)
}

/// Puts extensions back into what was read at `base`, if source and target are one API (`same`); in
/// any other case they are lost: there is no member that another API knows by the same name.
pub(super) fn restore(
    root: &mut Value,
    base: &str,
    extensions: Vec<Extension>,
    same: bool,
    losses: &mut Losses,
) {
    for extension in extensions {
        let Extension { name, value, at } = extension;
        if at.is_empty() {
            // Bookkeeping: of this API, it goes where its name says; of another, it says nothing.
            if same {
                put_at(root, &format!("/{name}"), value);
            }
            continue;
        }
        let place = at.strip_prefix(base).filter(|_| same);
        if !place.is_some_and(|place| put_at(root, place, value)) {
            losses.dropped(at, "this API does not know the member");
        }
    }
}

/// Puts a value to the place that a JSON Pointer names, making the objects on the way. Whether
/// there is such a place. The members on the way are this API's own, and written in camelCase.
fn put_at(root: &mut Value, pointer: &str, value: Value) -> bool {
    let Some((parents, key)) = pointer.rsplit_once('/') else {
        return false;
    };
    let mut own = root;
    for parent in parents.split('/').skip(1) {
        own = match own {
            Value::Array(items) => {
                let item = parent.parse().ok().and_then(|at: usize| items.get_mut(at));
                let Some(item) = item else {
                    return false;
                };
                item
            }
            Value::Object(members) => members
                .entry(camel(&unescaped(parent)))
                .or_insert_with(|| Value::Object(Map::new())),
            _ => return false,
        };
    }
    let Value::Object(members) = own else {
        return false;
    };
    members.insert(unescaped(key).into_owned(), value);
    true
}

fn unescaped(key: &str) -> Cow<'_, str> {
    if key.contains('~') {
        return Cow::Owned(key.replace("~1", "/").replace("~0", "~"));
    }
    Cow::Borrowed(key)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn members_are_found_in_both_forms_under_the_name_that_they_have() {
        let value = json!({"max_output_tokens": 1, "topP": 0.5, "new_one": 2});
        let mut members = Members::new(value, "/c", Reading::Strict).unwrap();
        let most = members.whole("maxOutputTokens").unwrap().unwrap();
        assert_eq!(most, At::new(1, "/c/max_output_tokens"));
        assert!(members.number("topP").unwrap().is_some());
        let rest = members.rest();
        assert_eq!(rest.len(), 1);
        assert_eq!(rest[0].at, "/c/new_one");
    }

    #[test]
    fn a_list_may_come_as_its_only_item() {
        let value = json!({"tools": {"a": 1}, "parts": [{}, {}]});
        let mut members = Members::new(value, "", Reading::Strict).unwrap();
        let tools = members.many("tools").unwrap().unwrap();
        assert_eq!(tools, [At::new(json!({"a": 1}), "/tools")]);
        let parts = members.many("parts").unwrap().unwrap();
        assert_eq!(parts[1].at, "/parts/1");
    }

    #[test]
    fn members_come_back_to_where_they_were_with_their_parents_in_camel_case() {
        let extension = |at: &'static str| Extension {
            name: String::new(),
            value: json!(1),
            at: at.into(),
        };
        let mut root = json!({"functionCall": {"name": "f"}});
        let mut losses = Losses::new();
        let extensions = || vec![extension("/p/function_call/new_one"), extension("/p/a~1b")];
        restore(&mut root, "/p", extensions(), true, &mut losses);
        let expected = json!({"functionCall": {"name": "f", "new_one": 1}, "a/b": 1});
        assert_eq!(root, expected);
        assert!(losses.is_empty());
        restore(&mut root, "/p", extensions(), false, &mut losses);
        assert_eq!(losses.as_slice().len(), 2);
        assert!(!put_at(&mut json!({"a": "text"}), "/a/x", json!(1)));
        assert!(!put_at(&mut json!([{}]), "/1/x", json!(1)));
        assert!(!put_at(&mut json!({}), "", json!(1)));
    }
}
