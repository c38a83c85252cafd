//! Members without a field, back to the places where they were read.

use serde_json::{Map, Value};

use crate::representation::{Extension, Losses};

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
                put(root, &format!("/{name}"), value);
            }
            continue;
        }
        let place = at.strip_prefix(base).filter(|_| same);
        if !place.is_some_and(|place| put(root, place, value)) {
            losses.dropped(at, "Converse does not know this member");
        }
    }
}

/// Puts a value to the place that a JSON Pointer names, making the objects on the way. Whether
/// there is such a place.
pub(super) fn put(root: &mut Value, pointer: &str, value: Value) -> bool {
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
                .entry(unescaped(parent))
                .or_insert_with(|| Value::Object(Map::new())),
            _ => return false,
        };
    }
    let Value::Object(members) = own else {
        return false;
    };
    members.insert(unescaped(key), value);
    true
}

fn unescaped(key: &str) -> String {
    if key.contains('~') {
        return key.replace("~1", "/").replace("~0", "~");
    }
    key.to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_member_comes_back_to_where_it_was() {
        let extension = |name: &str, at: &str| Extension {
            name: name.to_owned(),
            value: json!(1),
            at: at.to_owned().into(),
        };
        let extensions = vec![
            extension("new", "/content/0/image/new"),
            extension("a/b", "/content/0/image/deep/a~1b"),
            extension("other", "/content/1/other"),
        ];
        let mut losses = Losses::new();
        let mut block = json!({"image": {"format": "png"}});
        restore(
            &mut block,
            "/content/0",
            extensions.clone(),
            true,
            &mut losses,
        );
        let expected = json!({"image": {"format": "png", "new": 1, "deep": {"a/b": 1}}});
        assert_eq!(block, expected);
        assert_eq!(losses.as_slice().len(), 1);

        let mut losses = Losses::new();
        restore(&mut block, "/content/0", extensions, false, &mut losses);
        assert_eq!(block, expected);
        assert_eq!(losses.as_slice().len(), 3);
    }

    #[test]
    fn there_is_no_place_in_texts_and_beyond_lists() {
        let mut root = json!({"a": "text", "b": [{}]});
        assert!(!put(&mut root, "/a/x", json!(1)));
        assert!(!put(&mut root, "/b/1/x", json!(1)));
        assert!(!put(&mut root, "/b/0", json!(1)));
        assert!(!put(&mut root, "", json!(1)));
        assert!(put(&mut root, "/b/0/x", json!(1)));
        assert_eq!(root, json!({"a": "text", "b": [{"x": 1}]}));
    }
}
