//! Thoughts, which this API has no form of its own for.

use serde_json::{json, Map, Value};

use crate::apis::object::Object;
use crate::representation::{At, Losses, Part, PartKind, Reasoning};

/// Reads `reasoning_content`, `reasoning` and `reasoning_details`.
pub(super) fn read(object: &mut Object) -> Vec<Part> {
    let mut own = Reasoning::default();
    let mut at = None;
    for key in ["reasoning_content", "reasoning"] {
        if object.peek_text(key).is_some() {
            let Some(found) = object.take(key) else {
                continue;
            };
            let At { value, at: place } = found;
            if at.is_none() {
                own.text = value.as_str().unwrap_or_default().to_owned();
                at = Some(place);
            }
        }
    }
    let mut further: Vec<Reasoning> = Vec::new();
    let details = object.peek("reasoning_details").and_then(Value::as_array);
    let mut details_understood = details.is_some();
    for detail in details.into_iter().flatten() {
        let is_encrypted = detail
            .get("type")
            .is_some_and(|own| own == "reasoning.encrypted");
        let last = further.last_mut().unwrap_or(&mut own);
        if is_encrypted && last.encrypted.is_some() {
            further.push(Reasoning::default());
        }
        let last = further.last_mut().unwrap_or(&mut own);
        details_understood &= read_detail(detail, last);
    }
    if details_understood {
        let found = object.take("reasoning_details");
        at = at.or(found.map(|found| found.at));
    }
    match at {
        Some(at) if own != Reasoning::default() => std::iter::once(own)
            .chain(further)
            .map(|own| Part::new(PartKind::Reasoning(own), at.clone()))
            .collect(),
        _ => Vec::new(),
    }
}

/// One of `reasoning_details`. The texts of those repeat what `reasoning` says.
fn read_detail(detail: &Value, own: &mut Reasoning) -> bool {
    let text = |key: &str| detail.get(key).and_then(Value::as_str);
    match text("type") {
        Some("reasoning.text") => {
            if own.text.is_empty() {
                own.text = text("text").unwrap_or_default().to_owned();
            }
            own.signature = text("signature")
                .map(str::to_owned)
                .or(own.signature.take());
            true
        }
        Some("reasoning.summary") => {
            if own.text.is_empty() {
                own.summary.extend(text("summary").map(str::to_owned));
            }
            true
        }
        Some("reasoning.encrypted") => {
            own.encrypted = text("data").map(str::to_owned);
            own.id = text("id").map(str::to_owned).or(own.id.take());
            true
        }
        _ => false,
    }
}

/// Writes thoughts into a message.
pub(super) fn write(
    message: &mut Map<String, Value>,
    thoughts: Vec<At<Reasoning>>,
    same: bool,
    losses: &mut Losses,
) {
    let mut said = String::new();
    let mut details = Vec::new();
    let mut name = "reasoning_content";
    for At { value, at } in thoughts {
        let Reasoning {
            id,
            text,
            summary,
            signature,
            encrypted,
        } = value;
        if same && at.ends_with("/reasoning") {
            name = "reasoning";
        }
        said.push_str(&text);
        if text.is_empty() && !summary.is_empty() {
            said.push_str(&summary.join("\n"));
            if !same {
                losses.approximated(at, "a summary of thoughts is shown as thoughts");
            }
        }
        if let Some(signature) = signature {
            details.push(json!({"type": "reasoning.text", "text": text, "signature": signature}));
        }
        if let Some(data) = encrypted {
            let mut detail = json!({"type": "reasoning.encrypted", "data": data});
            if let (Some(id), Some(object)) = (id, detail.as_object_mut()) {
                object.insert("id".to_owned(), id.into());
            }
            details.push(detail);
        }
    }
    if !said.is_empty() {
        message.insert(name.to_owned(), said.into());
    }
    if !details.is_empty() {
        message.insert("reasoning_details".to_owned(), details.into());
    }
}
