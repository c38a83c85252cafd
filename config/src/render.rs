//! The Envoy configuration that belongs to a [`Config`].
//!
//! Invariant: nothing rendered holds a secret. Keys and header values stay in the server.

use std::path::PathBuf;

use crate::address::{AdminAddress, ListenAddress};
use crate::config::Config;

/// Where things are, as Envoy sees them.
#[derive(Debug, Clone)]
pub struct RenderOptions {
    /// Where the server listens.
    pub server: ListenAddress,
    /// The filter's file.
    pub filter: PathBuf,
    /// Envoy's admin interface.
    pub admin: AdminAddress,
    /// Where the access log goes.
    pub access_log: AccessLog,
}

/// Where the access log goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessLog {
    /// Standard output.
    Stdout,
    /// A file, appended to.
    File(PathBuf),
}

/// A complete bootstrap, as YAML.
pub fn bootstrap(config: &Config, options: &RenderOptions) -> String {
    let _ = (config, options);
    String::new()
}

/// Filters, route and clusters only.
pub fn snippet(config: &Config, options: &RenderOptions) -> String {
    let _ = (config, options);
    String::new()
}
