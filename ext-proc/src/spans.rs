//! The OTLP span of an exchange.
//!
//! Owns trace context in and out (W3C) and the `gen_ai.*` attributes of the OpenTelemetry
//! semantic conventions, with Plano's names beside them. Without an exporter nothing is created
//! and the client's own trace headers go on untouched. Attributes never hold content.

use std::sync::atomic::{AtomicBool, Ordering};

use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{Status, TraceContextExt};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::{field::Empty, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use meseta_config::Target;

use crate::head::RequestHead;
use crate::outcome::{Account, Outcome};

/// The target of exchange spans; the log output leaves it out.
pub(crate) const TARGET: &str = "meseta::span";

/// Whether an exporter is set. Set once at start, before the first exchange.
static EXPORTING: AtomicBool = AtomicBool::new(false);

/// Switches spans on.
pub(crate) fn enable() {
    EXPORTING.store(true, Ordering::Relaxed);
}

/// The span of one exchange, or nothing when spans are off.
#[derive(Debug)]
pub(crate) struct ExchangeSpan(Option<Span>);

/// The span of one attempt at a provider, or nothing when spans are off.
#[derive(Debug)]
pub(crate) struct AttemptSpan(Option<Span>);

impl AttemptSpan {
    /// Starts the span of an attempt, as a child of its exchange's.
    pub(crate) fn start(exchange: &ExchangeSpan, target: &Target<'_>, number: u32) -> Self {
        let Some(parent) = &exchange.0 else {
            return Self(None);
        };
        Self(Some(tracing::info_span!(
            target: "meseta::span",
            parent: parent,
            "attempt",
            otel.kind = "client",
            "gen_ai.provider.name" = target.provider.name,
            "gen_ai.request.model" = target.id,
            "http.request.resend_count" = i64::from(number.saturating_sub(1)),
            "http.response.status_code" = Empty,
            "error.type" = Empty,
            "meseta.attempt.result" = Empty,
        )))
    }

    /// The headers that carry this span's context to the provider; none when spans are off.
    pub(crate) fn propagate(&self) -> Vec<(String, String)> {
        propagated(self.0.as_ref())
    }

    /// Fills the attributes in and ends the span.
    pub(crate) fn end(self, account: &Account, result: &'static str) {
        let Some(span) = self.0 else { return };
        if account.status != 0 {
            span.record("http.response.status_code", i64::from(account.status));
        }
        span.record("meseta.attempt.result", result);
        if result != "answered" {
            span.set_status(Status::error(result));
            span.record("error.type", result);
        }
    }
}

fn propagated(span: Option<&Span>) -> Vec<(String, String)> {
    let mut headers = Vec::new();
    if let Some(span) = span {
        TraceContextPropagator::new().inject_context(&span.context(), &mut Outgoing(&mut headers));
    }
    headers
}

struct Incoming<'a>(&'a RequestHead);

impl Extractor for Incoming<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        match key {
            "traceparent" => self.0.traceparent.as_deref(),
            "tracestate" => self.0.tracestate.as_deref(),
            _ => None,
        }
    }

    fn keys(&self) -> Vec<&str> {
        vec!["traceparent", "tracestate"]
    }
}

struct Outgoing<'a>(&'a mut Vec<(String, String)>);

impl Injector for Outgoing<'_> {
    fn set(&mut self, key: &str, value: String) {
        if !value.is_empty() {
            self.0.push((key.to_owned(), value));
        }
    }
}

impl ExchangeSpan {
    /// No span.
    pub(crate) fn none() -> Self {
        Self(None)
    }

    /// Starts the span of an exchange, as a child of the client's.
    pub(crate) fn start(head: &RequestHead) -> Self {
        if !EXPORTING.load(Ordering::Relaxed) {
            return Self(None);
        }
        let span = tracing::info_span!(
            target: "meseta::span",
            "exchange",
            otel.kind = "client",
            "http.request.method" = head.method,
            "http.response.status_code" = Empty,
            "error.type" = Empty,
            "gen_ai.operation.name" = Empty,
            "gen_ai.provider.name" = Empty,
            "gen_ai.request.model" = Empty,
            "gen_ai.request.stream" = Empty,
            "gen_ai.response.model" = Empty,
            "gen_ai.response.id" = Empty,
            "gen_ai.response.finish_reasons" = Empty,
            "gen_ai.usage.input_tokens" = Empty,
            "gen_ai.usage.output_tokens" = Empty,
            "gen_ai.usage.cache_read.input_tokens" = Empty,
            "gen_ai.usage.cache_creation.input_tokens" = Empty,
            "gen_ai.server.time_to_first_token" = Empty,
            "llm.model" = Empty,
            "llm.provider" = Empty,
            "llm.is_streaming" = Empty,
            "llm.usage.prompt_tokens" = Empty,
            "llm.usage.completion_tokens" = Empty,
            "meseta.listener" = Empty,
            "meseta.request_id" = Empty,
            "meseta.ending" = Empty,
        );
        let parent = TraceContextPropagator::new().extract(&Incoming(head));
        // Fails only where no tracing layer for OTLP is set, and then there is nothing to link.
        let _ = span.set_parent(parent);
        Self(Some(span))
    }

    /// The headers that carry this span's context to the provider; none when spans are off.
    pub(crate) fn propagate(&self) -> Vec<(String, String)> {
        propagated(self.0.as_ref())
    }

    /// The trace id in hex, for the log line.
    pub(crate) fn trace_id(&self) -> Option<String> {
        let context = self.0.as_ref()?.context();
        let span = context.span();
        let span_context = span.span_context();
        span_context
            .is_valid()
            .then(|| span_context.trace_id().to_string())
    }

    /// Fills the attributes in and ends the span.
    pub(crate) fn end(&self, outcome: &Outcome, ending: &'static str) {
        let Some(span) = &self.0 else { return };
        let operation = match outcome.endpoint {
            "chat_completions" | "messages" | "responses" => "chat",
            "completions" => "text_completion",
            "embeddings" => "embeddings",
            other => other,
        };
        // Once its context has been passed on, the span itself has to be renamed.
        let name = format!("{operation} {}", outcome.model);
        span.context().span().update_name(name.trim().to_owned());
        span.record("gen_ai.operation.name", operation);
        span.record(
            "http.response.status_code",
            i64::from(outcome.answer.status),
        );
        span.record("meseta.listener", &*outcome.listener);
        span.record("meseta.ending", ending);
        if !outcome.request_id.is_empty() {
            span.record("meseta.request_id", &outcome.request_id);
        }
        if !outcome.provider.is_empty() {
            span.record("gen_ai.provider.name", &outcome.provider);
            span.record("llm.provider", &outcome.provider);
            span.record("gen_ai.request.model", &outcome.model);
            span.record("llm.model", &outcome.model);
            span.record("gen_ai.request.stream", outcome.stream);
            span.record("llm.is_streaming", outcome.stream);
            let usage = &outcome.answer.usage;
            for (name, count) in [
                ("gen_ai.usage.input_tokens", usage.input),
                ("gen_ai.usage.output_tokens", usage.output),
                ("gen_ai.usage.cache_read.input_tokens", usage.cached),
                (
                    "gen_ai.usage.cache_creation.input_tokens",
                    usage.cache_write,
                ),
                ("llm.usage.prompt_tokens", usage.input),
                ("llm.usage.completion_tokens", usage.output),
            ] {
                // OpenTelemetry's integers are signed; unsigned ones would go out as text.
                span.record(name, i64::try_from(count).unwrap_or(i64::MAX));
            }
        }
        for (name, value) in [
            ("gen_ai.response.model", &outcome.answer.response_model),
            ("gen_ai.response.id", &outcome.answer.response_id),
            (
                "gen_ai.response.finish_reasons",
                &outcome.answer.finish_reason,
            ),
        ] {
            if let Some(value) = value {
                span.record(name, value.as_str());
            }
        }
        if let Some(first_token) = outcome.first_token() {
            span.record(
                "gen_ai.server.time_to_first_token",
                first_token.as_secs_f64(),
            );
        }
        let failed = outcome.answer.status >= 400 || ending != "complete";
        if failed {
            let reason = outcome.answer.error.unwrap_or(ending);
            span.set_status(Status::error(reason));
            span.record("error.type", reason);
        }
    }
}
