//! A request body: read once, edited without touching any other byte.
//!
//! Owns the client's bytes from parse to the way upstream. One pass over the body validates the
//! whole document, finds the few members that routing needs and remembers where they stand. An
//! edit then replaces just those spans: what is unknown, oddly spaced, duplicated or out of order
//! goes on as it came.
//!
//! Must never build a tree of the body, reject a member it does not know, or show a piece of the
//! body in an error message or in `Debug` output.
//!
//! Invariants: an edit that changes nothing returns the very bytes that came in; after an edit
//! every occurrence of an edited key says the same, so that no reader of a duplicated key can see
//! another value than we decided on.

mod edit;
mod media;
mod scan;
mod walk;

use std::fmt;
use std::ops::Range;

use bytes::Bytes;

pub use edit::{EditedBody, RequestEdits};

use crate::endpoint::Endpoint;
use crate::error::ApiError;

/// The longest model name, in bytes. Names travel into metadata, logs and error messages, which a
/// client must not be able to fill at will.
pub const MAX_MODEL_BYTES: usize = 1024;

/// Where something stands in the body, in bytes.
pub(crate) type Span = Range<usize>;

/// A client's request to a provider.
pub struct ProviderRequest {
    endpoint: Endpoint,
    body: Bytes,
    found: Found,
    /// Where the path names the model and not the body ([`Endpoint::stream_by_path`]).
    path_model: Option<String>,
}

/// What one pass over the body finds.
#[derive(Default)]
pub(crate) struct Found {
    /// Right behind the opening brace.
    open: usize,
    /// Whether the object has no members.
    empty: bool,
    /// Every value of `model`, with what it says.
    models: Vec<(Span, Option<String>)>,
    /// The end of the last value of `stream`, and whether it is `true`.
    stream: Option<(usize, bool)>,
    /// Every value of `stream_options`.
    stream_options: Vec<StreamOptions>,
    /// The limits on the answer's length: by the newer name, by the older one.
    max_output: (Option<u64>, Option<u64>),
    /// The values that hold the prompt.
    prompt: Vec<Span>,
}

/// One value of `stream_options`.
pub(crate) enum StreamOptions {
    /// `null`, at this place.
    Null(Span),
    /// An object.
    Object {
        /// Right behind the opening brace.
        open: usize,
        /// Whether the object has no members.
        empty: bool,
        /// Every value of `include_usage`, and whether it is `true`.
        include_usage: Vec<(Span, bool)>,
    },
    /// Something that no provider takes; it is theirs to say so.
    Other,
}

impl ProviderRequest {
    /// Reads a request body.
    ///
    /// # Errors
    /// [`InvalidJson`](crate::error::ErrorCode::InvalidJson) when the body is not one JSON document
    /// in UTF-8 without a byte order mark;
    /// [`InvalidRequest`](crate::error::ErrorCode::InvalidRequest) when it is no object, or when
    /// `model` is neither a string of at most [`MAX_MODEL_BYTES`] nor `null`.
    pub fn parse(endpoint: Endpoint, body: Bytes) -> Result<Self, ApiError> {
        let found = scan::scan(&body)?;
        Ok(Self {
            endpoint,
            body,
            found,
            path_model: None,
        })
    }

    /// Takes note of the model that the path names. It counts where the body's does not:
    /// [`Endpoint::stream_by_path`].
    ///
    /// # Errors
    /// [`InvalidRequest`](crate::error::ErrorCode::InvalidRequest) when it is longer than
    /// [`MAX_MODEL_BYTES`].
    pub fn with_path_model(mut self, model: &str) -> Result<Self, ApiError> {
        if model.len() > MAX_MODEL_BYTES {
            return Err(scan::model_too_long());
        }
        self.path_model = Some(model.to_owned());
        Ok(self)
    }

    /// The body as it came in.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The endpoint that the request was made to.
    pub fn endpoint(&self) -> Endpoint {
        self.endpoint
    }

    /// The model that the client names; an empty name and `null` count as none. Of a duplicated
    /// key the last value counts.
    pub fn model(&self) -> Option<&str> {
        if self.endpoint.stream_by_path().is_some() {
            return self.path_model.as_deref();
        }
        let (_, model) = self.found.models.last()?;
        model.as_deref().filter(|model| !model.is_empty())
    }

    /// Whether the client wants the answer as a stream.
    pub fn stream(&self) -> bool {
        let by_body = || matches!(self.found.stream, Some((_, true)));
        self.endpoint.stream_by_path().unwrap_or_else(by_body)
    }

    /// Whether the client asked for the usage at the end of the stream
    /// (`stream_options.include_usage`).
    pub fn include_usage(&self) -> bool {
        match self.found.stream_options.last() {
            Some(StreamOptions::Object { include_usage, .. }) => {
                matches!(include_usage.last(), Some((_, true)))
            }
            _ => false,
        }
    }

    /// The most tokens that the client lets the answer have.
    pub fn max_output_tokens(&self) -> Option<u64> {
        let (newer, older) = self.found.max_output;
        newer.or(older)
    }

    /// The length of the body, in bytes.
    pub fn body_len(&self) -> usize {
        self.body.len()
    }

    /// The length of what the model is to read, in bytes of JSON: messages, input, prompt, system
    /// text and tools, less the media that is embedded as base64. Good for an estimate of tokens,
    /// no more.
    pub fn prompt_bytes(&self) -> usize {
        let bytes_of = |span: &Span| {
            let value = self.body.get(span.clone()).unwrap_or_default();
            value.len().saturating_sub(media::bytes(value))
        };
        self.found.prompt.iter().map(bytes_of).sum()
    }

    /// The body as it goes upstream.
    ///
    /// Changes nothing but the value of the top-level `model` (each one if it is duplicated; one
    /// is added where there is none; none is touched where the path names it) and, if usage is to be asked for, the request streams, and
    /// the endpoint knows the option, `stream_options.include_usage`.
    pub fn edit(&self, edits: &RequestEdits<'_>) -> EditedBody {
        edit::apply(self.endpoint, &self.body, &self.found, edits)
    }
}

impl fmt::Debug for ProviderRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderRequest")
            .field("endpoint", &self.endpoint)
            .field("body_len", &self.body.len())
            .field("stream", &self.stream())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
