//! How long a provider asks to wait, by the headers of its answer.
//!
//! Said outright (`retry-after-ms`, `retry-after`) it counts alone. Else a limit that is used up tells
//! when it is refilled, in one of the ways that providers have: a duration as Go writes it (OpenAI,
//! Groq), a time (Anthropic), seconds, or a Unix time in seconds or milliseconds. Of several limits
//! that are used up the longest wait counts. What cannot be read is as good as absent, a time in the
//! past is no wait, and none is longer than a [day](LONGEST).
//!
//! Sources: RFC 9110 (`retry-after`, dates), RFC 3339, the IETF's `ratelimit-*` drafts, the pages on
//! rate limits of OpenAI, Anthropic and Groq, and recorded answers.

mod date;

use std::time::Duration;

/// No wait is longer.
pub const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Numbers from here on are Unix times, and from [`UNIX_MILLIS`] on such in milliseconds: nobody
/// waits thirty years, and in seconds that would be the year 5138.
const UNIX: f64 = 1e9;
const UNIX_MILLIS: f64 = 1e11;

/// A limit: what is left of it, and when it is refilled.
struct Limit {
    remaining: &'static str,
    reset: &'static str,
}

const fn limit(remaining: &'static str, reset: &'static str) -> Limit {
    Limit { remaining, reset }
}

const LIMITS: [Limit; 9] = [
    // OpenAI, Azure, Groq.
    limit(
        "x-ratelimit-remaining-requests",
        "x-ratelimit-reset-requests",
    ),
    limit("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
    // Anthropic.
    limit(
        "anthropic-ratelimit-requests-remaining",
        "anthropic-ratelimit-requests-reset",
    ),
    limit(
        "anthropic-ratelimit-tokens-remaining",
        "anthropic-ratelimit-tokens-reset",
    ),
    limit(
        "anthropic-ratelimit-input-tokens-remaining",
        "anthropic-ratelimit-input-tokens-reset",
    ),
    limit(
        "anthropic-ratelimit-output-tokens-remaining",
        "anthropic-ratelimit-output-tokens-reset",
    ),
    // The IETF's drafts.
    limit("ratelimit-remaining", "ratelimit-reset"),
    // OpenRouter, Together.
    limit("x-ratelimit-remaining", "x-ratelimit-reset"),
    limit(
        "x-ratelimit-remaining-tokens_usage_based",
        "x-ratelimit-reset-tokens_usage_based",
    ),
];

/// How long to wait before asking again; `None` where nothing is said of it. `header` gives a header
/// of the answer by its name in lower case; `now` is the time since the Unix epoch.
pub fn wait<'h>(header: &dyn Fn(&str) -> Option<&'h str>, now: Duration) -> Option<Duration> {
    let outright = header("retry-after-ms")
        .and_then(|text| seconds(number(text)? / 1000.0))
        .or_else(|| retry_after(header("retry-after")?, now));
    outright.or_else(|| {
        let used_up = |limit: &&Limit| header(limit.remaining).and_then(number) == Some(0.0);
        let waits = LIMITS.iter().filter(used_up);
        waits
            .filter_map(|limit| reset(header(limit.reset)?, now))
            .max()
    })
}

/// RFC 9110, 10.2.3; fractions of seconds are not in it and are sent all the same.
fn retry_after(text: &str, now: Duration) -> Option<Duration> {
    match number(text) {
        Some(told) => seconds(told),
        None => date::http(text.trim()).map(|then| until(then, now)),
    }
}

fn reset(text: &str, now: Duration) -> Option<Duration> {
    let text = text.trim();
    match number(text) {
        Some(told) if told >= UNIX_MILLIS => Some(until(seconds_of_unix(told / 1000.0)?, now)),
        Some(told) if told >= UNIX => Some(until(seconds_of_unix(told)?, now)),
        Some(told) => seconds(told),
        None => go_duration(text)
            .or_else(|| date::rfc3339(text).map(|then| until(then, now)))
            .or_else(|| date::http(text).map(|then| until(then, now))),
    }
}

/// The time from now until then.
fn until(then: Duration, now: Duration) -> Duration {
    then.saturating_sub(now).min(LONGEST)
}

/// A plain decimal number, with a sign at most: no `inf`, no exponent.
fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let is_plain = digits.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if !is_plain || !digits.bytes().any(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// A wait of so many seconds; a negative one is none.
fn seconds(told: f64) -> Option<Duration> {
    let told = told.clamp(0.0, LONGEST.as_secs_f64());
    Duration::try_from_secs_f64(told).ok()
}

fn seconds_of_unix(told: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(told).ok()
}

/// A duration as Go writes it: `1h2m3.5s`, `20ms`, `0s`.
fn go_duration(text: &str) -> Option<Duration> {
    const UNITS: [(&str, f64); 7] = [
        ("ns", 1e-9),
        ("us", 1e-6),
        ("\u{b5}s", 1e-6),
        ("ms", 1e-3),
        ("s", 1.0),
        ("m", 60.0),
        ("h", 3600.0),
    ];
    if text.is_empty() {
        return None;
    }
    let (is_negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let mut sum = 0.0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (digits, unit) = rest.split_at_checked(end)?;
        let end = unit.find(|c: char| c.is_ascii_digit() || c == '.');
        let (unit, after) = unit.split_at_checked(end.unwrap_or(unit.len()))?;
        let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
        sum += number(digits)? * factor;
        rest = after;
    }
    seconds(if is_negative { 0.0 } else { sum })
}

#[cfg(test)]
mod tests;
