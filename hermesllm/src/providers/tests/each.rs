//! One row per provider: where a request for it goes and where its key is put. What is not in the
//! table fails, and so does what the recordings of real traffic say otherwise.

#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::*;

const KEY: Auth = Auth::Header("x-api-key");
const GOOGLE: Auth = Auth::Header("x-goog-api-key");
const BEARER: Auth = Auth::Bearer;

/// Provider, configured address (empty: the catalogue's own), API, URL of the request, its key.
type Row = (&'static str, &'static str, Endpoint, &'static str, Auth);

const HOME: &str = "";
const AZURE: &str = "https://team.openai.azure.com";
const QWEN: &str = "https://dashscope-intl.aliyuncs.com";
const BEDROCK: &str = "https://bedrock-runtime.us-east-1.amazonaws.com";
const MANTLE: &str = "https://bedrock-mantle.us-east-1.api.aws";
const VERTEX: &str = "https://us-central1-aiplatform.googleapis.com/v1/projects/p/locations/us-central1/endpoints/openapi";

/// The first row of a provider is its chat API, or the only one that it has.
#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("openai", HOME, ChatCompletions, "https://api.openai.com/v1/chat/completions", BEARER),
    ("openai", HOME, Completions, "https://api.openai.com/v1/completions", BEARER),
    ("openai", HOME, Responses, "https://api.openai.com/v1/responses", BEARER),
    ("openai", HOME, Embeddings, "https://api.openai.com/v1/embeddings", BEARER),
    ("anthropic", HOME, ChatCompletions, "https://api.anthropic.com/v1/chat/completions", BEARER),
    ("anthropic", HOME, Messages, "https://api.anthropic.com/v1/messages", KEY),
    ("anthropic", HOME, CountTokens, "https://api.anthropic.com/v1/messages/count_tokens", KEY),
    ("gemini", HOME, ChatCompletions, "https://generativelanguage.googleapis.com/v1beta/openai/chat/completions", BEARER),
    ("gemini", HOME, GenerateContent, "https://generativelanguage.googleapis.com/v1beta/models/m:generateContent", GOOGLE),
    ("gemini", HOME, StreamGenerateContent, "https://generativelanguage.googleapis.com/v1beta/models/m:streamGenerateContent", GOOGLE),
    ("gemini", HOME, Embeddings, "https://generativelanguage.googleapis.com/v1beta/openai/embeddings", BEARER),
    ("groq", HOME, ChatCompletions, "https://api.groq.com/openai/v1/chat/completions", BEARER),
    ("groq", HOME, Responses, "https://api.groq.com/openai/v1/responses", BEARER),
    ("deepseek", HOME, ChatCompletions, "https://api.deepseek.com/v1/chat/completions", BEARER),
    ("deepseek", HOME, Completions, "https://api.deepseek.com/beta/completions", BEARER),
    ("deepseek", HOME, Responses, "https://api.deepseek.com/responses", BEARER),
    ("deepseek", HOME, Messages, "https://api.deepseek.com/anthropic/v1/messages", KEY),
    ("mistral", HOME, ChatCompletions, "https://api.mistral.ai/v1/chat/completions", BEARER),
    ("mistral", HOME, Embeddings, "https://api.mistral.ai/v1/embeddings", BEARER),
    ("xai", HOME, ChatCompletions, "https://api.x.ai/v1/chat/completions", BEARER),
    ("xai", HOME, Responses, "https://api.x.ai/v1/responses", BEARER),
    ("openrouter", HOME, ChatCompletions, "https://openrouter.ai/api/v1/chat/completions", BEARER),
    ("openrouter", HOME, Completions, "https://openrouter.ai/api/v1/completions", BEARER),
    ("openrouter", HOME, Responses, "https://openrouter.ai/api/v1/responses", BEARER),
    ("openrouter", HOME, Embeddings, "https://openrouter.ai/api/v1/embeddings", BEARER),
    ("openrouter", HOME, Messages, "https://openrouter.ai/api/v1/messages", BEARER),
    ("vercel", HOME, ChatCompletions, "https://ai-gateway.vercel.sh/v1/chat/completions", BEARER),
    ("vercel", HOME, Responses, "https://ai-gateway.vercel.sh/v1/responses", BEARER),
    ("vercel", HOME, Embeddings, "https://ai-gateway.vercel.sh/v1/embeddings", BEARER),
    ("vercel", HOME, Messages, "https://ai-gateway.vercel.sh/v1/messages", BEARER),
    ("together_ai", HOME, ChatCompletions, "https://api.together.xyz/v1/chat/completions", BEARER),
    ("together_ai", HOME, Completions, "https://api.together.xyz/v1/completions", BEARER),
    ("together_ai", HOME, Embeddings, "https://api.together.xyz/v1/embeddings", BEARER),
    ("fireworks", HOME, ChatCompletions, "https://api.fireworks.ai/inference/v1/chat/completions", BEARER),
    ("fireworks", HOME, Completions, "https://api.fireworks.ai/inference/v1/completions", BEARER),
    ("fireworks", HOME, Responses, "https://api.fireworks.ai/inference/v1/responses", BEARER),
    ("fireworks", HOME, Embeddings, "https://api.fireworks.ai/inference/v1/embeddings", BEARER),
    ("fireworks", HOME, Messages, "https://api.fireworks.ai/inference/v1/messages", KEY),
    ("cerebras", HOME, ChatCompletions, "https://api.cerebras.ai/v1/chat/completions", BEARER),
    ("cerebras", HOME, Completions, "https://api.cerebras.ai/v1/completions", BEARER),
    ("cohere", HOME, ChatCompletions, "https://api.cohere.ai/compatibility/v1/chat/completions", BEARER),
    ("cohere", HOME, CohereChat, "https://api.cohere.ai/v2/chat", BEARER),
    ("cohere", HOME, CohereEmbed, "https://api.cohere.ai/v2/embed", BEARER),
    ("cohere", HOME, Embeddings, "https://api.cohere.ai/compatibility/v1/embeddings", BEARER),
    ("perplexity", HOME, ChatCompletions, "https://api.perplexity.ai/chat/completions", BEARER),
    ("perplexity", HOME, Responses, "https://api.perplexity.ai/v1/responses", BEARER),
    ("perplexity", HOME, Embeddings, "https://api.perplexity.ai/v1/embeddings", BEARER),
    ("moonshotai", HOME, ChatCompletions, "https://api.moonshot.ai/v1/chat/completions", BEARER),
    ("moonshotai", HOME, Messages, "https://api.moonshot.ai/anthropic/v1/messages", BEARER),
    ("zhipu", HOME, ChatCompletions, "https://api.z.ai/api/paas/v4/chat/completions", BEARER),
    ("zhipu", HOME, Messages, "https://api.z.ai/api/anthropic/v1/messages", BEARER),
    ("qwen", QWEN, ChatCompletions, "https://dashscope-intl.aliyuncs.com/compatible-mode/v1/chat/completions", BEARER),
    ("qwen", QWEN, Embeddings, "https://dashscope-intl.aliyuncs.com/compatible-mode/v1/embeddings", BEARER),
    ("qwen", QWEN, Messages, "https://dashscope-intl.aliyuncs.com/apps/anthropic/v1/messages", KEY),
    ("xiaomi", HOME, ChatCompletions, "https://api.xiaomimimo.com/v1/chat/completions", BEARER),
    ("xiaomi", HOME, Messages, "https://api.xiaomimimo.com/anthropic/v1/messages", BEARER),
    ("minimax", HOME, ChatCompletions, "https://api.minimax.io/v1/chat/completions", BEARER),
    ("minimax", HOME, Messages, "https://api.minimax.io/anthropic/v1/messages", KEY),
    ("meta", HOME, ChatCompletions, "https://api.meta.ai/v1/chat/completions", BEARER),
    ("meta", HOME, Responses, "https://api.meta.ai/v1/responses", BEARER),
    ("nvidia", HOME, ChatCompletions, "https://integrate.api.nvidia.com/v1/chat/completions", BEARER),
    ("nvidia", HOME, Embeddings, "https://integrate.api.nvidia.com/v1/embeddings", BEARER),
    ("huggingface", HOME, ChatCompletions, "https://router.huggingface.co/v1/chat/completions", BEARER),
    ("huggingface", HOME, Responses, "https://router.huggingface.co/v1/responses", BEARER),
    ("sambanova", HOME, ChatCompletions, "https://api.sambanova.ai/v1/chat/completions", BEARER),
    ("sambanova", HOME, Completions, "https://api.sambanova.ai/v1/completions", BEARER),
    ("sambanova", HOME, Responses, "https://api.sambanova.ai/v1/responses", BEARER),
    ("sambanova", HOME, Embeddings, "https://api.sambanova.ai/v1/embeddings", BEARER),
    ("sambanova", HOME, Messages, "https://api.sambanova.ai/v1/messages", KEY),
    ("sambanova", HOME, CountTokens, "https://api.sambanova.ai/v1/messages/count_tokens", KEY),
    ("nebius", HOME, ChatCompletions, "https://api.tokenfactory.nebius.com/v1/chat/completions", BEARER),
    ("nebius", HOME, Completions, "https://api.tokenfactory.nebius.com/v1/completions", BEARER),
    ("nebius", HOME, Embeddings, "https://api.tokenfactory.nebius.com/v1/embeddings", BEARER),
    ("digitalocean", HOME, ChatCompletions, "https://inference.do-ai.run/v1/chat/completions", BEARER),
    ("digitalocean", HOME, Responses, "https://inference.do-ai.run/v1/responses", BEARER),
    ("digitalocean", HOME, Embeddings, "https://inference.do-ai.run/v1/embeddings", BEARER),
    ("github", HOME, ChatCompletions, "https://models.github.ai/inference/chat/completions", BEARER),
    ("github", HOME, Embeddings, "https://models.github.ai/inference/embeddings", BEARER),
    ("edenai", HOME, ChatCompletions, "https://api.edenai.run/v3/chat/completions", BEARER),
    ("edenai", HOME, Embeddings, "https://api.edenai.run/v3/embeddings", BEARER),
    ("astraflow", HOME, ChatCompletions, "https://api-us-ca.umodelverse.ai/v1/chat/completions", BEARER),
    ("astraflow_cn", HOME, ChatCompletions, "https://api.modelverse.cn/v1/chat/completions", BEARER),
    ("chatgpt", HOME, Responses, "https://chatgpt.com/backend-api/codex/responses", BEARER),
    ("azure_openai", AZURE, ChatCompletions, "https://team.openai.azure.com/openai/deployments/m/chat/completions?api-version=2025-01-01-preview", Auth::Header("api-key")),
    ("azure_openai", AZURE, Completions, "https://team.openai.azure.com/openai/deployments/m/completions?api-version=2025-01-01-preview", Auth::Header("api-key")),
    ("azure_openai", AZURE, Embeddings, "https://team.openai.azure.com/openai/deployments/m/embeddings?api-version=2025-01-01-preview", Auth::Header("api-key")),
    ("azure_openai", AZURE, Responses, "https://team.openai.azure.com/openai/v1/responses", Auth::Header("api-key")),
    ("amazon_bedrock", BEDROCK, Converse, "https://bedrock-runtime.us-east-1.amazonaws.com/model/m/converse", BEARER),
    ("amazon_bedrock", BEDROCK, ConverseStream, "https://bedrock-runtime.us-east-1.amazonaws.com/model/m/converse-stream", BEARER),
    ("amazon_bedrock", BEDROCK, ChatCompletions, "https://bedrock-runtime.us-east-1.amazonaws.com/openai/v1/chat/completions", BEARER),
    ("bedrock_mantle", MANTLE, ChatCompletions, "https://bedrock-mantle.us-east-1.api.aws/v1/chat/completions", BEARER),
    ("bedrock_mantle", MANTLE, Responses, "https://bedrock-mantle.us-east-1.api.aws/openai/v1/responses", BEARER),
    ("bedrock_mantle", MANTLE, Messages, "https://bedrock-mantle.us-east-1.api.aws/anthropic/v1/messages", BEARER),
    ("vertexai", VERTEX, ChatCompletions, "https://us-central1-aiplatform.googleapis.com/v1/projects/p/locations/us-central1/endpoints/openapi/chat/completions", BEARER),
    ("plano", "https://plano.internal", ChatCompletions, "https://plano.internal/v1/chat/completions", BEARER),
    ("ollama", HOME, ChatCompletions, "http://127.0.0.1:11434/v1/chat/completions", BEARER),
    ("ollama", HOME, Completions, "http://127.0.0.1:11434/v1/completions", BEARER),
    ("ollama", HOME, Responses, "http://127.0.0.1:11434/v1/responses", BEARER),
    ("ollama", HOME, Embeddings, "http://127.0.0.1:11434/v1/embeddings", BEARER),
    ("ollama", HOME, Messages, "http://127.0.0.1:11434/v1/messages", BEARER),
    ("vllm", HOME, ChatCompletions, "http://127.0.0.1:8000/v1/chat/completions", BEARER),
    ("vllm", HOME, Completions, "http://127.0.0.1:8000/v1/completions", BEARER),
    ("vllm", HOME, Responses, "http://127.0.0.1:8000/v1/responses", BEARER),
    ("vllm", HOME, Embeddings, "http://127.0.0.1:8000/v1/embeddings", BEARER),
    ("vllm", HOME, Messages, "http://127.0.0.1:8000/v1/messages", BEARER),
    ("vllm", HOME, CountTokens, "http://127.0.0.1:8000/v1/messages/count_tokens", BEARER),
    ("llamacpp", HOME, ChatCompletions, "http://127.0.0.1:8080/v1/chat/completions", BEARER),
    ("llamacpp", HOME, Completions, "http://127.0.0.1:8080/v1/completions", BEARER),
    ("llamacpp", HOME, Responses, "http://127.0.0.1:8080/v1/responses", BEARER),
    ("llamacpp", HOME, Embeddings, "http://127.0.0.1:8080/v1/embeddings", BEARER),
    ("llamacpp", HOME, Messages, "http://127.0.0.1:8080/v1/messages", BEARER),
    ("llamacpp", HOME, CountTokens, "http://127.0.0.1:8080/v1/messages/count_tokens", BEARER),
    ("lm_studio", HOME, ChatCompletions, "http://127.0.0.1:1234/v1/chat/completions", BEARER),
    ("lm_studio", HOME, Completions, "http://127.0.0.1:1234/v1/completions", BEARER),
    ("lm_studio", HOME, Responses, "http://127.0.0.1:1234/v1/responses", BEARER),
    ("lm_studio", HOME, Embeddings, "http://127.0.0.1:1234/v1/embeddings", BEARER),
    ("lm_studio", HOME, Messages, "http://127.0.0.1:1234/v1/messages", BEARER),
];

#[test]
fn each_api_of_each_provider_is_asked_at_its_address_with_its_key() {
    let mut rows = HashSet::new();
    for (name, configured, endpoint, expected, auth) in ROWS.iter().copied() {
        assert!(rows.insert((name, endpoint)), "{name} {endpoint:?} twice");
        let entry = entry(name);
        let address = match entry.base_url {
            Some(own) if configured == HOME => own,
            own => {
                assert_eq!(own, None, "{name} has an address of its own");
                configured
            }
        };
        let base = Url::parse(address).unwrap();
        let path = entry.path(endpoint, base.path(), "m", None);
        let url = base.join(&path.unwrap()).unwrap();
        assert_eq!(url.as_str(), expected, "{name}");
        assert_eq!(entry.auth(endpoint), auth, "{name} {endpoint:?}");
    }
    let served = |entry: &'static CatalogueEntry| {
        let name = entry.id.as_str();
        entry.endpoints().map(move |endpoint| (name, endpoint))
    };
    let all: HashSet<_> = catalogue().iter().flat_map(served).collect();
    assert_eq!(rows, all, "the table has to name every API, and no other");
}

#[test]
fn what_a_provider_does_not_take_is_written_down() {
    let without = |wanted: fn(&CatalogueEntry) -> bool| -> Vec<&str> {
        let entries = catalogue().iter().filter(|entry| !wanted(entry));
        entries.map(|entry| entry.id.as_str()).collect()
    };
    assert_eq!(without(|entry| entry.stream_usage), ["mistral", "cohere"]);
    let local = ["ollama", "vllm", "llamacpp", "lm_studio"];
    assert_eq!(without(|entry| entry.http2), local);
    let keyless = ["plano", "ollama", "vllm", "llamacpp", "lm_studio"];
    assert_eq!(without(|entry| entry.key_required), keyless);
    // Without a variable: the token of a login, a token for an hour, and what needs no key.
    let expected = [["chatgpt", "vertexai"].as_slice(), keyless.as_slice()].concat();
    assert_eq!(without(|entry| !entry.key_env.is_empty()), expected);
}

#[test]
fn how_chat_goes_on_with_an_answer_is_written_down() {
    let known: Vec<_> = catalogue()
        .iter()
        .filter(|entry| entry.prefill != Prefill::None)
        .map(|entry| (entry.id.as_str(), entry.prefill))
        .collect();
    let expected = [
        ("groq", Prefill::Assistant),
        ("mistral", Prefill::Prefix),
        ("openrouter", Prefill::Assistant),
        ("moonshotai", Prefill::Partial),
        ("qwen", Prefill::Partial),
        ("ollama", Prefill::Assistant),
        ("vllm", Prefill::ContinueFinalMessage),
        ("llamacpp", Prefill::Assistant),
    ];
    assert_eq!(known, expected);
}

#[test]
fn what_is_no_key_is_known_where_people_take_it_for_one() {
    for (name, text, is_no_key) in [
        ("amazon_bedrock", "AKIAIOSFODNN7EXAMPLE", true),
        ("bedrock_mantle", "ASIAIOSFODNN7EXAMPLE", true),
        ("amazon_bedrock", "bedrock-api-key-abc", false),
        ("vertexai", "{\"type\": \"service_account\"}", true),
        ("vertexai", "ya29.abc", false),
        ("openai", "AKIAIOSFODNN7EXAMPLE", false),
    ] {
        let entry = entry(name);
        assert_eq!(entry.is_no_key(text), is_no_key, "{name}: {text}");
        assert!(!is_no_key || entry.key_note.is_some(), "{name}");
    }
    let id: ProviderId = "vertexai".parse().unwrap();
    let custom = catalogue().custom(&id).unwrap();
    assert!(custom.key_note.is_none() && custom.key_lifetime.is_none());
    assert!(!custom.is_no_key("{}"));
}

/// Recordings whose provider, by its directory, is in the catalogue.
#[rustfmt::skip]
const RECORDED: [(&str, &str, &str); 22] = [
    ("alibaba", "qwen", QWEN),
    ("anthropic", "anthropic", HOME),
    ("azure", "azure_openai", "https://RESOURCE.openai.azure.com"),
    ("bedrock_mantle", "bedrock_mantle", MANTLE),
    ("cerebras", "cerebras", HOME),
    ("chatgpt_codex", "chatgpt", HOME),
    ("deepseek", "deepseek", HOME),
    ("gemini", "gemini", HOME),
    ("groq", "groq", HOME),
    ("huggingface", "huggingface", HOME),
    ("llamacpp", "llamacpp", "http://llamacpp.local/v1"),
    ("mistral", "mistral", HOME),
    ("ollama", "ollama", "http://localhost:11434/v1"),
    ("ollama", "ollama", "https://ollama.com/v1"),
    ("openai", "openai", HOME),
    ("openrouter", "openrouter", HOME),
    ("perplexity", "perplexity", HOME),
    ("together", "together_ai", HOME),
    ("vercel_gateway", "vercel", HOME),
    ("vllm", "vllm", "http://localhost:8000/v1"),
    ("xai", "xai", HOME),
    ("zai", "zhipu", HOME),
];

#[test]
fn recorded_requests_went_where_ours_go() {
    let Some(corpus) = corpus() else { return };
    let mut compared = 0;
    for (directory, name, configured) in RECORDED {
        let entry = entry(name);
        let address = entry.base_url.filter(|_| configured == HOME);
        let base = Url::parse(address.unwrap_or(configured)).unwrap();
        for endpoint in entry.endpoints() {
            let recorded = recorded(&corpus.join(directory).join(endpoint.as_str()), &base);
            if recorded.is_empty() {
                continue;
            }
            compared += 1;
            let fits = recorded.iter().any(|(path, model)| {
                let ours = entry.path(endpoint, base.path(), model, None).unwrap();
                // DeepSeek says that its `/v1` is there for clients that insist on one.
                let ours = match (name, endpoint) {
                    ("deepseek", ChatCompletions) => ours.trim_start_matches("/v1").to_owned(),
                    _ => ours,
                };
                path.split('?').next() == ours.split('?').next()
            });
            assert!(fits, "{name} {endpoint:?}: recorded are {recorded:?}");
        }
    }
    assert!(compared > 30, "only {compared} APIs were compared");
}

fn corpus() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus");
    let corpus = std::env::var_os("MESETA_CORPUS").map_or(beside, PathBuf::from);
    if !corpus.is_dir() {
        eprintln!("skipped: no recordings at {}", corpus.display());
        return None;
    }
    Some(corpus)
}

/// Paths and models of the requests to this host.
fn recorded(directory: &Path, base: &Url) -> Vec<(String, String)> {
    let Ok(files) = std::fs::read_dir(directory) else {
        return Vec::new();
    };
    let host = base.host_str().unwrap();
    let mut found = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let recording: Value = serde_json::from_str(&text).unwrap();
        let at = recording["host"].as_str().unwrap_or_default();
        let at = at.split(':').next().unwrap_or_default();
        if at.eq_ignore_ascii_case(host) {
            // One client doubled the slash after its address.
            let path = recording["url_path"].as_str().unwrap();
            let path = path.replacen("//", "/", 1);
            // A deployment's name is in the path and not in the body.
            let model = path.split("/deployments/").nth(1);
            let model = model.and_then(|rest| rest.split('/').next());
            let model = model.or_else(|| recording["model"].as_str());
            found.push((path.clone(), model.unwrap_or_default().to_owned()));
        }
    }
    found.sort();
    found
}
