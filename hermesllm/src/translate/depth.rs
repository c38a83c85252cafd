//! Whether pieces of JSON text add up to one whole document.

/// Counts brackets outside of strings. Good for objects and lists, which tool arguments are; other
/// documents never count as whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct JsonDepth {
    depth: u32,
    in_string: bool,
    escaped: bool,
    began: bool,
}

impl JsonDepth {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if self.in_string {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.in_string = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => {
                    self.depth += 1;
                    self.began = true;
                }
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.began && self.depth == 0 && !self.in_string
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_whole_when_its_last_bracket_closes() {
        let mut depth = JsonDepth::default();
        for (piece, whole) in [
            ("", false),
            ("{\"a", false),
            ("}\\\"]\"", false),
            (":[1", false),
            ("]", false),
            ("}", true),
            (" ", true),
        ] {
            depth.push(piece.as_bytes());
            assert_eq!(depth.is_complete(), whole, "{piece}");
        }
    }
}
