//! When an instance is ready: not when a port is open, but when a request has gone the whole way.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{bail, Context, Result};
use hyper::{Method, StatusCode};
use meseta_config::render::secret_names;
use meseta_config::{Config, Listener};

use crate::envoy::Admin;
use crate::instance::{reachable, ListenerRecord};
use meseta_ext_proc::plain_http::{self, Peer};

/// Between two looks.
const POLL: Duration = Duration::from_millis(50);
/// One request through a listener.
const LIMIT: Duration = Duration::from_secs(5);

/// Waits until the server has written its ready file, and gives the admin address in it.
pub async fn server(ready_file: PathBuf) -> SocketAddr {
    loop {
        let text = std::fs::read_to_string(&ready_file).unwrap_or_default();
        // Half a write may be an address too, with a shorter port: it must be the same twice.
        if let Ok(address) = text.trim().parse() {
            tokio::time::sleep(POLL).await;
            if std::fs::read_to_string(&ready_file).is_ok_and(|again| again == text) {
                return address;
            }
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Waits until `GET /v1/models` is answered through every listener as the server answers it; `last` tells what is still missing.
pub async fn listeners(config: &Config, admin: Admin, last: &mut String) -> Vec<ListenerRecord> {
    loop {
        match pass(config, &admin).await {
            Ok(listeners) => return listeners,
            Err(error) => *last = format!("{error:#}"),
        }
        tokio::time::sleep(POLL).await;
    }
}

async fn pass(config: &Config, admin: &Admin) -> Result<Vec<ListenerRecord>> {
    let bound = admin.listeners().await.context("Envoy's admin")?;
    let mut records = Vec::new();
    for listener in &config.listeners {
        let name = &listener.name;
        let found = bound.iter().find(|(bound, _)| bound == name);
        let (_, address) = found.with_context(|| format!("listener `{name}` is not bound"))?;
        let record = ListenerRecord::new(name, listener.tls.is_some(), *address);
        if listener.tls.is_some() {
            secure(listener, admin).await?;
            records.push(record);
            continue;
        }
        let peer = Peer::Tcp(reachable(*address));
        let answer = plain_http::call(&peer, Method::GET, "/v1/models", LIMIT)
            .await
            .with_context(|| format!("listener `{name}`"))?;
        // Where a key is needed, the server says so: there the request has gone the whole way, too.
        let wants_key = config.needs_consumer() && answer.status == StatusCode::UNAUTHORIZED;
        if answer.status != StatusCode::OK && !wants_key {
            bail!("listener `{name}` answers {}", answer.status);
        }
        records.push(record);
    }
    Ok(records)
}

/// A listener with TLS may want a certificate that only clients have, so Envoy is asked in place of the listener: it
/// has taken the certificates, and reaches the server.
async fn secure(listener: &Listener, admin: &Admin) -> Result<()> {
    let name = &listener.name;
    let taken = admin.secrets().await?;
    let own = secret_names(listener);
    if let Some(secret) = own.iter().find(|own| !taken.contains(*own)) {
        bail!("Envoy has not taken `{secret}`: is it PEM, and the key that of the certificate?");
    }
    if !admin.has_server().await? {
        bail!("listener `{name}`: Envoy does not reach the server");
    }
    Ok(())
}
