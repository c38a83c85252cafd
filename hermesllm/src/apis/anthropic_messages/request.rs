//! Requests.

mod thinking;
mod turns;
mod write;

pub use write::write;

use serde_json::{Map, Value};

use crate::apis::object::{wrong, Object};
use crate::apis::{ReadError, SupportedUpstreamAPIs};
use crate::representation::request::Enabled;
use crate::representation::{
    At, Effort, Extension, OutputFormat, ReasoningConfig, Request, Role, Sampling, Setting, Turn,
};

use super::content::{read_cache, read_content};
use super::rest_of;
use super::tools::{read_choice, read_tool};

/// Where the system prompt stands.
const SYSTEM: &str = "/system";

/// Where the form of the answer stood before `output_config` had it.
const OUTPUT_FORMAT: &str = "/output_format";

/// What `metadata` holds beside the user.
type Labels = Setting<Map<String, Value>>;

/// Reads a request.
pub fn read(body: Value) -> Result<Request, ReadError> {
    let mut object = Object::strict(body, "")?;
    let model = object.text("model")?.map(|model| model.value);
    let stream = object.flag("stream")?.is_some_and(|stream| stream.value);
    let turns = read_turns(&mut object)?;
    let mut tools = Vec::new();
    for tool in object.list("tools")?.unwrap_or_default() {
        tools.push(read_tool(tool)?);
    }
    let choice = read_choice(&mut object)?;
    let cache = read_cache(&mut object).map(|cache| At::new(cache, "/cache_control"));
    let mut extensions: Vec<Extension> = choice.rest.into_iter().collect();
    let (user, metadata) = read_metadata(&mut object)?;
    let mut reasoning = read_thinking(&mut object)?;
    let config = read_output_config(&mut object, &mut reasoning, &mut extensions)?;
    let format = match config {
        Some(format) => Some(format),
        None => read_output_format(&mut object, &mut extensions)?,
    };
    let max_output = object.whole("max_tokens")?;
    let sampling = Sampling {
        temperature: object.number("temperature")?,
        top_p: object.number("top_p")?,
        top_k: object.number("top_k")?,
        ..Sampling::default()
    };
    let stop = object.texts("stop_sequences")?;
    let service_tier = object.text("service_tier")?;
    extensions.extend(object.rest());
    Ok(Request {
        api: Some(SupportedUpstreamAPIs::AnthropicMessages),
        model: model.unwrap_or_default(),
        stream,
        turns,
        tools,
        tool_choice: choice.choice,
        parallel_tool_calls: choice.parallel,
        max_output,
        sampling,
        stop,
        format,
        reasoning,
        service_tier,
        metadata,
        user,
        cache,
        extensions,
        ..Request::default()
    })
}

fn read_turns(request: &mut Object) -> Result<Vec<Turn>, ReadError> {
    let mut turns = Vec::new();
    if let Some(system) = request.take("system") {
        turns.push(Turn {
            role: Role::System,
            name: None,
            parts: read_content(system, false)?,
            at: SYSTEM.into(),
            extensions: Vec::new(),
        });
    }
    let messages = request.list("messages")?;
    for message in messages.ok_or_else(|| request.missing("messages"))? {
        turns.push(read_message(message)?);
    }
    Ok(turns)
}

fn read_message(message: At<Value>) -> Result<Turn, ReadError> {
    let at = message.at.clone();
    let mut object = Object::strict(message.value, message.at)?;
    let role = object.text("role")?.ok_or_else(|| object.missing("role"))?;
    let role = match role.value.as_str() {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "system" => Role::System,
        _ => return Err(wrong(role.at, "must be user, assistant or system")),
    };
    let content = object.take("content");
    let content = content.ok_or_else(|| object.missing("content"))?;
    Ok(Turn {
        role,
        name: None,
        parts: read_content(content, false)?,
        at,
        extensions: object.rest(),
    })
}

/// `metadata`: who the user is, and whatever else there is.
fn read_metadata(request: &mut Object) -> Result<(Setting<String>, Labels), ReadError> {
    let Some(mut metadata) = request.object("metadata")? else {
        return Ok((None, None));
    };
    let at = metadata.at().to_owned();
    let user = metadata.text("user_id")?;
    let rest: Map<String, Value> = metadata
        .rest()
        .into_iter()
        .map(|member| (member.name, member.value))
        .collect();
    let is_said = user.is_some() && rest.is_empty();
    Ok((user, (!is_said).then(|| At::new(rest, at))))
}

/// `thinking`; one of an unknown type stays for the extensions, whole.
fn read_thinking(request: &mut Object) -> Result<Option<ReasoningConfig>, ReadError> {
    let kind = request
        .peek("thinking")
        .and_then(|thinking| thinking.get("type"));
    let enabled = match kind.and_then(Value::as_str) {
        Some("enabled") => Enabled::Yes,
        Some("disabled") => Enabled::No,
        Some("adaptive") => Enabled::Adaptive,
        _ => return Ok(None),
    };
    let Some(mut thinking) = request.object("thinking")? else {
        return Ok(None);
    };
    thinking.take("type");
    let shown = match thinking.peek_text("display") {
        Some("summarized") => Some("auto"),
        Some("omitted") => Some("none"),
        _ => None,
    };
    let summary = shown.and_then(|word| {
        let display = thinking.take("display")?;
        Some(At::new(word.to_owned(), display.at))
    });
    Ok(Some(ReasoningConfig {
        enabled: Some(At::new(enabled, thinking.pointer("type"))),
        effort: None,
        budget: thinking.whole("budget_tokens")?,
        summary,
        encrypted: None,
        extensions: thinking.rest(),
    }))
}

/// `output_config`: effort and form of the answer.
fn read_output_config(
    request: &mut Object,
    reasoning: &mut Option<ReasoningConfig>,
    extensions: &mut Vec<Extension>,
) -> Result<Setting<OutputFormat>, ReadError> {
    let Some(mut config) = request.object("output_config")? else {
        return Ok(None);
    };
    let effort = config.peek_text("effort").and_then(Effort::named);
    if let Some(effort) = effort {
        if let Some(found) = config.take("effort") {
            let effort = Some(At::new(effort, found.at));
            reasoning.get_or_insert_default().effort = effort;
        }
    }
    let mut format_rest = None;
    let format = read_format(&mut config, "format", &mut format_rest)?;
    extensions.extend(rest_of("output_config", config));
    // Two extensions of one name: writing fills up what is there.
    extensions.extend(format_rest.map(|rest| Extension {
        name: "output_config".to_owned(),
        value: Value::Object(Map::from_iter([(rest.name, rest.value)])),
        at: rest.at,
    }));
    Ok(format)
}

fn read_output_format(
    request: &mut Object,
    extensions: &mut Vec<Extension>,
) -> Result<Setting<OutputFormat>, ReadError> {
    let mut rest = None;
    let format = read_format(request, "output_format", &mut rest)?;
    extensions.extend(rest);
    Ok(format)
}

fn read_format(
    parent: &mut Object,
    key: &str,
    rest: &mut Option<Extension>,
) -> Result<Setting<OutputFormat>, ReadError> {
    let Some(found) = parent.peek(key) else {
        return Ok(None);
    };
    let is_schema = found.get("type").is_some_and(|kind| kind == "json_schema")
        && found.get("schema").is_some_and(|schema| !schema.is_null());
    if !is_schema {
        let whole = parent.take(key);
        return Ok(whole.map(|whole| At::new(OutputFormat::Other(whole.value), whole.at)));
    }
    let Some(mut format) = parent.object(key)? else {
        return Ok(None);
    };
    format.take("type");
    let schema = format.take("schema").map(|schema| schema.value);
    let at = format.at().to_owned();
    *rest = rest_of(key, format);
    let format = OutputFormat::Schema {
        name: None,
        description: None,
        schema: schema.unwrap_or_default(),
        strict: None,
    };
    Ok(Some(At::new(format, at)))
}

#[cfg(test)]
mod tests;
