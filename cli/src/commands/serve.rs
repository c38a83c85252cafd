//! `meseta serve`: the external-processing server that an Envoy calls.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use meseta_config::{ListenAddress, LogFormat};
use meseta_ext_proc::ServeOptions;

use crate::failure::Failure;
use crate::source::Source;
use crate::terminal::Terminal;

/// Arguments of `meseta serve`; each overrides the configuration's `server` section.
#[derive(Debug, clap::Args)]
pub struct Serve {
    /// Configuration file [default: meseta.yaml, plano_config.yaml or arch_config.yaml here]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where Envoy calls: `unix:PATH` or `tcp:ADDRESS:PORT`
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<ListenAddress>,
    /// Address of health, metrics and configuration over HTTP; loopback unless you mean it
    #[arg(long, value_name = "ADDRESS:PORT")]
    admin: Option<SocketAddr>,
    /// How long running exchanges may finish after SIGTERM
    #[arg(long, value_name = "DURATION", value_parser = meseta_config::parse_duration)]
    drain_timeout: Option<Duration>,
    /// Format of the log: `json` or `text`
    #[arg(long, value_name = "FORMAT")]
    log: Option<LogFormat>,
    /// File to write the bound admin address to when the server takes exchanges
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
}

impl Serve {
    /// Serves until SIGTERM or SIGINT, then drains. Exit code 0 after a drain.
    pub fn run(self, terminal: &Terminal) -> Result<()> {
        let source = Source::find(self.config.as_deref())?;
        // What the configuration says without being wrong goes to the log.
        source.print_warnings(terminal);
        let config = source.into_config();
        let server = &config.server;
        let options = ServeOptions {
            listen: self.listen.unwrap_or_else(|| server.listen.clone()),
            admin: self.admin.unwrap_or(server.admin),
            drain_timeout: self.drain_timeout.unwrap_or(server.drain_timeout),
            log: self.log.unwrap_or(server.log),
            ready_file: self.ready_file,
            config,
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .context("cannot start the runtime")?;
        let served = runtime.block_on(meseta_ext_proc::serve(options));
        served.map_err(|error| Failure::run(chain(&error)).into())
    }
}

/// An error with its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}
