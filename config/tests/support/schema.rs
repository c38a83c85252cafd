//! The JSON Schema as an editor applies it: on the document's text.

use std::sync::OnceLock;

use jsonschema::Validator;
use serde_yaml::Value;

/// What the JSON Schema has against a document that is YAML.
pub fn complaints(text: &str) -> Vec<String> {
    static VALIDATOR: OnceLock<Validator> = OnceLock::new();
    let validator = VALIDATOR.get_or_init(|| {
        jsonschema::draft202012::meta::validate(&meseta_config::json_schema()).unwrap();
        jsonschema::validator_for(&meseta_config::json_schema()).unwrap()
    });
    let mut document: Value = serde_yaml::from_str(text).unwrap();
    document.apply_merge().unwrap();
    let document = json(document);
    let errors = validator.iter_errors(&document);
    errors
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect()
}

/// YAML as JSON: keys as they are written, and `null` for what JSON has no number for.
fn json(value: Value) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(flag) => flag.into(),
        Value::Number(number) => serde_json::to_value(number).unwrap_or_default(),
        Value::String(text) => text.into(),
        Value::Sequence(items) => items.into_iter().map(json).collect(),
        Value::Mapping(entries) => {
            let name = |key| match key {
                Value::String(text) => text,
                key => serde_yaml::to_string(&key).unwrap().trim().to_owned(),
            };
            let entries = entries.into_iter();
            let entries = entries.map(|(key, value)| (name(key), json(value)));
            serde_json::Value::Object(entries.collect())
        }
        Value::Tagged(tagged) => serde_json::json!({tagged.tag.to_string(): json(tagged.value)}),
    }
}
