//! Reads `.env` files: `NAME=value` lines, quotes, comments, `export `.
//!
//! Pure text in, pairs out; never expands variables, runs commands or touches the process environment.
//! A line that is not understood is reported by number only, since it may hold a secret.

/// The variables of one file in order, and the numbers (from 1) of lines that were not understood.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Dotenv {
    /// Names and values, in the order of the file; a later duplicate is meant to win.
    pub variables: Vec<(String, String)>,
    /// Lines that are neither blank, comment nor assignment.
    pub bad_lines: Vec<usize>,
}

/// Parses the text of a `.env` file.
pub fn parse(text: &str) -> Dotenv {
    let mut parsed = Dotenv::default();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match assignment(line) {
            Some(pair) => parsed.variables.push(pair),
            None => parsed.bad_lines.push(index + 1),
        }
    }
    parsed
}

fn assignment(line: &str) -> Option<(String, String)> {
    let line = match line.strip_prefix("export") {
        Some(rest) if rest.starts_with(char::is_whitespace) => rest.trim_start(),
        _ => line,
    };
    let (name, value) = line.split_once('=')?;
    let name = name.trim();
    let starts_well = name
        .chars()
        .next()
        .is_some_and(|first| first == '_' || first.is_ascii_alphabetic());
    let is_name = starts_well && name.chars().all(|c| c == '_' || c.is_ascii_alphanumeric());
    if !is_name {
        return None;
    }
    Some((name.to_owned(), unquote(value.trim())?))
}

/// The value without its quotes and trailing comment; `None` when a quote is not closed or text follows it.
fn unquote(value: &str) -> Option<String> {
    let mut chars = value.chars();
    let quote = match chars.next() {
        Some(quote @ ('"' | '\'')) => quote,
        _ => return Some(bare(value).to_owned()),
    };
    let mut text = String::new();
    loop {
        match chars.next()? {
            c if c == quote => break,
            '\\' if quote == '"' => match chars.next()? {
                'n' => text.push('\n'),
                't' => text.push('\t'),
                'r' => text.push('\r'),
                c @ ('"' | '\\' | '$' | '`') => text.push(c),
                other => text.extend(['\\', other]),
            },
            c => text.push(c),
        }
    }
    let rest = chars.as_str().trim_start();
    (rest.is_empty() || rest.starts_with('#')).then_some(text)
}

/// An unquoted value ends at a `#` that follows a blank: `a#b` is one value.
fn bare(value: &str) -> &str {
    let mut blank = true;
    for (at, c) in value.char_indices() {
        if c == '#' && blank {
            return value.get(..at).unwrap_or(value).trim_end();
        }
        blank = c.is_whitespace();
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value_of(line: &str) -> Option<String> {
        parse(line).variables.pop().map(|(_, value)| value)
    }

    #[test]
    fn plain_assignments_are_read_with_and_without_export() {
        let parsed =
            parse("\u{feff}A=1\r\nexport B = two words \n\n# C=3\n export\tD=4\nexported=5\n");
        let expected = [
            ("A", "1"),
            ("B", "two words"),
            ("D", "4"),
            ("exported", "5"),
        ];
        let expected: Vec<_> = expected
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        assert_eq!(parsed.variables, expected);
        assert!(parsed.bad_lines.is_empty());
    }

    #[test]
    fn quotes_keep_blanks_and_hashes_and_only_double_quotes_have_escapes() {
        assert_eq!(value_of(r#"A=" a # b " # c"#).unwrap(), " a # b ");
        assert_eq!(value_of(r#"A="x\ny\"z\q\$H""#).unwrap(), "x\ny\"z\\q$H");
        assert_eq!(value_of(r"A='x\ny'").unwrap(), r"x\ny");
        assert_eq!(value_of("A=").unwrap(), "");
        assert_eq!(value_of("A=''").unwrap(), "");
    }

    #[test]
    fn a_comment_needs_a_blank_before_it() {
        assert_eq!(value_of("A=b#c").unwrap(), "b#c");
        assert_eq!(value_of("A=b #c").unwrap(), "b");
        assert_eq!(value_of("A= # nothing").unwrap(), "");
    }

    #[test]
    fn lines_that_are_no_assignment_are_named_by_number() {
        let parsed = parse("ok=1\nno assignment\n1X=2\n=3\nA=\"open\nB='x' y\n");
        assert_eq!(parsed.bad_lines, [2, 3, 4, 5, 6]);
        assert_eq!(parsed.variables.len(), 1);
    }
}
