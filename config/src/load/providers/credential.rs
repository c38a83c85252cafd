//! The key of a provider: written in the file, in a file of its own, or in an environment variable.
//!
//! Invariant: no message shows a key, nor anything that was read from a file.

use std::io::ErrorKind;
use std::path::PathBuf;

use hermesllm::providers::CatalogueEntry;

use super::super::document::{Map, Node};
use super::super::environment::expand;
use super::super::findings::Findings;
use super::super::paths;
use super::headers;
use crate::secret::Secret;

/// A key, and where it comes from or would come from.
#[derive(Debug, Default)]
pub(super) struct Credential {
    pub(super) secret: Option<Secret>,
    pub(super) variable: Option<String>,
    pub(super) file: Option<PathBuf>,
    pub(super) passthrough: bool,
}

/// For which provider a key is looked for.
pub(super) struct Keys<'a> {
    /// Its name.
    pub(super) provider: &'a str,
    /// What the catalogue knows of it, when it is asked at its own address.
    pub(super) catalogued: Option<&'static CatalogueEntry>,
    /// Whether each client's own key is sent.
    pub(super) passthrough: bool,
}

pub(super) const INLINE: &str = "access_key";
pub(super) const FILE: &str = "access_key_file";

/// Whether the entry itself names a key.
pub(super) fn is_named(map: &Map<'_>) -> bool {
    map.get(INLINE).is_some() || map.get(FILE).is_some()
}

/// The key that the entry names, else the one in the provider's usual variable.
pub(super) fn read(map: &Map<'_>, keys: &Keys<'_>, findings: &mut Findings<'_>) -> Credential {
    let (inline, file) = (map.get(INLINE), map.get(FILE));
    if keys.passthrough {
        for node in [&inline, &file].into_iter().flatten() {
            findings.warning(node, "not used: `passthrough_auth` sends the client's own");
        }
    }
    if let (Some(_), Some(node)) = (&inline, &file) {
        let reason = "is another way to give `access_key`, which is there too";
        findings.secret_problem(node, reason, Some("keep one of them".to_owned()));
    }
    let mut credential = match (inline, file) {
        (Some(node), _) => written(&node, keys, findings),
        (None, Some(node)) => from_file(&node, keys, findings),
        (None, None) => usual(map, keys, findings),
    };
    credential.passthrough |= keys.passthrough;
    credential
}

/// `access_key`: the key, or a reference to a variable.
fn written(node: &Node<'_>, keys: &Keys<'_>, findings: &mut Findings<'_>) -> Credential {
    let mut credential = Credential::default();
    let Some(text) = node.text(findings) else {
        return credential;
    };
    let expanded = expand(text, findings);
    if expanded.variables.is_empty() {
        findings.warning(
            node,
            "the key is written in the file: put it in the environment and write `$NAME`, or in \
             a file of its own and write `access_key_file`",
        );
    }
    credential.variable = expanded.variables.first().cloned();
    if let Some(variable) = expanded.missing.first() {
        credential.variable = Some(variable.clone());
        if !keys.passthrough {
            findings.missing_key(node, variable, keys.provider);
        }
    } else if !headers::is_value(&expanded.text) {
        let reason = "cannot be sent in a header: it has characters that no key has";
        findings.secret_problem(node, reason, None);
    } else if !keys.passthrough {
        credential.secret = Some(Secret::new(expanded.text));
    }
    credential
}

/// `access_key_file`: a file that holds the key and nothing else.
///
/// No message shows the path: the key itself may have slipped into this line.
fn from_file(node: &Node<'_>, keys: &Keys<'_>, findings: &mut Findings<'_>) -> Credential {
    let mut credential = Credential::default();
    let Some(text) = node.text(findings) else {
        return credential;
    };
    let path = match paths::read(text, findings) {
        Ok(path) => path,
        Err(paths::Refused::NotSet(variable)) => {
            if !keys.passthrough {
                findings.missing_key(node, &variable, keys.provider);
            }
            credential.variable = Some(variable);
            return credential;
        }
        Err(paths::Refused::Invalid(reason)) => {
            let hint = "a variable that holds the key itself is written `access_key: $NAME`";
            findings.secret_problem(node, reason, Some(hint.to_owned()));
            return credential;
        }
    };
    credential.file = Some(path.clone());
    if keys.passthrough {
        return credential;
    }
    match findings.content(&path) {
        Ok(content) if content.trim().is_empty() => {
            findings.missing_key_file(node, &path, "the file is empty", keys.provider);
        }
        Ok(content) if headers::is_value(content.trim()) => {
            credential.secret = Some(Secret::new(content.trim()));
        }
        Ok(_) => {
            let reason = "holds no key: a key is one line of visible ASCII characters";
            findings.secret_problem(node, reason, None);
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            findings.missing_key_file(node, &path, "the file is not there", keys.provider);
        }
        Err(error) => {
            findings.secret_problem(node, format!("the file cannot be read: {error}"), None);
        }
    }
    credential
}

/// The key of a known provider, from a variable that the file does not name.
fn usual(map: &Map<'_>, keys: &Keys<'_>, findings: &mut Findings<'_>) -> Credential {
    let mut credential = Credential::default();
    let Some(entry) = keys.catalogued.filter(|_| !keys.passthrough) else {
        return credential;
    };
    let mut set = entry.key_env.iter().copied();
    let found = set.find_map(|name| Some((name, findings.variable(name)?)));
    let node = map.absent(INLINE);
    if let Some((name, value)) = found {
        credential.variable = Some(name.to_owned());
        if headers::is_value(value.trim()) {
            credential.secret = Some(Secret::new(value.trim()));
        } else {
            let reason = format!("`{name}` cannot be sent in a header: it is no key");
            findings.secret_problem(&node, reason, None);
        }
    } else if let Some(name) = entry.key_env.first().copied() {
        credential.variable = Some(name.to_owned());
        if entry.key_required {
            findings.missing_key(&node, name, keys.provider);
        }
    } else if entry.key_required && entry.base_url.is_some() {
        // A login's token, as of a ChatGPT subscription: only the client can have it.
        credential.passthrough = true;
        findings.warning(
            &node,
            format!(
                "`{}` is asked with the credential of each client",
                keys.provider
            ),
        );
    }
    credential
}
