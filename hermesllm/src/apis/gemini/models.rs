//! What is known of models by their names.

/// A model, by its name: `gemini-2.5-pro`, `models/gemini-3-flash-preview`. One that is not known
/// counts as new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Model {
    /// `2` and `5`.
    version: Option<(u32, u32)>,
    pro: bool,
}

impl Model {
    pub(super) fn named(name: &str) -> Self {
        Self {
            version: version(name),
            pro: name.contains("-pro"),
        }
    }

    fn major(&self) -> Option<u32> {
        self.version.map(|(major, _)| major)
    }

    /// It takes a budget of tokens for thoughts, and no level.
    pub(super) fn counts_thoughts(&self) -> bool {
        self.major().is_some_and(|major| major < 3)
    }

    /// Thinking cannot be switched off.
    pub(super) fn thinks_always(&self) -> bool {
        !self.counts_thoughts() || self.pro
    }

    pub(super) fn is_pro(&self) -> bool {
        self.pro
    }

    /// It has two levels of thinking only.
    pub(super) fn is_first_pro(&self) -> bool {
        self.pro && self.version == Some((3, 0))
    }

    /// The largest budget for thoughts.
    pub(super) fn most_thoughts(&self) -> u64 {
        if self.pro {
            32_768
        } else {
            24_576
        }
    }

    /// Calls in the current turn need a signature.
    pub(super) fn wants_signatures(&self) -> bool {
        self.major().is_some_and(|major| major >= 3)
    }

    /// It takes pictures inside of a function's response.
    pub(super) fn takes_media_in_results(&self) -> bool {
        !self.counts_thoughts()
    }
}

fn version(name: &str) -> Option<(u32, u32)> {
    let (_, own) = name.split_once("gemini-")?;
    let number = own.split('-').next()?;
    let (major, minor) = number.split_once('.').unwrap_or((number, "0"));
    Some((major.parse().ok()?, minor.parse().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_the_version() {
        for (name, expected) in [
            ("gemini-2.5-pro", Some((2, 5))),
            ("models/gemini-3-flash-preview", Some((3, 0))),
            ("google/gemini-3.1-pro-preview", Some((3, 1))),
            ("gemini-flash-latest", None),
            ("gemma-3-27b-it", None),
            ("", None),
        ] {
            assert_eq!(version(name), expected, "{name}");
        }
        assert!(Model::named("gemini-flash-latest").thinks_always());
        assert!(!Model::named("gemini-flash-latest").wants_signatures());
    }
}
