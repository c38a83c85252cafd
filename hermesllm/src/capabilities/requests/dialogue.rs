//! What the model said before and is sent back, and what of it is worth caching.

use serde_json::{json, Value};

use super::{asking, call, conversation, parts, result, some_part, text, turn};
use crate::apis::SupportedUpstreamAPIs as Api;
use crate::capabilities::probe::{secret, Probe};
use crate::representation::{
    CacheHint, CacheTtl, Citation, Part, PartKind, Reasoning, Request, Role,
};

pub(super) const PROBES: &[Probe<Request>] = &[
    Probe::new(
        "reasoning: text",
        |_| {
            thinking(Reasoning {
                text: "Hm.".to_owned(),
                ..Reasoning::default()
            })
        },
        |request| reasoning(request, |own| nonempty(&own.text)),
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
        |request| reasoning(request, shown),
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
        |request| {
            reasoning(request, |own| match &own.signature {
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
        |request| reasoning(request, |own| secret(own.encrypted.as_ref())),
    ),
    Probe::new(
        "signature of a tool call",
        |_| signed_call(),
        |request| {
            let mut signatures = parts(request).filter_map(|part| part.signature.clone());
            signatures.next().into()
        },
    ),
    Probe::new("citations", cited, |request| {
        some_part(request, |kind| match kind {
            PartKind::Text { citations, .. } => {
                citations.first().map(|own| json!([own.url, own.title]))
            }
            _ => None,
        })
    })
    .native(),
    Probe::new(
        "refusal",
        |_| {
            conversation([
                turn(Role::User, [text("Hello.")]),
                turn(Role::Assistant, [PartKind::Refusal("No.".to_owned())]),
                turn(Role::User, [text("Why?")]),
            ])
        },
        |request| {
            some_part(request, |kind| match kind {
                PartKind::Refusal(text) => Some(text.clone().into()),
                _ => None,
            })
        },
    ),
    Probe::new(
        "cache hint",
        |_| cached(None),
        |request| {
            let mut hints = parts(request).filter_map(|part| part.cache);
            hints.next().map(|_| true).into()
        },
    )
    .native(),
    Probe::new(
        "cache hint with a time",
        |_| cached(Some(CacheTtl::OneHour)),
        |request| {
            let mut hints = parts(request).filter_map(|part| part.cache?.ttl);
            hints.next().map(CacheTtl::as_str).into()
        },
    )
    .native(),
];

fn thinking(reasoning: Reasoning) -> Request {
    conversation([
        turn(Role::User, [text("Hello.")]),
        turn(
            Role::Assistant,
            [PartKind::Reasoning(reasoning), text("Hello to you.")],
        ),
        turn(Role::User, [text("Bye.")]),
    ])
}

fn reasoning(request: &Request, say: impl Fn(&Reasoning) -> Value) -> Value {
    some_part(request, |kind| match kind {
        PartKind::Reasoning(own) => Some(say(own)),
        _ => None,
    })
}

/// What is shown of thoughts: in APIs that have no summaries beside them, the thoughts are shown.
fn shown(own: &Reasoning) -> Value {
    let texts = own.summary.iter().map(String::as_str);
    nonempty(&texts.chain([own.text.as_str()]).collect::<String>())
}

fn nonempty(text: &str) -> Value {
    Some(text).filter(|text| !text.is_empty()).into()
}

fn signed_call() -> Request {
    let mut request = conversation([
        turn(Role::User, [text("What is the weather?")]),
        turn(Role::Assistant, [call("Rome")]),
        turn(
            Role::User,
            [PartKind::ToolResult(result("Rome", [text("18 °C")]))],
        ),
    ]);
    for part in request.turns.iter_mut().flat_map(|turn| &mut turn.parts) {
        if let PartKind::ToolCall(_) = part.kind {
            part.signature = Some("c2lnbmF0dXJl".to_owned());
        }
    }
    request
}

/// A text that rests on a web page; in their own words, of APIs that ask for these.
fn cited(api: Api) -> Request {
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
    let said = PartKind::Text {
        text: "All men are.".to_owned(),
        citations: vec![citation],
    };
    conversation([
        turn(Role::User, [text("Who is mortal?")]),
        turn(Role::Assistant, [said]),
        turn(Role::User, [text("Is that so?")]),
    ])
}

fn cached(ttl: Option<CacheTtl>) -> Request {
    asking(|request| {
        for turn in &mut request.turns {
            let mut part = Part::text("Much to read.", "");
            part.cache = Some(CacheHint { ttl });
            turn.parts.insert(0, part);
        }
    })
}
