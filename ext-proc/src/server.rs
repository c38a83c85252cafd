//! The process: bind, serve, drain.
//!
//! Owns start and stop. Draining: no new connections, health says NOT_SERVING, streams that run
//! may finish within the drain time-out, then what is left ends with an error status; telemetry is
//! flushed last.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use meseta_config::{Config, ListenAddress, LogFormat};
use tokio::net::TcpListener;
use tokio::signal::unix::{signal, SignalKind};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::transport::Server;
use tracing_appender::non_blocking::ErrorCounter;

use crate::admin::{self, Readiness};
use crate::generation::Generation;
use crate::listen::{Incoming, Listener};
use crate::metrics::Metrics;
use crate::providers::Providers;
use crate::reload::{ReloadOptions, Reloader, XdsError, XdsOptions};
use crate::service::{Processor, Shared};
use crate::telemetry::Telemetry;
use crate::upstream::{ClientError, Upstreams};

/// Envoy is asked for a sign of life this often …
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
/// … and has this long to answer.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// Flow-control windows: a stream may have this much in flight unread, and a connection (one per
/// Envoy worker) so much over all its streams.
const STREAM_WINDOW: u32 = 1024 * 1024;
const CONNECTION_WINDOW: u32 = 16 * 1024 * 1024;
/// Clients that go away reset their streams; a burst of them is no attack when it comes from our
/// own Envoy.
const PENDING_RESETS: usize = 10_000;

/// How to serve.
#[derive(Debug)]
pub struct ServeOptions {
    /// The configuration.
    pub config: Config,
    /// Where Envoy reaches the server.
    pub listen: ListenAddress,
    /// The admin port; port 0 lets the system pick one.
    pub admin: SocketAddr,
    /// How long running exchanges may take after a signal to stop.
    pub drain_timeout: Duration,
    /// The form of the log lines.
    pub log: LogFormat,
    /// The files from which Envoy takes listeners and clusters; without them they are Envoy's own
    /// affair.
    pub xds: Option<XdsOptions>,
    /// How to follow changes of the configuration; without it, the one at hand is for good.
    pub reload: Option<ReloadOptions>,
    /// A file to write the bound admin address to once the server takes exchanges.
    pub ready_file: Option<PathBuf>,
}

/// Why the server did not start or stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// An address cannot be bound.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The address as configured.
        address: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// Signals cannot be listened for.
    #[error("cannot listen for signals: {0}")]
    Signals(std::io::Error),
    /// The span exporter cannot be built.
    #[error("cannot export spans: {0}")]
    Telemetry(String),
    /// Envoy does not get its listeners and clusters.
    #[error("cannot give Envoy its listeners and clusters: {0}")]
    Xds(#[from] XdsError),
    /// Providers cannot be called.
    #[error(transparent)]
    Upstream(#[from] ClientError),
    /// The gRPC server failed.
    #[error("the server failed: {0}")]
    Transport(#[from] tonic::transport::Error),
    /// The ready file cannot be written.
    #[error("cannot write {path}: {source}")]
    ReadyFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Serves until SIGTERM or SIGINT, then drains.
///
/// # Errors
/// When an address cannot be bound, telemetry cannot be set up, or the transport fails.
pub async fn serve(options: ServeOptions) -> Result<(), ServeError> {
    let telemetry = Telemetry::start(options.log, &options.config.tracing)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(ServeError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(ServeError::Signals)?;
    let stop = CancellationToken::new();
    let signalled = stop.clone();
    let signals = tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        signalled.cancel();
    });
    let result = run(options, stop, telemetry.dropped_lines()).await;
    signals.abort();
    let _ = tokio::task::spawn_blocking(move || telemetry.flush()).await;
    result
}

/// Serves until `stop` fires, then drains.
async fn run(
    options: ServeOptions,
    stop: CancellationToken,
    dropped_lines: ErrorCounter,
) -> Result<(), ServeError> {
    let ServeOptions {
        config,
        listen,
        admin: admin_address,
        drain_timeout,
        xds,
        reload,
        ready_file,
        ..
    } = options;
    let socket_mode = config.server.socket_mode;
    for notice in &config.notices {
        tracing::warn!(target: "meseta", "{notice}");
    }
    let metrics = Arc::new(Metrics::new());
    for model in config.models() {
        // Before any that only requests name: those must not use the labels up.
        metrics.model_label(&model.id);
    }
    let egress = config.server.egress.socket(&listen);
    let upstreams = Upstreams::new(egress, &config)?;
    let shared = Arc::new(Shared {
        generation: ArcSwap::from_pointee(Generation::first(config)),
        metrics,
        providers: Arc::new(Providers::new(upstreams)),
        dropped_lines: Some(dropped_lines),
        running: TaskTracker::new(),
        cut_off: CancellationToken::new(),
    });

    // Before the first exchange can be sent to them.
    let mut reloader = Reloader::new(Arc::clone(&shared), xds);
    reloader.first_clusters().await?;

    let listener = Listener::bind(&listen, socket_mode)
        .await
        .map_err(|source| ServeError::Bind {
            address: listen.to_string(),
            source,
        })?;
    let bind_admin = |source| ServeError::Bind {
        address: admin_address.to_string(),
        source,
    };
    let admin_listener = TcpListener::bind(admin_address).await.map_err(bind_admin)?;
    let admin_address = admin_listener.local_addr().map_err(bind_admin)?;
    tracing::info!(
        target: "meseta",
        version = env!("CARGO_PKG_VERSION"),
        listen = listener.describe(),
        admin = %admin_address,
        "serving"
    );

    let readiness = Arc::new(Readiness::default());
    let admin = admin::router(Arc::clone(&shared), Arc::clone(&readiness), reloader.last());
    let admin_stop = CancellationToken::new();
    let admin_server = tokio::spawn({
        let stopped = admin_stop.clone().cancelled_owned();
        async move {
            axum::serve(admin_listener, admin)
                .with_graceful_shutdown(stopped)
                .await
        }
    });

    let (health, health_service) = tonic_health::server::health_reporter();
    for name in ["", meseta_proto::HEALTH_SERVICE] {
        health
            .set_service_status(name, tonic_health::ServingStatus::Serving)
            .await;
    }
    let processor = Processor::new(Arc::clone(&shared)).into_service();
    let grpc = Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .http2_max_pending_accept_reset_streams(Some(PENDING_RESETS))
        .add_service(health_service)
        .add_service(processor)
        .serve_with_incoming_shutdown(Incoming(listener), stop.clone().cancelled_owned());
    let mut grpc = tokio::spawn(grpc);

    // After the first exchange can be taken.
    reloader.first_listeners().await?;
    if let Some(reload) = reload {
        let hangup = signal(SignalKind::hangup()).map_err(ServeError::Signals)?;
        tokio::spawn(reloader.follow(reload, hangup, stop.clone()));
    }
    readiness.set(true);
    if let Some(path) = ready_file {
        std::fs::write(&path, admin_address.to_string())
            .map_err(|source| ServeError::ReadyFile { path, source })?;
    }

    tokio::select! {
        () = stop.cancelled() => {}
        ended = &mut grpc => {
            return ended.unwrap_or(Ok(())).map_err(ServeError::from);
        }
    }
    readiness.set(false);
    for name in ["", meseta_proto::HEALTH_SERVICE] {
        health
            .set_service_status(name, tonic_health::ServingStatus::NotServing)
            .await;
    }
    drain(&shared, drain_timeout).await;
    // Connections have nothing left to serve; Envoy closes them on GOAWAY.
    let _ = tokio::time::timeout(Duration::from_secs(1), &mut grpc).await;
    grpc.abort();
    admin_stop.cancel();
    let _ = tokio::time::timeout(Duration::from_secs(1), admin_server).await;
    Ok(())
}

/// Waits for the exchanges that run, and cuts off what takes too long.
async fn drain(shared: &Shared, timeout: Duration) {
    shared.running.close();
    // A shadow's answer has no client to lose.
    shared.providers.stopped.cancel();
    let running = shared.running.len();
    tracing::info!(target: "meseta", running, "draining");
    if tokio::time::timeout(timeout, shared.running.wait())
        .await
        .is_ok()
    {
        tracing::info!(target: "meseta", "drained");
        return;
    }
    tracing::warn!(
        target: "meseta",
        left = shared.running.len(),
        "the drain time-out is over: ending what is left with an error"
    );
    shared.cut_off.cancel();
    // Long enough for the error statuses to reach Envoy.
    let _ = tokio::time::timeout(Duration::from_secs(2), shared.running.wait()).await;
}
