//! What waits to go back to Envoy.
//!
//! Bodies wait as slices of what came in and become messages one at a time, when the transport
//! asks for the next: a request of 20 MiB is never held twice.

use std::collections::VecDeque;

use bytes::Bytes;
use envoy_types::pb::envoy::service::ext_proc::v3::ProcessingResponse;
use envoy_types::pb::google::protobuf::Struct;

use crate::wire::{self, Direction, MAX_CHUNK};

/// Messages in the order in which they go out.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    waiting: VecDeque<Waiting>,
    /// The last bytes of the answers of our own that went in here.
    tail: Tail,
    /// The answers of our own that went in here, where they are to be compared.
    record: Option<Record>,
}

/// The beginning of a body.
#[derive(Debug)]
struct Record {
    pieces: Vec<Bytes>,
    /// How many bytes there is still room for.
    room: usize,
}

impl Record {
    fn note(&mut self, piece: &Bytes) {
        if let Some(room) = self.room.checked_sub(piece.len()) {
            self.room = room;
            self.pieces.push(piece.clone());
        } else {
            // Half a body cannot be compared.
            self.room = 0;
            self.pieces.clear();
        }
    }
}

#[derive(Debug)]
enum Waiting {
    Message(Box<ProcessingResponse>),
    Body(Body),
}

/// A piece of a body, possibly longer than a message may be.
#[derive(Debug)]
struct Body {
    direction: Direction,
    segments: VecDeque<Bytes>,
    end_of_stream: bool,
    metadata: Option<Struct>,
}

/// The end of a stream of bytes, as far as it tells where an event ends.
#[derive(Debug, Default, Clone, Copy)]
struct Tail([u8; 4]);

impl Tail {
    fn note(&mut self, bytes: &[u8]) {
        let last = bytes.len().saturating_sub(4);
        for byte in bytes.iter().skip(last) {
            self.0.rotate_left(1);
            self.0[3] = *byte;
        }
    }

    /// Whether an empty line comes last, in any of the forms that lines end in.
    fn ends_event(self) -> bool {
        matches!(
            self.0,
            [_, _, b'\n', b'\n'] | [_, _, b'\r', b'\r'] | [_, b'\n', b'\r', b'\n']
        )
    }
}

impl Outbox {
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(crate) fn message(&mut self, message: ProcessingResponse) {
        self.waiting.push_back(Waiting::Message(Box::new(message)));
    }

    /// Queues a piece of a body. The metadata goes with its last message. Nothing is sent for an
    /// empty piece that neither ends the body nor carries metadata.
    pub(crate) fn body(
        &mut self,
        direction: Direction,
        segments: Vec<Bytes>,
        end_of_stream: bool,
        metadata: Option<Struct>,
    ) {
        let segments: VecDeque<_> = segments.into_iter().filter(|s| !s.is_empty()).collect();
        if segments.is_empty() && !end_of_stream && metadata.is_none() {
            return;
        }
        if direction == Direction::Local {
            segments.iter().for_each(|own| self.tail.note(own));
            if let Some(record) = &mut self.record {
                segments.iter().for_each(|own| record.note(own));
            }
            // What came in one turn goes out in one message.
            if let Some(Waiting::Body(last)) = self.waiting.back_mut() {
                last.segments.extend(segments);
                last.end_of_stream = end_of_stream;
                last.metadata = metadata.or(last.metadata.take());
                return;
            }
        }
        self.waiting.push_back(Waiting::Body(Body {
            direction,
            segments,
            end_of_stream,
            metadata,
        }));
    }

    /// Takes over what waits in another one, which begins with headers; these are left out when the
    /// client has had some. The metadata goes with the first message.
    pub(crate) fn take_over(&mut self, mut from: Outbox, metadata: Struct, without_headers: bool) {
        match from.waiting.pop_front() {
            Some(Waiting::Message(mut headers)) if !without_headers => {
                match &mut headers.dynamic_metadata {
                    Some(own) => own.fields.extend(metadata.fields),
                    None => headers.dynamic_metadata = Some(metadata),
                }
                self.waiting.push_back(Waiting::Message(headers));
            }
            first => {
                self.body(Direction::Local, Vec::new(), false, Some(metadata));
                let is_body = |own: &Waiting| matches!(own, Waiting::Body(_));
                self.waiting.extend(first.filter(is_body));
            }
        }
        if let Some(record) = &mut self.record {
            let bodies = from.waiting.iter().filter_map(|own| match own {
                Waiting::Body(body) => Some(&body.segments),
                Waiting::Message(_) => None,
            });
            bodies.flatten().for_each(|own| record.note(own));
        }
        self.waiting.append(&mut from.waiting);
        self.tail = from.tail;
    }

    /// From here on keeps a copy of answers of our own, up to so many bytes.
    pub(crate) fn record(&mut self, most: usize) {
        self.record = Some(Record {
            pieces: Vec::new(),
            room: most,
        });
    }

    /// The copy; empty of an answer that was longer.
    pub(crate) fn recorded(&mut self) -> Bytes {
        let record = self.record.take();
        record.map_or_else(Bytes::new, |record| record.pieces.concat().into())
    }

    /// Forgets all that waits.
    pub(crate) fn clear(&mut self) {
        self.waiting.clear();
    }

    /// Whether the answers of our own that went in here ended with an event.
    pub(crate) fn is_between_events(&self) -> bool {
        self.tail.ends_event()
    }

    pub(crate) fn next(&mut self) -> Option<ProcessingResponse> {
        match self.waiting.pop_front()? {
            Waiting::Message(message) => Some(*message),
            Waiting::Body(mut body) => {
                let chunk = next_chunk(&mut body.segments);
                if body.segments.is_empty() {
                    let metadata = body.metadata.take();
                    return Some(wire::body(
                        body.direction,
                        chunk,
                        body.end_of_stream,
                        metadata,
                    ));
                }
                let message = wire::body(body.direction, chunk, false, None);
                self.waiting.push_front(Waiting::Body(body));
                Some(message)
            }
        }
    }
}

/// Takes up to [`MAX_CHUNK`] bytes off the front, joining small segments.
fn next_chunk(segments: &mut VecDeque<Bytes>) -> Vec<u8> {
    let Some(mut first) = segments.pop_front() else {
        return Vec::new();
    };
    if first.len() > MAX_CHUNK {
        let chunk = first.split_to(MAX_CHUNK).to_vec();
        segments.push_front(first);
        return chunk;
    }
    if segments.is_empty() {
        // The common case, and no copy when we are the only owner.
        return first.into();
    }
    let mut chunk = Vec::with_capacity(
        MAX_CHUNK.min(first.len() + segments.iter().map(Bytes::len).sum::<usize>()),
    );
    chunk.extend_from_slice(&first);
    while let Some(mut segment) = segments.pop_front() {
        let room = MAX_CHUNK - chunk.len();
        if segment.len() > room {
            chunk.extend_from_slice(&segment.split_to(room));
            segments.push_front(segment);
            break;
        }
        chunk.extend_from_slice(&segment);
    }
    chunk
}

#[cfg(test)]
mod tests {
    use super::*;
    use envoy_types::pb::envoy::service::ext_proc::v3::{
        body_mutation::Mutation, processing_response::Response, StreamedBodyResponse,
    };

    fn streamed(message: ProcessingResponse) -> StreamedBodyResponse {
        let Some(Response::RequestBody(body)) = message.response else {
            panic!("not a request body");
        };
        match body.response.unwrap().body_mutation.unwrap().mutation {
            Some(Mutation::StreamedResponse(streamed)) => streamed,
            other => panic!("not a streamed chunk: {other:?}"),
        }
    }

    #[test]
    fn a_long_body_goes_out_whole_in_messages_of_bounded_size_with_one_end() {
        let mut outbox = Outbox::default();
        let body: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8).collect();
        let bytes = Bytes::from(body.clone());
        let segments = vec![
            bytes.slice(..10),
            bytes.slice(10..10),
            bytes.slice(10..100_000),
            bytes.slice(100_000..),
        ];
        outbox.body(Direction::Request, segments, true, None);
        let (mut seen, mut ends) = (Vec::new(), Vec::new());
        while let Some(message) = outbox.next() {
            let chunk = streamed(message);
            assert!(chunk.body.len() <= MAX_CHUNK && !chunk.body.is_empty());
            seen.extend_from_slice(&chunk.body);
            ends.push(chunk.end_of_stream);
        }
        assert_eq!(seen, body);
        assert_eq!(ends.iter().filter(|end| **end).count(), 1);
        assert_eq!(ends.last(), Some(&true));
    }

    #[test]
    fn an_empty_body_still_ends() {
        let mut outbox = Outbox::default();
        outbox.body(Direction::Request, Vec::new(), true, None);
        let chunk = streamed(outbox.next().unwrap());
        assert!(chunk.body.is_empty() && chunk.end_of_stream);
        assert!(outbox.is_empty());
    }

    #[test]
    fn nothing_is_sent_for_nothing() {
        let mut outbox = Outbox::default();
        outbox.body(Direction::Request, vec![Bytes::new()], false, None);
        assert!(outbox.next().is_none());
    }
}
