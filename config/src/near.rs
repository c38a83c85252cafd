//! Names that were probably meant.
//!
//! Bounded: names longer than [`LONGEST`] are never compared, so that a request with a huge model
//! name costs nothing.

/// The longest name that is compared, in bytes.
const LONGEST: usize = 128;

/// Up to `most` candidates that resemble `wanted`, the nearest first; equal ones in their order.
pub(crate) fn matches<'a>(
    wanted: &str,
    candidates: impl IntoIterator<Item = &'a str>,
    most: usize,
) -> Vec<&'a str> {
    if wanted.is_empty() || wanted.len() > LONGEST {
        return Vec::new();
    }
    let folded = wanted.to_lowercase();
    let mut found: Vec<(usize, &str)> = Vec::new();
    for candidate in candidates {
        if found.iter().any(|(_, known)| *known == candidate) {
            continue;
        }
        if let Some(distance) = distance(&folded, candidate) {
            found.push((distance, candidate));
        }
    }
    found.sort_by_key(|(distance, _)| *distance);
    found.truncate(most);
    found.into_iter().map(|(_, candidate)| candidate).collect()
}

/// How far apart two names are, if they are near at all.
fn distance(wanted: &str, candidate: &str) -> Option<usize> {
    if candidate.is_empty() || candidate.len() > LONGEST {
        return None;
    }
    let candidate = candidate.to_lowercase();
    let edits = edit_distance(wanted, &candidate);
    // One wrong letter in three: more is another word.
    if edits <= wanted.chars().count().max(candidate.chars().count()) / 3 {
        return Some(edits);
    }
    // The start of a name (`gpt-4o` for `gpt-4o-mini`), or the name without its provider.
    let bare = candidate.split_once('/').map(|(_, bare)| bare);
    let starts = |name: &str| {
        wanted.len() >= 3
            && name.len() >= 3
            && (name.starts_with(wanted) || wanted.starts_with(name))
    };
    let near = starts(&candidate) || bare.is_some_and(starts);
    near.then_some(edits)
}

/// Levenshtein's distance, in characters.
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, a) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, b) in row.iter_mut().skip(1).zip(&b) {
            let changed = diagonal + usize::from(a != *b);
            diagonal = *cell;
            left = changed.min(left + 1).min(*cell + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edit_distance_counts_single_letters() {
        for (a, b, edits) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("kitten", "sitting", 3),
            ("acess_key", "access_key", 1),
            ("gpt-4o", "gpt-4o", 0),
        ] {
            assert_eq!(edit_distance(a, b), edits, "{a} {b}");
        }
    }

    #[test]
    fn near_names_come_nearest_first() {
        let known = ["openai/gpt-4o", "openai/gpt-4o-mini", "claude-sonnet-4-5"];
        assert_eq!(
            matches("openai/gpt4o", known, 3),
            ["openai/gpt-4o", "openai/gpt-4o-mini"]
        );
        assert_eq!(matches("gpt-4o-min", known, 1), ["openai/gpt-4o-mini"]);
        assert_eq!(
            matches("Claude-Sonnet-4.5", known, 3),
            ["claude-sonnet-4-5"]
        );
        assert!(matches("llama", known, 3).is_empty());
        assert!(matches(&"g".repeat(1 << 20), known, 3).is_empty());
    }
}
