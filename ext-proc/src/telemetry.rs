//! Log output and span export of the process.
//!
//! Owns the one global subscriber. Logs go to standard error, as JSON lines or text, written by a
//! thread of their own: a reader of the log that stalls must not stall exchanges, so lines that it
//! does not take in time are dropped and counted. Spans go out over OTLP when an endpoint is set,
//! and are never made otherwise.

use std::time::Duration;

use meseta_config::{LogFormat, Tracing};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry::KeyValue;
use opentelemetry_otlp::WithExportConfig as _;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use opentelemetry_sdk::Resource;
use tracing_subscriber::filter::{EnvFilter, LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::Layer as _;

use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};

use crate::spans;
use crate::ServeError;

/// The environment variable with the log filter, in `tracing`'s syntax.
pub const LOG_VARIABLE: &str = "MESETA_LOG";

/// What is logged when nothing is said.
const LOG_DEFAULT: &str = "info,h2=warn,hyper=warn,tonic=warn,opentelemetry=warn";

/// How long the last spans may take to go out.
const FLUSH: Duration = Duration::from_secs(5);

/// Lines that may wait to be written.
const WAITING_LINES: usize = 10_000;

/// Keeps the exporter and the log's writer, so that both can be flushed.
#[derive(Debug)]
pub(crate) struct Telemetry {
    provider: Option<SdkTracerProvider>,
    dropped_lines: ErrorCounter,
    /// Writes what waits when it is dropped.
    _writer: WorkerGuard,
}

impl Telemetry {
    /// Sets the process's subscriber. When the process has one already (an embedding program,
    /// tests), that one stays.
    ///
    /// # Errors
    /// When the OTLP exporter cannot be built.
    pub(crate) fn start(format: LogFormat, tracing: &Tracing) -> Result<Self, ServeError> {
        let provider = tracing
            .otlp_endpoint
            .as_deref()
            .map(|endpoint| exporter(endpoint, tracing.sampling))
            .transpose()?;
        let spans = provider.as_ref().map(|provider| {
            spans::enable();
            tracing_opentelemetry::layer()
                .with_tracer(provider.tracer("meseta"))
                .with_location(false)
                .with_threads(false)
                .with_tracked_inactivity(false)
                .with_filter(Targets::new().with_target(spans::TARGET, LevelFilter::INFO))
        });
        // Static filters only: the libraries below open spans of their own for every frame, and a
        // filter that has to be asked each time costs more than all that we do with an exchange.
        let mut filter =
            EnvFilter::try_from_env(LOG_VARIABLE).unwrap_or_else(|_| EnvFilter::new(LOG_DEFAULT));
        if let Ok(no_spans) = format!("{}=off", spans::TARGET).parse() {
            filter = filter.add_directive(no_spans);
        }
        let (writer, guard) = NonBlockingBuilder::default()
            .buffered_lines_limit(WAITING_LINES)
            .lossy(true)
            .thread_name("log")
            .finish(std::io::stderr());
        let dropped_lines = writer.error_counter();
        let output = tracing_subscriber::fmt::layer().with_writer(writer);
        let output = match format {
            LogFormat::Json => output
                .json()
                .flatten_event(true)
                .with_current_span(false)
                .with_span_list(false)
                .boxed(),
            LogFormat::Text => output.boxed(),
        };
        let _ = tracing_subscriber::registry()
            .with(output.with_filter(filter))
            .with(spans)
            .try_init();
        Ok(Self {
            provider,
            dropped_lines,
            _writer: guard,
        })
    }

    /// How many log lines have been dropped so far.
    pub(crate) fn dropped_lines(&self) -> ErrorCounter {
        self.dropped_lines.clone()
    }

    /// Sends what is left. Blocks for at most a few seconds.
    pub(crate) fn flush(self) {
        if let Some(provider) = self.provider {
            if let Err(error) = provider.shutdown_with_timeout(FLUSH) {
                tracing::warn!(target: "meseta", %error, "spans were lost at shutdown");
            }
        }
    }
}

fn exporter(endpoint: &str, sampling: f64) -> Result<SdkTracerProvider, ServeError> {
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .with_timeout(FLUSH)
        .build()
        .map_err(|error| ServeError::Telemetry(error.to_string()))?;
    let resource = Resource::builder()
        .with_service_name("meseta")
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build();
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource)
        .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(
            sampling,
        ))))
        .build())
}
