//! Lists as the ABI takes them: lengths and bytes, all in one piece.

/// Headers: their number, the lengths of each name and value, then each name and value, with a zero
/// byte after it.
///
/// What would not fit the ABI's 32-bit lengths cannot come up: the meter writes a few short headers.
pub fn pairs(headers: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(512);
    let length = |bytes: &mut Vec<u8>, length: usize| {
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        bytes.extend_from_slice(&length.to_le_bytes());
    };
    length(&mut bytes, headers.len());
    for (name, value) in headers {
        length(&mut bytes, name.len());
        length(&mut bytes, value.len());
    }
    for (name, value) in headers {
        for text in [name, value] {
            bytes.extend_from_slice(text.as_bytes());
            bytes.push(0);
        }
    }
    bytes
}

/// The path of a property: its parts, with a zero byte between them.
pub fn path(parts: &[&str]) -> String {
    parts.join("\0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_lengths_and_then_texts_that_end_with_zero() {
        let bytes = pairs(&[("a", "bc"), ("d", "")]);
        let expected = b"\x02\0\0\0\x01\0\0\0\x02\0\0\0\x01\0\0\0\0\0\0\0a\0bc\0d\0\0";
        assert_eq!(bytes, expected);
        assert_eq!(pairs(&[]), b"\0\0\0\0");
    }

    #[test]
    fn a_path_has_zeros_between_its_parts_alone() {
        assert_eq!(path(&["metadata", "x"]), "metadata\0x");
        assert_eq!(path(&["one"]), "one");
    }
}
