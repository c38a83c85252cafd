//! One attempt: a call to one target, and its answer until the client may have it.
//!
//! An attempt is a transaction. What it would say to the client waits in an outbox of its own, in the
//! client's API, until it has proved to be an answer; what fails before leaves no trace.

use std::task::{Context as Task, Poll};
use std::time::Duration;

use bytes::Bytes;
use hermesllm::apis::SupportedUpstreamAPIs as Api;
use hermesllm::error::ApiError;
use hermesllm::retry_after;
use hermesllm::transcoder::BodyKind;
use meseta_config::{Conditions, Config, ModelRef, Timeouts};
use meseta_targets::FailureKind;
use tokio::time::Instant;

use super::failed::{Failed, Reason};
use crate::exchange::answer::{Answering, Form, Origin};
use crate::exchange::onward::Forwarded;
use crate::exchange::outbox::Outbox;
use crate::exchange::{translation, Sink};
use crate::head::ResponseHead;
use crate::metrics::Metrics;
use crate::outcome::{Account, Ending};
use crate::spans::AttemptSpan;
use crate::upstream::Call;
use crate::wire::{Direction, MAX_CHUNK};

/// The largest error that is read to the end before it is passed on.
const LARGEST_ERROR: usize = 1 << 20;

/// What an attempt works with.
pub(super) struct Surroundings<'a> {
    pub(super) config: &'a Config,
    pub(super) metrics: &'a Metrics,
    pub(super) on: &'a Conditions,
    pub(super) timeouts: &'a Timeouts,
    pub(super) through_envoy: bool,
    /// How many attempts there have been.
    pub(super) attempts: u32,
    /// The client asked for a stream.
    pub(super) stream: bool,
    /// What the client is told of its limits.
    pub(super) limits: &'a [(&'static str, String)],
    /// The exchange has limits of ours.
    pub(super) is_metered: bool,
}

/// A call under way.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) seat: meseta_targets::Attempt,
    pub(super) model: ModelRef,
    pub(super) span: AttemptSpan,
    pub(super) account: Account,
    pub(super) outbox: Outbox,
    call: Call,
    began: Instant,
    last_piece: Instant,
    /// Until the answer's headers have come.
    forwarded: Option<Forwarded>,
    pub(super) answering: Option<Answering>,
    /// It goes on with another's answer.
    continues: bool,
    /// The API and the encoding of the stream that goes on with another's, once its headers are there.
    pub(super) continuation: Option<(Api, Option<String>)>,
    /// Our own meter has refused the call.
    refused: Option<Failed>,
    /// What the filter in Envoy says of the call, which it has let through.
    pub(super) word: MeterWord,
    /// What the target asks for by its headers.
    pub(super) retry_after: Option<Duration>,
    /// The body so far of an answer that is judged as a whole.
    pub(super) whole: Vec<Bytes>,
    pub(super) whole_bytes: usize,
    pub(super) ended: Option<Ending>,
    /// How many bytes have been taken that are not yet sent.
    gathered: usize,
}

/// What the filter in Envoy says of a call that it has let through. It counts however the call ends.
#[derive(Debug, Default)]
pub(super) struct MeterWord {
    pub(super) standing: Option<String>,
    pub(super) reservation: Option<String>,
}

/// What an attempt has come to.
#[derive(Debug)]
pub(super) enum Step {
    /// The client may have what it says.
    Answers,
    /// It may not.
    Failed(Box<Failed>),
}

impl Attempt {
    pub(super) fn begin(
        seat: meseta_targets::Attempt,
        model: ModelRef,
        forwarded: Forwarded,
        call: Call,
        span: AttemptSpan,
        continues: bool,
    ) -> Self {
        let now = Instant::now();
        Self {
            seat,
            model,
            span,
            account: Account::default(),
            outbox: Outbox::default(),
            call,
            began: now,
            last_piece: now,
            forwarded: Some(forwarded),
            answering: None,
            continues,
            continuation: None,
            refused: None,
            word: MeterWord::default(),
            retry_after: None,
            whole: Vec::new(),
            whole_bytes: 0,
            ended: None,
            gathered: 0,
        }
    }

    /// Goes on until the answer may go to the client, or has failed.
    pub(super) fn poll(&mut self, around: &Surroundings<'_>, cx: &mut Task<'_>) -> Poll<Step> {
        if let Some(forwarded) = self.forwarded.take() {
            match self.call.poll_head(cx, around.through_envoy) {
                Poll::Pending => {
                    self.forwarded = Some(forwarded);
                    return Poll::Pending;
                }
                Poll::Ready(Err(error)) => return self.fail(Failed::of_call(error)),
                Poll::Ready(Ok(head)) => {
                    if self.continues {
                        return Poll::Ready(self.open_continuation(around, &forwarded, head));
                    }
                    if let Some(failed) = self.open(around, forwarded, head) {
                        return self.fail(failed);
                    }
                }
            }
        }
        loop {
            match self.call.poll_piece(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => return self.fail(Failed::of_call(error)),
                Poll::Ready(Ok(piece)) => {
                    if let Some(step) = self.take(around, piece) {
                        return Poll::Ready(step);
                    }
                }
            }
        }
    }

    fn fail(&mut self, failed: Failed) -> Poll<Step> {
        Poll::Ready(Step::Failed(Box::new(failed)))
    }

    /// Reads the answer's headers. `Some`: it is none.
    fn open(
        &mut self,
        around: &Surroundings<'_>,
        forwarded: Forwarded,
        mut head: ResponseHead,
    ) -> Option<Failed> {
        self.last_piece = Instant::now();
        if around.through_envoy {
            self.word = MeterWord {
                standing: head.standing.clone(),
                reservation: head.reservation.take(),
            };
        }
        let mut origin = Origin::Provider;
        match Failed::of_head(&head, around.through_envoy) {
            // In the client's dialect, and what the client gets.
            Some(failed) if failed.reason == Reason::Meter => {
                self.refused = Some(failed);
                origin = Origin::Envoy(None);
            }
            Some(failed) => return Some(failed),
            None => {}
        }
        if !around.through_envoy {
            head.standing = None;
        }
        let header = |name: &str| head.own(name);
        self.retry_after = retry_after::wait(&header, unix_time());
        if head.status >= 400 && origin == Origin::Provider {
            // Of an error, the client gets what helps it and nothing that may mislead it.
            head.keep_of_errors();
        }
        self.account.attempts = around.attempts;
        let mut sink = Sink {
            config: around.config,
            metrics: around.metrics,
            direction: Direction::Local,
            limits: around.limits,
            is_metered: around.is_metered,
            account: &mut self.account,
            outbox: &mut self.outbox,
        };
        self.answering = Some(Answering::open(&mut sink, forwarded, head, origin));
        None
    }

    /// Reads the headers of an answer that is to go on with another's: it is a stream, or nothing.
    fn open_continuation(
        &mut self,
        around: &Surroundings<'_>,
        forwarded: &Forwarded,
        head: ResponseHead,
    ) -> Step {
        self.last_piece = Instant::now();
        if let Some(failed) = Failed::of_head(&head, around.through_envoy) {
            return Step::Failed(failed.into());
        }
        if head.status >= 300 {
            let header = |name: &str| head.own(name);
            let retry_after = retry_after::wait(&header, unix_time());
            let mut failed = Failed::new(Reason::Status(head.status)).after(retry_after);
            if head.status == 429 {
                failed = failed.of_kind(FailureKind::RateLimited);
            }
            return Step::Failed(failed.into());
        }
        let content_type = head.content_type.as_deref();
        let is_stream = BodyKind::of_content_type(content_type) == BodyKind::EventStream
            || forwarded
                .api
                .is_some_and(|api| translation::is_own_stream(api, true, content_type));
        match forwarded.api.filter(|_| is_stream) {
            Some(api) => {
                self.continuation = Some((api, head.content_encoding));
                Step::Answers
            }
            None => Step::Failed(Failed::new(Reason::BadAnswer).into()),
        }
    }

    /// Whether another target can go on with the answer.
    pub(super) fn can_be_resumed(&self) -> bool {
        let partial = self.answering.as_ref().and_then(Answering::partial);
        partial.is_some()
    }

    /// Whether the answer has broken off, and the client has not been told.
    pub(super) fn is_untold(&self) -> bool {
        self.answering.as_ref().is_some_and(Answering::is_untold)
    }

    /// Why it has: the provider has told an error, or nothing.
    pub(super) fn why_untold(&self) -> Reason {
        match self.answering.as_ref().is_some_and(Answering::is_broken) {
            true => Reason::ErrorEvent,
            false => Reason::Truncated,
        }
    }

    /// Takes a piece of the answer's body, or its end. `Some`: it is judged.
    fn take(&mut self, around: &Surroundings<'_>, piece: Option<Bytes>) -> Option<Step> {
        let answering = self.answering.as_mut()?;
        self.last_piece = Instant::now();
        let end = piece.is_none();
        let piece = piece.unwrap_or_default();
        let succeeded = (200..300).contains(&self.account.status);
        let is_stream = succeeded && answering.form() == Form::Stream;
        if !is_stream && !piece.is_empty() {
            self.whole_bytes += piece.len();
            self.whole.push(piece.clone());
        }
        let mut sink = Sink {
            config: around.config,
            metrics: around.metrics,
            direction: Direction::Local,
            limits: around.limits,
            is_metered: around.is_metered,
            account: &mut self.account,
            outbox: &mut self.outbox,
        };
        match answering.push(&mut sink, piece, end) {
            Ok(ended) => self.ended = ended,
            Err(_) => return Some(Step::Failed(Failed::new(Reason::BadAnswer).into())),
        }
        if let Some(failed) = self.refused {
            return end.then(|| Step::Failed(failed.with_answer().into()));
        }
        if !succeeded {
            let whole = end || self.whole_bytes > LARGEST_ERROR;
            return whole.then(|| self.judge_error(around));
        }
        if is_stream {
            return self.judge_stream(around);
        }
        let most = around.config.server.max_event_bytes;
        (end || self.whole_bytes > most).then(|| self.judge_whole(around, end))
    }

    /// Whether the answer is a stream.
    pub(super) fn is_stream(&self) -> bool {
        let succeeded = (200..300).contains(&self.account.status);
        let form = self.answering.as_ref().map(Answering::form);
        succeeded && form == Some(Form::Stream)
    }

    /// Takes the next pieces of an answer that the client has begun to get: all that are there, up to
    /// what one message holds.
    ///
    /// A call hands its pieces over one at a time, from a task of its own: after each, that task gets a
    /// turn to bring another before what is there is sent. One that comes alone waits for nothing else.
    ///
    /// # Errors
    /// When there are none, because the provider broke the answer off or sends what cannot be read.
    pub(super) fn poll_rest(
        &mut self,
        sink: &mut Sink<'_>,
        cx: &mut Task<'_>,
    ) -> Poll<Result<Option<Ending>, Reason>> {
        let Some(answering) = &mut self.answering else {
            return Poll::Ready(Err(Reason::BadAnswer));
        };
        let mut taken = 0;
        while self.gathered < MAX_CHUNK {
            let piece = match self.call.poll_piece(cx) {
                Poll::Pending if taken > 0 => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Poll::Pending if self.gathered > 0 => break,
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(_)) => return Poll::Ready(Err(Reason::Reset)),
                Poll::Ready(Ok(piece)) => piece,
            };
            let end = piece.is_none();
            let piece = piece.unwrap_or_default();
            taken += piece.len();
            self.gathered += piece.len();
            self.last_piece = Instant::now();
            match answering.push(sink, piece, end) {
                Ok(Some(ending)) => return Poll::Ready(Ok(Some(ending))),
                Ok(None) => {}
                Err(_) => return Poll::Ready(Err(Reason::BadAnswer)),
            }
        }
        self.gathered = 0;
        Poll::Ready(Ok(None))
    }

    /// Whether pieces have been taken that are to go out with what comes at once.
    pub(super) fn gathers(&self) -> bool {
        self.gathered > 0
    }

    /// Ends the client's answer with an error in its dialect; `None` where it has no way to say so.
    pub(super) fn break_off(&mut self, sink: &mut Sink<'_>, error: &ApiError) -> Option<Ending> {
        self.answering.as_mut()?.fail(sink, error).ok()
    }

    /// When this attempt has taken too long, and for what.
    pub(super) fn deadline(
        &self,
        around: &Surroundings<'_>,
        answers: bool,
    ) -> Option<(Instant, Reason)> {
        let timeouts = around.timeouts;
        let headers = timeouts
            .headers
            .filter(|_| self.forwarded.is_some())
            .map(|limit| (self.began + limit, Reason::HeadersTimeout));
        let first = timeouts
            .first_token
            .filter(|_| around.stream && !answers)
            .map(|limit| (self.began + limit, Reason::FirstTokenTimeout));
        let idle = timeouts
            .idle
            .filter(|_| around.stream && self.forwarded.is_none())
            .map(|limit| (self.last_piece + limit, Reason::IdleTimeout));
        let all = [headers, first, idle].into_iter().flatten();
        all.min_by_key(|(at, _)| *at)
    }

    /// From the call to now.
    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }
}

fn unix_time() -> Duration {
    let now = std::time::SystemTime::now();
    now.duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default()
}
