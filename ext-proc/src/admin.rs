//! The admin port: health, metrics, targets, limits and the configuration, for operators.
//!
//! Binds loopback unless told otherwise, and changes nothing but whether a target is in service. The
//! configuration is printed with its secrets taken out.

mod guard;
mod limits;
mod targets;
#[cfg(test)]
mod testing;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use arc_swap::ArcSwap;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{header, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::Router;
use serde_json::{json, Value};

use crate::reload::Attempt;
use crate::service::Shared;

/// The longest body that is read: it names a target, or says what a request is like.
const MAX_BODY: usize = 16 * 1024;

/// Whether the server takes new exchanges.
#[derive(Debug, Default)]
pub(crate) struct Readiness(AtomicBool);

impl Readiness {
    pub(crate) fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Release);
    }

    fn is_ready(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// How the last reload went, if there was one.
type LastReload = Arc<ArcSwap<Option<Attempt>>>;

#[derive(Debug, Clone)]
struct Admin {
    shared: Arc<Shared>,
    readiness: Arc<Readiness>,
    last_reload: LastReload,
}

/// The routes of the admin port.
pub(crate) fn router(
    shared: Arc<Shared>,
    readiness: Arc<Readiness>,
    last_reload: LastReload,
) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/config", get(config))
        .route("/status", get(status))
        .route("/targets", get(targets::list))
        .route("/targets/drain", post(targets::drain))
        .route("/targets/undrain", post(targets::undrain))
        .route("/limits/explain", post(limits::explain))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(Admin {
            shared,
            readiness,
            last_reload,
        })
}

async fn readyz(State(admin): State<Admin>) -> Response {
    if admin.readiness.is_ready() {
        "ready\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n").into_response()
    }
}

async fn metrics(State(admin): State<Admin>) -> Response {
    if let Some(dropped) = &admin.shared.dropped_lines {
        let dropped = i64::try_from(dropped.dropped_lines()).unwrap_or(i64::MAX);
        admin.shared.metrics.log_lines_dropped.set(dropped);
    }
    let known = targets::snapshot(&admin.shared.providers).await;
    let config = Arc::clone(&admin.shared.generation.load().config);
    let metrics = Arc::clone(&admin.shared.metrics);
    let render = move || {
        let configured: HashSet<&str> = targets::pool_targets(&config).collect();
        let mut all = targets::with_configured(&config, known);
        all.retain(|id, _| configured.contains(id.as_str()) || metrics.has_label(id.as_str()));
        metrics.render(all.values())
    };
    let rendered = tokio::task::spawn_blocking(render).await;
    match rendered.unwrap_or(Err(std::fmt::Error)) {
        Ok(text) => (
            [(
                header::CONTENT_TYPE,
                "application/openmetrics-text; version=1.0.0; charset=utf-8",
            )],
            text,
        )
            .into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// What is in service, and whether the files hold something else.
async fn status(State(admin): State<Admin>) -> Response {
    let last = admin.last_reload.load();
    let reload = last.as_ref().as_ref().map(|attempt| {
        let at = attempt.at.duration_since(UNIX_EPOCH);
        json!({
            "at": at.map_or(0, |since| since.as_secs()),
            "error": attempt.error,
            "needs_restart": attempt.waiting,
        })
    });
    let status = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "ready": admin.readiness.is_ready(),
        "running": admin.shared.running.len(),
        "generation": admin.shared.generation.load().number,
        "reload": reload,
    });
    (
        [(header::CONTENT_TYPE, "application/json")],
        status.to_string(),
    )
        .into_response()
}

async fn config(State(admin): State<Admin>) -> Response {
    let redacted = admin.shared.generation.load().config.redacted();
    (
        [(header::CONTENT_TYPE, "application/json")],
        redacted.to_string(),
    )
        .into_response()
}

/// An answer in JSON.
fn answer(status: StatusCode, body: &Value) -> Response {
    let json = [(header::CONTENT_TYPE, "application/json")];
    (status, json, body.to_string()).into_response()
}
