//! What is said about an answer: how it ended, what it cost, who gave it.

use serde_json::{json, Value};

use super::{choice, stop, text, texts, told};
use crate::apis::SupportedUpstreamAPIs as Api;
use crate::capabilities::probe::Probe;
use crate::representation::{ProviderResponse, StopKind, TokenUsage};

pub(super) const PROBES: &[Probe<ProviderResponse>] = &[
    Probe::new(
        "several answers (n)",
        |_| told(|answer| answer.choices.push(choice([text("Good day.")]))),
        |answer| match answer.choices.len() {
            0 | 1 => Value::Null,
            _ => texts(answer),
        },
    ),
    Probe::new(
        "log probabilities",
        |_| {
            told(|answer| {
                for choice in &mut answer.choices {
                    choice.logprobs = Some(json!([{
                        "token": "Hello.", "logprob": -0.5, "bytes": [72, 101, 108, 108, 111, 46],
                        "top_logprobs": []
                    }]));
                }
            })
        },
        |answer| {
            let mut choices = answer.choices.iter();
            let tokens = choices.find_map(|choice| choice.logprobs.as_ref()?.as_array());
            let tokens = tokens.map(|list| {
                let pairs = list
                    .iter()
                    .map(|own| json!([own.get("token"), own.get("logprob")]));
                pairs.collect::<Vec<_>>()
            });
            tokens.into()
        },
    ),
    Probe::new("stop: end", |_| stopping(StopKind::End), stopped),
    Probe::new(
        "stop: stop sequence",
        |_| stopping(StopKind::StopSequence),
        stopped,
    )
    // One word is for both ends.
    .implied_by(&[
        Api::OpenAiChat,
        Api::OpenAiResponses,
        Api::OpenAiCompletions,
        Api::Gemini,
    ]),
    Probe::new(
        "stop: most output tokens",
        |_| stopping(StopKind::MaxTokens),
        stopped,
    ),
    Probe::new(
        "stop: context window",
        |_| stopping(StopKind::ContextWindow),
        stopped,
    ),
    Probe::new(
        "stop: content filter",
        |_| stopping(StopKind::ContentFilter),
        stopped,
    ),
    Probe::new("stop: refusal", |_| stopping(StopKind::Refusal), stopped),
    Probe::new("stop: pause", |_| stopping(StopKind::Pause), stopped),
    Probe::new(
        "stop: malformed tool call",
        |_| stopping(StopKind::Malformed),
        stopped,
    ),
    Probe::new(
        "stop sequence that came",
        |_| {
            told(|answer| {
                for choice in &mut answer.choices {
                    let mut reason = stop(StopKind::StopSequence, "");
                    reason.sequence = Some("END".to_owned());
                    choice.stop = Some(reason);
                }
            })
        },
        |answer| {
            let mut stops = answer.choices.iter().filter_map(|own| own.stop.as_ref());
            stops.find_map(|stop| stop.sequence.clone()).into()
        },
    ),
    Probe::new(
        "usage: input and output",
        |_| costing(|_| {}),
        |answer| usage(answer, |own| json!([own.input, own.output])),
    ),
    Probe::new(
        "usage: cached input",
        |_| costing(|own| own.cached = Some(30)),
        |answer| usage(answer, |own| own.cached.into()),
    ),
    Probe::new(
        "usage: input written to the cache",
        |_| costing(|own| own.cache_write = Some(20)),
        |answer| usage(answer, |own| own.cache_write.into()),
    ),
    Probe::new(
        "usage: reasoning",
        |_| costing(|own| own.reasoning = Some(10)),
        |answer| usage(answer, |own| own.reasoning.into()),
    ),
    Probe::new(
        "usage: audio",
        |_| {
            costing(|own| {
                own.audio_input = Some(5);
                own.audio_output = Some(6);
            })
        },
        |answer| usage(answer, |own| own.audio_input.into()),
    ),
    Probe::new(
        "moderation and safety",
        |api| {
            let found = match api {
                Api::Gemini => json!({"safetyRatings": [
                    {"category": "HARM_CATEGORY_HARASSMENT", "probability": "LOW"}
                ]}),
                Api::BedrockConverse => json!({"inputAssessment": {"guardrail-1": {}}}),
                _ => json!({"flagged": false}),
            };
            told(|answer| answer.moderation = Some(found))
        },
        |answer| answer.moderation.clone().unwrap_or_default(),
    )
    .native(),
    Probe::new(
        "identifier",
        |_| told(|answer| answer.id = "an-id".to_owned()),
        |answer| named(&answer.id),
    )
    .bookkeeping(),
    Probe::new(
        "model",
        |_| told(|answer| answer.model = "a-model".to_owned()),
        |answer| named(&answer.model),
    )
    .bookkeeping(),
    Probe::new(
        "time",
        |_| told(|answer| answer.created = Some(1_700_000_000)),
        |answer| answer.created.filter(|seconds| *seconds > 0).into(),
    )
    .bookkeeping(),
    Probe::new(
        "service tier",
        |_| told(|answer| answer.service_tier = Some("priority".to_owned())),
        |answer| answer.service_tier.clone().into(),
    ),
];

fn stopping(kind: StopKind) -> ProviderResponse {
    told(|answer| {
        for choice in &mut answer.choices {
            choice.stop = Some(stop(kind, ""));
        }
    })
}

fn stopped(answer: &ProviderResponse) -> Value {
    let stop = answer.choices.first().and_then(|own| own.stop.as_ref());
    stop.map(|stop| format!("{:?}", stop.kind)).into()
}

fn costing(change: impl FnOnce(&mut TokenUsage)) -> ProviderResponse {
    let mut usage = TokenUsage {
        input: Some(100),
        output: Some(50),
        ..TokenUsage::default()
    };
    change(&mut usage);
    told(|answer| answer.usage = Some(usage))
}

fn usage(answer: &ProviderResponse, say: impl Fn(&TokenUsage) -> Value) -> Value {
    answer.usage.as_ref().map(say).unwrap_or_default()
}

fn named(text: &str) -> Value {
    Some(text).filter(|text| !text.is_empty()).into()
}
