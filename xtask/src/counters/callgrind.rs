//! Counting instructions with Callgrind, which is a part of Valgrind.
//!
//! One process runs every case. Callgrind collects inside one function alone and writes a numbered
//! part of its output whenever this returns; the program prints a line for each of these.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{ensure, Context, Result};

use super::table::Row;
use super::CRATE;

/// The function that is measured.
const FUNCTION: &str = "measured_work";

/// Whether it can be run.
pub(super) fn is_installed() -> bool {
    let mut version = Command::new("valgrind");
    version.arg("--version").stdout(Stdio::null());
    version.status().is_ok_and(|status| status.success())
}

/// Runs the program and counts.
pub(super) fn count(program: &Path) -> Result<Vec<Row>> {
    let parts = tempfile::tempdir()?;
    let file = parts.path().join("part");
    let output = Command::new("valgrind")
        .args(["--quiet", "--tool=callgrind", "--collect-atstart=no"])
        .arg(format!("--toggle-collect={CRATE}::{FUNCTION}"))
        .arg(format!("--dump-after={CRATE}::{FUNCTION}"))
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(program)
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run valgrind")?;
    ensure!(output.status.success(), "valgrind: {}", output.status);
    let text = String::from_utf8(output.stdout).context("the cases are no text")?;
    let mut rows = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        let part = fs::read_to_string(file.with_extension(number.to_string()))
            .with_context(|| format!("callgrind did not see {FUNCTION} return from {line}"))?;
        let total = total(&part).with_context(|| format!("no total for {line}"))?;
        rows.push(Row::of_case(line, Some(total))?);
    }
    Ok(rows)
}

/// What a part of the output comes to.
fn total(part: &str) -> Option<u64> {
    let mut totals = part.lines().filter_map(|line| line.strip_prefix("totals:"));
    totals.next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_of_a_part_is_in_a_line_of_its_own() {
        assert_eq!(total("events: Ir\nfn=(1) f\n1 7\n\ntotals: 7\n"), Some(7));
        assert_eq!(total("events: Ir\n"), None);
    }
}
