//! What a running instance looks like to its user: where to connect, what answers, how to stop.

use std::fmt::Write;
use std::time::Duration;

use meseta_config::Config;

use crate::instance::{ListenerRecord, ProcessIdentity, Record, StateDir};
use crate::running::{Facts, InService, MissingKey, Reloads};
use crate::terminal::Terminal;

/// A few lines about an instance that has just started with a configuration.
pub fn of_running(record: &Record, config: Option<&Config>, state: &StateDir) -> String {
    let facts = config.and_then(|config| Facts::of(&config.redacted()).ok());
    let mut rows = Rows::default();
    rows.listeners(&record.listeners);
    if let Some(facts) = &facts {
        rows.facts(facts);
    }
    rows.places(record, state);
    rows.under(&format!(
        "meseta is running (pid {})",
        record.supervisor.pid
    ))
}

/// The same about one that has been running, with its processes. Without `service` it did not answer.
pub fn of_status(record: &Record, service: Option<&InService>, state: &StateDir) -> String {
    let mut rows = Rows::default();
    match service {
        Some(service) => {
            rows.listeners(&service.listeners);
            rows.facts(&service.facts);
        }
        None => rows.listeners(&record.listeners),
    }
    for (name, process) in [("server", &record.server), ("envoy", &record.envoy)] {
        if let Some(process) = process {
            rows.add(name, life(process));
        }
    }
    rows.places(record, state);
    rows.under(&format!("meseta is running ({})", life(&record.supervisor)))
}

/// Says when the files hold something else than what is in service.
pub fn warn_of_reloads(terminal: &Terminal, reloads: &Reloads, state: &StateDir) {
    let Some(last) = &reloads.last else {
        return;
    };
    if let Some(error) = &last.error {
        terminal.warning(&format!(
            "the configuration has changed and is not taken, the one before stays:\n{}",
            indented(error)
        ));
    }
    if !last.needs_restart.is_empty() {
        terminal.warning(&format!(
            "changed, and waiting for a restart (`meseta down{}`, then `meseta up`): {}",
            state.flag(),
            last.needs_restart.join(", ")
        ));
    }
}

fn indented(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(|line| format!("  {line}")).collect();
    lines.join("\n")
}

/// Lines of a name and a value, in columns.
#[derive(Default)]
struct Rows(Vec<(&'static str, String)>);

impl Rows {
    fn add(&mut self, name: &'static str, value: impl Into<String>) {
        self.0.push((name, value.into()));
    }

    fn listeners(&mut self, listeners: &[ListenerRecord]) {
        for listener in listeners {
            self.add(
                "listener",
                format!("{} at {}/v1", listener.name, listener.url),
            );
        }
    }

    fn facts(&mut self, facts: &Facts) {
        let active = facts.active();
        if active.is_empty() {
            self.add("providers", "none can be called");
        } else {
            self.add("providers", active.join(", "));
        }
        for key in facts.missing_keys() {
            self.add("missing key", missing(&key));
        }
        for (name, target) in facts.aliases() {
            self.add("alias", format!("{name} -> {target}"));
        }
    }

    /// Where the rest is to be found.
    fn places(&mut self, record: &Record, state: &StateDir) {
        if let Some(admin) = &record.admin {
            self.add("admin", format!("http://{admin}"));
        }
        self.add("configuration", record.config.display().to_string());
        self.add("logs", state.logs().display().to_string());
        self.add("stop with", format!("meseta down{}", state.flag()));
    }

    fn under(self, title: &str) -> String {
        let mut text = format!("{title}\n");
        for (name, value) in self.0 {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  {name:<14}{value}");
        }
        text
    }
}

fn missing(key: &MissingKey) -> String {
    let place = key.variable.as_deref().or(key.file.as_deref());
    format!("{} (provider {})", place.unwrap_or("a key"), key.provider)
}

/// `pid 7, for 3m 5s`, or that it has ended.
fn life(process: &ProcessIdentity) -> String {
    match process.age() {
        Some(age) => format!("pid {}, for {}", process.pid, in_words(age)),
        None => format!("pid {}, has ended", process.pid),
    }
}

/// The two largest units that count.
fn in_words(age: Duration) -> String {
    let seconds = age.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (1.., _, _) => format!("{days}d {}h", hours % 24),
        (0, 1.., _) => format!("{hours}h {}m", minutes % 60),
        (0, 0, 1..) => format!("{minutes}m {}s", seconds % 60),
        _ => format!("{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_has_the_two_largest_units_that_count() {
        let words = |seconds| in_words(Duration::from_secs(seconds));
        assert_eq!(words(0), "0s");
        assert_eq!(words(59), "59s");
        assert_eq!(words(185), "3m 5s");
        assert_eq!(words(3600), "1h 0m");
        assert_eq!(words(90_000), "1d 1h");
    }

    #[test]
    fn a_missing_key_is_named_by_its_variable_or_its_file() {
        let key = |variable: Option<&str>, file: Option<&str>| {
            missing(&MissingKey {
                provider: "openai".to_owned(),
                variable: variable.map(str::to_owned),
                file: file.map(str::to_owned),
            })
        };
        assert_eq!(key(Some("KEY"), None), "KEY (provider openai)");
        assert_eq!(key(None, Some("/k")), "/k (provider openai)");
        assert_eq!(key(None, None), "a key (provider openai)");
    }
}
