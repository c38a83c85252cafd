//! The usage chunk of chat completions.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::value::RawValue;

/// Members of a chunk that say nothing beyond who answered, when, and at what cost.
const BOOKKEEPING: [&str; 14] = [
    "id",
    "object",
    "created",
    "model",
    "choices",
    "usage",
    "service_tier",
    "system_fingerprint",
    "obfuscation",
    "provider",
    "x_groq",
    "timings",
    "latency_checkpoint",
    "cost",
];

/// Whether a chunk that has an empty `choices` array and a `usage` object may be left out: every other member is
/// bookkeeping (the list above) or `null`. A chunk with anything else (citations, moderation results, something new) is
/// not ours to drop. Of a member that is there twice the last counts, as for most clients.
pub(super) fn is_bare_usage(data: &[u8]) -> bool {
    let Ok(members) = serde_json::from_slice::<BTreeMap<Cow<'_, str>, &RawValue>>(data) else {
        return false;
    };
    let last = |key: &str| members.get(key).map_or("", |value| value.get());
    let is_empty = last("choices")
        .strip_prefix('[')
        .is_some_and(|rest| rest.trim_start().starts_with(']'));
    is_empty
        && last("usage").starts_with('{')
        && members
            .iter()
            .all(|(key, value)| BOOKKEEPING.contains(&key.as_ref()) || value.get() == "null")
}

#[cfg(test)]
mod tests {
    use super::is_bare_usage;

    #[test]
    fn a_chunk_that_says_more_than_usage_is_kept() {
        assert!(is_bare_usage(
            br#"{"id":"a","choices":[],"usage":{},"obfuscation":"x","prompt_logprobs":null}"#
        ));
        assert!(!is_bare_usage(
            br#"{"id":"a","choices":[],"usage":{},"citations":["x"]}"#
        ));
        assert!(!is_bare_usage(b"{"));
    }

    #[test]
    fn of_members_that_are_there_twice_the_last_counts() {
        assert!(!is_bare_usage(br#"{"choices":[],"usage":{},"usage":null}"#));
        assert!(!is_bare_usage(
            br#"{"choices":[],"usage":{},"choices":[{"delta":{}}]}"#
        ));
        assert!(is_bare_usage(
            br#"{"choices":[1],"usage":null,"choices":[ ],"usage":{}}"#
        ));
    }
}
