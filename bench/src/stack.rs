//! The stacks that are compared: an Envoy each, and what it calls.
//!
//! Every stack's configuration begins as what `meseta render envoy` prints, so that listener,
//! limits, access log and clusters are the same in all; the cells differ in the filters alone.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{bail, Context as _};
use serde_json::{json, Value};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::process::Command;

use crate::http1::{response_head, BodyReader};
use crate::load::Connection;
use crate::processes::{Memory, Process};
use crate::upstream::{Exchange, MODEL};

/// How long a stack may take to answer its first request.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// How often a state that is waited for is looked at.
const POLL: Duration = Duration::from_millis(50);
/// The cluster of the external-processing server in what is rendered.
const SERVER_CLUSTER: &str = "meseta_server";
/// The variable that holds the provider's key, and the key: nobody checks it.
const KEY: (&str, &str) = ("MESETA_BENCH_KEY", "bench");

/// What is in the way between client and provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Cell {
    /// Envoy alone.
    Alone,
    /// Envoy and a server that decides nothing.
    Noop,
    /// The same with the meter in the chain.
    NoopMeter,
    /// The product as it is rendered.
    Meseta,
}

impl Cell {
    /// The letter that tables use.
    pub(crate) fn letter(self) -> &'static str {
        match self {
            Self::Alone => "A",
            Self::Noop => "B",
            Self::NoopMeter => "M",
            Self::Meseta => "C",
        }
    }

    /// What it is, in a line.
    pub(crate) fn description(self) -> &'static str {
        match self {
            Self::Alone => {
                "Envoy alone: C's bootstrap without ext_proc and meter, one fixed cluster"
            }
            Self::Noop => {
                "Envoy and a no-op ext_proc: C's bootstrap without the meter; the server names the \
                 cluster and echoes bodies"
            }
            Self::NoopMeter => "B with the meter in the chain, which C has",
            Self::Meseta => "us: `meseta serve` and all that `meseta render envoy` prints",
        }
    }
}

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
    /// Starts a cell in a new directory under `dir` and waits until a chat passes.
    pub(crate) async fn start(
        cell: Cell,
        programs: &Programs,
        dir: &Path,
        upstream: SocketAddr,
        workers: u32,
    ) -> anyhow::Result<Self> {
        let files = Files(dir.join(cell.letter()));
        std::fs::create_dir(&files.0)?;
        std::fs::write(files.config(), configuration(upstream))?;
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
        wait_for_answer(address, &mut envoy).await?;
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

fn configuration(upstream: SocketAddr) -> String {
    format!(
        "listeners:\n  - {{type: model, name: models, address: 127.0.0.1, port: 0}}\n\
         model_providers:\n  - {{model: {MODEL}, access_key: ${}, default: true, \
         base_url: \"http://{upstream}/v1\"}}\n",
        KEY.0
    )
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
    if matches!(cell, Cell::Meseta | Cell::NoopMeter) {
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

/// Takes out of the rendered bootstrap what a cell does not have; returns the provider's cluster.
fn derive(cell: Cell, bootstrap: &mut Value) -> anyhow::Result<String> {
    let clusters = bootstrap
        .pointer_mut("/static_resources/clusters")
        .and_then(Value::as_array_mut)
        .context("the rendered bootstrap has no clusters")?;
    let provider = clusters
        .iter()
        .filter_map(|cluster| cluster["name"].as_str())
        .find(|name| *name != SERVER_CLUSTER)
        .context("the rendered bootstrap has no provider's cluster")?
        .to_owned();
    if cell == Cell::Alone {
        clusters.retain(|cluster| cluster["name"] != SERVER_CLUSTER);
    }
    let connection_manager = bootstrap
        .pointer_mut("/static_resources/listeners/0/filter_chains/0/filters/0/typed_config")
        .context("the rendered bootstrap has no listener")?;
    let filters = connection_manager["http_filters"]
        .as_array_mut()
        .context("the rendered listener has no HTTP filters")?;
    let without: &[&str] = match cell {
        Cell::Alone => &[".ext_proc.v3.ExternalProcessor", ".wasm.v3.Wasm"],
        Cell::Noop => &[".wasm.v3.Wasm"],
        Cell::NoopMeter | Cell::Meseta => &[],
    };
    for kind in without {
        let before = filters.len();
        filters.retain(|filter| {
            !filter["typed_config"]["@type"]
                .as_str()
                .is_some_and(|url| url.ends_with(kind))
        });
        anyhow::ensure!(filters.len() + 1 == before, "not one filter is `{kind}`");
    }
    if cell == Cell::Alone {
        let action = connection_manager
            .pointer_mut("/route_config/virtual_hosts/0/routes/0/route")
            .and_then(Value::as_object_mut)
            .context("the rendered listener has no route")?;
        action
            .remove("cluster_header")
            .context("the rendered route names no cluster header")?;
        action.insert("cluster".to_owned(), json!(provider));
    }
    Ok(provider)
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
        Cell::Meseta => {
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
    let name = match cell {
        Cell::Meseta => "meseta",
        _ => "the no-op server",
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

/// Asks Envoy's admin interface where its listener is.
async fn listener_address(admin: &Path, envoy: &mut Process) -> anyhow::Result<SocketAddr> {
    let deadline = Instant::now() + START_TIMEOUT;
    loop {
        envoy.ensure_running()?;
        let port = admin_get(admin, "/listeners?format=json")
            .await
            .ok()
            .and_then(|body| serde_json::from_slice::<Value>(&body).ok())
            .and_then(|listeners| {
                listeners
                    .pointer("/listener_statuses/0/local_address/socket_address/port_value")
                    .and_then(Value::as_u64)
            })
            .and_then(|port| u16::try_from(port).ok())
            .filter(|&port| port != 0);
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
async fn wait_for_answer(address: SocketAddr, envoy: &mut Process) -> anyhow::Result<()> {
    let deadline = Instant::now() + START_TIMEOUT;
    let chat = Exchange::chat();
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

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered() -> Value {
        let filter = |kind: &str| json!({"name": kind, "typed_config": {"@type": kind}});
        json!({"static_resources": {
            "listeners": [{"filter_chains": [{"filters": [{"typed_config": {
                "http_filters": [
                    filter("x/a.ext_proc.v3.ExternalProcessor"),
                    filter("x/a.wasm.v3.Wasm"),
                    filter("x/a.router.v3.Router"),
                ],
                "route_config": {"virtual_hosts": [{"routes": [{"route": {
                    "cluster_header": "x-meseta-cluster", "timeout": "300s",
                }}]}]},
            }}]}]}],
            "clusters": [{"name": "meseta_server"}, {"name": "provider"}],
        }})
    }

    fn filters(bootstrap: &Value) -> Vec<&str> {
        bootstrap
            .pointer(
                "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters",
            )
            .and_then(Value::as_array)
            .expect("filters")
            .iter()
            .filter_map(|filter| filter["name"].as_str())
            .collect()
    }

    #[test]
    fn envoy_alone_has_one_fixed_cluster_and_no_server() {
        let mut bootstrap = rendered();
        assert_eq!(
            derive(Cell::Alone, &mut bootstrap).expect("derived"),
            "provider"
        );
        assert_eq!(filters(&bootstrap), ["x/a.router.v3.Router"]);
        assert_eq!(
            bootstrap["static_resources"]["clusters"],
            json!([{"name": "provider"}])
        );
        let route = bootstrap
            .pointer("/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/route_config/virtual_hosts/0/routes/0/route");
        assert_eq!(
            route,
            Some(&json!({"cluster": "provider", "timeout": "300s"}))
        );
    }

    #[test]
    fn the_floor_lacks_the_meter_alone() {
        let mut bootstrap = rendered();
        derive(Cell::Noop, &mut bootstrap).expect("derived");
        assert_eq!(
            filters(&bootstrap),
            ["x/a.ext_proc.v3.ExternalProcessor", "x/a.router.v3.Router"]
        );
        let clusters = bootstrap["static_resources"]["clusters"].as_array();
        assert_eq!(clusters.map(Vec::len), Some(2));
    }

    #[test]
    fn the_product_is_measured_as_it_is_rendered() {
        for cell in [Cell::Meseta, Cell::NoopMeter] {
            let mut bootstrap = rendered();
            derive(cell, &mut bootstrap).expect("derived");
            assert_eq!(bootstrap, rendered());
        }
    }

    #[test]
    fn a_bootstrap_of_another_shape_is_refused() {
        let mut bootstrap = rendered();
        derive(Cell::Noop, &mut bootstrap).expect("derived");
        assert!(derive(Cell::Noop, &mut bootstrap).is_err(), "no meter left");
        assert!(derive(Cell::Alone, &mut json!({})).is_err());
    }
}
