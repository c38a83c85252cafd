//! A request: turns, tools and settings.

use serde_json::{Map, Number, Value};

use crate::apis::SupportedUpstreamAPIs;

use super::{CacheHint, Extension, Part, Pointer, Setting, Tool, ToolChoice};

/// What a client asks of a model.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Request {
    /// The API that it was read from, if any: its own writer gives everything back.
    pub api: Option<SupportedUpstreamAPIs>,
    /// The model, as the document names it; empty where the API has it in the path.
    pub model: String,
    /// Whether the answer is to be streamed. Not a member in every API.
    pub stream: bool,
    /// Whether a stream is to end with its usage (`stream_options.include_usage`).
    pub include_usage: Option<bool>,
    /// The conversation, in order, system and developer turns in place. APIs that have the system
    /// prompt apart have it as leading turns here.
    pub turns: Vec<Turn>,
    /// What the model may call.
    pub tools: Vec<Tool>,
    /// Which of them it may or must call.
    pub tool_choice: Setting<ToolChoice>,
    /// Whether it may call several at once.
    pub parallel_tool_calls: Setting<bool>,
    /// The most output tokens, reasoning included where the API counts it so.
    pub max_output: Setting<u64>,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Texts that end the answer.
    pub stop: Setting<Vec<String>>,
    /// How many answers to give.
    pub choices: Setting<u64>,
    /// Log probabilities: how many alternatives for each token; 0 for the token's own alone.
    pub logprobs: Setting<u64>,
    /// The form of the answer's text.
    pub format: Setting<OutputFormat>,
    /// How much the model thinks, and what is shown of it.
    pub reasoning: Option<ReasoningConfig>,
    /// How verbose the answer's text is: `low`, `medium`, `high`.
    pub verbosity: Setting<String>,
    /// What the answer consists of: `text`, `audio`, `image`.
    pub modalities: Setting<Vec<String>>,
    /// The class of service, in the provider's word.
    pub service_tier: Setting<String>,
    /// Labels for the request.
    pub metadata: Setting<Map<String, Value>>,
    /// Who the end user is, as an opaque identifier.
    pub user: Setting<String>,
    /// What requests that begin alike have in common (`prompt_cache_key`).
    pub cache_key: Setting<String>,
    /// Everything before here is worth caching, without a place in a turn (Anthropic's top-level
    /// `cache_control`).
    pub cache: Setting<CacheHint>,
    /// Whether the provider stores the answer.
    pub store: Setting<bool>,
    /// The stored answer that this one follows (`previous_response_id`).
    pub previous: Setting<String>,
    /// Members without a field.
    pub extensions: Vec<Extension>,
}

/// How tokens are chosen.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sampling {
    /// As written; APIs differ in their range (OpenAI and Gemini 0–2, Anthropic 0–1).
    pub temperature: Setting<Number>,
    /// Nucleus sampling.
    pub top_p: Setting<Number>,
    /// The most likely tokens to choose from.
    pub top_k: Setting<Number>,
    /// The least likely token, relative to the most likely.
    pub min_p: Setting<Number>,
    /// By how often a token is there.
    pub frequency_penalty: Setting<Number>,
    /// By whether a token is there.
    pub presence_penalty: Setting<Number>,
    /// For the same answer again.
    pub seed: Setting<Number>,
    /// By token.
    pub logit_bias: Setting<Map<String, Value>>,
}

/// Who says something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The operator, above all.
    System,
    /// The operator, in the word of OpenAI's newer models.
    Developer,
    /// The person, and what tools answered.
    User,
    /// The model.
    Assistant,
}

/// One turn of the conversation.
#[derive(Debug, Clone, PartialEq)]
pub struct Turn {
    /// Who says it.
    pub role: Role,
    /// The speaker's name, where there are several.
    pub name: Setting<String>,
    /// What is said. Results of tools are parts of a user's turn.
    pub parts: Vec<Part>,
    /// Where it was read.
    pub at: Pointer,
    /// Members without a field.
    pub extensions: Vec<Extension>,
}

/// The form of an answer's text.
#[derive(Debug, Clone, PartialEq)]
pub enum OutputFormat {
    /// Any text.
    Text,
    /// Any JSON document.
    Json,
    /// A JSON document of this schema.
    Schema {
        /// Its name, where the API wants one.
        name: Option<String>,
        /// What it is for.
        description: Option<String>,
        /// JSON Schema.
        schema: Value,
        /// Whether the provider guarantees it.
        strict: Option<bool>,
    },
    /// A grammar or another form that only its own API has.
    Other(Value),
}

/// How much the model thinks.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ReasoningConfig {
    /// Off, on, or as the model sees fit.
    pub enabled: Setting<Enabled>,
    /// In words.
    pub effort: Setting<Effort>,
    /// In tokens.
    pub budget: Setting<u64>,
    /// Whether a summary is shown, and of what kind: `auto`, `concise`, `detailed`, `none`; for
    /// APIs with a flag `auto` is yes and `none` is no.
    pub summary: Setting<String>,
    /// Whether the answer carries the encrypted reasoning, for replay.
    pub encrypted: Setting<bool>,
    /// Members without a field.
    pub extensions: Vec<Extension>,
}

/// Whether the model thinks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enabled {
    /// It does not.
    No,
    /// It does.
    Yes,
    /// As much as it needs (Anthropic's `adaptive`).
    Adaptive,
}

/// How much the model thinks, in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the words of the APIs themselves")]
pub enum Effort {
    None,
    Minimal,
    Low,
    Medium,
    High,
    XHigh,
    Max,
}

impl Effort {
    /// The word of OpenAI's APIs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::XHigh => "xhigh",
            Self::Max => "max",
        }
    }

    /// The effort of that name.
    pub fn named(word: &str) -> Option<Self> {
        Some(match word {
            "none" => Self::None,
            "minimal" => Self::Minimal,
            "low" => Self::Low,
            "medium" => Self::Medium,
            "high" => Self::High,
            "xhigh" => Self::XHigh,
            "max" => Self::Max,
            _ => return None,
        })
    }

    /// Tokens that are about as much, where an API counts; `None` for no thinking. The figures are
    /// those that providers document for their own compatibility layers (Gemini: low 1,024, medium
    /// 8,192, high 24,576).
    pub fn as_budget(self) -> Option<u64> {
        match self {
            Self::None => None,
            Self::Minimal | Self::Low => Some(1024),
            Self::Medium => Some(8192),
            Self::High => Some(24_576),
            Self::XHigh | Self::Max => Some(32_768),
        }
    }

    /// The word for a budget of tokens: the inverse of [`as_budget`](Self::as_budget), rounded up.
    pub fn of_budget(tokens: u64) -> Self {
        match tokens {
            0 => Self::None,
            1..=1024 => Self::Low,
            1025..=8192 => Self::Medium,
            8193..=24_576 => Self::High,
            _ => Self::XHigh,
        }
    }
}
