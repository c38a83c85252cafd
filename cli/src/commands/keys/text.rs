//! The `keys` of a configuration as text: an entry more, or one less, and every other byte as it was.
//!
//! Knows only how people write a list: a `keys:` at the left edge, and below it an entry for each `-`. Invariant: what comes
//! out reads as what went in with exactly that entry added or gone, or nothing comes out.

use serde_yaml::{Mapping, Value};

use super::entry::Entry;

const KEYS: &str = "keys";
/// The list of nobody.
const NONE: &str = "[]";
/// How far entries are from the left edge where there are none yet.
const INDENT: usize = 2;

/// The text with an entry after the last one; `None` where the text has a form that is not known.
pub fn add(text: &str, entry: &Entry) -> Option<String> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let list = List::find(&lines)?;
    let lines_of = |indent: usize| entry.lines(indent);
    let mut edited = Pieces::of(text, &lines);
    match list {
        List::Absent => edited.append(
            &std::iter::once(format!("{KEYS}:"))
                .chain(lines_of(INDENT))
                .collect::<Vec<_>>(),
        ),
        List::Empty { line } => {
            let (start, end) = none_of(lines.get(line)?)?;
            edited.cut(line, start, end);
            edited.insert(line + 1, &lines_of(INDENT));
        }
        List::Items { line, items, .. } if items.is_empty() => {
            edited.insert(line + 1, &lines_of(INDENT));
        }
        List::Items { items, indent, .. } => {
            edited.insert(items.last()?.end, &lines_of(indent));
        }
    }
    let mut wanted = read(text)?;
    let keys = wanted.entry(Value::from(KEYS)).or_insert(Value::Null);
    match keys {
        Value::Sequence(keys) => keys.push(entry.value()),
        Value::Null => *keys = Value::Sequence(vec![entry.value()]),
        _ => return None,
    }
    checked(edited.text(), &wanted)
}

/// The text without the entry at a place of the list; `None` where the text has a form that is not known. The list stays
/// when it has no more entries: no list is not the same as a list of none.
pub fn remove(text: &str, place: usize) -> Option<String> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let List::Items { line, items, .. } = List::find(&lines)? else {
        return None;
    };
    let item = items.get(place)?;
    let mut edited = Pieces::of(text, &lines);
    edited.delete(item.start, item.end);
    if items.len() == 1 {
        edited.put(line, KEYS.len() + 1, &format!(" {NONE}"));
    }
    let mut wanted = read(text)?;
    let keys = wanted.get_mut(KEYS)?.as_sequence_mut()?;
    if keys.len() != items.len() {
        return None;
    }
    keys.remove(place);
    checked(edited.text(), &wanted)
}

fn checked(edited: String, wanted: &Mapping) -> Option<String> {
    (read(&edited)? == *wanted).then_some(edited)
}

fn read(text: &str) -> Option<Mapping> {
    serde_yaml::from_str(text).ok()
}

/// The list, by lines.
enum List {
    /// There is none.
    Absent,
    /// It is written as a list of none.
    Empty { line: usize },
    /// Its name is on a line of its own.
    Items {
        line: usize,
        items: Vec<Item>,
        indent: usize,
    },
}

/// The lines of an entry: from its dash to the last that is neither empty nor a comment.
struct Item {
    start: usize,
    end: usize,
}

impl List {
    /// `None` where the text is not written as people write it.
    fn find(lines: &[&str]) -> Option<Self> {
        let mut content = lines
            .iter()
            .enumerate()
            .map(|(at, line)| (at, line.trim_end()))
            .filter(|(_, line)| {
                let own = line.trim_start();
                !own.is_empty() && !own.starts_with('#')
            })
            .peekable();
        // Where a document begins; where one ends, nothing may follow.
        content.next_if(|(_, line)| *line == "---");
        let mut found = Self::Absent;
        let mut is_first = true;
        while let Some((at, line)) = content.next() {
            if line.starts_with([' ', '-']) && !line.starts_with("--") && !is_first {
                continue;
            }
            if !line.starts_with(|first: char| first.is_ascii_alphabetic()) {
                return None;
            }
            is_first = false;
            let Some(rest) = line
                .strip_prefix(KEYS)
                .and_then(|rest| rest.strip_prefix(':'))
            else {
                continue;
            };
            if !matches!(found, Self::Absent) {
                return None;
            }
            let own = rest.trim_start();
            if own.starts_with(NONE) && none_of(line).is_some() {
                found = Self::Empty { line: at };
                continue;
            }
            let is_comment = own.starts_with('#') && own.len() < rest.len();
            if !(own.is_empty() || is_comment) {
                return None;
            }
            let (mut items, mut indent) = (Vec::<Item>::new(), INDENT);
            while let Some((at, line)) = content.next_if(|(_, line)| line.starts_with([' ', '-'])) {
                let own = line.trim_start();
                let depth = line.len() - own.len();
                let is_item = own == "-" || own.starts_with("- ");
                if items.is_empty() {
                    indent = depth;
                }
                match items.last_mut() {
                    _ if is_item && depth == indent => items.push(Item {
                        start: at,
                        end: at + 1,
                    }),
                    Some(last) if depth > indent => last.end = at + 1,
                    _ => return None,
                }
            }
            found = Self::Items {
                line: at,
                items,
                indent,
            };
        }
        (!is_first).then_some(found)
    }
}

/// Where the list of none is in its line, with the space before it.
fn none_of(line: &str) -> Option<(usize, usize)> {
    let start = KEYS.len() + 1;
    let rest = line.get(start..)?;
    let own = rest.trim_start();
    let after = own.strip_prefix(NONE)?.trim_end_matches(['\r', '\n']);
    let is_last = after.trim().is_empty()
        || after.starts_with([' ', '\t']) && after.trim_start().starts_with('#');
    let end = start + (rest.len() - own.len()) + NONE.len();
    is_last.then_some((start, end))
}

/// A text by lines, to be changed.
struct Pieces<'a> {
    lines: Vec<String>,
    /// How a line ends here.
    end: &'a str,
}

impl<'a> Pieces<'a> {
    fn of(text: &'a str, lines: &[&str]) -> Self {
        let is_dos = lines.iter().any(|line| line.ends_with("\r\n"));
        let is_unix = lines
            .iter()
            .any(|line| line.ends_with('\n') && !line.ends_with("\r\n"));
        Self {
            lines: text.split_inclusive('\n').map(str::to_owned).collect(),
            end: if is_dos && !is_unix { "\r\n" } else { "\n" },
        }
    }

    /// Lines before the one of this number. A text whose last line does not end is one afterwards too.
    fn insert(&mut self, at: usize, lines: &[String]) {
        let end = self.end;
        let mut new: Vec<String> = lines.iter().map(|line| format!("{line}{end}")).collect();
        let before = at
            .checked_sub(1)
            .and_then(|before| self.lines.get_mut(before));
        if let Some(before) = before.filter(|before| !before.ends_with('\n')) {
            before.push_str(end);
            if let Some(last) = new.last_mut() {
                last.truncate(last.len() - end.len());
            }
        }
        self.lines.splice(at..at, new);
    }

    /// Lines at the end, which do end.
    fn append(&mut self, lines: &[String]) {
        let end = self.end;
        if let Some(last) = self.lines.last_mut().filter(|last| !last.ends_with('\n')) {
            last.push_str(end);
        }
        self.lines
            .extend(lines.iter().map(|line| format!("{line}{end}")));
    }

    /// The opposite of [`insert`](Self::insert).
    fn delete(&mut self, start: usize, end: usize) {
        let gone: Vec<String> = self.lines.drain(start..end).collect();
        if gone.last().is_some_and(|line| !line.ends_with('\n')) {
            if let Some(last) = self.lines.last_mut() {
                last.truncate(last.trim_end_matches('\n').trim_end_matches('\r').len());
            }
        }
    }

    fn cut(&mut self, at: usize, start: usize, end: usize) {
        if let Some(line) = self.lines.get_mut(at) {
            line.replace_range(start..end, "");
        }
    }

    fn put(&mut self, at: usize, place: usize, text: &str) {
        if let Some(line) = self.lines.get_mut(at) {
            line.insert_str(place, text);
        }
    }

    fn text(self) -> String {
        self.lines.concat()
    }
}

#[cfg(test)]
mod tests;
