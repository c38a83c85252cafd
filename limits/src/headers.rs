//! What a client is told: `retry-after`, the fields of draft-ietf-httpapi-ratelimit-headers
//! (structured fields, RFC 9651) and OpenAI's `x-ratelimit-*`.
//!
//! The names of rules are in them, and nothing of subjects.

use std::fmt::Write as _;
use std::time::Duration;

use crate::rule::Unit;
use crate::standing::{Refused, Standing};

/// The largest integer of a structured field.
const LARGEST: u64 = 999_999_999_999_999;

/// OpenAI's three: limit, remaining, reset.
type Names = [&'static str; 3];

const REQUESTS: Names = [
    "x-ratelimit-limit-requests",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-reset-requests",
];
const TOKENS: Names = [
    "x-ratelimit-limit-tokens",
    "x-ratelimit-remaining-tokens",
    "x-ratelimit-reset-tokens",
];

/// The headers of an answer, or of a refusal.
///
/// `ratelimit` tells for the refusing rule when the request could pass, as `retry-after` does, and
/// for others when all of it can pass again. Of several rules for requests, or for tokens of any
/// kind, the one with the least share left speaks in `x-ratelimit-*`. A request that can never pass
/// has no `retry-after`.
pub fn of(standing: &[Standing], refused: Option<&Refused>) -> Vec<(&'static str, String)> {
    let mut headers = Vec::with_capacity(9);
    let retry = refused.and_then(|refused| refused.retry_after);
    if let Some(retry) = retry {
        headers.push(("retry-after", seconds(retry).max(1).to_string()));
    }
    if !standing.is_empty() {
        headers.push(("ratelimit-policy", list(standing, policy)));
        headers.push((
            "ratelimit",
            list(standing, |text, standing| {
                let refuses = refused.filter(|refused| refused.rule == standing.rule);
                let reset = match refuses.and(retry) {
                    Some(retry) => seconds(retry).max(1),
                    None => seconds(standing.reset_after),
                };
                let remaining = standing.remaining.min(LARGEST);
                let _ = write!(text, "\"{}\";r={remaining};t={reset}", standing.rule);
            }),
        ));
    }
    for (names, requests) in [(REQUESTS, true), (TOKENS, false)] {
        let least = standing
            .iter()
            .filter(|standing| (standing.unit == Unit::Requests) == requests)
            .min_by(|one, other| {
                let share = |of: &Standing, by: &Standing| {
                    u128::from(of.remaining).saturating_mul(u128::from(by.capacity))
                };
                share(one, other).cmp(&share(other, one))
            });
        if let Some(least) = least {
            let [limit, remaining, reset] = names;
            headers.push((limit, least.limit.to_string()));
            headers.push((remaining, least.remaining.to_string()));
            headers.push((reset, go_duration(least.reset_after)));
        }
    }
    headers
}

/// The quota unit is left out where it is the draft's default, requests.
fn policy(text: &mut String, standing: &Standing) {
    let limit = standing.limit.min(LARGEST);
    let _ = write!(text, "\"{}\";q={limit}", standing.rule);
    if standing.unit != Unit::Requests {
        let _ = write!(text, ";qu=\"{}\"", standing.unit.as_str());
    }
    let _ = write!(text, ";w={}", seconds(standing.window));
}

fn list(standing: &[Standing], item: impl Fn(&mut String, &Standing)) -> String {
    let mut text = String::with_capacity(standing.len().saturating_mul(48));
    for standing in standing {
        if !text.is_empty() {
            text.push_str(", ");
        }
        item(&mut text, standing);
    }
    text
}

/// Whole seconds, rounded up.
fn seconds(time: Duration) -> u64 {
    let more = u64::from(time.subsec_nanos() > 0);
    time.as_secs().saturating_add(more).min(LARGEST)
}

/// As Go writes durations, in whole milliseconds, rounded up: `0s`, `17ms`, `1.5s`, `6m0s`,
/// `1h0m0s`.
fn go_duration(time: Duration) -> String {
    let millis = time.as_nanos().div_ceil(1_000_000);
    if millis == 0 {
        return "0s".to_owned();
    }
    if millis < 1000 {
        return format!("{millis}ms");
    }
    let (seconds, fraction) = (millis / 1000, millis % 1000);
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    let mut text = String::new();
    if hours > 0 {
        let _ = write!(text, "{hours}h");
    }
    if hours > 0 || minutes > 0 {
        let _ = write!(text, "{minutes}m");
    }
    let _ = write!(text, "{}", seconds % 60);
    if fraction > 0 {
        let digits = format!("{fraction:03}");
        let _ = write!(text, ".{}", digits.trim_end_matches('0'));
    }
    text.push('s');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::RuleName;
    use crate::standing::{Reason, Stats};

    fn standing(rule: &str, unit: Unit, limit: u64, remaining: u64, reset: u64) -> Standing {
        Standing {
            rule: RuleName::new(rule).unwrap(),
            unit,
            limit,
            capacity: limit,
            window: Duration::from_secs(60),
            remaining,
            reset_after: Duration::from_millis(reset),
        }
    }

    fn refused(rule: &str, retry_after: Option<Duration>, standing: Vec<Standing>) -> Refused {
        Refused {
            rule: RuleName::new(rule).unwrap(),
            unit: Unit::Requests,
            reason: Reason::Spent,
            limit: 100,
            remaining: 0,
            retry_after,
            standing,
            stats: Stats::default(),
        }
    }

    #[test]
    fn an_answer_tells_where_the_client_stands() {
        let standings = [
            standing("all", Unit::Requests, 100, 50, 30_000),
            standing("per-user", Unit::Tokens, 1000, 400, 36_001),
            standing("per-user-out", Unit::OutputTokens, 1000, 399, 360_000),
        ];
        assert_eq!(
            of(&standings, None),
            [
                (
                    "ratelimit-policy",
                    "\"all\";q=100;w=60, \"per-user\";q=1000;qu=\"tokens\";w=60, \
                     \"per-user-out\";q=1000;qu=\"output_tokens\";w=60"
                        .to_owned()
                ),
                (
                    "ratelimit",
                    "\"all\";r=50;t=30, \"per-user\";r=400;t=37, \"per-user-out\";r=399;t=360"
                        .to_owned()
                ),
                ("x-ratelimit-limit-requests", "100".to_owned()),
                ("x-ratelimit-remaining-requests", "50".to_owned()),
                ("x-ratelimit-reset-requests", "30s".to_owned()),
                ("x-ratelimit-limit-tokens", "1000".to_owned()),
                ("x-ratelimit-remaining-tokens", "399".to_owned()),
                ("x-ratelimit-reset-tokens", "6m0s".to_owned()),
            ]
        );
    }

    #[test]
    fn a_refusal_says_when_to_come_again_in_both_headers() {
        let standings = vec![standing("all", Unit::Requests, 100, 0, 60_000)];
        let refused = refused("all", Some(Duration::from_millis(1)), standings);
        let headers = of(&refused.standing, Some(&refused));
        assert_eq!(headers[0], ("retry-after", "1".to_owned()));
        assert_eq!(headers[2], ("ratelimit", "\"all\";r=0;t=1".to_owned()));
    }

    #[test]
    fn a_request_that_never_fits_is_not_told_to_come_again() {
        let refused = refused("all", None, Vec::new());
        assert_eq!(of(&[], Some(&refused)), []);
    }

    #[test]
    fn the_least_share_speaks_and_not_the_least_number() {
        let standings = [
            standing("small", Unit::Requests, 10, 9, 0),
            standing("large", Unit::Requests, 10_000, 20, 0),
        ];
        let headers = of(&standings, None);
        assert!(headers.contains(&("x-ratelimit-limit-requests", "10000".to_owned())));
        assert!(headers.contains(&("x-ratelimit-remaining-requests", "20".to_owned())));
    }

    #[test]
    fn numbers_stay_within_structured_fields() {
        let headers = of(
            &[standing("all", Unit::Requests, u64::MAX, u64::MAX, 0)],
            None,
        );
        assert_eq!(headers[0].1, "\"all\";q=999999999999999;w=60");
        assert_eq!(headers[1].1, "\"all\";r=999999999999999;t=0");
    }

    #[test]
    fn durations_are_as_go_writes_them() {
        for (micros, text) in [
            (0, "0s"),
            (1, "1ms"),
            (17_000, "17ms"),
            (1_000_000, "1s"),
            (1_500_000, "1.5s"),
            (12_040_000, "12.04s"),
            (360_000_000, "6m0s"),
            (3_600_000_000, "1h0m0s"),
            (90_061_001_000, "25h1m1.001s"),
        ] {
            assert_eq!(go_duration(Duration::from_micros(micros)), text);
        }
    }
}
