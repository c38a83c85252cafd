//! How an answer's body gets to the client: as it is, or in the client's own API.

use bytes::Bytes;
use hermesllm::apis::SupportedUpstreamAPIs as Api;
use hermesllm::error::{ApiError, ErrorCode};
use hermesllm::representation::{Losses, TokenUsage};
use hermesllm::transcoder::{BodyKind, Ending, Progress, Transcoder};
use hermesllm::translate::{
    self, Observed, Observer, Partial, StreamEnd, StreamTranslator, TranslateError,
};
use hermesllm::usage::Usage;

use crate::exchange::translation::Translation;
use crate::exchange::Sink;

/// A body on its way.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "one for each exchange, inside a box already; the largest is the common one"
)]
pub(super) enum Passage {
    /// Byte by byte.
    Identity(Transcoder),
    /// Byte by byte, in a framing that the transcoder does not read.
    Observed {
        observer: Box<Observer>,
        estimated_input: u64,
    },
    /// Event by event.
    Events {
        translator: Box<StreamTranslator>,
        translation: Box<Translation>,
        estimated_input: u64,
    },
    /// As a whole, once it is there.
    Document(Box<Document>),
}

/// An answer that is one document in another API.
#[derive(Debug)]
pub(super) struct Document {
    translation: Translation,
    status: u16,
    most_bytes: usize,
    body: Vec<u8>,
    too_large: bool,
    observed: Observed,
    /// The status of the error that came as a success.
    error_status: Option<u16>,
    losses: Losses,
    estimated_input: u64,
}

impl Document {
    pub(super) fn new(
        translation: Translation,
        status: u16,
        most_bytes: usize,
        estimated_input: u64,
    ) -> Self {
        Self {
            translation,
            status,
            most_bytes,
            body: Vec::new(),
            too_large: false,
            observed: Observed::default(),
            error_status: None,
            losses: Losses::new(),
            estimated_input,
        }
    }

    /// The API that it is in.
    pub(super) fn provider(&self) -> Api {
        self.translation.provider
    }

    /// What was lost of the document; what a header may say of it.
    pub(super) fn lost(&self, sink: &Sink<'_>) -> Option<String> {
        self.translation.lost_of_answer(sink.metrics, &self.losses)
    }

    /// The status to answer with in place of the provider's, once the document is translated: of an
    /// error that came as a success.
    pub(super) fn error_status(&self) -> Option<u16> {
        let succeeded = (200..300).contains(&self.status);
        self.error_status.filter(|_| succeeded)
    }

    fn push(&mut self, chunk: &[u8]) {
        self.too_large |= self.body.len().saturating_add(chunk.len()) > self.most_bytes;
        if !self.too_large {
            self.body.extend_from_slice(chunk);
        }
    }

    /// The document in the client's API.
    pub(super) fn translate(&mut self) -> Result<Vec<u8>, ApiError> {
        let body = std::mem::take(&mut self.body);
        if self.too_large {
            let message = format!(
                "the provider's answer is larger than {} bytes",
                self.most_bytes
            );
            return Err(ApiError::new(ErrorCode::UpstreamProtocol, message));
        }
        let Translation {
            provider,
            client,
            options,
            ..
        } = &self.translation;
        let translated = translate::response(*provider, *client, self.status, &body, options);
        match translated {
            Ok(translated) => {
                self.observed = translated.observed;
                self.error_status = translated.error_status;
                self.losses = translated.losses;
                Ok(translated.body)
            }
            Err(error) => {
                self.observed.error = true;
                Err(ApiError::new(
                    ErrorCode::UpstreamProtocol,
                    unreadable(&error),
                ))
            }
        }
    }
}

fn unreadable(error: &TranslateError) -> &'static str {
    match error {
        TranslateError::NotJson => "the provider's answer is not JSON",
        _ => "the provider's answer is not what its API prescribes",
    }
}

impl Passage {
    /// Whether a body may have another length than the provider says.
    pub(super) fn may_change(&self, kind: BodyKind) -> bool {
        match self {
            Self::Identity(_) => kind == BodyKind::EventStream,
            Self::Observed { observer, .. } => observer.is_of_stream(),
            Self::Events { .. } | Self::Document(_) => true,
        }
    }

    /// Keeps account of a stream, so that another provider can go on with it.
    pub(super) fn resumable(self) -> Self {
        match self {
            Self::Events {
                translator,
                translation,
                estimated_input,
            } => Self::Events {
                translator: Box::new(translator.resumable()),
                translation,
                estimated_input,
            },
            other => other,
        }
    }

    /// Takes the next bytes from the provider.
    pub(super) fn push(&mut self, chunk: Bytes, out: &mut Vec<Bytes>) {
        match self {
            Self::Identity(transcoder) => transcoder.push(chunk, out),
            Self::Observed { observer, .. } => {
                observer.push(&chunk);
                out.push(chunk);
            }
            Self::Events { translator, .. } => {
                let mut bytes = Vec::new();
                translator.push(&chunk, &mut bytes);
                out.push(bytes.into());
            }
            Self::Document(document) => document.push(&chunk),
        }
    }

    /// Takes note of the end of a stream that another provider may continue: the client is not told if
    /// it was cut.
    pub(super) fn close(&mut self, out: &mut Vec<Bytes>) -> Ending {
        let Self::Events { translator, .. } = self else {
            return self.finish(out);
        };
        let mut bytes = Vec::new();
        let complete = translator.close(&mut bytes);
        out.push(bytes.into());
        match complete {
            true => Ending::Complete,
            false => Ending::Truncated,
        }
    }

    /// What the client has got of a stream that another provider can continue.
    pub(super) fn partial(&self) -> Option<&Partial> {
        match self {
            Self::Events { translator, .. } => translator.partial(),
            _ => None,
        }
    }

    /// Whether the provider has told an error of which the client has not been told.
    pub(super) fn is_broken(&self) -> bool {
        matches!(self, Self::Events { translator, .. } if translator.is_broken())
    }

    /// Goes on with another provider's stream; `false` where it cannot.
    pub(super) fn resume(&mut self, from: Api, out: &mut Vec<Bytes>) -> bool {
        let usage = self.progress().usage;
        let Self::Events {
            translator,
            translation,
            ..
        } = self
        else {
            return false;
        };
        let estimated = TokenUsage {
            input: Some(usage.input),
            output: Some(usage.output),
            ..TokenUsage::default()
        };
        let mut bytes = Vec::new();
        if !translator.resume(from, &estimated, &mut bytes) {
            return false;
        }
        translation.provider = from;
        out.push(bytes.into());
        true
    }

    /// Takes note of the end of the body. A document is translated by its owner, who knows the
    /// status to answer with.
    pub(super) fn finish(&mut self, out: &mut Vec<Bytes>) -> Ending {
        match self {
            Self::Identity(transcoder) => transcoder.finish(out),
            Self::Observed { observer, .. } => {
                let mut bytes = Vec::new();
                let end = observer.finish(&mut bytes);
                out.push(bytes.into());
                ending(end)
            }
            Self::Events { translator, .. } => {
                let mut bytes = Vec::new();
                let end = translator.finish(&mut bytes);
                out.push(bytes.into());
                ending(end)
            }
            Self::Document(_) => Ending::Complete,
        }
    }

    /// Counts what was lost of a stream that has ended.
    pub(super) fn count_losses(&self, sink: &Sink<'_>) {
        if let Self::Events {
            translator,
            translation,
            ..
        } = self
        {
            // Its headers have gone long ago.
            let _ = translation.lost_of_answer(sink.metrics, translator.losses());
        }
    }

    /// What has been learnt so far.
    pub(super) fn progress(&self) -> Progress<'_> {
        match self {
            Self::Identity(transcoder) => transcoder.progress(),
            Self::Observed {
                observer,
                estimated_input,
            } => progress(observer.observed(), *estimated_input),
            Self::Events {
                translator,
                estimated_input,
                ..
            } => progress(translator.observed(), *estimated_input),
            Self::Document(document) => progress(&document.observed, document.estimated_input),
        }
    }
}

fn ending(end: StreamEnd) -> Ending {
    match end {
        StreamEnd::Complete => Ending::Complete,
        StreamEnd::Truncated => Ending::Truncated,
    }
}

fn progress(observed: &Observed, estimated_input: u64) -> Progress<'_> {
    let (usage, estimated) = usage(observed, estimated_input);
    Progress {
        usage,
        estimated,
        events: observed.events,
        content_started: observed.content_started,
        model: observed.model.as_deref(),
        response_id: observed.id.as_deref(),
        finish_reason: observed.finish_reason.as_deref(),
        error: observed.error,
    }
}

/// The figures that are reported, and estimates for those that are not, as the identity has them.
fn usage(observed: &Observed, estimated_input: u64) -> (Usage, bool) {
    let reported = observed.usage.clone().unwrap_or_default();
    if observed.error && observed.usage.is_none() && !observed.content_started {
        return (Usage::default(), false);
    }
    let usage = Usage {
        input: reported.input.unwrap_or(estimated_input),
        output: reported
            .output
            .unwrap_or_else(|| observed.content_bytes.div_ceil(4)),
        cached: reported.cached.unwrap_or(0),
        cache_write: reported.cache_write.unwrap_or(0),
        reasoning: reported.reasoning.unwrap_or(0),
    };
    let estimated = reported.input.is_none() || reported.output.is_none();
    (usage, estimated)
}
