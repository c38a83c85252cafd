//! Blocks as they come: messages, calls, pictures and items of this API's own.

use serde_json::Value;

use super::item::{Form, Item, Piece, Thoughts};
use super::{Place, Writer};
use crate::apis::openai_responses::content::write_citation;
use crate::apis::openai_responses::items::is_own;
use crate::apis::openai_responses::members::{derived, word};
use crate::representation::{BlockKind, Delta, Losses};

const NO_PLACE: &str = "the other API has no such content here";

impl Writer {
    pub(super) fn open(
        &mut self,
        block: u32,
        kind: BlockKind<'_>,
        out: &mut Vec<u8>,
        losses: &mut Losses,
    ) {
        let place = match kind {
            BlockKind::Text => self.open_content(false, out),
            BlockKind::Refusal => self.open_content(true, out),
            BlockKind::Reasoning { id, encrypted } => {
                let id = id.map_or_else(|| self.id("rs"), |id| id.into_owned());
                let thoughts = Thoughts {
                    encrypted: encrypted.map(|data| data.into_owned()).unwrap_or_default(),
                    ..Thoughts::default()
                };
                self.open_item(id, Form::Reasoning(thoughts), out)
            }
            BlockKind::ToolCall {
                id,
                name,
                custom,
                by_provider: false,
            } => {
                let call_id = match id.as_ref() {
                    "" => derived("call", &self.head.id, self.items.len()),
                    id => id.to_owned(),
                };
                let form = Form::Call {
                    call_id,
                    name: name.into_owned(),
                    custom,
                    arguments: String::new(),
                };
                let id = self.id(if custom { "ctc" } else { "fc" });
                self.open_item(id, form, out)
            }
            BlockKind::Media { media_type } if media_type.starts_with("image/") => {
                let form = Form::Picture {
                    media_type: media_type.into_owned(),
                    data: String::new(),
                };
                self.open_item(self.id("ig"), form, out)
            }
            BlockKind::Media { .. } => Place::Sound { text: None },
            BlockKind::Other { kind, value }
                if is_own(&kind) && word(&value, "type") == Some(&kind) =>
            {
                let id = word(&value, "id").unwrap_or_default().to_owned();
                self.open_item(id, Form::Whole(value), out)
            }
            BlockKind::ToolCall { .. } | BlockKind::Other { .. } => {
                losses.dropped(format!("/0/{block}"), NO_PLACE);
                Place::Nowhere
            }
        };
        self.blocks.insert(block, place);
    }

    /// Opens content of the message that is being written, or of a new one.
    fn open_content(&mut self, is_refusal: bool, out: &mut Vec<u8>) -> Place {
        let joins = matches!(self.items.last(), Some(item) if !item.done && item.is_message());
        if !joins {
            self.open_item(self.id("msg"), Form::Message(Vec::new()), out);
        }
        let item = self.items.len().saturating_sub(1);
        let Some(Item {
            form: Form::Message(parts),
            ..
        }) = self.items.last_mut()
        else {
            return Place::Nowhere;
        };
        let part = parts.len();
        let piece = Piece {
            is_refusal,
            ..Piece::default()
        };
        let value = piece.value();
        parts.push(piece);
        let (frame, id) = self.item_frame("response.content_part.added", item, out);
        frame
            .member("item_id", id)
            .member("output_index", &item)
            .member("content_index", &part)
            .member("part", &value)
            .end();
        if !is_refusal && !self.logprobs.is_empty() {
            let waiting = std::mem::take(&mut self.logprobs);
            self.text_delta((item, part), "", &waiting, out);
            if let Some(piece) = self.part(item, part) {
                piece.logprobs = waiting;
            }
        }
        Place::Content { item, part }
    }

    fn open_item(&mut self, id: String, form: Form, out: &mut Vec<u8>) -> Place {
        self.settle(out);
        let index = self.items.len();
        let item = Item {
            id,
            form,
            done: false,
        };
        let value = item.value(false);
        self.items.push(item);
        self.frame("response.output_item.added", out)
            .member("output_index", &index)
            .member("item", &value)
            .end();
        Place::Item(index)
    }

    pub(super) fn part(&mut self, item: usize, part: usize) -> Option<&mut Piece> {
        match &mut self.items.get_mut(item)?.form {
            Form::Message(parts) => parts.get_mut(part),
            _ => None,
        }
    }

    /// Ends messages whose content has ended: something else begins.
    pub(super) fn settle(&mut self, out: &mut Vec<u8>) {
        for index in 0..self.items.len() {
            let is_over = |item: &Item| {
                !item.done
                    && matches!(&item.form, Form::Message(parts) if parts.iter().all(|p| p.closed))
            };
            if self.items.get(index).is_some_and(is_over) {
                self.done(index, out);
            }
        }
    }

    fn done(&mut self, index: usize, out: &mut Vec<u8>) {
        let Some(item) = self.items.get_mut(index) else {
            return;
        };
        item.done = true;
        let value = item.value(true);
        self.frame("response.output_item.done", out)
            .member("output_index", &index)
            .member("item", &value)
            .end();
    }

    pub(super) fn text_delta(
        &mut self,
        (item, part): (usize, usize),
        text: &str,
        logprobs: &[Value],
        out: &mut Vec<u8>,
    ) {
        let (frame, id) = self.item_frame("response.output_text.delta", item, out);
        frame
            .member("item_id", id)
            .member("output_index", &item)
            .member("content_index", &part)
            .member("delta", text)
            .member("logprobs", logprobs)
            .end();
    }

    pub(super) fn delta(
        &mut self,
        block: u32,
        delta: Delta<'_>,
        out: &mut Vec<u8>,
        losses: &mut Losses,
    ) {
        match self.blocks.get(&block).copied() {
            Some(Place::Content { item, part }) => {
                self.content_delta(block, (item, part), delta, out, losses);
            }
            Some(Place::Item(index)) => self.item_delta(block, index, delta, out, losses),
            Some(Place::Sound { text }) => self.sound(block, text, delta, out, losses),
            Some(Place::Nowhere) | None => {}
        }
    }

    /// What is said in sound is given as text.
    fn sound(
        &mut self,
        block: u32,
        text: Option<(usize, usize)>,
        delta: Delta<'_>,
        out: &mut Vec<u8>,
        losses: &mut Losses,
    ) {
        let Delta::Transcript(words) = delta else {
            losses.dropped(format!("/0/{block}"), "answers hold no sound");
            return;
        };
        let place = match text {
            Some(place) => place,
            None => {
                let Place::Content { item, part } = self.open_content(false, out) else {
                    return;
                };
                let text = Some((item, part));
                self.blocks.insert(block, Place::Sound { text });
                (item, part)
            }
        };
        self.content_delta(block, place, Delta::Text(words), out, losses);
    }

    fn content_delta(
        &mut self,
        block: u32,
        (item, part): (usize, usize),
        delta: Delta<'_>,
        out: &mut Vec<u8>,
        losses: &mut Losses,
    ) {
        let at = || format!("/0/{block}");
        let Some(piece) = self.part(item, part) else {
            return;
        };
        match delta {
            Delta::Text(text) if piece.is_refusal => {
                piece.text.push_str(&text);
                let (frame, id) = self.item_frame("response.refusal.delta", item, out);
                frame
                    .member("item_id", id)
                    .member("output_index", &item)
                    .member("content_index", &part)
                    .member("delta", &text)
                    .end();
            }
            Delta::Text(text) => {
                piece.text.push_str(&text);
                self.text_delta((item, part), &text, &[], out);
            }
            Delta::Citation(citation) if !piece.is_refusal => {
                let length = u64::try_from(piece.text.chars().count()).unwrap_or(u64::MAX);
                let written = write_citation(citation, false, length, &at(), losses);
                let Some(annotation) = written else {
                    return;
                };
                let number = piece.annotations.len();
                piece.annotations.push(annotation.clone());
                let name = "response.output_text.annotation.added";
                let (frame, id) = self.item_frame(name, item, out);
                frame
                    .member("item_id", id)
                    .member("output_index", &item)
                    .member("content_index", &part)
                    .member("annotation_index", &number)
                    .member("annotation", &annotation)
                    .end();
            }
            _ => losses.dropped(at(), NO_PLACE),
        }
    }

    fn item_delta(
        &mut self,
        block: u32,
        index: usize,
        delta: Delta<'_>,
        out: &mut Vec<u8>,
        losses: &mut Losses,
    ) {
        let Some(item) = self.items.get_mut(index) else {
            return;
        };
        match (&mut item.form, delta) {
            (
                Form::Call {
                    arguments, custom, ..
                },
                Delta::Arguments(more),
            ) => {
                arguments.push_str(&more);
                let name = if *custom {
                    "response.custom_tool_call_input.delta"
                } else {
                    "response.function_call_arguments.delta"
                };
                let (frame, id) = self.item_frame(name, index, out);
                frame
                    .member("item_id", id)
                    .member("output_index", &index)
                    .member("delta", &more)
                    .end();
            }
            (Form::Reasoning(thoughts), Delta::Signature(more)) => {
                thoughts.signature.push_str(&more);
            }
            (Form::Reasoning(thoughts), Delta::Encrypted(more)) => {
                thoughts.encrypted.push_str(&more);
            }
            (Form::Reasoning(_), Delta::Summary(number, text)) => {
                self.summary(index, number, &text, out);
            }
            (Form::Reasoning(_), Delta::Reasoning(text) | Delta::Text(text)) => {
                self.thought(index, &text, out);
            }
            (Form::Picture { data, .. }, Delta::Data(more)) => data.push_str(&more),
            _ => losses.dropped(format!("/0/{block}"), NO_PLACE),
        }
    }

    pub(super) fn close(&mut self, block: u32, out: &mut Vec<u8>) {
        match self.blocks.remove(&block) {
            Some(Place::Content { item, part })
            | Some(Place::Sound {
                text: Some((item, part)),
            }) => self.close_content(item, part, out),
            Some(Place::Item(index)) => self.close_item(index, out),
            Some(Place::Sound { text: None } | Place::Nowhere) | None => {}
        }
    }

    fn close_content(&mut self, item: usize, part: usize, out: &mut Vec<u8>) {
        let Some(piece) = self.part(item, part) else {
            return;
        };
        piece.closed = true;
        let (value, is_refusal) = (piece.value(), piece.is_refusal);
        let (name, key) = if is_refusal {
            ("response.refusal.done", "refusal")
        } else {
            ("response.output_text.done", "text")
        };
        let (frame, id) = self.item_frame(name, item, out);
        let frame = frame
            .member("item_id", id)
            .member("output_index", &item)
            .member("content_index", &part)
            .member(key, &value.get(key));
        match value.get("logprobs") {
            Some(logprobs) => frame.member("logprobs", logprobs).end(),
            None => frame.end(),
        }
        let (frame, id) = self.item_frame("response.content_part.done", item, out);
        frame
            .member("item_id", id)
            .member("output_index", &item)
            .member("content_index", &part)
            .member("part", &value)
            .end();
        // Something else has begun since.
        if item + 1 < self.items.len() {
            self.settle(out);
        }
    }

    fn close_item(&mut self, index: usize, out: &mut Vec<u8>) {
        let Some(item) = self.items.get(index) else {
            return;
        };
        if let Form::Call {
            custom, arguments, ..
        } = &item.form
        {
            let (name, key) = if *custom {
                ("response.custom_tool_call_input.done", "input")
            } else {
                ("response.function_call_arguments.done", "arguments")
            };
            let arguments = arguments.clone();
            let (frame, id) = self.item_frame(name, index, out);
            frame
                .member("item_id", id)
                .member("output_index", &index)
                .member(key, &arguments)
                .end();
        }
        self.end_thoughts(index, out);
        self.done(index, out);
    }
}
