//! Just enough HTTP/1.1 to load a proxy and to stand in for a provider.
//!
//! Owns the framing of messages: heads, lengths and chunks. Does no I/O. It is strict where an
//! answer could be cut short without notice (a length, a chunk size) and reads no header that
//! framing does not need, because what it costs is taken from the processes that are measured.

use std::fmt;

/// Heads longer than this are refused, in bytes.
const MAX_HEAD: usize = 64 * 1024;
/// Trailers and chunk lines longer than this are refused, in bytes.
const MAX_LINE: usize = 8 * 1024;

/// Bytes that are not the HTTP that was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed(&'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Malformed {}

/// How the end of a body is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// So many bytes; 0 where there is no body.
    Length(u64),
    /// Chunks, the last of size 0.
    Chunked,
    /// All that comes until the connection ends. Answers only.
    UntilClose,
}

/// The head of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    /// Bytes that the head takes, its blank line included.
    pub(crate) len: usize,
    /// The status of an answer; 0 for a request.
    pub(crate) status: u16,
    /// Where the body ends.
    pub(crate) framing: Framing,
    /// Whether the connection ends after this message.
    pub(crate) close: bool,
}

/// Reads the head of an answer; `None` until it is complete.
pub(crate) fn response_head(bytes: &[u8]) -> Result<Option<Head>, Malformed> {
    let Some((first, headers, len)) = split_head(bytes)? else {
        return Ok(None);
    };
    let status = first
        .strip_prefix(b"HTTP/1.1 ")
        .and_then(|rest| rest.get(..3))
        .and_then(decimal)
        .ok_or(Malformed("the status line is not HTTP/1.1"))?;
    let fields = Fields::read(headers)?;
    let framing = match (status, fields.framing) {
        (204 | 304, _) => Framing::Length(0),
        (_, Some(framing)) => framing,
        (_, None) => Framing::UntilClose,
    };
    Ok(Some(Head {
        len,
        status: u16::try_from(status).map_err(|_| Malformed("the status is out of range"))?,
        framing,
        close: fields.close || framing == Framing::UntilClose,
    }))
}

/// Reads the head of a request; `None` until it is complete.
pub(crate) fn request_head(bytes: &[u8]) -> Result<Option<Head>, Malformed> {
    let Some((first, headers, len)) = split_head(bytes)? else {
        return Ok(None);
    };
    if !first.ends_with(b" HTTP/1.1") {
        return Err(Malformed("the request line is not HTTP/1.1"));
    }
    let fields = Fields::read(headers)?;
    Ok(Some(Head {
        len,
        status: 0,
        framing: fields.framing.unwrap_or(Framing::Length(0)),
        close: fields.close,
    }))
}

/// First line, header lines and the length of the whole head.
type SplitHead<'a> = (&'a [u8], &'a [u8], usize);

fn split_head(bytes: &[u8]) -> Result<Option<SplitHead<'_>>, Malformed> {
    let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") else {
        return if bytes.len() > MAX_HEAD {
            Err(Malformed("the head is too long"))
        } else {
            Ok(None)
        };
    };
    let lines = &bytes[..end + 2];
    let first = lines.iter().position(|&b| b == b'\r').unwrap_or(end);
    Ok(Some((&lines[..first], &lines[first + 2..], end + 4)))
}

fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// The header fields that framing needs.
#[derive(Default)]
struct Fields {
    framing: Option<Framing>,
    close: bool,
}

impl Fields {
    fn read(headers: &[u8]) -> Result<Self, Malformed> {
        let mut fields = Self::default();
        for line in headers.split(|&b| b == b'\n') {
            let line = line.trim_ascii_end();
            let Some(colon) = line.iter().position(|&b| b == b':') else {
                continue;
            };
            let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
            if name.eq_ignore_ascii_case(b"content-length") {
                let length = decimal(value).ok_or(Malformed("content-length is no number"))?;
                if fields.framing.is_some() {
                    return Err(Malformed("the length is given twice"));
                }
                fields.framing = Some(Framing::Length(length));
            } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
                if !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(Malformed("the transfer encoding is not chunked"));
                }
                if fields.framing.is_some() {
                    return Err(Malformed("the length is given twice"));
                }
                fields.framing = Some(Framing::Chunked);
            } else if name.eq_ignore_ascii_case(b"connection") {
                fields.close = value.eq_ignore_ascii_case(b"close");
            }
        }
        Ok(fields)
    }
}

/// Takes a body out of its framing, from input in any pieces.
#[derive(Debug)]
pub(crate) struct BodyReader(State);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Length(u64),
    UntilClose,
    /// In a chunk's size; `digits` have been read.
    Size {
        value: u64,
        digits: u8,
    },
    /// After a chunk's size, up to the end of its line.
    Extension {
        value: u64,
        len: usize,
    },
    Data(u64),
    /// The line end after a chunk's data; so many of its two bytes have been read.
    DataEnd(u8),
    /// In the trailers; so many bytes of the line have been read, CR not counted.
    Trailer(usize),
    Done,
}

impl BodyReader {
    /// A reader for the body that follows a head.
    pub(crate) fn new(framing: Framing) -> Self {
        Self(match framing {
            Framing::Length(0) => State::Done,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::Size {
                value: 0,
                digits: 0,
            },
            Framing::UntilClose => State::UntilClose,
        })
    }

    /// Whether the whole body has been read.
    pub(crate) fn is_done(&self) -> bool {
        self.0 == State::Done
    }

    /// Whether the body is whole if the connection ends here.
    pub(crate) fn may_close(&self) -> bool {
        matches!(self.0, State::Done | State::UntilClose)
    }

    /// Reads on; gives the body's bytes to `sink` and returns how many bytes of `input` belong to
    /// the message: fewer than there are only when the body is done.
    pub(crate) fn read(
        &mut self,
        input: &[u8],
        mut sink: impl FnMut(&[u8]),
    ) -> Result<usize, Malformed> {
        let mut at = 0;
        while at < input.len() && self.0 != State::Done {
            let rest = &input[at..];
            at += match self.0 {
                State::Length(left) | State::Data(left) => {
                    let take = usize::try_from(left).map_or(rest.len(), |l| l.min(rest.len()));
                    sink(&rest[..take]);
                    let left = left - take as u64;
                    self.0 = match self.0 {
                        State::Length(_) if left == 0 => State::Done,
                        State::Length(_) => State::Length(left),
                        _ if left == 0 => State::DataEnd(0),
                        _ => State::Data(left),
                    };
                    take
                }
                State::UntilClose => {
                    sink(rest);
                    rest.len()
                }
                _ => {
                    self.0 = self.0.line_byte(rest[0])?;
                    1
                }
            };
        }
        Ok(at)
    }
}

impl State {
    /// A byte of what stands between the data of chunks.
    fn line_byte(self, byte: u8) -> Result<Self, Malformed> {
        Ok(match (self, byte) {
            (Self::Size { value, digits }, _) if byte.is_ascii_hexdigit() => {
                if digits >= 15 {
                    return Err(Malformed("a chunk is too large"));
                }
                let digit = (byte as char).to_digit(16).unwrap_or_default();
                Self::Size {
                    value: value * 16 + u64::from(digit),
                    digits: digits + 1,
                }
            }
            (Self::Size { digits: 0, .. }, _) => {
                return Err(Malformed("a chunk has no size"));
            }
            (Self::Size { value, .. } | Self::Extension { value, .. }, b'\n') => match value {
                0 => Self::Trailer(0),
                value => Self::Data(value),
            },
            (Self::Size { value, .. }, b'\r' | b';' | b' ') => Self::Extension { value, len: 0 },
            (Self::Extension { value, len }, _) if len < MAX_LINE => Self::Extension {
                value,
                len: len + 1,
            },
            (Self::DataEnd(0), b'\r') => Self::DataEnd(1),
            (Self::DataEnd(1), b'\n') => Self::Size {
                value: 0,
                digits: 0,
            },
            (Self::Trailer(0), b'\n') => Self::Done,
            (Self::Trailer(_), b'\n') => Self::Trailer(0),
            (Self::Trailer(len), b'\r') => Self::Trailer(len),
            (Self::Trailer(len), _) if len < MAX_LINE => Self::Trailer(len + 1),
            _ => return Err(Malformed("a chunk's framing is broken")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_in_pieces(framing: Framing, wire: &[u8], size: usize) -> (Vec<u8>, usize, bool) {
        let mut reader = BodyReader::new(framing);
        let (mut body, mut used) = (Vec::new(), 0);
        for piece in wire.chunks(size) {
            used += reader
                .read(piece, |bytes| body.extend_from_slice(bytes))
                .expect("well-formed");
        }
        (body, used, reader.is_done())
    }

    #[test]
    fn a_head_is_read_once_it_is_complete() {
        let wire = b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\nconnection: Close\r\n\r\nrest";
        for end in 0..wire.len() - 4 {
            assert_eq!(response_head(&wire[..end]), Ok(None), "{end} bytes");
        }
        let head = response_head(wire).expect("well-formed").expect("complete");
        assert_eq!(head.len, wire.len() - 4);
        assert_eq!(head.status, 200);
        assert_eq!(head.framing, Framing::Length(12));
        assert!(head.close);
    }

    #[test]
    fn an_answer_without_a_length_ends_with_its_connection() {
        let head = response_head(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")
            .expect("well-formed")
            .expect("complete");
        assert_eq!(head.status, 502);
        assert_eq!(head.framing, Framing::UntilClose);
        assert!(head.close);
    }

    #[test]
    fn a_request_without_a_length_has_no_body() {
        let head = request_head(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            .expect("well-formed")
            .expect("complete");
        assert_eq!(head.framing, Framing::Length(0));
        assert!(!head.close);
    }

    #[test]
    fn what_could_be_cut_short_unseen_is_refused() {
        for wire in [
            &b"HTTP/1.0 200 OK\r\n\r\n"[..],
            b"HTTP/1.1 2x0 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: +5\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n",
        ] {
            assert!(
                response_head(wire).is_err(),
                "{}",
                String::from_utf8_lossy(wire)
            );
        }
    }

    #[test]
    fn chunks_are_joined_however_they_arrive() {
        let wire = b"5\r\nhello\r\n1;name=value\r\n \r\nA\r\n0123456789\r\n0\r\nx-a: b\r\n\r\nNEXT";
        for size in 1..=wire.len() {
            let (body, used, done) = read_in_pieces(Framing::Chunked, wire, size);
            assert_eq!(body, b"hello 0123456789", "in pieces of {size}");
            assert_eq!(used, wire.len() - 4, "in pieces of {size}");
            assert!(done, "in pieces of {size}");
        }
    }

    #[test]
    fn a_length_leaves_the_next_message_alone() {
        let (body, used, done) = read_in_pieces(Framing::Length(5), b"helloHTTP", 9);
        assert_eq!(
            (body.as_slice(), used, done),
            (b"hello".as_slice(), 5, true)
        );
    }

    #[test]
    fn a_body_that_is_cut_is_never_done() {
        let wire = b"5\r\nhello\r\n0\r\n\r\n";
        for end in 0..wire.len() {
            let mut reader = BodyReader::new(Framing::Chunked);
            let _ = reader.read(&wire[..end], |_| {});
            assert!(!reader.may_close(), "after {end} bytes");
        }
    }

    #[test]
    fn broken_chunks_are_refused() {
        for wire in [
            &b"\r\n"[..],
            b"x\r\n",
            b"2\r\nhello",
            b"1\r\nhXX",
            b"ffffffffffffffff\r\n",
        ] {
            let mut reader = BodyReader::new(Framing::Chunked);
            assert!(
                reader.read(wire, |_| {}).is_err(),
                "{}",
                String::from_utf8_lossy(wire)
            );
        }
    }
}
