//! `listeners`: a list, or Plano's older map of `ingress_traffic` and `egress_traffic`.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use serde_yaml::Value;

use super::document::{Map, Node};
use super::findings::Findings;
use super::paths;
use super::schema;
use crate::address::parse_ip;
use crate::config::{Cors, Listener, Tls};
use crate::render::EGRESS_LISTENER;
use crate::schema::{CORS, LEGACY_LISTENER, LEGACY_LISTENERS, LISTENER, TLS};
use crate::units::parse_duration;

/// The port of a model listener, Plano's too.
const PORT: u16 = 12000;

/// It bounds the exchange as a whole, streams included; as long as the client libraries wait by
/// default. Plano's 300 s cut long generations off.
const TIMEOUT: Duration = Duration::from_secs(600);

/// The name of the listener that is there when the file has none, and of one without a name.
const NAME: &str = "model";

/// The address when the file names none: keys are spent by whoever reaches a listener.
const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Reads the model listeners; there is always one.
pub(super) fn read(
    node: Option<Node<'_>>,
    has_version: bool,
    findings: &mut Findings<'_>,
) -> Vec<Listener> {
    let mut found: Vec<(Node<'_>, Listener)> = Vec::new();
    if let Some(node) = node {
        match node.value {
            Value::Mapping(_) => legacy(&node, &mut found, has_version, findings),
            Value::Sequence(_) => {
                for item in node.list(findings).unwrap_or_default() {
                    if let Some(map) = item.map(findings) {
                        found.extend(listener(&map, &item, has_version, findings));
                    }
                }
            }
            _ => findings.wrong_type(&node, "a list"),
        }
    }
    check_unique(&found, findings);
    for (node, listener) in &found {
        warn_if_public(node, listener, findings);
    }
    let mut listeners: Vec<Listener> = found.into_iter().map(|(_, listener)| listener).collect();
    if listeners.is_empty() {
        listeners.push(Listener {
            name: NAME.to_owned(),
            address: ADDRESS,
            port: PORT,
            timeout: TIMEOUT,
            cors: Cors::default(),
            tls: None,
        });
    }
    listeners
}

/// Plano's older form: the model listener is `egress_traffic`.
fn legacy<'a>(
    node: &Node<'a>,
    found: &mut Vec<(Node<'a>, Listener)>,
    has_version: bool,
    findings: &mut Findings<'_>,
) {
    let Some(map) = node.map(findings) else {
        return;
    };
    schema::check(&map, &LEGACY_LISTENERS, findings);
    if let Some(egress) = map.get("egress_traffic") {
        if let Some(map) = egress.map(findings) {
            schema::check(&map, &LEGACY_LISTENER, findings);
            let name = "egress_traffic".to_owned();
            let listener = settings(&map, name, Cors::default(), has_version, findings);
            found.push((egress, listener));
        }
    }
}

fn listener<'a>(
    map: &Map<'a>,
    node: &Node<'a>,
    has_version: bool,
    findings: &mut Findings<'_>,
) -> Option<(Node<'a>, Listener)> {
    schema::check(map, &LISTENER, findings);
    let kind = match map.get("type") {
        Some(node) => node.text(findings).map(|kind| (Some(node), kind)),
        None => Some((None, "model")),
    };
    match kind {
        Some((_, "model")) => {}
        Some((Some(node), "agent" | "prompt")) => {
            findings.not_yet_active(&node);
            return None;
        }
        Some((Some(node), _)) => {
            let hint = "write `model`, `agent` or `prompt`";
            findings.problem_with(&node, "is no type of listener", hint);
            return None;
        }
        _ => return None,
    }
    let name = match map.get("name") {
        Some(node) => name(&node, findings).unwrap_or_default(),
        None => NAME.to_owned(),
    };
    let cors = cors(map.get("cors"), findings);
    let tls = tls(map, findings);
    let listener = Listener {
        tls,
        ..settings(map, name, cors, has_version, findings)
    };
    Some((node.clone(), listener))
}

/// What both forms have.
fn settings(
    map: &Map<'_>,
    name: String,
    cors: Cors,
    has_version: bool,
    findings: &mut Findings<'_>,
) -> Listener {
    let address = match map.get("address") {
        Some(node) => address(&node, findings).unwrap_or(ADDRESS),
        None => {
            if has_version {
                findings.warning(
                    &map.absent("address"),
                    "listens on 127.0.0.1 because no address is given, where Plano listens on \
                     all: write `address: 0.0.0.0` if other machines have to reach it",
                );
            }
            ADDRESS
        }
    };
    let port = map.get("port").and_then(|node| node.port(findings));
    let timeout = map
        .get("timeout")
        .and_then(|node| node.parsed(findings, parse_duration));
    Listener {
        name,
        address,
        port: port.unwrap_or(PORT),
        timeout: timeout.unwrap_or(TIMEOUT),
        cors,
        tls: None,
    }
}

fn address(node: &Node<'_>, findings: &mut Findings<'_>) -> Option<IpAddr> {
    let text = node.text(findings)?;
    let address = parse_ip(text);
    if address.is_none() {
        let hint = "write an address of this machine, for example `127.0.0.1`, `0.0.0.0` or `::1`";
        findings.problem_with(node, "is not an IP address", hint);
    }
    address
}

/// A name also travels as gRPC metadata and stands in Envoy's statistics.
fn name(node: &Node<'_>, findings: &mut Findings<'_>) -> Option<String> {
    let text = node.scalar(findings)?;
    let name = text.trim();
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_. /".contains(c);
    if name.is_empty() || name.len() > 100 || !name.chars().all(fits) {
        let hint = "up to 100 letters, digits, spaces and `-`, `_`, `.`, `/`";
        findings.problem_with(node, "is no name for a listener", hint);
        return None;
    }
    if name == EGRESS_LISTENER {
        findings.problem_with(node, "is reserved", "choose another name");
        return None;
    }
    Some(name.to_owned())
}

/// `tls`. Half of it would be a listener that is less protected than it looks, so nothing of it may
/// be left empty.
fn tls(listener: &Map<'_>, findings: &mut Findings<'_>) -> Option<Tls> {
    let map = there(listener, "tls", findings)?.map(findings)?;
    schema::check(&map, &TLS, findings);
    let mut file = |key: &str, needed: bool| match there(&map, key, findings) {
        Some(node) => paths::path(&node, findings),
        None => {
            if needed && !map.has(key) {
                let hint = "TLS needs the files `certificate` and `key`";
                findings.problem_with(&map.absent(key), "is missing", hint);
            }
            None
        }
    };
    let (certificate, key) = (file("certificate", true), file("key", true));
    let client_ca = file("client_ca", false);
    Some(Tls {
        certificate: certificate?,
        key: key?,
        client_ca,
    })
}

/// The value of a key; one that is there without a value is a problem.
fn there<'a>(map: &Map<'a>, key: &str, findings: &mut Findings<'_>) -> Option<Node<'a>> {
    let node = map.get(key);
    if node.is_none() && map.has(key) {
        findings.problem(&map.absent(key), "is empty");
    }
    node
}

fn cors(node: Option<Node<'_>>, findings: &mut Findings<'_>) -> Cors {
    let Some(map) = node.and_then(|node| node.map(findings)) else {
        return Cors::default();
    };
    schema::check(&map, &CORS, findings);
    let Some(node) = map.get("allow_origins") else {
        return Cors::default();
    };
    if node.value.as_str() == Some("*") {
        return Cors::Any;
    }
    let mut origins = Vec::new();
    for item in node.list(findings).unwrap_or_default() {
        match item.text(findings) {
            Some("*") => return Cors::Any,
            Some(text) if is_origin(text) => origins.push(text.to_ascii_lowercase()),
            Some(_) => {
                let hint = "write it as a browser does, for example `https://app.example`, or `*`";
                findings.problem_with(&item, "is not an origin", hint);
            }
            None => {}
        }
    }
    Cors::Origins(origins)
}

/// Scheme, host and port, as in the `origin` header: no path, not even a slash.
fn is_origin(text: &str) -> bool {
    let Some((scheme, authority)) = text.split_once("://") else {
        return false;
    };
    let scheme_fits = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    let authority_fits = !authority.is_empty()
        && authority
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-._:[]".contains(c));
    scheme_fits && authority_fits
}

fn check_unique(found: &[(Node<'_>, Listener)], findings: &mut Findings<'_>) {
    for (at, (node, listener)) in found.iter().enumerate() {
        for (_, other) in found.iter().take(at) {
            if !listener.name.is_empty() && other.name == listener.name {
                let name = Node {
                    path: format!("{}.name", node.path),
                    value: node.value.get("name").unwrap_or(&Value::Null),
                };
                findings.problem_with(
                    &name,
                    format!("there is another listener `{}`", other.name),
                    "give each listener its own name",
                );
            }
            let meet = other.address == listener.address
                || other.address.is_unspecified()
                || listener.address.is_unspecified();
            if other.port != 0 && other.port == listener.port && meet {
                let port = Node {
                    path: format!("{}.port", node.path),
                    value: node.value.get("port").unwrap_or(&Value::Null),
                };
                findings.problem_with(
                    &port,
                    format!("listener `{}` has port {} too", other.name, other.port),
                    "give each listener its own port",
                );
            }
        }
    }
}

/// Client keys do not exist yet, so a listener that others reach is open to all of them.
fn warn_if_public(node: &Node<'_>, listener: &Listener, findings: &mut Findings<'_>) {
    if listener.address.is_loopback() {
        return;
    }
    let address = Node {
        path: format!("{}.address", node.path),
        value: node.value.get("address").unwrap_or(&Value::Null),
    };
    if listener
        .tls
        .as_ref()
        .is_some_and(|tls| tls.client_ca.is_some())
    {
        findings.warning(
            &address,
            format!(
                "PUBLIC: whoever has a certificate of `client_ca` spends your provider keys through \
                 listener `{}`",
                listener.name
            ),
        );
        return;
    }
    findings.warning(
        &address,
        format!(
            "PUBLIC: listener `{}` is open to everyone who can reach {}:{} and there is no client \
             authentication: ANYONE WHO REACHES IT SPENDS YOUR PROVIDER KEYS. Use `127.0.0.1`, or \
             put a firewall or an authenticating proxy before it",
            listener.name, listener.address, listener.port
        ),
    );
}
