//! The floor: what we cost above Envoy alone and above a server that decides nothing.
//!
//! All stacks run all the time and are loaded in turns, round by round, so that what changes on
//! the machine meanwhile meets each of them.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;

use crate::load;
use crate::processes::{machine_cpu, own_cpu};
use crate::report::{Cost, Report, Sample, Scenario};
use crate::stack::{Cell, Stack};
use crate::upstream::{Exchange, Pace, Upstream};
use crate::ProgramArgs;

/// Between the events of paced streams: a quick model's tokens.
const PACE: Duration = Duration::from_millis(10);

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
    /// Also measure the no-op server with the meter in the chain
    #[arg(long)]
    with_meter: bool,
    /// Write the report as JSON too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

impl Options {
    fn cells(&self) -> Vec<Cell> {
        let mut cells = vec![Cell::Alone, Cell::Noop];
        if self.with_meter {
            cells.push(Cell::NoopMeter);
        }
        cells.push(Cell::Meseta);
        cells
    }

    fn scenarios(&self) -> Vec<(Scenario, Exchange)> {
        let chats = self.connections.iter().map(|&connections| {
            let scenario = Scenario {
                connections,
                events: 0,
                pace: None,
            };
            (scenario, Exchange::chat())
        });
        let streams = [Pace::Flood, Pace::Paced].map(|pace| {
            let exchange = Exchange::stream(self.events, pace);
            let scenario = Scenario {
                connections: self.stream_connections,
                events: exchange.events,
                pace: Some(pace),
            };
            (scenario, exchange)
        });
        chats.chain(streams).collect()
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
        scenarios
            .iter()
            .all(|(scenario, _)| scenario.connections > 0),
        "without connections nothing is measured"
    );
    let dir = tempfile::Builder::new().prefix("mb").tempdir()?;
    let upstream = Upstream::start(options.events, PACE).await?;
    let mut stacks = Vec::new();
    for cell in options.cells() {
        progress(&format!(
            "starting {}: {}",
            cell.letter(),
            cell.description()
        ));
        let stack = Stack::start(cell, &programs, dir.path(), upstream.address, 1)
            .await
            .with_context(|| format!("stack {} does not start", cell.letter()))?;
        stacks.push(stack);
    }

    let mut samples = Vec::new();
    // The first round is thrown away: caches, connections and pools fill.
    for round in 0..=options.rounds {
        for (scenario, exchange) in &scenarios {
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
                let sample = sample(stack, *scenario, exchange, round, duration)
                    .await
                    .with_context(|| format!("{} failed\n{}", stack.cell.letter(), stack.logs()))?;
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

/// Loads one stack once.
async fn sample(
    stack: &mut Stack,
    scenario: Scenario,
    exchange: &Exchange,
    round: u32,
    duration: Duration,
) -> anyhow::Result<Sample> {
    let before = Clocks::read(stack)?;
    let measured = load::run(stack.address, exchange, scenario.connections, duration).await?;
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
