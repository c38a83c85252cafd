//! References to environment variables: `$NAME` and `${NAME}`.
//!
//! Only keys, addresses and headers may have them: elsewhere a `$` is a dollar, so that no text of
//! a prompt is ever taken for a reference.

use super::findings::Findings;

/// A text with its references replaced.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Expanded {
    pub(super) text: String,
    /// The variables it refers to, in order.
    pub(super) variables: Vec<String>,
    /// Those that are not set.
    pub(super) missing: Vec<String>,
}

/// Replaces the references of a text.
pub(super) fn expand(text: &str, findings: &Findings<'_>) -> Expanded {
    let mut expanded = Expanded::default();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        expanded.text.push_str(before);
        match reference(after) {
            Some((name, after)) => {
                expanded.variables.push(name.to_owned());
                match findings.variable(name) {
                    Some(value) => expanded.text.push_str(value.trim()),
                    None => expanded.missing.push(name.to_owned()),
                }
                rest = after;
            }
            None => {
                expanded.text.push('$');
                rest = after;
            }
        }
    }
    expanded.text.push_str(rest);
    expanded
}

/// The name at the start of what follows a dollar, and what follows it.
fn reference(text: &str) -> Option<(&str, &str)> {
    if let Some(braced) = text.strip_prefix('{') {
        let (name, rest) = braced.split_once('}')?;
        return (name_length(name) == name.len() && !name.is_empty()).then_some((name, rest));
    }
    let length = name_length(text);
    (length > 0)
        .then(|| text.split_at_checked(length))
        .flatten()
}

/// How many bytes of a text are a variable's name.
fn name_length(text: &str) -> usize {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return 0;
    }
    text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Source;
    use super::*;

    fn expanded(text: &str) -> Expanded {
        let env = |name: &str| match name {
            "KEY" => Some("sk-1\n".to_owned()),
            "EMPTY" => Some("  ".to_owned()),
            _ => None,
        };
        let source = Source {
            text: "",
            name: "",
            env: &env,
            dir: Path::new("/"),
            file: &|_| Err(std::io::ErrorKind::NotFound.into()),
        };
        expand(text, &Findings::new(&source))
    }

    #[test]
    fn references_are_replaced_and_the_unset_ones_named() {
        let plain = expanded("Bearer ${KEY}-$KEY.");
        assert_eq!(plain.text, "Bearer sk-1-sk-1.");
        assert_eq!(plain.variables, ["KEY", "KEY"]);
        assert!(plain.missing.is_empty());
        assert_eq!(expanded("$EMPTY$NO_1").missing, ["EMPTY", "NO_1"]);
    }

    #[test]
    fn a_dollar_without_a_name_is_a_dollar() {
        for text in ["$", "cost: 5$", "$1", "${", "${}", "${a b}", "$$", "$-"] {
            let plain = expanded(text);
            assert_eq!(plain.text, text);
            assert!(plain.variables.is_empty());
        }
    }
}
