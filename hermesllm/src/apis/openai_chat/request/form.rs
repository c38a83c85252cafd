//! `response_format`: the form of the answer.

use serde_json::{json, Map, Value};

use super::super::extra;
use crate::apis::object::{put, Object};
use crate::apis::ReadError;
use crate::representation::{At, Extension, Losses, OutputFormat, Setting};

/// Reads the form, and what is beside it inside of the member. A schema at `…/schema` was that of a
/// `json_object`, as llama.cpp and others have it.
pub(super) fn read(
    object: &mut Object,
) -> Result<(Setting<OutputFormat>, Vec<Extension>), ReadError> {
    let Some(At { value, at }) = object.take("response_format") else {
        return Ok((None, Vec::new()));
    };
    let mut own = Object::strict(value.clone(), at.clone())?;
    let kind = own.text("type")?.map(|kind| kind.value);
    let mut extensions = Vec::new();
    let (format, at) = match kind.as_deref() {
        Some("text") => (OutputFormat::Text, at),
        Some("json_object") => match own.take("schema") {
            Some(schema) => (unnamed(schema.value), schema.at),
            None => (OutputFormat::Json, at),
        },
        Some("json_schema") if has_schema(&own) => {
            let Some(mut inner) = own.object("json_schema")? else {
                return Ok((None, Vec::new()));
            };
            let format = OutputFormat::Schema {
                name: inner.text("name")?.map(|name| name.value),
                description: inner.text("description")?.map(|text| text.value),
                schema: inner
                    .take("schema")
                    .map(|schema| schema.value)
                    .unwrap_or_default(),
                strict: inner.flag("strict")?.map(|flag| flag.value),
            };
            extensions = extra::inside("json_schema", inner);
            (format, at)
        }
        _ => return Ok((Some(At::new(OutputFormat::Other(value), at)), extensions)),
    };
    extensions.extend(own.rest());
    let extensions = extra::below("response_format", extensions);
    Ok((Some(At::new(format, at)), extensions))
}

fn unnamed(schema: Value) -> OutputFormat {
    OutputFormat::Schema {
        name: None,
        description: None,
        schema,
        strict: None,
    }
}

fn has_schema(own: &Object) -> bool {
    let inner = own.peek("json_schema").and_then(Value::as_object);
    inner.is_some_and(|inner| inner.get("schema").is_some_and(|schema| !schema.is_null()))
}

/// Writes the form.
pub(super) fn write(format: At<OutputFormat>, same: bool, losses: &mut Losses) -> Option<Value> {
    Some(match format.value {
        OutputFormat::Text => json!({"type": "text"}),
        OutputFormat::Json => json!({"type": "json_object"}),
        OutputFormat::Schema { schema, .. } if same && format.at.ends_with("/schema") => {
            json!({"type": "json_object", "schema": schema})
        }
        OutputFormat::Schema {
            name,
            description,
            schema,
            strict,
        } => {
            let mut own = Map::new();
            // A name is required.
            let unnamed = (!same).then(|| "answer".to_owned());
            put(&mut own, "name", name.or(unnamed));
            put(&mut own, "description", description);
            own.insert("schema".to_owned(), schema);
            put(&mut own, "strict", strict);
            json!({"type": "json_schema", "json_schema": own})
        }
        OutputFormat::Other(value) if same => value,
        OutputFormat::Other(_) => {
            losses.dropped(format.at, "this form of output is the other API's own");
            return None;
        }
    })
}
