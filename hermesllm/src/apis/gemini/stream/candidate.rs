//! What has come of one candidate.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::super::grounding::Found;
use super::super::members::Reading;
use super::super::{content, response, usage};
use super::partial::{self, PartialCall};
use super::{fast, keep, OF_PART};
use crate::apis::Sink;
use crate::representation::{
    At, Blob, BlockKind, Delta, Part, PartKind, ProviderStreamResponse as Event, Reasoning,
    StopReason, ToolCall,
};

/// A candidate, which comes in pieces.
#[derive(Debug, Default)]
pub(super) struct Candidate {
    /// The number of the next block.
    next: u32,
    /// The open block of text or thoughts.
    open: Option<Open>,
    /// A call whose arguments come in pieces, and its block.
    call: Option<(u32, PartialCall)>,
    has_calls: bool,
    pub(super) stop: Option<Stop>,
    /// There are letters of several bytes in its text: places in it, in bytes, count no letters.
    not_ascii: bool,
}

#[derive(Debug, Clone, Copy)]
struct Open {
    block: u32,
    is_thought: bool,
    /// Its signature has come, after which it does not go on.
    is_signed: bool,
}

#[derive(Debug)]
pub(super) enum Stop {
    Told(String),
    /// The prompt was not answered.
    Blocked(String),
}

impl Candidate {
    fn number(&mut self) -> u32 {
        let number = self.next;
        self.next = self.next.saturating_add(1);
        number
    }

    /// A later reason takes the place of an earlier one: some models go on after the first.
    pub(super) fn ends(&mut self, raw: String) {
        if !raw.is_empty() {
            self.stop = Some(Stop::Told(raw));
        }
    }

    pub(super) fn reason(self) -> Option<StopReason> {
        Some(match self.stop? {
            Stop::Told(raw) => usage::stop_of(raw, self.has_calls),
            Stop::Blocked(raw) => response::filtered(raw),
        })
    }

    /// A piece of text or of thoughts.
    pub(super) fn piece(
        &mut self,
        choice: u32,
        text: Cow<'_, str>,
        is_thought: bool,
        signature: Option<Cow<'_, str>>,
        sink: &mut Sink<'_>,
    ) {
        if text.is_empty() && signature.is_none() {
            return;
        }
        self.end_call(choice, sink);
        let goes_on = |open: &Open| open.is_thought == is_thought && !open.is_signed;
        let block = match self.open.filter(goes_on) {
            Some(open) => open.block,
            None => self.open(choice, is_thought, sink),
        };
        if !text.is_empty() {
            self.not_ascii |= !is_thought && !text.is_ascii();
            let delta = if is_thought {
                Delta::Reasoning(text)
            } else {
                Delta::Text(text)
            };
            tell(choice, block, delta, sink);
        }
        if let Some(signature) = signature {
            tell(choice, block, Delta::Signature(signature), sink);
            if let Some(open) = &mut self.open {
                open.is_signed = true;
            }
        }
    }

    fn open(&mut self, choice: u32, is_thought: bool, sink: &mut Sink<'_>) -> u32 {
        self.close(choice, sink);
        let block = self.number();
        self.open = Some(Open {
            block,
            is_thought,
            is_signed: false,
        });
        let kind = if is_thought {
            BlockKind::Reasoning {
                id: None,
                encrypted: None,
            }
        } else {
            BlockKind::Text
        };
        sink(Event::BlockStart {
            choice,
            block,
            kind,
        });
        block
    }

    pub(super) fn close(&mut self, choice: u32, sink: &mut Sink<'_>) {
        if let Some(Open { block, .. }) = self.open.take() {
            sink(Event::BlockStop { choice, block });
        }
    }

    /// Ends a call whose arguments came in pieces.
    pub(super) fn end_call(&mut self, choice: u32, sink: &mut Sink<'_>) {
        if let Some((block, call)) = self.call.take() {
            tell(
                choice,
                block,
                Delta::Arguments(call.arguments().into()),
                sink,
            );
            sink(Event::BlockStop { choice, block });
        }
    }

    /// A part of any kind.
    pub(super) fn part(&mut self, choice: u32, part: At<Value>, sink: &mut Sink<'_>) {
        if let Some(call) = fast::function_call(&part.value) {
            if self.goes_on(call) {
                return self.call_piece(choice, &part.value, sink);
            }
        }
        let whole = part.value.clone();
        let Some(read) = content::read(vec![part], Reading::Lenient)
            .ok()
            .and_then(|mut parts| parts.pop())
        else {
            return;
        };
        let Part {
            kind,
            cache: _,
            signature,
            at: _,
            extensions,
        } = read;
        let signature = signature.map(Cow::Owned);
        match kind {
            PartKind::Text { text, .. } => {
                self.piece(choice, text.into(), false, signature, sink);
            }
            PartKind::Reasoning(Reasoning {
                text, signature, ..
            }) => {
                let signature = signature.map(Cow::Owned);
                self.piece(choice, text.into(), true, signature, sink);
            }
            PartKind::ToolCall(call) if !call.name.is_empty() => {
                self.end_call(choice, sink);
                self.call(choice, call, signature, sink);
            }
            PartKind::Image {
                source: Blob::Base64 { media_type, data },
                ..
            }
            | PartKind::Audio {
                source: Blob::Base64 { media_type, data },
                ..
            } => {
                let kind = BlockKind::Media {
                    media_type: media_type.into(),
                };
                let deltas = [
                    Some(Delta::Data(data.into())),
                    signature.map(Delta::Signature),
                ];
                self.whole(choice, kind, deltas.into_iter().flatten(), sink);
            }
            kind => {
                let name = match &kind {
                    PartKind::Other { kind, .. } => kind.clone(),
                    _ => fast::kind_of(&whole).to_owned(),
                };
                let kind = BlockKind::Other {
                    kind: name.into(),
                    value: whole,
                };
                return self.whole(choice, kind, std::iter::empty(), sink);
            }
        }
        keep(OF_PART, Some(choice), extensions, sink);
    }

    fn call(
        &mut self,
        choice: u32,
        call: ToolCall,
        signature: Option<Cow<'_, str>>,
        sink: &mut Sink<'_>,
    ) {
        self.has_calls = true;
        let kind = BlockKind::ToolCall {
            id: call.id.into(),
            name: call.name.into(),
            custom: false,
            by_provider: false,
        };
        let arguments = Delta::Arguments(call.arguments.into());
        // The signature first: in some APIs it has its place before the call.
        let deltas = [signature.map(Delta::Signature), Some(arguments)];
        self.whole(choice, kind, deltas.into_iter().flatten(), sink);
    }

    /// A block that comes at once.
    fn whole<'a>(
        &mut self,
        choice: u32,
        kind: BlockKind<'_>,
        deltas: impl Iterator<Item = Delta<'a>>,
        sink: &mut Sink<'_>,
    ) {
        self.end_call(choice, sink);
        self.close(choice, sink);
        let block = self.number();
        sink(Event::BlockStart {
            choice,
            block,
            kind,
        });
        for delta in deltas {
            tell(choice, block, delta, sink);
        }
        sink(Event::BlockStop { choice, block });
    }

    /// Whether a call is a piece of one, or is to be followed by pieces.
    fn goes_on(&self, call: &Map<String, Value>) -> bool {
        let has = |key: &str| call.get(key).is_some_and(|own| !own.is_null());
        let is_nameless = !has("name");
        partial::will_continue(call)
            || partial::pieces(call).is_some()
            || is_nameless && self.call.is_some()
    }

    fn call_piece(&mut self, choice: u32, part: &Value, sink: &mut Sink<'_>) {
        let Some(call) = fast::function_call(part) else {
            return;
        };
        let text = |key: &str| call.get(key).and_then(Value::as_str);
        if let Some(name) = text("name") {
            self.end_call(choice, sink);
            self.close(choice, sink);
            let block = self.number();
            self.has_calls = true;
            sink(Event::BlockStart {
                choice,
                block,
                kind: BlockKind::ToolCall {
                    id: text("id").unwrap_or_default().into(),
                    name: name.into(),
                    custom: false,
                    by_provider: false,
                },
            });
            self.call = Some((block, PartialCall::default()));
        }
        let Some((block, own)) = &mut self.call else {
            return;
        };
        let signature = part
            .get("thoughtSignature")
            .or(part.get("thought_signature"));
        if let Some(signature) = signature.and_then(Value::as_str) {
            tell(choice, *block, Delta::Signature(signature.into()), sink);
        }
        own.add(call);
        if !partial::will_continue(call) {
            self.end_call(choice, sink);
        }
    }

    /// Tells what the text rests on, while it is open.
    pub(super) fn cite(&mut self, choice: u32, found: Vec<Found>, sink: &mut Sink<'_>) {
        let Some(open) = self.open.filter(|open| !open.is_thought) else {
            return;
        };
        for Found {
            part: _,
            bytes,
            mut citation,
        } in found
        {
            let letters = |(start, end): (usize, usize)| {
                Some((u64::try_from(start).ok()?, u64::try_from(end).ok()?))
            };
            let bytes = bytes.filter(|_| !self.not_ascii);
            citation.span = bytes.and_then(letters);
            tell(choice, open.block, Delta::Citation(citation), sink);
        }
    }
}

/// A piece of a block.
fn tell(choice: u32, block: u32, delta: Delta<'_>, sink: &mut Sink<'_>) {
    sink(Event::Delta {
        choice,
        block,
        delta,
    });
}
