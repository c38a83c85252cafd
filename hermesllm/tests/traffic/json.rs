//! Documents, compared.

use serde_json::{Map, Value};

/// The first place where two documents differ; a member that is `null` is as good as absent there.
pub fn difference(left: &Value, right: &Value, at: &str) -> Option<String> {
    match (left, right) {
        (Value::Object(own), Value::Object(other)) => own
            .keys()
            .chain(other.keys())
            .find_map(|key| difference(&left[key], &right[key], &format!("{at}/{key}"))),
        (Value::Array(own), Value::Array(other)) if own.len() == other.len() => own
            .iter()
            .zip(other)
            .enumerate()
            .find_map(|(index, (a, b))| difference(a, b, &format!("{at}/{index}"))),
        _ => (left != right).then(|| format!("{at}: {left} is not {right}")),
    }
}

/// The document without the members that are `null`.
pub fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let members = members.into_iter().filter(|(_, value)| !value.is_null());
            let kept: Map<_, _> = members
                .map(|(key, value)| (key, without_nulls(value)))
                .collect();
            Value::Object(kept)
        }
        Value::Array(items) => items.into_iter().map(without_nulls).collect(),
        other => other,
    }
}
