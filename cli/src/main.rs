//! `meseta`: serve exchanges to an Envoy, or run both together.
//!
//! This file only parses arguments and runs a command; each command is a file in `commands/`.

mod cli;
mod columns;
mod commands;
mod dotenv;
mod environment;
mod envoy;
mod failure;
#[cfg_attr(test, allow(clippy::print_stderr, reason = "a skipped test is seen"))]
mod filter;
mod instance;
mod running;
mod source;
mod summary;
mod supervisor;
mod terminal;
mod zero_config;

use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command};
use terminal::Terminal;

fn main() -> ExitCode {
    let terminal = Terminal::standard();
    let done = match Cli::parse().command {
        Command::Serve(command) => command.run(&terminal),
        Command::Up(command) => command.run(&terminal),
        Command::Down(command) => command.run(&terminal),
        Command::Status(command) => command.run(&terminal),
        Command::Logs(command) => command.run(&terminal),
        Command::Targets(command) => command.run(&terminal),
        Command::Keys(command) => command.run(&terminal),
        Command::Limits(command) => command.run(&terminal),
        Command::Validate(command) => command.run(&terminal),
        Command::Render(command) => command.run(&terminal),
        Command::Translate(command) => command.run(&terminal),
        Command::Version(command) => command.run(&terminal),
        Command::Reference(command) => command.run(&terminal),
        Command::Supervise(command) => command.run(&terminal),
        Command::Launch(command) => command.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure::report(&terminal, &error),
    }
}
