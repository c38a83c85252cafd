//! An answer.

use serde_json::Value;

use super::{Extension, Part};
use crate::apis::SupportedUpstreamAPIs;

/// What a model answered.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ProviderResponse {
    /// The API that it was read from, if any: its own writer gives everything back.
    pub api: Option<SupportedUpstreamAPIs>,
    /// The provider's identifier of the answer; empty where it gives none.
    pub id: String,
    /// The model that answered, in the provider's word.
    pub model: String,
    /// When, in seconds of the Unix epoch.
    pub created: Option<u64>,
    /// The answers; one unless more were asked for.
    pub choices: Vec<Choice>,
    /// What it cost.
    pub usage: Option<TokenUsage>,
    /// The class of service that was given.
    pub service_tier: Option<String>,
    /// What a provider says of the prompt's safety, or of moderation.
    pub moderation: Option<Value>,
    /// Members without a field.
    pub extensions: Vec<Extension>,
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Choice {
    /// What it consists of, in order.
    pub parts: Vec<Part>,
    /// Why it ended; `None` while it has not.
    pub stop: Option<StopReason>,
    /// Log probabilities, in OpenAI's form: a list of `{token, logprob, bytes, top_logprobs}`.
    pub logprobs: Option<Value>,
    /// Members without a field.
    pub extensions: Vec<Extension>,
}

/// Why an answer ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StopReason {
    /// What it means.
    pub kind: StopKind,
    /// The provider's own word.
    pub raw: String,
    /// The text that ended it, where that is told.
    pub sequence: Option<String>,
}

/// What the end of an answer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StopKind {
    /// The model has said all.
    End,
    /// A stop sequence came.
    StopSequence,
    /// The most output tokens are there.
    MaxTokens,
    /// The context window is full.
    ContextWindow,
    /// Tools are called.
    ToolCalls,
    /// The provider withholds the rest.
    ContentFilter,
    /// The model declines.
    Refusal,
    /// The provider pauses a long turn, to be sent back as it is (Anthropic).
    Pause,
    /// A tool call could not be read (Gemini's `MALFORMED_FUNCTION_CALL`, Cohere's `ERROR`).
    Malformed,
    /// Another reason, told in the provider's word.
    Other,
}

/// What an answer cost, in tokens. What a provider does not report is `None`, not zero.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TokenUsage {
    /// Everything that the model read, cached tokens and tool results included.
    pub input: Option<u64>,
    /// Everything that the model wrote, reasoning included.
    pub output: Option<u64>,
    /// The total as reported, where it is.
    pub total: Option<u64>,
    /// Part of `input`: read from the provider's cache.
    pub cached: Option<u64>,
    /// Part of `input`: written to the provider's cache, whatever the time.
    pub cache_write: Option<u64>,
    /// Part of `cache_write`: for five minutes.
    pub cache_write_5m: Option<u64>,
    /// Part of `cache_write`: for an hour.
    pub cache_write_1h: Option<u64>,
    /// Part of `output`: spent on thinking.
    pub reasoning: Option<u64>,
    /// Part of `input`: sound.
    pub audio_input: Option<u64>,
    /// Part of `output`: sound.
    pub audio_output: Option<u64>,
    /// Part of `input`: what tools of the provider's brought (Gemini).
    pub tool_input: Option<u64>,
    /// Part of `output`: predicted tokens that were right.
    pub accepted_prediction: Option<u64>,
    /// Part of `output`: predicted tokens that were wrong.
    pub rejected_prediction: Option<u64>,
}

impl TokenUsage {
    /// Takes over the figures that a later report has.
    pub fn update(&mut self, later: &Self) {
        let Self {
            input,
            output,
            total,
            cached,
            cache_write,
            cache_write_5m,
            cache_write_1h,
            reasoning,
            audio_input,
            audio_output,
            tool_input,
            accepted_prediction,
            rejected_prediction,
        } = later;
        for (own, later) in [
            (&mut self.input, input),
            (&mut self.output, output),
            (&mut self.total, total),
            (&mut self.cached, cached),
            (&mut self.cache_write, cache_write),
            (&mut self.cache_write_5m, cache_write_5m),
            (&mut self.cache_write_1h, cache_write_1h),
            (&mut self.reasoning, reasoning),
            (&mut self.audio_input, audio_input),
            (&mut self.audio_output, audio_output),
            (&mut self.tool_input, tool_input),
            (&mut self.accepted_prediction, accepted_prediction),
            (&mut self.rejected_prediction, rejected_prediction),
        ] {
            *own = later.or(*own);
        }
    }

    /// These figures and those of an earlier attempt at the same answer. A figure that is not here
    /// stays absent, for a later report to bring; so does the total, of which nobody knows any more
    /// what it holds.
    #[must_use]
    pub fn on_top_of(&self, earlier: &Self) -> Self {
        let sum = |own: Option<u64>, earlier: Option<u64>| {
            own.map(|own| own.saturating_add(earlier.unwrap_or(0)))
        };
        let Self {
            input,
            output,
            total: _,
            cached,
            cache_write,
            cache_write_5m,
            cache_write_1h,
            reasoning,
            audio_input,
            audio_output,
            tool_input,
            accepted_prediction,
            rejected_prediction,
        } = *self;
        Self {
            input: sum(input, earlier.input),
            output: sum(output, earlier.output),
            total: None,
            cached: sum(cached, earlier.cached),
            cache_write: sum(cache_write, earlier.cache_write),
            cache_write_5m: sum(cache_write_5m, earlier.cache_write_5m),
            cache_write_1h: sum(cache_write_1h, earlier.cache_write_1h),
            reasoning: sum(reasoning, earlier.reasoning),
            audio_input: sum(audio_input, earlier.audio_input),
            audio_output: sum(audio_output, earlier.audio_output),
            tool_input: sum(tool_input, earlier.tool_input),
            accepted_prediction: sum(accepted_prediction, earlier.accepted_prediction),
            rejected_prediction: sum(rejected_prediction, earlier.rejected_prediction),
        }
    }
}
