//! The service over an in-memory gRPC channel, message by message, as Envoy would speak to it.

use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3::{HeaderMap, HeaderValue};
use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::processing_mode::BodySendMode;
use envoy_types::pb::envoy::service::ext_proc::v3::external_processor_client::ExternalProcessorClient;
use envoy_types::pb::envoy::service::ext_proc::v3::external_processor_server::ExternalProcessorServer;
use envoy_types::pb::envoy::service::ext_proc::v3::{
    body_mutation::Mutation, processing_request::Request as Message,
    processing_response::Response as Answer, HeaderMutation, HttpBody, HttpHeaders, HttpTrailers,
    ProtocolConfiguration,
};
use envoy_types::pb::google::protobuf::{value::Kind, Struct, Value};
use hyper_util::rt::TokioIo;
use meseta_config::Source;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Endpoint, Server};
use tonic::Code;

use super::*;

const CONFIG: &str = r#"
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
struct Envoy {
    shared: Arc<Shared>,
    to_server: Option<mpsc::Sender<ProcessingRequest>>,
    from_server: Streaming<ProcessingResponse>,
}

fn shared() -> Arc<Shared> {
    let env = |name: &str| match name {
        "OPENAI" => Some("sk-openai".to_owned()),
        "ANTHROPIC" => Some("sk-anthropic".to_owned()),
        _ => None,
    };
    let config = meseta_config::load(&Source {
        text: CONFIG,
        name: "meseta.yaml",
        env: &env,
    })
    .unwrap();
    Arc::new(Shared {
        config: ArcSwap::from_pointee(config),
        metrics: Arc::new(Metrics::new()),
        running: TaskTracker::new(),
        cut_off: CancellationToken::new(),
    })
}

impl Envoy {
    async fn connect() -> Self {
        Self::connect_as(Some("front")).await.unwrap()
    }

    async fn connect_as(listener: Option<&str>) -> Result<Self, Status> {
        let shared = shared();
        let (client, server) = tokio::io::duplex(1 << 20);
        let service = ExternalProcessorServer::new(Processor::new(Arc::clone(&shared)));
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

    async fn send(&self, message: Message) {
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

    async fn send_raw(&self, request: ProcessingRequest) {
        self.to_server
            .as_ref()
            .unwrap()
            .send(request)
            .await
            .unwrap();
    }

    async fn post(&self, path: &str, extra: &[(&str, &str)], body: &str) {
        self.send(request_headers("POST", path, extra, false)).await;
        self.send(request_body(body, true)).await;
    }

    async fn answer_headers(&self, extra: &[(&str, &str)], details: Option<&str>) {
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
    async fn next(&mut self) -> Result<Option<ProcessingResponse>, Status> {
        tokio::time::timeout(Duration::from_secs(10), self.from_server.message())
            .await
            .expect("an answer in time")
    }

    async fn answer(&mut self) -> (Answer, Option<Struct>) {
        let message = self.next().await.unwrap().expect("an answer");
        (message.response.unwrap(), message.dynamic_metadata)
    }

    /// Reads the request as it goes upstream: its header mutation and its body.
    async fn upstream(&mut self) -> (HeaderMutation, String, Struct) {
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
    async fn body(&mut self, request: bool) -> (String, Option<Struct>) {
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

    async fn immediate(&mut self) -> (i32, String, String) {
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

    /// The server has nothing to say now: shown by a later message that it does answer.
    async fn status(&mut self) -> Status {
        loop {
            match self.next().await {
                Err(status) => return status,
                Ok(Some(_)) => {}
                Ok(None) => panic!("the stream ended with OK"),
            }
        }
    }
}

fn modes(request: BodySendMode, response: BodySendMode) -> ProtocolConfiguration {
    ProtocolConfiguration {
        request_body_mode: request.into(),
        response_body_mode: response.into(),
        send_body_without_waiting_for_header_response: false,
    }
}

fn headers(pairs: &[(&str, &str)], end_of_stream: bool) -> HttpHeaders {
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

fn request_headers(method: &str, path: &str, extra: &[(&str, &str)], end: bool) -> Message {
    let mut pairs = vec![
        (":method", method),
        (":path", path),
        ("content-type", "application/json"),
        ("x-request-id", "request-1"),
    ];
    pairs.extend_from_slice(extra);
    Message::RequestHeaders(headers(&pairs, end))
}

fn request_body(body: &str, end_of_stream: bool) -> Message {
    Message::RequestBody(HttpBody {
        body: body.as_bytes().to_vec(),
        end_of_stream,
        ..HttpBody::default()
    })
}

fn response_body(body: &str, end_of_stream: bool) -> Message {
    Message::ResponseBody(HttpBody {
        body: body.as_bytes().to_vec(),
        end_of_stream,
        ..HttpBody::default()
    })
}

fn set<'a>(mutation: &'a HeaderMutation, name: &str) -> Option<&'a str> {
    mutation.set_headers.iter().find_map(|option| {
        let header = option.header.as_ref()?;
        (header.key == name).then(|| std::str::from_utf8(&header.raw_value).unwrap())
    })
}

fn field<'a>(metadata: &'a Struct, namespace: &str, name: &str) -> &'a Kind {
    let Some(Kind::StructValue(inner)) = &metadata.fields[namespace].kind else {
        panic!("no namespace {namespace}");
    };
    inner.fields[name].kind.as_ref().unwrap()
}

fn text(text: &str) -> Kind {
    Kind::StringValue(text.to_owned())
}

#[tokio::test]
async fn a_request_goes_on_edited_only_where_it_must_be() {
    let mut envoy = Envoy::connect().await;
    let client_headers = [
        ("authorization", "Bearer sk-client"),
        ("cookie", "session=1"),
    ];
    envoy
        .post(
            "/v1/chat/completions?beta=1",
            &client_headers,
            r#"{ "x-unknown": [1.0], "model":"fast", "messages":[] }"#,
        )
        .await;
    let (edits, body, metadata) = envoy.upstream().await;
    assert_eq!(
        body,
        r#"{ "x-unknown": [1.0], "model":"gpt-4.1", "messages":[] }"#
    );
    assert_eq!(set(&edits, ":path"), Some("/v1/chat/completions?beta=1"));
    assert_eq!(set(&edits, ":authority"), Some("127.0.0.1:9"));
    assert_eq!(set(&edits, "authorization"), Some("Bearer sk-openai"));
    assert_eq!(
        set(&edits, "content-length"),
        Some(body.len().to_string().as_str())
    );
    assert!(set(&edits, "x-meseta-cluster").is_some());
    assert!(edits.remove_headers.iter().any(|name| name == "cookie"));
    let request = "meseta.request";
    assert_eq!(field(&metadata, request, "model"), &text("openai/gpt-4.1"));
    assert_eq!(field(&metadata, request, "requested_model"), &text("fast"));
    assert_eq!(field(&metadata, request, "listener"), &text("front"));
}

#[tokio::test]
async fn nothing_goes_upstream_before_the_body_is_complete() {
    let mut envoy = Envoy::connect().await;
    envoy
        .send(request_headers("POST", "/v1/chat/completions", &[], false))
        .await;
    envoy
        .send(request_body(r#"{"model":"gpt-4o","messages":["#, false))
        .await;
    let early = tokio::time::timeout(Duration::from_millis(100), envoy.from_server.message()).await;
    assert!(early.is_err(), "answered before the end of the body");
    envoy.send(request_body("]}", false)).await;
    envoy.send(request_body("", true)).await;
    let (_, body, _) = envoy.upstream().await;
    assert_eq!(body, r#"{"model":"gpt-4o","messages":[]}"#);
}

#[tokio::test]
async fn an_answer_passes_unchanged_and_its_usage_is_published() {
    let mut envoy = Envoy::connect().await;
    envoy
        .post("/v1/chat/completions", &[], r#"{"messages":[]}"#)
        .await;
    let (_, body, _) = envoy.upstream().await;
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&body).unwrap()["model"],
        "gpt-4o"
    );
    envoy
        .answer_headers(
            &[
                ("content-type", "application/json"),
                ("content-length", "95"),
            ],
            Some("via_upstream"),
        )
        .await;
    let (answer, _) = envoy.answer().await;
    let Answer::ResponseHeaders(headers) = answer else {
        panic!("not response headers");
    };
    let edits = headers.response.unwrap().header_mutation.unwrap();
    assert_eq!(set(&edits, "content-length"), Some("95"));
    assert_eq!(set(&edits, "x-meseta-model"), Some("openai/gpt-4o"));
    let (first, rest) = (
        r#"{"id":"c1","choices":[{"index":0,"finish_re"#,
        r#"ason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":5}}"#,
    );
    envoy.send(response_body(first, false)).await;
    envoy.send(response_body(rest, true)).await;
    let (body, metadata) = envoy.body(false).await;
    assert_eq!(body, format!("{first}{rest}"));
    let metadata = metadata.unwrap();
    let usage = "meseta.usage";
    assert_eq!(
        field(&metadata, usage, "input_tokens"),
        &Kind::NumberValue(7.0)
    );
    assert_eq!(
        field(&metadata, usage, "output_tokens"),
        &Kind::NumberValue(5.0)
    );
    assert_eq!(
        field(&metadata, usage, "estimated"),
        &Kind::BoolValue(false)
    );
    assert_eq!(field(&metadata, usage, "complete"), &Kind::BoolValue(true));
    envoy.to_server = None;
    assert!(envoy.next().await.unwrap().is_none(), "ends with OK");
}

#[tokio::test]
async fn a_usage_chunk_that_only_we_asked_for_is_taken_out_again() {
    let mut envoy = Envoy::connect().await;
    envoy
        .post(
            "/v1/chat/completions",
            &[],
            r#"{"model":"gpt-4o","stream":true,"messages":[]}"#,
        )
        .await;
    let (_, body, _) = envoy.upstream().await;
    let sent: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(sent["stream_options"]["include_usage"], true);
    envoy
        .answer_headers(&[("content-type", "text/event-stream")], None)
        .await;
    let _ = envoy.answer().await;
    let content =
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"},\"finish_reason\":\"stop\"}]}\n\n";
    let usage =
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1}}\n\n";
    envoy.send(response_body(content, false)).await;
    envoy.send(response_body(usage, false)).await;
    envoy.send(response_body("data: [DONE]\n\n", true)).await;
    let (body, metadata) = envoy.body(false).await;
    assert_eq!(body, format!("{content}data: [DONE]\n\n"));
    assert_eq!(
        field(&metadata.unwrap(), "meseta.usage", "output_tokens"),
        &Kind::NumberValue(1.0)
    );
}

#[tokio::test]
async fn a_stream_that_ends_without_its_last_event_ends_in_an_error_event() {
    let mut envoy = Envoy::connect().await;
    envoy
        .post(
            "/v1/messages",
            &[],
            r#"{"model":"claude-sonnet-4-5","stream":true,"messages":[]}"#,
        )
        .await;
    let (edits, _, _) = envoy.upstream().await;
    assert_eq!(set(&edits, "x-api-key"), Some("sk-anthropic"));
    envoy
        .answer_headers(&[("content-type", "text/event-stream")], None)
        .await;
    let _ = envoy.answer().await;
    let ping = "event: ping\ndata: {\"type\":\"ping\"}\n\n";
    envoy.send(response_body(ping, true)).await;
    let (body, _) = envoy.body(false).await;
    let added = body.strip_prefix(ping).unwrap();
    assert!(added.starts_with("event: error\n"), "{added}");
    assert!(!added.contains("message_stop"));
}

#[tokio::test]
async fn a_request_over_the_limit_is_refused_and_nothing_of_it_goes_on() {
    let mut envoy = Envoy::connect().await;
    let spoofed = [("x-meseta-cluster", "openai_127.0.0.1_9")];
    envoy
        .send(request_headers("POST", "/v1/messages", &spoofed, false))
        .await;
    let chunk = "x".repeat(60 * 1024);
    envoy.send(request_body(&chunk, false)).await;
    envoy.send(request_body(&chunk, false)).await;
    let (status, body, details) = envoy.immediate().await;
    assert_eq!(
        (status, details.as_str()),
        (413, "meseta_payload_too_large")
    );
    assert!(body.contains(r#""type":"error""#), "{body}");
    envoy.send(request_body(&chunk, true)).await;
    envoy.to_server = None;
    assert!(envoy.next().await.unwrap().is_none(), "says nothing more");
}

#[tokio::test]
async fn errors_are_answered_in_the_dialect_of_the_endpoint() {
    for (path, body, status, marker) in [
        ("/v1/chat/completions", "{", 400, r#""code":"#),
        ("/v1/messages", "{", 400, r#"{"type":"error""#),
        (
            "/v1/chat/completions",
            r#"{"model":"gpt-4oo"}"#,
            404,
            "did you mean",
        ),
        (
            "/v1/messages",
            r#"{"model":"gpt-4o"}"#,
            400,
            "does not serve the messages API",
        ),
        (
            "/v1/chat/completions",
            r#"{"model":"groq/no-key"}"#,
            503,
            "no credential",
        ),
    ] {
        let mut envoy = Envoy::connect().await;
        envoy.post(path, &[], body).await;
        let (code, text, _) = envoy.immediate().await;
        assert_eq!(code, status, "{path} {body}: {text}");
        assert!(text.contains(marker), "{path} {body}: {text}");
    }
}

#[tokio::test]
async fn only_passthrough_providers_get_the_clients_credential() {
    let mut envoy = Envoy::connect().await;
    let client = [("x-api-key", "sk-client")];
    envoy
        .post(
            "/v1/chat/completions",
            &client,
            r#"{"model":"mistral/own-key"}"#,
        )
        .await;
    let (edits, _, _) = envoy.upstream().await;
    assert_eq!(set(&edits, "authorization"), Some("Bearer sk-client"));

    let mut envoy = Envoy::connect().await;
    envoy
        .post("/v1/chat/completions", &client, r#"{"model":"gpt-4o"}"#)
        .await;
    let (edits, _, _) = envoy.upstream().await;
    assert!(!format!("{edits:?}").contains("sk-client"));
}

#[tokio::test]
async fn another_body_mode_is_refused_with_the_setting_to_change() {
    for (request, response, name) in [
        (
            BodySendMode::Buffered,
            BodySendMode::FullDuplexStreamed,
            "processing_mode.request_body_mode",
        ),
        (
            BodySendMode::FullDuplexStreamed,
            BodySendMode::None,
            "processing_mode.response_body_mode",
        ),
    ] {
        let mut envoy = Envoy::connect().await;
        envoy
            .send_raw(ProcessingRequest {
                protocol_config: Some(modes(request, response)),
                request: Some(request_headers("POST", "/v1/messages", &[], false)),
                ..ProcessingRequest::default()
            })
            .await;
        let status = envoy.status().await;
        assert_eq!(status.code(), Code::FailedPrecondition);
        assert!(status.message().contains(name), "{}", status.message());
    }
}

#[tokio::test]
async fn a_stream_that_names_no_mode_or_only_watches_is_refused() {
    let mut envoy = Envoy::connect().await;
    envoy
        .send_raw(ProcessingRequest {
            request: Some(request_headers("GET", "/v1/models", &[], true)),
            ..ProcessingRequest::default()
        })
        .await;
    assert_eq!(envoy.status().await.code(), Code::FailedPrecondition);

    let mut envoy = Envoy::connect().await;
    envoy
        .send_raw(ProcessingRequest {
            observability_mode: true,
            request: Some(request_headers("GET", "/v1/models", &[], true)),
            ..ProcessingRequest::default()
        })
        .await;
    assert_eq!(envoy.status().await.code(), Code::FailedPrecondition);
}

#[tokio::test]
async fn a_listener_that_does_not_exist_is_refused_and_one_alone_need_not_be_named() {
    let Err(status) = Envoy::connect_as(Some("elsewhere")).await else {
        panic!("an unknown listener was accepted");
    };
    assert_eq!(status.code(), Code::FailedPrecondition);
    let mut envoy = Envoy::connect_as(None).await.unwrap();
    envoy
        .send(request_headers("GET", "/v1/models", &[], true))
        .await;
    let (status, body, _) = envoy.immediate().await;
    assert_eq!(status, 200);
    assert!(
        body.contains(r#""openai/gpt-4o""#) && body.contains(r#""fast""#),
        "{body}"
    );
}

#[tokio::test]
async fn a_message_out_of_order_ends_the_stream_with_an_error_and_is_counted() {
    let mut envoy = Envoy::connect().await;
    envoy.answer_headers(&[], None).await;
    let status = envoy.status().await;
    assert_eq!(status.code(), Code::InvalidArgument);
    let reason = Reason("unexpected_message");
    let violations = &envoy.shared.metrics.violations;
    assert_eq!(violations.get_or_create(&reason).get(), 1);
}

#[tokio::test]
async fn a_stream_that_envoy_half_closes_too_early_never_ends_with_ok() {
    let mut envoy = Envoy::connect().await;
    envoy
        .send(request_headers("POST", "/v1/chat/completions", &[], false))
        .await;
    envoy.send(request_body(r#"{"model":"#, false)).await;
    envoy.to_server = None;
    assert_eq!(envoy.status().await.code(), Code::Aborted);
}

#[tokio::test]
async fn the_end_of_a_request_may_be_told_twice() {
    let mut envoy = Envoy::connect().await;
    envoy
        .post("/v1/chat/completions", &[], r#"{"model":"gpt-4o"}"#)
        .await;
    envoy.send(request_body("", true)).await;
    let _ = envoy.upstream().await;
    envoy
        .answer_headers(&[("content-type", "application/json")], None)
        .await;
    let _ = envoy.answer().await;
    envoy.send(response_body("{}", true)).await;
    assert_eq!(envoy.body(false).await.0, "{}");
}

#[tokio::test]
async fn trailers_end_a_request_and_an_answer_as_well() {
    let mut envoy = Envoy::connect().await;
    envoy
        .send(request_headers("POST", "/v1/chat/completions", &[], false))
        .await;
    envoy
        .send(request_body(r#"{"model":"gpt-4o"}"#, false))
        .await;
    envoy
        .send(Message::RequestTrailers(HttpTrailers::default()))
        .await;
    assert!(matches!(envoy.answer().await.0, Answer::RequestHeaders(_)));
    assert!(matches!(envoy.answer().await.0, Answer::RequestBody(_)));
    assert!(matches!(envoy.answer().await.0, Answer::RequestTrailers(_)));
    envoy
        .answer_headers(&[("content-type", "application/json")], None)
        .await;
    assert!(matches!(envoy.answer().await.0, Answer::ResponseHeaders(_)));
    envoy.send(response_body("{}", false)).await;
    assert!(matches!(envoy.answer().await.0, Answer::ResponseBody(_)));
    envoy
        .send(Message::ResponseTrailers(HttpTrailers::default()))
        .await;
    let mut last = envoy.answer().await.0;
    if matches!(last, Answer::ResponseBody(_)) {
        last = envoy.answer().await.0;
    }
    assert!(matches!(last, Answer::ResponseTrailers(_)));
    envoy.to_server = None;
    assert!(envoy.next().await.unwrap().is_none());
}

#[tokio::test]
async fn envoys_own_answer_to_a_half_sent_request_passes() {
    let mut envoy = Envoy::connect().await;
    envoy
        .send(request_headers("POST", "/v1/chat/completions", &[], false))
        .await;
    envoy
        .answer_headers(&[], Some("request_overall_timeout"))
        .await;
    assert!(matches!(envoy.answer().await.0, Answer::ResponseHeaders(_)));
    envoy.send(response_body("late", true)).await;
    assert_eq!(envoy.body(false).await.0, "late");
}

#[tokio::test]
async fn what_cannot_be_decoded_never_looks_complete() {
    for (content_type, in_stream) in [("application/json", false), ("text/event-stream", true)] {
        let mut envoy = Envoy::connect().await;
        let body = r#"{"model":"gpt-4o","stream":true,"stream_options":{"include_usage":true}}"#;
        envoy.post("/v1/chat/completions", &[], body).await;
        let _ = envoy.upstream().await;
        envoy
            .answer_headers(
                &[("content-type", content_type), ("content-encoding", "gzip")],
                Some("via_upstream"),
            )
            .await;
        let _ = envoy.answer().await;
        envoy.send(response_body("this is not gzip", true)).await;
        if in_stream {
            let (body, _) = envoy.body(false).await;
            assert!(body.contains("\"error\""), "{body}");
            assert!(!body.contains("[DONE]"), "{body}");
        } else {
            assert_eq!(envoy.status().await.code(), Code::DataLoss);
        }
    }
}

#[tokio::test]
async fn the_end_of_draining_cuts_running_exchanges_off_with_an_error() {
    let mut envoy = Envoy::connect().await;
    envoy
        .send(request_headers("POST", "/v1/chat/completions", &[], false))
        .await;
    envoy.shared.cut_off.cancel();
    assert_eq!(envoy.status().await.code(), Code::Unavailable);
    envoy.shared.running.close();
    envoy.shared.running.wait().await;
}

/// A machine with a defect.
struct Broken;

impl Machine for Broken {
    fn receive(&mut self, _: ProcessingRequest) -> Result<(), ExchangeError> {
        panic!("a defect");
    }

    fn next_answer(&mut self) -> Option<ProcessingResponse> {
        None
    }

    fn is_complete(&self) -> bool {
        false
    }

    fn abort(&mut self) {}

    fn fail(&mut self, _: &ExchangeError) {}
}

#[tokio::test]
async fn a_panic_ends_its_stream_with_an_error_status() {
    use tokio_stream::StreamExt as _;
    let inbound = tokio_stream::once(Ok(ProcessingRequest::default()));
    let mut stream = ExchangeStream::new(inbound, Broken, shared());
    let status = stream.next().await.unwrap().unwrap_err();
    assert_eq!(status.code(), Code::Internal);
    assert!(stream.next().await.is_none());
}
