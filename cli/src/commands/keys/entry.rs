//! A new key, and the entry that stands for it in a configuration.
//!
//! Invariant: nothing but [`Key::expose`] gives the key away; the entry has only its hash.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine as _;
use rustix::rand::{getrandom, GetRandomFlags};
use serde_yaml::{Mapping, Value};
use sha2::{Digest as _, Sha256};

/// How a key of ours begins, so that those who find one know what it is.
pub const PREFIX: &str = "mk-";
/// 256 bits.
const BYTES: usize = 32;

/// A key that was just made.
pub struct Key(String);

impl Key {
    /// From the system's randomness.
    pub fn new() -> Result<Self> {
        let mut bytes = [0; BYTES];
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match getrandom(rest, GetRandomFlags::empty()) {
                Ok(more) => filled += more,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error).context("the system gives no randomness"),
            }
        }
        Ok(Self(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))))
    }

    /// The key itself: only for its owner.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// As it is in a configuration.
    pub fn hash(&self) -> String {
        in_hexadecimal(&Sha256::digest(self.0.as_bytes()))
    }
}

/// A hash as a configuration has it.
pub fn in_hexadecimal(hash: &[u8]) -> String {
    let mut text = "sha256:".to_owned();
    for byte in hash {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// An entry of `keys`.
#[derive(Debug, Clone)]
pub struct Entry {
    pub name: String,
    pub hash: String,
    pub models: Vec<String>,
    pub limits: Vec<String>,
    pub expires: Option<String>,
    pub labels: Vec<(String, String)>,
}

impl Entry {
    /// Its lines, so far from the left edge.
    pub fn lines(&self, indent: usize) -> Vec<String> {
        let mut fields = vec![
            format!("name: {}", scalar(&self.name)),
            format!("hash: {}", self.hash),
        ];
        for (name, items) in [("models", &self.models), ("limits", &self.limits)] {
            if !items.is_empty() {
                let items: Vec<String> = items.iter().map(|item| scalar(item)).collect();
                fields.push(format!("{name}: [{}]", items.join(", ")));
            }
        }
        if let Some(expires) = &self.expires {
            fields.push(format!("expires: {}", quoted(expires)));
        }
        if !self.labels.is_empty() {
            let labels = self.labels.iter();
            let labels: Vec<String> = labels
                .map(|(name, value)| format!("{}: {}", scalar(name), scalar(value)))
                .collect();
            fields.push(format!("labels: {{{}}}", labels.join(", ")));
        }
        let dash = " ".repeat(indent);
        let line = |(at, field): (usize, String)| match at {
            0 => format!("{dash}- {field}"),
            _ => format!("{dash}  {field}"),
        };
        fields.into_iter().enumerate().map(line).collect()
    }

    /// What its lines read as.
    pub fn value(&self) -> Value {
        let list = |items: &[String]| -> Value {
            Value::Sequence(
                items
                    .iter()
                    .map(|item| Value::from(item.as_str()))
                    .collect(),
            )
        };
        let mut fields = Mapping::new();
        let mut set = |name: &str, value: Value| fields.insert(Value::from(name), value);
        set("name", Value::from(self.name.as_str()));
        set("hash", Value::from(self.hash.as_str()));
        if !self.models.is_empty() {
            set("models", list(&self.models));
        }
        if !self.limits.is_empty() {
            set("limits", list(&self.limits));
        }
        if let Some(expires) = &self.expires {
            set("expires", Value::from(expires.as_str()));
        }
        if !self.labels.is_empty() {
            let labels = self.labels.iter();
            let labels = labels.map(|(name, value)| (Value::from(&**name), Value::from(&**value)));
            set("labels", Value::Mapping(labels.collect()));
        }
        Value::Mapping(fields)
    }
}

/// A text as a value: bare where no reader of YAML takes it for anything else.
fn scalar(text: &str) -> String {
    const WORDS: [&str; 9] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./".contains(&byte);
    let begins = text.starts_with(|first: char| first.is_ascii_alphabetic());
    let is_word = WORDS.iter().any(|word| word.eq_ignore_ascii_case(text));
    if begins && text.bytes().all(is_plain) && !is_word {
        return text.to_owned();
    }
    quoted(text)
}

/// JSON's texts are YAML's too, but for signs that YAML takes for the end of a line, or not at all.
fn quoted(text: &str) -> String {
    let is_odd =
        |sign: char| sign.is_control() || "\u{2028}\u{2029}\u{feff}\u{fffe}\u{ffff}".contains(sign);
    let mut quoted = String::new();
    for sign in serde_json::Value::from(text).to_string().chars() {
        if is_odd(sign) {
            // Writing to a String cannot fail.
            let _ = write!(quoted, "\\u{:04x}", u32::from(sign));
        } else {
            quoted.push(sign);
        }
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_256_bits_in_letters_that_every_header_and_shell_takes() {
        let (one, other) = (Key::new().unwrap(), Key::new().unwrap());
        assert_ne!(one.expose(), other.expose());
        let random = one.expose().strip_prefix("mk-").unwrap();
        assert_eq!(random.len(), 43);
        let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        assert!(random.bytes().all(is_safe), "{random}");
        let known = Key("abc".to_owned()).hash();
        let expected = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(known, expected);
    }

    #[test]
    fn an_entry_reads_as_what_it_was_made_from_whatever_that_is() {
        for odd in [
            "plain",
            "true",
            "No",
            "1e3",
            "0x10",
            "a: b",
            "- a",
            "#a",
            "*",
            "&a",
            "a'b\"c\\d",
            "ä\u{85}",
            "a,b]",
            "{",
            "~",
            "",
            " a ",
            "$NAME",
            "a\tb\u{7}\u{7f}\u{feff}\u{2028}\u{1f600}",
        ] {
            let entry = Entry {
                name: odd.to_owned(),
                hash: Key("x".to_owned()).hash(),
                models: vec![odd.to_owned(), "openai/*".to_owned()],
                limits: vec![odd.to_owned()],
                expires: Some("2030-01-01T00:00:00Z".to_owned()),
                labels: vec![(odd.to_owned(), odd.to_owned())],
            };
            let text = entry.lines(0).join("\n");
            let read: Value = serde_yaml::from_str(&text).unwrap();
            assert_eq!(read[0], entry.value(), "{text}");
        }
    }
}
