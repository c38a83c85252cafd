//! Requests.

mod write;

pub use write::write;

use serde_json::{json, Value};

use super::{messages, tools};
use crate::apis::object::Object;
use crate::apis::{ReadError, SupportedUpstreamAPIs as Api};
use crate::representation::request::Enabled;
use crate::representation::{
    At, Extension, OutputFormat, ReasoningConfig, Request, Sampling, Setting,
};

/// Reads a request.
///
/// # Errors
/// A member that is not what the API prescribes.
pub fn read(body: Value) -> Result<Request, ReadError> {
    let mut object = Object::strict(body, "")?;
    let (tools, tool_choice) = tools::read(&mut object)?;
    let mut beside = Vec::new();
    let stream = object.flag("stream")?;
    if stream.as_ref().is_some_and(|stream| !stream.value) {
        beside.push(own("stream", false.into()));
    }
    // No documents are none.
    let is_empty = |list: &Value| list.as_array().is_some_and(Vec::is_empty);
    if object.peek("documents").is_some_and(is_empty) {
        object.take("documents");
        beside.push(own("documents", json!([])));
    }
    let mut request = Request {
        api: Some(Api::CohereChat),
        model: object.text("model")?.map(|m| m.value).unwrap_or_default(),
        stream: stream.is_some_and(|stream| stream.value),
        turns: messages::read(object.list("messages")?.unwrap_or_default())?,
        tools,
        tool_choice,
        max_output: object.whole("max_tokens")?,
        sampling: Sampling {
            temperature: object.number("temperature")?,
            top_p: object.number("p")?,
            top_k: object.number("k")?,
            min_p: None,
            frequency_penalty: object.number("frequency_penalty")?,
            presence_penalty: object.number("presence_penalty")?,
            seed: object.number("seed")?,
            logit_bias: None,
        },
        stop: object.texts("stop_sequences")?,
        logprobs: object
            .flag("logprobs")?
            .filter(|wanted| wanted.value)
            .map(|wanted| At::new(0, wanted.at)),
        format: format(&mut object)?,
        reasoning: thinking(&mut object)?,
        ..Request::default()
    };
    request.extensions = object.rest();
    request.extensions.extend(beside);
    Ok(request)
}

/// A member that says nothing to other APIs.
fn own(name: &str, value: Value) -> Extension {
    Extension {
        name: name.to_owned(),
        value,
        at: "".into(),
    }
}

fn format(object: &mut Object) -> Result<Setting<OutputFormat>, ReadError> {
    let Some(At { value, at }) = object.take("response_format") else {
        return Ok(None);
    };
    let mut own = Object::strict(value.clone(), at.clone())?;
    let kind = own.text("type")?.map(|kind| kind.value);
    let schema = own.take("json_schema");
    let is_all = own.rest().is_empty();
    let format = match (kind.as_deref(), schema) {
        (Some("text"), None) if is_all => OutputFormat::Text,
        (Some("json_object"), None) if is_all => OutputFormat::Json,
        (Some("json_object"), Some(schema)) if is_all => OutputFormat::Schema {
            name: None,
            description: None,
            schema: schema.value,
            strict: None,
        },
        _ => OutputFormat::Other(value),
    };
    Ok(Some(At::new(format, at)))
}

/// A word that is not known stays where it is.
fn thinking(object: &mut Object) -> Result<Option<ReasoningConfig>, ReadError> {
    let Some(mut own) = object.object("thinking")? else {
        return Ok(None);
    };
    let enabled = match own.peek_text("type") {
        Some("enabled") => Some(Enabled::Yes),
        Some("disabled") => Some(Enabled::No),
        _ => None,
    };
    let enabled = enabled.and_then(|enabled| Some(At::new(enabled, own.take("type")?.at)));
    Ok(Some(ReasoningConfig {
        enabled,
        budget: own.whole("token_budget")?,
        extensions: own.rest(),
        ..ReasoningConfig::default()
    }))
}

#[cfg(test)]
mod tests;
