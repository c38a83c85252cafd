//! Reading JSON objects member by member, so that what nobody took is known at the end.

use serde_json::{Map, Number, Value};

use super::ReadError;
use crate::representation::{At, Extension, Part, Pointer, Setting};

/// An object being read: each member is taken out once; what is left is an [`Extension`].
///
/// A strict object (of a request) refuses members of the wrong type; a lenient one (of an answer)
/// leaves them where they are, so that nothing of a provider's makes an answer unreadable. `null`
/// counts as absent in both.
#[derive(Debug)]
pub(crate) struct Object {
    members: Map<String, Value>,
    at: String,
    lenient: bool,
}

impl Object {
    /// An object of a request.
    pub(crate) fn strict(value: Value, at: impl Into<String>) -> Result<Self, ReadError> {
        let at = at.into();
        match value {
            Value::Object(members) => Ok(Self {
                members,
                at,
                lenient: false,
            }),
            _ => Err(wrong(at, "must be an object")),
        }
    }

    /// An object of an answer; what is none counts as empty.
    pub(crate) fn lenient(value: Value, at: impl Into<String>) -> Self {
        Self {
            members: match value {
                Value::Object(members) => members,
                _ => Map::new(),
            },
            at: at.into(),
            lenient: true,
        }
    }

    /// Where it is.
    pub(crate) fn at(&self) -> &str {
        &self.at
    }

    /// Where a member is or would be.
    pub(crate) fn pointer(&self, key: &str) -> String {
        below(&self.at, key)
    }

    /// Whether a member is there and not `null`.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.members.get(key).is_some_and(|value| !value.is_null())
    }

    /// A member without taking it.
    pub(crate) fn peek(&self, key: &str) -> Option<&Value> {
        self.members.get(key).filter(|value| !value.is_null())
    }

    /// A text member without taking it.
    pub(crate) fn peek_text(&self, key: &str) -> Option<&str> {
        self.peek(key).and_then(Value::as_str)
    }

    /// Any member.
    pub(crate) fn take(&mut self, key: &str) -> Option<At<Value>> {
        // Keeps the order of what is left.
        let value = self.members.shift_remove(key)?;
        (!value.is_null()).then(|| At::new(value, below(&self.at, key)))
    }

    /// A text.
    pub(crate) fn text(&mut self, key: &str) -> Result<Setting<String>, ReadError> {
        self.typed(key, "must be a text", |value| match value {
            Value::String(text) => Ok(text),
            other => Err(other),
        })
    }

    /// A flag.
    pub(crate) fn flag(&mut self, key: &str) -> Result<Setting<bool>, ReadError> {
        self.typed(key, "must be true or false", |value| match value {
            Value::Bool(flag) => Ok(flag),
            other => Err(other),
        })
    }

    /// A number, as it was written.
    pub(crate) fn number(&mut self, key: &str) -> Result<Setting<Number>, ReadError> {
        self.typed(key, "must be a number", |value| match value {
            Value::Number(number) => Ok(number),
            other => Err(other),
        })
    }

    /// A whole number that is not negative.
    pub(crate) fn whole(&mut self, key: &str) -> Result<Setting<u64>, ReadError> {
        self.typed(key, "must be a whole number", |value| {
            value.as_u64().ok_or(value)
        })
    }

    /// A list, its items with their places.
    pub(crate) fn list(&mut self, key: &str) -> Result<Option<Vec<At<Value>>>, ReadError> {
        let list = self.typed(key, "must be a list", |value| match value {
            Value::Array(items) => Ok(items),
            other => Err(other),
        })?;
        Ok(list.map(|list| items(list.value, &list.at)))
    }

    /// A list of texts.
    pub(crate) fn texts(&mut self, key: &str) -> Result<Setting<Vec<String>>, ReadError> {
        self.typed(key, "must be a list of texts", |value| {
            let Value::Array(items) = &value else {
                return Err(value);
            };
            let texts: Option<Vec<String>> = items
                .iter()
                .map(|item| item.as_str().map(str::to_owned))
                .collect();
            texts.ok_or(value)
        })
    }

    /// An object, to be read in turn.
    pub(crate) fn object(&mut self, key: &str) -> Result<Option<Object>, ReadError> {
        let lenient = self.lenient;
        let map = self.map(key)?;
        Ok(map.map(|map| Object {
            members: map.value,
            at: map.at.into_owned(),
            lenient,
        }))
    }

    /// An object as it is.
    pub(crate) fn map(&mut self, key: &str) -> Result<Setting<Map<String, Value>>, ReadError> {
        self.typed(key, "must be an object", |value| match value {
            Value::Object(map) => Ok(map),
            other => Err(other),
        })
    }

    /// An item of a list as an object like this one.
    pub(crate) fn item(&self, item: At<Value>) -> Result<Object, ReadError> {
        if self.lenient {
            Ok(Self::lenient(item.value, item.at))
        } else {
            Self::strict(item.value, item.at)
        }
    }

    /// That a member is missing.
    pub(crate) fn missing(&self, key: &str) -> ReadError {
        wrong(self.pointer(key), "is missing")
    }

    /// What nobody took, in its order.
    pub(crate) fn rest(self) -> Vec<Extension> {
        let at = self.at;
        let members = self.members.into_iter();
        members
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| Extension {
                at: Pointer::Owned(below(&at, &name)),
                name,
                value,
            })
            .collect()
    }

    fn typed<T>(
        &mut self,
        key: &str,
        reason: &'static str,
        read: impl FnOnce(Value) -> Result<T, Value>,
    ) -> Result<Setting<T>, ReadError> {
        let Some(found) = self.take(key) else {
            return Ok(None);
        };
        match read(found.value) {
            Ok(value) => Ok(Some(At {
                value,
                at: found.at,
            })),
            Err(value) if self.lenient => {
                self.members.insert(key.to_owned(), value);
                Ok(None)
            }
            Err(_) => Err(wrong(found.at.into_owned(), reason)),
        }
    }
}

/// The items of a list with their places.
pub(crate) fn items(list: Vec<Value>, at: &str) -> Vec<At<Value>> {
    let item = |(index, value)| At::new(value, format!("{at}/{index}"));
    list.into_iter().enumerate().map(item).collect()
}

/// The pointer of a member.
pub(crate) fn below(at: &str, key: &str) -> String {
    if key.contains(['~', '/']) {
        return format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
    }
    format!("{at}/{key}")
}

/// That something at a place is not what it should be.
pub(crate) fn wrong(at: impl Into<String>, reason: &'static str) -> ReadError {
    ReadError {
        at: at.into(),
        reason,
    }
}

/// Whether the structured answer of a tool says anything beside its parts: an empty object, which
/// some APIs require, does not.
pub(crate) fn says_more(structured: &Value, beside: &[Part]) -> bool {
    beside.is_empty() || structured.as_object().is_none_or(|own| !own.is_empty())
}

/// Puts a member that is there.
pub(crate) fn put(object: &mut Map<String, Value>, key: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        object.insert(key.to_owned(), value.into());
    }
}

/// Puts the members that the target knows by the same name (`known`), or all of them when source and
/// target are one API (`same`); the others are lost. A member that is there already stays.
pub(crate) fn put_extensions(
    object: &mut Map<String, Value>,
    extensions: Vec<Extension>,
    same: bool,
    known: &[&str],
    losses: &mut crate::representation::Losses,
) {
    for extension in extensions {
        if same || known.contains(&extension.name.as_str()) {
            object.entry(extension.name).or_insert(extension.value);
        } else if extension.matters() {
            losses.dropped(extension.at, "the other API does not know this member");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_nobody_took_is_left_in_its_order() {
        let value = json!({"z": 1, "model": "m", "a/b": 2, "gone": null});
        let mut object = Object::strict(value, "/x").unwrap();
        assert_eq!(
            object.text("model").unwrap(),
            Some(At::new("m".to_owned(), "/x/model"))
        );
        assert!(!object.has("gone"));
        let rest: Vec<_> = object.rest().into_iter().map(|e| (e.name, e.at)).collect();
        assert_eq!(
            rest,
            [
                ("z".to_owned(), Pointer::from("/x/z")),
                ("a/b".to_owned(), Pointer::from("/x/a~1b"))
            ]
        );
    }

    #[test]
    fn a_wrong_type_is_refused_in_requests_and_kept_in_answers() {
        let value = json!({"model": 1});
        let mut strict = Object::strict(value.clone(), "").unwrap();
        let error = strict.text("model").unwrap_err();
        assert_eq!(error.to_string(), "/model: must be a text");
        let mut lenient = Object::lenient(value, "");
        assert_eq!(lenient.text("model").unwrap(), None);
        assert_eq!(lenient.rest().len(), 1);
    }
}
