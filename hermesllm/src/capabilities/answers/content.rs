//! What the model says in an answer.

use serde_json::{json, Value};

use super::{answer, calls, nonempty, reasoning, shown, some_part, text, texts, told};
use crate::apis::SupportedUpstreamAPIs as Api;
use crate::capabilities::probe::{secret, Probe};
use crate::representation::{Blob, Citation, PartKind, ProviderResponse, Reasoning, ToolCall};

pub(super) const PROBES: &[Probe<ProviderResponse>] = &[
    Probe::new("text", |_| told(|_| {}), texts),
    Probe::new("tool call", |_| answer([call("Rome")]), calls),
    Probe::new(
        "parallel tool calls",
        |_| answer([text("I look."), call("Rome"), call("Oslo")]),
        calls,
    ),
    Probe::new(
        "custom tool call (free text)",
        |_| {
            answer([PartKind::ToolCall(ToolCall {
                id: "call_1".to_owned(),
                name: "shell".to_owned(),
                arguments: "ls".to_owned(),
                custom: true,
                by_provider: false,
            })])
        },
        |answer| {
            some_part(answer, |kind| match kind {
                PartKind::ToolCall(call) if call.custom => Some(call.arguments.clone().into()),
                _ => None,
            })
        },
    ),
    Probe::new(
        "reasoning: text",
        |_| {
            thinking(Reasoning {
                text: "Hm.".to_owned(),
                ..Reasoning::default()
            })
        },
        |answer| reasoning(answer, |own| nonempty(&own.text)),
    ),
    Probe::new(
        "reasoning: summary",
        |_| {
            thinking(Reasoning {
                id: Some("rs_1".to_owned()),
                summary: vec!["It thinks.".to_owned()],
                ..Reasoning::default()
            })
        },
        |answer| reasoning(answer, shown),
    )
    .of(&[Api::OpenAiChat, Api::OpenAiResponses]),
    Probe::new(
        "reasoning: text with signature",
        |_| {
            thinking(Reasoning {
                text: "Hm.".to_owned(),
                signature: Some("c2lnbmF0dXJl".to_owned()),
                ..Reasoning::default()
            })
        },
        |answer| {
            reasoning(answer, |own| match &own.signature {
                Some(signature) => json!([own.text, secret(Some(signature))]),
                None => nonempty(&own.text),
            })
        },
    ),
    Probe::new(
        "reasoning: encrypted",
        |_| {
            thinking(Reasoning {
                id: Some("rs_1".to_owned()),
                encrypted: Some("ZW5jcnlwdGVk".to_owned()),
                ..Reasoning::default()
            })
        },
        |answer| reasoning(answer, |own| secret(own.encrypted.as_ref())),
    ),
    Probe::new(
        "signature of a tool call",
        |_| {
            let mut answer = answer([call("Rome")]);
            let choices = answer.choices.iter_mut();
            for part in choices.flat_map(|choice| &mut choice.parts) {
                part.signature = Some("c2lnbmF0dXJl".to_owned());
            }
            answer
        },
        |answer| {
            let parts = answer.choices.iter().flat_map(|choice| &choice.parts);
            // Where calls have no place for it, it stands in a thought before them.
            let mut signatures = parts.filter_map(|part| match &part.kind {
                PartKind::Reasoning(own) => own.signature.as_ref(),
                _ => part.signature.as_ref(),
            });
            secret(signatures.next())
        },
    ),
    Probe::new("citation of a web page", cited, |answer| {
        some_part(answer, |kind| match kind {
            PartKind::Text { citations, .. } => {
                citations.first().map(|own| json!([own.url, own.title]))
            }
            _ => None,
        })
    }),
    Probe::new(
        "refusal",
        |_| answer([PartKind::Refusal("No.".to_owned())]),
        |answer| {
            some_part(answer, |kind| match kind {
                PartKind::Refusal(text) => Some(text.clone().into()),
                _ => None,
            })
        },
    ),
    Probe::new(
        "audio",
        |_| {
            answer([PartKind::Audio {
                source: base64("audio/wav", "UklGRiQAAABXQVZF"),
                transcript: Some("Hello.".to_owned()),
            }])
        },
        |answer| {
            some_part(answer, |kind| match kind {
                PartKind::Audio {
                    source: Blob::Base64 { data, .. },
                    transcript,
                } => Some(json!([data, transcript])),
                _ => None,
            })
        },
    ),
    Probe::new(
        "picture",
        |_| {
            answer([PartKind::Image {
                source: base64("image/png", "iVBORw0KGgo="),
                detail: None,
            }])
        },
        |answer| {
            some_part(answer, |kind| match kind {
                PartKind::Image {
                    source: Blob::Base64 { data, media_type },
                    ..
                } => Some(json!([data, media_type])),
                // What the provider's own tool made.
                PartKind::Other { kind, value } if kind == "image_generation_call" => {
                    let format = value.get("output_format").and_then(Value::as_str);
                    let media_type = format.map(|format| format!("image/{format}"));
                    Some(json!([value.get("result"), media_type]))
                }
                _ => None,
            })
        },
    ),
];

fn call(city: &str) -> PartKind {
    PartKind::ToolCall(ToolCall {
        id: format!("call_{city}"),
        name: "weather".to_owned(),
        arguments: format!(r#"{{"city":"{city}"}}"#),
        custom: false,
        by_provider: false,
    })
}

fn thinking(own: Reasoning) -> ProviderResponse {
    answer([PartKind::Reasoning(own), text("Hello.")])
}

fn base64(media_type: &str, data: &str) -> Blob {
    Blob::Base64 {
        media_type: media_type.to_owned(),
        data: data.to_owned(),
    }
}

/// A text that rests on a web page; in their own words, of APIs that ask for these.
fn cited(api: Api) -> ProviderResponse {
    let raw = match api {
        Api::AnthropicMessages => Some(json!({
            "type": "web_search_result_location",
            "url": "https://example.com/a",
            "title": "A page",
            "encrypted_index": "ZW5jcnlwdGVk",
            "cited_text": "All men are mortal."
        })),
        _ => None,
    };
    let citation = Citation {
        url: Some("https://example.com/a".to_owned()),
        title: Some("A page".to_owned()),
        cited_text: Some("All men are mortal.".to_owned()),
        span: Some((0, 12)),
        raw,
    };
    answer([PartKind::Text {
        text: "All men are.".to_owned(),
        citations: vec![citation],
    }])
}
