//! `base_url` and `http_host`: where a provider is and what it is called there.

use url::{Host, Url};

use super::super::document::Node;
use super::super::environment::expand;
use super::super::findings::Findings;
use crate::provider::{Provider, Scheme};

/// A base URL, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) scheme: Scheme,
    /// Without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// Without a final slash.
    pub(super) path: String,
}

impl Address {
    /// `None` when the URL is not `http` or `https`, or its port is 0.
    pub(super) fn of(url: &Url) -> Option<Self> {
        let scheme = match url.scheme() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return None,
        };
        let host = match url.host()? {
            Host::Domain(name) => name.trim_end_matches('.').to_owned(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        };
        let port = url.port().unwrap_or_else(|| scheme.default_port());
        (port != 0 && !host.is_empty()).then(|| Self {
            scheme,
            host,
            port,
            path: url.path().trim_end_matches('/').to_owned(),
        })
    }

    /// Host and, unless it is the scheme's own, port.
    pub(super) fn authority(&self) -> String {
        let host = if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        };
        if self.port == self.scheme.default_port() {
            host
        } else {
            format!("{host}:{}", self.port)
        }
    }
}

/// Reads `base_url`.
pub(super) fn base_url(node: &Node<'_>, findings: &mut Findings<'_>) -> Option<Address> {
    let text = node.text(findings)?;
    let expanded = expand(text, findings);
    if let Some(variable) = expanded.missing.first() {
        let reason = format!("`{variable}` is not set");
        findings.secret_problem(node, reason, None);
        return None;
    }
    let hint = "write it as `https://HOST/PATH`";
    let Ok(url) = Url::parse(&expanded.text) else {
        // What is no URL may be a key that slipped into the wrong line.
        findings.secret_problem(node, "is not a URL", Some(hint.to_owned()));
        return None;
    };
    if !url.username().is_empty() || url.password().is_some() {
        let hint = "put the key into `access_key`".to_owned();
        findings.secret_problem(node, "must not hold a user or password", Some(hint));
        return None;
    }
    if url.query().is_some() || url.fragment().is_some() {
        let reason = "must not have a query string or fragment";
        findings.secret_problem(node, reason, Some(hint.to_owned()));
        return None;
    }
    let address = Address::of(&url);
    if address.is_none() {
        findings.problem_with(node, "is not an http or https URL", hint);
    }
    address
}

/// Reads `http_host`: a host name or address, with a port or not.
pub(super) fn http_host(node: &Node<'_>, findings: &mut Findings<'_>) -> Option<String> {
    let text = node.text(findings)?;
    let expanded = expand(text, findings);
    if let Some(variable) = expanded.missing.first() {
        let reason = format!("`{variable}` is not set");
        findings.secret_problem(node, reason, None);
        return None;
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    if expanded.text.chars().all(fits) {
        return Some(expanded.text);
    }
    findings.secret_problem(
        node,
        "is not a host",
        Some("write it without `https://`, for example `api.example.com`".to_owned()),
    );
    None
}

/// Gives a provider its cluster's name and the name on its certificate.
///
/// Providers at one scheme, host and port share a cluster. Behind an IP address the certificate
/// carries the name of `http_host`, so that one is part of the identity there.
pub(super) fn name_cluster(provider: &mut Provider) {
    let is_ip = provider.host.parse::<std::net::IpAddr>().is_ok();
    let host_name = host_of(&provider.authority);
    let renamed = is_ip && provider.scheme == Scheme::Https && host_name != provider.host;
    provider.tls_name = if renamed {
        host_name.to_owned()
    } else {
        provider.host.clone()
    };
    let (scheme, host, port) = (provider.scheme.as_str(), &provider.host, provider.port);
    provider.cluster = if renamed {
        format!("{scheme}_{host}_{port}_{}", provider.tls_name)
    } else {
        format!("{scheme}_{host}_{port}")
    };
}

/// The host of `host:port`, without brackets.
fn host_of(authority: &str) -> &str {
    if let Some(rest) = authority.strip_prefix('[') {
        return rest.split_once(']').map_or(rest, |(host, _)| host);
    }
    authority
        .split_once(':')
        .map_or(authority, |(host, _)| host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart_and_its_host_put_together_again() {
        for (url, host, port, path, authority) in [
            (
                "https://api.openai.com/v1/",
                "api.openai.com",
                443,
                "/v1",
                "api.openai.com",
            ),
            (
                "http://localhost:11434",
                "localhost",
                11434,
                "",
                "localhost:11434",
            ),
            ("http://[::1]:80/a/b", "::1", 80, "/a/b", "[::1]"),
            (
                "https://10.0.0.1:8443/",
                "10.0.0.1",
                8443,
                "",
                "10.0.0.1:8443",
            ),
        ] {
            let address = Address::of(&Url::parse(url).unwrap()).unwrap();
            assert_eq!(
                (&*address.host, address.port, &*address.path),
                (host, port, path)
            );
            assert_eq!(address.authority(), authority);
        }
        for url in ["ftp://host/", "http://host:0/", "unix:/path"] {
            assert_eq!(Address::of(&Url::parse(url).unwrap()), None, "{url}");
        }
    }

    #[test]
    fn the_host_of_an_authority_has_no_port_and_no_brackets() {
        for (authority, host) in [
            ("api.example.com", "api.example.com"),
            ("api.example.com:8443", "api.example.com"),
            ("[::1]:8443", "::1"),
            ("[::1]", "::1"),
        ] {
            assert_eq!(host_of(authority), host);
        }
    }
}
