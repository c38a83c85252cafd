//! What a relay waits for beside its calls: time-outs, hedges, pauses, heartbeats.
//!
//! One timer serves for all. It is moved forward at once and back only when it fires, because each
//! piece of a stream puts its time-out off.

use std::future::Future as _;
use std::task::{Context as Task, Poll};

use meseta_targets::Exhausted;
use tokio::time::Instant;

use super::failed::{Failed, Reason};
use super::{surroundings, Relay};
use crate::exchange::{Context, ExchangeError};
use crate::outcome::Ending;

/// What a timer is for.
#[derive(Debug, Clone, Copy)]
enum Due {
    Attempt(usize, Reason),
    Answer(Reason),
    Pause,
    Hedge,
    Total,
    Heartbeat,
}

impl Relay {
    /// Waits for what comes first: a time-out, a hedge, the end of a pause, a heartbeat.
    pub(super) fn poll_timers(
        &mut self,
        context: &mut Context,
        cx: &mut Task<'_>,
    ) -> Poll<Result<Option<Ending>, ExchangeError>> {
        loop {
            let Some((at, due)) = self.next_due(context) else {
                return Poll::Pending;
            };
            let timer = self
                .timer
                .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
            // Later is left alone: each piece of a stream would move it.
            if timer.deadline() > at || timer.is_elapsed() {
                timer.as_mut().reset(at);
            }
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if Instant::now() < at {
                continue;
            }
            return Poll::Ready(self.expired(context, due));
        }
    }

    fn next_due(&self, context: &Context) -> Option<(Instant, Due)> {
        let around = surroundings(context, &self.policy, &self.plan, &self.asked);
        let attempts = self
            .under_way
            .iter()
            .enumerate()
            .filter_map(|(place, attempt)| {
                let (at, reason) = attempt.deadline(&around, false)?;
                Some((at, Due::Attempt(place, reason)))
            });
        let answer = self.answering.as_ref().and_then(|attempt| {
            let (at, reason) = attempt.deadline(&around, true)?;
            Some((at, Due::Answer(reason)))
        });
        let pause = self.paused.as_ref().map(|(_, at)| (*at, Due::Pause));
        let hedge = self.hedge_at.map(|at| (at, Due::Hedge));
        let total = self.total_at.map(|at| (at, Due::Total));
        let heartbeat = self.opening.heartbeat_at().map(|at| (at, Due::Heartbeat));
        let others = [answer, pause, hedge, total, heartbeat];
        let all = attempts.chain(others.into_iter().flatten());
        all.min_by_key(|(at, _)| *at)
    }

    fn expired(
        &mut self,
        context: &mut Context,
        due: Due,
    ) -> Result<Option<Ending>, ExchangeError> {
        match due {
            Due::Attempt(place, reason) => {
                if place >= self.under_way.len() {
                    return Ok(None);
                }
                let attempt = self.under_way.swap_remove(place);
                self.failed(context, attempt, Failed::new(reason))
            }
            Due::Answer(reason) => self.broken(context, reason),
            Due::Pause => {
                if let Some((seat, _)) = self.paused.take() {
                    self.send(context, seat);
                }
                Ok(None)
            }
            Due::Hedge => {
                // Without another target the first goes on alone.
                self.hedge_at = None;
                self.hedged = true;
                if self.paused.is_none() {
                    let _ = self.begin_next(context);
                }
                Ok(None)
            }
            Due::Total if self.answering.is_some() => {
                self.break_off(context, Reason::Total).map(Some)
            }
            Due::Total => {
                self.under_way.clear();
                self.paused = None;
                self.last_failure = Some(Failed::new(Reason::Total));
                self.give_up(context, Exhausted::Attempts).map(Some)
            }
            Due::Heartbeat => {
                self.opening.beat(&self.asked, &mut context.outbox);
                Ok(None)
            }
        }
    }
}
