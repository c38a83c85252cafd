//! Embeds the filter that `cargo xtask wasm` built.
//!
//! Looks in `MESETA_METER_WASM`, else `target/meter/meseta_meter.wasm` of the workspace. A missing
//! default is not an error: the binary then builds without a filter, so that a plain `cargo build`
//! needs no WebAssembly toolchain. A named file that is missing or no WebAssembly is one.

use std::path::{Path, PathBuf};
use std::{env, fs, process};

const VARIABLE: &str = "MESETA_METER_WASM";
const FILE: &str = "meseta_meter.wasm";

fn main() {
    println!("cargo::rustc-check-cfg=cfg(meseta_filter)");
    println!("cargo::rerun-if-env-changed={VARIABLE}");
    println!("cargo::rerun-if-changed=build.rs");
    if let Err(problem) = embed() {
        println!("cargo::error={problem}");
        process::exit(1);
    }
}

/// Copies the filter into `OUT_DIR` and sets `cfg(meseta_filter)`, when there is one.
fn embed() -> Result<(), String> {
    let (source, named) = match env::var_os(VARIABLE) {
        Some(path) if !path.is_empty() => (PathBuf::from(path), true),
        _ => (default_directory()?.join(FILE), false),
    };
    if named {
        println!("cargo::rerun-if-changed={}", source.display());
    }
    let filter = match fs::read(&source) {
        Ok(filter) => filter,
        Err(error) if !named && error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(format!("cannot read {}: {error}", source.display())),
    };
    if !filter.starts_with(b"\0asm") {
        return Err(format!("{} is not a WebAssembly module", source.display()));
    }
    let out = env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?;
    let copy = Path::new(&out).join(FILE);
    fs::write(&copy, filter).map_err(|error| format!("cannot write {FILE}: {error}"))?;
    println!("cargo::rustc-cfg=meseta_filter");
    Ok(())
}

/// The folder where the filter is put, watched as a folder: a watched *file* that does not exist
/// would make every build start from here.
fn default_directory() -> Result<PathBuf, String> {
    let manifest = env::var_os("CARGO_MANIFEST_DIR").ok_or("CARGO_MANIFEST_DIR is not set")?;
    let directory = Path::new(&manifest).join("../target/meter");
    fs::create_dir_all(&directory)
        .map_err(|error| format!("cannot make {}: {error}", directory.display()))?;
    println!("cargo::rerun-if-changed={}", directory.display());
    Ok(directory)
}
