//! Thousands of slow streams at once: whether limits and circuit breakers hold.
//!
//! Every stream gets an event each second. One that is refused, cut or changed fails the run.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::json;
use tokio::task::JoinSet;

use crate::load::{Answered, Connection};
use crate::processes::raise_open_files;
use crate::report::{cpus, mebibytes};
use crate::stack::{Cell, Stack};
use crate::statistics::percentile;
use crate::upstream::{Exchange, Upstream};
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
    /// Write the report as JSON too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Runs the streams and prints what became of them.
///
/// # Errors
/// When the stack does not start or a stream fails.
pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let programs = options.programs.find()?;
    // Client and provider are one process, Envoy has as many connections.
    raise_open_files(2 * u64::from(options.streams) + OTHER_FILES)?;
    let events = options.seconds as usize + 1;
    let dir = tempfile::Builder::new().prefix("mb").tempdir()?;
    let upstream = Upstream::start(events, Some(PACE)).await?;
    let mut stack = Stack::start(
        Cell::Meseta,
        &programs,
        dir.path(),
        upstream.address,
        options.workers,
    )
    .await?;
    let idle = (stack.envoy.memory()?, stack.server_memory()?);

    let exchange = Arc::new(Exchange::stream(events));
    let lasts = PACE * options.seconds;
    let outcome = open_all(stack.address, &exchange, options.streams, lasts).await;
    stack.ensure_running()?;
    let envoy = stack.envoy.memory()?;
    let server = stack.server_memory()?;
    let logs = stack.logs();
    stack.stop().await?;

    let failed = outcome.failed.values().sum::<usize>();
    let report = json!({
        "cpus": cpus(),
        "streams": options.streams,
        "events_each": events,
        "completed": outcome.first_bytes.len(),
        "failed": failed,
        "failures": outcome.failed,
        "peak_streams": upstream.peak_streams(),
        "first_byte_ms": {
            "p50": millis(percentile(&outcome.first_bytes, 0.5)),
            "p99": millis(percentile(&outcome.first_bytes, 0.99)),
        },
        "seconds": outcome.elapsed.as_secs_f64(),
        "envoy": {"idle": idle.0, "after": envoy},
        "server": {"idle": idle.1, "after": server},
    });
    if let Some(path) = &options.json {
        std::fs::write(path, serde_json::to_vec_pretty(&report)?)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    let mut out = std::io::stdout();
    writeln!(
        out,
        "{} streams of {events} events on {} CPUs, shared with client and provider; {} Envoy \
         worker(s)\n  completed {}, failed {failed}, at most {} at once, in {:.1} s\n  first byte \
         p50 {:.0} ms, p99 {:.0} ms",
        options.streams,
        cpus(),
        options.workers,
        outcome.first_bytes.len(),
        upstream.peak_streams(),
        outcome.elapsed.as_secs_f64(),
        millis(percentile(&outcome.first_bytes, 0.5)),
        millis(percentile(&outcome.first_bytes, 0.99)),
    )?;
    let memory = [
        ("envoy", Some(idle.0), Some(envoy)),
        ("server", idle.1, server),
    ];
    for (name, idle, after) in memory {
        if let (Some(idle), Some(after)) = (idle, after) {
            writeln!(
                out,
                "  {name}: {:.1} MiB idle, {:.1} MiB at most, {:.1} MiB after",
                mebibytes(idle.rss),
                mebibytes(after.peak),
                mebibytes(after.rss),
            )?;
        }
    }
    for (reason, count) in &outcome.failed {
        writeln!(out, "  {count} × {reason}")?;
    }
    anyhow::ensure!(failed == 0, "{failed} streams failed\n{logs}");
    Ok(())
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// What became of the streams.
#[derive(Debug, Default)]
struct Outcome {
    elapsed: Duration,
    /// Of each stream that completed, from request to first byte; sorted.
    first_bytes: Vec<Duration>,
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
            Ok(answered) => outcome.first_bytes.push(answered.first_byte),
            Err(error) => *outcome.failed.entry(format!("{error:#}")).or_default() += 1,
        }
    }
    outcome.elapsed = start.elapsed();
    outcome.first_bytes.sort_unstable();
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn streams_run_at_once_and_failures_are_counted_by_reason() {
        let upstream = Upstream::start(4, Some(Duration::from_millis(100)))
            .await
            .expect("listens");
        let lasts = Duration::from_millis(300);
        let good = Arc::new(Exchange::stream(4));
        let outcome = open_all(upstream.address, &good, 20, lasts).await;
        assert_eq!(outcome.first_bytes.len(), 20);
        assert!(outcome.failed.is_empty(), "{:?}", outcome.failed);
        assert!(upstream.peak_streams() > 10, "{}", upstream.peak_streams());

        let other = Arc::new(Exchange {
            answer: Exchange::stream(5).answer,
            ..Exchange::stream(4)
        });
        let outcome = open_all(upstream.address, &other, 3, lasts).await;
        assert!(outcome.first_bytes.is_empty());
        assert_eq!(outcome.failed.values().sum::<usize>(), 3);
        assert_eq!(outcome.failed.len(), 1, "{:?}", outcome.failed);
    }
}
