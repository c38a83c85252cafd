//! What an answer means, whatever API it is written in.

use serde_json::Value;

use crate::apis::SupportedUpstreamAPIs as Api;
use crate::representation::{PartKind, ProviderResponse, StopKind};
use crate::translate::collected;

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Aspect {
    Text,
    Tools,
    Reasoning,
    Stop,
    Usage,
}

impl Aspect {
    pub(super) const ALL: [Self; 5] = [
        Self::Text,
        Self::Tools,
        Self::Reasoning,
        Self::Stop,
        Self::Usage,
    ];

    /// Whether an API has no place for it; then the loss has to be told.
    pub(super) fn may_be_lost(self, to: Api) -> bool {
        match self {
            Self::Text | Self::Usage => false,
            // A call of tools looks like an end where there are none.
            Self::Stop => to == Api::OpenAiCompletions,
            Self::Tools => to == Api::OpenAiCompletions,
            // Thoughts without a signature, or of another provider.
            Self::Reasoning => true,
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Meaning {
    text: String,
    tools: Vec<(String, Value)>,
    reasoning: String,
    stop: Option<StopKind>,
    usage: [Option<u64>; 2],
    parts_of_usage: [u64; 2],
}

impl Meaning {
    pub(super) fn of(answer: &ProviderResponse) -> Self {
        let mut meaning = Self {
            text: String::new(),
            tools: Vec::new(),
            reasoning: String::new(),
            stop: None,
            usage: [None; 2],
            parts_of_usage: [0; 2],
        };
        if let Some(choice) = answer.choices.first() {
            for part in &choice.parts {
                match &part.kind {
                    PartKind::Text { text, .. } | PartKind::Refusal(text) => {
                        meaning.text.push_str(text);
                    }
                    // What is said in sound is text where there is no sound.
                    PartKind::Audio {
                        transcript: Some(text),
                        ..
                    } => meaning.text.push_str(text),
                    // The provider's own affair, which most APIs do not show.
                    PartKind::ToolCall(call) if call.by_provider => {}
                    PartKind::ToolCall(call) => {
                        let arguments = serde_json::from_str(&call.arguments);
                        let arguments =
                            arguments.unwrap_or_else(|_| Value::String(call.arguments.clone()));
                        // No arguments are none, however that is written.
                        let arguments = match arguments {
                            Value::String(text) if text.is_empty() => {
                                Value::Object(Default::default())
                            }
                            Value::Null => Value::Object(Default::default()),
                            other => other,
                        };
                        meaning.tools.push((call.name.clone(), arguments));
                    }
                    PartKind::Reasoning(reasoning) => {
                        meaning.reasoning.push_str(&reasoning.text);
                        meaning.reasoning.push_str(&reasoning.summary.concat());
                    }
                    _ => {}
                }
            }
            meaning.stop = choice.stop.as_ref().map(|stop| stop.kind);
        }
        if let Some(usage) = &answer.usage {
            meaning.usage = [usage.input, usage.output];
            meaning.parts_of_usage = [usage.cached.unwrap_or(0), usage.reasoning.unwrap_or(0)];
        }
        meaning
    }

    pub(super) fn same(&self, other: &Self, aspect: Aspect) -> bool {
        match aspect {
            Aspect::Text => self.text == other.text,
            Aspect::Tools => self.tools == other.tools,
            Aspect::Reasoning => self.reasoning == other.reasoning,
            Aspect::Stop => near(self.stop) == near(other.stop),
            // A provider that reports none may be written as zero where the API insists.
            Aspect::Usage => self
                .usage
                .iter()
                .zip(other.usage)
                .all(|(own, other)| own.unwrap_or(0) == other.unwrap_or(0)),
        }
    }

    pub(super) fn show(&self, aspect: Aspect) -> String {
        let text = match aspect {
            Aspect::Text => format!("{:?}", self.text),
            Aspect::Tools => format!("{:?}", self.tools),
            Aspect::Reasoning => format!("{:?}", self.reasoning),
            Aspect::Stop => format!("{:?}", self.stop),
            Aspect::Usage => format!("{:?}", self.usage),
        };
        text.chars().take(150).collect()
    }
}

/// Kinds of ends that not every API tells apart.
fn near(stop: Option<StopKind>) -> Option<StopKind> {
    // Some providers do not tell.
    Some(match stop.unwrap_or(StopKind::End) {
        StopKind::StopSequence | StopKind::Pause | StopKind::Other => StopKind::End,
        StopKind::ContextWindow => StopKind::MaxTokens,
        StopKind::Refusal => StopKind::ContentFilter,
        StopKind::Malformed => StopKind::ToolCalls,
        other => other,
    })
}

/// What a stream adds up to, and whether it says that it is all.
pub(super) fn of_stream(api: Api, bytes: &[u8]) -> (Meaning, bool) {
    let collector = collected(api, bytes, 64 << 20).unwrap();
    let complete = collector.is_complete() || collector.error().is_some();
    (Meaning::of(&collector.into_answer()), complete)
}
