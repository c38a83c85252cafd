//! What streams may have. The translation is that of [`StreamTranslator`]; what is compared is the
//! answer that a stream adds up to.

use serde_json::{json, Value};

use super::answers::{calls, nonempty, reasoning, shown, some_part, texts};
use super::probe::{feature, secret, unreadable, Passage, Probe};
use super::{Feature, Verdict};
use crate::apis::{SupportedUpstreamAPIs as Api, WriteOptions};
use crate::representation::{
    BlockKind, Citation, Delta, Losses, PartKind, ProviderResponse,
    ProviderStreamResponse as Event, StopKind, StopReason, TokenUsage,
};
use crate::translate::{collected, StreamTranslator};

/// What a stream adds up to: the answer, and the error that it ended with.
#[derive(Debug, Clone, Default)]
pub(super) struct Streamed {
    /// The events that it is to be written from; none of one that was read.
    events: Vec<Event<'static>>,
    /// The bytes that were read.
    bytes: Vec<u8>,
    answer: ProviderResponse,
    error: Option<String>,
}

/// The features.
pub(super) fn features(apis: &[Api]) -> impl Iterator<Item = Feature> + '_ {
    PROBES.iter().map(|probe| feature(probe, apis, &Streams))
}

const PROBES: &[Probe<Streamed>] = &[
    Probe::new(
        "streamed text",
        |_| streamed([block(0, BlockKind::Text, [Delta::Text("Hello.".into())])]),
        |own| texts(&own.answer),
    ),
    Probe::new(
        "streamed parallel tool calls",
        |_| streamed([call(0, "Rome"), call(1, "Oslo")]),
        |own| calls(&own.answer),
    ),
    Probe::new(
        "streamed reasoning: text",
        |_| thinking([Delta::Reasoning("Hm.".into())]),
        |own| reasoning(&own.answer, |own| nonempty(&own.text)),
    ),
    Probe::new(
        "streamed reasoning: summary",
        |_| thinking([Delta::Summary(0, "It thinks.".into())]),
        |own| reasoning(&own.answer, shown),
    )
    .of(&[Api::OpenAiChat, Api::OpenAiResponses]),
    Probe::new(
        "streamed reasoning: text with signature",
        |_| {
            thinking([
                Delta::Reasoning("Hm.".into()),
                Delta::Signature("c2lnbmF0dXJl".into()),
            ])
        },
        |own| {
            reasoning(&own.answer, |own| match &own.signature {
                Some(signature) => json!([own.text, secret(Some(signature))]),
                None => nonempty(&own.text),
            })
        },
    ),
    Probe::new(
        "streamed citation of a web page",
        |api| {
            streamed([block(
                0,
                BlockKind::Text,
                [
                    Delta::Text("All men are.".into()),
                    Delta::Citation(citation(api)),
                ],
            )])
        },
        |own| {
            some_part(&own.answer, |kind| match kind {
                PartKind::Text { citations, .. } => {
                    citations.first().map(|own| json!([own.url, own.title]))
                }
                _ => None,
            })
        },
    ),
    Probe::new(
        "streamed usage",
        |_| streamed([block(0, BlockKind::Text, [Delta::Text("Hello.".into())])]),
        |own| {
            let usage = own.answer.usage.as_ref();
            usage.map(|own| json!([own.input, own.output])).into()
        },
    ),
    Probe::new(
        "error in the middle of a stream",
        |_| {
            let mut events = vec![start()];
            events.extend([
                Event::BlockStart {
                    choice: 0,
                    block: 0,
                    kind: BlockKind::Text,
                },
                Event::Delta {
                    choice: 0,
                    block: 0,
                    delta: Delta::Text("Hel".into()),
                },
                Event::Error {
                    kind: "".into(),
                    status: Some(500),
                    message: "overheated".into(),
                },
            ]);
            of_events(events)
        },
        |own| own.error.clone().into(),
    ),
];

struct Streams;

impl Passage<Streamed> for Streams {
    fn own(&self, api: Api, sample: Streamed, _native: bool) -> Option<Streamed> {
        let mut writer = api.writer(options())?;
        let (mut bytes, mut losses) = (Vec::new(), Losses::new());
        for event in sample.events {
            writer.event(event, &mut bytes, &mut losses);
        }
        read(api, bytes)
    }

    fn other(
        &self,
        from: Api,
        to: Api,
        own: Streamed,
        losses: &mut Losses,
    ) -> Result<Streamed, Verdict> {
        let mut bytes = Vec::new();
        let mut translator = StreamTranslator::new(from, to, options(), MOST_BYTES)
            .ok_or_else(|| unreadable(&"no stream"))?;
        translator.push(&own.bytes, &mut bytes);
        translator.finish(&mut bytes);
        losses.extend(translator.losses().clone());
        read(to, bytes).ok_or_else(|| unreadable(&"not a stream"))
    }
}

const MOST_BYTES: usize = 1 << 20;

fn options() -> WriteOptions {
    WriteOptions {
        include_usage: true,
        ..WriteOptions::default()
    }
}

fn read(api: Api, bytes: Vec<u8>) -> Option<Streamed> {
    let collector = collected(api, &bytes, MOST_BYTES)?;
    Some(Streamed {
        events: Vec::new(),
        bytes,
        error: collector.error().map(str::to_owned),
        answer: collector.into_answer(),
    })
}

fn start() -> Event<'static> {
    Event::Start {
        id: "an-id".into(),
        model: "a-model".into(),
        created: Some(1_700_000_000),
        service_tier: None,
        usage: None,
    }
}

fn of_events(events: Vec<Event<'static>>) -> Streamed {
    let mut collector = crate::translate::Collector::new();
    for event in &events {
        collector.event(event.clone());
    }
    Streamed {
        events,
        bytes: Vec::new(),
        error: collector.error().map(str::to_owned),
        answer: collector.into_answer(),
    }
}

/// A stream of blocks, from start to end.
fn streamed<const N: usize>(blocks: [Vec<Event<'static>>; N]) -> Streamed {
    let mut events = vec![start()];
    events.extend(blocks.into_iter().flatten());
    let calls = |event: &Event<'_>| {
        matches!(
            event,
            Event::BlockStart {
                kind: BlockKind::ToolCall { .. },
                ..
            }
        )
    };
    let kind = if events.iter().any(calls) {
        StopKind::ToolCalls
    } else {
        StopKind::End
    };
    let reason = StopReason {
        kind,
        raw: String::new(),
        sequence: None,
    };
    let usage = TokenUsage {
        input: Some(100),
        output: Some(50),
        ..TokenUsage::default()
    };
    events.extend([
        Event::Stop { choice: 0, reason },
        Event::Usage(usage),
        Event::End,
    ]);
    of_events(events)
}

fn block(
    block: u32,
    kind: BlockKind<'static>,
    deltas: impl IntoIterator<Item = Delta<'static>>,
) -> Vec<Event<'static>> {
    let choice = 0;
    let mut events = vec![Event::BlockStart {
        choice,
        block,
        kind,
    }];
    events.extend(deltas.into_iter().map(|delta| Event::Delta {
        choice,
        block,
        delta,
    }));
    events.push(Event::BlockStop { choice, block });
    events
}

fn call(number: u32, city: &str) -> Vec<Event<'static>> {
    let kind = BlockKind::ToolCall {
        id: format!("call_{city}").into(),
        name: "weather".into(),
        custom: false,
        by_provider: false,
    };
    let arguments = format!(r#"{{"city":"{city}"}}"#);
    block(number, kind, [Delta::Arguments(arguments.into())])
}

fn thinking(deltas: impl IntoIterator<Item = Delta<'static>>) -> Streamed {
    let kind = BlockKind::Reasoning {
        id: None,
        encrypted: None,
    };
    streamed([
        block(0, kind, deltas),
        block(1, BlockKind::Text, [Delta::Text("Hello.".into())]),
    ])
}

/// A web page that a text rests on; in their own words, of APIs that ask for these.
fn citation(api: Api) -> Citation {
    let raw: Option<Value> = match api {
        Api::AnthropicMessages => Some(json!({
            "type": "web_search_result_location",
            "url": "https://example.com/a",
            "title": "A page",
            "encrypted_index": "ZW5jcnlwdGVk",
            "cited_text": "All men are mortal."
        })),
        _ => None,
    };
    Citation {
        url: Some("https://example.com/a".to_owned()),
        title: Some("A page".to_owned()),
        cited_text: Some("All men are mortal.".to_owned()),
        span: Some((0, 12)),
        raw,
    }
}
