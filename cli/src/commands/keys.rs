//! `meseta keys`: keys for clients, as entries of a configuration file.
//!
//! Invariant: a key goes to standard output once, when it is made, and nowhere else.

mod entry;
mod file;
mod list;
mod text;

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use clap::Subcommand;
use meseta_config::{Config, Notice};

use crate::failure::Failure;
use crate::source::{self, Source};
use crate::terminal::Terminal;
use entry::{Entry, Key};
use file::{Change, KeyFile};

/// The commands below `meseta keys`.
#[derive(Debug, Subcommand)]
pub enum Keys {
    /// Make a key, and add an entry for it to the configuration
    ///
    /// Prints the key alone, once: only its SHA-256 is kept. The file is changed by an entry at the end of `keys`, and in no
    /// other byte; it is not changed when it would not load afterwards.
    Create(Create),
    /// List the keys of a configuration
    List(List),
    /// Take the entry of a key out of the configuration
    Revoke(Revoke),
}

#[derive(Debug, clap::Args)]
pub struct Create {
    /// Whom it is for: the consumer's name, unique
    name: String,
    /// What it may ask for: names of `models`, aliases, models, also with `*` [default: everything]
    #[arg(long, value_name = "MODEL,…", value_delimiter = ',')]
    models: Vec<String>,
    /// The limits of its own: names of `limits`
    #[arg(long, value_name = "LIMIT,…", value_delimiter = ',')]
    limits: Vec<String>,
    /// When it ends, such as `2030-01-01T00:00:00Z` [default: never]
    #[arg(long, value_name = "TIME", value_parser = time)]
    expires: Option<String>,
    /// What else is to be known of it; not secret
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,
    #[command(flatten)]
    place: Place,
    /// Change no file: print the entry to standard error
    #[arg(long)]
    print: bool,
}

#[derive(Debug, clap::Args)]
pub struct List {
    #[command(flatten)]
    place: Place,
    /// Print the hashes too
    #[arg(long)]
    hashes: bool,
}

#[derive(Debug, clap::Args)]
pub struct Revoke {
    /// The name of the entry
    name: String,
    #[command(flatten)]
    place: Place,
    /// Also take out the only entry, and leave a list of none, with which no key opens anything
    #[arg(long)]
    leave_none: bool,
}

#[derive(Debug, clap::Args)]
struct Place {
    /// Configuration file [default: meseta.yaml, plano_config.yaml or arch_config.yaml here]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Keys {
    /// Exit code 0 when it is done, 2 when the file or the arguments do not allow it.
    pub fn run(self, terminal: &Terminal) -> Result<()> {
        match self {
            Self::Create(create) => create.run(terminal),
            Self::List(list) => list.run(terminal),
            Self::Revoke(revoke) => revoke.run(terminal),
        }
    }
}

impl Create {
    fn run(self, terminal: &Terminal) -> Result<()> {
        let path = source::discover(self.place.config.as_deref())?;
        let print = self.print;
        let key = Key::new()?;
        let entry = self.entry(&key);
        match path {
            None if print => show(terminal, &key, &entry),
            None => Err(source::no_file().into()),
            Some(path) if print => {
                let file = KeyFile::read(&path)?;
                unused(file.source().config(), &entry.name)?;
                if let Some(edited) = text::add(file.text(), &entry) {
                    file.load(&edited)?;
                }
                show(terminal, &key, &entry)
            }
            Some(path) => add(terminal, &path, &key, &entry),
        }
    }

    fn entry(self, key: &Key) -> Entry {
        Entry {
            name: self.name,
            hash: key.hash(),
            models: self.models,
            limits: self.limits,
            expires: self.expires,
            labels: self.labels,
        }
    }
}

fn show(terminal: &Terminal, key: &Key, entry: &Entry) -> Result<()> {
    terminal.info(&entry.lines(2).join("\n"));
    Ok(terminal.result(&format!("{}\n", key.expose()))?)
}

fn add(terminal: &Terminal, path: &Path, key: &Key, entry: &Entry) -> Result<()> {
    let change = Change::begin(path)?;
    let file = KeyFile::read(path)?;
    let before = file.source().config();
    unused(before, &entry.name)?;
    let Some(edited) = text::add(file.text(), entry) else {
        show(terminal, key, entry)?;
        let message = format!(
            "`{}` is unchanged: its `keys` are written in a form that is not edited here",
            path.display()
        );
        return Err(Failure::usage(message)
            .hint("add the entry above to `keys`; the key for it has been printed")
            .into());
    };
    let after = file.load(&edited)?;
    change.finish(&edited)?;
    let name = &entry.name;
    terminal.info(&format!("added `{name}` to {}", path.display()));
    tell_changes(terminal, before, after.config());
    terminal
        .result(&format!("{}\n", key.expose()))
        .map_err(|error| {
            Failure::run(format!("the key of `{name}` cannot be printed: {error}"))
                .hint(format!("nobody has it: `meseta keys revoke {name}`"))
                .into()
        })
}

/// Says what else an entry more or less has changed.
fn tell_changes(terminal: &Terminal, before: &Config, after: &Config) {
    if !before.needs_consumer() {
        terminal.warning(
            "`keys` is new in this file: from now on each request needs a key, or what `consumer` names",
        );
    }
    for (old, new) in before.limits().iter().zip(after.limits()) {
        let name = new.rule.name();
        match (old.by_key, new.by_key) {
            (false, true) => terminal.warning(&format!(
                "the limit `{name}` was for all and is now for the keys alone that name it"
            )),
            (true, false) => terminal.warning(&format!(
                "no key names the limit `{name}` any more: it is for all now"
            )),
            _ => {}
        }
    }
    let is_new = |new: &&Notice| before.notices.iter().all(|old| old.message != new.message);
    let notices: Vec<Notice> = after.notices.iter().filter(is_new).cloned().collect();
    terminal.notices(&notices);
}

/// Whether no key has this name.
fn unused(config: &Config, name: &str) -> Result<()> {
    if config.keys().iter().all(|key| key.name != name) {
        return Ok(());
    }
    Err(
        Failure::usage(format!("there is a key for `{name}` already"))
            .hint("take another name, or `meseta keys revoke` that one first")
            .into(),
    )
}

impl List {
    fn run(self, terminal: &Terminal) -> Result<()> {
        let source = Source::find(self.place.config.as_deref())?;
        let shown = list::of(source.config(), now(), self.hashes);
        Ok(terminal.result(&shown)?)
    }
}

impl Revoke {
    fn run(self, terminal: &Terminal) -> Result<()> {
        let path = source::discover(self.place.config.as_deref())?;
        let path = path.ok_or_else(source::no_file)?;
        let change = Change::begin(&path)?;
        let file = KeyFile::read(&path)?;
        let (name, shown) = (&self.name, path.display());
        let keys = file.source().config().keys();
        let Some(place) = keys.iter().position(|key| key.name == *name) else {
            let message = format!("there is no key for `{name}` in {shown}");
            return Err(Failure::usage(message)
                .hint("`meseta keys list` lists those that there are")
                .into());
        };
        if keys.len() == 1 && !self.leave_none {
            let message = format!(
                "`{name}` has the only key: without `keys` whoever reaches a listener may use it"
            );
            return Err(Failure::usage(message)
                .hint("make another key first, or let none open anything: `--leave-none`")
                .into());
        }
        let Some(edited) = text::remove(file.text(), place) else {
            let message = format!(
                "`{shown}` is unchanged: its `keys` are written in a form that is not edited here"
            );
            return Err(Failure::usage(message)
                .hint(format!("take the entry of `{name}` out of `keys`"))
                .into());
        };
        let after = file.load(&edited)?;
        change.finish(&edited)?;
        terminal.info(&format!("removed `{name}` from {shown}"));
        tell_changes(terminal, file.source().config(), after.config());
        Ok(())
    }
}

/// Whether a text looks like a key that was made here.
pub fn is_one_of_ours(text: &str) -> bool {
    text.trim().starts_with(entry::PREFIX)
}

/// A time that is still to come, as it is written.
fn time(text: &str) -> Result<String, String> {
    let end = meseta_config::parse_time(text).map_err(|error| error.to_string())?;
    if end <= now() {
        return Err("has passed".to_owned());
    }
    Ok(text.trim().to_owned())
}

fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => {
            Ok((name.trim().to_owned(), value.to_owned()))
        }
        _ => Err("write `name=value`".to_owned()),
    }
}

/// In seconds since the unix epoch.
fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |since| since.as_secs())
}
