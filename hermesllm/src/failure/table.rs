//! How providers say what failed: codes, types, and fragments of messages where these do not tell.
//!
//! The first rule that matches counts, so the exact stand before the general. `recorded`: from an
//! exchange that was recorded; all others name the page or the project that shows them.

use super::FailureKind::{
    self, Authentication, ContentFilter, ContextLength, InvalidRequest, ModelMissing, Other,
    Overloaded, QuotaExhausted, RateLimited,
};
use crate::apis::SupportedUpstreamAPIs as Api;

/// One way of saying it.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) kind: FailureKind,
    pub(super) sign: Sign,
    /// Who says so, and where that is seen.
    #[cfg_attr(not(test), expect(dead_code, reason = "for readers and tests"))]
    pub(super) from: &'static str,
}

/// By what it is known; all in lower case.
#[derive(Debug)]
pub(super) enum Sign {
    /// A type, code or status, as a whole.
    Word(&'static str),
    /// Pieces of a message, in this order.
    Message(&'static [&'static str]),
}

const fn word(kind: FailureKind, word: &'static str, from: &'static str) -> Rule {
    Rule {
        kind,
        sign: Sign::Word(word),
        from,
    }
}

const fn says(kind: FailureKind, message: &'static [&'static str], from: &'static str) -> Rule {
    Rule {
        kind,
        sign: Sign::Message(message),
        from,
    }
}

/// The rules of an API.
pub(super) fn of(api: Api) -> &'static [Rule] {
    match api {
        Api::OpenAiChat | Api::OpenAiResponses | Api::OpenAiCompletions | Api::OpenAiEmbeddings => {
            OPENAI
        }
        Api::AnthropicMessages => ANTHROPIC,
        Api::Gemini => GEMINI,
        Api::BedrockConverse => BEDROCK,
        Api::CohereChat | Api::CohereEmbed => COHERE,
    }
}

/// OpenAI, Azure, and all that speak their API.
const OPENAI: &[Rule] = &[
    word(
        ContextLength,
        "context_length_exceeded",
        "OpenAI's error codes; Azure, Groq",
    ),
    word(
        ContextLength,
        "string_above_max_length",
        "OpenAI, of a text beyond what a member takes",
    ),
    word(
        ContextLength,
        "exceed_context_size_error",
        "llama.cpp, recorded",
    ),
    word(
        ContextLength,
        "too_many_prompt_tokens",
        "Perplexity, recorded",
    ),
    word(
        ContextLength,
        "model_max_prompt_tokens_exceeded",
        "GitHub Copilot",
    ),
    says(
        ContextLength,
        &["exceeds the context window"],
        "OpenAI Responses: your input exceeds the context window of this model",
    ),
    says(
        ContextLength,
        &["exceeded max context length"],
        "Ollama's cloud, recorded",
    ),
    says(ContextLength, &["maximum prompt length is"], "xAI"),
    says(
        ContextLength,
        &["reduce the length of the messages"],
        "OpenAI of old, Groq",
    ),
    says(
        ContextLength,
        &["request too large for"],
        "OpenAI and Groq, of a request beyond the tokens of a whole minute",
    ),
    says(
        ContextLength,
        &["range of input length should be"],
        "Alibaba",
    ),
    says(
        ContextLength,
        &["greater than the context length"],
        "LM Studio",
    ),
    says(ContextLength, &["context length of only"], "LM Studio"),
    says(ContextLength, &["exceeded model token limit"], "Moonshot"),
    says(ContextLength, &["context window exceeds limit"], "MiniMax"),
    says(
        ContextLength,
        &["prompt exceeds max length"],
        "Z.ai, code 1261",
    ),
    says(
        ContextLength,
        &["`inputs` tokens", "must be <="],
        "text-generation-inference",
    ),
    says(
        ContextLength,
        &["exceeded max_prompt_tokens"],
        "SiliconFlow",
    ),
    word(
        ContentFilter,
        "content_filter",
        "Azure OpenAI, content filtering",
    ),
    word(
        ContentFilter,
        "responsibleaipolicyviolation",
        "Azure OpenAI, innererror.code",
    ),
    word(ContentFilter, "content_policy_violation", "OpenAI"),
    word(ContentFilter, "moderation_blocked", "OpenAI, images"),
    word(ContentFilter, "data_inspection_failed", "Alibaba"),
    word(ContentFilter, "datainspectionfailed", "Alibaba"),
    says(
        ContentFilter,
        &["content management policy"],
        "Azure OpenAI",
    ),
    says(ContentFilter, &["content exists risk"], "DeepSeek"),
    says(ContentFilter, &["content violates usage guidelines"], "xAI"),
    says(
        ContentFilter,
        &["prompt was flagged"],
        "OpenAI, reasoning models, code invalid_prompt",
    ),
    says(ContentFilter, &["input was flagged"], "OpenRouter, 403"),
    says(ContentFilter, &["result of our safety system"], "OpenAI"),
    // Gemini's layer for OpenAI's clients says "quota" of every limit, by the minute too.
    says(QuotaExhausted, &["perday"], "Gemini, quotaId"),
    word(
        RateLimited,
        "resource_exhausted",
        "Gemini's layer for OpenAI's clients",
    ),
    word(QuotaExhausted, "insufficient_quota", "OpenAI's error codes"),
    word(QuotaExhausted, "billing_hard_limit_reached", "OpenAI"),
    word(QuotaExhausted, "billing_not_active", "OpenAI"),
    word(QuotaExhausted, "arrearage", "Alibaba"),
    says(QuotaExhausted, &["exceeded your current quota"], "OpenAI"),
    says(
        QuotaExhausted,
        &["insufficient balance"],
        "DeepSeek; Z.ai, with 429",
    ),
    says(QuotaExhausted, &["free-models-per-day"], "OpenRouter"),
    word(
        RateLimited,
        "rate_limit_exceeded",
        "OpenAI's error codes, Groq",
    ),
    word(
        RateLimited,
        "rate_limit_error",
        "Anthropic's layer for OpenAI's clients",
    ),
    word(
        Overloaded,
        "overloaded_error",
        "Anthropic's layer for OpenAI's clients",
    ),
    word(Overloaded, "engine_overloaded_error", "Moonshot"),
    word(
        Overloaded,
        "unavailable",
        "Gemini's layer for OpenAI's clients",
    ),
    says(
        Overloaded,
        &["currently overloaded"],
        "OpenAI: that model is currently overloaded",
    ),
    says(
        Overloaded,
        &["model is overloaded"],
        "Gemini's layer for OpenAI's clients",
    ),
    word(
        ModelMissing,
        "model_not_found",
        "OpenAI's error codes, recorded",
    ),
    word(ModelMissing, "invalid_model", "Mistral, recorded"),
    word(ModelMissing, "deploymentnotfound", "Azure OpenAI"),
    says(
        ModelMissing,
        &["model", "does not exist"],
        "OpenRouter, recorded; vLLM",
    ),
    says(
        ModelMissing,
        &["supported api model names are"],
        "DeepSeek, recorded",
    ),
    says(ModelMissing, &["is not a valid model id"], "OpenRouter"),
    says(ModelMissing, &["supported models are"], "Voyage, recorded"),
    word(
        Authentication,
        "invalid_api_key",
        "OpenAI's error codes, recorded",
    ),
    word(Authentication, "authentication_error", "DeepSeek, recorded"),
    says(
        Authentication,
        &["api key not valid"],
        "Gemini's layer for OpenAI's clients",
    ),
    word(
        InvalidRequest,
        "previous_response_not_found",
        "OpenAI Responses, recorded",
    ),
    // What the model wrote was at fault, not what it was asked.
    word(Other, "tool_use_failed", "Groq, recorded"),
    word(Other, "json_validate_failed", "Groq"),
];

const ANTHROPIC: &[Rule] = &[
    word(
        ContextLength,
        "request_too_large",
        "Anthropic's errors page, 413",
    ),
    says(
        ContentFilter,
        &["blocked by content filtering"],
        "output blocked by content filtering policy",
    ),
    word(
        QuotaExhausted,
        "billing_error",
        "Anthropic's errors page, 402",
    ),
    says(
        QuotaExhausted,
        &["credit balance is too low"],
        "Anthropic, with 400",
    ),
    says(
        QuotaExhausted,
        &["specified api usage limits"],
        "Anthropic, with 400: a limit of the customer's own",
    ),
    word(
        Overloaded,
        "overloaded_error",
        "Anthropic's errors page, 529",
    ),
    word(
        RateLimited,
        "rate_limit_error",
        "Anthropic's errors page, 429",
    ),
    word(
        Authentication,
        "authentication_error",
        "Anthropic's errors page, recorded",
    ),
    word(
        Authentication,
        "permission_error",
        "Anthropic's errors page",
    ),
    word(
        ModelMissing,
        "not_found_error",
        "Anthropic's errors page, recorded",
    ),
];

const GEMINI: &[Rule] = &[
    says(
        ContextLength,
        &["input token count", "only supports up to"],
        "Vertex AI",
    ),
    says(
        ContextLength,
        &["request payload size exceeds the limit"],
        "Gemini",
    ),
    says(ContentFilter, &["responsible ai practices"], "Vertex AI"),
    says(
        QuotaExhausted,
        &["perday"],
        "quotaId: GenerateRequestsPerDayPerProjectPerModel-FreeTier",
    ),
    says(QuotaExhausted, &["credits are depleted"], "Gemini, prepaid"),
    word(QuotaExhausted, "billing_disabled", "google.rpc.ErrorInfo"),
    word(
        RateLimited,
        "resource_exhausted",
        "google.rpc.Code, recorded",
    ),
    word(
        Overloaded,
        "unavailable",
        "google.rpc.Code: the model is overloaded",
    ),
    word(
        Authentication,
        "api_key_invalid",
        "google.rpc.ErrorInfo, recorded with 400",
    ),
    word(
        Authentication,
        "unauthenticated",
        "google.rpc.Code, recorded",
    ),
    word(Authentication, "permission_denied", "google.rpc.Code"),
    says(
        Authentication,
        &["user location is not supported"],
        "Gemini, with 400",
    ),
    word(ModelMissing, "not_found", "google.rpc.Code, recorded"),
];

const BEDROCK: &[Rule] = &[
    says(
        ContextLength,
        &["input tokens exceeded"],
        "Amazon Nova, recorded",
    ),
    says(ContextLength, &["too many input tokens"], "Amazon Titan"),
    says(
        ContentFilter,
        &["blocked by content filtering"],
        "Anthropic's models",
    ),
    says(
        ContentFilter,
        &["blocked by our content filters"],
        "Amazon's models",
    ),
    says(ContentFilter, &["conflicts with our aup"], "Amazon Nova"),
    says(
        QuotaExhausted,
        &["too many tokens per day"],
        "Bedrock, a ThrottlingException",
    ),
    word(
        QuotaExhausted,
        "servicequotaexceededexception",
        "Converse, errors",
    ),
    word(
        Overloaded,
        "modelnotreadyexception",
        "Converse, errors, 429",
    ),
    word(
        Overloaded,
        "serviceunavailableexception",
        "Converse, errors",
    ),
    says(
        Overloaded,
        &["model is not ready"],
        "Converse, errors, 429 without a type",
    ),
    word(RateLimited, "throttlingexception", "Converse, errors"),
    says(
        ModelMissing,
        &["access to the model"],
        "Bedrock, recorded with 403",
    ),
    says(
        ModelMissing,
        &["model identifier is invalid"],
        "Bedrock, recorded",
    ),
    says(
        ModelMissing,
        &["with on-demand throughput isn"],
        "Bedrock, recorded",
    ),
    says(ModelMissing, &["marked by provider as legacy"], "Bedrock"),
    says(
        ModelMissing,
        &["model version has reached the end of its life"],
        "Bedrock",
    ),
    word(
        ModelMissing,
        "resourcenotfoundexception",
        "Converse, errors",
    ),
    word(Authentication, "accessdeniedexception", "Converse, errors"),
    word(
        Authentication,
        "unrecognizedclientexception",
        "AWS, common errors",
    ),
    word(
        Authentication,
        "expiredtokenexception",
        "AWS, common errors",
    ),
    word(
        Authentication,
        "invalidsignatureexception",
        "AWS, common errors",
    ),
];

const COHERE: &[Rule] = &[
    says(
        ContextLength,
        &["too many tokens:"],
        "Cohere: total number of tokens in the prompt cannot exceed",
    ),
    says(ContentFilter, &["blocked output"], "Cohere"),
    says(ContentFilter, &["blocked input"], "Cohere"),
    says(
        QuotaExhausted,
        &["trial key", "/ month"],
        "Cohere, with 429",
    ),
    says(ModelMissing, &["model", "not found"], "Cohere"),
    says(ModelMissing, &["was removed on"], "Cohere, of a model"),
];

/// What one provider says of another's, in whatever API it is asked: relays pass on messages as they
/// are, and clouds host the models of others.
pub(super) const RELAYED: &[Rule] = &[
    says(
        ContextLength,
        &["prompt is too long"],
        "Anthropic: prompt is too long: 213462 tokens > 200000 maximum",
    ),
    says(
        ContextLength,
        &["exceed context limit"],
        "Anthropic: input length and `max_tokens` exceed context limit",
    ),
    says(
        ContextLength,
        &["exceeds the maximum number of tokens allowed"],
        "Gemini: the input token count (N) exceeds",
    ),
    says(
        ContextLength,
        &["input is too long for requested model"],
        "Bedrock, a ValidationException",
    ),
    says(
        ContextLength,
        &["maximum context length"],
        "OpenAI of old, vLLM, Mistral, DeepSeek; OpenRouter, recorded",
    ),
    says(
        ContextLength,
        &["exceeds the available context size"],
        "llama.cpp, recorded",
    ),
];
