//! Usage.

use serde_json::{Map, Value};

use crate::apis::object::{put, Object};
use crate::representation::{Extension, Losses, TokenUsage};

/// How members of `usage` are named among the extensions.
pub(super) const INSIDE: &str = "usage/";

/// Reads a usage object; what has no field is left among the extensions.
pub(super) fn read(value: Value) -> (TokenUsage, Vec<Extension>) {
    let mut object = Object::lenient(value, "/usage");
    let whole = |object: &mut Object, key: &str| {
        let count = object.whole(key).ok().flatten();
        count.map(|count| count.value)
    };
    let mut usage = TokenUsage {
        input: whole(&mut object, "prompt_tokens"),
        output: whole(&mut object, "completion_tokens"),
        total: whole(&mut object, "total_tokens"),
        ..TokenUsage::default()
    };
    let mut extensions = Vec::new();
    if let Ok(Some(mut details)) = object.object("prompt_tokens_details") {
        usage.cached = whole(&mut details, "cached_tokens");
        usage.audio_input = whole(&mut details, "audio_tokens");
        extensions.extend(named("usage/prompt_tokens_details/", details));
    }
    if let Ok(Some(mut details)) = object.object("completion_tokens_details") {
        usage.reasoning = whole(&mut details, "reasoning_tokens");
        usage.audio_output = whole(&mut details, "audio_tokens");
        usage.accepted_prediction = whole(&mut details, "accepted_prediction_tokens");
        usage.rejected_prediction = whole(&mut details, "rejected_prediction_tokens");
        extensions.extend(named("usage/completion_tokens_details/", details));
    }
    // Hugging Face's has it beside the others.
    if let Some(cached) = object.peek("cached_tokens").and_then(Value::as_u64) {
        if usage.cached.is_none() {
            usage.cached = Some(cached);
            object.take("cached_tokens");
            extensions.push(super::own(CACHED_BESIDE, Value::Null));
        }
    }
    extensions.extend(named(INSIDE, object));
    (usage, extensions)
}

/// Says that `cached_tokens` stands beside the other counts.
const CACHED_BESIDE: &str = "usage/cached tokens beside";

fn named(prefix: &str, object: Object) -> Vec<Extension> {
    let rest = object.rest().into_iter();
    rest.map(|extension| Extension {
        name: format!("{prefix}{}", extension.name),
        ..extension
    })
    .collect()
}

/// Writes a usage object. Counts that it needs and that nobody told are 0 in an answer from another
/// API.
pub(super) fn write(
    usage: TokenUsage,
    inside: Vec<Extension>,
    same: bool,
    losses: &mut Losses,
) -> Value {
    let TokenUsage {
        input,
        output,
        total,
        mut cached,
        cache_write,
        // Parts of what is written to the cache.
        cache_write_5m: _,
        cache_write_1h: _,
        reasoning,
        audio_input,
        audio_output,
        tool_input,
        accepted_prediction,
        rejected_prediction,
    } = usage;
    for (count, reason) in [
        (cache_write, "this API does not count writes to the cache"),
        (tool_input, "this API does not count what tools bring"),
    ] {
        if count.is_some_and(|count| count > 0) {
            losses.dropped("/usage", reason);
        }
    }
    let needed = |count: Option<u64>| count.or_else(|| (!same).then_some(0));
    let sum = || (!same).then(|| input.unwrap_or(0).saturating_add(output.unwrap_or(0)));
    let mut object = Map::new();
    put(&mut object, "prompt_tokens", needed(input));
    put(&mut object, "completion_tokens", needed(output));
    put(&mut object, "total_tokens", total.or_else(sum));
    let (mut of_input, mut of_output) = (Map::new(), Map::new());
    for extension in inside {
        if !same {
            if extension.matters() {
                losses.dropped(extension.at, "the other API does not know this member");
            }
            continue;
        }
        if extension.name == CACHED_BESIDE {
            put(&mut object, "cached_tokens", cached.take());
            continue;
        }
        let name = extension.name.strip_prefix(INSIDE);
        let name = name.unwrap_or(&extension.name);
        let (target, name) = match name.split_once('/') {
            Some(("prompt_tokens_details", name)) => (&mut of_input, name),
            Some(("completion_tokens_details", name)) => (&mut of_output, name),
            _ => (&mut object, name),
        };
        target.insert(name.to_owned(), extension.value);
    }
    put(&mut of_input, "cached_tokens", cached);
    put(&mut of_input, "audio_tokens", audio_input);
    put(&mut of_output, "reasoning_tokens", reasoning);
    put(&mut of_output, "audio_tokens", audio_output);
    for (key, count) in [
        ("accepted_prediction_tokens", accepted_prediction),
        ("rejected_prediction_tokens", rejected_prediction),
    ] {
        put(&mut of_output, key, count);
    }
    for (key, details) in [
        ("prompt_tokens_details", of_input),
        ("completion_tokens_details", of_output),
    ] {
        if !details.is_empty() {
            object.insert(key.to_owned(), details.into());
        }
    }
    object.into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn usage_comes_back_as_it_was() {
        for value in [
            json!({"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3, "cached_tokens": 0}),
            json!({"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 4, "odd": 1}, "cost": 0.1}),
            json!({"completion_tokens": 2, "completion_tokens_details": {"reasoning_tokens": 1}}),
        ] {
            let (usage, inside) = read(value.clone());
            let mut losses = Losses::new();
            assert_eq!(write(usage, inside, true, &mut losses), value);
            assert!(losses.is_empty());
        }
    }
}
