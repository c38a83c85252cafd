use super::*;
use proptest::prelude::*;

/// 2026-02-11T23:43:00Z.
const NOW: Duration = Duration::from_secs(1_770_853_380);

fn of(headers: &[(&str, &str)]) -> Option<Duration> {
    let header = |name: &str| {
        let found = headers.iter().find(|(own, _)| *own == name);
        found.map(|(_, value)| *value)
    };
    wait(&header, NOW)
}

fn millis(count: u64) -> Option<Duration> {
    Some(Duration::from_millis(count))
}

#[test]
fn what_is_said_outright_is_read_in_every_form_and_counts_alone() {
    for (text, expected) in [
        ("15", millis(15_000)),
        (" 2 ", millis(2_000)),
        ("0.25", millis(250)),
        ("-5", millis(0)),
        ("0", millis(0)),
        ("99999999", Some(LONGEST)),
        ("99999999999999999999999999", Some(LONGEST)),
        ("Wed, 11 Feb 2026 23:43:54 GMT", millis(54_000)),
        ("Wednesday, 11-Feb-26 23:43:54 GMT", millis(54_000)),
        ("Wed Feb 11 23:43:54 2026", millis(54_000)),
        ("Sun Feb  1 23:43:54 2026", millis(0)),
        ("Tue, 15 Nov 1994 08:12:31 GMT", millis(0)),
        ("Wed, 11 Feb 2037 23:43:54 GMT", Some(LONGEST)),
        ("Wed, 31 Feb 2026 23:43:54 GMT", None),
        ("soon", None),
        ("", None),
        ("inf", None),
        ("NaN", None),
        ("1e3", None),
    ] {
        assert_eq!(of(&[("retry-after", text)]), expected, "{text}");
    }
    let both = [("retry-after", "7"), ("retry-after-ms", "1500")];
    assert_eq!(of(&both), millis(1500));
    let odd = [("retry-after", "7"), ("retry-after-ms", "x")];
    assert_eq!(of(&odd), millis(7000));
    let limit = [
        ("retry-after", "7"),
        ("x-ratelimit-remaining-tokens", "0"),
        ("x-ratelimit-reset-tokens", "6m0s"),
    ];
    assert_eq!(of(&limit), millis(7000));
}

#[test]
fn a_limit_that_is_used_up_tells_when_it_is_refilled() {
    for (remaining, reset, text, expected) in [
        (
            "x-ratelimit-remaining-requests",
            "x-ratelimit-reset-requests",
            "1s",
            millis(1000),
        ),
        (
            "x-ratelimit-remaining-requests",
            "x-ratelimit-reset-requests",
            "1m0.198s",
            millis(60_198),
        ),
        (
            "x-ratelimit-remaining-tokens",
            "x-ratelimit-reset-tokens",
            "6m0s",
            millis(360_000),
        ),
        (
            "x-ratelimit-remaining-tokens",
            "x-ratelimit-reset-tokens",
            "1h2m3.5s",
            millis(3_723_500),
        ),
        (
            "x-ratelimit-remaining-tokens",
            "x-ratelimit-reset-tokens",
            "20ms",
            millis(20),
        ),
        (
            "x-ratelimit-remaining-tokens",
            "x-ratelimit-reset-tokens",
            "7.66s",
            millis(7660),
        ),
        (
            "x-ratelimit-remaining-tokens",
            "x-ratelimit-reset-tokens",
            "60",
            millis(60_000),
        ),
        (
            "x-ratelimit-remaining-tokens",
            "x-ratelimit-reset-tokens",
            "999h",
            Some(LONGEST),
        ),
        (
            "x-ratelimit-remaining-tokens",
            "x-ratelimit-reset-tokens",
            "5x",
            None,
        ),
        (
            "x-ratelimit-remaining-tokens",
            "x-ratelimit-reset-tokens",
            "s",
            None,
        ),
        (
            "anthropic-ratelimit-requests-remaining",
            "anthropic-ratelimit-requests-reset",
            "2026-02-11T23:43:54Z",
            millis(54_000),
        ),
        (
            "anthropic-ratelimit-input-tokens-remaining",
            "anthropic-ratelimit-input-tokens-reset",
            "2026-02-12T00:43:30.5+01:00",
            millis(30_500),
        ),
        (
            "anthropic-ratelimit-output-tokens-remaining",
            "anthropic-ratelimit-output-tokens-reset",
            "2026-02-11T23:42:00Z",
            millis(0),
        ),
        (
            "ratelimit-remaining",
            "ratelimit-reset",
            "17",
            millis(17_000),
        ),
        (
            "x-ratelimit-remaining",
            "x-ratelimit-reset",
            "2",
            millis(2000),
        ),
        (
            "x-ratelimit-remaining",
            "x-ratelimit-reset",
            "1770853390",
            millis(10_000),
        ),
        (
            "x-ratelimit-remaining",
            "x-ratelimit-reset",
            "1770853390500",
            millis(10_500),
        ),
    ] {
        let used_up = [(remaining, "0"), (reset, text)];
        assert_eq!(of(&used_up), expected, "{reset}: {text}");
        assert_eq!(of(&[(remaining, "3"), (reset, text)]), None);
        assert_eq!(of(&[(reset, text)]), None);
    }
}

#[test]
fn of_several_limits_that_are_used_up_the_longest_counts() {
    let headers = [
        ("x-ratelimit-remaining-requests", "0"),
        ("x-ratelimit-reset-requests", "2s"),
        ("x-ratelimit-remaining-tokens", "0"),
        ("x-ratelimit-reset-tokens", "1m0s"),
        ("ratelimit-remaining", "5"),
        ("ratelimit-reset", "900"),
    ];
    assert_eq!(of(&headers), millis(60_000));
}

#[test]
fn dates_count_from_the_epoch() {
    for (text, expected) in [
        ("1970-01-01T00:00:00Z", 0),
        ("2000-02-29T12:00:00Z", 951_825_600),
        ("2026-02-11T23:43:00Z", NOW.as_secs()),
        ("1969-12-31T23:59:59Z", 0),
        ("9999-12-31T23:59:60Z", 253_402_300_800),
    ] {
        let read = date::rfc3339(text).map(|then| then.as_secs());
        assert_eq!(read, Some(expected), "{text}");
    }
    for odd in [
        "2025-02-29T00:00:00Z",
        "2025-13-01T00:00:00Z",
        "2025-01-01T24:00:00Z",
        "2025-01-01",
        "T",
        "2025-01-01T00:00:00",
    ] {
        assert_eq!(date::rfc3339(odd), None, "{odd}");
    }
}

proptest! {
    #[test]
    fn nothing_in_a_header_makes_a_wait_absurd(text in ".{0,40}", remaining in "[0-9.\\-]{0,3}") {
        for name in ["retry-after", "retry-after-ms", "x-ratelimit-reset-tokens", "ratelimit-reset"] {
            let headers = [
                (name, text.as_str()),
                ("x-ratelimit-remaining-tokens", remaining.as_str()),
                ("ratelimit-remaining", "0"),
            ];
            prop_assert!(of(&headers).is_none_or(|wait| wait <= LONGEST));
        }
    }

    #[test]
    fn a_date_is_the_same_in_every_form(day in 1_i64..28, month in 0_usize..12, year in 1971_i64..2069, second in 0_i64..86_400) {
        const NAMES: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let time = format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60);
        let name = NAMES[month];
        let fixed = date::http(&format!("Mon, {day:02} {name} {year} {time} GMT"));
        prop_assert!(fixed.is_some());
        prop_assert_eq!(fixed, date::http(&format!("Monday, {day:02}-{name}-{:02} {time} GMT", year % 100)).filter(|_| (1970..2070).contains(&year)));
        prop_assert_eq!(fixed, date::http(&format!("Mon {name} {day:2} {time} {year}")));
        prop_assert_eq!(fixed, date::rfc3339(&format!("{year}-{:02}-{day:02}T{time}Z", month + 1)));
    }
}
