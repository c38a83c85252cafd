//! The gRPC service: streams in, streams out.
//!
//! Owns what drives an exchange. Each stream polls its own state machine in place, so that a
//! message is taken from Envoy only when Envoy has taken all answers to the one before: there is
//! no queue between, and back-pressure reaches from one side to the other.
//!
//! Invariant: a stream ends with OK only after its exchange is complete. Every other end (a
//! protocol violation, a panic, a stream that Envoy half-closed too early, the end of draining) is
//! an error status, because after OK Envoy would let the unmodified request go on.

use std::future::Future as _;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arc_swap::ArcSwap;
use envoy_types::pb::envoy::service::ext_proc::v3::external_processor_server::{
    ExternalProcessor, ExternalProcessorServer,
};
use envoy_types::pb::envoy::service::ext_proc::v3::{ProcessingRequest, ProcessingResponse};
use tokio_stream::Stream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tokio_util::task::task_tracker::TaskTrackerToken;
use tokio_util::task::TaskTracker;
use tonic::{Request, Response, Status, Streaming};
use tracing_appender::non_blocking::ErrorCounter;

use crate::exchange::{Exchange, ExchangeError};
use crate::generation::Generation;
use crate::metrics::{Metrics, Reason};
use crate::providers::Providers;

/// What a gRPC message may hold beside a body: headers, metadata, attributes.
const MESSAGE_OVERHEAD: usize = 1024 * 1024;

/// What all exchanges share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// What new exchanges work with; replaced as a whole.
    pub(crate) generation: ArcSwap<Generation>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) providers: Arc<Providers>,
    /// Log lines dropped so far, where the process writes its own log.
    pub(crate) dropped_lines: Option<ErrorCounter>,
    /// Counts the exchanges that run; draining waits for it.
    pub(crate) running: TaskTracker,
    /// Fires when the time for draining is over.
    pub(crate) cut_off: CancellationToken,
}

/// The ext_proc service.
#[derive(Debug, Clone)]
pub(crate) struct Processor {
    shared: Arc<Shared>,
}

impl Processor {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// The gRPC service. A message may hold a whole body of the largest size, and headers beside
    /// it; tonic's own limit of 4 MiB would end streams.
    pub(crate) fn into_service(self) -> ExternalProcessorServer<Self> {
        let limit = self
            .shared
            .generation
            .load()
            .config
            .server
            .max_request_bytes;
        let limit = limit.saturating_add(MESSAGE_OVERHEAD);
        ExternalProcessorServer::new(self)
            .max_decoding_message_size(limit)
            .max_encoding_message_size(limit)
    }
}

#[tonic::async_trait]
impl ExternalProcessor for Processor {
    type ProcessStream = ExchangeStream<Streaming<ProcessingRequest>, Exchange>;

    async fn process(
        &self,
        request: Request<Streaming<ProcessingRequest>>,
    ) -> Result<Response<Self::ProcessStream>, Status> {
        let shared = &self.shared;
        let generation = shared.generation.load();
        let named = request
            .metadata()
            .get(meseta_proto::LISTENER_KEY)
            .and_then(|value| value.to_str().ok());
        let listener = generation
            .listener(named)
            .ok_or_else(|| refused(shared, &ExchangeError::Listener))?;
        let config = Arc::clone(&generation.config);
        let metrics = Arc::clone(&shared.metrics);
        let providers = Arc::clone(&shared.providers);
        let meter = Arc::clone(&generation.meter);
        let exchange = Exchange::new(config, listener, metrics, providers, meter);
        Ok(Response::new(ExchangeStream::new(
            request.into_inner(),
            exchange,
            Arc::clone(shared),
        )))
    }
}

/// What a stream drives; [`Exchange`] in the server.
pub(crate) trait Machine: Unpin {
    /// Takes a message.
    fn receive(&mut self, message: ProcessingRequest) -> Result<(), ExchangeError>;
    /// The next answer; an error ends the stream.
    fn poll_answer(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<ProcessingResponse, ExchangeError>>;
    /// Whether the stream may end with OK.
    fn is_complete(&self) -> bool;
    /// The other side broke off.
    fn abort(&mut self);
    /// We break off.
    fn fail(&mut self, error: &ExchangeError);
}

impl Machine for Exchange {
    fn receive(&mut self, message: ProcessingRequest) -> Result<(), ExchangeError> {
        Self::receive(self, message)
    }

    fn poll_answer(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<ProcessingResponse, ExchangeError>> {
        Self::poll_answer(self, cx)
    }

    fn is_complete(&self) -> bool {
        Self::is_complete(self)
    }

    fn abort(&mut self) {
        Self::abort(self);
    }

    fn fail(&mut self, error: &ExchangeError) {
        Self::fail(self, error);
    }
}

/// The answers of one exchange, driven by what comes in.
#[derive(Debug)]
pub(crate) struct ExchangeStream<S, M: Machine> {
    inbound: S,
    machine: M,
    shared: Arc<Shared>,
    cut_off: Pin<Box<WaitForCancellationFutureOwned>>,
    finished: bool,
    _running: TaskTrackerToken,
}

impl<S, M: Machine> ExchangeStream<S, M> {
    pub(crate) fn new(inbound: S, machine: M, shared: Arc<Shared>) -> Self {
        let running = shared.running.token();
        let cut_off = Box::pin(shared.cut_off.clone().cancelled_owned());
        Self {
            inbound,
            machine,
            shared,
            cut_off,
            finished: false,
            _running: running,
        }
    }

    fn fail(&mut self, error: &ExchangeError) -> Status {
        self.finished = true;
        self.machine.fail(error);
        refused(&self.shared, error)
    }
}

impl<S, M> Stream for ExchangeStream<S, M>
where
    S: Stream<Item = Result<ProcessingRequest, Status>> + Unpin,
    M: Machine,
{
    type Item = Result<ProcessingResponse, Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if this.finished {
                return Poll::Ready(None);
            }
            // A panic must not look like an end: without a trailer of ours it might be taken for one.
            let answer = catch_unwind(AssertUnwindSafe(|| this.machine.poll_answer(cx)));
            match answer {
                Ok(Poll::Ready(Ok(answer))) => return Poll::Ready(Some(Ok(answer))),
                Ok(Poll::Ready(Err(error))) => {
                    return Poll::Ready(Some(Err(this.fail(&error))));
                }
                Ok(Poll::Pending) => {}
                Err(_) => return Poll::Ready(Some(Err(this.fail(&ExchangeError::Panicked)))),
            }
            let message = match Pin::new(&mut this.inbound).poll_next(cx) {
                Poll::Ready(message) => message,
                Poll::Pending => {
                    let complete = this.machine.is_complete();
                    if !complete && this.cut_off.as_mut().poll(cx).is_ready() {
                        let status = this.fail(&ExchangeError::DrainTimeout);
                        return Poll::Ready(Some(Err(status)));
                    }
                    return Poll::Pending;
                }
            };
            match message {
                Some(Ok(message)) => {
                    let received = catch_unwind(AssertUnwindSafe(|| this.machine.receive(message)));
                    if let Err(error) = received.unwrap_or(Err(ExchangeError::Panicked)) {
                        return Poll::Ready(Some(Err(this.fail(&error))));
                    }
                }
                None if this.machine.is_complete() => {
                    this.finished = true;
                    return Poll::Ready(None);
                }
                None => {
                    this.finished = true;
                    this.machine.abort();
                    return Poll::Ready(Some(Err(ExchangeError::StreamEnded.status())));
                }
                Some(Err(status)) => {
                    // Envoy reset the stream: client or upstream is gone.
                    this.finished = true;
                    this.machine.abort();
                    return Poll::Ready(Some(Err(status)));
                }
            }
        }
    }
}

impl<S, M: Machine> Drop for ExchangeStream<S, M> {
    fn drop(&mut self) {
        // Envoy went away while we were not being polled for a message.
        if !self.finished {
            self.machine.abort();
        }
    }
}

/// Counts and logs a stream that is ended with an error.
fn refused(shared: &Shared, error: &ExchangeError) -> Status {
    let reason = error.reason();
    shared
        .metrics
        .violations
        .get_or_create(&Reason(reason))
        .inc();
    tracing::warn!(target: "meseta::stream", reason, "{error}");
    error.status()
}

#[cfg(test)]
mod message_tests;
