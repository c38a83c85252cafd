//! Requests and answers that are one JSON document, from one API to another.

use serde_json::Value;

use crate::apis::embeddings::{self, Encoding};
use crate::apis::{ProviderError, ReadError, SupportedUpstreamAPIs as Api, WriteOptions};
use crate::representation::{Losses, Request};

use super::{signatures, Observed};

/// What a translation gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Translated {
    /// The document in the other API.
    pub body: Vec<u8>,
    /// What was lost on the way.
    pub losses: Losses,
    /// What has been learnt of an answer; nothing of a request.
    pub observed: Observed,
    /// The status of an error, be it that the answer came with another one.
    pub error_status: Option<u16>,
    /// How the client of a request wants embeddings written, for
    /// [`WriteOptions::encoding`] of the answer.
    pub encoding: Option<Encoding>,
}

/// Why there is no translation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TranslateError {
    /// The document is no JSON.
    #[error("the document is not JSON")]
    NotJson,
    /// The document is not what its API prescribes.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The answer that has begun cannot be continued there.
    #[error("an answer that has begun cannot be continued by this provider in {to}")]
    NotContinued {
        /// The API that the provider would be asked in.
        to: Api,
    },
    /// One of the APIs is about something else than the other.
    #[error("there is no way from {from} to {to}")]
    NoWay {
        /// The API of the document.
        from: Api,
        /// The API that it should be in.
        to: Api,
    },
}

/// What the target of a request has to say.
#[derive(Debug, Clone, Default)]
pub struct RequestOptions<'a> {
    /// The model, as the target knows it; without one, the request's own.
    pub model: Option<&'a str>,
    /// Whether the answer is to be streamed; without it, as the request says. For APIs that have it
    /// in the path on either side.
    pub stream: Option<bool>,
    /// Ask for usage at the end of a stream, whatever the request says.
    pub ask_usage: bool,
    /// Chat completions name the answer's limit `max_completion_tokens`: OpenAI's newer models refuse
    /// `max_tokens`, and many others know nothing else.
    pub max_completion_tokens: bool,
}

/// Whether there is a translation between two APIs.
pub fn is_way(from: Api, to: Api) -> bool {
    (from.has_codec() && to.has_codec()) || (from.is_of_embeddings() && to.is_of_embeddings())
}

/// Translates a request.
///
/// # Errors
/// [`TranslateError`]: a body that cannot be read, or APIs that have nothing in common.
pub fn request(
    from: Api,
    to: Api,
    body: &[u8],
    options: &RequestOptions<'_>,
) -> Result<Translated, TranslateError> {
    let body: Value = serde_json::from_slice(body).map_err(|_| TranslateError::NotJson)?;
    let no_way = TranslateError::NoWay { from, to };
    let mut losses = Losses::new();
    if is_way(from, to) && from.is_of_embeddings() {
        let encoding = embeddings::request::encoding(from, &body);
        let value = embeddings::request::translate(from, to, body, options.model, &mut losses)?;
        return Ok(Translated {
            body: bytes(&value),
            losses,
            observed: Observed::default(),
            error_status: None,
            encoding,
        });
    }
    let request = from.read_request(body).ok_or(no_way.clone())??;
    let value = written(request, from, to, options, &mut losses).ok_or(no_way)?;
    Ok(translated(&value, losses))
}

/// Writes a request for its provider; `None` where the API has no codec.
pub(super) fn written(
    mut request: Request,
    from: Api,
    to: Api,
    options: &RequestOptions<'_>,
    losses: &mut Losses,
) -> Option<Value> {
    if let Some(model) = options.model {
        model.clone_into(&mut request.model);
    }
    request.stream = options.stream.unwrap_or(request.stream);
    if options.ask_usage && request.stream {
        request.include_usage = Some(true);
    }
    signatures::in_request(&mut request, from, to, losses);
    let mut value = to.write_request(request, losses)?;
    if options.max_completion_tokens && to == Api::OpenAiChat {
        if let Some(body) = value.as_object_mut() {
            if let Some(most) = body.shift_remove("max_tokens") {
                body.insert("max_completion_tokens".to_owned(), most);
            }
        }
    }
    Some(value)
}

/// A request that has been written.
pub(super) fn translated(value: &Value, losses: Losses) -> Translated {
    Translated {
        body: bytes(value),
        losses,
        observed: Observed::default(),
        error_status: None,
        encoding: None,
    }
}

/// Translates an answer: from the provider's API to the client's. An answer whose status is no
/// success is an error body.
///
/// # Errors
/// [`TranslateError`]: a body that cannot be read, or APIs that have nothing in common.
pub fn response(
    from: Api,
    to: Api,
    status: u16,
    body: &[u8],
    options: &WriteOptions,
) -> Result<Translated, TranslateError> {
    if !(200..300).contains(&status) {
        return error(from, to, status, body);
    }
    let body: Value = serde_json::from_slice(body).map_err(|_| TranslateError::NotJson)?;
    let no_way = TranslateError::NoWay { from, to };
    // Some providers answer errors with 200.
    if let Some(mut found) = from.read_error(status, &body) {
        if found.status < 400 {
            found.status = status_of(&found);
        }
        return failed(to, &found).ok_or(no_way);
    }
    let mut losses = Losses::new();
    if is_way(from, to) && from.is_of_embeddings() {
        let answer = embeddings::response::read(from, body)?;
        let observed = Observed::of_embeddings(&answer);
        let (model, encoding) = (options.model.as_str(), options.encoding);
        let value = embeddings::response::deliver(answer, to, Some(model), encoding, &mut losses)?;
        return Ok(Translated {
            body: bytes(&value),
            losses,
            observed,
            error_status: None,
            encoding: None,
        });
    }
    let mut answer = from.read_response(body).ok_or(no_way.clone())??;
    if answer.model.is_empty() {
        answer.model.clone_from(&options.model);
    }
    if answer.id.is_empty() {
        answer.id.clone_from(&options.id);
    }
    answer.created.get_or_insert(options.created);
    let observed = Observed::of_answer(&answer);
    signatures::in_answer(&mut answer, from, to);
    let value = to.write_response(answer, &mut losses).ok_or(no_way)?;
    Ok(Translated {
        body: bytes(&value),
        losses,
        observed,
        error_status: None,
        encoding: None,
    })
}

/// The status that an error would have had, going by its words; some APIs repeat it in the body.
fn status_of(error: &ProviderError) -> u16 {
    const WORDS: [(&str, u16); 14] = [
        ("rate_limit", 429),
        ("throttl", 429),
        ("exhausted", 429),
        ("quota", 429),
        ("authentication", 401),
        ("unauthenticated", 401),
        ("permission", 403),
        ("denied", 403),
        ("not_found", 404),
        ("invalid", 400),
        ("validation", 400),
        ("overloaded", 503),
        ("unavailable", 503),
        ("timeout", 504),
    ];
    let code = error.code.as_deref().unwrap_or_default();
    let told = format!("{} {code}", error.kind).to_ascii_lowercase();
    let known = WORDS.iter().find(|(word, _)| told.contains(word));
    known.map_or(500, |(_, status)| *status)
}

/// Translates an error body; one that is not understood keeps its status alone.
fn error(from: Api, to: Api, status: u16, body: &[u8]) -> Result<Translated, TranslateError> {
    let value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let found = from
        .read_error(status, &value)
        .unwrap_or_else(|| ProviderError {
            status,
            message: format!("the provider answered with status {status}"),
            ..ProviderError::default()
        });
    failed(to, &found).ok_or(TranslateError::NoWay { from, to })
}

fn failed(to: Api, error: &ProviderError) -> Option<Translated> {
    Some(Translated {
        body: bytes(&to.write_error(error)?),
        losses: Losses::new(),
        observed: Observed {
            error: true,
            ..Observed::default()
        },
        error_status: Some(error.status),
        encoding: None,
    })
}

fn bytes(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_has_the_name_that_the_provider_takes() {
        let body =
            br#"{"model": "m", "max_tokens": 7, "messages": [{"role": "user", "content": "hi"}]}"#;
        for (newer, name) in [(false, "max_tokens"), (true, "max_completion_tokens")] {
            let options = RequestOptions {
                max_completion_tokens: newer,
                ..RequestOptions::default()
            };
            let translated = request(Api::AnthropicMessages, Api::OpenAiChat, body, &options);
            let written: Value = serde_json::from_slice(&translated.unwrap().body).unwrap();
            assert_eq!(written[name], 7);
            let limits = ["max_tokens", "max_completion_tokens"];
            assert_eq!(
                limits
                    .iter()
                    .filter(|name| written.get(**name).is_some())
                    .count(),
                1
            );
        }
    }

    #[test]
    fn an_error_that_comes_as_a_success_has_the_status_of_its_words() {
        for (kind, status) in [
            ("rate_limit_error", 429),
            ("invalid_request_error", 400),
            ("odd", 500),
        ] {
            let body = format!(r#"{{"error": {{"message": "m", "type": "{kind}"}}}}"#);
            let options = WriteOptions::default();
            let error = response(Api::OpenAiChat, Api::Gemini, 200, body.as_bytes(), &options);
            let error: Value = serde_json::from_slice(&error.unwrap().body).unwrap();
            assert_eq!(error["error"]["code"], status, "{error}");
            assert_eq!(error["error"]["message"], "m");
        }
    }

    #[test]
    fn what_cannot_be_read_is_told_by_its_place() {
        let options = RequestOptions::default();
        let read = |body: &[u8]| request(Api::AnthropicMessages, Api::OpenAiChat, body, &options);
        assert_eq!(read(b"{").unwrap_err(), TranslateError::NotJson);
        let error = read(br#"{"messages": "hi"}"#).unwrap_err();
        assert!(error.to_string().starts_with("/messages"), "{error}");
    }
}
