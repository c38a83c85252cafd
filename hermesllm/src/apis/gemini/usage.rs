//! What an answer cost, and why it ended.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::members::Members;
use crate::representation::{Extension, Losses, StopKind, StopReason, TokenUsage};

/// The figures of `usageMetadata`. Thoughts are counted apart from the candidates, and what tools
/// brought apart from the prompt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Figures {
    #[serde(rename = "promptTokenCount", alias = "prompt_token_count")]
    prompt: Option<u64>,
    #[serde(
        rename = "cachedContentTokenCount",
        alias = "cached_content_token_count"
    )]
    cached: Option<u64>,
    #[serde(rename = "candidatesTokenCount", alias = "candidates_token_count")]
    candidates: Option<u64>,
    #[serde(rename = "thoughtsTokenCount", alias = "thoughts_token_count")]
    thoughts: Option<u64>,
    #[serde(
        rename = "toolUsePromptTokenCount",
        alias = "tool_use_prompt_token_count"
    )]
    tools: Option<u64>,
    #[serde(rename = "totalTokenCount", alias = "total_token_count")]
    total: Option<u64>,
}

impl Figures {
    /// Takes over what a later report has. One with a total is a whole report.
    pub(super) fn update(&mut self, later: Self) {
        if later.total.is_some() {
            *self = later;
            return;
        }
        self.prompt = later.prompt.or(self.prompt);
        self.cached = later.cached.or(self.cached);
        self.candidates = later.candidates.or(self.candidates);
        self.thoughts = later.thoughts.or(self.thoughts);
        self.tools = later.tools.or(self.tools);
    }

    pub(super) fn usage(self) -> TokenUsage {
        TokenUsage {
            input: sum(self.prompt, self.tools),
            output: sum(self.candidates, self.thoughts),
            total: self.total,
            cached: self.cached,
            reasoning: self.thoughts,
            tool_input: self.tools,
            ..TokenUsage::default()
        }
    }
}

fn sum(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    match (one, other) {
        (None, None) => None,
        (one, other) => {
            let zero = |own: Option<u64>| own.unwrap_or_default();
            Some(zero(one).saturating_add(zero(other)))
        }
    }
}

/// Reads `usageMetadata`: the usage and the class of service.
pub(super) fn read(
    mut usage: Members,
    extensions: &mut Vec<Extension>,
) -> (TokenUsage, Option<String>) {
    let mut count = |key: &'static str| usage.whole(key).ok().flatten().map(|own| own.value);
    let figures = Figures {
        prompt: count("promptTokenCount"),
        cached: count("cachedContentTokenCount"),
        candidates: count("candidatesTokenCount"),
        thoughts: count("thoughtsTokenCount"),
        tools: count("toolUsePromptTokenCount"),
        total: count("totalTokenCount"),
    };
    let tier = usage.text("serviceTier").ok().flatten();
    let known = TokenUsage {
        audio_input: sound(usage.peek("promptTokensDetails")),
        audio_output: sound(usage.peek("candidatesTokensDetails")),
        ..figures.usage()
    };
    extensions.extend(usage.rest());
    (known, tier.map(|tier| tier.value))
}

/// Whether a member says nothing that the figures do not: how many tokens are text and how many
/// are sound.
pub(super) fn is_counted(member: &Extension) -> bool {
    let is_details = matches!(
        member.name.as_str(),
        "promptTokensDetails" | "candidatesTokensDetails"
    );
    let is_known = |own: &Value| {
        let modality = own.get("modality");
        modality.is_some_and(|own| is_audio(own) || *own == "TEXT" || *own == 1)
    };
    let list = member.value.as_array().filter(|_| is_details);
    list.is_some_and(|list| list.iter().all(is_known))
}

/// The tokens of sound among the details.
fn sound(details: Option<&Value>) -> Option<u64> {
    let details = details?.as_array()?.iter();
    let audio = details.filter(|own| own.get("modality").is_some_and(is_audio));
    let counts = audio.filter_map(|own| own.get("tokenCount").and_then(Value::as_u64));
    counts.reduce(u64::saturating_add)
}

fn is_audio(modality: &Value) -> bool {
    modality == "AUDIO" || modality == 4
}

/// Writes `usageMetadata`. Zero is not written, as this API has it.
pub(super) fn write(usage: TokenUsage, same: bool, losses: &mut Losses) -> Map<String, Value> {
    let TokenUsage {
        input,
        output,
        total,
        cached,
        cache_write,
        // Parts of `cache_write`.
        cache_write_5m: _,
        cache_write_1h: _,
        reasoning,
        audio_input,
        audio_output,
        tool_input,
        accepted_prediction,
        rejected_prediction,
    } = usage;
    let unknown = [cache_write, accepted_prediction, rejected_prediction];
    if unknown.into_iter().flatten().any(|tokens| tokens > 0) {
        let reason = "this API does not tell what was written to a cache, nor predictions";
        losses.dropped("/usage", reason);
    }
    let less = |whole: Option<u64>, part: Option<u64>| {
        whole.map(|whole| whole.saturating_sub(part.unwrap_or_default()))
    };
    let both = input.zip(output).filter(|_| !same);
    let total = total.or(both.map(|(input, output)| input.saturating_add(output)));
    let mut own = Map::new();
    for (key, count) in [
        ("promptTokenCount", less(input, tool_input)),
        ("cachedContentTokenCount", cached),
        ("candidatesTokenCount", less(output, reasoning)),
        ("thoughtsTokenCount", reasoning),
        ("toolUsePromptTokenCount", tool_input),
        ("totalTokenCount", total),
    ] {
        if let Some(count) = count.filter(|count| *count > 0) {
            own.insert(key.to_owned(), count.into());
        }
    }
    if !same {
        for (key, all, audio) in [
            ("promptTokensDetails", less(input, tool_input), audio_input),
            (
                "candidatesTokensDetails",
                less(output, reasoning),
                audio_output,
            ),
        ] {
            if let Some(details) = details(all, audio) {
                own.insert(key.to_owned(), details);
            }
        }
    }
    own
}

/// What of it is sound, if anything.
fn details(all: Option<u64>, audio: Option<u64>) -> Option<Value> {
    let audio = audio.filter(|audio| *audio > 0)?;
    let text = all.unwrap_or_default().saturating_sub(audio);
    let each = [("TEXT", text), ("AUDIO", audio)].into_iter();
    let each = each.filter(|(_, tokens)| *tokens > 0);
    let each =
        each.map(|(word, tokens)| serde_json::json!({"modality": word, "tokenCount": tokens}));
    Some(each.collect())
}

/// The word of a reason, which may come as its number.
pub(super) fn word(reason: &Value) -> Option<String> {
    let words = ["STOP", "MAX_TOKENS", "SAFETY", "RECITATION", "OTHER"];
    match reason {
        Value::String(word) if !word.is_empty() => Some(word.clone()),
        Value::Number(number) => {
            // Beyond these the services of this API number differently.
            let known = number.as_u64().and_then(|own| own.checked_sub(1));
            let known = known.and_then(|own| words.get(usize::try_from(own).ok()?));
            Some(known.map_or_else(|| number.to_string(), |word| (*word).to_owned()))
        }
        _ => None,
    }
}

/// The reason for which an answer ended, and whether it has calls.
pub(super) fn stop_of(raw: String, has_calls: bool) -> StopReason {
    let kind = match kind_of(&raw) {
        Some(StopKind::End) if has_calls => StopKind::ToolCalls,
        kind => kind.unwrap_or(StopKind::Other),
    };
    StopReason {
        kind,
        raw,
        sequence: None,
    }
}

/// What a word means; `None` if this API does not have it.
fn kind_of(raw: &str) -> Option<StopKind> {
    Some(match raw {
        "STOP" => StopKind::End,
        "MAX_TOKENS" => StopKind::MaxTokens,
        "SAFETY"
        | "RECITATION"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION"
        | "JAILBREAK"
        | "MODEL_ARMOR" => StopKind::ContentFilter,
        "MALFORMED_FUNCTION_CALL"
        | "UNEXPECTED_TOOL_CALL"
        | "TOO_MANY_TOOL_CALLS"
        | "MALFORMED_RESPONSE"
        | "MISSING_THOUGHT_SIGNATURE" => StopKind::Malformed,
        "OTHER"
        | "LANGUAGE"
        | "NO_IMAGE"
        | "IMAGE_OTHER"
        | "ESCALATION"
        | "FINISH_REASON_UNSPECIFIED" => StopKind::Other,
        _ => return None,
    })
}

/// This API's word for the reason. `same`: the word that it was.
pub(super) fn word_of(stop: StopReason, same: bool, losses: &mut Losses) -> String {
    let StopReason {
        kind,
        raw,
        sequence,
    } = stop;
    if sequence.is_some() {
        losses.dropped("", "this API does not tell what ended an answer");
    }
    if same || kind_of(&raw) == Some(kind) {
        return raw;
    }
    let word = match kind {
        StopKind::End | StopKind::StopSequence | StopKind::ToolCalls => "STOP",
        StopKind::MaxTokens => "MAX_TOKENS",
        StopKind::ContextWindow => {
            losses.approximated("", "a full context looks like the most output tokens");
            "MAX_TOKENS"
        }
        StopKind::ContentFilter => "SAFETY",
        StopKind::Malformed => "MALFORMED_FUNCTION_CALL",
        StopKind::Refusal => {
            losses.approximated("", "this API has no refusals");
            "SAFETY"
        }
        StopKind::Pause => {
            losses.approximated("", "this API has no such reason");
            "STOP"
        }
        StopKind::Other => {
            losses.approximated("", "this API has no such reason");
            "OTHER"
        }
    };
    word.to_owned()
}

/// The word for an answer that does not tell why it ended.
pub(super) fn untold(losses: &mut Losses) -> String {
    losses.approximated("", "this API always tells why an answer ended");
    "STOP".to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::members::Reading;
    use super::*;

    fn read_alone(usage: Value) -> (TokenUsage, Vec<String>) {
        let mut extensions = Vec::new();
        let usage = Members::new(usage, "/u", Reading::Lenient).unwrap();
        let (usage, _) = read(usage, &mut extensions);
        (usage, extensions.into_iter().map(|own| own.name).collect())
    }

    #[test]
    fn thoughts_are_output_and_what_tools_brought_is_input() {
        let counts = json!({
            "promptTokenCount": 32, "candidatesTokenCount": 41, "totalTokenCount": 2515,
            "toolUsePromptTokenCount": 2395, "thoughtsTokenCount": 47,
            "cachedContentTokenCount": 7,
        });
        let mut all = counts.clone();
        all["promptTokensDetails"] = json!([{"modality": "AUDIO", "tokenCount": 2}]);
        let (usage, rest) = read_alone(all);
        let expected = TokenUsage {
            input: Some(2427),
            output: Some(88),
            total: Some(2515),
            cached: Some(7),
            reasoning: Some(47),
            tool_input: Some(2395),
            audio_input: Some(2),
            ..TokenUsage::default()
        };
        assert_eq!(usage, expected);
        assert_eq!(rest, ["promptTokensDetails"]);
        let mut losses = Losses::new();
        assert_eq!(Value::Object(write(usage, true, &mut losses)), counts);
        assert!(losses.is_empty());
    }

    #[test]
    fn a_cut_before_the_first_word_has_thoughts_alone() {
        let counts = json!({"promptTokenCount": 5, "thoughtsTokenCount": 4});
        let (usage, _) = read_alone(counts.clone());
        assert_eq!((usage.input, usage.output), (Some(5), Some(4)));
        assert_eq!(
            Value::Object(write(usage, true, &mut Losses::new())),
            counts
        );
    }

    #[test]
    fn a_report_with_a_total_takes_the_place_of_those_before() {
        let report = |text: &str| serde_json::from_str::<Figures>(text).unwrap();
        let mut figures = report(r#"{"promptTokenCount": 9, "candidatesTokenCount": 21}"#);
        figures.update(report(r#"{"thoughtsTokenCount": 1}"#));
        assert_eq!(figures.usage().output, Some(22));
        let last = report(r#"{"promptTokenCount": 87, "totalTokenCount": 165}"#);
        figures.update(last);
        assert_eq!(figures, last);
    }

    #[test]
    fn sound_of_another_api_is_told_in_details() {
        let usage = TokenUsage {
            input: Some(10),
            output: Some(3),
            audio_input: Some(4),
            cache_write: Some(1),
            ..TokenUsage::default()
        };
        let mut losses = Losses::new();
        let written = Value::Object(write(usage, false, &mut losses));
        assert_eq!(written["totalTokenCount"], 13);
        assert_eq!(written["promptTokensDetails"][1]["tokenCount"], 4);
        assert_eq!(losses.as_slice().len(), 1);
    }

    #[test]
    fn reasons_are_understood_as_words_and_numbers() {
        for (value, calls, kind) in [
            (json!("STOP"), false, StopKind::End),
            (json!("STOP"), true, StopKind::ToolCalls),
            (json!(1), false, StopKind::End),
            (json!(2), true, StopKind::MaxTokens),
            (json!("SPII"), false, StopKind::ContentFilter),
            (json!("MALFORMED_FUNCTION_CALL"), false, StopKind::Malformed),
            (json!(12), false, StopKind::Other),
            (json!("NEW"), false, StopKind::Other),
        ] {
            assert_eq!(stop_of(word(&value).unwrap(), calls).kind, kind, "{value}");
        }
        assert_eq!(word(&json!("")), None);
    }

    #[test]
    fn every_kind_of_end_has_a_word_that_means_it() {
        for (kind, expected) in [
            (StopKind::ToolCalls, "STOP"),
            (StopKind::ContextWindow, "MAX_TOKENS"),
            (StopKind::Refusal, "SAFETY"),
            (StopKind::Malformed, "MALFORMED_FUNCTION_CALL"),
            (StopKind::Other, "OTHER"),
        ] {
            let stop = StopReason {
                kind,
                raw: "foreign".to_owned(),
                sequence: None,
            };
            assert_eq!(word_of(stop, false, &mut Losses::new()), expected);
        }
    }
}
