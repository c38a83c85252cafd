//! The types of errors.

/// Types of the service's model, with their status; the first of a status is the one that is
/// written for it.
const TYPES: &[(u16, &str)] = &[
    (400, "ValidationException"),
    (403, "AccessDeniedException"),
    (404, "ResourceNotFoundException"),
    (408, "ModelTimeoutException"),
    (409, "ConflictException"),
    (424, "ModelErrorException"),
    (424, "ModelStreamErrorException"),
    (429, "ThrottlingException"),
    (429, "ModelNotReadyException"),
    (400, "ServiceQuotaExceededException"),
    (500, "InternalServerException"),
    (503, "ServiceUnavailableException"),
    // Of every AWS service.
    (403, "UnrecognizedClientException"),
    (403, "ExpiredTokenException"),
    (403, "InvalidSignatureException"),
    (403, "IncompleteSignatureException"),
    (403, "MissingAuthenticationTokenException"),
    (404, "UnknownOperationException"),
    (400, "SerializationException"),
];

/// The types that a stream may end with.
const IN_STREAM: [&str; 5] = [
    "internalServerException",
    "modelStreamErrorException",
    "validationException",
    "throttlingException",
    "serviceUnavailableException",
];

/// The type of an error that is answered with a status.
pub(crate) fn type_of(kind: &str, status: u16) -> &str {
    let is_own =
        kind.ends_with("Exception") && kind.starts_with(|first: char| first.is_ascii_uppercase());
    if is_own {
        return kind;
    }
    // Those of a stream begin with a small letter.
    let mut known = TYPES.iter().map(|(_, name)| *name);
    if let Some(name) = known.find(|name| name.eq_ignore_ascii_case(kind)) {
        return name;
    }
    let mut known = TYPES.iter();
    match known.find(|(own, _)| *own == status) {
        Some((_, name)) => name,
        None if status == 401 => "AccessDeniedException",
        None if status == 504 => "ModelTimeoutException",
        None if status == 529 => "ServiceUnavailableException",
        None if (400..500).contains(&status) => "ValidationException",
        None => "InternalServerException",
    }
}

/// The status of an exception in a stream.
pub(super) fn status_of(kind: &str) -> Option<u16> {
    let mut known = TYPES.iter();
    known
        .find(|(_, name)| name.eq_ignore_ascii_case(kind))
        .map(|(status, _)| *status)
}

/// The exception that a stream ends with.
pub(super) fn exception_of(kind: &str, status: Option<u16>) -> &'static str {
    let mut known = IN_STREAM.iter();
    if let Some(own) = known.find(|name| name.eq_ignore_ascii_case(kind)) {
        return own;
    }
    match status {
        Some(500) => "internalServerException",
        Some(503 | 529) => "serviceUnavailableException",
        Some(429) => "throttlingException",
        Some(400) => "validationException",
        // It tells the status.
        _ => "modelStreamErrorException",
    }
}

/// A type without its address: `com.amazon#ThrottlingException:http://…`.
pub(super) fn plain(kind: &str) -> &str {
    let kind = kind.rsplit_once('#').map_or(kind, |(_, kind)| kind);
    kind.split(':').next().unwrap_or(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_the_status_s_unless_it_is_one_already() {
        for (kind, status, expected) in [
            ("", 400, "ValidationException"),
            ("rate_limit_error", 429, "ThrottlingException"),
            ("ModelNotReadyException", 429, "ModelNotReadyException"),
            ("throttlingException", 500, "ThrottlingException"),
            ("", 401, "AccessDeniedException"),
            ("", 422, "ValidationException"),
            ("overloaded_error", 529, "ServiceUnavailableException"),
            ("", 502, "InternalServerException"),
        ] {
            assert_eq!(type_of(kind, status), expected);
        }
    }

    #[test]
    fn a_stream_s_exception_is_one_of_five() {
        for (kind, status, expected) in [
            ("throttlingException", None, "throttlingException"),
            ("ThrottlingException", None, "throttlingException"),
            ("overloaded_error", Some(529), "serviceUnavailableException"),
            ("upstream_truncated", Some(502), "modelStreamErrorException"),
            ("api_error", None, "modelStreamErrorException"),
        ] {
            assert_eq!(exception_of(kind, status), expected);
        }
        assert_eq!(status_of("modelStreamErrorException"), Some(424));
        assert_eq!(status_of("x"), None);
    }

    #[test]
    fn a_type_may_have_an_address() {
        for kind in [
            "ExpiredTokenException:http://internal.amazon.com/",
            "com.amazon.coral.service#ExpiredTokenException",
            "ExpiredTokenException",
        ] {
            assert_eq!(plain(kind), "ExpiredTokenException");
        }
    }
}
