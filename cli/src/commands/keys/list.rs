//! Keys as a table for people.

use meseta_config::{Config, ConsumerKey};

use super::entry::in_hexadecimal;
use crate::columns;

/// What does not apply.
const NONE: &str = "-";

/// A line for each key of a configuration, in its order.
pub fn of(config: &Config, now: u64, hashes: bool) -> String {
    if config.keys().is_empty() {
        return match (config.needs_consumer(), config.consumer()) {
            (false, _) => "there are no `keys`: whoever reaches a listener may use it\n",
            (true, None) => "there is no key, so nobody may pass\n",
            (true, Some(_)) => "there is no key: only what `consumer` names may pass\n",
        }
        .to_owned();
    }
    let mut headings = vec!["NAME", "MODELS", "LIMITS", "EXPIRES", "LABELS"];
    if hashes {
        headings.push("HASH");
    }
    let mut rows: Vec<Vec<String>> = vec![headings.into_iter().map(str::to_owned).collect()];
    for key in config.keys() {
        let mut row = row(key, now);
        if hashes {
            row.push(in_hexadecimal(&key.hash));
        }
        rows.push(row);
    }
    columns::of(&rows)
}

fn row(key: &ConsumerKey, now: u64) -> Vec<String> {
    let models = match &key.models {
        None => "all".to_owned(),
        Some(models) => joined(models.iter().map(ToString::to_string)),
    };
    let expires = key.expires.map_or_else(
        || "never".to_owned(),
        |end| {
            let ended = if key.is_expired(now) {
                " (expired)"
            } else {
                ""
            };
            format!("{}{ended}", date(end))
        },
    );
    let labels = key.labels.iter();
    vec![
        key.name.clone(),
        models,
        joined(key.limits.iter().map(ToString::to_string)),
        expires,
        joined(labels.map(|(name, value)| format!("{name}={value}"))),
    ]
}

fn joined(items: impl Iterator<Item = String>) -> String {
    let items: Vec<String> = items.collect();
    match items.is_empty() {
        true => NONE.to_owned(),
        false => items.join(","),
    }
}

/// A time in seconds since the unix epoch, as RFC 3339 has it.
fn date(seconds: u64) -> String {
    let (days, clock) = (seconds / 86_400, seconds % 86_400);
    // Years that begin in March, in eras of 400 years: the days of a leap year come last.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    let (hour, minute, second) = (clock / 3600, clock / 60 % 60, clock % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_reads_back_as_the_time_that_it_is_of() {
        assert_eq!(date(0), "1970-01-01T00:00:00Z");
        assert_eq!(date(951_782_399), "2000-02-28T23:59:59Z");
        for day in 0..60_000_u64 {
            let time = day * 86_400 + day % 86_400;
            assert_eq!(meseta_config::parse_time(&date(time)), Ok(time));
        }
    }
}
