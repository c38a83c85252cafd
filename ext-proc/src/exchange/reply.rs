//! Answers of our own: in the client's dialect, with the headers that its library looks for.

use std::time::Duration;

use hermesllm::dialect::Dialect;
use hermesllm::endpoint::{Endpoint, RouteError};
use hermesllm::error::{ApiError, ErrorCode};

use meseta_proto::headers;

use super::metering::Refusal;
use super::Context;
use crate::cors;
use crate::head::RequestHead;
use crate::outcome::Source;
use crate::wire::{self, HeaderEdits};

/// The header in which clients of AWS look for the type of an error.
pub(crate) const AWS_ERROR_TYPE: &str = "x-amzn-errortype";

/// Who asked for what: all that is needed to answer in the client's own terms.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) endpoint: Endpoint,
    pub(crate) dialect: Dialect,
    /// The origin that a browser's page has to be told it may read the answer.
    pub(crate) origin: Option<String>,
    pub(crate) request_id: Option<String>,
}

impl Client {
    /// The client of a request of which no more is known than these headers.
    pub(crate) fn of_unknown(head: &RequestHead) -> Self {
        Self {
            endpoint: Endpoint::Models,
            dialect: head.dialect.unwrap_or(Dialect::OpenAi),
            origin: None,
            request_id: head.request_id.clone(),
        }
    }
}

/// Says that there is nothing at this path, or not with this method.
pub(crate) fn no_route(context: &mut Context, error: &RouteError, client: Client) {
    let (dialect, code, message, allow) = match error {
        RouteError::NotFound { dialect } => (
            *dialect,
            ErrorCode::NotFound,
            "there is no such endpoint",
            None,
        ),
        RouteError::MethodNotAllowed { dialect, allow } => (
            *dialect,
            ErrorCode::MethodNotAllowed,
            "the endpoint does not take this method",
            Some(*allow),
        ),
    };
    let mut edits = HeaderEdits::default();
    if let Some(allow) = allow {
        edits.set("allow", allow);
    }
    let client = Client { dialect, ..client };
    refuse_with(context, &client, &ApiError::new(code, message), edits);
}

/// Answers with a body, or with the error in its place.
pub(crate) fn answer(context: &mut Context, client: &Client, body: Result<Vec<u8>, ApiError>) {
    match body {
        Ok(body) => send(context, client, 200, body, HeaderEdits::default()),
        Err(error) => refuse(context, client, &error),
    }
}

/// Answers with an error.
pub(crate) fn refuse(context: &mut Context, client: &Client, error: &ApiError) {
    refuse_with(context, client, error, HeaderEdits::default());
}

/// Answers with an error after attempts that came to nothing.
pub(crate) fn refuse_after(
    context: &mut Context,
    client: &Client,
    error: &ApiError,
    retry_after: Option<Duration>,
) {
    let mut edits = HeaderEdits::default();
    edits.set(
        headers::ATTEMPTS,
        context.outcome.answer.attempts.to_string(),
    );
    if let Some(wait) = retry_after {
        edits.set("retry-after", wait.as_secs_f64().ceil().to_string());
    }
    refuse_with(context, client, error, edits);
}

/// Answers that the limits of the client do not let its request pass.
pub(crate) fn refuse_by_limits(context: &mut Context, client: &Client, refusal: Refusal) {
    let mut edits = HeaderEdits::default();
    for (name, value) in &refusal.headers {
        edits.set(name, value);
    }
    refuse_with(context, client, &refusal.error, edits);
}

fn refuse_with(context: &mut Context, client: &Client, error: &ApiError, mut edits: HeaderEdits) {
    context.outcome.answer.error = Some(error.code.reason());
    if error.code == ErrorCode::ProviderNotConfigured {
        // Understood by the clients of OpenAI and Anthropic: trying again will not help.
        edits.set("x-should-retry", "false");
    }
    if client.dialect == Dialect::Bedrock {
        edits.set(AWS_ERROR_TYPE, error.code.bedrock_type());
    }
    let body = error.body(client.dialect);
    send(context, client, error.code.status(), body, edits);
}

/// Answers in the place of a provider whose answer has no body: with this one, or with the error.
pub(crate) fn replace(
    context: &mut Context,
    client: &Client,
    status: u16,
    body: Result<Vec<u8>, ApiError>,
) {
    match body {
        Ok(body) => send(context, client, status, body, HeaderEdits::default()),
        Err(error) => refuse(context, client, &error),
    }
}

/// Answers, whatever the status.
pub(crate) fn send(
    context: &mut Context,
    client: &Client,
    status: u16,
    body: Vec<u8>,
    mut edits: HeaderEdits,
) {
    let outcome = &mut context.outcome;
    outcome.answer.status = status;
    outcome.answer.source = Source::Server;
    outcome.answer.response_bytes = body.len() as u64;
    if !body.is_empty() {
        edits.set("content-type", "application/json");
    }
    if let Some(origin) = &client.origin {
        cors::allow(&mut edits, origin);
    }
    if let Some(request_id) = &client.request_id {
        edits.set("x-request-id", request_id);
    }
    let details = format!("meseta_{}", outcome.answer.error.unwrap_or("answered"));
    let metadata = outcome.final_metadata(client.dialect);
    let message = wire::immediate(status, edits, body, &details, Some(metadata));
    context.outbox.message(message);
}
