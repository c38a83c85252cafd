//! Chunks, written.

mod frames;

use std::collections::BTreeMap;
use std::io::Write as _;

use serde_json::{json, Map, Value};

use super::super::messages::forms;
use super::super::{content, ended, finish_reason, response, usage};
use crate::apis::{WriteEvents, WriteOptions};
use crate::representation::{
    BlockKind, Delta, Losses, ProviderStreamResponse as Event, StopKind, StopReason, TokenUsage,
};
use frames::{string, Frames};

/// Writes chunks.
#[derive(Debug)]
pub struct Writer {
    options: WriteOptions,
    frames: Frames,
    blocks: BTreeMap<(u32, u32), Block>,
    choices: BTreeMap<u32, Choice>,
}

/// One of the answers.
#[derive(Debug, Default)]
struct Choice {
    /// Calls so far.
    calls: u32,
    /// Details of thoughts so far.
    details: u32,
    images: u32,
    stopped: bool,
}

#[derive(Debug)]
enum Block {
    Text,
    Refusal,
    Reasoning(Thought),
    Call {
        number: u32,
        custom: bool,
    },
    Audio,
    /// An address that holds the bytes: it is told when it is whole.
    Image(String),
    /// Without a form in this API.
    None,
}

#[derive(Debug)]
struct Thought {
    id: Option<String>,
    /// The numbers of its first and its latest detail.
    first: u32,
    latest: u32,
    /// Its identifier has been told.
    named: bool,
    /// The summary that is told.
    summary: Option<u32>,
}

impl Thought {
    /// A detail; of the kind that text, summary or data have.
    fn detail(&mut self, kind: &str, key: &str, told: &str) -> Value {
        let mut detail = Map::new();
        detail.insert("type".to_owned(), format!("reasoning.{kind}").into());
        detail.insert(key.to_owned(), told.into());
        crate::apis::object::put(&mut detail, "id", self.id.clone());
        detail.insert("index".to_owned(), self.latest.into());
        self.named = true;
        json!([detail])
    }
}

fn place(choice: u32) -> String {
    format!("/choices/{choice}/message")
}

impl Writer {
    /// A writer at the beginning.
    pub fn new(options: WriteOptions) -> Self {
        Self {
            options,
            frames: Frames::default(),
            blocks: BTreeMap::new(),
            choices: BTreeMap::new(),
        }
    }

    /// A choice; its first chunk tells the role.
    fn choice(&mut self, choice: u32, out: &mut Vec<u8>) -> &mut Choice {
        let frames = &self.frames;
        self.choices.entry(choice).or_insert_with(|| {
            frames.chunk(out, choice, |out| {
                out.extend_from_slice(b"\"role\":\"assistant\",\"content\":\"\"");
            });
            Choice::default()
        })
    }

    fn start(
        &mut self,
        choice: u32,
        kind: BlockKind<'_>,
        out: &mut Vec<u8>,
        losses: &mut Losses,
    ) -> Block {
        let own = self.choice(choice, out);
        match kind {
            BlockKind::Text => Block::Text,
            BlockKind::Refusal => Block::Refusal,
            BlockKind::Reasoning { id, encrypted } => {
                let mut thought = Thought {
                    id: id.map(|id| id.into_owned()),
                    first: own.details,
                    latest: own.details,
                    named: false,
                    summary: None,
                };
                own.details = own.details.saturating_add(1);
                if let Some(data) = encrypted {
                    let detail = thought.detail("encrypted", "data", &data);
                    self.frames.value(out, choice, "reasoning_details", &detail);
                }
                Block::Reasoning(thought)
            }
            BlockKind::ToolCall {
                by_provider: true, ..
            } => {
                let reason = "this API does not show the provider's own tools";
                losses.dropped(place(choice), reason);
                Block::None
            }
            BlockKind::ToolCall {
                id, name, custom, ..
            } => {
                let number = own.calls;
                own.calls = own.calls.saturating_add(1);
                let id = if id.is_empty() {
                    format!("call_{choice}_{number}").into()
                } else {
                    id
                };
                self.frames.chunk(out, choice, |out| {
                    let _ = write!(out, "\"tool_calls\":[{{\"index\":{number},\"id\":");
                    string(out, &id);
                    let (kind, text) = forms(custom);
                    let _ = write!(out, ",\"type\":\"{kind}\",\"{kind}\":{{\"name\":");
                    string(out, &name);
                    let _ = write!(out, ",\"{text}\":\"\"}}}}]");
                });
                Block::Call { number, custom }
            }
            BlockKind::Media { media_type } if media_type.starts_with("image/") => {
                Block::Image(format!("data:{media_type};base64,"))
            }
            BlockKind::Media { .. } => Block::Audio,
            BlockKind::Other { .. } => {
                losses.dropped(place(choice), "this API has no such content");
                Block::None
            }
        }
    }

    fn delta(
        &mut self,
        choice: u32,
        block: u32,
        delta: Delta<'_>,
        out: &mut Vec<u8>,
        losses: &mut Losses,
    ) {
        let frames = &self.frames;
        let Some(own) = self.blocks.get_mut(&(choice, block)) else {
            return;
        };
        match (own, delta) {
            (Block::None, _) => {}
            (Block::Refusal, Delta::Text(text)) => frames.text(out, choice, "refusal", &text),
            (_, Delta::Text(text)) => frames.text(out, choice, "content", &text),
            (Block::Reasoning(thought), delta) => {
                let most = think(frames, choice, thought, &delta, out);
                if let Some(own) = self.choices.get_mut(&choice) {
                    own.details = own.details.max(most);
                }
            }
            (_, Delta::Reasoning(text) | Delta::Summary(_, text)) => {
                frames.text(out, choice, "reasoning_content", &text);
            }
            (Block::Call { number, .. }, Delta::Signature(text)) => {
                let extra = json!([{"index": number, "extra_content": google(&text)}]);
                frames.value(out, choice, "tool_calls", &extra);
            }
            (Block::Text, Delta::Signature(text)) => {
                frames.value(out, choice, "extra_content", &google(&text));
            }
            (Block::Call { number, custom }, Delta::Arguments(text)) => {
                let (kind, member) = forms(*custom);
                frames.chunk(out, choice, |out| {
                    let _ = write!(out, "\"tool_calls\":[{{\"index\":{number},");
                    let _ = write!(out, "\"{kind}\":{{\"{member}\":");
                    string(out, &text);
                    out.extend_from_slice(b"}}]");
                });
            }
            (_, Delta::Citation(citation)) => match content::annotation(citation, false) {
                Some(note) => frames.value(out, choice, "annotations", &json!([note])),
                None => {
                    let place = format!("{}/content", place(choice));
                    losses.dropped(place, "this API cites web pages only");
                }
            },
            (Block::Image(url), Delta::Data(data)) => url.push_str(&data),
            (_, Delta::Data(data)) => {
                frames.value(out, choice, "audio", &json!({"data": data}));
            }
            (_, Delta::Transcript(text)) => {
                frames.value(out, choice, "audio", &json!({"transcript": text}));
            }
            (_, Delta::Arguments(_)) => {}
            (_, Delta::Signature(_) | Delta::Encrypted(_)) => {
                let reason = "this API has no place for a signature here";
                losses.dropped(place(choice), reason);
            }
        }
    }

    fn end_block(&mut self, choice: u32, block: u32, out: &mut Vec<u8>) {
        if let Some(Block::Image(url)) = self.blocks.remove(&(choice, block)) {
            let own = self.choices.entry(choice).or_default();
            let index = own.images;
            own.images = own.images.saturating_add(1);
            let image = json!([
                {"type": "image_url", "image_url": {"url": url}, "index": index}
            ]);
            self.frames.value(out, choice, "images", &image);
        }
    }

    fn stop(&mut self, choice: u32, reason: &StopReason, out: &mut Vec<u8>, losses: &mut Losses) {
        let word = ended(reason, format!("/choices/{choice}"), losses);
        self.choice(choice, out).stopped = true;
        self.frames.stop(out, choice, word);
    }

    /// What has no reason to end has one all the same: clients wait for it.
    fn end(&mut self, out: &mut Vec<u8>) {
        for (choice, own) in &mut self.choices {
            if !std::mem::replace(&mut own.stopped, true) {
                let kind = if own.calls > 0 {
                    StopKind::ToolCalls
                } else {
                    StopKind::End
                };
                self.frames.stop(out, *choice, finish_reason(kind));
            }
        }
    }

    fn usage(&mut self, own: &TokenUsage, out: &mut Vec<u8>, losses: &mut Losses) {
        if self.options.include_usage {
            let own = usage::write(own, losses);
            self.frames.usage(out, &own);
        }
    }
}

/// Writes more of thoughts; gives the number of the next detail.
fn think(
    frames: &Frames,
    choice: u32,
    thought: &mut Thought,
    delta: &Delta<'_>,
    out: &mut Vec<u8>,
) -> u32 {
    const DETAILS: &str = "reasoning_details";
    match delta {
        Delta::Reasoning(text) => {
            if thought.id.is_some() && !thought.named {
                let detail = thought.detail("text", "text", "");
                frames.value(out, choice, DETAILS, &detail);
            }
            frames.text(out, choice, "reasoning_content", text);
        }
        Delta::Summary(number, text) => {
            thought.latest = thought.first.saturating_add(*number);
            let is_next = thought.summary.is_some_and(|told| told != *number);
            thought.summary = Some(*number);
            let detail = thought.detail("summary", "summary", text);
            frames.chunk(out, choice, |out| {
                out.extend_from_slice(b"\"reasoning_content\":");
                if is_next {
                    string(out, &format!("\n\n{text}"));
                } else {
                    string(out, text);
                }
                let _ = write!(out, ",\"{DETAILS}\":{detail}");
            });
        }
        Delta::Signature(text) => {
            let detail = thought.detail("text", "signature", text);
            frames.value(out, choice, DETAILS, &detail);
        }
        Delta::Encrypted(text) => {
            let detail = thought.detail("encrypted", "data", text);
            frames.value(out, choice, DETAILS, &detail);
        }
        _ => {}
    }
    thought.latest.saturating_add(1)
}

fn google(signature: &str) -> Value {
    json!({"google": {"thought_signature": signature}})
}

impl WriteEvents for Writer {
    fn event(&mut self, event: Event<'_>, out: &mut Vec<u8>, losses: &mut Losses) {
        match event {
            Event::Start {
                id,
                model,
                created,
                service_tier,
                usage: _,
            } => {
                let Self {
                    options, frames, ..
                } = self;
                frames.start(options, &id, &model, created, service_tier.as_deref());
                self.choice(0, out);
            }
            Event::BlockStart {
                choice,
                block,
                kind,
            } => {
                let own = self.start(choice, kind, out, losses);
                self.blocks.insert((choice, block), own);
            }
            Event::Delta {
                choice,
                block,
                delta,
            } => self.delta(choice, block, delta, out, losses),
            Event::BlockStop { choice, block } => self.end_block(choice, block, out),
            Event::Stop { choice, reason } => self.stop(choice, &reason, out, losses),
            Event::Usage(usage) => {
                self.end(out);
                self.usage(&usage, out, losses);
            }
            Event::Logprobs { choice, content } => {
                self.choice(choice, out);
                self.frames.logprobs(out, choice, &content);
            }
            // Signs of life and bookkeeping of another API.
            Event::Other { .. } => {}
            Event::Error {
                kind,
                status,
                message,
            } => {
                let error = json!({"error": {
                    "message": message,
                    "type": response::kind_of(status.unwrap_or(500), &kind),
                    "param": null,
                    "code": response::code_of(&kind),
                }});
                let _ = write!(out, "data: {error}\n\n");
            }
            Event::End => {
                self.end(out);
                out.extend_from_slice(b"data: [DONE]\n\n");
            }
        }
    }
}
