//! The answer: read on its way, and passed on.
//!
//! Owns the response half of an exchange. Bytes go on as they come, never later than the event
//! they belong to is complete. Usage is published while the answer runs, because nothing can be
//! said any more once the client has gone.

mod held;
mod opening;
mod passage;

use std::time::{Duration, Instant};

use bytes::Bytes;
use hermesllm::apis::SupportedUpstreamAPIs as Api;
use hermesllm::dialect::Dialect;
use hermesllm::endpoint::Endpoint;
use hermesllm::error::{ApiError, ErrorCode};
use hermesllm::transcoder::{BodyKind, Ending as BodyEnding};
use hermesllm::translate::Partial;
use hermesllm::usage::Usage;
use meseta_proto::{headers, UsageMetadata};

use self::held::Headers;
pub(crate) use self::opening::Origin;
use self::passage::Passage;
use super::reply;
use super::{ExchangeError, Sink};
use crate::decode::Decoder;
use crate::outcome::{Ending, Source};
use crate::wire;

/// Usage is published at least every so many events …
const USAGE_EVENTS: u64 = 16;
/// … and at least this often while chunks come.
const USAGE_INTERVAL: Duration = Duration::from_secs(1);
/// An answer whose body is passing.
#[derive(Debug)]
pub(crate) struct Answering {
    endpoint: Endpoint,
    dialect: Dialect,
    kind: BodyKind,
    passage: Passage,
    /// The headers of an answer that is translated as a whole, until it is.
    held: Option<Headers>,
    decoder: Option<Decoder>,
    /// Another provider may go on with it: the client is not told at once that it broke off.
    resumable: bool,
    /// It has broken off, and the client has not been told.
    untold: bool,
    published_events: u64,
    published_at: Instant,
}

/// What a body is told to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Events, in the framing of the provider's API.
    Stream,
    /// One JSON document.
    Json,
    /// Anything else.
    Other,
}

impl Answering {
    /// What its body is told to be.
    pub(crate) fn form(&self) -> Form {
        let is_stream = match &self.passage {
            Passage::Identity(_) => self.kind == BodyKind::EventStream,
            Passage::Observed { observer, .. } => observer.is_of_stream(),
            Passage::Events { .. } => true,
            Passage::Document(_) => false,
        };
        match self.kind {
            _ if is_stream => Form::Stream,
            BodyKind::Json => Form::Json,
            BodyKind::EventStream | BodyKind::Opaque => Form::Other,
        }
    }

    /// The API that the provider answers in; `None` of an endpoint without one.
    pub(crate) fn provider_api(&self) -> Option<Api> {
        match &self.passage {
            Passage::Events { translation, .. } => Some(translation.provider),
            Passage::Document(document) => Some(document.provider()),
            Passage::Identity(_) | Passage::Observed { .. } => self.endpoint.api(),
        }
    }

    /// Takes a piece of the body. `Some`: the answer is over.
    ///
    /// # Errors
    /// [`ExchangeError::Undecodable`] when it cannot be decoded and the dialect has no way to say
    /// so in mid-answer: the client must not see a clean end.
    pub(crate) fn push(
        &mut self,
        sink: &mut Sink<'_>,
        chunk: Bytes,
        end: bool,
    ) -> Result<Option<Ending>, ExchangeError> {
        let mut out = Vec::new();
        if let Err(()) = self.read(chunk, end, &mut out) {
            return self.break_off(sink, &undecodable(), out).map(Some);
        }
        let ending = match end {
            true => Some(self.finish(sink, &mut out)),
            false if self.passage.is_broken() => Some(Ending::Truncated),
            false => None,
        };
        if self.resumable && ending == Some(Ending::Truncated) {
            self.untold = true;
            self.emit(sink, out, None, true);
            return Ok(ending);
        }
        self.emit(sink, out, ending, true);
        Ok(ending)
    }

    /// Whether it has broken off, and the client has not been told.
    pub(crate) fn is_untold(&self) -> bool {
        self.untold
    }

    /// Whether the provider has told an error of which the client has not been told.
    pub(crate) fn is_broken(&self) -> bool {
        self.passage.is_broken()
    }

    /// What the client has got, if another provider can go on with it.
    pub(crate) fn partial(&self) -> Option<&Partial> {
        self.passage.partial().filter(|_| self.resumable)
    }

    /// Goes on with another provider's stream, in this API and encoding. `false` where it cannot.
    pub(crate) fn resume(
        &mut self,
        sink: &mut Sink<'_>,
        from: Api,
        encoding: Option<&str>,
    ) -> bool {
        let Ok(decoder) = Decoder::for_encoding(encoding) else {
            return false;
        };
        let mut out = Vec::new();
        if !self.passage.resume(from, &mut out) {
            return false;
        }
        self.decoder = decoder;
        self.untold = false;
        sink.account.error = None;
        self.emit(sink, out, None, true);
        true
    }

    /// Takes the trailers, which end the body as well.
    ///
    /// # Errors
    /// As [`Answering::push`].
    pub(crate) fn trailers(&mut self, sink: &mut Sink<'_>) -> Result<Ending, ExchangeError> {
        let mut out = Vec::new();
        if let Err(()) = self.read(Bytes::new(), true, &mut out) {
            return self.break_off(sink, &undecodable(), out);
        }
        let ending = self.finish(sink, &mut out);
        self.emit(sink, out, Some(ending), false);
        sink.outbox.message(wire::trailers(sink.direction, None));
        Ok(ending)
    }

    fn read(&mut self, chunk: Bytes, end: bool, out: &mut Vec<Bytes>) -> Result<(), ()> {
        let Some(decoder) = &mut self.decoder else {
            self.passage.push(chunk, out);
            return Ok(());
        };
        let bytes = decoder.push(chunk).map_err(|_| ())?;
        self.passage.push(bytes, out);
        if end {
            let bytes = decoder.finish().map_err(|_| ())?;
            self.passage.push(bytes, out);
        }
        Ok(())
    }

    fn finish(&mut self, sink: &mut Sink<'_>, out: &mut Vec<Bytes>) -> Ending {
        if let Passage::Document(document) = &mut self.passage {
            let body = document.translate();
            let status = document.error_status();
            let lost = document.lost(sink);
            if let (Some(status), Some(held)) = (status, &mut self.held) {
                sink.account.status = status;
                held.set_status(status);
            }
            if let (Some(lost), Some(held)) = (lost, &mut self.held) {
                held.edits.set(headers::ANSWER_LOSS, lost);
            }
            self.tell(sink, body, out);
        }
        let ending = match self.resumable {
            true => self.passage.close(out),
            false => self.passage.finish(out),
        };
        self.passage.count_losses(sink);
        match ending {
            BodyEnding::Complete => Ending::Complete,
            BodyEnding::Truncated => Ending::Truncated,
        }
    }

    /// Sends the headers that were held, and the body that they belong to: the translated one, or
    /// the error that there is none.
    fn tell(&mut self, sink: &mut Sink<'_>, body: Result<Vec<u8>, ApiError>, out: &mut Vec<Bytes>) {
        let Some(mut held) = self.held.take() else {
            return;
        };
        let body = body.unwrap_or_else(|error| {
            sink.account.error = Some(error.code.reason());
            sink.account.status = error.code.status();
            held.set_status(error.code.status());
            error.body(self.dialect)
        });
        if self.dialect == Dialect::Bedrock && sink.account.status >= 400 {
            if let Some(kind) = aws_error_type(&body) {
                held.edits.set(reply::AWS_ERROR_TYPE, kind);
            }
        }
        held.edits.set("content-length", body.len().to_string());
        held.send(sink, None, false);
        out.push(body.into());
    }

    /// Ends an answer whose rest will not come, with an error in the client's dialect.
    ///
    /// # Errors
    /// As [`Answering::push`].
    pub(crate) fn fail(
        &mut self,
        sink: &mut Sink<'_>,
        error: &ApiError,
    ) -> Result<Ending, ExchangeError> {
        self.break_off(sink, error, Vec::new())
    }

    fn break_off(
        &mut self,
        sink: &mut Sink<'_>,
        error: &ApiError,
        mut out: Vec<Bytes>,
    ) -> Result<Ending, ExchangeError> {
        match &mut self.passage {
            Passage::Document(_) => {
                out.clear();
                self.tell(sink, Err(error.clone()), &mut out);
                self.emit(sink, out, Some(Ending::Complete), true);
                return Ok(Ending::Complete);
            }
            Passage::Events { translator, .. } => {
                let mut bytes = Vec::new();
                translator.fail(error, &mut bytes);
                out.push(bytes.into());
            }
            Passage::Observed { observer, .. } => {
                let mut bytes = Vec::new();
                if !observer.fail(error, &mut bytes) {
                    return Err(ExchangeError::Undecodable);
                }
                out.push(bytes.into());
            }
            Passage::Identity(_) if self.kind != BodyKind::EventStream => {
                return Err(ExchangeError::Undecodable);
            }
            Passage::Identity(transcoder) => {
                let sequence = transcoder.progress().events;
                // Closes an event that may be half out; between events a blank line means nothing.
                out.push(Bytes::from_static(b"\n\n"));
                out.push(error.stream_event(self.endpoint, sequence).into());
            }
        }
        sink.account.error = Some(error.code.reason());
        self.emit(sink, out, Some(Ending::Truncated), true);
        Ok(Ending::Truncated)
    }

    /// Queues what goes to the client, with the usage when it is due.
    fn emit(
        &mut self,
        sink: &mut Sink<'_>,
        out: Vec<Bytes>,
        ending: Option<Ending>,
        end_of_stream: bool,
    ) {
        sink.account.response_bytes += out.iter().map(|bytes| bytes.len() as u64).sum::<u64>();
        if self.held.is_some() {
            // Nothing may go before the headers.
            return;
        }
        let due = ending.is_some()
            || self.passage.progress().events >= self.published_events + USAGE_EVENTS
            || self.published_at.elapsed() >= USAGE_INTERVAL;
        if ending == Some(Ending::Truncated) && sink.account.error.is_none() {
            sink.account.error = Some(ErrorCode::UpstreamTruncated.reason());
        }
        let usage = self.usage(sink, ending.is_some());
        if due {
            self.published_events = self.passage.progress().events;
            self.published_at = Instant::now();
        }
        sink.outbox.body(
            sink.direction,
            out,
            ending.is_some() && end_of_stream,
            due.then(|| wire::usage_metadata(&usage)),
        );
    }

    /// Takes what is known into the outcome and returns the figures to publish.
    fn usage(&self, sink: &mut Sink<'_>, complete: bool) -> UsageMetadata {
        let progress = self.passage.progress();
        let account = &mut *sink.account;
        // What was counted on request has not been used.
        let (used, estimated) = match self.endpoint {
            Endpoint::CountTokens => (Usage::default(), false),
            _ => (progress.usage, progress.estimated),
        };
        account.usage = used;
        account.usage_estimated = estimated;
        if progress.content_started && account.source == Source::Provider {
            account.content_started();
        }
        if progress.error && account.error.is_none() {
            account.error = Some("provider_error");
        }
        if complete {
            account.finish_reason = progress.finish_reason.map(str::to_owned);
            account.response_id = progress.response_id.map(str::to_owned);
            account.response_model = progress.model.map(str::to_owned);
        }
        UsageMetadata {
            input_tokens: used.input,
            output_tokens: used.output,
            cached_tokens: used.cached,
            cache_write_tokens: used.cache_write,
            reasoning_tokens: used.reasoning,
            estimated,
            complete,
            attempts: account.attempts,
        }
    }
}

fn undecodable() -> ApiError {
    let message = "the provider's answer cannot be decoded";
    ApiError::new(ErrorCode::UpstreamProtocol, message)
}

/// The type of an error of AWS's; `None` of an answer.
fn aws_error_type(body: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Error {
        #[serde(rename = "__type")]
        kind: String,
    }
    serde_json::from_slice(body).ok().map(|Error { kind }| kind)
}
