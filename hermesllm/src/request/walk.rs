//! Walks over JSON text, and keeps nothing of it but where it is.
//!
//! Takes what RFC 8259 calls JSON and nothing else, to any depth of nesting: no call recurses.
//! Escapes are checked and not decoded, so half a surrogate pair passes, as it does in `serde_json`
//! where nobody asks for the text. Several times faster than anything that hands values out, which
//! matters because each request is walked over once.

use std::borrow::Cow;

use super::Span;

/// A place in JSON text.
#[derive(Debug)]
pub(super) struct Walker<'a> {
    text: &'a str,
    at: usize,
}

/// A member of an object.
#[derive(Debug)]
pub(super) struct Member<'a> {
    pub(super) name: Name<'a>,
    pub(super) value: &'a str,
    /// Where the value stands in the text.
    pub(super) at: Span,
}

/// The name of a member.
#[derive(Debug)]
pub(super) struct Name<'a> {
    /// As it is written between the quotes.
    written: &'a str,
    has_escapes: bool,
}

impl<'a> Name<'a> {
    /// What it says. `None`: something that no text can hold (half a surrogate pair).
    pub(super) fn said(&self) -> Option<Cow<'a, str>> {
        if self.has_escapes {
            let literal = format!("\"{}\"", self.written);
            serde_json::from_str(&literal).ok().map(Cow::Owned)
        } else {
            Some(Cow::Borrowed(self.written))
        }
    }
}

impl<'a> Walker<'a> {
    /// At a place in a text.
    pub(super) fn new(text: &'a str, at: usize) -> Self {
        Self { text, at }
    }

    /// Walks over an object and shows its members; how many there are. `None`: there is none, or it
    /// is no JSON.
    pub(super) fn members(&mut self, mut take: impl FnMut(Member<'a>)) -> Option<usize> {
        let mut count = 0;
        if self.token()? != b'{' {
            return None;
        }
        if self.passes(b'}') {
            return Some(count);
        }
        loop {
            let name = self.name()?;
            self.space();
            let start = self.at;
            self.value()?;
            count += 1;
            take(Member {
                name,
                value: self.text.get(start..self.at)?,
                at: start..self.at,
            });
            match self.token()? {
                b',' => {}
                b'}' => return Some(count),
                _ => return None,
            }
        }
    }

    /// Whether nothing but space follows.
    pub(super) fn is_at_end(&mut self) -> bool {
        self.space();
        self.at == self.text.len()
    }

    /// Walks over a value, whatever it is.
    fn value(&mut self) -> Option<()> {
        let mut open = Nesting::default();
        loop {
            match self.token()? {
                b'"' => {
                    self.string()?;
                }
                b'{' if !self.passes(b'}') => {
                    open.push(true);
                    self.name()?;
                    continue;
                }
                b'[' if !self.passes(b']') => {
                    open.push(false);
                    continue;
                }
                // Empty, and passed.
                b'{' | b'[' => {}
                b'-' => {
                    let first = self.byte()?;
                    self.number(first)?;
                }
                first @ b'0'..=b'9' => self.number(first)?,
                b't' => self.literal(b"rue")?,
                b'f' => self.literal(b"alse")?,
                b'n' => self.literal(b"ull")?,
                _ => return None,
            }
            // A value has ended here, and perhaps what it stands in.
            loop {
                let Some(is_object) = open.top() else {
                    return Some(());
                };
                match self.token()? {
                    b',' => {
                        if is_object {
                            self.name()?;
                        }
                        break;
                    }
                    b'}' if is_object => open.pop(),
                    b']' if !is_object => open.pop(),
                    _ => return None,
                }
            }
        }
    }

    /// A name and the colon behind it.
    fn name(&mut self) -> Option<Name<'a>> {
        if self.token()? != b'"' {
            return None;
        }
        let start = self.at;
        let has_escapes = self.string()?;
        let written = self.text.get(start..self.at - 1)?;
        (self.token()? == b':').then_some(Name {
            written,
            has_escapes,
        })
    }

    /// The rest of a string, whose quote has been passed; whether it has escapes.
    fn string(&mut self) -> Option<bool> {
        let mut has_escapes = false;
        loop {
            self.at += plain(self.rest());
            match self.byte()? {
                b'"' => return Some(has_escapes),
                b'\\' => self.escape()?,
                _ => return None,
            }
            has_escapes = true;
        }
    }

    /// The rest of an escape.
    fn escape(&mut self) -> Option<()> {
        match self.byte()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(()),
            b'u' => {
                let digits = self.rest().first_chunk::<4>()?;
                self.at += digits.len();
                digits.iter().all(u8::is_ascii_hexdigit).then_some(())
            }
            _ => None,
        }
    }

    /// The rest of a number, whose first digit has been passed.
    fn number(&mut self, first: u8) -> Option<()> {
        match first {
            b'0' => {}
            b'1'..=b'9' => self.digits(),
            _ => return None,
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.some_digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.some_digits()?;
        }
        Some(())
    }

    fn some_digits(&mut self) -> Option<()> {
        let start = self.at;
        self.digits();
        (self.at > start).then_some(())
    }

    fn digits(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
    }

    fn literal(&mut self, rest: &[u8]) -> Option<()> {
        let is_there = self.rest().starts_with(rest);
        self.at += rest.len();
        is_there.then_some(())
    }

    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn byte(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\t' | b'\r')) {
            self.at += 1;
        }
    }

    /// The next byte that is no space.
    fn token(&mut self) -> Option<u8> {
        self.space();
        self.byte()
    }

    /// Whether this is the next byte that is no space; if so, it has been passed.
    fn passes(&mut self, byte: u8) -> bool {
        self.space();
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }
}

/// What is open, a bit for each level: an object, or else a list.
#[derive(Debug, Default)]
struct Nesting {
    depth: usize,
    /// The innermost levels, up to 64; the lowest bit is the last.
    inner: u64,
    /// The levels around them, 64 in each.
    outer: Vec<u64>,
}

impl Nesting {
    const WORD: usize = u64::BITS as usize;

    fn top(&self) -> Option<bool> {
        (self.depth > 0).then_some(self.inner & 1 == 1)
    }

    fn push(&mut self, is_object: bool) {
        if self.depth > 0 && self.depth.is_multiple_of(Self::WORD) {
            self.outer.push(self.inner);
        }
        self.inner = self.inner << 1 | u64::from(is_object);
        self.depth += 1;
    }

    fn pop(&mut self) {
        self.inner >>= 1;
        self.depth = self.depth.saturating_sub(1);
        if self.depth.is_multiple_of(Self::WORD) {
            self.inner = self.outer.pop().unwrap_or(self.inner);
        }
    }
}

/// How many bytes a string goes on without a quote, an escape or a control character.
fn plain(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    let passed = |rest: &[u8]| bytes.len() - rest.len();
    // Most strings are short, and most text is in long ones.
    if let Some((word, after)) = rest.split_first_chunk() {
        if let Some(place) = special(*word) {
            return place;
        }
        rest = after;
    }
    while let Some((block, after)) = rest.split_first_chunk::<32>() {
        // Without a way out, so that it becomes a few vector instructions.
        let any = |any, byte: &u8| any | u8::from(is_special(*byte));
        if block.iter().fold(0, any) != 0 {
            break;
        }
        rest = after;
    }
    while let Some((word, after)) = rest.split_first_chunk() {
        if let Some(place) = special(*word) {
            return passed(rest) + place;
        }
        rest = after;
    }
    let end = rest.iter().position(|byte| is_special(*byte));
    passed(rest) + end.unwrap_or(rest.len())
}

fn is_special(byte: u8) -> bool {
    (byte < b' ') | (byte == b'"') | (byte == b'\\')
}

/// The first of eight bytes that is special, found in all of them at once.
fn special(word: [u8; 8]) -> Option<usize> {
    const ONES: u64 = u64::MAX / 255;
    let word = u64::from_le_bytes(word);
    // Sets the high bit of each byte below `bound`, and perhaps of some behind such a byte: what is
    // borrowed comes from there.
    let below = |word: u64, bound: u8| word.wrapping_sub(ONES * u64::from(bound)) & !word;
    let is = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    let found = (below(word, b' ') | is(b'"') | is(b'\\')) & (ONES << 7);
    (found != 0).then_some(found.trailing_zeros() as usize / 8)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::de::IgnoredAny;

    use super::*;

    fn is_json(text: &str) -> bool {
        let mut walker = Walker::new(text, 0);
        walker.value().is_some() && walker.is_at_end()
    }

    /// What `serde_json` says.
    fn expected(text: &str) -> bool {
        serde_json::from_str::<IgnoredAny>(text).is_ok()
    }

    #[test]
    fn what_is_json_is_walked_over_and_nothing_else() {
        for text in [
            "0",
            "-0",
            "-",
            "00",
            "01",
            "1.",
            ".1",
            "1.5",
            "1e",
            "1e+",
            "1E-07",
            "1.e1",
            "+1",
            "0x1",
            "1 2",
            "-a",
            "0e0",
            "true",
            "tru",
            "truee",
            "false",
            "fals",
            "null",
            "nul",
            "NaN",
            "Infinity",
            "",
            " ",
            "\u{feff}1",
            "\"",
            "\"a",
            "\"a\"b",
            "\"\\\"",
            "\"\\u12\"",
            "\"\\u12g4\"",
            "\"\\uD800\"",
            "\"\\x\"",
            "\"\\",
            "\"\\u",
            "\"\n\"",
            "\"\u{1f}\"",
            "\"\u{7f}\u{80}\"",
            "[]",
            "[ ]",
            "[1,]",
            "[,1]",
            "[1 2]",
            "[1,2]",
            "[",
            "]",
            "[}",
            "{}",
            "{ }",
            "{,}",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{\"a\":1 \"b\":2}",
            "{1:2}",
            "{\"a\":1,\"b\":[{}]}",
            "{\"a\":[1}",
            "[{\"a\":1]",
            "\u{b}1",
            "\u{a0}1",
            "'a'",
        ] {
            assert_eq!(is_json(text), expected(text), "{text:?}");
        }
    }

    #[test]
    fn brackets_match_at_any_depth() {
        for depth in [1, 63, 64, 65, 128, 129, 1000] {
            let half = "[{\"a\":".repeat(depth);
            let close = "}]".repeat(depth);
            assert!(is_json(&format!("{half}1{close}")), "{depth}");
            // One bracket is of the other kind.
            for wrong in 0..depth {
                let close = format!(
                    "{}]}}{}",
                    "}]".repeat(wrong),
                    "}]".repeat(depth - wrong - 1)
                );
                assert!(!is_json(&format!("{half}1{close}")), "{depth}, {wrong}");
            }
        }
    }

    #[test]
    fn a_special_byte_is_found_wherever_it_is() {
        for length in 0..100 {
            for special in [b'"', b'\\', 0, b'\n', 0x1f] {
                for fill in [b'a', b' ', 0x7f, 0x80, 0xff, b'!', b'#', b'[', b']'] {
                    let mut bytes = vec![fill; length];
                    assert_eq!(plain(&bytes), length);
                    bytes.extend([special, b'"', fill, 0]);
                    bytes.extend(vec![fill; 50]);
                    assert_eq!(plain(&bytes), length, "{special} behind {fill}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn any_text_is_json_exactly_when_it_is(text in r#"[\[\]{}",:eE.+0-9a \\ubn-]{0,16}"#) {
            prop_assert_eq!(is_json(&text), expected(&text));
        }

        #[test]
        fn any_string_is_one_exactly_when_it_is(text in r#""([ -~é\n]|\\["\\/bfnrtux]|\\u[0-9a-g]{3,4}){0,40}"?"#) {
            prop_assert_eq!(is_json(&text), expected(&text));
        }
    }
}
