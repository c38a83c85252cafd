//! What a running instance tells others: its processes, its configuration, where it listens.
//!
//! Written by the process that holds the lock, replaced as a whole, so that a reader never sees half of it.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::{ProcessIdentity, StateDir};

/// How far an instance is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The processes start; requests may fail.
    Starting,
    /// A request went through every listener.
    Ready,
    /// Running requests finish, new ones are refused.
    Stopping,
}

/// One listener with the port it really has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenerRecord {
    /// Its name in the configuration.
    pub name: String,
    /// Base URL for a client on this machine, without a path.
    pub url: String,
    /// Address and port it is bound to.
    pub bound: String,
}

impl ListenerRecord {
    /// A listener that is bound to an address, with or without TLS.
    pub fn new(name: &str, tls: bool, bound: SocketAddr) -> Self {
        let scheme = if tls { "https" } else { "http" };
        Self {
            name: name.to_owned(),
            url: format!("{scheme}://{}", reachable(bound)),
            bound: bound.to_string(),
        }
    }
}

/// The address at which this machine reaches what is bound to all of its addresses.
pub fn reachable(bound: SocketAddr) -> SocketAddr {
    let address = match bound.ip() {
        IpAddr::V4(all) if all.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(all) if all.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        other => other,
    };
    SocketAddr::new(address, bound.port())
}

/// The record of one instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// How far it is.
    pub phase: Phase,
    /// The process that watches the others.
    pub supervisor: ProcessIdentity,
    /// `meseta serve`, once started.
    pub server: Option<ProcessIdentity>,
    /// Envoy, once started.
    pub envoy: Option<ProcessIdentity>,
    /// The configuration file, absolute.
    pub config: PathBuf,
    /// Seconds that running requests get to finish.
    pub drain_seconds: u64,
    /// The server's admin address, when known.
    pub admin: Option<String>,
    /// Where clients connect; empty before `Ready`.
    pub listeners: Vec<ListenerRecord>,
}

impl Record {
    /// Reads the record; `None` when there is none or it was written by another version.
    pub fn read(state: &StateDir) -> Option<Self> {
        let bytes = std::fs::read(state.record()).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// Replaces the record as a whole.
    pub fn write(&self, state: &StateDir) -> Result<()> {
        let path = state.record();
        let new = path.with_extension("json.new");
        let write = || -> Result<()> {
            let mut file = std::fs::OpenOptions::new()
                .create(true)
                .truncate(true)
                .write(true)
                .mode(0o600)
                .open(&new)?;
            file.write_all(&serde_json::to_vec_pretty(self)?)?;
            std::fs::rename(&new, &path)?;
            Ok(())
        };
        write().with_context(|| format!("cannot write `{}`", path.display()))
    }

    /// The recorded processes in the order in which they are stopped: the supervisor stops the others itself.
    pub fn processes(&self) -> impl Iterator<Item = (&'static str, &ProcessIdentity)> {
        let others = [
            ("envoy", self.envoy.as_ref()),
            ("server", self.server.as_ref()),
        ];
        std::iter::once(("supervisor", &self.supervisor)).chain(
            others
                .into_iter()
                .filter_map(|(name, process)| process.map(|process| (name, process))),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_all_addresses_is_reached_on_loopback() {
        let url = |bound: &str| ListenerRecord::new("x", false, bound.parse().unwrap()).url;
        assert_eq!(url("0.0.0.0:12000"), "http://127.0.0.1:12000");
        assert_eq!(url("[::]:1"), "http://[::1]:1");
        assert_eq!(url("10.0.0.7:2"), "http://10.0.0.7:2");
    }

    #[test]
    fn a_record_is_read_back_as_written_and_half_a_record_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let state = StateDir::choose(Some(directory.path())).unwrap();
        assert_eq!(Record::read(&state), None);
        let record = Record {
            phase: Phase::Ready,
            supervisor: ProcessIdentity::of(std::process::id()).unwrap(),
            server: None,
            envoy: ProcessIdentity::of(std::process::id()),
            config: "/tmp/meseta.yaml".into(),
            drain_seconds: 30,
            admin: Some("127.0.0.1:9902".to_owned()),
            listeners: vec![ListenerRecord::new(
                "model",
                true,
                "127.0.0.1:12000".parse().unwrap(),
            )],
        };
        record.write(&state).unwrap();
        assert_eq!(Record::read(&state), Some(record.clone()));
        let names: Vec<_> = record.processes().map(|(name, _)| name).collect();
        assert_eq!(names, ["supervisor", "envoy"]);
        std::fs::write(state.record(), "{\"phase\": \"rea").unwrap();
        assert_eq!(Record::read(&state), None);
    }
}
