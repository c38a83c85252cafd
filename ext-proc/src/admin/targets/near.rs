//! Targets that were probably meant.

/// How many are named at most.
const MOST: usize = 3;
/// The longest name that is compared, in bytes.
const LONGEST: usize = 256;

/// Candidates that resemble a name, the nearest first, each once. Case and signs count for nothing:
/// they are what people get wrong.
pub(super) fn matches<'a>(wanted: &str, candidates: impl Iterator<Item = &'a str>) -> Vec<String> {
    let wanted = folded(wanted);
    if wanted.is_empty() || wanted.len() > LONGEST {
        return Vec::new();
    }
    let mut found: Vec<(usize, &str)> = Vec::new();
    for candidate in candidates {
        if found.iter().any(|(_, known)| *known == candidate) {
            continue;
        }
        if let Some(differing) = differing(&wanted, &folded(candidate)) {
            found.push((differing, candidate));
        }
    }
    found.sort_by_key(|(differing, _)| *differing);
    let nearest = found.into_iter().take(MOST);
    nearest.map(|(_, name)| name.to_owned()).collect()
}

/// How many letters two names do not share, if they are near at all: one is a part of the other, or
/// three of four letters at their beginning are the same.
fn differing(wanted: &str, candidate: &str) -> Option<usize> {
    let (longer, shorter) = (
        wanted.len().max(candidate.len()),
        wanted.len().min(candidate.len()),
    );
    if shorter >= 3 && (candidate.contains(wanted) || wanted.contains(candidate)) {
        return Some(longer - shorter);
    }
    let pairs = wanted.bytes().zip(candidate.bytes());
    let same = pairs.take_while(|(one, other)| one == other).count();
    (same * 4 >= longer * 3).then_some(longer - same)
}

fn folded(name: &str) -> String {
    let letters = name.chars().filter(|letter| letter.is_alphanumeric());
    letters.flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_targets_come_nearest_first_whatever_their_signs() {
        let known = [
            "openai/gpt-4o-mini",
            "openai/gpt-4o",
            "anthropic/claude-sonnet-4-5",
            "openai/gpt-4o",
        ];
        let near = |wanted| matches(wanted, known.into_iter());
        assert_eq!(
            near("openai/GPT4o"),
            ["openai/gpt-4o", "openai/gpt-4o-mini"]
        );
        assert_eq!(near("gpt-4o-mini"), ["openai/gpt-4o-mini"]);
        assert_eq!(near("openai/gpt-4x"), ["openai/gpt-4o"]);
        assert_eq!(near("claude_sonnet_4_5"), ["anthropic/claude-sonnet-4-5"]);
        assert!(near("llama").is_empty());
        assert!(near("").is_empty());
        assert!(near(&"g".repeat(1 << 16)).is_empty());
    }
}
