//! What an exchange came to.
//!
//! Owns the one value that feeds the exchange's log line, its metrics and its span, so that the
//! three cannot disagree. It is filled in as the exchange goes on and reported exactly once,
//! whatever way the exchange ends. It never holds a body, a prompt, a credential or a query string.

use std::sync::Arc;
use std::time::{Duration, Instant};

use envoy_types::pb::google::protobuf::Struct;
use hermesllm::dialect::Dialect;
use hermesllm::usage::Usage;
use meseta_config::Target;
use meseta_limits::Amounts;
use meseta_proto::{RequestMetadata, UsageMetadata};

use crate::meter::{Meter, Reserved};
use crate::metrics::{ExchangeLabels, Metrics, Phase, Reason, TargetLabels, TokenLabels};
use crate::spans::ExchangeSpan;
use crate::wire;

/// No answer has more tokens: a provider that says so must not block its clients for years.
const MOST: u64 = 1 << 32;

/// Who produced the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Source {
    /// Nobody yet.
    #[default]
    None,
    /// This server.
    Server,
    /// The provider.
    Provider,
    /// Envoy itself or another filter of its chain.
    Envoy,
}

impl Source {
    fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Server => "meseta",
            Self::Provider => "provider",
            Self::Envoy => "envoy",
        }
    }
}

/// How an exchange ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The answer went out whole.
    Complete,
    /// The upstream's answer stopped before its end, and the client was told so.
    Truncated,
    /// Client, upstream or Envoy broke the exchange off.
    Aborted,
    /// This server broke it off: a protocol violation, a defect, the end of draining.
    Failed,
}

impl Ending {
    fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Truncated => "truncated",
            Self::Aborted => "aborted",
            Self::Failed => "failed",
        }
    }
}

/// The half in which time was spent, or an exchange ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Stage {
    /// Before the request has gone on.
    #[default]
    Request,
    /// Waiting for the answer's headers.
    Waiting,
    /// While the answer runs.
    Response,
}

impl Stage {
    fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Waiting => "waiting",
            Self::Response => "response",
        }
    }
}

/// What is known of one answer: of the one that the client gets, or of one that may become it.
#[derive(Debug, Default)]
pub(crate) struct Account {
    /// How often providers were asked until there was this answer, hedges included.
    pub(crate) attempts: u32,
    pub(crate) status: u16,
    pub(crate) source: Source,
    pub(crate) error: Option<&'static str>,
    /// Envoy's own word on an answer that it gave itself.
    pub(crate) code_details: Option<String>,
    pub(crate) usage: Usage,
    pub(crate) usage_estimated: bool,
    pub(crate) finish_reason: Option<String>,
    pub(crate) response_id: Option<String>,
    pub(crate) response_model: Option<String>,
    /// When the first content came.
    pub(crate) first_content: Option<Instant>,
    pub(crate) response_bytes: u64,
}

impl Account {
    /// Marks the first content of the answer, once.
    pub(crate) fn content_started(&mut self) {
        self.first_content.get_or_insert_with(Instant::now);
    }
}

/// An exchange as it is accounted for.
#[derive(Debug)]
pub(crate) struct Outcome {
    metrics: Arc<Metrics>,
    meter: Arc<Meter>,
    started: Instant,
    reported: bool,
    pub(crate) span: ExchangeSpan,
    pub(crate) listener: Arc<str>,
    pub(crate) request_id: String,
    pub(crate) endpoint: &'static str,
    pub(crate) provider: String,
    pub(crate) model: String,
    pub(crate) requested_model: String,
    pub(crate) stream: bool,
    pub(crate) stage: Stage,
    /// Who asked, where that is known.
    pub(crate) consumer: String,
    /// It falls under limits of ours.
    pub(crate) is_metered: bool,
    /// What the client is told of its limits.
    pub(crate) limit_headers: Vec<(&'static str, String)>,
    /// What the server's own meter has reserved.
    pub(crate) reserved: Option<Reserved>,
    /// What the filter in Envoy has reserved for a relayed call, in its own words.
    pub(crate) reservation: String,
    /// Prompt tokens, estimated from the size of the prompt.
    pub(crate) estimated_input: u64,
    /// What the client got.
    pub(crate) answer: Account,
    pub(crate) request_bytes: u64,
    pub(crate) overhead_request: Duration,
    pub(crate) overhead_response: Duration,
}

impl Outcome {
    /// Starts the account of an exchange.
    pub(crate) fn start(metrics: Arc<Metrics>, listener: Arc<str>, meter: Arc<Meter>) -> Self {
        metrics.in_flight.inc();
        Self {
            metrics,
            meter,
            started: Instant::now(),
            reported: false,
            span: ExchangeSpan::none(),
            listener,
            request_id: String::new(),
            endpoint: "",
            provider: String::new(),
            model: String::new(),
            requested_model: String::new(),
            stream: false,
            stage: Stage::Request,
            consumer: String::new(),
            is_metered: false,
            limit_headers: Vec::new(),
            reserved: None,
            reservation: String::new(),
            estimated_input: 0,
            answer: Account::default(),
            request_bytes: 0,
            overhead_request: Duration::ZERO,
            overhead_response: Duration::ZERO,
        }
    }

    /// Adds time that the server itself took.
    pub(crate) fn spent(&mut self, time: Duration) {
        match self.stage {
            Stage::Request | Stage::Waiting => self.overhead_request += time,
            Stage::Response => self.overhead_response += time,
        }
    }

    /// Notes who is asked.
    pub(crate) fn at(&mut self, target: &Target<'_>) {
        self.provider.clone_from(&target.provider.name);
        target.id.clone_into(&mut self.model);
    }

    /// What the meter and Envoy's access log are told.
    pub(crate) fn request_metadata(&self, dialect: Dialect) -> Struct {
        wire::request_metadata(&RequestMetadata {
            listener: &self.listener,
            endpoint: self.endpoint,
            dialect: dialect.as_str(),
            provider: &self.provider,
            model: &self.model,
            requested_model: &self.requested_model,
            stream: self.stream,
            consumer: &self.consumer,
            reservation: &self.reservation,
            input_tokens: self.estimated_input,
        })
    }

    /// What is told of an exchange that ends with an answer of ours; with what it has used, where
    /// somebody may have reserved something for it.
    pub(crate) fn final_metadata(&self, dialect: Dialect) -> Struct {
        let mut metadata = self.request_metadata(dialect);
        if self.is_metered {
            let usage = wire::usage_metadata(&self.final_usage());
            metadata.fields.extend(usage.fields);
        }
        metadata
    }

    fn final_usage(&self) -> UsageMetadata {
        let usage = &self.answer.usage;
        UsageMetadata {
            input_tokens: usage.input,
            output_tokens: usage.output,
            cached_tokens: usage.cached,
            cache_write_tokens: usage.cache_write,
            reasoning_tokens: usage.reasoning,
            estimated: self.answer.usage_estimated,
            complete: true,
            attempts: self.answer.attempts,
        }
    }

    /// From the request's headers to the first content of the answer.
    pub(crate) fn first_token(&self) -> Option<Duration> {
        let first = self.answer.first_content?;
        Some(first.saturating_duration_since(self.started))
    }

    /// Writes log line, metrics and span. The second call and all after it do nothing.
    pub(crate) fn report(&mut self, ending: Ending) {
        if std::mem::replace(&mut self.reported, true) {
            return;
        }
        self.settle(ending);
        let total = self.started.elapsed();
        let overhead = self.overhead_request + self.overhead_response;
        self.record_metrics(ending, total);
        self.span.end(self, ending.as_str());
        tracing::info!(
            target: "meseta::exchange",
            request_id = known(&self.request_id),
            trace_id = self.span.trace_id(),
            listener = &*self.listener,
            consumer = known(&self.consumer),
            endpoint = known(self.endpoint),
            provider = known(&self.provider),
            model = known(&self.model),
            requested_model = known(&self.requested_model),
            status = self.answer.status,
            answered_by = self.answer.source.as_str(),
            ending = ending.as_str(),
            stage = self.stage.as_str(),
            error = self.answer.error,
            code_details = self.answer.code_details,
            stream = self.stream,
            attempts = self.answer.attempts,
            finish_reason = self.answer.finish_reason,
            input_tokens = self.answer.usage.input,
            output_tokens = self.answer.usage.output,
            cached_tokens = self.answer.usage.cached,
            reasoning_tokens = self.answer.usage.reasoning,
            usage_estimated = self.answer.usage_estimated,
            request_bytes = self.request_bytes,
            response_bytes = self.answer.response_bytes,
            first_token_ms = self.first_token().map(millis),
            total_ms = millis(total),
            overhead_us = micros(overhead),
            "exchange"
        );
    }

    /// Whether a meter has reserved something for this exchange that will be settled with it.
    pub(crate) fn has_reserved(&self) -> bool {
        self.reserved.is_some() || !self.reservation.is_empty()
    }

    /// What was reserved becomes what was used, and the length of the answer is remembered.
    fn settle(&mut self, ending: Ending) {
        if let Some(reserved) = self.reserved.take() {
            reserved.settle(self.used(ending));
        }
        let answer = &self.answer;
        let is_whole = ending == Ending::Complete && answer.error.is_none();
        if is_whole && answer.source == Source::Provider && answer.usage.output > 0 {
            self.meter.answered(&self.model, answer.usage.output);
        }
    }

    /// What the exchange has used of its limits.
    fn used(&self, ending: Ending) -> Amounts {
        let usage = &self.answer.usage;
        let (input_tokens, output_tokens) = if usage.input > 0 || usage.output > 0 {
            (usage.input.min(MOST), usage.output.min(MOST))
        } else if ending == Ending::Aborted && self.stage != Stage::Request {
            // The client has gone before anything was heard: the provider has read the prompt.
            (self.estimated_input, 0)
        } else {
            (0, 0)
        };
        Amounts {
            requests: 1,
            input_tokens,
            output_tokens,
        }
    }

    fn record_metrics(&self, ending: Ending, total: Duration) {
        let metrics = &self.metrics;
        metrics.in_flight.dec();
        let model = metrics.model_label(&self.model);
        metrics
            .exchanges
            .get_or_create(&ExchangeLabels {
                listener: self.listener.to_string(),
                endpoint: self.endpoint.to_owned(),
                provider: self.provider.clone(),
                model: model.clone(),
                status_class: status_class(self.answer.status).to_owned(),
                ending: ending.as_str().to_owned(),
            })
            .inc();
        if let Some(reason) = self.answer.error {
            metrics.errors.get_or_create(&Reason(reason)).inc();
        }
        if ending == Ending::Aborted {
            let phase = Phase(self.stage.as_str());
            metrics.aborted.get_or_create(&phase).inc();
        }
        if self.answer.source != Source::Provider {
            return;
        }
        let overhead = &metrics.overhead;
        overhead
            .get_or_create(&Phase(Stage::Request.as_str()))
            .observe(self.overhead_request.as_secs_f64());
        overhead
            .get_or_create(&Phase(Stage::Response.as_str()))
            .observe(self.overhead_response.as_secs_f64());
        let target = TargetLabels {
            endpoint: self.endpoint.to_owned(),
            provider: self.provider.clone(),
            model: model.clone(),
        };
        metrics
            .duration
            .get_or_create(&target)
            .observe(total.as_secs_f64());
        if let (true, Some(first_token)) = (self.stream, self.first_token()) {
            metrics
                .first_token
                .get_or_create(&target)
                .observe(first_token.as_secs_f64());
        }
        if self.answer.usage_estimated {
            metrics.usage_estimated.inc();
        }
        for (kind, count) in [
            ("input", self.answer.usage.input),
            ("output", self.answer.usage.output),
            ("cached", self.answer.usage.cached),
            ("cache_write", self.answer.usage.cache_write),
            ("reasoning", self.answer.usage.reasoning),
        ] {
            if count > 0 {
                metrics
                    .tokens
                    .get_or_create(&TokenLabels {
                        provider: self.provider.clone(),
                        model: model.clone(),
                        kind: kind.to_owned(),
                    })
                    .inc_by(count);
            }
        }
    }
}

impl Drop for Outcome {
    fn drop(&mut self) {
        // Whoever dropped the exchange without an ending lost it: nothing goes unreported.
        self.report(Ending::Aborted);
    }
}

/// A text, unless there is none.
fn known(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

fn status_class(status: u16) -> &'static str {
    match status {
        100..=199 => "1xx",
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        500..=599 => "5xx",
        _ => "none",
    }
}

/// Milliseconds with microsecond precision, for people to read.
fn millis(time: Duration) -> f64 {
    micros(time) as f64 / 1000.0
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generation::Generation;

    fn meter() -> Arc<Meter> {
        let config = meseta_config::load(&meseta_config::Source {
            text: "listeners: [{port: 0}]",
            name: "meseta.yaml",
            env: &|_| None,
            dir: std::path::Path::new("/"),
            file: &|_| Err(std::io::ErrorKind::NotFound.into()),
        });
        Generation::first(config.unwrap()).meter
    }

    #[test]
    fn an_exchange_is_reported_once_even_when_it_is_only_dropped() {
        let metrics = Arc::new(Metrics::new());
        let outcome = Outcome::start(Arc::clone(&metrics), "model".into(), meter());
        assert_eq!(metrics.in_flight.get(), 1);
        drop(outcome);
        assert_eq!(metrics.in_flight.get(), 0);
        let phase = Phase("request");
        assert_eq!(metrics.aborted.get_or_create(&phase).get(), 1);

        let mut outcome = Outcome::start(Arc::clone(&metrics), "model".into(), meter());
        outcome.report(Ending::Complete);
        outcome.report(Ending::Failed);
        drop(outcome);
        assert_eq!(metrics.in_flight.get(), 0);
        assert_eq!(metrics.aborted.get_or_create(&phase).get(), 1);
    }
}
