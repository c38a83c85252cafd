//! An answer that passes as it is, and is read on its way.
//!
//! For APIs whose streams are not always Server-Sent Events. The others, which are most of the
//! traffic, have a cheaper reader: [`Transcoder`](crate::transcoder::Transcoder).

use serde_json::Value;

use crate::apis::{SupportedUpstreamAPIs as Api, WriteOptions};
use crate::error::ApiError;
use crate::representation::Losses;

use super::stream::truncated;
use super::understanding::Understanding;
use super::{Observed, Order, StreamEnd};

/// Reads an answer and leaves its bytes alone.
#[derive(Debug)]
pub struct Observer {
    api: Api,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Stream(Box<Understanding>),
    Document {
        held: Vec<u8>,
        most_bytes: usize,
        observed: Observed,
    },
    Opaque(Observed),
}

impl Observer {
    /// Of a streamed answer; no more than `max_event_bytes` of one event are held, and a larger one is
    /// not read. Nor is the stream of an API without streams.
    pub fn of_stream(api: Api, max_event_bytes: usize) -> Self {
        let body = Understanding::new(api, Order::Interleaved, max_event_bytes);
        Self {
            api,
            body: body.map_or_else(
                || Body::Opaque(Observed::default()),
                |stream| Body::Stream(Box::new(stream.of_what_passes())),
            ),
        }
    }

    /// Of an answer that is one document; one that is larger than `most_bytes` is not read.
    pub fn of_document(api: Api, most_bytes: usize) -> Self {
        Self {
            api,
            body: Body::Document {
                held: Vec::new(),
                most_bytes,
                observed: Observed::default(),
            },
        }
    }

    /// Of a body that is not read at all.
    pub fn of_nothing(api: Api) -> Self {
        Self {
            api,
            body: Body::Opaque(Observed::default()),
        }
    }

    /// Of an answer whose status says that it is an error: it has cost nothing.
    pub fn of_error(api: Api) -> Self {
        Self {
            api,
            body: Body::Opaque(Observed {
                error: true,
                ..Observed::default()
            }),
        }
    }

    /// Whether the answer is a stream, so that an error may be put behind it.
    pub fn is_of_stream(&self) -> bool {
        matches!(self.body, Body::Stream(_))
    }

    /// Looks at the next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        match &mut self.body {
            Body::Stream(stream) => stream.push(bytes, &mut |_| {}),
            Body::Document {
                held,
                most_bytes,
                observed,
            } => {
                observed.content_started |= !bytes.is_empty();
                if held.len().saturating_add(bytes.len()) > *most_bytes {
                    self.body = Body::Opaque(std::mem::take(observed));
                } else {
                    held.extend_from_slice(bytes);
                }
            }
            Body::Opaque(observed) => {
                observed.content_started |= !bytes.is_empty() && !observed.error;
            }
        }
    }

    /// Takes note of the end. A stream that was cut gets an error in its own framing, as far as
    /// anything can follow what has come.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> StreamEnd {
        match &mut self.body {
            Body::Stream(stream) => {
                if stream.finish(&mut |_| {}) {
                    return StreamEnd::Complete;
                }
                self.fail(&truncated(), out);
                StreamEnd::Truncated
            }
            Body::Document { held, observed, .. } => {
                let body: Option<Value> = serde_json::from_slice(held).ok();
                // Some providers answer errors with 200.
                let error = body
                    .as_ref()
                    .and_then(|body| self.api.read_error(200, body));
                let answer = body.and_then(|body| self.api.read_response(body));
                *observed = match answer {
                    Some(Ok(answer)) => Observed::of_answer(&answer),
                    _ => std::mem::take(observed),
                };
                observed.error |= error.is_some();
                StreamEnd::Complete
            }
            Body::Opaque(_) => StreamEnd::Complete,
        }
    }

    /// Ends a stream with an error of ours, unless it has ended. `false` if nothing can follow what
    /// has come.
    pub fn fail(&mut self, error: &ApiError, out: &mut Vec<u8>) -> bool {
        let Body::Stream(stream) = &mut self.body else {
            return false;
        };
        let options = WriteOptions {
            json_array: stream.framing.is_array(),
            ..WriteOptions::default()
        };
        let Some(mut writer) = self.api.writer(options) else {
            return false;
        };
        let mut event = Vec::new();
        stream.fail(error, &mut |own| {
            writer.event(own, &mut event, &mut Losses::new());
        });
        !event.is_empty() && stream.framing.append(&event, out)
    }

    /// What has been learnt so far.
    pub fn observed(&self) -> &Observed {
        match &self.body {
            Body::Stream(stream) => &stream.observed,
            Body::Document { observed, .. } | Body::Opaque(observed) => observed,
        }
    }
}

#[cfg(test)]
mod tests;
