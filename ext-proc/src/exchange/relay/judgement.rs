//! Whether what a provider says is an answer, and what a client is told where it is none.

use bytes::Bytes;
use hermesllm::error::{ApiError, ErrorCode};
use hermesllm::failure;
use meseta_targets::FailureKind;

use super::attempt::{Attempt, Step, Surroundings};
use super::failed::{Failed, Reason};
use crate::exchange::answer::{Answering, Form};
use crate::outcome::Ending;

impl Attempt {
    /// An answer by its status and what it says.
    pub(super) fn judge_error(&mut self, around: &Surroundings<'_>) -> Step {
        let status = self.account.status;
        let body = self.joined();
        let api = self.answering.as_ref().and_then(Answering::provider_api);
        let kind = api.map(|api| failure::of_answer(api, status, &body));
        let (listed, kind) = match kind {
            Some(failure::FailureKind::ContextLength) => {
                (around.on.context_length, FailureKind::ContextLength)
            }
            Some(failure::FailureKind::ContentFilter) => {
                (around.on.content_filter, FailureKind::ContentFilter)
            }
            _ if status == 429 => (false, FailureKind::RateLimited),
            _ => (false, FailureKind::Target),
        };
        if !listed && !around.on.has_status(status) {
            return Step::Answers;
        }
        let failed = Failed::new(Reason::Status(status)).of_kind(kind);
        let failed = failed.after(self.retry_after);
        Step::Failed(match self.ended {
            Some(_) => failed.with_answer().into(),
            None => failed.into(),
        })
    }

    /// A stream by how it begins.
    pub(super) fn judge_stream(&mut self, around: &Surroundings<'_>) -> Option<Step> {
        if self.account.first_content.is_some() {
            return Some(Step::Answers);
        }
        let truncated = self.ended == Some(Ending::Truncated);
        if self.account.error.is_some() || truncated {
            if !around.on.bad_answer {
                return self.ended.is_some().then_some(Step::Answers);
            }
            let reason = match truncated {
                true => Reason::Truncated,
                false => Reason::ErrorEvent,
            };
            return Some(Step::Failed(Failed::new(reason).into()));
        }
        // An answer without any content is one all the same.
        self.ended.is_some().then_some(Step::Answers)
    }

    /// A document once it is there, or as much of it as is held.
    pub(super) fn judge_whole(&mut self, around: &Surroundings<'_>, end: bool) -> Step {
        if self.whole_bytes > around.config.server.max_response_bytes {
            return Step::Failed(Failed::new(Reason::TooLarge).into());
        }
        if around.on.bad_answer {
            let form = self.answering.as_ref().map(Answering::form);
            let readable = form == Some(Form::Json) && (!end || is_json(&self.joined()));
            if !readable || self.account.error.is_some() {
                return Step::Failed(Failed::new(Reason::BadAnswer).into());
            }
        }
        let filtered = self
            .answering
            .as_ref()
            .zip(self.account.finish_reason.as_deref())
            .is_some_and(|(answering, reason)| {
                let api = answering.provider_api();
                api.is_some_and(|api| failure::is_filtered(api, reason))
            });
        if around.on.content_filter && filtered {
            let failed = Failed::new(Reason::ContentFilter);
            return Step::Failed(
                failed
                    .of_kind(FailureKind::ContentFilter)
                    .with_answer()
                    .into(),
            );
        }
        Step::Answers
    }

    fn joined(&self) -> Bytes {
        match self.whole.as_slice() {
            [only] => only.clone(),
            pieces => pieces.concat().into(),
        }
    }
}

fn is_json(body: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok()
}

/// An error of ours for a client whose answer will not come.
pub(super) fn error_of(reason: Reason) -> ApiError {
    let (code, message) = match reason {
        Reason::Connect => (
            ErrorCode::UpstreamUnavailable,
            "the provider cannot be reached",
        ),
        Reason::Egress | Reason::Unsendable | Reason::NoTarget => (
            ErrorCode::UpstreamUnavailable,
            "no provider can be asked at the moment",
        ),
        Reason::HeadersTimeout
        | Reason::FirstTokenTimeout
        | Reason::IdleTimeout
        | Reason::Total => (
            ErrorCode::UpstreamTimeout,
            "the provider did not answer in time",
        ),
        Reason::Reset | Reason::Truncated => (
            ErrorCode::UpstreamTruncated,
            "the provider ended the answer before it was complete",
        ),
        Reason::Meter => (ErrorCode::RateLimited, "too many requests"),
        Reason::TooLarge => (
            ErrorCode::UpstreamProtocol,
            "the provider's answer is too large",
        ),
        Reason::Status(429) => (
            ErrorCode::RateLimited,
            "the provider takes no more requests at the moment",
        ),
        Reason::Status(_) | Reason::ErrorEvent => (
            ErrorCode::UpstreamUnavailable,
            "the provider answered with an error",
        ),
        Reason::BadAnswer | Reason::ContentFilter => (
            ErrorCode::UpstreamProtocol,
            "the provider's answer is not what its API prescribes",
        ),
    };
    ApiError::new(code, message)
}
