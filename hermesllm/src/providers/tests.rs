use std::collections::HashSet;
use std::net::IpAddr;

use url::Url;

use super::*;
use Endpoint::{
    ChatCompletions, CohereChat, CohereEmbed, Completions, Converse, ConverseStream, CountTokens,
    Embeddings, GenerateContent, Health, Messages, Model, Models, Responses, StreamGenerateContent,
};

mod each;

const TEXT: &str = include_str!("provider_models.yaml");

fn entry(name: &str) -> &'static CatalogueEntry {
    let id: ProviderId = name.parse().unwrap();
    catalogue().entry(&id).unwrap()
}

fn path(name: &str, endpoint: Endpoint, prefix: &str) -> String {
    entry(name).path(endpoint, prefix, "gpt-4", None).unwrap()
}

#[test]
fn the_embedded_text_can_be_read() {
    let read = read::catalogue(TEXT).unwrap();
    assert!(read.entries.len() > 35);
    assert_eq!(catalogue().entries.len(), read.entries.len());
}

#[test]
fn a_slip_of_the_pen_in_an_entry_is_an_error() {
    for text in [
        "- {name: a, apis: [chat]}",
        "- {name: a, apis: [models]}",
        "- {name: a, apis: [], key_enw: [A]}",
        "- {name: a}",
        "- {name: a, apis: [], auth: beerer}",
        "- {name: a, apis: [{api: messages, pth: /x}]}",
    ] {
        assert!(read::catalogue(text).is_err(), "{text}");
    }
    assert!(read::catalogue("- {name: a, apis: []}").is_ok());
}

#[test]
fn no_two_providers_share_a_name_and_names_are_plain() {
    let catalogue = catalogue();
    let names = catalogue.iter().map(|entry| entry.id.as_str());
    let synonyms = catalogue.synonyms.iter().map(|(name, _)| name.as_str());
    let mut seen = HashSet::new();
    for name in names.chain(synonyms) {
        assert!(seen.insert(name), "{name} twice");
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        assert!(!name.is_empty() && name.chars().all(plain), "{name}");
    }
}

#[test]
fn every_address_is_a_url_and_safe_unless_it_is_this_machine() {
    for entry in catalogue().iter() {
        let Some(base_url) = entry.base_url else {
            continue;
        };
        let url = Url::parse(base_url).unwrap();
        let host = url.host_str().unwrap();
        let loopback = host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
        assert!(
            url.scheme() == "https" || loopback && url.scheme() == "http",
            "{base_url}"
        );
        assert_eq!(url.path().trim_matches('/'), entry.prefix, "{base_url}");
        assert!(!base_url.ends_with('/'), "{base_url}");
        assert!(
            url.query().is_none() && url.fragment().is_none(),
            "{base_url}"
        );
        assert!(
            url.username().is_empty() && url.password().is_none(),
            "{base_url}"
        );
    }
}

#[test]
fn every_entry_is_whole_and_makes_paths() {
    for entry in catalogue().iter() {
        let name = entry.id;
        assert!(!entry.apis.is_empty(), "{name}");
        let served: HashSet<_> = entry.endpoints().collect();
        assert_eq!(served.len(), entry.apis.len(), "{name} lists an API twice");
        for endpoint in Endpoint::ALL {
            let path = entry.path(endpoint, "", "a/b c", Some("x=1"));
            assert_eq!(path.is_some(), entry.serves(endpoint), "{name}");
            let Some(path) = path else { continue };
            assert!(
                path.starts_with('/') && !path.contains("//"),
                "{name}: {path}"
            );
            assert!(!path.contains(['{', '}', ' ']), "{name}: {path}");
            assert!(path.ends_with("x=1"), "{name}: {path}");
            assert_eq!(path.matches('?').count(), 1, "{name}: {path}");
        }
        for api in &entry.apis {
            assert!(api.path.starts_with('/'), "{name}: {}", api.path);
        }
        for variable in entry.key_env {
            let plain = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
            assert!(variable.chars().all(plain), "{name}: {variable}");
        }
        for (header, value) in &entry.headers {
            assert!(
                header.chars().all(|c| c.is_ascii_lowercase() || c == '-'),
                "{name}: {header}"
            );
            assert!(value.is_ascii() && !value.is_empty(), "{name}: {header}");
        }
        let models: HashSet<_> = entry.models.iter().collect();
        assert_eq!(
            models.len(),
            entry.models.len(),
            "{name} lists a model twice"
        );
        assert!(
            entry.models.iter().all(|model| !model.trim().is_empty()),
            "{name}"
        );
    }
}

#[test]
fn every_provider_of_the_system_that_this_follows_is_known() {
    for (name, canonical) in [
        ("openai", "openai"),
        ("xiaomi", "xiaomi"),
        ("mistral", "mistral"),
        ("deepseek", "deepseek"),
        ("groq", "groq"),
        ("gemini", "gemini"),
        ("google", "gemini"),
        ("anthropic", "anthropic"),
        ("github", "github"),
        ("plano", "plano"),
        ("azure_openai", "azure_openai"),
        ("xai", "xai"),
        ("together_ai", "together_ai"),
        ("together", "together_ai"),
        ("ollama", "ollama"),
        ("moonshotai", "moonshotai"),
        ("zhipu", "zhipu"),
        ("qwen", "qwen"),
        ("amazon_bedrock", "amazon_bedrock"),
        ("amazon", "amazon_bedrock"),
        ("chatgpt", "chatgpt"),
        ("digitalocean", "digitalocean"),
        ("do", "digitalocean"),
        ("do_ai", "digitalocean"),
        ("vercel", "vercel"),
        ("openrouter", "openrouter"),
        ("astraflow", "astraflow"),
        ("astraflow_cn", "astraflow_cn"),
        ("meta", "meta"),
        ("minimax", "minimax"),
        ("edenai", "edenai"),
        ("perplexity", "perplexity"),
        ("OpenAI", "openai"),
    ] {
        assert_eq!(name.parse::<ProviderId>().unwrap().as_str(), canonical);
    }
    let unknown = "nobody".parse::<ProviderId>().unwrap_err();
    assert_eq!(unknown.to_string(), "unknown provider `nobody`");
}

#[test]
fn each_provider_has_its_own_paths() {
    for (name, endpoint, expected) in [
        ("openai", ChatCompletions, "/v1/chat/completions"),
        ("openai", Completions, "/v1/completions"),
        ("openai", Responses, "/v1/responses"),
        ("openai", Embeddings, "/v1/embeddings"),
        ("groq", ChatCompletions, "/openai/v1/chat/completions"),
        ("zhipu", ChatCompletions, "/api/paas/v4/chat/completions"),
        ("zhipu", Messages, "/api/anthropic/v1/messages"),
        (
            "qwen",
            ChatCompletions,
            "/compatible-mode/v1/chat/completions",
        ),
        ("gemini", ChatCompletions, "/v1beta/openai/chat/completions"),
        ("perplexity", ChatCompletions, "/chat/completions"),
        ("perplexity", Embeddings, "/v1/embeddings"),
        ("deepseek", Responses, "/responses"),
        ("deepseek", Messages, "/anthropic/v1/messages"),
        ("anthropic", Messages, "/v1/messages"),
        ("anthropic", CountTokens, "/v1/messages/count_tokens"),
        ("anthropic", ChatCompletions, "/v1/chat/completions"),
        ("vercel", Messages, "/v1/messages"),
        ("openrouter", Messages, "/api/v1/messages"),
        ("ollama", Messages, "/v1/messages"),
        ("chatgpt", Responses, "/backend-api/codex/responses"),
        ("azure_openai", Responses, "/openai/v1/responses"),
        (
            "azure_openai",
            ChatCompletions,
            "/openai/deployments/gpt-4/chat/completions?api-version=2025-01-01-preview",
        ),
    ] {
        assert_eq!(path(name, endpoint, ""), expected, "{name}");
        assert_eq!(path(name, endpoint, "/"), expected, "{name}");
        // The catalogue's own address, configured by hand, changes nothing.
        assert_eq!(
            path(name, endpoint, &entry(name).prefix),
            expected,
            "{name}"
        );
    }
    for (name, endpoint) in [
        ("openai", Messages),
        ("anthropic", Responses),
        ("groq", Embeddings),
        ("groq", Messages),
        ("chatgpt", ChatCompletions),
        ("openai", Models),
        ("openai", Model),
        ("openai", Health),
    ] {
        assert_eq!(entry(name).path(endpoint, "", "m", None), None, "{name}");
    }
}

#[test]
fn the_path_of_a_configured_address_takes_the_place_of_the_providers() {
    for (name, endpoint, prefix, expected) in [
        (
            "openai",
            ChatCompletions,
            "/custom/api/",
            "/custom/api/chat/completions",
        ),
        (
            "zhipu",
            ChatCompletions,
            "/api/coding/paas/v4",
            "/api/coding/paas/v4/chat/completions",
        ),
        (
            "groq",
            ChatCompletions,
            "/api/v2",
            "/api/v2/v1/chat/completions",
        ),
        (
            "groq",
            ChatCompletions,
            "/openai/v1",
            "/openai/v1/chat/completions",
        ),
        ("gemini", ChatCompletions, "v2", "/v2/chat/completions"),
        (
            "gemini",
            Embeddings,
            "/gateway/v1beta",
            "/gateway/v1beta/openai/embeddings",
        ),
        (
            "gemini",
            GenerateContent,
            "/gateway/v1beta/openai",
            "/gateway/v1beta/models/gpt-4:generateContent",
        ),
        ("cohere", CohereChat, "/v2", "/v2/chat"),
        (
            "cohere",
            CohereEmbed,
            "/gateway/compatibility/v1",
            "/gateway/v2/embed",
        ),
        ("perplexity", Embeddings, "/p", "/p/embeddings"),
        ("anthropic", Messages, "/proxy/v1", "/proxy/v1/messages"),
        (
            "deepseek",
            ChatCompletions,
            "/beta",
            "/beta/chat/completions",
        ),
        (
            "azure_openai",
            ChatCompletions,
            "/openai/v1",
            "/openai/v1/chat/completions",
        ),
        (
            "azure_openai",
            Embeddings,
            "/d",
            "/d/gpt-4/embeddings?api-version=2025-01-01-preview",
        ),
    ] {
        assert_eq!(path(name, endpoint, prefix), expected, "{name}");
    }
}

#[test]
fn a_model_in_a_path_cannot_leave_its_segment() {
    let path = entry("azure_openai").path(ChatCompletions, "", "../a?b#c/é%", None);
    assert_eq!(
        path.unwrap(),
        "/openai/deployments/..%2Fa%3Fb%23c%2F%C3%A9%25/chat/completions?api-version=2025-01-01-preview"
    );
}

#[test]
fn the_clients_query_is_kept_and_wins() {
    let azure = entry("azure_openai");
    for (query, expected) in [
        ("a=1&b", "?api-version=2025-01-01-preview&a=1&b"),
        ("a=1&api-version=2024-10-21", "?a=1&api-version=2024-10-21"),
        ("", "?api-version=2025-01-01-preview"),
    ] {
        let path = azure.path(Embeddings, "/d", "m", Some(query)).unwrap();
        assert_eq!(path, format!("/d/m/embeddings{expected}"));
    }
    let path = entry("anthropic").path(Messages, "", "m", Some("beta=true"));
    assert_eq!(path.unwrap(), "/v1/messages?beta=true");
}

#[test]
fn the_key_goes_where_the_api_wants_it() {
    for (name, endpoint, auth) in [
        ("openai", ChatCompletions, Auth::Bearer),
        ("anthropic", Messages, Auth::Header("x-api-key")),
        ("anthropic", CountTokens, Auth::Header("x-api-key")),
        ("anthropic", ChatCompletions, Auth::Bearer),
        ("azure_openai", ChatCompletions, Auth::Header("api-key")),
        ("deepseek", ChatCompletions, Auth::Bearer),
        ("deepseek", Messages, Auth::Header("x-api-key")),
        ("vercel", Messages, Auth::Bearer),
    ] {
        assert_eq!(entry(name).auth(endpoint), auth, "{name}");
    }
    let read = read::catalogue(
        "- {name: a, auth: {query: key}, apis: [responses, {api: messages, auth: none}]}",
    );
    let read = read.unwrap();
    assert_eq!(read.entries[0].auth(Responses), Auth::Query("key"));
    assert_eq!(read.entries[0].auth(Messages), Auth::None);
}

#[test]
fn a_server_with_the_interface_of_a_provider_gets_neither_its_key_nor_its_models() {
    let id: ProviderId = "groq".parse().unwrap();
    let custom = catalogue().custom(&id).unwrap();
    assert_eq!(custom.base_url, None);
    assert!(custom.key_env.is_empty() && custom.models.is_empty() && !custom.key_required);
    let path = custom.path(ChatCompletions, "", "m", None);
    assert_eq!(path.unwrap(), "/openai/v1/chat/completions");
    for entry in catalogue().iter() {
        assert!(catalogue().custom(&entry.id).is_some());
    }
}
