//! Thousands of slow streams at once: whether limits and circuit breakers hold.
//!
//! Every stream gets an event each second. One that is refused, cut or changed fails the run.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde::Serialize;
use tokio::task::JoinSet;

use crate::cell::{Cell, TARGETS};
use crate::load::{Answered, Connection};
use crate::processes::{raise_open_files, Memory};
use crate::report::{cpus, mebibytes};
use crate::stack::Stack;
use crate::statistics::percentile;
use crate::upstream::{Exchange, Pace, Upstream};
use crate::ProgramArgs;

/// Between the events of a stream.
const PACE: Duration = Duration::from_secs(1);
/// What a stream may take longer than its provider does.
const GRACE: Duration = Duration::from_secs(60);
/// Files that processes open beside the connections of streams.
const OTHER_FILES: u64 = 200;

/// What to run.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    programs: ProgramArgs,
    /// Streams at once
    #[arg(long, default_value_t = 5000, value_parser = clap::value_parser!(u32).range(1..))]
    streams: u32,
    /// Seconds that each stream lasts, an event each; a third of them goes into opening the streams
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(3..=240))]
    seconds: u32,
    /// Envoy's workers
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    workers: u32,
    /// Have the server call the provider, by default through Envoy
    #[arg(
        long,
        value_name = "WAY",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "envoy"
    )]
    relay: Option<Egress>,
    /// Write the report as JSON too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// How the server's own calls reach the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Egress {
    /// Through Envoy's egress listener.
    Envoy,
    /// Straight.
    Direct,
}

impl Options {
    fn cell(&self) -> Cell {
        match self.relay {
            None => Cell::Meseta,
            Some(Egress::Envoy) => Cell::Relay,
            Some(Egress::Direct) => Cell::Straight,
        }
    }
}

/// How many connections a stream has at most in one process: client and provider are one, and a relay
/// goes through Envoy twice.
fn connections(cell: Cell) -> u64 {
    if cell.is_relay_through_envoy() {
        3
    } else {
        2
    }
}

/// Runs the streams and prints what became of them.
///
/// # Errors
/// When the stack does not start or a stream fails.
pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let programs = options.programs.find()?;
    let cell = options.cell();
    raise_open_files(connections(cell) * u64::from(options.streams) + OTHER_FILES)?;
    let events = options.seconds as usize + 1;
    let dir = tempfile::Builder::new().prefix("mb").tempdir()?;
    let upstream = Upstream::start(events, PACE).await?;
    let mut stack = Stack::start(
        cell,
        &programs,
        dir.path(),
        &[upstream.address; TARGETS],
        options.workers,
    )
    .await?;

    let exchange = Arc::new(Exchange::stream(cell.model(), events, Pace::Paced));
    let before = usage(&stack)?;
    let outcome = open_all(
        stack.address,
        &exchange,
        options.streams,
        PACE * options.seconds,
    )
    .await;
    stack.ensure_running()?;
    let after = usage(&stack)?;
    let logs = stack.logs();
    stack.stop().await?;

    let report = Report {
        way: cell.description(),
        cpus: cpus(),
        workers: options.workers,
        streams: options.streams,
        events_each: events,
        completed: outcome.first_events.len(),
        failed: outcome.failed.values().sum(),
        peak_streams: upstream.peak_streams(),
        seconds: outcome.elapsed.as_secs_f64(),
        first_event_p50_ms: millis(percentile(&outcome.first_events, 0.5)),
        first_event_p99_ms: millis(percentile(&outcome.first_events, 0.99)),
        processes: before
            .into_iter()
            .zip(after)
            .map(|(before, after)| ProcessReport::new(before, after, options.streams, events))
            .collect(),
        failures: outcome.failed,
    };
    if let Some(path) = &options.json {
        std::fs::write(path, serde_json::to_vec_pretty(&report)?)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    write!(std::io::stdout(), "{report}")?;
    anyhow::ensure!(
        report.failed == 0,
        "{} streams failed\n{logs}",
        report.failed
    );
    Ok(())
}

/// What a process has used so far.
#[derive(Debug, Clone, Copy)]
struct ProcessUsage {
    name: &'static str,
    cpu: Duration,
    memory: Memory,
}

fn usage(stack: &Stack) -> anyhow::Result<Vec<ProcessUsage>> {
    let mut processes = vec![ProcessUsage {
        name: "envoy",
        cpu: stack.envoy.cpu()?,
        memory: stack.envoy.memory()?,
    }];
    if let (Some(cpu), Some(memory)) = (stack.server_cpu()?, stack.server_memory()?) {
        processes.push(ProcessUsage {
            name: "server",
            cpu,
            memory,
        });
    }
    Ok(processes)
}

/// What the streams cost a process.
#[derive(Debug, Serialize)]
struct ProcessReport {
    name: &'static str,
    before: Memory,
    after: Memory,
    /// The opening of streams included.
    cpu_us_per_event: f64,
}

impl ProcessReport {
    fn new(before: ProcessUsage, after: ProcessUsage, streams: u32, events: usize) -> Self {
        #[allow(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
        let count = f64::from(streams) * events as f64;
        Self {
            name: before.name,
            before: before.memory,
            after: after.memory,
            cpu_us_per_event: after.cpu.saturating_sub(before.cpu).as_secs_f64() * 1e6 / count,
        }
    }
}

/// What became of the streams, and what they cost.
#[derive(Debug, Serialize)]
struct Report {
    way: &'static str,
    cpus: usize,
    workers: u32,
    streams: u32,
    events_each: usize,
    completed: usize,
    failed: usize,
    /// The most streams that the provider served at once.
    peak_streams: usize,
    seconds: f64,
    first_event_p50_ms: f64,
    first_event_p99_ms: f64,
    processes: Vec<ProcessReport>,
    failures: BTreeMap<String, usize>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}\n{} streams of {} events, one a second; {} CPUs, which client, provider, Envoy \
             (workers: {}) and server share",
            self.way, self.streams, self.events_each, self.cpus, self.workers
        )?;
        writeln!(
            f,
            "  completed {}, failed {}, at most {} at once, in {:.1} s",
            self.completed, self.failed, self.peak_streams, self.seconds
        )?;
        writeln!(
            f,
            "  first event: p50 {:.0} ms, p99 {:.0} ms",
            self.first_event_p50_ms, self.first_event_p99_ms
        )?;
        for process in &self.processes {
            writeln!(
                f,
                "  {}: {:.1} MiB before, {:.1} MiB at most, {:.1} MiB after; CPU {:.0} µs per \
                 event, opening included",
                process.name,
                mebibytes(process.before.rss),
                mebibytes(process.after.peak),
                mebibytes(process.after.rss),
                process.cpu_us_per_event,
            )?;
        }
        for (reason, count) in &self.failures {
            writeln!(f, "  {count} × {reason}")?;
        }
        Ok(())
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// What became of the streams.
#[derive(Debug, Default)]
struct Outcome {
    elapsed: Duration,
    /// Of each stream that completed, from request to first event; sorted.
    first_events: Vec<Duration>,
    /// How many streams failed for which reason.
    failed: BTreeMap<String, usize>,
}

/// Opens `count` streams over a third of the time that each `lasts`, so that all of them run at
/// once, and waits for them all.
async fn open_all(
    address: SocketAddr,
    exchange: &Arc<Exchange>,
    count: u32,
    lasts: Duration,
) -> Outcome {
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for number in 0..count {
        let at = start + (lasts / 3) * number / count;
        let exchange = Arc::clone(exchange);
        tasks.spawn(async move {
            tokio::time::sleep_until(at.into()).await;
            let stream = async { Connection::open(address).await?.exchange(&exchange).await };
            tokio::time::timeout(lasts + GRACE, stream)
                .await
                .context("the stream took too long")?
        });
    }
    let mut outcome = Outcome::default();
    while let Some(ended) = tasks.join_next().await {
        let result: anyhow::Result<Answered> =
            ended.context("a stream's task failed").and_then(|r| r);
        match result {
            Ok(answered) => outcome.first_events.push(answered.first_event),
            Err(error) => *outcome.failed.entry(format!("{error:#}")).or_default() += 1,
        }
    }
    outcome.elapsed = start.elapsed();
    outcome.first_events.sort_unstable();
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::MODEL;
    use clap::Parser as _;

    #[tokio::test]
    async fn streams_run_at_once_and_failures_are_counted_by_reason() {
        let upstream = Upstream::start(4, Duration::from_millis(100))
            .await
            .expect("listens");
        let lasts = Duration::from_millis(300);
        let good = Arc::new(Exchange::stream(MODEL, 4, Pace::Paced));
        let outcome = open_all(upstream.address, &good, 20, lasts).await;
        assert_eq!(outcome.first_events.len(), 20);
        assert!(outcome.failed.is_empty(), "{:?}", outcome.failed);
        assert!(upstream.peak_streams() > 10, "{}", upstream.peak_streams());

        let other = Arc::new(Exchange {
            answer: Exchange::stream(MODEL, 5, Pace::Paced).answer,
            ..Exchange::stream(MODEL, 4, Pace::Paced)
        });
        let outcome = open_all(upstream.address, &other, 3, lasts).await;
        assert!(outcome.first_events.is_empty());
        assert_eq!(outcome.failed.values().sum::<usize>(), 3);
        assert_eq!(outcome.failed.len(), 1, "{:?}", outcome.failed);
    }

    #[test]
    fn a_relay_goes_through_envoy_unless_the_other_way_is_asked_for() {
        #[derive(clap::Parser)]
        struct Cli {
            #[command(flatten)]
            options: Options,
        }
        let cell = |arguments: &[&str]| {
            let always = ["stress", "--envoy", "/envoy"];
            let cli = Cli::try_parse_from(always.iter().chain(arguments)).expect("arguments");
            cli.options.cell()
        };
        assert_eq!(cell(&[]), Cell::Meseta);
        assert_eq!(cell(&["--relay"]), Cell::Relay);
        assert_eq!(cell(&["--relay", "--streams", "2"]), Cell::Relay);
        assert_eq!(cell(&["--relay=envoy"]), Cell::Relay);
        assert_eq!(cell(&["--relay=direct"]), Cell::Straight);
    }
}
