//! Whether the addresses that an instance wants are free, asked before anything starts.
//!
//! Envoy binds with `SO_REUSEPORT`: without this question two instances of one user would silently share a port. For two
//! that start at once the question comes too early, so an address is also reserved until the Envoy that wants it has it.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::UnixDatagram;

use anyhow::{Context, Result};
use meseta_config::Config;

use crate::failure::Failure;
use crate::terminal::Terminal;

/// Fails when a listener's address is taken, wanted by another instance that starts, or cannot be bound. Port 0 is always
/// free. Called by the supervisor's runtime, which keeps the reservations for as long as a start may take.
pub fn check(config: &Config) -> Result<()> {
    let mut reserved = Vec::new();
    for listener in &config.listeners {
        let address = SocketAddr::new(listener.address, listener.port);
        let refused = |error: io::Error, hint: &str| {
            let text = format!(
                "listener `{}` cannot have {address}: {error}",
                listener.name
            );
            Failure::run(text).hint(hint)
        };
        match reserve(address) {
            Ok(reservation) => reserved.extend(reservation),
            Err(error) if error.kind() == ErrorKind::AddrInUse => {
                let hint =
                    "another instance starts with it: stop that, or give the listener another port";
                return Err(refused(error, hint).into());
            }
            Err(error) => return Err(error).context("cannot reserve a port"),
        }
        if let Err(error) = TcpListener::bind(address) {
            let hint = match error.kind() {
                ErrorKind::AddrInUse => {
                    "stop what listens there, or give the listener another port"
                }
                ErrorKind::PermissionDenied => "ports below 1024 need privileges: use a higher one",
                _ => "the address must belong to this machine",
            };
            return Err(refused(error, hint).into());
        }
    }
    tokio::spawn(async move {
        tokio::time::sleep(super::START_LIMIT).await;
        drop(reserved);
    });
    Ok(())
}

/// Takes the name of an address in the abstract namespace of sockets. One process has it at a time, its end frees it, and
/// networks that are apart have names that are apart, as with ports.
fn reserve(address: SocketAddr) -> io::Result<Option<UnixDatagram>> {
    if address.port() == 0 {
        return Ok(None);
    }
    let name = format!("meseta/starting/{address}");
    let name = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
    UnixDatagram::bind_addr(&name).map(Some)
}

/// The server's admin address: as configured, or port 0 (the system picks) of the same address when that one is taken.
pub fn admin(terminal: &Terminal, wanted: SocketAddr) -> SocketAddr {
    match TcpListener::bind(wanted) {
        Ok(_) => wanted,
        Err(error) => {
            terminal.warning(&format!(
                "server.admin: cannot have {wanted} ({error}): using another port"
            ));
            SocketAddr::new(wanted.ip(), 0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_reserved_by_one_at_a_time() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        let first = reserve(address).unwrap();
        assert!(first.is_some());
        assert_eq!(reserve(address).unwrap_err().kind(), ErrorKind::AddrInUse);
        drop(first);
        assert!(reserve(address).unwrap().is_some());
        let any = "127.0.0.1:0".parse().unwrap();
        assert!(reserve(any).unwrap().is_none());
    }

    #[test]
    fn a_taken_admin_port_is_left_to_the_system() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let wanted = taken.local_addr().unwrap();
        let any = "127.0.0.1:0".parse().unwrap();
        assert_eq!(admin(&Terminal::standard(), wanted), any);
        drop(taken);
        assert_eq!(admin(&Terminal::standard(), wanted), wanted);
    }
}
