//! Signatures and encrypted thoughts of one provider, in the hands of another's clients.
//!
//! A client sends back what it got, without knowing what it is; a provider refuses what it has not
//! signed itself. So a signature that reaches the client of another API is marked with whose it is,
//! and goes on only to a provider of that kind; the others do not get it, and the loss is told. What
//! has no mark is the client's own API's. Marked it is base64 of whose it is and itself: some clients
//! insist on base64, and write it in another alphabet than they got it in.
//!
//! Gemini signs calls, where most APIs have signatures of thoughts alone: there a thought without
//! words stands before the call.

use std::borrow::Cow;
use std::collections::BTreeSet;

use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::Engine as _;

use crate::apis::{Sink, SupportedUpstreamAPIs as Api};
use crate::representation::{
    BlockKind, Delta, Losses, Part, PartKind, ProviderResponse, ProviderStreamResponse as Event,
    Reasoning, Request,
};

/// What stands before whose a signature is.
const MARK: &str = "meseta.";
/// The same in base64, as far as the next letter has no part in it.
const MARKED: &str = "bWVzZXRhL";
/// Either alphabet, for clients that change it.
const STANDARD: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::URL_SAFE, LENIENT);
const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
/// A number that no reader gives to a block, plus that of the call that a thought stands before.
const BEFORE: u32 = 1 << 31;

/// Whether a body holds marked signatures, or what looks so: a provider of its own API must not get it
/// as it is.
pub fn is_marked(body: &[u8]) -> bool {
    memchr::memmem::find(body, MARKED.as_bytes()).is_some()
}

/// Whether a block is a thought that stands before a call, for its signature.
pub(super) fn is_before_call(block: u32) -> bool {
    block & BEFORE != 0
}

const FOREIGN: &str = "another provider cannot check this signature";

/// Whose signature it is. Anthropic's models sign the same on Bedrock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Signer {
    Anthropic,
    Gemini,
    OpenAi,
}

impl Signer {
    /// `None` where the API tells nothing: chat and its kin are spoken by all.
    fn of(api: Api) -> Option<Self> {
        match api {
            Api::AnthropicMessages | Api::BedrockConverse => Some(Self::Anthropic),
            Api::Gemini => Some(Self::Gemini),
            Api::OpenAiResponses => Some(Self::OpenAi),
            _ => None,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::OpenAi => "openai",
        }
    }

    fn mark(self, signature: &str) -> String {
        STANDARD.encode(format!("{MARK}{}:{signature}", self.as_str()))
    }
}

/// Whose a signature is, and the signature itself; `None` of one without a mark.
fn unmarked(signature: &str) -> Option<(Signer, String)> {
    if !signature.starts_with(MARKED) {
        return None;
    }
    let known = [Signer::Anthropic, Signer::Gemini, Signer::OpenAi];
    let bytes = STANDARD
        .decode(signature)
        .or_else(|_| URL_SAFE.decode(signature));
    let text = String::from_utf8(bytes.ok()?).ok()?;
    let rest = text.strip_prefix(MARK)?;
    known.into_iter().find_map(|signer| {
        let own = rest.strip_prefix(signer.as_str())?.strip_prefix(':')?;
        Some((signer, own.to_owned()))
    })
}

/// A signature without the mark that says whose it is.
pub(crate) fn without_mark(signature: &str) -> String {
    unmarked(signature).map_or_else(|| signature.to_owned(), |(_, own)| own)
}

/// Whether thoughts alone have signatures in an API.
fn signs_thoughts_alone(api: Api) -> bool {
    matches!(
        api,
        Api::AnthropicMessages | Api::BedrockConverse | Api::OpenAiResponses
    )
}

/// Readies a request for its provider's API.
pub(super) fn in_request(request: &mut Request, from: Api, to: Api, losses: &mut Losses) {
    for turn in &mut request.turns {
        for part in &mut turn.parts {
            let Part {
                kind,
                signature,
                at,
                ..
            } = part;
            let mut keep = |own: &mut Option<String>| {
                if let Some(text) = own.take() {
                    *own = admitted(text, from, to);
                    if own.is_none() {
                        losses.dropped(at.clone(), FOREIGN);
                    }
                }
            };
            keep(signature);
            if let PartKind::Reasoning(Reasoning {
                signature,
                encrypted,
                ..
            }) = kind
            {
                keep(signature);
                keep(encrypted);
            }
        }
        turn.parts.retain(|part| !is_empty_thought(part));
        if to == Api::Gemini {
            join(&mut turn.parts);
        }
    }
}

/// A signature as the provider may have it.
fn admitted(signature: String, from: Api, to: Api) -> Option<String> {
    let wanted = Signer::of(to);
    match unmarked(&signature) {
        Some((signer, own)) => (wanted == Some(signer)).then_some(own),
        None => {
            let own = Signer::of(from);
            let foreign = own.is_some() && wanted.is_some() && own != wanted;
            (!foreign).then_some(signature)
        }
    }
}

/// Nothing but the bearer of a signature that did not go on.
fn is_empty_thought(part: &Part) -> bool {
    matches!(&part.kind, PartKind::Reasoning(own)
        if own.signature.is_none() && own.encrypted.is_none() && is_wordless(own))
}

fn is_wordless(thought: &Reasoning) -> bool {
    thought.text.is_empty() && thought.summary.is_empty()
}

/// Gives calls back what stood before them.
fn join(parts: &mut Vec<Part>) {
    let mut waiting: Option<Part> = None;
    let mut joined = Vec::with_capacity(parts.len());
    for mut part in parts.drain(..) {
        if let Some(mut thought) = waiting.take() {
            match (&mut thought.kind, &part.kind) {
                (PartKind::Reasoning(own), PartKind::ToolCall(_)) if part.signature.is_none() => {
                    part.signature = own.signature.take();
                }
                _ => joined.push(thought),
            }
        }
        match &part.kind {
            PartKind::Reasoning(own) if own.signature.is_some() && is_wordless(own) => {
                waiting = Some(part);
            }
            _ => joined.push(part),
        }
    }
    joined.extend(waiting);
    *parts = joined;
}

/// Readies an answer for its client's API.
pub(super) fn in_answer(answer: &mut ProviderResponse, from: Api, to: Api) {
    let Some(signer) = Signer::of(from).filter(|own| Signer::of(to) != Some(*own)) else {
        return;
    };
    for choice in &mut answer.choices {
        let mut parts = Vec::with_capacity(choice.parts.len());
        for mut part in choice.parts.drain(..) {
            if let PartKind::Reasoning(own) = &mut part.kind {
                for secret in [&mut own.signature, &mut own.encrypted] {
                    if let Some(text) = secret.as_mut().filter(|text| !text.is_empty()) {
                        *text = signer.mark(text);
                    }
                }
            }
            let is_call = matches!(part.kind, PartKind::ToolCall(_));
            if is_call && signs_thoughts_alone(to) {
                if let Some(signature) = part.signature.take() {
                    let thought = Reasoning {
                        signature: Some(signer.mark(&signature)),
                        ..Reasoning::default()
                    };
                    parts.push(Part::new(PartKind::Reasoning(thought), part.at.clone()));
                }
            }
            parts.push(part);
        }
        choice.parts = parts;
    }
}

/// Does the same to a stream, between its reader and the grammar. A secret waits until it is whole,
/// and the start of a call for the event behind it, which every reader gives at once.
#[derive(Debug)]
pub(super) struct Marking {
    signer: Signer,
    thoughts_alone: bool,
    /// Blocks of thoughts, by choice and number.
    thoughts: BTreeSet<(u32, u32)>,
    call: Option<(u32, u32, BlockKind<'static>)>,
    secret: Option<Secret>,
}

/// A signature, or encrypted thoughts, as far as it has come.
#[derive(Debug)]
struct Secret {
    place: (u32, u32),
    is_signature: bool,
    text: String,
}

impl Marking {
    /// `None` where nothing has to be done.
    pub(super) fn between(from: Api, to: Api) -> Option<Self> {
        let signer = Signer::of(from).filter(|own| Signer::of(to) != Some(*own))?;
        Some(Self {
            signer,
            thoughts_alone: signs_thoughts_alone(to),
            thoughts: BTreeSet::new(),
            call: None,
            secret: None,
        })
    }

    /// Takes an event from a reader.
    pub(super) fn event(&mut self, event: Event<'_>, sink: &mut Sink<'_>) {
        if let Some((choice, block, kind)) = self.call.take() {
            let start = Event::BlockStart {
                choice,
                block,
                kind,
            };
            match event {
                Event::Delta {
                    choice: of_choice,
                    block: of_block,
                    delta: Delta::Signature(signature),
                } if (of_choice, of_block) == (choice, block) => {
                    self.thought_before(choice, block, &signature, sink);
                    return sink(start);
                }
                _ => sink(start),
            }
        }
        let event = match event {
            Event::Delta {
                choice,
                block,
                delta: Delta::Signature(own),
            } if self.thoughts.contains(&(choice, block)) => {
                return self.hold((choice, block), true, &own, sink);
            }
            Event::Delta {
                choice,
                block,
                delta: Delta::Encrypted(own),
            } => return self.hold((choice, block), false, &own, sink),
            event => event,
        };
        self.tell(sink);
        match event {
            Event::BlockStart {
                choice,
                block,
                kind: kind @ BlockKind::ToolCall { .. },
            } if self.thoughts_alone => self.call = Some((choice, block, kind.into_owned())),
            Event::BlockStart {
                choice,
                block,
                kind: BlockKind::Reasoning { id, encrypted },
            } => {
                self.thoughts.insert((choice, block));
                let encrypted = encrypted.map(|own| match own.as_ref() {
                    "" => own,
                    own => self.signer.mark(own).into(),
                });
                let kind = BlockKind::Reasoning { id, encrypted };
                sink(Event::BlockStart {
                    choice,
                    block,
                    kind,
                });
            }
            event => sink(event),
        }
    }

    /// Takes a piece of a secret.
    fn hold(&mut self, place: (u32, u32), is_signature: bool, piece: &str, sink: &mut Sink<'_>) {
        match &mut self.secret {
            Some(own) if own.place == place && own.is_signature == is_signature => {
                own.text.push_str(piece);
            }
            _ => {
                self.tell(sink);
                self.secret = Some(Secret {
                    place,
                    is_signature,
                    text: piece.to_owned(),
                });
            }
        }
    }

    /// Tells the secret that waits: it is whole.
    fn tell(&mut self, sink: &mut Sink<'_>) {
        let Some(Secret {
            place: (choice, block),
            is_signature,
            text,
        }) = self.secret.take().filter(|own| !own.text.is_empty())
        else {
            return;
        };
        let text: Cow<'_, str> = self.signer.mark(&text).into();
        let delta = match is_signature {
            true => Delta::Signature(text),
            false => Delta::Encrypted(text),
        };
        sink(Event::Delta {
            choice,
            block,
            delta,
        });
    }

    fn thought_before(&self, choice: u32, call: u32, signature: &str, sink: &mut Sink<'_>) {
        let block = BEFORE | call;
        let (id, encrypted) = (None, None);
        sink(Event::BlockStart {
            choice,
            block,
            kind: BlockKind::Reasoning { id, encrypted },
        });
        sink(Event::Delta {
            choice,
            block,
            delta: Delta::Signature(self.signer.mark(signature).into()),
        });
        sink(Event::BlockStop { choice, block });
    }
}

#[cfg(test)]
mod tests;
