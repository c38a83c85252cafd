//! One HTTP exchange, as Envoy streams it to us.
//!
//! Owns the order of things: which message may come in which state, what is answered to it, and
//! how the exchange ends. It is a pure state machine: messages in ([`Exchange::receive`]),
//! messages out ([`Exchange::poll_answer`]); the stream that drives it is in `service`.
//!
//! ```text
//!             headers            body complete            response headers        end of stream
//! Opening ───────────▶ Collecting ───────────▶ Forwarded ───────────▶ Answering ───────────▶ Ended
//!    │                     │
//!    └───── own answer ────┴──▶ Replied
//! ```
//! A relay takes the place of Forwarded and Answering: Collecting ──▶ Relaying ──▶ Replied.
//! Where Envoy answers before a request is complete, its headers lead straight to Answering.
//!
//! Invariants:
//! - A request goes on only as a whole: headers are held until the body is complete, so that a
//!   decision always rests on all of it and a request that was refused reaches no upstream.
//! - A message that does not belong to the state ends the exchange with an error. After an OK end
//!   Envoy would let the unmodified request go on.
//! - No more than `max_request_bytes` of a request are held, and of an answer no more than the
//!   event it is in.

mod answer;
mod credentials;
mod error;
mod onward;
mod outbox;
mod relay;
mod reply;
mod request;
mod translation;

use std::sync::Arc;
use std::task::{self, Poll};
use std::time::Instant;

use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::processing_mode::BodySendMode;
use envoy_types::pb::envoy::service::ext_proc::v3::{
    processing_request::Request, HttpBody, ProcessingRequest, ProcessingResponse,
    ProtocolConfiguration,
};
use envoy_types::pb::google::protobuf::value::Kind;
use meseta_config::{Config, Listener};

pub(crate) use self::error::ExchangeError;

use self::answer::{Answering, Origin};
use self::onward::Forwarded;
use self::outbox::Outbox;
use self::relay::Relay;
use self::reply::Client;
use self::request::{Collecting, Onward};
use crate::head::{RequestHead, ResponseHead};
use crate::metrics::Metrics;
use crate::outcome::{Account, Ending, Outcome, Stage};
use crate::providers::Providers;
use crate::wire::Direction;

/// Where the attributes of ext_proc arrive in a message.
const ATTRIBUTES: &str = "envoy.filters.http.ext_proc";
/// The attribute that tells who answered …
const CODE_DETAILS: &str = "response.code_details";
/// … and the one that tells at which attempt.
const ATTEMPTS: &str = "upstream.request_attempt_count";

/// Where an exchange stands.
#[derive(Debug)]
enum State {
    /// Nothing has come yet.
    Opening,
    /// The request's headers are held while its body comes in.
    Collecting(Box<Collecting>),
    /// The request is on its way upstream.
    Forwarded(Box<Forwarded>),
    /// The answer's headers have gone on, its body follows.
    Answering(Box<Answering>),
    /// The server calls providers itself and answers with what they say.
    Relaying(Box<Relay>),
    /// We answered ourselves; what may still come of the request is dropped.
    Replied,
    /// The whole answer has gone on.
    Ended,
}

impl State {
    fn name(&self) -> &'static str {
        match self {
            Self::Opening => "opening",
            Self::Collecting(_) => "collecting",
            Self::Forwarded(_) => "forwarded",
            Self::Answering(_) => "answering",
            Self::Relaying(_) => "relaying",
            Self::Replied => "replied",
            Self::Ended => "ended",
        }
    }
}

/// What an exchange works with.
#[derive(Debug)]
pub(crate) struct Context {
    /// The configuration as it was when the exchange began.
    pub(crate) config: Arc<Config>,
    /// The listener that the request came in on.
    pub(crate) listener: Arc<Listener>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) providers: Arc<Providers>,
    /// What goes back to Envoy.
    pub(crate) outbox: Outbox,
    /// What the exchange comes to.
    pub(crate) outcome: Outcome,
}

/// Where an answer goes, piece by piece, and where it is accounted for.
#[derive(Debug)]
pub(crate) struct Sink<'a> {
    pub(crate) config: &'a Config,
    pub(crate) metrics: &'a Metrics,
    pub(crate) direction: Direction,
    pub(crate) account: &'a mut Account,
    pub(crate) outbox: &'a mut Outbox,
}

impl Context {
    /// Where an answer goes that Envoy streams to us.
    fn sink(&mut self) -> Sink<'_> {
        Sink {
            config: &self.config,
            metrics: &self.metrics,
            direction: Direction::Response,
            account: &mut self.outcome.answer,
            outbox: &mut self.outbox,
        }
    }

    /// Where an answer goes that the server gives itself, piece by piece.
    fn local_sink(&mut self) -> Sink<'_> {
        Sink {
            direction: Direction::Local,
            ..self.sink()
        }
    }
}

/// The state machine of one exchange.
#[derive(Debug)]
pub(crate) struct Exchange {
    context: Context,
    state: State,
    /// How the exchange will have ended once the outbox is empty.
    ending: Option<Ending>,
}

impl Exchange {
    /// An exchange that came in on this listener.
    pub(crate) fn new(
        config: Arc<Config>,
        listener: Arc<Listener>,
        metrics: Arc<Metrics>,
        providers: Arc<Providers>,
    ) -> Self {
        let name = listener.name.as_str().into();
        Self {
            context: Context {
                config,
                listener,
                metrics: Arc::clone(&metrics),
                providers,
                outbox: Outbox::default(),
                outcome: Outcome::start(metrics, name),
            },
            state: State::Opening,
            ending: None,
        }
    }

    /// Takes a message from Envoy.
    ///
    /// # Errors
    /// When the message does not belong here; the stream has to end with an error status then.
    pub(crate) fn receive(&mut self, message: ProcessingRequest) -> Result<(), ExchangeError> {
        let begun = Instant::now();
        let result = self.step(message);
        self.context.outcome.spent(begun.elapsed());
        result
    }

    /// The next message for Envoy. Pending: there is none as things are, and the task will be woken
    /// when that changes without a message from Envoy.
    ///
    /// # Errors
    /// When an answer has to be broken off; the stream has to end with an error status then.
    pub(crate) fn poll_answer(
        &mut self,
        cx: &mut task::Context<'_>,
    ) -> Poll<Result<ProcessingResponse, ExchangeError>> {
        let begun = Instant::now();
        if let State::Relaying(relay) = &mut self.state {
            if self.context.outbox.is_empty() || relay.gathers() {
                match relay.poll(&mut self.context, cx) {
                    Poll::Ready(Ok(Some(ending))) => {
                        self.ending = Some(ending);
                        self.state = State::Replied;
                    }
                    Poll::Ready(Ok(None)) => {}
                    // What may be in the outbox is to go out with what comes at once.
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Err(error)) => {
                        self.state = State::Ended;
                        return Poll::Ready(Err(error));
                    }
                }
            }
        }
        let Some(answer) = self.context.outbox.next() else {
            if let Some(ending) = self.ending.take() {
                self.context.outcome.report(ending);
            }
            return Poll::Pending;
        };
        self.context.outcome.spent(begun.elapsed());
        Poll::Ready(Ok(answer))
    }

    /// Whether everything has been said, so that the stream may end with OK.
    pub(crate) fn is_complete(&self) -> bool {
        matches!(self.state, State::Replied | State::Ended) && self.context.outbox.is_empty()
    }

    /// Ends the account of an exchange that Envoy broke off.
    pub(crate) fn abort(&mut self) {
        let ending = self.ending.take().unwrap_or(Ending::Aborted);
        self.context.outcome.report(ending);
    }

    /// Ends the account of an exchange that we break off.
    pub(crate) fn fail(&mut self, error: &ExchangeError) {
        self.context.outcome.answer.error = Some(error.reason());
        self.context.outcome.report(Ending::Failed);
    }

    fn step(&mut self, message: ProcessingRequest) -> Result<(), ExchangeError> {
        if message.observability_mode {
            return Err(ExchangeError::ObservabilityMode);
        }
        let code_details = code_details(&message);
        let attempts = attempts(&message);
        let request = message.request.ok_or(ExchangeError::EmptyMessage)?;
        let context = &mut self.context;
        // An error leaves the machine in `Ended`: nothing after it is ever answered.
        let state = std::mem::replace(&mut self.state, State::Ended);
        self.state = match (state, request) {
            (State::Opening, Request::RequestHeaders(headers)) => {
                check_modes(message.protocol_config)?;
                match request::open(context, RequestHead::read(headers)) {
                    Some(collecting) => State::Collecting(collecting),
                    None => self.replied(),
                }
            }
            // Envoy answers before any filter has seen the request: an upgrade, a broken target.
            (State::Opening, Request::ResponseHeaders(headers)) => {
                check_modes(message.protocol_config)?;
                let client = Client::of_unknown(&RequestHead::default());
                let head = ResponseHead::read(headers);
                self.answer(Forwarded::nowhere(client), head, code_details)
            }
            (State::Collecting(mut collecting), Request::RequestBody(body)) => {
                let end = body.end_of_stream;
                match collecting.push(context, body.body) {
                    Err(error) => {
                        collecting.refuse(context, &error);
                        self.replied()
                    }
                    Ok(()) if end => self.forward(*collecting, false),
                    Ok(()) => State::Collecting(collecting),
                }
            }
            (State::Collecting(collecting), Request::RequestTrailers(_)) => {
                self.forward(*collecting, true)
            }
            // Envoy itself answers while the client is still sending: a time-out, a reset.
            (State::Collecting(collecting), Request::ResponseHeaders(headers)) => {
                let forwarded = Box::new(collecting.not_forwarded());
                self.answer(*forwarded, ResponseHead::read(headers), code_details)
            }
            (State::Forwarded(forwarded), Request::ResponseHeaders(headers)) => {
                context.outcome.answer.attempts = attempts;
                self.answer(*forwarded, ResponseHead::read(headers), code_details)
            }
            (State::Answering(mut answering), Request::ResponseBody(body)) => {
                let end = body.end_of_stream;
                let ended = answering.push(&mut context.sink(), body.body.into(), end)?;
                self.answered(answering, ended)
            }
            (State::Answering(mut answering), Request::ResponseTrailers(_)) => {
                let ending = answering.trailers(&mut context.sink())?;
                self.answered(answering, Some(ending))
            }
            // What is still on its way of a request that has been answered already.
            (
                state @ (State::Relaying(_) | State::Replied | State::Answering(_) | State::Ended),
                Request::RequestBody(_) | Request::RequestTrailers(_),
            ) => state,
            // The upstream's answer is dropped once we have ended it early.
            (State::Ended, Request::ResponseBody(_) | Request::ResponseTrailers(_)) => State::Ended,
            // The end of a request may be told twice.
            (state @ State::Forwarded(_), Request::RequestBody(body)) if is_bare_end(&body) => {
                state
            }
            (state, request) => {
                return Err(ExchangeError::Unexpected {
                    state: state.name(),
                    message: name_of(&request),
                });
            }
        };
        Ok(())
    }

    fn forward(&mut self, collecting: Collecting, trailers: bool) -> State {
        match collecting.forward(&mut self.context, trailers) {
            Some(onward) => {
                self.context.outcome.stage = Stage::Waiting;
                match onward {
                    Onward::Direct(forwarded) => State::Forwarded(forwarded),
                    Onward::Relay(relay) => State::Relaying(relay),
                }
            }
            None => self.replied(),
        }
    }

    fn answer(
        &mut self,
        forwarded: Forwarded,
        head: ResponseHead,
        code_details: Option<String>,
    ) -> State {
        self.context.outcome.stage = Stage::Response;
        let origin = Origin::of_details(code_details);
        match Answering::begin(&mut self.context, forwarded, head, origin) {
            Some(answering) => State::Answering(Box::new(answering)),
            None => {
                self.ending = Some(Ending::Complete);
                State::Ended
            }
        }
    }

    fn answered(&mut self, answering: Box<Answering>, ended: Option<Ending>) -> State {
        match ended {
            None => State::Answering(answering),
            Some(ending) => {
                self.ending = Some(ending);
                State::Ended
            }
        }
    }

    fn replied(&mut self) -> State {
        self.ending = Some(Ending::Complete);
        State::Replied
    }
}

/// Refuses every body mode but the one that we speak.
fn check_modes(modes: Option<ProtocolConfiguration>) -> Result<(), ExchangeError> {
    let modes = modes.ok_or(ExchangeError::NoProtocolConfig)?;
    for (direction, mode) in [
        (Direction::Request, modes.request_body_mode()),
        (Direction::Response, modes.response_body_mode()),
    ] {
        if mode != BodySendMode::FullDuplexStreamed {
            return Err(ExchangeError::BodyMode {
                direction,
                mode: mode.as_str_name(),
            });
        }
    }
    Ok(())
}

fn code_details(message: &ProcessingRequest) -> Option<String> {
    match attribute(message, CODE_DETAILS)? {
        Kind::StringValue(details) => Some(details.clone()),
        _ => None,
    }
}

/// How often Envoy has asked the provider; 1 where it does not say.
fn attempts(message: &ProcessingRequest) -> u32 {
    match attribute(message, ATTEMPTS) {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a small count; what is none becomes one, and casts of floats saturate"
        )]
        Some(Kind::NumberValue(count)) => (*count as u32).max(1),
        _ => 1,
    }
}

fn attribute<'a>(message: &'a ProcessingRequest, name: &str) -> Option<&'a Kind> {
    let attributes = message.attributes.get(ATTRIBUTES)?;
    attributes.fields.get(name)?.kind.as_ref()
}

fn is_bare_end(body: &HttpBody) -> bool {
    body.body.is_empty() && body.end_of_stream
}

fn name_of(request: &Request) -> &'static str {
    match request {
        Request::RequestHeaders(_) => "request_headers",
        Request::ResponseHeaders(_) => "response_headers",
        Request::RequestBody(_) => "request_body",
        Request::ResponseBody(_) => "response_body",
        Request::RequestTrailers(_) => "request_trailers",
        Request::ResponseTrailers(_) => "response_trailers",
    }
}
