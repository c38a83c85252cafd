//! What tools answered, and pictures and sound of the model's.

use serde_json::{json, Map, Value};

use super::{Writer, OF_PROVIDER};
use crate::apis::object::says_more;
use crate::apis::openai_responses::content::{Side, Target};
use crate::representation::{Blob, Extension, Part, PartKind, Role, ToolResult};

impl Writer<'_> {
    pub(super) fn result(&mut self, part: Part, is_model: bool) {
        self.close();
        self.beside(&part);
        let Part {
            kind,
            cache: _,
            signature: _,
            at,
            extensions,
        } = part;
        let PartKind::ToolResult(result) = kind else {
            return;
        };
        if is_model && !self.same {
            self.losses.dropped(at, OF_PROVIDER);
            return;
        }
        let ToolResult {
            call_id,
            name,
            parts,
            structured,
            is_error,
            custom,
        } = result;
        if is_error {
            let reason = "that a tool failed is told by its text alone";
            self.losses.approximated(at, reason);
        }
        let call_id = if call_id.is_empty() && !self.same {
            self.next_call()
        } else {
            call_id
        };
        let mut object = Map::new();
        let kind = if custom {
            "custom_tool_call_output"
        } else {
            "function_call_output"
        };
        object.insert("type".to_owned(), kind.into());
        object.insert("call_id".to_owned(), call_id.into());
        // Elsewhere it is found by the call; this API tells it for calls of its own alone.
        if let Some(name) = name.filter(|_| self.same) {
            object.insert("name".to_owned(), name.into());
        }
        let output = self.output(parts, structured);
        object.insert("output".to_owned(), output);
        self.push(object, extensions);
    }

    /// The first derived identifier that no result has taken.
    fn next_call(&mut self) -> String {
        match self.calls.iter_mut().find(|(_, taken)| !taken) {
            Some((id, taken)) => {
                *taken = true;
                id.clone()
            }
            None => {
                let id = format!("call_{}", self.calls.len());
                self.calls.push((id.clone(), true));
                id
            }
        }
    }

    fn output(&mut self, parts: Vec<Part>, structured: Option<Value>) -> Value {
        let as_string = match parts.as_slice() {
            [Part {
                kind, at, cache, ..
            }] => {
                matches!(kind, PartKind::Text { .. })
                    && cache.is_none()
                    && (!self.same || at.ends_with("/output"))
            }
            [] => structured.is_some() || !self.same,
            _ => false,
        };
        let structured = structured.filter(|own| says_more(own, &parts));
        let mut target = Target {
            same: self.same,
            breakpoints: self.breakpoints,
            answer: false,
            losses: self.losses,
        };
        let mut content = Vec::new();
        for part in parts {
            target.write(part, Side::Input, None, &mut content);
        }
        if let Some(value) = structured {
            // The text of a JSON document is how this API gives one.
            if as_string && content.is_empty() {
                return Value::String(value.to_string());
            }
            content.push(json!({"type": "input_text", "text": value.to_string()}));
        }
        match content.first_mut() {
            Some(Value::Object(text)) if as_string => {
                text.get_mut("text").map_or(Value::Null, Value::take)
            }
            None if as_string => Value::String(String::new()),
            _ => Value::Array(content),
        }
    }

    /// A picture that the model made.
    pub(super) fn image(&mut self, part: Part) {
        self.close();
        self.beside(&part);
        let Part {
            kind,
            cache: _,
            signature: _,
            at,
            extensions,
        } = part;
        let PartKind::Image { source, detail: _ } = kind else {
            return;
        };
        let Blob::Base64 { media_type, data } = source else {
            self.losses
                .dropped(at, "a picture in an answer is given as bytes");
            return;
        };
        let mut object = Map::new();
        if let Some(id) = self.id("ig") {
            object.insert("id".to_owned(), id.into());
        }
        object.insert("type".to_owned(), "image_generation_call".into());
        object.insert("status".to_owned(), "completed".into());
        object.insert("result".to_owned(), data.into());
        if let Some(format) = media_type.strip_prefix("image/") {
            object.insert("output_format".to_owned(), format.into());
        }
        self.push(object, extensions);
    }

    /// Sound that the model made: what is said in it.
    pub(super) fn spoken(&mut self, part: Part, extensions: &mut Option<Vec<Extension>>) {
        let at = part.at.clone();
        let text = match &part.kind {
            PartKind::Audio { transcript, .. } => transcript.clone(),
            _ => None,
        };
        let Some(text) = text else {
            self.losses.dropped(at, "answers hold no sound");
            return;
        };
        let reason = "answers hold no sound: its transcript is given";
        self.losses.approximated(at, reason);
        let kind = PartKind::Text {
            text,
            citations: Vec::new(),
        };
        self.content(Role::Assistant, Part { kind, ..part }, extensions);
    }
}
