//! The beginning of an answer: what its headers say of it, and how its body will pass.

use std::time::Instant;

use hermesllm::apis::SupportedUpstreamAPIs as Api;
use hermesllm::endpoint::Endpoint;
use hermesllm::error::{ApiError, ErrorCode};
use hermesllm::transcoder::{BodyKind, Transcoder, TranscoderOptions};
use hermesllm::translate::{Observer, StreamTranslator};
use meseta_proto::headers;

use super::held::Headers;
use super::passage::{Document, Passage};
use super::Answering;
use crate::cors;
use crate::decode::Decoder;
use crate::exchange::onward::Forwarded;
use crate::exchange::translation::{self, Translation};
use crate::exchange::{metering, reply, Context, Sink};
use crate::head::ResponseHead;
use crate::outcome::Source;
use crate::wire::{self, HeaderEdits};

/// What Envoy calls an answer that came from upstream.
const VIA_UPSTREAM: &str = "via_upstream";

/// Who gave an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The provider.
    Provider,
    /// Envoy itself or another filter of its chain, with its own word for why.
    Envoy(Option<String>),
}

impl Origin {
    /// By Envoy's details of the answer's status.
    pub(crate) fn of_details(details: Option<String>) -> Self {
        match details {
            Some(details) if details != VIA_UPSTREAM => Self::Envoy(Some(details)),
            _ => Self::Provider,
        }
    }
}

impl Answering {
    /// Passes the headers on of an answer that Envoy streams to us. `None`: there is no body, the
    /// answer is over.
    pub(crate) fn begin(
        context: &mut Context,
        forwarded: Forwarded,
        head: ResponseHead,
        origin: Origin,
    ) -> Option<Self> {
        let has_no_body = head.end_of_stream;
        let translation = forwarded.translation.as_deref();
        if let (Some(translation), true, Origin::Provider) = (translation, has_no_body, &origin) {
            let body = nothing(translation, head.status);
            context.outcome.answer.status = head.status;
            reply::replace(context, &forwarded.client, head.status, body);
            return None;
        }
        let answering = Self::open(&mut context.sink(), forwarded, head, origin);
        (!has_no_body).then_some(answering)
    }

    /// Passes the headers on.
    pub(crate) fn open(
        sink: &mut Sink<'_>,
        forwarded: Forwarded,
        head: ResponseHead,
        origin: Origin,
    ) -> Self {
        let Forwarded {
            client,
            model,
            api,
            resumable,
            strip_usage,
            estimated_input,
            translation,
        } = forwarded;
        let from_provider = !model.is_empty() && origin == Origin::Provider;
        let account = &mut *sink.account;
        account.status = head.status;
        account.source = if from_provider {
            Source::Provider
        } else {
            account.error = Some(match head.is_of_meter {
                true => ErrorCode::RateLimited.reason(),
                false => "envoy_local_reply",
            });
            if let Origin::Envoy(details) = origin {
                account.code_details = details;
            }
            Source::Envoy
        };

        let mut edits = HeaderEdits::default();
        for name in &head.internal {
            edits.remove(name);
        }
        if from_provider && model.bytes().all(|byte| byte.is_ascii_graphic()) {
            edits.set(headers::MODEL, &model);
        }
        if sink.is_metered && from_provider {
            tell_limits(&head, sink.limits, &mut edits);
        }
        if from_provider && sink.account.attempts > 0 {
            edits.set(headers::ATTEMPTS, sink.account.attempts.to_string());
        }
        if let Some(request_id) = &client.request_id {
            // The provider's own, by which its support finds a request, stays where there is one.
            edits.set_if_absent("x-request-id", request_id);
        }
        if let Some(origin) = &client.origin {
            cors::allow(&mut edits, origin);
        }

        let (decoder, readable) = match Decoder::for_encoding(head.content_encoding.as_deref()) {
            Ok(decoder) => (decoder, true),
            Err(_) => (None, false),
        };
        let content_type = head.content_type.as_deref();
        let kind = if from_provider && readable {
            match translation.as_deref() {
                Some(translation) if translation.is_stream(content_type) => BodyKind::EventStream,
                _ => BodyKind::of_content_type(content_type),
            }
        } else {
            BodyKind::Opaque
        };
        // What Envoy answers is in the client's API already.
        let translation = translation.filter(|_| from_provider);
        // What passes in this API has identifiers that no other provider may speak of.
        let is_bound = translation.is_none() && api == Some(Api::OpenAiResponses);
        let resumable = resumable && (200..300).contains(&head.status) && !is_bound;
        let is_stream = kind == BodyKind::EventStream
            || api.is_some_and(|api| {
                api == Api::BedrockConverse && translation::is_own_stream(api, true, content_type)
            });
        let same = || {
            let request_id = client.request_id.as_deref();
            Some(Translation::of_same(api?, &model, request_id, !strip_usage))
        };
        let kind = match resumable && is_stream {
            true => BodyKind::EventStream,
            false => kind,
        };
        let translation = match translation {
            None if resumable && is_stream && readable => same().map(Box::new),
            translation => translation,
        };
        let estimated_input = if from_provider { estimated_input } else { 0 };
        let most_bytes = sink.config.server.max_event_bytes;
        let stream_type = translation
            .as_ref()
            .map_or("", |translation| translation.stream_type());
        let passage = match translation {
            Some(translation) => {
                if let Some(lost) = &translation.lost {
                    edits.set(headers::LOSS, lost);
                }
                let passage =
                    translated(*translation, kind, head.status, most_bytes, estimated_input);
                match resumable {
                    true => passage.resumable(),
                    false => passage,
                }
            }
            None => match observer(
                client.endpoint,
                kind,
                &head,
                from_provider && readable,
                most_bytes,
            ) {
                Some(observer) => Passage::Observed {
                    observer: Box::new(observer),
                    estimated_input,
                },
                None => Passage::Identity(Transcoder::identity(TranscoderOptions {
                    endpoint: client.endpoint,
                    kind,
                    status: head.status,
                    strip_usage_chunk: strip_usage && kind == BodyKind::EventStream,
                    estimated_input,
                    max_event_bytes: most_bytes,
                })),
            },
        };
        if decoder.is_some() {
            edits.remove("content-encoding");
        }
        // Said either way: what Envoy does with a length that nobody touches is not the same in all cases.
        match head.content_length {
            Some(length) if decoder.is_none() && !passage.may_change(kind) => {
                edits.set("content-length", length.to_string());
            }
            Some(_) => {
                edits.remove("content-length");
            }
            None => {}
        }
        match &passage {
            Passage::Identity(_) | Passage::Observed { .. } => {}
            Passage::Events { .. } => {
                edits.set("content-type", stream_type);
            }
            Passage::Document(_) => {
                edits.set("content-type", "application/json");
            }
        }

        let mut answering = Self {
            endpoint: client.endpoint,
            dialect: client.dialect,
            kind,
            passage,
            held: None,
            decoder,
            resumable,
            untold: false,
            published_events: 0,
            published_at: Instant::now(),
        };
        let message = Headers {
            status: head.status,
            replaced: false,
            own: head.own,
            edits,
        };
        if matches!(answering.passage, Passage::Document(_)) {
            // Status and length are known when it is translated.
            answering.held = Some(message);
            return answering;
        }
        let usage = answering.usage(sink, head.end_of_stream);
        message.send(sink, Some(wire::usage_metadata(&usage)), head.end_of_stream);
        answering
    }
}

/// Tells a client of its limits, and of the provider's under another name.
fn tell_limits(head: &ResponseHead, own: &[(&'static str, String)], edits: &mut HeaderEdits) {
    for (name, value) in &head.limits {
        edits.remove(name);
        edits.set(&format!("{}{name}", headers::UPSTREAM), value);
    }
    let of_filter = head.standing.as_deref().map(metering::told);
    for (name, value) in of_filter.as_deref().unwrap_or(own) {
        edits.set(name, value);
    }
}

/// What reads an answer that passes as it is, where its API's streams are not always Server-Sent
/// Events.
fn observer(
    endpoint: Endpoint,
    kind: BodyKind,
    head: &ResponseHead,
    readable: bool,
    most_bytes: usize,
) -> Option<Observer> {
    let asked = endpoint.stream_by_path()?;
    let api = endpoint.api()?;
    let succeeded = (200..300).contains(&head.status);
    let is_stream = kind == BodyKind::EventStream
        || translation::is_own_stream(api, asked, head.content_type.as_deref());
    Some(if !readable {
        Observer::of_nothing(api)
    } else if !succeeded {
        Observer::of_error(api)
    } else if is_stream {
        Observer::of_stream(api, most_bytes)
    } else if kind == BodyKind::Json {
        Observer::of_document(api, most_bytes)
    } else {
        Observer::of_nothing(api)
    })
}

/// How an answer of another API gets to the client.
fn translated(
    translation: Translation,
    kind: BodyKind,
    status: u16,
    most_bytes: usize,
    estimated_input: u64,
) -> Passage {
    if kind == BodyKind::EventStream && (200..300).contains(&status) {
        let options = translation.options.clone();
        let (from, to) = (translation.provider, translation.client);
        if let Some(translator) = StreamTranslator::new(from, to, options, most_bytes) {
            return Passage::Events {
                translator: Box::new(translator),
                translation: Box::new(translation),
                estimated_input,
            };
        }
    }
    let document = Document::new(translation, status, most_bytes, estimated_input);
    Passage::Document(Box::new(document))
}

/// What to say where the provider has said nothing: an error of its own without a body, or none at
/// all where an answer should be.
fn nothing(translation: &Translation, status: u16) -> Result<Vec<u8>, ApiError> {
    let mut document = Document::new(translation.clone(), status, 0, 0);
    document.translate()
}
