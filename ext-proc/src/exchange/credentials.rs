//! Which credential goes upstream, and where it is put.
//!
//! Invariant: what the client sent as a credential is taken off every request; it goes on only to
//! a provider with `passthrough_auth`, and a configured key goes only to its own provider.

use std::borrow::Cow;

use hermesllm::endpoint::{percent_decoded, Endpoint};
use hermesllm::error::{ApiError, ErrorCode};
use hermesllm::providers::Auth;
use meseta_config::Provider;

use crate::head::RequestHead;
use crate::wire::HeaderEdits;

/// Parameters of query strings in which clients of some APIs send their key.
const PARAMETERS: [&str; 5] = ["key", "api_key", "api-key", "apikey", "access_token"];

/// A client's query string without its keys: they are for us, if for anyone.
pub(crate) fn query_without_keys(query: &str) -> String {
    let is_key = |parameter: &&str| {
        let name = parameter.split('=').next().unwrap_or_default();
        PARAMETERS
            .iter()
            .any(|known| name.eq_ignore_ascii_case(known))
    };
    let others: Vec<&str> = query.split('&').filter(|own| !is_key(own)).collect();
    others.join("&")
}

/// The key in the query string of a path, where clients of Gemini's may have it.
pub(crate) fn key_in_query(path_and_query: &str) -> Option<Cow<'_, str>> {
    let (_, query) = path_and_query.split_once('?')?;
    let mut parameters = query.split('&');
    let key = parameters.find_map(|own| own.strip_prefix("key="))?;
    let key = percent_decoded(key);
    // It becomes a header.
    let is_key = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic());
    is_key.then_some(key)
}

/// Puts the credential for this provider on the request.
///
/// Returns what has to be added to the query string, for providers that take the key there.
///
/// # Errors
/// [`ErrorCode::ProviderNotConfigured`] when the provider needs a key and has none.
pub(crate) fn apply(
    provider: &Provider,
    endpoint: Endpoint,
    head: &RequestHead,
    edits: &mut HeaderEdits,
) -> Result<Option<String>, ApiError> {
    let secret = if provider.passthrough_auth {
        let of_header = head.keys.in_headers.first();
        let of_header = of_header.map(|credential| credential.expose().into());
        let of_query = || key_in_query(&head.path).filter(|_| !head.keys.query_is_ours);
        of_header.or_else(of_query)
    } else {
        let own = provider.credential.as_ref();
        own.map(|secret| secret.expose().into())
    };
    let Some(secret) = secret else {
        // A client without a token of its own gets the provider's answer to that.
        if provider.passthrough_auth || !provider.key_required {
            return Ok(None);
        }
        return Err(ApiError::new(
            ErrorCode::ProviderNotConfigured,
            format!("provider `{}` has no credential configured", provider.name),
        ));
    };
    match provider.entry().auth(endpoint) {
        Auth::Bearer => {
            edits.set("authorization", format!("Bearer {secret}"));
            Ok(None)
        }
        Auth::Header(name) => {
            edits.set(name, secret.as_ref());
            Ok(None)
        }
        Auth::Query(name) => Ok(Some(format!("{name}={}", percent_encoded(&secret)))),
        Auth::None => Ok(None),
    }
}

/// A value as a query string may carry it (RFC 3986 unreserved characters stay).
fn percent_encoded(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_string_loses_its_keys_and_nothing_else() {
        for (query, left) in [
            ("key=sk-1", ""),
            ("beta=true&key=sk-1&x=%20", "beta=true&x=%20"),
            ("API_KEY=a&access_token=b&api-key=c&apikey", ""),
            ("keys=1&monkey=2&a=key=3", "keys=1&monkey=2&a=key=3"),
            ("", ""),
            ("a&&b", "a&&b"),
        ] {
            assert_eq!(query_without_keys(query), left, "{query}");
        }
    }

    #[test]
    fn a_client_may_have_its_key_in_the_query_string() {
        for (path, key) in [
            (
                "/v1beta/models/m:generateContent?key=a%2Fb&alt=sse",
                Some("a/b"),
            ),
            ("/v1beta/models/m:generateContent?key=", None),
            ("/v1beta/models/m:generateContent?monkey=1", None),
            ("/v1beta/models/m:generateContent?key=a%0D%0Ax-b:c", None),
            ("/v1beta/models/m:generateContent", None),
        ] {
            assert_eq!(key_in_query(path).as_deref(), key, "{path}");
        }
    }

    #[test]
    fn a_key_in_a_query_string_cannot_add_parameters() {
        assert_eq!(percent_encoded("a&b=c d~1"), "a%26b%3Dc%20d~1");
    }
}
