//! The language as a reference for readers, in Markdown.

use std::fmt::Write;

use super::json::quoted;
use super::walk::{sections, Section};
use super::{Absence, Key, Kind, Object, Origin, Status};

const INTRODUCTION: &str = "\
# Configuration

`meseta.yaml`, key by key. A file of Plano's (`plano_config.yaml`, `arch_config.yaml`) is read as it
is. Every problem of a file is told at once, with its place; a key that is unknown is a problem too.
`meseta validate` checks a file without running it, and `meseta render schema` prints the same
language as a JSON Schema, for editors: with it in a file, the line
`# yaml-language-server: $schema=meseta.schema.json` at the top of `meseta.yaml` gives completion and
marks mistakes.

- A key whose value is `null` counts as absent.
- A **duration** is a number and `ms`, `s`, `m` or `h`. A **size** is a number and `B`, `KiB`, `MiB`,
  `GiB`, `KB`, `MB` or `GB`; a number alone counts bytes.
- `$NAME` and `${NAME}` refer to environment variables, in keys, addresses, headers and paths of files
  alone.
- **Not yet active** are keys of Plano's that are understood and without effect in this version: they
  give a notice. **Not built** are keys that are planned: they are refused.

An example without `model_providers` is a fragment: with any list of providers it is a configuration.
";

/// The reference of the whole language, as Markdown.
pub fn reference() -> String {
    let mut text = INTRODUCTION.to_owned();
    for section in sections() {
        write_section(&section, &mut text);
    }
    text
}

fn write_section(section: &Section, text: &mut String) {
    let path = section.path();
    let heading = heading(section.object.title, &path);
    text.push_str(&format!("\n## {heading}\n\n{}\n", section.object.about));
    if section.is_inert {
        text.push_str("\nNot yet active.\n");
    }
    for key in section.object.keys {
        write_key(section, key, text);
    }
}

/// `Listener: listeners[]`.
fn heading(title: &str, path: &str) -> String {
    let mut letters = title.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    let title: String = first.into_iter().chain(letters).collect();
    if path.is_empty() {
        title
    } else {
        format!("{title}: `{path}`")
    }
}

/// Where a heading is, as Markdown's readers name it.
pub(super) fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter_map(|c| match c {
        ' ' => Some('-'),
        '-' | '_' => Some(c),
        c => c.is_alphanumeric().then(|| c.to_ascii_lowercase()),
    });
    kept.collect()
}

/// A link to where an object is described.
fn link(object: &Object) -> String {
    let sections = sections();
    let section = sections.iter().find(|s| s.object.title == object.title);
    let path = section.map(Section::path).unwrap_or_default();
    let heading = heading(object.title, &path);
    format!("[{}](#{})", object.title, anchor(&heading))
}

fn write_key(section: &Section, key: &Key, text: &mut String) {
    let status = section.status(key.status);
    let mut line = |line: String| {
        text.push_str(&line);
        text.push('\n');
    };
    line(format!(
        "\n### `{}`\n\n{}\n",
        section.path_of(key.name),
        key.about
    ));
    if status == Status::NotBuilt {
        line("- Status: not built; refused".to_owned());
        return;
    }
    line(format!("- Type: {}", described(key.kind)));
    match &key.absence {
        Absence::Nothing => {}
        Absence::Refused => line("- Required".to_owned()),
        Absence::Value(value) => line(format!("- Default: `{value}`")),
        Absence::Means(meaning) => line(format!("- Default: {meaning}")),
    }
    let told = match status {
        Status::Read => "active",
        Status::Needless => "accepted; there is nothing for it to do",
        Status::NotYetActive => "not yet active",
        Status::NotBuilt => "not built",
    };
    line(format!("- Status: {told}"));
    if let Some(name) = key.replaced_by {
        line(format!("- Deprecated: write {} instead", quoted(name)));
    }
    if key.origin == Origin::Meseta {
        line("- Not in Plano's schema".to_owned());
    }
    let document = section.document(key.example);
    let fence = if is_complete(&document) {
        "yaml"
    } else {
        "yaml fragment"
    };
    line(format!("\n```{fence}\n{document}\n```"));
}

/// Whether a document says where its models are.
fn is_complete(document: &str) -> bool {
    let mut lines = document.lines();
    lines.any(|line| line.starts_with("model_providers:") || line.starts_with("llm_providers:"))
}

/// A type in words.
fn described(kind: Kind) -> String {
    let words = match kind {
        Kind::Any => "anything",
        Kind::Text => "text",
        Kind::Scalar => "text, number or flag",
        Kind::Texts => "list of texts",
        Kind::Flag => "`true` or `false`",
        Kind::Integer => "whole number",
        Kind::Number => "number",
        Kind::Percentage => "number from 0 to 100",
        Kind::Share => "percentage from 0 to 100: `50%` or `50`",
        Kind::Port => "port, 0 to 65535",
        Kind::Duration => "duration",
        Kind::Size => "size, up to `1GiB`",
        Kind::Ip => "IP address, or `localhost`",
        Kind::Socket => "IP address (or `localhost`) and port",
        Kind::Listen => "`unix:PATH` or `tcp:ADDRESS:PORT`",
        Kind::Egress => "`direct`, `envoy` or `unix:PATH`",
        Kind::Conditions => "list of statuses and names",
        Kind::Hedge => "duration, or `p50` to `p99`",
        Kind::Mode => "`\"0600\"` or `\"0660\"`",
        Kind::Url => "`http` or `https` URL",
        Kind::Path => "path of a file",
        Kind::Secret => "text, usually `$NAME`",
        Kind::Hash => "`sha256:` and 64 hexadecimal digits",
        Kind::Time => "time with its offset to UTC",
        Kind::Model => "`provider/model` or `provider/*`",
        Kind::Interface => "name of a provider, for example `openai`",
        Kind::Origins => "`*`, or list of origins",
        Kind::OneOf(values) | Kind::Version(values) => return listed(values),
        Kind::List(item) => return format!("list of: {}", described(*item)),
        Kind::Map(named) => {
            let value = described(named.value);
            return format!("map of {} to: {value}", named.name);
        }
        Kind::Object(object) => return link(object),
        Kind::Either(kinds) => {
            let kinds: Vec<_> = kinds.iter().map(|kind| described(*kind)).collect();
            return kinds.join("; or ");
        }
    };
    words.to_owned()
}

fn listed(values: &[&str]) -> String {
    let mut text = String::new();
    for (at, value) in values.iter().enumerate() {
        let before = match at {
            0 => "",
            at if at + 1 == values.len() => " or ",
            _ => ", ",
        };
        // Writing to a text does not fail.
        let _ = write!(text, "{before}`{value}`");
    }
    text
}
