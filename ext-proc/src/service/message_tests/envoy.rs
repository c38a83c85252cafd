//! Envoy's side of the channel: what it sends, and how its answers are read.

use std::path::{Path, PathBuf};
use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3::{HeaderMap, HeaderValue};
use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::processing_mode::BodySendMode;
use envoy_types::pb::envoy::service::ext_proc::v3::external_processor_client::ExternalProcessorClient;
use envoy_types::pb::envoy::service::ext_proc::v3::{
    body_mutation::Mutation, processing_request::Request as Message,
    processing_response::Response as Answer, HeaderMutation, HttpBody, HttpHeaders,
    ProtocolConfiguration,
};
use envoy_types::pb::google::protobuf::{value::Kind, Struct, Value};
use hyper_util::rt::TokioIo;
use meseta_config::Source;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Endpoint, Server};

use crate::service::*;
use crate::upstream::Upstreams;

pub(super) const CONFIG: &str = r#"
listeners:
  - {type: model, name: front, address: 127.0.0.1, port: 0}
model_providers:
  - {model: openai/gpt-4o, access_key: $OPENAI, default: true, base_url: "http://127.0.0.1:9/v1"}
  - {model: openai/gpt-4.1, access_key: $OPENAI, base_url: "http://127.0.0.1:9/v1"}
  - {model: anthropic/claude-sonnet-4-5, access_key: $ANTHROPIC, base_url: "http://127.0.0.1:10"}
  - {model: mistral/own-key, passthrough_auth: true, base_url: "http://127.0.0.1:11/v1"}
  - {model: groq/no-key, access_key: $MISSING}
model_aliases:
  fast: {target: gpt-4.1}
server: {max_request_bytes: 100KiB}
"#;

/// Envoy's side of one stream.
pub(super) struct Envoy {
    pub(super) shared: Arc<Shared>,
    pub(super) to_server: Option<mpsc::Sender<ProcessingRequest>>,
    pub(super) from_server: Streaming<ProcessingResponse>,
}

pub(super) fn shared() -> Arc<Shared> {
    shared_of(CONFIG, None)
}

pub(super) fn shared_of(text: &str, egress: Option<PathBuf>) -> Arc<Shared> {
    let env = |name: &str| match name {
        "OPENAI" => Some("sk-openai".to_owned()),
        "ANTHROPIC" => Some("sk-anthropic".to_owned()),
        _ => None,
    };
    let config = meseta_config::load(&Source {
        text,
        name: "meseta.yaml",
        env: &env,
        dir: Path::new("/"),
        file: &|_| Err(std::io::ErrorKind::NotFound.into()),
    })
    .unwrap();
    let upstreams = Upstreams::new(egress, &config).unwrap();
    Arc::new(Shared {
        generation: ArcSwap::from_pointee(Generation::first(config)),
        metrics: Arc::new(Metrics::new()),
        providers: Arc::new(Providers::new(upstreams)),
        dropped_lines: None,
        running: TaskTracker::new(),
        cut_off: CancellationToken::new(),
    })
}

impl Envoy {
    pub(super) async fn connect() -> Self {
        Self::connect_as(Some("front")).await.unwrap()
    }

    pub(super) async fn connect_as(listener: Option<&str>) -> Result<Self, Status> {
        Self::connect_to(shared(), listener).await
    }

    /// With this configuration and the socket of an egress listener, or none.
    pub(super) async fn of(config: &str, egress: Option<PathBuf>) -> Self {
        let shared = shared_of(config, egress);
        Self::connect_to(shared, Some("front")).await.unwrap()
    }

    async fn connect_to(shared: Arc<Shared>, listener: Option<&str>) -> Result<Self, Status> {
        let (client, server) = tokio::io::duplex(1 << 20);
        let service = Processor::new(Arc::clone(&shared)).into_service();
        let incoming = tokio_stream::once(Ok::<_, std::io::Error>(server));
        tokio::spawn(
            Server::builder()
                .add_service(service)
                .serve_with_incoming(incoming),
        );
        let mut client = Some(client);
        let channel = Endpoint::from_static("http://memory")
            .connect_with_connector(tower::service_fn(move |_| {
                let client = client.take().map(TokioIo::new);
                async move { client.ok_or_else(|| std::io::Error::other("connected twice")) }
            }))
            .await
            .unwrap();
        let (to_server, messages) = mpsc::channel(64);
        let mut request = Request::new(ReceiverStream::new(messages));
        if let Some(listener) = listener {
            request
                .metadata_mut()
                .insert(meseta_proto::LISTENER_KEY, listener.parse().unwrap());
        }
        let from_server = ExternalProcessorClient::new(channel)
            .process(request)
            .await?
            .into_inner();
        Ok(Self {
            shared,
            to_server: Some(to_server),
            from_server,
        })
    }

    pub(super) async fn send(&self, message: Message) {
        let request = ProcessingRequest {
            protocol_config: matches!(message, Message::RequestHeaders(_)).then(|| {
                modes(
                    BodySendMode::FullDuplexStreamed,
                    BodySendMode::FullDuplexStreamed,
                )
            }),
            request: Some(message),
            ..ProcessingRequest::default()
        };
        self.send_raw(request).await;
    }

    pub(super) async fn send_raw(&self, request: ProcessingRequest) {
        self.to_server
            .as_ref()
            .unwrap()
            .send(request)
            .await
            .unwrap();
    }

    pub(super) async fn post(&self, path: &str, extra: &[(&str, &str)], body: &str) {
        self.send(request_headers("POST", path, extra, false)).await;
        self.send(request_body(body, true)).await;
    }

    pub(super) async fn answer_headers(&self, extra: &[(&str, &str)], details: Option<&str>) {
        let mut pairs = vec![(":status", "200")];
        pairs.extend_from_slice(extra);
        let mut request = ProcessingRequest {
            request: Some(Message::ResponseHeaders(headers(&pairs, false))),
            ..ProcessingRequest::default()
        };
        if let Some(details) = details {
            let value = Value {
                kind: Some(Kind::StringValue(details.to_owned())),
            };
            request.attributes.insert(
                "envoy.filters.http.ext_proc".to_owned(),
                Struct {
                    fields: [("response.code_details".to_owned(), value)].into(),
                },
            );
        }
        self.send_raw(request).await;
    }

    /// The next answer; a test that waits in vain fails.
    pub(super) async fn next(&mut self) -> Result<Option<ProcessingResponse>, Status> {
        tokio::time::timeout(Duration::from_secs(10), self.from_server.message())
            .await
            .expect("an answer in time")
    }

    pub(super) async fn answer(&mut self) -> (Answer, Option<Struct>) {
        let message = self.next().await.unwrap().expect("an answer");
        (message.response.unwrap(), message.dynamic_metadata)
    }

    /// Reads the request as it goes upstream: its header mutation and its body.
    pub(super) async fn upstream(&mut self) -> (HeaderMutation, String, Struct) {
        let (answer, metadata) = self.answer().await;
        let Answer::RequestHeaders(headers) = answer else {
            panic!("not request headers: {answer:?}");
        };
        let common = headers.response.unwrap();
        assert!(common.clear_route_cache);
        let body = self.body(true).await.0;
        (common.header_mutation.unwrap(), body, metadata.unwrap())
    }

    /// Reads body chunks of one direction up to the end of the stream.
    pub(super) async fn body(&mut self, request: bool) -> (String, Option<Struct>) {
        let mut body = Vec::new();
        loop {
            let (answer, metadata) = self.answer().await;
            let response = match answer {
                Answer::RequestBody(chunk) if request => chunk.response,
                Answer::ResponseBody(chunk) if !request => chunk.response,
                other => panic!("not a body chunk: {other:?}"),
            };
            let Some(Mutation::StreamedResponse(chunk)) =
                response.unwrap().body_mutation.unwrap().mutation
            else {
                panic!("not a streamed chunk");
            };
            body.extend_from_slice(&chunk.body);
            if chunk.end_of_stream {
                return (String::from_utf8(body).unwrap(), metadata);
            }
        }
    }

    pub(super) async fn immediate(&mut self) -> (i32, String, String) {
        let (answer, _) = self.answer().await;
        let Answer::ImmediateResponse(reply) = answer else {
            panic!("not an immediate response: {answer:?}");
        };
        (
            reply.status.unwrap().code,
            String::from_utf8(reply.body).unwrap(),
            reply.details,
        )
    }

    /// The error status that the stream ends with; an OK end fails the test.
    pub(super) async fn status(&mut self) -> Status {
        loop {
            match self.next().await {
                Err(status) => return status,
                Ok(Some(_)) => {}
                Ok(None) => panic!("the stream ended with OK"),
            }
        }
    }
}

pub(super) fn modes(request: BodySendMode, response: BodySendMode) -> ProtocolConfiguration {
    ProtocolConfiguration {
        request_body_mode: request.into(),
        response_body_mode: response.into(),
        send_body_without_waiting_for_header_response: false,
    }
}

pub(super) fn headers(pairs: &[(&str, &str)], end_of_stream: bool) -> HttpHeaders {
    HttpHeaders {
        headers: Some(HeaderMap {
            headers: pairs
                .iter()
                .map(|(key, value)| HeaderValue {
                    key: (*key).to_owned(),
                    value: String::new(),
                    raw_value: value.as_bytes().to_vec(),
                })
                .collect(),
        }),
        end_of_stream,
        ..HttpHeaders::default()
    }
}

pub(super) fn request_headers(
    method: &str,
    path: &str,
    extra: &[(&str, &str)],
    end: bool,
) -> Message {
    let mut pairs = vec![
        (":method", method),
        (":path", path),
        ("content-type", "application/json"),
        ("x-request-id", "request-1"),
    ];
    pairs.extend_from_slice(extra);
    Message::RequestHeaders(headers(&pairs, end))
}

pub(super) fn request_body(body: &str, end_of_stream: bool) -> Message {
    Message::RequestBody(HttpBody {
        body: body.as_bytes().to_vec(),
        end_of_stream,
        ..HttpBody::default()
    })
}

pub(super) fn response_body(body: &str, end_of_stream: bool) -> Message {
    Message::ResponseBody(HttpBody {
        body: body.as_bytes().to_vec(),
        end_of_stream,
        ..HttpBody::default()
    })
}

pub(super) fn set<'a>(mutation: &'a HeaderMutation, name: &str) -> Option<&'a str> {
    mutation.set_headers.iter().find_map(|option| {
        let header = option.header.as_ref()?;
        (header.key == name).then(|| std::str::from_utf8(&header.raw_value).unwrap())
    })
}

pub(super) fn field<'a>(metadata: &'a Struct, namespace: &str, name: &str) -> &'a Kind {
    let Some(Kind::StructValue(inner)) = &metadata.fields[namespace].kind else {
        panic!("no namespace {namespace}");
    };
    inner.fields[name].kind.as_ref().unwrap()
}

pub(super) fn text(text: &str) -> Kind {
    Kind::StringValue(text.to_owned())
}
