//! Who asks: by a key of ours, or as an earlier filter has found out.
//!
//! Invariant: a key of ours goes to no provider, whatever else may be passed through.

use std::time::{SystemTime, UNIX_EPOCH};

use envoy_types::pb::google::protobuf::{value::Kind, Struct};
use hermesllm::error::{ApiError, ErrorCode};
use meseta_config::{Config, ConsumerKey, ConsumerSource};

use super::credentials;
use crate::head::{ClientKeys, Headers};

/// Who asks.
#[derive(Debug, Clone)]
pub(crate) struct Consumer {
    /// The name.
    pub(crate) name: String,
    /// The place of the key in the configuration that the exchange began with.
    key: Option<usize>,
}

impl Consumer {
    /// The key that was presented.
    pub(crate) fn key<'a>(&self, config: &'a Config) -> Option<&'a ConsumerKey> {
        config.keys().get(self.key?)
    }
}

/// Finds out who asks. `claims` is what an earlier filter has left in dynamic metadata.
///
/// # Errors
/// [`ErrorCode::Unauthenticated`] where somebody has to be known and nobody is, and for a key that has
/// expired.
pub(crate) fn identify(
    config: &Config,
    (keys, path): (&mut ClientKeys, &str),
    headers: &Headers,
    claims: Option<&Struct>,
) -> Result<Option<Consumer>, ApiError> {
    if let Some((place, key)) = presented(config, keys, path) {
        if key.is_expired(unix_seconds()) {
            return Err(unauthenticated("the key has expired"));
        }
        return Ok(Some(Consumer {
            name: key.name.clone(),
            key: Some(place),
        }));
    }
    let name = match config.consumer() {
        Some(ConsumerSource::Header(name)) => headers.text(name).map(str::to_owned),
        Some(ConsumerSource::Claim { path, .. }) => claims.and_then(|claims| claim(claims, path)),
        None => None,
    };
    match name.filter(|name| !name.is_empty()) {
        Some(name) => Ok(Some(Consumer { name, key: None })),
        None if !config.needs_consumer() => Ok(None),
        None if !keys.in_headers.is_empty() => Err(unauthenticated("the key is not known")),
        None => Err(unauthenticated(
            "a key is needed, as `authorization: Bearer KEY` or in the header of your client's API",
        )),
    }
}

fn unauthenticated(message: &str) -> ApiError {
    ApiError::new(ErrorCode::Unauthenticated, message)
}

/// The key of ours that the client presents, in a header or the query string. From here on it is
/// nothing that could be passed through.
fn presented<'c>(
    config: &'c Config,
    keys: &mut ClientKeys,
    path: &str,
) -> Option<(usize, &'c ConsumerKey)> {
    if config.keys().is_empty() {
        return None;
    }
    let place_of = |key: &ConsumerKey| {
        let mut keys = config.keys().iter();
        keys.position(|own| std::ptr::eq(own, key))
    };
    let in_header = keys
        .in_headers
        .iter()
        .enumerate()
        .find_map(|(at, own)| Some((at, config.key_of(own.expose())?)));
    if let Some((at, key)) = in_header {
        keys.in_headers.remove(at);
        return Some((place_of(key)?, key));
    }
    let in_query = credentials::key_in_query(path)?;
    let key = config.key_of(&in_query)?;
    keys.query_is_ours = true;
    Some((place_of(key)?, key))
}

/// A claim as text, by the names that lead to it.
pub(crate) fn claim(claims: &Struct, path: &str) -> Option<String> {
    let mut names = path.split('.');
    let mut value = claims.fields.get(names.next()?)?;
    for name in names {
        let Some(Kind::StructValue(inner)) = &value.kind else {
            return None;
        };
        value = inner.fields.get(name)?;
    }
    match value.kind.as_ref()? {
        Kind::StringValue(text) => Some(text.clone()),
        Kind::NumberValue(number) => Some(number.to_string()),
        Kind::BoolValue(flag) => Some(flag.to_string()),
        _ => None,
    }
}

fn unix_seconds() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |since| since.as_secs())
}
