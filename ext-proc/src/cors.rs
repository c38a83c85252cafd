//! Browsers: which pages may use a listener.
//!
//! Owns the judgement of `origin` and the CORS headers (Fetch standard). A listener holds its
//! provider's keys and often asks its clients for none, so a page of a foreign site that the user
//! happens to visit must not get through: a request with an origin that is not allowed is refused
//! as a whole, not only hidden from the page.

use meseta_config::Cors;

use crate::wire::HeaderEdits;

/// Seconds for which a browser may remember a preflight.
const MAX_AGE: &str = "600";

/// What `origin` says of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict<'a> {
    /// There is no origin: not a page.
    NotABrowser,
    /// A page that may use the listener.
    Allowed(&'a str),
    /// A page that may not.
    Refused,
}

impl<'a> Verdict<'a> {
    /// The origin, when it is allowed.
    pub(crate) fn allowed(self) -> Option<&'a str> {
        match self {
            Self::Allowed(origin) => Some(origin),
            Self::NotABrowser | Self::Refused => None,
        }
    }
}

/// Judges the origin of a request.
pub(crate) fn judge<'a>(cors: &Cors, origin: Option<&'a str>) -> Verdict<'a> {
    match origin {
        None => Verdict::NotABrowser,
        Some(origin) if cors.allows(origin) => Verdict::Allowed(origin),
        Some(_) => Verdict::Refused,
    }
}

/// The headers with which a page may read an answer.
pub(crate) fn allow(edits: &mut HeaderEdits, origin: &str) {
    edits
        .set("access-control-allow-origin", origin)
        .set("access-control-expose-headers", "*")
        .append("vary", "origin");
}

/// The headers that answer a preflight.
pub(crate) fn preflight(
    edits: &mut HeaderEdits,
    origin: &str,
    methods: &str,
    requested_headers: Option<&str>,
) {
    edits
        .set("access-control-allow-origin", origin)
        .set("access-control-allow-methods", methods)
        .set("access-control-max-age", MAX_AGE)
        .append("vary", "origin");
    if let Some(names) = requested_headers {
        edits.set("access-control-allow-headers", names);
    }
}
