//! Where something listens: a Unix socket or a TCP address.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use thiserror::Error;

/// Where the server or Envoy's admin interface listens: `unix:PATH` or `tcp:ADDRESS:PORT`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ListenAddress {
    /// A Unix socket.
    Unix(PathBuf),
    /// A TCP address; port 0 lets the system pick.
    Tcp(SocketAddr),
}

/// Where Envoy's admin interface listens.
pub type AdminAddress = ListenAddress;

/// A text that is no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AddressError {
    /// Neither `unix:` nor `tcp:`.
    #[error("is not an address: write `unix:PATH` or `tcp:ADDRESS:PORT`")]
    Scheme,
    /// `unix:` without a path that a socket can have.
    #[error("is not a socket path: it must not be empty or longer than 107 bytes")]
    Path,
    /// Not an IP address with a port.
    #[error("is not an IP address with a port, for example `127.0.0.1:9902`")]
    Socket,
}

/// What `sockaddr_un` has room for, without the final zero.
pub(crate) const LONGEST_PATH: usize = 107;

impl FromStr for ListenAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if let Some(path) = text.strip_prefix("unix:") {
            if path.is_empty() || path.len() > LONGEST_PATH || path.contains('\0') {
                return Err(AddressError::Path);
            }
            return Ok(Self::Unix(PathBuf::from(path)));
        }
        let address = text.strip_prefix("tcp:").ok_or(AddressError::Scheme)?;
        parse_socket(address).map(Self::Tcp)
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(address) => write!(f, "tcp:{address}"),
        }
    }
}

/// An IP address with a port; `localhost` stands for `127.0.0.1`.
pub(crate) fn parse_socket(text: &str) -> Result<SocketAddr, AddressError> {
    if let Some(port) = text.strip_prefix("localhost:") {
        let port = port.parse().map_err(|_| AddressError::Socket)?;
        return Ok(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port));
    }
    text.parse().map_err(|_| AddressError::Socket)
}

/// An IP address, in brackets or not; `localhost` stands for `127.0.0.1`.
pub(crate) fn parse_ip(text: &str) -> Option<IpAddr> {
    if text == "localhost" {
        return Some(Ipv4Addr::LOCALHOST.into());
    }
    let inner = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    inner.unwrap_or(text).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_as_they_print() {
        for text in ["unix:/run/m.sock", "tcp:127.0.0.1:0", "tcp:[::1]:9000"] {
            let address: ListenAddress = text.parse().unwrap();
            assert_eq!(address.to_string(), text);
        }
        let local: ListenAddress = "tcp:localhost:80".parse().unwrap();
        assert_eq!(local.to_string(), "tcp:127.0.0.1:80");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let long = format!("unix:/{}", "x".repeat(LONGEST_PATH));
        for (text, error) in [
            ("", AddressError::Scheme),
            ("http://x", AddressError::Scheme),
            ("unix:", AddressError::Path),
            (long.as_str(), AddressError::Path),
            ("tcp:example.com:80", AddressError::Socket),
            ("tcp:127.0.0.1", AddressError::Socket),
        ] {
            assert_eq!(text.parse::<ListenAddress>(), Err(error), "{text}");
        }
    }
}
