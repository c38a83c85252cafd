//! Usage.

use serde_json::{Map, Value};

use crate::apis::object::{put, Object};
use crate::representation::{Extension, Losses, TokenUsage};

/// How members of `usage` are named among the extensions.
pub(super) const INSIDE: &str = "usage/";

/// Says that there were no `tokens`.
const UNTOLD: &str = "no tokens";

/// Reads a usage object; what has no field is left among the extensions.
///
/// `tokens` count all that the model read and wrote; `billed_units`, which leave the API's own
/// framing out, count where there is nothing else.
pub(super) fn read(value: Value) -> (TokenUsage, Vec<Extension>) {
    let mut object = Object::lenient(value, "/usage");
    let whole = |object: &mut Object, key: &str| {
        let count = object.whole(key).ok().flatten();
        count.map(|count| count.value)
    };
    let mut usage = TokenUsage {
        cached: whole(&mut object, "cached_tokens"),
        ..TokenUsage::default()
    };
    let mut extensions = Vec::new();
    if let Ok(Some(mut tokens)) = object.object("tokens") {
        usage.input = whole(&mut tokens, "input_tokens");
        usage.output = whole(&mut tokens, "output_tokens");
        usage.reasoning = whole(&mut tokens, "reasoning_tokens");
        extensions.extend(named("usage/tokens/", tokens));
    } else {
        extensions.push(Extension {
            name: format!("{INSIDE}{UNTOLD}"),
            value: Value::Null,
            at: "".into(),
        });
        let billed = object.peek("billed_units");
        let count = |key: &str| billed?.get(key)?.as_u64();
        usage.input = count("input_tokens");
        usage.output = count("output_tokens");
    }
    extensions.extend(named(INSIDE, object));
    (usage, extensions)
}

fn named(prefix: &str, object: Object) -> Vec<Extension> {
    let rest = object.rest().into_iter();
    rest.map(|extension| Extension {
        name: format!("{prefix}{}", extension.name),
        ..extension
    })
    .collect()
}

/// Writes a usage object. What was billed is the provider's to say.
pub(super) fn write(
    usage: TokenUsage,
    inside: Vec<Extension>,
    same: bool,
    losses: &mut Losses,
) -> Value {
    let TokenUsage {
        input,
        output,
        // Nothing but the sum of the others.
        total: _,
        cached,
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
        (audio_input, "this API does not count sound"),
        (audio_output, "this API does not count sound"),
        (tool_input, "this API does not count what tools bring"),
        (accepted_prediction, "this API does not predict"),
        (rejected_prediction, "this API does not predict"),
    ] {
        if count.is_some_and(|count| count > 0) {
            losses.dropped("/usage", reason);
        }
    }
    let (mut object, mut tokens) = (Map::new(), Map::new());
    put(&mut tokens, "input_tokens", input);
    put(&mut tokens, "output_tokens", output);
    put(&mut tokens, "reasoning_tokens", reasoning);
    let mut has_tokens = true;
    for extension in inside {
        if !same {
            if extension.matters() {
                losses.dropped(extension.at, "the other API does not know this member");
            }
            continue;
        }
        let name = extension.name.strip_prefix(INSIDE);
        let name = name.unwrap_or(&extension.name);
        match name.strip_prefix("tokens/") {
            Some(name) => {
                tokens.insert(name.to_owned(), extension.value);
            }
            None if name == UNTOLD => has_tokens = false,
            None => {
                object.insert(name.to_owned(), extension.value);
            }
        }
    }
    if has_tokens {
        object.insert("tokens".to_owned(), tokens.into());
    }
    put(&mut object, "cached_tokens", cached);
    object.into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tokens_count_and_what_was_billed_is_kept() {
        let value = json!({"billed_units": {"input_tokens": 1, "output_tokens": 2},
            "tokens": {"input_tokens": 10, "output_tokens": 20, "reasoning_tokens": 5, "image_tokens": 3},
            "cached_tokens": 8});
        let (usage, inside) = read(value.clone());
        assert_eq!((usage.input, usage.output), (Some(10), Some(20)));
        assert_eq!((usage.cached, usage.reasoning), (Some(8), Some(5)));
        assert_eq!(write(usage, inside, true, &mut Losses::new()), value);
    }

    #[test]
    fn without_tokens_what_was_billed_counts() {
        let value = json!({"billed_units": {"input_tokens": 1, "output_tokens": 2}});
        let (usage, inside) = read(value.clone());
        assert_eq!((usage.input, usage.output), (Some(1), Some(2)));
        assert_eq!(write(usage, inside, true, &mut Losses::new()), value);
    }

    #[test]
    fn what_this_api_does_not_count_is_told() {
        let usage = TokenUsage {
            input: Some(3),
            cache_write: Some(2),
            audio_input: Some(0),
            ..TokenUsage::default()
        };
        let mut losses = Losses::new();
        let written = write(usage, Vec::new(), false, &mut losses);
        assert_eq!(written, json!({"tokens": {"input_tokens": 3}}));
        assert_eq!(losses.as_slice().len(), 1);
    }
}
