//! `model_providers`: where each model is, and with which credential it is asked.
//!
//! Invariant: the key of a known provider, found in the environment without being named in the
//! file, goes to that provider's own address only.

use hermesllm::providers::{catalogue, CatalogueEntry, ProviderId};
use url::Url;

use super::document::{Map, Node};
use super::findings::Findings;
use super::schema;
use crate::provider::{OnLoss, Provider};
use crate::schema::PROVIDER;

mod address;
mod credential;
pub(super) mod headers;
mod key_notes;

use address::Address;

/// One entry of the file.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    pub(super) node: Node<'a>,
    /// Its own name, another one for its model.
    pub(super) name: Option<String>,
    /// The model as the provider knows it, or `*`.
    pub(super) model: String,
    /// `provider/model`, or `provider/*`.
    pub(super) id: String,
    pub(super) is_default: bool,
    pub(super) provider: Provider,
}

impl Entry<'_> {
    /// Whether it passes any model through.
    pub(super) fn is_wildcard(&self) -> bool {
        self.model == "*"
    }
}

/// Reads all entries. One with a problem is left out.
pub(super) fn read<'a>(top: &Map<'a>, findings: &mut Findings<'_>) -> Vec<Entry<'a>> {
    let list = match (top.get("model_providers"), top.get("llm_providers")) {
        (Some(list), None) => Some(list),
        (None, Some(list)) => {
            findings.warning(&list, "deprecated: rename it to `model_providers`");
            Some(list)
        }
        (Some(list), Some(old)) => {
            let hint = Some("move its entries to `model_providers`".to_owned());
            findings.problem_at_key(&old, "is another name for `model_providers`", hint);
            Some(list)
        }
        (None, None) => None,
    };
    let items = list.map(|list| list.list(findings).unwrap_or_default());
    if items.as_ref().is_none_or(Vec::is_empty) {
        findings.warning(
            &top.absent("model_providers"),
            "no provider is configured: every model is unknown",
        );
    }
    let mut entries = Vec::new();
    for item in items.unwrap_or_default() {
        if let Some(map) = item.map(findings) {
            schema::check(&map, &PROVIDER, findings);
            entries.extend(entry(&map, &item, findings));
        }
    }
    entries
}

/// The providers of the entries: equal ones once, in the order of their first entry.
pub(super) fn merged(entries: &[Entry<'_>]) -> Vec<Provider> {
    let mut providers: Vec<Provider> = Vec::new();
    for entry in entries {
        if !providers.iter().any(|known| known.same_as(&entry.provider)) {
            providers.push(entry.provider.clone());
        }
    }
    providers
}

fn entry<'a>(map: &Map<'a>, node: &Node<'a>, findings: &mut Findings<'_>) -> Option<Entry<'a>> {
    let name = map.get("name").and_then(|node| node.scalar(findings));
    let flag = |key: &str, findings: &mut Findings<'_>| {
        let node = map.get(key);
        node.and_then(|node| node.flag(findings)).unwrap_or(false)
    };
    let is_default = flag("default", findings);
    let passthrough = flag("passthrough_auth", findings);
    let on_loss = map
        .get("on_loss")
        .and_then(|node| node.parsed(findings, str::parse::<OnLoss>));
    let headers = headers::read(map.get("headers"), findings);
    let http_host = map
        .get("http_host")
        .and_then(|node| address::http_host(&node, findings));
    let base_url = map.get("base_url");
    let configured = base_url
        .as_ref()
        .map(|node| address::base_url(node, findings));
    let model = model(map, findings);
    let kind = model
        .as_ref()
        .and_then(|(provider, _)| interface(map, provider, base_url.is_some(), findings));
    if let (Some((provider, "*")), true) = (&model, is_default) {
        findings.problem_with(
            &map.absent("default"),
            format!("`{provider}/*` is many models: none of them can be the default"),
            "name the default model in an entry of its own",
        );
    }
    let (provider, model) = model?;
    let (id, own) = kind?;
    let address = match configured {
        Some(address) => address?,
        None => own_address(own, map, findings)?,
    };
    let at_home = base_url.is_none() || is_home(own, &address);
    let keys = credential::Keys {
        provider,
        catalogued: at_home.then_some(own),
        passthrough,
    };
    let credential = credential::read(map, &keys, findings);
    key_notes::check(map, own, &credential, provider, findings);
    // A server elsewhere needs no key unless one is named.
    let entry = if at_home || credential::is_named(map) {
        own
    } else {
        catalogue().custom(&id)?
    };
    let mut resolved = Provider {
        name: provider.to_owned(),
        id,
        cluster: String::new(),
        scheme: address.scheme,
        authority: http_host.unwrap_or_else(|| address.authority()),
        tls_name: String::new(),
        host: address.host,
        port: address.port,
        path_prefix: address.path,
        credential: credential.secret,
        key_required: entry.key_required || credential::is_named(map),
        passthrough_auth: credential.passthrough,
        on_loss: on_loss.unwrap_or_default(),
        headers,
        key_variable: credential.variable,
        key_file: credential.file,
        entry,
    };
    address::name_cluster(&mut resolved);
    quirks(&mut resolved, findings);
    Some(Entry {
        node: node.clone(),
        name: name.filter(|name| !name.is_empty()),
        id: format!("{provider}/{model}"),
        model: model.to_owned(),
        is_default,
        provider: resolved,
    })
}

/// `model`, in its two parts.
fn model<'a>(map: &Map<'a>, findings: &mut Findings<'_>) -> Option<(&'a str, &'a str)> {
    let Some(node) = map.get("model") else {
        let hint = "write `model: provider/model`, for example `openai/gpt-4o` or `openai/*`";
        findings.problem_with(&map.absent("model"), "is missing", hint);
        return None;
    };
    let text = node.text(findings)?;
    let parts = text.split_once('/');
    let fits = |text: &str| !text.is_empty() && !text.chars().any(|c| c.is_control() || c == ' ');
    match parts {
        Some((provider, model)) if fits(provider) && fits(model) && provider != "*" => {
            Some((provider, model))
        }
        _ => {
            let hint = "write `provider/model`, for example `openai/gpt-4o` or `openai/*`";
            findings.problem_with(&node, "does not name a provider and a model", hint);
            None
        }
    }
}

/// What the catalogue knows: of the provider itself, or for an unknown one of its interface.
fn interface(
    map: &Map<'_>,
    provider: &str,
    has_url: bool,
    findings: &mut Findings<'_>,
) -> Option<(ProviderId, &'static CatalogueEntry)> {
    let node = map.get("provider_interface");
    let Ok(id) = provider.parse::<ProviderId>() else {
        return custom(map, node, provider, has_url, findings);
    };
    if let Some(node) = &node {
        findings.problem_with(
            node,
            format!("`{provider}` is a known provider, whose interface is known as well"),
            "leave `provider_interface` out, or choose another name before the slash",
        );
    }
    let entry = catalogue().entry(&id)?;
    if entry.base_url.is_none() && !has_url {
        let reason = format!("is missing: `{provider}` has no address that is the same for all");
        let hint = "write `base_url: https://HOST/PATH`";
        findings.problem_with(&map.absent("base_url"), reason, hint);
        return None;
    }
    Some((id, entry))
}

fn custom(
    map: &Map<'_>,
    node: Option<Node<'_>>,
    provider: &str,
    has_url: bool,
    findings: &mut Findings<'_>,
) -> Option<(ProviderId, &'static CatalogueEntry)> {
    let known: Vec<&str> = catalogue().iter().map(|entry| entry.id.as_str()).collect();
    let Some(node) = node else {
        let near = crate::near::matches(provider, known.iter().copied(), 1);
        let hint = match near.first() {
            Some(near) => format!("did you mean `{near}`?"),
            None => "a server of your own needs `base_url` and `provider_interface`, for \
                     example `provider_interface: openai`"
                .to_owned(),
        };
        let model = map.get("model").unwrap_or_else(|| map.absent("model"));
        findings.problem_with(&model, format!("`{provider}` is no known provider"), hint);
        return None;
    };
    if !has_url {
        let reason = format!("is missing: `{provider}` is no known provider");
        let hint = "write `base_url: https://HOST/PATH`";
        findings.problem_with(&map.absent("base_url"), reason, hint);
    }
    let name = node.text(findings)?;
    let Ok(id) = name.parse::<ProviderId>() else {
        let near = crate::near::matches(name, known.iter().copied(), 1);
        let hint = match near.first() {
            Some(near) => format!("did you mean `{near}`?"),
            None => "most servers have the interface `openai`".to_owned(),
        };
        findings.problem_with(&node, "is no known interface", hint);
        return None;
    };
    let entry = catalogue().custom(&id)?;
    has_url.then_some((id, entry))
}

/// The address that the catalogue has.
fn own_address(
    entry: &CatalogueEntry,
    map: &Map<'_>,
    findings: &mut Findings<'_>,
) -> Option<Address> {
    let url = entry.base_url.and_then(|url| Url::parse(url).ok());
    let address = url.and_then(|url| Address::of(&url));
    if address.is_none() {
        findings.problem(&map.absent("base_url"), "is missing");
    }
    address
}

/// Whether an address is the provider's own; one without an own address is at home anywhere.
fn is_home(entry: &CatalogueEntry, address: &Address) -> bool {
    let Some(url) = entry.base_url else {
        return true;
    };
    let own = Url::parse(url).ok().and_then(|url| Address::of(&url));
    own.is_some_and(|own| {
        (own.scheme, &own.host, own.port) == (address.scheme, &address.host, address.port)
    })
}

/// What two providers need beside what the catalogue says.
fn quirks(provider: &mut Provider, findings: &Findings<'_>) {
    let has = |headers: &[(String, String)], name: &str| headers.iter().any(|(n, _)| n == name);
    match provider.id.as_str() {
        // Kimi's plan for coding tools: the version is missing in the address that its
        // documentation gives, and other clients are turned away.
        "moonshotai" if provider.host == "api.kimi.com" => {
            if provider.path_prefix.ends_with("/coding") {
                provider.path_prefix.push_str("/v1");
            }
            if !has(&provider.headers, "user-agent") {
                let agent = ("user-agent".to_owned(), "KimiCLI/1.3".to_owned());
                provider.headers.push(agent);
            }
        }
        // A subscription of several workspaces has to say which.
        "chatgpt" if !has(&provider.headers, "chatgpt-account-id") => {
            if let Some(account) = findings.variable("CHATGPT_ACCOUNT_ID") {
                let account = account.trim().to_owned();
                if headers::is_value(&account) {
                    let header = ("chatgpt-account-id".to_owned(), account);
                    provider.headers.push(header);
                }
            }
        }
        _ => {}
    }
}
