//! The language as a JSON Schema (draft 2020-12), for editors.
//!
//! It is wider than the loader where a pattern cannot say it all, and never narrower: `null` is
//! absence, spaces around a text do not count, and what has no effect so far is not judged.

use serde_json::{json, Map, Value};

use super::{Absence, Key, Kind, Object, Origin, Status, ROOT};

/// White space as the loader trims it: JSON Schema's `\s` lacks one of Unicode's.
const SPACES: &str = r"[\s\u0085]*";

/// The JSON Schema of `meseta.yaml`.
pub fn json_schema() -> Value {
    let mut definitions = Map::new();
    let mut root = object(&ROOT, Rigour::Read, &mut definitions);
    root.insert(
        "$schema".to_owned(),
        json!("https://json-schema.org/draft/2020-12/schema"),
    );
    root.insert("title".to_owned(), json!("Meseta configuration"));
    root.insert("$defs".to_owned(), Value::Object(definitions));
    Value::Object(root)
}

/// What may be said of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rigour {
    /// It is read, so it has to fit.
    Read,
    /// Nothing reads it: the names of keys are all that is checked.
    Inert,
}

/// An object, without a place for its definition.
fn object(
    object: &Object,
    rigour: Rigour,
    definitions: &mut Map<String, Value>,
) -> Map<String, Value> {
    let mut properties = Map::new();
    let mut strict = Map::new();
    let mut required = Vec::new();
    for key in object.keys {
        if key.status == Status::NotBuilt {
            continue;
        }
        let mut property = annotations(key, rigour);
        let own = match key.status {
            Status::Read => rigour,
            Status::Needless | Status::NotYetActive | Status::NotBuilt => Rigour::Inert,
        };
        let is_required = own == Rigour::Read && matches!(key.absence, Absence::Refused);
        if is_required {
            required.push(key.name);
        }
        let constraint = constraint(key.kind, own, !is_required, definitions);
        // Values that only count at times are judged apart.
        let is_apart = object
            .idle
            .as_ref()
            .is_some_and(|idle| idle.key != key.name);
        if is_apart && own == Rigour::Read {
            strict.insert(key.name.to_owned(), Value::Object(constraint));
        } else {
            property.extend(constraint);
        }
        properties.insert(key.name.to_owned(), Value::Object(property));
    }
    let mut schema = Map::new();
    schema.insert("type".to_owned(), json!("object"));
    schema.insert("description".to_owned(), json!(object.about));
    schema.insert("properties".to_owned(), Value::Object(properties));
    schema.insert("additionalProperties".to_owned(), json!(false));
    let mut judged = Map::new();
    if !required.is_empty() {
        judged.insert("required".to_owned(), json!(required));
    }
    match &object.idle {
        Some(idle) if rigour == Rigour::Read => {
            judged.insert("properties".to_owned(), Value::Object(strict));
            let pattern = format!("^{SPACES}({}){SPACES}$", idle.values.join("|"));
            schema.insert(
                "if".to_owned(),
                json!({
                    "required": [idle.key],
                    "properties": {idle.key: {"type": "string", "pattern": pattern}},
                }),
            );
            schema.insert("else".to_owned(), Value::Object(judged));
        }
        _ => schema.extend(judged),
    }
    schema
}

/// What a key means: nothing here refuses a value.
fn annotations(key: &Key, rigour: Rigour) -> Map<String, Value> {
    let mut about = key.about.to_owned();
    if let Absence::Means(text) = &key.absence {
        about.push_str(&format!(" Default: {text}."));
    }
    if rigour == Rigour::Read && key.status == Status::NotYetActive {
        about.push_str(" Understood, without effect in this version.");
    }
    if let Some(name) = key.replaced_by {
        about.push_str(&format!(" Deprecated: write {} instead.", quoted(name)));
    }
    let mut annotations = Map::new();
    annotations.insert("description".to_owned(), json!(about));
    if key.replaced_by.is_some() {
        annotations.insert("deprecated".to_owned(), json!(true));
    }
    if key.origin == Origin::Meseta {
        annotations.insert("$comment".to_owned(), json!("not in Plano's schema"));
    }
    if let Absence::Value(text) = &key.absence {
        annotations.insert("default".to_owned(), value_of(text));
    }
    if let Value::Object(example) = value_of(key.example) {
        if let Some(value) = example.get(key.name) {
            annotations.insert("examples".to_owned(), json!([value]));
        }
    }
    annotations
}

/// A name in quotes, unless it is a description that has its own.
pub(super) fn quoted(name: &str) -> String {
    if name.contains('`') {
        name.to_owned()
    } else {
        format!("`{name}`")
    }
}

/// YAML of the table as JSON.
pub(super) fn value_of(yaml: &str) -> Value {
    // The tests read every one of these texts.
    serde_yaml::from_str(yaml).unwrap_or_default()
}

/// What a value must be.
fn constraint(
    kind: Kind,
    rigour: Rigour,
    nullable: bool,
    definitions: &mut Map<String, Value>,
) -> Map<String, Value> {
    let schema = match (kind, rigour) {
        (Kind::List(item), _) => {
            let items = constraint(*item, rigour, rigour == Rigour::Inert, definitions);
            json!({"type": "array", "items": items})
        }
        (Kind::Map(named), _) => {
            // The reader of headers leaves out a `null`, other readers refuse it.
            let nullable = rigour == Rigour::Inert || matches!(named.value, Kind::Scalar);
            let values = constraint(named.value, rigour, nullable, definitions);
            json!({"type": "object", "additionalProperties": values})
        }
        (Kind::Object(object), _) => reference_to(object, rigour, definitions),
        (Kind::Either(kinds), _) => {
            let kinds = kinds.iter();
            let any: Vec<_> = kinds
                .map(|kind| constraint(*kind, rigour, false, definitions))
                .collect();
            json!({"anyOf": any})
        }
        (_, Rigour::Inert) => json!({}),
        (leaf, Rigour::Read) => leaf_constraint(leaf),
    };
    match schema {
        Value::Object(schema) if nullable => or_null(schema),
        Value::Object(schema) => schema,
        _ => Map::new(),
    }
}

/// A reference to an object's definition, which is made when it is not there.
fn reference_to(target: &Object, rigour: Rigour, definitions: &mut Map<String, Value>) -> Value {
    let mut name = target.title.replace(' ', "_");
    if rigour == Rigour::Inert && target.keys.iter().any(|key| key.status == Status::Read) {
        name.push_str("_without_effect");
    }
    if !definitions.contains_key(&name) {
        // The place is taken first: a definition may come to contain itself.
        definitions.insert(name.clone(), Value::Null);
        let definition = object(target, rigour, definitions);
        definitions.insert(name.clone(), Value::Object(definition));
    }
    json!({"$ref": format!("#/$defs/{name}")})
}

/// The same, or `null`.
fn or_null(mut schema: Map<String, Value>) -> Map<String, Value> {
    if let Some(Value::String(name)) = schema.get("type") {
        let types = json!([name, "null"]);
        schema.insert("type".to_owned(), types);
        return schema;
    }
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.push(json!("null"));
        return schema;
    }
    if let Some(Value::Array(any)) = schema.get_mut("anyOf") {
        any.push(json!({"type": "null"}));
        return schema;
    }
    if schema.is_empty() {
        return schema;
    }
    let mut or_null = Map::new();
    or_null.insert("anyOf".to_owned(), json!([schema, {"type": "null"}]));
    or_null
}

fn leaf_constraint(kind: Kind) -> Value {
    let text = |pattern: &str| json!({"type": "string", "pattern": format!("^{SPACES}({pattern}){SPACES}$")});
    match kind {
        Kind::Text | Kind::Url | Kind::Path | Kind::Secret => {
            json!({"type": "string", "minLength": 1})
        }
        Kind::Scalar => json!({"type": ["string", "number", "boolean"]}),
        Kind::Texts => json!({"type": "array", "items": {"type": "string"}}),
        Kind::Flag => json!({"type": "boolean"}),
        Kind::Integer => json!({"type": "integer"}),
        Kind::Number => json!({"type": "number"}),
        Kind::Percentage => json!({"type": "number", "minimum": 0, "maximum": 100}),
        Kind::Port => json!({"type": "integer", "minimum": 0, "maximum": 65535}),
        Kind::Duration => text(&format!(r"([0-9]+\.?[0-9]*|\.[0-9]+){SPACES}(ms|s|m|h)")),
        // A fraction of a byte is cut off, so the bound above is just before the next byte.
        Kind::Size => json!({
            "anyOf": [
                text(&format!(r"([0-9]+\.?[0-9]*|\.[0-9]+){SPACES}(|B|KiB|MiB|GiB|KB|kB|MB|GB)")),
                {"type": "number", "minimum": 1, "exclusiveMaximum": (1_u64 << 30) + 1},
            ],
        }),
        Kind::Ip => text(r"localhost|[0-9A-Fa-f:.\[\]]+"),
        Kind::Socket => text(r"(localhost|[0-9A-Fa-f:.]+|\[[0-9A-Fa-f:.%]+\]):\+?[0-9]+"),
        Kind::Listen => json!({"type": "string", "pattern": format!("^{SPACES}(unix|tcp):")}),
        // Without quotes it may be read as a number.
        Kind::Mode => json!({"anyOf": [text("0?6[06]0"), {"enum": [600, 660]}]}),
        Kind::Model => json!({"type": "string", "pattern": "^[^/]+/[^ ]"}),
        Kind::Interface => {
            let known = hermesllm::providers::catalogue().iter();
            let known: Vec<&str> = known.map(|entry| entry.id.as_str()).collect();
            // Other spellings and further names are taken as well.
            json!({"anyOf": [{"enum": known}, {"type": "string", "minLength": 1}]})
        }
        Kind::Origins => {
            let origin = text(r"[A-Za-z][A-Za-z0-9+.\-]*://[A-Za-z0-9._:\[\]\-]+");
            json!({
                "anyOf": [
                    {"const": "*"},
                    {"type": "array", "items": origin},
                    // One `*` makes the others meaningless.
                    {"type": "array", "contains": text(r"\*")},
                ],
            })
        }
        Kind::OneOf(values) => json!({
            "anyOf": [{"enum": values}, text(&values.join("|"))],
        }),
        Kind::Version(values) => json!({"anyOf": [{"enum": values}, {"const": ""}]}),
        Kind::Any | Kind::List(_) | Kind::Map(_) | Kind::Object(_) | Kind::Either(_) => json!({}),
    }
}
