//! Why an attempt failed, and what follows from it.

use std::time::Duration;

use meseta_config::Conditions;
use meseta_targets::{Failure, FailureKind};

use crate::head::ResponseHead;
use crate::upstream::CallError;

/// Why an attempt failed. A closed set: it is a label of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// The provider answered with this status.
    Status(u16),
    /// No connection could be made.
    Connect,
    /// The connection broke.
    Reset,
    /// A stream ended before its API's end.
    Truncated,
    /// A stream began with an error.
    ErrorEvent,
    /// The body is not what its type says, or an error under a good status.
    BadAnswer,
    /// The provider's filter stopped the answer.
    ContentFilter,
    /// No headers in time.
    HeadersTimeout,
    /// No content in time.
    FirstTokenTimeout,
    /// Silence in the middle.
    IdleTimeout,
    /// The whole exchange took too long.
    Total,
    /// The answer is larger than may be relayed.
    TooLarge,
    /// The target cannot be sent this request.
    Unsendable,
    /// Envoy's egress listener is not there.
    Egress,
    /// Our own meter refused.
    Meter,
    /// There was no target to ask.
    NoTarget,
}

impl Reason {
    /// The label in metrics, spans and logs.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Status(400) => "status_400",
            Self::Status(401) => "status_401",
            Self::Status(403) => "status_403",
            Self::Status(404) => "status_404",
            Self::Status(408) => "status_408",
            Self::Status(429) => "status_429",
            Self::Status(500) => "status_500",
            Self::Status(502) => "status_502",
            Self::Status(503) => "status_503",
            Self::Status(504) => "status_504",
            Self::Status(529) => "status_529",
            Self::Status(400..=499) => "status_4xx",
            Self::Status(_) => "status_5xx",
            Self::Connect => "connect",
            Self::Reset => "reset",
            Self::Truncated => "truncated",
            Self::ErrorEvent => "error_event",
            Self::BadAnswer => "bad_answer",
            Self::ContentFilter => "content_filter",
            Self::HeadersTimeout => "headers_timeout",
            Self::FirstTokenTimeout => "first_token_timeout",
            Self::IdleTimeout => "idle_timeout",
            Self::Total => "total_timeout",
            Self::TooLarge => "too_large",
            Self::Unsendable => "unsendable",
            Self::Egress => "egress",
            Self::Meter => "meter",
            Self::NoTarget => "no_target",
        }
    }

    /// Whether another attempt may follow. Of a status it was judged with the answer at hand.
    fn may_be_mended(self, on: &Conditions) -> bool {
        match self {
            Self::Status(_) | Self::ContentFilter | Self::Unsendable => true,
            Self::Connect | Self::Egress => on.connect,
            Self::Reset | Self::Truncated => on.reset,
            Self::ErrorEvent | Self::BadAnswer => on.bad_answer,
            Self::HeadersTimeout => on.headers_timeout,
            Self::FirstTokenTimeout => on.first_token_timeout,
            Self::IdleTimeout => on.idle_timeout,
            Self::Total | Self::TooLarge | Self::Meter | Self::NoTarget => false,
        }
    }

    /// Whether the target is to blame.
    pub(super) fn is_of_target(self) -> bool {
        !matches!(
            self,
            Self::Unsendable | Self::Egress | Self::Meter | Self::NoTarget | Self::Total
        )
    }
}

/// An attempt that failed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Failed {
    pub(super) reason: Reason,
    kind: FailureKind,
    pub(super) retry_after: Option<Duration>,
    /// The provider's own answer is there, for the client if nothing better comes.
    pub(super) has_answer: bool,
}

impl Failed {
    pub(super) fn new(reason: Reason) -> Self {
        Self {
            reason,
            kind: FailureKind::Target,
            retry_after: None,
            has_answer: false,
        }
    }

    pub(super) fn of_call(error: CallError) -> Self {
        Self::new(match error {
            CallError::Request => Reason::Unsendable,
            CallError::Egress => Reason::Egress,
            CallError::Connect => Reason::Connect,
            CallError::Reset => Reason::Reset,
        })
    }

    /// By Envoy's flags and details of an answer that it gave in a provider's place.
    fn of_envoy(details: &str) -> Self {
        let flags = details.split(';').next().unwrap_or_default();
        let has = |flag: &str| flags.split(',').any(|own| own == flag);
        Self::new(if has("UT") || has("SI") || has("DT") {
            Reason::HeadersTimeout
        } else if has("UC") || has("UR") || has("LR") || has("UPE") {
            Reason::Reset
        } else {
            // UF, UH, NC, UO, NR: the request has reached nobody.
            Reason::Connect
        })
    }

    /// What the headers alone tell: that they are not the provider's. Envoy takes off what providers
    /// send of these.
    pub(super) fn of_head(head: &ResponseHead, through_envoy: bool) -> Option<Self> {
        if !through_envoy {
            return None;
        }
        if head.is_of_meter {
            return Some(Self::new(Reason::Meter));
        }
        head.of_envoy.as_deref().map(Self::of_envoy)
    }

    pub(super) fn of_kind(mut self, kind: FailureKind) -> Self {
        self.kind = kind;
        self
    }

    pub(super) fn after(mut self, retry_after: Option<Duration>) -> Self {
        self.retry_after = retry_after;
        self
    }

    pub(super) fn with_answer(mut self) -> Self {
        self.has_answer = true;
        self
    }

    pub(super) fn may_be_mended(&self, on: &Conditions) -> bool {
        self.reason.may_be_mended(on)
    }

    /// What the target's health and the next choice are told.
    pub(super) fn failure(&self) -> Failure {
        Failure {
            kind: self.kind,
            reason: self.reason.as_str(),
            retry_after: self.retry_after,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_envoy_says_in_a_providers_place_is_told_apart() {
        for (details, reason) in [
            (
                "UF;upstream_reset_before_response_started{connection_failure}",
                Reason::Connect,
            ),
            ("UF,URX;…", Reason::Connect),
            ("NC;cluster_not_found", Reason::Connect),
            (
                "UC;upstream_reset_before_response_started{connection_termination}",
                Reason::Reset,
            ),
            ("UT;response_timeout", Reason::HeadersTimeout),
            ("", Reason::Connect),
        ] {
            assert_eq!(Failed::of_envoy(details).reason, reason, "{details}");
        }
    }

    #[test]
    fn what_is_final_is_never_mended() {
        let on = Conditions::default();
        for reason in [Reason::Meter, Reason::Total, Reason::NoTarget] {
            assert!(!Failed::new(reason).may_be_mended(&on), "{reason:?}");
        }
        assert!(Failed::new(Reason::Connect).may_be_mended(&on));
    }
}
