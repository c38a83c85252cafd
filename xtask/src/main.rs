//! The workspace's own commands, run as `cargo xtask COMMAND`.
//!
//! Owns steps of the build that cargo cannot express. Never installs anything: a missing tool is
//! named together with the way to get it.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod counters;
mod gen;
mod wasm;
mod workspace;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The workspace's own commands")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write bench/counters.tsv: the instructions and allocations of the codecs
    Counters(counters::Options),
    /// Write the pages of docs/reference that follow from code
    Gen(gen::Options),
    /// Build the filter for wasm32-wasip1, unless it is built already
    Wasm(wasm::Options),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Counters(options) => counters::run(&options),
        Command::Gen(options) => gen::run(&options),
        Command::Wasm(options) => wasm::run(&options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}

/// The whole chain of causes on one line; never a backtrace, which is no answer to a missing tool.
#[allow(clippy::print_stderr, reason = "the command's answer to its user")]
fn report(error: &anyhow::Error) {
    eprintln!("error: {error:#}");
}
