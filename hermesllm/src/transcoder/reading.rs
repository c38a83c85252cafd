//! What has been learnt of an answer so far.
//!
//! Owns the meaning of the members that the tap reports: usage and its estimate, model, identifier, why generation
//! ended, and whether the stream has come to the end that its API prescribes. Must never fail: what it does not
//! understand it leaves out.

use std::borrow::Cow;

use super::members::Member;
use crate::endpoint::Endpoint;
use crate::json_tap::Signal;
use crate::usage::{whole_number, CacheCount, ReportedUsage, Usage};

/// Identifiers, model names and reasons longer than this, in bytes of JSON text, are left out.
const MAX_NAME: usize = 256;

/// What one event has said; takes effect when the event is known to be whole.
#[derive(Clone, Copy, Debug, Default)]
struct EventNotes {
    kind: Option<EventKind>,
    sequence: Option<u64>,
    choice: Option<ChoiceNotes>,
    choices_in_event: u32,
    choices_array: bool,
    usage: bool,
    error: bool,
    finished_choices: u128,
    seen_choices: u128,
}

#[derive(Clone, Copy, Debug, Default)]
struct ChoiceNotes {
    index: Option<u64>,
    finished: bool,
}

/// What the type of an event says about the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EventKind {
    /// A piece of what the model writes.
    Content,
    /// A piece of media: content, but no text.
    Media,
    /// The last event of an answer.
    Terminal,
    /// An error, which ends the answer.
    Error,
    Other,
}

impl EventKind {
    fn of(endpoint: Endpoint, name: &[u8]) -> Self {
        match (endpoint, name) {
            (Endpoint::Messages | Endpoint::Responses, b"error") => Self::Error,
            (Endpoint::Messages, b"message_stop") => Self::Terminal,
            (Endpoint::Messages, b"content_block_start" | b"content_block_delta") => Self::Content,
            (
                Endpoint::Responses,
                b"response.completed"
                | b"response.incomplete"
                | b"response.failed"
                | b"response.cancelled",
            ) => Self::Terminal,
            (
                Endpoint::Responses,
                b"response.audio.delta"
                | b"response.output_audio.delta"
                | b"response.image_generation_call.partial_image"
                | b"response.output_item.done",
            ) => Self::Media,
            (Endpoint::Responses, name) if name.ends_with(b".delta") => Self::Content,
            _ => Self::Other,
        }
    }
}

/// The figures and names of an answer, as far as it has passed.
#[derive(Debug)]
pub(super) struct Reading {
    endpoint: Endpoint,
    estimated_input: u64,
    succeeded: bool,
    reported: Option<ReportedUsage>,
    /// The report is not the last word: its output figure may grow.
    provisional: bool,
    text_bytes: u64,
    event: EventNotes,
    /// A bit per choice, by index; those from 127 on share one.
    seen_choices: u128,
    finished_choices: u128,
    /// The last event of the API, or an error that takes its place, has come.
    ended: bool,
    pub(super) events: u64,
    pub(super) content_started: bool,
    pub(super) error: bool,
    pub(super) model: Option<String>,
    pub(super) id: Option<String>,
    pub(super) finish_reason: Option<String>,
    pub(super) next_sequence: u64,
}

impl Reading {
    pub(super) fn new(endpoint: Endpoint, estimated_input: u64, succeeded: bool) -> Self {
        Self {
            endpoint,
            estimated_input,
            succeeded,
            reported: None,
            provisional: false,
            text_bytes: 0,
            event: EventNotes::default(),
            seen_choices: 0,
            finished_choices: 0,
            ended: false,
            events: 0,
            content_started: false,
            error: false,
            model: None,
            id: None,
            finish_reason: None,
            next_sequence: 0,
        }
    }

    /// The usage, and whether any of it is estimated.
    pub(super) fn usage(&self) -> (Usage, bool) {
        let cache = if self.endpoint == Endpoint::Messages {
            CacheCount::Apart
        } else {
            CacheCount::Included
        };
        let estimated_output = self.text_bytes.div_ceil(4);
        match self.reported {
            Some(reported) => {
                let mut usage = reported.usage(cache);
                if self.provisional {
                    usage.output = usage.output.max(estimated_output);
                }
                (usage, self.provisional)
            }
            // A refused request costs nothing unless the provider says so.
            None if !self.succeeded => (Usage::default(), false),
            None => {
                let usage = Usage {
                    input: self.estimated_input,
                    output: estimated_output,
                    ..Usage::default()
                };
                (usage, true)
            }
        }
    }

    /// A member was reported by the tap.
    pub(super) fn note(&mut self, member: Member, signal: Signal<'_>) {
        match (member, signal) {
            (Member::Choices, Signal::Seen(first)) => self.event.choices_array = first == b'[',
            (Member::Choice, Signal::Seen(_)) => {
                self.choice_ended();
                self.event.choice = Some(ChoiceNotes::default());
            }
            (Member::Error, Signal::Seen(first)) => {
                if matches!(first, b'{' | b'[' | b'"') {
                    self.event.error = true;
                }
            }
            (_, Signal::Seen(_)) => {}
            (_, Signal::Value(b"null" | b"\"\"")) => {}
            (Member::Id, Signal::Value(text)) => name_once(&mut self.id, text),
            (Member::Model, Signal::Value(text)) => name_once(&mut self.model, text),
            (Member::Usage, Signal::Value(text)) => self.report(text, false),
            (Member::StartUsage, Signal::Value(text)) => self.report(text, true),
            (Member::ExtraUsage, Signal::Value(text)) => {
                if !self.event.usage {
                    self.report(text, false);
                    self.event.usage = false;
                }
            }
            (Member::InputTokens, Signal::Value(text)) => {
                self.reported = whole_number(text).map(ReportedUsage::of_input);
            }
            (Member::FinishReason, Signal::Value(text)) => self.finish_reason = name(text),
            (Member::Status, Signal::Value(text)) => {
                let last = matches!(
                    text,
                    b"\"completed\"" | b"\"incomplete\"" | b"\"failed\"" | b"\"cancelled\""
                );
                if last && self.finish_reason.is_none() {
                    self.finish_reason = name(text);
                }
            }
            (Member::Type, Signal::Value(text)) => {
                self.event.kind = Some(EventKind::of(self.endpoint, unquoted(text)));
            }
            (Member::Sequence, Signal::Value(text)) => self.event.sequence = whole_number(text),
            (Member::ChoiceIndex, Signal::Value(text)) => {
                if let Some(choice) = &mut self.event.choice {
                    choice.index = whole_number(text);
                }
            }
            (Member::ChoiceFinish, Signal::Value(text)) => {
                if let Some(choice) = &mut self.event.choice {
                    choice.finished = true;
                }
                self.finish_reason = name(text);
            }
            (Member::Text | Member::Choices | Member::Choice | Member::Error, _) => {}
        }
    }

    fn report(&mut self, text: &[u8], provisional: bool) {
        self.event.usage |= text.first() == Some(&b'{');
        let Some(report) = ReportedUsage::read(text) else {
            return;
        };
        self.provisional = provisional;
        self.reported = match self.reported {
            // Cumulative, and later reports leave out what has not changed.
            Some(earlier) if self.endpoint == Endpoint::Messages => {
                Some(earlier.with_later(report))
            }
            _ => Some(report),
        };
    }

    fn choice_ended(&mut self) {
        let Some(choice) = self.event.choice.take() else {
            return;
        };
        let place = u64::from(self.event.choices_in_event);
        let index = choice.index.unwrap_or(place).min(127);
        self.event.choices_in_event = self.event.choices_in_event.saturating_add(1);
        self.event.seen_choices |= 1 << index;
        if choice.finished {
            self.event.finished_choices |= 1 << index;
        }
    }

    /// An event has ended. `name` is its `event` field, for an API whose data repeats it; `text_bytes` is the text in it;
    /// `whole` says whether its data was a complete JSON document: if not, it proves nothing.
    pub(super) fn event_ended(&mut self, name: &[u8], text_bytes: u64, whole: bool) {
        self.choice_ended();
        let event = std::mem::take(&mut self.event);
        self.events += 1;
        if !whole {
            return;
        }
        if let Some(sequence) = event.sequence {
            self.next_sequence = sequence.saturating_add(1);
        }
        let chunks = matches!(
            self.endpoint,
            Endpoint::ChatCompletions | Endpoint::Completions
        );
        let kind = event
            .kind
            .unwrap_or_else(|| EventKind::of(self.endpoint, name));
        if kind == EventKind::Content || chunks {
            self.text_bytes = self.text_bytes.saturating_add(text_bytes);
            self.content_started |= text_bytes > 0;
        }
        self.content_started |= kind == EventKind::Media;
        self.error |= event.error || kind == EventKind::Error;
        self.ended |= matches!(kind, EventKind::Terminal | EventKind::Error);
        if chunks {
            self.seen_choices |= event.seen_choices;
            self.finished_choices |= event.finished_choices;
            self.ended |= event.error;
        }
    }

    /// The marker that ends a stream of chunks. Elsewhere it says nothing.
    pub(super) fn done_marker(&mut self) {
        self.events += 1;
        if matches!(
            self.endpoint,
            Endpoint::ChatCompletions | Endpoint::Completions
        ) {
            self.ended = true;
        }
    }

    /// The stream has come to the end that its API prescribes; always so where it prescribes none.
    pub(super) fn is_finished(&self) -> bool {
        match self.endpoint {
            Endpoint::ChatCompletions | Endpoint::Completions => {
                self.ended || (self.seen_choices != 0 && self.seen_choices == self.finished_choices)
            }
            Endpoint::Messages | Endpoint::Responses => self.ended,
            _ => true,
        }
    }

    /// The event being read holds usage and an empty array of choices.
    pub(super) fn event_is_bare_usage(&self) -> bool {
        self.event.usage
            && self.event.choices_array
            && self.event.choice.is_none()
            && !self.event.error
    }

    /// A part of a whole document has passed.
    pub(super) fn document_passed(&mut self, text_bytes: u64) {
        self.text_bytes = text_bytes;
        self.error |= self.event.error;
        self.content_started = true;
    }
}

fn name_once(slot: &mut Option<String>, text: &[u8]) {
    if slot.is_none() {
        *slot = name(text);
    }
}

/// The string that JSON text stands for, if it is one and not too long.
fn name(text: &[u8]) -> Option<String> {
    if text.len() > MAX_NAME {
        return None;
    }
    let name: Cow<'_, str> = serde_json::from_slice(text).ok()?;
    Some(name.into_owned())
}

fn unquoted(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\"")
        .and_then(|text| text.strip_suffix(b"\""))
        .unwrap_or(text)
}
