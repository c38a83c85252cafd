//! Building ext_proc messages.
//!
//! Owns the shapes of what goes back to Envoy; knows nothing of exchanges or configuration. Every
//! header value travels as `raw_value` and every mutation names its append action, because the
//! protocol's defaults differ between fields.

use envoy_types::pb::envoy::config::core::v3::{
    header_value_option::HeaderAppendAction, HeaderMap, HeaderValue, HeaderValueOption,
};
use envoy_types::pb::envoy::r#type::v3::HttpStatus;
use envoy_types::pb::envoy::service::ext_proc::v3::{
    body_mutation::Mutation, common_response::ResponseStatus, processing_response::Response,
    streamed_immediate_response::Response as Local, BodyMutation, BodyResponse, CommonResponse,
    HeaderMutation, HeadersResponse, HttpHeaders, ImmediateResponse, ProcessingResponse,
    StreamedBodyResponse, StreamedImmediateResponse, TrailersResponse,
};
use envoy_types::pb::google::protobuf::{value::Kind, Struct, Value};
use meseta_proto::{RequestMetadata, Scalar, UsageMetadata};

/// The largest body that goes into one message, in bytes. Larger bodies go out in several.
pub(crate) const MAX_CHUNK: usize = 64 * 1024;

/// Which half of an exchange a message belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// Client to upstream.
    Request,
    /// Upstream to client.
    Response,
    /// This server to client, in pieces.
    Local,
}

/// Changes to a set of headers.
#[derive(Debug, Default)]
pub(crate) struct HeaderEdits {
    inner: HeaderMutation,
}

impl HeaderEdits {
    /// Sets a header, whatever it was.
    pub(crate) fn set(&mut self, name: &str, value: impl AsRef<[u8]>) -> &mut Self {
        self.push(
            name,
            value.as_ref(),
            HeaderAppendAction::OverwriteIfExistsOrAdd,
        )
    }

    /// Sets a header that is not there yet.
    pub(crate) fn set_if_absent(&mut self, name: &str, value: impl AsRef<[u8]>) -> &mut Self {
        self.push(name, value.as_ref(), HeaderAppendAction::AddIfAbsent)
    }

    /// Adds a value beside those that are there.
    pub(crate) fn append(&mut self, name: &str, value: impl AsRef<[u8]>) -> &mut Self {
        self.push(
            name,
            value.as_ref(),
            HeaderAppendAction::AppendIfExistsOrAdd,
        )
    }

    /// Removes a header.
    pub(crate) fn remove(&mut self, name: &str) -> &mut Self {
        self.inner.remove_headers.push(name.to_owned());
        self
    }

    /// Makes the changes on headers that are at hand. Names are in lower case.
    pub(crate) fn onto(self, mut headers: Vec<(String, Vec<u8>)>) -> Vec<(String, Vec<u8>)> {
        for name in &self.inner.remove_headers {
            headers.retain(|(own, _)| own != name);
        }
        for option in self.inner.set_headers {
            let action = option.append_action();
            let Some(header) = option.header else {
                continue;
            };
            let is_there = headers.iter().any(|(own, _)| *own == header.key);
            match action {
                HeaderAppendAction::AddIfAbsent if is_there => continue,
                HeaderAppendAction::OverwriteIfExistsOrAdd if is_there => {
                    headers.retain(|(own, _)| *own != header.key);
                }
                _ => {}
            }
            headers.push((header.key, header.raw_value));
        }
        headers
    }

    fn push(&mut self, name: &str, value: &[u8], action: HeaderAppendAction) -> &mut Self {
        self.inner.set_headers.push(HeaderValueOption {
            header: Some(HeaderValue {
                key: name.to_owned(),
                value: String::new(),
                raw_value: value.to_vec(),
            }),
            append_action: action.into(),
            ..HeaderValueOption::default()
        });
        self
    }
}

/// The answer to a headers message.
pub(crate) fn headers(
    direction: Direction,
    edits: HeaderEdits,
    metadata: Option<Struct>,
) -> ProcessingResponse {
    let response = HeadersResponse {
        response: Some(CommonResponse {
            status: ResponseStatus::Continue.into(),
            header_mutation: Some(edits.inner),
            // The route was chosen before we named a cluster, so it is chosen again.
            clear_route_cache: direction == Direction::Request,
            ..CommonResponse::default()
        }),
    };
    message(
        match direction {
            Direction::Request => Response::RequestHeaders(response),
            Direction::Response | Direction::Local => Response::ResponseHeaders(response),
        },
        metadata,
    )
}

/// The headers of an answer of our own that is sent in pieces; they begin with `:status`.
pub(crate) fn local_headers(
    status: u16,
    headers: Vec<(String, Vec<u8>)>,
    end_of_stream: bool,
    metadata: Option<Struct>,
) -> ProcessingResponse {
    let header = |(key, raw_value)| HeaderValue {
        key,
        value: String::new(),
        raw_value,
    };
    let first = (":status".to_owned(), status.to_string().into_bytes());
    let headers = std::iter::once(first).chain(headers);
    let response = HttpHeaders {
        headers: Some(HeaderMap {
            headers: headers.map(header).collect(),
        }),
        end_of_stream,
        ..HttpHeaders::default()
    };
    message(local(Local::HeadersResponse(response)), metadata)
}

fn local(response: Local) -> Response {
    Response::StreamedImmediateResponse(StreamedImmediateResponse {
        response: Some(response),
    })
}

/// One chunk of a body; at most [`MAX_CHUNK`] bytes are advised.
pub(crate) fn body(
    direction: Direction,
    chunk: Vec<u8>,
    end_of_stream: bool,
    metadata: Option<Struct>,
) -> ProcessingResponse {
    let streamed = StreamedBodyResponse {
        body: chunk,
        end_of_stream,
        ..StreamedBodyResponse::default()
    };
    let mutated = |streamed| BodyResponse {
        response: Some(CommonResponse {
            body_mutation: Some(BodyMutation {
                mutation: Some(Mutation::StreamedResponse(streamed)),
            }),
            ..CommonResponse::default()
        }),
    };
    message(
        match direction {
            Direction::Request => Response::RequestBody(mutated(streamed)),
            Direction::Response => Response::ResponseBody(mutated(streamed)),
            Direction::Local => local(Local::BodyResponse(streamed)),
        },
        metadata,
    )
}

/// The answer to a trailers message: the trailers go on as they are.
pub(crate) fn trailers(direction: Direction, metadata: Option<Struct>) -> ProcessingResponse {
    let response = TrailersResponse::default();
    message(
        match direction {
            Direction::Request => Response::RequestTrailers(response),
            Direction::Response | Direction::Local => Response::ResponseTrailers(response),
        },
        metadata,
    )
}

/// A whole answer of our own. `details` shows as `%RESPONSE_CODE_DETAILS%` in Envoy's access log.
pub(crate) fn immediate(
    status: u16,
    edits: HeaderEdits,
    body: Vec<u8>,
    details: &str,
    metadata: Option<Struct>,
) -> ProcessingResponse {
    message(
        Response::ImmediateResponse(ImmediateResponse {
            status: Some(HttpStatus {
                code: i32::from(status),
            }),
            headers: Some(edits.inner),
            body,
            grpc_status: None,
            details: details.to_owned(),
        }),
        metadata,
    )
}

/// `meseta.request` as dynamic metadata.
pub(crate) fn request_metadata(metadata: &RequestMetadata<'_>) -> Struct {
    namespaced(RequestMetadata::NAMESPACE, &metadata.fields())
}

/// `meseta.usage` as dynamic metadata.
pub(crate) fn usage_metadata(metadata: &UsageMetadata) -> Struct {
    namespaced(UsageMetadata::NAMESPACE, &metadata.fields())
}

fn namespaced(namespace: &str, fields: &[(&'static str, Scalar<'_>)]) -> Struct {
    let fields = fields
        .iter()
        // What is not known is left out: an access log shows its absence, not an empty text.
        .filter(|(_, scalar)| *scalar != Scalar::Text(""))
        .map(|(name, scalar)| {
            let kind = match scalar {
                Scalar::Text(text) => Kind::StringValue((*text).to_owned()),
                Scalar::Number(number) => Kind::NumberValue(*number),
                Scalar::Flag(flag) => Kind::BoolValue(*flag),
            };
            ((*name).to_owned(), Value { kind: Some(kind) })
        })
        .collect();
    let inner = Value {
        kind: Some(Kind::StructValue(Struct { fields })),
    };
    Struct {
        fields: [(namespace.to_owned(), inner)].into(),
    }
}

fn message(response: Response, metadata: Option<Struct>) -> ProcessingResponse {
    ProcessingResponse {
        dynamic_metadata: metadata,
        response: Some(response),
        ..ProcessingResponse::default()
    }
}
