//! What an answer's text rests on.

use serde_json::{json, Map, Value};

use crate::apis::object::Object;
use crate::representation::{At, Citation, Extension, Part, PartKind};

/// Reads `citations` of a message into its texts. Those of thoughts and plans have no place there:
/// with one of them, the whole list is kept beside.
pub(super) fn read(message: &mut Object, parts: &mut [Part], extensions: &mut Vec<Extension>) {
    if !message.peek("citations").is_some_and(Value::is_array) {
        return;
    }
    let Some(At { value, at }) = message.take("citations") else {
        return;
    };
    let list = value.as_array().map(Vec::as_slice).unwrap_or_default();
    // Written again, they come in the order of the texts.
    let mut last = 0;
    let (mut in_order, mut all_placed) = (!list.is_empty(), true);
    for item in list {
        let Some(index) = place(item, parts) else {
            all_placed = false;
            continue;
        };
        in_order &= index >= last;
        last = index;
        if let Some(PartKind::Text { citations, .. }) = parts.get_mut(index).map(|p| &mut p.kind) {
            citations.extend(citation(item));
        }
    }
    if in_order && all_placed {
        return;
    }
    let kept_beside = Extension {
        name: "citations".to_owned(),
        at: if all_placed { "".into() } else { at },
        value,
    };
    extensions.push(kept_beside);
}

/// The text that a citation is about: its number counts the content, plans apart.
fn place(item: &Value, parts: &[Part]) -> Option<usize> {
    let is_text = |part: &Part| matches!(part.kind, PartKind::Text { .. });
    if !is_of_text(item) {
        return None;
    }
    let Some(number) = item.get("content_index").and_then(Value::as_u64) else {
        return parts.iter().position(is_text);
    };
    let end = format!("/content/{number}");
    let is_meant =
        |part: &Part| part.at.ends_with(&end) || number == 0 && part.at.ends_with("/content");
    let found = parts.iter().position(is_meant);
    found.filter(|index| parts.get(*index).is_some_and(is_text))
}

/// Whether a citation is about text, and not about thoughts or plans.
pub(super) fn is_of_text(item: &Value) -> bool {
    let kind = item.get("type").and_then(Value::as_str);
    matches!(kind, None | Some("TEXT_CONTENT"))
}

/// A citation of this API: one for each source, the first with all of it.
pub(super) fn citation(item: &Value) -> Vec<Citation> {
    let span = |key: &str| item.get(key).and_then(Value::as_u64);
    let span = span("start").zip(span("end"));
    let sources = item.get("sources").and_then(Value::as_array);
    let mut all: Vec<Citation> = sources
        .into_iter()
        .flatten()
        .map(|source| of_source(source, span))
        .collect();
    if all.is_empty() {
        all.push(Citation {
            span,
            ..Citation::default()
        });
    }
    for (index, own) in all.iter_mut().enumerate() {
        own.raw = Some(if index == 0 {
            item.clone()
        } else {
            Value::Null
        });
    }
    all
}

fn of_source(source: &Value, span: Option<(u64, u64)>) -> Citation {
    let own = source.get("document").or_else(|| source.get("tool_output"));
    let text = |key: &str| own?.get(key)?.as_str().map(str::to_owned);
    let id = source.get("id").and_then(Value::as_str);
    let is_address = |id: &&str| id.starts_with("https://") || id.starts_with("http://");
    Citation {
        url: text("url").or_else(|| id.filter(is_address).map(str::to_owned)),
        title: text("title"),
        cited_text: text("text").or_else(|| text("snippet")),
        span,
        raw: None,
    }
}

/// Whether a citation was read from this API: only its own has these members.
pub(super) fn is_own(raw: &Value) -> bool {
    raw.is_null() || raw.get("sources").is_some_and(Value::is_array) && raw.get("start").is_some()
}

/// Writes a citation; nothing for what stands in the one before. `text` is what it is a citation of,
/// `index` its number among the content.
pub(super) fn write(citation: Citation, text: &str, index: usize) -> Option<Value> {
    let Citation {
        url,
        title,
        cited_text,
        span,
        raw,
    } = citation;
    if let Some(raw) = raw.filter(is_own) {
        return (!raw.is_null()).then_some(raw);
    }
    let (start, end) = span.unwrap_or((0, 0));
    let mut document = Map::new();
    let id = url.clone().or_else(|| title.clone()).unwrap_or_default();
    for (key, value) in [("title", title), ("url", url), ("text", cited_text)] {
        if let Some(value) = value {
            document.insert(key.to_owned(), value.into());
        }
    }
    Some(json!({
        "start": start,
        "end": end,
        "text": between(text, start, end),
        "sources": [{"type": "document", "id": id, "document": document}],
        "type": "TEXT_CONTENT",
        "content_index": index,
    }))
}

/// The characters of a text from one to another.
fn between(text: &str, start: u64, end: u64) -> String {
    let start = usize::try_from(start).unwrap_or(usize::MAX);
    let end = usize::try_from(end).unwrap_or(usize::MAX);
    let length = end.saturating_sub(start);
    text.chars().skip(start).take(length).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_citation_of_two_sources_is_two_and_comes_back_as_one() {
        let item = json!({"start": 2, "end": 4, "text": "cd", "sources": [
            {"type": "document", "id": "a", "document": {"title": "T", "text": "x"}},
            {"type": "tool", "id": "https://b", "tool_output": {"snippet": "y"}}]});
        let read = citation(&item);
        assert_eq!(read.len(), 2);
        assert_eq!(read[0].title.as_deref(), Some("T"));
        assert_eq!(read[1].url.as_deref(), Some("https://b"));
        assert_eq!(read[1].cited_text.as_deref(), Some("y"));
        let written: Vec<_> = (read.into_iter())
            .filter_map(|c| write(c, "abcdef", 0))
            .collect();
        assert_eq!(written, [item]);
    }

    #[test]
    fn a_citation_of_another_api_gets_the_text_that_it_is_about() {
        let foreign = Citation {
            url: Some("https://a".to_owned()),
            span: Some((1, 3)),
            raw: Some(json!({"type": "url_citation"})),
            ..Citation::default()
        };
        let written = write(foreign, "äöüß", 2).unwrap();
        assert_eq!(written["text"], "öü");
        assert_eq!(written["content_index"], 2);
        assert_eq!(written["sources"][0]["document"]["url"], "https://a");
    }
}
