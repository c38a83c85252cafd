//! Base64 of 32-bit floats, the least significant byte first.

use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::Engine as _;
use serde_json::Number;

/// Some providers leave the padding out.
const ENGINE: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Numbers as base64; `None` where one of them is no 32-bit float.
pub(super) fn encode(numbers: &[Number]) -> Option<String> {
    let mut bytes = Vec::with_capacity(numbers.len() * 4);
    for number in numbers {
        let float = narrow(number.as_f64()?)?;
        bytes.extend(float.to_le_bytes());
    }
    Some(ENGINE.encode(bytes))
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
    let bytes = ENGINE.decode(text).ok()?;
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
