//! The resolved configuration: immutable, complete, checked.
//!
//! Everything here is a fact that the rest of the system may rely on: names are unique, every
//! alias leads to a model, every URL is parsed. It is made by [`crate::load`] alone.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use meseta_limits::RuleSet;

use crate::address::ListenAddress;
use crate::consumer::{ConsumerKey, ConsumerSource};
use crate::limit::Limit;
use crate::pool::Policy;
use crate::problem::Notice;
use crate::provider::Provider;
use crate::redacted::without_userinfo;
use crate::resolve::Models;

/// A configuration that can be used.
#[derive(Debug, Clone)]
pub struct Config {
    /// Model listeners, in the order of the file; at least one.
    pub listeners: Vec<Listener>,
    /// Providers, in the order in which the file first names them.
    pub providers: Vec<Provider>,
    /// The server's own settings.
    pub server: Server,
    /// Export of spans.
    pub tracing: Tracing,
    /// How Envoy reaches providers.
    pub upstream: Upstream,
    /// The files that hold keys, absolute, each once, also those that are not there yet: when one
    /// changes, the text loads to another configuration.
    pub files: Vec<PathBuf>,
    /// What there is to say about the file.
    pub notices: Vec<Notice>,
    /// How a name that is no pool is called.
    pub(crate) policy: Arc<Policy>,
    pub(crate) models: Models,
    pub(crate) limits: Vec<Limit>,
    /// The rules of `limits`.
    pub(crate) rules: RuleSet,
    /// `None` when the file has no `keys`, which is not the same as a list of none.
    pub(crate) keys: Option<Vec<ConsumerKey>>,
    pub(crate) consumer: Option<ConsumerSource>,
}

/// A listener for model requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Its name, unique.
    pub name: String,
    /// The address it binds.
    pub address: IpAddr,
    /// The port it binds; 0 lets the system pick.
    pub port: u16,
    /// How long an exchange may take in all; zero for no limit.
    pub timeout: Duration,
    /// The web pages that may use it.
    pub cors: Cors,
    /// How it speaks TLS; plain HTTP without.
    pub tls: Option<Tls>,
}

/// The TLS of a listener: files in PEM form, as Envoy sees them, absolute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The certificate and those that lead to its authority.
    pub certificate: PathBuf,
    /// The certificate's private key.
    pub key: PathBuf,
    /// The authorities of which every client must show a certificate.
    pub client_ca: Option<PathBuf>,
}

impl Tls {
    /// The files with the keys that name them in the configuration.
    pub fn files(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        let client_ca = self.client_ca.as_deref().map(|path| ("client_ca", path));
        [
            ("certificate", self.certificate.as_path()),
            ("key", self.key.as_path()),
        ]
        .into_iter()
        .chain(client_ca)
    }
}

/// The origins whose pages may use a listener.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Cors {
    /// Pages served from this machine: `localhost`, `127.0.0.1` and `[::1]`, any port.
    #[default]
    Loopback,
    /// Any page.
    Any,
    /// The pages of these origins, in lower case.
    Origins(Vec<String>),
}

impl Cors {
    /// Whether a page of this origin (the `origin` header) may use the listener.
    pub fn allows(&self, origin: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Origins(origins) => origins.iter().any(|own| own.eq_ignore_ascii_case(origin)),
            Self::Loopback => is_loopback_origin(origin),
        }
    }
}

fn is_loopback_origin(origin: &str) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else {
        return false;
    };
    if scheme != "http" && scheme != "https" {
        return false;
    }
    let port = ["localhost", "127.0.0.1", "[::1]"]
        .into_iter()
        .find_map(|host| authority.strip_prefix(host));
    match port {
        Some("") => true,
        Some(port) => port
            .strip_prefix(':')
            .is_some_and(|port| port.parse::<u16>().is_ok()),
        None => false,
    }
}

/// The server's own settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Where Envoy reaches it.
    pub listen: ListenAddress,
    /// The permissions of its Unix socket.
    pub socket_mode: u32,
    /// Where health, metrics and the resolved configuration are served over HTTP.
    pub admin: SocketAddr,
    /// The largest request body, in bytes.
    pub max_request_bytes: usize,
    /// The largest single event of an answer, in bytes.
    pub max_event_bytes: usize,
    /// The largest answer that is relayed, in bytes: Envoy holds what a slow client has not read.
    pub max_response_bytes: usize,
    /// How long running exchanges may take to end when the server stops.
    pub drain_timeout: Duration,
    /// The form of log lines.
    pub log: LogFormat,
    /// How the server's own calls reach providers.
    pub egress: Egress,
    /// How long a relayed stream may be silent before the client is told that it lives.
    pub heartbeat: Option<Duration>,
    /// Where limits are kept.
    pub meter: MeterPlace,
    /// What happens to a request when it cannot be counted.
    pub meter_failure: MeterFailure,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            // A Unix socket by default: whoever can speak to the server can ask it for the
            // providers' keys.
            listen: ListenAddress::Unix(PathBuf::from("/run/meseta/server.sock")),
            socket_mode: 0o600,
            admin: SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 9902),
            max_request_bytes: 32 << 20,
            // Images come base64-encoded in one event.
            max_event_bytes: 16 << 20,
            max_response_bytes: 64 << 20,
            drain_timeout: Duration::from_secs(30),
            log: LogFormat::Json,
            egress: Egress::default(),
            heartbeat: Some(Duration::from_secs(15)),
            meter: MeterPlace::default(),
            meter_failure: MeterFailure::default(),
        }
    }
}

/// How the server's own calls reach providers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Egress {
    /// Through Envoy's egress listener, at this Unix socket; by default `egress.sock` beside the
    /// server's own, and straight for a server that has none.
    Envoy(Option<PathBuf>),
    /// Straight.
    Direct,
}

impl Default for Egress {
    fn default() -> Self {
        Self::Envoy(None)
    }
}

impl Egress {
    /// The socket of Envoy's egress listener for a server that listens here; `None` when there is
    /// none.
    pub fn socket(&self, server: &ListenAddress) -> Option<PathBuf> {
        match (self, server) {
            (Self::Direct, _) => None,
            (Self::Envoy(Some(path)), _) => Some(path.clone()),
            (Self::Envoy(None), ListenAddress::Unix(path)) => {
                Some(path.with_file_name("egress.sock"))
            }
            // The two may have no file system in common.
            (Self::Envoy(None), ListenAddress::Tcp(_)) => None,
        }
    }
}

/// Where limits are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MeterPlace {
    /// In Envoy, by the filter.
    #[default]
    Wasm,
    /// In the server.
    Native,
    /// Nowhere: nothing is limited.
    Off,
}

impl MeterPlace {
    /// As in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Wasm => "wasm",
            Self::Native => "native",
            Self::Off => "off",
        }
    }
}

/// What happens to a request when it cannot be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MeterFailure {
    /// It is refused.
    #[default]
    Closed,
    /// It passes.
    Open,
}

impl MeterFailure {
    /// As in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
        }
    }
}

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object per line.
    Json,
    /// For people.
    Text,
}

impl LogFormat {
    /// As in the configuration: `json` or `text`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Text => "text",
        }
    }
}

/// A text that names no log format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a log format: write `json` or `text`")]
pub struct LogFormatError;

impl FromStr for LogFormat {
    type Err = LogFormatError;

    fn from_str(text: &str) -> Result<Self, LogFormatError> {
        match text {
            "json" => Ok(Self::Json),
            "text" => Ok(Self::Text),
            _ => Err(LogFormatError),
        }
    }
}

/// Export of spans.
#[derive(Clone, PartialEq)]
pub struct Tracing {
    /// The OTLP gRPC endpoint, as a URL, which may hold a password; without one no spans are made.
    pub otlp_endpoint: Option<String>,
    /// The share of exchanges that are sampled, 0 to 1.
    pub sampling: f64,
}

impl fmt::Debug for Tracing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let endpoint = self.otlp_endpoint.as_deref().map(without_userinfo);
        f.debug_struct("Tracing")
            .field("otlp_endpoint", &endpoint)
            .field("sampling", &self.sampling)
            .finish()
    }
}

impl Default for Tracing {
    fn default() -> Self {
        Self {
            otlp_endpoint: None,
            sampling: 1.0,
        }
    }
}

/// How Envoy reaches providers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// How long a connection may take to be made, TLS included.
    pub connect_timeout: Duration,
    /// The file of certificate authorities, as Envoy sees it.
    pub tls_ca_path: String,
}

impl Default for Upstream {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            // Debian's, and Plano's default; Envoy cannot look for the system's own store.
            tls_ca_path: "/etc/ssl/certs/ca-certificates.crt".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_of_this_machine_are_allowed_by_default() {
        let cors = Cors::default();
        for origin in [
            "http://localhost",
            "http://localhost:3000",
            "https://127.0.0.1:8443",
            "http://[::1]:1",
        ] {
            assert!(cors.allows(origin), "{origin}");
        }
        for origin in [
            "null",
            "",
            "http://localhost.evil.example",
            "http://localhost:x",
            "http://localhost:99999",
            "http://127.0.0.1.evil.example",
            "http://evil.example",
            "file://localhost",
            "http://localhost@evil.example",
        ] {
            assert!(!cors.allows(origin), "{origin}");
        }
    }

    #[test]
    fn debug_output_has_no_password_of_the_collector() {
        let tracing = Tracing {
            otlp_endpoint: Some("http://user:hidden@h:4317".to_owned()),
            sampling: 0.5,
        };
        let shown = format!("{tracing:?}");
        assert!(!shown.contains("hidden"), "{shown}");
        assert!(shown.contains("@h:4317"), "{shown}");
    }

    #[test]
    fn listed_origins_are_compared_as_a_whole() {
        let cors = Cors::Origins(vec!["https://app.example".to_owned()]);
        assert!(cors.allows("https://app.example"));
        assert!(!cors.allows("https://app.example:8443"));
        assert!(!cors.allows("http://app.example"));
        assert!(Cors::Any.allows("https://anything.example"));
    }
}
