//! The configuration as Envoy reads it.
//!
//! [`bootstrap`] is a whole bootstrap, [`snippet`] the pieces for an Envoy that is already there;
//! both are made of the same parts. Deterministic, and without secrets: credentials are put on a
//! request by the server, never by Envoy.

mod clusters;
mod listener;
mod local_reply;

use std::net::SocketAddr;
use std::path::PathBuf;

use serde_json::{json, Value};

use crate::address::{AdminAddress, ListenAddress};
use crate::config::Config;

/// How a rendering refers to what lies around Envoy.
#[derive(Debug, Clone)]
pub struct RenderOptions {
    /// Where Envoy reaches the server.
    pub server: ListenAddress,
    /// The filter's file, as Envoy sees it.
    pub filter: PathBuf,
    /// Envoy's admin interface.
    pub admin: AdminAddress,
    /// Where the access log goes.
    pub access_log: AccessLog,
}

/// Where Envoy's access log goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessLog {
    /// Standard output.
    Stdout,
    /// A file.
    File(PathBuf),
}

/// Envoy as a whole may hold this many client connections before it refuses more.
const MAX_CLIENT_CONNECTIONS: u32 = 50_000;

/// A complete Envoy bootstrap, as YAML.
pub fn bootstrap(config: &Config, options: &RenderOptions) -> String {
    let admin = match &options.admin {
        // For the owner alone: the interface can stop Envoy and shows its configuration.
        AdminAddress::Unix(path) => json!({"pipe": {"path": path, "mode": 0o600}}),
        AdminAddress::Tcp(address) => socket_address(*address),
    };
    yaml(&json!({
        "admin": {"address": admin},
        "static_resources": {
            "listeners": config
                .listeners
                .iter()
                .map(|listener| listener::listener(listener, options))
                .collect::<Vec<_>>(),
            "clusters": clusters::all(config, options),
        },
        "overload_manager": {
            "resource_monitors": [{
                "name": "envoy.resource_monitors.global_downstream_max_connections",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
                    "max_active_downstream_connections": MAX_CLIENT_CONNECTIONS,
                },
            }],
        },
    }))
}

/// The pieces to add to an Envoy that is already there, as YAML with comments.
pub fn snippet(config: &Config, options: &RenderOptions) -> String {
    let mut out = String::from(
        "# The pieces to add to an Envoy that is already there (1.37 or newer).\n",
    );
    for listener in &config.listeners {
        out.push_str(&format!(
            "\n# --- into the HttpConnectionManager of listener `{}` ---\n",
            listener.name
        ));
        let mut parts = vec![
            (
                "Takes internal headers off before any filter or route sees them.",
                json!({"early_header_mutation_extensions": listener::early_header_mutation()}),
            ),
            (
                "Envoy's own answers, in the dialect of the client's API.",
                json!({"local_reply_config": local_reply::config()}),
            ),
            (
                "In this order, the router last. Both body modes have to be FULL_DUPLEX_STREAMED.",
                json!({"http_filters": listener::filters(listener, options)}),
            ),
            (
                "The silence of a model that thinks; Envoy's default is five minutes.",
                json!({"stream_idle_timeout": seconds(listener.timeout)}),
            ),
            (
                "A route that takes everything; the server names the cluster.",
                json!({"routes": [listener::route(listener)]}),
            ),
        ];
        for (comment, part) in parts.drain(..) {
            out.push_str(&format!("# {comment}\n{}", yaml(&part)));
        }
    }
    out.push_str("\n# --- into the clusters ---\n");
    out.push_str(&yaml(&json!({"clusters": clusters::all(config, options)})));
    out
}

fn socket_address(address: SocketAddr) -> Value {
    json!({"socket_address": {"address": address.ip(), "port_value": address.port()}})
}

/// A duration as protobuf's JSON form has it.
fn seconds(duration: std::time::Duration) -> String {
    let (whole, millis) = (duration.as_secs(), duration.subsec_millis());
    if millis == 0 {
        format!("{whole}s")
    } else {
        format!("{whole}.{millis:03}s")
    }
}

/// YAML of a tree that consists of text, numbers, flags, lists and maps with text keys; such a
/// tree always has a YAML form.
fn yaml(value: &Value) -> String {
    serde_yaml::to_string(value).unwrap_or_default()
}
