//! The core of what a request means, whatever API it is written in.

use serde_json::Value;

use crate::representation::{Blob, Loss, Part, PartKind, Request, Role, ToolKind};

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Aspect {
    Turns,
    Calls,
    Results,
    Pictures,
    Tools,
    Stop,
    MaxTokens,
}

impl Aspect {
    pub(super) const ALL: [Self; 7] = [
        Self::Turns,
        Self::Calls,
        Self::Results,
        Self::Pictures,
        Self::Tools,
        Self::Stop,
        Self::MaxTokens,
    ];

    /// Whether a loss on the way, of a document in any API, is one of the aspect: by its place, and
    /// of what has nothing to do with the core by its reason.
    pub(super) fn covers(self, loss: &Loss) -> bool {
        const BESIDE: [&str; 5] = ["signature", "member", "identifiers", "caches", "thoughts"];
        let Loss { path, reason, .. } = loss;
        if BESIDE.iter().any(|word| reason.contains(word)) {
            return false;
        }
        let under = |places: &[&str]| places.iter().any(|place| path.starts_with(place));
        match self {
            Self::Turns | Self::Calls | Self::Results | Self::Pictures => under(&[
                "/messages",
                "/input",
                "/instructions",
                "/contents",
                "/system",
                "/prompt",
            ]),
            // Those that a conversation without tools gets have no place in it.
            Self::Tools => path.is_empty() || under(&["/tool", "/functions"]),
            Self::Stop => path.contains("stop"),
            Self::MaxTokens => path.contains("max") && path.to_lowercase().contains("tokens"),
        }
    }
}

/// The core of a request.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Core {
    turns: Vec<(&'static str, String)>,
    calls: Vec<(String, Value)>,
    results: Vec<(Option<usize>, String)>,
    pictures: Vec<&'static str>,
    tools: Vec<String>,
    stop: Option<Vec<String>>,
    max_tokens: Option<u64>,
}

impl Core {
    pub(super) fn of(request: &Request) -> Self {
        let mut core = Self {
            stop: request.stop.as_ref().map(|own| own.value.clone()),
            max_tokens: request.max_output.as_ref().map(|own| own.value),
            ..Self::default()
        };
        // An empty list says as much as none.
        core.stop = core.stop.filter(|texts| !texts.is_empty());
        for tool in &request.tools {
            match &tool.kind {
                ToolKind::Function(function) => core.tools.push(function.name.clone()),
                ToolKind::Custom { name, .. } => core.tools.push(name.clone()),
                ToolKind::BuiltIn { .. } => {}
            }
        }
        let mut ids = Vec::new();
        for turn in &request.turns {
            for part in &turn.parts {
                core.part(turn.role, part, &mut ids);
            }
        }
        core
    }

    fn part(&mut self, role: Role, part: &Part, ids: &mut Vec<String>) {
        match &part.kind {
            PartKind::Text { text, .. } | PartKind::Refusal(text) => self.text(role, text),
            PartKind::Image { source, .. } => self.pictures.push(match source {
                Blob::Base64 { .. } => "bytes",
                Blob::Url { .. } => "address",
                _ => "other",
            }),
            PartKind::ToolCall(call) if !call.by_provider => {
                ids.push(call.id.clone());
                let arguments = serde_json::from_str(&call.arguments);
                let arguments = arguments.unwrap_or_else(|_| call.arguments.clone().into());
                self.calls.push((call.name.clone(), arguments));
            }
            PartKind::ToolResult(result) => {
                let call = ids.iter().rposition(|id| *id == result.call_id);
                // An empty object says nothing.
                let says = |own: &&Value| own.as_object().is_none_or(|own| !own.is_empty());
                let structured = result.structured.as_ref().filter(says);
                let structured = structured.map(Value::to_string);
                let texts = result.parts.iter().filter_map(|part| match &part.kind {
                    PartKind::Text { text, .. } => Some(text.as_str()),
                    _ => None,
                });
                let text: String = structured.as_deref().into_iter().chain(texts).collect();
                self.results.push((call, text));
                for part in &result.parts {
                    if let PartKind::Image { .. } = part.kind {
                        self.part(role, part, ids);
                    }
                }
            }
            _ => {}
        }
    }

    /// Text that follows text of the same speaker is more of it.
    fn text(&mut self, role: Role, text: &str) {
        let speaker = match role {
            Role::System | Role::Developer => "operator",
            Role::User => "user",
            Role::Assistant => "assistant",
        };
        if text.is_empty() {
            return;
        }
        match self.turns.last_mut() {
            Some((last, before)) if *last == speaker => before.push_str(text),
            _ => self.turns.push((speaker, text.to_owned())),
        }
    }

    pub(super) fn same(&self, other: &Self, aspect: Aspect) -> bool {
        match aspect {
            Aspect::Turns => self.turns == other.turns,
            Aspect::Calls => self.calls == other.calls,
            Aspect::Results => self.results == other.results,
            Aspect::Pictures => self.pictures == other.pictures,
            Aspect::Tools => self.tools == other.tools,
            Aspect::Stop => self.stop == other.stop,
            // Some APIs want a limit; one that says none has gets one on the way back too.
            Aspect::MaxTokens => self.max_tokens.is_none() || self.max_tokens == other.max_tokens,
        }
    }

    pub(super) fn show(&self, aspect: Aspect) -> String {
        let text = match aspect {
            Aspect::Turns => format!("{:?}", self.turns),
            Aspect::Calls => format!("{:?}", self.calls),
            Aspect::Results => format!("{:?}", self.results),
            Aspect::Pictures => format!("{:?}", self.pictures),
            Aspect::Tools => format!("{:?}", self.tools),
            Aspect::Stop => format!("{:?}", self.stop),
            Aspect::MaxTokens => format!("{:?}", self.max_tokens),
        };
        text.chars().take(400).collect()
    }
}
