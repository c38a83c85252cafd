//! A stream of a provider's, understood as it comes.

use crate::apis::{ReadEvents, Sink, SupportedUpstreamAPIs as Api};
use crate::error::ApiError;
use crate::representation::{ProviderStreamResponse as Event, TokenUsage};

use super::framing::{Framing, Piece};
use super::joint::Joint;
use super::signatures::Marking;
use super::{Grammar, Observed, Order};

/// From bytes to events that follow the grammar, noting what they tell.
#[derive(Debug)]
pub(super) struct Understanding {
    pub(super) framing: Framing,
    reader: Box<dyn ReadEvents>,
    marking: Option<Marking>,
    /// What stands between a continuation and what came before.
    joint: Option<Joint>,
    grammar: Grammar,
    pub(super) observed: Observed,
    unread: Unread,
}

/// A provider that continues an answer.
pub(super) struct Next<'a> {
    pub(super) api: Api,
    pub(super) marking: Option<Marking>,
    /// What the client has got.
    pub(super) text: &'a str,
    /// What that has cost.
    pub(super) spent: TokenUsage,
    pub(super) max_event_bytes: usize,
}

/// What becomes of an event that is too large to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unread {
    /// The answer fails: what cannot be read cannot be translated, and that a piece is missing must
    /// not go unnoticed.
    Fails,
    /// It passes all the same; none has so far.
    Passes,
    /// It has passed, and so the end may have.
    Passed,
}

impl Understanding {
    /// At the start of a stream; `None` where the API has none.
    pub(super) fn new(api: Api, order: Order, max_event_bytes: usize) -> Option<Self> {
        Some(Self {
            framing: Framing::of(api, max_event_bytes),
            reader: api.reader()?,
            marking: None,
            joint: None,
            grammar: Grammar::new(order),
            observed: Observed::default(),
            unread: Unread::Fails,
        })
    }

    /// Takes no offence at events that are too large to be read: they pass without being read.
    pub(super) fn of_what_passes(self) -> Self {
        Self {
            unread: Unread::Passes,
            ..self
        }
    }

    /// Marks signatures for a client's API.
    pub(super) fn marking(self, marking: Option<Marking>) -> Self {
        Self { marking, ..self }
    }

    /// Takes the next bytes.
    pub(super) fn push(&mut self, bytes: &[u8], sink: &mut Sink<'_>) {
        let Self {
            framing,
            reader,
            marking,
            joint,
            grammar,
            observed,
            unread,
        } = self;
        framing.push(bytes, &mut |piece| {
            take(
                piece,
                unread,
                &mut **reader,
                observed,
                &mut |event, observed| {
                    pass(event, (&mut *marking, &mut *joint), grammar, observed, sink);
                },
            );
        });
    }

    /// Takes note of the end; whether the answer was complete.
    pub(super) fn finish(&mut self, sink: &mut Sink<'_>) -> bool {
        let Self {
            framing,
            reader,
            marking,
            joint,
            grammar,
            observed,
            unread,
        } = self;
        let whole = framing.finish(&mut |piece| {
            take(
                piece,
                unread,
                &mut **reader,
                observed,
                &mut |event, observed| {
                    pass(event, (&mut *marking, &mut *joint), grammar, observed, sink);
                },
            );
        });
        if whole {
            reader.finish(&mut |event| {
                pass(event, (&mut *marking, &mut *joint), grammar, observed, sink)
            });
        }
        grammar.has_ended() || (whole && *unread == Unread::Passed)
    }

    /// Whether the answer has been said to end.
    pub(super) fn has_stopped(&self) -> bool {
        self.grammar.has_stopped()
    }

    /// Reads another provider's stream from here on, which continues a text; gives whether the
    /// block of that text is still open. Without streams in its API nothing happens.
    pub(super) fn resume(&mut self, next: Next<'_>, sink: &mut Sink<'_>) -> Option<bool> {
        let Next {
            api,
            marking,
            text,
            spent,
            max_event_bytes,
        } = next;
        self.reader = api.reader()?;
        self.framing = Framing::of(api, max_event_bytes);
        self.marking = marking;
        self.unread = Unread::Fails;
        let known = Some(spent.clone()).filter(|spent| *spent != TokenUsage::default());
        self.observed.usage.clone_from(&known);
        self.observed.error = false;
        let open = self.grammar.resume(known, sink);
        self.joint = Some(Joint::new(text, open, spent));
        Some(open.is_some())
    }

    /// Ends the answer with an error of ours, unless it has ended.
    pub(super) fn fail(&mut self, error: &ApiError, sink: &mut Sink<'_>) {
        let event = Event::Error {
            kind: error.code.reason().into(),
            status: Some(error.code.status()),
            message: error.message.as_str().into(),
        };
        pass(
            event,
            (&mut self.marking, &mut self.joint),
            &mut self.grammar,
            &mut self.observed,
            sink,
        );
    }
}

fn pass(
    event: Event<'_>,
    (marking, joint): (&mut Option<Marking>, &mut Option<Joint>),
    grammar: &mut Grammar,
    observed: &mut Observed,
    sink: &mut Sink<'_>,
) {
    if let (
        Some(joint),
        Event::Start {
            usage: Some(usage), ..
        },
    ) = (&joint, &event)
    {
        // The grammar keeps it for the end.
        observed.usage = Some(joint.sum(usage));
    }
    let mut to_grammar = |event: Event<'_>| {
        grammar.event(event, &mut |event| {
            observed.note(&event);
            sink(event);
        });
    };
    let mut to_joint = |event: Event<'_>| match joint {
        Some(joint) => joint.event(event, &mut to_grammar),
        None => to_grammar(event),
    };
    match marking {
        Some(marking) => marking.event(event, &mut to_joint),
        None => to_joint(event),
    }
}

fn take(
    piece: Piece<'_>,
    unread: &mut Unread,
    reader: &mut dyn ReadEvents,
    observed: &mut Observed,
    pass: &mut dyn FnMut(Event<'_>, &mut Observed),
) {
    match piece {
        Piece::Event(name, data) => {
            observed.events += 1;
            reader.event(name, data, &mut |event| pass(event, observed));
        }
        Piece::Comment => observed.comments += 1,
        Piece::Oversized if *unread != Unread::Fails => {
            observed.events += 1;
            *unread = Unread::Passed;
        }
        Piece::Oversized => {
            let error = Event::Error {
                kind: "upstream_protocol_error".into(),
                status: Some(502),
                message: "the provider's stream holds an event that is too large".into(),
            };
            pass(error, observed);
        }
    }
}
