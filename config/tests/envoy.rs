//! Renderings in the real Envoy that `MESETA_ENVOY` names. Skipped visibly without it.
//!
//! The filter is `MESETA_FILTER`, or the one that `cargo xtask wasm` has built.

#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

#[path = "envoy/egress.rs"]
mod egress;
#[path = "support/files.rs"]
mod files;
#[path = "support/markdown.rs"]
mod markdown;
#[path = "envoy/updates.rs"]
mod updates;

use std::ffi::OsStr;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use meseta_config::render::{discovery_response, resources, CLUSTERS_FILE, LISTENERS_FILE};
use meseta_config::{
    bootstrap, dynamic_bootstrap, load, snippet, AccessLog, Config, EgressSocket, ListenAddress,
    RenderOptions, Source,
};
use serde_yaml::{Mapping, Value};

/// One of everything: names of all kinds, addresses of both families, TLS to names and addresses.
const EVERYTHING: &str = "
listeners:
  - {type: model, name: front, address: 127.0.0.1, port: 0}
  - {type: model, name: 'on', address: '::1', port: 0, timeout: 0s}
  - {type: model, name: 'my listener/1.5', address: 127.0.0.1, port: 0, timeout: 1500ms}
model_providers:
  - {model: openai/gpt-4o, access_key: $KEY, default: true}
  - {model: openai/other, access_key: $KEY, base_url: 'https://api.openai.com:8443/v1'}
  - {model: anthropic/*, access_key: $KEY}
  - {model: ollama/*}
  - {model: mine/a, base_url: 'https://10.0.0.1:8443/v1', http_host: api.internal, provider_interface: openai}
  - {model: mine/b, base_url: 'https://[::1]:8443/v1', provider_interface: openai}
  - {model: mine/c, base_url: 'https://10.0.0.1:8443/v1', provider_interface: vllm}
  - {model: mine/d, base_url: 'http://vllm:8000', provider_interface: vllm}
overrides: {upstream_connect_timeout: 250ms}
limits:
  - {name: all, unit: requests, limit: 100, per: second, burst: 200}
  - {name: by-claim, match: {model: 'mine/*', claim: {sub: a}}, unit: tokens, limit: 5, per: month}
ratelimits: [{model: '*', selector: {key: x-user, value: '*'}, limit: {tokens: 9, unit: day}}]
consumer: {claim: jwt.sub}
";

fn read(name: &str, text: &str) -> Config {
    load(&Source {
        text,
        name,
        env: &|name| (name == "KEY").then(|| "sk-hidden".to_owned()),
        dir: Path::new("/"),
        file: &|_| Err(std::io::ErrorKind::NotFound.into()),
    })
    .unwrap_or_else(|problems| panic!("{name}: {problems}"))
}

/// Envoy and the filter.
struct Tools {
    envoy: PathBuf,
    filter: PathBuf,
    directory: tempfile::TempDir,
}

impl Tools {
    fn find() -> Option<Self> {
        let Some(envoy) = std::env::var_os("MESETA_ENVOY").filter(|path| !path.is_empty()) else {
            eprintln!("skipped: MESETA_ENVOY names no Envoy");
            return None;
        };
        let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/meter/meseta_meter.wasm");
        let filter = std::env::var_os("MESETA_FILTER").map_or(built, PathBuf::from);
        if !filter.is_file() {
            eprintln!("skipped: no filter at {}", filter.display());
            return None;
        }
        Some(Self {
            envoy: envoy.into(),
            filter,
            directory: tempfile::tempdir().unwrap(),
        })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn options(&self) -> RenderOptions {
        RenderOptions {
            server: ListenAddress::Unix(self.file("server.sock")),
            filter: self.filter.clone(),
            admin: ListenAddress::Unix(self.file("admin.sock")),
            access_log: AccessLog::File(self.file("access.log")),
            egress: Some(EgressSocket {
                path: self.file("egress.sock"),
                mode: 0o600,
            }),
        }
    }

    /// A listener that speaks TLS, and one that wants certificates of clients, with a certificate
    /// made for this test. `None`, and a line that says so, without openssl.
    fn config_with_tls(&self) -> Option<Config> {
        let (certificate, key) = (self.file("own.crt"), self.file("own.key"));
        let made = Command::new("openssl")
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
            ])
            .args(["-nodes", "-days", "2", "-subj", "/CN=localhost"])
            .args([OsStr::new("-out"), certificate.as_os_str()])
            .args([OsStr::new("-keyout"), key.as_os_str()])
            .output();
        let Ok(made) = made else {
            eprintln!("skipped: no openssl makes a certificate");
            return None;
        };
        assert!(
            made.status.success(),
            "{}",
            String::from_utf8_lossy(&made.stderr)
        );
        let files = format!(
            "certificate: {0}/own.crt, key: {0}/own.key",
            self.directory.path().display()
        );
        let authorities = format!("client_ca: {}", certificate.display());
        let listeners = format!("listeners: [{{name: front, port: 0, tls: {{{files}}}}}, {{name: 'known/only 1', port: 0, tls: {{{files}, {authorities}}}}}]\n");
        let providers = "model_providers: [{model: ollama/x}]\n";
        Some(read("tls", &(listeners + providers)))
    }

    /// Envoy accepts it, and warns of nothing.
    fn validate(&self, name: &str, text: &str) {
        let path = self.file("validated.yaml");
        std::fs::write(&path, text).unwrap();
        let output = Command::new(&self.envoy)
            .args(["--mode", "validate", "--log-level", "warning", "-c"])
            .arg(&path)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: {said}");
        assert!(!said.contains("[warning]"), "{name}: {said}");
    }

    fn start(&self, bootstrap: &str) -> Running {
        let path = self.file("bootstrap.yaml");
        std::fs::write(&path, bootstrap).unwrap();
        let log = std::fs::File::create(self.file("envoy.log")).unwrap();
        let child = Command::new(&self.envoy)
            .arg("-c")
            .arg(&path)
            .args(["--concurrency", "1", "--disable-hot-restart"])
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut running = Running {
            child,
            admin: self.file("admin.sock"),
        };
        let deadline = Instant::now() + Duration::from_secs(30);
        while running
            .ask_admin("/ready")
            .is_none_or(|answer| !answer.contains("LIVE"))
        {
            let ended = running.child.try_wait().unwrap();
            let log = std::fs::read_to_string(self.file("envoy.log")).unwrap();
            assert!(ended.is_none() && Instant::now() < deadline, "{log}");
            std::thread::sleep(Duration::from_millis(30));
        }
        running
    }
}

/// A running Envoy; it ends with the value.
struct Running {
    child: Child,
    admin: PathBuf,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    fn ask_admin(&self, path: &str) -> Option<String> {
        let mut stream = UnixStream::connect(&self.admin).ok()?;
        let request = format!("GET {path} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    fn address(&self, listener: &str) -> SocketAddr {
        let listing = self.ask_admin("/listeners").unwrap();
        let prefix = format!("{listener}::");
        let line = listing.lines().find_map(|line| line.strip_prefix(&prefix));
        line.unwrap().trim().parse().unwrap()
    }

    /// Status and body of a request.
    fn ask(&self, request: &str, headers: &str, body: &str) -> (u16, serde_json::Value) {
        let mut stream = TcpStream::connect(self.address("front")).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let length = body.len();
        let request = format!(
            "{request} HTTP/1.1\r\nhost: h\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
        );
        stream.write_all(request.as_bytes()).unwrap();
        // As clients do: to the length that the answer has, not to the end of the connection.
        let mut answer = Vec::new();
        let (head, body) = loop {
            let mut chunk = [0; 4096];
            let read = stream.read(&mut chunk).unwrap();
            assert_ne!(read, 0, "{}", String::from_utf8_lossy(&answer));
            answer.extend_from_slice(&chunk[..read]);
            let text = std::str::from_utf8(&answer).unwrap();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head.split("content-length: ").nth(1).unwrap();
                let length: usize = length.lines().next().unwrap().parse().unwrap();
                if body.len() == length {
                    break (head, body);
                }
            }
        };
        assert!(head.contains("content-type: application/json"), "{head}");
        assert!(head.contains("x-request-id: "), "{head}");
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap())
    }
}

#[test]
fn envoy_accepts_every_rendering_without_a_warning() {
    let Some(tools) = Tools::find() else {
        return;
    };
    let mut configs = vec![("everything".to_owned(), read("everything", EVERYTHING))];
    configs.extend(files::planos().into_iter().map(|(name, text)| {
        let config = read(&name, &text);
        (name, config)
    }));
    for (name, config) in &configs {
        tools.validate(name, &bootstrap(config, &tools.options()));
    }
    let options = RenderOptions {
        server: ListenAddress::Tcp("127.0.0.1:9000".parse().unwrap()),
        admin: ListenAddress::Tcp("[::1]:0".parse().unwrap()),
        access_log: AccessLog::Stdout,
        ..tools.options()
    };
    tools.validate("tcp", &bootstrap(&configs[0].1, &options));
    let without = RenderOptions {
        filter: "/no/such/filter".into(),
        ..tools.options()
    };
    for place in ["native", "off"] {
        let text = format!("{EVERYTHING}server: {{meter: {place}}}\n");
        tools.validate(place, &bootstrap(&read(place, &text), &without));
    }
}

#[test]
fn envoy_takes_certificates_named_in_a_listener() {
    let Some(tools) = Tools::find() else {
        return;
    };
    let Some(config) = tools.config_with_tls() else {
        return;
    };
    tools.validate("tls", &bootstrap(&config, &tools.options()));
}

#[test]
fn envoy_takes_certificates_as_secrets_from_files() {
    let Some(tools) = Tools::find() else {
        return;
    };
    let Some(config) = tools.config_with_tls() else {
        return;
    };
    let directory = tools.file("xds");
    std::fs::create_dir(&directory).unwrap();
    let own = resources(&config, &tools.options(), &directory);
    for (name, resources) in [
        (CLUSTERS_FILE, &own.clusters),
        (LISTENERS_FILE, &own.listeners),
    ] {
        std::fs::write(directory.join(name), discovery_response("1", resources)).unwrap();
    }
    for secret in &own.secrets {
        std::fs::write(directory.join(&secret.name), &secret.text).unwrap();
    }
    let envoy = tools.start(&dynamic_bootstrap(&tools.options(), &directory));
    let stats = envoy
        .ask_admin("/stats?filter=update_(success|rejected)")
        .unwrap();
    let value = |name: &str| {
        let lines = stats.lines().filter_map(|line| line.split_once(": "));
        lines
            .filter(|(key, _)| key.contains(name))
            .map(|(key, value)| {
                let value: u64 = value.trim().parse().unwrap();
                (key.to_owned(), value)
            })
            .collect::<Vec<_>>()
    };
    assert!(
        value("update_rejected")
            .iter()
            .all(|(_, count)| *count == 0),
        "{stats}"
    );
    // The certificate of each listener, and the authorities of one.
    let taken = value("update_success")
        .into_iter()
        .filter(|(key, count)| key.contains("sds.") && *count > 0);
    assert_eq!(taken.count(), 3, "{stats}");
    envoy.address("front");
}

#[test]
fn every_example_of_the_documentation_is_accepted() {
    let Some(tools) = Tools::find() else {
        return;
    };
    for path in markdown::files("docs/examples", "yaml") {
        let name = markdown::shown(&path);
        let config = read(&name, &std::fs::read_to_string(&path).unwrap());
        tools.validate(&name, &bootstrap(&config, &tools.options()));
    }
}

#[test]
fn the_guide_for_an_envoy_of_ones_own_leads_to_a_configuration_that_is_accepted() {
    let Some(tools) = Tools::find() else {
        return;
    };
    let root = markdown::root();
    let (blocks, _) = markdown::split(&root.join("docs/guide/existing-envoy.md"));
    let mut blocks = blocks
        .iter()
        .filter(|block| block.fence == ["yaml", "envoy"])
        .map(|block| {
            let read = serde_yaml::from_str::<Value>(&block.text);
            read.unwrap_or_else(|error| panic!("{}: {error}", block.place))
        });
    let (mut own, route) = (blocks.next().unwrap(), blocks.next().unwrap());
    assert!(
        blocks.next().is_none(),
        "the guide shows more than is tested"
    );

    let example = root.join("docs/examples/beside-an-envoy.yaml");
    let config = read("example", &std::fs::read_to_string(example).unwrap());
    let snippet: Value = serde_yaml::from_str(&snippet(&config, &tools.options())).unwrap();
    let resources = &mut own["static_resources"];
    let filter = &mut resources["listeners"][0]["filter_chains"][0]["filters"][0];
    let manager = filter["typed_config"].as_mapping_mut().unwrap();
    for (key, value) in snippet["http_connection_managers"][0].as_mapping().unwrap() {
        manager.insert(key.clone(), value.clone());
    }
    let hosts = &mut manager["route_config"]["virtual_hosts"];
    let routes = hosts[0]["routes"].as_sequence_mut().unwrap();
    routes.insert(0, route);
    let clusters = resources["clusters"].as_sequence_mut().unwrap();
    clusters.extend(snippet["clusters"].as_sequence().unwrap().iter().cloned());
    clusters.push(serde_yaml::from_str("{name: app, type: STATIC}").unwrap());
    let listeners = resources["listeners"].as_sequence_mut().unwrap();
    listeners.extend(snippet["listeners"].as_sequence().unwrap().iter().cloned());
    tools.validate("guide", &serde_json::to_string(&own).unwrap());
}

#[test]
fn a_snippet_works_in_an_envoy_of_ones_own() {
    let Some(tools) = Tools::find() else {
        return;
    };
    let config = read("everything", EVERYTHING);
    let snippet: Value = serde_yaml::from_str(&snippet(&config, &tools.options())).unwrap();
    let kind = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
    let mut listeners: Vec<Value> = snippet["http_connection_managers"]
        .as_sequence()
        .unwrap()
        .iter()
        .map(|parts| {
            let mut manager = parts.as_mapping().unwrap().clone();
            manager.insert("@type".into(), kind.into());
            let text = "{address: {socket_address: {address: 127.0.0.1, port_value: 0}}, filter_chains: [{filters: [{name: hcm}]}]}";
            let mut listener: Value = serde_yaml::from_str(text).unwrap();
            listener["filter_chains"][0]["filters"][0]["typed_config"] = Value::Mapping(manager);
            listener
        })
        .collect();
    listeners.extend(snippet["listeners"].as_sequence().unwrap().iter().cloned());
    assert_eq!(listeners.len(), 4);
    let mut resources = Mapping::new();
    resources.insert("listeners".into(), Value::Sequence(listeners));
    resources.insert("clusters".into(), snippet["clusters"].clone());
    let mut document = Mapping::new();
    document.insert("static_resources".into(), Value::Mapping(resources));
    let text = serde_json::to_string(&Value::Mapping(document)).unwrap();
    let path = tools.file("own.json");
    std::fs::write(&path, text).unwrap();
    let output = Command::new(&tools.envoy)
        .args(["--mode", "validate", "-c"])
        .arg(&path)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{:.2000}", said);
}

#[test]
fn without_the_server_clients_get_503_in_their_dialect_and_nothing_goes_upstream() {
    let Some(tools) = Tools::find() else {
        return;
    };
    let upstream = TcpListener::bind("127.0.0.1:0").unwrap();
    upstream.set_nonblocking(true).unwrap();
    let port = upstream.local_addr().unwrap().port();
    let text = format!(
        "listeners: [{{name: front, address: 127.0.0.1, port: 0}}]\nmodel_providers: [{{model: ollama/x, base_url: 'http://127.0.0.1:{port}', default: true}}]\n"
    );
    let config = read("spoofed", &text);
    let spoofed = format!("x-meseta-cluster: http_127.0.0.1_{port}\r\n");
    assert_eq!(
        config.providers[0].cluster,
        format!("http_127.0.0.1_{port}")
    );
    let envoy = tools.start(&bootstrap(&config, &tools.options()));
    let body = "{\"model\":\"x\"}";
    for path in [
        "/v1/chat/completions",
        "/v1/responses?q=1",
        "/v1/embeddings",
        "/v1/models",
        "/elsewhere",
        "/v1/messages_not",
    ] {
        let (status, body) = envoy.ask(&format!("POST {path}"), &spoofed, body);
        assert_eq!(status, 503, "{path}");
        assert!(body["error"]["code"].is_string(), "{path}: {body}");
    }
    for (path, headers) in [
        ("/v1/messages", ""),
        ("/v1/messages?beta=true", ""),
        ("/v1/messages/count_tokens", ""),
        ("/v1/models", "anthropic-version: 2023-06-01\r\n"),
        ("/elsewhere", "x-api-key: k\r\n"),
    ] {
        let headers = format!("{spoofed}{headers}");
        let (status, body) = envoy.ask(&format!("POST {path}"), &headers, body);
        assert_eq!(status, 503, "{path}");
        assert_eq!(body["type"], "error", "{path}: {body}");
    }
    let with_key = format!("{spoofed}x-api-key: k\r\n");
    let (_, openai) = envoy.ask("POST /v1/chat/completions", &with_key, body);
    assert!(openai["error"]["code"].is_string(), "{openai}");
    let accepted = upstream.accept().map(|_| ()).unwrap_err();
    assert_eq!(accepted.kind(), ErrorKind::WouldBlock);
}

#[test]
fn a_cluster_that_a_client_names_is_gone_before_the_route_reads_it() {
    let Some(tools) = Tools::find() else {
        return;
    };
    let upstream = TcpListener::bind("127.0.0.1:0").unwrap();
    upstream.set_nonblocking(true).unwrap();
    let port = upstream.local_addr().unwrap().port();
    let text = format!(
        "listeners: [{{name: front, address: 127.0.0.1, port: 0, timeout: 1s}}]\nmodel_providers: [{{model: ollama/x, base_url: 'http://127.0.0.1:{port}'}}]\n"
    );
    let rendered = bootstrap(&read("spoofed", &text), &tools.options());
    let spoofed = format!("x-meseta-cluster: http_127.0.0.1_{port}\r\nx-envoy-max-retries: 9\r\n");
    // Without the server's filter only the removal of headers stands between client and route;
    // without the removal the request arrives, which shows that the test could fail.
    for (removal, arrives) in [(true, false), (false, true)] {
        let mut tree: Value = serde_yaml::from_str(&rendered).unwrap();
        let listener = &mut tree["static_resources"]["listeners"][0];
        let manager = &mut listener["filter_chains"][0]["filters"][0]["typed_config"];
        let filters = manager["http_filters"].as_sequence_mut().unwrap();
        filters.retain(|filter| filter["name"] != "envoy.filters.http.ext_proc");
        if !removal {
            let manager = manager.as_mapping_mut().unwrap();
            manager.remove("early_header_mutation_extensions");
        }
        let envoy = tools.start(&serde_json::to_string(&tree).unwrap());
        let (status, _) = envoy.ask("POST /v1/chat/completions", &spoofed, "{}");
        assert_eq!(status, if arrives { 504 } else { 503 });
        assert_eq!(upstream.accept().is_ok(), arrives);
    }
}
