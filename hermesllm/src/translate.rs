//! From one API to another.
//!
//! - [`request`], [`response`]: whole documents.
//! - [`StreamTranslator`]: answers as they come.
//! - [`Observer`]: answers that pass as they are, and are read all the same.
//! - [`continuation`], [`StreamTranslator::resume`]: what one provider has begun, another goes on with.
//! - [`compare`]: two answers to the same request.
//!
//! Each gives the losses of the way: what the target API has no place for. Between two equal APIs
//! nothing is translated anywhere in this project: such streams pass as they are, and where another
//! provider may go on with them, event by event. The way exists all the same, for tests, and for what
//! follows a failed attempt.

mod collect;
mod compare;
mod continuation;
mod depth;
mod document;
mod framing;
mod grammar;
mod joint;
#[cfg(test)]
mod judge;
mod observed;
mod observer;
mod partial;
mod passing;
mod signatures;
mod stream;
mod trim;
mod understanding;

pub use collect::Collector;
pub use compare::{compare, Difference};
pub use continuation::{can_continue, continuation, Prefill};
pub use document::{is_way, request, response, RequestOptions, TranslateError, Translated};
pub use grammar::{Grammar, Order};
pub use observed::Observed;
pub use observer::Observer;
pub use partial::Partial;
pub use signatures::is_marked;
pub(crate) use signatures::without_mark;
pub use stream::{StreamEnd, StreamTranslator};

use crate::apis::SupportedUpstreamAPIs as Api;

/// What a stream adds up to; `None` where the API has none. No more than `max_event_bytes` of one
/// event are held.
pub(crate) fn collected(api: Api, bytes: &[u8], max_event_bytes: usize) -> Option<Collector> {
    let mut stream = understanding::Understanding::new(api, Order::Interleaved, max_event_bytes)?;
    let mut collector = Collector::new();
    stream.push(bytes, &mut |event| collector.event(event));
    stream.finish(&mut |event| collector.event(event));
    Some(collector)
}
