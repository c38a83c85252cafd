//! `meseta render`: what other programs need from us, as files. Nothing rendered holds a secret.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Subcommand;
use meseta_config::{AccessLog, AdminAddress, EgressSocket, ListenAddress, RenderOptions};

use crate::commands::reference;
use crate::failure::Failure;
use crate::filter;
use crate::source::Source;
use crate::terminal::Terminal;

/// Arguments of `meseta render`.
#[derive(Debug, clap::Args)]
pub struct Render {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Print an Envoy bootstrap, or with `--snippet` the parts to put into your own
    Envoy(Envoy),
    /// Write the filter that Envoy loads
    Filter(Filter),
    /// Print the JSON Schema of the configuration, for editors
    Schema,
}

#[derive(Debug, clap::Args)]
struct Envoy {
    /// Configuration file [default: meseta.yaml, plano_config.yaml or arch_config.yaml here]
    file: Option<PathBuf>,
    /// Only the HTTP filters, the route and the clusters
    #[arg(long)]
    snippet: bool,
    /// Take listeners and clusters from the files that `meseta serve --xds DIR` writes
    ///
    /// They may then change while Envoy runs.
    #[arg(long, value_name = "DIR", conflicts_with = "snippet")]
    xds: Option<PathBuf>,
    /// Where Envoy finds `meseta serve` [default: `server.listen` of the configuration]
    #[arg(long, value_name = "unix:PATH|tcp:ADDRESS:PORT")]
    server: Option<ListenAddress>,
    /// Where Envoy finds the filter (see `meseta render filter`)
    #[arg(long, value_name = "PATH", default_value = "meseta_meter.wasm")]
    filter: PathBuf,
    /// Envoy's admin interface
    #[arg(
        long,
        value_name = "unix:PATH|tcp:ADDRESS:PORT",
        default_value = "tcp:127.0.0.1:9901"
    )]
    admin: AdminAddress,
    /// Where Envoy's access log goes: `stdout` or a file
    #[arg(long, value_name = "PATH|stdout", default_value = "stdout", value_parser = access_log)]
    access_log: AccessLog,
}

#[derive(Debug, clap::Args)]
struct Filter {
    /// File to write
    #[arg(long, value_name = "PATH")]
    output: PathBuf,
}

impl Render {
    /// Renders to standard output or a file; notices go to standard error.
    pub fn run(self, terminal: &Terminal) -> Result<()> {
        match self.what {
            What::Envoy(envoy) => envoy.run(terminal),
            What::Filter(filter) => filter.run(terminal),
            What::Schema => {
                let schema = reference::schema()?;
                terminal.result(&schema).context("cannot write the schema")
            }
        }
    }
}

impl Envoy {
    fn run(self, terminal: &Terminal) -> Result<()> {
        let source = Source::find(self.file.as_deref())?;
        source.print_notices(terminal);
        let config = source.config();
        let server = self.server.unwrap_or_else(|| config.server.listen.clone());
        let options = RenderOptions {
            egress: EgressSocket::of(&config.server, &server),
            server,
            filter: self.filter,
            admin: self.admin,
            access_log: self.access_log,
        };
        let text = match self.xds {
            Some(directory) => meseta_config::dynamic_bootstrap(&options, &directory),
            None if self.snippet => meseta_config::snippet(config, &options),
            None => meseta_config::bootstrap(config, &options),
        };
        terminal.result(&text).context("cannot write the rendering")
    }
}

impl Filter {
    fn run(self, terminal: &Terminal) -> Result<()> {
        let wasm = filter::embedded().ok_or_else(Failure::no_filter)?;
        let path = self.output.display();
        std::fs::write(&self.output, wasm).with_context(|| format!("cannot write `{path}`"))?;
        terminal.info(&format!("wrote {} bytes to {path}", wasm.len()));
        Ok(())
    }
}

/// `stdout` or a file.
pub fn access_log(text: &str) -> Result<AccessLog, std::convert::Infallible> {
    Ok(match text {
        "stdout" => AccessLog::Stdout,
        path => AccessLog::File(path.into()),
    })
}
