//! Answers and errors.

use serde_json::{Map, Value};

use super::members::{restore, Members, Reading};
use super::parts::{Parts, Place};
use super::{content, errors, grounding, logprobs, time, usage, API};
use crate::apis::object::wrong;
use crate::apis::{ProviderError, ReadError};
use crate::representation::{
    At, Choice, Extension, Losses, Part, PartKind, ProviderResponse, StopKind, StopReason,
};

/// Understands an answer.
///
/// # Errors
/// [`ReadError`]: it is no object.
pub fn read(body: Value) -> Result<ProviderResponse, ReadError> {
    if !body.is_object() {
        return Err(wrong("", "must be an object"));
    }
    let mut body = Members::new(body, "", Reading::Lenient)?;
    let mut answer = ProviderResponse {
        api: Some(API),
        id: body
            .text("responseId")?
            .map(|own| own.value)
            .unwrap_or_default(),
        model: body
            .text("modelVersion")?
            .map(|own| own.value)
            .unwrap_or_default(),
        ..ProviderResponse::default()
    };
    answer.created = body.peek_text("createTime").and_then(time::seconds);
    if answer.created.is_some() {
        body.take("createTime");
    }
    let list = body.many("candidates")?.unwrap_or_default();
    for (number, item) in list.into_iter().enumerate() {
        answer.choices.push(candidate(item, number)?);
    }
    answer.moderation = body.take("promptFeedback").map(|own| own.value);
    if let (true, Some(reason)) = (
        answer.choices.is_empty(),
        block_reason(answer.moderation.as_ref()),
    ) {
        answer.choices.push(Choice {
            stop: Some(filtered(reason)),
            ..Choice::default()
        });
    }
    if let Some(own) = body.object("usageMetadata")? {
        let (own, tier) = usage::read(own, &mut answer.extensions);
        for counted in answer
            .extensions
            .iter_mut()
            .filter(|own| usage::is_counted(own))
        {
            counted.name = format!("usageMetadata/{}", counted.name);
            counted.at = "".into();
        }
        answer.usage = Some(own);
        answer.service_tier = tier;
    }
    answer.extensions.extend(body.rest());
    Ok(answer)
}

/// Why a prompt was not answered.
pub(super) fn block_reason(feedback: Option<&Value>) -> Option<String> {
    let feedback = feedback?;
    let reason = feedback
        .get("blockReason")
        .or_else(|| feedback.get("block_reason"));
    usage::word(reason?)
}

pub(super) fn filtered(reason: String) -> StopReason {
    StopReason {
        kind: StopKind::ContentFilter,
        raw: reason,
        sequence: None,
    }
}

/// Understands a candidate. Its number is where it stands.
pub(super) fn candidate(item: At<Value>, number: usize) -> Result<Choice, ReadError> {
    let mut own = Members::new(item.value, item.at, Reading::Lenient)?;
    let mut choice = Choice::default();
    let is_number = |index: &Value| index.as_u64() == u64::try_from(number).ok();
    if own.peek("index").is_some_and(is_number) {
        own.take("index");
    }
    if let Some(mut content) = own.object("content")? {
        if content.peek_text("role") == Some("model") {
            content.take("role");
        }
        let parts = content.many("parts")?.unwrap_or_default();
        choice.parts = content::read(parts, Reading::Lenient)?;
        choice.extensions.extend(content.rest());
    }
    let has_calls = choice.parts.iter().any(is_call);
    if let Some(raw) = own.peek("finishReason").and_then(usage::word) {
        own.take("finishReason");
        choice.stop = Some(usage::stop_of(raw, has_calls));
    }
    if let Some((list, rest)) = own.peek("logprobsResult").and_then(logprobs::read) {
        choice.logprobs = Some(list);
        if let Some(result) = own.take("logprobsResult") {
            let rest = rest.into_iter().map(|(name, value)| Extension {
                at: crate::apis::object::below(&result.at, &name).into(),
                name,
                value,
            });
            choice.extensions.extend(rest);
        }
    }
    let found = grounding::find(own.peek("groundingMetadata"), own.peek("citationMetadata"));
    grounding::attach(found, &mut choice.parts);
    choice.extensions.extend(own.rest());
    Ok(choice)
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
    let same = api == Some(API);
    let block = block_reason(moderation.as_ref()).filter(|_| same);
    let mut candidates = Vec::new();
    for (number, choice) in choices.into_iter().enumerate() {
        let is_blocked = |stop: &StopReason| Some(&stop.raw) == block.as_ref();
        if choice.parts.is_empty() && choice.stop.as_ref().is_some_and(is_blocked) {
            continue;
        }
        candidates.push(write_candidate(choice, number, same, losses));
    }
    let mut body = Map::new();
    if !candidates.is_empty() {
        body.insert("candidates".to_owned(), candidates.into());
    }
    match moderation {
        Some(feedback) if same => {
            body.insert("promptFeedback".to_owned(), feedback);
        }
        Some(_) => losses.dropped("", "what others say of safety has no place in this API"),
        None => {}
    }
    let tier = service_tier.and_then(|tier| write_tier(tier, same, losses));
    if usage.is_some() || tier.is_some() {
        let mut own = usage
            .map(|own| usage::write(own, same, losses))
            .unwrap_or_default();
        if let Some(tier) = tier {
            own.insert("serviceTier".to_owned(), tier.into());
        }
        body.insert("usageMetadata".to_owned(), own.into());
    }
    if !model.is_empty() {
        body.insert("modelVersion".to_owned(), model.into());
    }
    if let Some(time) = created.and_then(time::written) {
        body.insert("createTime".to_owned(), time.into());
    }
    if !id.is_empty() {
        body.insert("responseId".to_owned(), id.into());
    }
    let mut body = Value::Object(body);
    restore(&mut body, "", extensions, same, losses);
    body
}

fn write_candidate(choice: Choice, number: usize, same: bool, losses: &mut Losses) -> Value {
    let Choice {
        parts,
        stop,
        logprobs,
        extensions,
    } = choice;
    let mut writer = Parts::new(Place::Answer, same, losses);
    let mut written = Vec::new();
    writer.write(parts, &mut written);
    let cited = std::mem::take(&mut writer.cited);
    let mut content = Map::new();
    if !written.is_empty() {
        content.insert("parts".to_owned(), written.into());
    }
    content.insert("role".to_owned(), "model".into());
    let mut own = Map::new();
    own.insert("content".to_owned(), content.into());
    let reason = match stop {
        Some(stop) => Some(usage::word_of(stop, same, losses)),
        None if same => None,
        None => Some(usage::untold(losses)),
    };
    if let Some(reason) = reason {
        own.insert("finishReason".to_owned(), finish_reason(reason));
    }
    own.insert("index".to_owned(), number.into());
    if let Some(list) = logprobs {
        match logprobs::write(&list) {
            Some(result) => {
                own.insert("logprobsResult".to_owned(), result);
            }
            None => losses.dropped("", "log probabilities of another form"),
        }
    }
    if let Some(metadata) = grounding::write(cited, losses) {
        own.insert("groundingMetadata".to_owned(), metadata);
    }
    let mut own = Value::Object(own);
    let base = format!("/candidates/{number}");
    restore(&mut own, &base, extensions, same, losses);
    own
}

/// A reason that was read as a number of no known word is one again.
pub(super) fn finish_reason(word: String) -> Value {
    match word.parse::<u64>() {
        Ok(number) => number.into(),
        Err(_) => word.into(),
    }
}

/// This API's word for a class of service.
pub(super) fn write_tier(tier: String, same: bool, losses: &mut Losses) -> Option<String> {
    match tier.as_str() {
        _ if same => Some(tier),
        "flex" | "priority" | "standard" => Some(tier),
        "default" => Some("standard".to_owned()),
        _ => {
            losses.dropped("", "this API has no such class of service");
            None
        }
    }
}

/// Understands an error body; `None` if it is none.
pub fn read_error(status: u16, body: &Value) -> Option<ProviderError> {
    errors::read(status, body)
}

/// Writes an error body.
pub fn write_error(error: &ProviderError) -> Value {
    errors::write(error)
}

/// An error in a stream.
pub(super) fn stream_error(kind: &str, status: Option<u16>, message: &str) -> Value {
    errors::write(&ProviderError {
        status: status.unwrap_or(500),
        kind: kind.to_owned(),
        message: message.to_owned(),
        ..ProviderError::default()
    })
}

#[cfg(test)]
mod tests;
