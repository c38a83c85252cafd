//! Settings that are objects or lists of their own: `text`, `reasoning`, `include`.

use serde_json::{Map, Value};

use super::{ENCRYPTED, LOGPROBS};
use crate::apis::object::{put, Object};
use crate::apis::openai_responses::members::{inside, put_members, rest_of};
use crate::apis::ReadError;
use crate::representation::request::Enabled;
use crate::representation::{
    At, Effort, Extension, Losses, OutputFormat, Pointer, ReasoningConfig, Setting,
};

/// Reads `text`: the form of the answer, and how verbose it is.
pub(super) fn read_text(
    object: &mut Object,
    extensions: &mut Vec<Extension>,
) -> Result<(Setting<OutputFormat>, Setting<String>), ReadError> {
    let Some(mut text) = object.object("text")? else {
        return Ok((None, None));
    };
    let verbosity = text.text("verbosity")?;
    let format = match text.object("format")? {
        Some(format) => Some(read_format(format, extensions)?),
        None => None,
    };
    extensions.extend(rest_of(text, "text"));
    Ok((format, verbosity))
}

fn read_format(
    mut format: Object,
    extensions: &mut Vec<Extension>,
) -> Result<At<OutputFormat>, ReadError> {
    let at = format.at().to_owned();
    let kind = format.peek_text("type").unwrap_or_default();
    let read = match kind {
        "text" => OutputFormat::Text,
        "json_object" => OutputFormat::Json,
        "json_schema" if format.has("schema") => {
            let name = format.text("name")?.map(|name| name.value);
            let description = format.text("description")?.map(|text| text.value);
            let strict = format.flag("strict")?.map(|strict| strict.value);
            let schema = format.take("schema").map(|schema| schema.value);
            OutputFormat::Schema {
                name,
                description,
                schema: schema.unwrap_or(Value::Null),
                strict,
            }
        }
        _ => {
            let members = format.rest().into_iter().map(|e| (e.name, e.value));
            let all: Map<_, _> = members.collect();
            return Ok(At::new(OutputFormat::Other(Value::Object(all)), at));
        }
    };
    format.take("type");
    extensions.extend(inside(rest_of(format, "format"), "text"));
    Ok(At::new(read, at))
}

/// Writes `text`. `None`: there is nothing to say.
pub(super) fn write_text(
    format: Setting<OutputFormat>,
    verbosity: Setting<String>,
    same: bool,
    losses: &mut Losses,
) -> Option<Value> {
    let mut text = Map::new();
    let format = format.and_then(|At { value, at }| write_format(value, at, same, losses));
    put(&mut text, "format", format);
    put(&mut text, "verbosity", verbosity.map(|word| word.value));
    (!text.is_empty()).then_some(Value::Object(text))
}

fn write_format(
    format: OutputFormat,
    at: Pointer,
    same: bool,
    losses: &mut Losses,
) -> Option<Value> {
    let mut object = Map::new();
    let kind = match format {
        OutputFormat::Text => "text",
        OutputFormat::Json => "json_object",
        OutputFormat::Schema {
            name,
            description,
            schema,
            strict,
        } => {
            // The API wants a name.
            let name = name.or_else(|| (!same).then(|| "response".to_owned()));
            put(&mut object, "name", name);
            put(&mut object, "description", description);
            object.insert("schema".to_owned(), schema);
            put(&mut object, "strict", strict);
            "json_schema"
        }
        OutputFormat::Other(value) if same => return Some(value),
        OutputFormat::Other(_) => {
            losses.dropped(at, "a form that only another API has");
            return None;
        }
    };
    object.insert("type".to_owned(), kind.into());
    Some(Value::Object(object))
}

/// What `include` asks for.
#[derive(Debug, Default)]
pub(super) struct Include {
    pub(super) encrypted: Setting<()>,
    pub(super) logprobs: Setting<()>,
    /// What has no field; nothing of a list that has nothing else.
    pub(super) rest: Option<Extension>,
}

/// Reads `include`.
pub(super) fn read_include(object: &mut Object) -> Result<Include, ReadError> {
    let mut include = Include::default();
    let at = object.pointer("include");
    let mut rest = Vec::new();
    for At { value, at } in object.list("include")?.unwrap_or_default() {
        match value.as_str() {
            Some(ENCRYPTED) => include.encrypted = Some(At::new((), at)),
            Some(LOGPROBS) => include.logprobs = Some(At::new((), at)),
            _ => rest.push(value),
        }
    }
    include.rest = (!rest.is_empty()).then(|| Extension {
        name: "include".to_owned(),
        value: Value::Array(rest),
        at: at.into(),
    });
    Ok(include)
}

/// Reads `reasoning`.
pub(super) fn read_reasoning(
    object: &mut Object,
    encrypted: Setting<()>,
) -> Result<Option<ReasoningConfig>, ReadError> {
    let mut config = ReasoningConfig {
        encrypted: encrypted.map(|included| At::new(true, included.at)),
        ..ReasoningConfig::default()
    };
    let Some(mut reasoning) = object.object("reasoning")? else {
        return Ok(config.encrypted.is_some().then_some(config));
    };
    // A word that is not known is left as an extension.
    if reasoning
        .peek_text("effort")
        .and_then(Effort::named)
        .is_some()
    {
        let effort = reasoning.text("effort")?;
        config.effort = effort.and_then(|word| {
            let effort = Effort::named(&word.value)?;
            Some(At::new(effort, word.at))
        });
    }
    config.summary = reasoning.text("summary")?;
    config.extensions = reasoning.rest();
    Ok(Some(config))
}

/// Writes `reasoning`, and tells whether encrypted reasoning is asked for.
pub(super) fn write_reasoning(
    config: ReasoningConfig,
    same: bool,
    losses: &mut Losses,
) -> (Option<Value>, bool) {
    let ReasoningConfig {
        enabled,
        effort,
        budget,
        summary,
        encrypted,
        extensions,
    } = config;
    let mut object = Map::new();
    let is_off = matches!(&enabled, Some(on) if on.value == Enabled::No);
    let effort = match (effort, budget) {
        (_, budget) if is_off => {
            losses.dropped_setting(budget, "there is nothing to think with");
            Some(Effort::None)
        }
        (Some(effort), budget) => {
            losses.dropped_setting(budget, "how much to think is told in words, and was");
            Some(effort.value)
        }
        (None, Some(budget)) => {
            let reason = "how much to think is told in words, not in tokens";
            losses.approximated(budget.at, reason);
            Some(Effort::of_budget(budget.value))
        }
        // Thinking alone, without a measure: the API's default.
        (None, None) => match enabled.map(|on| on.value) {
            Some(Enabled::Yes) => Some(Effort::Medium),
            Some(Enabled::No | Enabled::Adaptive) | None => None,
        },
    };
    put(&mut object, "effort", effort.map(Effort::as_str));
    // No summary is how the API says `none`.
    let summary = summary.map(|summary| summary.value);
    let summary = summary.filter(|word| same || word != "none");
    put(&mut object, "summary", summary);
    put_members(&mut object, extensions, same, &[], losses);
    let value = (!object.is_empty()).then_some(Value::Object(object));
    (value, encrypted.is_some_and(|encrypted| encrypted.value))
}

/// Whether a model takes cache breakpoints: `gpt-5.6` and later, by the API's documentation.
pub(super) fn takes_breakpoints(model: &str) -> bool {
    let name = model.rsplit('/').next().unwrap_or(model);
    let Some(version) = name.strip_prefix("gpt-") else {
        return false;
    };
    let number = version.split('-').next().unwrap_or_default();
    let (major, minor) = number.split_once('.').unwrap_or((number, "0"));
    match (major.parse::<u32>(), minor.parse::<u32>()) {
        (Ok(major), Ok(minor)) => (major, minor) >= (5, 6),
        _ => false,
    }
}
