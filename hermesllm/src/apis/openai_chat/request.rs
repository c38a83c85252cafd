//! Requests.
//!
//! Where providers have several names for a setting, its place says which it was.

mod effort;
mod form;
mod write;

use serde_json::Value;

use super::{content, extra, messages, tools};
use crate::apis::object::Object;
use crate::apis::{ReadError, SupportedUpstreamAPIs as Api};
use crate::representation::{At, Extension, Request, Sampling, Setting};

pub use write::write;

/// Reads a request.
///
/// # Errors
/// A member that is not what the API prescribes.
pub fn read(body: Value) -> Result<Request, ReadError> {
    let mut object = Object::strict(body, "")?;
    let silent = defaults(&mut object);
    let (include_usage, stream_options) = stream_options(&mut object)?;
    let (format, in_format) = form::read(&mut object)?;
    let max_output = match object.whole("max_completion_tokens")? {
        Some(most) => Some(most),
        None => object.whole("max_tokens")?,
    };
    let logprobs = logprobs(&mut object)?;
    let (tools, tool_choice) = tools::read(&mut object)?;
    let reasoning = effort::read(&mut object)?;
    let mut request = Request {
        api: Some(Api::OpenAiChat),
        model: object.text("model")?.map(|m| m.value).unwrap_or_default(),
        stream: object.flag("stream")?.is_some_and(|flag| flag.value),
        include_usage,
        turns: messages::read(object.list("messages")?.unwrap_or_default())?,
        tools,
        tool_choice,
        parallel_tool_calls: object.flag("parallel_tool_calls")?,
        max_output,
        sampling: Sampling {
            temperature: object.number("temperature")?,
            top_p: object.number("top_p")?,
            top_k: object.number("top_k")?,
            min_p: object.number("min_p")?,
            frequency_penalty: object.number("frequency_penalty")?,
            presence_penalty: object.number("presence_penalty")?,
            // Mistral's name.
            seed: match object.number("seed")? {
                Some(seed) => Some(seed),
                None => object.number("random_seed")?,
            },
            logit_bias: object.map("logit_bias")?,
        },
        stop: stop(&mut object)?,
        choices: object.whole("n")?,
        logprobs,
        format,
        reasoning,
        verbosity: object.text("verbosity")?,
        modalities: object.texts("modalities")?,
        service_tier: object.text("service_tier")?,
        metadata: object.map("metadata")?,
        user: match object.text("user")? {
            Some(user) => Some(user),
            None => object.text("safety_identifier")?,
        },
        cache_key: object.text("prompt_cache_key")?,
        cache: cache(&mut object),
        store: object.flag("store")?,
        previous: None,
        extensions: Vec::new(),
    };
    request.extensions = object.rest();
    request.extensions.extend(stream_options);
    request.extensions.extend(in_format);
    request.extensions.extend(silent);
    Ok(request)
}

/// Takes settings that say what is so without them.
fn defaults(object: &mut Object) -> Vec<Extension> {
    let mut all = Vec::new();
    for (key, default) in [
        ("stream", Value::Bool(false)),
        ("logprobs", Value::Bool(false)),
        ("tools", Value::Array(Vec::new())),
        ("functions", Value::Array(Vec::new())),
    ] {
        if object.peek(key) == Some(&default) {
            object.take(key);
            all.push(extra::silent(key, default));
        }
    }
    all
}

fn stream_options(object: &mut Object) -> Result<(Option<bool>, Vec<Extension>), ReadError> {
    let Some(mut options) = object.object("stream_options")? else {
        return Ok((None, Vec::new()));
    };
    let include_usage = options.flag("include_usage")?.map(|flag| flag.value);
    Ok((include_usage, extra::inside("stream_options", options)))
}

/// The token's own log probability, and how many alternatives beside.
fn logprobs(object: &mut Object) -> Result<Setting<u64>, ReadError> {
    // A number is the older API's.
    if object.peek("logprobs").is_some_and(Value::is_number) {
        return Ok(None);
    }
    match object.flag("logprobs")? {
        Some(At { value: true, at }) => {
            let most = object.whole("top_logprobs")?;
            Ok(Some(most.unwrap_or(At::new(0, at))))
        }
        _ => Ok(None),
    }
}

/// A list of one has its place, so that it is told from a text.
fn stop(object: &mut Object) -> Result<Setting<Vec<String>>, ReadError> {
    if object.peek_text("stop").is_some() {
        let text = object.text("stop")?;
        return Ok(text.map(|text| At::new(vec![text.value], text.at)));
    }
    let mut list = object.texts("stop")?;
    if let Some(list) = list.as_mut().filter(|list| list.value.len() == 1) {
        list.at = "/stop/0".into();
    }
    Ok(list)
}

/// OpenRouter's hint for the whole prompt.
fn cache(object: &mut Object) -> Setting<crate::representation::CacheHint> {
    let at = object.pointer("cache_control");
    content::cache(object).map(|hint| At::new(hint, at))
}

#[cfg(test)]
mod tests;
