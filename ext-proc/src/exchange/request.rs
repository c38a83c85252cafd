//! The request: which endpoint, which model, which provider, and what goes upstream.
//!
//! Owns everything up to the moment at which the request goes on, or is answered here.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use hermesllm::endpoint::{self, Endpoint, RouteError};
use hermesllm::error::{ApiError, ErrorCode};
use hermesllm::models::{self, ModelCard};
use hermesllm::request::ProviderRequest;
use meseta_config::{ListedModel, ResolveError, Sender, Target, UpstreamPath};
use meseta_proto::headers;

use super::consumer;
use super::metering;
use super::onward::{Asked, Forwarded, Prepared};
use super::relay::Relay;
use super::reply::{self, Client};
use super::Context;
use crate::cors::{self, Verdict};
use crate::head::RequestHead;
use crate::spans::ExchangeSpan;
use crate::wire::{self, Direction, HeaderEdits};

/// A request whose body is coming in.
#[derive(Debug)]
pub(crate) struct Collecting {
    head: RequestHead,
    client: Client,
    /// The model that the path names.
    path_model: Option<String>,
    body: Body,
}

/// The bytes of a body that came in; one chunk is kept as it is.
#[derive(Debug, Default)]
struct Body {
    first: Bytes,
    all: BytesMut,
}

impl Body {
    fn len(&self) -> usize {
        self.first.len() + self.all.len()
    }

    fn push(&mut self, chunk: Vec<u8>, expected: usize) {
        if self.len() == 0 {
            self.first = chunk.into();
            return;
        }
        if !self.first.is_empty() {
            self.all
                .reserve(expected.max(self.first.len() + chunk.len()));
            self.all.extend_from_slice(&std::mem::take(&mut self.first));
        }
        self.all.extend_from_slice(&chunk);
    }

    fn into_bytes(self) -> Bytes {
        if self.all.is_empty() {
            self.first
        } else {
            self.all.freeze()
        }
    }
}

/// Looks at the headers of a request. `None`: it needs no more than them and has been answered.
pub(crate) fn open(context: &mut Context, mut head: RequestHead) -> Option<Box<Collecting>> {
    let outcome = &mut context.outcome;
    outcome.request_id = head.request_id.clone().unwrap_or_default();
    outcome.span = ExchangeSpan::start(&head);

    let fallback = Client::of_unknown(&head);
    let verdict = cors::judge(&context.listener.cors, head.origin.as_deref());
    if head.method == "OPTIONS" {
        preflight(context, &head, &fallback, verdict);
        return None;
    }
    let route = match endpoint::route(&head.method, &head.path, fallback.dialect) {
        Ok(route) => route,
        Err(error) => {
            reply::no_route(context, &error, fallback);
            return None;
        }
    };
    let client = Client {
        endpoint: route.endpoint,
        dialect: route.dialect,
        origin: verdict.allowed().map(str::to_owned),
        request_id: head.request_id.clone(),
    };
    context.outcome.endpoint = client.endpoint.as_str();
    if verdict == Verdict::Refused {
        reply::refuse(context, &client, &foreign_origin());
        return None;
    }
    if route.endpoint != Endpoint::Health {
        let config = Arc::clone(&context.config);
        let claims = context.claims.as_ref();
        let (keys, path) = (&mut head.keys, &head.path);
        match consumer::identify(&config, (keys, path), &head.all, claims) {
            Ok(consumer) => {
                let name = consumer.as_ref().map(|own| own.name.clone());
                context.outcome.consumer = name.unwrap_or_default();
                context.consumer = consumer;
            }
            Err(error) => {
                reply::refuse(context, &client, &error);
                return None;
            }
        }
    }
    match route.endpoint {
        Endpoint::Health => {
            let body = br#"{"status":"ok"}"#.to_vec();
            reply::answer(context, &client, Ok(body));
            None
        }
        Endpoint::Models => {
            let listed = models_for(context);
            let cards: Vec<_> = listed.iter().map(card).collect();
            let body = models::model_list(client.dialect, &cards, route.query);
            reply::answer(context, &client, body);
            None
        }
        Endpoint::Model => {
            let wanted = route.model_id.unwrap_or_default();
            let listed = models_for(context);
            let body = listed
                .iter()
                .find(|model| model.id == wanted)
                .map(|model| models::model_info(client.dialect, &card(model)))
                .ok_or_else(|| unknown_model(&wanted, &[]));
            reply::answer(context, &client, body);
            None
        }
        _ => {
            let path_model = route.model_id.map(Cow::into_owned);
            match check_body_headers(context, &head) {
                Ok(()) => Some(Box::new(Collecting {
                    head,
                    client,
                    path_model,
                    body: Body::default(),
                })),
                Err(error) => {
                    reply::refuse(context, &client, &error);
                    None
                }
            }
        }
    }
}

/// The models that whoever asks may ask for.
fn models_for(context: &Context) -> Vec<ListedModel> {
    let config = &context.config;
    let mut listed = config.models();
    let key = context.consumer.as_ref().and_then(|own| own.key(config));
    if let Some(key) = key {
        listed.retain(|model| config.may_ask(key, Some(&model.id)));
    }
    listed
}

impl Collecting {
    /// Takes a piece of the body.
    ///
    /// # Errors
    /// [`ErrorCode::PayloadTooLarge`] when the body grows past the limit.
    pub(crate) fn push(&mut self, context: &mut Context, chunk: Vec<u8>) -> Result<(), ApiError> {
        let limit = context.config.server.max_request_bytes;
        if self.body.len().saturating_add(chunk.len()) > limit {
            return Err(too_large(limit));
        }
        context.outcome.request_bytes += chunk.len() as u64;
        let expected = self.head.content_length.unwrap_or(0).min(limit as u64);
        self.body
            .push(chunk, usize::try_from(expected).unwrap_or(limit));
        Ok(())
    }

    /// Answers with an error.
    pub(crate) fn refuse(&self, context: &mut Context, error: &ApiError) {
        reply::refuse(context, &self.client, error);
    }

    /// What is known of a request that never went on.
    pub(crate) fn not_forwarded(self) -> Forwarded {
        Forwarded::nowhere(self.client)
    }

    /// Decides, and sends the request on or answers it. `None`: answered.
    pub(crate) fn forward(self, context: &mut Context, trailers: bool) -> Option<Onward> {
        let Self {
            head,
            client,
            path_model,
            body,
        } = self;
        let request = ProviderRequest::parse(client.endpoint, body.into_bytes());
        let request = match path_model {
            Some(model) => request.and_then(|request| request.with_path_model(&model)),
            None => request,
        };
        let decided = request.and_then(|request| {
            let asked = Asked {
                head,
                client: client.clone(),
                request,
            };
            decide(context, asked, trailers)
        });
        match decided {
            Ok(onward) => onward,
            Err(error) => {
                reply::refuse(context, &client, &error);
                None
            }
        }
    }
}

/// How a request goes on.
#[derive(Debug)]
pub(crate) enum Onward {
    /// Envoy calls the provider.
    Direct(Box<Forwarded>),
    /// The server calls providers itself.
    Relay(Box<Relay>),
}

/// Everything between a complete request and its way upstream. `None`: it has been answered.
fn decide(context: &mut Context, asked: Asked, trailers: bool) -> Result<Option<Onward>, ApiError> {
    let config = context.config.clone();
    let requested = asked.request.model();
    if requested.is_some_and(|model| model.chars().any(char::is_control)) {
        let message = "a model name has no control characters";
        return Err(ApiError::new(ErrorCode::InvalidRequest, message).with_param("model"));
    }
    context.outcome.requested_model = requested.unwrap_or_default().to_owned();
    context.outcome.stream = asked.request.stream();
    let header = |name: &str| asked.head.all.text(name);
    let sender = Sender {
        header: &header,
        consumer: context.consumer.as_ref().map(|own| own.name.as_str()),
    };
    let resolved = config.resolve(requested, &sender);
    let resolved = resolved.map_err(|error| match error {
        ResolveError::Missing => ApiError::new(
            ErrorCode::MissingModel,
            "the request names no model and no default is configured",
        )
        .with_param("model"),
        ResolveError::Unknown { near } => unknown_model(requested.unwrap_or_default(), &near),
    })?;
    let key = context.consumer.as_ref().and_then(|own| own.key(&config));
    if key.is_some_and(|key| !config.may_ask(key, requested)) {
        let message = "this key may not ask for this model";
        return Err(ApiError::new(ErrorCode::ModelForbidden, message).with_param("model"));
    }
    context.outcome.estimated_input = (asked.request.prompt_bytes() as u64).div_ceil(4);
    if resolved.path() == UpstreamPath::Relay {
        let relay = Relay::new(context, &resolved, asked)?;
        return Ok(Some(Onward::Relay(Box::new(relay))));
    }
    let first = resolved.targets.first();
    let target = first.and_then(|first| config.target(&first.model));
    let target = target.ok_or_else(|| unknown_model(requested.unwrap_or_default(), &[]))?;
    context.outcome.at(&target);
    let prepared = asked.prepare(&context.metrics, target, None)?;
    let pool = resolved.pool.map(|pool| pool.name.as_str());
    let order = match metering::admit(context, &asked, &target, pool, false) {
        Ok(order) => order,
        Err(refusal) => {
            reply::refuse_by_limits(context, &asked.client, *refusal);
            return Ok(None);
        }
    };
    let forwarded = direct(context, &asked, target, prepared, order, trailers);
    Ok(Some(Onward::Direct(Box::new(forwarded))))
}

/// Sends a request on to its provider by way of Envoy.
fn direct(
    context: &mut Context,
    asked: &Asked,
    target: Target<'_>,
    prepared: Prepared,
    order: Option<String>,
    trailers: bool,
) -> Forwarded {
    let provider = target.provider;
    let Prepared {
        path,
        mut edits,
        segments,
        forwarded,
    } = prepared;
    let length: usize = segments.iter().map(Bytes::len).sum();
    edits
        .set(":path", path)
        .set(":authority", &provider.authority)
        .set(":scheme", provider.scheme.as_str())
        .set(headers::CLUSTER, &provider.cluster)
        .set("content-length", length.to_string());
    if let Some(order) = order {
        edits.set(headers::CHARGE, order);
    }
    if !trailers {
        // With request trailers Envoy 1.40 would send the body twice.
        edits.set("x-envoy-retry-on", "connect-failure");
    }
    for (name, value) in context.outcome.span.propagate() {
        edits.set(&name, value);
    }
    let metadata = context.outcome.request_metadata(asked.client.dialect);
    let outbox = &mut context.outbox;
    outbox.message(wire::headers(Direction::Request, edits, Some(metadata)));
    outbox.body(Direction::Request, segments, !trailers, None);
    if trailers {
        outbox.message(wire::trailers(Direction::Request, None));
    }
    forwarded
}

/// Refuses by the headers alone what no body could mend.
fn check_body_headers(context: &Context, head: &RequestHead) -> Result<(), ApiError> {
    let limit = context.config.server.max_request_bytes;
    if head.end_of_stream {
        return Err(ApiError::new(
            ErrorCode::InvalidJson,
            "the request has no body",
        ));
    }
    if let Some(content_type) = &head.content_type {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        let json = essence.eq_ignore_ascii_case("application/json")
            || essence.to_ascii_lowercase().ends_with("+json");
        if !json {
            return Err(ApiError::new(
                ErrorCode::UnsupportedMediaType,
                "the content type has to be application/json",
            ));
        }
    }
    if let Some(encoding) = &head.content_encoding {
        if !encoding.eq_ignore_ascii_case("identity") {
            return Err(ApiError::new(
                ErrorCode::UnsupportedMediaType,
                "request bodies must not be compressed",
            ));
        }
    }
    if head
        .content_length
        .is_some_and(|length| length > limit as u64)
    {
        return Err(too_large(limit));
    }
    Ok(())
}

/// CORS preflight, or the plain question which methods there are.
fn preflight(context: &mut Context, head: &RequestHead, client: &Client, verdict: Verdict<'_>) {
    let Some(methods) = endpoint::allowed_methods(&head.path) else {
        let error = RouteError::NotFound {
            dialect: client.dialect,
        };
        return reply::no_route(context, &error, client.clone());
    };
    let mut edits = HeaderEdits::default();
    edits.set("allow", methods);
    match verdict {
        Verdict::Refused => return reply::refuse(context, client, &foreign_origin()),
        Verdict::Allowed(origin) if head.requested_method.is_some() => {
            cors::preflight(
                &mut edits,
                origin,
                methods,
                head.requested_headers.as_deref(),
            );
        }
        Verdict::Allowed(_) | Verdict::NotABrowser => {}
    }
    reply::send(context, client, 204, Vec::new(), edits);
}

fn foreign_origin() -> ApiError {
    ApiError::new(
        ErrorCode::Forbidden,
        "this origin may not use this server from a browser",
    )
}

fn card(model: &ListedModel) -> ModelCard<'_> {
    ModelCard {
        id: &model.id,
        owned_by: &model.owned_by,
        display_name: &model.id,
    }
}

fn too_large(limit: usize) -> ApiError {
    ApiError::new(
        ErrorCode::PayloadTooLarge,
        format!("the request is larger than {limit} bytes"),
    )
}

fn unknown_model(model: &str, near: &[String]) -> ApiError {
    let mut message = format!("model `{model}` is not configured");
    if !near.is_empty() {
        message.push_str("; did you mean ");
        message.push_str(&near.join(" or "));
        message.push('?');
    }
    ApiError::new(ErrorCode::ModelNotFound, message).with_param("model")
}
