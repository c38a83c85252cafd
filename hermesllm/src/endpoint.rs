//! The endpoints that clients call, by method and path.
//!
//! Owns the one table of paths. Must never look at a body or at configuration: what a path means
//! is the same for every listener.

use std::borrow::Cow;

use crate::apis::SupportedUpstreamAPIs;
use crate::dialect::Dialect;

/// An operation of a client API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `POST /v1/chat/completions` (OpenAI).
    ChatCompletions,
    /// `POST /v1/completions` (OpenAI, legacy).
    Completions,
    /// `POST /v1/responses` (OpenAI).
    Responses,
    /// `POST /v1/embeddings` (OpenAI).
    Embeddings,
    /// `POST /v1/messages` (Anthropic).
    Messages,
    /// `POST /v1/messages/count_tokens` (Anthropic).
    CountTokens,
    /// `POST /v1beta/models/{model}:generateContent` (Gemini).
    GenerateContent,
    /// `POST /v1beta/models/{model}:streamGenerateContent` (Gemini): Server-Sent Events with
    /// `alt=sse`, else one JSON array.
    StreamGenerateContent,
    /// `POST /model/{model}/converse` (Amazon Bedrock).
    Converse,
    /// `POST /model/{model}/converse-stream` (Amazon Bedrock).
    ConverseStream,
    /// `POST /v2/chat` (Cohere); of providers only.
    CohereChat,
    /// `POST /v2/embed` (Cohere); of providers only.
    CohereEmbed,
    /// `GET /v1/models` (OpenAI, Anthropic), `GET /v1beta/models` (Gemini).
    Models,
    /// `GET /v1/models/{id}` (OpenAI, Anthropic), `GET /v1beta/models/{id}` (Gemini).
    Model,
    /// `GET /healthz`.
    Health,
}

impl Endpoint {
    /// Every endpoint.
    pub const ALL: [Self; 15] = [
        Self::ChatCompletions,
        Self::Completions,
        Self::Responses,
        Self::Embeddings,
        Self::Messages,
        Self::CountTokens,
        Self::GenerateContent,
        Self::StreamGenerateContent,
        Self::Converse,
        Self::ConverseStream,
        Self::CohereChat,
        Self::CohereEmbed,
        Self::Models,
        Self::Model,
        Self::Health,
    ];

    /// The name in logs, metrics, metadata and the catalogue.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ChatCompletions => "chat_completions",
            Self::Completions => "completions",
            Self::Responses => "responses",
            Self::Embeddings => "embeddings",
            Self::Messages => "messages",
            Self::CountTokens => "count_tokens",
            Self::GenerateContent => "generate_content",
            Self::StreamGenerateContent => "stream_generate_content",
            Self::Converse => "converse",
            Self::ConverseStream => "converse_stream",
            Self::CohereChat => "cohere_chat",
            Self::CohereEmbed => "cohere_embed",
            Self::Models => "models",
            Self::Model => "model",
            Self::Health => "health",
        }
    }

    /// The endpoint of this name ([`as_str`](Self::as_str)).
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|endpoint| endpoint.as_str() == name)
    }

    /// The dialect of the endpoint. Model lists exist in several; theirs is OpenAI's unless the
    /// path or the client shows otherwise ([`route`]).
    pub fn dialect(self) -> Dialect {
        match self {
            Self::Messages | Self::CountTokens => Dialect::Anthropic,
            Self::GenerateContent | Self::StreamGenerateContent => Dialect::Gemini,
            Self::Converse | Self::ConverseStream => Dialect::Bedrock,
            _ => Dialect::OpenAi,
        }
    }

    /// Whether clients may call it; the others are called at providers only.
    pub fn is_of_clients(self) -> bool {
        !matches!(self, Self::CohereChat | Self::CohereEmbed)
    }

    /// For APIs whose paths tell what the bodies of others tell, the model and whether the answer
    /// is streamed: the latter. `None` for all others.
    pub fn stream_by_path(self) -> Option<bool> {
        match self {
            Self::GenerateContent | Self::Converse => Some(false),
            Self::StreamGenerateContent | Self::ConverseStream => Some(true),
            _ => None,
        }
    }

    /// The API whose documents the endpoint takes and gives.
    pub fn api(self) -> Option<SupportedUpstreamAPIs> {
        Some(match self {
            Self::ChatCompletions => SupportedUpstreamAPIs::OpenAiChat,
            Self::Completions => SupportedUpstreamAPIs::OpenAiCompletions,
            Self::Responses => SupportedUpstreamAPIs::OpenAiResponses,
            Self::Embeddings => SupportedUpstreamAPIs::OpenAiEmbeddings,
            Self::Messages => SupportedUpstreamAPIs::AnthropicMessages,
            Self::GenerateContent | Self::StreamGenerateContent => SupportedUpstreamAPIs::Gemini,
            Self::Converse | Self::ConverseStream => SupportedUpstreamAPIs::BedrockConverse,
            Self::CohereChat => SupportedUpstreamAPIs::CohereChat,
            Self::CohereEmbed => SupportedUpstreamAPIs::CohereEmbed,
            Self::CountTokens | Self::Models | Self::Model | Self::Health => return None,
        })
    }

    /// The methods that the endpoint takes, as an `allow` header lists them.
    pub fn methods(self) -> &'static str {
        match self {
            Self::Models | Self::Model | Self::Health => "GET, HEAD, OPTIONS",
            _ => "POST, OPTIONS",
        }
    }
}

/// A request line, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route<'a> {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// The dialect to answer in.
    pub dialect: Dialect,
    /// The model named in the path, percent-decoded; for [`Endpoint::Model`] and where
    /// [`Endpoint::stream_by_path`] is known.
    pub model_id: Option<Cow<'a, str>>,
    /// The query string, without its question mark.
    pub query: Option<&'a str>,
}

/// Why a request line has no route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// There is nothing at this path.
    #[error("no such endpoint")]
    NotFound {
        /// The dialect to say so in.
        dialect: Dialect,
    },
    /// The path is right and the method is not.
    #[error("method not allowed")]
    MethodNotAllowed {
        /// The dialect to say so in.
        dialect: Dialect,
        /// The value of the `allow` header.
        allow: &'static str,
    },
}

/// Finds the endpoint of a request.
///
/// `fallback`: the dialect that the client's headers suggest, which counts where the path does not
/// decide.
///
/// # Errors
/// [`RouteError`] when the path or the method is not served.
pub fn route<'a>(
    method: &str,
    path_and_query: &'a str,
    fallback: Dialect,
) -> Result<Route<'a>, RouteError> {
    let (path, query) = split(path_and_query);
    let of_path = Dialect::of_path(path);
    let Some((endpoint, model_id)) = locate(path) else {
        return Err(RouteError::NotFound {
            dialect: of_path.unwrap_or(fallback),
        });
    };
    let dialect = match endpoint {
        Endpoint::Models | Endpoint::Model | Endpoint::Health => of_path.unwrap_or(fallback),
        _ => endpoint.dialect(),
    };
    let allow = endpoint.methods();
    if !allow.split(", ").any(|allowed| allowed == method) {
        return Err(RouteError::MethodNotAllowed { dialect, allow });
    }
    Ok(Route {
        endpoint,
        dialect,
        model_id: model_id.map(percent_decoded),
        query,
    })
}

/// The methods of whatever is at this path, or `None` when nothing is.
pub fn allowed_methods(path_and_query: &str) -> Option<&'static str> {
    let (path, _) = split(path_and_query);
    locate(path).map(|(endpoint, _)| endpoint.methods())
}

fn split(path_and_query: &str) -> (&str, Option<&str>) {
    match path_and_query.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (path_and_query, None),
    }
}

impl Dialect {
    /// The dialect of whatever may be at a path, where the path tells.
    fn of_path(path: &str) -> Option<Self> {
        let begins = |with: &str| {
            path.strip_prefix(with)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if begins("/v1/messages") {
            Some(Self::Anthropic)
        } else if begins("/v1beta") || begins("/v1alpha") {
            Some(Self::Gemini)
        } else if begins("/model") {
            Some(Self::Bedrock)
        } else {
            None
        }
    }
}

fn locate(path: &str) -> Option<(Endpoint, Option<&str>)> {
    let path = path.strip_suffix('/').unwrap_or(path);
    let endpoint = match path {
        "/v1/chat/completions" => Endpoint::ChatCompletions,
        "/v1/completions" => Endpoint::Completions,
        "/v1/responses" => Endpoint::Responses,
        "/v1/embeddings" => Endpoint::Embeddings,
        "/v1/messages" => Endpoint::Messages,
        "/v1/messages/count_tokens" => Endpoint::CountTokens,
        "/v1/models" | "/v1beta/models" | "/v1alpha/models" => Endpoint::Models,
        "/healthz" => Endpoint::Health,
        _ => {
            let (endpoint, id) = of_model(path)?;
            return (!id.is_empty()).then_some((endpoint, Some(id)));
        }
    };
    Some((endpoint, None))
}

/// The endpoints whose paths name a model. Its name may hold slashes (`openai/gpt-4o`) and colons
/// (`llama3.2:1b`).
fn of_model(path: &str) -> Option<(Endpoint, &str)> {
    if let Some(rest) = path.strip_prefix("/model/") {
        return match rest.rsplit_once('/')? {
            (id, "converse") => Some((Endpoint::Converse, id)),
            (id, "converse-stream") => Some((Endpoint::ConverseStream, id)),
            _ => None,
        };
    }
    let versions = ["/v1/models/", "/v1beta/models/", "/v1alpha/models/"];
    let id = versions
        .iter()
        .find_map(|version| path.strip_prefix(version))?;
    Some(match id.rsplit_once(':') {
        Some((id, "generateContent")) => (Endpoint::GenerateContent, id),
        Some((id, "streamGenerateContent")) => (Endpoint::StreamGenerateContent, id),
        // Other methods of Gemini's: they are posted, which models are not.
        _ => (Endpoint::Model, id),
    })
}

/// Undoes percent-encoding; what is no valid escape, or no UTF-8 once decoded, stays as it is.
pub fn percent_decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        if let (b'%', [high, low, after @ ..]) = (byte, tail) {
            if let (Some(high), Some(low)) = (hex(*high), hex(*low)) {
                bytes.push(high << 4 | low);
                rest = after;
                continue;
            }
        }
        bytes.push(byte);
        rest = tail;
    }
    String::from_utf8(bytes).map_or(Cow::Borrowed(text), Cow::Owned)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_decides_the_endpoint_and_the_query_is_kept() {
        let found = route("POST", "/v1/messages?beta=true", Dialect::OpenAi).unwrap();
        assert_eq!(found.endpoint, Endpoint::Messages);
        assert_eq!(found.dialect, Dialect::Anthropic);
        assert_eq!(found.query, Some("beta=true"));
        let found = route("POST", "/v1/chat/completions/", Dialect::OpenAi).unwrap();
        assert_eq!(found.endpoint, Endpoint::ChatCompletions);
    }

    #[test]
    fn model_lists_speak_the_clients_dialect_and_answer_head() {
        let found = route("HEAD", "/v1/models", Dialect::Anthropic).unwrap();
        assert_eq!(found.dialect, Dialect::Anthropic);
        let found = route("GET", "/v1/models/openai%2Fgpt-4o", Dialect::OpenAi).unwrap();
        assert_eq!(found.model_id.as_deref(), Some("openai/gpt-4o"));
        let found = route("GET", "/v1/models/openai/gpt-4o", Dialect::OpenAi).unwrap();
        assert_eq!(found.model_id.as_deref(), Some("openai/gpt-4o"));
        assert_eq!(found.dialect, Dialect::OpenAi);
    }

    #[test]
    fn a_path_may_name_the_model() {
        for (path, endpoint, model) in [
            (
                "/v1beta/models/openai/gpt-4o:generateContent",
                Endpoint::GenerateContent,
                "openai/gpt-4o",
            ),
            (
                "/v1/models/llama3.2:1b:streamGenerateContent?alt=sse",
                Endpoint::StreamGenerateContent,
                "llama3.2:1b",
            ),
            (
                "/model/openai%2Fgpt-oss-20b-1%3A0/converse",
                Endpoint::Converse,
                "openai/gpt-oss-20b-1:0",
            ),
            (
                "/model/openai/gpt-4o/converse-stream",
                Endpoint::ConverseStream,
                "openai/gpt-4o",
            ),
        ] {
            let found = route("POST", path, Dialect::OpenAi).unwrap();
            assert_eq!(found.endpoint, endpoint, "{path}");
            assert_eq!(found.model_id.as_deref(), Some(model), "{path}");
            assert_eq!(found.dialect, endpoint.dialect());
        }
        let found = route("GET", "/v1beta/models/llama3.2:1b", Dialect::OpenAi).unwrap();
        assert_eq!(found.endpoint, Endpoint::Model);
        assert_eq!(found.dialect, Dialect::Gemini);
        let error = route("POST", "/v1beta/models/m:countTokens", Dialect::OpenAi).unwrap_err();
        let dialect = Dialect::Gemini;
        let allow = "GET, HEAD, OPTIONS";
        assert_eq!(error, RouteError::MethodNotAllowed { dialect, allow });
    }

    #[test]
    fn every_endpoint_is_found_by_its_own_name() {
        for endpoint in Endpoint::ALL {
            assert_eq!(Endpoint::named(endpoint.as_str()), Some(endpoint));
        }
        assert_eq!(Endpoint::named("chat"), None);
    }

    #[test]
    fn a_wrong_method_names_the_right_ones() {
        assert_eq!(
            route("HEAD", "/v1/messages", Dialect::OpenAi),
            Err(RouteError::MethodNotAllowed {
                dialect: Dialect::Anthropic,
                allow: "POST, OPTIONS"
            })
        );
        assert_eq!(allowed_methods("/v1/models?x"), Some("GET, HEAD, OPTIONS"));
    }

    #[test]
    fn an_unknown_path_is_not_found_in_the_likeliest_dialect() {
        for (path, fallback, dialect) in [
            ("/v2/chat", Dialect::OpenAi, Dialect::OpenAi),
            ("/v1/messages/batches", Dialect::OpenAi, Dialect::Anthropic),
            ("/", Dialect::Anthropic, Dialect::Anthropic),
            ("/v1/models//", Dialect::OpenAi, Dialect::OpenAi),
            ("/v1beta/files", Dialect::OpenAi, Dialect::Gemini),
            ("/v1betamax", Dialect::OpenAi, Dialect::OpenAi),
            (
                "/v1beta/models/:generateContent",
                Dialect::OpenAi,
                Dialect::Gemini,
            ),
            ("/model/m/invoke", Dialect::OpenAi, Dialect::Bedrock),
            ("", Dialect::OpenAi, Dialect::OpenAi),
        ] {
            let found = route("DELETE", path, fallback);
            assert_eq!(found, Err(RouteError::NotFound { dialect }), "{path}");
        }
        assert_eq!(allowed_methods("/nothing"), None);
    }

    #[test]
    fn broken_percent_escapes_stay_as_they_are() {
        assert_eq!(percent_decoded("a%2"), "a%2");
        assert_eq!(percent_decoded("a%zz"), "a%zz");
        assert_eq!(percent_decoded("%ff"), "%ff");
    }
}
