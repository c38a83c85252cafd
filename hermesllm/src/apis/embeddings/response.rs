//! Answers and errors, from one API to another.

use serde_json::Value;

use super::{cohere, floats, openai, EmbeddingResponse, Encoding, Vector};
use crate::apis::object::wrong;
use crate::apis::{
    cohere_chat, openai_completions, ProviderError, ReadError, SupportedUpstreamAPIs as Api,
};
use crate::representation::Losses;

/// Reads an answer.
///
/// # Errors
/// An API that has no embeddings; what is not understood is kept as it is.
pub fn read(api: Api, body: Value) -> Result<EmbeddingResponse, ReadError> {
    match api {
        Api::OpenAiEmbeddings => Ok(openai::read_response(body)),
        Api::CohereEmbed => Ok(cohere::read_response(body)),
        _ => Err(wrong("", "is from an API that has no embeddings")),
    }
}

/// Writes an answer.
///
/// # Errors
/// An API that has no embeddings.
pub fn write(api: Api, answer: EmbeddingResponse, losses: &mut Losses) -> Result<Value, ReadError> {
    match api {
        Api::OpenAiEmbeddings => Ok(openai::write_response(answer, losses)),
        Api::CohereEmbed => Ok(cohere::write_response(answer, losses)),
        _ => Err(wrong("", "is from an API that has no embeddings")),
    }
}

/// Translates an answer. `model` is what an answer that names none is said to be of; `encoding` is
/// what the client asked for ([`request::encoding`](super::request::encoding)): without it, vectors
/// from another API are lists of numbers, and those of the same one as they are.
///
/// # Errors
/// An API that has no embeddings.
pub fn translate(
    from: Api,
    to: Api,
    body: Value,
    model: Option<&str>,
    encoding: Option<Encoding>,
    losses: &mut Losses,
) -> Result<Value, ReadError> {
    deliver(read(from, body)?, to, model, encoding, losses)
}

/// The second half of [`translate`]: writes an answer that was read.
///
/// # Errors
/// An API that has no embeddings.
pub fn deliver(
    mut answer: EmbeddingResponse,
    to: Api,
    model: Option<&str>,
    encoding: Option<Encoding>,
    losses: &mut Losses,
) -> Result<Value, ReadError> {
    let is_own = answer.api == Some(to);
    if let (true, Some(model)) = (answer.model.is_empty() && !is_own, model) {
        model.clone_into(&mut answer.model);
    }
    match encoding {
        None if is_own => {}
        None => encode(&mut answer, Encoding::Float, losses),
        Some(encoding) => encode(&mut answer, encoding, losses),
    }
    write(to, answer, losses)
}

/// Writes vectors in an encoding; those that are no floats stay as they are.
fn encode(answer: &mut EmbeddingResponse, encoding: Encoding, losses: &mut Losses) {
    for (index, own) in answer.vectors.iter_mut().enumerate() {
        let other = match (&own.vector, encoding) {
            (Vector::Floats(numbers), Encoding::Base64) => {
                floats::encode(numbers).map(Vector::Base64)
            }
            (Vector::Base64(text), Encoding::Float) => floats::decode(text).map(Vector::Floats),
            (Vector::Other(_), _) => None,
            _ => continue,
        };
        match other {
            Some(other) => own.vector = other,
            None => {
                let at = match answer.api {
                    Some(Api::CohereEmbed) => format!("/embeddings/float/{index}"),
                    _ => format!("/data/{index}/embedding"),
                };
                losses.approximated(at, "what is no list of floats stays as it is");
            }
        }
    }
}

/// Reads an error: each provider has one form for all of its APIs.
pub fn read_error(api: Api, status: u16, body: &Value) -> Option<ProviderError> {
    match api {
        Api::OpenAiEmbeddings => openai_completions::response::read_error(status, body),
        Api::CohereEmbed => cohere_chat::response::read_error(status, body),
        _ => None,
    }
}

/// Writes an error.
pub fn write_error(api: Api, error: &ProviderError) -> Option<Value> {
    match api {
        Api::OpenAiEmbeddings => Some(openai_completions::response::write_error(error)),
        Api::CohereEmbed => Some(cohere_chat::response::write_error(error)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
