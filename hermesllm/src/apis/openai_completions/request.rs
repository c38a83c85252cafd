//! Requests.

use serde_json::{Map, Value};

use super::{own, prompt};
use crate::apis::object::{put, put_extensions, Object};
use crate::apis::{ReadError, SupportedUpstreamAPIs as Api};
use crate::representation::{
    At, Extension, Losses, OutputFormat, ReasoningConfig, Request, Sampling, Setting, Tool,
};

/// Members that clients of other APIs may name as this one does.
const KNOWN: [&str; 3] = ["best_of", "echo", "suffix"];

/// The most tokens of an answer to a conversation that says nothing of it: the API's own default
/// of 16 is made for continuing a line.
const MOST_TOKENS: u64 = 1024;

/// As many alternatives as the API gives.
const MOST_ALTERNATIVES: u64 = 5;

/// How members of `stream_options` are named among the extensions.
const STREAM_OPTIONS: &str = "stream_options/";

/// Reads a request.
///
/// # Errors
/// A member that is not what the API prescribes.
pub fn read(body: Value) -> Result<Request, ReadError> {
    let mut object = Object::strict(body, "")?;
    let mut beside = Vec::new();
    let stream = object.flag("stream")?;
    if stream.as_ref().is_some_and(|stream| !stream.value) {
        beside.push(own("stream", false.into()));
    }
    let mut include_usage = None;
    if let Some(mut options) = object.object("stream_options")? {
        include_usage = options.flag("include_usage")?.map(|flag| flag.value);
        let rest = options.rest().into_iter().map(|extension| Extension {
            name: format!("{STREAM_OPTIONS}{}", extension.name),
            ..extension
        });
        beside.extend(rest);
    }
    let stop = match object.peek_text("stop") {
        Some(text) => {
            beside.push(own("stop", text.into()));
            let text = object.text("stop")?;
            text.map(|text| At::new(vec![text.value], text.at))
        }
        None => object.texts("stop")?,
    };
    // A number here; vLLM's and Together's clients also say yes or no, which stays where it is.
    let is_number = object.peek("logprobs").is_some_and(Value::is_u64);
    let logprobs = if is_number {
        object.whole("logprobs")?
    } else {
        None
    };
    let mut request = Request {
        api: Some(Api::OpenAiCompletions),
        model: object.text("model")?.map(|m| m.value).unwrap_or_default(),
        stream: stream.is_some_and(|stream| stream.value),
        include_usage,
        turns: prompt::read(&mut object)?,
        // A negative one is the provider's to refuse.
        max_output: match object.peek("max_tokens") {
            Some(Value::Number(number)) if !number.is_u64() => None,
            _ => object.whole("max_tokens")?,
        },
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
        stop,
        choices: object.whole("n")?,
        logprobs,
        user: object.text("user")?,
        ..Request::default()
    };
    request.extensions = object.rest();
    request.extensions.extend(beside);
    Ok(request)
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
    let same = api == Some(Api::OpenAiCompletions);
    let mut body = Map::new();
    if !model.is_empty() {
        body.insert("model".to_owned(), model.into());
    }
    put(&mut body, "prompt", prompt::write(turns, same, losses));
    let most = value(max_output).or_else(|| (!same).then_some(MOST_TOKENS));
    put(&mut body, "max_tokens", most);
    write_sampling(&mut body, sampling);
    let is_text = |own: &Extension| own.name == "stop" && !own.matters();
    if !(same && extensions.iter().any(is_text)) {
        put(&mut body, "stop", value(stop));
    }
    put(&mut body, "n", value(choices));
    if let Some(At { value, at }) = logprobs {
        if value > MOST_ALTERNATIVES && !same {
            losses.approximated(at, "this API gives no more than five alternatives");
        }
        let most = if same {
            value
        } else {
            value.min(MOST_ALTERNATIVES)
        };
        body.insert("logprobs".to_owned(), most.into());
    }
    put(&mut body, "user", value(user));
    for Tool { at, .. } in tools {
        losses.dropped(at, "this API has no tools");
    }
    losses.dropped_setting(tool_choice, "this API has no tools");
    losses.dropped_setting(parallel_tool_calls, "this API has no tools");
    let format = format.filter(|format| format.value != OutputFormat::Text);
    losses.dropped_setting(format, "this API answers in plain text");
    if let Some(reasoning) = reasoning {
        drop_reasoning(reasoning, losses);
    }
    let modalities = modalities.filter(|all| all.value != ["text"]);
    losses.dropped_setting(modalities, "this API answers in text");
    let store = store.filter(|store| store.value);
    losses.dropped_setting(store, "this API stores no answers");
    losses.dropped_setting(verbosity, "this API has no verbosity");
    losses.dropped_setting(service_tier, "this API has no classes of service");
    losses.dropped_setting(metadata, "this API has no labels");
    losses.dropped_setting(cache_key, "this API has no key of a cache");
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

fn drop_reasoning(reasoning: ReasoningConfig, losses: &mut Losses) {
    use crate::representation::request::Enabled;
    use crate::representation::Effort;
    let ReasoningConfig {
        enabled,
        effort,
        budget,
        summary,
        encrypted,
        extensions,
    } = reasoning;
    let reason = "this API has no thoughts";
    // No thoughts are what there is.
    losses.dropped_setting(enabled.filter(|own| own.value != Enabled::No), reason);
    losses.dropped_setting(effort.filter(|own| own.value != Effort::None), reason);
    losses.dropped_setting(budget, reason);
    losses.dropped_setting(summary, reason);
    losses.dropped_setting(encrypted, reason);
    losses.dropped_extensions(extensions);
}

#[cfg(test)]
mod tests;
