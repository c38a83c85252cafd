//! Reasoning as it comes: thoughts and summaries.

use serde_json::json;

use super::item::{Form, Thoughts};
use super::Writer;

impl Writer {
    fn thoughts(&mut self, index: usize) -> Option<&mut Thoughts> {
        match &mut self.items.get_mut(index)?.form {
            Form::Reasoning(thoughts) => Some(thoughts),
            _ => None,
        }
    }

    pub(super) fn thought(&mut self, index: usize, text: &str, out: &mut Vec<u8>) {
        let Some(thoughts) = self.thoughts(index) else {
            return;
        };
        thoughts.text.push_str(text);
        if !std::mem::replace(&mut thoughts.has_text, true) {
            let (frame, id) = self.item_frame("response.content_part.added", index, out);
            frame
                .member("item_id", id)
                .member("output_index", &index)
                .member("content_index", &0)
                .member("part", &json!({"type": "reasoning_text", "text": ""}))
                .end();
        }
        let (frame, id) = self.item_frame("response.reasoning_text.delta", index, out);
        frame
            .member("item_id", id)
            .member("output_index", &index)
            .member("content_index", &0)
            .member("delta", text)
            .end();
    }

    pub(super) fn summary(&mut self, index: usize, number: u32, text: &str, out: &mut Vec<u8>) {
        let number = usize::try_from(number).unwrap_or(usize::MAX);
        let Some(thoughts) = self.thoughts(index) else {
            return;
        };
        if number >= thoughts.summary.len() {
            self.begin_summary(index, out);
        }
        let Some(thoughts) = self.thoughts(index) else {
            return;
        };
        // They come one after the other; a number that was left out is none to wait for.
        let number = number.min(thoughts.summary.len().saturating_sub(1));
        if let Some(summary) = thoughts.summary.get_mut(number) {
            summary.push_str(text);
        }
        let (frame, id) = self.item_frame("response.reasoning_summary_text.delta", index, out);
        frame
            .member("item_id", id)
            .member("output_index", &index)
            .member("summary_index", &number)
            .member("delta", text)
            .end();
    }

    fn begin_summary(&mut self, index: usize, out: &mut Vec<u8>) {
        self.end_summary(index, out);
        let Some(thoughts) = self.thoughts(index) else {
            return;
        };
        let number = thoughts.summary.len();
        thoughts.summary.push(String::new());
        thoughts.in_summary = true;
        let (frame, id) = self.item_frame("response.reasoning_summary_part.added", index, out);
        frame
            .member("item_id", id)
            .member("output_index", &index)
            .member("summary_index", &number)
            .member("part", &json!({"type": "summary_text", "text": ""}))
            .end();
    }

    fn end_summary(&mut self, index: usize, out: &mut Vec<u8>) {
        let Some(thoughts) = self.thoughts(index) else {
            return;
        };
        if !std::mem::take(&mut thoughts.in_summary) {
            return;
        }
        let number = thoughts.summary.len().saturating_sub(1);
        let text = thoughts.summary.last().cloned().unwrap_or_default();
        let (frame, id) = self.item_frame("response.reasoning_summary_text.done", index, out);
        frame
            .member("item_id", id)
            .member("output_index", &index)
            .member("summary_index", &number)
            .member("text", &text)
            .end();
        let (frame, id) = self.item_frame("response.reasoning_summary_part.done", index, out);
        frame
            .member("item_id", id)
            .member("output_index", &index)
            .member("summary_index", &number)
            .member("part", &json!({"type": "summary_text", "text": text}))
            .end();
    }

    /// Ends what is open of an item, if it is reasoning.
    pub(super) fn end_thoughts(&mut self, index: usize, out: &mut Vec<u8>) {
        self.end_summary(index, out);
        let Some(thoughts) = self.thoughts(index).filter(|thoughts| thoughts.has_text) else {
            return;
        };
        let text = thoughts.text.clone();
        let (frame, id) = self.item_frame("response.reasoning_text.done", index, out);
        frame
            .member("item_id", id)
            .member("output_index", &index)
            .member("content_index", &0)
            .member("text", &text)
            .end();
        let (frame, id) = self.item_frame("response.content_part.done", index, out);
        frame
            .member("item_id", id)
            .member("output_index", &index)
            .member("content_index", &0)
            .member("part", &json!({"type": "reasoning_text", "text": text}))
            .end();
    }
}
