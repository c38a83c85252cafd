//! Runs the cases one after the other, for Callgrind to count their instructions.
//!
//! Takes the beginning of the names of the cases to run, or runs all. Prints a line for each: its name, how often it ran, and the allocations that it made. Callgrind
//! collects in [`measured_work`] alone and writes a part of its output whenever it returns; the
//! parts come in the order of the lines. `cargo xtask counters` puts them together.

mod allocations;

use std::io::Write as _;

use anyhow::Result;
use meseta_bench_codecs::cases;

/// Runs of each case before the ones that count: lazily made tables are made, and all that grows
/// has some room.
const WARM_UP: u32 = 8;

#[global_allocator]
static ALLOCATIONS: allocations::Counting = allocations::Counting::new();

fn main() -> Result<()> {
    let chosen = std::env::args().nth(1).unwrap_or_default();
    let mut out = std::io::stdout().lock();
    for case in cases() {
        if !case.to_string().starts_with(&chosen) {
            continue;
        }
        let mut work = case.prepare()?;
        for _ in 0..case.runs().min(WARM_UP) {
            work();
        }
        let before = ALLOCATIONS.made();
        measured_work(&mut work, case.runs());
        let made = ALLOCATIONS.made() - before;
        writeln!(out, "{case}\t{}\t{made}", case.runs())?;
    }
    Ok(())
}

/// What Callgrind knows by its name.
#[inline(never)]
fn measured_work(work: &mut dyn FnMut(), times: u32) {
    for _ in 0..times {
        work();
    }
}
