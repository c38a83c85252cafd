//! Every object of the language with its place in the document.

use super::{Absence, Key, Kind, Named, Object, Status, ROOT};

/// An object where it stands first in the document.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) object: &'static Object,
    steps: Vec<Step>,
    /// It is inside of what has no effect so far.
    pub(super) is_inert: bool,
}

/// A step down from a value.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// To the value of a key of an object.
    Key(&'static Object, &'static Key),
    /// To an item of a list.
    Item,
    /// To an entry of a map.
    Entry(&'static Named),
}

impl Section {
    /// Where it is: `listeners[].cors`; empty for the document.
    pub(super) fn path(&self) -> String {
        let mut path = String::new();
        for step in &self.steps {
            let name = match step {
                Step::Item => {
                    path.push_str("[]");
                    continue;
                }
                Step::Key(_, key) => key.name,
                Step::Entry(named) => named.name,
            };
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(name);
        }
        path
    }

    /// Where a key of it is: `listeners[].cors.allow_origins`.
    pub(super) fn path_of(&self, key: &str) -> String {
        let path = self.path();
        if path.is_empty() {
            key.to_owned()
        } else {
            format!("{path}.{key}")
        }
    }

    /// Whether a key of it has effect, where it stands.
    pub(super) fn status(&self, status: Status) -> Status {
        if self.is_inert {
            Status::NotYetActive
        } else {
            status
        }
    }

    /// The document in which this YAML stands in the object's place.
    pub(super) fn document(&self, object: &str) -> String {
        let mut text = object.to_owned();
        for step in self.steps.iter().rev() {
            text = match step {
                Step::Key(object, key) => {
                    let inside = indented(&text, "  ", "  ");
                    format!("{}{}:\n{inside}", beside(object, key), key.name)
                }
                Step::Entry(named) => {
                    format!("{}:\n{}", named.example, indented(&text, "  ", "  "))
                }
                Step::Item => indented(&text, "- ", "  "),
            };
        }
        text
    }
}

/// What an object needs beside a key, as its examples have it.
fn beside(object: &Object, key: &Key) -> String {
    let needed = object
        .keys
        .iter()
        .filter(|other| matches!(other.absence, Absence::Refused) && other.name != key.name);
    needed.map(part).collect()
}

/// The lines of a key's example that are its own.
fn part(key: &Key) -> String {
    let start = format!("{}:", key.name);
    let mut lines = key.example.lines();
    let first = lines.find(|line| line.starts_with(&start));
    let others = lines.take_while(|line| line.starts_with(' '));
    let own = first.into_iter().chain(others);
    own.map(|line| format!("{line}\n")).collect()
}

fn indented(text: &str, first: &str, others: &str) -> String {
    let mut lines = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let indent = if at == 0 { first } else { others };
        lines.push(format!("{indent}{line}"));
    }
    lines.join("\n")
}

/// Every object once, from the top down.
pub(super) fn sections() -> Vec<Section> {
    let mut sections = Vec::new();
    visit(Kind::Object(&ROOT), Vec::new(), false, &mut sections);
    sections
}

fn visit(kind: Kind, steps: Vec<Step>, is_inert: bool, sections: &mut Vec<Section>) {
    let below = |step: Step| {
        let mut steps = steps.clone();
        steps.push(step);
        steps
    };
    match kind {
        Kind::List(kind) => visit(*kind, below(Step::Item), is_inert, sections),
        Kind::Map(named) => visit(named.value, below(Step::Entry(named)), is_inert, sections),
        Kind::Either(kinds) => {
            for kind in kinds {
                visit(*kind, steps.clone(), is_inert, sections);
            }
        }
        Kind::Object(object) => {
            let seen = |section: &Section| {
                let known = section.object;
                (known.title, known.about) == (object.title, object.about)
            };
            if sections.iter().any(seen) {
                return;
            }
            sections.push(Section {
                object,
                steps: steps.clone(),
                is_inert,
            });
            for key in object.keys {
                let is_inert = is_inert || key.status == Status::NotYetActive;
                visit(key.kind, below(Step::Key(object, key)), is_inert, sections);
            }
        }
        _ => {}
    }
}
