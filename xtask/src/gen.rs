//! `cargo xtask gen`: the pages of `docs/reference/` that follow from code.
//!
//! Owns which files there are; what is in them comes from `meseta reference`. With `--check`
//! nothing is written, and a page that would change is a failure.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{bail, Context, Result};

use crate::workspace::{replace, workspace};

/// Where the pages are.
const DIRECTORY: &str = "docs/reference";

/// The pages: the file, and what `meseta reference` calls it.
const PAGES: [(&str, &str); 5] = [
    ("configuration.md", "configuration"),
    ("cli.md", "cli"),
    ("providers.md", "providers"),
    ("capabilities.md", "capabilities"),
    ("meseta.schema.json", "schema"),
];

/// What the command takes.
#[derive(clap::Args)]
pub struct Options {
    /// Write nothing; fail when a page is not what the code says
    #[arg(long)]
    check: bool,
}

/// Writes the pages that changed, or with `--check` names them.
pub fn run(options: &Options) -> Result<()> {
    let workspace = workspace()?;
    let directory = workspace.join(DIRECTORY);
    let mut stale = Vec::new();
    for (file, page) in PAGES {
        let text = rendered(&workspace, page)?;
        if !is_current(&directory.join(file), &text) {
            stale.push((file, text));
        }
    }
    if options.check {
        return current(&stale);
    }
    fs::create_dir_all(&directory).with_context(|| format!("cannot make {DIRECTORY}"))?;
    for (file, text) in &stale {
        replace(&directory.join(file), text)?;
        say(&format!("{DIRECTORY}/{file}: written"));
    }
    if stale.is_empty() {
        say(&format!("{DIRECTORY}: up to date"));
    }
    Ok(())
}

/// What the program says a page is.
fn rendered(workspace: &Path, page: &str) -> Result<Vec<u8>> {
    // The variable is cargo's own: the cargo that runs this.
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .current_dir(workspace)
        .args(["run", "--quiet", "--package", "meseta", "--"])
        .args(["reference", page])
        .stderr(std::process::Stdio::inherit())
        .output()
        .context("cannot run cargo")?;
    if !output.status.success() {
        bail!("`meseta reference {page}` failed: {}", output.status);
    }
    Ok(output.stdout)
}

fn is_current(file: &Path, text: &[u8]) -> bool {
    fs::read(file).is_ok_and(|known| known == text)
}

/// Fails when there are pages that would change.
fn current(stale: &[(&str, Vec<u8>)]) -> Result<()> {
    if stale.is_empty() {
        say(&format!("{DIRECTORY}: up to date"));
        return Ok(());
    }
    let names: Vec<_> = stale
        .iter()
        .map(|(file, _)| format!("{DIRECTORY}/{file}"))
        .collect();
    bail!(
        "not what the code says: {} (run `make gen`)",
        names.join(", ")
    );
}

#[allow(clippy::print_stdout, reason = "the command's answer to its user")]
fn say(line: &str) {
    println!("{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_current_when_it_is_there_and_the_same() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("page.md");
        assert!(!is_current(&file, b"one"));
        fs::write(&file, "one").unwrap();
        assert!(is_current(&file, b"one"));
        assert!(!is_current(&file, b"two"));
    }

    #[test]
    fn stale_pages_are_named() {
        assert!(current(&[]).is_ok());
        let stale = [("cli.md", Vec::new()), ("providers.md", Vec::new())];
        let error = current(&stale).unwrap_err().to_string();
        assert!(
            error.contains("docs/reference/cli.md, docs/reference/providers.md"),
            "{error}"
        );
    }
}
