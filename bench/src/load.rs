//! The load: connections that ask again as soon as they are answered.
//!
//! Owns the client's side: every answer is compared byte for byte, and one that is not exactly
//! what the provider sent is an error, because a proxy that drops bytes would be a fast one.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::http1::{response_head, BodyReader};
use crate::upstream::Exchange;

/// An exchange that takes longer has failed.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(60);
/// What is read at once, in bytes.
const READ_SIZE: usize = 8 * 1024;

/// What a load did.
#[derive(Debug)]
pub(crate) struct Measured {
    /// From the first request to the last answer.
    pub(crate) elapsed: Duration,
    /// Exchanges per second: of each connection over its own time, added up. So connections that
    /// had their last answer early do not count as slow.
    pub(crate) rate: f64,
    /// How long each exchange took, sorted.
    pub(crate) latencies: Vec<Duration>,
    /// How long each exchange took to the end of the first event, sorted.
    pub(crate) first_events: Vec<Duration>,
}

/// Asks on `connections` connections for `duration`; exchanges under way at the end are finished
/// and counted. The connections begin `apart`, one after the other.
///
/// # Errors
/// At the first exchange that fails.
pub(crate) async fn run(
    address: SocketAddr,
    exchange: &Exchange,
    connections: usize,
    apart: Duration,
    duration: Duration,
) -> anyhow::Result<Measured> {
    let mut open = Vec::with_capacity(connections);
    for _ in 0..connections {
        open.push(Connection::open(address).await?);
    }
    let start = Instant::now();
    let deadline = start + duration;
    let mut tasks = JoinSet::new();
    let mut begin = start;
    for connection in open {
        let exchange = exchange.clone();
        tasks.spawn(async move {
            tokio::time::sleep_until(begin.into()).await;
            let own = ask_until(connection, address, exchange, deadline).await?;
            anyhow::Ok((own, begin.elapsed()))
        });
        begin += apart;
    }
    let mut rate = 0.0;
    let (mut latencies, mut first_events) = (Vec::new(), Vec::new());
    while let Some(ended) = tasks.join_next().await {
        let (own, took) = ended.context("a connection's task failed")??;
        #[allow(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
        let count = own.len() as f64;
        rate += count / took.as_secs_f64();
        latencies.extend(own.iter().map(|(whole, _)| whole));
        first_events.extend(own.iter().map(|(_, first_event)| first_event));
    }
    let elapsed = start.elapsed();
    latencies.sort_unstable();
    first_events.sort_unstable();
    Ok(Measured {
        elapsed,
        rate,
        latencies,
        first_events,
    })
}

/// How long each exchange took, as a whole and to the end of its first event.
async fn ask_until(
    mut connection: Connection,
    address: SocketAddr,
    exchange: Exchange,
    deadline: Instant,
) -> anyhow::Result<Vec<(Duration, Duration)>> {
    let mut latencies = Vec::with_capacity(16 * 1024);
    loop {
        let asked = Instant::now();
        if asked >= deadline {
            return Ok(latencies);
        }
        let answered = tokio::time::timeout(EXCHANGE_TIMEOUT, connection.exchange(&exchange))
            .await
            .context("an exchange took too long")??;
        latencies.push((asked.elapsed(), answered.first_event));
        if answered.close {
            connection = Connection::open(address).await?;
        }
    }
}

/// What is known of an answer beside its bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answered {
    /// From the request to the end of the answer's first event, or of one that is not a stream.
    pub(crate) first_event: Duration,
    /// The connection cannot be used again.
    pub(crate) close: bool,
}

/// A connection to the proxy, kept alive.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects.
    pub(crate) async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address)
            .await
            .with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: Vec::with_capacity(READ_SIZE),
        })
    }

    /// Sends the request and reads the answer to its end.
    ///
    /// # Errors
    /// When the status is not 200, the body is not exactly what the provider sends, or the
    /// connection ends early. The connection is of no use then.
    pub(crate) async fn exchange(&mut self, exchange: &Exchange) -> anyhow::Result<Answered> {
        let asked = Instant::now();
        self.stream
            .write_all(&exchange.request)
            .await
            .context("the connection was closed")?;
        let head = loop {
            if let Some(head) = response_head(&self.buffer)? {
                break head;
            }
            self.fill("before the answer's head").await?;
        };
        self.buffer.drain(..head.len);
        let mut reader = BodyReader::new(head.framing);
        let mut first_event = None;
        let mut body = Comparison::new(&exchange.answer, head.status);
        loop {
            let used = reader.read(&self.buffer, |bytes| body.read(bytes))?;
            self.buffer.drain(..used);
            if first_event.is_none() && body.len >= exchange.first_event {
                first_event = Some(asked.elapsed());
            }
            if reader.is_done() {
                break;
            }
            if reader.may_close() {
                if self.stream.read_buf(&mut self.buffer).await? == 0 {
                    break;
                }
            } else {
                self.fill("in the answer's body").await?;
            }
        }
        body.verdict()?;
        anyhow::ensure!(self.buffer.is_empty(), "there are bytes after the answer");
        Ok(Answered {
            first_event: first_event.unwrap_or_default(),
            close: head.close,
        })
    }

    async fn fill(&mut self, place: &str) -> anyhow::Result<()> {
        let read = self
            .stream
            .read_buf(&mut self.buffer)
            .await
            .with_context(|| format!("the connection broke {place}"))?;
        anyhow::ensure!(read > 0, "the connection ended {place}");
        Ok(())
    }
}

/// Compares a body with what it must be, as it comes.
struct Comparison<'a> {
    expected: &'a [u8],
    status: u16,
    len: usize,
    same: bool,
    /// The start of an answer that is not 200: tells why.
    refusal: Vec<u8>,
}

impl<'a> Comparison<'a> {
    fn new(expected: &'a [u8], status: u16) -> Self {
        Self {
            expected,
            status,
            len: 0,
            same: true,
            refusal: Vec::new(),
        }
    }

    fn read(&mut self, bytes: &[u8]) {
        let end = self.len + bytes.len();
        if self.status == 200 {
            self.same = self.same && self.expected.get(self.len..end) == Some(bytes);
        } else if self.refusal.len() < 300 {
            self.refusal.extend_from_slice(bytes);
        }
        self.len = end;
    }

    fn verdict(&self) -> anyhow::Result<()> {
        anyhow::ensure!(
            self.status == 200,
            "the status is {}: {}",
            self.status,
            String::from_utf8_lossy(&self.refusal)
        );
        anyhow::ensure!(
            self.same && self.len == self.expected.len(),
            "the answer differs from what the provider sent ({} bytes of {})",
            self.len,
            self.expected.len()
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::MODEL;
    use crate::upstream::{Pace, Upstream};
    use bytes::Bytes;
    use tokio::net::TcpListener;

    /// What a client says of an answer, sent in pieces of `size` bytes, then the end.
    async fn say(wire: &'static [u8], size: usize) -> anyhow::Result<Answered> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a client");
            let _ = stream.read(&mut [0; 64]).await;
            for piece in wire.chunks(size) {
                stream.write_all(piece).await.expect("sent");
                tokio::task::yield_now().await;
            }
        });
        let exchange = Exchange {
            request: Bytes::from_static(b"GET / HTTP/1.1\r\n\r\n"),
            answer: Bytes::from_static(b"hello"),
            events: 0,
            first_event: 5,
        };
        let result = Connection::open(address).await?.exchange(&exchange).await;
        server.await?;
        result
    }

    #[tokio::test]
    async fn a_load_counts_every_exchange_and_its_rate() {
        let upstream = Upstream::start(3, Duration::ZERO).await.expect("listens");
        let duration = Duration::from_millis(100);
        let apart = Duration::from_millis(10);
        let measured = run(upstream.address, &Exchange::chat(MODEL), 3, apart, duration)
            .await
            .expect("answers");
        assert!(measured.elapsed >= duration);
        assert!(measured.latencies.is_sorted());
        assert_eq!(measured.first_events.len(), measured.latencies.len());
        let count = f64::from(u32::try_from(measured.latencies.len()).expect("few"));
        assert!(count >= 3.0);
        // Each connection's time ends at the deadline at the earliest and at the end at the latest.
        assert!(measured.rate >= count / measured.elapsed.as_secs_f64());
        assert!(measured.rate <= count / (duration - 2 * apart).as_secs_f64());
    }

    #[tokio::test]
    async fn the_first_event_is_not_waited_for_to_the_last() {
        let pace = Duration::from_millis(100);
        let upstream = Upstream::start(5, pace).await.expect("listens");
        let exchange = Exchange::stream(MODEL, 5, Pace::Paced);
        let measured = run(upstream.address, &exchange, 2, Duration::ZERO, pace / 2)
            .await
            .expect("answers");
        assert_eq!(measured.first_events.len(), 2);
        assert!(measured.latencies[0] >= 4 * pace);
        assert!(measured.first_events[0] < measured.latencies[0] - 2 * pace);
    }

    #[tokio::test]
    async fn a_whole_answer_passes_in_each_framing_and_any_pieces() {
        for wire in [
            &b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"[..],
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n\r\nhello",
        ] {
            for size in [1, 7, 1000] {
                say(wire, size).await.expect("whole");
            }
        }
    }

    #[tokio::test]
    async fn an_answer_that_is_not_the_providers_fails() {
        for (wire, reason) in [
            (
                &b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nhell"[..],
                "differs",
            ),
            (
                b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhallo",
                "differs",
            ),
            (
                b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nhello!",
                "differs",
            ),
            (
                b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhell",
                "ended in",
            ),
            (
                b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
                "ended in",
            ),
            (b"HTTP/1.1 200 OK\r\ncontent-le", "ended before"),
            (
                b"HTTP/1.1 503 No\r\ncontent-length: 5\r\n\r\nhello",
                "503: hello",
            ),
            (
                b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhelloHTTP",
                "after",
            ),
        ] {
            let error = say(wire, 1000).await.expect_err("fails").to_string();
            assert!(error.contains(reason), "{error}");
        }
    }
}
