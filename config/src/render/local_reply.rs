//! What clients read when Envoy itself has to answer.
//!
//! The shape is the client's: the server has told it in metadata, unless Envoy answers before or
//! without the server; then path and headers tell, which are the client's own at that point. The
//! text is fixed for each status and never Envoy's: its details name hosts.

use hermesllm::dialect::Dialect;
use hermesllm::error::{ApiError, ErrorCode};
use meseta_proto::RequestMetadata;

use super::access_log::plain_json;
use super::type_url;
use super::yaml::{f, inline, list, map, why, Yaml};

/// How a status is recognised.
#[derive(Clone, Copy)]
enum Status {
    Is(u16),
    AtLeast(u16),
}

/// A reply after the server has decided: the provider is at fault, or the way to it.
const DECIDED: [(Status, ErrorCode, &str); 6] = [
    (
        Status::Is(504),
        ErrorCode::UpstreamTimeout,
        "the provider did not answer in time",
    ),
    (
        Status::Is(503),
        ErrorCode::UpstreamUnavailable,
        "the provider cannot be reached",
    ),
    (
        Status::Is(502),
        ErrorCode::UpstreamProtocol,
        "the provider's answer cannot be understood",
    ),
    (
        Status::Is(408),
        ErrorCode::RequestTimeout,
        "the request took too long to arrive",
    ),
    (
        Status::AtLeast(500),
        ErrorCode::Internal,
        "the request failed in the gateway",
    ),
    (
        Status::AtLeast(400),
        ErrorCode::InvalidRequest,
        "the request cannot be processed",
    ),
];

/// A reply before or without the server.
const UNDECIDED: [(Status, ErrorCode, &str); 7] = [
    (
        Status::Is(504),
        ErrorCode::Overloaded,
        "the gateway did not answer in time",
    ),
    (
        Status::Is(503),
        ErrorCode::Overloaded,
        "the gateway cannot take the request now",
    ),
    (
        Status::Is(408),
        ErrorCode::RequestTimeout,
        "the request took too long to arrive",
    ),
    (
        Status::Is(413),
        ErrorCode::PayloadTooLarge,
        "the request is too large",
    ),
    (
        Status::Is(404),
        ErrorCode::NotFound,
        "there is nothing at this path",
    ),
    (
        Status::AtLeast(500),
        ErrorCode::Internal,
        "the request failed in the gateway",
    ),
    (
        Status::AtLeast(400),
        ErrorCode::InvalidRequest,
        "the request cannot be processed",
    ),
];

/// A reply after the server has decided and then failed: the provider is not at fault.
const FAILED: (Status, ErrorCode, &str) = (
    Status::AtLeast(500),
    ErrorCode::Overloaded,
    "the gateway cannot finish the request now",
);

pub(super) fn config() -> Yaml {
    let mut mappers = vec![own_answers()];
    for dialect in Dialect::ALL {
        let failed = both(decided(dialect), details("ext_proc_error"));
        mappers.push(mapper(Some(&failed), dialect, &FAILED));
    }
    for dialect in Dialect::ALL {
        let filter = decided(dialect);
        let replies = DECIDED.iter();
        mappers.extend(replies.map(|reply| mapper(Some(&filter), dialect, reply)));
    }
    for (filter, dialect) in [
        (Some(looks_like_gemini()), Dialect::Gemini),
        (Some(path("/model([/?].*)?", false)), Dialect::Bedrock),
        (Some(looks_like_anthropic()), Dialect::Anthropic),
        // All others; the last, because it matches any.
        (None, Dialect::OpenAi),
    ] {
        let replies = UNDECIDED.iter();
        mappers.extend(replies.map(|reply| mapper(filter.as_ref(), dialect, reply)));
    }
    map([f("mappers", list(mappers)), f("body_format", plain_json())])
}

/// The server's answers pass unchanged: it marks them in the details of the response.
fn own_answers() -> Yaml {
    map([why(
        "The server's own answers pass as they are.",
        f("filter", details("meseta_")),
    )])
}

/// Envoy's word on who answered, and why, begins so.
fn details(prefix: &str) -> Yaml {
    let kind = "envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter";
    let expression = format!("response.code_details.startsWith('{prefix}')");
    let filter = map([
        f("name", "envoy.access_loggers.extension_filters.cel"),
        f(
            "typed_config",
            map([f("@type", type_url(kind)), f("expression", expression)]),
        ),
    ]);
    map([f("extension_filter", filter)])
}

fn both(one: Yaml, other: Yaml) -> Yaml {
    map([f("and_filter", map([f("filters", list([one, other]))]))])
}

fn mapper(filter: Option<&Yaml>, dialect: Dialect, reply: &(Status, ErrorCode, &str)) -> Yaml {
    let (status, code, message) = reply;
    let status = status_filter(*status);
    let filter = match filter {
        Some(filter) => inline([f(
            "and_filter",
            map([f("filters", list([filter.clone(), status]))]),
        )]),
        None => Yaml::Inline(Box::new(status)),
    };
    let body = ApiError::new(*code, *message).body(dialect);
    let body = String::from_utf8_lossy(&body).into_owned();
    let request_id = inline([
        f(
            "header",
            map([f("key", "x-request-id"), f("value", "%REQ(X-REQUEST-ID)%")]),
        ),
        f("append_action", "OVERWRITE_IF_EXISTS_OR_ADD"),
    ]);
    map([
        f("filter", filter),
        f("body", inline([f("inline_string", body)])),
        f("headers_to_add", list([request_id])),
    ])
}

fn status_filter(status: Status) -> Yaml {
    let (operator, value) = match status {
        Status::Is(value) => ("EQ", value),
        Status::AtLeast(value) => ("GE", value),
    };
    let value = map([
        f("default_value", u64::from(value)),
        // Required; there is no runtime layer that could change it.
        f("runtime_key", "meseta.local_reply"),
    ]);
    let comparison = map([f("op", operator), f("value", value)]);
    map([f("status_code_filter", map([f("comparison", comparison)]))])
}

/// The server has said whose shapes the client reads.
fn decided(dialect: Dialect) -> Yaml {
    let matcher = map([
        f("filter", RequestMetadata::NAMESPACE),
        f("path", list([map([f("key", RequestMetadata::DIALECT)])])),
        f(
            "value",
            map([f("string_match", map([f("exact", dialect.as_str())]))]),
        ),
    ]);
    map([f(
        "metadata_filter",
        map([f("matcher", matcher), f("match_if_key_not_found", false)]),
    )])
}

/// The request is one of an Anthropic client: by its path, or by a header on a path that is not
/// OpenAI's alone.
fn looks_like_anthropic() -> Yaml {
    let by_header = any(vec![present("anthropic-version"), present("x-api-key")]);
    let not_openai = path(
        "/v1/(chat/completions|completions|responses|embeddings)([/?].*)?",
        true,
    );
    any(vec![
        path("/v1/messages([/?].*)?", false),
        both(by_header, not_openai),
    ])
}

/// The request is one of a Gemini client: by its path, or by a header on a path that others have
/// too.
fn looks_like_gemini() -> Yaml {
    let by_header = any(vec![
        present("x-goog-api-client"),
        present("x-goog-api-key"),
    ]);
    any(vec![
        path(
            "/v1(beta|alpha)([/?].*)?|/v1/models/.*:(g|streamG)enerateContent([?].*)?",
            false,
        ),
        both(by_header, path("/v1/models([/?].*)?", false)),
    ])
}

/// The request has this header.
fn present(name: &str) -> Yaml {
    let header = map([f("name", name), f("present_match", true)]);
    map([f("header_filter", map([f("header", header)]))])
}

fn any(filters: Vec<Yaml>) -> Yaml {
    map([f("or_filter", map([f("filters", list(filters))]))])
}

/// The request's path matches as a whole, or, inverted, does not.
fn path(regex: &str, invert: bool) -> Yaml {
    let string = map([f("safe_regex", map([f("regex", regex)]))]);
    let header = map([
        f("name", ":path"),
        f("string_match", string),
        f("invert_match", invert),
    ]);
    map([f("header_filter", map([f("header", header)]))])
}
