//! What goes to a provider: path, headers, credential, body.
//!
//! The same for every way to it; of one request, each target gets its own, made from what the client
//! sent and from nothing that another target got.

use bytes::Bytes;
use hermesllm::apis::SupportedUpstreamAPIs as Api;
use hermesllm::endpoint::Endpoint;
use hermesllm::error::ApiError;
use hermesllm::request::{ProviderRequest, RequestEdits};
use hermesllm::translate::{self, Partial};
use meseta_config::Target;

use super::credentials;
use super::reply::Client;
use super::translation::{self, Translation};
use crate::head::RequestHead;
use crate::metrics::Metrics;
use crate::wire::HeaderEdits;

/// A request as the client sent it, complete.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) head: RequestHead,
    pub(crate) client: Client,
    pub(crate) request: ProviderRequest,
}

/// A request as one target gets it.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// Path and query.
    pub(crate) path: String,
    /// The changes on the client's headers, the credential among them.
    pub(crate) edits: HeaderEdits,
    pub(crate) segments: Vec<Bytes>,
    pub(crate) forwarded: Forwarded,
}

/// A request that has gone upstream.
#[derive(Debug)]
pub(crate) struct Forwarded {
    pub(crate) client: Client,
    /// The model that serves, as `provider/model`.
    pub(crate) model: String,
    /// The API that the provider is asked in, where it has one.
    pub(crate) api: Option<Api>,
    /// A stream that breaks off may be continued by another provider.
    pub(crate) resumable: bool,
    /// We asked for usage on the client's behalf and have to take it out again.
    pub(crate) strip_usage: bool,
    /// Prompt tokens, estimated from the size of the prompt.
    pub(crate) estimated_input: u64,
    /// The provider answers in another API than the client's.
    pub(crate) translation: Option<Box<Translation>>,
}

impl Forwarded {
    /// What is known of an answer to a request that we did not send on.
    pub(crate) fn nowhere(client: Client) -> Self {
        Self {
            client,
            model: String::new(),
            api: None,
            resumable: false,
            strip_usage: false,
            estimated_input: 0,
            translation: None,
        }
    }
}

impl Asked {
    /// The request for a target.
    ///
    /// # Errors
    /// When the target cannot take it: its provider has no way for this API, lacks its key, or loses
    /// more than it may. With the beginning of an answer: when it cannot go on with that.
    pub(crate) fn prepare(
        &self,
        metrics: &Metrics,
        target: Target<'_>,
        partial: Option<&Partial>,
    ) -> Result<Prepared, ApiError> {
        let Self {
            head,
            client,
            request,
        } = self;
        let provider = target.provider;
        let mut edits = HeaderEdits::default();
        for name in &head.private {
            edits.remove(name);
        }
        let way = provider
            .entry()
            .way(client.endpoint, request.stream())
            .ok_or_else(|| translation::no_way(target, client.endpoint))?;
        let path = upstream_path(target, head, client, way, &mut edits)?;

        let ask_usage =
            request.stream() && !request.include_usage() && provider.entry().stream_usage;
        let request_id = client.request_id.as_deref();
        let is_same = way == client.endpoint;
        let (segments, translation) = if is_same && partial.is_none() && !self.is_marked() {
            let edited = request.edit(&RequestEdits {
                model: Some(target.model),
                ask_usage,
            });
            (edited.into_segments(), None)
        } else {
            let (body, mut translation) =
                translation::request(metrics, request_id, request, way, target, partial)?;
            translation.options.json_array =
                client.endpoint == Endpoint::StreamGenerateContent && !asks_for_events(&head.path);
            edits.set("content-type", "application/json");
            if !is_same {
                for name in OF_ONE_API {
                    edits.remove(name);
                }
                edits.set("accept", translation.accept());
            }
            (vec![body], (!is_same).then(|| Box::new(translation)))
        };
        // Answers are read event by event: compression would only be undone again.
        edits.set("accept-encoding", "identity");
        for (name, value) in &provider.entry().headers {
            edits.set_if_absent(name, value);
        }
        for (name, value) in &provider.headers {
            edits.set(name, value);
        }
        let asks = matches!(
            client.endpoint,
            Endpoint::ChatCompletions | Endpoint::Completions
        );
        let forwarded = Forwarded {
            client: client.clone(),
            model: target.id.to_owned(),
            api: way.api(),
            resumable: false,
            strip_usage: ask_usage && asks,
            estimated_input: (request.prompt_bytes() as u64).div_ceil(4),
            translation,
        };
        Ok(Prepared {
            path,
            edits,
            segments,
            forwarded,
        })
    }
}

impl Asked {
    /// Whether it holds signatures of another provider, as an earlier turn's target may have made.
    fn is_marked(&self) -> bool {
        self.client.endpoint.api().is_some() && translate::is_marked(self.request.body())
    }
}

/// Headers that mean something to providers of one API only: `anthropic-version` is set anew where
/// it is wanted.
const OF_ONE_API: [&str; 10] = [
    "anthropic-version",
    "anthropic-beta",
    "openai-organization",
    "openai-project",
    "openai-beta",
    "x-goog-api-client",
    "x-goog-user-project",
    "amz-sdk-invocation-id",
    "amz-sdk-request",
    "x-amz-user-agent",
];

/// Whether a client of Gemini's wants Server-Sent Events; without a word it is a JSON array.
pub(crate) fn asks_for_events(path_and_query: &str) -> bool {
    let query = path_and_query.split_once('?').map(|(_, query)| query);
    let mut parameters = query.unwrap_or_default().split('&');
    parameters.any(|parameter| matches!(parameter, "alt=sse" | "$alt=sse"))
}

/// The path at the provider of the API that it is asked in, with the client's query string less its
/// keys, where the API is the client's, and with the provider's key where it wants it there.
fn upstream_path(
    target: Target<'_>,
    head: &RequestHead,
    client: &Client,
    way: Endpoint,
    edits: &mut HeaderEdits,
) -> Result<String, ApiError> {
    let provider = target.provider;
    let query = head
        .path
        .split_once('?')
        .filter(|_| way == client.endpoint)
        .map(|(_, query)| credentials::query_without_keys(query));
    let query = match query {
        // A stream that is translated is read event by event.
        None if way == Endpoint::StreamGenerateContent && way != client.endpoint => {
            Some("alt=sse".to_owned())
        }
        query => query,
    };
    let mut path = provider
        .entry()
        .path(way, &provider.path_prefix, target.model, query.as_deref())
        .ok_or_else(|| translation::no_way(target, client.endpoint))?;
    if let Some(key) = credentials::apply(provider, way, head, edits)? {
        path.push(if path.contains('?') { '&' } else { '?' });
        path.push_str(&key);
    }
    Ok(path)
}
