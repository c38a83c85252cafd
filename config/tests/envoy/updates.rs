//! The egress listener in the real Envoy while its rules change.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::Arc;

use super::*;

/// A provider that answers `ok`; to `/slow` with a first piece, and `ok` when `go` is set.
fn provider(listener: TcpListener, go: Arc<AtomicBool>) {
    for stream in listener.incoming() {
        let (Ok(mut stream), go) = (stream, Arc::clone(&go)) else {
            return;
        };
        std::thread::spawn(move || loop {
            let mut heard = Vec::new();
            while !heard.ends_with(b"\r\n\r\n") {
                let mut byte = [0; 1];
                if !matches!(stream.read(&mut byte), Ok(1)) {
                    return;
                }
                heard.push(byte[0]);
            }
            if heard.starts_with(b"GET /slow") {
                let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nbegun\r\n";
                stream.write_all(head).unwrap();
                while !go.load(Ordering::Relaxed) {
                    std::thread::sleep(Duration::from_millis(10));
                }
                stream.write_all(b"2\r\nok\r\n0\r\n\r\n").unwrap();
            } else {
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                stream.write_all(answer).unwrap();
            }
        });
    }
}

/// The server's side of a connection, as HTTP/1.1 has it.
struct Caller {
    socket: PathBuf,
    cluster: String,
    stream: Option<UnixStream>,
}

impl Caller {
    fn send(&mut self, path: &str) -> UnixStream {
        let mut stream = self.stream.take().unwrap_or_else(|| {
            let stream = UnixStream::connect(&self.socket).unwrap();
            let limit = Some(Duration::from_secs(20));
            stream.set_read_timeout(limit).unwrap();
            stream
        });
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: h\r\nx-meseta-cluster: {}\r\n\r\n",
            self.cluster
        );
        stream.write_all(request.as_bytes()).unwrap();
        stream
    }

    /// Reads an answer to its end; the connection is kept unless Envoy says that it ends.
    fn answer(&mut self, mut stream: UnixStream, end: &str) {
        let mut answer = String::new();
        while !answer.ends_with(end) {
            let mut bytes = [0; 512];
            let read = stream.read(&mut bytes).unwrap();
            assert_ne!(read, 0, "{answer}");
            answer.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
        }
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        self.stream = (!answer.contains("connection: close")).then_some(stream);
    }
}

#[test]
fn rules_change_at_the_egress_socket_without_losing_a_request() {
    let Some(tools) = Tools::find() else {
        return;
    };
    let upstream = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = upstream.local_addr().unwrap().port();
    let go = Arc::new(AtomicBool::new(false));
    let waits = Arc::clone(&go);
    std::thread::spawn(move || provider(upstream, waits));
    let config = |limit: u32| {
        let text = format!(
            "listeners: [{{name: front, address: 127.0.0.1, port: 0}}]\nmodel_providers: [{{model: ollama/x, base_url: 'http://127.0.0.1:{port}'}}]\nlimits: [{{name: a, unit: requests, limit: {limit}, per: day}}]\n"
        );
        read("updates", &text)
    };
    let directory = tools.file("xds");
    std::fs::create_dir(&directory).unwrap();
    let write = |name: &str, text: &str| {
        let new = directory.join("new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(&new, directory.join(name)).unwrap();
    };
    let put = |limit: u32| {
        let own = resources(&config(limit), &tools.options(), &directory);
        let version = limit.to_string();
        write(
            LISTENERS_FILE,
            &discovery_response(&version, &own.listeners),
        );
        own
    };
    let own = put(1);
    write(CLUSTERS_FILE, &discovery_response("1", &own.clusters));
    let envoy = tools.start(&dynamic_bootstrap(&tools.options(), &directory));
    let caller = || Caller {
        socket: tools.file("egress.sock"),
        cluster: format!("http_127.0.0.1_{port}"),
        stream: None,
    };
    let (stop, answers) = (AtomicBool::new(false), AtomicU32::new(0));
    std::thread::scope(|scope| {
        for keeps in [true, false] {
            let (mut caller, stop, answers) = (caller(), &stop, &answers);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let stream = caller.send("/");
                    caller.answer(stream, "ok");
                    answers.fetch_add(1, Ordering::Relaxed);
                    if !keeps {
                        caller.stream = None;
                    }
                }
            });
        }
        let mut slow = caller();
        let running = slow.send("/slow");
        for limit in 2..=6 {
            let before = answers.load(Ordering::Relaxed);
            put(limit);
            let rules = format!("a=requests:{limit}/day");
            let deadline = Instant::now() + Duration::from_secs(20);
            let has_all = || {
                let dump = envoy.ask_admin("/config_dump?resource=dynamic_listeners");
                let dump = dump.unwrap_or_default();
                let warming = dump.contains("warming_state");
                dump.matches(&rules).count() == 2 && !warming
            };
            while !has_all() || answers.load(Ordering::Relaxed) < before + 20 {
                assert!(Instant::now() < deadline, "{rules}");
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        go.store(true, Ordering::Relaxed);
        slow.answer(running, "ok\r\n0\r\n\r\n");
        stop.store(true, Ordering::Relaxed);
    });
    let stats = envoy.ask_admin("/stats?filter=listener_manager").unwrap();
    assert!(stats.contains("lds.update_rejected: 0"), "{stats}");
    assert!(stats.contains("listener_create_failure: 0"), "{stats}");
    let asked = envoy
        .ask_admin("/stats?filter=meseta.egress.downstream_rq_(2xx|total)")
        .unwrap();
    let number = |name: &str| {
        let line = asked.lines().find(|line| line.contains(name)).unwrap();
        line.rsplit(' ').next().unwrap().parse::<u32>().unwrap()
    };
    assert_eq!(number("rq_2xx"), number("rq_total"), "{asked}");
    assert_eq!(number("rq_total"), answers.into_inner() + 1);
}
