//! `server`, `tracing` and `overrides`.

use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt as _;

use serde_yaml::Value;
use url::Url;

use super::document::{Map, Node};
use super::environment::expand;
use super::findings::Findings;
use super::schema;
use crate::address::{parse_socket, LONGEST_PATH};
use crate::config::{Egress, LogFormat, MeterFailure, MeterPlace, Server, Tracing, Upstream};
use crate::schema::{OVERRIDES, SERVER, TRACING};
use crate::units::{parse_duration, parse_size};
use crate::ListenAddress;

/// The bounds of a size limit: below, no request passes; above, one request eats the machine.
const SIZES: std::ops::RangeInclusive<usize> = 1..=(1 << 30);

/// Plano's variable for the span endpoint.
const SPAN_VARIABLE: &str = "OTEL_TRACING_GRPC_ENDPOINT";

/// Reads `server`.
pub(super) fn read(node: Option<Node<'_>>, findings: &mut Findings<'_>) -> Server {
    let mut server = Server::default();
    let Some(map) = node.and_then(|node| node.map(findings)) else {
        return server;
    };
    schema::check(&map, &SERVER, findings);
    if let Some(node) = map.get("listen") {
        if let Some(listen) = node.parsed(findings, str::parse::<ListenAddress>) {
            if let ListenAddress::Tcp(address) = &listen {
                warn_of_tcp(&node, *address, findings);
            }
            server.listen = listen;
        }
    }
    if let Some(node) = map.get("socket_mode") {
        let mode = node.parsed(findings, socket_mode);
        server.socket_mode = mode.unwrap_or(server.socket_mode);
    }
    if let Some(node) = map.get("admin") {
        if let Some(admin) = node.parsed(findings, parse_socket) {
            if !admin.ip().is_loopback() {
                findings.warning(
                    &node,
                    "metrics and the resolved configuration are open to everyone who reaches \
                     this address",
                );
            }
            server.admin = admin;
        }
    }
    if let Some(bytes) = map
        .get("max_request_bytes")
        .and_then(|n| size(&n, findings))
    {
        server.max_request_bytes = bytes;
    }
    if let Some(bytes) = map.get("max_event_bytes").and_then(|n| size(&n, findings)) {
        server.max_event_bytes = bytes;
    }
    if let Some(bytes) = map
        .get("max_response_bytes")
        .and_then(|n| size(&n, findings))
    {
        server.max_response_bytes = bytes;
    }
    if let Some(node) = map.get("egress") {
        let egress = node.parsed(findings, egress);
        server.egress = egress.unwrap_or(server.egress);
    }
    check_egress(&map, &server, findings);
    if let Some(node) = map.get("heartbeat") {
        if let Some(every) = node.parsed(findings, parse_duration) {
            server.heartbeat = (!every.is_zero()).then_some(every);
        }
    }
    if let Some(node) = map.get("drain_timeout") {
        let timeout = node.parsed(findings, parse_duration);
        server.drain_timeout = timeout.unwrap_or(server.drain_timeout);
    }
    if let Some(node) = map.get("meter") {
        let meter = node.parsed(findings, meter);
        server.meter = meter.unwrap_or(server.meter);
    }
    if let Some(node) = map.get("meter_failure") {
        let failure = node.parsed(findings, meter_failure);
        server.meter_failure = failure.unwrap_or(server.meter_failure);
    }
    if let Some(node) = map.get("log") {
        let log = node.parsed(findings, str::parse::<LogFormat>);
        server.log = log.unwrap_or(server.log);
    }
    server
}

/// The permissions of the socket: whoever can write to it can ask for the providers' keys, so that
/// nobody but the owner and a group may.
fn socket_mode(text: &str) -> Result<u32, &'static str> {
    match text {
        "0600" | "600" => Ok(0o600),
        "0660" | "660" => Ok(0o660),
        _ => Err("is not `\"0600\"` (owner) or `\"0660\"` (owner and group)"),
    }
}

fn egress(text: &str) -> Result<Egress, String> {
    match text {
        "direct" => Ok(Egress::Direct),
        "envoy" => Ok(Egress::Envoy(None)),
        text if text.starts_with("unix:") => match text.parse() {
            Ok(ListenAddress::Unix(path)) => Ok(Egress::Envoy(Some(path))),
            Ok(ListenAddress::Tcp(_)) => Err("is not a socket path".to_owned()),
            Err(error) => Err(error.to_string()),
        },
        _ => Err("is not `envoy`, `direct` or `unix:PATH`".to_owned()),
    }
}

/// Envoy has to be able to bind the egress listener's socket beside the server's own.
fn check_egress(map: &Map<'_>, server: &Server, findings: &mut Findings<'_>) {
    let Some(socket) = server.egress.socket(&server.listen) else {
        if let (Egress::Envoy(None), Some(node)) = (&server.egress, map.get("egress")) {
            let hint = "write `egress: unix:PATH`, or `egress: direct`";
            findings.problem_with(&node, "has no place when the server is on a TCP port", hint);
        }
        return;
    };
    let node = map.get("egress");
    let node = node.unwrap_or_else(|| map.absent("egress"));
    let hint = "write `egress: unix:PATH` with a path of its own";
    if server.listen == ListenAddress::Unix(socket.clone()) {
        let reason = "is where the server itself listens";
        findings.problem_with(&node, reason, hint);
    } else if socket.as_os_str().as_bytes().len() > LONGEST_PATH {
        let reason = format!("`{}` is too long for a socket", socket.display());
        findings.problem_with(&node, reason, hint);
    }
}

fn meter(text: &str) -> Result<MeterPlace, &'static str> {
    let places = [MeterPlace::Wasm, MeterPlace::Native, MeterPlace::Off];
    let place = places.into_iter().find(|place| place.as_str() == text);
    place.ok_or("is no place for limits: write `wasm`, `native` or `off`")
}

fn meter_failure(text: &str) -> Result<MeterFailure, &'static str> {
    let all = [MeterFailure::Closed, MeterFailure::Open];
    let failure = all.into_iter().find(|failure| failure.as_str() == text);
    failure.ok_or("is neither `closed` nor `open`")
}

/// Whether limits are kept where requests pass.
pub(super) fn check_meter(
    node: Option<Node<'_>>,
    server: &Server,
    has_limits: bool,
    findings: &mut Findings<'_>,
) {
    if !has_limits {
        return;
    }
    let place = Node {
        path: "server.meter".to_owned(),
        value: node
            .as_ref()
            .and_then(|node| node.value.get("meter"))
            .unwrap_or(&Value::Null),
    };
    match server.meter {
        MeterPlace::Off => findings.warning(&place, "there are limits, and nothing is limited"),
        MeterPlace::Wasm if server.egress.socket(&server.listen).is_none() => {
            let reason =
                "the filter in Envoy cannot keep limits: the server's own calls do not go \
                          through Envoy (`server.egress`)";
            findings.problem_with(&place, reason, "write `meter: native`");
        }
        MeterPlace::Wasm | MeterPlace::Native => {}
    }
}

fn size(node: &Node<'_>, findings: &mut Findings<'_>) -> Option<usize> {
    let bytes = node.parsed(findings, parse_size)?;
    if !SIZES.contains(&bytes) {
        findings.problem(node, "must be between 1 byte and 1GiB");
        return None;
    }
    Some(bytes)
}

fn warn_of_tcp(node: &Node<'_>, address: SocketAddr, findings: &mut Findings<'_>) {
    let who = if address.ip().is_loopback() {
        "every user of this machine"
    } else {
        "everyone who reaches this address"
    };
    findings.warning(
        node,
        format!("{who} can ask the server for the providers' keys: prefer `unix:PATH`"),
    );
}

/// Reads `tracing`, with Plano's names for the same.
pub(super) fn tracing(node: Option<Node<'_>>, findings: &mut Findings<'_>) -> Tracing {
    let mut tracing = Tracing::default();
    let Some(map) = node.and_then(|node| node.map(findings)) else {
        return tracing;
    };
    schema::check(&map, &TRACING, findings);
    let ours = map.get("otlp_endpoint");
    let planos = map.get("opentracing_grpc_endpoint");
    if let (Some(_), Some(node)) = (&ours, &planos) {
        let hint = "keep `otlp_endpoint`";
        findings.problem_with(node, "is another name for `otlp_endpoint`", hint);
    }
    tracing.otlp_endpoint = match ours.or(planos) {
        Some(node) => endpoint(&node, findings),
        None => variable(&map.absent("otlp_endpoint"), findings),
    };
    if let Some(node) = map.get("random_sampling") {
        match node
            .value
            .as_f64()
            .filter(|percent| (0.0..=100.0).contains(percent))
        {
            Some(percent) => tracing.sampling = percent / 100.0,
            None => findings.problem(&node, "must be a percentage from 0 to 100"),
        }
        if tracing.otlp_endpoint.is_none() && tracing.sampling > 0.0 {
            findings.warning(
                &node,
                "without `tracing.otlp_endpoint` there is nowhere to send spans: none are made",
            );
        }
    }
    tracing
}

/// An OTLP gRPC endpoint. It may hold credentials, so its value is never shown.
fn endpoint(node: &Node<'_>, findings: &mut Findings<'_>) -> Option<String> {
    let text = node.text(findings)?;
    let expanded = expand(text, findings);
    if let Some(variable) = expanded.missing.first() {
        let reason = format!("`{variable}` is not set");
        findings.secret_problem(node, reason, None);
        return None;
    }
    if !is_collector(&expanded.text) {
        let hint = Some("write it as `http://HOST:4317`".to_owned());
        findings.secret_problem(node, "is not an http or https URL", hint);
        return None;
    }
    Some(expanded.text)
}

/// The endpoint that the environment names.
fn variable(node: &Node<'_>, findings: &mut Findings<'_>) -> Option<String> {
    let text = findings.variable(SPAN_VARIABLE)?;
    if !is_collector(&text) {
        let reason = format!("`{SPAN_VARIABLE}` is not an http or https URL");
        let hint = Some("set it to `http://HOST:4317`".to_owned());
        findings.secret_problem(node, reason, hint);
        return None;
    }
    Some(text)
}

fn is_collector(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https") && url.host_str().is_some_and(|h| !h.is_empty())
    })
}

/// Reads `overrides`.
pub(super) fn overrides(node: Option<Node<'_>>, findings: &mut Findings<'_>) -> Upstream {
    let mut upstream = Upstream::default();
    let Some(map) = node.and_then(|node| node.map(findings)) else {
        return upstream;
    };
    schema::check(&map, &OVERRIDES, findings);
    if let Some(node) = map.get("upstream_connect_timeout") {
        if let Some(timeout) = node.parsed(findings, parse_duration) {
            if timeout.is_zero() {
                findings.problem(&node, "must not be zero");
            } else {
                upstream.connect_timeout = timeout;
            }
        }
    }
    if let Some(node) = map.get("upstream_tls_ca_path") {
        if let Some(path) = node.text(findings) {
            upstream.tls_ca_path = path.to_owned();
        }
    }
    upstream
}
