//! Who may post to the admin port.
//!
//! Invariant: no web page can. A page's request has an `origin`, and a form cannot send JSON.

use axum::http::{header, HeaderMap, StatusCode};

/// A web page asks, or could have asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Foreign {
    /// A web page.
    Page,
    /// What a web page's form can send.
    MediaType,
}

/// Whether a request can come from a program alone.
///
/// # Errors
/// [`Foreign`] where it cannot be told from a web page's.
pub(super) fn check(headers: &HeaderMap) -> Result<(), Foreign> {
    if headers.contains_key(header::ORIGIN) {
        return Err(Foreign::Page);
    }
    let media_type = headers.get(header::CONTENT_TYPE);
    let media_type = media_type.and_then(|value| value.to_str().ok());
    let essence = media_type.and_then(|value| value.split(';').next());
    if !essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json")) {
        return Err(Foreign::MediaType);
    }
    Ok(())
}

impl Foreign {
    /// The status, and what the answer says.
    pub(super) fn told(self) -> (StatusCode, &'static str) {
        match self {
            Self::Page => (
                StatusCode::FORBIDDEN,
                "web pages may not change anything here: send no `origin`",
            ),
            Self::MediaType => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "the content type must be application/json, which no web page's form can send",
            ),
        }
    }
}
