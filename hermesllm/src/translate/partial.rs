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
        /// The client has the start of thoughts that a writer would not have told yet.
        ahead: Ahead,
    },
    /// It cannot be continued.
    Lost,
}

/// Where the stream passes as it is, whether the client knows more than the writer, which tells of
/// thoughts when something comes of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ahead {
    /// The stream is written by the writer.
    Never,
    No,
    /// Until something comes of the thoughts.
    Thoughts,
    /// Until the block with encrypted thoughts ends.
    Encrypted,
}

impl Ahead {
    fn note(&mut self, event: &Event<'_>) {
        *self = match (*self, event) {
            (Self::Never, _) => return,
            (
                _,
                Event::BlockStart {
                    kind: BlockKind::Reasoning { encrypted, .. },
                    ..
                },
            ) => match encrypted {
                Some(_) => Self::Encrypted,
                None => Self::Thoughts,
            },
            (Self::Thoughts, Event::Delta { delta, .. }) => match delta {
                Delta::Encrypted(_) => Self::Encrypted,
                _ => Self::No,
            },
            (Self::Encrypted, Event::BlockStop { .. }) => Self::No,
            (own, _) => own,
        }
    }
}

impl Track {
    /// An answer at its beginning; one that passes as it is, if it `passes`.
    pub(super) fn new(passes: bool) -> Self {
        Self::Kept {
            partial: Partial {
                text: String::new(),
            },
            block: None,
            may_begin: true,
            ahead: if passes { Ahead::No } else { Ahead::Never },
        }
    }

    /// What there is to continue.
    pub(super) fn partial(&self) -> Option<&Partial> {
        match self {
            Self::Kept {
                partial,
                ahead: Ahead::Never | Ahead::No,
                ..
            } => Some(partial),
            _ => None,
        }
    }

    /// Another provider goes on; with a text of its own, if the one so far has ended.
    pub(super) fn resume(&mut self, has_ended: bool) {
        if let Self::Kept {
            may_begin, ahead, ..
        } = self
        {
            *may_begin |= has_ended;
            *ahead = Ahead::Never;
        }
    }

    /// Takes note of what the client gets.
    pub(super) fn note(&mut self, event: &Event<'_>) {
        let Self::Kept {
            partial: Partial { text },
            block: own,
            may_begin,
            ahead,
        } = self
        else {
            return;
        };
        ahead.note(event);
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
