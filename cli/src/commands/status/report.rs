//! What `meseta status --json` prints. Programs read it: fields may be added, none renamed, removed or given another meaning.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::instance::{ListenerRecord, Phase, ProcessIdentity, Record, StateDir};
use crate::running::{InService, MissingKey, Reload};

/// The whole of it; the fields are described where the user finds them, in the help of `--json`.
#[derive(Debug, Serialize)]
pub struct Report {
    phase: &'static str,
    state_dir: String,
    logs: String,
    configuration: Option<String>,
    processes: Processes,
    listeners: Vec<ListenerRecord>,
    admin: Option<String>,
    providers: Option<Providers>,
    aliases: Option<BTreeMap<String, String>>,
    default_model: Option<String>,
    generation: Option<u64>,
    last_reload: Option<Reload>,
    last_words: Vec<String>,
}

#[derive(Debug, Default, Serialize)]
struct Processes {
    supervisor: Option<Process>,
    server: Option<Process>,
    envoy: Option<Process>,
}

#[derive(Debug, Serialize)]
struct Process {
    pid: u32,
    alive: bool,
    uptime_seconds: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Providers {
    active: Vec<String>,
    missing_keys: Vec<MissingKey>,
}

impl Report {
    /// Of an instance that runs, starts or stops; without `service` it did not answer.
    pub fn of(record: &Record, service: Option<InService>, state: &StateDir) -> Self {
        let facts = service.as_ref().map(|service| &service.facts);
        Self {
            phase: match record.phase {
                Phase::Starting => "starting",
                Phase::Ready => "ready",
                Phase::Stopping => "stopping",
            },
            configuration: Some(record.config.display().to_string()),
            processes: Processes {
                supervisor: Some(process(&record.supervisor)),
                server: record.server.as_ref().map(process),
                envoy: record.envoy.as_ref().map(process),
            },
            admin: record.admin.as_ref().map(|admin| format!("http://{admin}")),
            providers: facts.map(|facts| Providers {
                active: facts.active().into_iter().map(str::to_owned).collect(),
                missing_keys: facts.missing_keys(),
            }),
            aliases: facts.map(|facts| {
                let aliases = facts.aliases();
                aliases
                    .map(|(name, target)| (name.to_owned(), target.to_owned()))
                    .collect()
            }),
            default_model: facts.and_then(|facts| facts.default_model().map(str::to_owned)),
            generation: service.as_ref().map(|service| service.reloads.generation),
            last_reload: service
                .as_ref()
                .and_then(|service| service.reloads.last.clone()),
            listeners: match service {
                Some(service) => service.listeners,
                None => record.listeners.clone(),
            },
            ..Self::of_nothing(state, None)
        }
    }

    /// Of a state directory in which nothing runs.
    pub fn of_nothing(state: &StateDir, last_words: Option<Vec<String>>) -> Self {
        Self {
            phase: "stopped",
            state_dir: state.path().display().to_string(),
            logs: state.logs().display().to_string(),
            configuration: None,
            processes: Processes::default(),
            listeners: Vec::new(),
            admin: None,
            providers: None,
            aliases: None,
            default_model: None,
            generation: None,
            last_reload: None,
            last_words: last_words.unwrap_or_default(),
        }
    }
}

fn process(identity: &ProcessIdentity) -> Process {
    let age = identity.age();
    Process {
        pid: identity.pid,
        alive: age.is_some(),
        uptime_seconds: age.map(|age| age.as_secs()),
    }
}
