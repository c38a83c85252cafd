//! A streamed answer, from one API to another, as it comes.
//!
//! Where another provider may go on when one breaks off ([`StreamTranslator::resumable`]), the client
//! is told of no failure before that has been tried: a provider's error waits, and the end of its
//! stream is asked for apart ([`StreamTranslator::close`]). The client's writer goes on as if nothing
//! had happened: one start, one end, one numbering, one sum of usage.

use crate::apis::{Sink, SupportedUpstreamAPIs as Api, WriteEvents, WriteOptions};
use crate::error::{ApiError, ErrorCode};
use crate::representation::{Losses, ProviderStreamResponse as Event, TokenUsage};

use super::partial::{Partial, Track};
use super::passing::{Cut, Passing};
use super::signatures::Marking;
use super::understanding::{Next, Understanding};
use super::{Observed, Order};

/// How a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamEnd {
    /// The provider has said that this was all, or has told an error.
    Complete,
    /// It was cut; the client has been told.
    Truncated,
}

/// An error that a provider has told in its stream.
#[derive(Debug)]
struct Broken {
    kind: String,
    status: Option<u16>,
    message: String,
}

/// What an API's event may have around its content, in bytes.
const ROOM: usize = 192;

/// What is said of an answer that was cut.
pub(super) fn truncated() -> ApiError {
    let message = "the provider ended the stream before the answer was complete";
    ApiError::new(ErrorCode::UpstreamTruncated, message)
}

/// Translates a stream. Any split of the input gives the same output.
#[derive(Debug)]
pub struct StreamTranslator {
    understanding: Understanding,
    writer: Box<dyn WriteEvents>,
    losses: Losses,
    to: Api,
    max_event_bytes: usize,
    /// From an API to itself.
    same: bool,
    track: Track,
    /// The provider's error, while the client has not been told of it.
    broken: Option<Broken>,
    /// The client's API is the provider's: the stream passes, and the writer only keeps up.
    passing: Option<Passing>,
    strips_usage: bool,
    /// What tells the client that the stream lives, where its framing has room for that.
    keeps_alive: Option<&'static [u8]>,
}

impl StreamTranslator {
    /// From a provider's API to a client's. `None` where one of them has no streams.
    ///
    /// No more than `max_event_bytes` of one event are held.
    pub fn new(from: Api, to: Api, options: WriteOptions, max_event_bytes: usize) -> Option<Self> {
        let keeps_alive: Option<&[u8]> = match to {
            Api::BedrockConverse => None,
            Api::Gemini if options.json_array => None,
            // Google's library takes a comment for an answer, and passes over empty lines alone.
            Api::Gemini => Some(b"\r\n"),
            _ => Some(b": keep-alive\n\n"),
        };
        let strips_usage = !options.include_usage;
        Some(Self {
            understanding: Understanding::new(from, to.order(), max_event_bytes)?
                .marking(Marking::between(from, to)),
            writer: to.writer(options)?,
            losses: Losses::new(),
            to,
            max_event_bytes,
            same: from == to,
            track: Track::Off,
            broken: None,
            passing: None,
            strips_usage,
            keeps_alive,
        })
    }

    /// At the beginning of a stream: keeps account of what goes to the client, so that another
    /// provider can go on with it.
    ///
    /// A stream that comes in the client's own API passes as it is, but for the usage that the client
    /// has not asked for (`include_usage`). In OpenAI's Responses API such a stream can then not be
    /// continued: its items have identifiers that nobody else may speak of.
    #[must_use]
    pub fn resumable(self) -> Self {
        if !self.same {
            return Self {
                track: Track::new(false),
                ..self
            };
        }
        let passing = Passing::new(self.to, self.strips_usage, self.max_event_bytes);
        Self {
            understanding: self.understanding.of_what_passes(),
            track: match self.to {
                Api::OpenAiResponses => Track::Lost,
                _ => Track::new(true),
            },
            passing: Some(passing),
            ..self
        }
    }

    /// Takes the next bytes from the provider and appends to `out` what goes to the client now.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        if let Some(passing) = self.passing.take() {
            return self.let_pass(passing, bytes, out);
        }
        let (before, comments) = (out.len(), self.understanding.observed.comments);
        // An event in another API is about as long: so it is written in one piece of memory.
        out.reserve(bytes.len() * 2 + ROOM);
        self.pass(out, |understanding, sink| understanding.push(bytes, sink));
        // A provider that is silent but alive keeps the client's connection alive too.
        let is_alive = self.understanding.observed.comments > comments;
        if let (true, Some(sign)) = (out.len() == before && is_alive, self.keeps_alive) {
            out.extend_from_slice(sign);
        }
    }

    /// Lets the events go to the client that are whole, as they are. The writer gets them as well, to
    /// know where the answer is.
    fn let_pass(&mut self, mut passing: Passing, bytes: &[u8], out: &mut Vec<u8>) {
        passing.push(bytes);
        let mut shadow = std::mem::take(&mut passing.shadow);
        loop {
            match passing.next() {
                Cut::Event(place) => {
                    let event = passing.event(place);
                    shadow.clear();
                    self.pass(&mut shadow, |understanding, sink| {
                        understanding.push(event, sink);
                    });
                    if !self.is_broken() && passing.admits(event) {
                        out.extend_from_slice(event);
                    }
                }
                Cut::More => break,
                // Not what the client expects: it is written anew.
                Cut::Array(all) => return self.push(&all, out),
            }
        }
        passing.shadow = shadow;
        self.passing = Some(passing);
    }

    /// Takes note of the end of the provider's stream, and tells the client if it was cut, or
    /// had failed.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> StreamEnd {
        let complete = self.close(out);
        if let Some(broken) = self.broken.take() {
            let Self { writer, losses, .. } = self;
            writer.event(broken.event(), out, losses);
            return StreamEnd::Complete;
        }
        if complete {
            return StreamEnd::Complete;
        }
        self.fail(&truncated(), out);
        StreamEnd::Truncated
    }

    /// Takes note of the end of the provider's stream; whether the answer was complete. If it was
    /// not, the client has not been told: by [`resume`](Self::resume) it need not be, by
    /// [`finish`](Self::finish) and [`fail`](Self::fail) it is.
    pub fn close(&mut self, out: &mut Vec<u8>) -> bool {
        let Some(mut passing) = self.passing.take() else {
            let complete = self.pass(out, Understanding::finish);
            return complete && self.broken.is_none();
        };
        let rest = passing.rest();
        let complete = self.pass(&mut passing.shadow, |understanding, sink| {
            understanding.push(&rest, sink);
            understanding.finish(sink)
        });
        self.passing = Some(passing);
        if complete && self.broken.is_none() {
            out.extend_from_slice(&rest);
            return true;
        }
        false
    }

    /// Whether the provider has told an error of which the client has not been told. Nothing more
    /// is taken from this provider.
    pub fn is_broken(&self) -> bool {
        self.broken.is_some()
    }

    /// What the client has got, if it can be continued: nothing yet, thoughts, or one text and no
    /// more than thoughts before it, of a single answer that has not ended. `None` unless the
    /// translator is [`resumable`](Self::resumable).
    pub fn partial(&self) -> Option<&Partial> {
        self.track
            .partial()
            .filter(|_| !self.understanding.has_stopped())
    }

    /// Leaves the provider and reads the next one's stream from here on, as the continuation of what
    /// the client has got. `false`, and nothing has changed, where there is nothing to continue
    /// ([`partial`](Self::partial)) or the API has no streams.
    ///
    /// `estimated` stands for the figures that the provider before has not reported; its output
    /// counts if it is more than what was reported, which may be long ago. From here on
    /// [`observed`](Self::observed) tells the usage of all attempts: just these figures until the
    /// next provider has reported its own.
    pub fn resume(&mut self, from: Api, estimated: &TokenUsage, out: &mut Vec<u8>) -> bool {
        let Some(text) = self.partial().map(|partial| partial.text.clone()) else {
            return false;
        };
        let mut spent = estimated.clone();
        if let Some(reported) = &self.understanding.observed.usage {
            spent.update(reported);
            spent.output = reported.output.max(estimated.output);
        }
        spent.total = None;
        let next = Next {
            api: from,
            marking: Marking::between(from, self.to),
            text: &text,
            spent,
            max_event_bytes: self.max_event_bytes,
        };
        let open = self.pass(out, |understanding, sink| understanding.resume(next, sink));
        let Some(is_open) = open else {
            return false;
        };
        self.track.resume(!is_open);
        self.same = from == self.to;
        self.passing = None;
        self.broken = None;
        true
    }

    /// Ends the client's stream with an error of ours, unless it has ended.
    pub fn fail(&mut self, error: &ApiError, out: &mut Vec<u8>) {
        let Self {
            understanding,
            writer,
            losses,
            broken,
            ..
        } = self;
        if broken.take().is_some() {
            let event = Broken {
                kind: error.code.reason().to_owned(),
                status: Some(error.code.status()),
                message: error.message.clone(),
            };
            return writer.event(event.event(), out, losses);
        }
        understanding.fail(error, &mut |event| writer.event(event, out, losses));
    }

    /// Lets events pass to the client that come of something.
    fn pass<T>(
        &mut self,
        out: &mut Vec<u8>,
        something: impl FnOnce(&mut Understanding, &mut Sink<'_>) -> T,
    ) -> T {
        let Self {
            understanding,
            writer,
            losses,
            same,
            track,
            broken,
            ..
        } = self;
        something(understanding, &mut |event| {
            if let (
                Track::Kept { .. },
                Event::Error {
                    kind,
                    status,
                    message,
                },
            ) = (&*track, &event)
            {
                *broken = Some(Broken {
                    kind: kind.as_ref().to_owned(),
                    status: *status,
                    message: message.as_ref().to_owned(),
                });
            } else if *same || !event.is_bookkeeping() {
                track.note(&event);
                writer.event(event, out, losses);
            }
        })
    }

    /// What has been lost so far.
    pub fn losses(&self) -> &Losses {
        &self.losses
    }

    /// What has been learnt so far.
    pub fn observed(&self) -> &Observed {
        &self.understanding.observed
    }
}

impl Broken {
    fn event(self) -> Event<'static> {
        Event::Error {
            kind: self.kind.into(),
            status: self.status,
            message: self.message.into(),
        }
    }
}

impl Api {
    pub(super) fn order(self) -> Order {
        match self {
            Self::AnthropicMessages | Self::BedrockConverse | Self::CohereChat => Order::Sequential,
            _ => Order::Interleaved,
        }
    }
}

#[cfg(test)]
mod tests;
