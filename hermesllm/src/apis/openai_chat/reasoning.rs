//! Thoughts, which this API has no form of its own for.
//!
//! Providers tell them as `reasoning_content` (DeepSeek and most others), as `reasoning`, or as
//! `reasoning_details` (OpenRouter), a list of texts, summaries and encrypted data with their
//! signatures. Several of them may tell the same thoughts. The place of a part says which did, so
//! that they come back as they were: `…/reasoning_content`, `…/reasoning`, the message for both of
//! these, or `…/reasoning_details/0`; details with a text beside them have the place of the text.

use serde_json::{json, Map, Value};

use super::extra;
use crate::apis::object::{put, Object};
use crate::representation::{At, Losses, Part, PartKind, Reasoning};

const CONTENT: &str = "reasoning_content";
const PLAIN: &str = "reasoning";
const DETAILS: &str = "reasoning_details";

/// Reads the thoughts of a message.
pub(super) fn read(object: &mut Object) -> Vec<Part> {
    let mut texts: Vec<At<String>> = Vec::new();
    for key in [CONTENT, PLAIN] {
        if object.peek_text(key).is_some() {
            if let Some(At {
                value: Value::String(text),
                at,
            }) = object.take(key)
            {
                if !text.is_empty() {
                    texts.push(At::new(text, at));
                }
            }
        }
    }
    if let [one, other] = texts.as_slice() {
        if one.value == other.value {
            texts.truncate(1);
            if let Some(both) = texts.first_mut() {
                both.at = object.at().to_owned().into();
            }
        }
    }
    let details = details(object);
    let mut parts = Vec::new();
    for text in texts {
        match beside(text, &details) {
            Beside::Same(at) => {
                parts.extend(details.into_iter().map(|own| own.into_part(Some(&at))));
                return parts;
            }
            Beside::Missing(text) => {
                let mut details = details;
                let at = text.at.into_owned();
                if let Some(own) = details.iter_mut().find(|own| own.lacks_text()) {
                    own.reasoning.text = text.value;
                }
                parts.extend(details.into_iter().map(|own| own.into_part(Some(&at))));
                return parts;
            }
            Beside::Another(text) => {
                let reasoning = Reasoning {
                    text: text.value,
                    ..Reasoning::default()
                };
                parts.push(Part::new(PartKind::Reasoning(reasoning), text.at));
            }
        }
    }
    parts.extend(details.into_iter().map(|own| own.into_part(None)));
    parts
}

/// What a text is to the details beside it.
enum Beside {
    /// They say the same; the place of the text.
    Same(String),
    /// They have the signature of it alone.
    Missing(At<String>),
    /// They say something else, or nothing.
    Another(At<String>),
}

fn beside(text: At<String>, details: &[Detail]) -> Beside {
    let told: String = details.iter().map(Detail::told).collect();
    let letters = |text: &str| -> String { text.split_whitespace().collect() };
    if !told.is_empty() && letters(&told) == letters(&text.value) {
        return Beside::Same(text.at.into_owned());
    }
    if told.is_empty() && details.iter().any(Detail::lacks_text) {
        return Beside::Missing(text);
    }
    Beside::Another(text)
}

/// Thoughts of `reasoning_details`: one entry, or the summaries of encrypted data and these.
struct Detail {
    reasoning: Reasoning,
    at: String,
    /// What each entry has beside.
    rest: Vec<Map<String, Value>>,
}

impl Detail {
    fn told(&self) -> String {
        format!("{}{}", self.reasoning.text, self.reasoning.summary.concat())
    }

    fn lacks_text(&self) -> bool {
        let own = &self.reasoning;
        own.text.is_empty() && own.signature.is_some()
    }

    /// Whether encrypted data is that of these summaries.
    fn is_begun(&self, id: Option<&String>) -> bool {
        let own = &self.reasoning;
        let same_id = own.id.is_none() || own.id.as_ref() == id;
        own.encrypted.is_none() && !own.summary.is_empty() && own.text.is_empty() && same_id
    }

    fn into_part(self, at: Option<&str>) -> Part {
        let told_twice = at.is_some();
        let at = at.map_or(self.at, str::to_owned);
        let mut part = Part::new(PartKind::Reasoning(self.reasoning), at);
        if told_twice || self.rest.iter().any(|rest| !rest.is_empty()) {
            // Their numbers, and whose form their data has.
            let rest = self.rest.into_iter().map(Value::from).collect();
            part.extensions.push(extra::silent(DETAILS, rest));
        }
        part
    }
}

/// Takes `reasoning_details`, if all of them are understood.
fn details(object: &mut Object) -> Vec<Detail> {
    let Some(Value::Array(entries)) = object.peek(DETAILS) else {
        return Vec::new();
    };
    let place = object.pointer(DETAILS);
    let mut all: Vec<Detail> = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        let Some((reasoning, rest)) = entry.as_object().and_then(detail) else {
            return Vec::new();
        };
        if let Some(known) = all.last_mut() {
            let continues = reasoning.encrypted.is_some() || !reasoning.summary.is_empty();
            if continues && known.is_begun(reasoning.id.as_ref()) {
                // The identifier stands with the last; those of the others are as they were.
                if let (Some(id), Some(before)) = (known.reasoning.id.take(), known.rest.last_mut())
                {
                    before.insert("id".to_owned(), id.into());
                }
                known.reasoning.id = reasoning.id;
                known.reasoning.summary.extend(reasoning.summary);
                known.reasoning.encrypted = reasoning.encrypted;
                known.rest.push(rest);
                continue;
            }
        }
        all.push(Detail {
            reasoning,
            at: format!("{place}/{index}"),
            rest: vec![rest],
        });
    }
    object.take(DETAILS);
    all
}

/// One entry, and what it has beside.
fn detail(entry: &Map<String, Value>) -> Option<(Reasoning, Map<String, Value>)> {
    let mut own = Reasoning::default();
    let mut rest = entry.clone();
    rest.retain(|_, value| !value.is_null());
    let mut text = |key: &str| match rest.shift_remove(key) {
        Some(Value::String(text)) => Some(text),
        Some(other) => {
            rest.insert(key.to_owned(), other);
            None
        }
        None => None,
    };
    let kind = text("type")?;
    own.id = text("id");
    match kind.as_str() {
        "reasoning.text" => {
            own.text = text("text").unwrap_or_default();
            own.signature = text("signature").filter(|signature| !signature.is_empty());
        }
        "reasoning.summary" => own.summary.push(text("summary")?),
        "reasoning.encrypted" => own.encrypted = Some(text("data")?),
        _ => return None,
    }
    Some((own, rest))
}

/// Writes thoughts into a message.
pub(super) fn write(
    message: &mut Map<String, Value>,
    thoughts: Vec<Part>,
    same: bool,
    losses: &mut Losses,
) {
    let mut texts: Vec<(&'static str, String)> = Vec::new();
    let mut details = Vec::new();
    for part in thoughts {
        let Part {
            kind: PartKind::Reasoning(own),
            cache,
            signature,
            at,
            extensions,
        } = part
        else {
            continue;
        };
        if cache.is_some() {
            losses.dropped(at.clone(), "thoughts are not cached apart");
        }
        if signature.is_some() {
            losses.dropped(at.clone(), "thoughts have a signature of their own");
        }
        let mut rest = Vec::new();
        for extension in extensions {
            match extension.value {
                Value::Array(entries) if same && extension.name == DETAILS => rest = entries,
                _ => losses.dropped_extensions(vec![extension]),
            }
        }
        let told = names(&at, same);
        let text = match own.summary.as_slice() {
            _ if !own.text.is_empty() => own.text.clone(),
            summary => summary.join("\n\n"),
        };
        for name in told.into_iter().flatten() {
            match texts.iter_mut().find(|(known, _)| *known == name) {
                Some((_, all)) if !text.is_empty() => {
                    all.push_str(if all.is_empty() { "" } else { "\n\n" });
                    all.push_str(&text);
                }
                Some(_) => {}
                None => texts.push((name, text.clone())),
            }
        }
        let is_plain = own.signature.is_none()
            && own.encrypted.is_none()
            && own.id.is_none()
            && own.summary.is_empty();
        if !is_plain || !rest.is_empty() || told == [None, None] {
            entries(own, rest, same, &mut details);
        }
    }
    for (name, text) in texts {
        if !text.is_empty() {
            message.insert(name.to_owned(), text.into());
        }
    }
    if !details.is_empty() {
        message.insert(DETAILS.to_owned(), details.into());
    }
}

/// Under which names thoughts are told as a text.
fn names(at: &str, same: bool) -> [Option<&'static str>; 2] {
    let mut way = at.rsplit('/');
    match (way.next(), way.next()) {
        (Some(PLAIN), _) if same => [Some(PLAIN), None],
        (Some(_), Some(DETAILS)) if same => [None, None],
        (Some(CONTENT), _) => [Some(CONTENT), None],
        _ if same => [Some(CONTENT), Some(PLAIN)],
        _ => [Some(CONTENT), None],
    }
}

/// Writes thoughts as `reasoning_details`.
fn entries(own: Reasoning, rest: Vec<Value>, same: bool, details: &mut Vec<Value>) {
    let Reasoning {
        id,
        text,
        summary,
        signature,
        encrypted,
    } = own;
    let mut written: Vec<Map<String, Value>> = Vec::new();
    let mut add = |kind: &str, key: &str, value: Value| {
        let mut entry = Map::new();
        entry.insert("type".to_owned(), kind.into());
        entry.insert(key.to_owned(), value);
        written.push(entry);
    };
    for summary in summary {
        add("reasoning.summary", "summary", summary.into());
    }
    let has_text = !text.is_empty() || signature.is_some();
    if has_text {
        add("reasoning.text", "text", text.into());
    }
    if let Some(data) = encrypted {
        add("reasoning.encrypted", "data", data.into());
    }
    if written.is_empty() {
        add_empty(&mut written);
    }
    if let Some(last) = written.last_mut() {
        put(last, "id", id);
    }
    if let Some(entry) = written.iter_mut().find(|entry| entry.contains_key("text")) {
        put(entry, "signature", signature);
    }
    let first = details.len();
    let mut rest = rest.into_iter();
    for (number, mut entry) in written.into_iter().enumerate() {
        match rest.next() {
            Some(Value::Object(rest)) => {
                for (key, value) in rest {
                    entry.entry(key).or_insert(value);
                }
            }
            _ if same => {}
            // Clients add up what has the same number.
            _ => {
                entry.insert("index".to_owned(), (first + number).into());
            }
        }
        details.push(entry.into());
    }
}

fn add_empty(written: &mut Vec<Map<String, Value>>) {
    if let Value::Object(entry) = json!({"type": "reasoning.text", "text": ""}) {
        written.push(entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn again(message: Value) -> (Vec<Reasoning>, Value) {
        let mut object = Object::lenient(message, "/messages/1");
        let parts = read(&mut object);
        assert!(object.rest().is_empty());
        let thoughts = parts.iter().map(|part| match &part.kind {
            PartKind::Reasoning(own) => own.clone(),
            other => panic!("{other:?}"),
        });
        let thoughts = thoughts.collect();
        let (mut message, mut losses) = (Map::new(), Losses::new());
        write(&mut message, parts, true, &mut losses);
        assert!(losses.is_empty());
        (thoughts, message.into())
    }

    #[test]
    fn each_way_of_telling_thoughts_comes_back_as_it_was() {
        for message in [
            json!({"reasoning_content": "hm"}),
            json!({"reasoning": "hm"}),
            json!({"reasoning_content": "hm", "reasoning": "hm"}),
            json!({"reasoning_details": [{"type": "reasoning.text", "text": "hm"}]}),
            json!({"reasoning": "hm", "reasoning_details": [{"type": "reasoning.text", "text": "hm"}]}),
            json!({"reasoning": "a\n\nb", "reasoning_details": [
                {"type": "reasoning.text", "text": "a", "signature": "s", "index": 0, "format": "f"},
                {"type": "reasoning.text", "text": "b", "signature": "t", "index": 1, "format": "f"}]}),
            json!({"reasoning_details": [
                {"type": "reasoning.summary", "summary": "a", "index": 0},
                {"type": "reasoning.encrypted", "data": "d", "id": "rs", "index": 1}]}),
            json!({"reasoning_details": [
                {"type": "reasoning.summary", "summary": "a", "id": "rs"},
                {"type": "reasoning.encrypted", "data": "d", "id": "rs"}]}),
            json!({"reasoning": "told", "reasoning_details": [
                {"type": "reasoning.encrypted", "data": "d", "id": "rs"}]}),
            json!({"reasoning_content": "one", "reasoning": "another"}),
        ] {
            assert_eq!(again(message.clone()).1, message);
        }
    }

    #[test]
    fn each_of_several_thoughts_keeps_its_own_signature() {
        let (thoughts, _) = again(json!({"reasoning": "ab", "reasoning_details": [
            {"type": "reasoning.text", "text": "a", "signature": "s"},
            {"type": "reasoning.text", "text": "b", "signature": "t"}]}));
        let told: Vec<_> = thoughts
            .iter()
            .map(|own| (own.text.as_str(), own.signature.as_deref()))
            .collect();
        assert_eq!(told, [("a", Some("s")), ("b", Some("t"))]);
    }

    #[test]
    fn summaries_and_the_data_that_they_are_of_are_one() {
        let (thoughts, _) = again(json!({"reasoning_details": [
            {"type": "reasoning.summary", "summary": "a"},
            {"type": "reasoning.encrypted", "data": "d", "id": "rs"}]}));
        assert_eq!(thoughts.len(), 1);
        assert_eq!(thoughts[0].summary, ["a"]);
        assert_eq!(thoughts[0].encrypted.as_deref(), Some("d"));
        assert_eq!(thoughts[0].id.as_deref(), Some("rs"));
    }

    #[test]
    fn a_text_belongs_to_the_signature_that_came_without_one() {
        let (thoughts, _) = again(json!({"reasoning_content": "hm", "reasoning_details": [
            {"type": "reasoning.text", "signature": "s"}]}));
        assert_eq!(thoughts.len(), 1);
        assert_eq!(thoughts[0].text, "hm");
        assert_eq!(thoughts[0].signature.as_deref(), Some("s"));
    }

    #[test]
    fn thoughts_of_another_api_are_told_as_text_and_their_signatures_as_details() {
        let thought = |text: &str, signature: &str| {
            let own = Reasoning {
                text: text.to_owned(),
                signature: Some(signature.to_owned()),
                ..Reasoning::default()
            };
            Part::new(PartKind::Reasoning(own), "/messages/1/content/0")
        };
        let (mut message, mut losses) = (Map::new(), Losses::new());
        let thoughts = vec![thought("a", "s"), thought("b", "t")];
        write(&mut message, thoughts.clone(), false, &mut losses);
        assert!(losses.is_empty());
        assert_eq!(
            Value::from(message.clone()),
            json!({"reasoning_content": "a\n\nb", "reasoning_details": [
                {"type": "reasoning.text", "text": "a", "signature": "s", "index": 0},
                {"type": "reasoning.text", "text": "b", "signature": "t", "index": 1}]})
        );
        let read = read(&mut Object::lenient(message.into(), "/x"));
        let kinds = |parts: &[Part]| parts.iter().map(|p| p.kind.clone()).collect::<Vec<_>>();
        assert_eq!(kinds(&read), kinds(&thoughts));
    }
}
