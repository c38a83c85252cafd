//! An answer that broke off in the middle, and the next target that goes on with it.
//!
//! What the client has got stays; the next target is asked with it as the beginning of its answer, and
//! its stream is written on by the same writer. Only text is continued: what else has begun cannot be.

use hermesllm::error::ApiError;
use meseta_targets::Verdict;

use super::attempt::Attempt;
use super::failed::{Failed, Reason};
use super::judgement::error_of;
use super::{count, Relay};
use crate::exchange::{Context, ExchangeError};
use crate::outcome::Ending;

impl Relay {
    /// The answer that the client gets has broken off: another target goes on with it where that is
    /// wanted and can be. `Some`: the exchange has ended.
    pub(super) fn broken(
        &mut self,
        context: &mut Context,
        reason: Reason,
    ) -> Result<Option<Ending>, ExchangeError> {
        let is_mended =
            self.policy.resume && Failed::new(reason).may_be_mended(&self.policy.failover.on);
        let attempt = match self.answering.take() {
            Some(attempt) if is_mended && attempt.can_be_resumed() => attempt,
            attempt => {
                self.answering = attempt;
                return self.break_off(context, reason).map(Some);
            }
        };
        let Attempt {
            seat,
            model,
            span,
            answering,
            ..
        } = attempt;
        self.resuming = answering;
        self.broken_for = Some(reason);
        span.end(&context.outcome.answer, reason.as_str());
        count(context, &model, reason.as_str());
        self.tell(context, seat, Failed::new(reason));
        Ok(None)
    }

    /// Tells the target's health and the plan of an attempt that has failed.
    pub(super) fn tell(
        &mut self,
        context: &Context,
        seat: meseta_targets::Attempt,
        failed: Failed,
    ) {
        let now = context.providers.now();
        let index = seat.index();
        if failed.reason.is_of_target() {
            seat.end(&Verdict::Failure(failed.failure()), now);
        }
        self.plan.failed(index, &failed.failure(), now);
    }

    /// Goes on with the next target's stream, whose headers are there.
    pub(super) fn resume(
        &mut self,
        context: &mut Context,
        mut attempt: Attempt,
    ) -> Result<Option<Ending>, ExchangeError> {
        let Some(mut answering) = self.resuming.take() else {
            return Err(ExchangeError::Truncated);
        };
        let resumed = match attempt.continuation.take() {
            Some((api, encoding)) => {
                answering.resume(&mut context.local_sink(), api, encoding.as_deref())
            }
            None => false,
        };
        if !resumed {
            self.resuming = Some(answering);
            return self
                .end_resumption(context, &error_of(Reason::BadAnswer))
                .map(Some);
        }
        if let Some(target) = context.config.clone().target(&attempt.model) {
            context.outcome.at(&target);
        }
        let now = context.providers.now();
        attempt.seat.answers(None, now);
        self.broken_for = None;
        attempt.answering = Some(answering);
        self.answering = Some(attempt);
        Ok(None)
    }

    /// Nobody goes on with the answer: the client is told.
    pub(super) fn end_resumption(
        &mut self,
        context: &mut Context,
        error: &ApiError,
    ) -> Result<Ending, ExchangeError> {
        let ending = match &mut self.resuming {
            Some(answering) => answering.fail(&mut context.local_sink(), error),
            None => Err(ExchangeError::Truncated),
        };
        (self.resuming, self.broken_for) = (None, None);
        ending
    }
}
