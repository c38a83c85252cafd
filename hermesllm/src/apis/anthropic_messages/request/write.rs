//! Requests, written.

use serde_json::{json, Map, Number, Value};

use crate::apis::anthropic_messages::content::{write_cache, BlockWriter, Ids, Scope};
use crate::apis::anthropic_messages::models::{abilities, Abilities};
use crate::apis::anthropic_messages::put_rest;
use crate::apis::anthropic_messages::tools::{write_choice, write_tool};
use crate::apis::object::put;
use crate::apis::SupportedUpstreamAPIs;
use crate::representation::{
    At, Losses, OutputFormat, ReasoningConfig, Request, Sampling, Setting, ToolChoice,
};

use super::thinking::{foreign, own, Plan};
use super::turns::{lacks_thoughts, write_foreign, write_own};
use super::OUTPUT_FORMAT;

/// Output when nothing limits it; the API wants a limit.
const MAX_TOKENS: u64 = 4096;

/// Members without a field that mean the same wherever they stand.
const KNOWN: &[&str] = &[
    "anthropic_beta",
    "anthropic_version",
    "betas",
    "mcp_servers",
];

/// Writes a request.
pub fn write(request: Request, losses: &mut Losses) -> Value {
    let Request {
        api,
        model,
        stream,
        // Always there.
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
        extensions,
    } = request;
    let same = api == Some(SupportedUpstreamAPIs::AnthropicMessages);
    let abilities = abilities(&model);
    let mut writer = BlockWriter {
        scope: Scope::Request(Ids::default()),
        same,
        losses,
    };
    let conversation = if same {
        write_own(turns, &mut writer)
    } else {
        write_foreign(turns, &mut writer)
    };
    let tools: Vec<Value> = tools
        .into_iter()
        .filter_map(|tool| write_tool(tool, same, losses))
        .collect();
    let is_forced = !tools.is_empty() && tool_choice.as_ref().is_some_and(|c| is_forced(&c.value));
    let limit = max_output.as_ref().map(|limit| limit.value);
    let mut plan = match reasoning {
        Some(config) if same => own(config, losses),
        Some(config) => {
            let at = place(&config);
            let plan = foreign(config, abilities, limit, losses);
            possible(
                plan,
                at,
                is_forced,
                lacks_thoughts(&conversation.messages),
                losses,
            )
        }
        None => Plan::default(),
    };

    let mut body = Map::new();
    if !model.is_empty() {
        body.insert("model".to_owned(), Value::String(model));
    }
    let max_tokens = write_limit(max_output, plan.budget, same, losses);
    body.insert("max_tokens".to_owned(), json!(max_tokens));
    put(&mut body, "system", conversation.system);
    body.insert("messages".to_owned(), Value::Array(conversation.messages));
    let choice = write_choice(
        tool_choice,
        parallel_tool_calls,
        !tools.is_empty(),
        same,
        losses,
    );
    if !tools.is_empty() {
        body.insert("tools".to_owned(), Value::Array(tools));
    }
    put(&mut body, "tool_choice", choice);
    let thinks = plan.thinks();
    put(&mut body, "thinking", plan.thinking.take());
    write_sampling(sampling, abilities, thinks, same, &mut body, losses);
    write_format(format, plan.effort, same, &mut body, losses);
    put(&mut body, "stop_sequences", write_stop(stop, same, losses));
    put(
        &mut body,
        "service_tier",
        write_tier(service_tier, same, losses),
    );
    write_metadata(metadata, user, same, &mut body, losses);
    put(
        &mut body,
        "cache_control",
        cache.map(|cache| write_cache(cache.value)),
    );
    if stream {
        body.insert("stream".to_owned(), Value::Bool(true));
    }
    put_rest(&mut body, extensions, same, KNOWN, losses);

    let several = choices.filter(|choices| choices.value != 1);
    losses.dropped_setting(several, "the other API gives one answer");
    losses.dropped_setting(logprobs, "the other API gives no log probabilities");
    losses.dropped_setting(verbosity, "the other API cannot be told how verbose to be");
    let beyond_text = modalities.filter(|list| list.value.iter().any(|word| word != "text"));
    losses.dropped_setting(beyond_text, "the other API answers with text only");
    losses.dropped_setting(
        cache_key,
        "the other API caches by what requests begin with",
    );
    let stored = store.filter(|store| store.value);
    losses.dropped_setting(stored, "the other API stores no answers");
    losses.dropped_setting(
        previous,
        "the other API stores no answers that others could follow",
    );
    Value::Object(body)
}

fn is_forced(choice: &ToolChoice) -> bool {
    match choice {
        ToolChoice::Required | ToolChoice::Function(_) => true,
        ToolChoice::Among { required, names: _ } => *required,
        ToolChoice::Auto | ToolChoice::None | ToolChoice::Other(_) => false,
    }
}

/// Where it was asked for.
fn place(config: &ReasoningConfig) -> crate::representation::Pointer {
    let effort = config.effort.as_ref().map(|effort| effort.at.clone());
    let budget = || config.budget.as_ref().map(|budget| budget.at.clone());
    let enabled = || config.enabled.as_ref().map(|enabled| enabled.at.clone());
    effort.or_else(budget).or_else(enabled).unwrap_or_default()
}

/// Takes back what the rest of the request rules out.
fn possible(
    plan: Plan,
    at: crate::representation::Pointer,
    is_forced: bool,
    lacks_thoughts: bool,
    losses: &mut Losses,
) -> Plan {
    if !plan.thinks() {
        return plan;
    }
    if is_forced {
        losses.dropped(at, "the model cannot think when it has to call a tool");
        return Plan::default();
    }
    if lacks_thoughts && plan.budget.is_some() {
        losses.dropped(
            at,
            "the model cannot go on to think without its signed thoughts",
        );
        return Plan::default();
    }
    plan
}

fn write_limit(limit: Setting<u64>, budget: Option<u64>, same: bool, losses: &mut Losses) -> u64 {
    let budget = budget.unwrap_or(0);
    let Some(limit) = limit else {
        return budget.saturating_add(MAX_TOKENS);
    };
    if same || budget == 0 || limit.value > budget {
        return limit.value;
    }
    losses.approximated(
        limit.at,
        "the limit of output has to exceed the thinking budget",
    );
    budget.saturating_add(1)
}

fn write_sampling(
    sampling: Sampling,
    abilities: Abilities,
    thinks: bool,
    same: bool,
    body: &mut Map<String, Value>,
    losses: &mut Losses,
) {
    let Sampling {
        mut temperature,
        mut top_p,
        mut top_k,
        min_p,
        frequency_penalty,
        presence_penalty,
        seed,
        logit_bias,
    } = sampling;
    let is_one = |number: &At<Number>| number.value.as_f64() == Some(1.0);
    if !same {
        if !abilities.sampling || thinks {
            let reason = if thinks {
                "the model chooses tokens in its own way when it thinks"
            } else {
                "the model chooses tokens in its own way"
            };
            losses.dropped_setting(temperature.take().filter(|t| !is_one(t)), reason);
            losses.dropped_setting(top_p.take().filter(|p| !is_one(p)), reason);
            losses.dropped_setting(top_k.take(), reason);
        }
        if !abilities.both && temperature.is_some() {
            let reason = "the model takes either temperature or top_p";
            losses.dropped_setting(top_p.take().filter(|p| !is_one(p)), reason);
        }
        let is_hot = |t: &At<Number>| t.value.as_f64().is_some_and(|t| t > 1.0);
        if let Some(hot) = temperature.as_mut().filter(|t| is_hot(t)) {
            hot.value = Number::from(1);
            let reason = "the other API takes temperatures up to 1";
            losses.approximated(hot.at.clone(), reason);
        }
    }
    put(
        body,
        "temperature",
        temperature.map(|t| Value::Number(t.value)),
    );
    put(body, "top_p", top_p.map(|p| Value::Number(p.value)));
    put(body, "top_k", top_k.map(|k| Value::Number(k.value)));
    let is_zero = |number: &At<Number>| number.value.as_f64() == Some(0.0);
    let reason = "the other API has no such way to choose tokens";
    losses.dropped_setting(min_p.filter(|n| !is_zero(n)), reason);
    losses.dropped_setting(frequency_penalty.filter(|n| !is_zero(n)), reason);
    losses.dropped_setting(presence_penalty.filter(|n| !is_zero(n)), reason);
    losses.dropped_setting(seed, reason);
    losses.dropped_setting(logit_bias.filter(|bias| !bias.value.is_empty()), reason);
}

/// Form of the answer and effort, which stand in one member.
fn write_format(
    format: Setting<OutputFormat>,
    effort: Option<&'static str>,
    same: bool,
    body: &mut Map<String, Value>,
    losses: &mut Losses,
) {
    let mut config = Map::new();
    put(&mut config, "effort", effort);
    if let Some(At { value, at }) = format {
        let written = match value {
            OutputFormat::Text => None,
            OutputFormat::Json => {
                let reason = "the other API has no mode for JSON without a schema";
                losses.approximated(at.clone(), reason);
                None
            }
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
                            schema.entry(key).or_insert(Value::String(word));
                        }
                    }
                }
                Some(json!({"type": "json_schema", "schema": schema}))
            }
            OutputFormat::Other(whole) if same => Some(whole),
            OutputFormat::Other(_) => {
                losses.dropped(at.clone(), "the other API has no such form of answers");
                None
            }
        };
        if same && at == OUTPUT_FORMAT {
            put(body, "output_format", written);
        } else {
            put(&mut config, "format", written);
        }
    }
    if !config.is_empty() {
        body.insert("output_config".to_owned(), Value::Object(config));
    }
}

fn write_stop(stop: Setting<Vec<String>>, same: bool, losses: &mut Losses) -> Option<Vec<String>> {
    let At { value, at } = stop?;
    if same {
        return Some(value);
    }
    let count = value.len();
    let visible: Vec<String> = value
        .into_iter()
        .filter(|text| !text.trim().is_empty())
        .collect();
    if visible.len() < count {
        losses.dropped(at, "the other API cannot end answers at spaces alone");
    }
    (!visible.is_empty()).then_some(visible)
}

fn write_tier(tier: Setting<String>, same: bool, losses: &mut Losses) -> Option<String> {
    let tier = tier?;
    match tier.value.as_str() {
        _ if same => Some(tier.value),
        "auto" | "standard_only" => Some(tier.value),
        "default" | "standard" => Some("standard_only".to_owned()),
        _ => {
            let reason = "the other API has no such class of service";
            losses.dropped(tier.at, reason);
            None
        }
    }
}

fn write_metadata(
    metadata: Setting<Map<String, Value>>,
    user: Setting<String>,
    same: bool,
    body: &mut Map<String, Value>,
    losses: &mut Losses,
) {
    let mut written = Map::new();
    let mut is_there = false;
    if let Some(user) = user {
        is_there = true;
        written.insert("user_id".to_owned(), Value::String(user.value));
    }
    match metadata {
        Some(metadata) if same => {
            is_there = true;
            written.extend(metadata.value);
        }
        other => {
            let labels = other.filter(|labels| !labels.value.is_empty());
            losses.dropped_setting(labels, "the other API takes no labels but the user");
        }
    }
    if is_there {
        body.insert("metadata".to_owned(), Value::Object(written));
    }
}
