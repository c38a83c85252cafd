//! Base64 of 32-bit floats, the least significant byte first.

use serde_json::Number;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Numbers as base64; `None` where one of them is no 32-bit float.
pub(super) fn encode(numbers: &[Number]) -> Option<String> {
    let mut bytes = Vec::with_capacity(numbers.len() * 4);
    for number in numbers {
        let float = narrow(number.as_f64()?)?;
        bytes.extend(float.to_le_bytes());
    }
    Some(sealed(&bytes))
}

/// The nearest 32-bit float; none beyond the greatest.
#[allow(clippy::cast_possible_truncation, reason = "rounding is what is meant")]
fn narrow(number: f64) -> Option<f32> {
    let float = number as f32;
    float.is_finite().then_some(float)
}

/// The numbers in base64, each with the fewest digits that give it back; `None` where it is none of
/// 32-bit floats.
pub(super) fn decode(text: &str) -> Option<Vec<Number>> {
    let bytes = revealed(text)?;
    let chunks = bytes.chunks_exact(4);
    if !chunks.remainder().is_empty() {
        return None;
    }
    let number = |chunk: &[u8]| {
        let float = f32::from_le_bytes(chunk.try_into().ok()?);
        // The shortest form of the narrow float, read as a wide one.
        Number::from_f64(float.to_string().parse().ok()?)
    };
    chunks.map(number).collect()
}

fn sealed(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
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

fn revealed(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=').as_bytes();
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    for chunk in digits.chunks(4) {
        let mut bits = 0_u32;
        for at in 0..4 {
            bits = bits << 6 | chunk.get(at).map_or(Some(0), |digit| value(*digit))?;
        }
        let [_, first, second, third] = bits.to_be_bytes();
        // A digit alone is less than a byte.
        let wanted = chunk.len().checked_sub(1).filter(|wanted| *wanted > 0)?;
        bytes.extend([first, second, third].into_iter().take(wanted));
    }
    Some(bytes)
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
    use serde_json::{json, Value};

    use super::*;

    fn numbers(value: Value) -> Vec<Number> {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn numbers_are_little_endian_floats() {
        // 1.0 is 0x3f800000, -2.5 is 0xc0200000.
        assert_eq!(encode(&numbers(json!([1, -2.5]))).unwrap(), "AACAPwAAIMA=");
        assert_eq!(decode("AACAPwAAIMA=").unwrap(), numbers(json!([1.0, -2.5])));
        assert_eq!(encode(&[]).unwrap(), "");
        assert_eq!(decode("").unwrap(), []);
    }

    #[test]
    fn numbers_come_back_with_the_digits_that_they_had() {
        for value in [
            json!([0.0039325873, -0.092870116, 1e-30]),
            json!([0.1, 3.4e38, -0.0]),
        ] {
            let numbers = numbers(value);
            let text = encode(&numbers).unwrap();
            assert_eq!(decode(&text).unwrap(), numbers);
        }
    }

    #[test]
    fn what_is_no_list_of_floats_is_none() {
        // Not of four bytes, a digit alone, no digits, not a number, infinite.
        for text in ["AAA=", "AACAPwA", "A", "ä", "AA AA", "AADAfw==", "AACAfw=="] {
            assert_eq!(decode(text), None, "{text}");
        }
        assert_eq!(encode(&numbers(json!([1e300]))), None);
    }
}
