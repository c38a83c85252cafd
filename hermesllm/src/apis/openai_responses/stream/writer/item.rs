//! Items, as far as they have come.

use serde_json::{json, Map, Value};

use crate::apis::openai_responses::items::signed;

#[derive(Debug)]
pub(super) struct Item {
    pub(super) id: String,
    pub(super) form: Form,
    pub(super) done: bool,
}

#[derive(Debug)]
pub(super) enum Form {
    Message(Vec<Piece>),
    Reasoning(Thoughts),
    Call {
        call_id: String,
        name: String,
        custom: bool,
        arguments: String,
    },
    Picture {
        media_type: String,
        data: String,
    },
    /// An item of this API's own.
    Whole(Value),
}

/// A piece of a message's content.
#[derive(Debug, Default)]
pub(super) struct Piece {
    pub(super) text: String,
    pub(super) is_refusal: bool,
    pub(super) annotations: Vec<Value>,
    pub(super) logprobs: Vec<Value>,
    pub(super) closed: bool,
}

#[derive(Debug, Default)]
pub(super) struct Thoughts {
    pub(super) text: String,
    pub(super) has_text: bool,
    pub(super) summary: Vec<String>,
    /// The last summary is being written.
    pub(super) in_summary: bool,
    pub(super) signature: String,
    pub(super) encrypted: String,
}

impl Piece {
    pub(super) fn value(&self) -> Value {
        if self.is_refusal {
            return json!({"type": "refusal", "refusal": self.text});
        }
        json!({
            "type": "output_text",
            "annotations": self.annotations,
            "logprobs": self.logprobs,
            "text": self.text,
        })
    }
}

impl Item {
    pub(super) fn is_message(&self) -> bool {
        matches!(self.form, Form::Message(_))
    }

    /// The item, whole or as it begins.
    pub(super) fn value(&self, whole: bool) -> Value {
        let status = if whole { "completed" } else { "in_progress" };
        match &self.form {
            Form::Message(parts) => json!({
                "id": self.id,
                "type": "message",
                "status": status,
                "role": "assistant",
                "content": parts.iter().map(Piece::value).collect::<Vec<_>>(),
            }),
            Form::Reasoning(thoughts) => thoughts.value(&self.id),
            Form::Call {
                call_id,
                name,
                custom,
                arguments,
            } => {
                let (kind, key) = if *custom {
                    ("custom_tool_call", "input")
                } else {
                    ("function_call", "arguments")
                };
                json!({
                    "id": self.id,
                    "type": kind,
                    "status": status,
                    "call_id": call_id,
                    "name": name,
                    key: arguments,
                })
            }
            Form::Picture { media_type, data } => {
                let mut object = Map::new();
                object.insert("id".to_owned(), self.id.as_str().into());
                object.insert("type".to_owned(), "image_generation_call".into());
                object.insert("status".to_owned(), status.into());
                let data = whole.then_some(data.as_str());
                object.insert("result".to_owned(), data.into());
                if let Some(format) = media_type.strip_prefix("image/") {
                    object.insert("output_format".to_owned(), format.into());
                }
                Value::Object(object)
            }
            Form::Whole(value) => value.clone(),
        }
    }
}

impl Thoughts {
    fn value(&self, id: &str) -> Value {
        let Self {
            text,
            has_text,
            summary,
            in_summary: _,
            signature,
            encrypted,
        } = self;
        let mut object = Map::new();
        object.insert("id".to_owned(), id.into());
        object.insert("type".to_owned(), "reasoning".into());
        let summary = summary.iter();
        let summary = summary.map(|text| json!({"type": "summary_text", "text": text}));
        object.insert("summary".to_owned(), Value::Array(summary.collect()));
        if *has_text {
            let content = json!([{"type": "reasoning_text", "text": text}]);
            object.insert("content".to_owned(), content);
        }
        if !encrypted.is_empty() {
            object.insert("encrypted_content".to_owned(), encrypted.as_str().into());
        } else if !signature.is_empty() {
            object.insert("encrypted_content".to_owned(), signed(signature).into());
        }
        Value::Object(object)
    }
}
