//! What the cases may cost.

use super::table::{Hundredths, Table};
use super::TABLE;

/// How far a figure may be from the table's, in per cent.
const TOLERANCE: u64 = 3;
/// An edit in place may cost this many instructions, in per cent of those that it takes to read the
/// same bytes and keep nothing.
const IDENTITY: u64 = 150;
/// But for this one: a body that is little more than one short text, which is read in fewer instructions
/// than it takes to put a few pieces together.
const ALMOST_NOTHING: &str = "openai-completions/1KB";
/// An event of a stream makes at most five allocations; less than one more is what grows with all
/// events together.
const DELTA: Hundredths = Hundredths(599);
/// But for these: pieces of arguments, which only Vertex AI has, say by a path where in the arguments they
/// belong, and are no text that could be passed on.
const BY_PATH: (&str, &str) = ("delta/gemini/", "/arguments");

/// What differs from the table.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Verdict {
    /// What must not be.
    pub(super) faults: Vec<String>,
    /// What is to be known.
    pub(super) notes: Vec<String>,
}

/// The cases that cost more than they ever may.
pub(super) fn limits(found: &Table) -> Vec<String> {
    let mut faults = Vec::new();
    for row in &found.rows {
        let is_by_path = row.case.starts_with(BY_PATH.0) && row.case.ends_with(BY_PATH.1);
        if row.case.starts_with("delta/") && row.allocations > DELTA && !is_by_path {
            faults.push(format!(
                "{}: {} allocations, the limit is {DELTA}",
                row.case, row.allocations
            ));
        }
        let Some(data) = row.case.strip_prefix("identity/") else {
            continue;
        };
        let read = instructions(found, &format!("ignored_any/{data}"));
        if let (Some(own), Some(read)) = (row.instructions, read) {
            if own * 100 > read * IDENTITY && data != ALMOST_NOTHING {
                let ratio = Hundredths(own * 100 / read.max(1));
                let limit = Hundredths(IDENTITY);
                faults.push(format!(
                    "{}: {own} instructions are {ratio} times those of reading it, the limit is {limit}",
                    row.case
                ));
            }
        }
    }
    faults
}

/// Holds the cases against the table.
pub(super) fn compare(known: &Table, found: &Table) -> Verdict {
    let mut verdict = Verdict::default();
    for (these, those, problem) in [
        (known, found, "is in the table and is not there any more"),
        (found, known, "is not in the table"),
    ] {
        let missing = these
            .rows
            .iter()
            .filter(|row| !those.rows.iter().any(|other| other.case == row.case));
        let fault = missing.map(|row| format!("{}: {problem}", row.case));
        verdict.faults.extend(fault);
    }
    if known.machine != found.machine {
        verdict.notes.push(format!(
            "skipped: comparing with {TABLE}: it was counted with {}, and this is {}",
            known.machine, found.machine
        ));
        return verdict;
    }
    for row in &found.rows {
        let Some(before) = known.rows.iter().find(|other| other.case == row.case) else {
            continue;
        };
        if let (Some(now), Some(before)) = (row.instructions, before.instructions) {
            verdict.figure(&row.case, "instructions", (before, now), |count| {
                count.to_string()
            });
        }
        let figures = (before.allocations.0, row.allocations.0);
        verdict.figure(&row.case, "allocations", figures, |count| {
            Hundredths(count).to_string()
        });
    }
    verdict
}

impl Verdict {
    fn figure(
        &mut self,
        case: &str,
        what: &str,
        (before, now): (u64, u64),
        written: impl Fn(u64) -> String,
    ) {
        let line = format!(
            "{case}: {} {what}, before {}",
            written(now),
            written(before)
        );
        if now * 100 > before * (100 + TOLERANCE) {
            self.faults.push(line);
        } else if now * 100 < before * (100 - TOLERANCE) {
            let line = format!("{line}: less than the table says, which is to be renewed");
            self.notes.push(line);
        }
    }
}

fn instructions(table: &Table, case: &str) -> Option<u64> {
    let row = table.rows.iter().find(|row| row.case == case)?;
    row.instructions
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counters::table::Row;

    fn table(machine: &str, rows: &[(&str, u64, u64)]) -> Table {
        let row = |(case, instructions, allocations): &(&str, u64, u64)| Row {
            case: (*case).to_owned(),
            instructions: Some(*instructions),
            allocations: Hundredths(*allocations),
        };
        Table {
            machine: machine.to_owned(),
            rows: rows.iter().map(row).collect(),
        }
    }

    #[test]
    fn limits_hold_whatever_the_table_says() {
        let found = table(
            "m",
            &[
                ("ignored_any/a/1KB", 1000, 0),
                ("identity/a/1KB", 1500, 900),
                ("ignored_any/b/1KB", 1000, 0),
                ("identity/b/1KB", 1501, 0),
                ("delta/a/b/text", 1, 599),
                ("delta/b/a/text", 1, 600),
                ("delta/gemini/a/arguments", 1, 9900),
            ],
        );
        let faults = limits(&found);
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert!(faults[0].contains("identity/b/1KB: 1501 instructions are 1.50 times"));
        assert!(faults[1].contains("delta/b/a/text: 6.00 allocations"));
    }

    #[test]
    fn more_is_a_fault_and_less_is_told() {
        let known = table("m", &[("a", 1000, 100), ("b", 1000, 100), ("c", 1000, 100)]);
        let found = table("m", &[("a", 1030, 100), ("b", 1031, 104), ("c", 969, 97)]);
        let verdict = compare(&known, &found);
        assert_eq!(
            verdict.faults,
            [
                "b: 1031 instructions, before 1000",
                "b: 1.04 allocations, before 1.00"
            ]
        );
        assert_eq!(verdict.notes.len(), 1, "{verdict:?}");
        assert!(verdict.notes[0].starts_with("c: 969 instructions"));
    }

    #[test]
    fn a_case_that_only_one_knows_is_a_fault() {
        let known = table("m", &[("a", 1, 0)]);
        let found = table("m", &[("b", 1, 0)]);
        assert_eq!(compare(&known, &found).faults.len(), 2);
    }

    #[test]
    fn other_compilers_are_not_compared_and_this_is_said() {
        let known = table("rustc 1", &[("a", 1000, 100)]);
        let found = table("rustc 2", &[("a", 5000, 900)]);
        let verdict = compare(&known, &found);
        assert!(verdict.faults.is_empty(), "{verdict:?}");
        assert!(verdict.notes[0].starts_with("skipped: "), "{verdict:?}");
    }
}
