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

use bytes::Bytes;
use hermesllm::translate;
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

/// How much of an answer is kept to be compared, in bytes.
pub(super) const MOST_BYTES: usize = 1 << 20;

/// What an answer came to, for the comparison.
#[derive(Debug)]
pub(super) struct Told {
    status: u16,
    /// In the client's API.
    body: Bytes,
}

impl Told {
    pub(super) fn of(account: &Account, body: Bytes) -> Self {
        Self {
            status: account.status,
            body,
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
        let mut outbox = Outbox::default();
        if told.is_some() {
            outbox.record(MOST_BYTES);
        }
        let asked = self.ask(&mut account, &mut outbox);
        let answered = tokio::time::timeout(LIMIT, asked).await;
        let body = outbox.recorded();
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
        let told = told.and_then(Result::ok);
        let same_status = told.as_ref().map(|told| told.status == account.status);
        let difference = match (told, self.asked.client.endpoint.api()) {
            (Some(told), Some(api)) => {
                // Reads two whole answers.
                let compare =
                    move || translate::compare((api, &told.body), (api, &body), MOST_BYTES);
                let compared = tokio::task::spawn_blocking(compare).await;
                compared.ok().flatten()
            }
            _ => None,
        };
        if let Some(same_status) = same_status {
            let labels = MirrorLabels {
                model: self.metrics.model_label(&self.model.id),
                same_status: same_status.to_string(),
                same_finish: match &difference {
                    Some(difference) => difference.same_finish.to_string(),
                    None => "unknown".to_owned(),
                },
            };
            self.metrics.mirrored.get_or_create(&labels).inc();
        }
        let difference = difference.as_ref();
        tracing::info!(
            target: "meseta::mirror",
            request_id = self.asked.client.request_id,
            model = self.model.id,
            result,
            status = account.status,
            finish_reason = account.finish_reason,
            input_tokens = account.usage.input,
            output_tokens = account.usage.output,
            same_status,
            same_finish = difference.map(|own| own.same_finish),
            same_tools = difference.map(|own| own.same_tools),
            same_text = difference.map(|own| own.same_text),
            text_similarity_percent = difference.map(|own| own.text_similarity),
            total_ms = u64::try_from(total.as_millis()).unwrap_or(u64::MAX),
            "mirrored"
        );
    }

    async fn ask(&self, account: &mut Account, outbox: &mut Outbox) -> Result<(), Reason> {
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
        let mut sink = Sink {
            config: &self.config,
            metrics: &self.metrics,
            direction: Direction::Local,
            limits: &[],
            is_metered: false,
            account,
            outbox,
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
