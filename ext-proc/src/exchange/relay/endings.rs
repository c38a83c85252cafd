//! How a relay ends: with the answer's own end, with an error in its middle, or with none at all.

use hermesllm::error::{ApiError, ErrorCode};
use meseta_targets::{Exhausted, Verdict};

use super::failed::{Failed, Reason};
use super::judgement::error_of;
use super::mirror::Told;
use super::{count, Refused, Relay};
use crate::exchange::{reply, Context, ExchangeError};
use crate::outcome::Ending;
use crate::wire::Direction;

impl Relay {
    /// The answer that the client gets has ended.
    pub(super) fn ended(&mut self, context: &mut Context, ending: Ending) -> Ending {
        if let Some(compared) = self.compared.take() {
            let body = context.outbox.recorded();
            let _ = compared.send(Told::of(&context.outcome.answer, body));
        }
        if let Some(attempt) = self.answering.take() {
            let now = context.providers.now();
            let answer = &context.outcome.answer;
            let (verdict, result) = match (ending, answer.error) {
                (Ending::Complete, Some(_)) if answer.status < 400 => {
                    let failed = Failed::new(Reason::ErrorEvent);
                    (Verdict::Failure(failed.failure()), failed.reason.as_str())
                }
                (Ending::Complete, _) => (Verdict::Success { first_token: None }, "answered"),
                _ => {
                    let failed = Failed::new(Reason::Truncated);
                    (Verdict::Failure(failed.failure()), failed.reason.as_str())
                }
            };
            attempt.span.end(answer, result);
            count(context, &attempt.model, result);
            attempt.seat.end(&verdict, now);
        }
        ending
    }

    /// Ends an answer of which the client has had a part.
    pub(super) fn break_off(
        &mut self,
        context: &mut Context,
        reason: Reason,
    ) -> Result<Ending, ExchangeError> {
        let Some(mut attempt) = self.answering.take() else {
            return Err(ExchangeError::Undecodable);
        };
        let error = error_of(reason);
        let ending = attempt.break_off(&mut context.local_sink(), &error);
        let failed = Failed::new(reason);
        attempt.span.end(&context.outcome.answer, reason.as_str());
        count(context, &attempt.model, reason.as_str());
        if reason.is_of_target() {
            let now = context.providers.now();
            attempt.seat.end(&Verdict::Failure(failed.failure()), now);
        }
        ending.ok_or(ExchangeError::Truncated)
    }

    /// No attempt is left: the client gets the last provider's own answer, or an error of ours.
    pub(super) fn give_up(
        &mut self,
        context: &mut Context,
        exhausted: Exhausted,
    ) -> Result<Ending, ExchangeError> {
        if let Some(reason) = self.broken_for {
            return self.end_resumption(context, &error_of(reason));
        }
        if let Some(refusal) = self.refusal.take() {
            reply::refuse_by_limits(context, &self.asked.client, *refusal);
            return Ok(self.ended(context, Ending::Complete));
        }
        let final_failure = self.last_failure;
        let is_final = final_failure.is_some_and(|failed| failed.reason == Reason::Total);
        if let (Some(refused), false) = (self.refused.take(), is_final) {
            if !self.opening.is_open() {
                let Refused {
                    model,
                    account,
                    outbox,
                } = refused;
                self.take_over(context, &model, account, outbox);
                return Ok(self.ended(context, Ending::Complete));
            }
            context.outcome.answer = refused.account;
        }
        let error = match (final_failure, self.unsendable.take()) {
            (Some(failed), Some(error)) if failed.reason == Reason::Unsendable => error,
            (Some(failed), _) => error_of(failed.reason),
            (None, _) => nobody(exhausted),
        };
        context.outcome.answer.error = Some(error.code.reason());
        if self.opening.is_open() {
            return self.end_opened(context, &error);
        }
        let retry_after = final_failure.and_then(|failed| failed.retry_after);
        context.outcome.answer.attempts = self.plan.attempts();
        reply::refuse_after(context, &self.asked.client, &error, retry_after);
        Ok(self.ended(context, Ending::Complete))
    }

    /// Ends a stream of which the client has had nothing but headers and comments.
    pub(super) fn end_opened(
        &mut self,
        context: &mut Context,
        error: &ApiError,
    ) -> Result<Ending, ExchangeError> {
        let event = error.stream_event(self.asked.client.endpoint, 0);
        context.outcome.answer.status = 200;
        context.outcome.answer.error = Some(error.code.reason());
        context.outcome.answer.attempts = self.plan.attempts();
        let metadata = context.outcome.final_metadata(self.asked.client.dialect);
        let outbox = &mut context.outbox;
        outbox.body(Direction::Local, vec![event.into()], true, Some(metadata));
        Ok(self.ended(context, Ending::Truncated))
    }
}

/// What the client is told where nobody was asked.
fn nobody(exhausted: Exhausted) -> ApiError {
    let message = match exhausted {
        Exhausted::Drained => "all targets of this model are taken out of service",
        _ => "no target of this model can be asked at the moment",
    };
    ApiError::new(ErrorCode::UpstreamUnavailable, message)
}
