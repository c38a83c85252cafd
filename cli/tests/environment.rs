//! `.env` files of an instance that runs in the background: seen by the server, and by nobody's environment.

#![allow(clippy::print_stderr, reason = "a skipped test is seen")]

#[path = "support/instance.rs"]
mod instance;
#[path = "support/place.rs"]
mod place;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{channel, Receiver};
use std::time::{Duration, Instant};

use instance::{Instance, CONFIG};

/// A provider that answers everything, and tells which credential it was asked with.
fn provider() -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (tell, told) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let Some(credential) = read_request(&mut BufReader::new(&stream)) else {
                continue;
            };
            if tell.send(credential).is_err() {
                return;
            }
            let answer = r#"{"id":"c","object":"chat.completion","model":"m","choices":[]}"#;
            let length = answer.len();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
            stream.write_all((head + answer).as_bytes()).unwrap();
        }
    });
    (url, told)
}

/// Reads one request and gives its credential.
fn read_request(stream: &mut impl BufRead) -> Option<String> {
    let (mut credential, mut length) = (String::new(), 0);
    let mut chunked = false;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).ok()?;
        let line = line.trim_end();
        let (name, value) = line.split_once(": ").unwrap_or((line, ""));
        match name.to_ascii_lowercase().as_str() {
            "" => break,
            "authorization" => value.clone_into(&mut credential),
            "content-length" => length = value.parse().unwrap(),
            "transfer-encoding" => chunked = true,
            _ => {}
        }
    }
    if chunked {
        let mut line = String::new();
        while line != "0\r\n" {
            line.clear();
            stream.read_line(&mut line).ok()?;
        }
    } else {
        stream.read_exact(&mut vec![0; length]).ok()?;
    }
    Some(credential)
}

/// Asks for a model and gives the status line.
fn ask(host: &str, model: &str) -> String {
    let body = format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"hi"}}]}}"#);
    let mut stream = TcpStream::connect(host).unwrap();
    let length = body.len();
    let request = format!("POST /v1/chat/completions HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn dotenv_files_are_read_by_the_server_itself_and_again_when_they_change() {
    let Some(instance) = Instance::new() else {
        return;
    };
    let Instance(place) = &instance;
    let (url, credentials) = provider();
    let providers = format!(
        "model_providers:\n  - {{model: groq/here, access_key: $KEY_HERE, base_url: '{url}'}}\n  - {{model: mistral/beside, access_key: $KEY_BESIDE, base_url: '{url}'}}\n"
    );
    place.file(
        "sub/meseta.yaml",
        &CONFIG.replace("model_providers:\n", &providers),
    );
    place.file(".env", "KEY_HERE=sk-here-1\n");
    place.file("sub/.env", "KEY_BESIDE=sk-beside-1\n");
    let up = place.run(&["up", "--state-dir", "s", "sub/meseta.yaml"]);
    assert_eq!(up.code, Some(0), "{}", up.stderr);
    let host = instance.record()["listeners"][0]["bound"].clone();
    let host = host.as_str().unwrap();
    let sent = |model: &str| {
        assert_eq!(ask(host, model), "HTTP/1.1 200 OK");
        credentials.recv_timeout(Duration::from_secs(5)).unwrap()
    };
    assert_eq!(sent("groq/here"), "Bearer sk-here-1");
    assert_eq!(sent("mistral/beside"), "Bearer sk-beside-1");

    for process in ["supervisor", "server", "envoy"] {
        let path = format!("/proc/{}/environ", instance.pid(process));
        let environment = std::fs::read(path).unwrap();
        let environment = String::from_utf8_lossy(&environment);
        assert!(environment.contains("PATH="), "it can be read: {process}");
        for name in ["KEY_HERE", "KEY_BESIDE", "sk-here", "sk-beside"] {
            assert!(!environment.contains(name), "{name} of {process}");
        }
    }

    for (file, text, model, expected) in [
        (
            ".env",
            "KEY_HERE=sk-here-2\n",
            "groq/here",
            "Bearer sk-here-2",
        ),
        (
            "sub/.env",
            "KEY_BESIDE=sk-beside-2\n",
            "mistral/beside",
            "Bearer sk-beside-2",
        ),
    ] {
        place.file(file, text);
        let deadline = Instant::now() + Duration::from_secs(20);
        while sent(model) != expected {
            assert!(Instant::now() < deadline, "{file} is not read again");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}
