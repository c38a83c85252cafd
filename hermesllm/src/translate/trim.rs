//! The seam between the text of one provider and its continuation by another.
//!
//! Models that are given the beginning of their answer go on in one of three ways: right where it
//! ends, or with all of it again, or with its last words again. A repetition is taken off if it is
//! exact: of the whole, or of no fewer than [`SHORTEST_TAIL`] bytes at the end, since a shorter one may
//! be what the model wants to say. White space at the end of the beginning is not sent to a provider
//! ([`Seam::sent`]), so that one that writes it anew repeats it as well.
//!
//! Text waits only while it repeats what was there, and any split of it gives the same.

use std::borrow::Cow;

const SHORTEST_WHOLE: usize = 4;
const SHORTEST_TAIL: usize = 32;
const LONGEST_TAIL: usize = 1024;

/// Joins a continuation to a text.
#[derive(Debug)]
pub(super) struct Seam {
    /// What the provider was given.
    given: String,
    /// White space behind it, which the client has and the provider was not given.
    space: String,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Places in the text from which on the continuation repeats it so far.
    Repeating {
        from: Vec<usize>,
        /// What has come of the continuation.
        held: String,
        /// How much of that is a whole repetition.
        repeated: usize,
    },
    /// The bytes of white space that have been repeated.
    Spacing(usize),
    Passing,
}

/// What a provider is given of a text: all but the white space at its end, which Anthropic refuses,
/// and which leads models astray.
pub(super) fn given(text: &str) -> &str {
    text.trim_end()
}

impl Seam {
    /// At the end of a text.
    pub(super) fn new(text: &str) -> Self {
        let given = given(text);
        let space = text.get(given.len()..).unwrap_or_default();
        let lengths = SHORTEST_TAIL..=LONGEST_TAIL;
        let nearest = given.len().saturating_sub(LONGEST_TAIL);
        let tails = (nearest.max(1)..given.len())
            .filter(|at| given.is_char_boundary(*at) && lengths.contains(&(given.len() - at)));
        let whole = Some(0).filter(|_| given.len() >= SHORTEST_WHOLE);
        Self {
            given: given.to_owned(),
            space: space.to_owned(),
            state: State::Repeating {
                from: whole.into_iter().chain(tails).collect(),
                held: String::new(),
                repeated: 0,
            },
        }
    }

    /// Takes the next of the continuation; gives what the client gets of it now.
    pub(super) fn push<'t>(&mut self, text: &'t str) -> Cow<'t, str> {
        let State::Repeating {
            from,
            held,
            repeated,
        } = &mut self.state
        else {
            return Cow::Borrowed(self.space(text));
        };
        for (at, letter) in text.char_indices() {
            from.retain(|from| {
                let rest = self.given.get(from + held.len()..);
                rest.is_some_and(|rest| rest.starts_with(letter))
            });
            if from.is_empty() {
                // What was there before this letter is new from where the repetition ends.
                let rest = text.get(at..).unwrap_or_default();
                let new = held.get(*repeated..).unwrap_or_default();
                if new.is_empty() {
                    self.state = State::Spacing(0);
                    return Cow::Borrowed(self.space(rest));
                }
                let new = [new, rest].concat();
                self.state = State::Spacing(0);
                return Cow::Owned(self.space(&new).to_owned());
            }
            held.push(letter);
            let length = held.len();
            if from.iter().any(|from| from + length == self.given.len()) {
                *repeated = length;
            }
        }
        Cow::Borrowed("")
    }

    /// Nothing more is to be expected, or something else than text: gives what has waited.
    pub(super) fn flush(&mut self) -> String {
        let state = std::mem::replace(&mut self.state, State::Spacing(0));
        let State::Repeating { held, repeated, .. } = state else {
            self.state = State::Passing;
            return String::new();
        };
        let new = held.get(repeated..).unwrap_or_default();
        let new = self.space(new).to_owned();
        self.state = State::Passing;
        new
    }

    /// Takes off white space that is there already.
    fn space<'t>(&mut self, text: &'t str) -> &'t str {
        let State::Spacing(repeated) = &mut self.state else {
            return text;
        };
        let expected = self.space.get(*repeated..).unwrap_or_default();
        let pairs = expected.chars().zip(text.chars());
        let same = pairs.take_while(|(one, other)| one == other);
        let length: usize = same.map(|(letter, _)| letter.len_utf8()).sum();
        *repeated += length;
        if length < text.len() || *repeated == self.space.len() {
            self.state = State::Passing;
        }
        text.get(length..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn joined<'t>(text: &str, pieces: impl IntoIterator<Item = &'t str>) -> String {
        let mut seam = Seam::new(text);
        let mut all = text.to_owned();
        for piece in pieces {
            all.push_str(&seam.push(piece));
        }
        all.push_str(&seam.flush());
        all
    }

    /// The same, with all of the continuation at hand.
    fn model(text: &str, continuation: &str) -> String {
        let given = text.trim_end();
        let repeated = (0..given.len())
            .filter(|at| given.is_char_boundary(*at))
            .filter(|at| {
                let length = given.len() - at;
                (*at == 0 && length >= 4) || (32..=1024).contains(&length)
            })
            .map(|at| &given[at..])
            .find(|tail| continuation.starts_with(tail));
        let mut rest = &continuation[repeated.map_or(0, str::len)..];
        for space in text[given.len()..].chars() {
            match rest.strip_prefix(space) {
                Some(behind) => rest = behind,
                None => break,
            }
        }
        format!("{text}{rest}")
    }

    #[test]
    fn a_repetition_is_taken_off_and_what_only_looks_like_one_is_not() {
        let long = "a sentence that is long enough to be known again";
        for (text, continuation, expected) in [
            ("Hel", "lo", "Hello"),
            ("Hello", " world", "Hello world"),
            ("Hello", "Hello world", "Hello world"),
            ("Hello", "Help", "HelloHelp"),
            ("Hello", "Hello", "Hello"),
            ("ha", "ha", "haha"),
            ("one two", "two three", "one twotwo three"),
            ("Hello ", " world", "Hello world"),
            ("Hello ", "world", "Hello world"),
            ("Hello\n\n", "\nworld", "Hello\n\nworld"),
            ("Hello\n", "\n\nworld", "Hello\n\nworld"),
            ("Hello ", "Hello world", "Hello world"),
            ("", "  x", "  x"),
            ("  ", " x", "  x"),
            ("h\u{e9}h\u{e9}", "h\u{e9}h\u{e9}!", "h\u{e9}h\u{e9}!"),
        ] {
            let letters: Vec<String> = continuation.chars().map(String::from).collect();
            assert_eq!(joined(text, [continuation]), expected, "{text:?}");
            assert_eq!(joined(text, letters.iter().map(String::as_str)), expected);
        }
        let text = format!("First. Then {long}");
        assert_eq!(joined(&text, [long, ", and on"]), format!("{text}, and on"));
    }

    #[test]
    fn what_does_not_repeat_does_not_wait() {
        let mut seam = Seam::new("Hello");
        assert_eq!(seam.push(", "), ", ");
        assert_eq!(seam.push("Hello"), "Hello");
        assert_eq!(seam.flush(), "");
    }

    proptest! {
        #[test]
        fn any_split_gives_what_the_whole_gives(
            text in "[ab \u{e9}]{0,80}",
            tail in 0_usize..100,
            rest in "[ab \n]{0,20}",
            step in 1_usize..9,
        ) {
            let from = text.char_indices().map(|(at, _)| at).rev().nth(tail).unwrap_or(0);
            let continuation = format!("{}{rest}", &text.trim_end().get(from..).unwrap_or(""));
            let letters: Vec<char> = continuation.chars().collect();
            let pieces: Vec<String> = letters.chunks(step).map(|piece| piece.iter().collect()).collect();
            let split = joined(&text, pieces.iter().map(String::as_str));
            prop_assert_eq!(split, model(&text, &continuation));
        }

        #[test]
        fn a_long_tail_is_never_told_twice(before in "[a-z ]{0,50}", tail in "[a-z]{40}", rest in "[A-Z]{1,20}") {
            let text = format!("{before}{tail}");
            prop_assert_eq!(joined(&text, [tail.as_str(), &rest]), format!("{text}{rest}"));
            prop_assert_eq!(joined(&text, [text.as_str(), &rest]), format!("{text}{rest}"));
            prop_assert_eq!(joined(&text, [rest.as_str()]), format!("{text}{rest}"));
        }
    }
}
