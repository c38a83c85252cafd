//! What an answer tells of itself on its way.

use crate::apis::embeddings::EmbeddingResponse;
use crate::representation::{
    Delta, Part, PartKind, ProviderResponse, ProviderStreamResponse as Event, TokenUsage,
};

/// What has been learnt of an answer so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Observed {
    /// The provider's identifier of the answer.
    pub id: Option<String>,
    /// The model that the provider names.
    pub model: Option<String>,
    /// What it cost, as far as it is reported.
    pub usage: Option<TokenUsage>,
    /// Why the first answer ended, in the provider's word.
    pub finish_reason: Option<String>,
    /// The model has begun to write.
    pub content_started: bool,
    /// Bytes of text, thoughts and arguments.
    pub content_bytes: u64,
    /// Events read.
    pub events: u64,
    /// Blocks without an event: signs of life.
    pub comments: u64,
    /// The stream holds an error.
    pub error: bool,
}

impl Observed {
    /// What a whole answer tells.
    pub(super) fn of_answer(answer: &ProviderResponse) -> Self {
        let text = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        let first = answer.choices.first();
        let parts = answer.choices.iter().flat_map(|choice| &choice.parts);
        Self {
            id: text(&answer.id),
            model: text(&answer.model),
            usage: answer.usage.clone(),
            finish_reason: first
                .and_then(|choice| choice.stop.as_ref())
                .map(|stop| stop.raw.clone()),
            content_started: true,
            content_bytes: parts.map(size).sum(),
            ..Self::default()
        }
    }

    /// What an answer with embeddings tells.
    pub(super) fn of_embeddings(answer: &EmbeddingResponse) -> Self {
        let text = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        Self {
            id: text(&answer.id),
            model: text(&answer.model),
            usage: Some(TokenUsage {
                input: answer.usage.input,
                output: Some(0),
                ..TokenUsage::default()
            }),
            content_started: true,
            ..Self::default()
        }
    }

    pub(super) fn note(&mut self, event: &Event<'_>) {
        match event {
            Event::Start {
                id, model, usage, ..
            } => {
                self.id = Some(id.as_ref().to_owned()).filter(|id| !id.is_empty());
                self.model = Some(model.as_ref().to_owned()).filter(|model| !model.is_empty());
                if let Some(usage) = usage {
                    self.usage(usage);
                }
            }
            Event::Delta { delta, .. } => {
                self.content_started = true;
                self.content_bytes += length(delta);
            }
            Event::Usage(usage) => self.usage(usage),
            Event::Stop { reason, .. } => {
                self.finish_reason.get_or_insert_with(|| reason.raw.clone());
            }
            Event::Error { .. } => self.error = true,
            _ => {}
        }
    }

    fn usage(&mut self, later: &TokenUsage) {
        self.usage
            .get_or_insert_with(TokenUsage::default)
            .update(later);
    }
}

fn size(part: &Part) -> u64 {
    match &part.kind {
        PartKind::Text { text, .. } | PartKind::Refusal(text) => text.len() as u64,
        PartKind::Reasoning(reasoning) => reasoning.text.len() as u64,
        PartKind::ToolCall(call) => call.arguments.len() as u64,
        _ => 0,
    }
}

fn length(delta: &Delta<'_>) -> u64 {
    match delta {
        Delta::Text(text)
        | Delta::Reasoning(text)
        | Delta::Summary(_, text)
        | Delta::Arguments(text)
        | Delta::Transcript(text) => text.len() as u64,
        Delta::Signature(_) | Delta::Encrypted(_) | Delta::Citation(_) | Delta::Data(_) => 0,
    }
}
