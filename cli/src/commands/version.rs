//! `meseta version`: the version and what this build carries.

use anyhow::Result;
use sha2::{Digest, Sha256};

use crate::filter;
use crate::terminal::Terminal;

/// Arguments of `meseta version`: none.
#[derive(Debug, clap::Args)]
pub struct Version {}

impl Version {
    /// Prints `meseta <version>` and a line about the filter.
    pub fn run(self, terminal: &Terminal) -> Result<()> {
        let filter = match filter::embedded() {
            Some(wasm) => format!("{} bytes, sha256:{:x}", wasm.len(), Sha256::digest(wasm)),
            None => "none (run `cargo xtask wasm` and build again)".to_owned(),
        };
        let version = env!("CARGO_PKG_VERSION");
        Ok(terminal.result(&format!("meseta {version}\nfilter {filter}\n"))?)
    }
}
