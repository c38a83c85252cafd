//! Names that Converse is strict about: of tool calls and of documents. They are derived from what
//! is there and from its place alone, so that a conversation that goes on keeps them.

use std::collections::VecDeque;

/// The longest identifier of a tool call.
const MAX_ID: usize = 64;
/// The longest name of a document.
const MAX_NAME: usize = 200;

/// Identifiers of tool calls.
#[derive(Debug, Default)]
pub(super) struct Calls {
    /// Calls so far.
    count: usize,
    /// Calls that came without an identifier and are not answered yet: name and identifier.
    open: VecDeque<(String, String)>,
}

impl Calls {
    /// The identifier of a call.
    pub(super) fn call(&mut self, id: &str, name: &str) -> String {
        let number = self.count;
        self.count += 1;
        if !id.is_empty() {
            return tool_id(id);
        }
        let id = format!("call_{number}");
        self.open.push_back((name.to_owned(), id.clone()));
        id
    }

    /// The identifier of the call that a result answers: without one the oldest open call of that
    /// name, or the oldest of all.
    pub(super) fn result(&mut self, id: &str, name: Option<&str>) -> String {
        if !id.is_empty() {
            return tool_id(id);
        }
        let named = self
            .open
            .iter()
            .position(|(own, _)| Some(own.as_str()) == name);
        let open = self.open.remove(named.unwrap_or_default());
        open.map_or_else(|| "call_0".to_owned(), |(_, id)| id)
    }
}

/// An identifier that Converse takes: 64 characters of `[a-zA-Z0-9_.:-]`. Another one is cut and
/// gets a checksum, so that different ones stay different.
pub(super) fn tool_id(id: &str) -> String {
    let is_fine = |letter: char| letter.is_ascii_alphanumeric() || "_.:-".contains(letter);
    if id.len() <= MAX_ID && id.chars().all(is_fine) {
        return id.to_owned();
    }
    let start = id
        .chars()
        .filter(|letter| is_fine(*letter))
        .take(MAX_ID - 17);
    let start: String = start.collect();
    format!("{start}-{:016x}", fnv(id.as_bytes()))
}

/// FNV-1a.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Names of documents.
#[derive(Debug, Default)]
pub(super) struct Documents(Vec<String>);

impl Documents {
    /// The name of a document with this title, and whether the title had to be changed. A name is
    /// letters and digits, single spaces, hyphens, parentheses and brackets, and no two documents
    /// have the same.
    pub(super) fn name(&mut self, title: Option<&str>) -> (String, bool) {
        let number = self.0.len() + 1;
        let plain = title.map(plain).unwrap_or_default();
        let mut name = if plain.is_empty() {
            format!("document {number}")
        } else {
            plain
        };
        if self.0.contains(&name) {
            name = format!("{name} ({number})");
        }
        self.0.push(name.clone());
        let is_changed = title.is_some_and(|title| title != name);
        (name, is_changed)
    }
}

fn plain(title: &str) -> String {
    let mut name = String::new();
    for letter in title.chars() {
        let is_fine = letter.is_ascii_alphanumeric() || "-()[]".contains(letter);
        if is_fine {
            name.push(letter);
        } else if !name.is_empty() && !name.ends_with(' ') {
            name.push(' ');
        }
        // Room for a number.
        if name.len() >= MAX_NAME - 10 {
            break;
        }
    }
    name.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_without_an_identifier_get_one_from_their_place() {
        let mut calls = Calls::default();
        assert_eq!(calls.call("a", "x"), "a");
        assert_eq!(calls.call("", "x"), "call_1");
        assert_eq!(calls.call("", "y"), "call_2");
        assert_eq!(calls.result("a", Some("x")), "a");
        assert_eq!(calls.result("", Some("y")), "call_2");
        assert_eq!(calls.result("", None), "call_1");
        assert_eq!(calls.result("", None), "call_0");
    }

    #[test]
    fn identifiers_that_converse_refuses_are_replaced_by_different_ones() {
        assert_eq!(tool_id("toolu_01.A:b-c"), "toolu_01.A:b-c");
        let long = "x".repeat(65);
        let (first, second) = (tool_id(&long), tool_id(&format!("{long}x")));
        assert_eq!(first.len(), 64);
        assert_ne!(first, second);
        assert_eq!(tool_id("a b"), tool_id("a b"));
        assert_ne!(tool_id("a b"), tool_id("ab"));
    }

    #[test]
    fn documents_have_names_that_converse_takes() {
        let mut documents = Documents::default();
        assert_eq!(
            documents.name(Some("report_2024.final.pdf")),
            ("report 2024 final pdf".to_owned(), true)
        );
        assert_eq!(
            documents.name(Some("Plan [v2] (b)")),
            ("Plan [v2] (b)".to_owned(), false)
        );
        assert_eq!(
            documents.name(Some("Plan [v2] (b)")),
            ("Plan [v2] (b) (3)".to_owned(), true)
        );
        assert_eq!(documents.name(None), ("document 4".to_owned(), false));
        assert_eq!(documents.name(Some("…")).0, "document 5");
        assert!(documents.name(Some(&"é1".repeat(400))).0.len() <= MAX_NAME);
    }
}
