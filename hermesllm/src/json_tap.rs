//! Reads chosen members out of a JSON document that passes by, without keeping the document.
//!
//! A [`JsonTap`] is given the document in pieces of any size and reports the members that its [`Path`] table names: the
//! text of a small value, the mere presence of one, or how many bytes of text stand below it. It owns a fixed amount of
//! state (a bit per nesting level, one key, one captured value of at most [`MAX_CAPTURE`] bytes), so that a body of any
//! size costs the same memory.
//!
//! Invariants: the way a document is split changes nothing that is reported; whatever the bytes are, no call fails or
//! panics. From the first byte that cannot be JSON the tap says nothing more until [`JsonTap::reset`]. It checks the
//! structure that it needs to find its way and is no validator: a malformed number or escape passes unnoticed.

mod bits;
mod path;

use memchr::memchr2;

use bits::Bits;
pub use path::{Path, Signal, Want, EACH};

/// The largest value that is captured, in bytes of JSON text; a larger one is not reported.
pub const MAX_CAPTURE: usize = 64 * 1024;

/// Keys longer than this, in bytes as written, match no path.
const MAX_KEY: usize = 64;
/// Containers nested deeper than this silence the tap.
const MAX_DEPTH: usize = 256;
/// The longest path, in segments.
const MAX_SEGMENTS: usize = 4;

/// The keys whose strings are text that a model wrote, wherever they stand below a [`Want::Text`] path.
const TEXT_KEYS: [&str; 9] = [
    "content",
    "text",
    "reasoning_content",
    "reasoning",
    "thinking",
    "refusal",
    "arguments",
    "partial_json",
    "name",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A value must follow.
    Value,
    /// After `[`: a value or `]`.
    ValueOrEnd,
    /// After `{`: a key or `}`.
    KeyOrEnd,
    /// After `,` in an object.
    Key,
    Colon,
    AfterValue,
    InKey {
        escaped: bool,
    },
    InString {
        escaped: bool,
    },
    Scalar,
    /// The document has ended.
    Done,
    /// The document cannot be one.
    Silent,
}

/// An incremental reader of one JSON document after another.
#[derive(Debug)]
pub struct JsonTap<T: 'static> {
    paths: &'static [Path<T>],
    state: State,
    /// Containers open now.
    depth: usize,
    /// Per open container: is it an object.
    objects: Bits<MAX_DEPTH>,
    /// Per open container: do the strings that are its elements count as text.
    text_elements: Bits<MAX_DEPTH>,
    /// `candidates[d]`: the paths whose first `d` segments lead to the container at depth `d + 1`.
    candidates: [u32; MAX_SEGMENTS + 1],
    /// The paths whose leading segments lead to the value that comes next or is being read.
    current: u32,
    /// The string that comes next or is being read counts as text.
    text_value: bool,
    /// The depth of the value that a `Want::Text` path named.
    text_region: Option<usize>,
    text_bytes: u64,
    key: Vec<u8>,
    key_has_escape: bool,
    key_too_long: bool,
    capture: Option<Capture>,
    captured: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Capture {
    path: usize,
    /// The depth at which the value stands.
    depth: usize,
    too_large: bool,
}

impl<T: Copy> JsonTap<T> {
    /// A tap for the members in `paths`; the first 32 are looked for. No path may lead below one that wants a value.
    pub fn new(paths: &'static [Path<T>]) -> Self {
        Self {
            paths,
            state: State::Value,
            depth: 0,
            objects: Bits::default(),
            text_elements: Bits::default(),
            candidates: [0; MAX_SEGMENTS + 1],
            current: root_mask(paths.len()),
            text_value: false,
            text_region: None,
            text_bytes: 0,
            key: Vec::new(),
            key_has_escape: false,
            key_too_long: false,
            capture: None,
            captured: Vec::new(),
        }
    }

    /// Forgets the document read so far and expects a new one. The count of text bytes begins at zero.
    pub fn reset(&mut self) {
        self.state = State::Value;
        self.depth = 0;
        self.current = root_mask(self.paths.len());
        self.text_value = false;
        self.text_region = None;
        self.text_bytes = 0;
        self.key.clear();
        self.capture = None;
        self.captured.clear();
    }

    /// Bytes of text below the [`Want::Text`] paths so far; an escape counts as what it stands for, roughly.
    pub fn text_bytes(&self) -> u64 {
        self.text_bytes
    }

    /// The document, an object, array or string, has been read to its end, and nothing has followed it.
    pub fn is_complete(&self) -> bool {
        self.state == State::Done
    }

    /// Reads the next piece of the document.
    pub fn push(&mut self, bytes: &[u8], mut on_signal: impl FnMut(T, Signal<'_>)) {
        let mut at = 0;
        // Where the part of the captured value that lies in this piece begins.
        let mut capture_from = 0;
        while let Some(&byte) = bytes.get(at) {
            match self.state {
                State::Silent => return,
                State::InString { escaped } => {
                    at = self.string(bytes, at, escaped);
                    if self.state == State::AfterValue {
                        self.value_ended(bytes, capture_from, at, &mut on_signal);
                    }
                }
                State::InKey { escaped } => at = self.key(bytes, at, escaped),
                State::Scalar => match byte {
                    b',' | b']' | b'}' | b' ' | b'\t' | b'\n' | b'\r' => {
                        self.state = State::AfterValue;
                        self.value_ended(bytes, capture_from, at, &mut on_signal);
                    }
                    b'0'..=b'9' | b'a'..=b'z' | b'E' | b'+' | b'-' | b'.' => at += 1,
                    _ => self.state = State::Silent,
                },
                _ if matches!(byte, b' ' | b'\t' | b'\n' | b'\r') => at += 1,
                State::Colon => {
                    self.state = if byte == b':' {
                        State::Value
                    } else {
                        State::Silent
                    };
                    at += 1;
                }
                State::Key | State::KeyOrEnd if byte == b'"' => {
                    self.key.clear();
                    self.key_has_escape = false;
                    self.key_too_long = false;
                    self.state = State::InKey { escaped: false };
                    at += 1;
                }
                State::KeyOrEnd if byte == b'}' => {
                    at += 1;
                    self.close(bytes, capture_from, at, &mut on_signal);
                }
                State::Key | State::KeyOrEnd | State::Done => self.state = State::Silent,
                State::ValueOrEnd if byte == b']' => {
                    at += 1;
                    self.close(bytes, capture_from, at, &mut on_signal);
                }
                State::Value | State::ValueOrEnd => {
                    if self.value_begins(byte, &mut on_signal) {
                        capture_from = at;
                    }
                    at += 1;
                }
                State::AfterValue => {
                    at += 1;
                    let object = self.depth > 0 && self.objects.get(self.depth - 1);
                    match byte {
                        b',' if object => self.state = State::Key,
                        b',' if self.depth > 0 => {
                            self.expect_element();
                            self.state = State::Value;
                        }
                        b'}' | b']' if self.depth > 0 && object == (byte == b'}') => {
                            self.close(bytes, capture_from, at, &mut on_signal);
                        }
                        _ => self.state = State::Silent,
                    }
                }
            }
        }
        self.keep(bytes, capture_from, bytes.len());
    }

    /// The first byte of a value. Returns whether its text is captured from here.
    fn value_begins(&mut self, first: u8, on_signal: &mut impl FnMut(T, Signal<'_>)) -> bool {
        let valid = matches!(
            first,
            b'{' | b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n'
        );
        if !valid {
            self.state = State::Silent;
            return false;
        }
        let mut capturing = false;
        if self.current != 0 && self.capture.is_none() {
            for (index, path) in self.paths.iter().enumerate().take(32) {
                if self.current & (1 << index) == 0 || path.segments.len() != self.depth {
                    continue;
                }
                match path.want {
                    Want::Presence => on_signal(path.name, Signal::Seen(first)),
                    Want::Text => {
                        self.text_region.get_or_insert(self.depth);
                        self.text_value = true;
                    }
                    Want::Value => {
                        self.captured.clear();
                        self.capture = Some(Capture {
                            path: index,
                            depth: self.depth,
                            too_large: false,
                        });
                        capturing = true;
                    }
                }
            }
        }
        match first {
            b'{' | b'[' => self.open(first == b'{'),
            b'"' => self.state = State::InString { escaped: false },
            _ => self.state = State::Scalar,
        }
        capturing
    }

    fn open(&mut self, object: bool) {
        if self.depth >= MAX_DEPTH {
            self.state = State::Silent;
            return;
        }
        if let Some(slot) = self.candidates.get_mut(self.depth) {
            *slot = self.current;
        }
        self.objects.set(self.depth, object);
        self.text_elements
            .set(self.depth, !object && self.text_value);
        self.depth += 1;
        if object {
            self.state = State::KeyOrEnd;
        } else {
            self.expect_element();
            self.state = State::ValueOrEnd;
        }
    }

    /// The innermost container has ended before `end`.
    fn close(
        &mut self,
        bytes: &[u8],
        from: usize,
        end: usize,
        on_signal: &mut impl FnMut(T, Signal<'_>),
    ) {
        self.depth = self.depth.saturating_sub(1);
        self.state = State::AfterValue;
        self.value_ended(bytes, from, end, on_signal);
    }

    /// A value has ended before `end`; `self.depth` is the depth it stands at.
    fn value_ended(
        &mut self,
        bytes: &[u8],
        from: usize,
        end: usize,
        on_signal: &mut impl FnMut(T, Signal<'_>),
    ) {
        if self.text_region == Some(self.depth) {
            self.text_region = None;
        }
        let Some(capture) = self.capture.filter(|capture| capture.depth == self.depth) else {
            if self.depth == 0 {
                self.state = State::Done;
            }
            return;
        };
        let name = self.paths.get(capture.path).map(|path| path.name);
        if self.captured.is_empty() && !capture.too_large {
            let text = bytes.get(from..end).unwrap_or_default();
            if let Some(name) = name.filter(|_| text.len() <= MAX_CAPTURE) {
                on_signal(name, Signal::Value(text));
            }
        } else {
            self.keep(bytes, from, end);
            let complete = self.capture.is_some_and(|capture| !capture.too_large);
            if let Some(name) = name.filter(|_| complete) {
                on_signal(name, Signal::Value(&self.captured));
            }
            self.captured.clear();
        }
        self.capture = None;
        if self.depth == 0 {
            self.state = State::Done;
        }
    }

    /// Keeps the part of a captured value that lies in this piece.
    fn keep(&mut self, bytes: &[u8], from: usize, end: usize) {
        let Some(capture) = self.capture.as_mut().filter(|capture| !capture.too_large) else {
            return;
        };
        let part = bytes.get(from..end).unwrap_or_default();
        if self.captured.len() + part.len() > MAX_CAPTURE {
            capture.too_large = true;
            self.captured = Vec::new();
        } else {
            self.captured.extend_from_slice(part);
        }
    }

    /// The next value is an element of the innermost container.
    fn expect_element(&mut self) {
        self.current = self.descend(|segment| segment == EACH);
        self.text_value = self.text_elements.get(self.depth.saturating_sub(1));
    }

    /// The paths that go on from the innermost container by a segment that `matches`.
    fn descend(&self, matches: impl Fn(&str) -> bool) -> u32 {
        let level = self.depth.saturating_sub(1);
        let candidates = self.candidates.get(level).copied().unwrap_or(0);
        if candidates == 0 {
            return 0;
        }
        let mut found = 0;
        for (index, path) in self.paths.iter().enumerate().take(32) {
            if candidates & (1 << index) != 0
                && path
                    .segments
                    .get(level)
                    .is_some_and(|segment| matches(segment))
            {
                found |= 1 << index;
            }
        }
        found
    }

    /// Reads on in a string value from `at`; returns where reading goes on.
    fn string(&mut self, bytes: &[u8], at: usize, escaped: bool) -> usize {
        let rest = bytes.get(at..).unwrap_or_default();
        if escaped {
            // The four digits of `\uXXXX` follow and count for it.
            self.count_text(usize::from(rest.first() != Some(&b'u')));
            self.state = State::InString { escaped: false };
            return at + 1;
        }
        match memchr2(b'"', b'\\', rest) {
            None => {
                self.count_text(rest.len());
                bytes.len()
            }
            Some(length) => {
                self.count_text(length);
                self.state = if rest.get(length) == Some(&b'"') {
                    State::AfterValue
                } else {
                    State::InString { escaped: true }
                };
                at + length + 1
            }
        }
    }

    fn count_text(&mut self, length: usize) {
        if self.text_value && self.text_region.is_some() {
            self.text_bytes += length as u64;
        }
    }

    /// Reads on in a key from `at`; returns where reading goes on.
    fn key(&mut self, bytes: &[u8], at: usize, escaped: bool) -> usize {
        let rest = bytes.get(at..).unwrap_or_default();
        if escaped {
            self.extend_key(rest.get(..1).unwrap_or_default());
            self.state = State::InKey { escaped: false };
            return at + 1;
        }
        match memchr2(b'"', b'\\', rest) {
            None => {
                self.extend_key(rest);
                bytes.len()
            }
            Some(length) => {
                let part = rest.get(..length).unwrap_or_default();
                if rest.get(length) == Some(&b'"') {
                    let split = !self.key.is_empty() || self.key_has_escape || self.key_too_long;
                    if !split && part.len() <= MAX_KEY {
                        self.key_ended(part);
                    } else {
                        self.extend_key(part);
                        let key = std::mem::take(&mut self.key);
                        self.long_way_key_ended(&key);
                        self.key = key;
                    }
                    self.state = State::Colon;
                } else {
                    self.extend_key(part);
                    self.extend_key(b"\\");
                    self.key_has_escape = true;
                    self.state = State::InKey { escaped: true };
                }
                at + length + 1
            }
        }
    }

    fn extend_key(&mut self, part: &[u8]) {
        if self.key.len() + part.len() > MAX_KEY {
            self.key_too_long = true;
        } else if !self.key_too_long {
            self.key.extend_from_slice(part);
        }
    }

    /// A key that was split, is escaped or is long.
    fn long_way_key_ended(&mut self, key: &[u8]) {
        if self.key_too_long {
            self.current = 0;
            self.text_value = false;
        } else if self.key_has_escape {
            let quoted = [b"\"", key, b"\""].concat();
            let decoded = serde_json::from_slice::<String>(&quoted).unwrap_or_default();
            self.key_ended(decoded.as_bytes());
        } else {
            self.key_ended(key);
        }
    }

    fn key_ended(&mut self, key: &[u8]) {
        self.current = self.descend(|segment| segment != EACH && segment.as_bytes() == key);
        self.text_value =
            self.text_region.is_some() && TEXT_KEYS.iter().any(|text| text.as_bytes() == key);
    }
}

fn root_mask(paths: usize) -> u32 {
    if paths >= 32 {
        u32::MAX
    } else {
        (1 << paths) - 1
    }
}

#[cfg(test)]
mod tests;
