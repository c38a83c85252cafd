//! What is found while a document is read: problems, notices for when there are none, and the files
//! it refers to.
//!
//! Invariant: the value of a problem is that of a known, public key. [`Findings::secret_problem`]
//! and [`Findings::problem_at_key`] show none.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde_yaml::Value;

use super::document::{shown, type_of, Node};
use super::{positions, Source};
use crate::problem::{Notice, NoticeKind, Problem};

/// The longest value that is repeated in a message, in characters.
const LONGEST_VALUE: usize = 80;

/// Collects what is found.
pub(super) struct Findings<'e> {
    source: Source<'e>,
    problems: Vec<Problem>,
    notices: Vec<Notice>,
    files: Vec<PathBuf>,
}

/// Everything found, in the order of the document.
pub(super) struct Found {
    pub(super) problems: Vec<Problem>,
    pub(super) notices: Vec<Notice>,
    /// The files that were read or looked for, each once.
    pub(super) files: Vec<PathBuf>,
}

impl<'e> Findings<'e> {
    pub(super) fn new(source: &Source<'e>) -> Self {
        Self {
            source: *source,
            problems: Vec::new(),
            notices: Vec::new(),
            files: Vec::new(),
        }
    }

    /// The value of a variable; one that is set to nothing counts as not set.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        (self.source.env)(name).filter(|value| !value.trim().is_empty())
    }

    /// A path of the document, absolute.
    pub(super) fn absolute(&self, path: &str) -> PathBuf {
        self.source.dir.join(path)
    }

    /// The content of a file, which is noted as one that matters.
    pub(super) fn content(&mut self, path: &Path) -> std::io::Result<String> {
        if !self.files.iter().any(|known| known == path) {
            self.files.push(path.to_owned());
        }
        (self.source.file)(path)
    }

    /// A problem with a value.
    pub(super) fn problem(&mut self, node: &Node<'_>, reason: impl Into<String>) {
        self.push(node.path.clone(), value(node), reason.into(), None);
    }

    /// A problem with a value and what to do about it.
    pub(super) fn problem_with(
        &mut self,
        node: &Node<'_>,
        reason: impl Into<String>,
        hint: impl Into<String>,
    ) {
        let hint = Some(hint.into());
        self.push(node.path.clone(), value(node), reason.into(), hint);
    }

    /// A problem with a value that may be secret: it is not shown.
    pub(super) fn secret_problem(
        &mut self,
        node: &Node<'_>,
        reason: impl Into<String>,
        hint: Option<String>,
    ) {
        self.push(node.path.clone(), None, reason.into(), hint);
    }

    /// A problem with a key: its value is not shown, because nobody knows what it is.
    pub(super) fn problem_at_key(
        &mut self,
        node: &Node<'_>,
        reason: impl Into<String>,
        hint: Option<String>,
    ) {
        self.push(node.path.clone(), None, reason.into(), hint);
    }

    /// A value of the wrong type. Only its type is shown.
    pub(super) fn wrong_type(&mut self, node: &Node<'_>, wanted: &str) {
        let reason = format!("must be {wanted}, not {}", type_of(node.value));
        self.push(node.path.clone(), None, reason, None);
    }

    /// A key that is understood and has no effect yet.
    pub(super) fn not_yet_active(&mut self, node: &Node<'_>) {
        self.notices.push(Notice {
            path: node.path.clone(),
            message: "understood, without effect in this version".to_owned(),
            kind: NoticeKind::NotYetActive,
        });
    }

    /// Something dangerous or surprising.
    pub(super) fn warning(&mut self, node: &Node<'_>, message: impl Into<String>) {
        self.notices.push(Notice {
            path: node.path.clone(),
            message: message.into(),
            kind: NoticeKind::Warning,
        });
    }

    /// The same, for what would be said again of every entry.
    pub(super) fn warning_once(&mut self, node: &Node<'_>, message: impl Into<String>) {
        let message = message.into();
        if !self.notices.iter().any(|notice| notice.message == message) {
            self.warning(node, message);
        }
    }

    /// A provider's key is not there. Said once for each provider and variable.
    pub(super) fn missing_key(&mut self, node: &Node<'_>, variable: &str, provider: &str) {
        let kind = NoticeKind::MissingKey {
            variable: variable.to_owned(),
            provider: provider.to_owned(),
        };
        let lack = format!("`{variable}` is not set");
        self.missing(node, lack, provider, kind);
    }

    /// The file of a provider's key is not there, or is empty. Said once for each provider and file.
    pub(super) fn missing_key_file(
        &mut self,
        node: &Node<'_>,
        path: &Path,
        lack: &str,
        provider: &str,
    ) {
        let kind = NoticeKind::MissingKeyFile {
            path: path.to_owned(),
            provider: provider.to_owned(),
        };
        self.missing(node, lack.to_owned(), provider, kind);
    }

    fn missing(&mut self, node: &Node<'_>, lack: String, provider: &str, kind: NoticeKind) {
        if self.notices.iter().any(|notice| notice.kind == kind) {
            return;
        }
        self.notices.push(Notice {
            path: node.path.clone(),
            message: format!("{lack}: provider `{provider}` cannot be called"),
            kind,
        });
    }

    /// Everything found, in the order of the document.
    pub(super) fn in_order_of(mut self, document: &Value) -> Found {
        let places = positions(document);
        self.problems
            .sort_by_cached_key(|problem| place(&places, &problem.path));
        self.problems.dedup();
        self.notices
            .sort_by_cached_key(|notice| place(&places, &notice.path));
        Found {
            problems: self.problems,
            notices: self.notices,
            files: self.files,
        }
    }

    fn push(&mut self, path: String, value: Option<String>, reason: String, hint: Option<String>) {
        self.problems.push(Problem {
            path,
            value,
            reason,
            hint,
        });
    }
}

fn value(node: &Node<'_>) -> Option<String> {
    let text = shown(node.value)?;
    let mut characters = text.chars();
    let start: String = characters.by_ref().take(LONGEST_VALUE).collect();
    Some(if characters.next().is_some() {
        format!("{start}…")
    } else {
        start
    })
}

/// The place of a path, or of the nearest one above it that is in the document.
fn place(places: &HashMap<String, usize>, path: &str) -> usize {
    let mut path = path;
    loop {
        if let Some(place) = places.get(path) {
            return *place;
        }
        match path.rfind(['.', '[']).and_then(|end| path.get(..end)) {
            Some(above) => path = above,
            None => return 0,
        }
    }
}
