//! The floor: what we cost above Envoy alone and above a server that decides nothing, and what each
//! of our ways to a provider costs.
//!
//! All stacks run all the time and are loaded in turns, round by round, so that what changes on
//! the machine meanwhile meets each of them.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::ValueEnum as _;

use crate::cell::Cell;
use crate::load;
use crate::processes::{machine_cpu, own_cpu};
use crate::report::{Cost, Report, Sample, Scenario};
use crate::stack::Stack;
use crate::upstream::{Exchange, Pace, Upstream};
use crate::ProgramArgs;

/// Between the events of paced streams: a quick model's tokens.
const PACE: Duration = Duration::from_millis(10);

/// Between the beginnings of paced streams: none waits for the beginning of another.
const APART: Duration = Duration::from_millis(5);

/// What to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    programs: ProgramArgs,
    /// Rounds over all stacks
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Seconds of load for each stack, scenario and round
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Connections of the chat scenarios
    #[arg(long, value_delimiter = ',', default_value = "1,16")]
    connections: Vec<usize>,
    /// Connections of the stream scenarios
    #[arg(long, default_value_t = 16)]
    stream_connections: usize,
    /// Events of each stream
    #[arg(long, default_value_t = 200)]
    events: usize,
    /// What to measure; M is B with the meter in the chain
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "A,B,C,R,S,F,H",
        ignore_case = true
    )]
    cells: Vec<Cell>,
    /// Write the report as JSON too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

impl Options {
    /// Each once, however often and in which order they were named.
    fn cells(&self) -> Vec<Cell> {
        let all = Cell::value_variants().iter().copied();
        all.filter(|cell| self.cells.contains(cell)).collect()
    }

    fn scenarios(&self) -> Vec<Scenario> {
        let chats = self.connections.iter().map(|&connections| Scenario {
            connections,
            events: 0,
            pace: None,
        });
        let streams = [Pace::Flood, Pace::Paced].map(|pace| Scenario {
            connections: self.stream_connections,
            events: Exchange::stream("", self.events, pace).events,
            pace: Some(pace),
        });
        chats.chain(streams).collect()
    }
}

/// What clients ask a cell in a scenario.
fn exchange(cell: Cell, scenario: Scenario) -> Exchange {
    match scenario.pace {
        None => Exchange::chat(cell.model()),
        Some(pace) => Exchange::stream(cell.model(), scenario.events, pace),
    }
}

/// Measures and prints the table.
///
/// # Errors
/// When a stack does not start, an exchange fails, or the report cannot be written.
pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let programs = options.programs.find()?;
    let duration = Duration::from_secs(options.seconds);
    let scenarios = options.scenarios();
    anyhow::ensure!(
        scenarios.iter().all(|scenario| scenario.connections > 0),
        "without connections nothing is measured"
    );
    let dir = tempfile::Builder::new().prefix("mb").tempdir()?;
    let start = || Upstream::start(options.events, PACE);
    let providers = [start().await?, start().await?, start().await?];
    let addresses = providers.each_ref().map(|provider| provider.address);
    let mut stacks = Vec::new();
    for cell in options.cells() {
        progress(&format!(
            "starting {}: {}",
            cell.letter(),
            cell.description()
        ));
        let stack = Stack::start(cell, &programs, dir.path(), &addresses, 1)
            .await
            .with_context(|| format!("stack {} does not start", cell.letter()))?;
        stacks.push(stack);
    }

    let mut samples = Vec::new();
    // The first round is thrown away: caches, connections and pools fill.
    for round in 0..=options.rounds {
        for &scenario in &scenarios {
            let mut line = match round {
                0 => format!("warming up, {scenario}:"),
                round => format!("round {round}/{}, {scenario}:", options.rounds),
            };
            for stack in &mut stacks {
                let duration = if round == 0 {
                    Duration::from_secs(1)
                } else {
                    duration
                };
                let sample = sample(stack, scenario, round, duration)
                    .await
                    .with_context(|| format!("{} failed\n{}", stack.cell.letter(), stack.logs()))?;
                ensure_unused(&providers[1..])
                    .with_context(|| format!("{} failed", stack.cell.letter()))?;
                line.push_str(&format!("  {} {:.0}/s", stack.cell.letter(), sample.rate));
                if round > 0 {
                    samples.push(sample);
                }
            }
            progress(&line);
        }
    }
    let report = Report::new(options.rounds, options.seconds, options.cells(), samples);
    for stack in stacks {
        stack.stop().await?;
    }
    if let Some(path) = &options.json {
        std::fs::write(path, serde_json::to_vec_pretty(&report.json())?)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    write!(std::io::stdout(), "\n{report}")?;
    Ok(())
}

/// What is measured is what fallbacks cost that are not needed.
fn ensure_unused(fallbacks: &[Upstream]) -> anyhow::Result<()> {
    let requests: usize = fallbacks.iter().map(Upstream::requests).sum();
    anyhow::ensure!(
        requests == 0,
        "{requests} requests went to fallbacks though the first target answers"
    );
    Ok(())
}

/// Loads one stack once.
async fn sample(
    stack: &mut Stack,
    scenario: Scenario,
    round: u32,
    duration: Duration,
) -> anyhow::Result<Sample> {
    let exchange = exchange(stack.cell, scenario);
    let connections = scenario.connections;
    let apart = match (scenario.pace, u32::try_from(connections)) {
        // The last one begins while there is time.
        (Some(Pace::Paced), Ok(count)) => APART.min(duration / 2 / count),
        _ => Duration::ZERO,
    };
    let before = Clocks::read(stack)?;
    let measured = load::run(stack.address, &exchange, connections, apart, duration).await?;
    let after = Clocks::read(stack)?;
    stack.ensure_running()?;
    let cost = Cost {
        envoy: after.envoy.saturating_sub(before.envoy),
        server: stack
            .server
            .is_some()
            .then(|| after.server.saturating_sub(before.server)),
        bench: after.bench.saturating_sub(before.bench),
        machine: after.machine.saturating_sub(before.machine),
        envoy_memory: stack.envoy.memory()?,
        server_memory: stack.server_memory()?,
    };
    Ok(Sample::new(stack.cell, scenario, round, &measured, cost))
}

/// CPU time that everyone has used so far.
struct Clocks {
    envoy: Duration,
    server: Duration,
    bench: Duration,
    machine: Duration,
}

impl Clocks {
    fn read(stack: &Stack) -> anyhow::Result<Self> {
        Ok(Self {
            envoy: stack.envoy.cpu()?,
            server: stack.server_cpu()?.unwrap_or_default(),
            bench: own_cpu()?,
            machine: machine_cpu()?,
        })
    }
}

/// Says on standard error what goes on; the table alone is on standard output.
fn progress(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
