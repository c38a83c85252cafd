//! Which Rust builds the filter.
//!
//! Two ways: a toolchain that has the target installed (rustup's, usually), or Debian's, which has
//! no ready-made standard library for the target and builds it on the way. Neither is ever
//! fetched here; rustup in particular is kept from installing anything by itself.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{bail, Result};

use super::TARGET;

const DEBIAN_CARGO: &str = "/usr/bin/cargo";
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_CLIPPY: &str = "/usr/bin/cargo-clippy";
const DEBIAN_LIBC: &str = "/usr/lib/wasm32-wasi";
const LINKER: &str = "wasm-ld";

/// Both ways to get a toolchain, for a user who has neither.
const WAYS: &str = "get one in either way:\n  \
    rustup target add wasm32-wasip1\n  \
    apt-get install rustc-web cargo-web rust-web-src wasi-libc lld";

/// Variables that would steer a build of Debian's cargo towards another toolchain or other flags.
const FOREIGN: &[&str] = &[
    "CARGO",
    "CARGO_BUILD_TARGET",
    "CARGO_ENCODED_RUSTFLAGS",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_WRAPPER",
    "RUSTUP_TOOLCHAIN",
];

/// What the user asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Choice {
    /// An installed target if there is one, else Debian's
    Auto,
    /// A toolchain with wasm32-wasip1 installed
    Installed,
    /// Debian's rustc-web with a standard library built on the way
    Debian,
}

/// A toolchain that can build the filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Toolchain {
    /// Has the target installed.
    Installed {
        /// Its cargo.
        cargo: OsString,
        /// Its compiler.
        rustc: OsString,
    },
    /// Debian's.
    Debian,
}

/// Finds the toolchain that the user asks for.
///
/// # Errors
/// What is missing, and both ways to get it.
pub fn find(choice: Choice) -> Result<Toolchain> {
    let installed = || {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        has_target(&rustc).then_some(Toolchain::Installed { cargo, rustc })
    };
    select(choice, installed, missing_of_debian)
}

/// The choice itself, free of the machine it runs on. `debian` lists what Debian's way lacks.
fn select(
    choice: Choice,
    installed: impl FnOnce() -> Option<Toolchain>,
    debian: impl FnOnce() -> Vec<String>,
) -> Result<Toolchain> {
    if choice != Choice::Debian {
        if let Some(toolchain) = installed() {
            return Ok(toolchain);
        }
        if choice == Choice::Installed {
            bail!("no toolchain with the target {TARGET} installed; {WAYS}");
        }
    }
    let missing = debian();
    if missing.is_empty() {
        return Ok(Toolchain::Debian);
    }
    let missing = missing.join("\n  ");
    if choice == Choice::Debian {
        bail!("Debian's toolchain for {TARGET} is not complete:\n  {missing}\n{WAYS}");
    }
    bail!(
        "no toolchain for {TARGET}: the target is not installed, and Debian's is not complete:\n  \
         {missing}\n{WAYS}"
    );
}

/// Whether `rustc` has a standard library for the target.
fn has_target(rustc: &OsString) -> bool {
    let directory = ask(Command::new(rustc)
        .args(["--print", "target-libdir", "--target", TARGET])
        // rustup otherwise fetches a toolchain that an override file names.
        .env("RUSTUP_AUTO_INSTALL", "0"));
    let Some(Ok(files)) = directory.map(|directory| Path::new(directory.trim()).read_dir()) else {
        return false;
    };
    files
        .flatten()
        .any(|file| file.file_name().to_string_lossy().starts_with("libstd-"))
}

/// What of Debian's toolchain is not there, each with its package.
fn missing_of_debian() -> Vec<String> {
    let mut missing = Vec::new();
    if !Path::new(DEBIAN_CARGO).is_file() {
        missing.push(format!("{DEBIAN_CARGO} (package cargo-web)"));
    }
    match ask(Command::new(DEBIAN_RUSTC).args(["--print", "sysroot"])) {
        None => missing.push(format!("{DEBIAN_RUSTC} (package rustc-web)")),
        Some(sysroot) => {
            let library = Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library");
            if !library.join("std/Cargo.toml").is_file() {
                missing.push(format!("{} (package rust-web-src)", library.display()));
            }
        }
    }
    if !Path::new(DEBIAN_LIBC).join("libc.a").is_file() {
        missing.push(format!("{DEBIAN_LIBC}/libc.a (package wasi-libc)"));
    }
    if ask(Command::new(LINKER).arg("--version")).is_none() {
        missing.push(format!("{LINKER} (package lld)"));
    }
    missing
}

/// Flags that keep this machine's paths out of the result, where panic messages would carry them:
/// two machines with one toolchain build the same bytes.
fn remap_paths() -> String {
    let cargo_home = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo")));
    // Flags are split at spaces, so a path with one stays as it is.
    cargo_home
        .map(|path| path.display().to_string())
        .filter(|path| !path.contains(' '))
        .map_or_else(String::new, |path| {
            format!("--remap-path-prefix={path}=/cargo")
        })
}

/// What a command prints, or `None` when it cannot be run or fails.
fn ask(command: &mut Command) -> Option<String> {
    let output = command.output().ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

impl Toolchain {
    /// For messages.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Installed { .. } => "installed toolchain",
            Self::Debian => "Debian's toolchain",
        }
    }

    /// Cargo with this toolchain's compiler, linker and flags, about to run `subcommand`.
    pub fn cargo(&self, subcommand: &str) -> Command {
        match self {
            Self::Installed { cargo, .. } => {
                let mut command = Command::new(cargo);
                command
                    .env("RUSTUP_AUTO_INSTALL", "0")
                    // What this program was itself compiled with is for the native build.
                    .env_remove("CARGO_ENCODED_RUSTFLAGS")
                    .env("RUSTFLAGS", remap_paths())
                    .arg(subcommand);
                command
            }
            Self::Debian => {
                // `cargo clippy` would look for its subcommand in rustup's folder first.
                let mut command = if subcommand == "clippy" {
                    Command::new(DEBIAN_CLIPPY)
                } else {
                    Command::new(DEBIAN_CARGO)
                };
                for variable in FOREIGN {
                    command.env_remove(variable);
                }
                if subcommand == "clippy" {
                    command.env("CARGO", DEBIAN_CARGO);
                }
                command
                    .env("RUSTC", DEBIAN_RUSTC)
                    // `-Zbuild-std` is not stable; Debian's stable compiler takes it when told so.
                    .env("RUSTC_BOOTSTRAP", "1")
                    .env("CARGO_TARGET_WASM32_WASIP1_LINKER", LINKER)
                    // Debian ships libc apart from Rust, so nothing is self-contained.
                    .env(
                        "RUSTFLAGS",
                        format!(
                            "-C link-self-contained=no -L native={DEBIAN_LIBC} {}",
                            remap_paths()
                        ),
                    )
                    .arg(subcommand)
                    .arg("-Zbuild-std=std,panic_abort");
                command
            }
        }
    }

    /// Whether clippy runs with this toolchain. Debian has it in a package of its own,
    /// rust-web-clippy.
    pub fn has_clippy(&self) -> bool {
        match self {
            Self::Installed { cargo, .. } => {
                ask(Command::new(cargo).args(["clippy", "--version"])).is_some()
            }
            Self::Debian => ask(Command::new(DEBIAN_CLIPPY).arg("--version")).is_some(),
        }
    }

    /// All that makes two toolchains give different results, as text.
    pub fn identity(&self) -> Vec<String> {
        let rustc = match self {
            Self::Installed { rustc, .. } => PathBuf::from(rustc),
            Self::Debian => PathBuf::from(DEBIAN_RUSTC),
        };
        let mut identity = vec![self.name().to_owned()];
        identity.extend(ask(Command::new(rustc).arg("-vV")));
        if *self == Self::Debian {
            identity.extend(ask(Command::new(LINKER).arg("--version")));
        }
        identity.extend(
            self.cargo("build")
                .get_envs()
                .map(|(name, value)| format!("{name:?}={value:?}")),
        );
        identity
    }

    /// Files outside the workspace that end up in the result.
    pub fn inputs(&self) -> Vec<PathBuf> {
        match self {
            Self::Installed { .. } => Vec::new(),
            Self::Debian => vec![Path::new(DEBIAN_LIBC).join("libc.a")],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn installed() -> Option<Toolchain> {
        Some(Toolchain::Installed {
            cargo: "cargo".into(),
            rustc: "rustc".into(),
        })
    }

    #[test]
    fn an_installed_target_goes_before_debians() {
        assert_eq!(select(Choice::Auto, installed, Vec::new).ok(), installed());
        assert_eq!(
            select(Choice::Auto, || None, Vec::new).ok(),
            Some(Toolchain::Debian)
        );
    }

    #[test]
    fn debians_is_taken_when_asked_for_even_where_the_target_is_installed() {
        assert_eq!(
            select(Choice::Debian, installed, Vec::new).ok(),
            Some(Toolchain::Debian)
        );
    }

    #[test]
    fn an_installed_target_asked_for_is_never_replaced_by_debians() {
        let error = select(Choice::Installed, || None, Vec::new).unwrap_err();
        assert!(error.to_string().contains(WAYS), "{error}");
    }

    #[test]
    fn a_missing_toolchain_is_named_with_both_ways_to_get_one() {
        for choice in [Choice::Auto, Choice::Debian] {
            let missing = || vec!["wasm-ld (package lld)".to_owned()];
            let error = select(choice, || None, missing).unwrap_err().to_string();
            assert!(error.contains("wasm-ld (package lld)"), "{error}");
            assert!(error.contains("rustup target add wasm32-wasip1"), "{error}");
            assert!(error.contains("apt-get install rustc-web"), "{error}");
        }
    }

    #[test]
    fn debians_build_takes_nothing_of_the_toolchain_around_it() {
        let command = Toolchain::Debian.cargo("build");
        let variables: Vec<_> = command.get_envs().collect();
        for name in FOREIGN {
            assert!(variables.contains(&(name.as_ref(), None)), "{name}");
        }
        assert_eq!(command.get_program(), DEBIAN_CARGO);
    }
}
