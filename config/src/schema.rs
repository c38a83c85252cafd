//! The configuration language as data: every key with its type, default, meaning and an example.
//!
//! One table for everybody who has to know a key: the loader's check for unknown ones, the JSON
//! Schema for editors and the reference for readers. What a value means is still read by hand
//! (`load`), because only there can every problem be told with its place and a hint; tests hold
//! the two together.
//!
//! Invariants: the [`json_schema`] never refuses what the loader takes; each example loads; each
//! default that is told as a value is the one that counts.

mod json;
mod limits;
mod plano;
mod pools;
mod providers;
mod reference;
mod root;
mod settings;
#[cfg(test)]
mod tests;
mod walk;

pub use json::json_schema;
pub use reference::reference;

pub(crate) use limits::{CONSUMER, CONSUMER_KEY, LIMIT, LIMIT_MATCH};
pub(crate) use plano::{AMOUNT, RATELIMIT, SELECTOR};
pub(crate) use pools::{
    CONDITIONS, COOLDOWN, FAILOVER, MATCH, MIRROR, POOL, RULE, STICKY, TARGET, TIMEOUT,
};
pub(crate) use providers::{ALIAS, PROVIDER};
pub(crate) use root::{ROOT, VERSIONS};
pub(crate) use settings::{
    CORS, LEGACY_LISTENER, LEGACY_LISTENERS, LISTENER, OVERRIDES, SERVER, TLS, TRACING,
};

/// A map with fixed keys.
#[derive(Debug)]
pub(crate) struct Object {
    /// Its name in the JSON Schema, unique: `model listener`.
    pub(crate) title: &'static str,
    /// What it is for; whole sentences.
    pub(crate) about: &'static str,
    /// Every key that is known, in the order in which messages and the reference list them.
    pub(crate) keys: &'static [Key],
    /// When its values are not read.
    pub(crate) idle: Option<Idle>,
}

/// With one of these values of a key, the other values of the object are not read.
#[derive(Debug)]
pub(crate) struct Idle {
    pub(crate) key: &'static str,
    pub(crate) values: &'static [&'static str],
}

/// A key of an [`Object`].
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// One or two sentences for users.
    pub(crate) about: &'static str,
    pub(crate) absence: Absence,
    /// YAML of an object that has this key, with whatever else the object needs.
    pub(crate) example: &'static str,
    pub(crate) status: Status,
    pub(crate) origin: Origin,
    /// What to write instead, when the key is an old spelling.
    pub(crate) replaced_by: Option<&'static str>,
}

/// What counts when a key is absent.
#[derive(Debug)]
pub(crate) enum Absence {
    /// Nothing in particular.
    Nothing,
    /// This value, as YAML.
    Value(&'static str),
    /// What this text says.
    Means(&'static str),
    /// The key must be there.
    Refused,
}

/// What a key does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// It has effect.
    Read,
    /// It is taken without a word and there is nothing for it to do.
    Needless,
    /// Plano's, understood, without effect so far.
    NotYetActive,
    /// Ours, refused until it is built.
    NotBuilt,
}

/// Whose key it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Plano has it too, with the same meaning.
    Plano,
    /// Ours alone.
    Meseta,
}

/// What a value is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// Anything.
    Any,
    /// A text that is not empty.
    Text,
    /// A text, number or flag, taken as it is written.
    Scalar,
    /// A list of texts.
    Texts,
    /// `true` or `false`.
    Flag,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// A number from 0 to 100.
    Percentage,
    /// The same, or a text with `%`.
    Share,
    /// A TCP port.
    Port,
    /// `30s`.
    Duration,
    /// `32MiB`, from one byte to one GiB.
    Size,
    /// An IP address of this machine.
    Ip,
    /// An IP address with a port.
    Socket,
    /// `unix:PATH` or `tcp:ADDRESS:PORT`.
    Listen,
    /// `direct`, `envoy` or `unix:PATH`.
    Egress,
    /// The permissions of a socket, in octal digits.
    Mode,
    /// An `http` or `https` address.
    Url,
    /// The path of a file.
    Path,
    /// A key or what refers to one.
    Secret,
    /// `sha256:` and 64 hexadecimal digits.
    Hash,
    /// A time with its offset to UTC.
    Time,
    /// `provider/model`.
    Model,
    /// A provider of the catalogue.
    Interface,
    /// `*`, or a list of the origins of web pages.
    Origins,
    /// A list of statuses and of what else is a failure.
    Conditions,
    /// A duration, or `p50` to `p99`.
    Hedge,
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// The same, with spaces around it as an error and an empty text as absence.
    Version(&'static [&'static str]),
    /// A list.
    List(&'static Kind),
    /// A map whose names are the user's.
    Map(&'static Named),
    /// A map with fixed keys.
    Object(&'static Object),
    /// Any of these.
    Either(&'static [Kind]),
}

/// The entries of a map whose names are the user's.
#[derive(Debug)]
pub(crate) struct Named {
    /// What a name is: `ALIAS`.
    pub(crate) name: &'static str,
    /// A name.
    pub(crate) example: &'static str,
    pub(crate) value: Kind,
}

impl Object {
    pub(crate) const fn new(
        title: &'static str,
        about: &'static str,
        keys: &'static [Key],
    ) -> Self {
        Self {
            title,
            about,
            keys,
            idle: None,
        }
    }

    /// With one of these values of `key`, nothing of the object is read.
    pub(crate) const fn idle_when(
        mut self,
        key: &'static str,
        values: &'static [&'static str],
    ) -> Self {
        self.idle = Some(Idle { key, values });
        self
    }

    /// The key of this name.
    pub(crate) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

impl Key {
    /// A key of ours that has effect.
    pub(crate) const fn ours(name: &'static str, kind: Kind, about: &'static str) -> Self {
        Self {
            name,
            kind,
            about,
            absence: Absence::Nothing,
            example: "",
            status: Status::Read,
            origin: Origin::Meseta,
            replaced_by: None,
        }
    }

    /// A key that Plano has too and that has effect.
    pub(crate) const fn shared(name: &'static str, kind: Kind, about: &'static str) -> Self {
        let mut key = Self::ours(name, kind, about);
        key.origin = Origin::Plano;
        key
    }

    /// A key of Plano's without effect so far.
    pub(crate) const fn planos(name: &'static str, kind: Kind, about: &'static str) -> Self {
        let mut key = Self::shared(name, kind, about);
        key.status = Status::NotYetActive;
        key
    }

    /// A key of ours that is refused until it is built.
    pub(crate) const fn not_built(name: &'static str, about: &'static str) -> Self {
        let mut key = Self::ours(name, Kind::Any, about);
        key.status = Status::NotBuilt;
        key
    }

    /// It is taken without a word and there is nothing for it to do.
    pub(crate) const fn needless(mut self) -> Self {
        self.status = Status::Needless;
        self
    }

    /// It must be there.
    pub(crate) const fn required(mut self) -> Self {
        self.absence = Absence::Refused;
        self
    }

    /// The value that counts when it is absent, as YAML.
    pub(crate) const fn default(mut self, value: &'static str) -> Self {
        self.absence = Absence::Value(value);
        self
    }

    /// What counts when it is absent, in words.
    pub(crate) const fn otherwise(mut self, text: &'static str) -> Self {
        self.absence = Absence::Means(text);
        self
    }

    /// It is an old spelling: what to write instead.
    pub(crate) const fn replaced_by(mut self, name: &'static str) -> Self {
        self.replaced_by = Some(name);
        self
    }

    /// YAML of an object that has this key.
    pub(crate) const fn example(mut self, yaml: &'static str) -> Self {
        self.example = yaml;
        self
    }
}
