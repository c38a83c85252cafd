//! What an answer rests on: `groundingMetadata` and `citationMetadata`.

use serde_json::{json, Map, Value};

use super::parts::Cited;
use crate::representation::{Citation, Losses, Part, PartKind, Pointer};

/// A citation, the part of the answer that it belongs to, and where in it, in bytes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Found {
    pub(super) part: usize,
    pub(super) bytes: Option<(usize, usize)>,
    pub(super) citation: Citation,
}

/// Finds citations in the members of a candidate.
pub(super) fn find(grounding: Option<&Value>, citations: Option<&Value>) -> Vec<Found> {
    let mut found = Vec::new();
    let list = |own: Option<&Value>, key: &str| -> Vec<Value> {
        let list = own.and_then(|own| own.get(key)).and_then(Value::as_array);
        list.cloned().unwrap_or_default()
    };
    let chunks = list(grounding, "groundingChunks");
    for support in list(grounding, "groundingSupports") {
        let segment = support.get("segment");
        for number in list(Some(&support), "groundingChunkIndices") {
            let chunk = number
                .as_u64()
                .and_then(|at| usize::try_from(at).ok())
                .and_then(|at| chunks.get(at));
            let source = chunk.and_then(source_of);
            let text = |key: &str| text_of(source, key);
            found.push(Found {
                part: index(segment, "partIndex").unwrap_or_default(),
                bytes: bytes(segment),
                citation: Citation {
                    url: text("uri"),
                    title: text("title"),
                    raw: Some(support.clone()),
                    ..Citation::default()
                },
            });
        }
    }
    for key in ["citationSources", "citations"] {
        for source in list(citations, key) {
            found.push(Found {
                part: 0,
                bytes: bytes(Some(&source)),
                citation: Citation {
                    url: text_of(Some(&source), "uri"),
                    title: text_of(Some(&source), "title"),
                    raw: Some(source),
                    ..Citation::default()
                },
            });
        }
    }
    found
}

fn text_of(source: Option<&Value>, key: &str) -> Option<String> {
    let text = source?.get(key)?.as_str()?;
    Some(text.to_owned())
}

/// What a chunk is: a web page, a document, a place.
fn source_of(chunk: &Value) -> Option<&Value> {
    let mut kinds = ["web", "retrievedContext", "maps", "image"].iter();
    kinds.find_map(|kind| chunk.get(kind))
}

fn index(own: Option<&Value>, key: &str) -> Option<usize> {
    let number = own?.get(key)?.as_u64()?;
    usize::try_from(number).ok()
}

fn bytes(segment: Option<&Value>) -> Option<(usize, usize)> {
    let end = index(segment, "endIndex")?;
    Some((index(segment, "startIndex").unwrap_or_default(), end))
}

/// Puts citations to the texts that rest on them.
pub(super) fn attach(found: Vec<Found>, parts: &mut [Part]) {
    for Found {
        part,
        bytes,
        mut citation,
    } in found
    {
        let is_text = |part: &Part| matches!(part.kind, PartKind::Text { .. });
        let named = parts.get(part).is_some_and(is_text).then_some(part);
        let place = named.or_else(|| parts.iter().position(is_text));
        let Some(own) = place.and_then(|place| parts.get_mut(place)) else {
            continue;
        };
        if let PartKind::Text { text, citations } = &mut own.kind {
            citation.span = bytes.and_then(|bytes| letters(text, bytes));
            citations.push(citation);
        }
    }
}

/// A place in a text, counted in letters instead of bytes.
fn letters(text: &str, (start, end): (usize, usize)) -> Option<(u64, u64)> {
    let count = |end: usize| u64::try_from(text.get(..end)?.chars().count()).ok();
    Some((count(start)?, count(end)?))
}

/// `groundingMetadata` of citations of another API's.
#[derive(Debug, Default)]
pub(super) struct Sources {
    chunks: Vec<Value>,
    supports: Vec<Value>,
}

/// The part of an answer that rests on something, in bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Segment<'t> {
    pub(super) part: usize,
    pub(super) start: usize,
    pub(super) end: usize,
    /// What stands there, where that is known.
    pub(super) text: Option<&'t str>,
}

impl Sources {
    /// Adds a citation.
    pub(super) fn add(
        &mut self,
        citation: Citation,
        place: Segment<'_>,
        at: &Pointer,
        losses: &mut Losses,
    ) {
        let Citation {
            url,
            title,
            cited_text,
            // It has led to the segment.
            span: _,
            // The words of another API for the same.
            raw: _,
        } = citation;
        let Some(url) = url else {
            losses.dropped(at.clone(), "this API cites what has an address");
            return;
        };
        if cited_text.is_some() {
            let reason = "this API does not tell the text that is cited";
            losses.dropped(at.clone(), reason);
        }
        let mut web = Map::new();
        web.insert("uri".to_owned(), url.into());
        if let Some(title) = title {
            web.insert("title".to_owned(), title.into());
        }
        let chunk = json!({ "web": web });
        let known = self.chunks.iter().position(|own| *own == chunk);
        let number = known.unwrap_or_else(|| {
            self.chunks.push(chunk);
            self.chunks.len() - 1
        });
        let mut segment = Map::new();
        for (key, number) in [("partIndex", place.part), ("startIndex", place.start)] {
            if number > 0 {
                segment.insert(key.to_owned(), number.into());
            }
        }
        segment.insert("endIndex".to_owned(), place.end.into());
        if let Some(text) = place.text {
            segment.insert("text".to_owned(), text.into());
        }
        let support = json!({"segment": segment, "groundingChunkIndices": [number]});
        self.supports.push(support);
    }

    /// The metadata, if there is any.
    pub(super) fn metadata(self) -> Option<Value> {
        let Self { chunks, supports } = self;
        let metadata = || json!({"groundingChunks": chunks, "groundingSupports": supports});
        (!supports.is_empty()).then(metadata)
    }
}

/// Whether a citation was read from this API, whose metadata come by themselves.
pub(super) fn is_own(citation: &Citation) -> bool {
    let has = |key: &str| {
        citation
            .raw
            .as_ref()
            .is_some_and(|raw| raw.get(key).is_some())
    };
    has("groundingChunkIndices") || has("endIndex") && has("uri")
}

/// Writes the citations of another API's answer as `groundingMetadata`.
pub(super) fn write(cited: Vec<Cited>, losses: &mut Losses) -> Option<Value> {
    let mut sources = Sources::default();
    for Cited {
        part,
        text,
        citations,
        at,
    } in cited
    {
        for citation in citations {
            let span = citation.span.and_then(|span| in_bytes(&text, span));
            let (start, end) = span.unwrap_or((0, text.len()));
            let place = Segment {
                part,
                start,
                end,
                text: text.get(start..end),
            };
            sources.add(citation, place, &at, losses);
        }
    }
    sources.metadata()
}

/// A place in a text, counted in bytes instead of letters.
fn in_bytes(text: &str, (start, end): (u64, u64)) -> Option<(usize, usize)> {
    let place = |letters: u64| {
        let letters = usize::try_from(letters).ok()?;
        let mut places = text.char_indices().map(|(place, _)| place);
        places
            .nth(letters)
            .or_else(|| (text.chars().count() == letters).then_some(text.len()))
    };
    let (start, end) = (place(start)?, place(end)?);
    (start <= end).then_some((start, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grounding() -> Value {
        json!({
            "groundingChunks": [{"web": {"uri": "https://a", "title": "A"}}],
            "groundingSupports": [{
                "segment": {"partIndex": 1, "startIndex": 2, "endIndex": 4, "text": "bc"},
                "groundingChunkIndices": [0],
            }],
        })
    }

    #[test]
    fn a_support_is_a_citation_of_its_part_counted_in_letters() {
        let mut parts = [Part::text("x", "/0"), Part::text("ébc", "/1")];
        attach(find(Some(&grounding()), None), &mut parts);
        let PartKind::Text { citations, .. } = &parts[1].kind else {
            panic!("no text")
        };
        assert_eq!(citations[0].url.as_deref(), Some("https://a"));
        assert_eq!(citations[0].span, Some((1, 3)));
    }

    #[test]
    fn citations_of_another_api_become_the_same_supports() {
        let citation = Citation {
            url: Some("https://a".to_owned()),
            title: Some("A".to_owned()),
            span: Some((1, 3)),
            ..Citation::default()
        };
        let nameless = Citation::default();
        let cited = Cited {
            part: 1,
            text: "ébc".to_owned(),
            citations: vec![citation, nameless],
            at: "/p".into(),
        };
        let mut losses = Losses::new();
        assert_eq!(write(vec![cited], &mut losses), Some(grounding()));
        assert_eq!(losses.as_slice().len(), 1);
    }

    #[test]
    fn places_beyond_a_text_are_none() {
        assert_eq!(letters("é", (0, 1)), None);
        assert_eq!(in_bytes("é", (0, 1)), Some((0, 2)));
        assert_eq!(in_bytes("é", (0, 2)), None);
        assert_eq!(in_bytes("é", (1, 0)), None);
    }
}
