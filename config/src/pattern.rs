//! Names as the configuration means them: one name, or all that a text with `*` fits.

use std::fmt;

/// A name, or a text in which each `*` stands for any characters or none.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pattern(String);

impl Pattern {
    /// Takes a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is one name and no more.
    pub fn is_exact(&self) -> bool {
        !self.0.contains('*')
    }

    /// Whether a name is meant. Upper and lower case differ.
    pub fn matches(&self, name: &str) -> bool {
        let mut parts = self.0.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(last) = parts.next_back() else {
            return name == first;
        };
        let Some(rest) = name.strip_prefix(first) else {
            return false;
        };
        let Some(mut rest) = rest.strip_suffix(last) else {
            return false;
        };
        // Where each part is found first leaves most for those after it.
        for part in parts {
            match rest.split_once(part) {
                Some((_, after)) => rest = after,
                None => return false,
            }
        }
        true
    }

    /// Whether it may fit a name that begins so.
    pub(crate) fn may_begin(&self, start: &str) -> bool {
        match self.0.split_once('*') {
            None => self.0.starts_with(start),
            Some((own, _)) => own.starts_with(start) || start.starts_with(own),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What `*` means, without a thought for speed.
    fn naive(pattern: &[char], name: &[char]) -> bool {
        match pattern.split_first() {
            None => name.is_empty(),
            Some(('*', rest)) => (0..=name.len()).any(|skip| naive(rest, &name[skip..])),
            Some((own, rest)) => name
                .split_first()
                .is_some_and(|(first, name)| own == first && naive(rest, name)),
        }
    }

    #[test]
    fn a_star_stands_for_any_characters_or_none() {
        for (pattern, name, fits) in [
            ("openai/*", "openai/gpt-4o", true),
            ("openai/*", "openai/", true),
            ("openai/*", "azure/openai/x", false),
            ("*", "", true),
            ("*-mini", "openai/gpt-4o-mini", true),
            ("a*a", "a", false),
            ("a*b*c", "axbxbxc", true),
            ("gpt-4o", "gpt-4o", true),
            ("gpt-4o", "gpt-4o-mini", false),
            ("GPT", "gpt", false),
        ] {
            assert_eq!(
                Pattern::new(pattern).matches(name),
                fits,
                "{pattern} {name}"
            );
        }
    }

    proptest! {
        #[test]
        fn it_fits_what_the_plain_meaning_fits(pattern in "[ab*é]{0,8}", name in "[abé]{0,10}") {
            let of = |text: &str| text.chars().collect::<Vec<_>>();
            let expected = naive(&of(&pattern), &of(&name));
            prop_assert_eq!(Pattern::new(pattern).matches(&name), expected);
        }
    }
}
