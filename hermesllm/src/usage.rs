//! Token usage, and how it is read from what providers report.
//!
//! Owns the one meaning of the figures ([`Usage`]) and the ways in which APIs and providers write them
//! ([`ReportedUsage`]). A member that is missing, or whose value is no whole number, is as good as absent: usage never
//! makes an answer fail.
//!
//! Sources: the API references of OpenAI (chat completions, completions, responses, embeddings) and Anthropic (messages),
//! and recorded answers for what other providers add: DeepSeek's `prompt_cache_hit_tokens`, flat `cached_tokens`,
//! `num_cached_tokens` and `reasoning_tokens`, Anthropic's cache members beside OpenAI's, `prompt_token_details`
//! without the s, and the totals described at [`ReportedUsage::usage`].

use crate::json_tap::{JsonTap, Path, Signal, Want};

/// The tokens of one exchange. `cached` and `cache_write` are parts of `input`, `reasoning` is a part of `output`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens that the model read, those from a cache included.
    pub input: u64,
    /// Tokens that the model wrote, reasoning included.
    pub output: u64,
    /// Input tokens that came from the provider's cache.
    pub cached: u64,
    /// Input tokens that the provider wrote to its cache.
    pub cache_write: u64,
    /// Output tokens spent on reasoning.
    pub reasoning: u64,
}

/// Whether an API counts cached tokens in its input figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheCount {
    /// The input figure includes them (OpenAI).
    Included,
    /// They are counted beside it (Anthropic).
    Apart,
}

/// The figures of a usage object, as the provider wrote them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReportedUsage {
    input: Option<u64>,
    output: Option<u64>,
    total: Option<u64>,
    cached: Option<u64>,
    cache_write: Option<u64>,
    reasoning: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
enum Figure {
    Input,
    Output,
    Total,
    Cached,
    CacheWrite,
    Reasoning,
}

const fn figure(name: Figure, segments: &'static [&'static str]) -> Path<Figure> {
    Path {
        name,
        segments,
        want: Want::Value,
    }
}

const FIGURES: &[Path<Figure>] = &[
    figure(Figure::Input, &["prompt_tokens"]),
    figure(Figure::Input, &["input_tokens"]),
    figure(Figure::Output, &["completion_tokens"]),
    figure(Figure::Output, &["output_tokens"]),
    figure(Figure::Total, &["total_tokens"]),
    figure(Figure::Cached, &["prompt_tokens_details", "cached_tokens"]),
    figure(Figure::Cached, &["prompt_token_details", "cached_tokens"]),
    figure(Figure::Cached, &["input_tokens_details", "cached_tokens"]),
    figure(Figure::Cached, &["prompt_cache_hit_tokens"]),
    figure(Figure::Cached, &["cached_tokens"]),
    figure(Figure::Cached, &["num_cached_tokens"]),
    figure(Figure::Cached, &["cache_read_input_tokens"]),
    figure(
        Figure::CacheWrite,
        &["prompt_tokens_details", "cache_write_tokens"],
    ),
    figure(
        Figure::CacheWrite,
        &["input_tokens_details", "cache_write_tokens"],
    ),
    figure(Figure::CacheWrite, &["cache_creation_input_tokens"]),
    figure(
        Figure::Reasoning,
        &["completion_tokens_details", "reasoning_tokens"],
    ),
    figure(
        Figure::Reasoning,
        &["completion_token_details", "reasoning_tokens"],
    ),
    figure(
        Figure::Reasoning,
        &["output_tokens_details", "reasoning_tokens"],
    ),
    figure(
        Figure::Reasoning,
        &["output_tokens_details", "thinking_tokens"],
    ),
    figure(Figure::Reasoning, &["reasoning_tokens"]),
];

impl ReportedUsage {
    /// Reads the JSON text of a usage object. `None` if it holds no figure that is known. Of several members that say the
    /// same thing, the largest counts.
    pub fn read(json: &[u8]) -> Option<Self> {
        let mut reported = Self::default();
        let mut tap = JsonTap::new(FIGURES);
        tap.push(json, |figure, signal| {
            let Signal::Value(text) = signal else { return };
            let Some(number) = whole_number(text) else {
                return;
            };
            let slot = match figure {
                Figure::Input => &mut reported.input,
                Figure::Output => &mut reported.output,
                Figure::Total => &mut reported.total,
                Figure::Cached => &mut reported.cached,
                Figure::CacheWrite => &mut reported.cache_write,
                Figure::Reasoning => &mut reported.reasoning,
            };
            *slot = (*slot).max(Some(number));
        });
        (reported != Self::default()).then_some(reported)
    }

    /// The report of an endpoint that counts input tokens only.
    pub fn of_input(tokens: u64) -> Self {
        Self {
            input: Some(tokens),
            ..Self::default()
        }
    }

    /// Takes over what a later report of the same answer says, where figures are cumulative and members may be left out:
    /// the larger of each.
    #[must_use]
    pub fn with_later(self, later: Self) -> Self {
        Self {
            input: self.input.max(later.input),
            output: self.output.max(later.output),
            total: self.total.max(later.total),
            cached: self.cached.max(later.cached),
            cache_write: self.cache_write.max(later.cache_write),
            reasoning: self.reasoning.max(later.reasoning),
        }
    }

    /// The figures in their one meaning.
    ///
    /// Three habits of providers are evened out. Without an input figure, input is the total less the output (Voyage's
    /// embeddings). More tokens read from and written to the cache than input tokens cannot be a part of them, so they
    /// were counted apart (Grok on Azure). A total beyond input + output holds generated tokens that the output figure
    /// leaves out: xAI's reasoning, which is also reported by itself, and Gemini's thinking, which is not.
    pub fn usage(&self, cache: CacheCount) -> Usage {
        let cached = self.cached.unwrap_or(0);
        let cache_write = self.cache_write.unwrap_or(0);
        let beside = cached.saturating_add(cache_write);
        let mut reasoning = self.reasoning.unwrap_or(0);
        let mut output = self.output.unwrap_or(0);
        let total = self.total.unwrap_or(0);
        let mut input = self.input.unwrap_or(total.saturating_sub(output));
        let hidden = total.saturating_sub(input.saturating_add(output));
        if cache == CacheCount::Apart || beside > input {
            input = input.saturating_add(beside);
        }
        if reasoning > output || (hidden > 0 && hidden == reasoning) {
            output = output.saturating_add(reasoning);
        } else if hidden > 0 && reasoning == 0 && hidden != beside {
            output = output.saturating_add(hidden);
            reasoning = hidden;
        }
        Usage {
            input,
            output,
            cached,
            cache_write,
            reasoning,
        }
    }
}

/// A whole number of at least zero in JSON text; `12.0` and `1e3` are whole.
pub(crate) fn whole_number(text: &[u8]) -> Option<u64> {
    /// Beyond this, not every whole number is a float.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let text = std::str::from_utf8(text).ok()?;
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    let number: f64 = text.parse().ok()?;
    let whole = (0.0..=EXACT).contains(&number) && number.fract() == 0.0;
    whole.then_some(number as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(json: &str) -> (u64, u64, u64, u64, u64) {
        let usage = ReportedUsage::read(json.as_bytes())
            .expect("figures")
            .usage(CacheCount::Included);
        (
            usage.input,
            usage.output,
            usage.cached,
            usage.cache_write,
            usage.reasoning,
        )
    }

    #[test]
    fn each_way_of_writing_usage_means_the_same() {
        for (json, expected) in [
            (
                r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,"prompt_tokens_details":{"cached_tokens":4,"cache_write_tokens":2},"completion_tokens_details":{"reasoning_tokens":3}}"#,
                (10, 5, 4, 2, 3),
            ),
            (
                r#"{"input_tokens":10,"output_tokens":5,"input_tokens_details":{"cached_tokens":4},"output_tokens_details":{"reasoning_tokens":3}}"#,
                (10, 5, 4, 0, 3),
            ),
            (
                r#"{"prompt_tokens":10,"completion_tokens":5,"prompt_cache_hit_tokens":4,"prompt_cache_miss_tokens":6}"#,
                (10, 5, 4, 0, 0),
            ),
            (
                r#"{"prompt_tokens":10,"completion_tokens":5,"prompt_token_details":null,"num_cached_tokens":4}"#,
                (10, 5, 4, 0, 0),
            ),
            (r#"{"total_tokens":7}"#, (7, 0, 0, 0, 0)),
        ] {
            assert_eq!(usage(json), expected, "{json}");
        }
    }

    #[test]
    fn generated_tokens_that_only_the_total_holds_count_as_reasoning_output() {
        let xai = r#"{"prompt_tokens":291,"completion_tokens":26,"total_tokens":506,"completion_tokens_details":{"reasoning_tokens":189}}"#;
        assert_eq!(usage(xai), (291, 215, 0, 0, 189));
        let gemini = r#"{"prompt_tokens":35,"completion_tokens":12,"total_tokens":109}"#;
        assert_eq!(usage(gemini), (35, 74, 0, 0, 62));
        let cache_in_total =
            r#"{"prompt_tokens":35,"completion_tokens":12,"total_tokens":57,"cached_tokens":10}"#;
        assert_eq!(usage(cache_in_total), (35, 12, 10, 0, 0));
    }

    #[test]
    fn cached_tokens_beyond_the_input_were_counted_apart() {
        let json = r#"{"prompt_tokens":7,"completion_tokens":8,"total_tokens":15,"prompt_tokens_details":{"cached_tokens":161}}"#;
        assert_eq!(usage(json), (168, 8, 161, 0, 0));
        let written = r#"{"prompt_tokens":8,"prompt_tokens_details":{"cached_tokens":3,"cache_write_tokens":246}}"#;
        assert_eq!(usage(written), (257, 0, 3, 246, 0));
    }

    #[test]
    fn anthropic_input_grows_by_both_cache_figures_and_later_reports_are_cumulative() {
        let start = ReportedUsage::read(
            br#"{"input_tokens":7,"cache_read_input_tokens":2,"cache_creation_input_tokens":5,"output_tokens":1}"#,
        )
        .expect("figures");
        let later = ReportedUsage::read(br#"{"output_tokens":30,"input_tokens":null}"#);
        let usage = start
            .with_later(later.expect("figures"))
            .usage(CacheCount::Apart);
        assert_eq!(
            usage,
            Usage {
                input: 14,
                output: 30,
                cached: 2,
                cache_write: 5,
                reasoning: 0
            }
        );
    }

    #[test]
    fn odd_figures_are_as_good_as_absent() {
        for json in [
            "{}",
            "null",
            "[]",
            "7",
            "",
            r#"{"prompt_tokens":"12","completion_tokens":-1,"total_tokens":1.5}"#,
            r#"{"prompt_tokens":{"a":1},"completion_tokens":[2],"total_tokens":1e300}"#,
        ] {
            assert_eq!(ReportedUsage::read(json.as_bytes()), None, "{json}");
        }
        assert_eq!(
            usage(r#"{"prompt_tokens":12.0,"completion_tokens":1e1}"#),
            (12, 10, 0, 0, 0)
        );
        let huge = format!(
            r#"{{"prompt_tokens":{0},"completion_tokens":{0},"cached_tokens":{0},"cache_creation_input_tokens":{0}}}"#,
            u64::MAX
        );
        let reported = ReportedUsage::read(huge.as_bytes()).expect("figures");
        assert_eq!(reported.usage(CacheCount::Apart).input, u64::MAX);
    }
}
