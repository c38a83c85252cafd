//! Requests.

mod settings;
mod turns;
mod write;

use serde_json::Value;

use super::tools;
use crate::apis::object::{wrong, Object};
use crate::apis::{ReadError, SupportedUpstreamAPIs};
use crate::representation::{At, Request, Role, Sampling, Setting, Turn};

pub use write::write;

const ENCRYPTED: &str = "reasoning.encrypted_content";
const LOGPROBS: &str = "message.output_text.logprobs";

/// Reads a request.
///
/// # Errors
/// [`ReadError`]: a member is not of the type that it has to be.
pub fn read(body: Value) -> Result<Request, ReadError> {
    let mut object = Object::strict(body, "")?;
    let model = object.text("model")?;
    let stream = object.flag("stream")?.is_some_and(|stream| stream.value);
    let mut turns = Vec::new();
    if let Some(text) = object.text("instructions")? {
        turns.push(turns::of_text(Role::System, text));
    }
    turns.extend(input(&mut object)?);
    let mut read = Vec::new();
    for tool in object.list("tools")?.unwrap_or_default() {
        read.push(tools::read(tool)?);
    }
    let tool_choice = object.take("tool_choice").map(|choice| {
        let value = tools::read_choice(choice.value, &read);
        At::new(value, choice.at)
    });
    let mut extensions = Vec::new();
    let (format, verbosity) = settings::read_text(&mut object, &mut extensions)?;
    let mut include = settings::read_include(&mut object)?;
    let reasoning = settings::read_reasoning(&mut object, include.encrypted.take())?;
    let logprobs = logprobs(&mut object, include.logprobs.take())?;
    extensions.extend(include.rest);
    let user = match object.text("user")? {
        Some(user) => Some(user),
        None => object.text("safety_identifier")?,
    };
    let request = Request {
        api: Some(SupportedUpstreamAPIs::OpenAiResponses),
        model: model.map(|model| model.value).unwrap_or_default(),
        stream,
        // This API's streams always end with their usage.
        include_usage: stream.then_some(true),
        turns,
        tools: read,
        tool_choice,
        parallel_tool_calls: object.flag("parallel_tool_calls")?,
        max_output: object.whole("max_output_tokens")?,
        sampling: Sampling {
            temperature: object.number("temperature")?,
            top_p: object.number("top_p")?,
            ..Sampling::default()
        },
        stop: None,
        choices: None,
        logprobs,
        format,
        reasoning,
        verbosity,
        modalities: None,
        service_tier: object.text("service_tier")?,
        metadata: object.map("metadata")?,
        user,
        cache_key: object.text("prompt_cache_key")?,
        cache: None,
        store: object.flag("store")?,
        previous: object.text("previous_response_id")?,
        extensions: {
            extensions.extend(object.rest());
            extensions
        },
    };
    Ok(request)
}

fn input(object: &mut Object) -> Result<Vec<Turn>, ReadError> {
    match object.take("input") {
        None => Ok(Vec::new()),
        Some(At {
            value: Value::String(text),
            at,
        }) => Ok(vec![turns::of_text(Role::User, At::new(text, at))]),
        Some(At {
            value: Value::Array(list),
            at,
        }) => turns::read(list, &at),
        Some(At { at, .. }) => Err(wrong(at, "must be a text or a list")),
    }
}

/// Log probabilities are asked for by `include`; the number of alternatives stands apart, and alone
/// asks for them too unless it is zero.
fn logprobs(object: &mut Object, included: Setting<()>) -> Result<Setting<u64>, ReadError> {
    let top = object.whole("top_logprobs")?;
    Ok(match (top, included) {
        (Some(top), Some(_)) => Some(top),
        (Some(top), None) => (top.value > 0).then_some(top),
        (None, Some(included)) => Some(At::new(0, included.at)),
        (None, None) => None,
    })
}

#[cfg(test)]
mod tests;
