//! What translation keeps, between each two APIs: measured, not written down.
//!
//! For each feature there is a probe: a small request, answer, stream or error that has it. The
//! probe is written in one API and read back; what that API itself does not keep, it does not have.
//! Then it is translated, read in the other API, and compared. What comes of it is a [`Verdict`].
//!
//! This is the judge of translations (`translate/judge.rs`) over samples that are part of the
//! program, so that [`table`] needs no recordings. It is pure: the same program gives the same table.

mod answers;
mod embeddings;
mod errors;
mod probe;
mod requests;
mod streams;

use std::collections::BTreeMap;

use crate::apis::SupportedUpstreamAPIs as Api;

/// All that was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// The features, by what they are features of.
    pub groups: Vec<Group>,
}

/// Features of the same kind of document.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// What they are features of: `Requests`.
    pub title: &'static str,
    /// Which way the documents go.
    pub direction: Direction,
    /// The APIs that are compared, each with each other.
    pub apis: Vec<Api>,
    /// The features.
    pub features: Vec<Feature>,
}

/// Which way documents go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the client's API to the provider's.
    ToProvider,
    /// From the provider's API to the client's.
    ToClient,
}

/// Something that an API may have.
#[derive(Debug, Clone, PartialEq)]
pub struct Feature {
    /// Its name, for people.
    pub name: &'static str,
    verdicts: BTreeMap<(Api, Api), Verdict>,
}

impl Feature {
    /// What becomes of it on the way from one API to another; `None` where the first one does not
    /// have it.
    pub fn verdict(&self, from: Api, to: Api) -> Option<&Verdict> {
        self.verdicts.get(&(from, to))
    }
}

/// What becomes of a feature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It means the same, and nothing is lost.
    Works,
    /// It is kept in part, or something beside it is lost: for these reasons.
    Lossy(Vec<&'static str>),
    /// It is left out, for these reasons.
    Impossible(Vec<&'static str>),
    /// It differs and nothing is told: a defect, of which a test holds that there is none.
    Untold {
        /// What it was.
        before: String,
        /// What it has become.
        after: String,
    },
}

/// Measures what translation keeps.
pub fn table() -> Table {
    let mut groups = requests::groups();
    groups.extend([answers::group(), errors::group()]);
    groups.extend(embeddings::groups());
    Table { groups }
}

/// The APIs of conversations.
fn conversations() -> Vec<Api> {
    let all = Api::ALL.into_iter();
    all.filter(|api| api.has_codec()).collect()
}

#[cfg(test)]
mod tests;
