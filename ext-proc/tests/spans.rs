//! The whole server with an OTLP collector beside it: one span per exchange, in the client's trace.
//!
//! A binary of its own, because the server sets the process's subscriber and stops by a signal.

use std::path::Path;
use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3::{HeaderMap, HeaderValue};
use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::processing_mode::BodySendMode;
use envoy_types::pb::envoy::service::ext_proc::v3::external_processor_client::ExternalProcessorClient;
use envoy_types::pb::envoy::service::ext_proc::v3::{
    processing_request::Request as Message, processing_response::Response as Answer,
    streamed_immediate_response::Response as Local, HttpBody, HttpHeaders, ProcessingRequest,
    ProcessingResponse, ProtocolConfiguration,
};
use meseta_config::{ListenAddress, LogFormat, Source};
use meseta_ext_proc::{serve, ServeOptions};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::transport::{Endpoint, Server};
use tonic::{Request, Response, Status, Streaming};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";
const PROMPT: &str = "a prompt that nobody may see";

/// A collector that passes on what it gets.
struct Collector(mpsc::Sender<ExportTraceServiceRequest>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let _ = self.0.send(request.into_inner()).await;
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn headers(pairs: &[(&str, &str)]) -> HttpHeaders {
    let headers = pairs.iter().map(|(key, value)| HeaderValue {
        key: (*key).to_owned(),
        value: String::new(),
        raw_value: value.as_bytes().to_vec(),
    });
    HttpHeaders {
        headers: Some(HeaderMap {
            headers: headers.collect(),
        }),
        ..HttpHeaders::default()
    }
}

fn body(text: &str) -> HttpBody {
    HttpBody {
        body: text.as_bytes().to_vec(),
        end_of_stream: true,
        ..HttpBody::default()
    }
}

fn attribute(span: &Span, name: &str) -> Option<Value> {
    let found = span.attributes.iter().find(|a| a.key == name)?;
    found.value.clone()?.value
}

fn text(value: &str) -> Option<Value> {
    Some(Value::StringValue(value.to_owned()))
}

/// A stream to the server: what Envoy sends, and what it gets.
async fn connect(
    socket: std::path::PathBuf,
) -> (
    mpsc::Sender<ProcessingRequest>,
    Streaming<ProcessingResponse>,
) {
    let channel = Endpoint::from_static("http://server")
        .connect_with_connector(tower::service_fn(move |_| {
            let socket = socket.clone();
            async move {
                let stream = tokio::net::UnixStream::connect(socket).await?;
                Ok::<_, std::io::Error>(hyper_util::rt::TokioIo::new(stream))
            }
        }))
        .await
        .unwrap();
    let (to_server, messages) = mpsc::channel(8);
    let answers = ExternalProcessorClient::new(channel)
        .process(ReceiverStream::new(messages))
        .await
        .unwrap()
        .into_inner();
    (to_server, answers)
}

async fn send(to_server: &mpsc::Sender<ProcessingRequest>, messages: Vec<Message>) {
    let mode = BodySendMode::FullDuplexStreamed.into();
    let mut modes = Some(ProtocolConfiguration {
        request_body_mode: mode,
        response_body_mode: mode,
        ..ProtocolConfiguration::default()
    });
    for message in messages {
        let request = ProcessingRequest {
            protocol_config: modes.take(),
            request: Some(message),
            ..ProcessingRequest::default()
        };
        to_server.send(request).await.unwrap();
    }
}

fn request_of(model: &str) -> Vec<Message> {
    vec![
        Message::RequestHeaders(headers(&[
            (":method", "POST"),
            (":path", "/v1/chat/completions"),
            ("content-type", "application/json"),
            ("traceparent", &format!("00-{TRACE}-{PARENT}-01")),
        ])),
        Message::RequestBody(body(&format!(
            r#"{{"model":"{model}","messages":["{PROMPT}"]}}"#
        ))),
    ]
}

const ANSWER: &str = r#"{"id":"c-1","model":"gpt-4o-2024","choices":[{"index":0,"finish_reason":"stop"}],
    "usage":{"prompt_tokens":7,"completion_tokens":5}}"#;

/// Plays Envoy for an exchange that the server relays, and reads its answer.
async fn relayed(socket: std::path::PathBuf) {
    let (to_server, mut answers) = connect(socket).await;
    send(&to_server, request_of("pair")).await;
    loop {
        let answer = answers.message().await.unwrap().unwrap().response.unwrap();
        let Answer::StreamedImmediateResponse(piece) = answer else {
            panic!("not relayed: {answer:?}");
        };
        if let Some(Local::BodyResponse(piece)) = piece.response {
            if piece.end_of_stream {
                break;
            }
        }
    }
    drop(to_server);
    assert!(answers.message().await.unwrap().is_none());
}

/// A provider that answers once; what it was sent.
async fn provider() -> (u16, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = String::new();
        let mut buffer = [0; 4096];
        while !request.contains(PROMPT) {
            let length = stream.read(&mut buffer).await.unwrap();
            request.push_str(std::str::from_utf8(&buffer[..length]).unwrap());
        }
        let length = ANSWER.len();
        let answer = format!(
            "HTTP/1.1 200 X\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{ANSWER}"
        );
        stream.write_all(answer.as_bytes()).await.unwrap();
        request
    });
    (port, asked)
}

/// Plays Envoy for one exchange and returns the `traceparent` that went upstream.
async fn exchange(socket: std::path::PathBuf) -> String {
    let (to_server, mut answers) = connect(socket).await;
    let mut messages = request_of("gpt-4o");
    messages.push(Message::ResponseHeaders(headers(&[
        (":status", "200"),
        ("content-type", "application/json"),
    ])));
    messages.push(Message::ResponseBody(body(ANSWER)));
    send(&to_server, messages).await;
    let mut traceparent = String::new();
    loop {
        match answers.message().await.unwrap().unwrap().response.unwrap() {
            Answer::RequestHeaders(response) => {
                let mutation = response.response.unwrap().header_mutation.unwrap();
                traceparent = mutation
                    .set_headers
                    .into_iter()
                    .filter_map(|option| option.header)
                    .find(|header| header.key == "traceparent")
                    .map(|header| String::from_utf8(header.raw_value).unwrap())
                    .expect("the context goes on");
            }
            Answer::ResponseBody(_) => break,
            _ => {}
        }
    }
    drop(to_server);
    assert!(answers.message().await.unwrap().is_none());
    traceparent
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exchange_is_one_span_of_the_clients_trace_with_one_for_each_attempt_of_the_servers_own()
{
    let (spans, mut exported) = mpsc::channel(8);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(
        Server::builder()
            .add_service(TraceServiceServer::new(Collector(spans)))
            .serve_with_incoming(TcpListenerStream::new(listener)),
    );

    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("s.sock");
    let ready = dir.path().join("ready");
    let (port, asked) = provider().await;
    let source = format!(
        "model_providers:
  - {{model: openai/gpt-4o, access_key: $KEY}}
  - {{model: vllm/dead, base_url: 'http://127.0.0.1:1/v1'}}
  - {{model: groq/well, access_key: $KEY, base_url: 'http://127.0.0.1:{port}/v1'}}
models: {{pair: {{targets: [{{model: vllm/dead, priority: 1}}, {{model: groq/well, priority: 2}}]}}}}
server: {{egress: direct}}
tracing: {{otlp_endpoint: '{endpoint}'}}
"
    );
    let config = meseta_config::load(&Source {
        text: &source,
        name: "meseta.yaml",
        env: &|name| (name == "KEY").then(|| "sk-secret".to_owned()),
        dir: Path::new("/"),
        file: &|_| Err(std::io::ErrorKind::NotFound.into()),
    })
    .unwrap();
    let server = tokio::spawn(serve(ServeOptions {
        config,
        listen: ListenAddress::Unix(socket.clone()),
        admin: "127.0.0.1:0".parse().unwrap(),
        drain_timeout: Duration::from_secs(5),
        log: LogFormat::Json,
        xds: None,
        reload: None,
        ready_file: Some(ready.clone()),
    }));
    for _ in 0..1000 {
        if ready.exists() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    let traceparent = exchange(socket.clone()).await;
    relayed(socket).await;
    let asked = asked.await.unwrap();
    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TERM)
        .unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(20), server).await;
    ended.expect("the server drains").unwrap().unwrap();

    let mut spans: Vec<Span> = Vec::new();
    while let Ok(export) = exported.try_recv() {
        let printed = format!("{export:?}");
        assert!(!printed.contains(PROMPT) && !printed.contains("sk-secret"));
        let scopes = export
            .resource_spans
            .into_iter()
            .flat_map(|own| own.scope_spans);
        spans.extend(scopes.flat_map(|scope| scope.spans));
    }
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let named = |name: &str| {
        let found = spans.iter().filter(|span| span.name == name);
        found.cloned().collect::<Vec<Span>>()
    };
    let [span] =
        <[Span; 1]>::try_from(named("chat openai/gpt-4o")).expect("one exchange, one span");
    let [relay] = <[Span; 1]>::try_from(named("chat groq/well")).expect("one of the relay");
    let [first, second] = <[Span; 2]>::try_from(named("attempt")).expect("one for each attempt");
    assert_eq!(spans.len(), 4);
    for (attempt, model, result) in [
        (&first, "vllm/dead", "connect"),
        (&second, "groq/well", "answered"),
    ] {
        assert_eq!(attempt.parent_span_id, relay.span_id);
        assert_eq!(attribute(attempt, "gen_ai.request.model"), text(model));
        assert_eq!(attribute(attempt, "meseta.attempt.result"), text(result));
    }
    let sent = format!("traceparent: 00-{TRACE}-{}-01", hex(&second.span_id));
    assert!(asked.contains(&sent), "{asked}");

    assert_eq!(hex(&span.trace_id), TRACE);
    assert_eq!(hex(&span.parent_span_id), PARENT);
    assert_eq!(traceparent, format!("00-{TRACE}-{}-01", hex(&span.span_id)));
    assert_eq!(span.name, "chat openai/gpt-4o");
    for (name, value) in [
        ("gen_ai.operation.name", text("chat")),
        ("gen_ai.provider.name", text("openai")),
        ("gen_ai.request.model", text("openai/gpt-4o")),
        ("gen_ai.response.model", text("gpt-4o-2024")),
        ("gen_ai.response.id", text("c-1")),
        ("gen_ai.response.finish_reasons", text("stop")),
        ("gen_ai.usage.input_tokens", Some(Value::IntValue(7))),
        ("gen_ai.usage.output_tokens", Some(Value::IntValue(5))),
        ("llm.usage.completion_tokens", Some(Value::IntValue(5))),
        ("http.response.status_code", Some(Value::IntValue(200))),
        ("meseta.ending", text("complete")),
    ] {
        assert_eq!(attribute(&span, name), value, "{name}");
    }
}
