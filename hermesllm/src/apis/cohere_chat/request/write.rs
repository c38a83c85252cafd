//! Requests, written.

use serde_json::{json, Map, Number, Value};

use super::super::{messages, tools};
use super::own;
use crate::apis::object::{put, put_extensions};
use crate::apis::SupportedUpstreamAPIs as Api;
use crate::representation::request::Enabled;
use crate::representation::{
    At, Effort, Extension, Losses, OutputFormat, ReasoningConfig, Request, Sampling, Setting,
};

/// Members that clients of other APIs may name as this one does.
const KNOWN: [&str; 6] = [
    "citation_options",
    "documents",
    "priority",
    "raw_prompting",
    "safety_mode",
    "strict_tools",
];

/// As many stop sequences as the API takes.
const MOST_STOPS: usize = 5;

/// The most likely tokens to choose from: no more than these.
const MOST_LIKELY: u64 = 500;

/// Writes a request.
pub fn write(request: Request, losses: &mut Losses) -> Value {
    let Request {
        api,
        model,
        stream,
        // Its streams always end with their usage.
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
    let same = api == Some(Api::CohereChat);
    let mut body = Map::new();
    if !model.is_empty() {
        body.insert("model".to_owned(), model.into());
    }
    let mut documents = Vec::new();
    let messages = messages::write(turns, same, &mut documents, losses);
    body.insert("messages".to_owned(), messages.into());
    put_documents(&mut extensions, documents);
    tools::write(&mut body, tools, tool_choice, same, losses);
    put(&mut body, "max_tokens", value(max_output));
    write_sampling(&mut body, sampling, same, losses);
    put(&mut body, "stop_sequences", stops(stop, same, losses));
    if let Some(wanted) = logprobs {
        body.insert("logprobs".to_owned(), true.into());
        if wanted.value > 0 {
            losses.approximated(wanted.at, "this API has no alternatives to tokens");
        }
    }
    let format = format.and_then(|format| write_format(format, same, losses));
    put(&mut body, "response_format", format);
    let thinking = reasoning.and_then(|own| write_thinking(own, same, losses));
    put(&mut body, "thinking", thinking);
    // What says what is so here anyway is no loss.
    let parallel = parallel_tool_calls.filter(|parallel| !parallel.value);
    losses.dropped_setting(parallel, "this API cannot forbid calls at once");
    let choices = choices.filter(|choices| choices.value != 1);
    losses.dropped_setting(choices, "this API gives one answer");
    let modalities = modalities.filter(|all| all.value != ["text"]);
    losses.dropped_setting(modalities, "this API answers in text");
    let store = store.filter(|store| store.value);
    losses.dropped_setting(store, "this API stores no answers");
    losses.dropped_setting(verbosity, "this API has no verbosity");
    losses.dropped_setting(service_tier, "this API has no classes of service");
    losses.dropped_setting(metadata, "this API has no labels");
    losses.dropped_setting(user, "this API does not ask for the end user");
    losses.dropped_setting(cache_key, "this API caches by itself");
    losses.dropped_setting(cache, "this API caches by itself");
    losses.dropped_setting(previous, "this API stores no answers to go on from");
    if stream {
        body.insert("stream".to_owned(), true.into());
    }
    put_extensions(&mut body, extensions, same, &KNOWN, losses);
    body.into()
}

/// Puts documents of the conversation with those that stand beside it.
fn put_documents(extensions: &mut Vec<Extension>, documents: Vec<Value>) {
    if documents.is_empty() {
        return;
    }
    let known = extensions
        .iter_mut()
        .find(|extension| extension.name == "documents");
    match known.map(|extension| &mut extension.value) {
        Some(Value::Array(list)) => list.extend(documents),
        _ => extensions.push(own("documents", documents.into())),
    }
}

/// The value of a setting, whose place does not matter any more.
fn value<T>(setting: Setting<T>) -> Option<T> {
    setting.map(|setting| setting.value)
}

fn write_sampling(
    body: &mut Map<String, Value>,
    sampling: Sampling,
    same: bool,
    losses: &mut Losses,
) {
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
    put(body, "seed", value(seed));
    let most = MOST_LIKELY.into();
    for (name, setting, least, most) in [
        ("p", top_p, number(0.01), number(0.99)),
        ("k", top_k, Some(0.into()), Some(most)),
        (
            "frequency_penalty",
            frequency_penalty,
            number(0.0),
            number(1.0),
        ),
        (
            "presence_penalty",
            presence_penalty,
            number(0.0),
            number(1.0),
        ),
    ] {
        let Some(At { value, at }) = setting else {
            continue;
        };
        let near = match (least, most) {
            (Some(least), _) if !same && value.as_f64() < least.as_f64() => Some(least),
            (_, Some(most)) if !same && value.as_f64() > most.as_f64() => Some(most),
            _ => None,
        };
        if near.is_some() {
            losses.approximated(at, "the nearest that this API takes");
        }
        body.insert(name.to_owned(), near.unwrap_or(value).into());
    }
    losses.dropped_setting(min_p, "this API has no such way to choose tokens");
    losses.dropped_setting(logit_bias, "this API has no such way to choose tokens");
}

fn number(bound: f64) -> Option<Number> {
    Number::from_f64(bound)
}

fn stops(stop: Setting<Vec<String>>, same: bool, losses: &mut Losses) -> Option<Vec<String>> {
    let At { mut value, at } = stop?;
    if value.len() > MOST_STOPS && !same {
        losses.approximated(at, "this API takes no more than five stop sequences");
        value.truncate(MOST_STOPS);
    }
    Some(value)
}

fn write_format(format: At<OutputFormat>, same: bool, losses: &mut Losses) -> Option<Value> {
    match format.value {
        OutputFormat::Text => Some(json!({"type": "text"})),
        OutputFormat::Json => Some(json!({"type": "json_object"})),
        OutputFormat::Schema {
            name,
            description,
            mut schema,
            // Always guaranteed.
            strict: _,
        } => {
            if let (Value::Object(schema), false) = (&mut schema, same) {
                for (key, word) in [("title", name), ("description", description)] {
                    if let Some(word) = word {
                        schema.entry(key).or_insert(word.into());
                    }
                }
            }
            Some(json!({"type": "json_object", "json_schema": schema}))
        }
        OutputFormat::Other(whole) if same => Some(whole),
        OutputFormat::Other(_) => {
            losses.dropped(format.at, "this form of output is the other API's own");
            None
        }
    }
}

fn write_thinking(reasoning: ReasoningConfig, same: bool, losses: &mut Losses) -> Option<Value> {
    let ReasoningConfig {
        enabled,
        effort,
        budget,
        summary,
        encrypted,
        extensions,
    } = reasoning;
    let mut word = enabled.map(|enabled| match enabled.value {
        Enabled::No => "disabled",
        // As much as it needs is what it does.
        Enabled::Yes | Enabled::Adaptive => "enabled",
    });
    let mut tokens = value(budget);
    if let Some(At { value, at }) = effort {
        if value == Effort::None {
            word.get_or_insert("disabled");
        } else if tokens.is_none() && word != Some("disabled") {
            losses.approximated(at, "an effort becomes a number of thinking tokens");
            tokens = value.as_budget();
        }
    }
    if !same {
        if word == Some("disabled") {
            tokens = None;
        } else if tokens.is_some() {
            word = Some("enabled");
        }
    }
    let mut own = Map::new();
    put(&mut own, "type", word);
    put(&mut own, "token_budget", tokens);
    // Thoughts are shown as they are.
    let summary = summary.filter(|summary| summary.value != "auto");
    let reason = "this API does not choose what is shown of thoughts";
    losses.dropped_setting(summary, reason);
    let encrypted = encrypted.filter(|encrypted| encrypted.value);
    losses.dropped_setting(encrypted, "this API has no encrypted thoughts");
    put_extensions(&mut own, extensions, same, &[], losses);
    (same || !own.is_empty()).then(|| own.into())
}
