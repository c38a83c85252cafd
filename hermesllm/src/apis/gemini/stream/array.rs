//! A stream that is one JSON array, item by item.

use memchr::memchr2;

/// Cuts the items, which are objects, out of a JSON array that comes in pieces of any size. An
/// object without an array around it counts as an item too (an error is answered so).
///
/// Invariants: the way a stream is split changes nothing. An item is handed out with its last byte.
/// No more than `max_element_bytes` of it are held.
#[derive(Debug)]
pub struct ArrayFraming {
    max_element_bytes: usize,
    /// What has come of an item.
    held: Vec<u8>,
    /// Brackets that are open within it.
    depth: u32,
    in_string: bool,
    escaped: bool,
    oversized: bool,
    began: bool,
    has_elements: bool,
    closed: bool,
}

/// What [`ArrayFraming`] hands out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Element<'a> {
    /// The text of an item.
    Whole(&'a str),
    /// An item that is larger than the bound, or no text at all.
    Unreadable,
}

impl ArrayFraming {
    /// At the start of an array.
    pub fn new(max_element_bytes: usize) -> Self {
        Self {
            max_element_bytes,
            held: Vec::new(),
            depth: 0,
            in_string: false,
            escaped: false,
            oversized: false,
            began: false,
            has_elements: false,
            closed: false,
        }
    }

    /// Whether the array goes on, and what has come of it ends with an item or before the first.
    pub fn is_between_elements(&self) -> bool {
        self.began && self.depth == 0 && !self.closed
    }

    /// Whether an item has begun.
    pub fn has_elements(&self) -> bool {
        self.has_elements
    }

    /// Whether the array, or the one object, has come to its end.
    pub fn is_complete(&self) -> bool {
        self.depth == 0 && self.closed
    }

    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8], mut on_element: impl FnMut(Element<'_>)) {
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.depth == 0 {
                rest = self.between(rest);
                continue;
            }
            let length = self.inside(rest);
            let (part, after) = rest.split_at_checked(length).unwrap_or((rest, &[]));
            rest = after;
            self.hold(part);
            if self.depth == 0 {
                let held = std::mem::take(&mut self.held);
                self.hand_out(&held, &mut on_element);
            }
        }
    }

    /// Skips what stands between items; begins the next.
    fn between<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        for (at, byte) in bytes.iter().enumerate() {
            match byte {
                b'{' => {
                    self.depth = 1;
                    self.has_elements = true;
                    // Without an array around it the end of the object is the end of all.
                    self.closed = !self.began;
                    let rest = bytes.get(at..).unwrap_or_default();
                    // The bracket is a byte of the item.
                    self.hold(rest.get(..1).unwrap_or_default());
                    return rest.get(1..).unwrap_or_default();
                }
                b'[' => self.began = true,
                b']' => self.closed = true,
                _ => {}
            }
        }
        &[]
    }

    /// How many bytes belong to the item.
    fn inside(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            if self.in_string {
                if std::mem::take(&mut self.escaped) {
                    at += 1;
                    continue;
                }
                let rest = bytes.get(at..).unwrap_or_default();
                let Some(next) = memchr2(b'"', b'\\', rest) else {
                    return bytes.len();
                };
                at += next;
                match bytes.get(at) {
                    Some(b'\\') => self.escaped = true,
                    _ => self.in_string = false,
                }
                at += 1;
                continue;
            }
            at += 1;
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => self.depth = self.depth.saturating_add(1),
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        return at;
                    }
                }
                _ => {}
            }
        }
        at
    }

    fn hold(&mut self, part: &[u8]) {
        if self.oversized {
            return;
        }
        self.held.extend_from_slice(part);
        if self.held.len() > self.max_element_bytes {
            self.oversized = true;
            self.held = Vec::new();
        }
    }

    fn hand_out(&mut self, item: &[u8], on_element: &mut impl FnMut(Element<'_>)) {
        if std::mem::take(&mut self.oversized) {
            return on_element(Element::Unreadable);
        }
        on_element(match std::str::from_utf8(item) {
            Ok(text) => Element::Whole(text),
            Err(_) => Element::Unreadable,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str, size: usize, most: usize) -> (Vec<String>, bool) {
        let mut framing = ArrayFraming::new(most);
        let mut seen = Vec::new();
        for piece in text.as_bytes().chunks(size) {
            framing.push(piece, |element| {
                seen.push(match element {
                    Element::Whole(text) => text.to_owned(),
                    Element::Unreadable => "?".to_owned(),
                });
            });
        }
        (seen, framing.is_complete())
    }

    #[test]
    fn items_are_cut_out_however_the_array_is_split() {
        let text = "[{\"a\":\"}]\\\"é\\\\\"}\n,\r\n{\"b\":[{}, []]} , {}]\n";
        let items = ["{\"a\":\"}]\\\"é\\\\\"}", "{\"b\":[{}, []]}", "{}"];
        for size in 1..=text.len() {
            let (seen, complete) = cut(text, size, 1000);
            assert_eq!(seen, items, "{size}");
            assert!(complete);
        }
        assert_eq!(cut(&text[..text.len() - 2], 5, 1000), (seen(&items), false));
    }

    fn seen(items: &[&str]) -> Vec<String> {
        items.iter().map(|item| (*item).to_owned()).collect()
    }

    #[test]
    fn an_object_alone_is_an_item_and_an_array_may_be_empty() {
        let error = "{\"error\": {}}";
        assert_eq!(cut(error, 3, 100), (seen(&[error]), true));
        assert_eq!(cut("[]", 1, 100), (Vec::new(), true));
        assert_eq!(cut("", 1, 100), (Vec::new(), false));
        assert_eq!(cut("[{\"a\"", 1, 100), (Vec::new(), false));
    }

    #[test]
    fn an_item_beyond_the_bound_is_told_and_not_held() {
        let text = format!("[{{\"a\":\"{}\"}},{{}}]", "x".repeat(100));
        for size in [1, 7, 1000] {
            assert_eq!(cut(&text, size, 50), (seen(&["?", "{}"]), true));
        }
    }
}
