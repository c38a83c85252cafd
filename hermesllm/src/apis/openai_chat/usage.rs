//! Usage, as this API and its speakers report it.
//!
//! What the figures mean is [`crate::usage`]'s affair: some providers count thoughts or cached
//! tokens beside the others, and are put right. Figures that repeat others (flat `cached_tokens`,
//! `prompt_cache_miss_tokens`) are understood and not kept apart.

use serde_json::{Map, Value};

use super::extra;
use crate::apis::object::{put, Object};
use crate::representation::{Extension, Losses, TokenUsage};
use crate::usage::{CacheCount, ReportedUsage};

/// Reads a usage object; what has no field is left among the extensions.
pub(super) fn read(value: Value) -> (TokenUsage, Vec<Extension>) {
    let text = value.to_string();
    let told = ReportedUsage::read(text.as_bytes());
    let told = told.map(|told| told.usage(CacheCount::Included));
    let mut object = Object::lenient(value, "/usage");
    let mut usage = TokenUsage {
        input: whole(&mut object, "prompt_tokens"),
        output: whole(&mut object, "completion_tokens"),
        total: whole(&mut object, "total_tokens"),
        ..TokenUsage::default()
    };
    let mut extensions = Vec::new();
    for name in ["prompt_tokens_details", "prompt_token_details"] {
        if let Ok(Some(mut own)) = object.object(name) {
            greater(&mut usage.cached, whole(&mut own, "cached_tokens"));
            greater(
                &mut usage.cache_write,
                whole(&mut own, "cache_write_tokens"),
            );
            greater(&mut usage.audio_input, whole(&mut own, "audio_tokens"));
            extensions.extend(extra::inside("prompt_tokens_details", own));
        }
    }
    for name in ["completion_tokens_details", "completion_token_details"] {
        if let Ok(Some(mut own)) = object.object(name) {
            greater(&mut usage.reasoning, whole(&mut own, "reasoning_tokens"));
            greater(&mut usage.audio_output, whole(&mut own, "audio_tokens"));
            usage.accepted_prediction = whole(&mut own, "accepted_prediction_tokens");
            usage.rejected_prediction = whole(&mut own, "rejected_prediction_tokens");
            extensions.extend(extra::inside("completion_tokens_details", own));
        }
    }
    for name in [
        "prompt_cache_hit_tokens",
        "cached_tokens",
        "num_cached_tokens",
        "cache_read_input_tokens",
    ] {
        greater(&mut usage.cached, whole(&mut object, name));
    }
    let written = whole(&mut object, "cache_creation_input_tokens");
    greater(&mut usage.cache_write, written);
    if let Ok(Some(mut own)) = object.object("cache_creation") {
        usage.cache_write_5m = whole(&mut own, "ephemeral_5m_input_tokens");
        usage.cache_write_1h = whole(&mut own, "ephemeral_1h_input_tokens");
        extensions.extend(extra::inside("cache_creation", own));
    }
    greater(&mut usage.reasoning, whole(&mut object, "reasoning_tokens"));
    let missed = usage.input.zip(usage.cached);
    let missed = missed.map(|(input, cached)| input.saturating_sub(cached));
    if object
        .peek("prompt_cache_miss_tokens")
        .and_then(Value::as_u64)
        == missed
    {
        object.take("prompt_cache_miss_tokens");
    }
    extensions.extend(object.rest());
    if let Some(told) = told {
        usage.input = usage.input.map(|_| told.input);
        usage.output = usage.output.map(|_| told.output);
        if told.reasoning > 0 {
            usage.reasoning = Some(told.reasoning);
        }
    }
    (usage, extra::below("usage", extensions))
}

fn whole(object: &mut Object, key: &str) -> Option<u64> {
    object.whole(key).ok().flatten().map(|count| count.value)
}

/// Of several figures that say the same, the largest counts.
fn greater(known: &mut Option<u64>, other: Option<u64>) {
    *known = (*known).max(other);
}

/// Writes a usage object. What nobody can tell here is said in `losses`.
pub(super) fn write(usage: &TokenUsage, losses: &mut Losses) -> Value {
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
    } = *usage;
    let (input, output) = (input.unwrap_or(0), output.unwrap_or(0));
    let mut object = Map::new();
    object.insert("prompt_tokens".to_owned(), input.into());
    object.insert("completion_tokens".to_owned(), output.into());
    let total = total.unwrap_or_else(|| input.saturating_add(output));
    object.insert("total_tokens".to_owned(), total.into());
    let mut details = Map::new();
    put(&mut details, "cached_tokens", cached);
    put(&mut details, "cache_write_tokens", cache_write);
    put(&mut details, "audio_tokens", audio_input);
    if !details.is_empty() {
        object.insert("prompt_tokens_details".to_owned(), details.into());
    }
    let mut details = Map::new();
    put(&mut details, "reasoning_tokens", reasoning);
    put(&mut details, "audio_tokens", audio_output);
    let (accepted, rejected) = (accepted_prediction, rejected_prediction);
    put(&mut details, "accepted_prediction_tokens", accepted);
    put(&mut details, "rejected_prediction_tokens", rejected);
    if !details.is_empty() {
        object.insert("completion_tokens_details".to_owned(), details.into());
    }
    // As gateways to Anthropic's models have it.
    let mut written = Map::new();
    put(&mut written, "ephemeral_5m_input_tokens", cache_write_5m);
    put(&mut written, "ephemeral_1h_input_tokens", cache_write_1h);
    if !written.is_empty() {
        object.insert("cache_creation".to_owned(), written.into());
    }
    if tool_input.is_some_and(|tokens| tokens > 0) {
        losses.dropped("/usage", "this API does not count what tools brought");
    }
    object.into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(value: Value) -> TokenUsage {
        let usage = read(value).0;
        let again = read(write(&usage, &mut Losses::new())).0;
        assert_eq!(again, usage);
        usage
    }

    #[test]
    fn every_way_of_reporting_the_cache_and_thoughts_means_the_same() {
        for value in [
            json!({"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4}, "completion_tokens_details": {"reasoning_tokens": 3}}),
            json!({"prompt_tokens": 10, "completion_tokens": 5, "prompt_cache_hit_tokens": 4, "prompt_cache_miss_tokens": 6, "reasoning_tokens": 3}),
            json!({"prompt_tokens": 10, "completion_tokens": 5, "num_cached_tokens": 4, "completion_token_details": {"reasoning_tokens": 3}}),
            json!({"prompt_tokens": 10, "completion_tokens": 5, "cached_tokens": 4, "reasoning_tokens": 3, "prompt_tokens_details": null}),
        ] {
            let (usage, rest) = read(value);
            assert_eq!((usage.input, usage.output), (Some(10), Some(5)));
            assert_eq!((usage.cached, usage.reasoning), (Some(4), Some(3)));
            assert!(rest.is_empty());
        }
    }

    #[test]
    fn thoughts_and_cached_tokens_that_are_counted_apart_are_put_right() {
        let xai = told(
            json!({"prompt_tokens": 291, "completion_tokens": 26, "total_tokens": 506, "completion_tokens_details": {"reasoning_tokens": 189}}),
        );
        assert_eq!((xai.output, xai.reasoning), (Some(215), Some(189)));
        let gemini =
            told(json!({"prompt_tokens": 35, "completion_tokens": 12, "total_tokens": 109}));
        assert_eq!((gemini.output, gemini.reasoning), (Some(74), Some(62)));
        let grok = told(
            json!({"prompt_tokens": 7, "completion_tokens": 8, "total_tokens": 15, "prompt_tokens_details": {"cached_tokens": 161}}),
        );
        assert_eq!((grok.input, grok.cached), (Some(168), Some(161)));
    }

    #[test]
    fn what_is_written_to_the_cache_keeps_its_time() {
        let usage = told(
            json!({"prompt_tokens": 10, "completion_tokens": 1, "total_tokens": 11, "cache_creation_input_tokens": 5,
            "cache_creation": {"ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 3}}),
        );
        assert_eq!(usage.cache_write, Some(5));
        assert_eq!(
            (usage.cache_write_5m, usage.cache_write_1h),
            (Some(2), Some(3))
        );
    }

    #[test]
    fn what_has_no_field_is_left_by_its_place() {
        let rest = read(json!({"cost": 0.5, "prompt_tokens_details": {"text_tokens": 4}})).1;
        let rest: Vec<_> = rest.iter().map(|e| (e.name.as_str(), &*e.at)).collect();
        assert_eq!(
            rest,
            [
                (
                    "usage/prompt_tokens_details/text_tokens",
                    "/usage/prompt_tokens_details/text_tokens"
                ),
                ("usage/cost", "/usage/cost")
            ]
        );
    }
}
