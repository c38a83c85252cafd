//! Schemas in the form of OpenAPI 3.0 (`parameters`, `responseSchema`) and as JSON Schema.
//!
//! Both directions walk through schemas alone, never through examples or defaults.

use serde_json::{json, Map, Value};

/// The words of `Type` by their numbers.
const TYPES: [&str; 8] = [
    "TYPE_UNSPECIFIED",
    "STRING",
    "NUMBER",
    "INTEGER",
    "BOOLEAN",
    "ARRAY",
    "OBJECT",
    "NULL",
];

/// Whole numbers, which this API also takes and gives as text.
const COUNTS: [&str; 6] = [
    "minItems",
    "maxItems",
    "minLength",
    "maxLength",
    "minProperties",
    "maxProperties",
];

/// How deep schemas are followed.
const MAX_DEPTH: usize = 128;

/// JSON Schema of an OpenAPI schema.
pub(super) fn to_json_schema(schema: Value) -> Value {
    walk(schema, 0, &|own| {
        if let Some(kind) = own.get_mut("type") {
            let word = match &*kind {
                Value::String(word) => Some(word.to_ascii_lowercase()),
                Value::Number(number) => number
                    .as_u64()
                    .and_then(|number| TYPES.get(usize::try_from(number).ok()?))
                    .map(|word| word.to_ascii_lowercase()),
                _ => None,
            };
            if let Some(word) = word {
                *kind = word.into();
            }
        }
        if own.get("type").and_then(Value::as_str) == Some("type_unspecified") {
            own.shift_remove("type");
        }
        for key in COUNTS {
            let number = own.get(key).and_then(Value::as_str);
            if let Some(number) = number.and_then(|text| text.parse::<u64>().ok()) {
                own.insert(key.to_owned(), number.into());
            }
        }
        if own.get("nullable") == Some(&Value::Bool(true)) {
            allow_null(own);
        }
    })
}

/// The OpenAPI schema that [`to_json_schema`] made a JSON Schema of.
pub(super) fn to_openapi(schema: Value) -> Value {
    walk(schema, 0, &|own| {
        if own.get("nullable") == Some(&Value::Bool(true)) {
            forbid_null(own);
        }
        if let Some(Value::String(word)) = own.get_mut("type") {
            word.make_ascii_uppercase();
        }
    })
}

/// Says in JSON Schema what `nullable` says, which stays beside.
fn allow_null(own: &mut Map<String, Value>) {
    match own.get_mut("type") {
        Some(kind @ Value::String(_)) => {
            let word = kind.take();
            *kind = json!([word, "null"]);
        }
        Some(_) => {}
        None => {
            if let Some(Value::Array(branches)) = own.get_mut("anyOf") {
                branches.push(json!({"type": "null"}));
            }
        }
    }
    if let Some(Value::Array(values)) = own.get_mut("enum") {
        values.push(Value::Null);
    }
}

fn forbid_null(own: &mut Map<String, Value>) {
    let pair = own.get("type").and_then(Value::as_array);
    let word = pair.and_then(|pair| match pair.as_slice() {
        [word, null] if null == "null" => Some(word.clone()),
        _ => None,
    });
    if let Some(word) = word {
        own.insert("type".to_owned(), word);
    } else if !own.contains_key("type") {
        if let Some(Value::Array(branches)) = own.get_mut("anyOf") {
            // Branches have been changed before.
            branches.pop_if(|last| *last == json!({"type": "NULL"}));
        }
    }
    if let Some(Value::Array(values)) = own.get_mut("enum") {
        values.pop_if(|last| last.is_null());
    }
}

/// Changes a schema and those inside of it.
fn walk(schema: Value, depth: usize, change: &dyn Fn(&mut Map<String, Value>)) -> Value {
    let Value::Object(mut own) = schema else {
        return schema;
    };
    if depth >= MAX_DEPTH {
        return Value::Object(own);
    }
    let each = |value: &mut Value| *value = walk(value.take(), depth + 1, change);
    for (key, value) in &mut own {
        match (key.as_str(), value) {
            ("items" | "additionalProperties" | "not", value @ Value::Object(_)) => each(value),
            ("properties" | "patternProperties" | "defs" | "$defs", Value::Object(inner)) => {
                inner.values_mut().for_each(each);
            }
            ("anyOf" | "oneOf" | "allOf" | "prefixItems", Value::Array(inner)) => {
                inner.iter_mut().for_each(each);
            }
            _ => {}
        }
    }
    change(&mut own);
    Value::Object(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_openapi_schema_becomes_json_schema_and_comes_back() {
        let schema = json!({
            "type": "OBJECT",
            "properties": {
                "type": {"type": "STRING", "nullable": true, "enum": ["A"]},
                "list": {"type": "ARRAY", "items": {"type": "INTEGER"}, "minItems": 1},
                "any": {"anyOf": [{"type": "NUMBER"}], "nullable": true},
            },
            "propertyOrdering": ["type", "list"],
            "default": {"type": "OBJECT"},
        });
        let expected = json!({
            "type": "object",
            "properties": {
                "type": {"type": ["string", "null"], "nullable": true, "enum": ["A", null]},
                "list": {"type": "array", "items": {"type": "integer"}, "minItems": 1},
                "any": {"anyOf": [{"type": "number"}, {"type": "null"}], "nullable": true},
            },
            "propertyOrdering": ["type", "list"],
            "default": {"type": "OBJECT"},
        });
        let json_schema = to_json_schema(schema.clone());
        assert_eq!(json_schema, expected);
        assert_eq!(to_openapi(json_schema), schema);
    }

    #[test]
    fn numbers_of_types_and_texts_of_counts_are_understood() {
        let schema = json!({"type": 5, "minItems": "2", "items": {"type": 0}});
        let expected = json!({"type": "array", "minItems": 2, "items": {}});
        assert_eq!(to_json_schema(schema), expected);
        assert_eq!(to_json_schema(json!({"type": 99})), json!({"type": 99}));
    }
}
