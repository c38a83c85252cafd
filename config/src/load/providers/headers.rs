//! `headers` of a provider. Their values may be secret and are never shown.

use super::super::document::{shown, Node};
use super::super::environment::expand;
use super::super::findings::Findings;

/// Headers that belong to the message or the connection, not to the user.
const RESERVED: [&str; 8] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "upgrade",
];

/// Reads `headers`, names in lower case, in their order.
pub(super) fn read(node: Option<Node<'_>>, findings: &mut Findings<'_>) -> Vec<(String, String)> {
    let mut headers: Vec<(String, String)> = Vec::new();
    let map = node.and_then(|node| node.map(findings));
    for (name, node) in map.map(|map| map.nodes()).unwrap_or_default() {
        if node.value.is_null() {
            continue;
        }
        let name = name.to_ascii_lowercase();
        if let Err(reason) = check_name(&name) {
            findings.secret_problem(&node, reason, None);
            continue;
        }
        if headers.iter().any(|(known, _)| *known == name) {
            let reason = "is there twice: names of headers have no case";
            findings.secret_problem(&node, reason, None);
            continue;
        }
        let Some(text) = shown(node.value) else {
            findings.wrong_type(&node, "a text");
            continue;
        };
        let expanded = expand(&text, findings);
        if let Some(variable) = expanded.missing.first() {
            let message = format!("`{variable}` is not set: the header is left out");
            findings.warning(&node, message);
            continue;
        }
        let value = expanded.text.trim();
        if is_value(value) {
            headers.push((name, value.to_owned()));
        } else {
            findings.secret_problem(&node, "is no value for a header", None);
        }
    }
    headers
}

fn check_name(name: &str) -> Result<(), &'static str> {
    if !is_name(name) {
        return Err("is no name of a header");
    }
    if RESERVED.contains(&name) {
        return Err("belongs to the connection and cannot be set (the host is `http_host`)");
    }
    if is_internal(name) {
        return Err("is reserved");
    }
    Ok(())
}

/// Whether a text can be the name of a header (RFC 9110).
pub(in super::super) fn is_name(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    !text.is_empty() && text.chars().all(fits)
}

/// Whether a header, named in lower case, is taken off what clients send.
pub(in super::super) fn is_internal(name: &str) -> bool {
    name.starts_with(meseta_proto::headers::INTERNAL_PREFIX) || name.starts_with("x-envoy-")
}

/// Whether a text can be the value of a header (RFC 9110, visible characters, space and tab).
pub(in super::super) fn is_value(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c == '\t' || (' '..='~').contains(&c))
}
