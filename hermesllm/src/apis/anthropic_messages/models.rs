//! What models of the family take that the API leaves to them.

/// What a model takes. Of models that are not known by their name, everything that older ones take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Abilities {
    /// `thinking: {type: adaptive}` and `output_config.effort`.
    pub(super) adaptive: bool,
    /// `thinking: {type: enabled, budget_tokens}`.
    pub(super) budget: bool,
    /// `effort: xhigh`.
    pub(super) xhigh: bool,
    /// `temperature`, `top_p`, `top_k`.
    pub(super) sampling: bool,
    /// `temperature` together with `top_p`.
    pub(super) both: bool,
}

const OLDER: Abilities = Abilities {
    adaptive: false,
    budget: true,
    xhigh: false,
    sampling: true,
    both: true,
};

/// What the model of a name takes.
pub(super) fn abilities(model: &str) -> Abilities {
    let Some((family, version)) = family(model) else {
        return OLDER;
    };
    let newest = version >= (4, 7);
    Abilities {
        adaptive: version >= (4, 6),
        budget: !newest,
        xhigh: newest,
        sampling: !newest,
        both: version < (4, 1) || family != "opus" && version < (4, 5),
    }
}

/// Family and version: `claude-opus-4-7`, `anthropic.claude-sonnet-4-5-20250929-v1:0`,
/// `claude-3-7-sonnet@20250219`.
fn family(model: &str) -> Option<(&str, (u32, u32))> {
    let (_, name) = model.split_once("claude-")?;
    let words = || name.split(['-', '.', '@', ':', '_']);
    let family = words().find(|word| matches!(*word, "opus" | "sonnet" | "haiku"))?;
    // The version stands before the family or after it; dates have more digits.
    let mut numbers = words()
        .filter(|word| *word != family)
        .map_while(|word| word.parse::<u32>().ok().filter(|n| *n < 100));
    let major = numbers.next()?;
    Some((family, (major, numbers.next().unwrap_or(0))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_stand_before_or_after_the_family() {
        for (model, expected) in [
            ("claude-opus-4-7", Some(("opus", (4, 7)))),
            ("anthropic/claude-haiku-4.5", Some(("haiku", (4, 5)))),
            (
                "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
                Some(("sonnet", (4, 5))),
            ),
            ("claude-3-7-sonnet@20250219", Some(("sonnet", (3, 7)))),
            ("claude-3-haiku-20240307", Some(("haiku", (3, 0)))),
            ("claude-sonnet-4-20250514", Some(("sonnet", (4, 0)))),
            ("claude-sonnet-5", Some(("sonnet", (5, 0)))),
            ("gpt-5", None),
            ("claude-2.1", None),
            ("claude-", None),
        ] {
            assert_eq!(family(model), expected, "{model}");
        }
    }

    #[test]
    fn newer_models_think_as_they_see_fit_and_take_no_sampling() {
        let newest = abilities("claude-opus-4-7");
        assert!(newest.adaptive && newest.xhigh && !newest.budget && !newest.sampling);
        let between = abilities("claude-sonnet-4-6");
        assert!(between.adaptive && between.budget && between.sampling && !between.both);
        assert!(!abilities("claude-opus-4-1").both);
        assert!(abilities("claude-sonnet-4-0").both);
        assert_eq!(abilities("llama"), OLDER);
    }
}
