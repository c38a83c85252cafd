//! Sources of pictures and documents, written from what other APIs have.

use serde_json::{json, Value};

use crate::representation::{Losses, Pointer};

/// The MIME types of pictures that models take.
const IMAGES: [(&str, &str); 4] = [
    ("iVBOR", "image/png"),
    ("/9j/", "image/jpeg"),
    ("R0lG", "image/gif"),
    ("UklG", "image/webp"),
];

/// An address: only those of the web, and those that hold their data, can be written.
pub(super) fn of_url(url: String, at: &Pointer, losses: &mut Losses) -> Option<Value> {
    if url.starts_with("https://") || url.starts_with("http://") {
        return Some(json!({"type": "url", "url": url}));
    }
    let inline = url.strip_prefix("data:").and_then(|rest| {
        let (media_type, data) = rest.split_once(";base64,")?;
        Some(json!({"type": "base64", "media_type": media_type, "data": data}))
    });
    if inline.is_none() {
        losses.dropped(at.clone(), "the other API reads only addresses of the web");
    }
    inline
}

/// A picture's bytes.
pub(super) fn of_image(media_type: String, data: String) -> Value {
    let known = |data: &str| {
        let found = IMAGES.iter().find(|(begin, _)| data.starts_with(begin));
        found.map_or("image/png", |(_, media_type)| media_type)
    };
    let media_type = match media_type.as_str() {
        "" => known(&data).to_owned(),
        "image/jpg" => "image/jpeg".to_owned(),
        _ => media_type,
    };
    json!({"type": "base64", "media_type": media_type, "data": data})
}

/// A document's bytes: PDF, or text, which stands here as it is.
pub(super) fn of_document(
    media_type: String,
    data: String,
    at: &Pointer,
    losses: &mut Losses,
) -> Option<Value> {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    let is_pdf = essence == "application/pdf" || essence.is_empty() && data.starts_with("JVBER");
    if is_pdf {
        return Some(json!({"type": "base64", "media_type": "application/pdf", "data": data}));
    }
    let is_text = essence.starts_with("text/") || essence == "application/json";
    let text = is_text.then(|| decoded(&data)).flatten();
    let Some(text) = text else {
        losses.dropped(
            at.clone(),
            "the other API reads PDF and text documents only",
        );
        return None;
    };
    if essence != "text/plain" {
        losses.approximated(
            at.clone(),
            "a document of another type is sent as plain text",
        );
    }
    Some(json!({"type": "text", "media_type": "text/plain", "data": text}))
}

/// The text that base64 stands for.
fn decoded(data: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(data.len() / 4 * 3);
    let (mut bits, mut count) = (0_u32, 0_u32);
    for byte in data.bytes() {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            b'=' | b'\r' | b'\n' => continue,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(six)) & 0xff_ffff;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).ok()?);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_stands_for_text() {
        assert_eq!(decoded("aMOkIQ==").as_deref(), Some("hä!"));
        assert_eq!(decoded("aMOkIQ").as_deref(), Some("hä!"));
        assert_eq!(decoded("").as_deref(), Some(""));
        assert_eq!(decoded("gA=="), None, "no UTF-8");
        assert_eq!(decoded("a b"), None);
    }

    #[test]
    fn documents_are_pdf_or_text_and_others_are_lost() {
        let at = Pointer::from("/x");
        let mut losses = Losses::new();
        let mut of = |media_type: &str, data: &str| {
            of_document(media_type.to_owned(), data.to_owned(), &at, &mut losses)
        };
        assert!(of("application/pdf", "x").is_some());
        assert!(of("", "JVBERi0").is_some());
        assert_eq!(
            of("text/plain; charset=utf-8", "aGk="),
            Some(json!({"type": "text", "media_type": "text/plain", "data": "hi"}))
        );
        assert!(of("text/csv", "aGk=").is_some());
        assert!(of("application/zip", "aGk=").is_none());
        let kinds: Vec<_> = losses.as_slice().iter().map(|l| l.kind.as_str()).collect();
        assert_eq!(kinds, ["approximated", "dropped"]);
    }

    #[test]
    fn pictures_without_a_type_are_known_by_their_first_bytes() {
        assert_eq!(
            of_image(String::new(), "/9j/4A".into())["media_type"],
            "image/jpeg"
        );
        assert_eq!(
            of_image("image/jpg".into(), "x".into())["media_type"],
            "image/jpeg"
        );
        assert_eq!(
            of_image("image/webp".into(), "x".into())["media_type"],
            "image/webp"
        );
    }

    #[test]
    fn addresses_of_the_web_stay_and_others_are_lost() {
        let mut losses = Losses::new();
        let at = Pointer::from("/x");
        let data = of_url("data:image/png;base64,AA".into(), &at, &mut losses);
        assert_eq!(data.unwrap()["type"], "base64");
        assert!(of_url("https://a/b".into(), &at, &mut losses).is_some());
        assert!(losses.is_empty());
        assert!(of_url("gs://a/b".into(), &at, &mut losses).is_none());
        assert_eq!(losses.as_slice().len(), 1);
    }
}
