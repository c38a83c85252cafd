//! What has gone to a client of an answer that another provider may have to go on with.

use std::fmt;

use crate::representation::{BlockKind, Delta, ProviderStreamResponse as Event};

/// An answer with more text than this is not continued.
const MOST_BYTES: usize = 1 << 20;

/// The beginning of an answer, as its client has it.
#[derive(Clone, PartialEq, Eq)]
pub struct Partial {
    /// The text so far; empty where nothing but thoughts has come, or nothing at all.
    pub text: String,
}

impl fmt::Debug for Partial {
    /// Without a word of the answer.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Partial")
            .field("bytes", &self.text.len())
            .finish()
    }
}

/// Keeps account of what goes to the client, as long as it can be continued: one answer, thoughts
/// perhaps, then one text.
#[derive(Debug)]
pub(super) enum Track {
    /// Nobody has asked.
    Off,
    /// It can be continued so far.
    Kept {
        partial: Partial,
        /// The number of the text.
        block: Option<u32>,
        /// A text may still begin.
        may_begin: bool,
    },
    /// It cannot be continued.
    Lost,
}

impl Track {
    /// An answer at its beginning.
    pub(super) fn new() -> Self {
        Self::Kept {
            partial: Partial {
                text: String::new(),
            },
            block: None,
            may_begin: true,
        }
    }

    /// What there is to continue.
    pub(super) fn partial(&self) -> Option<&Partial> {
        match self {
            Self::Kept { partial, .. } => Some(partial),
            Self::Off | Self::Lost => None,
        }
    }

    /// Another provider goes on; with a text of its own, if the one so far has ended.
    pub(super) fn resume(&mut self, has_ended: bool) {
        if let Self::Kept { may_begin, .. } = self {
            *may_begin |= has_ended;
        }
    }

    /// Takes note of what the client gets.
    pub(super) fn note(&mut self, event: &Event<'_>) {
        let Self::Kept {
            partial: Partial { text },
            block: own,
            may_begin,
        } = self
        else {
            return;
        };
        let lost = match event {
            Event::BlockStart {
                choice: 0,
                block,
                kind: BlockKind::Text,
            } if *may_begin => {
                *own = Some(*block);
                *may_begin = false;
                false
            }
            Event::BlockStart {
                choice: 0,
                kind: BlockKind::Reasoning { .. },
                ..
            } => !*may_begin,
            Event::BlockStart { .. } | Event::Stop { .. } | Event::Error { .. } | Event::End => {
                true
            }
            Event::Delta {
                choice: 0,
                block,
                delta: Delta::Text(more),
            } if Some(*block) == *own => {
                text.push_str(more);
                text.len() > MOST_BYTES
            }
            _ => false,
        };
        if lost {
            *self = Self::Lost;
        }
    }
}
