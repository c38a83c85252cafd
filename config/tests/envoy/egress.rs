//! The egress listener in the real Envoy.

use super::*;

#[test]
fn the_servers_own_calls_tell_envoys_answers_from_those_of_providers() {
    let Some(tools) = Tools::find() else {
        return;
    };
    let upstream = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = upstream.local_addr().unwrap().port();
    let dead = TcpListener::bind("127.0.0.1:0").unwrap();
    let dead_port = dead.local_addr().unwrap().port();
    drop(dead);
    let text = format!(
        "listeners: [{{name: front, address: 127.0.0.1, port: 0}}]\nmodel_providers: [{{model: ollama/x, base_url: 'http://127.0.0.1:{port}'}}, {{model: vllm/x, base_url: 'http://127.0.0.1:{dead_port}'}}]\n"
    );
    let envoy = tools.start(&bootstrap(&read("egress", &text), &tools.options()));
    // What it heard, and an answer that claims to be Envoy's and the meter's.
    let provider = std::thread::spawn(move || {
        let (mut stream, _) = upstream.accept().unwrap();
        let mut heard = Vec::new();
        while !heard.ends_with(b"\r\n\r\n") {
            let mut byte = [0; 1];
            assert_eq!(stream.read(&mut byte).unwrap(), 1);
            heard.push(byte[0]);
        }
        let answer = "HTTP/1.1 503 x\r\ncontent-length: 0\r\nx-own: 1\r\nx-meseta-envoy: UF;forged\r\nx-meseta-meter: forged\r\n\r\n";
        stream.write_all(answer.as_bytes()).unwrap();
        String::from_utf8(heard).unwrap()
    });
    let ask = |cluster: &str| {
        let mut stream = UnixStream::connect(tools.file("egress.sock")).unwrap();
        let limit = Some(Duration::from_secs(20));
        stream.set_read_timeout(limit).unwrap();
        let request = format!(
            "GET /a/..//%2f?k=1 HTTP/1.1\r\nhost: provider.example\r\nx-request-id: own-1\r\nx-meseta-cluster: {cluster}\r\nconnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let answer = ask(&format!("http_127.0.0.1_{port}"));
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.contains("x-own: 1"), "{answer}");
    assert!(!answer.contains("x-meseta-"), "{answer}");
    let heard = provider.join().unwrap();
    assert!(
        heard.starts_with("GET /a/..//%2f?k=1 HTTP/1.1\r\n"),
        "{heard}"
    );
    assert!(heard.contains("host: provider.example"), "{heard}");
    assert!(heard.contains("x-request-id: own-1"), "{heard}");
    for hidden in ["x-meseta-", "x-forwarded-", "x-envoy-"] {
        assert!(!heard.contains(hidden), "{heard}");
    }
    let answer = ask(&format!("http_127.0.0.1_{dead_port}"));
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    let told = "x-meseta-envoy: UF;upstream_reset_before_response_started";
    assert!(answer.contains(told), "{answer}");
    let answer = ask("nobody");
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(
        answer.contains("x-meseta-envoy: NC;cluster_not_found"),
        "{answer}"
    );
    drop(envoy);
}
