//! The resolved configuration for people: everything but secrets.

mod limits;
mod pools;

use std::net::SocketAddr;
use std::path::Path;

use serde_json::{json, Value};

use crate::config::{Config, Cors, Egress, Listener, Tls};
use crate::provider::Provider;
use crate::secret::REDACTED;
use limits::{consumer, key, limit};
use pools::pool;

impl Config {
    /// The configuration as JSON, with a placeholder for each credential and header value.
    pub fn redacted(&self) -> Value {
        let notices: Vec<Value> = self
            .notices
            .iter()
            .map(|notice| Value::String(notice.to_string()))
            .collect();
        let aliases: serde_json::Map<String, Value> = self
            .aliases()
            .map(|(name, target)| (name.to_owned(), json!(target)))
            .collect();
        let wildcards: Vec<String> = self
            .models
            .wildcards
            .iter()
            .map(|(name, _)| format!("{name}/*"))
            .collect();
        let models: Vec<&str> = self.models.known.iter().map(|model| &*model.id).collect();
        json!({
            "listeners": self.listeners.iter().map(listener).collect::<Vec<_>>(),
            "providers": self.providers.iter().map(provider).collect::<Vec<_>>(),
            "models": models,
            "wildcards": wildcards,
            "pools": self.pools().map(pool).collect::<Vec<_>>(),
            "aliases": aliases,
            "default": self.default_model(),
            "limits": self.limits().iter().map(limit).collect::<Vec<_>>(),
            "keys": self.keys.as_ref().map(|keys| keys.iter().map(key).collect::<Vec<_>>()),
            "consumer": self.consumer().map(consumer),
            "server": {
                "listen": self.server.listen.to_string(),
                "socket_mode": format!("{:04o}", self.server.socket_mode),
                "admin": self.server.admin.to_string(),
                "max_request_bytes": self.server.max_request_bytes,
                "max_event_bytes": self.server.max_event_bytes,
                "max_response_bytes": self.server.max_response_bytes,
                "egress": egress(&self.server.egress),
                "heartbeat": self.server.heartbeat.map(seconds),
                "drain_timeout": seconds(self.server.drain_timeout),
                "log": self.server.log.as_str(),
                "meter": self.server.meter.as_str(),
                "meter_failure": self.server.meter_failure.as_str(),
            },
            "tracing": {
                "otlp_endpoint": self.tracing.otlp_endpoint.as_deref().map(without_userinfo),
                "sampling": self.tracing.sampling,
            },
            "upstream": {
                "connect_timeout": seconds(self.upstream.connect_timeout),
                "tls_ca_path": self.upstream.tls_ca_path,
            },
            "notices": notices,
        })
    }
}

fn listener(listener: &Listener) -> Value {
    let origins = match &listener.cors {
        Cors::Loopback => json!("loopback"),
        Cors::Any => json!("*"),
        Cors::Origins(origins) => json!(origins),
    };
    json!({
        "name": listener.name,
        "address": SocketAddr::new(listener.address, listener.port).to_string(),
        "timeout": seconds(listener.timeout),
        "cors": {"allow_origins": origins},
        "tls": listener.tls.as_ref().map(tls),
    })
}

fn tls(tls: &Tls) -> Value {
    tls.files().map(|(key, file)| (key, path(file))).collect()
}

fn provider(provider: &Provider) -> Value {
    let headers: serde_json::Map<String, Value> = provider
        .headers
        .iter()
        .map(|(name, _)| (name.clone(), json!(REDACTED)))
        .collect();
    json!({
        "name": provider.name,
        "id": provider.id.as_str(),
        "cluster": provider.cluster,
        "scheme": provider.scheme.as_str(),
        "host": provider.host,
        "port": provider.port,
        "path_prefix": provider.path_prefix,
        "authority": provider.authority,
        "credential": provider.credential.as_ref().map(|_| REDACTED),
        "key_variable": provider.key_variable,
        "key_file": provider.key_file.as_deref().map(path),
        "lacks_key": provider.lacks_key(),
        "passthrough_auth": provider.passthrough_auth,
        "on_loss": provider.on_loss.as_str(),
        "headers": headers,
    })
}

fn egress(egress: &Egress) -> String {
    match egress {
        Egress::Direct => "direct".to_owned(),
        Egress::Envoy(None) => "envoy".to_owned(),
        Egress::Envoy(Some(socket)) => format!("unix:{}", path(socket)),
    }
}

fn path(path: &Path) -> String {
    path.display().to_string()
}

fn seconds(duration: std::time::Duration) -> String {
    format!("{}s", duration.as_secs_f64())
}

/// A URL without what stands before an `@`.
pub(crate) fn without_userinfo(text: &str) -> String {
    match text.split_once("://") {
        Some((scheme, rest)) => match rest.rsplit_once('@') {
            Some((_, rest)) => format!("{scheme}://{REDACTED}@{rest}"),
            None => text.to_owned(),
        },
        None => REDACTED.to_owned(),
    }
}
