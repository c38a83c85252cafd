//! YAML with comments, written so that every reader reads the same.
//!
//! Strings are quoted whenever a reader could take them for something else: Envoy's takes `on`
//! and `no` for flags, and names of the user's may be just that. Output depends on nothing but the
//! tree.

use std::fmt::Write as _;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Yaml {
    Text(String),
    Number(u64),
    Flag(bool),
    List(Vec<Yaml>),
    Map(Vec<Field>),
    /// On one line, in flow style.
    Inline(Box<Yaml>),
}

/// An entry of a map.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Field {
    key: String,
    value: Yaml,
    comment: Option<&'static str>,
}

/// An entry.
pub(super) fn f(key: impl Into<String>, value: impl Into<Yaml>) -> Field {
    Field {
        key: key.into(),
        value: value.into(),
        comment: None,
    }
}

/// An entry with the reason for its value, which is printed above it.
pub(super) fn why(comment: &'static str, field: Field) -> Field {
    Field {
        comment: Some(comment),
        ..field
    }
}

/// A map.
pub(super) fn map<const N: usize>(fields: [Field; N]) -> Yaml {
    Yaml::Map(fields.into())
}

/// A map on one line.
pub(super) fn inline<const N: usize>(fields: [Field; N]) -> Yaml {
    Yaml::Inline(Box::new(map(fields)))
}

/// A list.
pub(super) fn list<T: Into<Yaml>>(items: impl IntoIterator<Item = T>) -> Yaml {
    Yaml::List(items.into_iter().map(Into::into).collect())
}

impl From<&str> for Yaml {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Yaml {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<u64> for Yaml {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Yaml {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl Yaml {
    /// The document's text.
    pub(super) fn to_text(&self) -> String {
        let mut out = String::new();
        self.block(&mut out, 0);
        out
    }

    /// Writes a value that starts on a line of its own at this depth.
    fn block(&self, out: &mut String, depth: usize) {
        match self {
            Self::Map(fields) if !fields.is_empty() => {
                for field in fields {
                    indent(out, depth);
                    field.write(out, depth);
                }
            }
            Self::List(items) if !items.is_empty() => {
                for item in items {
                    indent(out, depth);
                    out.push_str("- ");
                    item.item(out, depth + 1);
                }
            }
            other => {
                indent(out, depth);
                other.flow(out);
                out.push('\n');
            }
        }
    }

    /// Writes an item of a list behind its dash.
    fn item(&self, out: &mut String, depth: usize) {
        match self {
            Self::Map(fields) if !fields.is_empty() => {
                for (index, field) in fields.iter().enumerate() {
                    if index > 0 {
                        indent(out, depth);
                    }
                    field.write(out, depth);
                }
            }
            other => {
                other.flow(out);
                out.push('\n');
            }
        }
    }

    fn flow(&self, out: &mut String) {
        match self {
            Self::Text(text) => scalar(out, text),
            Self::Number(number) => out.push_str(&number.to_string()),
            Self::Flag(flag) => out.push_str(if *flag { "true" } else { "false" }),
            Self::Inline(value) => value.flow(out),
            Self::List(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push_str(", ");
                    }
                    item.flow(out);
                }
                out.push(']');
            }
            Self::Map(fields) => {
                out.push('{');
                for (index, field) in fields.iter().enumerate() {
                    if index > 0 {
                        out.push_str(", ");
                    }
                    scalar(out, &field.key);
                    out.push_str(": ");
                    field.value.flow(out);
                }
                out.push('}');
            }
        }
    }
}

impl Field {
    /// Writes the entry where its line has begun; a comment goes before it.
    fn write(&self, out: &mut String, depth: usize) {
        for line in self.comment.into_iter().flat_map(str::lines) {
            out.push_str("# ");
            out.push_str(line);
            out.push('\n');
            indent(out, depth);
        }
        scalar(out, &self.key);
        out.push(':');
        let is_block = match &self.value {
            Yaml::Map(fields) => !fields.is_empty(),
            Yaml::List(items) => !items.is_empty(),
            _ => false,
        };
        if is_block {
            out.push('\n');
            self.value.block(out, depth + 1);
        } else {
            out.push(' ');
            self.value.flow(out);
            out.push('\n');
        }
    }
}

fn indent(out: &mut String, depth: usize) {
    for _ in 0..depth {
        out.push_str("  ");
    }
}

/// Writes a string: plain when no reader can take it for anything else, else in double quotes.
fn scalar(out: &mut String, text: &str) {
    const WORDS: [&str; 12] = [
        "y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf", "infinity",
    ];
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    let is_word = WORDS.iter().any(|word| text.eq_ignore_ascii_case(word));
    if starts && text.chars().all(fits) && !is_word {
        out.push_str(text);
        return;
    }
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            // Writing to a String cannot fail.
            c if c.is_control() || ('\u{7f}'..='\u{a0}').contains(&c) => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            '\u{2028}' | '\u{2029}' | '\u{feff}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_tree_is_written_with_its_comments() {
        let tree = map([
            f("name", "front"),
            why("two\nlines", f("port", 80_u64)),
            f("none", list::<&str>([])),
            f(
                "items",
                list([
                    map([f("on", "on"), why("inner", f("b", true))]),
                    inline([f("a", "x y"), f("l", list(["1", "/p"]))]),
                ]),
            ),
        ]);
        assert_eq!(
            tree.to_text(),
            "name: front\n# two\n# lines\nport: 80\nnone: []\nitems:\n  - \"on\": \"on\"\n    \
             # inner\n    b: true\n  - {a: \"x y\", l: [\"1\", /p]}\n"
        );
    }

    proptest! {
        #[test]
        fn any_string_reads_back_as_itself(key in ".*", text in ".*") {
            let tree = map([f("k", list([text.clone()])), f("m", map([f(key.clone(), text.clone())]))]);
            let read: serde_yaml::Value = serde_yaml::from_str(&tree.to_text()).unwrap();
            prop_assert_eq!(read["k"][0].as_str(), Some(text.as_str()));
            prop_assert_eq!(read["m"][key.as_str()].as_str(), Some(text.as_str()));
        }
    }
}
