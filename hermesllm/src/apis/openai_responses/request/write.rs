//! Writing requests.

use serde_json::{Map, Value};

use super::settings::{takes_breakpoints, write_reasoning, write_text};
use super::{turns, ENCRYPTED, LOGPROBS};
use crate::apis::object::put;
use crate::apis::openai_responses::items::{Mode, Writer};
use crate::apis::openai_responses::members::put_members;
use crate::apis::openai_responses::tools;
use crate::apis::SupportedUpstreamAPIs;
use crate::representation::{At, Extension, Losses, Request, Sampling, Setting};

/// Members that other APIs may have by the same name and meaning.
const KNOWN: [&str; 9] = [
    "background",
    "context_management",
    "conversation",
    "max_tool_calls",
    "moderation",
    "prompt_cache_options",
    "prompt_cache_retention",
    "safety_identifier",
    "truncation",
];

/// The least that the API takes for `max_output_tokens`.
const LEAST_OUTPUT: u64 = 16;

/// Writes a request.
pub fn write(request: Request, losses: &mut Losses) -> Value {
    let Request {
        api,
        model,
        stream,
        // This API's streams always end with their usage.
        include_usage: _,
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
        mut extensions,
    } = request;
    let same = api == Some(SupportedUpstreamAPIs::OpenAiResponses);
    let breakpoints = takes_breakpoints(&model);
    let mut body = Map::new();
    if !model.is_empty() {
        body.insert("model".to_owned(), model.into());
    }
    let writer = Writer::new(Mode::Request, same, losses).with_breakpoints(breakpoints);
    let conversation = turns::write(turns, same, writer);
    put(&mut body, "instructions", conversation.instructions);
    put(&mut body, "input", conversation.input);

    let choice = tool_choice.and_then(|choice| tools::write_choice(choice, &tools, same, losses));
    let write_tool = |tool| tools::write(tool, same, losses);
    let tools: Vec<Value> = tools.into_iter().filter_map(write_tool).collect();
    if !tools.is_empty() {
        body.insert("tools".to_owned(), Value::Array(tools));
    }
    put(&mut body, "tool_choice", choice);
    put_setting(&mut body, "parallel_tool_calls", parallel_tool_calls);
    put_setting(
        &mut body,
        "max_output_tokens",
        limit(max_output, same, losses),
    );
    write_sampling(sampling, &mut body, losses);
    losses.dropped_setting(stop, "no text can end the answer here");
    losses.dropped_setting(choices.filter(|n| n.value != 1), "there is one answer");
    let is_text = |list: &At<Vec<String>>| list.value.iter().all(|word| word == "text");
    let modalities = modalities.filter(|list| !is_text(list));
    losses.dropped_setting(modalities, "answers are texts");
    losses.dropped_setting(
        cache,
        "there is no such cache hint: the provider caches by itself",
    );

    put(
        &mut body,
        "text",
        write_text(format, verbosity, same, losses),
    );
    let mut include = Vec::new();
    if let Some(config) = reasoning {
        let (reasoning, encrypted) = write_reasoning(config, same, losses);
        put(&mut body, "reasoning", reasoning);
        if encrypted {
            include.push(Value::from(ENCRYPTED));
        }
    }
    if let Some(top) = logprobs {
        include.push(LOGPROBS.into());
        if top.value > 0 || top.at == "/top_logprobs" {
            body.insert("top_logprobs".to_owned(), top.value.into());
        }
    }
    include.extend(take_include(&mut extensions, same));
    if !include.is_empty() {
        body.insert("include".to_owned(), Value::Array(include));
    }
    put_setting(&mut body, "service_tier", service_tier);
    put_setting(&mut body, "metadata", metadata);
    if let Some(At { value, at }) = user {
        let is_safety = at == "/safety_identifier";
        let key = if is_safety {
            "safety_identifier"
        } else {
            "user"
        };
        body.insert(key.to_owned(), value.into());
    }
    put_setting(&mut body, "prompt_cache_key", cache_key);
    // This API stores answers unless told otherwise; the others do so only when asked.
    let store = store.map(|store| store.value);
    put(
        &mut body,
        "store",
        store.or_else(|| (!same).then_some(false)),
    );
    put_setting(&mut body, "previous_response_id", previous);
    if stream {
        body.insert("stream".to_owned(), true.into());
    }
    put_members(&mut body, extensions, same, &KNOWN, losses);
    Value::Object(body)
}

fn put_setting<T: Into<Value>>(body: &mut Map<String, Value>, key: &str, setting: Setting<T>) {
    put(body, key, setting.map(|setting| setting.value));
}

fn limit(max_output: Setting<u64>, same: bool, losses: &mut Losses) -> Setting<u64> {
    let most = max_output?;
    if same || most.value >= LEAST_OUTPUT {
        return Some(most);
    }
    let reason = "the API takes no limit below 16 tokens";
    losses.approximated(most.at.clone(), reason);
    Some(At::new(LEAST_OUTPUT, most.at))
}

fn write_sampling(sampling: Sampling, body: &mut Map<String, Value>, losses: &mut Losses) {
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
    put_setting(body, "temperature", temperature.map(as_value));
    put_setting(body, "top_p", top_p.map(as_value));
    losses.dropped_setting(top_k, "this API has no such way to choose tokens");
    losses.dropped_setting(min_p, "this API has no such way to choose tokens");
    losses.dropped_setting(
        frequency_penalty,
        "this API has no such way to choose tokens",
    );
    losses.dropped_setting(
        presence_penalty,
        "this API has no such way to choose tokens",
    );
    losses.dropped_setting(seed, "this API has no such way to choose tokens");
    losses.dropped_setting(logit_bias, "this API has no such way to choose tokens");
}

fn as_value(number: At<serde_json::Number>) -> At<Value> {
    At::new(Value::Number(number.value), number.at)
}

/// What else `include` asked for.
fn take_include(extensions: &mut Vec<Extension>, same: bool) -> Vec<Value> {
    let is_it = |e: &Extension| same && e.name == "include" && e.value.is_array();
    let Some(place) = extensions.iter().position(is_it) else {
        return Vec::new();
    };
    match extensions.remove(place).value {
        Value::Array(list) => list,
        _ => Vec::new(),
    }
}
