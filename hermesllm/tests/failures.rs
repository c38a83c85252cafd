//! Every recorded error answer means what a reader takes it to mean.

// A test that skips says so where test output is read.
#![allow(clippy::print_stderr)]

mod traffic;

use std::fs;

use hermesllm::apis::SupportedUpstreamAPIs as Api;
use hermesllm::failure::{self, FailureKind};
use serde_json::Value;

use FailureKind::{
    Authentication, ContextLength, InvalidRequest, ModelMissing, Other, RateLimited,
};

/// What was recorded and is not the provider's word on a wrong request: provider, endpoint, how the
/// recording's name begins, and what it means, judged by reading it. All others are
/// [`InvalidRequest`].
const JUDGED: &[(&str, &str, &str, FailureKind)] = &[
    (
        "anthropic",
        "messages",
        "dd-trace-py--anthropic-v1-messages-post",
        Authentication,
    ),
    (
        "anthropic",
        "messages",
        "langsmith-sdk--test-anthropic-test-prepopulated",
        ModelMissing,
    ),
    (
        "anthropic",
        "messages",
        "pydantic-ai--test-model-name-suggestion",
        ModelMissing,
    ),
    (
        "anthropic",
        "messages",
        "rig--auth-rejection",
        Authentication,
    ),
    (
        "anthropic",
        "messages",
        "rig--nonexistent-model",
        ModelMissing,
    ),
    (
        "anthropic",
        "messages",
        "rig--provider-error-response",
        ModelMissing,
    ),
    (
        "anthropic",
        "messages",
        "rig--streamed-agent-run-failure",
        Authentication,
    ),
    (
        "anthropic",
        "messages",
        "rig--streaming-connect-auth",
        Authentication,
    ),
    (
        "anthropic",
        "messages",
        "ruby_llm--chat-error-handling",
        Authentication,
    ),
    (
        "azure",
        "chat_completions",
        "crewai--test-openai-is-default",
        ModelMissing,
    ),
    ("azure", "embeddings", "openllmetry--", Authentication),
    (
        "bedrock",
        "converse",
        "dd-trace-py--bedrock-converse-error",
        Authentication,
    ),
    (
        "bedrock",
        "converse",
        "openinference--should-handle-streaming",
        ModelMissing,
    ),
    (
        "bedrock",
        "converse",
        "opentelemetry-py--test-converse",
        ModelMissing,
    ),
    (
        "bedrock",
        "converse",
        "pydantic-ai--test-bedrock-",
        ModelMissing,
    ),
    (
        "bedrock",
        "converse",
        "pydantic-ai--test-model-name",
        ModelMissing,
    ),
    (
        "bedrock",
        "converse",
        "rig--bare-profile-only-model-id",
        ModelMissing,
    ),
    (
        "bedrock",
        "converse",
        "ruby_llm--chat-error-handling",
        Authentication,
    ),
    (
        "bedrock",
        "converse",
        "ruby_llm--chat-real-error-scenarios",
        ContextLength,
    ),
    (
        "chatgpt_codex",
        "responses",
        "rig--nonstreaming-unauthorized",
        Authentication,
    ),
    (
        "cohere",
        "v2_chat",
        "ruby_llm--chat-error-handling",
        Authentication,
    ),
    (
        "deepseek",
        "chat_completions",
        "rig--chat-completion-rejects-a-bogus",
        Authentication,
    ),
    (
        "deepseek",
        "chat_completions",
        "rig--chat-completion-rejects-an-unknown",
        ModelMissing,
    ),
    (
        "deepseek",
        "chat_completions",
        "ruby_llm--chat-error-handling",
        Authentication,
    ),
    (
        "doubleword",
        "chat_completions",
        "rig--invalid-key",
        Authentication,
    ),
    (
        "doubleword",
        "chat_completions",
        "rig--unknown-model",
        ModelMissing,
    ),
    (
        "doubleword",
        "embeddings",
        "rig--an-unknown-model",
        ModelMissing,
    ),
    (
        "gemini",
        "generate_content",
        "crewai--test-google-streaming",
        Authentication,
    ),
    (
        "gemini",
        "generate_content",
        "crewai--testagentmultimodalgemini",
        RateLimited,
    ),
    (
        "gemini",
        "generate_content",
        "crewai--testcrewmultimodalgemini",
        ModelMissing,
    ),
    (
        "gemini",
        "generate_content",
        "pydantic-ai--test-model-name",
        ModelMissing,
    ),
    (
        "gemini",
        "generate_content",
        "ruby_llm--chat-error-handling",
        Authentication,
    ),
    (
        "gemini",
        "generate_content",
        "ruby_llm--chat-real-error-scenarios",
        RateLimited,
    ),
    (
        "groq",
        "chat_completions",
        "pydantic-ai--test-model-name",
        ModelMissing,
    ),
    (
        "groq",
        "chat_completions",
        "pydantic-ai--test-tool-regular-error",
        ModelMissing,
    ),
    (
        "groq",
        "chat_completions",
        "pydantic-ai--test-tool-use-failed",
        Other,
    ),
    (
        "groq",
        "chat_completions",
        "rig--provider-error-response",
        ModelMissing,
    ),
    (
        "llamacpp",
        "chat_completions",
        "rig--context-overflow",
        ContextLength,
    ),
    (
        "llamacpp",
        "chat_completions",
        "rig--schema-and-grammar-conflict",
        Other,
    ),
    (
        "llamacpp",
        "chat_completions",
        "rig--tools-without-jinja",
        Other,
    ),
    (
        "llamacpp",
        "chat_completions",
        "rig--unfetchable-image-url",
        Other,
    ),
    (
        "mistral",
        "chat_completions",
        "rig--blocking-error",
        ModelMissing,
    ),
    (
        "mistral",
        "chat_completions",
        "rig--blocking-unauthorized",
        Authentication,
    ),
    (
        "mistral",
        "chat_completions",
        "rig--streaming-error",
        ModelMissing,
    ),
    (
        "mistral",
        "chat_completions",
        "ruby_llm--chat-error-handling",
        Authentication,
    ),
    (
        "ollama",
        "chat_completions",
        "ruby_llm--chat-real-error",
        ContextLength,
    ),
    (
        "openai",
        "chat_completions",
        "ai-gateway--chat-unknown-model",
        ModelMissing,
    ),
    (
        "openai",
        "chat_completions",
        "braintrust-sdk-p--",
        ModelMissing,
    ),
    (
        "openai",
        "chat_completions",
        "crewai--test-llm-call-with-error",
        ModelMissing,
    ),
    (
        "openai",
        "chat_completions",
        "dd-trace-py--",
        Authentication,
    ),
    (
        "openai",
        "chat_completions",
        "elastic-otel-pyt--",
        ModelMissing,
    ),
    (
        "openai",
        "chat_completions",
        "langsmith-sdk--",
        Authentication,
    ),
    (
        "openai",
        "chat_completions",
        "openinference--test-async",
        Authentication,
    ),
    (
        "openai",
        "chat_completions",
        "openinference--test-error-status",
        Authentication,
    ),
    (
        "openai",
        "chat_completions",
        "openinference--testlm",
        Authentication,
    ),
    (
        "openai",
        "chat_completions",
        "openllmetry--test-agents",
        ModelMissing,
    ),
    (
        "openai",
        "chat_completions",
        "pydantic-ai--test-model-name",
        ModelMissing,
    ),
    (
        "openai",
        "completions",
        "ai-gateway--completion-unknown",
        ModelMissing,
    ),
    (
        "openai",
        "completions",
        "dd-trace-py--completion-",
        Authentication,
    ),
    (
        "openai",
        "embeddings",
        "ai-gateway--embeddings-unknown",
        ModelMissing,
    ),
    ("openai", "embeddings", "elastic-otel-pyt--", ModelMissing),
    ("openai", "embeddings", "opentelemetry-py--", ModelMissing),
    ("openai", "embeddings", "rig--error-preserves", ModelMissing),
    (
        "openai",
        "responses",
        "dd-trace-py--response-create",
        ModelMissing,
    ),
    (
        "openai",
        "responses",
        "dd-trace-py--response-error",
        Authentication,
    ),
    ("openai", "responses", "opentelemetry-py--", ModelMissing),
    (
        "openai",
        "responses",
        "pydantic-ai--test-inferred-model",
        ModelMissing,
    ),
    ("openai", "responses", "rig--auth-rejection", Authentication),
    (
        "openai",
        "responses",
        "rig--extractor-failure",
        ModelMissing,
    ),
    (
        "openai",
        "responses",
        "rig--nonexistent-model",
        ModelMissing,
    ),
    (
        "openai",
        "responses",
        "rig--provider-error-response",
        ModelMissing,
    ),
    (
        "openai",
        "responses",
        "ruby_llm--error-handles-invalid-api-keys",
        Authentication,
    ),
    ("openrouter", "chat_completions", "crewai--", Authentication),
    (
        "openrouter",
        "chat_completions",
        "langchaingo--",
        RateLimited,
    ),
    (
        "openrouter",
        "chat_completions",
        "ruby_llm--chat-error-handling",
        Authentication,
    ),
    (
        "openrouter",
        "chat_completions",
        "ruby_llm--chat-real-error",
        ContextLength,
    ),
    (
        "openrouter",
        "embeddings",
        "rig--error-preserves",
        ModelMissing,
    ),
    (
        "perplexity",
        "chat_completions",
        "ruby_llm--chat-real-error",
        ContextLength,
    ),
    ("voyage", "embeddings", "pydantic-ai--", ModelMissing),
];

fn api(endpoint: &str) -> Option<Api> {
    Some(match endpoint {
        "chat_completions" => Api::OpenAiChat,
        "completions" => Api::OpenAiCompletions,
        "responses" => Api::OpenAiResponses,
        "embeddings" => Api::OpenAiEmbeddings,
        "messages" => Api::AnthropicMessages,
        "generate_content" => Api::Gemini,
        "converse" => Api::BedrockConverse,
        "v2_chat" => Api::CohereChat,
        _ => return None,
    })
}

#[test]
fn no_recorded_error_is_misjudged() {
    let Some(files) = traffic::files(&[]) else {
        return;
    };
    let (mut judged, mut wrong) = (0, Vec::new());
    let mut used = vec![false; JUDGED.len()];
    for file in files {
        let recording: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        let text = |key: &str| recording[key].as_str().unwrap_or_default();
        let status = recording["response_status"].as_u64().unwrap_or(200);
        let Some(api) = api(text("endpoint")).filter(|_| status >= 400) else {
            continue;
        };
        let body = match &recording["response_body"] {
            Value::Null => text("response_text").as_bytes().to_vec(),
            body => serde_json::to_vec(body).unwrap(),
        };
        let at = JUDGED.iter().position(|(provider, endpoint, name, _)| {
            *provider == text("provider")
                && *endpoint == text("endpoint")
                && text("id").starts_with(name)
        });
        if let Some(at) = at {
            used[at] = true;
        }
        let expected = at.map_or(InvalidRequest, |at| JUDGED[at].3);
        let status = u16::try_from(status).unwrap();
        let found = failure::of_answer(api, status, &body);
        judged += 1;
        if found != expected {
            wrong.push(format!("{}: {found:?} is not {expected:?}", file.display()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(judged > 100, "a corpus holds more");
    let unused: Vec<_> = JUDGED.iter().zip(used).filter(|(_, used)| !used).collect();
    assert!(unused.is_empty(), "no recording for {unused:#?}");
}

#[test]
fn every_recorded_answer_that_a_filter_stopped_is_known() {
    let Some(files) = traffic::files(&["chat_completions", "generate_content"]) else {
        return;
    };
    let mut found = 0;
    for file in files {
        let recording: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        let body = &recording["response_body"];
        if body["promptFeedback"]["blockReason"].is_string() {
            let body = serde_json::to_vec(body).unwrap();
            let kind = failure::of_answer(Api::Gemini, 200, &body);
            assert_eq!(kind, FailureKind::ContentFilter, "{}", file.display());
            found += 1;
        }
        if body["choices"][0]["finish_reason"] == "content_filter" {
            assert!(failure::is_filtered(Api::OpenAiChat, "content_filter"));
            let answer = hermesllm::apis::openai_chat::response::read(body.clone()).unwrap();
            let stop = answer.choices[0].stop.as_ref().unwrap();
            assert_eq!(failure::of_stop(stop), Some(FailureKind::ContentFilter));
            found += 1;
        }
    }
    assert!(found >= 2, "a corpus holds two at least");
}
