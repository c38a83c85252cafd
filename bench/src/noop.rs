//! The floor: an external-processing server that decides nothing.
//!
//! It answers each message at once, names the upstream cluster (a server that routes must, so the
//! floor does) and echoes bodies. What it costs is what any such server costs; what ours costs
//! above that is ours. Its transport has the same windows and message limits as the real server's.
//!
//! Invariant: the end of a body is echoed once, however often it is announced, and a stream that
//! ends before both bodies did ends with an error status.

use std::path::Path;
use std::pin::Pin;
use std::task::{ready, Context, Poll};

use anyhow::Context as _;
use envoy_types::pb::envoy::config::core::v3::{
    header_value_option::HeaderAppendAction, HeaderValue, HeaderValueOption,
};
use envoy_types::pb::envoy::service::ext_proc::v3::external_processor_server::{
    ExternalProcessor, ExternalProcessorServer,
};
use envoy_types::pb::envoy::service::ext_proc::v3::{
    body_mutation::Mutation, processing_request::Request as Message,
    processing_response::Response as Answer, BodyMutation, BodyResponse, CommonResponse,
    HeaderMutation, HeadersResponse, HttpBody, HttpHeaders, ProcessingRequest, ProcessingResponse,
    StreamedBodyResponse, TrailersResponse,
};
use tokio::net::UnixListener;
use tokio_stream::wrappers::UnixListenerStream;
use tokio_stream::Stream;
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};

/// The header that the route reads the cluster from.
const CLUSTER_HEADER: &str = "x-meseta-cluster";
/// The service whose health Envoy asks for.
const HEALTH_SERVICE: &str = "envoy.service.ext_proc.v3.ExternalProcessor";
/// Flow-control windows of the real server.
const STREAM_WINDOW: u32 = 1024 * 1024;
const CONNECTION_WINDOW: u32 = 16 * 1024 * 1024;
/// What a message may hold, in bytes; tonic's 4 MiB would end streams.
const MAX_MESSAGE: usize = 33 * 1024 * 1024;

/// Serves on a Unix socket until the process is told to end.
pub(crate) async fn serve(socket: &Path, cluster: &str) -> anyhow::Result<()> {
    let listener = UnixListener::bind(socket)
        .with_context(|| format!("cannot listen on {}", socket.display()))?;
    let (health, health_service) = tonic_health::server::health_reporter();
    for name in ["", HEALTH_SERVICE] {
        health
            .set_service_status(name, tonic_health::ServingStatus::Serving)
            .await;
    }
    let noop = Noop {
        cluster: cluster.as_bytes().to_vec(),
    };
    Server::builder()
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .add_service(health_service)
        .add_service(
            ExternalProcessorServer::new(noop)
                .max_decoding_message_size(MAX_MESSAGE)
                .max_encoding_message_size(MAX_MESSAGE),
        )
        .serve_with_incoming(UnixListenerStream::new(listener))
        .await
        .context("the no-op server failed")
}

struct Noop {
    cluster: Vec<u8>,
}

#[tonic::async_trait]
impl ExternalProcessor for Noop {
    type ProcessStream = Answers<Streaming<ProcessingRequest>>;

    async fn process(
        &self,
        request: Request<Streaming<ProcessingRequest>>,
    ) -> Result<Response<Self::ProcessStream>, Status> {
        Ok(Response::new(Answers {
            inbound: request.into_inner(),
            echo: Echo {
                cluster: self.cluster.clone(),
                request_ended: false,
                response_ended: false,
            },
            finished: false,
        }))
    }
}

/// The answers of one stream, each made when its message is read.
struct Answers<S> {
    inbound: S,
    echo: Echo,
    finished: bool,
}

impl<S: Stream<Item = Result<ProcessingRequest, Status>> + Unpin> Stream for Answers<S> {
    type Item = Result<ProcessingResponse, Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        while !this.finished {
            match ready!(Pin::new(&mut this.inbound).poll_next(cx)) {
                Some(Ok(message)) => match this.echo.answer(message) {
                    Ok(Some(answer)) => return Poll::Ready(Some(Ok(answer))),
                    Ok(None) => {}
                    Err(status) => {
                        this.finished = true;
                        return Poll::Ready(Some(Err(*status)));
                    }
                },
                Some(Err(status)) => {
                    this.finished = true;
                    return Poll::Ready(Some(Err(status)));
                }
                None => {
                    this.finished = true;
                    if !this.echo.response_ended {
                        let status = Status::aborted("the stream ended before its bodies did");
                        return Poll::Ready(Some(Err(status)));
                    }
                }
            }
        }
        Poll::Ready(None)
    }
}

/// Where one exchange stands.
struct Echo {
    cluster: Vec<u8>,
    request_ended: bool,
    response_ended: bool,
}

impl Echo {
    fn answer(
        &mut self,
        message: ProcessingRequest,
    ) -> Result<Option<ProcessingResponse>, Box<Status>> {
        let answer = match message.request {
            Some(Message::RequestHeaders(headers)) => {
                self.request_ended |= headers.end_of_stream;
                Some(Answer::RequestHeaders(self.request_headers()))
            }
            Some(Message::ResponseHeaders(HttpHeaders { end_of_stream, .. })) => {
                self.response_ended |= end_of_stream;
                Some(Answer::ResponseHeaders(HeadersResponse::default()))
            }
            Some(Message::RequestBody(body)) => {
                echo(body, &mut self.request_ended).map(Answer::RequestBody)
            }
            Some(Message::ResponseBody(body)) => {
                echo(body, &mut self.response_ended).map(Answer::ResponseBody)
            }
            Some(Message::RequestTrailers(_)) => {
                self.request_ended = true;
                Some(Answer::RequestTrailers(TrailersResponse::default()))
            }
            Some(Message::ResponseTrailers(_)) => {
                self.response_ended = true;
                Some(Answer::ResponseTrailers(TrailersResponse::default()))
            }
            None => {
                return Err(Box::new(Status::invalid_argument(
                    "a message holds nothing",
                )))
            }
        };
        Ok(answer.map(|answer| ProcessingResponse {
            response: Some(answer),
            ..ProcessingResponse::default()
        }))
    }

    fn request_headers(&self) -> HeadersResponse {
        let cluster = HeaderValueOption {
            header: Some(HeaderValue {
                key: CLUSTER_HEADER.to_owned(),
                value: String::new(),
                raw_value: self.cluster.clone(),
            }),
            append_action: HeaderAppendAction::OverwriteIfExistsOrAdd.into(),
            ..HeaderValueOption::default()
        };
        HeadersResponse {
            response: Some(CommonResponse {
                header_mutation: Some(HeaderMutation {
                    set_headers: vec![cluster],
                    ..HeaderMutation::default()
                }),
                clear_route_cache: true,
                ..CommonResponse::default()
            }),
        }
    }
}

/// A body message as it came; nothing after the body's end.
fn echo(body: HttpBody, ended: &mut bool) -> Option<BodyResponse> {
    if *ended {
        return None;
    }
    *ended = body.end_of_stream;
    Some(BodyResponse {
        response: Some(CommonResponse {
            body_mutation: Some(BodyMutation {
                mutation: Some(Mutation::StreamedResponse(StreamedBodyResponse {
                    body: body.body,
                    end_of_stream: body.end_of_stream,
                    ..StreamedBodyResponse::default()
                })),
            }),
            ..CommonResponse::default()
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_stream::StreamExt as _;

    fn body(bytes: &str, end_of_stream: bool) -> HttpBody {
        HttpBody {
            body: bytes.as_bytes().to_vec(),
            end_of_stream,
            ..HttpBody::default()
        }
    }

    fn answers(
        messages: Vec<Message>,
    ) -> Answers<impl Stream<Item = Result<ProcessingRequest, Status>> + Unpin> {
        Answers {
            inbound: tokio_stream::iter(messages.into_iter().map(|message| {
                Ok(ProcessingRequest {
                    request: Some(message),
                    ..ProcessingRequest::default()
                })
            })),
            echo: Echo {
                cluster: b"upstream".to_vec(),
                request_ended: false,
                response_ended: false,
            },
            finished: false,
        }
    }

    fn streamed(answer: &ProcessingResponse) -> Option<(&[u8], bool)> {
        let Some(Answer::RequestBody(body) | Answer::ResponseBody(body)) = &answer.response else {
            return None;
        };
        match body
            .response
            .as_ref()?
            .body_mutation
            .as_ref()?
            .mutation
            .as_ref()?
        {
            Mutation::StreamedResponse(chunk) => Some((&chunk.body, chunk.end_of_stream)),
            _ => None,
        }
    }

    #[tokio::test]
    async fn bodies_are_echoed_and_their_end_once() {
        let answers: Vec<_> = answers(vec![
            Message::RequestBody(body("a", false)),
            Message::RequestBody(body("", true)),
            Message::RequestBody(body("", true)),
            Message::ResponseBody(body("b", true)),
            Message::ResponseBody(body("", true)),
        ])
        .collect()
        .await;
        let chunks: Vec<_> = answers
            .iter()
            .map(|answer| streamed(answer.as_ref().expect("no error")).expect("a body"))
            .collect();
        assert_eq!(
            chunks,
            [(&b"a"[..], false), (&b""[..], true), (&b"b"[..], true)]
        );
    }

    #[tokio::test]
    async fn request_headers_name_the_cluster_and_route_anew() {
        let answers: Vec<_> = answers(vec![
            Message::RequestHeaders(HttpHeaders::default()),
            Message::ResponseHeaders(HttpHeaders {
                end_of_stream: true,
                ..HttpHeaders::default()
            }),
        ])
        .collect()
        .await;
        let first = answers[0].as_ref().expect("no error");
        let Some(Answer::RequestHeaders(headers)) = &first.response else {
            panic!("{first:?}");
        };
        let response = headers.response.as_ref().expect("a response");
        assert!(response.clear_route_cache);
        let set = &response
            .header_mutation
            .as_ref()
            .expect("edits")
            .set_headers;
        let header = set[0].header.as_ref().expect("a header");
        assert_eq!(header.key, "x-meseta-cluster");
        assert_eq!(header.raw_value, b"upstream");
        assert_eq!(answers.len(), 2);
    }

    #[tokio::test]
    async fn a_stream_that_ends_early_ends_with_an_error() {
        let answers: Vec<_> = answers(vec![
            Message::RequestBody(body("a", true)),
            Message::ResponseBody(body("b", false)),
        ])
        .collect()
        .await;
        assert_eq!(answers.len(), 3);
        assert!(answers[2].is_err());
    }
}
