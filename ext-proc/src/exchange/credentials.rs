//! Which credential goes upstream, and where it is put.
//!
//! Invariant: what the client sent as a credential is taken off every request; it goes on only to
//! a provider with `passthrough_auth`, and a configured key goes only to its own provider.

use hermesllm::endpoint::Endpoint;
use hermesllm::error::{ApiError, ErrorCode};
use hermesllm::providers::Auth;
use meseta_config::Provider;

use crate::head::RequestHead;
use crate::wire::HeaderEdits;

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
        head.credential
            .as_ref()
            .map(|credential| credential.expose())
    } else {
        provider.credential.as_ref().map(|secret| secret.expose())
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
            edits.set(name, secret);
            Ok(None)
        }
        Auth::Query(name) => Ok(Some(format!("{name}={}", percent_encoded(secret)))),
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
    fn a_key_in_a_query_string_cannot_add_parameters() {
        assert_eq!(percent_encoded("a&b=c d~1"), "a%26b%3Dc%20d~1");
    }
}
