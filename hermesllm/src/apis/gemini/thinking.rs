//! How much a model is to think (`thinkingConfig`).
//!
//! Models up to 2.5 count tokens; from 3 on there are levels, and a budget is still taken. The
//! figures are those of the provider's own compatibility layer.

use serde_json::{Map, Value};

use super::members::Members;
use super::models::Model;
use crate::apis::ReadError;
use crate::representation::request::Enabled;
use crate::representation::{At, Effort, Losses, ReasoningConfig, Setting};

/// Reads `thinkingConfig`.
pub(super) fn read(mut config: Members) -> Result<Option<ReasoningConfig>, ReadError> {
    let summary = config.flag("includeThoughts")?.map(|flag| {
        let word = if flag.value { "auto" } else { "none" };
        At::new(word.to_owned(), flag.at)
    });
    let mut own = ReasoningConfig {
        summary,
        ..ReasoningConfig::default()
    };
    // As much as it needs.
    if config.peek("thinkingBudget").and_then(Value::as_i64) == Some(-1) {
        let budget = config.take("thinkingBudget");
        own.enabled = budget.map(|budget| At::new(Enabled::Adaptive, budget.at));
    }
    own.budget = config.whole("thinkingBudget")?;
    let level = config.peek_text("thinkingLevel").and_then(effort_of);
    if let Some(effort) = level {
        let level = config.take("thinkingLevel");
        own.effort = level.map(|level| At::new(effort, level.at));
    }
    own.extensions = config.rest();
    Ok(Some(own))
}

fn effort_of(word: &str) -> Option<Effort> {
    let levels = [Effort::Minimal, Effort::Low, Effort::Medium, Effort::High];
    let mut levels = levels.into_iter();
    levels.find(|level| level.as_str().eq_ignore_ascii_case(word))
}

/// What was read from this API, as it was.
pub(super) fn own(config: ReasoningConfig, losses: &mut Losses) -> Map<String, Value> {
    let ReasoningConfig {
        enabled,
        effort,
        budget,
        summary,
        encrypted: _,
        extensions,
    } = config;
    let mut own = Map::new();
    if let Some(summary) = summary {
        own.insert(
            "includeThoughts".to_owned(),
            (summary.value != "none").into(),
        );
    }
    if enabled.is_some() {
        own.insert("thinkingBudget".to_owned(), (-1).into());
    }
    if let Some(budget) = budget {
        own.insert("thinkingBudget".to_owned(), budget.value.into());
    }
    if let Some(effort) = effort {
        own.insert("thinkingLevel".to_owned(), level(effort.value));
    }
    let mut own = Value::Object(own);
    for extension in extensions {
        let base = extension.at.rsplit_once('/').map(|(base, _)| base);
        let base = base.unwrap_or_default().to_owned();
        super::members::restore(&mut own, &base, vec![extension], true, losses);
    }
    match own {
        Value::Object(own) => own,
        _ => Map::new(),
    }
}

fn level(effort: Effort) -> Value {
    effort.as_str().to_uppercase().into()
}

/// What another API asks for, as this model takes it.
pub(super) fn foreign(
    config: ReasoningConfig,
    model: &str,
    losses: &mut Losses,
) -> Map<String, Value> {
    let ReasoningConfig {
        enabled,
        effort,
        budget,
        summary,
        // Signatures come always.
        encrypted: _,
        extensions,
    } = config;
    losses.dropped_extensions(extensions);
    let model = Model::named(model);
    let mut own = Map::new();
    let shows = match &summary {
        Some(summary) => Some(summary.value != "none"),
        // Where thinking is switched on it is shown.
        None => enabled
            .as_ref()
            .filter(|enabled| enabled.value != Enabled::No)
            .map(|_| true),
    };
    if let Some(At { value, at }) = summary {
        if value == "concise" || value == "detailed" {
            losses.approximated(at, "how detailed a summary of thoughts is cannot be told");
        }
    }
    if is_off(&enabled, &effort, &budget) {
        let at = enabled.map(|own| own.at);
        let at = at.or(effort.map(|own| own.at)).or(budget.map(|own| own.at));
        let near = if model.thinks_always() {
            losses.approximated(at.unwrap_or_default(), "the model thinks, if only a little");
            least(&model)
        } else {
            ("thinkingBudget", 0.into())
        };
        own.insert(near.0.to_owned(), near.1);
        return own;
    }
    if let Some(shows) = shows {
        own.insert("includeThoughts".to_owned(), shows.into());
    }
    if let Some(At { value, at }) = budget {
        if let Some(effort) = effort {
            losses.dropped(effort.at, "a budget says how much to think");
        }
        let tokens = value.min(model.most_thoughts());
        if tokens < value {
            losses.approximated(at, "the model has a smaller largest budget");
        }
        own.insert("thinkingBudget".to_owned(), tokens.into());
    } else if let Some(effort) = effort {
        let (key, value) = of_effort(effort, &model, losses);
        own.insert(key.to_owned(), value);
    } else if enabled.is_some() && model.counts_thoughts() {
        own.insert("thinkingBudget".to_owned(), (-1).into());
    }
    own
}

fn is_off(enabled: &Setting<Enabled>, effort: &Setting<Effort>, budget: &Setting<u64>) -> bool {
    let is = |own: &Setting<Enabled>| own.as_ref().is_some_and(|own| own.value == Enabled::No);
    let effort = effort.as_ref().map(|own| own.value);
    let budget = budget.as_ref().map(|own| own.value);
    is(enabled) || effort == Some(Effort::None) || budget == Some(0)
}

/// The least that a model thinks that cannot but think.
fn least(model: &Model) -> (&'static str, Value) {
    if model.counts_thoughts() {
        ("thinkingBudget", 128.into())
    } else if model.is_pro() {
        ("thinkingLevel", level(Effort::Low))
    } else {
        ("thinkingLevel", level(Effort::Minimal))
    }
}

fn of_effort(effort: At<Effort>, model: &Model, losses: &mut Losses) -> (&'static str, Value) {
    let At { value, at } = effort;
    if model.counts_thoughts() {
        let tokens = value.as_budget().unwrap_or_default();
        losses.approximated(at, "the model is told in tokens how much to think");
        return ("thinkingBudget", tokens.min(model.most_thoughts()).into());
    }
    let near = match value {
        Effort::None | Effort::Minimal if model.is_pro() => Effort::Low,
        Effort::None => Effort::Minimal,
        Effort::XHigh | Effort::Max => Effort::High,
        Effort::Medium if model.is_first_pro() => Effort::High,
        other => other,
    };
    if near != value {
        losses.approximated(at, "the model has another level of thinking");
    }
    ("thinkingLevel", level(near))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::members::Reading;
    use super::*;

    fn read_alone(config: Value) -> ReasoningConfig {
        let config = Members::new(config, "/t", Reading::Strict).unwrap();
        read(config).unwrap().unwrap()
    }

    #[test]
    fn what_was_read_is_written_as_it_was() {
        for config in [
            json!({"includeThoughts": true, "thinkingBudget": 128}),
            json!({"includeThoughts": false, "thinkingBudget": -1}),
            json!({"thinkingBudget": 0}),
            json!({"thinkingLevel": "HIGH", "newOne": [1]}),
            json!({"thinkingLevel": "THINKING_LEVEL_UNSPECIFIED"}),
            json!({}),
        ] {
            let mut losses = Losses::new();
            let written = own(read_alone(config.clone()), &mut losses);
            assert_eq!(Value::Object(written), config);
            assert!(losses.is_empty());
        }
    }

    #[test]
    fn an_effort_is_a_level_or_a_budget_by_the_model() {
        let ask = |effort: Effort, model: &str| {
            let config = ReasoningConfig {
                effort: Some(At::new(effort, "/e")),
                ..ReasoningConfig::default()
            };
            let mut losses = Losses::new();
            let written = foreign(config, model, &mut losses);
            (Value::Object(written), losses.as_slice().len())
        };
        for (effort, model, expected, lost) in [
            (
                Effort::Low,
                "gemini-3-flash-preview",
                json!({"thinkingLevel": "LOW"}),
                0,
            ),
            (
                Effort::Medium,
                "gemini-3-pro-preview",
                json!({"thinkingLevel": "HIGH"}),
                1,
            ),
            (
                Effort::Medium,
                "gemini-3.1-pro-preview",
                json!({"thinkingLevel": "MEDIUM"}),
                0,
            ),
            (Effort::Max, "", json!({"thinkingLevel": "HIGH"}), 1),
            (
                Effort::Medium,
                "models/gemini-2.5-flash",
                json!({"thinkingBudget": 8192}),
                1,
            ),
            (
                Effort::Max,
                "gemini-2.5-flash",
                json!({"thinkingBudget": 24576}),
                1,
            ),
            (
                Effort::None,
                "gemini-2.5-flash",
                json!({"thinkingBudget": 0}),
                0,
            ),
            (
                Effort::None,
                "gemini-2.5-pro",
                json!({"thinkingBudget": 128}),
                1,
            ),
            (
                Effort::None,
                "gemini-3.5-flash",
                json!({"thinkingLevel": "MINIMAL"}),
                1,
            ),
        ] {
            assert_eq!(ask(effort, model), (expected, lost), "{effort:?} {model}");
        }
    }

    #[test]
    fn thinking_that_is_switched_on_is_shown() {
        let config = ReasoningConfig {
            enabled: Some(At::new(Enabled::Yes, "/t")),
            budget: Some(At::new(60_000, "/t/b")),
            ..ReasoningConfig::default()
        };
        let mut losses = Losses::new();
        let written = foreign(config, "gemini-2.5-pro", &mut losses);
        let expected = json!({"includeThoughts": true, "thinkingBudget": 32768});
        assert_eq!(Value::Object(written), expected);
        assert_eq!(losses.as_slice()[0].path, "/t/b");
    }
}
