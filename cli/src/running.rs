//! What a running instance has in service, asked of its server and of its Envoy.
//!
//! The files are not asked: they may have changed since, and the variables of this process may be others.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{bail, Context, Result};
use hyper::Method;
use meseta_config::AdminAddress;
use meseta_ext_proc::plain_http::{self, CallError, Peer};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::envoy::Admin;
use crate::failure::Failure;
use crate::instance::{reachable, ListenerRecord, Record, StateDir};

/// One question; the server answers at once or not at all.
const LIMIT: Duration = Duration::from_secs(2);
/// One question for which the server asks Envoy, once for each target that differs.
const LONGER: Duration = Duration::from_secs(20);

/// A configuration in service.
#[derive(Debug)]
pub struct InService {
    /// The configuration as the server prints it, without secrets.
    pub config: Value,
    /// What of it people ask for.
    pub facts: Facts,
    /// What became of changes of its files.
    pub reloads: Reloads,
    /// Where Envoy listens now.
    pub listeners: Vec<ListenerRecord>,
}

/// What people ask of a configuration.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Facts {
    listeners: Vec<ListenerFacts>,
    providers: Vec<ProviderFacts>,
    aliases: serde_json::Map<String, Value>,
    default: Option<String>,
}

#[derive(Debug, Deserialize)]
struct ListenerFacts {
    name: String,
    tls: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct ProviderFacts {
    name: String,
    #[serde(default)]
    lacks_key: bool,
    key_variable: Option<String>,
    key_file: Option<String>,
}

/// A provider that cannot be called, and what would hold its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MissingKey {
    /// The provider's name.
    pub provider: String,
    /// The environment variable, unless the key is to come from a file.
    pub variable: Option<String>,
    /// The file.
    pub file: Option<String>,
}

impl Facts {
    /// Those of a configuration as [`meseta_config::Config::redacted`] gives it.
    pub fn of(config: &Value) -> Result<Self> {
        Self::deserialize(config).context("the configuration in service cannot be read")
    }

    /// The providers that can be called, each once.
    pub fn active(&self) -> Vec<&str> {
        let callable = self.providers.iter().filter(|provider| !provider.lacks_key);
        let mut names: Vec<&str> = Vec::new();
        for provider in callable {
            if !names.contains(&provider.name.as_str()) {
                names.push(&provider.name);
            }
        }
        names
    }

    /// The providers that cannot be called, each place of a key once.
    pub fn missing_keys(&self) -> Vec<MissingKey> {
        let keyless = self.providers.iter().filter(|provider| provider.lacks_key);
        let mut missing: Vec<MissingKey> = Vec::new();
        for provider in keyless {
            let file = provider.key_file.clone();
            let variable = provider.key_variable.clone().filter(|_| file.is_none());
            let key = MissingKey {
                provider: provider.name.clone(),
                variable,
                file,
            };
            if !missing.contains(&key) {
                missing.push(key);
            }
        }
        missing
    }

    /// Other names of models, and what they stand for.
    pub fn aliases(&self) -> impl Iterator<Item = (&str, &str)> {
        let aliases = self.aliases.iter();
        aliases.filter_map(|(name, target)| Some((name.as_str(), target.as_str()?)))
    }

    /// The model that a request without one gets.
    pub fn default_model(&self) -> Option<&str> {
        self.default.as_deref()
    }
}

/// What became of changes of the configuration's files.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Reloads {
    /// 1 for the configuration of the start, one more for each that was taken since.
    pub generation: u64,
    /// The last attempt, if there was one.
    #[serde(rename = "reload")]
    pub last: Option<Reload>,
}

/// One attempt to take a changed configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reload {
    /// When, in seconds since 1970.
    pub at: u64,
    /// Why it was not taken; null when it was.
    pub error: Option<String>,
    /// Settings that changed and need a restart.
    pub needs_restart: Vec<String>,
}

/// Asks a running instance for what it has in service.
pub async fn ask(record: &Record, state: &StateDir) -> Result<InService> {
    let admin = Peer::Tcp(admin(record)?);
    let config: Value = get(&admin, "/config").await?;
    let facts = Facts::of(&config)?;
    let envoy = Admin::at(AdminAddress::Unix(state.envoy_admin_socket()));
    let bound = envoy.listeners().await?;
    let mut listeners = Vec::new();
    for listener in &facts.listeners {
        let found = bound.iter().find(|(name, _)| *name == listener.name);
        listeners
            .extend(found.map(|(name, address)| {
                ListenerRecord::new(name, listener.tls.is_some(), *address)
            }));
    }
    Ok(InService {
        reloads: get(&admin, "/status").await?,
        config,
        facts,
        listeners,
    })
}

/// Where this machine reaches the admin port of an instance's server.
pub fn admin(record: &Record) -> Result<SocketAddr> {
    let admin = record.admin.as_deref();
    let admin = admin.context("it has no admin port yet")?;
    let admin: SocketAddr = admin.parse().context("its admin port is none")?;
    Ok(reachable(admin))
}

/// What a change of a target has led to.
#[derive(Debug, Deserialize)]
pub struct Changed {
    /// The target.
    pub target: String,
    /// How it is now.
    pub state: String,
    /// Whether it is out of service.
    pub drained: bool,
    /// How many attempts are under way.
    pub in_flight: u32,
    /// The names whose requests do not ask for that.
    pub direct: Vec<String>,
}

impl Changed {
    /// How it is now, in words.
    pub fn in_words(&self) -> String {
        let state = self.state.replace('_', " ");
        match (self.drained, self.in_flight) {
            (true, 1) => format!("{state}; 1 attempt is under way"),
            (true, under_way @ 2..) => format!("{state}; {under_way} attempts are under way"),
            _ => state,
        }
    }
}

/// How the targets of a server are, as its admin port tells it.
pub async fn targets(admin: &Peer) -> Result<Value> {
    let answer = plain_http::call(admin, Method::GET, "/targets", LIMIT).await;
    let answer = answer.map_err(|error| unreachable(admin, error))?;
    told(&answer, &TARGETS)
}

/// Which limits a request falls under and where they stand, as the server's admin port tells it.
pub async fn explain_limits(admin: &Peer, question: &Value) -> Result<Value> {
    let answer = plain_http::post(admin, "/limits/explain", question.to_string(), LONGER).await;
    let answer = answer.map_err(|error| unreachable(admin, error))?;
    told(&answer, &LIMITS)
}

/// Changes whether a target is in service: `drain` or `undrain`.
pub async fn change_target(admin: &Peer, change: &str, target: &str) -> Result<Changed> {
    let path = format!("/targets/{change}");
    let body = serde_json::json!({ "target": target }).to_string();
    let answer = plain_http::post(admin, &path, body, LIMIT).await;
    let answer = answer.map_err(|error| unreachable(admin, error))?;
    told(&answer, &TARGETS)
}

/// What the admin port is asked about.
struct Topic {
    name: &'static str,
    /// What to do where nothing resembles what was asked for.
    hint: &'static str,
}

const TARGETS: Topic = Topic {
    name: "targets",
    hint: "`meseta targets` lists those that there are",
};
const LIMITS: Topic = Topic {
    name: "limits",
    hint: "the server in service may have another configuration than the file",
};

fn unreachable(admin: &Peer, error: CallError) -> anyhow::Error {
    let Peer::Tcp(address) = admin else {
        return error.into();
    };
    let message = format!("no server answers at {address}: {error}");
    match error {
        CallError::Connection(_) => Failure::not_running(message).into(),
        _ => Failure::run(message)
            .hint("is it the admin port (`server.admin`)?")
            .into(),
    }
}

/// What the admin port says of a topic, or why it says nothing.
fn told<T: DeserializeOwned>(answer: &plain_http::Answer, topic: &Topic) -> Result<T> {
    #[derive(Deserialize)]
    struct Refusal {
        error: String,
        #[serde(default)]
        near: Vec<String>,
    }
    let name = topic.name;
    if answer.status.is_success() {
        return serde_json::from_slice(&answer.body).with_context(|| {
            format!("the server's admin port tells of {name} in a form that is not known")
        });
    }
    let Ok(refusal) = serde_json::from_slice::<Refusal>(&answer.body) else {
        let message = format!("the server does not tell of {name}: {}", answer.status);
        return Err(Failure::run(message)
            .hint("it is of another version, or what answers is not its admin port")
            .into());
    };
    let near: Vec<String> = refusal
        .near
        .iter()
        .map(|near| format!("`{near}`"))
        .collect();
    let hint = match near.is_empty() {
        true => topic.hint.to_owned(),
        false => format!("is it {}?", near.join(" or ")),
    };
    Err(Failure::usage(refusal.error).hint(hint).into())
}

async fn get<T: DeserializeOwned>(peer: &Peer, path: &str) -> Result<T> {
    let answer = plain_http::call(peer, Method::GET, path, LIMIT).await;
    let answer = answer.with_context(|| format!("the server's admin port: {path}"))?;
    if !answer.status.is_success() {
        bail!("the server's admin port: {path}: {}", answer.status);
    }
    serde_json::from_slice(&answer.body).with_context(|| format!("the server's admin port: {path}"))
}

/// Whether two configurations are the same but for what depends on the variables of the process that loaded them.
pub fn is_same(one: &Value, other: &Value) -> bool {
    let comparable = |config: &Value| {
        let mut config = config.clone();
        if let Some(config) = config.as_object_mut() {
            config.remove("notices");
        }
        let providers = config.get_mut("providers").and_then(Value::as_array_mut);
        for provider in providers.into_iter().flatten() {
            if let Some(provider) = provider.as_object_mut() {
                provider.remove("credential");
                provider.remove("lacks_key");
                provider.remove("key_variable");
            }
        }
        config
    };
    comparable(one) == comparable(other)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use meseta_config::Config;

    use super::*;

    fn config(text: &str, variables: &[&str]) -> Config {
        meseta_config::load(&meseta_config::Source {
            text,
            name: "any",
            env: &|name| variables.contains(&name).then(|| "sk-x".to_owned()),
            dir: Path::new("/c"),
            file: &|_| Err(std::io::ErrorKind::NotFound.into()),
        })
        .unwrap()
    }

    const TWO: &str = "\
model_providers:
  - {model: openai/gpt-4o, access_key: $OPENAI_API_KEY, default: true}
  - {model: openai/gpt-4o-mini, access_key: $OPENAI_API_KEY}
  - {model: anthropic/claude-sonnet-4-5, access_key_file: key}
  - {model: ollama/llama3.2, base_url: 'http://localhost:11434'}
  - {model: groq/x, access_key: $GROQ, passthrough_auth: true}
model_aliases: {fast: {target: openai/gpt-4o-mini}}
";

    #[test]
    fn facts_tell_who_can_be_called_and_what_is_missing() {
        let facts = Facts::of(&config(TWO, &["OPENAI_API_KEY"]).redacted()).unwrap();
        assert_eq!(facts.active(), ["openai", "ollama", "groq"]);
        let missing = facts.missing_keys();
        let [missing] = missing.as_slice() else {
            panic!("{missing:?}")
        };
        assert_eq!(missing.provider, "anthropic");
        assert_eq!(missing.file.as_deref(), Some("/c/key"));
        assert_eq!(missing.variable, None);
        let aliases: Vec<_> = facts.aliases().collect();
        assert_eq!(aliases, [("fast", "openai/gpt-4o-mini")]);
        assert_eq!(facts.default_model(), Some("openai/gpt-4o"));

        let facts = Facts::of(&config(TWO, &[]).redacted()).unwrap();
        let missing = facts.missing_keys();
        assert_eq!(
            missing.len(),
            2,
            "one variable is missing once: {missing:?}"
        );
        assert_eq!(missing[0].variable.as_deref(), Some("OPENAI_API_KEY"));
    }

    #[test]
    fn a_configuration_is_the_same_in_another_environment_and_another_with_another_alias() {
        let here = config(TWO, &["OPENAI_API_KEY"]).redacted();
        assert!(is_same(&here, &config(TWO, &[]).redacted()));
        let other = TWO.replace("fast:", "quick:");
        assert!(!is_same(
            &here,
            &config(&other, &["OPENAI_API_KEY"]).redacted()
        ));
    }

    #[test]
    fn the_servers_status_is_read_with_and_without_a_reload() {
        let none: Reloads =
            serde_json::from_str(r#"{"version":"0","generation":1,"reload":null}"#).unwrap();
        assert_eq!((none.generation, none.last), (1, None));
        let failed =
            r#"{"generation":2,"reload":{"at":9,"error":"x","needs_restart":["tracing"]}}"#;
        let failed: Reloads = serde_json::from_str(failed).unwrap();
        let last = failed.last.unwrap();
        assert_eq!((last.at, last.error.as_deref()), (9, Some("x")));
        assert_eq!(last.needs_restart, ["tracing"]);
    }
}
