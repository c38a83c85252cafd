//! A request's body in the pieces in which it lies in memory.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// A body that is there as a whole, of a known length.
#[derive(Debug)]
pub(super) struct Segments {
    left: VecDeque<Bytes>,
    length: u64,
}

impl Segments {
    pub(super) fn new(segments: Vec<Bytes>) -> Self {
        Self {
            length: segments.iter().map(|segment| segment.len() as u64).sum(),
            left: segments.into_iter().filter(|own| !own.is_empty()).collect(),
        }
    }
}

impl Body for Segments {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        let next = this.left.pop_front();
        if let Some(next) = &next {
            this.length -= next.len() as u64;
        }
        Poll::Ready(next.map(|next| Ok(Frame::data(next))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length)
    }
}
