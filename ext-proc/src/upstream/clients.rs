//! HTTP clients: one for Envoy's egress listener, or one for each address of a provider.
//!
//! Each has a pool of its own. Connections are kept for less time than the other side grants, because
//! a request on a connection that is being closed is lost.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::RwLock;
use std::time::Duration;

use meseta_config::{Config, Provider, Scheme};
use reqwest::{redirect, retry, Certificate, Client, ClientBuilder};

/// Envoy grants an hour.
const IDLE_AT_ENVOY: Duration = Duration::from_secs(600);
/// Load balancers close idle connections after 60 s …
const IDLE_AT_BALANCER: Duration = Duration::from_secs(55);
/// … and servers of one's own (uvicorn, Node.js) after 5 s.
const IDLE_AT_SERVER: Duration = Duration::from_secs(4);
/// Flow-control windows of HTTP/2: full speed over a long way, and a connection's window that all its
/// streams together do not fill.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 1 << 28;
/// Finds peers that are gone while a stream is silent.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(20));

/// Calls to providers cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot make a client for providers: {0}")]
pub struct ClientError(#[from] reqwest::Error);

/// What tells one client from another.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    cluster: String,
    authorities: String,
    connect_timeout: Duration,
    http2: bool,
}

impl Key {
    fn of(config: &Config, provider: &Provider) -> Self {
        let upstream = &config.upstream;
        Self {
            cluster: provider.cluster.clone(),
            authorities: match provider.scheme {
                Scheme::Http => String::new(),
                Scheme::Https => upstream.tls_ca_path.clone(),
            },
            connect_timeout: upstream.connect_timeout,
            http2: provider.scheme == Scheme::Https && provider.entry().http2,
        }
    }
}

/// The clients for providers that are called straight: those of the configuration in service and of
/// the one before, whose exchanges may still make attempts.
#[derive(Debug, Default)]
pub(crate) struct Clients(RwLock<Known>);

#[derive(Debug, Default)]
struct Known {
    current: HashMap<Key, Client>,
    former: HashMap<Key, Client>,
}

impl Clients {
    /// Makes the clients of a configuration. Reads files: not for a thread that serves. Without
    /// readable authorities there are none for providers behind TLS, which the log says.
    pub(super) fn prepare(&self, config: &Config) -> Result<(), ClientError> {
        let mut wanted = HashMap::new();
        let mut authorities = None;
        for provider in &config.providers {
            let key = Key::of(config, provider);
            if wanted.contains_key(&key) {
                continue;
            }
            if let Some(client) = self.get(&key) {
                wanted.insert(key, client);
                continue;
            }
            let certificates = match provider.scheme {
                Scheme::Http => Some(Vec::new()),
                Scheme::Https => authorities
                    .get_or_insert_with(|| read_authorities(&config.upstream.tls_ca_path))
                    .clone(),
            };
            if let Some(certificates) = certificates {
                wanted.insert(key.clone(), straight(provider, &key, certificates)?);
            }
        }
        let mut clients = self
            .0
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        clients.former = std::mem::replace(&mut clients.current, wanted);
        Ok(())
    }

    /// The client for a provider of a configuration that was prepared.
    pub(super) fn find(&self, config: &Config, provider: &Provider) -> Option<Client> {
        self.get(&Key::of(config, provider))
    }

    fn get(&self, key: &Key) -> Option<Client> {
        let clients = self
            .0
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let known = clients.current.get(key);
        known.or_else(|| clients.former.get(key)).cloned()
    }
}

fn read_authorities(path: &str) -> Option<Vec<Certificate>> {
    let read = std::fs::read(path).map_err(|error| error.to_string());
    let certificates = read.and_then(|pem| {
        Certificate::from_pem_bundle(&pem).map_err(|_| "no certificate is in it".to_owned())
    });
    match certificates {
        Ok(certificates) => Some(certificates),
        Err(error) => {
            tracing::warn!(
                target: "meseta",
                "providers behind TLS cannot be called without Envoy: {path}: {error}"
            );
            None
        }
    }
}

/// What all clients have in common: nothing is followed, repeated or read from the environment.
fn plain() -> ClientBuilder {
    // Both libraries that could be the one for TLS are out of the tree but this.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .no_proxy()
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .referer(false)
        .tcp_nodelay(true)
}

/// For Envoy's egress listener.
pub(super) fn of_egress(socket: PathBuf) -> Result<Client, ClientError> {
    let client = plain()
        .unix_socket(socket)
        .http1_only()
        .pool_idle_timeout(IDLE_AT_ENVOY)
        .connect_timeout(Duration::from_secs(1));
    Ok(client.build()?)
}

fn straight(
    provider: &Provider,
    key: &Key,
    authorities: Vec<Certificate>,
) -> Result<Client, ClientError> {
    let mut client = plain()
        .connect_timeout(key.connect_timeout)
        .tcp_keepalive(KEEPALIVE.0)
        .tcp_keepalive_interval(Duration::from_secs(15))
        .tcp_keepalive_retries(4);
    client = match provider.scheme {
        Scheme::Http => client.pool_idle_timeout(IDLE_AT_SERVER),
        Scheme::Https => client
            .pool_idle_timeout(IDLE_AT_BALANCER)
            .https_only(true)
            .tls_version_min(reqwest::tls::Version::TLS_1_2)
            .tls_certs_only(authorities),
    };
    client = if key.http2 {
        client
            .http2_initial_stream_window_size(STREAM_WINDOW)
            .http2_initial_connection_window_size(CONNECTION_WINDOW)
            .http2_keep_alive_interval(KEEPALIVE.0)
            .http2_keep_alive_timeout(KEEPALIVE.1)
    } else {
        client.http1_only()
    };
    if let (Ok(address), true) = (
        provider.host.parse::<IpAddr>(),
        provider.tls_name != provider.host,
    ) {
        // Called by the name that its certificate has, and not asked of any resolver.
        let address = SocketAddr::new(address, provider.port);
        client = client.resolve(&provider.tls_name, address);
    }
    Ok(client.build()?)
}

/// Scheme, host and port under which a provider is called straight.
pub(super) fn base_of(provider: &Provider) -> String {
    let host = match provider.scheme {
        Scheme::Http => &provider.host,
        Scheme::Https => &provider.tls_name,
    };
    let (open, close) = if host.contains(':') {
        ("[", "]")
    } else {
        ("", "")
    };
    format!(
        "{}://{open}{host}{close}:{}",
        provider.scheme.as_str(),
        provider.port
    )
}
