//! Calls to providers that the server makes itself.
//!
//! Owns connections and what an answer to a call is: headers, then pieces of a body, or why there are
//! none. They go through Envoy's egress listener (which then has pools, TLS, breakers and the meter), or
//! straight to the provider. Dropping a call breaks it off at once.
//!
//! Invariant: whatever goes wrong is said as a [`CallError`]; a body that was cut never ends cleanly.

mod body;
mod clients;
mod meter;

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{ready, Context, Poll};

use bytes::Bytes;
use http_body::Body as _;
use meseta_config::{Config, Provider};
use meseta_proto::headers;

use self::body::Segments;
pub use self::clients::ClientError;
pub(crate) use self::clients::Clients;
use crate::head::ResponseHead;

/// A request to a provider.
#[derive(Debug)]
pub(crate) struct CallRequest {
    /// Path and query.
    pub(crate) path: String,
    /// All headers, credential included, without `host` and `content-length`.
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    /// The body.
    pub(crate) segments: Vec<Bytes>,
}

/// Why there is no answer, or no more of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CallError {
    /// The request cannot be put into HTTP.
    #[error("the request cannot be sent")]
    Request,
    /// Envoy's egress listener does not answer: no provider is to blame.
    #[error("Envoy's egress listener cannot be reached")]
    Egress,
    /// No connection could be made.
    #[error("the provider cannot be reached")]
    Connect,
    /// The connection broke.
    #[error("the provider broke the connection off")]
    Reset,
}

/// A call under way.
pub(crate) struct Call {
    state: State,
}

enum State {
    Waiting(Waiting),
    Answered(reqwest::Body),
    Failed(CallError),
}

type Waiting = Pin<Box<dyn Future<Output = Result<reqwest::Response, reqwest::Error>> + Send>>;

impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.state {
            State::Waiting(_) => "Call(waiting)",
            State::Answered(_) => "Call(answered)",
            State::Failed(_) => "Call(failed)",
        })
    }
}

/// How calls reach providers.
#[derive(Debug)]
pub(crate) enum Upstreams {
    /// Through Envoy's egress listener.
    Envoy(reqwest::Client),
    /// Straight.
    Direct(Clients),
}

impl Upstreams {
    /// With the socket of Envoy's egress listener, or straight to the providers of a configuration.
    ///
    /// # Errors
    /// When the library refuses its settings.
    pub(crate) fn new(egress: Option<PathBuf>, config: &Config) -> Result<Self, ClientError> {
        match egress {
            Some(socket) => Ok(Self::Envoy(clients::of_egress(socket)?)),
            None => {
                let clients = Clients::default();
                clients.prepare(config)?;
                Ok(Self::Direct(clients))
            }
        }
    }

    /// Makes ready for a configuration that will be in service.
    ///
    /// # Errors
    /// When the library refuses its settings.
    pub(crate) fn prepare(&self, config: &Config) -> Result<(), ClientError> {
        match self {
            Self::Envoy(_) => Ok(()),
            Self::Direct(clients) => clients.prepare(config),
        }
    }

    /// Calls a provider.
    pub(crate) fn call(&self, config: &Config, provider: &Provider, request: CallRequest) -> Call {
        let state = match self.request(config, provider, request) {
            Ok(waiting) => State::Waiting(waiting),
            Err(error) => State::Failed(error),
        };
        Call { state }
    }

    fn request(
        &self,
        config: &Config,
        provider: &Provider,
        request: CallRequest,
    ) -> Result<Waiting, CallError> {
        let (client, base) = match self {
            // All providers share connections: which one is meant is said by a header.
            Self::Envoy(client) => (client.clone(), "http://meseta.egress".to_owned()),
            Self::Direct(clients) => {
                let client = clients.find(config, provider).ok_or(CallError::Connect)?;
                (client, clients::base_of(provider))
            }
        };
        let url = format!("{base}{}", request.path);
        let url = reqwest::Url::parse(&url).map_err(|_| CallError::Request)?;
        if !is_same_path(&url, &request.path) {
            return Err(CallError::Request);
        }
        let body = match <[Bytes; 1]>::try_from(request.segments) {
            Ok([only]) => reqwest::Body::from(only),
            Err(segments) => reqwest::Body::wrap(Segments::new(segments)),
        };
        let mut call = reqwest::Request::new(reqwest::Method::POST, url);
        *call.body_mut() = Some(body);
        let map = call.headers_mut();
        let mut set = |name: &str, value: &[u8]| {
            let name = http::HeaderName::from_bytes(name.as_bytes());
            let value = http::HeaderValue::from_bytes(value);
            match (name, value) {
                (Ok(name), Ok(value)) => {
                    map.append(name, value);
                    Ok(())
                }
                _ => Err(CallError::Request),
            }
        };
        for (name, value) in &request.headers {
            set(name, value)?;
        }
        set("host", provider.authority.as_bytes())?;
        if matches!(self, Self::Envoy(_)) {
            set(headers::CLUSTER, provider.cluster.as_bytes())?;
        }
        Ok(Box::pin(async move { client.execute(call).await }))
    }
}

/// Whether nothing of a path was taken for a way up (`..`) or otherwise made another.
fn is_same_path(url: &reqwest::Url, path: &str) -> bool {
    let (own, query) = match path.split_once('?') {
        Some((own, query)) => (own, Some(query)),
        None => (path, None),
    };
    url.path() == own && url.query().map(str::len) >= query.map(str::len)
}

impl Call {
    /// The answer's status and headers; a body may follow.
    pub(crate) fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        through_envoy: bool,
    ) -> Poll<Result<ResponseHead, CallError>> {
        match &mut self.state {
            State::Waiting(waiting) => {
                let answer = ready!(waiting.as_mut().poll(cx));
                Poll::Ready(match answer {
                    Ok(answer) => {
                        let answer: http::Response<reqwest::Body> = answer.into();
                        let (parts, body) = answer.into_parts();
                        self.state = State::Answered(body);
                        Ok(ResponseHead::of_own(parts.status, &parts.headers))
                    }
                    Err(error) => {
                        let error = match error.is_connect() {
                            true if through_envoy => CallError::Egress,
                            true => CallError::Connect,
                            false => CallError::Reset,
                        };
                        self.state = State::Failed(error);
                        Err(error)
                    }
                })
            }
            State::Failed(error) => Poll::Ready(Err(*error)),
            State::Answered(_) => Poll::Ready(Err(CallError::Reset)),
        }
    }

    /// The next piece of the answer's body; `None` after the last.
    pub(crate) fn poll_piece(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, CallError>> {
        let State::Answered(body) = &mut self.state else {
            return Poll::Ready(Err(CallError::Reset));
        };
        loop {
            let frame = match ready!(Pin::new(&mut *body).poll_frame(cx)) {
                None => return Poll::Ready(Ok(None)),
                Some(Ok(frame)) => frame,
                Some(Err(_)) => {
                    self.state = State::Failed(CallError::Reset);
                    return Poll::Ready(Err(CallError::Reset));
                }
            };
            // Trailers say nothing to any client of ours.
            if let Ok(piece) = frame.into_data() {
                if !piece.is_empty() {
                    return Poll::Ready(Ok(Some(piece)));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
