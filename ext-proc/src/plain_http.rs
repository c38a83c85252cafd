//! One small HTTP/1.1 request over TCP or a Unix socket, with a deadline and a limit on the answer.
//!
//! For this machine's own processes only (Envoy's admin, our listeners, a local Ollama): no TLS, no redirects, no credentials.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::request::Builder;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{header, Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

/// Longest answer that is read.
const MAX_ANSWER: usize = 4 * 1024 * 1024;

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// An address and port.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

/// What came back, whole.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The body, at most 4 MiB.
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// Nobody there, or the connection broke.
    #[error("{0}")]
    Connection(#[from] std::io::Error),
    /// What came is not HTTP, or ended too early.
    #[error("{0}")]
    Protocol(#[from] hyper::Error),
    /// The request cannot be written: a path that is none.
    #[error("{0}")]
    Request(#[from] http::Error),
    /// The answer broke off, or is longer than is read.
    #[error("body: {0}")]
    Body(Box<dyn std::error::Error + Send + Sync>),
    /// The time is over.
    #[error("no answer within {0:?}")]
    Late(Duration),
}

/// Sends a request without a body and reads the whole answer within `limit`.
///
/// # Errors
/// When there is no whole answer in time; any status is an answer.
pub async fn call(
    peer: &Peer,
    method: Method,
    path: &str,
    limit: Duration,
) -> Result<Answer, CallError> {
    let request = Request::builder().method(method).uri(path);
    send(peer, request, Bytes::new(), limit).await
}

/// Posts a text of JSON and reads the whole answer within `limit`.
///
/// # Errors
/// When there is no whole answer in time; any status is an answer.
pub async fn post(
    peer: &Peer,
    path: &str,
    json: impl Into<Bytes>,
    limit: Duration,
) -> Result<Answer, CallError> {
    let request = Request::post(path).header(header::CONTENT_TYPE, "application/json");
    send(peer, request, json.into(), limit).await
}

async fn send(
    peer: &Peer,
    request: Builder,
    body: Bytes,
    limit: Duration,
) -> Result<Answer, CallError> {
    let exchange = async {
        match peer {
            Peer::Tcp(address) => {
                let stream = TcpStream::connect(address).await?;
                exchange(stream, &address.to_string(), request, body).await
            }
            Peer::Unix(socket) => {
                let stream = UnixStream::connect(socket).await?;
                exchange(stream, "localhost", request, body).await
            }
        }
    };
    match tokio::time::timeout(limit, exchange).await {
        Ok(answer) => answer,
        Err(_) => Err(CallError::Late(limit)),
    }
}

async fn exchange<S>(
    stream: S,
    host: &str,
    request: Builder,
    body: Bytes,
) -> Result<Answer, CallError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let request = request
        .header(header::HOST, host)
        .header(header::USER_AGENT, "meseta")
        .body(Full::new(body))?;
    let exchange = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = match Limited::new(response.into_body(), MAX_ANSWER)
            .collect()
            .await
        {
            Ok(body) => body.to_bytes(),
            Err(error) => return Err(CallError::Body(error)),
        };
        Ok(Answer { status, body })
    };
    // The connection is driven beside the exchange and dropped with it.
    let mut connection = std::pin::pin!(connection);
    let mut exchange = std::pin::pin!(exchange);
    tokio::select! {
        answer = &mut exchange => answer,
        ended = &mut connection => {
            ended?;
            exchange.await
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    async fn once(answer: &'static str) -> (Peer, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = Peer::Tcp(listener.local_addr().unwrap());
        let served = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            let length = stream.read(&mut request).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            request.truncate(length);
            String::from_utf8(request).unwrap()
        });
        (peer, served)
    }

    #[tokio::test]
    async fn an_answer_is_read_whole_even_when_the_connection_ends_with_it() {
        let (peer, served) = once("HTTP/1.1 404 Not Found\r\n\r\nno such").await;
        let limit = Duration::from_secs(10);
        let answer = call(&peer, Method::GET, "/v1/models?a=b", limit)
            .await
            .unwrap();
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
        assert_eq!(answer.body, "no such");
        let request = served.await.unwrap();
        assert!(
            request.starts_with("GET /v1/models?a=b HTTP/1.1\r\n"),
            "{request}"
        );
        assert!(request.contains("host: 127.0.0.1:"), "{request}");
    }

    #[tokio::test]
    async fn a_text_of_json_is_posted_with_its_type_and_length() {
        let (peer, served) = once("HTTP/1.1 200 OK\r\n\r\n").await;
        let limit = Duration::from_secs(10);
        post(&peer, "/x", "{}", limit).await.unwrap();
        let request = served.await.unwrap();
        assert!(request.starts_with("POST /x HTTP/1.1\r\n"), "{request}");
        assert!(
            request.contains("content-type: application/json\r\n"),
            "{request}"
        );
        assert!(request.contains("content-length: 2\r\n"), "{request}");
    }

    #[tokio::test]
    async fn silence_ends_at_the_deadline() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = Peer::Tcp(listener.local_addr().unwrap());
        let error = call(&peer, Method::GET, "/", Duration::from_millis(50)).await;
        let text = error.unwrap_err().to_string();
        assert!(text.contains("no answer within"), "{text}");
    }
}
