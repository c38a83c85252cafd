use serde_json::json;

use super::*;

fn of(api: Api, status: u16, body: &Value) -> FailureKind {
    of_answer(api, status, body.to_string().as_bytes())
}

#[test]
fn each_provider_is_understood_in_its_own_words() {
    use FailureKind::{
        Authentication, ContentFilter, ContextLength, ModelMissing, Other, Overloaded,
        QuotaExhausted, RateLimited,
    };
    let openai = |kind: &str, code: &str, message: &str| json!({"error": {"message": message, "type": kind, "param": null, "code": code}});
    let anthropic = |kind: &str, message: &str| json!({"type": "error", "error": {"type": kind, "message": message}});
    let gemini = |code: u16, status: &str, message: &str| json!({"error": {"code": code, "message": message, "status": status}});
    let chat = Api::OpenAiChat;
    let messages = Api::AnthropicMessages;
    let converse = Api::BedrockConverse;
    for (api, status, body, kind) in [
        (chat, 400, openai("invalid_request_error", "context_length_exceeded", "m"), ContextLength),
        (chat, 400, openai("invalid_request_error", "string_above_max_length", "m"), ContextLength),
        (chat, 429, openai("insufficient_quota", "insufficient_quota", "You exceeded your current quota"), QuotaExhausted),
        (chat, 429, openai("tokens", "rate_limit_exceeded", "Rate limit reached for gpt-4o on tokens per min (TPM)"), RateLimited),
        (chat, 413, openai("tokens", "rate_limit_exceeded", "Request too large for model `m` on tokens per minute (TPM): Limit 6000, Requested 9000"), ContextLength),
        (chat, 503, openai("server_error", "", "The engine is currently overloaded, please try again later"), Overloaded),
        (chat, 402, json!({"error": {"message": "Insufficient Balance"}}), QuotaExhausted),
        (chat, 400, json!({"object": "error", "message": "This model's maximum context length is 4096 tokens. However, you requested 5000", "type": "BadRequestError", "param": null, "code": 400}), ContextLength),
        (chat, 400, json!({"object": "error", "message": "Prompt contains 40000 tokens, too large for model with 32768 maximum context length", "type": "invalid_request_error", "code": null}), ContextLength),
        (chat, 400, json!({"error": {"message": "The response was filtered", "type": null, "param": "prompt", "code": "content_filter", "status": 400, "innererror": {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {"hate": {"filtered": true, "severity": "high"}}}}}), ContentFilter),
        (chat, 429, json!({"error": {"message": "Provider returned error", "code": 429, "metadata": {"raw": "google/gemini is temporarily rate-limited upstream", "provider_name": "Google"}}}), RateLimited),
        (chat, 400, json!({"error": {"message": "Provider returned error", "code": 400, "metadata": {"raw": "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"prompt is too long: 2 tokens > 1 maximum\"}}"}}}), ContextLength),
        (chat, 429, json!([{"error": {"code": 429, "message": "You exceeded your current quota", "status": "RESOURCE_EXHAUSTED"}}]), RateLimited),
        (messages, 400, anthropic("invalid_request_error", "prompt is too long: 213462 tokens > 200000 maximum"), ContextLength),
        (messages, 400, anthropic("invalid_request_error", "input length and `max_tokens` exceed context limit: 199759 + 8192 > 200000"), ContextLength),
        (messages, 413, anthropic("request_too_large", "Request exceeds the maximum size"), ContextLength),
        (messages, 529, anthropic("overloaded_error", "Overloaded"), Overloaded),
        (messages, 200, anthropic("overloaded_error", "Overloaded"), Overloaded),
        (messages, 429, anthropic("rate_limit_error", "This request would exceed"), RateLimited),
        (messages, 400, anthropic("invalid_request_error", "Your credit balance is too low to access the Anthropic API"), QuotaExhausted),
        (messages, 402, anthropic("billing_error", "m"), QuotaExhausted),
        (messages, 403, anthropic("permission_error", "m"), Authentication),
        (messages, 400, anthropic("invalid_request_error", "Output blocked by content filtering policy"), ContentFilter),
        (messages, 500, anthropic("api_error", "Internal server error"), Other),
        (Api::Gemini, 400, gemini(400, "INVALID_ARGUMENT", "The input token count (314175) exceeds the maximum number of tokens allowed (131072)."), ContextLength),
        (Api::Gemini, 503, gemini(503, "UNAVAILABLE", "The model is overloaded. Please try again later."), Overloaded),
        (Api::Gemini, 200, json!({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 8}}), ContentFilter),
        (Api::Gemini, 429, json!({"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "You exceeded your current quota", "details": [{"violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]}]}}), QuotaExhausted),
        (converse, 400, json!({"__type": "ValidationException", "message": "Input is too long for requested model."}), ContextLength),
        (converse, 429, json!({"__type": "com.amazon.coral.service#ThrottlingException", "message": "Too many tokens, please wait before trying again."}), RateLimited),
        (converse, 429, json!({"message": "Too many requests, please wait before trying again."}), RateLimited),
        (converse, 429, json!({"__type": "ModelNotReadyException", "message": "The model is not ready for inference."}), Overloaded),
        (converse, 400, json!({"__type": "ServiceQuotaExceededException:http://internal/", "message": "m"}), QuotaExhausted),
        (converse, 408, json!({"message": "Model has timed out in processing the request."}), Other),
        (Api::CohereChat, 400, json!({"id": "1", "message": "too many tokens: size limit exceeded by 11326 tokens."}), ContextLength),
        (Api::CohereChat, 404, json!({"message": "model 'x' not found, make sure the correct model ID was used"}), ModelMissing),
        (Api::CohereChat, 429, json!({"message": "You are using a Trial key, which is limited to 1000 API calls / month."}), QuotaExhausted),
        (Api::CohereChat, 498, json!({"message": "blocked"}), ContentFilter),
    ] {
        assert_eq!(of(api, status, &body), kind, "{api} {status} {body}");
    }
}

#[test]
fn what_is_no_json_goes_by_its_text_and_then_by_its_status() {
    let chat = Api::OpenAiChat;
    let html = b"<html><h1>413 Request Entity Too Large</h1></html>";
    assert_eq!(of_answer(chat, 413, html), FailureKind::ContextLength);
    assert_eq!(of_answer(chat, 502, b"\xff\xfe"), FailureKind::Other);
    assert_eq!(of_answer(chat, 503, b""), FailureKind::Overloaded);
    assert_eq!(of_answer(chat, 0, b"null"), FailureKind::Other);
    let huge = vec![b'['; MOST_BYTES + 1];
    assert_eq!(of_answer(chat, 429, &huge), FailureKind::RateLimited);
    let text = b"This model's maximum context length is 7 tokens";
    assert_eq!(of_answer(chat, 400, text), FailureKind::ContextLength);
}

#[test]
fn a_rule_is_written_as_it_is_compared_and_says_where_it_is_from() {
    for api in Api::ALL {
        for rule in table::of(api).iter().chain(table::RELAYED) {
            assert!(!rule.from.is_empty(), "{rule:?}");
            let texts = match &rule.sign {
                Sign::Word(word) => std::slice::from_ref(word),
                Sign::Message(fragments) => *fragments,
            };
            assert!(!texts.is_empty(), "{rule:?}");
            for text in texts {
                assert!(
                    !text.is_empty() && *text == text.to_ascii_lowercase(),
                    "{rule:?}"
                );
            }
        }
    }
}

#[test]
fn every_kind_has_a_label_of_its_own() {
    let mut labels: Vec<_> = FailureKind::ALL.iter().map(|kind| kind.as_str()).collect();
    labels.sort_unstable();
    labels.dedup();
    assert_eq!(labels.len(), FailureKind::ALL.len());
}

#[test]
fn an_error_in_a_stream_means_what_it_would_have_meant_before() {
    let error = ProviderError {
        status: 0,
        kind: "overloaded_error".to_owned(),
        ..ProviderError::default()
    };
    let kind = of_error(Api::AnthropicMessages, &error);
    assert_eq!(kind, FailureKind::Overloaded);
}

/// Both ways of asking give the same answer, for every word that a reader takes for a filter.
#[test]
fn a_filter_is_known_by_the_meaning_and_by_the_word() {
    for (api, body) in [
        (
            Api::OpenAiChat,
            json!({"choices": [{"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": "content_filter"}]}),
        ),
        (
            Api::OpenAiCompletions,
            json!({"choices": [{"index": 0, "text": "x", "finish_reason": "content_filter"}]}),
        ),
        (
            Api::OpenAiResponses,
            json!({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}, "output": []}),
        ),
        (
            Api::AnthropicMessages,
            json!({"type": "message", "content": [], "stop_reason": "refusal"}),
        ),
        (
            Api::BedrockConverse,
            json!({"output": {"message": {"role": "assistant", "content": []}}, "stopReason": "guardrail_intervened"}),
        ),
        (
            Api::BedrockConverse,
            json!({"output": {"message": {"role": "assistant", "content": []}}, "stopReason": "content_filtered"}),
        ),
        (
            Api::Gemini,
            json!({"candidates": [{"content": {"parts": []}, "finishReason": "SAFETY"}]}),
        ),
        (
            Api::Gemini,
            json!({"candidates": [{"content": {"parts": []}, "finishReason": "RECITATION"}]}),
        ),
        (
            Api::Gemini,
            json!({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}),
        ),
        (
            Api::CohereChat,
            json!({"message": {"role": "assistant", "content": []}, "finish_reason": "ERROR_TOXIC"}),
        ),
    ] {
        let answer = api.read_response(body.clone()).unwrap().unwrap();
        let stop = answer.choices[0].stop.clone().unwrap();
        assert_eq!(of_stop(&stop), Some(FailureKind::ContentFilter), "{body}");
        assert!(is_filtered(api, &stop.raw), "{api} {}", stop.raw);
    }
    for api in Api::ALL {
        for word in [
            "",
            "stop",
            "end_turn",
            "STOP",
            "COMPLETE",
            "length",
            "tool_calls",
        ] {
            assert!(!is_filtered(api, word));
        }
    }
}
