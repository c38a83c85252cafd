//! What is wrong with a configuration, and what is worth saying about one that is not.
//!
//! Invariant: neither ever holds a secret. Values of unknown keys are never shown, because the key
//! may be a misspelt `access_key`.

use std::fmt;
use std::path::PathBuf;

/// One thing that makes a configuration unusable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where: `model_providers[0].model`. Empty for the document as a whole.
    pub path: String,
    /// The value that is wrong, when it is a scalar and no secret.
    pub value: Option<String>,
    /// What is wrong with it.
    pub reason: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            f.write_str(&self.path)?;
            if let Some(value) = &self.value {
                write!(f, " = {value}")?;
            }
            f.write_str(": ")?;
        }
        f.write_str(&self.reason)?;
        if let Some(hint) = &self.hint {
            write!(f, " (hint: {hint})")?;
        }
        Ok(())
    }
}

/// All problems of a configuration, in the order in which the document has them. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// Something to tell the user of a configuration that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Where: `listeners[0].input_filters`.
    pub path: String,
    /// What there is to say.
    pub message: String,
    /// What kind of notice it is.
    pub kind: NoticeKind,
}

/// Kinds of [`Notice`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoticeKind {
    /// A key that is understood and has no effect yet.
    NotYetActive,
    /// Something dangerous or surprising.
    Warning,
    /// A provider cannot be called because its key is not there.
    MissingKey {
        /// The environment variable that would hold it.
        variable: String,
        /// The provider's name.
        provider: String,
    },
    /// A provider cannot be called because the file of its key is not there, or is empty.
    MissingKeyFile {
        /// The file that would hold it, absolute.
        path: PathBuf,
        /// The provider's name.
        provider: String,
    },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let label = match self.kind {
            NoticeKind::NotYetActive => "not yet active",
            NoticeKind::Warning => "warning",
            NoticeKind::MissingKey { .. } | NoticeKind::MissingKeyFile { .. } => "missing key",
        };
        write!(f, "{label}: {}: {}", self.path, self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_prints_path_value_reason_and_hint() {
        let problem = Problem {
            path: "server.drain_timeout".to_owned(),
            value: Some("soon".to_owned()),
            reason: "is not a duration".to_owned(),
            hint: Some("write `30s`".to_owned()),
        };
        let document = Problem {
            path: String::new(),
            value: None,
            reason: "the document is empty".to_owned(),
            hint: None,
        };
        assert_eq!(
            Problems(vec![problem, document]).to_string(),
            "server.drain_timeout = soon: is not a duration (hint: write `30s`)\n\
             the document is empty"
        );
    }
}
