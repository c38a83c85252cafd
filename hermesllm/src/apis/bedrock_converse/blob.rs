//! Texts that Converse has in a wrapping of its own.
//!
//! `redactedContent` is a blob: base64 of the text that the model's provider calls encrypted data.
//! The representation has that text, so that other APIs of the same model get it as they know it.

use base64::engine::general_purpose::STANDARD;
use base64::Engine as _;

/// A text as a blob.
pub(super) fn sealed(text: &str) -> String {
    STANDARD.encode(text)
}

/// The text in a blob; `None` for a blob that [`sealed`] would not give back, or that is no plain
/// text.
pub(super) fn revealed(blob: &str) -> Option<String> {
    let text = String::from_utf8(STANDARD.decode(blob).ok()?).ok()?;
    let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    is_plain.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_is_revealed() {
        for (text, blob) in [
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
            ("EtkECkgIBxABGAIqQJ", "RXRrRUNrZ0lCeEFCR0FJcVFK"),
            ("~~~???", "fn5+Pz8/"),
        ] {
            assert_eq!(sealed(text), blob);
            assert_eq!(revealed(blob).as_deref(), Some(text));
        }
    }

    #[test]
    fn blobs_that_are_no_plain_text_stay_closed() {
        for blob in [
            "", "=", "A", "Zg", "Zg=", "Zh==", "/////w==", "Zm 9v", "é", "AAAA",
        ] {
            assert_eq!(revealed(blob), None, "{blob}");
        }
    }
}
