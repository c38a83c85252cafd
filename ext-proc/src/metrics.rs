//! Prometheus metrics of the server.
//!
//! What is known of targets is not kept here: `targets` prints it as it is when it is asked for.
//!
//! Owns every metric and its labels. Label sets are closed: values come from enums, from the
//! configuration, or through [`Metrics::model_label`], which caps how many it lets in and counts
//! what it turns away. Nothing that a client sends becomes a label without passing that cap.

mod targets;

use std::collections::HashSet;
use std::sync::RwLock;

use meseta_targets::TargetHealth;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::encoding::{EncodeLabelSet, LabelSetEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// How many different models get a label of their own.
const MAX_MODELS: usize = 500;
/// The label of all models beyond the cap.
const OTHER: &str = "other";

/// A fixed set of label names with their values.
macro_rules! labels {
    ($(#[$doc:meta])* $name:ident { $($field:ident),+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
        pub(crate) struct $name {
            $(pub(crate) $field: String,)+
        }
    };
}

labels!(
    /// One finished exchange.
    ExchangeLabels { listener, endpoint, provider, model, status_class, ending }
);
labels!(
    /// Where time went.
    TargetLabels { endpoint, provider, model }
);
labels!(
    /// Tokens by kind: `input`, `output`, `cached`, `cache_write`, `reasoning`.
    TokenLabels { provider, model, kind }
);

labels!(
    /// What was lost in translation, by the two APIs and its kind: `dropped`, `approximated`.
    LossLabels { client, provider, kind }
);

labels!(
    /// One attempt at a target: `answered`, or why not.
    AttemptLabels { provider, model, result }
);

labels!(
    /// A copy whose answer was compared with the client's.
    MirrorLabels { model, same_status, same_finish }
);

/// A single label called `reason`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Reason(pub(crate) &'static str);

impl EncodeLabelSet for Reason {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), std::fmt::Error> {
        [("reason", self.0)].encode(encoder)
    }
}

/// A single label called `phase`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Phase(pub(crate) &'static str);

impl EncodeLabelSet for Phase {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), std::fmt::Error> {
        [("phase", self.0)].encode(encoder)
    }
}

/// Before the name of each metric.
const PREFIX: &str = "meseta";

/// All metrics, and the registry that prints them.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    models: RwLock<HashSet<String>>,
    pub(crate) in_flight: Gauge,
    pub(crate) exchanges: Family<ExchangeLabels, Counter>,
    pub(crate) errors: Family<Reason, Counter>,
    pub(crate) violations: Family<Reason, Counter>,
    pub(crate) aborted: Family<Phase, Counter>,
    pub(crate) duration: Family<TargetLabels, Histogram>,
    pub(crate) first_token: Family<TargetLabels, Histogram>,
    pub(crate) overhead: Family<Phase, Histogram>,
    pub(crate) tokens: Family<TokenLabels, Counter>,
    pub(crate) usage_estimated: Counter,
    pub(crate) models_not_labelled: Counter,
    pub(crate) log_lines_dropped: Gauge,
    pub(crate) losses: Family<LossLabels, Counter>,
    pub(crate) attempts: Family<AttemptLabels, Counter>,
    pub(crate) mirrors: Family<AttemptLabels, Counter>,
    pub(crate) mirrored: Family<MirrorLabels, Counter>,
    pub(crate) mirror_tokens: Family<TokenLabels, Counter>,
    pub(crate) reloads: Counter,
    pub(crate) reload_failures: Counter,
    pub(crate) last_reload_failed: Gauge,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix(PREFIX);
        let in_flight = Gauge::default();
        registry.register(
            "exchanges_in_flight",
            "Exchanges being served",
            in_flight.clone(),
        );
        let exchanges = Family::default();
        registry.register("exchanges", "Exchanges that have ended", exchanges.clone());
        let errors = Family::default();
        registry.register(
            "errors",
            "Errors answered by the server itself, by reason",
            errors.clone(),
        );
        let violations = Family::default();
        registry.register(
            "protocol_violations",
            "ext_proc streams ended with an error, by reason",
            violations.clone(),
        );
        let aborted = Family::default();
        registry.register(
            "exchanges_aborted",
            "Exchanges that client, upstream or Envoy broke off, by phase",
            aborted.clone(),
        );
        let duration = Family::<TargetLabels, Histogram>::new_with_constructor(seconds);
        registry.register_with_unit(
            "exchange_duration",
            "From request headers to the end of the answer",
            Unit::Seconds,
            duration.clone(),
        );
        let first_token = Family::<TargetLabels, Histogram>::new_with_constructor(seconds);
        registry.register_with_unit(
            "first_token",
            "From request headers to the first content of a streamed answer",
            Unit::Seconds,
            first_token.clone(),
        );
        let overhead = Family::<Phase, Histogram>::new_with_constructor(micros);
        registry.register_with_unit(
            "overhead",
            "Time spent in the server itself, per exchange, by phase",
            Unit::Seconds,
            overhead.clone(),
        );
        let tokens = Family::default();
        registry.register("tokens", "Tokens used, by kind", tokens.clone());
        let usage_estimated = Counter::default();
        registry.register(
            "usage_estimated",
            "Answers whose provider reported no usage",
            usage_estimated.clone(),
        );
        let models_not_labelled = Counter::default();
        registry.register(
            "models_not_labelled",
            "Exchanges counted under the model label `other` because too many models were seen",
            models_not_labelled.clone(),
        );
        let log_lines_dropped = Gauge::default();
        registry.register(
            "log_lines_dropped",
            "Log lines that nobody took in time, since the start",
            log_lines_dropped.clone(),
        );
        let losses = Family::default();
        registry.register(
            "translation_losses",
            "Places in requests and answers that the other API has no place for",
            losses.clone(),
        );
        let attempts = Family::default();
        registry.register(
            "attempts",
            "Attempts at targets that the server made itself, by what came of them",
            attempts.clone(),
        );
        let mirrors = Family::default();
        registry.register(
            "mirrors",
            "Copies of requests for shadow targets, by what came of them",
            mirrors.clone(),
        );
        let mirrored = Family::default();
        registry.register(
            "mirrored_answers",
            "Answers of shadow targets that were compared with the client's",
            mirrored.clone(),
        );
        let mirror_tokens = Family::default();
        registry.register(
            "mirror_tokens",
            "Tokens of shadow targets, by kind; they are in no other count",
            mirror_tokens.clone(),
        );
        let reloads = Counter::default();
        registry.register(
            "config_reloads",
            "Changed configurations that were taken",
            reloads.clone(),
        );
        let reload_failures = Counter::default();
        registry.register(
            "config_reload_failures",
            "Changed configurations that were not taken",
            reload_failures.clone(),
        );
        let last_reload_failed = Gauge::default();
        registry.register(
            "config_last_reload_failed",
            "1 while the configuration's files hold what could not be taken",
            last_reload_failed.clone(),
        );
        let build = Family::<Vec<(&'static str, &'static str)>, Gauge>::default();
        registry.register("build_info", "The version that runs", build.clone());
        build
            .get_or_create(&vec![("version", env!("CARGO_PKG_VERSION"))])
            .set(1);
        Self {
            registry,
            models: RwLock::default(),
            in_flight,
            exchanges,
            errors,
            violations,
            aborted,
            duration,
            first_token,
            overhead,
            tokens,
            usage_estimated,
            models_not_labelled,
            log_lines_dropped,
            losses,
            attempts,
            mirrors,
            mirrored,
            mirror_tokens,
            reloads,
            reload_failures,
            last_reload_failed,
        }
    }

    /// The label for a model: itself, or `other` once the cap is reached.
    pub(crate) fn model_label(&self, model: &str) -> String {
        if model.is_empty() {
            return String::new();
        }
        let known = self
            .models
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .contains(model);
        if !known {
            let mut models = self
                .models
                .write()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            if models.len() >= MAX_MODELS {
                self.models_not_labelled.inc();
                return OTHER.to_owned();
            }
            models.insert(model.to_owned());
        }
        model.to_owned()
    }

    /// Whether a model has a label of its own. Unlike [`model_label`](Self::model_label) it gives none.
    pub(crate) fn has_label(&self, model: &str) -> bool {
        self.models
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .contains(model)
    }

    /// The text that Prometheus scrapes (OpenMetrics), with these targets.
    pub(crate) fn render<'a>(
        &self,
        targets: impl Iterator<Item = &'a TargetHealth>,
    ) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode_registry(&mut text, &self.registry)?;
        encode_registry(&mut text, &targets::registry(targets))?;
        encode_eof(&mut text)?;
        Ok(text)
    }
}

/// Buckets for what takes as long as a model does.
fn seconds() -> Histogram {
    Histogram::new([
        0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0,
        600.0,
    ])
}

/// Buckets for our own work.
fn micros() -> Histogram {
    Histogram::new([
        5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 5e-2, 0.25,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_beyond_the_cap_share_one_label_and_are_counted() {
        let metrics = Metrics::new();
        for n in 0..MAX_MODELS {
            assert_eq!(metrics.model_label(&format!("p/m{n}")), format!("p/m{n}"));
        }
        assert_eq!(metrics.model_label("p/one-more"), OTHER);
        assert_eq!(metrics.model_label("p/m0"), "p/m0");
        assert_eq!(metrics.models_not_labelled.get(), 1);
    }

    #[test]
    fn the_scrape_names_every_metric_once() {
        let metrics = Metrics::new();
        metrics
            .errors
            .get_or_create(&Reason("model_not_found"))
            .inc();
        let text = metrics.render(std::iter::empty()).unwrap();
        assert!(text.contains("meseta_errors_total{reason=\"model_not_found\"} 1"));
        assert!(text.contains("meseta_build_info{version="));
        assert_eq!(
            text.matches("# TYPE meseta_exchanges_in_flight ").count(),
            1
        );
    }
}
