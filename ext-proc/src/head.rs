//! What is read from the headers of a request and of an answer.
//!
//! Owns the picking of the few headers that decide something; all others stay in Envoy and go on
//! untouched. Credentials that a client sent are kept only to be passed on, and never printed.

use std::fmt;

use envoy_types::pb::envoy::service::ext_proc::v3::HttpHeaders;
use hermesllm::dialect::Dialect;
use meseta_proto::headers::{self as names, INTERNAL_PREFIX};

/// Headers that carry a client's credentials or say where the client is. None of them concerns a
/// provider. `x-forwarded-proto` would belong here as well, but Envoy finds no route without it:
/// the rendered route takes it off.
const PRIVATE: [&str; 16] = [
    "authorization",
    "proxy-authorization",
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    // What belongs to a signature of AWS.
    "x-amz-security-token",
    "x-amz-date",
    "x-amz-content-sha256",
    "cookie",
    "origin",
    "referer",
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-real-ip",
    "x-envoy-external-address",
];

/// A credential that a client sent. Its value never shows in `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Credential(String);

impl Credential {
    /// The secret itself, to be put on a request.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Headers in the order in which they came, names in lower case. Their values never show in `Debug`.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Headers(Vec<(String, Vec<u8>)>);

impl Headers {
    /// The first value of a header, where it is a text.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(own, _)| own == name)?;
        std::str::from_utf8(value).ok()
    }

    /// Those that may go on to the other side of a proxy, with their values.
    pub(crate) fn passing(&self) -> Vec<(String, Vec<u8>)> {
        let passing = self.0.iter().filter(|(name, _)| !stays(name));
        passing.cloned().collect()
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.0.iter().map(|(name, _)| name);
        f.debug_list().entries(names).finish()
    }
}

/// Whether a header belongs to one connection, to a proxy or to Envoy and us.
fn stays(name: &str) -> bool {
    name.starts_with(':')
        || name.starts_with(INTERNAL_PREFIX)
        || name.starts_with("x-envoy-")
        || OF_A_CONNECTION.contains(&name)
        || names::HIDDEN.contains(&name)
}

/// Headers that a proxy does not pass on (RFC 9110, 7.6.1), or sets anew.
const OF_A_CONNECTION: [&str; 11] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// What a client presents as keys.
#[derive(Debug, Default)]
pub(crate) struct ClientKeys {
    /// `authorization` without its scheme, then `x-api-key`, then those of other providers' clients.
    /// One that is a key of ours is taken out.
    pub(crate) in_headers: Vec<Credential>,
    /// The key in the query string is one of ours.
    pub(crate) query_is_ours: bool,
}

/// The headers of a request that decide something.
#[derive(Debug, Default)]
pub(crate) struct RequestHead {
    pub(crate) method: String,
    /// Path and query, as the client sent them.
    pub(crate) path: String,
    pub(crate) content_type: Option<String>,
    pub(crate) content_encoding: Option<String>,
    pub(crate) content_length: Option<u64>,
    pub(crate) origin: Option<String>,
    pub(crate) requested_method: Option<String>,
    pub(crate) requested_headers: Option<String>,
    pub(crate) request_id: Option<String>,
    pub(crate) traceparent: Option<String>,
    pub(crate) tracestate: Option<String>,
    /// What the client presents as keys.
    pub(crate) keys: ClientKeys,
    /// The dialect whose clients send one of the headers that are there; OpenAI's send none.
    pub(crate) dialect: Option<Dialect>,
    /// The private headers that are there: they go no further.
    pub(crate) private: Vec<&'static str>,
    /// All headers, for a request that the server sends itself. Values may be secret.
    pub(crate) all: Headers,
    /// No body follows.
    pub(crate) end_of_stream: bool,
}

impl RequestHead {
    /// Reads the headers that matter.
    pub(crate) fn read(headers: HttpHeaders) -> Self {
        let mut head = Self {
            end_of_stream: headers.end_of_stream,
            ..Self::default()
        };
        let (mut bearer_token, mut api_key, mut others) = (None, None, None);
        for (key, raw) in pairs(headers) {
            let value = text(&raw);
            head.all.0.push((key.clone(), raw));
            if let Some(private) = PRIVATE.iter().find(|name| **name == key) {
                if !head.private.contains(private) {
                    head.private.push(private);
                }
            }
            match key.as_str() {
                ":method" => head.method = value,
                ":path" => head.path = value,
                "content-type" => head.content_type = Some(value),
                "content-encoding" => head.content_encoding = Some(value),
                "content-length" => head.content_length = value.parse().ok(),
                "origin" => head.origin = Some(value),
                "access-control-request-method" => head.requested_method = Some(value),
                "access-control-request-headers" => head.requested_headers = Some(value),
                // It goes back as a header.
                "x-request-id" if value.bytes().all(|b| b.is_ascii_graphic()) => {
                    head.request_id = Some(value);
                }
                "traceparent" => head.traceparent = Some(value),
                "tracestate" => head.tracestate = Some(value),
                "authorization" => bearer_token = bearer(&value),
                "x-api-key" => {
                    head.dialect = Some(Dialect::Anthropic);
                    api_key = token(&value);
                }
                "api-key" => others = token(&value),
                "x-goog-api-key" => {
                    head.dialect = Some(Dialect::Gemini);
                    others = token(&value);
                }
                "anthropic-version" => head.dialect = Some(Dialect::Anthropic),
                "x-goog-api-client" => head.dialect = Some(Dialect::Gemini),
                _ => {}
            }
        }
        let all = [bearer_token, api_key, others];
        head.keys.in_headers.extend(all.into_iter().flatten());
        head
    }
}

/// The headers of an answer that decide something.
#[derive(Debug, Default)]
pub(crate) struct ResponseHead {
    pub(crate) status: u16,
    pub(crate) content_type: Option<String>,
    pub(crate) content_encoding: Option<String>,
    pub(crate) content_length: Option<u64>,
    /// Headers that only we may set.
    pub(crate) internal: Vec<String>,
    /// From our meter, on an answer to what it has let through: where the subjects stand.
    pub(crate) standing: Option<String>,
    /// From our meter as well: what it has reserved for a relayed call.
    pub(crate) reservation: Option<String>,
    /// The provider's own limits, of which the client is told by another name when it has limits of
    /// ours.
    pub(crate) limits: Vec<(String, String)>,
    /// All headers that may go on, of an answer that Envoy does not hold.
    pub(crate) own: Vec<(String, Vec<u8>)>,
    /// It is our meter's own; to be believed of Envoy alone.
    pub(crate) is_of_meter: bool,
    /// It is Envoy's own, and why: flags, `;`, details. To be believed of Envoy alone.
    pub(crate) of_envoy: Option<String>,
    /// The answer has no body.
    pub(crate) end_of_stream: bool,
}

/// Whether a header tells of limits (the IETF's draft, OpenAI's and Anthropic's).
fn is_of_limits(name: &str) -> bool {
    ["x-ratelimit-", "ratelimit", "anthropic-ratelimit-"]
        .iter()
        .any(|start| name.starts_with(start))
}

/// Of an answer that is an error: what helps a client that it reaches, perhaps after another attempt.
const OF_ERRORS: [&str; 12] = [
    "anthropic-request-id",
    "apim-request-id",
    "content-encoding",
    "content-length",
    "content-type",
    "openai-request-id",
    "request-id",
    "retry-after",
    "retry-after-ms",
    "x-amzn-requestid",
    "x-request-id",
    "x-should-retry",
];

impl ResponseHead {
    /// Reads the answer to a request of the server's own.
    pub(crate) fn of_own(status: http::StatusCode, headers: &http::HeaderMap) -> Self {
        let mut head = Self {
            status: status.as_u16(),
            ..Self::default()
        };
        for (name, value) in headers {
            let name = name.as_str();
            match name {
                names::METER => head.is_of_meter = true,
                names::ENVOY => head.of_envoy = Some(text(value.as_bytes())),
                names::STANDING => head.standing = Some(text(value.as_bytes())),
                names::RESERVATION => head.reservation = Some(text(value.as_bytes())),
                _ => head.note(name, text(value.as_bytes())),
            }
            if name == "content-length" || !stays(name) {
                let value = value.as_bytes().to_vec();
                head.own.push((name.to_owned(), value));
            }
        }
        head
    }

    /// Leaves of the headers those that help with an error.
    pub(crate) fn keep_of_errors(&mut self) {
        self.own
            .retain(|(name, _)| OF_ERRORS.contains(&name.as_str()));
    }

    /// The value of a header of an answer to a request of the server's own.
    pub(crate) fn own(&self, name: &str) -> Option<&str> {
        let (_, value) = self.own.iter().find(|(own, _)| own == name)?;
        std::str::from_utf8(value).ok()
    }

    fn note(&mut self, name: &str, value: String) {
        match name {
            "content-type" => self.content_type = Some(value),
            "content-encoding" => {
                // Repeated fields add up, in order.
                match &mut self.content_encoding {
                    Some(encodings) => {
                        encodings.push(',');
                        encodings.push_str(&value);
                    }
                    None => self.content_encoding = Some(value),
                }
            }
            "content-length" => self.content_length = value.parse().ok(),
            _ if is_of_limits(name) => self.limits.push((name.to_owned(), value)),
            _ => {}
        }
    }

    /// Reads the headers that matter; an unreadable status is 0.
    pub(crate) fn read(headers: HttpHeaders) -> Self {
        let mut head = Self {
            end_of_stream: headers.end_of_stream,
            ..Self::default()
        };
        for (key, raw) in pairs(headers) {
            let value = text(&raw);
            match key.as_str() {
                ":status" => head.status = value.parse().unwrap_or(0),
                name if name.starts_with(INTERNAL_PREFIX) => {
                    match name {
                        names::METER => head.is_of_meter = true,
                        names::STANDING => head.standing = Some(value),
                        _ => {}
                    }
                    head.internal.push(key);
                }
                name => head.note(name, value),
            }
        }
        head
    }
}

fn pairs(headers: HttpHeaders) -> impl Iterator<Item = (String, Vec<u8>)> {
    let headers = headers.headers.unwrap_or_default().headers;
    headers.into_iter().map(|header| {
        let raw = if header.raw_value.is_empty() {
            header.value.into_bytes()
        } else {
            header.raw_value
        };
        (header.key, raw)
    })
}

/// No header is passed over: one whose value is no text may be one to take off.
fn text(raw: &[u8]) -> String {
    String::from_utf8_lossy(raw).into_owned()
}

/// The token of an `authorization` header: after `Bearer`, or the whole value when it names no
/// scheme. Other schemes are no token of ours.
fn bearer(value: &str) -> Option<Credential> {
    match value.trim().split_once(' ') {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("bearer") => token(rest),
        Some(_) => None,
        None => token(value),
    }
}

fn token(value: &str) -> Option<Credential> {
    let value = value.trim();
    (!value.is_empty()).then(|| Credential(value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use envoy_types::pb::envoy::config::core::v3::{HeaderMap, HeaderValue};

    fn headers(pairs: &[(&str, &str)]) -> HttpHeaders {
        HttpHeaders {
            headers: Some(HeaderMap {
                headers: pairs
                    .iter()
                    .map(|(key, value)| HeaderValue {
                        key: (*key).to_owned(),
                        value: String::new(),
                        raw_value: value.as_bytes().to_vec(),
                    })
                    .collect(),
            }),
            ..HttpHeaders::default()
        }
    }

    #[test]
    fn a_bearer_token_wins_over_an_api_key_and_neither_is_printed() {
        let head = RequestHead::read(headers(&[
            ("x-api-key", "key-two"),
            ("authorization", "bearer key-one"),
        ]));
        assert_eq!(
            head.keys.in_headers.first().map(Credential::expose),
            Some("key-one")
        );
        assert_eq!(head.dialect, Some(Dialect::Anthropic));
        let printed = format!("{head:?}");
        assert!(!printed.contains("key-one") && !printed.contains("key-two"));
    }

    #[test]
    fn each_header_of_a_key_is_a_credential() {
        for name in ["authorization", "x-api-key", "api-key", "x-goog-api-key"] {
            let head = RequestHead::read(headers(&[(name, "key-one")]));
            let credential = head.keys.in_headers.first().map(Credential::expose);
            assert_eq!(credential, Some("key-one"), "{name}");
            assert_eq!(head.private, [name]);
        }
    }

    #[test]
    fn private_headers_are_noted_once_whatever_their_value() {
        let mut sent = headers(&[("cookie", "a=b"), ("cookie", "c=d"), ("accept", "*/*")]);
        let all = sent.headers.as_mut().unwrap();
        all.headers.push(HeaderValue {
            key: "proxy-authorization".to_owned(),
            value: String::new(),
            raw_value: vec![0xff, 0xfe],
        });
        let head = RequestHead::read(sent);
        assert_eq!(head.private, ["cookie", "proxy-authorization"]);
    }

    #[test]
    fn another_authorization_scheme_is_no_token() {
        let head = RequestHead::read(headers(&[("authorization", "Basic dTpw")]));
        assert_eq!(head.keys.in_headers, []);
    }

    #[test]
    fn repeated_content_encodings_add_up_in_order() {
        let head = ResponseHead::read(headers(&[
            (":status", "200"),
            ("content-encoding", "gzip"),
            ("content-encoding", "br"),
        ]));
        assert_eq!(head.content_encoding.as_deref(), Some("gzip,br"));
        assert_eq!(head.status, 200);
    }
}
