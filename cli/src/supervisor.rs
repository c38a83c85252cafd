//! Runs the server and Envoy together: starts them in order, waits until requests pass, watches them, drains them.
//!
//! Owns both processes for their whole life. Invariants: it runs on one thread, which never ends before the process
//! (children are told of the death of that thread); when it returns, both processes have ended; a process that ends by
//! itself is reported with its last log lines and takes the other one down, draining where that is possible.

mod child;
mod ports;
mod readiness;

use std::ffi::OsString;
use std::future::Future;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context, Result};
use meseta_config::{AccessLog, AdminAddress, Config, EgressSocket, ListenAddress, RenderOptions};
use tokio::signal::unix::{signal, Signal, SignalKind};
use tokio::time::Instant;

use crate::envoy::Admin;
use crate::failure::Failure;
use crate::instance::{ListenerRecord, Lock, Phase, ProcessIdentity, Record, StateDir};
use crate::source::Source;
use crate::summary;
use crate::terminal::Terminal;
use child::Child;

pub use child::{lines_at_end, Output};

/// How long both processes may take until requests pass.
pub const START_LIMIT: Duration = Duration::from_secs(30);
/// How long Envoy gets to end after its requests have.
const ENVOY_STOP: Duration = Duration::from_secs(5);
/// What the server gets beyond its own drain time.
const SERVER_STOP: Duration = Duration::from_secs(5);
/// How often a draining Envoy is asked for its running requests.
const DRAIN_POLL: Duration = Duration::from_millis(100);

/// What to run.
#[derive(Debug)]
pub struct Plan {
    /// Where sockets, files and logs are.
    pub state: StateDir,
    /// The configuration that was loaded.
    pub source: Source,
    /// Envoy's executable.
    pub envoy: PathBuf,
    /// Further arguments for Envoy.
    pub envoy_flags: Vec<OsString>,
    /// Where the processes write.
    pub output: Output,
}

/// Why waiting for something else came to an end.
enum Interruption {
    Signal,
    Exited {
        name: &'static str,
        status: ExitStatus,
    },
}

/// Runs until a signal asks to stop (`Ok`) or a process fails. The lock is held for all of it.
pub async fn run(terminal: &Terminal, plan: Plan, lock: Lock) -> Result<()> {
    plan.state.clear(&lock);
    let mut supervisor = Supervisor::new(terminal, &plan)?;
    let outcome = supervisor.live().await;
    let stopped = supervisor.stop().await;
    plan.state.clear(&lock);
    outcome.and(stopped)
}

/// Runs a future on this thread alone: children are bound to the life of the thread that started them.
pub fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?
        .block_on(work)
}

struct Supervisor<'a> {
    terminal: &'a Terminal,
    plan: &'a Plan,
    admin: Admin,
    record: Record,
    server: Option<Child>,
    envoy: Option<Child>,
    signals: [Signal; 3],
}

impl<'a> Supervisor<'a> {
    fn new(terminal: &'a Terminal, plan: &'a Plan) -> Result<Self> {
        let config = plan.source.config();
        let record = Record {
            phase: Phase::Starting,
            supervisor: ProcessIdentity::of(std::process::id())
                .context("cannot read /proc: this process is not there")?,
            server: None,
            envoy: None,
            config: plan.source.path().to_owned(),
            drain_seconds: config.server.drain_timeout.as_secs(),
            admin: None,
            listeners: Vec::new(),
        };
        Ok(Self {
            terminal,
            plan,
            admin: Admin::at(AdminAddress::Unix(plan.state.envoy_admin_socket())),
            record,
            server: None,
            envoy: None,
            signals: [
                signal(SignalKind::terminate())?,
                signal(SignalKind::interrupt())?,
                signal(SignalKind::hangup())?,
            ],
        })
    }

    /// From start to the wish to stop.
    async fn live(&mut self) -> Result<()> {
        let deadline = Instant::now() + START_LIMIT;
        self.record.write(&self.plan.state)?;
        self.start_server()?;
        let ready_file = self.plan.state.ready_file();
        let ready = tokio::time::timeout_at(deadline, readiness::server(ready_file));
        match self.unless_interrupted(ready).await {
            Ok(Ok(admin)) => self.record.admin = Some(admin.to_string()),
            Ok(Err(_)) => return Err(self.late("the server does not get ready", "").await),
            Err(interruption) => {
                return self.interrupted(interruption, "before it was ready").await
            }
        }
        self.start_envoy()?;
        let mut last = String::new();
        let healthy =
            readiness::listeners(self.plan.source.config(), self.admin.clone(), &mut last);
        let healthy = tokio::time::timeout_at(deadline, healthy);
        let healthy = self.unless_interrupted(healthy).await;
        match healthy {
            Ok(Ok(listeners)) => self.ready(listeners)?,
            Ok(Err(_)) => return Err(self.late("no request passes", &last).await),
            Err(interruption) => {
                return self.interrupted(interruption, "before it was ready").await
            }
        }
        let Err(interruption) = self
            .unless_interrupted(std::future::pending::<std::convert::Infallible>())
            .await;
        self.interrupted(interruption, "while it was serving").await
    }

    fn start_server(&mut self) -> Result<()> {
        let (state, config) = (&self.plan.state, self.plan.source.config());
        ports::check(config)?;
        let admin = ports::admin(self.terminal, config.server.admin);
        let socket = format!("unix:{}", state.server_socket().display());
        let mut arguments: Vec<OsString> = vec![
            "serve".into(),
            "--config".into(),
            self.plan.source.path().into(),
            "--listen".into(),
            socket.into(),
            "--admin".into(),
            admin.to_string().into(),
            "--ready-file".into(),
            state.ready_file().into(),
            "--xds".into(),
            state.xds().into(),
            "--envoy-admin".into(),
            format!("unix:{}", state.envoy_admin_socket().display()).into(),
            "--filter".into(),
            state.filter().into(),
        ];
        if self.plan.output == Output::Files {
            arguments.extend(["--access-log".into(), state.log("access").into()]);
        }
        let program = std::env::current_exe().context("cannot find this executable")?;
        let without = std::collections::BTreeSet::new();
        let server = Child::start(
            "server",
            &program,
            arguments,
            &without,
            self.plan.output,
            state,
        )?;
        self.record.server = Some(server.identity.clone());
        self.server = Some(server);
        self.record.write(state)
    }

    fn start_envoy(&mut self) -> Result<()> {
        let state = &self.plan.state;
        let server = ListenAddress::Unix(state.server_socket());
        let options = RenderOptions {
            egress: EgressSocket::of(&self.plan.source.config().server, &server),
            server,
            filter: state.filter(),
            admin: AdminAddress::Unix(state.envoy_admin_socket()),
            // The listeners are rendered by the server, which knows.
            access_log: AccessLog::Stdout,
        };
        let bootstrap = meseta_config::dynamic_bootstrap(&options, &state.xds());
        let path = state.bootstrap();
        std::fs::write(&path, bootstrap)
            .with_context(|| format!("cannot write `{}`", path.display()))?;
        let arguments = envoy_arguments(path.into(), &self.plan.envoy_flags);
        // Envoy needs no key: the server gives it each request's credential.
        let without = self.plan.source.environment().names();
        let (program, output) = (&self.plan.envoy, self.plan.output);
        let envoy = Child::start("envoy", program, arguments, &without, output, state)?;
        self.record.envoy = Some(envoy.identity.clone());
        self.envoy = Some(envoy);
        self.record.write(state)
    }

    fn ready(&mut self, listeners: Vec<ListenerRecord>) -> Result<()> {
        self.record.phase = Phase::Ready;
        self.record.listeners = listeners;
        self.record.write(&self.plan.state)?;
        if self.plan.output == Output::Stream {
            let config: &Config = self.plan.source.config();
            let summary = summary::of_running(&self.record, Some(config), &self.plan.state);
            self.terminal.info(summary.trim_end());
            self.terminal.info("Ctrl-C drains and stops.");
        }
        Ok(())
    }

    /// Waits for `work`, unless a signal comes or a process ends first.
    async fn unless_interrupted<T>(
        &mut self,
        work: impl Future<Output = T>,
    ) -> Result<T, Interruption> {
        let [terminate, interrupt, hangup] = &mut self.signals;
        tokio::select! {
            biased;
            _ = terminate.recv() => Err(Interruption::Signal),
            _ = interrupt.recv() => Err(Interruption::Signal),
            _ = hangup.recv() => Err(Interruption::Signal),
            status = ended(&mut self.server) => Err(Interruption::Exited { name: "server", status }),
            status = ended(&mut self.envoy) => Err(Interruption::Exited { name: "envoy", status }),
            done = work => Ok(done),
        }
    }

    /// A signal is a clean end, a process that ended is a failure with its last lines.
    async fn interrupted(&mut self, interruption: Interruption, when: &str) -> Result<()> {
        let Interruption::Exited { name, status } = interruption else {
            return Ok(());
        };
        let child = match name {
            "server" => self.server.take(),
            _ => self.envoy.take(),
        };
        let lines = match child {
            Some(mut child) => child.last_lines().await,
            None => Vec::new(),
        };
        let message = format!("{name} ended {when} ({status}){}", quoted(&lines));
        Err(Failure::run(message).into())
    }

    /// The start took too long: what is known of both processes.
    async fn late(&mut self, what: &str, last: &str) -> anyhow::Error {
        let mut message = format!("{what} within {} seconds", START_LIMIT.as_secs());
        if !last.is_empty() {
            message.push_str(": ");
            message.push_str(last);
        }
        for child in [&mut self.server, &mut self.envoy].into_iter().flatten() {
            let lines = child.last_lines().await;
            message.push_str(&format!("\n{}{}", child.name, quoted(&lines)));
        }
        Failure::run(message).into()
    }

    /// Envoy first, so that no request arrives that nobody can decide; then the server. A second signal hurries both.
    async fn stop(&mut self) -> Result<()> {
        self.record.phase = Phase::Stopping;
        self.record.write(&self.plan.state)?;
        let drain = self.plan.source.config().server.drain_timeout;
        let (mut server, mut envoy) = (self.server.take(), self.envoy.take());
        let (terminal, admin) = (self.terminal, self.admin.clone());
        let orderly = async {
            if let Some(envoy) = &mut envoy {
                if server.is_some() {
                    drain_envoy(terminal, &admin, drain).await;
                }
                envoy.stop(ENVOY_STOP).await?;
            }
            if let Some(server) = &mut server {
                server.stop(drain + SERVER_STOP).await?;
            }
            anyhow::Ok(())
        };
        let outcome = self.unless_interrupted(orderly).await;
        match outcome {
            Ok(stopped) => stopped,
            Err(_) => {
                self.terminal
                    .warning("asked again: not waiting for running requests");
                for child in [&mut envoy, &mut server].into_iter().flatten() {
                    child.stop(Duration::ZERO).await?;
                }
                Ok(())
            }
        }
    }
}

/// Closes Envoy's listeners and waits until no request runs or the time is over. An Envoy that does not answer is not waited for.
async fn drain_envoy(terminal: &Terminal, admin: &Admin, limit: Duration) {
    if admin.stop_listening().await.is_err() {
        return;
    }
    let deadline = Instant::now() + limit;
    let mut told = 0;
    while let Ok(running @ 1..) = admin.running_requests().await {
        if Instant::now() >= deadline {
            let text = format!("{running} requests still run after {limit:?} and are cut");
            return terminal.warning(&text);
        }
        if running != told {
            terminal.info(&format!("draining: {running} running"));
            told = running;
        }
        tokio::time::sleep(DRAIN_POLL).await;
    }
}

/// The end of a process that runs; never, for one that does not.
async fn ended(child: &mut Option<Child>) -> ExitStatus {
    if let Some(child) = child {
        if let Ok(status) = child.wait().await {
            return status;
        }
    }
    std::future::pending().await
}

fn envoy_arguments(bootstrap: OsString, flags: &[OsString]) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = vec!["--config-path".into(), bootstrap];
    // Hot restart shares memory between Envoys of one base id: two instances would clash over it.
    arguments.push("--disable-hot-restart".into());
    let says = |names: &[&str]| {
        let says = |flag: &OsString| {
            let flag = flag.to_string_lossy();
            names.iter().any(|name| flag.starts_with(name))
        };
        flags.iter().any(says)
    };
    if !says(&["-l", "--log-level"]) {
        arguments.extend(["--log-level".into(), "warning".into()]);
    }
    // A listener that changes lets its connections finish: clients are told at once to come anew,
    // and streams that run have an hour.
    if !says(&["--drain-time-s"]) {
        arguments.extend(["--drain-time-s".into(), "3600".into()]);
    }
    if !says(&["--drain-strategy"]) {
        arguments.extend(["--drain-strategy".into(), "immediate".into()]);
    }
    arguments.extend(flags.iter().cloned());
    arguments
}

/// Log lines as an indented block below a message.
fn quoted(lines: &[String]) -> String {
    if lines.is_empty() {
        return "; it logged nothing".to_owned();
    }
    let lines: String = lines.iter().map(|line| format!("\n  | {line}")).collect();
    format!("; its last log lines:{lines}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_log_level_replaces_ours_and_other_flags_are_added() {
        let arguments = |flags: &[&str]| {
            let flags: Vec<OsString> = flags.iter().map(OsString::from).collect();
            let all = envoy_arguments("e.yaml".into(), &flags);
            let all: Vec<_> = all.iter().map(|a| a.to_string_lossy()).collect();
            all.join(" ")
        };
        let drain = "--drain-time-s 3600 --drain-strategy immediate";
        let always = "--config-path e.yaml --disable-hot-restart";
        assert_eq!(
            arguments(&["--concurrency", "2"]),
            format!("{always} --log-level warning {drain} --concurrency 2")
        );
        assert_eq!(
            arguments(&["-l", "debug"]),
            format!("{always} {drain} -l debug")
        );
    }
}
