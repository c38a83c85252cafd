//! `meseta limits`: the limits of a configuration, and where a request stands with those of a running server.
//!
//! Invariant: a key that is given stays in this process. It is looked up in the configuration, and the server is asked by
//! its name.

mod list;
mod standing;

use std::io::Read as _;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Subcommand;
use serde_json::{json, Map, Value};

use super::keys;
use super::targets::Place as Server;
use crate::failure::Failure;
use crate::running;
use crate::source::Source;
use crate::supervisor;
use crate::terminal::Terminal;
use standing::Explained;

/// The most that is read of standard input: no key is as long.
const LONGEST_KEY: u64 = 64 << 10;

/// Headers that carry keys.
const CREDENTIALS: [&str; 6] = [
    "authorization",
    "proxy-authorization",
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    "cookie",
];

/// The commands below `meseta limits`.
#[derive(Debug, Subcommand)]
pub enum Limits {
    /// List the limits of a configuration
    List(List),
    /// Ask a running server which limits a request falls under, and what is left of them
    ///
    /// Nothing is charged. The server is asked by the name of the key, which is looked up in the configuration; the key itself
    /// is sent nowhere.
    Explain(Box<Explain>),
}

#[derive(Debug, clap::Args)]
pub struct List {
    /// Configuration file [default: meseta.yaml, plano_config.yaml or arch_config.yaml here]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub struct Explain {
    /// The key that the client presents; `-` reads it from standard input, where no list of processes shows it
    #[arg(
        long,
        value_name = "KEY",
        conflicts_with = "consumer",
        allow_hyphen_values = true
    )]
    key: Option<String>,
    /// Who asks: the name of a key, or what `consumer` of the configuration finds
    #[arg(long, value_name = "NAME")]
    consumer: Option<String>,
    /// What is asked for: a name of `models`, an alias, a model [default: the configuration's]
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
    /// A header of the request
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<(String, String)>,
    /// A claim that a filter in front has left, such as `jwt_payload.sub=u-1`
    #[arg(long = "claim", value_name = "PATH=VALUE", value_parser = claim)]
    claims: Vec<(String, String)>,
    /// The listener that the request comes to
    #[arg(long, value_name = "NAME")]
    listener: Option<String>,
    /// Configuration file in which the key is looked up [default: meseta.yaml, plano_config.yaml or arch_config.yaml here]
    #[arg(long, value_name = "FILE", requires = "key")]
    config: Option<PathBuf>,
    #[command(flatten)]
    server: Server,
    /// Print JSON, for programs: what the admin port answers at `/limits/explain`
    ///
    /// `meter`; `consumer`; `by_key`; `listener`; `model`; `pool`; `refused` (why such a request does not come as far as its
    /// limits); `cases` (each `targets`: those of the model for which the same holds; `no_figures`: why they are not known;
    /// `rules`: each `rule`, `unit`, `limit`, `per`, `burst`, `matches`, `reasons` (why not: each `part`, `text`), `subject`
    /// (whose count: `kind`, `value`), `remaining`, `resets_s`). What is not known or does not apply is null.
    #[arg(long, verbatim_doc_comment)]
    json: bool,
}

impl Limits {
    /// Exit code 0 when it is told, 2 when something of the question is not configured, 3 when no server runs.
    pub fn run(self, terminal: &Terminal) -> Result<()> {
        match self {
            Self::List(list) => list.run(terminal),
            Self::Explain(explain) => explain.run(terminal),
        }
    }
}

impl List {
    fn run(self, terminal: &Terminal) -> Result<()> {
        let source = Source::find(self.config.as_deref())?;
        Ok(terminal.result(&list::of(source.config()))?)
    }
}

impl Explain {
    fn run(self, terminal: &Terminal) -> Result<()> {
        self.refuse_keys()?;
        let question = self.question()?;
        let peer = self.server.find()?;
        let answer = supervisor::block_on(running::explain_limits(&peer, &question))?;
        if self.json {
            let text = serde_json::to_string_pretty(&answer)? + "\n";
            return Ok(terminal.result(&text)?);
        }
        let explained = Explained::read(&answer)?;
        terminal.result(&explained.table())?;
        for warning in explained.warnings() {
            terminal.warning(&warning);
        }
        Ok(())
    }

    /// Whether nothing that would be sent is a key: the admin port is plain HTTP.
    fn refuse_keys(&self) -> Result<()> {
        let is_carrier = |name: &str| CREDENTIALS.iter().any(|own| own.eq_ignore_ascii_case(name));
        let carries = self.headers.iter().any(|(name, _)| is_carrier(name));
        let pairs = self.headers.iter().chain(&self.claims);
        let mut texts = pairs.map(|(_, value)| value).chain(&self.consumer);
        if carries || texts.any(|text| keys::is_one_of_ours(text)) {
            return Err(Failure::usage("a key would be sent over plain HTTP")
                .hint(
                    "give it as `--key`: it is looked up here, and the server is asked by its name",
                )
                .into());
        }
        Ok(())
    }

    /// What the server is asked.
    fn question(&self) -> Result<Value> {
        let mut question = Map::new();
        let mut set = |name: &str, value: Value| question.insert(name.to_owned(), value);
        if let Some(key) = &self.key {
            set("key_name", self.name_of(key)?.into());
        }
        for (name, value) in [
            ("consumer", &self.consumer),
            ("model", &self.model),
            ("listener", &self.listener),
        ] {
            if let Some(value) = value {
                set(name, value.as_str().into());
            }
        }
        let headers = self.headers.iter();
        let headers = headers.map(|(name, value)| (name.clone(), Value::from(value.as_str())));
        set("headers", Value::Object(headers.collect()));
        let mut claims = Value::Object(Map::new());
        for (path, value) in &self.claims {
            put(&mut claims, path, value);
        }
        set("claims", claims);
        Ok(Value::Object(question))
    }

    /// The name of a key.
    fn name_of(&self, key: &str) -> Result<String> {
        let mut read = String::new();
        let key = match key {
            "-" => {
                let stdin = std::io::stdin().lock();
                let length = stdin.take(LONGEST_KEY).read_to_string(&mut read);
                length.context("cannot read the key from standard input")?;
                read.trim()
            }
            key => key,
        };
        let source = Source::find(self.config.as_deref())?;
        match source.config().key_of(key) {
            Some(key) => Ok(key.name.clone()),
            None => {
                let message = format!("{} has no such key", source.path().display());
                Err(Failure::usage(message)
                    .hint("`meseta keys list` lists those that there are; `--config` names another file")
                    .into())
            }
        }
    }
}

/// Puts a text where names with dots between them lead.
fn put(claims: &mut Value, path: &str, text: &str) {
    let (name, rest) = match path.split_once('.') {
        Some((name, rest)) => (name, Some(rest)),
        None => (path, None),
    };
    if !claims.is_object() {
        *claims = json!({});
    }
    let place = &mut claims[name];
    match rest {
        Some(rest) => put(place, rest, text),
        None => *place = text.into(),
    }
}

fn header(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((name, value)) if !name.trim().is_empty() => {
            Ok((name.trim().to_owned(), value.trim().to_owned()))
        }
        _ => Err("write `name: value`".to_owned()),
    }
}

fn claim(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((path, value)) if !path.is_empty() => Ok((path.to_owned(), value.to_owned())),
        _ => Err("write `path=value`".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_put_where_their_paths_lead() {
        let mut claims = json!({});
        for (path, text) in [("a.b", "1"), ("a.c.d", "2"), ("e", "3"), ("e.f", "4")] {
            put(&mut claims, path, text);
        }
        assert_eq!(
            claims,
            json!({"a": {"b": "1", "c": {"d": "2"}}, "e": {"f": "4"}})
        );
    }
}
