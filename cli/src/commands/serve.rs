//! `meseta serve`: the external-processing server that an Envoy calls.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use meseta_config::{
    AccessLog, AdminAddress, EgressSocket, ListenAddress, LogFormat, RenderOptions,
};
use meseta_ext_proc::{LoadError, Loaded, ReloadOptions, ServeOptions, XdsOptions};

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
    /// Directory to write Envoy's listeners and clusters to, as `meseta render envoy --xds` has it
    ///
    /// With it, a changed configuration reaches Envoy as well, without losing an exchange.
    #[arg(long, value_name = "DIR", requires_all = ["envoy_admin", "filter"])]
    xds: Option<PathBuf>,
    /// Envoy's admin interface: asked whether Envoy has taken what was written
    #[arg(long, value_name = "unix:PATH|tcp:ADDRESS:PORT", requires = "xds")]
    envoy_admin: Option<AdminAddress>,
    /// Where Envoy finds the filter (see `meseta render filter`)
    #[arg(long, value_name = "PATH", requires = "xds")]
    filter: Option<PathBuf>,
    /// Where Envoy's access log goes: `stdout` or a file
    #[arg(long, value_name = "PATH|stdout", requires = "xds", value_parser = super::render::access_log)]
    access_log: Option<AccessLog>,
    /// Keep the configuration that the server starts with, whatever happens to its files
    #[arg(long)]
    no_reload: bool,
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
        // Only an Envoy that takes its files from here runs here.
        if self.xds.is_some() {
            source.check_certificates()?;
        }
        let reload = (!self.no_reload).then(|| follow(&source, self.xds.is_some()));
        let config = source.into_config();
        let server = &config.server;
        let listen = self.listen.unwrap_or_else(|| server.listen.clone());
        let xds = match (self.xds, self.envoy_admin, self.filter) {
            (Some(directory), Some(admin), Some(filter)) => Some(XdsOptions {
                directory,
                render: RenderOptions {
                    server: listen.clone(),
                    filter,
                    admin,
                    access_log: self.access_log.unwrap_or(AccessLog::Stdout),
                    egress: EgressSocket::of(server, &listen),
                },
            }),
            _ => None,
        };
        let options = ServeOptions {
            listen,
            xds,
            reload,
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

/// How the configuration is followed: all that it was made from is read again, as at the start.
fn follow(source: &Source, has_envoy: bool) -> ReloadOptions {
    let path = source.path().to_owned();
    let read = move || {
        let source = Source::read(&path)?;
        if has_envoy {
            source.check_certificates()?;
        }
        anyhow::Ok(source)
    };
    let load = move || match read() {
        Ok(source) => Ok(Loaded {
            files: source.files(),
            config: source.into_config(),
        }),
        Err(error) => Err(LoadError {
            problems: crate::failure::in_full(&error),
        }),
    };
    ReloadOptions {
        files: source.files(),
        load: Box::new(load),
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
