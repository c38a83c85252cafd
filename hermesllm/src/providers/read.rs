//! Reads the catalogue's text. Unknown keys and unknown APIs are errors, so that a slip of the pen
//! in an entry is one as well.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{expected_path, Api, Auth, Catalogue, CatalogueEntry, Prefill, ProviderId};
use crate::endpoint::Endpoint;

/// Why the catalogue cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    /// It has not the form of a catalogue.
    #[error(transparent)]
    Form(#[from] serde_yaml::Error),
    /// An entry lists an API that no provider has.
    #[error("provider `{provider}`: no API is called `{api}`")]
    Api { provider: String, api: String },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEntry {
    name: String,
    #[serde(default)]
    synonyms: Vec<String>,
    base_url: Option<String>,
    prefix: Option<String>,
    #[serde(default)]
    same_prefixes: Vec<String>,
    #[serde(default)]
    key_env: Vec<String>,
    #[serde(default = "yes")]
    key_required: bool,
    key_note: Option<String>,
    key_lifetime: Option<String>,
    #[serde(default)]
    not_keys: Vec<String>,
    #[serde(default)]
    auth: RawAuth,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    apis: Vec<RawApi>,
    plain_under: Option<String>,
    #[serde(default = "yes")]
    stream_usage: bool,
    #[serde(default)]
    max_completion_tokens: bool,
    #[serde(default)]
    prefill: Prefill,
    #[serde(default = "yes")]
    http2: bool,
    #[serde(default)]
    models: Vec<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawApi {
    Expected(String),
    Special(SpecialApi),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SpecialApi {
    api: String,
    path: Option<String>,
    prefix: Option<String>,
    auth: Option<RawAuth>,
    #[serde(default)]
    compatible: bool,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawAuth {
    Plain(PlainAuth),
    Header { header: String },
    Query { query: String },
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum PlainAuth {
    Bearer,
    None,
}

impl Default for RawAuth {
    fn default() -> Self {
        Self::Plain(PlainAuth::Bearer)
    }
}

fn yes() -> bool {
    true
}

/// Reads a catalogue. What it names lives as long as the program.
pub(super) fn catalogue(text: &str) -> Result<Catalogue, ReadError> {
    let raw: Vec<RawEntry> = serde_yaml::from_str(text)?;
    let mut catalogue = Catalogue::default();
    for (at, mut raw) in raw.into_iter().enumerate() {
        let synonyms = std::mem::take(&mut raw.synonyms);
        catalogue
            .synonyms
            .extend(synonyms.into_iter().map(|synonym| (synonym, at)));
        let entry = entry(raw)?;
        catalogue.elsewhere.push(entry.elsewhere());
        catalogue.entries.push(entry);
    }
    Ok(catalogue)
}

fn entry(raw: RawEntry) -> Result<CatalogueEntry, ReadError> {
    let apis = raw
        .apis
        .into_iter()
        .map(|api| self::api(&raw.name, api))
        .collect::<Result<_, _>>()?;
    let prefix = match &raw.base_url {
        Some(url) => path_of(url),
        None => raw.prefix.as_deref().unwrap_or_default(),
    };
    let key_env: Vec<&'static str> = raw.key_env.into_iter().map(kept).collect();
    Ok(CatalogueEntry {
        prefix: trimmed(prefix),
        same_prefixes: raw
            .same_prefixes
            .iter()
            .map(String::as_str)
            .map(trimmed)
            .collect(),
        id: ProviderId::new(kept(raw.name)),
        base_url: raw.base_url.map(kept),
        key_env: Vec::leak(key_env),
        key_required: raw.key_required,
        key_note: raw.key_note.map(kept),
        key_lifetime: raw.key_lifetime.map(kept),
        not_keys: raw.not_keys,
        headers: raw.headers.into_iter().collect(),
        stream_usage: raw.stream_usage,
        max_completion_tokens: raw.max_completion_tokens,
        prefill: raw.prefill,
        http2: raw.http2,
        models: Vec::leak(raw.models),
        auth: auth(raw.auth),
        plain_under: raw.plain_under.as_deref().map(trimmed),
        apis,
    })
}

fn api(provider: &str, raw: RawApi) -> Result<Api, ReadError> {
    let raw = match raw {
        RawApi::Special(api) => api,
        RawApi::Expected(api) => SpecialApi {
            api,
            path: None,
            prefix: None,
            auth: None,
            compatible: false,
        },
    };
    let known =
        Endpoint::named(&raw.api).and_then(|endpoint| Some((endpoint, expected_path(endpoint)?)));
    let Some((endpoint, expected)) = known else {
        return Err(ReadError::Api {
            provider: provider.to_owned(),
            api: raw.api,
        });
    };
    Ok(Api {
        endpoint,
        path: raw.path.unwrap_or_else(|| expected.to_owned()),
        prefix: raw.prefix.as_deref().map(trimmed),
        auth: raw.auth.map(auth),
        compatible: raw.compatible,
    })
}

fn auth(raw: RawAuth) -> Auth {
    match raw {
        RawAuth::Plain(PlainAuth::Bearer) => Auth::Bearer,
        RawAuth::Plain(PlainAuth::None) => Auth::None,
        RawAuth::Header { header } => Auth::Header(kept(header)),
        RawAuth::Query { query } => Auth::Query(kept(query)),
    }
}

/// The path of a URL.
fn path_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("")
}

fn trimmed(path: &str) -> String {
    path.trim_matches('/').to_owned()
}

/// Keeps a text for good: the catalogue is read once.
fn kept(text: String) -> &'static str {
    text.leak()
}
