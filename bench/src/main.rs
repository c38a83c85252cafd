//! The performance board.
//!
//! `floor` compares the product with Envoy alone and with an external-processing server that
//! decides nothing, and its ways to a provider with each other; `stress` runs thousands of long streams through it. Nothing here is part of
//! the product, and all that runs listens on loopback or on Unix sockets.

mod bootstrap;
mod cell;
mod floor;
mod http1;
mod load;
mod noop;
mod processes;
mod report;
mod stack;
mod statistics;
mod stress;
mod upstream;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use tokio::runtime;
use tokio::signal::unix::{signal, SignalKind};

/// Measure the data plane
#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Compare Envoy alone, Envoy with a no-op server, and our ways to a provider, in interleaved rounds
    Floor(floor::Options),
    /// Run thousands of slow streams through us at once
    Stress(stress::Options),
    /// The no-op external-processing server that `floor` compares with
    #[command(hide = true)]
    Noop {
        /// Unix socket to listen on
        #[arg(long, value_name = "PATH")]
        socket: PathBuf,
        /// Cluster to route to
        #[arg(long, value_name = "NAME")]
        cluster: String,
    },
}

/// The programs to measure.
#[derive(Debug, Args)]
struct ProgramArgs {
    /// Envoy's binary
    #[arg(long, value_name = "PATH", env = "MESETA_ENVOY")]
    envoy: PathBuf,
    /// The product's binary, a release build with the filter in it
    #[arg(long, value_name = "PATH", default_value = "target/release/meseta")]
    meseta: PathBuf,
}

impl ProgramArgs {
    fn find(&self) -> anyhow::Result<stack::Programs> {
        Ok(stack::Programs {
            envoy: processes::program(&self.envoy, "scripts/setup-envoy.sh installs and names it")?,
            meseta: processes::program(&self.meseta, "`make build` builds it")?,
            bench: std::env::current_exe()?,
        })
    }
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    match command {
        // As many threads as the real server has.
        Command::Noop { socket, cluster } => runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?
            .block_on(noop::serve(&socket, &cluster)),
        Command::Floor(options) => measure(floor::run(options)),
        Command::Stress(options) => measure(stress::run(options)),
    }
}

/// Client and provider share one thread, so that they take from the measured processes as little
/// as they can. A signal ends the measurement, and with it all that was started.
fn measure(work: impl std::future::Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(async {
            let mut terminate = signal(SignalKind::terminate())?;
            tokio::select! {
                result = work => result,
                interrupted = tokio::signal::ctrl_c() => {
                    interrupted.context("signals cannot be listened for")?;
                    anyhow::bail!("interrupted")
                }
                _ = terminate.recv() => anyhow::bail!("terminated"),
            }
        })
}
