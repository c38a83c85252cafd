//! Usage, as this API and its speakers report it.

use serde_json::{Map, Value};

use crate::apis::object::{put, Object};
use crate::representation::{Extension, TokenUsage};

/// How members of `usage` without a field are named among the extensions of an answer.
pub(super) const INSIDE: &str = "usage/";

/// Reads a usage object; what has no field is left among the extensions.
pub(super) fn read(value: Value) -> (TokenUsage, Vec<Extension>) {
    let mut object = Object::lenient(value, "/usage");
    let mut whole = |key: &str| object.whole(key).ok().flatten().map(|count| count.value);
    let mut usage = TokenUsage {
        input: whole("prompt_tokens"),
        output: whole("completion_tokens"),
        total: whole("total_tokens"),
        cached: whole("prompt_cache_hit_tokens"),
        ..TokenUsage::default()
    };
    let mut extensions = Vec::new();
    if let Ok(Some(mut details)) = object.object("prompt_tokens_details") {
        let mut whole = |key: &str| details.whole(key).ok().flatten().map(|count| count.value);
        usage.cached = whole("cached_tokens").or(usage.cached);
        usage.cache_write = whole("cache_write_tokens");
        usage.audio_input = whole("audio_tokens");
        extensions.extend(named("prompt_tokens_details/", details));
    }
    if let Ok(Some(mut details)) = object.object("completion_tokens_details") {
        let mut whole = |key: &str| details.whole(key).ok().flatten().map(|count| count.value);
        usage.reasoning = whole("reasoning_tokens");
        usage.audio_output = whole("audio_tokens");
        usage.accepted_prediction = whole("accepted_prediction_tokens");
        usage.rejected_prediction = whole("rejected_prediction_tokens");
        extensions.extend(named("completion_tokens_details/", details));
    }
    extensions.extend(named("", object));
    // xAI counts thoughts beside the completion, and in the total.
    if let (Some(input), Some(output), Some(total), Some(reasoning)) =
        (usage.input, usage.output, usage.total, usage.reasoning)
    {
        if reasoning > 0 && total == input.saturating_add(output).saturating_add(reasoning) {
            usage.output = Some(output.saturating_add(reasoning));
        }
    }
    // More cached than read: some count what is cached apart (Azure's Grok).
    if let (Some(input), Some(cached)) = (usage.input, usage.cached) {
        if cached > input {
            usage.input = Some(input.saturating_add(cached));
        }
    }
    (usage, extensions)
}

fn named(prefix: &str, object: Object) -> Vec<Extension> {
    let rest = object.rest().into_iter();
    rest.map(|extension| Extension {
        name: format!("{INSIDE}{prefix}{}", extension.name),
        ..extension
    })
    .collect()
}

/// Writes a usage object.
pub(super) fn write(usage: TokenUsage, extensions: Vec<Extension>) -> Value {
    let TokenUsage {
        input,
        output,
        total,
        cached,
        cache_write,
        cache_write_5m: _,
        cache_write_1h: _,
        reasoning,
        audio_input,
        audio_output,
        tool_input: _,
        accepted_prediction,
        rejected_prediction,
    } = usage;
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
    let mut output_details = Map::new();
    put(&mut output_details, "reasoning_tokens", reasoning);
    put(&mut output_details, "audio_tokens", audio_output);
    put(
        &mut output_details,
        "accepted_prediction_tokens",
        accepted_prediction,
    );
    put(
        &mut output_details,
        "rejected_prediction_tokens",
        rejected_prediction,
    );
    for extension in extensions {
        let name = extension
            .name
            .strip_prefix(INSIDE)
            .unwrap_or(&extension.name);
        match name.split_once('/') {
            Some(("prompt_tokens_details", name)) => {
                details.insert(name.to_owned(), extension.value);
            }
            Some(("completion_tokens_details", name)) => {
                output_details.insert(name.to_owned(), extension.value);
            }
            _ => {
                object.insert(name.to_owned(), extension.value);
            }
        }
    }
    if !details.is_empty() {
        object.insert("prompt_tokens_details".to_owned(), details.into());
    }
    if !output_details.is_empty() {
        object.insert(
            "completion_tokens_details".to_owned(),
            output_details.into(),
        );
    }
    object.into()
}
