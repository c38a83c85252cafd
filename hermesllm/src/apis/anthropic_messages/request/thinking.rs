//! How much the model is to think, written.

use serde_json::{json, Map, Value};

use crate::apis::anthropic_messages::models::Abilities;
use crate::apis::anthropic_messages::put_rest;
use crate::apis::object::put;
use crate::representation::request::Enabled;
use crate::representation::{At, Effort, Losses, Pointer, ReasoningConfig, Setting};

/// The smallest budget that the API takes.
const LEAST: u64 = 1024;

/// What is asked for, in this API's words.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) thinking: Option<Value>,
    pub(super) effort: Option<&'static str>,
    /// Tokens that `max_tokens` has to exceed.
    pub(super) budget: Option<u64>,
}

impl Plan {
    /// Whether the model thinks.
    pub(super) fn thinks(&self) -> bool {
        let kind = self
            .thinking
            .as_ref()
            .and_then(|thinking| thinking.get("type"));
        kind.is_some_and(|kind| kind != "disabled")
    }
}

/// What was read from this API, as it was.
pub(super) fn own(config: ReasoningConfig, losses: &mut Losses) -> Plan {
    let ReasoningConfig {
        enabled,
        effort,
        budget,
        summary,
        encrypted: _,
        extensions,
    } = config;
    let mut thinking = Map::new();
    let kind = enabled.map(|enabled| match enabled.value {
        Enabled::No => "disabled",
        Enabled::Yes => "enabled",
        Enabled::Adaptive => "adaptive",
    });
    put(&mut thinking, "type", kind);
    let budget = budget.map(|budget| budget.value);
    put(&mut thinking, "budget_tokens", budget);
    put(
        &mut thinking,
        "display",
        summary.map(|summary| display(&summary.value)),
    );
    put_rest(&mut thinking, extensions, true, &[], losses);
    Plan {
        thinking: (!thinking.is_empty()).then_some(Value::Object(thinking)),
        effort: effort.map(|effort| effort.value.as_str()),
        budget,
    }
}

/// What another API asks for, as this model takes it. `limit`: the most output, where it is told.
pub(super) fn foreign(
    config: ReasoningConfig,
    abilities: Abilities,
    limit: Option<u64>,
    losses: &mut Losses,
) -> Plan {
    let ReasoningConfig {
        enabled,
        effort,
        budget,
        summary,
        // Thoughts are always signed here.
        encrypted: _,
        extensions,
    } = config;
    losses.dropped_extensions(extensions);
    let is_off = enabled
        .as_ref()
        .is_some_and(|enabled| enabled.value == Enabled::No)
        || effort
            .as_ref()
            .is_some_and(|effort| effort.value == Effort::None)
        || budget.as_ref().is_some_and(|budget| budget.value == 0);
    if is_off {
        return Plan {
            thinking: Some(json!({"type": "disabled"})),
            ..Plan::default()
        };
    }
    let is_asked = enabled.is_some() || effort.is_some() || budget.is_some();
    if !is_asked {
        let reason = "what is shown of thoughts cannot be told without asking for them";
        losses.dropped_setting(summary, reason);
        return Plan::default();
    }
    match budget {
        Some(budget) if abilities.budget => {
            losses.dropped_setting(effort, "a budget says how much to think");
            hidden(summary, losses);
            of_budget(budget, losses)
        }
        budget if abilities.adaptive => {
            let effort = adaptive_effort(effort, budget, abilities, losses);
            let mut thinking = json!({"type": "adaptive"});
            if let (Some(summary), Some(thinking)) = (summary, thinking.as_object_mut()) {
                thinking.insert("display".to_owned(), display(&summary.value).into());
            }
            Plan {
                thinking: Some(thinking),
                effort,
                budget: None,
            }
        }
        _ => {
            hidden(summary, losses);
            of_effort(effort, enabled, limit, losses)
        }
    }
}

fn of_budget(budget: At<u64>, losses: &mut Losses) -> Plan {
    let tokens = budget.value.max(LEAST);
    if tokens > budget.value {
        losses.approximated(
            budget.at,
            "the other API takes budgets of at least 1024 tokens",
        );
    }
    enabled_with(tokens)
}

fn of_effort(
    effort: Setting<Effort>,
    enabled: Setting<Enabled>,
    limit: Option<u64>,
    losses: &mut Losses,
) -> Plan {
    let word = effort
        .as_ref()
        .map_or(Effort::Medium, |effort| effort.value);
    let at = match (effort, enabled) {
        (Some(effort), _) => effort.at,
        (None, Some(enabled)) => enabled.at,
        (None, None) => Pointer::default(),
    };
    let tokens = word.as_budget().unwrap_or(LEAST).max(LEAST);
    // The client's limit is a promise, the effort is a wish.
    let room = limit.map_or(tokens, |limit| limit.saturating_sub(1).min(tokens));
    if room < LEAST {
        losses.dropped(at, "the limit of output leaves no room for thoughts");
        return Plan::default();
    }
    losses.approximated(at, "the model is told in tokens how much to think");
    enabled_with(room)
}

fn enabled_with(tokens: u64) -> Plan {
    Plan {
        thinking: Some(json!({"type": "enabled", "budget_tokens": tokens})),
        effort: None,
        budget: Some(tokens),
    }
}

fn adaptive_effort(
    effort: Setting<Effort>,
    budget: Setting<u64>,
    abilities: Abilities,
    losses: &mut Losses,
) -> Option<&'static str> {
    let (word, at, mut is_near) = match (effort, budget) {
        (Some(effort), None) => (effort.value, effort.at, true),
        (Some(effort), Some(budget)) => {
            losses.dropped(budget.at, "the model is told in a word how much to think");
            (effort.value, effort.at, true)
        }
        (None, Some(budget)) => (Effort::of_budget(budget.value), budget.at, false),
        (None, None) => return None,
    };
    let written = match word {
        Effort::None | Effort::Minimal => Effort::Low,
        Effort::XHigh if !abilities.xhigh => Effort::High,
        other => other,
    };
    is_near &= written == word;
    if !is_near {
        losses.approximated(at, "the model has another word for how much to think");
    }
    Some(written.as_str())
}

fn display(summary: &str) -> &'static str {
    match summary {
        "none" => "omitted",
        _ => "summarized",
    }
}

fn hidden(summary: Setting<String>, losses: &mut Losses) {
    let summary = summary.filter(|summary| summary.value != "auto");
    let reason = "the model shows its thoughts in its own way";
    losses.dropped_setting(summary, reason);
}
