//! What a running instance looks like to its user: where to connect, what answers, how to stop.

use std::borrow::Cow;
use std::fmt::Write;

use meseta_config::{Config, NoticeKind};

use crate::instance::{Record, StateDir};

/// A few lines for people. With the configuration at hand also providers, missing keys and aliases.
pub fn of_running(record: &Record, config: Option<&Config>, state: &StateDir) -> String {
    let mut rows: Vec<(&str, String)> = Vec::new();
    for listener in &record.listeners {
        rows.push((
            "listener",
            format!("{} at {}/v1", listener.name, listener.url),
        ));
    }
    if let Some(config) = config {
        rows.push(("providers", active(config)));
        rows.extend(
            missing(config)
                .into_iter()
                .map(|text| ("missing key", text)),
        );
        let aliases = config.aliases();
        rows.extend(aliases.map(|(name, target)| ("alias", format!("{name} -> {target}"))));
    }
    if let Some(admin) = &record.admin {
        rows.push(("admin", format!("http://{admin}")));
    }
    rows.push(("configuration", record.config.display().to_string()));
    rows.push(("logs", state.logs().display().to_string()));
    rows.push(("stop with", format!("meseta down{}", state.flag())));
    let mut text = format!("meseta is running (pid {})\n", record.supervisor.pid);
    for (name, value) in rows {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {name:<14}{value}");
    }
    text
}

/// The providers that can be called: those whose key is there or not needed.
fn active(config: &Config) -> String {
    let inactive: Vec<&str> = keyless(config).map(|(_, provider)| provider).collect();
    let mut names: Vec<&str> = Vec::new();
    for provider in &config.providers {
        let name = provider.name.as_str();
        if !inactive.contains(&name) && !names.contains(&name) {
            names.push(name);
        }
    }
    if names.is_empty() {
        "none can be called".to_owned()
    } else {
        names.join(", ")
    }
}

fn missing(config: &Config) -> Vec<String> {
    keyless(config)
        .map(|(variable, provider)| format!("{variable} (provider {provider})"))
        .collect()
}

/// What would hold a key that is not there, and for which provider.
fn keyless(config: &Config) -> impl Iterator<Item = (Cow<'_, str>, &str)> {
    config
        .notices
        .iter()
        .filter_map(|notice| match &notice.kind {
            NoticeKind::MissingKey { variable, provider } => {
                Some((variable.into(), provider.as_str()))
            }
            NoticeKind::MissingKeyFile { path, provider } => {
                Some((path.to_string_lossy(), provider.as_str()))
            }
            _ => None,
        })
}
