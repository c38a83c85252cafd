//! The answer that a stream adds up to.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::representation::{
    Blob, BlockKind, Choice, Delta, Part, PartKind, ProviderResponse,
    ProviderStreamResponse as Event, Reasoning, TokenUsage, ToolCall,
};

/// Adds events up. They have to follow the grammar ([`Grammar`](super::Grammar)).
#[derive(Debug, Default)]
pub struct Collector {
    answer: ProviderResponse,
    choices: BTreeMap<u32, Collected>,
    error: Option<String>,
    complete: bool,
}

#[derive(Debug, Default)]
struct Collected {
    parts: BTreeMap<u32, Part>,
    choice: Choice,
    logprobs: Vec<Value>,
}

impl Collector {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the provider has said that this is all.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// The message of the error that the stream ended with.
    pub fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    /// Takes an event.
    pub fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Start {
                id,
                model,
                created,
                service_tier,
                usage,
            } => {
                self.answer.id = id.into_owned();
                self.answer.model = model.into_owned();
                self.answer.created = created;
                self.answer.service_tier = service_tier.map(|tier| tier.into_owned());
                self.answer.usage = usage;
            }
            Event::BlockStart {
                choice,
                block,
                kind,
            } => {
                let at = format!("/{choice}/{block}");
                let part = Part::new(part_of(kind), at);
                let own = self.choices.entry(choice).or_default();
                own.parts.insert(block, part);
            }
            Event::Delta {
                choice,
                block,
                delta,
            } => {
                let own = self.choices.entry(choice).or_default();
                if let Some(part) = own.parts.get_mut(&block) {
                    add(part, delta);
                }
            }
            Event::BlockStop { .. } => {}
            Event::Stop { choice, reason } => {
                self.choices.entry(choice).or_default().choice.stop = Some(reason);
            }
            Event::Usage(usage) => {
                let known = self.answer.usage.get_or_insert_with(TokenUsage::default);
                known.update(&usage);
            }
            Event::Logprobs { choice, content } => {
                let own = self.choices.entry(choice).or_default();
                match content {
                    Value::Array(items) => own.logprobs.extend(items),
                    other => own.logprobs.push(other),
                }
            }
            Event::Other { .. } => {}
            Event::Error { message, .. } => self.error = Some(message.into_owned()),
            Event::End => self.complete = true,
        }
    }

    /// The answer, as far as it has come.
    pub fn into_answer(self) -> ProviderResponse {
        let mut answer = self.answer;
        for (_, own) in self.choices {
            let mut choice = own.choice;
            choice.parts = own.parts.into_values().collect();
            if !own.logprobs.is_empty() {
                choice.logprobs = Some(Value::Array(own.logprobs));
            }
            answer.choices.push(choice);
        }
        answer
    }
}

fn part_of(kind: BlockKind<'_>) -> PartKind {
    match kind {
        BlockKind::Text => PartKind::Text {
            text: String::new(),
            citations: Vec::new(),
        },
        BlockKind::Refusal => PartKind::Refusal(String::new()),
        BlockKind::Reasoning { id, encrypted } => PartKind::Reasoning(Reasoning {
            id: id.map(|id| id.into_owned()),
            encrypted: encrypted.map(|data| data.into_owned()),
            ..Reasoning::default()
        }),
        BlockKind::ToolCall {
            id,
            name,
            custom,
            by_provider,
        } => PartKind::ToolCall(ToolCall {
            id: id.into_owned(),
            name: name.into_owned(),
            arguments: String::new(),
            custom,
            by_provider,
        }),
        BlockKind::Media { media_type } => media(media_type.into_owned()),
        BlockKind::Other { kind, value } => PartKind::Other {
            kind: kind.into_owned(),
            value,
        },
    }
}

fn add(part: &mut Part, delta: Delta<'_>) {
    match (&mut part.kind, delta) {
        (PartKind::Text { text, .. } | PartKind::Refusal(text), Delta::Text(more)) => {
            text.push_str(&more);
        }
        (PartKind::Text { citations, .. }, Delta::Citation(citation)) => citations.push(citation),
        (PartKind::Reasoning(own), delta) => reason(own, delta),
        (PartKind::ToolCall(call), Delta::Arguments(more)) => call.arguments.push_str(&more),
        (_, Delta::Signature(more)) => {
            part.signature.get_or_insert_default().push_str(&more);
        }
        (PartKind::Image { source, .. } | PartKind::Audio { source, .. }, Delta::Data(more)) => {
            if let Blob::Base64 { data, .. } = source {
                data.push_str(&more);
            }
        }
        (PartKind::Audio { transcript, .. }, Delta::Transcript(more)) => {
            transcript.get_or_insert_default().push_str(&more);
        }
        _ => {}
    }
}

fn media(media_type: String) -> PartKind {
    let is_image = media_type.starts_with("image/");
    let source = Blob::Base64 {
        media_type,
        data: String::new(),
    };
    if is_image {
        PartKind::Image {
            source,
            detail: None,
        }
    } else {
        PartKind::Audio {
            source,
            transcript: None,
        }
    }
}

fn reason(own: &mut Reasoning, delta: Delta<'_>) {
    match delta {
        Delta::Reasoning(more) | Delta::Text(more) => own.text.push_str(&more),
        Delta::Summary(number, more) => {
            let number = usize::try_from(number).unwrap_or(usize::MAX);
            // Summaries are numbered one after the other: a number far beyond is no reason to
            // make room for all before it.
            while own.summary.len() <= number && own.summary.len() < 1000 {
                own.summary.push(String::new());
            }
            if let Some(summary) = own.summary.get_mut(number) {
                summary.push_str(&more);
            }
        }
        Delta::Signature(more) => own.signature.get_or_insert_default().push_str(&more),
        Delta::Encrypted(more) => own.encrypted.get_or_insert_default().push_str(&more),
        _ => {}
    }
}
