//! A provider made of fixed bytes.
//!
//! Owns what the client asks and what the provider answers: a short chat and a stream of events.
//! Answers are complete HTTP messages made beforehand, so that serving one costs little more than
//! the system calls. Runs on the caller's runtime.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{interval, MissedTickBehavior};

use crate::http1::{request_head, BodyReader};

/// What a request and its answer are, byte for byte.
#[derive(Debug, Clone)]
pub(crate) struct Exchange {
    /// The whole request as it goes on the wire.
    pub(crate) request: Bytes,
    /// The body of the answer as the client must get it.
    pub(crate) answer: Bytes,
    /// Events in the answer; 0 for a body that is not a stream.
    pub(crate) events: usize,
    /// Where the first event of the answer's body ends; the length of one that is not a stream.
    pub(crate) first_event: usize,
}

/// What tells a request for a stream, and one for a stream that is paced.
const STREAM_FLAG: &[u8] = b"\"stream\":true";
const PACED_FLAG: &[u8] = b"\"user\":\"paced\"";

/// How fast the events of a stream come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Pace {
    /// As fast as the connection takes them: many may arrive at once.
    Flood,
    /// At the provider's pace: each arrives alone.
    Paced,
}

impl Exchange {
    /// A short question to a model and a short answer.
    pub(crate) fn chat(model: &str) -> Self {
        let answer = chat_answer();
        Self {
            request: request(model, ""),
            first_event: answer.len(),
            answer: Bytes::from(answer),
            events: 0,
        }
    }

    /// A short question and an answer of `events` events, the terminal one included.
    pub(crate) fn stream(model: &str, events: usize, pace: Pace) -> Self {
        let all = stream_events(events);
        Self {
            // The client asks for the usage itself, so that nothing is taken out on the way and
            // the answer is the same with and without a server that reads it.
            request: request(
                model,
                match pace {
                    Pace::Flood => ",\"stream\":true,\"stream_options\":{\"include_usage\":true}",
                    Pace::Paced => {
                        ",\"stream\":true,\"stream_options\":{\"include_usage\":true},\"user\":\"paced\""
                    }
                },
            ),
            first_event: all.first().map_or(0, Vec::len),
            answer: Bytes::from(all.concat()),
            events: all.len(),
        }
    }
}

fn request(model: &str, extra: &str) -> Bytes {
    let body = format!(
        "{{\"model\":\"{model}\",\"messages\":[{{\"role\":\"system\",\"content\":\"You are a \
         helpful assistant.\"}},{{\"role\":\"user\",\"content\":\"What is the capital of \
         Spain, and since when?\"}}],\"temperature\":0.2{extra}}}"
    );
    Bytes::from(format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: bench.local\r\nuser-agent: meseta-bench\r\n\
         accept: */*\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    ))
}

fn chat_answer() -> String {
    "{\"id\":\"chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT\",\"object\":\"chat.completion\",\
     \"created\":1741569952,\"model\":\"gpt-4o-mini-2024-07-18\",\"choices\":[{\"index\":0,\
     \"message\":{\"role\":\"assistant\",\"content\":\"Madrid has been the capital of Spain since \
     1561, with a short break from 1601 to 1606.\",\"refusal\":null},\"logprobs\":null,\
     \"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":29,\"completion_tokens\":24,\
     \"total_tokens\":53,\"prompt_tokens_details\":{\"cached_tokens\":0}},\
     \"system_fingerprint\":\"fp_44added55e\"}"
        .to_owned()
}

/// Finish, usage and terminal event stand in every stream.
const MIN_EVENTS: usize = 3;

/// The events of a stream: words, the finish, the usage, the terminal event.
fn stream_events(events: usize) -> Vec<Vec<u8>> {
    let chunk = |choices: &str, usage: &str| {
        format!(
            "data: {{\"id\":\"chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG\",\
             \"object\":\"chat.completion.chunk\",\"created\":1741570283,\
             \"model\":\"gpt-4o-mini-2024-07-18\",\"choices\":[{choices}],\"usage\":{usage}}}\n\n"
        )
        .into_bytes()
    };
    let words = events.saturating_sub(MIN_EVENTS);
    let mut stream: Vec<Vec<u8>> = (0..words)
        .map(|word| {
            chunk(
                &format!(
                    "{{\"index\":0,\"delta\":{{\"content\":\" word{word}\"}},\"finish_reason\":null}}"
                ),
                "null",
            )
        })
        .collect();
    stream.push(chunk(
        "{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}",
        "null",
    ));
    stream.push(chunk(
        "",
        &format!(
            "{{\"prompt_tokens\":29,\"completion_tokens\":{words},\"total_tokens\":{}}}",
            words + 29
        ),
    ));
    stream.push(b"data: [DONE]\n\n".to_vec());
    stream
}

/// The provider, listening until it is dropped.
#[derive(Debug)]
pub(crate) struct Upstream {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    counts: Arc<Counts>,
    task: JoinHandle<()>,
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What is sent, and counts of what is under way.
#[derive(Debug)]
struct Answers {
    json: Bytes,
    stream_head: Bytes,
    /// Each event in a chunk of its own; the last with the end of the body.
    events: Vec<Bytes>,
    pace: Duration,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    requests: AtomicUsize,
    streams: AtomicUsize,
    peak_streams: AtomicUsize,
}

/// A stream under way; dropped however it ends.
struct Running<'a>(&'a Counts);

impl<'a> Running<'a> {
    fn new(counts: &'a Counts) -> Self {
        let streams = counts.streams.fetch_add(1, Ordering::Relaxed) + 1;
        counts.peak_streams.fetch_max(streams, Ordering::Relaxed);
        Self(counts)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Upstream {
    /// Starts to listen. Streams have `events` events; paced ones one each `pace`.
    pub(crate) async fn start(events: usize, pace: Duration) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))
            .await
            .context("the mock provider cannot listen")?;
        let address = listener.local_addr()?;
        let counts = Arc::new(Counts::default());
        let answers = Arc::new(Answers::new(events, pace, Arc::clone(&counts)));
        let task = tokio::spawn(async move {
            loop {
                // What stops an accept (descriptors run out) passes, and shows as failed exchanges.
                let Ok((stream, _)) = listener.accept().await else {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    continue;
                };
                let answers = Arc::clone(&answers);
                // An error is a connection that Envoy closed; whoever waits for the answer
                // counts it.
                tokio::spawn(async move { answers.serve(stream).await });
            }
        });
        Ok(Self {
            address,
            counts,
            task,
        })
    }

    /// How many requests have come.
    pub(crate) fn requests(&self) -> usize {
        self.counts.requests.load(Ordering::Relaxed)
    }

    /// The most streams that were under way at once.
    pub(crate) fn peak_streams(&self) -> usize {
        self.counts.peak_streams.load(Ordering::Relaxed)
    }
}

impl Answers {
    fn new(events: usize, pace: Duration, counts: Arc<Counts>) -> Self {
        let json = chat_answer();
        let mut events: Vec<Vec<u8>> = stream_events(events)
            .into_iter()
            .map(|event| {
                let mut chunk = format!("{:x}\r\n", event.len()).into_bytes();
                chunk.extend_from_slice(&event);
                chunk.extend_from_slice(b"\r\n");
                chunk
            })
            .collect();
        if let Some(last) = events.last_mut() {
            last.extend_from_slice(b"0\r\n\r\n");
        }
        Self {
            json: Bytes::from(format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{json}",
                json.len()
            )),
            stream_head: Bytes::from_static(
                b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n\
                  cache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n",
            ),
            events: events.into_iter().map(Bytes::from).collect(),
            pace,
            counts,
        }
    }

    async fn serve(&self, mut stream: TcpStream) -> anyhow::Result<()> {
        stream.set_nodelay(true)?;
        let mut buffer = Vec::with_capacity(4096);
        let mut body = Vec::with_capacity(1024);
        loop {
            let Some(close) = read_request(&mut stream, &mut buffer, &mut body).await? else {
                return Ok(());
            };
            self.counts.requests.fetch_add(1, Ordering::Relaxed);
            if contains(&body, STREAM_FLAG) {
                let _running = Running::new(&self.counts);
                let pace = contains(&body, PACED_FLAG).then_some(self.pace);
                self.stream(&mut stream, pace).await?;
            } else {
                stream.write_all(&self.json).await?;
            }
            if close {
                return Ok(());
            }
        }
    }

    /// One write for each event, as providers do; others get their turn in between.
    async fn stream(&self, stream: &mut TcpStream, pace: Option<Duration>) -> anyhow::Result<()> {
        stream.write_all(&self.stream_head).await?;
        let mut ticks = pace.map(|pace| {
            let mut ticks = interval(pace);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        });
        for event in &self.events {
            match &mut ticks {
                Some(ticks) => {
                    ticks.tick().await;
                }
                None => tokio::task::yield_now().await,
            }
            stream.write_all(event).await?;
        }
        Ok(())
    }
}

fn contains(body: &[u8], flag: &[u8]) -> bool {
    body.windows(flag.len()).any(|window| window == flag)
}

/// Reads a request; `None` at the end of the connection, else whether it is the last.
async fn read_request(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
    body: &mut Vec<u8>,
) -> anyhow::Result<Option<bool>> {
    body.clear();
    let head = loop {
        if let Some(head) = request_head(buffer)? {
            break head;
        }
        if stream.read_buf(buffer).await? == 0 {
            anyhow::ensure!(buffer.is_empty(), "a request is cut");
            return Ok(None);
        }
    };
    let mut reader = BodyReader::new(head.framing);
    let used = reader.read(&buffer[head.len..], |bytes| body.extend_from_slice(bytes))?;
    buffer.drain(..head.len + used);
    while !reader.is_done() {
        anyhow::ensure!(stream.read_buf(buffer).await? > 0, "a request is cut");
        let used = reader.read(buffer, |bytes| body.extend_from_slice(bytes))?;
        buffer.drain(..used);
    }
    Ok(Some(head.close))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::MODEL;
    use crate::load::Connection;

    #[test]
    fn the_question_and_the_answer_are_short() {
        let chat = Exchange::chat(MODEL);
        let head = request_head(&chat.request)
            .expect("well-formed")
            .expect("complete");
        let body = chat.request.slice(head.len..);
        assert!((150..300).contains(&body.len()), "{}", body.len());
        assert!(
            (400..600).contains(&chat.answer.len()),
            "{}",
            chat.answer.len()
        );
        for json in [&body[..], &chat.answer[..]] {
            serde_json::from_slice::<serde_json::Value>(json).expect("JSON");
        }
    }

    #[test]
    fn a_stream_has_the_events_it_says_and_each_is_json() {
        let stream = Exchange::stream(MODEL, 200, Pace::Flood);
        let text = std::str::from_utf8(&stream.answer).expect("text");
        let events: Vec<&str> = text.split_terminator("\n\n").collect();
        assert_eq!(events.len(), 200);
        assert_eq!(stream.events, 200);
        assert_eq!(events[199], "data: [DONE]");
        assert_eq!(stream.first_event, events[0].len() + 2);
        for event in &events[..199] {
            let data = event.strip_prefix("data: ").expect("data");
            serde_json::from_str::<serde_json::Value>(data).expect("JSON");
        }
    }

    #[tokio::test]
    async fn clients_get_exactly_the_answer_on_one_connection() {
        let upstream = Upstream::start(20, Duration::from_millis(1))
            .await
            .expect("listens");
        let mut connection = Connection::open(upstream.address).await.expect("connects");
        for exchange in [
            Exchange::chat(MODEL),
            Exchange::stream(MODEL, 20, Pace::Flood),
            Exchange::stream(MODEL, 20, Pace::Paced),
            Exchange::chat(MODEL),
        ] {
            connection.exchange(&exchange).await.expect("the answer");
        }
        assert_eq!((upstream.requests(), upstream.peak_streams()), (4, 1));
        let error = connection
            .exchange(&Exchange {
                answer: Exchange::stream(MODEL, 21, Pace::Flood).answer,
                ..Exchange::stream(MODEL, 20, Pace::Flood)
            })
            .await
            .expect_err("another stream");
        assert!(error.to_string().contains("differs"), "{error}");
    }

    #[tokio::test]
    async fn only_paced_streams_wait() {
        async fn stream(pace: Pace, provider: Duration) -> Duration {
            let upstream = Upstream::start(3, provider).await.expect("listens");
            let mut connection = Connection::open(upstream.address).await.expect("connects");
            let asked = std::time::Instant::now();
            connection
                .exchange(&Exchange::stream(MODEL, 3, pace))
                .await
                .expect("the answer");
            asked.elapsed()
        }
        let day = Duration::from_secs(86_400);
        assert!(stream(Pace::Flood, day).await < day);
        let pace = Duration::from_millis(20);
        assert!(stream(Pace::Paced, pace).await >= 2 * pace);
    }
}
