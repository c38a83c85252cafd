//! A server of which the admin port tells, and its routes without a port.

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::body::{Body, Bytes};
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use meseta_config::{Config, Source};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use crate::admin::{router, Readiness};
use crate::generation::Generation;
use crate::metrics::Metrics;
use crate::providers::Providers;
use crate::service::Shared;
use crate::upstream::Upstreams;

/// A configuration, with the same key in each variable.
pub(super) fn config(text: &str) -> Config {
    meseta_config::load(&Source {
        text,
        name: "meseta.yaml",
        env: &|_| Some("sk-x".to_owned()),
        dir: Path::new("/"),
        file: &|_| Err(std::io::ErrorKind::NotFound.into()),
    })
    .unwrap()
}

/// A server that has begun with this configuration.
pub(super) fn shared(config: Config, egress: Option<&Path>) -> Arc<Shared> {
    let upstreams = Upstreams::new(egress.map(Path::to_owned), &config).unwrap();
    Arc::new(Shared {
        generation: ArcSwap::from_pointee(Generation::first(config)),
        metrics: Arc::new(Metrics::new()),
        providers: Arc::new(Providers::new(upstreams)),
        dropped_lines: None,
        running: TaskTracker::new(),
        cut_off: CancellationToken::new(),
    })
}

/// What the admin port answers.
pub(super) async fn send(shared: &Arc<Shared>, request: Request<Body>) -> (StatusCode, Bytes) {
    let router = router(
        Arc::clone(shared),
        Arc::new(Readiness::default()),
        Arc::default(),
    );
    let response = router.oneshot(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap();
    (status, body.to_bytes())
}
