//! Chunks, written.

use std::collections::BTreeMap;
use std::io::Write as _;

use serde::Serialize;
use serde_json::json;

use super::super::{logprobs, response, usage};
use crate::apis::{WriteEvents, WriteOptions};
use crate::representation::{BlockKind, Delta, Losses, ProviderStreamResponse as Event};

/// Writes chunks.
#[derive(Debug)]
pub struct Writer {
    options: WriteOptions,
    /// What each chunk begins with, up to its choices.
    head: Vec<u8>,
    /// By choice, how many characters have log probabilities.
    offsets: BTreeMap<u32, usize>,
}

impl Writer {
    /// A writer at the beginning.
    pub fn new(options: WriteOptions) -> Self {
        Self {
            options,
            head: Vec::new(),
            offsets: BTreeMap::new(),
        }
    }

    fn start(&mut self, id: &str, model: &str, created: Option<u64>) {
        let id = if id.is_empty() { &self.options.id } else { id };
        let model = if model.is_empty() {
            &self.options.model
        } else {
            model
        };
        let created = created.unwrap_or(self.options.created);
        let head = &mut self.head;
        head.extend_from_slice(b"data: {\"id\":");
        string(head, id);
        // Writing to a Vec cannot fail.
        let _ = write!(
            head,
            ",\"object\":\"text_completion\",\"created\":{created},\"model\":"
        );
        string(head, model);
    }

    /// A chunk with one choice.
    fn chunk(&self, out: &mut Vec<u8>, choice: u32, text: &str, logprobs: &str, end: &str) {
        out.extend_from_slice(&self.head);
        let _ = write!(out, ",\"choices\":[{{\"index\":{choice},\"text\":");
        string(out, text);
        let _ = write!(
            out,
            ",\"logprobs\":{logprobs},\"finish_reason\":{end}}}]}}\n\n"
        );
    }
}

/// Blocks of these kinds have no place.
fn lost(choice: u32, kind: &BlockKind<'_>, losses: &mut Losses) {
    let reason = match kind {
        BlockKind::Text => return,
        BlockKind::Refusal => {
            let at = format!("/choices/{choice}/message");
            return losses.approximated(at, "a refusal becomes text");
        }
        BlockKind::Reasoning { .. } => "this API has no thoughts",
        BlockKind::ToolCall { .. } => "this API has no tools",
        BlockKind::Media { .. } | BlockKind::Other { .. } => "this API answers in text",
    };
    losses.dropped(format!("/choices/{choice}/message"), reason);
}

fn string(out: &mut Vec<u8>, text: &str) {
    // Writing a text to a Vec cannot fail.
    let _ = text.serialize(&mut serde_json::Serializer::new(out));
}

impl WriteEvents for Writer {
    fn event(&mut self, event: Event<'_>, out: &mut Vec<u8>, losses: &mut Losses) {
        match event {
            Event::Start {
                id,
                model,
                created,
                // Has no place here.
                service_tier: _,
                usage: _,
            } => self.start(&id, &model, created),
            Event::BlockStart { choice, kind, .. } => lost(choice, &kind, losses),
            Event::Delta { choice, delta, .. } => match delta {
                Delta::Text(text) | Delta::Transcript(text) => {
                    self.chunk(out, choice, &text, "null", "null");
                }
                Delta::Citation(_) => {
                    let at = format!("/choices/{choice}/message");
                    losses.dropped(at, "this API has no citations");
                }
                // Told when their blocks began.
                Delta::Reasoning(_)
                | Delta::Summary(..)
                | Delta::Signature(_)
                | Delta::Encrypted(_)
                | Delta::Arguments(_)
                | Delta::Data(_) => {}
            },
            Event::BlockStop { .. } => {}
            Event::Stop { choice, reason } => {
                let at = format!("/choices/{choice}");
                let word = response::told(&reason, &at, losses);
                self.chunk(out, choice, "", "null", &format!("\"{word}\""));
            }
            Event::Usage(own) => {
                let own = usage::write(own, Vec::new(), false, losses);
                if self.options.include_usage {
                    out.extend_from_slice(&self.head);
                    let _ = write!(out, ",\"choices\":[],\"usage\":{own}}}\n\n");
                }
            }
            Event::Logprobs { choice, content } => {
                let offset = self.offsets.entry(choice).or_default();
                let lists = logprobs::write(&content, offset).to_string();
                self.chunk(out, choice, "", &lists, "null");
            }
            // Signs of life and bookkeeping of another API.
            Event::Other { .. } => {}
            Event::Error {
                kind,
                status,
                message,
            } => {
                let kind = response::kind_of(status.unwrap_or(500), &kind);
                let code = status.map(|status| status.to_string());
                let error = json!({"error": {
                    "message": message, "type": kind, "param": null, "code": code,
                }});
                let _ = write!(out, "data: {error}\n\n");
            }
            Event::End => out.extend_from_slice(b"data: [DONE]\n\n"),
        }
    }
}
