//! Usage, in this API's counting: `input_tokens` are those that the cache had no part in.

use serde_json::{json, Map, Value};

use crate::apis::object::{put, Object};
use crate::representation::{Losses, Pointer, TokenUsage};

/// Figures as reported; a stream reports them in two events, of which the later may leave some out.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Figures {
    input: Option<u64>,
    output: Option<u64>,
    cached: Option<u64>,
    cache_write: Option<u64>,
    cache_write_5m: Option<u64>,
    cache_write_1h: Option<u64>,
    reasoning: Option<u64>,
}

impl Figures {
    /// Takes the figures out of a usage object; what has no field stays.
    pub(super) fn take(usage: &mut Object) -> Self {
        let mut figures = Self {
            input: whole(usage, "input_tokens"),
            output: whole(usage, "output_tokens"),
            cached: whole(usage, "cache_read_input_tokens"),
            cache_write: whole(usage, "cache_creation_input_tokens"),
            ..Self::default()
        };
        if has_only(
            usage,
            "cache_creation",
            &["ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"],
        ) {
            if let Ok(Some(mut writes)) = usage.object("cache_creation") {
                figures.cache_write_5m = whole(&mut writes, "ephemeral_5m_input_tokens");
                figures.cache_write_1h = whole(&mut writes, "ephemeral_1h_input_tokens");
            }
        }
        if has_only(usage, "output_tokens_details", &["thinking_tokens"]) {
            if let Ok(Some(mut details)) = usage.object("output_tokens_details") {
                figures.reasoning = whole(&mut details, "thinking_tokens");
            }
        }
        figures
    }

    /// Takes over what a later report has.
    pub(super) fn update(&mut self, later: Self) {
        self.input = later.input.or(self.input);
        self.output = later.output.or(self.output);
        self.cached = later.cached.or(self.cached);
        self.cache_write = later.cache_write.or(self.cache_write);
        self.cache_write_5m = later.cache_write_5m.or(self.cache_write_5m);
        self.cache_write_1h = later.cache_write_1h.or(self.cache_write_1h);
        self.reasoning = later.reasoning.or(self.reasoning);
    }

    /// What they mean.
    pub(super) fn usage(self) -> TokenUsage {
        let beside = self
            .cached
            .unwrap_or(0)
            .saturating_add(self.cache_write.unwrap_or(0));
        TokenUsage {
            input: self.input.map(|input| input.saturating_add(beside)),
            output: self.output,
            cached: self.cached,
            cache_write: self.cache_write,
            cache_write_5m: self.cache_write_5m,
            cache_write_1h: self.cache_write_1h,
            reasoning: self.reasoning,
            ..TokenUsage::default()
        }
    }
}

/// Whether a member is an object with no other members than these, all of them whole numbers.
fn has_only(usage: &Object, key: &str, known: &[&str]) -> bool {
    let members = usage.peek(key).and_then(Value::as_object);
    members.is_some_and(|members| {
        members.iter().all(|(name, value)| {
            known.contains(&name.as_str()) && (value.is_u64() || value.is_null())
        })
    })
}

fn whole(object: &mut Object, key: &str) -> Option<u64> {
    object.whole(key).ok().flatten().map(|figure| figure.value)
}

/// Writes usage. The API always has the first two figures: zero where they are unknown.
pub(super) fn write_usage(usage: TokenUsage, losses: &mut Losses) -> Map<String, Value> {
    let TokenUsage {
        input,
        output,
        // The sum.
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
    } = usage;
    let parts = [
        audio_input,
        audio_output,
        tool_input,
        accepted_prediction,
        rejected_prediction,
    ];
    if parts.iter().any(|part| part.is_some_and(|part| part > 0)) {
        let at = Pointer::Borrowed("/usage");
        losses.dropped(
            at,
            "the other API does not count sound, tools' input or predictions apart",
        );
    }
    let by_time = match (cache_write_5m, cache_write_1h) {
        (None, None) => None,
        (short, long) => Some(short.unwrap_or(0).saturating_add(long.unwrap_or(0))),
    };
    let cache_write = cache_write.or(by_time);
    let beside = cached.unwrap_or(0).saturating_add(cache_write.unwrap_or(0));
    let mut object = Map::new();
    let plain = input.unwrap_or(0).saturating_sub(beside);
    object.insert("input_tokens".to_owned(), json!(plain));
    put(&mut object, "cache_creation_input_tokens", cache_write);
    put(&mut object, "cache_read_input_tokens", cached);
    if by_time.is_some() {
        let mut writes = Map::new();
        put(&mut writes, "ephemeral_5m_input_tokens", cache_write_5m);
        put(&mut writes, "ephemeral_1h_input_tokens", cache_write_1h);
        object.insert("cache_creation".to_owned(), Value::Object(writes));
    }
    object.insert("output_tokens".to_owned(), json!(output.unwrap_or(0)));
    if let Some(thinking) = reasoning {
        let details = json!({"thinking_tokens": thinking});
        object.insert("output_tokens_details".to_owned(), details);
    }
    object
}

/// The class of service in the API's words; a word that it does not have is lost.
pub(super) fn write_tier(tier: &str, same: bool, losses: &mut Losses) -> Option<String> {
    match tier {
        _ if same => Some(tier.to_owned()),
        "standard" | "default" | "on_demand" => Some("standard".to_owned()),
        "priority" | "batch" => Some(tier.to_owned()),
        _ => {
            let at = Pointer::Borrowed("/service_tier");
            losses.dropped(at, "the other API has no word for this class of service");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(usage: Value) -> (TokenUsage, usize) {
        let mut usage = Object::lenient(usage, "/usage");
        let figures = Figures::take(&mut usage);
        (figures.usage(), usage.rest().len())
    }

    #[test]
    fn input_grows_by_what_the_cache_gave_and_took_and_shrinks_again() {
        let report = json!({
            "input_tokens": 7,
            "cache_creation_input_tokens": 5,
            "cache_read_input_tokens": 2,
            "cache_creation": {"ephemeral_5m_input_tokens": 1, "ephemeral_1h_input_tokens": 4},
            "output_tokens": 30,
            "output_tokens_details": {"thinking_tokens": 9},
        });
        let (usage, rest) = read(report.clone());
        assert_eq!(rest, 0);
        assert_eq!(
            (usage.input, usage.output, usage.reasoning),
            (Some(14), Some(30), Some(9))
        );
        assert_eq!(
            (usage.cache_write_5m, usage.cache_write_1h),
            (Some(1), Some(4))
        );
        assert_eq!(
            Value::Object(write_usage(usage, &mut Losses::new())),
            report
        );
    }

    #[test]
    fn figures_in_forms_that_are_not_known_stay_whole() {
        let (usage, rest) = read(json!({
            "input_tokens": -1,
            "cache_creation": {"ephemeral_1d_input_tokens": 4},
            "output_tokens_details": {"thinking_tokens": 1, "more": 2},
            "speed": "standard",
        }));
        assert_eq!(usage, TokenUsage::default());
        assert_eq!(rest, 4);
    }

    #[test]
    fn figures_that_nobody_counts_here_are_reported() {
        let mut losses = Losses::new();
        let usage = TokenUsage {
            audio_input: Some(3),
            total: Some(9),
            ..TokenUsage::default()
        };
        let written = Value::Object(write_usage(usage, &mut losses));
        assert_eq!(written, json!({"input_tokens": 0, "output_tokens": 0}));
        assert_eq!(losses.as_slice().len(), 1);
        assert_eq!(
            write_tier("default", false, &mut losses).as_deref(),
            Some("standard")
        );
        assert_eq!(write_tier("flex", false, &mut losses), None);
        assert_eq!(losses.as_slice().len(), 2);
    }
}
