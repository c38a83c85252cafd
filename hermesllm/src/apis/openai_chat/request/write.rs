//! Requests, written.

use serde_json::{Map, Value};

use super::super::{content, extra, messages, tools};
use super::{effort, form};
use crate::apis::object::put;
use crate::apis::SupportedUpstreamAPIs as Api;
use crate::representation::{At, Losses, Request, Sampling, Setting};

/// Members without a field that mean the same in other APIs of OpenAI's.
const KNOWN: [&str; 3] = ["safety_identifier", "prompt_cache_retention", "moderation"];

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
    let most = most(&model);
    // Azure has it in the path.
    if !model.is_empty() {
        body.insert("model".to_owned(), model.into());
    }
    let messages = messages::write(turns, same, losses);
    body.insert("messages".to_owned(), messages.into());
    tools::write(&mut body, tools, tool_choice, same, losses);
    put(&mut body, "parallel_tool_calls", value(parallel_tool_calls));
    named(&mut body, max_output, same, most);
    write_sampling(&mut body, sampling, same);
    write_stop(&mut body, stop, same);
    put(&mut body, "n", value(choices));
    if let Some(At { value, at }) = logprobs {
        body.insert("logprobs".to_owned(), true.into());
        if value > 0 || same && at == "/top_logprobs" {
            body.insert("top_logprobs".to_owned(), value.into());
        }
    }
    let format = format.and_then(|format| form::write(format, same, losses));
    put(&mut body, "response_format", format);
    if let Some(reasoning) = reasoning {
        effort::write(&mut body, reasoning, same, losses);
    }
    put(&mut body, "verbosity", value(verbosity));
    put(&mut body, "modalities", value(modalities));
    put(&mut body, "service_tier", value(service_tier));
    put(&mut body, "metadata", value(metadata));
    named(&mut body, user, same, "user");
    put(&mut body, "prompt_cache_key", value(cache_key));
    put(&mut body, "store", value(store));
    match cache {
        Some(hint) if same => {
            let hint = content::cache_control(hint.value);
            body.insert("cache_control".to_owned(), hint);
        }
        cache => losses.dropped_setting(cache, "this API caches by itself"),
    }
    losses.dropped_setting(previous, "this API stores no answers to go on from");
    if stream {
        body.insert("stream".to_owned(), true.into());
    }
    if let Some(wanted) = include_usage.filter(|_| stream || same) {
        extra::put_at(&mut body, "/stream_options/include_usage", wanted);
    }
    extra::put(&mut body, extensions, same, &KNOWN, losses);
    body.into()
}

/// What the most output tokens are called. OpenAI's models that think know the newer name alone,
/// most other providers the older one.
fn most(model: &str) -> &'static str {
    let name = model.rsplit('/').next().unwrap_or(model);
    let newer = ["gpt-5", "o1", "o3", "o4"];
    let of_family = |family: &str| {
        let rest = name.strip_prefix(family);
        rest.is_some_and(|rest| !rest.starts_with(|next: char| next.is_ascii_alphanumeric()))
    };
    if newer.into_iter().any(of_family) {
        "max_completion_tokens"
    } else {
        "max_tokens"
    }
}

/// The value of a setting, whose place does not matter any more.
fn value<T>(setting: Setting<T>) -> Option<T> {
    setting.map(|setting| setting.value)
}

/// Puts a setting that has several names: under its own, or under `other`.
fn named<T: Into<Value>>(
    body: &mut Map<String, Value>,
    setting: Setting<T>,
    same: bool,
    other: &'static str,
) {
    let Some(At { value, at }) = setting else {
        return;
    };
    if same {
        extra::put_at(body, &at, value);
    } else {
        body.insert(other.to_owned(), value.into());
    }
}

fn write_stop(body: &mut Map<String, Value>, stop: Setting<Vec<String>>, same: bool) {
    let Some(At { value, at }) = stop else {
        return;
    };
    let stop = match value.as_slice() {
        [only] if same && at == "/stop" => only.as_str().into(),
        _ => value.into(),
    };
    body.insert("stop".to_owned(), stop);
}

fn write_sampling(body: &mut Map<String, Value>, sampling: Sampling, same: bool) {
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
    let seed = seed.map(|seed| At::new(Value::Number(seed.value), seed.at));
    named(body, seed, same, "seed");
    put(body, "logit_bias", value(logit_bias));
}
