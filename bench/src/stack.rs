//! The stacks that are compared: an Envoy each, and what it calls.
//!
//! Every stack's configuration begins as what `meseta render envoy` prints, so that listener,
//! limits and access log are the same in all.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{bail, Context as _};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::process::Command;

use crate::bootstrap::{client_port, derive};
use crate::cell::{Cell, KEY, TARGETS};
use crate::http1::{response_head, BodyReader};
use crate::load::Connection;
use crate::processes::{Memory, Process};
use crate::upstream::Exchange;

/// How long a stack may take to answer its first request.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// How often a state that is waited for is looked at.
const POLL: Duration = Duration::from_millis(50);

/// The programs that stacks are made of.
#[derive(Debug, Clone)]
pub(crate) struct Programs {
    /// Envoy.
    pub(crate) envoy: PathBuf,
    /// The product's binary.
    pub(crate) meseta: PathBuf,
    /// This program, which is also the no-op server.
    pub(crate) bench: PathBuf,
}

/// An Envoy, what it calls, and where it listens.
#[derive(Debug)]
pub(crate) struct Stack {
    /// Which of the cells.
    pub(crate) cell: Cell,
    /// Envoy.
    pub(crate) envoy: Process,
    /// The external-processing server, if the cell has one.
    pub(crate) server: Option<Process>,
    /// Envoy's listener.
    pub(crate) address: SocketAddr,
}

impl Stack {
    /// Starts a cell in a new directory under `dir` and waits until a chat passes. The first of the
    /// providers answers.
    pub(crate) async fn start(
        cell: Cell,
        programs: &Programs,
        dir: &Path,
        providers: &[SocketAddr; TARGETS],
        workers: u32,
    ) -> anyhow::Result<Self> {
        let files = Files(dir.join(cell.letter()));
        std::fs::create_dir(&files.0)?;
        std::fs::write(files.config(), cell.configuration(providers))?;
        render(programs, &files, cell).await?;
        let cluster = write_bootstrap(cell, &files)?;

        let mut server = start_server(cell, programs, &files, &cluster)?;
        if let Some(server) = &mut server {
            wait_for_file(&files.socket(), server).await?;
        }
        let mut command = Command::new(&programs.envoy);
        command
            .arg("-c")
            .arg(files.bootstrap())
            .args(["--concurrency", &workers.to_string()])
            .args(["--disable-hot-restart", "--log-level", "warning"]);
        let mut envoy = Process::start("envoy", command, files.0.join("envoy.log"))?;
        let address = listener_address(&files.admin(), &mut envoy).await?;
        wait_for_answer(cell, address, &mut envoy).await?;
        Ok(Self {
            cell,
            envoy,
            server,
            address,
        })
    }

    /// CPU time of the server so far, if the cell has one.
    pub(crate) fn server_cpu(&self) -> anyhow::Result<Option<Duration>> {
        self.server.as_ref().map(Process::cpu).transpose()
    }

    /// Memory of the server, if the cell has one.
    pub(crate) fn server_memory(&self) -> anyhow::Result<Option<Memory>> {
        self.server.as_ref().map(Process::memory).transpose()
    }

    /// An error with the end of its log if a process has ended.
    pub(crate) fn ensure_running(&mut self) -> anyhow::Result<()> {
        self.envoy.ensure_running()?;
        match &mut self.server {
            Some(server) => server.ensure_running(),
            None => Ok(()),
        }
    }

    /// What the processes printed last, for an error.
    pub(crate) fn logs(&self) -> String {
        let mut logs = format!("envoy: {}", self.envoy.log_tail());
        if let Some(server) = &self.server {
            logs.push_str(&format!("\nserver: {}", server.log_tail()));
        }
        logs
    }

    /// Stops Envoy, then what it called.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.envoy.stop().await?;
        match self.server {
            Some(server) => server.stop().await,
            None => Ok(()),
        }
    }
}

/// The files of a stack.
struct Files(PathBuf);

impl Files {
    fn config(&self) -> PathBuf {
        self.0.join("meseta.yaml")
    }
    fn rendered(&self) -> PathBuf {
        self.0.join("rendered.yaml")
    }
    fn bootstrap(&self) -> PathBuf {
        self.0.join("envoy.json")
    }
    fn socket(&self) -> PathBuf {
        self.0.join("s.sock")
    }
    fn admin(&self) -> PathBuf {
        self.0.join("a.sock")
    }
    fn filter(&self) -> PathBuf {
        self.0.join("meter.wasm")
    }
}

/// Has the product print its bootstrap and its filter.
async fn render(programs: &Programs, files: &Files, cell: Cell) -> anyhow::Result<()> {
    let unix = |path: PathBuf| format!("unix:{}", path.display());
    let mut envoy = Command::new(&programs.meseta);
    envoy
        .env(KEY.0, KEY.1)
        .args(["render", "envoy"])
        .arg(files.config())
        .args(["--server", &unix(files.socket())])
        .args(["--admin", &unix(files.admin())])
        .arg("--filter")
        .arg(files.filter())
        .arg("--access-log")
        .arg(files.0.join("access.log"));
    std::fs::write(files.rendered(), output(envoy).await?)?;
    if cell.is_product() || cell == Cell::NoopMeter {
        let mut filter = Command::new(&programs.meseta);
        filter
            .args(["render", "filter", "--output"])
            .arg(files.filter());
        output(filter).await?;
    }
    Ok(())
}

/// What a command prints; an error with what it complains of if it fails.
async fn output(mut command: Command) -> anyhow::Result<Vec<u8>> {
    let output = command.kill_on_drop(true).output().await?;
    if !output.status.success() {
        bail!(
            "`{:?}` failed: {}",
            command.as_std(),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(output.stdout)
}

/// Makes the cell's bootstrap of the rendered one; returns the provider's cluster.
fn write_bootstrap(cell: Cell, files: &Files) -> anyhow::Result<String> {
    let rendered = std::fs::read_to_string(files.rendered())?;
    let mut bootstrap: Value =
        serde_yaml::from_str(&rendered).context("the rendered bootstrap is not YAML")?;
    let cluster = derive(cell, &mut bootstrap)?;
    std::fs::write(files.bootstrap(), serde_json::to_vec_pretty(&bootstrap)?)?;
    Ok(cluster)
}

fn start_server(
    cell: Cell,
    programs: &Programs,
    files: &Files,
    cluster: &str,
) -> anyhow::Result<Option<Process>> {
    let log = files.0.join("server.log");
    let mut command = match cell {
        Cell::Alone => return Ok(None),
        Cell::Noop | Cell::NoopMeter => {
            let mut command = Command::new(&programs.bench);
            command.args(["noop", "--cluster", cluster]);
            command.arg("--socket").arg(files.socket());
            command
        }
        _ => {
            let mut command = Command::new(&programs.meseta);
            command.args(["serve", "--config"]).arg(files.config());
            command
                .arg("--listen")
                .arg(format!("unix:{}", files.socket().display()))
                .args(["--admin", "127.0.0.1:0", "--log", "json"])
                .args(["--drain-timeout", "1s"]);
            command
        }
    };
    command.env(KEY.0, KEY.1);
    let name = if cell.is_product() {
        "meseta"
    } else {
        "the no-op server"
    };
    Process::start(name, command, log).map(Some)
}

async fn wait_for_file(path: &Path, process: &mut Process) -> anyhow::Result<()> {
    let deadline = Instant::now() + START_TIMEOUT;
    while !path.exists() {
        process.ensure_running()?;
        anyhow::ensure!(
            Instant::now() < deadline,
            "nothing listens on {}: {}",
            path.display(),
            process.log_tail()
        );
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}

/// Asks Envoy's admin interface where its listener for clients is.
async fn listener_address(admin: &Path, envoy: &mut Process) -> anyhow::Result<SocketAddr> {
    let deadline = Instant::now() + START_TIMEOUT;
    loop {
        envoy.ensure_running()?;
        let port = admin_get(admin, "/listeners?format=json")
            .await
            .ok()
            .and_then(|body| serde_json::from_slice::<Value>(&body).ok())
            .and_then(|listeners| client_port(&listeners));
        if let Some(port) = port {
            return Ok((Ipv4Addr::LOCALHOST, port).into());
        }
        anyhow::ensure!(
            Instant::now() < deadline,
            "Envoy names no listener: {}",
            envoy.log_tail()
        );
        tokio::time::sleep(POLL).await;
    }
}

/// The body of an answer of Envoy's admin interface.
async fn admin_get(socket: &Path, path: &str) -> anyhow::Result<Vec<u8>> {
    let mut stream = UnixStream::connect(socket).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let head = response_head(&answer)?.context("the answer is cut")?;
    anyhow::ensure!(head.status == 200, "the status is {}", head.status);
    let mut body = Vec::new();
    let mut reader = BodyReader::new(head.framing);
    reader.read(&answer[head.len..], |bytes| body.extend_from_slice(bytes))?;
    anyhow::ensure!(reader.may_close(), "the answer is cut");
    Ok(body)
}

/// Waits until a chat passes: the server's health must be known first, for example.
async fn wait_for_answer(
    cell: Cell,
    address: SocketAddr,
    envoy: &mut Process,
) -> anyhow::Result<()> {
    let deadline = Instant::now() + START_TIMEOUT;
    let chat = Exchange::chat(cell.model());
    loop {
        envoy.ensure_running()?;
        let result = match Connection::open(address).await {
            Ok(mut connection) => connection.exchange(&chat).await,
            Err(error) => Err(error),
        };
        match result {
            Ok(_) => return Ok(()),
            Err(error) if Instant::now() >= deadline => {
                return Err(error.context(format!("no chat passes: {}", envoy.log_tail())));
            }
            Err(_) => tokio::time::sleep(POLL).await,
        }
    }
}
