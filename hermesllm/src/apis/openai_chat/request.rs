//! Requests.

use serde_json::{json, Map, Value};

use super::{messages, tools};
use crate::apis::object::{put, put_extensions, Object};
use crate::apis::{ReadError, SupportedUpstreamAPIs as Api};
use crate::representation::{
    At, Effort, Extension, Losses, OutputFormat, ReasoningConfig, Request, Sampling, Setting,
};

/// Members without a field that mean the same in other APIs of OpenAI's.
const KNOWN: [&str; 3] = ["safety_identifier", "prompt_cache_retention", "moderation"];

/// Reads a request.
///
/// # Errors
/// A member that is not what the API prescribes.
pub fn read(body: Value) -> Result<Request, ReadError> {
    let mut object = Object::strict(body, "")?;
    let (include_usage, stream_extensions) = stream_options(&mut object)?;
    let max_output = match object.whole("max_completion_tokens")? {
        Some(most) => Some(most),
        None => object.whole("max_tokens")?,
    };
    let logprobs = logprobs(&mut object)?;
    let (tools, tool_choice) = tools::read(&mut object)?;
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
            seed: object.number("seed")?,
            logit_bias: object.map("logit_bias")?,
        },
        stop: stop(&mut object)?,
        choices: object.whole("n")?,
        logprobs,
        format: format(&mut object)?,
        reasoning: effort(&mut object),
        verbosity: object.text("verbosity")?,
        modalities: object.texts("modalities")?,
        service_tier: object.text("service_tier")?,
        metadata: object.map("metadata")?,
        user: object.text("user")?,
        cache_key: object.text("prompt_cache_key")?,
        cache: None,
        store: object.flag("store")?,
        previous: None,
        extensions: Vec::new(),
    };
    request.extensions = object.rest();
    request.extensions.extend(stream_extensions);
    Ok(request)
}

fn stream_options(object: &mut Object) -> Result<(Option<bool>, Vec<Extension>), ReadError> {
    let Some(mut options) = object.object("stream_options")? else {
        return Ok((None, Vec::new()));
    };
    let include_usage = options.flag("include_usage")?.map(|flag| flag.value);
    let rest = options.rest().into_iter().map(|extension| Extension {
        name: format!("{STREAM_OPTIONS}{}", extension.name),
        ..extension
    });
    Ok((include_usage, rest.collect()))
}

/// How members of `stream_options` are named among the extensions.
const STREAM_OPTIONS: &str = "stream_options/";

/// The token's own log probability, and how many alternatives beside.
fn logprobs(object: &mut Object) -> Result<Setting<u64>, ReadError> {
    let wanted = object.flag("logprobs")?;
    let most = object.whole("top_logprobs")?;
    Ok(match (wanted, most) {
        (Some(At { value: true, at }), None) => Some(At::new(0, at)),
        (Some(At { value: true, .. }), Some(most)) => Some(most),
        // Alternatives without the wish for any mean nothing.
        _ => None,
    })
}

fn stop(object: &mut Object) -> Result<Setting<Vec<String>>, ReadError> {
    if object.peek_text("stop").is_some() {
        let text = object.text("stop")?;
        return Ok(text.map(|text| At::new(vec![text.value], text.at)));
    }
    object.texts("stop")
}

fn format(object: &mut Object) -> Result<Setting<OutputFormat>, ReadError> {
    let Some(At { value, at }) = object.take("response_format") else {
        return Ok(None);
    };
    let mut own = Object::strict(value.clone(), at.clone())?;
    let kind = own.text("type")?.map(|kind| kind.value);
    let format = match kind.as_deref() {
        Some("text") => OutputFormat::Text,
        Some("json_object") if !own.has("schema") => OutputFormat::Json,
        Some("json_schema") => match own.object("json_schema")? {
            Some(mut own) => OutputFormat::Schema {
                name: own.text("name")?.map(|name| name.value),
                description: own.text("description")?.map(|text| text.value),
                schema: own
                    .take("schema")
                    .map_or_else(|| json!({}), |schema| schema.value),
                strict: own.flag("strict")?.map(|flag| flag.value),
            },
            None => OutputFormat::Other(value),
        },
        _ => OutputFormat::Other(value),
    };
    Ok(Some(At::new(format, at)))
}

/// A word that is not known stays where it is.
fn effort(object: &mut Object) -> Option<ReasoningConfig> {
    let effort = Effort::named(object.peek_text("reasoning_effort")?)?;
    let at = object.take("reasoning_effort")?.at;
    Some(ReasoningConfig {
        effort: Some(At::new(effort, at)),
        ..ReasoningConfig::default()
    })
}

/// Writes a request.
pub fn write(request: Request, losses: &mut Losses) -> Value {
    let Request {
        api,
        model,
        stream,
        include_usage,
        turns,
        tools,
        tool_choice,
        parallel_tool_calls,
        max_output,
        sampling,
        stop,
        choices,
        logprobs,
        format,
        reasoning,
        verbosity,
        modalities,
        service_tier,
        metadata,
        user,
        cache_key,
        cache,
        store,
        previous,
        extensions,
    } = request;
    let same = api == Some(Api::OpenAiChat);
    let mut body = Map::new();
    body.insert("model".to_owned(), model.into());
    let messages = messages::write(turns, same, losses);
    body.insert("messages".to_owned(), messages.into());
    tools::write(&mut body, tools, tool_choice, same, losses);
    put(&mut body, "parallel_tool_calls", value(parallel_tool_calls));
    if let Some(At { value, at }) = max_output {
        let name = if same && at == "/max_completion_tokens" {
            "max_completion_tokens"
        } else {
            "max_tokens"
        };
        body.insert(name.to_owned(), value.into());
    }
    write_sampling(&mut body, sampling);
    put(&mut body, "stop", value(stop));
    put(&mut body, "n", value(choices));
    if let Some(most) = value(logprobs) {
        body.insert("logprobs".to_owned(), true.into());
        put(&mut body, "top_logprobs", (most > 0).then_some(most));
    }
    put(
        &mut body,
        "response_format",
        format.and_then(|f| write_format(f, same, losses)),
    );
    if let Some(reasoning) = reasoning {
        write_reasoning(&mut body, reasoning, losses);
    }
    put(&mut body, "verbosity", value(verbosity));
    put(&mut body, "modalities", value(modalities));
    put(&mut body, "service_tier", value(service_tier));
    put(&mut body, "metadata", value(metadata));
    put(&mut body, "user", value(user));
    put(&mut body, "prompt_cache_key", value(cache_key));
    put(&mut body, "store", value(store));
    losses.dropped_setting(cache, "this API caches by itself");
    losses.dropped_setting(previous, "this API stores no answers to go on from");
    if stream {
        body.insert("stream".to_owned(), true.into());
    }
    let mut options = Map::new();
    put(&mut options, "include_usage", include_usage);
    let mut others = Vec::new();
    for extension in extensions {
        match extension.name.strip_prefix(STREAM_OPTIONS) {
            Some(name) if same => {
                options.insert(name.to_owned(), extension.value);
            }
            _ => others.push(extension),
        }
    }
    if !options.is_empty() && (stream || same) {
        body.insert("stream_options".to_owned(), options.into());
    }
    put_extensions(&mut body, others, same, &KNOWN, losses);
    body.into()
}

/// The value of a setting, whose place does not matter any more.
fn value<T>(setting: Setting<T>) -> Option<T> {
    setting.map(|setting| setting.value)
}

fn write_sampling(body: &mut Map<String, Value>, sampling: Sampling) {
    let Sampling {
        temperature,
        top_p,
        top_k,
        min_p,
        frequency_penalty,
        presence_penalty,
        seed,
        logit_bias,
    } = sampling;
    put(body, "temperature", value(temperature));
    put(body, "top_p", value(top_p));
    // Not OpenAI's own, but of most that speak its API.
    put(body, "top_k", value(top_k));
    put(body, "min_p", value(min_p));
    put(body, "frequency_penalty", value(frequency_penalty));
    put(body, "presence_penalty", value(presence_penalty));
    put(body, "seed", value(seed));
    put(body, "logit_bias", value(logit_bias));
}

fn write_format(format: At<OutputFormat>, same: bool, losses: &mut Losses) -> Option<Value> {
    Some(match format.value {
        OutputFormat::Text => json!({"type": "text"}),
        OutputFormat::Json => json!({"type": "json_object"}),
        OutputFormat::Schema {
            name,
            description,
            schema,
            strict,
        } => {
            let mut own = Map::new();
            // A name is required; the schema's own title would do as well as any.
            let name = name.unwrap_or_else(|| "answer".to_owned());
            own.insert("name".to_owned(), name.into());
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

fn write_reasoning(body: &mut Map<String, Value>, reasoning: ReasoningConfig, losses: &mut Losses) {
    use crate::representation::request::Enabled;
    let ReasoningConfig {
        enabled,
        effort,
        budget,
        summary,
        encrypted,
        extensions,
    } = reasoning;
    let mut word = effort.map(|effort| effort.value);
    if let Some(budget) = budget {
        let near = Effort::of_budget(budget.value);
        word.get_or_insert(near);
        losses.approximated(budget.at, "a number of thinking tokens becomes an effort");
    }
    if let Some(enabled) = enabled {
        match enabled.value {
            Enabled::No => word = Some(Effort::None),
            // With an effort or by default it thinks as much as it sees fit.
            Enabled::Yes | Enabled::Adaptive => {}
        }
    }
    put(body, "reasoning_effort", word.map(Effort::as_str));
    losses.dropped_setting(
        summary,
        "this API does not choose what is shown of thoughts",
    );
    losses.dropped_setting(encrypted, "this API has no encrypted thoughts");
    losses.dropped_extensions(extensions);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn again(body: Value) -> Value {
        let mut losses = Losses::new();
        let written = write(read(body).unwrap(), &mut losses);
        assert!(losses.is_empty(), "{losses:?}");
        written
    }

    #[test]
    fn a_request_comes_back_as_it_was() {
        let body = json!({
            "model": "m", "messages": [{"role": "user", "content": "hi"}], "max_completion_tokens": 5,
            "stream": true, "stream_options": {"include_usage": true, "include_obfuscation": false},
            "logprobs": true, "top_logprobs": 2, "stop": ["a"], "reasoning_effort": "odd",
            "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"b": 1, "a": 2}, "strict": true}},
            "x_vendor": {"deep": [1]}, "temperature": 0.5, "prediction": {"type": "content", "content": "x"}
        });
        assert_eq!(again(body.clone()), body);
    }

    #[test]
    fn a_budget_of_thoughts_becomes_an_effort_and_is_told() {
        let mut request = read(json!({"model": "m", "messages": []})).unwrap();
        request.api = None;
        request.reasoning = Some(ReasoningConfig {
            budget: Some(At::new(8000, "/thinking/budget_tokens")),
            ..ReasoningConfig::default()
        });
        let mut losses = Losses::new();
        let body = write(request, &mut losses);
        assert_eq!(body["reasoning_effort"], "medium");
        assert_eq!(losses.as_slice()[0].path, "/thinking/budget_tokens");
    }

    #[test]
    fn what_is_wrong_is_named_by_its_place() {
        let error = read(json!({"messages": [{"role": "user", "content": 1}]})).unwrap_err();
        assert_eq!(error.at, "/messages/0/content");
        let error = read(json!({"temperature": "hot"})).unwrap_err();
        assert_eq!(error.at, "/temperature");
    }
}
