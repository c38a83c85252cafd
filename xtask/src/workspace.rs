//! The workspace's folder, and writing into it.

use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{ensure, Context, Result};

/// The workspace's folder: where cargo says this package is, else where it was compiled.
pub fn workspace() -> Result<PathBuf> {
    let package = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    let workspace = package.parent().context("this package has no workspace")?;
    ensure!(
        workspace.join("Cargo.lock").is_file(),
        "no workspace at {}: run this as `cargo xtask`",
        workspace.display()
    );
    Ok(workspace.to_owned())
}

/// Writes a file by rename, so that a reader sees the old one or the new one.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", std::process::id()));
    let temporary = path.with_file_name(name);
    fs::write(&temporary, bytes)
        .and_then(|()| fs::rename(&temporary, path))
        .with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replacing_a_file_leaves_nothing_else_behind() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("page.md");
        replace(&path, b"one").unwrap();
        replace(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
