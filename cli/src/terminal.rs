//! What the user reads: results on standard output, everything about them (errors, warnings, progress) on standard error.
//!
//! Owns colour and layout. Must never be given a secret or prompt text: callers pass names of variables, paths and reasons.
//! Invariant: standard output carries only what a pipe would want (a rendering, `ok`, a summary).

use std::io::{self, IsTerminal, Write};

use meseta_config::{Notice, NoticeKind, Problems};

const RED: &str = "1;31";
const YELLOW: &str = "1;33";
const CYAN: &str = "1;36";
const BOLD: &str = "1";

/// The two standard streams of this process, with colour on standard error where a person reads it.
#[derive(Debug, Clone, Copy)]
pub struct Terminal {
    colour: bool,
}

impl Terminal {
    /// The process's own streams; colour unless `NO_COLOR` is set or standard error is not a terminal.
    pub fn standard() -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            colour: io::stderr().is_terminal() && !refused,
        }
    }

    /// Writes a result to standard output, byte for byte. A full disk or a closed pipe is the caller's error.
    pub fn result(&self, text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()
    }

    /// One line of progress or explanation.
    pub fn info(&self, text: &str) {
        self.err_line(text);
    }

    /// Something that works otherwise than the user may expect.
    pub fn warning(&self, text: &str) {
        self.err_line(&format!("{} {text}", self.paint(YELLOW, "warning:")));
    }

    /// Why the command failed.
    pub fn error(&self, text: &str) {
        self.err_line(&format!("{} {text}", self.paint(RED, "error:")));
    }

    /// What the user can do about it.
    pub fn hint(&self, text: &str) {
        self.err_line(&format!("{} {text}", self.paint(CYAN, "hint:")));
    }

    /// All problems of one configuration, in order: path, value, reason, hint.
    pub fn problems(&self, source: &str, problems: &Problems) {
        let count = problems.0.len();
        let noun = if count == 1 { "problem" } else { "problems" };
        self.error(&format!("{source}: {count} {noun}"));
        for problem in &problems.0 {
            // A problem of the file as a whole has no path.
            if !problem.path.is_empty() {
                let path = self.paint(BOLD, &problem.path);
                let value = match &problem.value {
                    Some(value) => format!(" = {value}"),
                    None => String::new(),
                };
                self.err_line(&format!("  {path}{value}"));
            }
            self.err_line(&format!("    {}", problem.reason));
            if let Some(hint) = &problem.hint {
                self.err_line(&format!("    {} {hint}", self.paint(CYAN, "hint:")));
            }
        }
    }

    /// What the configuration says without being wrong: features that do not exist yet, dangers, missing keys.
    pub fn notices(&self, notices: &[Notice]) {
        for notice in notices {
            let said = [notice.path.as_str(), notice.message.as_str()];
            let said: Vec<&str> = said.into_iter().filter(|part| !part.is_empty()).collect();
            let text = said.join(": ");
            match &notice.kind {
                NoticeKind::NotYetActive => {
                    let label = self.paint(CYAN, "not yet active:");
                    self.err_line(&format!("{label} {text}"));
                }
                NoticeKind::MissingKey { .. }
                | NoticeKind::MissingKeyFile { .. }
                | NoticeKind::Warning => self.warning(&text),
            }
        }
    }

    /// Writes to standard error; nobody can be told when that fails.
    fn err_line(&self, text: &str) {
        let _ = writeln!(io::stderr().lock(), "{text}");
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colour {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_is_only_written_when_asked_for() {
        assert_eq!(Terminal { colour: false }.paint(RED, "x"), "x");
        assert_eq!(
            Terminal { colour: true }.paint(RED, "x"),
            "\u{1b}[1;31mx\u{1b}[0m"
        );
    }
}
