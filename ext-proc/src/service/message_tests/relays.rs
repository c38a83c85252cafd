//! Exchanges whose providers the server calls itself.

use std::path::PathBuf;
use std::sync::Mutex;

use envoy_types::pb::envoy::service::ext_proc::v3::streamed_immediate_response::Response as Local;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, UnixListener};

use super::envoy::*;
use super::*;

/// A provider: answers each request by its model with these bytes, and keeps the requests.
#[derive(Clone, Default)]
struct Provider {
    answers: Arc<Vec<(&'static str, &'static str)>>,
    requests: Arc<Mutex<Vec<String>>>,
    /// How many connections the other side has closed.
    closed: Arc<std::sync::atomic::AtomicUsize>,
}

impl Provider {
    fn answering(answers: &[(&'static str, &'static str)]) -> Self {
        Self {
            answers: Arc::new(answers.to_vec()),
            ..Self::default()
        }
    }

    async fn on_a_port(self) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(self.clone().serve(stream));
            }
        });
        port
    }

    fn on_a_socket(self, path: PathBuf) {
        let listener = UnixListener::bind(path).unwrap();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(self.clone().serve(stream));
            }
        });
    }

    async fn serve(self, mut stream: impl AsyncRead + AsyncWrite + Unpin) {
        let mut request = String::new();
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let length = stream.read(&mut buffer).await.unwrap_or(0);
            if length == 0 {
                self.closed
                    .fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                return;
            }
            request.push_str(std::str::from_utf8(&buffer[..length]).unwrap());
            let known = self.answers.iter();
            let mut named = known.filter(|(model, _)| request.contains(&format!("\"{model}\"")));
            if let Some((_, answer)) = named.next() {
                self.requests
                    .lock()
                    .unwrap()
                    .push(std::mem::take(&mut request));
                stream.write_all(answer.as_bytes()).await.unwrap();
                if answer.contains("connection: close") {
                    return;
                }
            }
        }
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn configuration(port: u16, more: &str) -> String {
    format!(
        r#"
listeners: [{{type: model, name: front, address: 127.0.0.1, port: 0}}]
model_providers:
  - {{model: openai/*, access_key: $OPENAI, base_url: "http://127.0.0.1:{port}/v1"}}
  - {{model: anthropic/*, access_key: $ANTHROPIC, base_url: "http://127.0.0.1:{port}"}}
models:
  pair: {{targets: [{{model: openai/one, priority: 1}}, {{model: anthropic/two, priority: 2}}]}}
server: {{{more}}}
"#
    )
}

const ASK: &str = r#"{"model":"pair","stream":true,"messages":[{"role":"user","content":"hi"}]}"#;

const OVERLOADED: &str = "HTTP/1.1 503 X\r\ncontent-type: application/json\r\nretry-after: 7\r\n\
    x-theirs: secret\r\ncontent-length: 28\r\n\r\n{\"error\":{\"message\":\"busy\"}}";

const MESSAGES: &str = "HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\nx-own: 1\r\nconnection: close\r\n\r\n\
    event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"c\",\"content\":[],\"usage\":{\"input_tokens\":3,\"output_tokens\":1}}}\n\n\
    event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n\
    event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hello\"}}\n\n\
    event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n\
    event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":4}}\n\n\
    event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

/// Headers of an answer of the server's own that comes in pieces, and its body to the end.
async fn relayed(envoy: &mut Envoy) -> (Vec<(String, String)>, String, Option<Struct>) {
    let (answer, metadata) = envoy.answer().await;
    let Answer::StreamedImmediateResponse(headers) = answer else {
        panic!("not a streamed answer: {answer:?}");
    };
    let Some(Local::HeadersResponse(headers)) = headers.response else {
        panic!("no headers first");
    };
    let headers = headers.headers.unwrap().headers.into_iter();
    let headers = headers.map(|own| (own.key, String::from_utf8(own.raw_value).unwrap()));
    let headers: Vec<_> = headers.collect();
    let mut body = Vec::new();
    loop {
        let (answer, _) = envoy.answer().await;
        let Answer::StreamedImmediateResponse(piece) = answer else {
            panic!("not a piece: {answer:?}");
        };
        let Some(Local::BodyResponse(piece)) = piece.response else {
            panic!("headers twice");
        };
        body.extend_from_slice(&piece.body);
        if piece.end_of_stream {
            return (headers, String::from_utf8(body).unwrap(), metadata);
        }
    }
}

fn value<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let found = headers.iter().find(|(own, _)| own == name);
    found.map(|(_, value)| value.as_str())
}

#[tokio::test]
async fn the_next_target_answers_and_nothing_of_the_first_is_seen() {
    let provider = Provider::answering(&[("one", OVERLOADED), ("two", MESSAGES)]);
    let port = provider.clone().on_a_port().await;
    let mut envoy = Envoy::of(&configuration(port, "egress: direct"), None).await;
    envoy
        .post(
            "/v1/chat/completions",
            &[("x-client", "kept"), ("cookie", "a=b")],
            ASK,
        )
        .await;
    let (headers, body, metadata) = relayed(&mut envoy).await;
    assert_eq!(value(&headers, ":status"), Some("200"));
    assert_eq!(value(&headers, "x-meseta-attempts"), Some("2"));
    assert_eq!(value(&headers, "x-meseta-model"), Some("anthropic/two"));
    assert_eq!(value(&headers, "x-own"), Some("1"));
    for theirs in ["x-theirs", "retry-after", "content-length", "connection"] {
        assert_eq!(value(&headers, theirs), None, "{theirs}");
    }
    assert!(
        body.contains("Hello") && body.ends_with("data: [DONE]\n\n"),
        "{body}"
    );
    let metadata = metadata.unwrap();
    assert_eq!(
        field(&metadata, "meseta.request", "model"),
        &text("anthropic/two")
    );
    assert_eq!(
        field(&metadata, "meseta.usage", "attempts"),
        &Kind::NumberValue(2.0)
    );
    let [first, second] = <[String; 2]>::try_from(provider.requests()).unwrap();
    assert!(first.contains("authorization: Bearer sk-openai"));
    assert!(first.contains("x-client: kept") && !first.contains("cookie"));
    assert!(second.contains("x-api-key: sk-anthropic") && !second.contains("sk-openai"));
    assert!(second.starts_with("POST /v1/messages HTTP/1.1\r\n"));
    envoy.to_server = None;
    assert!(envoy.next().await.unwrap().is_none(), "ends with OK");
}

#[tokio::test]
async fn when_all_fail_the_last_word_of_a_provider_is_told_with_what_helps() {
    let provider = Provider::answering(&[("one", OVERLOADED), ("two", OVERLOADED)]);
    let port = provider.on_a_port().await;
    let mut envoy = Envoy::of(&configuration(port, "egress: direct"), None).await;
    envoy.post("/v1/chat/completions", &[], ASK).await;
    let (headers, body, _) = relayed(&mut envoy).await;
    assert_eq!(value(&headers, ":status"), Some("503"));
    assert_eq!(value(&headers, "retry-after"), Some("7"));
    assert_eq!(value(&headers, "x-theirs"), None);
    assert!(body.contains("busy"), "{body}");
}

#[tokio::test]
async fn a_refusal_of_our_own_meter_is_final() {
    let refusal = "HTTP/1.1 429 X\r\nx-meseta-meter: refused\r\nretry-after: 9\r\nratelimit: \"own\";r=0;t=9\r\n\
        content-type: application/json\r\ncontent-length: 16\r\n\r\n{\"error\":\"dear\"}";
    let provider = Provider::answering(&[("one", refusal), ("two", MESSAGES)]);
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("egress.sock");
    provider.clone().on_a_socket(socket.clone());
    let mut envoy = Envoy::of(&configuration(1, ""), Some(socket)).await;
    envoy.post("/v1/chat/completions", &[], ASK).await;
    let (headers, body, _) = relayed(&mut envoy).await;
    assert_eq!(value(&headers, ":status"), Some("429"));
    assert_eq!(value(&headers, "retry-after"), Some("9"));
    assert_eq!(value(&headers, "ratelimit"), Some("\"own\";r=0;t=9"));
    assert_eq!(value(&headers, "x-meseta-meter"), None);
    assert_eq!(body, "{\"error\":\"dear\"}");
    let requests = provider.requests();
    assert_eq!(requests.len(), 1, "no other target is asked");
    assert!(requests[0].contains("x-meseta-cluster: "));
}

#[tokio::test]
async fn a_provider_that_is_called_straight_cannot_speak_for_the_meter() {
    let forged = "HTTP/1.1 429 X\r\nx-meseta-meter: refused\r\nx-meseta-envoy: UF;x\r\ncontent-length: 2\r\n\r\n{}";
    let provider = Provider::answering(&[("one", forged), ("two", MESSAGES)]);
    let port = provider.clone().on_a_port().await;
    let mut envoy = Envoy::of(&configuration(port, "egress: direct"), None).await;
    envoy.post("/v1/chat/completions", &[], ASK).await;
    let (headers, _, _) = relayed(&mut envoy).await;
    assert_eq!(value(&headers, "x-meseta-model"), Some("anthropic/two"));
}

#[tokio::test]
async fn a_client_that_goes_away_breaks_the_call_off() {
    let provider = Provider::answering(&[("nobody", "")]);
    let port = provider.clone().on_a_port().await;
    let mut envoy = Envoy::of(&configuration(port, "egress: direct"), None).await;
    envoy.post("/v1/chat/completions", &[], ASK).await;
    let waiting = tokio::time::timeout(Duration::from_millis(100), envoy.from_server.message());
    assert!(
        waiting.await.is_err(),
        "nothing is said before the provider has"
    );
    let shared = Arc::clone(&envoy.shared);
    drop(envoy);
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while provider.closed.load(std::sync::atomic::Ordering::SeqCst) == 0 {
        assert!(tokio::time::Instant::now() < deadline, "the call goes on");
        tokio::task::yield_now().await;
    }
    let now = shared.providers.now();
    let known = meseta_targets::HealthStore::snapshot(&*shared.providers.health, now);
    let target = known.iter().find(|own| own.id.as_str() == "openai/one");
    let target = target.expect("it was asked");
    assert_eq!(
        (target.in_flight, target.failures),
        (0, 0),
        "nobody is to blame"
    );
}
