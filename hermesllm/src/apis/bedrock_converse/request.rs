//! Requests.

use serde_json::{json, Map, Number, Value};

use super::blocks::{cache_point, Blocks, Place};
use super::content::{self, Reading};
use super::extra::{self, Extra, FIELDS};
use super::place::restore;
use super::{tools, API};
use crate::apis::object::{wrong, Object};
use crate::apis::ReadError;
use crate::representation::{
    At, Extension, Losses, OutputFormat, Part, PartKind, Request, Role, Sampling, Setting, Turn,
};

/// Understands a request body. The model and whether the answer is streamed are in its path.
///
/// # Errors
/// [`ReadError`]: a member of the wrong type, or one that is missing.
pub fn read(body: Value) -> Result<Request, ReadError> {
    let mut body = Object::strict(body, "")?;
    let mut request = Request {
        api: Some(API),
        ..Request::default()
    };
    let mut extensions = Vec::new();
    let system = body.list("system")?.unwrap_or_default();
    if !system.is_empty() {
        request.turns.push(Turn {
            role: Role::System,
            name: None,
            parts: content::read(system, Reading::Strict)?,
            at: "/system".into(),
            extensions: Vec::new(),
        });
    }
    let Some(messages) = body.list("messages")? else {
        return Err(body.missing("messages"));
    };
    for message in messages {
        request.turns.push(turn(message)?);
    }
    if let Some(mut config) = body.object("inferenceConfig")? {
        request.max_output = config.whole("maxTokens")?;
        request.sampling.temperature = config.number("temperature")?;
        request.sampling.top_p = config.number("topP")?;
        let stop = config.texts("stopSequences")?;
        request.stop = stop.filter(|stop| !stop.value.is_empty());
        extensions.extend(config.rest());
    }
    if let Some(config) = body.object("toolConfig")? {
        (request.tools, request.tool_choice) = tools::read(config, &mut extensions)?;
    }
    if let Some(fields) = body.take(FIELDS) {
        let extra = extra::read(fields, &mut extensions);
        request.reasoning = extra.reasoning;
        request.sampling.top_k = extra.top_k;
    }
    if let Some(mut config) = body.object("outputConfig")? {
        let effort = &mut request.reasoning.get_or_insert_default().effort;
        extra::effort(&mut config, "effort", effort);
        if request.reasoning == Some(Default::default()) {
            request.reasoning = None;
        }
        request.format = format(&mut config, &mut extensions);
        extensions.extend(config.rest());
    }
    if let Some(mut tier) = body.object("serviceTier")? {
        request.service_tier = tier.text("type")?;
        extensions.extend(tier.rest());
    }
    request.metadata = body.map("requestMetadata")?;
    extensions.extend(body.rest());
    request.extensions = extensions;
    Ok(request)
}

fn turn(message: At<Value>) -> Result<Turn, ReadError> {
    let At { value, at } = message;
    let mut message = Object::strict(value, at.clone())?;
    let role = match message.peek_text("role") {
        Some("user") => Role::User,
        Some("assistant") => Role::Assistant,
        Some("system") => Role::System,
        _ => {
            let place = message.pointer("role");
            return Err(wrong(place, "must be user, assistant or system"));
        }
    };
    message.take("role");
    let Some(content) = message.list("content")? else {
        return Err(message.missing("content"));
    };
    Ok(Turn {
        role,
        name: None,
        parts: content::read(content, Reading::Strict)?,
        at,
        extensions: message.rest(),
    })
}

/// `textFormat`; what is not the one form that is known is kept whole.
fn format(config: &mut Object, extensions: &mut Vec<Extension>) -> Setting<OutputFormat> {
    let At { value, at } = config.take("textFormat")?;
    let schema = value.pointer("/structure/jsonSchema/schema");
    let schema = schema
        .and_then(Value::as_str)
        .and_then(|text| serde_json::from_str(text).ok());
    let is_schema = value.get("type").and_then(Value::as_str) == Some("json_schema");
    let Some(schema) = schema.filter(|_| is_schema) else {
        return Some(At::new(OutputFormat::Other(value), at));
    };
    let mut outer = Object::lenient(value, at.clone());
    outer.take("type");
    let mut name = None;
    let mut description = None;
    if let Ok(Some(mut structure)) = outer.object("structure") {
        if let Ok(Some(mut own)) = structure.object("jsonSchema") {
            own.take("schema");
            name = own.text("name").ok().flatten().map(|name| name.value);
            let text = own.text("description").ok().flatten();
            description = text.map(|text| text.value);
            extensions.extend(own.rest());
        }
        extensions.extend(structure.rest());
    }
    extensions.extend(outer.rest());
    let format = OutputFormat::Schema {
        name,
        description,
        schema,
        strict: None,
    };
    Some(At::new(format, at))
}

/// Writes a request body.
pub fn write(request: Request, losses: &mut Losses) -> Value {
    // Whether it streams is in the path, and usage comes always.
    let Request {
        api,
        model,
        stream: _,
        include_usage: _,
        turns,
        tools,
        tool_choice,
        parallel_tool_calls,
        max_output,
        sampling,
        stop,
        choices,
        logprobs,
        format,
        reasoning,
        verbosity,
        modalities,
        service_tier,
        metadata,
        user,
        cache_key,
        cache,
        store,
        previous,
        extensions,
    } = request;
    let same = api == Some(API);
    let used = tools::used(&turns);
    let most = max_output.as_ref().map(|most| most.value);
    let mut body = Map::new();
    let (mut messages, system) = conversation(turns, same, losses);
    if let Some(At { value: hint, at }) = cache {
        let last = messages.last_mut().and_then(|last| last.get_mut("content"));
        match last {
            Some(Value::Array(content)) if !content.is_empty() => {
                losses.approximated(at, "the cache point stands at the end of the conversation");
                content.push(cache_point(hint));
            }
            _ => losses.dropped(at, "there is no content to be cached"),
        }
    }
    body.insert("messages".to_owned(), messages.into());
    if !system.is_empty() {
        body.insert("system".to_owned(), system.into());
    }
    let (config, top_k) = inference(max_output, sampling, stop, same, losses);
    if !config.is_empty() {
        body.insert("inferenceConfig".to_owned(), config.into());
    }
    if let Some(config) = tools::write(tools, tool_choice, used, same, losses) {
        body.insert("toolConfig".to_owned(), config);
    }
    if let Some(format) = format.and_then(|format| write_format(format, same, losses)) {
        body.insert("outputConfig".to_owned(), json!({ "textFormat": format }));
    }
    if let Some(tier) = service_tier.and_then(|tier| write_tier(tier, same, losses)) {
        body.insert("serviceTier".to_owned(), json!({ "type": tier }));
    }
    if let Some(metadata) = metadata.and_then(|own| write_metadata(own, same, losses)) {
        body.insert("requestMetadata".to_owned(), metadata);
    }
    let mut body = Value::Object(body);
    let extra = Extra { reasoning, top_k };
    if same {
        extra::write_back(extra, &mut body);
    } else {
        extra::write(extra, &model, most, &mut body, losses);
    }
    restore(&mut body, "", extensions, same, losses);

    if let Some(At { value: false, at }) = parallel_tool_calls {
        losses.dropped(at, "Converse cannot forbid parallel calls");
    }
    if let Some(At { value: 2.., at }) = choices {
        losses.dropped(at, "Converse gives one answer");
    }
    losses.dropped_setting(logprobs, "Converse has no log probabilities");
    losses.dropped_setting(verbosity, "Converse has no verbosity");
    let is_text = |modalities: &At<Vec<String>>| modalities.value == ["text"];
    let modalities = modalities.filter(|own| !is_text(own));
    losses.dropped_setting(
        modalities,
        "Converse does not choose what answers consist of",
    );
    losses.dropped_setting(user, "Converse does not take who the user is");
    losses.dropped_setting(cache_key, "Converse has no keys of caches");
    let store = store.filter(|store| store.value);
    losses.dropped_setting(store, "Converse does not store answers");
    losses.dropped_setting(previous, "Converse has no stored answers");
    body
}

/// Messages and system prompt.
fn conversation(turns: Vec<Turn>, same: bool, losses: &mut Losses) -> (Vec<Value>, Vec<Value>) {
    if same {
        own_conversation(turns, losses)
    } else {
        foreign_conversation(turns, losses)
    }
}

/// Of this API: every message stays as it was.
fn own_conversation(turns: Vec<Turn>, losses: &mut Losses) -> (Vec<Value>, Vec<Value>) {
    let mut blocks = Blocks::new(true, losses);
    let mut system = Vec::new();
    let mut messages = Vec::new();
    for turn in turns {
        let Turn {
            role,
            name,
            parts,
            at,
            extensions,
        } = turn;
        blocks.losses.dropped_setting(name, NAMELESS);
        if at == "/system" {
            blocks.parts(parts, Place::System, &mut system);
            blocks.losses.dropped_extensions(extensions);
            continue;
        }
        let role = match role {
            Role::Assistant => "assistant",
            Role::User => "user",
            Role::System | Role::Developer => "system",
        };
        let mut content = Vec::new();
        blocks.parts(parts, Place::Message, &mut content);
        let mut message = json!({"role": role, "content": content});
        restore(&mut message, &at, extensions, true, blocks.losses);
        messages.push(message);
    }
    (messages, system)
}

/// Of another API: roles have to alternate, the user begins, and the results of tools stand before
/// what the user says beside them.
fn foreign_conversation(turns: Vec<Turn>, losses: &mut Losses) -> (Vec<Value>, Vec<Value>) {
    let mut blocks = Blocks::new(false, losses);
    let mut system = Vec::new();
    let mut merged: Vec<(&'static str, Vec<Part>)> = Vec::new();
    for turn in turns {
        let Turn {
            role,
            name,
            parts,
            at,
            extensions,
        } = turn;
        blocks.losses.dropped_setting(name, NAMELESS);
        blocks.losses.dropped_extensions(extensions);
        let role = match role {
            Role::System | Role::Developer if merged.is_empty() => {
                blocks.parts(parts, Place::System, &mut system);
                continue;
            }
            Role::System | Role::Developer => {
                let reason = "a later system turn is written as the user's";
                blocks.losses.approximated(at, reason);
                "user"
            }
            Role::Assistant => "assistant",
            Role::User => "user",
        };
        match merged.last_mut() {
            Some((last, own)) if *last == role => own.extend(parts),
            _ => merged.push((role, parts)),
        }
    }
    let mut messages: Vec<Value> = Vec::new();
    for (role, mut parts) in merged {
        if role == "user" {
            // Keeps the order of both.
            parts.sort_by_key(|part| !matches!(part.kind, PartKind::ToolResult(_)));
        }
        let mut content = Vec::new();
        let first = parts.first().map(|part| part.at.clone());
        blocks.parts(parts, Place::Message, &mut content);
        if content.is_empty() {
            continue;
        }
        if messages.is_empty() && role == "assistant" {
            let reason = "Converse begins with the user: a word of the user's is put before";
            blocks
                .losses
                .approximated(first.unwrap_or_default(), reason);
            messages.push(json!({"role": "user", "content": [{"text": "Continue."}]}));
        }
        // What stood between may have come to nothing.
        let is_same = |last: &&mut Value| last.get("role").is_some_and(|own| own == role);
        let last = messages.last_mut().filter(is_same);
        match last.and_then(|last| last.get_mut("content")) {
            Some(Value::Array(own)) => own.append(&mut content),
            _ => messages.push(json!({"role": role, "content": content})),
        }
    }
    (messages, system)
}

const NAMELESS: &str = "speakers have no names in Converse";

/// `inferenceConfig`, and what it has no place for.
fn inference(
    max_output: Setting<u64>,
    sampling: Sampling,
    stop: Setting<Vec<String>>,
    same: bool,
    losses: &mut Losses,
) -> (Map<String, Value>, Setting<Number>) {
    let Sampling {
        temperature,
        top_p,
        top_k,
        min_p,
        frequency_penalty,
        presence_penalty,
        seed,
        logit_bias,
    } = sampling;
    let mut config = Map::new();
    if let Some(most) = max_output {
        config.insert("maxTokens".to_owned(), most.value.into());
    }
    if let Some(At { value, at }) = temperature {
        let is_high = !same && value.as_f64().is_some_and(|own| own > 1.0);
        if is_high {
            losses.approximated(at, "a temperature of Converse is at most 1");
        }
        let value = if is_high { 1.into() } else { value };
        config.insert("temperature".to_owned(), Value::Number(value));
    }
    if let Some(top_p) = top_p {
        config.insert("topP".to_owned(), Value::Number(top_p.value));
    }
    if let Some(stop) = stop {
        let texts = stop.value.into_iter();
        let texts: Vec<String> = texts.filter(|text| same || !text.is_empty()).collect();
        if !texts.is_empty() {
            config.insert("stopSequences".to_owned(), texts.into());
        }
    }
    losses.dropped_setting(min_p, "Converse has no such way to choose tokens");
    losses.dropped_setting(
        frequency_penalty,
        "Converse has no such way to choose tokens",
    );
    losses.dropped_setting(
        presence_penalty,
        "Converse has no such way to choose tokens",
    );
    losses.dropped_setting(seed, "Converse has no such way to choose tokens");
    losses.dropped_setting(logit_bias, "Converse has no such way to choose tokens");
    (config, top_k)
}

fn write_format(format: At<OutputFormat>, same: bool, losses: &mut Losses) -> Option<Value> {
    let At { value, at } = format;
    match value {
        OutputFormat::Text => None,
        OutputFormat::Json => {
            losses.dropped(at, "Converse has no JSON without a schema");
            None
        }
        OutputFormat::Schema {
            name,
            description,
            schema,
            strict,
        } => {
            if strict == Some(false) {
                losses.approximated(at, "Converse guarantees a schema always");
            }
            let mut own = Map::new();
            own.insert("schema".to_owned(), schema.to_string().into());
            if let Some(name) = name {
                own.insert("name".to_owned(), name.into());
            }
            if let Some(description) = description {
                own.insert("description".to_owned(), description.into());
            }
            Some(json!({"type": "json_schema", "structure": {"jsonSchema": own}}))
        }
        OutputFormat::Other(value) if same => Some(value),
        OutputFormat::Other(_) => {
            losses.dropped(at, "only its own API has answers of this form");
            None
        }
    }
}

fn write_tier(tier: At<String>, same: bool, losses: &mut Losses) -> Option<String> {
    let At { value, at } = tier;
    match value.as_str() {
        _ if same => Some(value),
        "priority" | "default" | "flex" | "reserved" => Some(value),
        // What a request gets that says nothing.
        "auto" => None,
        "standard_only" | "standard" => Some("default".to_owned()),
        _ => {
            losses.dropped(at, "Converse has no such class of service");
            None
        }
    }
}

/// The longest label.
const MAX_LABEL: usize = 256;

fn write_metadata(
    metadata: At<Map<String, Value>>,
    same: bool,
    losses: &mut Losses,
) -> Option<Value> {
    let At { value, at } = metadata;
    if same {
        return Some(Value::Object(value));
    }
    let is_label = |text: &str| {
        let is_fine = |letter: char| {
            letter.is_ascii_alphanumeric()
                || letter.is_whitespace()
                || ":_@$#=/+,-.".contains(letter)
        };
        text.len() <= MAX_LABEL && text.chars().all(is_fine)
    };
    let mut labels = Map::new();
    for (key, value) in value {
        let is_fine = !key.is_empty() && is_label(&key) && value.as_str().is_some_and(is_label);
        if is_fine {
            labels.insert(key, value);
        } else {
            let place = crate::apis::object::below(&at, &key);
            losses.dropped(
                place,
                "labels are short texts of letters, digits and :_@$#=/+,-.",
            );
        }
    }
    (!labels.is_empty()).then_some(Value::Object(labels))
}

#[cfg(test)]
mod tests;
