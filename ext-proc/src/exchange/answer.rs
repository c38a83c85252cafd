//! The answer: read on its way, and passed on.
//!
//! Owns the response half of an exchange. Bytes go on as they come, never later than the event
//! they belong to is complete. Usage is published while the answer runs, because nothing can be
//! said any more once the client has gone.

mod passage;

use std::time::{Duration, Instant};

use bytes::Bytes;
use envoy_types::pb::google::protobuf::Struct;
use hermesllm::apis::SupportedUpstreamAPIs as Api;
use hermesllm::dialect::Dialect;
use hermesllm::endpoint::Endpoint;
use hermesllm::error::{ApiError, ErrorCode};
use hermesllm::transcoder::{BodyKind, Ending as BodyEnding, Transcoder, TranscoderOptions};
use hermesllm::translate::{Observer, Partial, StreamTranslator};
use hermesllm::usage::Usage;
use meseta_proto::{headers, UsageMetadata};

use self::passage::{Document, Passage};
use super::onward::Forwarded;
use super::reply;
use super::translation::{self, Translation};
use super::{Context, ExchangeError, Sink};
use crate::cors;
use crate::decode::Decoder;
use crate::head::ResponseHead;
use crate::outcome::{Ending, Source};
use crate::wire::{self, Direction, HeaderEdits};

/// Usage is published at least every so many events …
const USAGE_EVENTS: u64 = 16;
/// … and at least this often while chunks come.
const USAGE_INTERVAL: Duration = Duration::from_secs(1);
/// What Envoy calls an answer that came from upstream.
const VIA_UPSTREAM: &str = "via_upstream";

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

/// The headers of an answer, until they are sent.
#[derive(Debug)]
struct Headers {
    status: u16,
    /// The status is another than the provider's.
    replaced: bool,
    /// All headers of an answer that Envoy does not hold.
    own: Vec<(String, Vec<u8>)>,
    edits: HeaderEdits,
}

impl Headers {
    fn set_status(&mut self, status: u16) {
        self.replaced |= self.status != status;
        self.status = status;
    }

    fn send(self, sink: &mut Sink<'_>, metadata: Option<Struct>, end_of_stream: bool) {
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

/// Who gave an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The provider.
    Provider,
    /// Envoy itself or another filter of its chain, with its own word for why.
    Envoy(Option<String>),
}

impl Origin {
    /// By Envoy's details of the answer's status.
    pub(crate) fn of_details(details: Option<String>) -> Self {
        match details {
            Some(details) if details != VIA_UPSTREAM => Self::Envoy(Some(details)),
            _ => Self::Provider,
        }
    }
}

impl Answering {
    /// Passes the headers on of an answer that Envoy streams to us. `None`: there is no body, the
    /// answer is over.
    pub(crate) fn begin(
        context: &mut Context,
        forwarded: Forwarded,
        head: ResponseHead,
        origin: Origin,
    ) -> Option<Self> {
        let has_no_body = head.end_of_stream;
        let translation = forwarded.translation.as_deref();
        if let (Some(translation), true, Origin::Provider) = (translation, has_no_body, &origin) {
            let body = nothing(translation, head.status);
            context.outcome.answer.status = head.status;
            reply::replace(context, &forwarded.client, head.status, body);
            return None;
        }
        let answering = Self::open(&mut context.sink(), forwarded, head, origin);
        (!has_no_body).then_some(answering)
    }

    /// Passes the headers on.
    pub(crate) fn open(
        sink: &mut Sink<'_>,
        forwarded: Forwarded,
        head: ResponseHead,
        origin: Origin,
    ) -> Self {
        let Forwarded {
            client,
            model,
            api,
            resumable,
            strip_usage,
            estimated_input,
            translation,
        } = forwarded;
        let from_provider = !model.is_empty() && origin == Origin::Provider;
        let account = &mut *sink.account;
        account.status = head.status;
        account.source = if from_provider {
            Source::Provider
        } else {
            account.error = Some("envoy_local_reply");
            if let Origin::Envoy(details) = origin {
                account.code_details = details;
            }
            Source::Envoy
        };

        let mut edits = HeaderEdits::default();
        for name in &head.internal {
            edits.remove(name);
        }
        if from_provider && model.bytes().all(|byte| byte.is_ascii_graphic()) {
            edits.set(headers::MODEL, &model);
        }
        if from_provider && sink.account.attempts > 0 {
            edits.set(headers::ATTEMPTS, sink.account.attempts.to_string());
        }
        if let Some(request_id) = &client.request_id {
            // The provider's own, by which its support finds a request, stays where there is one.
            edits.set_if_absent("x-request-id", request_id);
        }
        if let Some(origin) = &client.origin {
            cors::allow(&mut edits, origin);
        }

        let (decoder, readable) = match Decoder::for_encoding(head.content_encoding.as_deref()) {
            Ok(decoder) => (decoder, true),
            Err(_) => (None, false),
        };
        let content_type = head.content_type.as_deref();
        let kind = if from_provider && readable {
            match translation.as_deref() {
                Some(translation) if translation.is_stream(content_type) => BodyKind::EventStream,
                _ => BodyKind::of_content_type(content_type),
            }
        } else {
            BodyKind::Opaque
        };
        // What Envoy answers is in the client's API already.
        let translation = translation.filter(|_| from_provider);
        // What passes in this API has identifiers that no other provider may speak of.
        let is_bound = translation.is_none() && api == Some(Api::OpenAiResponses);
        let resumable = resumable && (200..300).contains(&head.status) && !is_bound;
        let is_stream = kind == BodyKind::EventStream
            || api.is_some_and(|api| {
                api == Api::BedrockConverse && translation::is_own_stream(api, true, content_type)
            });
        let same = || {
            let request_id = client.request_id.as_deref();
            Some(Translation::of_same(api?, &model, request_id, !strip_usage))
        };
        let kind = match resumable && is_stream {
            true => BodyKind::EventStream,
            false => kind,
        };
        let translation = match translation {
            None if resumable && is_stream && readable => same().map(Box::new),
            translation => translation,
        };
        let estimated_input = if from_provider { estimated_input } else { 0 };
        let most_bytes = sink.config.server.max_event_bytes;
        let stream_type = translation
            .as_ref()
            .map_or("", |translation| translation.stream_type());
        let passage = match translation {
            Some(translation) => {
                if let Some(lost) = &translation.lost {
                    edits.set(headers::LOSS, lost);
                }
                let passage =
                    translated(*translation, kind, head.status, most_bytes, estimated_input);
                match resumable {
                    true => passage.resumable(),
                    false => passage,
                }
            }
            None => match observer(
                client.endpoint,
                kind,
                &head,
                from_provider && readable,
                most_bytes,
            ) {
                Some(observer) => Passage::Observed {
                    observer: Box::new(observer),
                    estimated_input,
                },
                None => Passage::Identity(Transcoder::identity(TranscoderOptions {
                    endpoint: client.endpoint,
                    kind,
                    status: head.status,
                    strip_usage_chunk: strip_usage && kind == BodyKind::EventStream,
                    estimated_input,
                    max_event_bytes: most_bytes,
                })),
            },
        };
        if decoder.is_some() {
            edits.remove("content-encoding");
        }
        // Said either way: what Envoy does with a length that nobody touches is not the same in all cases.
        match head.content_length {
            Some(length) if decoder.is_none() && !passage.may_change(kind) => {
                edits.set("content-length", length.to_string());
            }
            Some(_) => {
                edits.remove("content-length");
            }
            None => {}
        }
        match &passage {
            Passage::Identity(_) | Passage::Observed { .. } => {}
            Passage::Events { .. } => {
                edits.set("content-type", stream_type);
            }
            Passage::Document(_) => {
                edits.set("content-type", "application/json");
            }
        }

        let mut answering = Self {
            endpoint: client.endpoint,
            dialect: client.dialect,
            kind,
            passage,
            held: None,
            decoder,
            resumable,
            untold: false,
            published_events: 0,
            published_at: Instant::now(),
        };
        let message = Headers {
            status: head.status,
            replaced: false,
            own: head.own,
            edits,
        };
        if matches!(answering.passage, Passage::Document(_)) {
            // Status and length are known when it is translated.
            answering.held = Some(message);
            return answering;
        }
        let usage = answering.usage(sink, head.end_of_stream);
        message.send(sink, Some(wire::usage_metadata(&usage)), head.end_of_stream);
        answering
    }

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

/// What reads an answer that passes as it is, where its API's streams are not always Server-Sent
/// Events.
fn observer(
    endpoint: Endpoint,
    kind: BodyKind,
    head: &ResponseHead,
    readable: bool,
    most_bytes: usize,
) -> Option<Observer> {
    let asked = endpoint.stream_by_path()?;
    let api = endpoint.api()?;
    let succeeded = (200..300).contains(&head.status);
    let is_stream = kind == BodyKind::EventStream
        || translation::is_own_stream(api, asked, head.content_type.as_deref());
    Some(if !readable {
        Observer::of_nothing(api)
    } else if !succeeded {
        Observer::of_error(api)
    } else if is_stream {
        Observer::of_stream(api, most_bytes)
    } else if kind == BodyKind::Json {
        Observer::of_document(api, most_bytes)
    } else {
        Observer::of_nothing(api)
    })
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

/// How an answer of another API gets to the client.
fn translated(
    translation: Translation,
    kind: BodyKind,
    status: u16,
    most_bytes: usize,
    estimated_input: u64,
) -> Passage {
    if kind == BodyKind::EventStream && (200..300).contains(&status) {
        let options = translation.options.clone();
        let (from, to) = (translation.provider, translation.client);
        if let Some(translator) = StreamTranslator::new(from, to, options, most_bytes) {
            return Passage::Events {
                translator: Box::new(translator),
                translation: Box::new(translation),
                estimated_input,
            };
        }
    }
    let document = Document::new(translation, status, most_bytes, estimated_input);
    Passage::Document(Box::new(document))
}

/// What to say where the provider has said nothing: an error of its own without a body, or none at
/// all where an answer should be.
fn nothing(translation: &Translation, status: u16) -> Result<Vec<u8>, ApiError> {
    let mut document = Document::new(translation.clone(), status, 0, 0);
    document.translate()
}
