//! An exchange whose provider the server calls itself, and the next one when that fails.
//!
//! Owns failover: which attempt is made when, what of it the client gets, and what becomes of the
//! others. It polls in place, as all exchanges do: there is no task and no queue, and dropping it
//! breaks every call off.
//!
//! Invariants:
//! - Until content has gone to the client, a switch is silent: nothing of a failed attempt is sent.
//! - Each target gets a request made from the client's own, with its own credential.
//! - What our own meter refuses is final.
//! - An answer never looks complete when it is not: it ends with an error in the client's dialect,
//!   or is broken off.

mod attempt;
mod endings;
mod failed;
mod judgement;
mod mirror;
mod opening;
mod resumption;
mod terms;
mod timing;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Task, Poll};

use hermesllm::error::ApiError;
use meseta_config::{Mirror, ModelRef, Policy, Resolved};
use meseta_targets::{Exhausted, Next, Plan};
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep};

use self::attempt::{Attempt, MeterWord, Step, Surroundings};
use self::failed::{Failed, Reason};
use self::judgement::error_of;
use self::mirror::Told;
use self::opening::Opening;
use meseta_proto::headers;

use super::answer::Answering;
use super::metering::{self, Refusal};
use super::onward::{Asked, Prepared};
use super::outbox::Outbox;
use super::{Context, ExchangeError};
use crate::metrics::AttemptLabels;
use crate::outcome::{Account, Ending};
use crate::spans::AttemptSpan;
use crate::upstream::CallRequest;

/// An exchange on its way.
#[derive(Debug)]
pub(crate) struct Relay {
    asked: Arc<Asked>,
    policy: Arc<Policy>,
    /// Where copies go, until the request has been sent.
    mirror: Option<Mirror>,
    /// Waits for what the client's answer comes to.
    compared: Option<oneshot::Sender<Told>>,
    /// By the index of the plan's candidates.
    targets: Vec<ModelRef>,
    plan: Plan,
    under_way: Vec<Attempt>,
    /// Has begun as far as the target's health goes, and is sent after a pause.
    paused: Option<(meseta_targets::Attempt, Instant)>,
    /// The attempt whose answer the client gets.
    answering: Option<Attempt>,
    /// The client's side of an answer that broke off, for the next target to go on with.
    resuming: Option<Answering>,
    /// Why it broke off.
    broken_for: Option<Reason>,
    /// The provider's own word on the last attempt that failed with one.
    refused: Option<Refused>,
    last_failure: Option<Failed>,
    /// The name that was asked for, where it is a pool's.
    pool: Option<String>,
    /// Our own meter's refusal.
    refusal: Option<Box<Refusal>>,
    /// An error of ours that kept a target from being asked.
    unsendable: Option<ApiError>,
    opening: Opening,
    hedge_at: Option<Instant>,
    hedged: bool,
    total_at: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

/// A provider's answer that is a failure: what the client gets if nothing better comes.
#[derive(Debug)]
struct Refused {
    model: ModelRef,
    account: Account,
    outbox: Outbox,
}

impl Relay {
    /// A relay whose first attempt is made when it is polled.
    ///
    /// # Errors
    /// When no target can be asked at all.
    pub(crate) fn new(
        context: &Context,
        resolved: &Resolved<'_>,
        asked: Asked,
    ) -> Result<Self, ApiError> {
        let providers = &context.providers;
        let (targets, candidates) = terms::candidates(&context.config, resolved, &asked)?;
        let terms = terms::of(
            resolved,
            &asked,
            context.consumer.as_ref().map(|own| own.name.as_str()),
        );
        let health = Arc::clone(&providers.health);
        let plan = Plan::new(health, candidates, terms, providers.seed(), providers.now());
        let policy = Arc::clone(resolved.policy);
        let limit = policy.timeout.total.unwrap_or(context.listener.timeout);
        let total_at = (!limit.is_zero()).then(|| Instant::now() + limit);
        let heartbeat = context.config.server.heartbeat;
        Ok(Self {
            opening: Opening::new(&asked, heartbeat),
            asked: Arc::new(asked),
            policy,
            mirror: resolved.pool.and_then(|pool| pool.mirror.clone()),
            compared: None,
            pool: resolved.pool.map(|pool| pool.name.clone()),
            refusal: None,
            targets,
            plan,
            under_way: Vec::new(),
            paused: None,
            answering: None,
            resuming: None,
            broken_for: None,
            refused: None,
            last_failure: None,
            unsendable: None,
            hedge_at: None,
            hedged: false,
            total_at,
            timer: None,
        })
    }

    /// Goes on. Ready: the exchange has ended, or there is something to send; pending: neither, and
    /// the task will be woken.
    ///
    /// # Errors
    /// When an answer has to be broken off.
    pub(crate) fn poll(
        &mut self,
        context: &mut Context,
        cx: &mut Task<'_>,
    ) -> Poll<Result<Option<Ending>, ExchangeError>> {
        loop {
            let ended = match self.answering.is_some() {
                true => self.poll_answer(context, cx)?,
                false => self.poll_attempts(context, cx)?,
            };
            match ended {
                Poll::Ready(Some(ending)) => return Poll::Ready(Ok(Some(ending))),
                Poll::Ready(None) if !context.outbox.is_empty() => return Poll::Ready(Ok(None)),
                Poll::Ready(None) => continue,
                Poll::Pending => {}
            }
            match self.poll_timers(context, cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Ready(Ok(Some(ending))) => return Poll::Ready(Ok(Some(ending))),
                Poll::Ready(Ok(None)) if !context.outbox.is_empty() => {
                    return Poll::Ready(Ok(None));
                }
                Poll::Ready(Ok(None)) => {}
            }
        }
    }

    /// Whether what waits to be sent may still grow before it is.
    pub(crate) fn gathers(&self) -> bool {
        self.answering.as_ref().is_some_and(Attempt::gathers)
    }

    fn poll_attempts(
        &mut self,
        context: &mut Context,
        cx: &mut Task<'_>,
    ) -> Result<Poll<Option<Ending>>, ExchangeError> {
        if self.under_way.is_empty() && self.paused.is_none() {
            if self.refusal.is_some() {
                let ending = self.give_up(context, Exhausted::Attempts)?;
                return Ok(Poll::Ready(Some(ending)));
            }
            return match self.begin_next(context) {
                Ok(()) => Ok(Poll::Ready(None)),
                Err(exhausted) => self
                    .give_up(context, exhausted)
                    .map(|e| Poll::Ready(Some(e))),
            };
        }
        let mut place = 0;
        while place < self.under_way.len() {
            let around = surroundings(context, &self.policy, &self.plan, &self.asked);
            let Some(attempt) = self.under_way.get_mut(place) else {
                break;
            };
            match attempt.poll(&around, cx) {
                Poll::Pending => place += 1,
                Poll::Ready(Step::Answers) => {
                    let attempt = self.under_way.swap_remove(place);
                    return self.accept(context, attempt).map(Poll::Ready);
                }
                Poll::Ready(Step::Failed(failed)) => {
                    let attempt = self.under_way.swap_remove(place);
                    if let Some(ending) = self.failed(context, attempt, *failed)? {
                        return Ok(Poll::Ready(Some(ending)));
                    }
                    if self.under_way.is_empty() {
                        return Ok(Poll::Ready(None));
                    }
                }
            }
        }
        Ok(Poll::Pending)
    }

    /// Makes the next attempt, or plans it for after a pause.
    fn begin_next(&mut self, context: &mut Context) -> Result<(), Exhausted> {
        match self.plan.next(context.providers.now()) {
            Next::Exhausted(exhausted) => Err(exhausted),
            Next::Attempt(seat) if seat.delay().is_zero() => {
                self.send(context, seat);
                Ok(())
            }
            Next::Attempt(seat) => {
                let at = Instant::now() + seat.delay();
                self.paused = Some((seat, at));
                Ok(())
            }
        }
    }

    /// Sends the request to a target.
    fn send(&mut self, context: &mut Context, seat: meseta_targets::Attempt) {
        let number = self.plan.attempts();
        context.outcome.answer.attempts = number;
        let config = Arc::clone(&context.config);
        let model = self.targets.get(seat.index()).cloned();
        let target = model.as_ref().and_then(|model| config.target(model));
        let (Some(model), Some(target)) = (model.clone(), target) else {
            return self.note(context, seat, Failed::new(Reason::NoTarget));
        };
        let partial = self.resuming.as_ref().and_then(Answering::partial);
        let prepared = match self.asked.prepare(&context.metrics, target, partial) {
            Ok(prepared) => prepared,
            Err(error) => {
                self.unsendable = Some(error);
                return self.note(context, seat, Failed::new(Reason::Unsendable));
            }
        };
        let Prepared {
            path,
            mut edits,
            segments,
            mut forwarded,
        } = prepared;
        forwarded.resumable = self.policy.resume && self.asked.request.stream();
        // An exchange is charged once. Of a call that ended before it was answered the filter has settled
        // what it reserved by itself: then the next one is charged in its place, and so is a hedge.
        if !context.outcome.has_reserved() {
            let pool = self.pool.as_deref();
            match metering::admit(context, &self.asked, &target, pool, true) {
                Ok(None) => {}
                Ok(Some(order)) => {
                    edits.set(headers::CHARGE, order);
                }
                Err(refusal) => {
                    self.refusal = Some(refusal);
                    return self.note(context, seat, Failed::new(Reason::Meter));
                }
            }
        }
        let span = AttemptSpan::start(&context.outcome.span, &target, number);
        for (name, value) in span.propagate() {
            edits.set(&name, value);
        }
        let request = CallRequest {
            path,
            headers: edits.onto(self.asked.head.all.passing()),
            segments,
        };
        let upstreams = &context.providers.upstreams;
        let call = upstreams.call(&config, target.provider, request);
        let continues = self.resuming.is_some();
        let attempt = Attempt::begin(seat, model, forwarded, call, span, continues);
        if !self.hedged && !continues {
            let after = terms::hedge_after(&self.policy, &context.providers, attempt.seat.id());
            self.hedge_at = after.map(|after| Instant::now() + after);
        }
        self.under_way.push(attempt);
        if let Some(mirror) = self.mirror.take() {
            self.compared = mirror::start(context, &mirror, &self.asked);
            if self.compared.is_some() {
                context.outbox.record(mirror::MOST_BYTES);
            }
        }
    }

    /// An attempt has failed before the client got anything of it. `Some`: so has the exchange.
    fn failed(
        &mut self,
        context: &mut Context,
        attempt: Attempt,
        failed: Failed,
    ) -> Result<Option<Ending>, ExchangeError> {
        let Attempt {
            seat,
            model,
            span,
            account,
            outbox,
            word,
            ..
        } = attempt;
        Self::heed(context, word);
        span.end(&account, failed.reason.as_str());
        if failed.has_answer {
            self.refused = Some(Refused {
                model,
                account,
                outbox,
            });
        }
        self.note(context, seat, failed);
        if failed.may_be_mended(&self.policy.failover.on) {
            return Ok(None);
        }
        self.under_way.clear();
        self.paused = None;
        self.give_up(context, Exhausted::Attempts).map(Some)
    }

    /// Keeps what the filter in Envoy has said of the first call: its limits are those of the exchange.
    fn heed(context: &mut Context, word: MeterWord) {
        if let Some(reservation) = word.reservation {
            context.outcome.reservation = reservation;
        }
        if let Some(standing) = word.standing {
            context.outcome.limit_headers = metering::told(&standing);
        }
    }

    /// Tells plan, health and metrics of an attempt that has failed.
    fn note(&mut self, context: &Context, seat: meseta_targets::Attempt, failed: Failed) {
        self.last_failure = Some(failed);
        if let Some(model) = self.targets.get(seat.index()) {
            count(context, model, failed.reason.as_str());
        }
        self.tell(context, seat, failed);
    }

    /// The client gets this attempt's answer; the others are broken off.
    fn accept(
        &mut self,
        context: &mut Context,
        mut attempt: Attempt,
    ) -> Result<Option<Ending>, ExchangeError> {
        self.under_way.clear();
        self.paused = None;
        self.hedge_at = None;
        if self.resuming.is_some() {
            return self.resume(context, attempt);
        }
        let first_token = attempt.account.first_content.map(|_| attempt.elapsed());
        let streams = self.asked.request.stream();
        attempt
            .seat
            .answers(first_token.filter(|_| streams), context.providers.now());
        let is_stream = attempt.is_stream();
        Self::heed(context, std::mem::take(&mut attempt.word));
        let account = std::mem::take(&mut attempt.account);
        let outbox = std::mem::take(&mut attempt.outbox);
        if self.opening.is_open() && !is_stream {
            // The client has been promised events.
            let reason = match account.status {
                status @ 400.. => Reason::Status(status),
                _ => Reason::BadAnswer,
            };
            context.outcome.answer = account;
            self.answering = Some(attempt);
            return self.end_opened(context, &error_of(reason)).map(Some);
        }
        self.opening.answers(is_stream);
        self.take_over(context, &attempt.model, account, outbox);
        let (ended, is_untold) = (attempt.ended, attempt.is_untold());
        self.answering = Some(attempt);
        match ended {
            Some(_) if is_untold => self.broken(context, Reason::Truncated),
            Some(ending) => Ok(Some(self.ended(context, ending))),
            None => Ok(None),
        }
    }

    /// What an attempt has said becomes what the client is told.
    fn take_over(
        &mut self,
        context: &mut Context,
        model: &ModelRef,
        account: Account,
        outbox: Outbox,
    ) {
        let config = Arc::clone(&context.config);
        if let Some(target) = config.target(model) {
            context.outcome.at(&target);
        }
        context.outcome.answer = account;
        let metadata = context.outcome.request_metadata(self.asked.client.dialect);
        self.opening.pass(outbox, metadata, &mut context.outbox);
    }

    fn poll_answer(
        &mut self,
        context: &mut Context,
        cx: &mut Task<'_>,
    ) -> Result<Poll<Option<Ending>>, ExchangeError> {
        let Some(attempt) = &mut self.answering else {
            return Ok(Poll::Ready(None));
        };
        // Envoy does not push back on what is relayed: it holds what a slow client has not read.
        let most = context.config.server.max_response_bytes as u64;
        if context.outcome.answer.response_bytes > most {
            let ending = self.break_off(context, Reason::TooLarge)?;
            return Ok(Poll::Ready(Some(ending)));
        }
        match attempt.poll_rest(&mut context.local_sink(), cx) {
            Poll::Pending => Ok(Poll::Pending),
            Poll::Ready(Ok(None)) => {
                self.opening.sent(Instant::now());
                Ok(Poll::Ready(None))
            }
            Poll::Ready(Ok(Some(_))) if attempt.is_untold() => {
                let reason = attempt.why_untold();
                self.broken(context, reason).map(Poll::Ready)
            }
            Poll::Ready(Ok(Some(ending))) => Ok(Poll::Ready(Some(self.ended(context, ending)))),
            Poll::Ready(Err(reason)) => self.broken(context, reason).map(Poll::Ready),
        }
    }
}

fn surroundings<'a>(
    context: &'a Context,
    policy: &'a Policy,
    plan: &Plan,
    asked: &Asked,
) -> Surroundings<'a> {
    Surroundings {
        config: &context.config,
        metrics: &context.metrics,
        on: &policy.failover.on,
        timeouts: &policy.timeout,
        through_envoy: context.providers.through_envoy(),
        attempts: plan.attempts(),
        stream: asked.request.stream(),
        limits: &context.outcome.limit_headers,
        is_metered: context.outcome.is_metered,
    }
}

fn count(context: &Context, model: &ModelRef, result: &'static str) {
    let providers = &context.config.providers;
    let provider = providers.get(model.provider);
    let labels = AttemptLabels {
        provider: provider.map_or_else(String::new, |provider| provider.name.clone()),
        model: context.metrics.model_label(&model.id),
        result: result.to_owned(),
    };
    context.metrics.attempts.get_or_create(&labels).inc();
}
