//! The files from which Envoy takes listeners and clusters, and whether it took them.
//!
//! Invariant: a file is replaced as a whole, by rename. After a refusal the one before is there
//! again.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use meseta_config::render::{
    discovery_response, RenderOptions, Resource, SecretFile, CLUSTERS_FILE, LISTENERS_FILE,
};
use tokio::time::Instant;

use crate::envoy_admin::{Admin, AdminError, ResourceKind, Subscription};

/// How long Envoy may take to read a file.
const TAKEN_LIMIT: Duration = Duration::from_secs(15);
/// Between two looks.
const POLL: Duration = Duration::from_millis(25);

/// Where Envoy's files are, and how what is in them is rendered.
#[derive(Debug, Clone)]
pub struct XdsOptions {
    /// The directory that Envoy reads, as `meseta render envoy --xds` names it.
    pub directory: PathBuf,
    /// Where things are, as Envoy sees them.
    pub render: RenderOptions,
}

/// Why Envoy does not have what it should.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum XdsError {
    /// A file cannot be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Envoy read a file and refuses what is in it.
    #[error("Envoy refuses {0}")]
    Refused(String),
    /// Envoy does not read a file.
    #[error("Envoy has not read {path} within {} seconds: is it set to this directory?", TAKEN_LIMIT.as_secs())]
    Late {
        /// The file.
        path: PathBuf,
    },
}

/// The files of one Envoy.
#[derive(Debug)]
pub(super) struct XdsFiles {
    directory: PathBuf,
    admin: Admin,
    /// Versions of another run of the server never look like ours.
    run: u128,
    written: u64,
    clusters: Vec<Resource>,
    listeners: Vec<Resource>,
}

impl XdsFiles {
    pub(super) fn new(options: &XdsOptions) -> Self {
        let run = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            directory: options.directory.clone(),
            admin: Admin::at(options.render.admin.clone()),
            run: run.map_or(0, |since| since.as_millis()),
            written: 0,
            clusters: Vec::new(),
            listeners: Vec::new(),
        }
    }

    /// The directory that Envoy watches.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Replaces the files that say where certificates are, as far as they differ. Files that no
    /// listener refers to any more stay: they hold paths only, and a listener that drains may
    /// still read them.
    pub(super) fn put_secrets(&self, secrets: &[SecretFile]) -> Result<(), XdsError> {
        for secret in secrets {
            let path = self.directory.join(&secret.name);
            if std::fs::read_to_string(&path).is_ok_and(|text| text == secret.text) {
                continue;
            }
            replace(&path, &secret.text).map_err(|source| XdsError::Write { path, source })?;
        }
        Ok(())
    }

    /// Replaces the resources of a kind and waits until Envoy has them. An Envoy that does not run
    /// reads them when it starts, and is not waited for.
    pub(super) async fn put(
        &mut self,
        kind: ResourceKind,
        resources: &[Resource],
    ) -> Result<(), XdsError> {
        if self.written > 0 && self.current(kind) == resources {
            return Ok(());
        }
        let before = self.admin.subscription(kind).await;
        let version = self.write(kind, resources)?;
        let taken = match before {
            Ok(before) => {
                let refusals = Some(before.rejected);
                self.taken(kind, resources, &version, refusals).await
            }
            Err(error) if error.is_absence() => Ok(()),
            // It runs, and is busy: how many files it has refused so far is not known.
            Err(_) => self.taken(kind, resources, &version, None).await,
        };
        match taken {
            Ok(()) => {
                *self.current(kind) = resources.to_vec();
                Ok(())
            }
            Err(error) => {
                let former = self.current(kind).clone();
                self.write(kind, &former)?;
                Err(error)
            }
        }
    }

    fn current(&mut self, kind: ResourceKind) -> &mut Vec<Resource> {
        match kind {
            ResourceKind::Clusters => &mut self.clusters,
            ResourceKind::Listeners => &mut self.listeners,
        }
    }

    fn path(&self, kind: ResourceKind) -> PathBuf {
        self.directory.join(match kind {
            ResourceKind::Clusters => CLUSTERS_FILE,
            ResourceKind::Listeners => LISTENERS_FILE,
        })
    }

    /// Writes a file; returns its version.
    fn write(&mut self, kind: ResourceKind, resources: &[Resource]) -> Result<String, XdsError> {
        self.written += 1;
        let version = format!("{}-{}", self.run, self.written);
        let path = self.path(kind);
        replace(&path, &discovery_response(&version, resources))
            .map_err(|source| XdsError::Write { path, source })?;
        Ok(version)
    }

    async fn taken(
        &self,
        kind: ResourceKind,
        resources: &[Resource],
        version: &str,
        refusals: Option<u64>,
    ) -> Result<(), XdsError> {
        let deadline = Instant::now() + TAKEN_LIMIT;
        loop {
            match self.has(kind, resources, version).await {
                Ok((true, _)) => return Ok(()),
                Ok((false, now)) if refusals.is_some_and(|before| now.rejected > before) => {
                    return Err(XdsError::Refused(self.reasons(kind).await));
                }
                Ok((false, _)) => {}
                // It has just ended: what is written is there when it starts again.
                Err(error) if error.is_absence() => return Ok(()),
                Err(_) => {}
            }
            if Instant::now() >= deadline {
                return Err(XdsError::Late {
                    path: self.path(kind),
                });
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Whether Envoy has taken a version, and each cluster of it takes requests.
    async fn has(
        &self,
        kind: ResourceKind,
        resources: &[Resource],
        version: &str,
    ) -> Result<(bool, Subscription), AdminError> {
        let now = self.admin.subscription(kind).await?;
        let mut has = now.version == version;
        if has && kind == ResourceKind::Clusters {
            let there = self.admin.clusters().await?;
            has = resources.iter().all(|own| there.contains(own.name()));
        }
        Ok((has, now))
    }

    async fn reasons(&self, kind: ResourceKind) -> String {
        let reasons = match kind {
            ResourceKind::Clusters => Vec::new(),
            ResourceKind::Listeners => self.admin.refused_listeners().await.unwrap_or_default(),
        };
        if reasons.is_empty() {
            return format!("{}: its log says why", self.path(kind).display());
        }
        reasons.join("; ")
    }
}

/// Replaces a file as a whole. For this user and its group, which Envoy may be in: it names internal
/// hosts.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let new = path.with_extension("new");
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o640)
        .open(&new)?;
    file.write_all(text.as_bytes())?;
    std::fs::rename(&new, path)
}
