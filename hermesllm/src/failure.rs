//! What an answer that is no success means for the next attempt.
//!
//! Owns the one reading of providers' error answers ([`FailureKind`]), by tables of their own codes
//! and of fragments of their messages (`failure/table.rs`), each with where it is from. The status
//! decides only where no word does: providers tell a full context window, a filtered prompt and a
//! missing model with the same 400. What is unknown is never guessed from a success.

mod table;

use serde_json::Value;

use crate::apis::{ProviderError, SupportedUpstreamAPIs as Api};
use crate::representation::{StopKind, StopReason};

use table::{Rule, Sign};

/// Error bodies beyond this are not read: none is so long that tells what happened.
const MOST_BYTES: usize = 256 << 10;
/// How many members of an error body are looked at, and how deep.
const MOST_MEMBERS: usize = 512;
const MOST_DEPTH: usize = 8;
/// How much of a body is looked at that is not JSON.
const MOST_TEXT: usize = 4 << 10;

/// Members whose values are words of the API: types, codes, statuses.
const WORDS: [&str; 8] = [
    "type",
    "code",
    "status",
    "reason",
    "__type",
    "error_code",
    "blockReason",
    "error",
];
/// Members whose values are messages. `raw` is what OpenRouter was told, `quotaId` names the limit
/// at Google.
const MESSAGES: [&str; 8] = [
    "message",
    "Message",
    "detail",
    "msg",
    "error",
    "originalMessage",
    "raw",
    "quotaId",
];

/// What failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailureKind {
    /// The request is too large for the model, or for all that the account may ever ask at once:
    /// one with a larger window may take it, the same one never will.
    ContextLength,
    /// The provider's filter stopped the prompt or the answer.
    ContentFilter,
    /// Too many requests or tokens for the moment.
    RateLimited,
    /// What was paid for, or what a day or month holds, is used up.
    QuotaExhausted,
    /// The provider has no room at the moment.
    Overloaded,
    /// The key is wrong, or may not do this.
    Authentication,
    /// The model is not there, or not for this account.
    ModelMissing,
    /// The request is at fault.
    InvalidRequest,
    /// Something else: a defect of the provider's, a time-out.
    Other,
}

impl FailureKind {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::ContextLength,
        Self::ContentFilter,
        Self::RateLimited,
        Self::QuotaExhausted,
        Self::Overloaded,
        Self::Authentication,
        Self::ModelMissing,
        Self::InvalidRequest,
        Self::Other,
    ];

    /// The label in metrics and logs, and the name in configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ContextLength => "context_length",
            Self::ContentFilter => "content_filter",
            Self::RateLimited => "rate_limited",
            Self::QuotaExhausted => "quota_exhausted",
            Self::Overloaded => "overloaded",
            Self::Authentication => "authentication",
            Self::ModelMissing => "model_missing",
            Self::InvalidRequest => "invalid_request",
            Self::Other => "other",
        }
    }
}

/// What an error answer means. `api` is the one that the provider was asked in; `body` is decoded
/// (no `content-encoding`) and may be cut, or anything else.
pub fn of_answer(api: Api, status: u16, body: &[u8]) -> FailureKind {
    let told = match body.get(..MOST_BYTES) {
        None => Told::of_body(body),
        Some(begin) => Told::of_text(begin),
    };
    told.kind(api).unwrap_or_else(|| by_status(api, status))
}

/// What an error means that has been read: one in the middle of a stream, for instance.
pub fn of_error(api: Api, error: &ProviderError) -> FailureKind {
    let mut told = Told::default();
    told.word(&error.kind);
    told.word(error.code.as_deref().unwrap_or_default());
    told.message(&error.message);
    let kind = told.kind(api);
    kind.unwrap_or_else(|| by_status(api, error.status))
}

/// What the end of an answer means that came with a success: `None` unless a filter cut it.
pub fn of_stop(reason: &StopReason) -> Option<FailureKind> {
    // Anthropic's word where its classifiers stopped the model, on Bedrock too; anywhere else a
    // refusal is what the model itself says.
    let by_classifier = reason.kind == StopKind::Refusal && reason.raw == "refusal";
    (reason.kind == StopKind::ContentFilter || by_classifier).then_some(FailureKind::ContentFilter)
}

/// Whether the provider's filter stopped an answer, by the word that it ended with in its own API
/// ([`Observed::finish_reason`](crate::translate::Observed::finish_reason),
/// [`Progress::finish_reason`](crate::transcoder::Progress::finish_reason)).
pub fn is_filtered(api: Api, finish_reason: &str) -> bool {
    let words: &[&str] = match api {
        // `SAFETY` and its like come through from Gemini in the chat of relays.
        Api::OpenAiChat | Api::OpenAiCompletions | Api::OpenAiResponses => {
            &["content_filter", "SAFETY", "sensitive"]
        }
        Api::AnthropicMessages => &["refusal"],
        Api::BedrockConverse => &["guardrail_intervened", "content_filtered", "refusal"],
        Api::CohereChat => &["ERROR_TOXIC"],
        Api::Gemini => &[
            "SAFETY",
            "RECITATION",
            "BLOCKLIST",
            "PROHIBITED_CONTENT",
            "SPII",
            "IMAGE_SAFETY",
            "IMAGE_PROHIBITED_CONTENT",
            "IMAGE_RECITATION",
            "MODEL_ARMOR",
            "JAILBREAK",
            "BLOCK_REASON_UNSPECIFIED",
        ],
        Api::OpenAiEmbeddings | Api::CohereEmbed => &[],
    };
    words.contains(&finish_reason)
}

/// What is left to go by where no word is known.
fn by_status(api: Api, status: u16) -> FailureKind {
    match status {
        401 | 403 | 407 => FailureKind::Authentication,
        402 => FailureKind::QuotaExhausted,
        404 | 410 => FailureKind::ModelMissing,
        413 => FailureKind::ContextLength,
        429 => FailureKind::RateLimited,
        // Cohere's for a blocked prompt or answer.
        498 if matches!(api, Api::CohereChat | Api::CohereEmbed) => FailureKind::ContentFilter,
        408 | 424 | 499 => FailureKind::Other,
        400..=499 => FailureKind::InvalidRequest,
        503 | 529 => FailureKind::Overloaded,
        _ => FailureKind::Other,
    }
}

/// What an error answer says, in lower case.
#[derive(Debug, Default)]
struct Told {
    words: Vec<String>,
    /// All messages, one to a line.
    messages: String,
    /// The prompt was blocked (Gemini, in an answer without a candidate).
    blocked: bool,
    members: usize,
}

impl Told {
    fn of_body(body: &[u8]) -> Self {
        match serde_json::from_slice::<Value>(body) {
            Ok(value) => {
                let mut told = Self::default();
                told.walk(&value, 0);
                told
            }
            Err(_) => Self::of_text(body),
        }
    }

    fn of_text(body: &[u8]) -> Self {
        let begin = body.get(..MOST_TEXT).unwrap_or(body);
        let mut told = Self::default();
        told.message(&String::from_utf8_lossy(begin));
        told
    }

    fn walk(&mut self, value: &Value, depth: usize) {
        match value {
            Value::Object(members) if depth < MOST_DEPTH => {
                for (name, value) in members {
                    self.members += 1;
                    if self.members > MOST_MEMBERS {
                        return;
                    }
                    let is_block = name == "blockReason" || name == "block_reason";
                    self.blocked |= is_block && value.is_string();
                    match value {
                        Value::String(text) => {
                            if WORDS.contains(&name.as_str()) {
                                self.word(text);
                            }
                            if MESSAGES.contains(&name.as_str()) {
                                self.message(text);
                            }
                        }
                        nested => self.walk(nested, depth + 1),
                    }
                }
            }
            Value::Array(items) if depth < MOST_DEPTH => {
                for item in items.iter().take(MOST_MEMBERS) {
                    self.walk(item, depth + 1);
                }
            }
            // Cohere's, of old: nothing but a text.
            Value::String(text) if depth == 0 => self.message(text),
            _ => {}
        }
    }

    /// Notes a word; AWS writes types with a name space before and an address behind.
    fn word(&mut self, word: &str) {
        let word = word.rsplit('#').next().unwrap_or_default();
        let word = word.split(':').next().unwrap_or_default();
        if !word.is_empty() {
            self.words.push(word.to_ascii_lowercase());
        }
    }

    fn message(&mut self, message: &str) {
        let end = message.char_indices().map(|(at, _)| at).nth(MOST_TEXT);
        let begin = message.get(..end.unwrap_or(message.len()));
        let begin = begin.unwrap_or_default();
        self.messages.push_str(&begin.to_ascii_lowercase());
        self.messages.push('\n');
    }

    fn kind(&self, api: Api) -> Option<FailureKind> {
        if self.blocked && api == Api::Gemini {
            return Some(FailureKind::ContentFilter);
        }
        let rules = table::of(api).iter().chain(table::RELAYED);
        let found = rules.into_iter().find(|rule| self.matches(rule));
        found.map(|rule| rule.kind)
    }

    fn matches(&self, rule: &Rule) -> bool {
        match rule.sign {
            Sign::Word(word) => self.words.iter().any(|own| own == word),
            Sign::Message(fragments) => self.messages.lines().any(|line| {
                let mut rest = Some(line);
                fragments.iter().all(|fragment| {
                    rest = rest.and_then(|rest| Some(rest.split_once(fragment)?.1));
                    rest.is_some()
                })
            }),
        }
    }
}

#[cfg(test)]
mod tests;
