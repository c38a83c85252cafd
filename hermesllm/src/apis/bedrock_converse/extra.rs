//! What Converse has no member for and passes to the model as it is (`additionalModelRequestFields`):
//! how much it thinks, and `top_k`. Each family of models has words of its own for it.

use serde_json::{json, Number, Value};

use super::place::put;
use crate::apis::object::Object;
use crate::representation::request::Enabled;
use crate::representation::{At, Effort, Extension, Losses, ReasoningConfig, Setting};

/// The member that holds them.
pub(super) const FIELDS: &str = "additionalModelRequestFields";

/// What is asked of the model beside Converse's own settings.
#[derive(Debug, Default)]
pub(super) struct Extra {
    pub(super) reasoning: Option<ReasoningConfig>,
    pub(super) top_k: Setting<Number>,
}

/// Reads the additional fields; they are the model's, not Converse's, and what is not understood
/// stays.
pub(super) fn read(fields: At<Value>, extensions: &mut Vec<Extension>) -> Extra {
    let At { value, at } = fields;
    if !value.is_object() {
        extensions.push(Extension {
            name: FIELDS.to_owned(),
            value,
            at,
        });
        return Extra::default();
    }
    let mut fields = Object::lenient(value, at);
    let mut config = ReasoningConfig::default();
    for key in ["thinking", "reasoning_config"] {
        if let Ok(Some(own)) = fields.object(key) {
            thinking(own, &mut config, extensions);
        }
    }
    if let Ok(Some(mut own)) = fields.object("reasoningConfig") {
        switch(&mut own, &mut config);
        effort(&mut own, "maxReasoningEffort", &mut config.effort);
        extensions.extend(own.rest());
    }
    if let Ok(Some(mut own)) = fields.object("output_config") {
        effort(&mut own, "effort", &mut config.effort);
        extensions.extend(own.rest());
    }
    effort(&mut fields, "reasoning_effort", &mut config.effort);
    let mut top_k = fields.number("top_k").ok().flatten();
    if let Ok(Some(mut own)) = fields.object("inferenceConfig") {
        if top_k.is_none() {
            top_k = own.number("topK").ok().flatten();
        }
        extensions.extend(own.rest());
    }
    extensions.extend(fields.rest());
    Extra {
        reasoning: (config != ReasoningConfig::default()).then_some(config),
        top_k,
    }
}

/// Anthropic's `thinking`.
fn thinking(mut own: Object, config: &mut ReasoningConfig, extensions: &mut Vec<Extension>) {
    switch(&mut own, config);
    if config.budget.is_none() {
        config.budget = own.whole("budget_tokens").ok().flatten();
    }
    let display = match own.peek_text("display") {
        Some("summarized") => Some("auto"),
        Some("omitted") => Some("none"),
        _ => None,
    };
    if let (Some(word), None) = (display, &config.summary) {
        let shown = own.take("display");
        config.summary = shown.map(|shown| At::new(word.to_owned(), shown.at));
    }
    extensions.extend(own.rest());
}

fn switch(own: &mut Object, config: &mut ReasoningConfig) {
    let enabled = own.peek_text("type").and_then(enabled_of);
    if let (Some(enabled), None) = (enabled, &config.enabled) {
        config.enabled = own.take("type").map(|word| At::new(enabled, word.at));
    }
}

/// Takes an effort, unless there is one already or the word is none that is known.
pub(super) fn effort(own: &mut Object, key: &str, effort: &mut Setting<Effort>) {
    let known = own.peek_text(key).and_then(Effort::named);
    if let (Some(known), None) = (known, &effort) {
        *effort = own.take(key).map(|word| At::new(known, word.at));
    }
}

fn enabled_of(word: &str) -> Option<Enabled> {
    match word {
        "enabled" => Some(Enabled::Yes),
        "disabled" => Some(Enabled::No),
        "adaptive" => Some(Enabled::Adaptive),
        _ => None,
    }
}

fn word_of(enabled: Enabled) -> &'static str {
    match enabled {
        Enabled::Yes => "enabled",
        Enabled::No => "disabled",
        Enabled::Adaptive => "adaptive",
    }
}

/// Families of models, by the words that they have for thinking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    /// Anthropic's: `thinking` with a budget.
    Claude,
    /// Anthropic's since 4.6: `thinking` as the model sees fit, and an effort.
    AdaptiveClaude,
    /// Amazon's: `reasoningConfig`.
    Nova,
    /// OpenAI's: `reasoning_effort`.
    Gpt,
    /// Others have no switch for it.
    Other,
}

/// The family of a model, by its identifier. One that does not tell (a profile, say) is taken for
/// Anthropic's.
fn family(model: &str) -> Family {
    if let Some((_, name)) = model.split_once("claude") {
        let is_version = |piece: &&str| piece.len() <= 2;
        let mut numbers = name
            .split(['-', '.', ':', '@'])
            .filter(is_version)
            .filter_map(|piece| piece.parse::<u32>().ok());
        let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        return match version >= (4, 6) {
            true => Family::AdaptiveClaude,
            false => Family::Claude,
        };
    }
    let has = |word: &str| model.contains(word);
    match () {
        () if has("nova") => Family::Nova,
        () if has("gpt-") || has("openai.") => Family::Gpt,
        () if OTHERS.iter().any(|word| has(word)) => Family::Other,
        () => Family::Claude,
    }
}

/// What the identifiers of other providers' models begin with.
const OTHERS: [&str; 12] = [
    "amazon.titan",
    "ai21.",
    "cohere.",
    "deepseek.",
    "google.",
    "meta.",
    "minimax.",
    "mistral.",
    "moonshot",
    "qwen.",
    "writer.",
    "zai.",
];

/// Writes to where it was read.
pub(super) fn write_back(extra: Extra, root: &mut Value) {
    let Extra { reasoning, top_k } = extra;
    let mut back = |at: &str, value: Value| put(root, at, value);
    if let Some(top_k) = top_k {
        back(&top_k.at, Value::Number(top_k.value));
    }
    let ReasoningConfig {
        enabled,
        effort,
        budget,
        summary,
        encrypted: _,
        extensions: _,
    } = reasoning.unwrap_or_default();
    if let Some(At { value, at }) = enabled {
        back(&at, word_of(value).into());
    }
    if let Some(At { value, at }) = effort {
        back(&at, value.as_str().into());
    }
    if let Some(At { value, at }) = budget {
        back(&at, value.into());
    }
    if let Some(At { value, at }) = summary {
        let is_hidden = value == "none";
        back(&at, if is_hidden { "omitted" } else { "summarized" }.into());
    }
}

/// The least budget that Anthropic's models take.
const LEAST_BUDGET: u64 = 1024;
/// The budget of thinking that is asked for without any measure.
const USUAL_BUDGET: u64 = 8192;

/// Writes what another API asked for, in the words of the model.
pub(super) fn write(
    extra: Extra,
    model: &str,
    max_output: Option<u64>,
    root: &mut Value,
    losses: &mut Losses,
) {
    let Extra { reasoning, top_k } = extra;
    let family = family(model);
    if let Some(At { value, at: _ }) = top_k {
        let place = match family {
            Family::Nova => "/additionalModelRequestFields/inferenceConfig/topK",
            _ => "/additionalModelRequestFields/top_k",
        };
        put(root, place, Value::Number(value));
    }
    let Some(reasoning) = reasoning else {
        return;
    };
    let ReasoningConfig {
        enabled,
        effort,
        budget,
        summary,
        encrypted,
        extensions,
    } = reasoning;
    losses.dropped_extensions(extensions);
    if let Some(At { value: false, at }) = encrypted {
        losses.approximated(at, "thoughts come with their signature always");
    }
    let wish = Wish {
        enabled,
        effort,
        budget,
    };
    let is_on = !wish.is_empty() && !wish.is_off();
    match family {
        Family::Claude => wish.claude(max_output, root, losses),
        Family::AdaptiveClaude => wish.adaptive(max_output, root, losses),
        Family::Nova => wish.nova(root, losses),
        Family::Gpt => wish.gpt(root, losses),
        Family::Other => wish.none(losses),
    }
    let Some(At { value, at }) = summary else {
        return;
    };
    // Anthropic's models show their thoughts unless told otherwise.
    let is_claude = matches!(family, Family::Claude | Family::AdaptiveClaude) && is_on;
    match (is_claude, value.as_str()) {
        (true, "auto") => {
            put(root, DISPLAY, "summarized".into());
        }
        (true, "concise" | "detailed") => {
            losses.approximated(at, "how long a summary of thoughts is cannot be chosen");
            put(root, DISPLAY, "summarized".into());
        }
        (true, "none") => {
            put(root, DISPLAY, "omitted".into());
        }
        (false, "none") if !is_on => {}
        _ => losses.dropped(at, "what is shown of the thoughts cannot be chosen here"),
    }
}

const DISPLAY: &str = "/additionalModelRequestFields/thinking/display";
const THINKING: &str = "/additionalModelRequestFields/thinking";

/// How much another API wants the model to think.
struct Wish {
    enabled: Setting<Enabled>,
    effort: Setting<Effort>,
    budget: Setting<u64>,
}

impl Wish {
    fn is_empty(&self) -> bool {
        self.enabled.is_none() && self.effort.is_none() && self.budget.is_none()
    }

    fn is_off(&self) -> bool {
        let enabled = self.enabled.as_ref().map(|enabled| enabled.value);
        let effort = self.effort.as_ref().map(|effort| effort.value);
        let budget = self.budget.as_ref().map(|budget| budget.value);
        enabled == Some(Enabled::No)
            || enabled.is_none() && (effort == Some(Effort::None) || budget == Some(0))
    }

    /// Where it was asked for.
    fn at(&self) -> crate::representation::Pointer {
        let budget = self.budget.as_ref().map(|budget| &budget.at);
        let effort = self.effort.as_ref().map(|effort| &effort.at);
        let enabled = self.enabled.as_ref().map(|enabled| &enabled.at);
        budget.or(effort).or(enabled).cloned().unwrap_or_default()
    }

    fn claude(self, max_output: Option<u64>, root: &mut Value, losses: &mut Losses) {
        if self.is_empty() {
            return;
        }
        if self.is_off() {
            put(root, THINKING, json!({"type": "disabled"}));
            return;
        }
        let is_adaptive = |own: &At<Enabled>| own.value == Enabled::Adaptive;
        if self.budget.is_none() && self.enabled.as_ref().is_some_and(is_adaptive) {
            put(root, THINKING, json!({"type": "adaptive"}));
            self.effort_field(root, losses);
            return;
        }
        let at = self.at();
        let words = self.effort.as_ref().and_then(|own| own.value.as_budget());
        let wanted = self.budget.as_ref().map(|budget| budget.value);
        if let (Some(effort), true) = (&self.effort, wanted.is_none()) {
            losses.approximated(
                effort.at.clone(),
                "an effort is written as a budget of tokens",
            );
        }
        let wanted = wanted.or(words).unwrap_or(USUAL_BUDGET);
        let most = max_output.map_or(u64::MAX, |most| most.saturating_sub(1));
        if most < LEAST_BUDGET {
            losses.dropped(at, "the most output tokens leave no room to think");
            return;
        }
        let budget = wanted.clamp(LEAST_BUDGET, most);
        if budget != wanted {
            losses.approximated(
                at,
                "a budget is at least 1024 tokens and less than the most output tokens",
            );
        }
        put(
            root,
            THINKING,
            json!({"type": "enabled", "budget_tokens": budget}),
        );
    }

    fn adaptive(self, max_output: Option<u64>, root: &mut Value, losses: &mut Losses) {
        if self.budget.is_some() || self.is_off() || self.is_empty() {
            return self.claude(max_output, root, losses);
        }
        put(root, THINKING, json!({"type": "adaptive"}));
        self.effort_field(root, losses);
    }

    fn effort_field(self, root: &mut Value, losses: &mut Losses) {
        let Some(At { value, at }) = self.effort else {
            return;
        };
        let word = match value {
            Effort::None | Effort::Minimal => {
                losses.approximated(at, "the least effort is low");
                Effort::Low
            }
            other => other,
        };
        let place = "/additionalModelRequestFields/output_config/effort";
        put(root, place, word.as_str().into());
    }

    /// The effort in words, and whether the budget was turned into one.
    fn in_words(&self) -> (Option<Effort>, bool) {
        let budget = self.budget.as_ref().map(|budget| budget.value);
        match (&self.effort, budget) {
            (Some(effort), _) => (Some(effort.value), false),
            (None, Some(budget)) => (Some(Effort::of_budget(budget)), true),
            (None, None) => (None, false),
        }
    }

    fn nova(self, root: &mut Value, losses: &mut Losses) {
        if self.is_empty() {
            return;
        }
        let place = "/additionalModelRequestFields/reasoningConfig";
        if self.is_off() {
            put(root, place, json!({"type": "disabled"}));
            return;
        }
        let (effort, is_near) = self.in_words();
        let effort = effort.unwrap_or(Effort::Medium);
        let word = effort.clamp(Effort::Low, Effort::High);
        if is_near || word != effort {
            losses.approximated(self.at(), "how much to think is low, medium or high");
        }
        let config = json!({"type": "enabled", "maxReasoningEffort": word.as_str()});
        put(root, place, config);
    }

    fn gpt(self, root: &mut Value, losses: &mut Losses) {
        if self.is_off() {
            return self.none(losses);
        }
        let (effort, is_near) = self.in_words();
        let Some(effort) = effort else {
            return;
        };
        let word = effort.clamp(Effort::Low, Effort::High);
        if is_near || word != effort {
            losses.approximated(self.at(), "how much to think is low, medium or high");
        }
        let place = "/additionalModelRequestFields/reasoning_effort";
        put(root, place, word.as_str().into());
    }

    fn none(self, losses: &mut Losses) {
        let reason = "how much this model thinks cannot be chosen";
        losses.dropped_setting(self.enabled, reason);
        losses.dropped_setting(self.effort, reason);
        losses.dropped_setting(self.budget, reason);
    }
}

#[cfg(test)]
mod tests;
