//! A request whose provider speaks another API than its client.
//!
//! Owns what is between the two: the request's translation, the policy on losses, and what the
//! answer's translation has to know.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use hermesllm::apis::{SupportedUpstreamAPIs as Api, WriteOptions};
use hermesllm::endpoint::Endpoint;
use hermesllm::error::{ApiError, ErrorCode};
use hermesllm::representation::Losses;
use hermesllm::request::ProviderRequest;
use hermesllm::transcoder::BodyKind;
use hermesllm::translate::{self, Partial, RequestOptions, TranslateError};
use meseta_config::{OnLoss, Target};

use crate::metrics::{LossLabels, Metrics};

/// How many places a header names.
const MOST_PLACES: usize = 5;
/// How much of a place is shown: names of members are the client's own.
const LONGEST_PLACE: usize = 120;

/// The way of an answer back to its client.
#[derive(Debug, Clone)]
pub(crate) struct Translation {
    /// The provider's API.
    pub(crate) provider: Api,
    /// The client's API.
    pub(crate) client: Api,
    /// A stream was asked for.
    stream: bool,
    /// The client is told what is lost.
    tells: bool,
    pub(crate) options: WriteOptions,
    /// The value of the header that names what was lost, if there is one to send.
    pub(crate) lost: Option<String>,
}

impl Translation {
    /// Whether a body of this type is a stream in the framing of the provider's API, where that has
    /// one of its own.
    pub(crate) fn is_stream(&self, content_type: Option<&str>) -> bool {
        is_own_stream(self.provider, self.stream, content_type)
    }

    /// Counts what was lost of an answer; what a header may say of it.
    pub(crate) fn lost_of_answer(&self, metrics: &Metrics, losses: &Losses) -> Option<String> {
        count(metrics, self.client, self.provider, losses);
        self.tells.then(|| named(losses)).flatten()
    }

    /// What the provider is to answer with.
    pub(crate) fn accept(&self) -> &'static str {
        match (self.stream, self.provider) {
            (false, _) => "application/json",
            (true, Api::BedrockConverse) => AWS_EVENTS,
            (true, _) => "text/event-stream",
        }
    }

    /// The type of a streamed answer to the client.
    pub(crate) fn stream_type(&self) -> &'static str {
        match self.client {
            Api::BedrockConverse => AWS_EVENTS,
            Api::Gemini if self.options.json_array => "application/json",
            _ => "text/event-stream",
        }
    }
}

/// The type of a stream in AWS's framing.
const AWS_EVENTS: &str = "application/vnd.amazon.eventstream";

/// Whether a body of this type is a stream in another framing than Server-Sent Events, as the API
/// has it.
pub(crate) fn is_own_stream(api: Api, asked: bool, content_type: Option<&str>) -> bool {
    match api {
        Api::BedrockConverse => content_type.is_some_and(|own| own.starts_with(AWS_EVENTS)),
        Api::Gemini => asked && BodyKind::of_content_type(content_type) == BodyKind::Json,
        _ => false,
    }
}

impl Translation {
    /// The way of a stream that comes in the client's own API and may have to be continued by another
    /// provider.
    pub(crate) fn of_same(api: Api, model: &str, request_id: Option<&str>, usage: bool) -> Self {
        Self {
            provider: api,
            client: api,
            stream: true,
            tells: false,
            options: write_options(model, request_id, usage),
            lost: None,
        }
    }
}

fn write_options(model: &str, request_id: Option<&str>, include_usage: bool) -> WriteOptions {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let id = request_id.unwrap_or_default().chars();
    WriteOptions {
        model: model.to_owned(),
        created: now.map_or(0, |since| since.as_secs()),
        id: id.filter(char::is_ascii_alphanumeric).collect(),
        include_usage,
        json_array: false,
        encoding: None,
    }
}

/// Translates a request to the API of `way`; of one whose answer has begun, so that the provider goes
/// on with it.
pub(crate) fn request(
    metrics: &Metrics,
    request_id: Option<&str>,
    request: &ProviderRequest,
    way: Endpoint,
    target: Target<'_>,
    partial: Option<&Partial>,
) -> Result<(Bytes, Translation), ApiError> {
    let (Some(client), Some(provider)) = (request.endpoint().api(), way.api()) else {
        return Err(no_way(target, request.endpoint()));
    };
    let entry = target.provider.entry();
    let options = RequestOptions {
        model: Some(target.model),
        stream: Some(request.stream()),
        ask_usage: entry.stream_usage,
        max_completion_tokens: entry.max_completion_tokens,
    };
    let body = request.body();
    let translated = match partial {
        None => translate::request(client, provider, body, &options),
        Some(partial) => {
            let to = (provider, entry.prefill);
            translate::continuation((client, body), partial, to, &options)
        }
    };
    let translated = translated.map_err(|error| refused(error, target, request.endpoint()))?;
    let losses = &translated.losses;
    count(metrics, client, provider, losses);
    let policy = target.provider.on_loss;
    if policy == OnLoss::Reject && !losses.is_empty() {
        let places = places(losses, usize::MAX).join(", ");
        let message = format!(
            "provider `{}` cannot take all of this request: {places}",
            target.provider.name
        );
        return Err(ApiError::new(ErrorCode::UnsupportedApi, message));
    }
    let tells = policy == OnLoss::Warn;
    let lost = tells.then(|| named(losses)).flatten();
    let mut options = write_options(target.model, request_id, request.include_usage());
    options.encoding = translated.encoding;
    Ok((
        translated.body.into(),
        Translation {
            provider,
            client,
            stream: request.stream(),
            tells,
            options,
            lost,
        },
    ))
}

fn count(metrics: &Metrics, client: Api, provider: Api, losses: &Losses) {
    for loss in losses.as_slice() {
        let labels = LossLabels {
            client: client.as_str().to_owned(),
            provider: provider.as_str().to_owned(),
            kind: loss.kind.as_str().to_owned(),
        };
        metrics.losses.get_or_create(&labels).inc();
    }
}

/// The first places of losses, if there are any.
fn named(losses: &Losses) -> Option<String> {
    let places = places(losses, MOST_PLACES);
    (!places.is_empty()).then(|| places.join(", "))
}

/// The places of losses as a header may carry them.
fn places(losses: &Losses, most: usize) -> Vec<String> {
    let mut places: Vec<String> = Vec::new();
    for loss in losses.as_slice() {
        let place: String = loss
            .path
            .chars()
            .map(|c| {
                if c.is_ascii_graphic() && c != ',' {
                    c
                } else {
                    '?'
                }
            })
            .take(LONGEST_PLACE)
            .collect();
        if !places.contains(&place) {
            places.push(place);
        }
        if places.len() == most {
            break;
        }
    }
    places
}

fn refused(error: TranslateError, target: Target<'_>, endpoint: Endpoint) -> ApiError {
    match error {
        TranslateError::NotJson => {
            ApiError::new(ErrorCode::InvalidJson, "the request is not valid JSON")
        }
        TranslateError::Read(error) => {
            let param = error.at.trim_start_matches('/').replace('/', ".");
            let message = format!("`{param}` {}", error.reason);
            ApiError::new(ErrorCode::InvalidRequest, message).with_param(param)
        }
        _ => no_way(target, endpoint),
    }
}

/// There is no way from the client's API to any of the provider's.
pub(crate) fn no_way(target: Target<'_>, endpoint: Endpoint) -> ApiError {
    ApiError::new(
        ErrorCode::UnsupportedApi,
        format!(
            "provider `{}` does not serve the {} API, and there is no translation to one that it serves",
            target.provider.name,
            endpoint.as_str()
        ),
    )
    .with_param("model")
}
