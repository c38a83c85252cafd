//! Undoing the content encoding of answers, incrementally.
//!
//! Owns the decoders for `gzip`, `deflate`, `br` and `zstd` and their order when several are
//! listed. Input may be split anywhere. One push never yields more than [`MAX_OUTPUT`] bytes, so
//! that a small hostile answer cannot fill the memory.

use std::io::{self, Write};

use bytes::Bytes;

/// The most bytes that one chunk of input may decode to.
pub(crate) const MAX_OUTPUT: usize = 32 * 1024 * 1024;

/// Why an answer could not be decoded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DecodeError {
    /// The bytes are not what the encoding says, or they end too early.
    #[error("the answer is not valid {0}")]
    Corrupt(&'static str),
    /// A chunk decodes to more than [`MAX_OUTPUT`] bytes.
    #[error("a chunk of the answer decodes to too many bytes")]
    TooLarge,
}

/// A chain of decoders, the outermost encoding first.
pub(crate) struct Decoder {
    stages: Vec<Stage>,
    /// Whether a byte has come; a body without any is empty whatever its encoding.
    started: bool,
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.stages.iter().map(Stage::name))
            .finish()
    }
}

impl Decoder {
    /// The decoder for a `content-encoding` value.
    ///
    /// `Ok(None)`: nothing is encoded. `Err(())`: an encoding that we cannot undo, so that the
    /// body has to go on as it is.
    pub(crate) fn for_encoding(value: Option<&str>) -> Result<Option<Self>, UnknownEncoding> {
        let mut stages = Vec::new();
        for name in value.unwrap_or_default().split(',').map(str::trim) {
            if name.is_empty() || name.eq_ignore_ascii_case("identity") {
                continue;
            }
            // Listed in the order in which they were applied: the last is undone first.
            stages.insert(0, Stage::new(name).ok_or(UnknownEncoding)?);
        }
        Ok((!stages.is_empty()).then_some(Self {
            stages,
            started: false,
        }))
    }

    /// Decodes a chunk; empty when nothing came of it yet.
    pub(crate) fn push(&mut self, chunk: Bytes) -> Result<Bytes, DecodeError> {
        self.started |= !chunk.is_empty();
        let mut bytes = chunk;
        for stage in &mut self.stages {
            bytes = stage.push(&bytes)?;
        }
        Ok(bytes)
    }

    /// Ends the input; an error when it stops in the middle.
    pub(crate) fn finish(&mut self) -> Result<Bytes, DecodeError> {
        let mut bytes = Bytes::new();
        if !self.started {
            return Ok(bytes);
        }
        for stage in &mut self.stages {
            let mut out = stage.push(&bytes)?.to_vec();
            out.extend_from_slice(&stage.finish()?);
            bytes = out.into();
        }
        Ok(bytes)
    }
}

/// A content encoding that is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UnknownEncoding;

/// Where a decoder writes to: a buffer with a bound.
#[derive(Debug, Default)]
struct Sink {
    bytes: Vec<u8>,
    overflow: bool,
}

impl Write for Sink {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + data.len() > MAX_OUTPUT {
            self.overflow = true;
            return Err(io::Error::other("too many bytes"));
        }
        self.bytes.extend_from_slice(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

enum Stage {
    Gzip(flate2::write::MultiGzDecoder<Sink>),
    /// `deflate` is zlib by the standard and raw deflate with some servers: the first byte tells.
    DeflateStart,
    Zlib(flate2::write::ZlibDecoder<Sink>),
    Deflate(flate2::write::DeflateDecoder<Sink>),
    Brotli(Box<brotli_decompressor::DecompressorWriter<Sink>>),
    Zstd(Box<zstd::stream::zio::Writer<Sink, zstd::stream::raw::Decoder<'static>>>),
}

impl Stage {
    fn new(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => Some(Self::Gzip(flate2::write::MultiGzDecoder::new(
                Sink::default(),
            ))),
            "deflate" => Some(Self::DeflateStart),
            "br" => Some(Self::Brotli(Box::new(
                brotli_decompressor::DecompressorWriter::new(Sink::default(), 4096),
            ))),
            "zstd" => {
                let decoder = zstd::stream::raw::Decoder::new().ok()?;
                Some(Self::Zstd(Box::new(zstd::stream::zio::Writer::new(
                    Sink::default(),
                    decoder,
                ))))
            }
            _ => None,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Gzip(_) => "gzip",
            Self::DeflateStart | Self::Zlib(_) | Self::Deflate(_) => "deflate",
            Self::Brotli(_) => "br",
            Self::Zstd(_) => "zstd",
        }
    }

    fn push(&mut self, chunk: &[u8]) -> Result<Bytes, DecodeError> {
        let Some(&first) = chunk.first() else {
            return Ok(Bytes::new());
        };
        if matches!(self, Self::DeflateStart) {
            // A zlib header has method 8 in its low four bits; a raw deflate stream of an encoder
            // in use starts with a final-block or type bit pattern that is never 8 there.
            *self = if first & 0x0f == 8 {
                Self::Zlib(flate2::write::ZlibDecoder::new(Sink::default()))
            } else {
                Self::Deflate(flate2::write::DeflateDecoder::new(Sink::default()))
            };
        }
        let name = self.name();
        let written = match self {
            Self::Gzip(decoder) => decoder.write_all(chunk).and_then(|()| decoder.flush()),
            Self::Zlib(decoder) => decoder.write_all(chunk).and_then(|()| decoder.flush()),
            Self::Deflate(decoder) => decoder.write_all(chunk).and_then(|()| decoder.flush()),
            Self::Brotli(decoder) => decoder.write_all(chunk).and_then(|()| decoder.flush()),
            Self::Zstd(decoder) => decoder.write_all(chunk).and_then(|()| decoder.flush()),
            Self::DeflateStart => Ok(()),
        };
        self.taken(written, name)
    }

    fn finish(&mut self) -> Result<Bytes, DecodeError> {
        let name = self.name();
        let ended = match self {
            Self::Gzip(decoder) => decoder.try_finish(),
            Self::Zlib(decoder) => decoder.try_finish(),
            Self::Deflate(decoder) => decoder.try_finish(),
            Self::Brotli(decoder) => decoder.close(),
            Self::Zstd(decoder) => decoder.finish(),
            // No byte came at all: an empty body.
            Self::DeflateStart => Ok(()),
        };
        self.taken(ended, name)
    }

    fn taken(&mut self, result: io::Result<()>, name: &'static str) -> Result<Bytes, DecodeError> {
        let sink = match self {
            Self::Gzip(decoder) => decoder.get_mut(),
            Self::Zlib(decoder) => decoder.get_mut(),
            Self::Deflate(decoder) => decoder.get_mut(),
            Self::Brotli(decoder) => decoder.get_mut(),
            Self::Zstd(decoder) => decoder.writer_mut(),
            Self::DeflateStart => return Ok(Bytes::new()),
        };
        match result {
            Ok(()) => Ok(std::mem::take(&mut sink.bytes).into()),
            Err(_) if sink.overflow => Err(DecodeError::TooLarge),
            Err(_) => Err(DecodeError::Corrupt(name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "data: {\"text\":\"la meseta es una llanura alta\"}\n\n";

    fn encoded(encoding: &str) -> Vec<u8> {
        let text = TEXT.repeat(200);
        match encoding {
            "gzip" => {
                let mut encoder =
                    flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(text.as_bytes()).unwrap();
                encoder.finish().unwrap()
            }
            "zlib" => {
                let mut encoder =
                    flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(text.as_bytes()).unwrap();
                encoder.finish().unwrap()
            }
            "raw" => {
                let mut encoder =
                    flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(text.as_bytes()).unwrap();
                encoder.finish().unwrap()
            }
            "br" => {
                let mut encoder = brotli::CompressorWriter::new(Vec::new(), 4096, 5, 22);
                encoder.write_all(text.as_bytes()).unwrap();
                encoder.into_inner()
            }
            _ => zstd::stream::encode_all(text.as_bytes(), 3).unwrap(),
        }
    }

    fn decoded(encoding: &str, bytes: &[u8], step: usize) -> Result<Vec<u8>, DecodeError> {
        let mut decoder = Decoder::for_encoding(Some(encoding)).unwrap().unwrap();
        let mut out = Vec::new();
        for chunk in bytes.chunks(step) {
            out.extend_from_slice(&decoder.push(Bytes::copy_from_slice(chunk))?);
        }
        out.extend_from_slice(&decoder.finish()?);
        Ok(out)
    }

    const KINDS: [(&str, &str); 5] = [
        ("gzip", "gzip"),
        ("zlib", "deflate"),
        ("raw", "deflate"),
        ("br", "br"),
        ("zstd", "zstd"),
    ];

    #[test]
    fn every_encoding_decodes_whatever_the_split() {
        for (kind, name) in KINDS {
            let bytes = encoded(kind);
            for step in [1, 2, 3, 7, 64, 100_000] {
                let out = decoded(name, &bytes, step).unwrap();
                assert_eq!(out, TEXT.repeat(200).as_bytes(), "{kind} by {step}");
            }
        }
    }

    #[test]
    fn an_answer_that_ends_early_is_corrupt() {
        for (kind, name) in KINDS {
            let bytes = encoded(kind);
            let cut = &bytes[..bytes.len() - bytes.len() / 3];
            assert!(decoded(name, cut, 64).is_err(), "{kind}");
        }
    }

    #[test]
    fn bytes_that_are_not_of_the_encoding_are_corrupt() {
        for (_, name) in KINDS {
            let out = decoded(name, TEXT.repeat(30).as_bytes(), 64);
            assert!(out.is_err(), "{name}");
        }
    }

    #[test]
    fn an_empty_body_is_empty_in_every_encoding() {
        for (_, name) in KINDS {
            assert!(decoded(name, b"", 1).unwrap().is_empty(), "{name}");
        }
    }

    #[test]
    fn stacked_encodings_are_undone_in_reverse() {
        let inner = encoded("gzip");
        let both = zstd::stream::encode_all(inner.as_slice(), 3).unwrap();
        let out = decoded("gzip, zstd", &both, 5).unwrap();
        assert_eq!(out, TEXT.repeat(200).as_bytes());
    }

    #[test]
    fn identity_needs_no_decoder_and_an_unknown_encoding_is_named_as_such() {
        assert!(Decoder::for_encoding(Some("identity")).unwrap().is_none());
        assert!(Decoder::for_encoding(None).unwrap().is_none());
        assert_eq!(
            Decoder::for_encoding(Some("gzip, compress")).unwrap_err(),
            UnknownEncoding
        );
    }

    #[test]
    fn a_bomb_is_refused_instead_of_filling_the_memory() {
        let zeros = vec![0_u8; MAX_OUTPUT * 2];
        let bomb = zstd::stream::encode_all(zeros.as_slice(), 3).unwrap();
        assert!(matches!(
            decoded("zstd", &bomb, bomb.len()),
            Err(DecodeError::TooLarge)
        ));
    }
}
