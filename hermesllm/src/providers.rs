//! The catalogue of providers: where each one is, what it serves, and how it wants to be asked.
//!
//! Everything about a provider is data (`providers/provider_models.yaml`); a new one that speaks a
//! known API costs an entry there and no code. The catalogue is embedded, read once, and the same
//! for every configuration. It must never hold a credential, only the names of the variables that
//! may.

mod id;
mod read;

use std::borrow::Cow;
use std::sync::OnceLock;

pub use id::{ProviderId, UnknownProvider};

use crate::endpoint::Endpoint;

/// Where the credential of a provider goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// `authorization: Bearer KEY`.
    Bearer,
    /// A header of this name, in lower case, that holds nothing but the key.
    Header(&'static str),
    /// A parameter of this name in the query string.
    Query(&'static str),
    /// Nowhere.
    None,
}

/// How a provider's chat completions go on with an assistant's message at the end of a request, which
/// OpenAI's own do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prefill {
    /// They do not, or nobody says so.
    #[default]
    None,
    /// Without being told.
    Assistant,
    /// With `prefix: true` in the message.
    Prefix,
    /// With `partial: true` in the message.
    Partial,
    /// With `continue_final_message: true` and `add_generation_prompt: false` in the request.
    ContinueFinalMessage,
}

/// What is known of a provider.
#[derive(Debug, Clone)]
pub struct CatalogueEntry {
    /// The provider.
    pub id: ProviderId,
    /// Where its API is, path included; `None` when that has to be configured.
    pub base_url: Option<&'static str>,
    /// The environment variables that may hold the key; the first one that is set wins.
    pub key_env: &'static [&'static str],
    /// Whether it cannot be used without a key.
    pub key_required: bool,
    /// What its key is and what cannot stand in for one yet; `None` where a key is just a key.
    pub key_note: Option<&'static str>,
    /// How long a key lasts, where that is short.
    pub key_lifetime: Option<&'static str>,
    /// Headers to send unless the client sends them, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Whether it takes `stream_options.include_usage`.
    pub stream_usage: bool,
    /// Whether the newer models refuse `max_tokens` and want `max_completion_tokens` in chat.
    pub max_completion_tokens: bool,
    /// How its chat completions are asked to go on with an answer that has begun.
    pub prefill: Prefill,
    /// Whether it may be offered HTTP/2 (over TLS, by ALPN).
    pub http2: bool,
    /// Well-known models, without the provider's name; others may exist.
    pub models: &'static [String],
    /// How things begin that people have and take for the key.
    not_keys: Vec<String>,
    /// Where the key goes, unless an API says otherwise.
    auth: Auth,
    /// The path of the API's address, without slashes at its ends.
    prefix: String,
    /// Further paths that mean the same layout.
    same_prefixes: Vec<String>,
    /// An address whose path ends so has the expected paths.
    plain_under: Option<String>,
    apis: Vec<Api>,
}

/// An API that a provider serves.
#[derive(Debug, Clone)]
struct Api {
    endpoint: Endpoint,
    /// Behind the prefix; `{model}` stands for the model. May hold a query string.
    path: String,
    /// In place of the entry's own prefix, without slashes at its ends.
    prefix: Option<String>,
    auth: Option<Auth>,
    /// Served for clients of another API, and losing what its own has: translation is better.
    compatible: bool,
}

impl CatalogueEntry {
    /// Whether the provider serves this API itself.
    pub fn serves(&self, endpoint: Endpoint) -> bool {
        self.api(endpoint).is_some()
    }

    /// The API to ask the provider in, for a client's request to this one: the same if the provider
    /// serves it as its own, else the one that keeps most of what the client's says; `None` when
    /// there is no way. `stream`: the answer is to be streamed, which is another endpoint in some
    /// APIs.
    pub fn way(&self, endpoint: Endpoint, stream: bool) -> Option<Endpoint> {
        if self.api(endpoint).is_some_and(|api| !api.compatible) {
            return Some(endpoint);
        }
        let ways: &[Endpoint] = match (endpoint, stream) {
            (
                Endpoint::ChatCompletions
                | Endpoint::Responses
                | Endpoint::Messages
                | Endpoint::Completions
                | Endpoint::GenerateContent
                | Endpoint::Converse
                | Endpoint::StreamGenerateContent
                | Endpoint::ConverseStream,
                stream,
            ) => {
                if stream {
                    &STREAMED
                } else {
                    &WHOLE
                }
            }
            (Endpoint::Embeddings, _) => &[Endpoint::CohereEmbed],
            _ => &[],
        };
        let own = |way: &&Endpoint| {
            let apis = endpoint.api().zip(way.api());
            **way != endpoint
                && apis.is_some_and(|(from, to)| crate::translate::is_way(from, to))
                && self.api(**way).is_some_and(|api| !api.compatible)
        };
        let translated = ways.iter().find(own).copied();
        translated.or_else(|| self.serves(endpoint).then_some(endpoint))
    }

    /// The APIs that the provider serves itself.
    pub fn endpoints(&self) -> impl Iterator<Item = Endpoint> + '_ {
        self.apis.iter().map(|api| api.endpoint)
    }

    /// Where the key goes on requests to this API.
    pub fn auth(&self, endpoint: Endpoint) -> Auth {
        self.api(endpoint)
            .and_then(|api| api.auth)
            .unwrap_or(self.auth)
    }

    /// Whether this is something else than a key of the provider's, by how it begins.
    pub fn is_no_key(&self, text: &str) -> bool {
        self.not_keys.iter().any(|begin| text.starts_with(begin))
    }

    /// The path and query string of an API at the provider; `None` when it does not serve the API.
    ///
    /// `prefix` is the path of the configured address. Without one (empty or `/`), or with one that
    /// the catalogue has, the provider's own layout counts, behind whatever stands before that; any other takes the place of the
    /// provider's. `model` is the model's name at the provider, as it is: it is encoded here.
    /// `client_query` is kept, and wins over a parameter of ours with the same name.
    pub fn path(
        &self,
        endpoint: Endpoint,
        prefix: &str,
        model: &str,
        client_query: Option<&str>,
    ) -> Option<String> {
        let api = self.api(endpoint)?;
        let given = prefix.trim_matches('/');
        let known = std::iter::once(&self.prefix).chain(&self.same_prefixes);
        let mut before = known.filter_map(|own| {
            let is_end = !own.is_empty() && is_under(given, own);
            given.strip_suffix(own.as_str()).filter(|_| is_end)
        });
        let before = if given.is_empty() || given == self.prefix {
            Some("")
        } else {
            before.next()
        };
        let own = api.prefix.as_deref().unwrap_or(&self.prefix);
        let prefix = match before {
            Some(before) => Cow::Owned([before, own].concat()),
            None => Cow::Borrowed(given),
        };
        let prefix = prefix.trim_end_matches('/');
        let plain = self.plain_under.as_deref();
        let template = if plain.is_some_and(|end| is_under(prefix, end)) {
            expected_path(endpoint)?
        } else {
            &api.path
        };
        let (template, our_query) = match template.split_once('?') {
            Some((template, query)) => (template, Some(query)),
            None => (template, None),
        };

        let mut path = String::with_capacity(prefix.len() + template.len() + model.len() + 1);
        if !prefix.is_empty() {
            path.push('/');
            path.push_str(prefix);
        }
        // An address that ends with the version already has it.
        let template = match template.strip_prefix("/v1/") {
            Some(rest) if is_under(prefix, "v1") => {
                path.push('/');
                rest
            }
            _ => template,
        };
        path.push_str(&template.replace("{model}", &percent_encoded(model)));
        append_query(&mut path, our_query, client_query);
        Some(path)
    }

    fn api(&self, endpoint: Endpoint) -> Option<&Api> {
        self.apis.iter().find(|api| api.endpoint == endpoint)
    }

    /// The same for an address that is not the provider's: its models, its address and, above
    /// all, its key are none of the other's business.
    fn elsewhere(&self) -> Self {
        Self {
            base_url: None,
            key_env: &[],
            key_required: false,
            key_note: None,
            key_lifetime: None,
            not_keys: Vec::new(),
            // Servers that speak the same API often know the older name alone.
            max_completion_tokens: false,
            models: &[],
            ..self.clone()
        }
    }
}

/// The APIs of conversations, from the one that keeps most to the one that keeps least.
const WHOLE: [Endpoint; 7] = [
    Endpoint::Messages,
    Endpoint::GenerateContent,
    Endpoint::Converse,
    Endpoint::ChatCompletions,
    Endpoint::Responses,
    Endpoint::CohereChat,
    Endpoint::Completions,
];

/// The same for streams.
const STREAMED: [Endpoint; 7] = [
    Endpoint::Messages,
    Endpoint::StreamGenerateContent,
    Endpoint::ConverseStream,
    Endpoint::ChatCompletions,
    Endpoint::Responses,
    Endpoint::CohereChat,
    Endpoint::Completions,
];

/// All providers that are known.
#[derive(Debug, Default)]
pub struct Catalogue {
    entries: Vec<CatalogueEntry>,
    /// The same entries in the same order, for other addresses.
    elsewhere: Vec<CatalogueEntry>,
    /// Further names, in lower case, of the entries at these places.
    synonyms: Vec<(String, usize)>,
}

/// The catalogue.
pub fn catalogue() -> &'static Catalogue {
    static CATALOGUE: OnceLock<Catalogue> = OnceLock::new();
    CATALOGUE.get_or_init(|| {
        // The text is embedded, and a test proves that it can be read.
        read::catalogue(include_str!("providers/provider_models.yaml")).unwrap_or_default()
    })
}

impl Catalogue {
    /// What is known of a provider.
    pub fn entry(&self, id: &ProviderId) -> Option<&CatalogueEntry> {
        self.entries.iter().find(|entry| entry.id == *id)
    }

    /// What to expect of a server that is not in the catalogue and has the interface of a provider
    /// that is: the same APIs, paths, place of the key and quirks, but no address, no variable for
    /// a key, no need of one, and no models.
    pub fn custom(&self, interface: &ProviderId) -> Option<&CatalogueEntry> {
        self.elsewhere.iter().find(|entry| entry.id == *interface)
    }

    /// Every entry, in the order in which providers are detected and listed.
    pub fn iter(&self) -> impl Iterator<Item = &CatalogueEntry> {
        self.entries.iter()
    }

    /// The entry of this name or synonym, whatever its case.
    fn named(&self, name: &str) -> Option<&CatalogueEntry> {
        let by_name = |entry: &&CatalogueEntry| entry.id.as_str().eq_ignore_ascii_case(name);
        self.entries.iter().find(by_name).or_else(|| {
            let synonyms = &mut self.synonyms.iter();
            let (_, at) = synonyms.find(|(synonym, _)| synonym.eq_ignore_ascii_case(name))?;
            self.entries.get(*at)
        })
    }
}

/// Where one expects an API, behind the prefix; `None` for what is no API of a provider's.
fn expected_path(endpoint: Endpoint) -> Option<&'static str> {
    match endpoint {
        Endpoint::ChatCompletions => Some("/chat/completions"),
        Endpoint::Completions => Some("/completions"),
        Endpoint::Responses => Some("/responses"),
        Endpoint::Embeddings => Some("/embeddings"),
        Endpoint::Messages => Some("/messages"),
        Endpoint::CountTokens => Some("/messages/count_tokens"),
        Endpoint::GenerateContent => Some("/models/{model}:generateContent"),
        Endpoint::StreamGenerateContent => Some("/models/{model}:streamGenerateContent"),
        Endpoint::Converse => Some("/model/{model}/converse"),
        Endpoint::ConverseStream => Some("/model/{model}/converse-stream"),
        Endpoint::CohereChat => Some("/v2/chat"),
        Endpoint::CohereEmbed => Some("/v2/embed"),
        Endpoint::Models | Endpoint::Model | Endpoint::Health => None,
    }
}

/// Whether a path ends with these segments.
fn is_under(path: &str, end: &str) -> bool {
    path.strip_suffix(end)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
}

fn append_query(path: &mut String, ours: Option<&str>, clients: Option<&str>) {
    let clients = clients.filter(|query| !query.is_empty());
    let key = |pair: &str| pair.split('=').next().unwrap_or_default().to_owned();
    let ours = ours.into_iter().flat_map(|query| query.split('&'));
    let ours = ours.filter(|pair| {
        let sent = &mut clients.into_iter().flat_map(|query| query.split('&'));
        !sent.any(|other| key(other) == key(pair))
    });
    for (at, part) in ours.chain(clients).enumerate() {
        path.push(if at == 0 { '?' } else { '&' });
        path.push_str(part);
    }
}

/// A segment of a path: all but the unreserved characters of RFC 3986 is escaped.
fn percent_encoded(text: &str) -> String {
    const DIGITS: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F',
    ];
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or_default();
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
    out
}

#[cfg(test)]
mod tests;
