//! Whether the addresses that an instance wants are free, asked before anything starts.
//!
//! Envoy binds with `SO_REUSEPORT`: without this question two instances of one user would silently share a port.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};

use anyhow::Result;
use meseta_config::Config;

use crate::failure::Failure;
use crate::terminal::Terminal;

/// Fails when a listener's address is taken or cannot be bound. Port 0 is always free.
pub fn check(config: &Config) -> Result<()> {
    for listener in &config.listeners {
        let address = SocketAddr::new(listener.address, listener.port);
        if let Err(error) = TcpListener::bind(address) {
            let text = format!(
                "listener `{}` cannot have {address}: {error}",
                listener.name
            );
            let hint = match error.kind() {
                ErrorKind::AddrInUse => {
                    "stop what listens there, or give the listener another port"
                }
                ErrorKind::PermissionDenied => "ports below 1024 need privileges: use a higher one",
                _ => "the address must belong to this machine",
            };
            return Err(Failure::run(text).hint(hint).into());
        }
    }
    Ok(())
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
    fn a_taken_admin_port_is_left_to_the_system() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let wanted = taken.local_addr().unwrap();
        let any = "127.0.0.1:0".parse().unwrap();
        assert_eq!(admin(&Terminal::standard(), wanted), any);
        drop(taken);
        assert_eq!(admin(&Terminal::standard(), wanted), wanted);
    }
}
