//! The name of a provider.

use std::fmt;
use std::str::FromStr;

use super::catalogue;

/// A provider of the catalogue, by its canonical name.
///
/// Made from a name ([`FromStr`]): canonical names and synonyms are taken, in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProviderId(&'static str);

impl ProviderId {
    /// Only the catalogue makes names.
    pub(super) fn new(name: &'static str) -> Self {
        Self(name)
    }

    /// The canonical name.
    pub fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for ProviderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// There is no provider of this name in the catalogue.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown provider `{name}`")]
pub struct UnknownProvider {
    /// The name that was looked for.
    pub name: String,
}

impl FromStr for ProviderId {
    type Err = UnknownProvider;

    fn from_str(name: &str) -> Result<Self, UnknownProvider> {
        match catalogue().named(name) {
            Some(entry) => Ok(entry.id),
            None => Err(UnknownProvider {
                name: name.to_owned(),
            }),
        }
    }
}
