//! What is measured.

use std::fmt;
use std::hint::black_box;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use hermesllm::apis::{SupportedUpstreamAPIs as Api, WriteOptions};
use hermesllm::endpoint::Endpoint;
use hermesllm::request::{ProviderRequest, RequestEdits};
use hermesllm::translate::{self, RequestOptions, StreamTranslator};
use serde::de::IgnoredAny;

use crate::bodies::{body, Size};
use crate::streams::{Piece, Stream};

/// The model that requests are sent to.
const MODEL: &str = "claude-sonnet-4-5";

/// The most bytes of an event.
const MAX_EVENT_BYTES: usize = 1 << 20;

/// Something to be done any number of times.
pub type Work = Box<dyn FnMut()>;

/// One thing to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Case {
    /// What is done.
    pub kind: Kind,
    /// The API of the data.
    pub from: Api,
    /// The API that they are to be in; of an edit the same.
    pub to: Api,
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Reading a body with `serde_json` and keeping nothing of it: the least that a check can cost.
    Ignored(Size),
    /// Reading a body, and setting the model in place.
    Identity(Size),
    /// Translating a request.
    Request(Size),
    /// Translating an event of a stream.
    Delta(Piece),
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, from, to } = self;
        match kind {
            Kind::Ignored(size) => write!(f, "ignored_any/{from}/{size}"),
            Kind::Identity(size) => write!(f, "identity/{from}/{size}"),
            Kind::Request(size) => write!(f, "request/{from}/{to}/{size}"),
            Kind::Delta(piece) => write!(f, "delta/{from}/{to}/{piece}"),
        }
    }
}

/// Every case, over every API that has a codec.
pub fn cases() -> Vec<Case> {
    let apis = || Api::ALL.into_iter().filter(|api| api.has_codec());
    let mut cases = Vec::new();
    for size in Size::ALL {
        for api in apis() {
            for kind in [Kind::Ignored(size), Kind::Identity(size)] {
                cases.push(Case {
                    kind,
                    from: api,
                    to: api,
                });
            }
        }
        // Each codec's reading and its writing; all pairs would say no more.
        for api in apis().filter(|api| *api != Api::OpenAiChat) {
            for (from, to) in [(Api::OpenAiChat, api), (api, Api::OpenAiChat)] {
                let kind = Kind::Request(size);
                cases.push(Case { kind, from, to });
            }
        }
    }
    for (from, to) in apis().flat_map(|from| apis().map(move |to| (from, to))) {
        let pieces = Piece::ALL.into_iter();
        let pieces = pieces.filter(|piece| from != to && Stream::of(from, *piece).is_some());
        cases.extend(pieces.map(|piece| Case {
            kind: Kind::Delta(piece),
            from,
            to,
        }));
    }
    cases
}

impl Case {
    /// How often the work is done for one figure: streams keep what they need for their ends, and
    /// make room for it now and then.
    pub fn runs(&self) -> u32 {
        match self.kind {
            Kind::Ignored(_) | Kind::Identity(_) | Kind::Request(_) => 1,
            Kind::Delta(_) => 64,
        }
    }

    /// The work, with all that has to be there before it.
    ///
    /// # Errors
    /// When the case does not do what it is for.
    pub fn prepare(&self) -> Result<Work> {
        let Self { kind, from, to } = *self;
        match kind {
            Kind::Ignored(size) => ignored(body(from, size)?),
            Kind::Identity(size) => identity(from, body(from, size)?),
            Kind::Request(size) => request(from, to, body(from, size)?),
            Kind::Delta(piece) => delta(from, to, piece),
        }
        .with_context(|| self.to_string())
    }
}

fn ignored(body: Bytes) -> Result<Work> {
    serde_json::from_slice::<IgnoredAny>(&body)?;
    Ok(Box::new(move || {
        let _ = black_box(serde_json::from_slice::<IgnoredAny>(black_box(&body)));
    }))
}

fn identity(api: Api, body: Bytes) -> Result<Work> {
    let mut endpoints = Endpoint::ALL.into_iter();
    let endpoint = endpoints.find(|endpoint| endpoint.api() == Some(api));
    let endpoint = endpoint.context("no endpoint takes this API")?;
    let edits = RequestEdits {
        model: Some(MODEL),
        ask_usage: true,
    };
    ProviderRequest::parse(endpoint, body.clone())?;
    Ok(Box::new(move || {
        if let Ok(request) = ProviderRequest::parse(endpoint, black_box(&body).clone()) {
            black_box(request.edit(&edits).into_segments());
        }
    }))
}

fn request(from: Api, to: Api, body: Bytes) -> Result<Work> {
    let options = RequestOptions {
        model: Some(MODEL),
        ..RequestOptions::default()
    };
    translate::request(from, to, &body, &options)?;
    Ok(Box::new(move || {
        let _ = black_box(translate::request(from, to, black_box(&body), &options));
    }))
}

fn delta(from: Api, to: Api, piece: Piece) -> Result<Work> {
    let stream = Stream::of(from, piece).context("there is no such stream")?;
    let options = WriteOptions {
        model: MODEL.to_owned(),
        created: 1_756_757_587,
        id: "msg_01P7NAsTqQmLkjF9FskLxA2R".to_owned(),
        include_usage: true,
        ..WriteOptions::default()
    };
    let translator = StreamTranslator::new(from, to, options, MAX_EVENT_BYTES);
    let mut translator = translator.context("there is no such way")?;
    translator.push(&stream.before, &mut Vec::new());
    Ok(Box::new(move || {
        let mut out = Vec::new();
        translator.push(black_box(&stream.event), &mut out);
        black_box(out);
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_has_a_name_of_its_own_and_can_be_run() {
        let mut names: Vec<_> = cases().iter().map(ToString::to_string).collect();
        for case in cases() {
            case.prepare().unwrap()();
        }
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
