//! `cargo xtask counters`: what the codecs cost, in instructions and allocations.
//!
//! Owns `bench/counters.tsv`. Builds `meseta-bench-codecs`, has Callgrind count what its cases come
//! to, and writes the table. With `--check` nothing is written: a case that costs more than the table
//! says, or more than its limit, is a failure ([`judge`]).
//!
//! Instructions depend on the compiler, the processor's features and the C library. Under others than
//! the table's they are not compared with it, which is said; the limits hold everywhere. Without
//! Valgrind there are no instructions at all, which is said too, and in CI is a failure.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{bail, ensure, Context, Result};

use crate::workspace::{replace, workspace};

mod callgrind;
mod judge;
mod table;

use table::{Row, Table};

/// The table, in the workspace.
const TABLE: &str = "bench/counters.tsv";
/// The package that runs the cases, its program and the crate that this is.
const PACKAGE: &str = "meseta-bench-codecs";
const CRATE: &str = "meseta_bench_codecs";
/// The build profile.
const PROFILE: &str = "counters";

/// What the command takes.
#[derive(clap::Args)]
pub struct Options {
    /// Write nothing; fail when something costs more than the table says, or more than it may
    #[arg(long)]
    check: bool,
}

/// Writes the table, or with `--check` compares with it.
pub fn run(options: &Options) -> Result<()> {
    let workspace = workspace()?;
    let path = workspace.join(TABLE);
    let counts = callgrind::is_installed();
    if !counts {
        let hint = "valgrind is not installed (Debian: apt-get install valgrind)";
        let in_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
        ensure!(options.check && !in_ci, "{hint}");
        say(&format!("skipped: instructions of the codecs: {hint}"));
    }
    let program = built(&workspace)?;
    let rows = if counts {
        callgrind::count(&program)?
    } else {
        allocations(&program)?
    };
    let found = Table {
        machine: machine()?,
        rows,
    };
    if options.check {
        let text = fs::read_to_string(&path);
        let text = text.with_context(|| format!("cannot read {TABLE} (run `make counters`)"))?;
        let known: Table = text.parse().with_context(|| TABLE.to_owned())?;
        return judged(&known, &found);
    }
    let limits = judge::limits(&found);
    replace(&path, found.to_string().as_bytes())?;
    say(&format!("{TABLE}: {} cases written", found.rows.len()));
    told(&limits)
}

/// Says what differs, and fails for what costs too much.
fn judged(known: &Table, found: &Table) -> Result<()> {
    let verdict = judge::compare(known, found);
    for note in &verdict.notes {
        say(note);
    }
    let mut faults = judge::limits(found);
    faults.extend(verdict.faults);
    told(&faults)?;
    say(&format!("{TABLE}: {} cases hold", found.rows.len()));
    Ok(())
}

fn told(faults: &[String]) -> Result<()> {
    if faults.is_empty() {
        return Ok(());
    }
    bail!(
        "the codecs cost too much (bench/README.md says how to read and renew this):\n  {}",
        faults.join("\n  ")
    );
}

/// Builds the program; where it is.
fn built(workspace: &Path) -> Result<PathBuf> {
    // The variable is cargo's own: the cargo that runs this.
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .current_dir(workspace)
        .args(["build", "--quiet", "--profile", PROFILE])
        .args(["--package", PACKAGE, "--bin", PACKAGE])
        .args(["--message-format", "json-render-diagnostics"])
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo")?;
    ensure!(output.status.success(), "cargo: {}", output.status);
    let messages = String::from_utf8(output.stdout).context("cargo's messages are no text")?;
    let mut programs = messages.lines().filter_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        Some(PathBuf::from(message.get("executable")?.as_str()?))
    });
    programs.next().context("cargo does not say what it built")
}

/// The cases without their instructions.
fn allocations(program: &Path) -> Result<Vec<Row>> {
    let output = Command::new(program)
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot run {}", program.display()))?;
    ensure!(output.status.success(), "{PACKAGE}: {}", output.status);
    let text = String::from_utf8(output.stdout).context("the cases are no text")?;
    text.lines().map(|line| Row::of_case(line, None)).collect()
}

/// What instructions depend on, beside the code.
fn machine() -> Result<String> {
    // The compiler that cargo builds with.
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut words = vec![said(Command::new(rustc).arg("--version"))?];
    words.push(std::env::consts::ARCH.to_owned());
    #[cfg(target_arch = "x86_64")]
    words.extend(std::arch::is_x86_feature_detected!("avx2").then(|| "avx2".to_owned()));
    words.push(said(Command::new("getconf").arg("GNU_LIBC_VERSION"))?);
    Ok(words.join(", "))
}

/// What a program prints, in one line.
fn said(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_owned();
    let output = command
        .output()
        .with_context(|| format!("cannot run {}", name.display()))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[allow(clippy::print_stdout, reason = "the command's answer to its user")]
fn say(line: &str) {
    println!("{line}");
}
