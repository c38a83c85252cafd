//! Answers.

mod errors;
mod stop;

use serde_json::{json, Map, Value};

use super::items::{self, Mode, Writer};
use super::members::{incidental, put_members};
use super::usage;
use crate::apis::object::Object;
use crate::apis::{ReadError, SupportedUpstreamAPIs};
use crate::representation::{
    Choice, Extension, Losses, Part, PartKind, Pointer, ProviderResponse, Role, TokenUsage,
};

pub use errors::{read_error, write_error};
pub(super) use errors::{status_of, type_of};
pub(super) use stop::{read as read_stop, write as write_stop, Ending};

/// What an answer repeats of its request, and what is its own alone.
const ECHO: [&str; 27] = [
    "object",
    "background",
    "billing",
    "completed_at",
    "conversation",
    "frequency_penalty",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "output_text",
    "parallel_tool_calls",
    "presence_penalty",
    "previous_response_id",
    "prompt",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "reasoning",
    "safety_identifier",
    "store",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
];

/// Further ones.
const ECHO_TOO: [&str; 2] = ["truncation", "user"];

/// Reads an answer.
///
/// # Errors
/// [`ReadError`]: the document is no object.
pub fn read(body: Value) -> Result<ProviderResponse, ReadError> {
    // What is none at all is refused; whatever else is odd is left where it is.
    if !body.is_object() {
        return Err(crate::apis::object::wrong("", "must be an object"));
    }
    let mut object = Object::lenient(body, "");
    let mut choice = Choice::default();
    let mut logprobs = Vec::new();
    for item in object.list("output")?.unwrap_or_default() {
        let item = items::read(item, true)?;
        choice.parts.extend(item.parts);
        logprobs.extend(item.logprobs);
    }
    if !logprobs.is_empty() {
        choice.logprobs = Some(Value::Array(logprobs));
    }
    choice.stop = stop::read(&mut object, choice.parts.iter().any(is_call));
    let mut extensions = Vec::new();
    let usage = object.object("usage")?;
    let usage = usage.map(|usage| usage::read(usage, &mut extensions));
    let text = |object: &mut Object, key: &str| -> Result<Option<String>, ReadError> {
        Ok(object.text(key)?.map(|text| text.value))
    };
    Ok(ProviderResponse {
        api: Some(SupportedUpstreamAPIs::OpenAiResponses),
        id: text(&mut object, "id")?.unwrap_or_default(),
        model: text(&mut object, "model")?.unwrap_or_default(),
        created: object.whole("created_at")?.map(|created| created.value),
        choices: vec![choice],
        usage,
        service_tier: text(&mut object, "service_tier")?,
        moderation: object.take("moderation").map(|found| found.value),
        extensions: {
            extensions.extend(object.rest());
            incidental(&mut extensions, &ECHO);
            incidental(&mut extensions, &ECHO_TOO);
            extensions
        },
    })
}

fn is_call(part: &Part) -> bool {
    matches!(part.kind, PartKind::ToolCall(_))
}

/// Writes an answer.
pub fn write(answer: ProviderResponse, losses: &mut Losses) -> Value {
    let ProviderResponse {
        api,
        id,
        model,
        created,
        choices,
        usage,
        service_tier,
        moderation,
        extensions,
    } = answer;
    let same = api == Some(SupportedUpstreamAPIs::OpenAiResponses);
    let mut choices = choices.into_iter();
    let choice = choices.next().unwrap_or_default();
    for (number, _) in (1..).zip(choices) {
        losses.dropped(format!("/choices/{number}"), "there is one answer");
    }
    let Choice {
        parts,
        stop,
        logprobs,
        extensions: of_choice,
    } = choice;
    let ending = stop.map(|stop| stop::write(stop, same, losses));
    let mut writer = Writer::new(Mode::Answer(id.clone()), same, losses);
    if let Some(Value::Array(tokens)) = logprobs {
        writer = writer.with_logprobs(tokens);
    }
    let at = Pointer::Borrowed("");
    writer.turn(Role::Assistant, &at, parts, Vec::new());
    let output = writer.finish();
    let head = Head {
        id,
        model,
        created,
        service_tier,
    };
    let mut body = head.document(same, ending.as_ref(), output, usage.as_ref(), losses);
    if let Some(moderation) = moderation {
        if same {
            body.insert("moderation".to_owned(), moderation);
        } else {
            losses.dropped("/moderation", "what was found is told in other words here");
        }
    }
    put_members(&mut body, of_choice, same, &[], losses);
    put_members(&mut body, extensions, same, &[], losses);
    Value::Object(body)
}

/// What stands at the head of an answer.
#[derive(Debug, Clone, Default)]
pub(super) struct Head {
    pub(super) id: String,
    pub(super) model: String,
    pub(super) created: Option<u64>,
    pub(super) service_tier: Option<String>,
}

impl Head {
    /// An answer. `same`: extensions bring what else it had; otherwise it gets the members that the
    /// types of the API's clients require.
    pub(super) fn document(
        self,
        same: bool,
        ending: Option<&Ending>,
        mut output: Vec<Value>,
        usage: Option<&TokenUsage>,
        losses: &mut Losses,
    ) -> Map<String, Value> {
        let Self {
            id,
            model,
            created,
            service_tier,
        } = self;
        let mut body = Map::new();
        if !id.is_empty() || !same {
            body.insert("id".to_owned(), id.into());
        }
        if !same {
            body.insert("object".to_owned(), "response".into());
        }
        let created = created.or_else(|| (!same).then_some(0));
        crate::apis::object::put(&mut body, "created_at", created);
        match ending {
            Some(ending) => {
                if !same && ending.is_incomplete() {
                    mark_incomplete(&mut output);
                }
                ending.put(&mut body, same);
            }
            None if same => {}
            None => {
                body.insert("status".to_owned(), "in_progress".into());
            }
        }
        if !model.is_empty() || !same {
            body.insert("model".to_owned(), model.into());
        }
        body.insert("output".to_owned(), Value::Array(output));
        if let Some(usage) = usage {
            body.insert("usage".to_owned(), usage::write(usage, same, losses));
        } else if !same {
            body.insert("usage".to_owned(), Value::Null);
        }
        crate::apis::object::put(&mut body, "service_tier", service_tier);
        if !same {
            put_defaults(&mut body);
        }
        body
    }
}

/// The last item of an answer that was cut.
fn mark_incomplete(output: &mut [Value]) {
    if let Some(Value::Object(item)) = output.last_mut() {
        if let Some(status) = item.get_mut("status") {
            *status = "incomplete".into();
        }
    }
}

/// What clients read of the request in an answer: nothing is known of it here.
fn put_defaults(body: &mut Map<String, Value>) {
    let defaults = json!({
        "error": null,
        "incomplete_details": null,
        "instructions": null,
        "max_output_tokens": null,
        "metadata": {},
        "parallel_tool_calls": true,
        "previous_response_id": null,
        "reasoning": {"effort": null, "summary": null},
        "store": false,
        "temperature": null,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": null,
        "truncation": "disabled",
    });
    if let Value::Object(defaults) = defaults {
        for (name, value) in defaults {
            body.entry(name).or_insert(value);
        }
    }
}

/// Usage of a stream's last event; what has no field is of no use there.
pub(super) fn read_usage(object: Object) -> TokenUsage {
    let mut ignored: Vec<Extension> = Vec::new();
    usage::read(object, &mut ignored)
}

#[cfg(test)]
mod tests;
