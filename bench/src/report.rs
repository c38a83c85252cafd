//! What was measured, as a table and as JSON.
//!
//! Owns figures per unit: an exchange in chat scenarios, an event in stream scenarios. Latencies
//! are those of whole exchanges, and of streams also those to the end of the first event. Does no I/O
//! but reading what machine this is.

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use serde_json::{json, Value};

use crate::cell::Cell;
use crate::load::Measured;
use crate::processes::Memory;
use crate::statistics::{percentile, Spread};
use crate::upstream::Pace;

/// What clients do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Scenario {
    /// Connections that ask at once.
    pub(crate) connections: usize,
    /// Events in each answer; 0 if answers are no streams.
    pub(crate) events: usize,
    /// How fast events come; none if answers are no streams.
    pub(crate) pace: Option<Pace>,
}

impl Scenario {
    /// How many of these an exchange has.
    #[allow(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
    fn units(self) -> f64 {
        self.events.max(1) as f64
    }

    fn is_stream(self) -> bool {
        self.events > 0
    }

    /// What figures are given for each of.
    fn unit(self) -> &'static str {
        if self.is_stream() {
            "event"
        } else {
            "request"
        }
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pace {
            None => f.write_str("chat")?,
            Some(Pace::Flood) => write!(f, "stream of {} events at once", self.events)?,
            Some(Pace::Paced) => write!(f, "stream of {} events one by one", self.events)?,
        }
        let plural = if self.connections == 1 { "" } else { "s" };
        write!(f, ", {} connection{plural}", self.connections)
    }
}

/// What a load cost the processes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    /// CPU time of Envoy.
    pub(crate) envoy: Duration,
    /// CPU time of the server.
    pub(crate) server: Option<Duration>,
    /// CPU time of client and mock provider.
    pub(crate) bench: Duration,
    /// CPU time of everything that is on the machine.
    pub(crate) machine: Duration,
    /// Envoy's memory.
    pub(crate) envoy_memory: Memory,
    /// The server's memory.
    pub(crate) server_memory: Option<Memory>,
}

/// One load of one stack.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Sample {
    #[serde(serialize_with = "letter")]
    cell: Cell,
    scenario: Scenario,
    round: u32,
    exchanges: usize,
    seconds: f64,
    /// Units per second.
    pub(crate) rate: f64,
    p50_us: f64,
    p99_us: f64,
    /// From the request to the end of a stream's first event.
    first_event_p50_us: Option<f64>,
    first_event_p99_us: Option<f64>,
    /// CPU µs per unit.
    envoy_cpu_us: f64,
    server_cpu_us: Option<f64>,
    bench_cpu_us: f64,
    /// CPUs that processes used which are not measured.
    foreign_cpus: f64,
    envoy_memory: Memory,
    server_memory: Option<Memory>,
}

fn letter<S: serde::Serializer>(cell: &Cell, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(cell.letter())
}

impl Sample {
    /// Brings what was measured down to one unit.
    pub(crate) fn new(
        cell: Cell,
        scenario: Scenario,
        round: u32,
        measured: &Measured,
        cost: Cost,
    ) -> Self {
        let exchanges = measured.latencies.len();
        #[allow(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
        let units = exchanges.max(1) as f64 * scenario.units();
        let first_event = |share| {
            let first_event = micros(percentile(&measured.first_events, share));
            scenario.is_stream().then_some(first_event)
        };
        let per_unit = |cpu: Duration| micros(cpu) / units;
        let measured_cpu = cost.envoy + cost.server.unwrap_or_default() + cost.bench;
        let foreign = cost.machine.saturating_sub(measured_cpu);
        Self {
            cell,
            scenario,
            round,
            exchanges,
            seconds: measured.elapsed.as_secs_f64(),
            rate: measured.rate * scenario.units(),
            p50_us: micros(percentile(&measured.latencies, 0.5)),
            p99_us: micros(percentile(&measured.latencies, 0.99)),
            first_event_p50_us: first_event(0.5),
            first_event_p99_us: first_event(0.99),
            envoy_cpu_us: per_unit(cost.envoy),
            server_cpu_us: cost.server.map(per_unit),
            bench_cpu_us: per_unit(cost.bench),
            foreign_cpus: foreign.as_secs_f64() / measured.elapsed.as_secs_f64(),
            envoy_memory: cost.envoy_memory,
            server_memory: cost.server_memory,
        }
    }

    /// CPU of Envoy and the server together, µs per unit.
    fn cpu_us(&self) -> f64 {
        self.envoy_cpu_us + self.server_cpu_us.unwrap_or_default()
    }
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

/// All that was measured.
#[derive(Debug)]
pub(crate) struct Report {
    rounds: u32,
    seconds: u64,
    cells: Vec<Cell>,
    samples: Vec<Sample>,
}

/// Two cells compared, round by round.
#[derive(Debug, Clone, Serialize)]
struct Comparison {
    pair: String,
    scenario: Scenario,
    rate: Spread,
    p50: Spread,
    /// Of the median time to a stream's first event.
    first_event: Option<Spread>,
    cpu: Spread,
}

/// CPUs that other processes may use without a warning.
const FOREIGN_LIMIT: f64 = 0.1;

/// What is divided by what.
const PAIRS: [(Cell, Cell); 12] = [
    (Cell::Noop, Cell::Alone),
    (Cell::NoopMeter, Cell::Noop),
    (Cell::Meseta, Cell::Alone),
    (Cell::Meseta, Cell::Noop),
    (Cell::Meseta, Cell::NoopMeter),
    (Cell::Relay, Cell::Noop),
    (Cell::Relay, Cell::Meseta),
    (Cell::Straight, Cell::Noop),
    (Cell::Straight, Cell::Meseta),
    (Cell::Straight, Cell::Relay),
    (Cell::Fallbacks, Cell::Relay),
    (Cell::StraightFallbacks, Cell::Straight),
];

impl Report {
    /// Takes the samples of all rounds.
    pub(crate) fn new(rounds: u32, seconds: u64, cells: Vec<Cell>, samples: Vec<Sample>) -> Self {
        Self {
            rounds,
            seconds,
            cells,
            samples,
        }
    }

    /// Everything, single samples included.
    pub(crate) fn json(&self) -> Value {
        json!({
            "machine": {"cpus": cpus(), "shared": true, "model": cpu_model()},
            "rounds": self.rounds,
            "seconds": self.seconds,
            "cells": self.cells.iter()
                .map(|cell| (cell.letter().to_owned(), json!(cell.description())))
                .collect::<serde_json::Map<_, _>>(),
            "ratios": self.comparisons(),
            "samples": self.samples,
        })
    }

    fn scenarios(&self) -> Vec<Scenario> {
        let mut scenarios: Vec<Scenario> = Vec::new();
        for sample in &self.samples {
            if !scenarios.contains(&sample.scenario) {
                scenarios.push(sample.scenario);
            }
        }
        scenarios
    }

    /// A figure in each round, in the order of rounds.
    fn figures(&self, scenario: Scenario, cell: Cell, figure: fn(&Sample) -> f64) -> Vec<f64> {
        self.samples
            .iter()
            .filter(|sample| sample.scenario == scenario && sample.cell == cell)
            .map(figure)
            .collect()
    }

    fn comparisons(&self) -> Vec<Comparison> {
        let mut comparisons = Vec::new();
        for scenario in self.scenarios() {
            for (ours, theirs) in PAIRS {
                let ratio = |figure: fn(&Sample) -> f64| {
                    Spread::of_ratios(
                        &self.figures(scenario, ours, figure),
                        &self.figures(scenario, theirs, figure),
                    )
                };
                let figures = (
                    ratio(|sample| sample.rate),
                    ratio(|sample| sample.p50_us),
                    ratio(Sample::cpu_us),
                );
                let first_event = ratio(|sample| sample.first_event_p50_us.unwrap_or_default());
                if let (Some(rate), Some(p50), Some(cpu)) = figures {
                    comparisons.push(Comparison {
                        pair: format!("{}/{}", ours.letter(), theirs.letter()),
                        scenario,
                        rate,
                        p50,
                        first_event,
                        cpu,
                    });
                }
            }
        }
        comparisons
    }

    fn write_scenario(&self, f: &mut fmt::Formatter<'_>, scenario: Scenario) -> fmt::Result {
        let unit = scenario.unit();
        writeln!(f, "{scenario}")?;
        writeln!(
            f,
            "     {:>10}  {:>8}  {:>8}  {:>8}  {:>8}  {:>8}  {:>9}  {:>8}  {:>9}  {:>7}",
            format!("{unit}s/s"),
            "p50 ms",
            "p99 ms",
            "1st p50",
            "1st p99",
            "envoy µs",
            "server µs",
            "load µs",
            "envoy MiB",
            "srv MiB"
        )?;
        for &cell in &self.cells {
            let median = |figure: fn(&Sample) -> f64| {
                Spread::of(self.figures(scenario, cell, figure)).map_or(f64::NAN, |s| s.median)
            };
            let (server, stream) = (cell != Cell::Alone, scenario.is_stream());
            writeln!(
                f,
                "  {:<2} {:>10.0}  {:>8.3}  {:>8.3}  {:>8}  {:>8}  {:>8.1}  {:>9}  {:>8.1}  {:>9.1}  \
                 {:>7}",
                cell.letter(),
                median(|sample| sample.rate),
                median(|sample| sample.p50_us / 1e3),
                median(|sample| sample.p99_us / 1e3),
                optional(stream, 3, median(|s| millis(s.first_event_p50_us))),
                optional(stream, 3, median(|s| millis(s.first_event_p99_us))),
                median(|sample| sample.envoy_cpu_us),
                optional(server, 1, median(|s| s.server_cpu_us.unwrap_or(f64::NAN))),
                median(|sample| sample.bench_cpu_us),
                median(|sample| mebibytes(sample.envoy_memory.rss)),
                optional(
                    server,
                    1,
                    median(|s| s.server_memory.map_or(f64::NAN, |m| mebibytes(m.rss)))
                ),
            )?;
        }
        let comparisons = self.comparisons();
        for comparison in comparisons.iter().filter(|c| c.scenario == scenario) {
            writeln!(
                f,
                "  {}: {}s/s {}, p50 {}, {}CPU {}",
                comparison.pair,
                unit,
                spread(comparison.rate),
                spread(comparison.p50),
                comparison
                    .first_event
                    .map_or_else(String::new, |own| format!("1st p50 {}, ", spread(own))),
                spread(comparison.cpu),
            )?;
        }
        Ok(())
    }
}

/// Microseconds as milliseconds.
fn millis(micros: Option<f64>) -> f64 {
    micros.unwrap_or(f64::NAN) / 1e3
}

fn optional(there: bool, digits: usize, value: f64) -> String {
    if there {
        format!("{value:.digits$}")
    } else {
        "-".to_owned()
    }
}

fn spread(spread: Spread) -> String {
    format!(
        "×{:.2} ({:.2}–{:.2})",
        spread.median, spread.min, spread.max
    )
}

/// Bytes as MiB.
#[allow(clippy::cast_precision_loss, reason = "memory stays below 2^52 bytes")]
pub(crate) fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / (1024.0 * 1024.0)
}

/// CPUs that may be used; 0 if unknown.
pub(crate) fn cpus() -> usize {
    std::thread::available_parallelism().map_or(0, usize::from)
}

fn cpu_model() -> Option<String> {
    let info = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = info.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} CPUs ({}), which client, provider, Envoy (1 worker) and server share: the ratios \
             tell more than the rates.",
            cpus(),
            cpu_model().as_deref().unwrap_or("of an unknown kind"),
        )?;
        writeln!(
            f,
            "Medians of {} rounds of {} s; ratios within rounds: median (min–max). CPU is per \
             request or event; 1st is the time to a stream's first event, in ms.",
            self.rounds, self.seconds
        )?;
        for cell in &self.cells {
            writeln!(f, "  {}  {}", cell.letter(), cell.description())?;
        }
        for scenario in self.scenarios() {
            writeln!(f)?;
            self.write_scenario(f, scenario)?;
        }
        if let Some(foreign) = Spread::of(self.samples.iter().map(|sample| sample.foreign_cpus)) {
            writeln!(
                f,
                "\nOther processes used {:.2} CPUs meanwhile ({:.2}–{:.2}).{}",
                foreign.median,
                foreign.min,
                foreign.max,
                if foreign.max > FOREIGN_LIMIT {
                    " That is too much: rates and latencies are theirs too. Measure again when \
                     the machine is quiet."
                } else {
                    ""
                }
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
