//! What is lost in translation, and why.

use std::fmt;

use serde_json::json;

use super::{Extension, Pointer};

/// Something that the target API has no place for, or has it only in another form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// Where it was, as a JSON Pointer into the source; of a stream, into the answer that it adds
    /// up to.
    pub path: Pointer,
    /// What kind of loss it is.
    pub kind: LossKind,
    /// Why, for people. Never holds content.
    pub reason: &'static str,
}

/// Kinds of losses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LossKind {
    /// The target has no such thing: it is left out.
    Dropped,
    /// The target has something near: the meaning is kept in part.
    Approximated,
}

impl LossKind {
    /// `dropped` or `approximated`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dropped => "dropped",
            Self::Approximated => "approximated",
        }
    }
}

impl Loss {
    /// One line of JSON: `{"path", "kind", "reason"}`.
    pub fn to_json(&self) -> String {
        json!({"path": self.path, "kind": self.kind.as_str(), "reason": self.reason}).to_string()
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.path, self.reason, self.kind.as_str())
    }
}

/// Collects losses, in the order in which they are found; each path and reason once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Losses(Vec<Loss>);

impl Losses {
    /// None so far.
    pub fn new() -> Self {
        Self::default()
    }

    /// The target has no such thing.
    pub fn dropped(&mut self, path: impl Into<Pointer>, reason: &'static str) {
        self.push(path.into(), LossKind::Dropped, reason);
    }

    /// The target has something near.
    pub fn approximated(&mut self, path: impl Into<Pointer>, reason: &'static str) {
        self.push(path.into(), LossKind::Approximated, reason);
    }

    /// The target has no such thing, if it is there.
    pub fn dropped_setting<T>(&mut self, setting: Option<super::At<T>>, reason: &'static str) {
        if let Some(setting) = setting {
            self.dropped(setting.at, reason);
        }
    }

    /// Members that the target does not know.
    pub fn dropped_extensions(&mut self, extensions: Vec<Extension>) {
        for extension in extensions.into_iter().filter(Extension::matters) {
            self.dropped(extension.at, "the other API does not know this member");
        }
    }

    /// All of them.
    pub fn as_slice(&self) -> &[Loss] {
        &self.0
    }

    /// Whether nothing was lost.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds what another found.
    pub fn extend(&mut self, other: Self) {
        for loss in other.0 {
            self.push(loss.path, loss.kind, loss.reason);
        }
    }

    fn push(&mut self, path: Pointer, kind: LossKind, reason: &'static str) {
        let known = |loss: &Loss| loss.path == path && loss.reason == reason;
        if !self.0.iter().any(known) {
            self.0.push(Loss { path, kind, reason });
        }
    }
}
