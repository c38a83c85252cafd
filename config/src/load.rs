//! From text to [`Config`].
//!
//! The document is walked by hand rather than by derived types, because a derived reader stops at
//! its first error: here every problem is found, in the order of the document. Whatever the
//! document holds, the outcome is a configuration or problems.

mod consumers;
mod document;
mod environment;
mod findings;
mod limits;
mod listeners;
mod models;
mod paths;
mod pools;
mod providers;
mod schema;
mod server;

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use serde_yaml::Value;

use crate::config::Config;
use crate::problem::{Problem, Problems};
use crate::schema::{ROOT, VERSIONS};

use document::Node;
use findings::Findings;

/// A configuration's text and what its references may refer to.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// The YAML text.
    pub text: &'a str,
    /// The file's name, for messages.
    pub name: &'a str,
    /// The environment: the value of a variable.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// The directory of the configuration, absolute: relative paths in the text start there.
    pub dir: &'a Path,
    /// The content of a file that the text refers to. The error is shown, so it must not quote any
    /// of the content.
    pub file: &'a dyn Fn(&Path) -> std::io::Result<String>,
}

impl fmt::Debug for Source<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The text may hold keys.
        f.debug_struct("Source")
            .field("name", &self.name)
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}

/// Reads a configuration: `meseta.yaml`, or any version of Plano's file.
///
/// # Errors
/// All [`Problems`] of the document at once, in its order.
pub fn load(source: &Source<'_>) -> Result<Config, Problems> {
    let document = parse(source)?;
    let mut findings = Findings::new(source);
    let config = read(Node::root(&document), &mut findings);
    let found = findings.in_order_of(&document);
    let problems = found.problems;
    match config {
        Some(mut config) if problems.is_empty() => {
            config.notices = found.notices;
            config.files = found.files;
            Ok(config)
        }
        _ if problems.is_empty() => Err(Problems(vec![whole(
            "the document has no configuration",
            None,
        )])),
        _ => Err(Problems(problems)),
    }
}

fn parse(source: &Source<'_>) -> Result<Value, Problems> {
    let refused = |reason: String| Problems(vec![whole(reason, None)]);
    let parsed: Result<Value, _> = serde_yaml::from_str(source.text);
    let mut document =
        parsed.map_err(|error| refused(format!("{} is not YAML: {error}", source.name)))?;
    document
        .apply_merge()
        .map_err(|error| refused(format!("{}: {error}", source.name)))?;
    match document {
        Value::Null => Err(Problems(vec![whole(
            format!("{} is empty", source.name),
            Some("it needs at least `model_providers`".to_owned()),
        )])),
        document => Ok(document),
    }
}

/// A problem of the document as a whole.
fn whole(reason: impl Into<String>, hint: Option<String>) -> Problem {
    Problem {
        path: String::new(),
        value: None,
        reason: reason.into(),
        hint,
    }
}

fn read(root: Node<'_>, findings: &mut Findings<'_>) -> Option<Config> {
    let top = root.map(findings)?;
    schema::check(&top, &ROOT, findings);
    let version = top.get("version");
    if let Some(version) = &version {
        let text = version.scalar(findings).unwrap_or_default();
        if !text.is_empty() && !VERSIONS.contains(&text.as_str()) {
            findings.problem_with(
                version,
                "is no version that is known",
                format!("write one of {}, or leave it out", VERSIONS.join(", ")),
            );
        }
    }
    let listeners = listeners::read(top.get("listeners"), version.is_some(), findings);
    let server = server::read(top.get("server"), findings);
    let tracing = server::tracing(top.get("tracing"), findings);
    let upstream = server::overrides(top.get("overrides"), findings);
    let entries = providers::read(&top, findings);
    let providers = providers::merged(&entries);
    let aliases = top.get("model_aliases");
    let pools = pools::declared(top.get("models"), aliases.as_ref(), findings);
    let mut models = models::read(&entries, &providers, aliases, &pools, findings);
    pools::read(&pools, &mut models, findings);
    let consumer = consumers::source(top.get("consumer"), findings);
    let keys = top.get("keys");
    let known = limits::Known {
        models: &models,
        providers: &providers,
        listeners: &listeners,
        consumers: &consumers::names(keys.as_ref()),
        has_source: top.get("consumer").is_some(),
    };
    let mut limits = limits::read(&top, &known, findings);
    let keys = consumers::keys(keys, &mut limits, &models, &providers, findings);
    let rules = limits::rules(&limits.limits, &top, findings);
    server::check_meter(top.get("server"), &server, !rules.is_empty(), findings);
    let config = Config {
        listeners,
        providers,
        server,
        tracing,
        upstream,
        files: Vec::new(),
        notices: Vec::new(),
        policy: Arc::default(),
        models,
        limits: limits.limits,
        rules,
        keys,
        consumer,
    };
    limits::check_number(&config, &top, findings);
    Some(config)
}

/// The place of each path in the document.
fn positions(document: &Value) -> HashMap<String, usize> {
    fn walk(node: Node<'_>, places: &mut HashMap<String, usize>) {
        let place = places.len();
        places.entry(node.path.clone()).or_insert(place);
        for child in node.children() {
            walk(child, places);
        }
    }
    let mut places = HashMap::new();
    walk(Node::root(document), &mut places);
    places
}

#[cfg(test)]
mod tests;
