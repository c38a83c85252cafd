//! The table: a line for each case, and before them where it was counted.

use std::fmt;
use std::str::FromStr;

use anyhow::{ensure, Context, Error, Result};

const HEADER: &str = "case\tinstructions\tallocations";
const MACHINE: &str = "# counted with: ";
const PREAMBLE: &str = "# Written by `make counters`; bench/README.md says how to read it.\n";

/// What was counted, and with what.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Table {
    /// What instructions depend on, beside the code.
    pub(super) machine: String,
    pub(super) rows: Vec<Row>,
}

/// A case.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub(super) case: String,
    /// For each run; `None` where they were not counted.
    pub(super) instructions: Option<u64>,
    /// For each run, in hundredths.
    pub(super) allocations: Hundredths,
}

/// A figure with two decimals, exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Hundredths(pub(super) u64);

impl Row {
    /// A line of the program that runs the cases: name, runs, allocations of all runs.
    pub(super) fn of_case(line: &str, instructions: Option<u64>) -> Result<Self> {
        let mut words = line.split('\t');
        let mut word = || words.next().with_context(|| format!("no case: {line}"));
        let case = word()?.to_owned();
        let runs: u64 = word()?.parse()?;
        let allocations: u64 = word()?.parse()?;
        ensure!(runs > 0, "{case} did not run");
        Ok(Self {
            case,
            instructions: instructions.map(|total| total / runs),
            allocations: Hundredths(allocations * 100 / runs),
        })
    }
}

impl fmt::Display for Hundredths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.0 / 100, self.0 % 100)
    }
}

impl FromStr for Hundredths {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (whole, part) = text.split_once('.').context("no two decimals")?;
        ensure!(part.len() == 2, "no two decimals");
        Ok(Self(whole.parse::<u64>()? * 100 + part.parse::<u64>()?))
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{PREAMBLE}{MACHINE}{}\n{HEADER}", self.machine)?;
        for row in &self.rows {
            let instructions = row.instructions.unwrap_or(0);
            writeln!(f, "{}\t{instructions}\t{}", row.case, row.allocations)?;
        }
        Ok(())
    }
}

impl FromStr for Table {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut machine = None;
        let mut rows = Vec::new();
        for line in text.lines().filter(|line| *line != HEADER) {
            if line.starts_with('#') {
                machine = machine.or(line.strip_prefix(MACHINE));
                continue;
            }
            rows.push(row(line).with_context(|| format!("no row: {line}"))?);
        }
        Ok(Self {
            machine: machine
                .context("it does not say with what it was counted")?
                .to_owned(),
            rows,
        })
    }
}

fn row(line: &str) -> Result<Row> {
    let mut words = line.split('\t');
    let mut word = || words.next().context("too short");
    Ok(Row {
        case: word()?.to_owned(),
        instructions: Some(word()?.parse()?),
        allocations: word()?.parse()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_read_as_it_was_written() {
        let table = Table {
            machine: "rustc 1.88.0, x86_64".to_owned(),
            rows: vec![
                Row::of_case("identity/a/1KB\t1\t3", Some(9000)).unwrap(),
                Row::of_case("delta/a/b/text\t64\t129", Some(6400)).unwrap(),
            ],
        };
        assert_eq!(table.rows[1].instructions, Some(100));
        assert_eq!(table.rows[1].allocations.to_string(), "2.01");
        assert_eq!(table.to_string().parse::<Table>().unwrap(), table);
    }

    #[test]
    fn what_is_no_table_is_refused() {
        for text in ["", "# counted with: x\na\t1", "# counted with: x\na\t1\t2"] {
            assert!(text.parse::<Table>().is_err(), "{text}");
        }
    }
}
