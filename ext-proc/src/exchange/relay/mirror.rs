//! Copies of requests for a shadow target, whose answers no client sees.
//!
//! A copy is made in a task of its own, once the client's request has been sent, with the shadow's own
//! credential. What comes of it is counted and logged apart, and compared with the client's answer where
//! that is asked for: by what the two came to, never by their words.
//!
//! Invariants: no client waits for a copy; there are no more than [`MOST`] at a time, and what is left
//! out is counted; a copy says nothing of its target's health, and ends when the server stops.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::{Duration, Instant};

use meseta_config::{Config, Mirror, ModelRef};
use tokio::sync::oneshot;

use super::failed::{Failed, Reason};
use crate::exchange::answer::{Answering, Origin};
use crate::exchange::onward::{Asked, Prepared};
use crate::exchange::outbox::Outbox;
use crate::exchange::{Context, Sink};
use crate::metrics::{AttemptLabels, Metrics, MirrorLabels, TokenLabels};
use crate::outcome::{Account, Ending};
use crate::providers::Providers;
use crate::upstream::CallRequest;
use crate::wire::Direction;

/// How many copies there are at a time.
const MOST: usize = 64;
/// How long a copy may take, and how long it waits for the client's answer.
const LIMIT: Duration = Duration::from_secs(600);

/// What the client's answer came to, for the comparison.
#[derive(Debug)]
pub(super) struct Told {
    status: u16,
    finish_reason: Option<String>,
    output_tokens: u64,
}

impl Told {
    pub(super) fn of(account: &Account) -> Self {
        Self {
            status: account.status,
            finish_reason: account.finish_reason.clone(),
            output_tokens: account.usage.output,
        }
    }
}

/// Starts a copy, by chance and if there is room for one. What the client's answer comes to is to be
/// sent to what is returned.
pub(super) fn start(
    context: &Context,
    mirror: &Mirror,
    asked: &Arc<Asked>,
) -> Option<oneshot::Sender<Told>> {
    let providers = &context.providers;
    if !providers.chance(mirror.share) {
        return None;
    }
    let metrics = &context.metrics;
    if providers.background.len() >= MOST {
        count(metrics, &context.config, &mirror.model, "left_out");
        return None;
    }
    let (tell, told) = oneshot::channel();
    let copy = Copy {
        config: Arc::clone(&context.config),
        metrics: Arc::clone(metrics),
        providers: Arc::clone(providers),
        asked: Arc::clone(asked),
        model: mirror.model.clone(),
    };
    let stopped = providers.stopped.clone();
    let compare = mirror.compare;
    let task = async move {
        tokio::select! {
            () = stopped.cancelled() => {}
            () = copy.run(compare.then_some(told)) => {}
        }
    };
    tokio::spawn(providers.background.track_future(task));
    compare.then_some(tell)
}

/// A copy on its way.
struct Copy {
    config: Arc<Config>,
    metrics: Arc<Metrics>,
    providers: Arc<Providers>,
    asked: Arc<Asked>,
    model: ModelRef,
}

impl Copy {
    async fn run(self, told: Option<oneshot::Receiver<Told>>) {
        let began = Instant::now();
        let mut account = Account::default();
        let answered = tokio::time::timeout(LIMIT, self.ask(&mut account)).await;
        let result = match answered {
            Ok(Ok(())) if account.status >= 400 => Reason::Status(account.status).as_str(),
            Ok(Ok(())) if account.error.is_some() => Reason::ErrorEvent.as_str(),
            Ok(Ok(())) => "answered",
            Ok(Err(reason)) => reason.as_str(),
            Err(_) => Reason::Total.as_str(),
        };
        count(&self.metrics, &self.config, &self.model, result);
        self.count_tokens(&account);
        let total = began.elapsed();
        let told = match told {
            Some(told) => tokio::time::timeout(LIMIT, told).await.ok(),
            None => None,
        };
        let own = Told::of(&account);
        let told = told.and_then(Result::ok);
        let same_status = told.as_ref().map(|told| told.status == own.status);
        let same_finish = told
            .as_ref()
            .map(|told| told.finish_reason == own.finish_reason);
        if let (Some(status), Some(finish)) = (same_status, same_finish) {
            let labels = MirrorLabels {
                model: self.metrics.model_label(&self.model.id),
                same_status: status.to_string(),
                same_finish: finish.to_string(),
            };
            self.metrics.mirrored.get_or_create(&labels).inc();
        }
        tracing::info!(
            target: "meseta::mirror",
            request_id = self.asked.client.request_id,
            model = self.model.id,
            result,
            status = own.status,
            finish_reason = own.finish_reason,
            input_tokens = account.usage.input,
            output_tokens = own.output_tokens,
            same_status,
            same_finish,
            client_output_tokens = told.map(|told| told.output_tokens),
            total_ms = u64::try_from(total.as_millis()).unwrap_or(u64::MAX),
            "mirrored"
        );
    }

    async fn ask(&self, account: &mut Account) -> Result<(), Reason> {
        let target = self.config.target(&self.model).ok_or(Reason::NoTarget)?;
        let prepared = self.asked.prepare(&self.metrics, target, None);
        let Prepared {
            path,
            edits,
            segments,
            forwarded,
        } = prepared.map_err(|_| Reason::Unsendable)?;
        let request = CallRequest {
            path,
            headers: edits.onto(self.asked.head.all.passing()),
            segments,
        };
        let providers = &self.providers;
        let mut call = providers
            .upstreams
            .call(&self.config, target.provider, request);
        let through_envoy = providers.through_envoy();
        let head = poll_fn(|cx| call.poll_head(cx, through_envoy)).await;
        let head = head.map_err(|error| Failed::of_call(error).reason)?;
        if let Some(failed) = Failed::of_head(&head, through_envoy) {
            return Err(failed.reason);
        }
        let mut outbox = Outbox::default();
        let mut sink = Sink {
            config: &self.config,
            metrics: &self.metrics,
            direction: Direction::Local,
            account,
            outbox: &mut outbox,
        };
        let mut answering = Answering::open(&mut sink, forwarded, head, Origin::Provider);
        let mut bytes = 0;
        loop {
            let piece = poll_fn(|cx| call.poll_piece(cx)).await;
            let piece = piece.map_err(|_| Reason::Reset)?;
            let end = piece.is_none();
            let piece = piece.unwrap_or_default();
            bytes += piece.len();
            if bytes > self.config.server.max_response_bytes {
                return Err(Reason::TooLarge);
            }
            let ended = answering.push(&mut sink, piece, end);
            // Nobody reads what would have been sent.
            sink.outbox.clear();
            match ended {
                Ok(None) => {}
                Ok(Some(Ending::Complete)) => return Ok(()),
                Ok(Some(_)) => return Err(Reason::Truncated),
                Err(_) => return Err(Reason::BadAnswer),
            }
        }
    }

    fn count_tokens(&self, account: &Account) {
        let provider = self.config.providers.get(self.model.provider);
        let kinds = [
            ("input", account.usage.input),
            ("output", account.usage.output),
        ];
        for (kind, count) in kinds.into_iter().filter(|(_, count)| *count > 0) {
            let labels = TokenLabels {
                provider: provider.map_or_else(String::new, |provider| provider.name.clone()),
                model: self.metrics.model_label(&self.model.id),
                kind: kind.to_owned(),
            };
            let tokens = &self.metrics.mirror_tokens;
            tokens.get_or_create(&labels).inc_by(count);
        }
    }
}

fn count(metrics: &Metrics, config: &Config, model: &ModelRef, result: &'static str) {
    let provider = config.providers.get(model.provider);
    let labels = AttemptLabels {
        provider: provider.map_or_else(String::new, |provider| provider.name.clone()),
        model: metrics.model_label(&model.id),
        result: result.to_owned(),
    };
    metrics.mirrors.get_or_create(&labels).inc();
}
