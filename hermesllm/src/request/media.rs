//! How much of a prompt is media that is embedded as base64.
//!
//! A picture of 5 MB is not a million tokens: an estimate by length has to leave it out. Only a
//! few bytes per kilobyte are looked at, which is why short media go unnoticed, and why this is
//! good for estimates only.

use std::ops::Range;

/// What is shorter than this is not worth noticing.
const SHORTEST: usize = 1024;

/// Every run of [`SHORTEST`] bytes holds two of these steps.
const STEP: usize = 512;

/// A prime: no repeating pattern in text escapes being sampled at each of its places.
const SAMPLE: usize = 61;

/// The number of bytes in `json` that are base64: the content of strings that are data URLs, or
/// the values of members whose names end in `data` (`data`, `file_data`).
pub(super) fn bytes(json: &[u8]) -> usize {
    let mut total = 0;
    let mut floor = 0;
    let mut at = STEP;
    while at < json.len() {
        let run = run_at(json, floor, at).unwrap_or(at..at);
        total += run.len();
        floor = run.end;
        at = run.end + STEP;
    }
    total
}

/// The run of base64 around `at`, if there is one that is media and begins behind `floor`.
///
/// What reaches back to `floor` has been looked at before: no byte is looked at twice.
fn run_at(json: &[u8], floor: usize, at: usize) -> Option<Range<usize>> {
    let before = json.get(floor..at)?;
    // In text this ends with the word.
    let edge = before.iter().rposition(|&byte| !is_base64(byte))?;
    let start = floor + edge + 1;
    if !announces_media(json.get(..start)?) {
        return None;
    }
    let rest = json.get(at..)?;
    let length = memchr::memchr(b'"', rest)?;
    let end = at + length;
    let mut sampled = rest.get(..length)?.iter().step_by(SAMPLE).copied();
    (end - start >= SHORTEST && sampled.all(is_base64)).then_some(start..end)
}

/// Whether what stands before a string's content, or before a part of it, says that media follow.
fn announces_media(before: &[u8]) -> bool {
    if before.ends_with(b";base64,") {
        return true;
    }
    let Some(before) = before.strip_suffix(b"\"") else {
        return false;
    };
    let Some(before) = before.trim_ascii_end().strip_suffix(b":") else {
        return false;
    };
    before.trim_ascii_end().ends_with(b"data\"")
}

/// The alphabets of base64, padding, and the escape of a slash.
fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/-_=\\".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base64(length: usize) -> String {
        "iVBORw0KGgoAAAANSUhEUg+/"
            .chars()
            .cycle()
            .take(length)
            .collect()
    }

    #[test]
    fn pictures_and_files_are_media_and_text_is_not() {
        let data = base64(50_000);
        for (json, media) in [
            (
                format!(r#"[{{"url":"data:image/png;base64,{data}"}}]"#),
                50_000,
            ),
            (
                format!(r#"[{{"type":"base64","data" : "{data}"}},"x"]"#),
                50_000,
            ),
            (
                format!(r#"[{{"file_data":"{data}"}},{{"data":"{data}"}}]"#),
                100_000,
            ),
            (format!(r#"[{{"content":"{data}"}}]"#), 0),
            (
                format!(r#"[{{"data":"{}"}}]"#, "Words, of course. ".repeat(3000)),
                0,
            ),
            (format!(r#"[{{"data":"{}"}}]"#, base64(100)), 0),
            (String::new(), 0),
        ] {
            assert_eq!(bytes(json.as_bytes()), media, "{} bytes", json.len());
        }
    }
}
