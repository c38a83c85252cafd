//! Paths in the document: absolute, or relative to the directory of the configuration.

use std::path::PathBuf;

use super::document::Node;
use super::environment::expand;
use super::findings::Findings;

/// Why there is no path.
pub(super) enum Refused {
    /// It refers to this variable.
    NotSet(String),
    /// For this reason.
    Invalid(&'static str),
}

/// The path that a text with references to variables stands for.
pub(super) fn read(text: &str, findings: &Findings<'_>) -> Result<PathBuf, Refused> {
    let expanded = expand(text, findings);
    if let Some(variable) = expanded.missing.into_iter().next() {
        return Err(Refused::NotSet(variable));
    }
    let path = expanded.text;
    if path.ends_with('/') || path.chars().any(char::is_control) {
        return Err(Refused::Invalid("is no path of a file"));
    }
    let from_variable = text.starts_with('$') && !expanded.variables.is_empty();
    if from_variable && !path.starts_with('/') {
        // More likely not a path at all, and then nobody may see it.
        return Err(Refused::Invalid(
            "begins with a variable that holds no absolute path",
        ));
    }
    Ok(findings.absolute(&path))
}

/// The path in a node. Problems do not show it: what is no path may be a key.
pub(super) fn path(node: &Node<'_>, findings: &mut Findings<'_>) -> Option<PathBuf> {
    match read(node.text(findings)?, findings) {
        Ok(path) => Some(path),
        Err(Refused::NotSet(variable)) => {
            findings.secret_problem(node, format!("`{variable}` is not set"), None);
            None
        }
        Err(Refused::Invalid(reason)) => {
            findings.secret_problem(node, reason, None);
            None
        }
    }
}
