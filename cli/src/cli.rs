//! The command line: which commands there are. Each command's arguments are in its own file.

use clap::{Parser, Subcommand};

use crate::commands::{
    down, keys, launch, limits, logs, reference, render, serve, status, supervise, targets,
    translate, up, validate, version,
};

/// An AI-native data plane for stock Envoy.
#[derive(Debug, Parser)]
#[command(name = "meseta", version)]
pub struct Cli {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the external-processing server that an Envoy calls
    Serve(serve::Serve),
    /// Start the server and Envoy together, and wait until requests pass
    Up(up::Up),
    /// Stop what `up` started
    Down(down::Down),
    /// Say what runs and where it listens
    Status(status::Status),
    /// Show what the server, Envoy and their supervisor have logged
    Logs(logs::Logs),
    /// Show how targets are, and take one out of service
    ///
    /// There is a line for each target of a name of `models`, then one for each other that the server has called. What is
    /// known of a target is shared by all names that have it. A name that is marked `direct` is called by Envoy alone: that
    /// says nothing of its target, and does not ask whether it is drained.
    Targets(targets::Targets),
    /// Make keys for clients, list them, take them back
    ///
    /// Where a configuration has `keys`, a request needs one of them. The configuration has only their hashes: a key is shown
    /// when it is made, and never again. A running server takes a changed file by itself.
    #[command(subcommand)]
    Keys(keys::Keys),
    /// List limits, and explain which of them a request falls under
    #[command(subcommand)]
    Limits(limits::Limits),
    /// Check a configuration without running it
    Validate(validate::Validate),
    /// Print what other programs need: Envoy's configuration, the filter, the schema
    Render(render::Render),
    /// Translate a request, an answer or a stream from one API to another
    Translate(translate::Translate),
    /// Print the version and what this build carries
    Version(version::Version),
    /// Print a page of the reference (for `cargo xtask gen`)
    #[command(hide = true)]
    Reference(reference::Reference),
    /// Watch the server and Envoy (started by `up`)
    #[command(hide = true)]
    Supervise(supervise::Supervise),
    /// Become a program that ends with its parent (started by `up`)
    #[command(hide = true)]
    Launch(launch::Launch),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
