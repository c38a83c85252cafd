//! Base64, for bytes that Converse has in a wrapping of its own.
//!
//! `redactedContent` is a blob: base64 of the text that the model's provider calls encrypted data.
//! The representation has that text, so that other APIs of the same model get it as they know it.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// A text as a blob.
pub(super) fn sealed(text: &str) -> String {
    let mut out = String::with_capacity(text.len().div_ceil(3) * 4);
    for chunk in text.as_bytes().chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for (digit, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            let value = usize::try_from(bits >> shift & 63).unwrap_or_default();
            let letter = ALPHABET.get(value).copied().unwrap_or(b'A');
            out.push(if digit <= chunk.len() {
                char::from(letter)
            } else {
                '='
            });
        }
    }
    out
}

/// The text in a blob; `None` for a blob that [`sealed`] would not give back, or that is no plain
/// text.
pub(super) fn revealed(blob: &str) -> Option<String> {
    let digits = blob.trim_end_matches('=');
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    for chunk in digits.as_bytes().chunks(4) {
        let mut bits = 0_u32;
        for at in 0..4 {
            bits = bits << 6 | chunk.get(at).map_or(Some(0), |digit| value(*digit))?;
        }
        let [_, first, second, third] = bits.to_be_bytes();
        let wanted = chunk.len().saturating_sub(1);
        bytes.extend([first, second, third].into_iter().take(wanted));
    }
    let text = String::from_utf8(bytes).ok()?;
    let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    (is_plain && sealed(&text) == blob).then_some(text)
}

fn value(digit: u8) -> Option<u32> {
    Some(u32::from(match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    }))
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
