//! The headers of an answer, until they are sent.

use envoy_types::pb::google::protobuf::Struct;

use crate::exchange::Sink;
use crate::wire::{self, Direction, HeaderEdits};

/// The headers of an answer, until they are sent.
#[derive(Debug)]
pub(super) struct Headers {
    pub(super) status: u16,
    /// The status is another than the provider's.
    pub(super) replaced: bool,
    /// All headers of an answer that Envoy does not hold.
    pub(super) own: Vec<(String, Vec<u8>)>,
    pub(super) edits: HeaderEdits,
}

impl Headers {
    pub(super) fn set_status(&mut self, status: u16) {
        self.replaced |= self.status != status;
        self.status = status;
    }

    pub(super) fn send(self, sink: &mut Sink<'_>, metadata: Option<Struct>, end_of_stream: bool) {
        let Self {
            status, mut edits, ..
        } = self;
        sink.outbox.message(match sink.direction {
            Direction::Local => {
                wire::local_headers(status, edits.onto(self.own), end_of_stream, metadata)
            }
            direction => {
                if self.replaced {
                    edits.set(":status", status.to_string());
                }
                wire::headers(direction, edits, metadata)
            }
        });
    }
}
