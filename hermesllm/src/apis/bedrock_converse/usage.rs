//! What an answer cost, and why it ended.

use serde_json::{json, Map, Value};

use crate::apis::object::Object;
use crate::representation::{Extension, Losses, StopKind, StopReason, TokenUsage};

/// Reads `usage`. Converse counts tokens of its cache apart from `inputTokens`.
pub(super) fn read(mut usage: Object, extensions: &mut Vec<Extension>) -> TokenUsage {
    let mut count = |key: &str| usage.whole(key).ok().flatten().map(|count| count.value);
    let uncached = count("inputTokens");
    let cached = count("cacheReadInputTokens");
    let cache_write = count("cacheWriteInputTokens");
    let sum = |known: Option<u64>| known.unwrap_or_default();
    let input = uncached.map(|own| {
        own.saturating_add(sum(cached))
            .saturating_add(sum(cache_write))
    });
    let mut known = TokenUsage {
        input,
        output: count("outputTokens"),
        total: count("totalTokens"),
        cached,
        cache_write,
        ..TokenUsage::default()
    };
    // The same figures again, under names that the service's model does not have.
    for (double, figure) in [
        ("cacheReadInputTokenCount", cached),
        ("cacheWriteInputTokenCount", cache_write),
    ] {
        if usage.peek(double).and_then(Value::as_u64) == figure {
            usage.take(double);
        }
    }
    if let Some((five, hour)) = usage.peek("cacheDetails").and_then(by_ttl) {
        usage.take("cacheDetails");
        known.cache_write_5m = five;
        known.cache_write_1h = hour;
    }
    let is_empty = |value: &Value| value.as_object().is_some_and(Map::is_empty);
    if usage.peek("serverToolUsage").is_some_and(is_empty) {
        usage.take("serverToolUsage");
    }
    extensions.extend(usage.rest());
    known
}

/// What was written to the cache for five minutes and for an hour, if that is all that is told.
fn by_ttl(details: &Value) -> Option<(Option<u64>, Option<u64>)> {
    let mut five = None;
    let mut hour = None;
    for detail in details.as_array()? {
        let detail = detail.as_object()?;
        let tokens = detail.get("inputTokens")?.as_u64()?;
        let place = match detail.get("ttl")?.as_str()? {
            "5m" => &mut five,
            "1h" => &mut hour,
            _ => return None,
        };
        if place.replace(tokens).is_some() || detail.len() != 2 {
            return None;
        }
    }
    Some((five, hour))
}

/// Writes `usage`.
pub(super) fn write(usage: TokenUsage, losses: &mut Losses) -> Value {
    let TokenUsage {
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
    } = usage;
    let parts = [
        reasoning,
        audio_input,
        audio_output,
        tool_input,
        accepted_prediction,
        rejected_prediction,
    ];
    if parts.into_iter().flatten().any(|tokens| tokens > 0) {
        let reason = "Converse does not tell thoughts, sound, tools and predictions apart";
        losses.dropped("/usage", reason);
    }
    let by_ttl = [("1h", cache_write_1h), ("5m", cache_write_5m)];
    let by_ttl = by_ttl.into_iter();
    let details: Vec<Value> = by_ttl
        .filter_map(|(ttl, tokens)| Some(json!({"ttl": ttl, "inputTokens": tokens?})))
        .collect();
    let written = cache_write.or_else(|| {
        let sum = [cache_write_5m, cache_write_1h];
        sum.into_iter().flatten().reduce(u64::saturating_add)
    });
    let (all_input, output) = (input.unwrap_or_default(), output.unwrap_or_default());
    let uncached = all_input
        .saturating_sub(cached.unwrap_or_default())
        .saturating_sub(written.unwrap_or_default());
    let total = total.unwrap_or_else(|| all_input.saturating_add(output));
    let mut usage = Map::new();
    let mut put = |key: &str, count: Option<u64>| {
        if let Some(count) = count {
            usage.insert(key.to_owned(), count.into());
        }
    };
    put("inputTokens", Some(uncached));
    put("outputTokens", Some(output));
    put("totalTokens", Some(total));
    put("cacheReadInputTokens", cached);
    put("cacheWriteInputTokens", written);
    if !details.is_empty() {
        usage.insert("cacheDetails".to_owned(), details.into());
    }
    Value::Object(usage)
}

/// The reason for which an answer ended.
pub(super) fn stop_of(raw: &str) -> StopKind {
    match raw {
        "end_turn" => StopKind::End,
        "tool_use" => StopKind::ToolCalls,
        "max_tokens" => StopKind::MaxTokens,
        "stop_sequence" => StopKind::StopSequence,
        "guardrail_intervened" | "content_filtered" => StopKind::ContentFilter,
        "malformed_model_output" | "malformed_tool_use" => StopKind::Malformed,
        "model_context_window_exceeded" => StopKind::ContextWindow,
        // Words of Anthropic's, which the service does not document but may pass on.
        "refusal" => StopKind::Refusal,
        "pause_turn" => StopKind::Pause,
        _ => StopKind::Other,
    }
}

/// Converse's word for an answer of another API that does not tell why it ended.
pub(super) fn untold(calls_tools: bool, losses: &mut Losses) -> &'static str {
    losses.approximated("", "Converse always tells why an answer ended");
    if calls_tools {
        "tool_use"
    } else {
        "end_turn"
    }
}

/// Converse's word for the reason. A word that it has itself stays as it was; `same`: any word does.
pub(super) fn word_of(stop: StopReason, same: bool, losses: &mut Losses) -> String {
    let StopReason {
        kind,
        raw,
        sequence,
    } = stop;
    if same {
        return raw;
    }
    if sequence.is_some() {
        losses.dropped("", "Converse does not tell what ended an answer");
    }
    if kind != StopKind::Other && stop_of(&raw) == kind {
        return raw;
    }
    let word = match kind {
        StopKind::End => "end_turn",
        StopKind::StopSequence => "stop_sequence",
        StopKind::MaxTokens => "max_tokens",
        StopKind::ContextWindow => "model_context_window_exceeded",
        StopKind::ToolCalls => "tool_use",
        StopKind::ContentFilter => "content_filtered",
        StopKind::Malformed => "malformed_tool_use",
        StopKind::Refusal => {
            losses.approximated("", "Converse has no refusals");
            "content_filtered"
        }
        StopKind::Pause | StopKind::Other => {
            losses.approximated("", "Converse has no such reason");
            "end_turn"
        }
    };
    word.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(usage: Value) -> (TokenUsage, Vec<String>) {
        let mut extensions = Vec::new();
        let usage = read(Object::lenient(usage, "/usage"), &mut extensions);
        let at = extensions.into_iter().map(|own| own.at.into_owned());
        (usage, at.collect())
    }

    #[test]
    fn input_includes_what_was_read_from_and_written_to_the_cache() {
        let usage = json!({
            "inputTokens": 3, "outputTokens": 227, "totalTokens": 1947,
            "cacheReadInputTokens": 5, "cacheReadInputTokenCount": 5,
            "cacheWriteInputTokens": 1712, "cacheWriteInputTokenCount": 1712,
            "cacheDetails": [{"inputTokens": 12, "ttl": "1h"}, {"inputTokens": 1700, "ttl": "5m"}],
            "serverToolUsage": {},
        });
        let (known, left) = read_all(usage);
        let expected = TokenUsage {
            input: Some(1720),
            output: Some(227),
            total: Some(1947),
            cached: Some(5),
            cache_write: Some(1712),
            cache_write_5m: Some(1700),
            cache_write_1h: Some(12),
            ..TokenUsage::default()
        };
        assert_eq!(known, expected);
        assert!(left.is_empty());
        let mut losses = Losses::new();
        let expected = json!({
            "inputTokens": 3, "outputTokens": 227, "totalTokens": 1947,
            "cacheReadInputTokens": 5, "cacheWriteInputTokens": 1712,
            "cacheDetails": [{"inputTokens": 12, "ttl": "1h"}, {"inputTokens": 1700, "ttl": "5m"}],
        });
        assert_eq!(write(known, &mut losses), expected);
        assert!(losses.is_empty());
    }

    #[test]
    fn what_is_not_reported_is_not_zero_and_what_is_unknown_stays() {
        let usage = json!({
            "inputTokens": 3, "cacheReadInputTokenCount": 1, "serverToolUsage": {"webSearch": 1},
            "cacheDetails": [{"inputTokens": 1, "ttl": "1d"}], "outputTokens": "many",
        });
        let (known, left) = read_all(usage);
        let expected = TokenUsage {
            input: Some(3),
            ..TokenUsage::default()
        };
        assert_eq!(known, expected);
        assert_eq!(
            left,
            [
                "/usage/cacheReadInputTokenCount",
                "/usage/serverToolUsage",
                "/usage/cacheDetails",
                "/usage/outputTokens"
            ]
        );
    }

    #[test]
    fn usage_of_other_apis_is_counted_as_converse_counts() {
        let usage = TokenUsage {
            input: Some(100),
            output: Some(20),
            cached: Some(60),
            cache_write_1h: Some(10),
            reasoning: Some(15),
            ..TokenUsage::default()
        };
        let mut losses = Losses::new();
        let expected = json!({
            "inputTokens": 30, "outputTokens": 20, "totalTokens": 120,
            "cacheReadInputTokens": 60, "cacheWriteInputTokens": 10,
            "cacheDetails": [{"ttl": "1h", "inputTokens": 10}],
        });
        assert_eq!(write(usage, &mut losses), expected);
        assert_eq!(losses.as_slice().len(), 1);
    }

    #[test]
    fn reasons_have_their_own_words() {
        let stop = |kind, raw: &str| StopReason {
            kind,
            raw: raw.to_owned(),
            sequence: None,
        };
        for (kind, raw, word) in [
            (StopKind::End, "stop", "end_turn"),
            (StopKind::ToolCalls, "tool_calls", "tool_use"),
            (StopKind::MaxTokens, "length", "max_tokens"),
            (
                StopKind::ContentFilter,
                "guardrail_intervened",
                "guardrail_intervened",
            ),
            (StopKind::ContentFilter, "SAFETY", "content_filtered"),
            (
                StopKind::Malformed,
                "MALFORMED_FUNCTION_CALL",
                "malformed_tool_use",
            ),
            (
                StopKind::ContextWindow,
                "x",
                "model_context_window_exceeded",
            ),
            (StopKind::Refusal, "refusal", "refusal"),
            (StopKind::Other, "x", "end_turn"),
        ] {
            let mut losses = Losses::new();
            assert_eq!(word_of(stop(kind, raw), false, &mut losses), word);
            assert_eq!(losses.is_empty(), kind != StopKind::Other);
            assert_eq!(word_of(stop(kind, raw), true, &mut losses), raw);
        }
    }
}
