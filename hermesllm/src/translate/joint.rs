//! Stands between the reader of a provider that continues an answer and the grammar, which goes on
//! as if it were one answer.
//!
//! The first text of the continuation goes on with the one that is open, less what it repeats
//! ([`Seam`]); thoughts before it are left out, for the client has had its thoughts; and what it
//! costs comes on top of what was spent before.

use crate::apis::Sink;
use crate::representation::{BlockKind, Delta, ProviderStreamResponse as Event, TokenUsage};

use super::grammar::kind_of;
use super::signatures::is_before_call;
use super::trim::Seam;

/// Joins a continuation to what came before.
#[derive(Debug)]
pub(super) struct Joint {
    /// The text that is open, by the number that the grammar knows it by.
    open: Option<u32>,
    /// The first text of the continuation, by its reader's number.
    first: Option<u32>,
    /// Nothing but thoughts has come.
    leading: bool,
    /// Thoughts that are left out.
    left_out: Vec<(u32, u32)>,
    seam: Seam,
    spent: TokenUsage,
}

impl Joint {
    /// Behind a text, whose block may be open, and that has cost so much.
    pub(super) fn new(text: &str, open: Option<u32>, spent: TokenUsage) -> Self {
        Self {
            open,
            first: None,
            leading: true,
            left_out: Vec::new(),
            seam: Seam::new(text),
            spent,
        }
    }

    /// What both have cost, by what the continuation reports of itself.
    pub(super) fn sum(&self, own: &TokenUsage) -> TokenUsage {
        own.on_top_of(&self.spent)
    }

    /// Takes an event of the continuation.
    pub(super) fn event(&mut self, event: Event<'_>, sink: &mut Sink<'_>) {
        match event {
            Event::Start {
                id,
                model,
                created,
                service_tier,
                usage,
            } => {
                let usage = usage.map(|usage| self.sum(&usage));
                let later = usage.clone();
                // Counts where nothing has come before.
                sink(Event::Start {
                    id,
                    model,
                    created,
                    service_tier,
                    usage,
                });
                if let Some(usage) = later {
                    sink(Event::Usage(usage));
                }
            }
            Event::Usage(usage) => sink(Event::Usage(self.sum(&usage))),
            Event::BlockStart {
                choice,
                block,
                kind,
            } => {
                if self.begin(choice, block, &kind, sink) {
                    let block = self.number(choice, block);
                    sink(Event::BlockStart {
                        choice,
                        block,
                        kind,
                    });
                }
            }
            Event::Delta {
                choice,
                block,
                delta,
            } => self.delta(choice, block, delta, sink),
            Event::BlockStop { choice, block } => {
                let place = (choice, block);
                if let Some(at) = self.left_out.iter().position(|own| *own == place) {
                    self.left_out.swap_remove(at);
                    return;
                }
                if self.is_first(choice, block) {
                    self.flush(sink);
                }
                let block = self.number(choice, block);
                sink(Event::BlockStop { choice, block });
            }
            Event::Stop { .. } | Event::Error { .. } | Event::End => {
                self.flush(sink);
                sink(event);
            }
            // Belongs to what is left out, or to a start that is not told.
            Event::Other { .. } if self.leading => {}
            Event::Other { .. } | Event::Logprobs { .. } => sink(event),
        }
    }

    /// Tells what has waited.
    pub(super) fn flush(&mut self, sink: &mut Sink<'_>) {
        let waited = self.seam.flush();
        if let Some(first) = self.first.filter(|_| !waited.is_empty()) {
            let block = self.number(0, first);
            sink(Event::Delta {
                choice: 0,
                block,
                delta: Delta::Text(waited.into()),
            });
        }
    }

    /// Whether the grammar is told of a block that begins.
    fn begin(
        &mut self,
        choice: u32,
        block: u32,
        kind: &BlockKind<'_>,
        sink: &mut Sink<'_>,
    ) -> bool {
        if !self.leading {
            self.flush(sink);
            return true;
        }
        match kind {
            BlockKind::Text if choice == 0 => {
                self.leading = false;
                self.first = Some(block);
                self.open.is_none()
            }
            BlockKind::Reasoning { .. } if !is_before_call(block) => {
                self.left_out.push((choice, block));
                false
            }
            _ => {
                self.leading = false;
                if let Some(block) = self.open.take() {
                    sink(Event::BlockStop { choice: 0, block });
                }
                true
            }
        }
    }

    fn delta(&mut self, choice: u32, block: u32, delta: Delta<'_>, sink: &mut Sink<'_>) {
        if self.leading && !self.left_out.contains(&(choice, block)) {
            // Its start has not been told.
            let kind = kind_of(&delta);
            self.begin(choice, block, &kind, sink);
        }
        if self.left_out.contains(&(choice, block)) {
            return;
        }
        let number = self.number(choice, block);
        match delta {
            Delta::Text(text) if self.is_first(choice, block) => {
                let new = self.seam.push(&text);
                if !new.is_empty() {
                    sink(Event::Delta {
                        choice,
                        block: number,
                        delta: Delta::Text(new),
                    });
                }
            }
            Delta::Citation(mut citation) if self.is_first(choice, block) => {
                if self.open.is_some() {
                    // It counts from where the continuation begins.
                    citation.span = None;
                }
                sink(Event::Delta {
                    choice,
                    block: number,
                    delta: Delta::Citation(citation),
                });
            }
            delta => sink(Event::Delta {
                choice,
                block: number,
                delta,
            }),
        }
    }

    fn is_first(&self, choice: u32, block: u32) -> bool {
        choice == 0 && self.first == Some(block)
    }

    /// The grammar's number for a block: the first text has the one of the text that it goes on
    /// with, and what happens to have that number has the first text's.
    fn number(&self, choice: u32, block: u32) -> u32 {
        match (self.open, self.first) {
            (Some(open), Some(first)) if choice == 0 && block == first => open,
            (Some(open), Some(first)) if choice == 0 && block == open => first,
            _ => block,
        }
    }
}
