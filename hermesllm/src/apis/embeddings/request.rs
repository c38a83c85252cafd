//! Requests for embeddings, from one API to another.

use serde_json::Value;

use super::{cohere, openai, EmbeddingRequest, Encoding};
use crate::apis::object::wrong;
use crate::apis::{ReadError, SupportedUpstreamAPIs as Api};
use crate::representation::Losses;

/// Reads a request.
///
/// # Errors
/// A member that is not what the API prescribes, or an API that has no embeddings.
pub fn read(api: Api, body: Value) -> Result<EmbeddingRequest, ReadError> {
    match api {
        Api::OpenAiEmbeddings => openai::read_request(body),
        Api::CohereEmbed => cohere::read_request(body),
        _ => Err(wrong("", "is for an API that has no embeddings")),
    }
}

/// Writes a request.
///
/// # Errors
/// An input that the API cannot take, or an API that has no embeddings.
pub fn write(api: Api, request: EmbeddingRequest, losses: &mut Losses) -> Result<Value, ReadError> {
    match api {
        Api::OpenAiEmbeddings => openai::write_request(request, losses),
        Api::CohereEmbed => cohere::write_request(request, losses),
        _ => Err(wrong("", "is for an API that has no embeddings")),
    }
}

/// Translates a request; `model` is the model as the target knows it, in place of the request's own.
///
/// # Errors
/// A request that cannot be read, or that the target cannot take.
pub fn translate(
    from: Api,
    to: Api,
    body: Value,
    model: Option<&str>,
    losses: &mut Losses,
) -> Result<Value, ReadError> {
    let mut request = read(from, body)?;
    if let Some(model) = model {
        model.clone_into(&mut request.model);
    }
    write(to, request, losses)
}

/// How the client of a request wants the vectors written, if it says so: what
/// [`response::translate`](super::response::translate) has to know.
pub fn encoding(from: Api, body: &Value) -> Option<Encoding> {
    let word = match from {
        Api::OpenAiEmbeddings => body.get("encoding_format")?.as_str()?,
        Api::CohereEmbed => match body.get("embedding_types")?.as_array()?.as_slice() {
            [only] => only.as_str()?,
            _ => return None,
        },
        _ => return None,
    };
    Encoding::named(word)
}

#[cfg(test)]
mod tests;
