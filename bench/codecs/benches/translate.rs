//! The time and the allocations of each case: `make bench-translate`, or a part of them with
//! `cargo bench --package meseta-bench-codecs -- FILTER`.

use divan::{AllocProfiler, Bencher};
use meseta_bench_codecs::{cases, Case, Kind};

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

fn those(of: fn(Kind) -> bool) -> Vec<Case> {
    cases().into_iter().filter(|case| of(case.kind)).collect()
}

#[divan::bench(args = those(|kind| matches!(kind, Kind::Ignored(_))))]
fn ignored_any(bencher: Bencher<'_, '_>, case: &Case) {
    run(bencher, case);
}

#[divan::bench(args = those(|kind| matches!(kind, Kind::Identity(_))))]
fn identity(bencher: Bencher<'_, '_>, case: &Case) {
    run(bencher, case);
}

#[divan::bench(args = those(|kind| matches!(kind, Kind::Request(_))))]
fn request(bencher: Bencher<'_, '_>, case: &Case) {
    run(bencher, case);
}

#[divan::bench(args = those(|kind| matches!(kind, Kind::Delta(_))))]
fn delta(bencher: Bencher<'_, '_>, case: &Case) {
    run(bencher, case);
}

fn run(bencher: Bencher<'_, '_>, case: &Case) {
    let work = case.prepare();
    let work = work.unwrap_or_else(|error| panic!("{case} cannot be run: {error:#}"));
    bencher.bench_local(work);
}
