//! `cargo xtask wasm`: builds the filter and puts it where the binary embeds it from.
//!
//! The result is `meseta_meter.wasm` with a `meseta_meter.hash` beside it: the fingerprint of all
//! that went in and the digest of what came out. While both still hold, nothing is built.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{bail, ensure, Context, Result};
use sha2::{Digest, Sha256};

use crate::workspace::{replace, workspace};

mod fingerprint;
mod toolchain;

use toolchain::Toolchain;

/// The package that is the filter.
const PACKAGE: &str = "meseta-wasm";
/// What it is built for.
const TARGET: &str = "wasm32-wasip1";
/// What the results are called.
const FILTER: &str = "meseta_meter.wasm";
const RECORD: &str = "meseta_meter.hash";

/// The filter's own build profile. It is given on the command line because the workspace's release
/// profile is the server's. Full optimisation: to build for size saves an eighth of a file of
/// 320 KiB, and the filter runs for every exchange. Symbols go: they are nineteen twentieths of
/// the file.
const PROFILE: &str = "meter";
const PROFILE_SETTINGS: &[&str] = &[
    "profile.meter.inherits=\"release\"",
    "profile.meter.opt-level=3",
    "profile.meter.lto=\"fat\"",
    "profile.meter.codegen-units=1",
    "profile.meter.panic=\"abort\"",
    "profile.meter.debug=false",
    "profile.meter.strip=\"symbols\"",
];

/// What the command takes.
#[derive(clap::Args)]
pub struct Options {
    /// Which toolchain builds: one with the target installed, Debian's, or whichever is there
    #[arg(
        long,
        value_enum,
        env = "MESETA_WASM_TOOLCHAIN",
        default_value = "auto"
    )]
    toolchain: toolchain::Choice,
    /// Where the result goes [default: target/meter in the workspace]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Check the filter's code without building it: with clippy where the toolchain has it
    #[arg(long)]
    check: bool,
}

/// Builds the filter, or finds it built, and says which and how large it is.
pub fn run(options: &Options) -> Result<()> {
    let workspace = workspace()?;
    let toolchain = toolchain::find(options.toolchain)?;
    if options.check {
        return check(&workspace, &toolchain);
    }
    let out = match &options.out {
        Some(out) => out.clone(),
        None => workspace.join("target/meter"),
    };
    let fingerprint = fingerprint::of(&workspace, &toolchain)?;
    let filter = out.join(FILTER);
    let record = out.join(RECORD);
    let current = is_current(&filter, &record, &fingerprint);
    if !current {
        fs::create_dir_all(&out).with_context(|| format!("cannot make {}", out.display()))?;
        let bytes = build(&workspace, &toolchain)?;
        // The record goes first and comes back last, so that it never vouches for another file.
        match fs::remove_file(&record) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot remove {}", record.display()));
            }
            _ => {}
        }
        replace(&filter, &bytes)?;
        let line = format!("{fingerprint} {}\n", digest(&bytes));
        replace(&record, line.as_bytes())?;
    }
    let size = fs::metadata(&filter)?.len();
    say(&format!(
        "filter: {}, {} KiB, {} ({})",
        filter.display(),
        size.div_ceil(1024),
        if current { "up to date" } else { "built" },
        toolchain.name(),
    ));
    Ok(())
}

/// Whether `filter` is there, whole, and made from what `fingerprint` stands for.
fn is_current(filter: &Path, record: &Path, fingerprint: &str) -> bool {
    let (Ok(filter), Ok(record)) = (fs::read(filter), fs::read_to_string(record)) else {
        return false;
    };
    record.trim_end() == format!("{fingerprint} {}", digest(&filter))
}

/// Runs cargo and returns the module that it made.
fn build(workspace: &Path, toolchain: &Toolchain) -> Result<Vec<u8>> {
    let target_directory = workspace.join("target/wasm");
    let mut command = cargo(workspace, toolchain, "build");
    command.args(["--profile", PROFILE]);
    for setting in PROFILE_SETTINGS {
        command.args(["--config", setting]);
    }
    succeed(&mut command)?;
    let module = target_directory
        .join(TARGET)
        .join(PROFILE)
        .join(format!("{}.wasm", PACKAGE.replace('-', "_")));
    let bytes = fs::read(&module).with_context(|| format!("cannot read {}", module.display()))?;
    ensure!(
        bytes.starts_with(b"\0asm"),
        "{} is not a WebAssembly module",
        module.display()
    );
    Ok(bytes)
}

/// Checks the code that exists for the filter's target alone, which no native check sees.
fn check(workspace: &Path, toolchain: &Toolchain) -> Result<()> {
    let clippy = toolchain.has_clippy();
    let mut command = cargo(
        workspace,
        toolchain,
        if clippy { "clippy" } else { "check" },
    );
    if clippy {
        command.args(["--", "-D", "warnings"]);
    }
    succeed(&mut command)?;
    say(&format!(
        "filter: {} passes on {TARGET} ({})",
        if clippy {
            "clippy"
        } else {
            "cargo check (no clippy in this toolchain)"
        },
        toolchain.name(),
    ));
    Ok(())
}

/// Cargo at work on the filter, with a target directory of its own: the two toolchains and the
/// native builds must not undo one another's work.
fn cargo(workspace: &Path, toolchain: &Toolchain, subcommand: &str) -> Command {
    let mut command = toolchain.cargo(subcommand);
    command
        .current_dir(workspace)
        .args([
            "--package",
            PACKAGE,
            "--lib",
            "--target",
            TARGET,
            "--locked",
        ])
        .arg("--target-dir")
        .arg(workspace.join("target/wasm"));
    command
}

/// Runs a command to its end and fails when it fails.
fn succeed(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_owned();
    let status = command
        .status()
        .with_context(|| format!("cannot run {}", program.display()))?;
    if !status.success() {
        bail!("{} failed: {status}", program.display());
    }
    Ok(())
}

/// SHA-256 in hexadecimal.
fn digest(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

#[allow(clippy::print_stdout, reason = "the command's answer to its user")]
fn say(line: &str) {
    println!("{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_current_only_with_its_own_record() {
        let directory = tempfile::tempdir().unwrap();
        let filter = directory.path().join(FILTER);
        let record = directory.path().join(RECORD);
        assert!(!is_current(&filter, &record, "f1"));

        replace(&filter, b"\0asm").unwrap();
        assert!(!is_current(&filter, &record, "f1"));
        replace(&record, format!("f1 {}\n", digest(b"\0asm")).as_bytes()).unwrap();
        assert!(is_current(&filter, &record, "f1"));
        assert!(!is_current(&filter, &record, "f2"));

        replace(&filter, b"\0as").unwrap();
        assert!(!is_current(&filter, &record, "f1"), "a damaged file");
    }
}
