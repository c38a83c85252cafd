//! `meseta validate`: all problems of a configuration at once, or `ok` and its notices.

use std::path::PathBuf;

use anyhow::Result;

use crate::source::Source;
use crate::terminal::Terminal;

/// Arguments of `meseta validate`.
#[derive(Debug, clap::Args)]
pub struct Validate {
    /// Configuration file [default: meseta.yaml, plano_config.yaml or arch_config.yaml here]
    file: Option<PathBuf>,
}

impl Validate {
    /// Prints `ok` to standard output when the configuration can be used.
    pub fn run(self, terminal: &Terminal) -> Result<()> {
        let source = Source::find(self.file.as_deref())?;
        source.print_notices(terminal);
        source.print_unreadable(terminal);
        Ok(terminal.result("ok\n")?)
    }
}
