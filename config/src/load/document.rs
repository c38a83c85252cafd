//! A place in the document: a value and its path. Reading one as a type records a problem when it
//! is another.

use std::ops::RangeInclusive;

use serde_yaml::{Mapping, Value};

use super::findings::Findings;

/// A value and where it is.
#[derive(Debug, Clone)]
pub(super) struct Node<'a> {
    /// `model_providers[0].model`; empty for the document.
    pub(super) path: String,
    pub(super) value: &'a Value,
}

/// A map and where it is.
#[derive(Debug, Clone)]
pub(super) struct Map<'a> {
    pub(super) path: String,
    entries: &'a Mapping,
}

impl<'a> Node<'a> {
    pub(super) fn root(value: &'a Value) -> Self {
        Self {
            path: String::new(),
            value,
        }
    }

    /// The values directly below.
    pub(super) fn children(&self) -> Vec<Node<'a>> {
        match self.value {
            Value::Mapping(entries) => Map {
                path: self.path.clone(),
                entries,
            }
            .nodes()
            .into_iter()
            .map(|(_, node)| node)
            .collect(),
            Value::Sequence(items) => self.items(items),
            _ => Vec::new(),
        }
    }

    fn items(&self, items: &'a [Value]) -> Vec<Node<'a>> {
        let item = |(index, value)| Node {
            path: format!("{}[{index}]", self.path),
            value,
        };
        items.iter().enumerate().map(item).collect()
    }

    /// As a map, whose keys are all names.
    pub(super) fn map(&self, findings: &mut Findings<'_>) -> Option<Map<'a>> {
        let Value::Mapping(entries) = self.value else {
            findings.wrong_type(self, "a map");
            return None;
        };
        if entries.keys().any(|key| name(key).is_none()) {
            findings.problem(self, "has a key that is not a name");
        }
        Some(Map {
            path: self.path.clone(),
            entries,
        })
    }

    /// As a list.
    pub(super) fn list(&self, findings: &mut Findings<'_>) -> Option<Vec<Node<'a>>> {
        match self.value {
            Value::Sequence(items) => Some(self.items(items)),
            _ => {
                findings.wrong_type(self, "a list");
                None
            }
        }
    }

    /// As text that is not empty.
    pub(super) fn text(&self, findings: &mut Findings<'_>) -> Option<&'a str> {
        match self.value {
            Value::String(text) if !text.trim().is_empty() => Some(text.trim()),
            Value::String(_) => {
                findings.problem(self, "is empty");
                None
            }
            _ => {
                findings.wrong_type(self, "a text");
                None
            }
        }
    }

    /// A text, number or flag as it would be written.
    pub(super) fn scalar(&self, findings: &mut Findings<'_>) -> Option<String> {
        let text = shown(self.value);
        if text.is_none() {
            findings.wrong_type(self, "a text");
        }
        text
    }

    /// As a flag.
    pub(super) fn flag(&self, findings: &mut Findings<'_>) -> Option<bool> {
        match self.value {
            Value::Bool(flag) => Some(*flag),
            _ => {
                findings.wrong_type(self, "`true` or `false`");
                None
            }
        }
    }

    /// As a port number.
    pub(super) fn port(&self, findings: &mut Findings<'_>) -> Option<u16> {
        let port = self
            .value
            .as_u64()
            .and_then(|port| u16::try_from(port).ok());
        match (port, self.value) {
            (Some(_), _) => {}
            (None, Value::Number(_)) => findings.problem(self, "is no port: write 0 to 65535"),
            (None, _) => findings.wrong_type(self, "a port: a number from 0 to 65535"),
        }
        port
    }

    /// As a whole number in a range.
    pub(super) fn whole(
        &self,
        range: RangeInclusive<u32>,
        findings: &mut Findings<'_>,
    ) -> Option<u32> {
        let number = self
            .value
            .as_u64()
            .and_then(|number| u32::try_from(number).ok())
            .filter(|number| range.contains(number));
        if number.is_none() {
            let wanted = format!("a whole number from {} to {}", range.start(), range.end());
            match self.value {
                Value::Number(_) => findings.problem(self, format!("must be {wanted}")),
                _ => findings.wrong_type(self, &wanted),
            }
        }
        number
    }

    /// As a percentage, from `50%` or `50`: 0 to 1.
    pub(super) fn share(&self, findings: &mut Findings<'_>) -> Option<f64> {
        let text = self.scalar(findings)?;
        let percent = match self.value {
            Value::Number(number) => number.as_f64(),
            _ => percentage(&text),
        };
        let percent = percent.filter(|percent| (0.0..=100.0).contains(percent));
        if percent.is_none() {
            let hint = "write it as `50%` or `50`";
            findings.problem_with(self, "must be a percentage from 0 to 100", hint);
        }
        percent.map(|percent| percent / 100.0)
    }

    /// Parsed by a function whose error says what is wrong.
    pub(super) fn parsed<T, E: std::fmt::Display>(
        &self,
        findings: &mut Findings<'_>,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.scalar(findings)?;
        match parse(text.trim()) {
            Ok(value) => Some(value),
            Err(error) => {
                findings.problem(self, error.to_string());
                None
            }
        }
    }
}

impl<'a> Map<'a> {
    /// The value of a key; `null` counts as absent.
    pub(super) fn get(&self, key: &str) -> Option<Node<'a>> {
        let written = self.entries.get(key);
        // Programs that write YAML 1.1 take the name `on` for a flag.
        let value = written.or_else(|| match key {
            "on" => self.entries.get(Value::Bool(true)),
            _ => None,
        })?;
        (!value.is_null()).then(|| Node {
            path: below(&self.path, key),
            value,
        })
    }

    /// Whether a key is there, be it `null`.
    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// All entries whose keys are names, in order; `null` values included.
    pub(super) fn nodes(&self) -> Vec<(String, Node<'a>)> {
        let entry = |(key, value)| {
            let key = name(key)?;
            let path = below(&self.path, &key);
            Some((key, Node { path, value }))
        };
        self.entries.iter().filter_map(entry).collect()
    }

    /// The place of a key that is not there, for problems about its absence.
    pub(super) fn absent(&self, key: &str) -> Node<'a> {
        Node {
            path: below(&self.path, key),
            value: &Value::Null,
        }
    }
}

fn below(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

/// A number without a sign or exponent, with `%` or not.
fn percentage(text: &str) -> Option<f64> {
    let text = text.trim();
    let number = text.strip_suffix('%').unwrap_or(text).trim_end();
    let fits = |c: char| c.is_ascii_digit() || c == '.';
    if !number.chars().all(fits) {
        return None;
    }
    number.parse().ok()
}

/// A key as a name.
fn name(key: &Value) -> Option<String> {
    shown(key)
}

/// A scalar as it would be written.
pub(super) fn shown(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Sequence(_) | Value::Mapping(_) | Value::Tagged(_) => None,
    }
}

/// What a value is, for people.
pub(super) fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a flag",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Sequence(_) => "a list",
        Value::Mapping(_) => "a map",
        Value::Tagged(_) => "a tagged value",
    }
}
