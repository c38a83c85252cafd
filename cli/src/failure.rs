//! How a command ends badly: what is said, what the user can do, and the exit code.
//!
//! Owns the exit codes: 1 for what went wrong while running, 2 for what the user wrote (arguments, configuration),
//! 3 for `status` and `targets` when nothing runs and for `logs` when there are none. Must never carry a secret.

use std::fmt;
use std::process::ExitCode;

use meseta_config::Problems;

use crate::terminal::Terminal;

/// Every exit code, and when a command ends with it.
pub const EXIT_CODES: [(u8, &str); 4] = [
    (0, "done; for `status`: an instance serves"),
    (1, "something went wrong while running"),
    (2, "the arguments or the configuration are wrong"),
    (
        3,
        "for `status`, `targets` and `limits explain`: nothing runs; for `logs`: there are none; for `translate`: something was lost",
    ),
];

/// A failure with an exit code and, where the user can act, a hint.
#[derive(Debug)]
pub struct Failure {
    code: u8,
    message: String,
    hint: Option<String>,
    problems: Option<Problems>,
}

impl Failure {
    /// Something went wrong while running: exit code 1.
    pub fn run(message: impl Into<String>) -> Self {
        Self::new(1, message)
    }

    /// The arguments or the configuration are wrong: exit code 2.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(2, message)
    }

    /// Nothing runs that could be asked, or nothing was logged: exit code 3, as service managers have it.
    pub fn not_running(message: impl Into<String>) -> Self {
        Self::new(3, message)
    }

    /// The configuration named `source` cannot be used: exit code 2, every problem printed.
    pub fn problems(source: impl Into<String>, problems: Problems) -> Self {
        Self {
            problems: Some(problems),
            ..Self::new(2, source)
        }
    }

    /// Another process has told the user already: exit code 1, nothing more is printed.
    pub fn reported() -> Self {
        Self::new(1, "")
    }

    /// A translation has lost something, which has been told: exit code 3.
    pub fn lossy() -> Self {
        Self::new(3, "")
    }

    /// The command needs the filter and this build has none: exit code 1.
    pub fn no_filter() -> Self {
        Self::run(crate::filter::ABSENT)
    }

    /// The same failure with what the user can do about it.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    fn new(code: u8, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            hint: None,
            problems: None,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// Everything that [`report`] would print, as one text.
pub fn in_full(error: &anyhow::Error) -> String {
    match error.downcast_ref::<Failure>() {
        Some(failure) => match &failure.problems {
            Some(problems) => format!("{}\n{problems}", failure.message),
            None => failure.message.clone(),
        },
        None => format!("{error:#}"),
    }
}

/// Prints why a command failed and gives the exit code of the process.
pub fn report(terminal: &Terminal, error: &anyhow::Error) -> ExitCode {
    let Some(failure) = error.downcast_ref::<Failure>() else {
        terminal.error(&format!("{error:#}"));
        return ExitCode::from(1);
    };
    match &failure.problems {
        Some(problems) => terminal.problems(&failure.message, problems),
        None if failure.message.is_empty() => {}
        None => terminal.error(&failure.message),
    }
    if let Some(hint) = &failure.hint {
        terminal.hint(hint);
    }
    ExitCode::from(failure.code)
}
