//! Consumers: who asks, by a key of ours or by what an earlier filter says.
//!
//! Invariant: keys themselves are nowhere, only their SHA-256; and that is never printed. How long
//! a search takes tells nothing of which key is nearly right.

use std::fmt;

use meseta_limits::RuleName;
use sha2::{Digest as _, Sha256};
use subtle::{ConditionallySelectable as _, ConstantTimeEq as _};

use crate::config::Config;
use crate::pattern::Pattern;
use crate::pool::Destination;
use crate::problem::{Notice, NoticeKind};

/// A key for clients, and the consumer that it belongs to.
#[derive(Clone, PartialEq, Eq)]
pub struct ConsumerKey {
    /// The consumer's name, unique among keys.
    pub name: String,
    /// The SHA-256 of the key.
    pub hash: [u8; 32],
    /// What it may ask for; `None` for everything. See [`Config::may_ask`].
    pub models: Option<Vec<Pattern>>,
    /// Limits of its own.
    pub limits: Vec<RuleName>,
    /// When it ends, in seconds since the unix epoch.
    pub expires: Option<u64>,
    /// What else the file says about it, in its order.
    pub labels: Vec<(String, String)>,
    /// Where it is in the file.
    pub(crate) path: String,
}

impl ConsumerKey {
    /// Whether it has ended, at a time in seconds since the unix epoch.
    pub fn is_expired(&self, now: u64) -> bool {
        self.expires.is_some_and(|end| end <= now)
    }
}

impl fmt::Debug for ConsumerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Whoever has the hash of a short key finds the key.
        f.debug_struct("ConsumerKey")
            .field("name", &self.name)
            .field("models", &self.models)
            .field("limits", &self.limits)
            .field("expires", &self.expires)
            .field("labels", &self.labels)
            .finish_non_exhaustive()
    }
}

/// Who the consumer is when no key says so, as an earlier filter has found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConsumerSource {
    /// The value of this request header, in lower case.
    Header(String),
    /// A claim in Envoy's dynamic metadata.
    Claim {
        /// The names that lead to it, with dots between them.
        path: String,
        /// The namespace of the metadata.
        metadata: String,
    },
}

/// The namespace of dynamic metadata in which Envoy's JWT filter leaves claims.
pub const JWT_METADATA: &str = "envoy.filters.http.jwt_authn";

impl Config {
    /// The keys, in the order of the file.
    pub fn keys(&self) -> &[ConsumerKey] {
        self.keys.as_deref().unwrap_or_default()
    }

    /// Whether a request needs a consumer to pass: one with a key, or with the
    /// [source](Self::consumer) that the file names beside the keys.
    pub fn needs_consumer(&self) -> bool {
        self.keys.is_some()
    }

    /// Who the consumer is when no key is presented.
    pub fn consumer(&self) -> Option<&ConsumerSource> {
        self.consumer.as_ref()
    }

    /// The namespace of dynamic metadata that claims are read from, when any are.
    pub fn claims(&self) -> Option<&str> {
        if let Some(ConsumerSource::Claim { metadata, .. }) = &self.consumer {
            return Some(metadata);
        }
        let mut limits = self.limits.iter();
        let reads = limits.any(|limit| limit.when.claim.is_some());
        reads.then_some(JWT_METADATA)
    }

    /// The key that a client presents. Whether it has [expired](ConsumerKey::is_expired) is the
    /// caller's to ask. Takes the same time whichever it is, or none.
    pub fn key_of(&self, presented: &str) -> Option<&ConsumerKey> {
        let hash: [u8; 32] = Sha256::digest(presented.as_bytes()).into();
        let keys = self.keys();
        let mut found = u64::MAX;
        for (index, key) in (0_u64..).zip(keys) {
            let is_it = key.hash.as_slice().ct_eq(hash.as_slice());
            found.conditional_assign(&index, is_it);
        }
        usize::try_from(found).ok().and_then(|at| keys.get(at))
    }

    /// Whether a key may ask for a name; without one, for the default. What counts is what the name
    /// leads to before rules send the request elsewhere: a name of `models`, or `provider/model`.
    pub fn may_ask(&self, key: &ConsumerKey, requested: Option<&str>) -> bool {
        let Some(models) = &key.models else {
            return true;
        };
        let requested = requested.filter(|name| !name.is_empty());
        let leads_to = match requested {
            Some(name) => self.models.named(name),
            None => self.models.default.clone(),
        };
        let name = match &leads_to {
            Some(Destination::Pool(name)) => name,
            Some(Destination::Model(model)) => &model.id,
            None => requested.unwrap_or_default(),
        };
        models.iter().any(|pattern| pattern.matches(name))
    }

    /// What there is to say of the file at a time, in seconds since the unix epoch, beside
    /// [`notices`](Self::notices): keys that have expired.
    pub fn notices_at(&self, now: u64) -> Vec<Notice> {
        let expired = self.keys().iter().filter(|key| key.is_expired(now));
        let notice = |key: &ConsumerKey| Notice {
            path: format!("{}.expires", key.path),
            message: format!("the key of `{}` has expired: it opens nothing", key.name),
            kind: NoticeKind::Warning,
        };
        expired.map(notice).collect()
    }
}
