//! The Envoy configuration that belongs to a [`Config`].
//!
//! - [`bootstrap`]: everything Envoy needs, for a file of its own.
//! - [`snippet`]: the parts for an Envoy that is there already.
//! - [`dynamic_bootstrap`], [`resources`]: the same split into what is fixed and what may change while
//!   Envoy runs.
//!
//! Invariant: nothing rendered holds a secret; keys and header values stay in the server. The same
//! configuration gives the same text, byte for byte. Every limit is set on purpose and says why in
//! the text, because Envoy's defaults are made for short exchanges.

mod access_log;
mod cluster;
mod egress;
mod filters;
mod listener;
mod local_reply;
mod tls;
mod xds;
mod yaml;

use std::path::PathBuf;
use std::time::Duration;

use crate::address::{AdminAddress, ListenAddress};
use crate::config::{Config, Listener, Server};

pub use cluster::SERVER as SERVER_CLUSTER;
pub use tls::secret_names;
use tls::Secrets;
pub use xds::{
    discovery_response, dynamic_bootstrap, resources, Resource, Resources, SecretFile,
    CLUSTERS_FILE, LISTENERS_FILE,
};
use yaml::{f, inline, list, map, why, Field, Yaml};

/// Where things are, as Envoy sees them.
#[derive(Debug, Clone)]
pub struct RenderOptions {
    /// Where the server listens.
    pub server: ListenAddress,
    /// The filter's file; not read where the meter is not in Envoy.
    pub filter: PathBuf,
    /// Envoy's admin interface.
    pub admin: AdminAddress,
    /// Where the access log goes.
    pub access_log: AccessLog,
    /// The egress listener; `None` for none.
    pub egress: Option<EgressSocket>,
}

/// The socket of the egress listener, which the server's own calls go through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EgressSocket {
    /// Its path.
    pub path: PathBuf,
    /// Its permissions.
    pub mode: u32,
}

impl EgressSocket {
    /// The one that these settings ask for, when the server listens here.
    pub fn of(server: &Server, listen: &ListenAddress) -> Option<Self> {
        let path = server.egress.socket(listen)?;
        let mode = server.socket_mode;
        Some(Self { path, mode })
    }
}

/// The name of the egress listener.
pub const EGRESS_LISTENER: &str = "meseta.egress";

/// Where the access log goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessLog {
    /// Standard output.
    Stdout,
    /// A file, appended to.
    File(PathBuf),
}

/// How many live exchanges Envoy takes before it refuses: 5,000 streams with ample headroom, and a
/// bound, so that a flood ends in 503s and not in a lack of memory.
const MOST_STREAMS: u64 = 16_384;

/// How many client connections Envoy takes. A client of HTTP/1.1 has one for each exchange.
const MOST_CONNECTIONS: u64 = 20_000;

/// What one connection may have waiting in Envoy, in bytes: a slow reader holds this much and
/// then slows its sender down.
const CONNECTION_BUFFER: u64 = 1 << 20;

/// A complete bootstrap, as YAML.
pub fn bootstrap(config: &Config, options: &RenderOptions) -> String {
    let listeners = config
        .listeners
        .iter()
        .map(|listener| listener::listener(config, listener, options, Secrets::Inline))
        .chain(egress::listener(config, options));
    let tree = map([
        f("node", inline([f("id", "meseta"), f("cluster", "meseta")])),
        f("admin", admin(&options.admin)),
        f(
            "static_resources",
            map([
                f("listeners", list(listeners)),
                f("clusters", list(cluster::all(config, options))),
            ]),
        ),
        f("overload_manager", overload()),
    ]);
    format!(
        "# Envoy 1.40 for Meseta. Rendered by `meseta render envoy`: change meseta.yaml, not this \
         file.\n{}",
        tree.to_text()
    )
}

/// The parts for an Envoy that is there already: what goes into each HTTP connection manager, and
/// the clusters.
pub fn snippet(config: &Config, options: &RenderOptions) -> String {
    let managers = config.listeners.iter().map(|listener| {
        let mut fields = vec![f("stat_prefix", listener.name.as_str())];
        fields.extend(essentials(config, listener, options));
        Yaml::Map(fields)
    });
    let mut parts = vec![why(
        "Into the HTTP connection manager of each listener; the stat_prefix here only says\n\
         which one is meant. Keep the order of the filters, and other filters before them.",
        f("http_connection_managers", list(managers)),
    )];
    let sockets: Vec<Yaml> = config
        .listeners
        .iter()
        .filter_map(|listener| {
            let tls = listener.tls.as_ref()?;
            let socket = tls::transport_socket(listener, tls, Secrets::Inline);
            let name = f("listener", listener.name.as_str());
            Some(map([name, f("transport_socket", socket)]))
        })
        .collect();
    if !sockets.is_empty() {
        parts.push(why(
            "Into the filter chain of the listener named. Envoy reads these files at its start; to\n\
             renew them while it runs, make them secrets of SDS.",
            f("transport_sockets", list(sockets)),
        ));
    }
    if let Some(egress) = egress::listener(config, options) {
        parts.push(why(
            "Into static_resources.listeners, or your LDS. Through it the server's own calls reach\n\
             providers; it goes with `server.egress: direct`.",
            f("listeners", list([egress])),
        ));
    }
    parts.push(why(
        "Into static_resources.clusters, or your CDS.",
        f("clusters", list(cluster::all(config, options))),
    ));
    let tree = Yaml::Map(parts);
    format!(
        "# Meseta in an Envoy (1.40) of your own. Rendered by `meseta render envoy --snippet`.\n{}",
        tree.to_text()
    )
}

/// What every connection manager needs for us to work, and to be safe.
fn essentials(config: &Config, listener: &Listener, options: &RenderOptions) -> [Field; 5] {
    [
        why(
            "Internal headers, which decide where a request goes, are taken off what clients\n\
             send, before any filter or route sees them.",
            f("early_header_mutation_extensions", listener::sanitize()),
        ),
        why(
            "Envoy's own answers in the shape that the client reads, without Envoy's details.",
            f("local_reply_config", local_reply::config()),
        ),
        why(
            "A model may be silent for as long as an exchange may take.",
            f("stream_idle_timeout", seconds(idle_timeout(listener))),
        ),
        f("http_filters", filters::chain(config, listener, options)),
        f("route_config", listener::routes(listener)),
    ]
}

/// Envoy's admin interface can stop Envoy, so it is for this user or this machine only.
fn admin(address: &AdminAddress) -> Yaml {
    let address = match address {
        ListenAddress::Unix(path) => inline([f(
            "pipe",
            map([
                f("path", path.display().to_string()),
                // 0600 in octal.
                f("mode", 0o600_u64),
            ]),
        )]),
        ListenAddress::Tcp(_) => socket_of(address),
    };
    map([
        f("address", address),
        why(
            "Reachable when clients have used up all connections.",
            f("ignore_global_conn_limit", true),
        ),
    ])
}

fn overload() -> Yaml {
    let name = "envoy.resource_monitors.global_downstream_max_connections";
    let kind =
        "envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig";
    map([f(
        "resource_monitors",
        list([map([
            f("name", name),
            f(
                "typed_config",
                map([
                    f("@type", type_url(kind)),
                    why(
                        "A bound below what file descriptors and memory allow.",
                        f("max_active_downstream_connections", MOST_CONNECTIONS),
                    ),
                ]),
            ),
        ])]),
    )])
}

/// An address as Envoy wants it.
fn socket_of(address: &ListenAddress) -> Yaml {
    match address {
        ListenAddress::Unix(path) => {
            inline([f("pipe", map([f("path", path.display().to_string())]))])
        }
        ListenAddress::Tcp(address) => socket(&address.ip().to_string(), address.port()),
    }
}

fn socket(host: &str, port: u16) -> Yaml {
    inline([f(
        "socket_address",
        map([f("address", host), f("port_value", u64::from(port))]),
    )])
}

/// Without a limit on the exchange something must still end the streams of vanished clients.
fn idle_timeout(listener: &Listener) -> Duration {
    if listener.timeout.is_zero() {
        Duration::from_secs(3600)
    } else {
        listener.timeout
    }
}

fn type_url(name: &str) -> String {
    format!("type.googleapis.com/{name}")
}

/// A duration as protobuf's JSON writes it.
fn seconds(duration: Duration) -> String {
    let (whole, milliseconds) = (duration.as_secs(), duration.subsec_millis());
    if milliseconds == 0 {
        format!("{whole}s")
    } else {
        format!("{whole}.{milliseconds:03}s")
    }
}

#[cfg(test)]
mod tests;
