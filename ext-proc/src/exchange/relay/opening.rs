//! The beginning of a relayed answer as the client sees it, and signs of life while there is nothing
//! to say.
//!
//! A heartbeat is a comment of Server-Sent Events, or an empty line. The first one has to go with headers of its own:
//! from then on the status is 200, targets may still be switched, and an error is an event.

use std::time::Duration;

use bytes::Bytes;
use envoy_types::pb::google::protobuf::Struct;
use hermesllm::dialect::Dialect;
use hermesllm::endpoint::Endpoint;
use tokio::time::Instant;

use crate::cors;
use crate::exchange::onward::{self, Asked};
use crate::exchange::outbox::Outbox;
use crate::wire::{self, Direction, HeaderEdits};

/// A comment, which readers of Server-Sent Events pass over …
const COMMENT: &[u8] = b": keep-alive\n\n";
/// … but Google's library: it passes over empty lines alone.
const EMPTY_LINE: &[u8] = b"\r\n";

/// What of the answer's beginning has gone out.
#[derive(Debug)]
pub(super) struct Opening {
    /// The client reads comments, and has not had one for so long.
    heartbeat: Option<Duration>,
    last: Instant,
    /// Headers of ours have gone out, and no answer's.
    open: bool,
    /// An answer has begun.
    answered: bool,
}

impl Opening {
    pub(super) fn new(asked: &Asked, heartbeat: Option<Duration>) -> Self {
        let endpoint = asked.client.endpoint;
        let reads = asked.request.stream()
            && match endpoint {
                Endpoint::StreamGenerateContent => onward::asks_for_events(&asked.head.path),
                _ => asked.client.dialect != Dialect::Bedrock,
            };
        Self {
            heartbeat: heartbeat.filter(|_| reads),
            last: Instant::now(),
            open: false,
            answered: false,
        }
    }

    /// Whether headers of ours have gone out.
    pub(super) fn is_open(&self) -> bool {
        self.open
    }

    /// Something has gone to the client.
    pub(super) fn sent(&mut self, now: Instant) {
        self.last = now;
    }

    /// An answer begins. One that is no stream has no room for comments.
    pub(super) fn answers(&mut self, is_stream: bool) {
        self.answered = true;
        self.heartbeat = self.heartbeat.filter(|_| is_stream);
    }

    /// When the client is to have a sign of life.
    pub(super) fn heartbeat_at(&self) -> Option<Instant> {
        Some(self.last + self.heartbeat?)
    }

    /// Gives the client a sign of life.
    pub(super) fn beat(&mut self, asked: &Asked, outbox: &mut Outbox) {
        self.last = Instant::now();
        if !self.open && !self.answered {
            self.open = true;
            let mut edits = HeaderEdits::default();
            edits.set("content-type", "text/event-stream");
            edits.set("cache-control", "no-cache");
            if let Some(request_id) = &asked.client.request_id {
                edits.set("x-request-id", request_id);
            }
            if let Some(origin) = &asked.client.origin {
                cors::allow(&mut edits, origin);
            }
            let headers = edits.onto(Vec::new());
            outbox.message(wire::local_headers(200, headers, false, None));
        }
        if !self.answered || outbox.is_between_events() {
            let sign = match asked.client.dialect {
                Dialect::Gemini => EMPTY_LINE,
                _ => COMMENT,
            };
            outbox.body(
                Direction::Local,
                vec![Bytes::from_static(sign)],
                false,
                None,
            );
        }
    }

    /// Passes on what an answer has said so far, without its headers when ours have gone out.
    pub(super) fn pass(&mut self, from: Outbox, metadata: Struct, to: &mut Outbox) {
        self.last = Instant::now();
        to.take_over(from, metadata, self.open);
    }
}
