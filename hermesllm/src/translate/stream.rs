//! A streamed answer, from one API to another, as it comes.

use crate::apis::{SupportedUpstreamAPIs as Api, WriteEvents, WriteOptions};
use crate::error::{ApiError, ErrorCode};
use crate::representation::Losses;

use super::signatures::Marking;
use super::understanding::Understanding;
use super::{Observed, Order};

/// How a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamEnd {
    /// The provider has said that this was all, or has told an error.
    Complete,
    /// It was cut; the client has been told.
    Truncated,
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
    /// From an API to itself.
    same: bool,
    /// The client's framing has comments.
    keeps_alive: bool,
}

impl StreamTranslator {
    /// From a provider's API to a client's. `None` where one of them has no streams.
    ///
    /// No more than `max_event_bytes` of one event are held.
    pub fn new(from: Api, to: Api, options: WriteOptions, max_event_bytes: usize) -> Option<Self> {
        let keeps_alive = to != Api::BedrockConverse && !(to == Api::Gemini && options.json_array);
        Some(Self {
            understanding: Understanding::new(from, to.order(), max_event_bytes)?
                .marking(Marking::between(from, to)),
            writer: to.writer(options)?,
            losses: Losses::new(),
            same: from == to,
            keeps_alive,
        })
    }

    /// Takes the next bytes from the provider and appends to `out` what goes to the client now.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let Self {
            understanding,
            writer,
            losses,
            same,
            keeps_alive,
        } = self;
        let (before, comments) = (out.len(), understanding.observed.comments);
        // An event in another API is about as long: so it is written in one piece of memory.
        out.reserve(bytes.len() * 2 + ROOM);
        understanding.push(bytes, &mut |event| {
            if *same || !event.is_bookkeeping() {
                writer.event(event, out, losses);
            }
        });
        // A provider that is silent but alive keeps the client's connection alive too.
        if out.len() == before && understanding.observed.comments > comments && *keeps_alive {
            out.extend_from_slice(b": keep-alive\n\n");
        }
    }

    /// Takes note of the end of the provider's stream.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> StreamEnd {
        let Self {
            understanding,
            writer,
            losses,
            same,
            ..
        } = self;
        let complete = understanding.finish(&mut |event| {
            if *same || !event.is_bookkeeping() {
                writer.event(event, out, losses);
            }
        });
        if complete {
            return StreamEnd::Complete;
        }
        self.fail(&truncated(), out);
        StreamEnd::Truncated
    }

    /// Ends the client's stream with an error of ours, unless it has ended.
    pub fn fail(&mut self, error: &ApiError, out: &mut Vec<u8>) {
        let Self {
            understanding,
            writer,
            losses,
            ..
        } = self;
        understanding.fail(error, &mut |event| writer.event(event, out, losses));
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

impl Api {
    pub(super) fn order(self) -> Order {
        match self {
            Self::AnthropicMessages | Self::BedrockConverse | Self::CohereChat => Order::Sequential,
            _ => Order::Interleaved,
        }
    }
}
