//! A streamed answer, from one API to another, as it comes.

use crate::apis::bedrock_converse::frames;
use crate::apis::{ReadEvents, SupportedUpstreamAPIs as Api, WriteEvents, WriteOptions};
use crate::error::{ApiError, ErrorCode};
use crate::representation::{
    Delta, Losses, Part, PartKind, ProviderResponse, ProviderStreamResponse as Event, TokenUsage,
};
use crate::sse::{Frame, Framer};

use super::{Grammar, Order};

/// What has been learnt of an answer so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Observed {
    /// The provider's identifier of the answer.
    pub id: Option<String>,
    /// The model that the provider names.
    pub model: Option<String>,
    /// What it cost, as far as it is reported.
    pub usage: Option<TokenUsage>,
    /// Why the first answer ended, in the provider's word.
    pub finish_reason: Option<String>,
    /// The model has begun to write.
    pub content_started: bool,
    /// Bytes of text, thoughts and arguments.
    pub content_bytes: u64,
    /// Events read.
    pub events: u64,
    /// Blocks without an event: signs of life.
    pub comments: u64,
    /// The stream holds an error.
    pub error: bool,
}

impl Observed {
    /// What a whole answer tells.
    pub(super) fn of_answer(answer: &ProviderResponse) -> Self {
        let text = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        let first = answer.choices.first();
        let parts = answer.choices.iter().flat_map(|choice| &choice.parts);
        Self {
            id: text(&answer.id),
            model: text(&answer.model),
            usage: answer.usage.clone(),
            finish_reason: first
                .and_then(|choice| choice.stop.as_ref())
                .map(|stop| stop.raw.clone()),
            content_started: true,
            content_bytes: parts.map(size).sum(),
            ..Self::default()
        }
    }

    fn note(&mut self, event: &Event<'_>) {
        match event {
            Event::Start {
                id, model, usage, ..
            } => {
                self.id = Some(id.as_ref().to_owned()).filter(|id| !id.is_empty());
                self.model = Some(model.as_ref().to_owned()).filter(|model| !model.is_empty());
                if let Some(usage) = usage {
                    self.usage(usage);
                }
            }
            Event::Delta { delta, .. } => {
                self.content_started = true;
                self.content_bytes += length(delta);
            }
            Event::Usage(usage) => self.usage(usage),
            Event::Stop { reason, .. } => {
                self.finish_reason.get_or_insert_with(|| reason.raw.clone());
            }
            Event::Error { .. } => self.error = true,
            _ => {}
        }
    }

    fn usage(&mut self, later: &TokenUsage) {
        self.usage
            .get_or_insert_with(TokenUsage::default)
            .update(later);
    }
}

fn size(part: &Part) -> u64 {
    match &part.kind {
        PartKind::Text { text, .. } | PartKind::Refusal(text) => text.len() as u64,
        PartKind::Reasoning(reasoning) => reasoning.text.len() as u64,
        PartKind::ToolCall(call) => call.arguments.len() as u64,
        _ => 0,
    }
}

fn length(delta: &Delta<'_>) -> u64 {
    match delta {
        Delta::Text(text)
        | Delta::Reasoning(text)
        | Delta::Summary(_, text)
        | Delta::Arguments(text)
        | Delta::Transcript(text) => text.len() as u64,
        Delta::Signature(_) | Delta::Encrypted(_) | Delta::Citation(_) | Delta::Data(_) => 0,
    }
}

const TRUNCATED: &str = "the provider ended the stream before the answer was complete";

/// How a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamEnd {
    /// The provider has said that this was all, or has told an error.
    Complete,
    /// It was cut; the client has been told.
    Truncated,
}

/// How a provider's stream is cut into events.
#[derive(Debug)]
enum Framing {
    Sse(Framer),
    Aws(frames::Decoder),
}

impl Framing {
    fn of(api: Api, max_event_bytes: usize) -> Self {
        match api {
            Api::BedrockConverse => Self::Aws(frames::Decoder::new(max_event_bytes)),
            _ => Self::Sse(Framer::new(max_event_bytes)),
        }
    }
}

/// Translates a stream. Any split of the input gives the same output.
#[derive(Debug)]
pub struct StreamTranslator {
    framing: Framing,
    reader: Box<dyn ReadEvents>,
    grammar: Grammar,
    writer: Box<dyn WriteEvents>,
    losses: Losses,
    observed: Observed,
    /// The client's API has comments.
    keeps_alive: bool,
}

impl StreamTranslator {
    /// From a provider's API to a client's. `None` where one of them has no streams.
    ///
    /// No more than `max_event_bytes` of one event are held.
    pub fn new(from: Api, to: Api, options: WriteOptions, max_event_bytes: usize) -> Option<Self> {
        Some(Self {
            framing: Framing::of(from, max_event_bytes),
            reader: from.reader()?,
            grammar: Grammar::new(to.order()),
            writer: to.writer(options)?,
            losses: Losses::new(),
            observed: Observed::default(),
            keeps_alive: to != Api::BedrockConverse,
        })
    }

    /// Takes the next bytes from the provider and appends to `out` what goes to the client now.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let Self {
            framing,
            reader,
            grammar,
            writer,
            losses,
            observed,
            keeps_alive: _,
        } = self;
        let (before, comments) = (out.len(), observed.comments);
        let mut pass = |event: Event<'_>, observed: &mut Observed| {
            grammar.event(event, &mut |event| {
                observed.note(&event);
                writer.event(event, out, losses);
            });
        };
        match framing {
            Framing::Sse(framer) => framer.push(bytes, |frame| {
                take(frame, &mut **reader, observed, &mut pass);
            }),
            Framing::Aws(decoder) => decoder.push(bytes, &mut |frame| {
                take_aws(&frame, &mut **reader, observed, &mut pass);
            }),
        }
        // A provider that is silent but alive keeps the client's connection alive too.
        if out.len() == before && observed.comments > comments && self.keeps_alive {
            out.extend_from_slice(b": keep-alive\n\n");
        }
    }

    /// Takes note of the end of the provider's stream.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> StreamEnd {
        let Self {
            framing,
            reader,
            grammar,
            writer,
            losses,
            observed,
            keeps_alive: _,
        } = self;
        let mut pass = |event: Event<'_>, observed: &mut Observed| {
            grammar.event(event, &mut |event| {
                observed.note(&event);
                writer.event(event, out, losses);
            });
        };
        let whole = match framing {
            Framing::Sse(framer) => {
                framer.finish(|frame| take(frame, &mut **reader, observed, &mut pass));
                true
            }
            Framing::Aws(decoder) => decoder.finish(),
        };
        if whole {
            reader.finish(&mut |event| pass(event, observed));
        }
        if grammar.has_ended() {
            return StreamEnd::Complete;
        }
        self.fail(&ApiError::new(ErrorCode::UpstreamTruncated, TRUNCATED), out);
        StreamEnd::Truncated
    }

    /// Ends the client's stream with an error of ours, unless it has ended.
    pub fn fail(&mut self, error: &ApiError, out: &mut Vec<u8>) {
        let event = Event::Error {
            kind: error.code.reason().into(),
            status: Some(error.code.status()),
            message: error.message.as_str().into(),
        };
        let Self {
            grammar,
            writer,
            losses,
            observed,
            ..
        } = self;
        grammar.event(event, &mut |event| {
            observed.note(&event);
            writer.event(event, out, losses);
        });
    }

    /// What has been lost so far.
    pub fn losses(&self) -> &Losses {
        &self.losses
    }

    /// What has been learnt so far.
    pub fn observed(&self) -> &Observed {
        &self.observed
    }
}

fn take(
    frame: Frame<'_>,
    reader: &mut dyn ReadEvents,
    observed: &mut Observed,
    pass: &mut dyn FnMut(Event<'_>, &mut Observed),
) {
    match frame {
        Frame::Event(event) => {
            let Some(data) = &event.data else {
                observed.comments += 1;
                return;
            };
            observed.events += 1;
            let name = std::str::from_utf8(event.name).ok();
            let name = name.filter(|name| !name.is_empty());
            let data = String::from_utf8_lossy(data);
            reader.event(name, &data, &mut |event| pass(event, observed));
        }
        // What is too large to be read cannot be translated; a piece that is missing must not go
        // unnoticed.
        Frame::Oversized { first: true, .. } => pass(
            Event::Error {
                kind: "upstream_protocol_error".into(),
                status: Some(502),
                message: "the provider's stream holds an event that is too large".into(),
            },
            observed,
        ),
        Frame::Oversized { .. } => {}
    }
}

fn take_aws(
    frame: &frames::Frame<'_>,
    reader: &mut dyn ReadEvents,
    observed: &mut Observed,
    pass: &mut dyn FnMut(Event<'_>, &mut Observed),
) {
    observed.events += 1;
    let data = String::from_utf8_lossy(frame.payload);
    reader.event(Some(frame.event_type), &data, &mut |event| {
        pass(event, observed);
    });
}

impl Api {
    fn order(self) -> Order {
        match self {
            Self::AnthropicMessages | Self::BedrockConverse | Self::CohereChat => Order::Sequential,
            _ => Order::Interleaved,
        }
    }
}
