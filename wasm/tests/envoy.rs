//! The filter in the real Envoy that `MESETA_ENVOY` names. Skipped visibly without it.
//!
//! The filter is `MESETA_FILTER`, or the one that `cargo xtask wasm` has built. No server: clients
//! give orders themselves, which they can only where nobody takes their internal headers off.

#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use meseta_limits::{Reservation, Standings};

/// What the listeners' filters do before the meter. The Lua one is the server's part in a relay: it
/// answers itself, and leaves a reservation in metadata.
const USED_UP: &str = "{name: used, typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.http.set_metadata.v3.Config, \
    metadata: [{metadata_namespace: meseta.usage, value: {input_tokens: 30, output_tokens: 20, complete: true}}]}}";
const RELAY: &str = r#"{name: relay, typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua, default_source_code: {inline_string: "
    function envoy_on_request(handle)
      local metadata = handle:streamInfo():dynamicMetadata()
      metadata:set('meseta.request', 'reservation', handle:headers():get('x-test-reservation'))
      metadata:set('meseta.request', 'input_tokens', 100)
      handle:respond({[':status'] = '200'}, 'relayed')
    end"}}}"#;

const RULES: &str = "v1 fast=requests:200/second slow=requests:1/minute tokens=tokens:1000/day";

struct Envoy {
    child: Child,
    directory: tempfile::TempDir,
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let found = lines.find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value)
    }
}

/// Where Envoy and the filter are.
fn tools() -> Option<(PathBuf, PathBuf)> {
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
    Some((envoy.into(), filter))
}

/// Everything of one Envoy: an upstream, and a listener for each list of filters before the meter.
fn bootstrap(directory: &Path, filter: &Path, configuration: &str) -> String {
    let place = directory.display();
    let manager = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
    let router = "{name: router, typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}";
    let meter = |configuration: &str| {
        format!(
        "{{name: meter, typed_config: {{'@type': type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm, config: {{\
         name: meseta_meter, vm_config: {{vm_id: meseta, runtime: envoy.wasm.runtime.v8, code: {{local: {{filename: '{}'}}}}}}, \
         configuration: {{'@type': type.googleapis.com/google.protobuf.StringValue, value: '{configuration}'}}, \
         failure_policy: FAIL_RELOAD, allow_on_headers_stop_iteration: true}}}}}}",
        filter.display()
    )
    };
    let newer = meter(&configuration.replace("slow=", "newer=requests:1/minute slow="));
    let meter = meter(configuration);
    let to_upstream = "route: {cluster: upstream}";
    let listener = |name: &str, filters: &[&str], action: &str| {
        format!(
            "  - {{name: {name}, address: {{pipe: {{path: '{place}/{name}.sock'}}}}, filter_chains: [{{filters: [{{name: http, \
             typed_config: {{'@type': {manager}, stat_prefix: {name}, http_filters: [{}], route_config: {{virtual_hosts: [{{\
             name: all, domains: ['*'], routes: [{{match: {{prefix: /}}, {action}}}]}}]}}}}}}]}}]}}\n",
            filters.join(", ")
        )
    };
    let mut text = format!(
        "admin: {{address: {{pipe: {{path: '{place}/admin.sock'}}}}}}\n\
         static_resources:\n  clusters:\n  - {{name: upstream, type: STATIC, load_assignment: {{cluster_name: upstream, \
         endpoints: [{{lb_endpoints: [{{endpoint: {{address: {{pipe: {{path: '{place}/upstream.sock'}}}}}}}}]}}]}}}}\n  listeners:\n"
    );
    let answers = "direct_response: {status: 200, body: {inline_string: answer}}";
    text += &listener("upstream", &[router], answers);
    text += &listener("plain", &[&meter, router], to_upstream);
    text += &listener("newer", &[&newer, router], to_upstream);
    text += &listener("used", &[USED_UP, &meter, router], to_upstream);
    let relay = RELAY.replace('\n', "\\n");
    text += &listener("relay", &[&relay, &meter, router], to_upstream);
    text
}

impl Envoy {
    /// Starts one with four workers. `None` where it does not come up.
    fn start(tools: &(PathBuf, PathBuf), configuration: &str) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("envoy.yaml");
        let text = bootstrap(directory.path(), &tools.1, configuration);
        std::fs::write(&path, text).unwrap();
        let child = Command::new(&tools.0)
            .args(["--concurrency", "4", "--use-dynamic-base-id", "-l", "warn"])
            .arg("--log-path")
            .arg(directory.path().join("envoy.log"))
            .arg("-c")
            .arg(&path)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut envoy = Self { child, directory };
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            if envoy.child.try_wait().unwrap().is_some() {
                return None;
            }
            let ready = envoy.try_get("admin", "/ready", &[]);
            let ready = ready.is_some_and(|answer| answer.body.contains("LIVE"));
            if ready && envoy.connect("relay").is_some() {
                return Some(envoy);
            }
            assert!(Instant::now() < deadline, "{}", envoy.log());
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("envoy.log")).unwrap_or_default()
    }

    fn connect(&self, listener: &str) -> Option<UnixStream> {
        let path = self.directory.path().join(format!("{listener}.sock"));
        let stream = UnixStream::connect(path).ok()?;
        let wait = Some(Duration::from_secs(20));
        stream.set_read_timeout(wait).unwrap();
        Some(stream)
    }

    fn get(&self, listener: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.try_get(listener, path, headers).unwrap()
    }

    fn try_get(&self, listener: &str, path: &str, headers: &[(&str, &str)]) -> Option<Answer> {
        let mut text = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n");
        for (name, value) in headers {
            write!(text, "{name}: {value}\r\n").unwrap();
        }
        text += "\r\n";
        let mut stream = self.connect(listener)?;
        stream.write_all(text.as_bytes()).ok()?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        let (head, body) = text.split_once("\r\n\r\n")?;
        Some(Answer {
            status: head.get(9..12)?.parse().ok()?,
            head: head.to_owned(),
            body: body.to_owned(),
        })
    }

    fn order(&self, listener: &str, order: &str) -> Answer {
        self.get(listener, "/", &[("x-meseta-charge", order)])
    }

    fn count(&self, counter: &str) -> u64 {
        let answer = self.get("admin", "/stats?filter=meseta_meter", &[]);
        let name = format!("wasmcustom.meseta_meter_{counter}: ");
        let mut lines = answer.body.lines();
        let value = lines.find_map(|line| line.strip_prefix(&name));
        value.map_or(0, |value| value.trim().parse().unwrap())
    }

    /// What is left of `tokens` for a subject.
    fn left(&self, subject: &str) -> u64 {
        let answer = self.order("plain", &format!("v1;openai;direct;0:0;tokens:{subject}"));
        let standings: Standings = answer.header("x-meseta-standing").unwrap().parse().unwrap();
        standings.0[0].remaining
    }

    /// The answer to a client goes before the exchange is logged.
    fn left_becomes(&self, subject: &str, expected: u64) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while self.left(subject) != expected {
            let left = self.left(subject);
            assert!(Instant::now() < deadline, "{left}, not {expected}");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn configuration(fail: &str) -> String {
    format!(r#"{{"version":1,"rules":"{RULES}","fail":"{fail}","shards":64}}"#)
}

/// Requests on one connection, one after the other, until a deadline; how many were let through.
fn hammer(envoy: &Envoy, order: &str, until: Instant) -> u64 {
    let mut stream = envoy.connect("plain").unwrap();
    let request = format!("GET / HTTP/1.1\r\nhost: a\r\nx-meseta-charge: {order}\r\n\r\n");
    let mut admitted = 0;
    let mut bytes = Vec::new();
    let mut buffer = [0; 16384];
    while Instant::now() < until {
        stream.write_all(request.as_bytes()).unwrap();
        bytes.clear();
        loop {
            let count = stream.read(&mut buffer).unwrap();
            assert!(count > 0, "Envoy has ended the connection");
            bytes.extend_from_slice(&buffer[..count]);
            let text = String::from_utf8_lossy(&bytes);
            let Some((head, body)) = text.split_once("\r\n\r\n") else {
                continue;
            };
            let mut lines = head.lines();
            let length = lines.find_map(|line| line.strip_prefix("content-length: "));
            if body.len() == length.unwrap().parse::<usize>().unwrap() {
                match &head[9..12] {
                    "200" => admitted += 1,
                    "429" => {}
                    status => panic!("{status}"),
                }
                break;
            }
        }
    }
    admitted
}

#[test]
fn all_workers_together_admit_what_the_rule_says() {
    let Some(tools) = tools() else { return };
    let envoy = Envoy::start(&tools, &configuration("closed")).unwrap();
    let began = Instant::now();
    let until = began + Duration::from_secs(4);
    let admitted: u64 = thread::scope(|scope| {
        let threads: Vec<_> = (0..16)
            .map(|_| scope.spawn(|| hammer(&envoy, "v1;openai;direct;1:1;fast:1", until)))
            .collect();
        threads.into_iter().map(|one| one.join().unwrap()).sum()
    });
    let allowed = 200.0 + 200.0 * began.elapsed().as_secs_f64();
    let share = admitted as f64 / allowed;
    eprintln!("admitted {admitted} of {allowed:.1}: {share:.4}");
    assert!((0.95..=1.0).contains(&share), "{admitted} of {allowed}");
    assert_eq!(envoy.count("admitted"), admitted);
    assert_eq!(envoy.count("store_failures"), 0);
    assert!(envoy.count("refused") > 0);
}

#[test]
fn a_refusal_reaches_the_client_in_its_dialect() {
    let Some(tools) = tools() else { return };
    let envoy = Envoy::start(&tools, &configuration("closed")).unwrap();
    for (subject, (dialect, body)) in [
        ("openai", r#"{"error":{"message":"#),
        (
            "anthropic",
            r#"{"type":"error","error":{"type":"rate_limit_error""#,
        ),
        ("gemini", r#"{"error":{"code":429,"#),
        ("bedrock", r#"{"__type":"ThrottlingException","#),
    ]
    .into_iter()
    .enumerate()
    {
        let order = format!("v1;{dialect};direct;1:1;slow:{subject}");
        let first = envoy.order("plain", &order);
        assert_eq!((first.status, &*first.body), (200, "answer"));
        assert_eq!(first.header("x-meseta-meter"), None);
        let standing = first.header("x-meseta-standing").unwrap();
        assert!(standing.starts_with("v1;slow:requests:1:1:"), "{standing}");
        let answer = envoy.order("plain", &order);
        assert_eq!(answer.status, 429, "{}", answer.head);
        assert!(answer.body.starts_with(body), "{}", answer.body);
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.head.matches("content-type").count(), 1);
        assert_eq!(answer.header("x-meseta-meter"), Some("refused"));
        let retry = answer.header("retry-after").unwrap();
        let seconds = retry.parse::<u64>().unwrap();
        assert!((30..=60).contains(&seconds), "{retry}");
        let limit = format!("\"slow\";r=0;t={retry}");
        assert_eq!(answer.header("ratelimit"), Some(&*limit));
        assert_eq!(answer.header("ratelimit-policy"), Some("\"slow\";q=1;w=60"));
        assert_eq!(answer.header("x-ratelimit-remaining-requests"), Some("0"));
        assert_eq!(answer.header("x-meseta-standing"), None);
        let bedrock = (dialect == "bedrock").then_some("ThrottlingException");
        assert_eq!(answer.header("x-amzn-errortype"), bedrock);
    }
    let large = envoy.order("plain", "v1;openai;direct;2000:1;tokens:1");
    assert_eq!(large.status, 429);
    assert_eq!(large.header("retry-after"), None);
}

#[test]
fn what_is_reserved_is_settled_on_either_way() {
    let Some(tools) = tools() else { return };
    let envoy = Envoy::start(&tools, &configuration("closed")).unwrap();
    // Direct: with the usage in metadata, and without any.
    let answer = envoy.order("used", "v1;openai;direct;100:400;tokens:a");
    assert!(answer
        .header("x-meseta-standing")
        .unwrap()
        .contains(":500:"));
    assert_eq!(answer.header("x-meseta-reservation"), None);
    envoy.left_becomes("a", 950);
    envoy.order("plain", "v1;openai;direct;100:400;tokens:b");
    envoy.left_becomes("b", 900);

    // Relayed: reserved in one chain, settled in the other, which never sees the request.
    let answer = envoy.order("used", "v1;openai;relay;100:400;tokens:c");
    let reservation = answer.header("x-meseta-reservation").unwrap();
    assert!(reservation.parse::<Reservation>().is_ok(), "{reservation}");
    assert_eq!(envoy.left("c"), 500);
    let answer = envoy.get("relay", "/", &[("x-test-reservation", reservation)]);
    assert_eq!((answer.status, &*answer.body), (200, "relayed"));
    envoy.left_becomes("c", 900);
    assert_eq!(envoy.count("unreadable"), 0);
    assert_eq!(envoy.count("store_failures"), 0);
}

#[test]
fn what_has_been_used_holds_in_a_listener_with_newer_rules() {
    let Some(tools) = tools() else { return };
    let envoy = Envoy::start(&tools, &configuration("closed")).unwrap();
    let order = "v1;openai;direct;1:1;slow:1";
    assert_eq!(envoy.order("plain", order).status, 200);
    assert_eq!(envoy.order("newer", order).status, 429);
    let order = "v1;openai;direct;1:1;newer:1";
    assert_eq!(envoy.order("newer", order).status, 200);
    assert_eq!(envoy.order("newer", order).status, 429);
    assert_eq!(envoy.order("plain", order).status, 200);
    assert_eq!(envoy.count("unknown_rule"), 1);
}

#[test]
fn an_order_that_cannot_be_read_is_refused_or_passes_as_configured() {
    let Some(tools) = tools() else { return };
    for (fail, status) in [("closed", 503), ("open", 200)] {
        let envoy = Envoy::start(&tools, &configuration(fail)).unwrap();
        let answer = envoy.order("plain", "v9;openai;direct;1:1;fast:1");
        assert_eq!(answer.status, status, "{}", answer.head);
        assert_eq!(envoy.get("plain", "/", &[]).status, 200);
        let unknown = envoy.order("plain", "v1;openai;direct;1:1;newer:1");
        assert_eq!(unknown.status, 200);
        assert_eq!(envoy.count("unknown_rule"), 1);
        assert_eq!(envoy.count("unreadable"), 1);
    }
}

#[test]
fn a_body_does_not_enter_the_filter() {
    let Some(tools) = tools() else { return };
    let envoy = Envoy::start(&tools, &configuration("closed")).unwrap();
    let resident = || {
        let path = format!("/proc/{}/status", envoy.child.id());
        let text = std::fs::read_to_string(path).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.unwrap().trim().trim_end_matches(" kB");
        kib.parse::<u64>().unwrap() / 1024
    };
    let size = 20 << 20;
    let send = || {
        let mut stream = envoy.connect("plain").unwrap();
        let order = "v1;openai;direct;1:1;fast:1";
        let head = format!("POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx-meseta-charge: {order}\r\ncontent-length: {size}\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let piece = vec![b'x'; 64 << 10];
        for _ in 0..size / piece.len() {
            // The upstream answers before the end, and then nobody reads on.
            if stream.write_all(&piece).is_err() {
                break;
            }
        }
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
    };
    send();
    let before = resident();
    for _ in 0..8 {
        send();
    }
    let after = resident();
    assert!(after < before + 16, "{before} MiB, then {after} MiB");
}

#[test]
fn a_configuration_that_is_not_understood_lets_nothing_pass() {
    let Some(tools) = tools() else { return };
    for configuration in [r#"{"version":2}"#, r#"{"version":1,"rules":"v7"}"#, "{}"] {
        let Some(envoy) = Envoy::start(&tools, configuration) else {
            eprintln!("Envoy does not start");
            continue;
        };
        let answer = envoy.get("plain", "/", &[]);
        assert!(answer.status >= 500, "{configuration}: {}", answer.head);
    }
}
