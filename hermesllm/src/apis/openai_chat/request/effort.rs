//! How much the model thinks, which each provider asks in its own way.
//!
//! OpenAI has `reasoning_effort`; OpenRouter `reasoning: {effort, max_tokens, enabled}`; DeepSeek
//! and Z.ai `thinking: {type}`, with Anthropic's `budget_tokens` at some gateways; Alibaba
//! `enable_thinking` and `thinking_budget`. A word that is not known stays where it is.

use serde_json::{Map, Value};

use super::super::extra;
use crate::apis::object::Object;
use crate::apis::ReadError;
use crate::representation::request::Enabled;
use crate::representation::{At, Effort, Losses, ReasoningConfig, Setting};

/// Reads all of them; the first of each kind counts, what says another thing beside stays.
pub(super) fn read(object: &mut Object) -> Result<Option<ReasoningConfig>, ReadError> {
    let mut own = ReasoningConfig::default();
    effort(object, "reasoning_effort", &mut own.effort);
    if object.peek("reasoning").is_some_and(Value::is_object) {
        if let Some(mut inner) = object.object("reasoning")? {
            effort(&mut inner, "effort", &mut own.effort);
            flag(&mut inner, "enabled", &mut own.enabled)?;
            own.budget = inner.whole("max_tokens")?;
            own.summary = inner.text("summary")?;
            own.extensions.extend(extra::inside("reasoning", inner));
        }
    }
    if object.peek("thinking").is_some_and(Value::is_object) {
        if let Some(mut inner) = object.object("thinking")? {
            kind(&mut inner, &mut own.enabled);
            budget(&mut inner, "budget_tokens", &mut own.budget)?;
            own.extensions.extend(extra::inside("thinking", inner));
        }
    }
    if object
        .peek("enable_thinking")
        .is_some_and(Value::is_boolean)
    {
        flag(object, "enable_thinking", &mut own.enabled)?;
    }
    budget(object, "thinking_budget", &mut own.budget)?;
    Ok((own != ReasoningConfig::default()).then_some(own))
}

fn effort(object: &mut Object, key: &str, own: &mut Setting<Effort>) {
    let known = object.peek_text(key).and_then(Effort::named);
    if let (Some(effort), None) = (known, &own) {
        object.take(key);
        *own = Some(At::new(effort, object.pointer(key)));
    }
}

fn flag(object: &mut Object, key: &str, own: &mut Setting<Enabled>) -> Result<(), ReadError> {
    if own.is_none() {
        *own = object.flag(key)?.map(|flag| {
            let enabled = if flag.value {
                Enabled::Yes
            } else {
                Enabled::No
            };
            At::new(enabled, flag.at)
        });
    }
    Ok(())
}

fn kind(object: &mut Object, own: &mut Setting<Enabled>) {
    let known = match object.peek_text("type") {
        Some("enabled") => Enabled::Yes,
        Some("disabled") => Enabled::No,
        Some("adaptive") => Enabled::Adaptive,
        _ => return,
    };
    if own.is_none() {
        object.take("type");
        *own = Some(At::new(known, object.pointer("type")));
    }
}

fn budget(object: &mut Object, key: &str, own: &mut Setting<u64>) -> Result<(), ReadError> {
    if own.is_none() {
        *own = object.whole(key)?;
    }
    Ok(())
}

/// Writes how much it thinks: each where it was, or as `reasoning_effort`.
pub(super) fn write(
    body: &mut Map<String, Value>,
    reasoning: ReasoningConfig,
    same: bool,
    losses: &mut Losses,
) {
    let ReasoningConfig {
        enabled,
        effort,
        budget,
        summary,
        encrypted,
        extensions,
    } = reasoning;
    if same {
        if let Some(At { value, at }) = enabled {
            extra::put_at(body, &at, enabled_word(value, &at));
        }
        if let Some(effort) = effort {
            extra::put_at(body, &effort.at, effort.value.as_str());
        }
        if let Some(budget) = budget {
            extra::put_at(body, &budget.at, budget.value);
        }
        if let Some(summary) = summary {
            extra::put_at(body, &summary.at, summary.value);
        }
        extra::put(body, extensions, same, &[], losses);
        return;
    }
    let word = match (&effort, &budget) {
        (Some(effort), _) => Some(effort.value),
        (None, Some(budget)) => Some(Effort::of_budget(budget.value)),
        (None, None) => None,
    };
    if let Some(budget) = budget {
        let reason = "a number of thinking tokens becomes an effort";
        losses.approximated(budget.at, reason);
    }
    if let (Some(enabled), None) = (enabled, word) {
        match enabled.value {
            // Models that do not think refuse to be told not to.
            Enabled::No => losses.dropped(enabled.at, "this API has no switch for thoughts"),
            Enabled::Yes => losses.approximated(enabled.at, "models think by themselves here"),
            Enabled::Adaptive => {}
        }
    }
    if let Some(word) = word {
        body.insert("reasoning_effort".to_owned(), word.as_str().into());
    }
    let reason = "this API does not choose what is shown of thoughts";
    losses.dropped_setting(summary, reason);
    losses.dropped_setting(encrypted, "this API has no encrypted thoughts");
    losses.dropped_extensions(extensions);
}

fn enabled_word(enabled: Enabled, at: &str) -> Value {
    if at.ends_with("/type") {
        let word = match enabled {
            Enabled::No => "disabled",
            Enabled::Yes => "enabled",
            Enabled::Adaptive => "adaptive",
        };
        return word.into();
    }
    (enabled != Enabled::No).into()
}
