//! What errors may say. The status is the answer's own and the same in every API; what is compared
//! is the body.

use serde_json::{json, Value};

use super::probe::{feature, unreadable, Passage, Probe};
use super::{conversations, Direction, Group, Verdict};
use crate::apis::{ProviderError, SupportedUpstreamAPIs as Api};
use crate::representation::Losses;

/// Why what is told beside the message is left out.
const NO_PLACE: &str = "errors of the other API have no place for it; the message says it";

/// The group of features.
pub(super) fn group() -> Group {
    let apis = conversations();
    let features = PROBES.iter().map(|probe| feature(probe, &apis, &Errors));
    Group {
        title: "Errors",
        direction: Direction::ToClient,
        features: features.collect(),
        apis,
    }
}

const PROBES: &[Probe<ProviderError>] = &[
    Probe::new(
        "message",
        |_| failure(400),
        |error| error.message.clone().into(),
    ),
    Probe::new("kind of 400", |_| failure(400), kind),
    Probe::new("kind of 401", |_| failure(401), kind)
        // One word is for those who are unknown and those who may not.
        .implied_by(&[Api::BedrockConverse]),
    Probe::new("kind of 403", |_| failure(403), kind),
    Probe::new("kind of 404", |_| failure(404), kind),
    Probe::new("kind of 413", |_| failure(413), kind),
    Probe::new("kind of 429", |_| failure(429), kind),
    Probe::new("kind of 500", |_| failure(500), kind),
    Probe::new("kind of 503", |_| failure(503), kind),
    Probe::new("kind of 504", |_| failure(504), kind),
    Probe::new("kind of 529", |_| failure(529), kind),
    Probe::new(
        "code",
        |_| ProviderError {
            code: Some("context_length_exceeded".to_owned()),
            ..failure(400)
        },
        |error| error.code.clone().into(),
    ),
    Probe::new(
        "member at fault",
        |_| ProviderError {
            param: Some("messages".to_owned()),
            ..failure(400)
        },
        |error| error.param.clone().into(),
    ),
];

struct Errors;

impl Passage<ProviderError> for Errors {
    fn own(&self, api: Api, sample: ProviderError, _native: bool) -> Option<ProviderError> {
        let body = api.write_error(&sample)?;
        api.read_error(sample.status, &body)
    }

    fn other(
        &self,
        _from: Api,
        to: Api,
        own: ProviderError,
        losses: &mut Losses,
    ) -> Result<ProviderError, Verdict> {
        let body = to.write_error(&own).unwrap_or_default();
        let read = to.read_error(own.status, &body);
        let read = read.ok_or_else(|| unreadable(&"not an error"))?;
        let left_out =
            |before: &Option<String>, after: &Option<String>| before.is_some() && after.is_none();
        if left_out(&own.code, &read.code) || left_out(&own.param, &read.param) {
            losses.dropped("/error", NO_PLACE);
        }
        Ok(read)
    }
}

fn failure(status: u16) -> ProviderError {
    ProviderError {
        status,
        message: "the request failed".to_owned(),
        ..ProviderError::default()
    }
}

/// The status, and what the API's word for the kind of error says; where there is none, the status
/// says it.
fn kind(error: &ProviderError) -> Value {
    let word = error.kind.to_ascii_lowercase();
    let known = KINDS
        .iter()
        .find(|(words, _)| words.iter().any(|own| word.contains(own)));
    let kind = known.map_or_else(|| of_status(error.status), |(_, kind)| kind);
    json!([error.status, kind])
}

/// What the words of the APIs contain, and what they say.
const KINDS: &[(&[&str], &str)] = &[
    (&["authentic", "unrecognizedclient"], "credentials"),
    (&["permission", "accessdenied"], "permission"),
    (&["rate_limit", "exhausted", "throttling", "quota"], "rate"),
    (
        &[
            "invalid",
            "not_found",
            "notfound",
            "too_large",
            "validation",
        ],
        "request",
    ),
    (
        &[
            "server",
            "api_error",
            "internal",
            "unavailable",
            "overloaded",
            "timeout",
            "deadline",
        ],
        "service",
    ),
];

fn of_status(status: u16) -> &'static str {
    match status {
        401 => "credentials",
        403 => "permission",
        429 => "rate",
        400..=499 => "request",
        _ => "service",
    }
}
