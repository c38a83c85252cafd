//! What an answer cost.

use serde_json::{Map, Value};

use super::members::{inside, rest_of};
use crate::apis::object::Object;
use crate::representation::{Extension, Losses, TokenUsage};

/// Reads `usage`; what has no field is left as extensions of the answer.
pub(super) fn read(mut usage: Object, extensions: &mut Vec<Extension>) -> TokenUsage {
    let mut details = |usage: &mut Object, name: &str, fields: &mut [(&str, &mut Option<u64>)]| {
        let Ok(Some(mut details)) = usage.object(name) else {
            return;
        };
        for (key, field) in fields {
            **field = whole(&mut details, key);
        }
        extensions.extend(inside(rest_of(details, name), "usage"));
    };
    let mut read = TokenUsage::default();
    details(
        &mut usage,
        "input_tokens_details",
        &mut [
            ("cached_tokens", &mut read.cached),
            ("cache_write_tokens", &mut read.cache_write),
            ("audio_tokens", &mut read.audio_input),
        ],
    );
    details(
        &mut usage,
        "output_tokens_details",
        &mut [
            ("reasoning_tokens", &mut read.reasoning),
            ("audio_tokens", &mut read.audio_output),
            ("accepted_prediction_tokens", &mut read.accepted_prediction),
            ("rejected_prediction_tokens", &mut read.rejected_prediction),
        ],
    );
    read.input = whole(&mut usage, "input_tokens");
    read.output = whole(&mut usage, "output_tokens");
    read.total = whole(&mut usage, "total_tokens");
    extensions.extend(rest_of(usage, "usage"));
    read
}

fn whole(object: &mut Object, key: &str) -> Option<u64> {
    let number = object.whole(key).ok().flatten();
    number.map(|number| number.value)
}

/// Writes `usage`. `same`: only what was there; otherwise all that the API's clients count on.
pub(super) fn write(usage: &TokenUsage, same: bool, losses: &mut Losses) -> Value {
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
    let some = |figure: &Option<u64>| figure.is_some_and(|tokens| tokens > 0);
    if some(cache_write_5m) || some(cache_write_1h) {
        let reason = "tokens written to the cache are not told apart by time";
        losses.approximated("/usage", reason);
    }
    if some(tool_input) {
        losses.approximated(
            "/usage",
            "tokens of the provider's tools are not told apart",
        );
    }
    let or_zero = |figure: &Option<u64>| match (figure, same) {
        (None, false) => Some(0),
        (figure, _) => *figure,
    };
    let mut object = Map::new();
    put(&mut object, "input_tokens", or_zero(input));
    put_details(
        &mut object,
        "input_tokens_details",
        &[
            ("cached_tokens", or_zero(cached)),
            ("cache_write_tokens", *cache_write),
            ("audio_tokens", *audio_input),
        ],
    );
    put(&mut object, "output_tokens", or_zero(output));
    put_details(
        &mut object,
        "output_tokens_details",
        &[
            ("reasoning_tokens", or_zero(reasoning)),
            ("audio_tokens", *audio_output),
            ("accepted_prediction_tokens", *accepted_prediction),
            ("rejected_prediction_tokens", *rejected_prediction),
        ],
    );
    let sum = || input.unwrap_or(0).saturating_add(output.unwrap_or(0));
    let total = total.or_else(|| (!same).then(sum));
    put(&mut object, "total_tokens", total);
    Value::Object(object)
}

fn put(object: &mut Map<String, Value>, key: &str, figure: Option<u64>) {
    if let Some(figure) = figure {
        object.insert(key.to_owned(), figure.into());
    }
}

fn put_details(object: &mut Map<String, Value>, key: &str, figures: &[(&str, Option<u64>)]) {
    let mut details = Map::new();
    for (key, figure) in figures {
        put(&mut details, key, *figure);
    }
    if !details.is_empty() {
        object.insert(key.to_owned(), Value::Object(details));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn figures_come_back_and_unknown_ones_are_left_as_extensions() {
        let value = json!({
            "input_tokens": 10, "input_tokens_details": {"cached_tokens": 4, "video_tokens": 1},
            "output_tokens": 5, "output_tokens_details": {"reasoning_tokens": 2},
            "total_tokens": 15, "cost": 0.1
        });
        let mut extensions = Vec::new();
        let usage = read(Object::lenient(value.clone(), "/usage"), &mut extensions);
        assert_eq!(usage.input, Some(10));
        assert_eq!(usage.cached, Some(4));
        assert_eq!(usage.reasoning, Some(2));
        let mut losses = Losses::new();
        let mut object = Map::new();
        object.insert("usage".to_owned(), write(&usage, true, &mut losses));
        super::super::members::put_members(&mut object, extensions, true, &[], &mut losses);
        assert_eq!(object["usage"], value);
    }

    #[test]
    fn another_apis_usage_gets_every_figure_that_clients_count_on() {
        let usage = TokenUsage {
            input: Some(3),
            output: Some(4),
            cache_write_1h: Some(2),
            ..TokenUsage::default()
        };
        let mut losses = Losses::new();
        assert_eq!(
            write(&usage, false, &mut losses),
            json!({
                "input_tokens": 3, "input_tokens_details": {"cached_tokens": 0},
                "output_tokens": 4, "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": 7
            })
        );
        assert_eq!(losses.as_slice().len(), 1);
    }
}
