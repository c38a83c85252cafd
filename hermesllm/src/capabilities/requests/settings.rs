//! Settings of a request.

use serde_json::{json, Map, Number, Value};

use super::{asking, set, value};
use crate::apis::SupportedUpstreamAPIs as Api;
use crate::capabilities::probe::Probe;
use crate::representation::request::Enabled;
use crate::representation::{
    CacheHint, Effort, OutputFormat, ReasoningConfig, Request, Sampling, Setting,
};

pub(super) const PROBES: &[Probe<Request>] = &[
    Probe::new(
        "most output tokens",
        |_| asking(|request| request.max_output = set(100)),
        |request| value(&request.max_output),
    ),
    Probe::new(
        "stop sequences",
        |_| asking(|request| request.stop = set(vec!["END".to_owned()])),
        |request| value(&request.stop),
    ),
    Probe::new(
        "temperature",
        |_| sampling(|own| own.temperature = number(0.5)),
        |request| value(&request.sampling.temperature),
    ),
    Probe::new(
        "temperature above 1",
        |_| sampling(|own| own.temperature = number(1.5)),
        |request| value(&request.sampling.temperature),
    ),
    Probe::new(
        "top_p",
        |_| sampling(|own| own.top_p = number(0.5)),
        |request| value(&request.sampling.top_p),
    ),
    Probe::new(
        "top_k",
        |_| sampling(|own| own.top_k = set(40.into())),
        |request| value(&request.sampling.top_k),
    ),
    Probe::new(
        "min_p",
        |_| sampling(|own| own.min_p = number(0.5)),
        |request| value(&request.sampling.min_p),
    ),
    Probe::new(
        "frequency penalty",
        |_| sampling(|own| own.frequency_penalty = number(0.5)),
        |request| value(&request.sampling.frequency_penalty),
    ),
    Probe::new(
        "presence penalty",
        |_| sampling(|own| own.presence_penalty = number(0.5)),
        |request| value(&request.sampling.presence_penalty),
    ),
    Probe::new(
        "seed",
        |_| sampling(|own| own.seed = set(7.into())),
        |request| value(&request.sampling.seed),
    ),
    Probe::new(
        "logit bias",
        |_| sampling(|own| own.logit_bias = set(object("50256", json!(-100)))),
        |request| value(&request.sampling.logit_bias),
    ),
    Probe::new(
        "log probabilities",
        |_| asking(|request| request.logprobs = set(2)),
        |request| value(&request.logprobs),
    ),
    Probe::new(
        "several answers (n)",
        |_| asking(|request| request.choices = set(2)),
        |request| value(&request.choices),
    ),
    Probe::new(
        "JSON mode",
        |_| asking(|request| request.format = set(OutputFormat::Json)),
        format,
    ),
    Probe::new(
        "JSON of a schema",
        |_| asking(|request| request.format = set(schema())),
        format,
    ),
    Probe::new(
        "verbosity",
        |_| asking(|request| request.verbosity = set("low".to_owned())),
        |request| value(&request.verbosity),
    ),
    Probe::new(
        "pictures wanted",
        |_| {
            let both = ["text", "image"].map(str::to_owned);
            asking(|request| request.modalities = set(both.into()))
        },
        |request| value(&request.modalities),
    ),
    Probe::new(
        "reasoning effort",
        |_| reasoning(|own| own.effort = set(Effort::High)),
        |request| reasons(request, |own| word(&own.effort, Effort::as_str)),
    )
    .native(),
    Probe::new(
        "reasoning budget",
        |_| reasoning(|own| own.budget = set(8192)),
        |request| reasons(request, |own| value(&own.budget)),
    ),
    Probe::new(
        "reasoning off",
        |api| {
            reasoning(|own| match api {
                // Here it is the least of the efforts.
                Api::OpenAiChat | Api::OpenAiResponses => own.effort = set(Effort::None),
                Api::Gemini => own.budget = set(0),
                _ => own.enabled = set(Enabled::No),
            })
        },
        |request| reasons(request, off),
    )
    .native()
    .implied_by(&[Api::OpenAiCompletions]),
    Probe::new(
        "reasoning summary wanted",
        |_| {
            reasoning(|own| {
                own.enabled = set(Enabled::Yes);
                own.budget = set(8192);
                own.summary = set("auto".to_owned());
            })
        },
        |request| reasons(request, |own| value(&own.summary)),
    )
    .native()
    // Thoughts are shown without being asked for.
    .implied_by(&[Api::AnthropicMessages, Api::CohereChat]),
    Probe::new(
        "encrypted reasoning wanted",
        |_| reasoning(|own| own.encrypted = set(true)),
        |request| reasons(request, |own| value(&own.encrypted)),
    )
    // Signatures come without being asked for.
    .implied_by(&[Api::AnthropicMessages, Api::Gemini, Api::BedrockConverse]),
    Probe::new(
        "service tier: standard",
        |api| {
            let tier = match api {
                Api::AnthropicMessages => "standard_only",
                Api::Gemini => "standard",
                _ => "default",
            };
            asking(|request| request.service_tier = set(tier.to_owned()))
        },
        |request| match request
            .service_tier
            .as_ref()
            .map(|tier| tier.value.as_str())
        {
            Some("standard_only" | "standard" | "default") => "standard".into(),
            _ => Value::Null,
        },
    )
    .native()
    .implied_by(&[Api::Gemini, Api::BedrockConverse]),
    Probe::new(
        "service tier: priority",
        |api| match api {
            // A class that requests cannot name.
            Api::AnthropicMessages => asking(|_| {}),
            _ => asking(|request| request.service_tier = set("priority".to_owned())),
        },
        |request| value(&request.service_tier),
    ),
    Probe::new(
        "metadata",
        |_| asking(|request| request.metadata = set(object("team", json!("blue")))),
        |request| value(&request.metadata),
    ),
    Probe::new(
        "user",
        |_| asking(|request| request.user = set("user-1".to_owned())),
        |request| value(&request.user),
    ),
    Probe::new(
        "prompt_cache_key",
        |_| asking(|request| request.cache_key = set("key-1".to_owned())),
        |request| value(&request.cache_key),
    ),
    Probe::new(
        "caching as a whole",
        |_| asking(|request| request.cache = set(CacheHint::default())),
        |request| request.cache.as_ref().map(|_| true).into(),
    )
    .native(),
    Probe::new(
        "storing of the answer",
        |_| asking(|request| request.store = set(true)),
        |request| value(&request.store),
    ),
    Probe::new(
        "stored answer that is followed",
        |_| asking(|request| request.previous = set("resp_1".to_owned())),
        |request| value(&request.previous),
    ),
];

fn number(number: f64) -> Setting<Number> {
    set(Number::from_f64(number)?)
}

fn object(name: &str, value: Value) -> Map<String, Value> {
    Map::from_iter([(name.to_owned(), value)])
}

fn sampling(change: impl FnOnce(&mut Sampling)) -> Request {
    asking(|request| change(&mut request.sampling))
}

fn reasoning(change: impl FnOnce(&mut ReasoningConfig)) -> Request {
    asking(|request| change(request.reasoning.get_or_insert_default()))
}

fn reasons(request: &Request, say: impl Fn(&ReasoningConfig) -> Value) -> Value {
    request.reasoning.as_ref().map(say).unwrap_or_default()
}

fn word<T: Copy>(setting: &Setting<T>, say: impl Fn(T) -> &'static str) -> Value {
    setting.as_ref().map(|setting| say(setting.value)).into()
}

/// Off, in whichever way.
fn off(own: &ReasoningConfig) -> Value {
    let disabled = own.enabled.as_ref().map(|own| own.value) == Some(Enabled::No);
    let effort = own.effort.as_ref().map(|own| own.value) == Some(Effort::None);
    let budget = own.budget.as_ref().map(|own| own.value) == Some(0);
    (disabled || effort || budget).then_some("off").into()
}

fn schema() -> OutputFormat {
    OutputFormat::Schema {
        name: Some("answer".to_owned()),
        description: None,
        schema: json!({
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": false
        }),
        strict: Some(true),
    }
}

/// The form of the answer; a schema's name is no part of it.
fn format(request: &Request) -> Value {
    match request.format.as_ref().map(|format| &format.value) {
        None | Some(OutputFormat::Text) => Value::Null,
        Some(OutputFormat::Json) => "json".into(),
        Some(OutputFormat::Schema { schema, .. }) => {
            let mut schema = schema.clone();
            // Where the name is put if there is no other place for it.
            if let Some(members) = schema.as_object_mut() {
                members.shift_remove("title");
            }
            schema
        }
        Some(OutputFormat::Other(other)) => json!({ "other": other }),
    }
}
