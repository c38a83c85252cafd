//! Another configuration while exchanges run: make before break.
//!
//! A change is loaded and checked as a whole; what cannot be used changes nothing. Then, in this
//! order: Envoy gets the new clusters beside the old ones, the server takes the new configuration,
//! Envoy gets the new listeners, and clusters that only former configurations had are taken away
//! when the last exchange that began with one of those has ended.
//!
//! Without files of Envoy's (an Envoy that is not ours) only the server changes; a request for a
//! cluster that Envoy does not have is refused by its route, in the client's dialect.

mod watch;
mod xds;

use std::fmt;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use meseta_config::render::{resources, RenderOptions, Resource};
use meseta_config::{AdminAddress, Config, Server, Tracing};
use tokio::signal::unix::Signal;
use tokio_util::sync::CancellationToken;

use crate::envoy_admin::ResourceKind;
use crate::service::Shared;
use crate::upstream::ClientError;
use watch::Watched;
use xds::XdsFiles;

pub use xds::{XdsError, XdsOptions};

/// Between two looks at the files.
const LOOK: Duration = Duration::from_millis(250);
/// After a refusal it is tried again this often: what was in the way (a port, a key file's
/// permissions) may go away without a change of any file that is looked at.
const AGAIN: Duration = Duration::from_secs(5);

/// A configuration that was read again.
#[derive(Debug)]
pub struct Loaded {
    /// What it says.
    pub config: Config,
    /// Every file that it was made from, which may or may not exist: a change of one is a reason to
    /// read again.
    pub files: Vec<PathBuf>,
}

/// Reads and checks the configuration again.
pub type Load = Box<dyn Fn() -> Result<Loaded, LoadError> + Send>;

/// A configuration that cannot be used, in words for people, without a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadError {
    /// What is wrong, all of it.
    pub problems: String,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problems)
    }
}

/// How to follow changes.
pub struct ReloadOptions {
    /// The files that the configuration at hand was made from.
    pub files: Vec<PathBuf>,
    /// Reads it again.
    pub load: Load,
}

impl fmt::Debug for ReloadOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReloadOptions")
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

/// How the last attempt went.
#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    pub(crate) at: SystemTime,
    /// What was wrong; nothing when it was taken.
    pub(crate) error: Option<String>,
    /// Settings that changed and need a restart.
    pub(crate) waiting: Vec<&'static str>,
}

/// Why a configuration that was loaded is not taken.
#[derive(Debug, thiserror::Error)]
enum ApplyError {
    #[error("listener `{listener}` cannot have {address}: {source}")]
    Port {
        listener: String,
        address: SocketAddr,
        source: std::io::Error,
    },
    #[error(transparent)]
    Xds(#[from] XdsError),
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// A configuration that is no longer taken by new exchanges.
struct Former {
    config: Weak<Config>,
    clusters: Vec<Resource>,
}

/// Envoy's part.
struct Envoy {
    files: XdsFiles,
    render: RenderOptions,
}

/// Follows changes for as long as the server serves.
pub(crate) struct Reloader {
    shared: Arc<Shared>,
    envoy: Option<Envoy>,
    former: Vec<Former>,
    /// What is only read at the start, as it was then. Not the whole configuration: who holds that
    /// keeps its clusters.
    began: (Server, Tracing),
    last: Arc<ArcSwap<Option<Attempt>>>,
}

impl Reloader {
    pub(crate) fn new(shared: Arc<Shared>, xds: Option<XdsOptions>) -> Self {
        let envoy = xds.map(|options| Envoy {
            files: XdsFiles::new(&options),
            render: options.render,
        });
        let config = Arc::clone(&shared.generation.load().config);
        Self {
            began: (config.server.clone(), config.tracing.clone()),
            shared,
            envoy,
            former: Vec::new(),
            last: Arc::default(),
        }
    }

    /// How the last attempt went, as it will be read by others.
    pub(crate) fn last(&self) -> Arc<ArcSwap<Option<Attempt>>> {
        Arc::clone(&self.last)
    }

    /// Gives Envoy the clusters of the configuration that the server begins with.
    pub(crate) async fn first_clusters(&mut self) -> Result<(), XdsError> {
        let Some(envoy) = &mut self.envoy else {
            return Ok(());
        };
        let config = Arc::clone(&self.shared.generation.load().config);
        let own = resources(&config, &envoy.render, envoy.files.directory());
        envoy.files.put(ResourceKind::Clusters, &own.clusters).await
    }

    /// Gives Envoy the listeners of the configuration that the server begins with.
    pub(crate) async fn first_listeners(&mut self) -> Result<(), XdsError> {
        let Some(envoy) = &mut self.envoy else {
            return Ok(());
        };
        let config = Arc::clone(&self.shared.generation.load().config);
        let own = resources(&config, &envoy.render, envoy.files.directory());
        envoy.files.put_secrets(&own.secrets)?;
        let kind = ResourceKind::Listeners;
        envoy.files.put(kind, &own.listeners).await
    }

    /// Looks for changes until `stop` fires. SIGHUP asks for a reload without one.
    pub(crate) async fn follow(
        mut self,
        options: ReloadOptions,
        mut hangup: Signal,
        stop: CancellationToken,
    ) {
        let mut load = options.load;
        let mut watched = Watched::new(options.files);
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut again: Option<Instant> = None;
        loop {
            let asked = tokio::select! {
                () = stop.cancelled() => return,
                _ = looks.tick() => false,
                _ = hangup.recv() => true,
            };
            let retry = again.is_some_and(|at| Instant::now() >= at);
            // A file system may take its time.
            let looked = tokio::task::spawn_blocking(move || {
                let wanted = watched.has_changed() || asked;
                let loaded = (wanted || retry).then(&load);
                if let Some(Ok(loaded)) = &loaded {
                    watched.follow(loaded.files.clone());
                }
                (load, watched, loaded, wanted)
            });
            let Ok((same_load, same_watched, loaded, wanted)) = looked.await else {
                tracing::error!(target: "meseta", "reading the configuration failed: it is no longer followed");
                return;
            };
            (load, watched) = (same_load, same_watched);
            match loaded {
                Some(loaded) => {
                    let taken = self.attempt(loaded, wanted).await;
                    again = (!taken).then(|| Instant::now() + AGAIN);
                }
                None => self.take_away().await,
            }
        }
    }

    /// Takes what was loaded, if it can be taken, and tells the outcome; one that nobody `wanted`,
    /// because it only tries again, not if it is the refusal that was told before.
    async fn attempt(&mut self, loaded: Result<Loaded, LoadError>, wanted: bool) -> bool {
        let outcome = match loaded {
            Ok(loaded) => {
                let waiting = self.needs_restart(&loaded.config);
                let applied = self.apply(loaded.config).await;
                applied.map(|()| waiting).map_err(|error| error.to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        let (error, waiting) = match outcome {
            Ok(waiting) => (None, waiting),
            Err(error) => (Some(error), Vec::new()),
        };
        let told = self.last.load();
        let told = told.as_ref().as_ref().and_then(|last| last.error.as_ref());
        if !wanted && error.is_some() && told == error.as_ref() {
            return false;
        }
        let metrics = &self.shared.metrics;
        metrics.last_reload_failed.set(i64::from(error.is_some()));
        if error.is_some() {
            metrics.reload_failures.inc();
        } else {
            metrics.reloads.inc();
        }
        // Last, so that who waits for the outcome finds it counted.
        self.last.store(Arc::new(Some(Attempt {
            at: SystemTime::now(),
            error: error.clone(),
            waiting: waiting.clone(),
        })));
        if let Some(error) = error {
            tracing::error!(target: "meseta", "the configuration has changed and is not taken, the one before stays: {error}");
            return false;
        }
        let generation = self.shared.generation.load().number;
        tracing::info!(target: "meseta", generation, "the configuration was reloaded");
        for setting in &waiting {
            tracing::warn!(target: "meseta", "{setting} has changed: this takes effect with a restart");
        }
        true
    }

    /// The settings that differ and are only read at the start.
    fn needs_restart(&self, new: &Config) -> Vec<&'static str> {
        let (was, tracing) = &self.began;
        let is = &new.server;
        let settings = [
            ("server.listen", was.listen != is.listen),
            ("server.socket_mode", was.socket_mode != is.socket_mode),
            ("server.admin", was.admin != is.admin),
            (
                "server.drain_timeout",
                was.drain_timeout != is.drain_timeout,
            ),
            ("server.log", was.log != is.log),
            ("server.egress", was.egress != is.egress),
            ("tracing", *tracing != new.tracing),
        ];
        let changed = settings.into_iter().filter(|(_, changed)| *changed);
        changed.map(|(name, _)| name).collect()
    }

    async fn apply(&mut self, config: Config) -> Result<(), ApplyError> {
        let old = self.shared.generation.load_full();
        for notice in &config.notices {
            if !old.config.notices.contains(notice) {
                tracing::warn!(target: "meseta", "{notice}");
            }
        }
        for model in config.models() {
            self.shared.metrics.model_label(&model.id);
        }
        let new = Arc::new(old.next(config));
        let (providers, ready) = (Arc::clone(&self.shared.providers), Arc::clone(&new));
        // Reads certificate authorities.
        let made = tokio::task::spawn_blocking(move || providers.upstreams.prepare(&ready.config));
        made.await.unwrap_or(Ok(()))?;
        let Some(envoy) = &mut self.envoy else {
            self.shared.generation.store(new);
            return Ok(());
        };
        let was = resources(&old.config, &envoy.render, envoy.files.directory());
        let is = resources(&new.config, &envoy.render, envoy.files.directory());
        if matches!(envoy.render.admin, AdminAddress::Unix(_)) {
            check_ports(&old.config, &new.config)?;
        }
        let former: Vec<&[Resource]> = self.former.iter().map(|f| f.clusters.as_slice()).collect();
        let mut clusters = union(&is.clusters, &former);
        clusters = union(&clusters, &[&was.clusters]);
        let kind = ResourceKind::Clusters;
        envoy.files.put(kind, &clusters).await?;
        self.shared.generation.store(Arc::clone(&new));
        let kind = ResourceKind::Listeners;
        let taken = match envoy.files.put_secrets(&is.secrets) {
            Ok(()) => envoy.files.put(kind, &is.listeners).await,
            Err(error) => Err(error),
        };
        if let Err(error) = taken {
            // The listeners of before are there again; now what they refer to as well.
            if let Err(error) = envoy.files.put_secrets(&was.secrets) {
                tracing::error!(target: "meseta", "{error}");
            }
            self.shared.generation.store(old);
            self.former.push(Former {
                config: Arc::downgrade(&new.config),
                clusters: is.clusters,
            });
            return Err(error.into());
        }
        self.former.push(Former {
            config: Arc::downgrade(&old.config),
            clusters: was.clusters,
        });
        Ok(())
    }

    /// Takes away the clusters of configurations that no exchange works with any more.
    async fn take_away(&mut self) {
        let before = self.former.len();
        self.former
            .retain(|former| former.config.strong_count() > 0);
        let Some(envoy) = self.envoy.as_mut().filter(|_| self.former.len() < before) else {
            return;
        };
        let config = Arc::clone(&self.shared.generation.load().config);
        let own = resources(&config, &envoy.render, envoy.files.directory()).clusters;
        let former: Vec<&[Resource]> = self.former.iter().map(|f| f.clusters.as_slice()).collect();
        let kind = ResourceKind::Clusters;
        if let Err(error) = envoy.files.put(kind, &union(&own, &former)).await {
            tracing::warn!(target: "meseta", "clusters that are no longer used stay in Envoy: {error}");
        }
    }
}

/// The first resources, and those of the others whose names they lack.
fn union(first: &[Resource], others: &[&[Resource]]) -> Vec<Resource> {
    let mut all = first.to_vec();
    for resource in others.iter().flat_map(|other| other.iter()) {
        if !all.iter().any(|known| known.name() == resource.name()) {
            all.push(resource.clone());
        }
    }
    all
}

/// Whether the addresses that only the new configuration has are free. Envoy would share a port
/// that another Envoy has, and each would get a part of the connections.
fn check_ports(old: &Config, new: &Config) -> Result<(), ApplyError> {
    let address =
        |listener: &meseta_config::Listener| SocketAddr::new(listener.address, listener.port);
    let ours: Vec<SocketAddr> = old.listeners.iter().map(address).collect();
    for listener in &new.listeners {
        let wanted = address(listener);
        // Another address with the same port may be ours in part.
        if ours.iter().any(|own| own.port() == wanted.port()) {
            continue;
        }
        TcpListener::bind(wanted).map_err(|source| ApplyError::Port {
            listener: listener.name.clone(),
            address: wanted,
            source,
        })?;
    }
    Ok(())
}
