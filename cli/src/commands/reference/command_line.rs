//! The command line as a page, from the parser's own description of it.

use clap::{Arg, Command};

use crate::failure::EXIT_CODES;

/// Variables that the program reads besides keys and those that a configuration names.
const VARIABLES: &[(&str, &str)] = &[
    (
        "MESETA_ENVOY",
        "Envoy's executable for `up`, when `--envoy` is not given.",
    ),
    (
        "MESETA_LOG",
        "Which log lines the server writes, as `tracing` filters: `debug`, `meseta_ext_proc=trace`.",
    ),
    (
        "OTEL_TRACING_GRPC_ENDPOINT",
        "Where spans go, when the configuration has `tracing` without `otlp_endpoint`.",
    ),
    (
        "CHATGPT_ACCOUNT_ID",
        "The workspace for the provider `chatgpt`, when its `headers` do not say.",
    ),
    ("NO_COLOR", "Switches colours off when it is not empty."),
    (
        "XDG_STATE_HOME",
        "Where the state directory is, in place of `~/.local/state`.",
    ),
    ("HOME", "Where `~` is."),
    ("PATH", "Where `envoy` and `python3` are looked for."),
];

/// The page.
pub fn page(mut command: Command) -> String {
    command.build();
    let mut text = "# Command line\n\n\
                    Results go to standard output, everything about them to standard error. Each \
                    command has `--help`.\n"
        .to_owned();
    for command in command.get_subcommands_mut() {
        write_command(command, &mut text);
    }
    text.push_str("\n## Exit codes\n\n| code | meaning |\n| --- | --- |\n");
    for (code, meaning) in EXIT_CODES {
        text.push_str(&format!("| {code} | {meaning} |\n"));
    }
    text.push_str(
        "\n## Environment\n\nVariables come from the process, then from `.env` beside the \
         configuration, then from `.env` in the working directory. The providers' variables are \
         in [the list of providers](providers.md).\n\n| variable | meaning |\n| --- | --- |\n",
    );
    for (name, meaning) in VARIABLES {
        text.push_str(&format!("| `{name}` | {meaning} |\n"));
    }
    text
}

/// A command, unless it does nothing by itself, and those below it.
fn write_command(command: &mut Command, text: &mut String) {
    if command.is_hide_set() || command.get_name() == "help" {
        return;
    }
    if !command.is_subcommand_required_set() {
        write_one(command, text);
    }
    for command in command.get_subcommands_mut() {
        write_command(command, text);
    }
}

fn write_one(command: &mut Command, text: &mut String) {
    let usage = command.render_usage().to_string();
    let usage = usage.trim().trim_start_matches("Usage: ").to_owned();
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name());
    let about = command.get_long_about().or_else(|| command.get_about());
    let about = about.map(ToString::to_string).unwrap_or_default();
    let paragraphs = about.split("\n\n");
    let paragraphs: Vec<_> = paragraphs
        .map(|own| sentence(&own.replace('\n', " ")))
        .collect();
    let about = paragraphs.join("\n\n");
    text.push_str(&format!("\n## `{name}`\n\n{about}\n"));
    text.push_str(&format!("\n```text\n{usage}\n```\n"));
    let arguments: Vec<&Arg> = command
        .get_arguments()
        .filter(|argument| !argument.is_hide_set() && argument.get_id() != "help")
        .collect();
    if !arguments.is_empty() {
        text.push('\n');
    }
    for argument in arguments {
        write_argument(argument, text);
    }
}

fn write_argument(argument: &Arg, text: &mut String) {
    let help = argument.get_long_help().or_else(|| argument.get_help());
    let help = help.map(ToString::to_string).unwrap_or_default();
    // The first paragraph is the short form; the others are sentences already.
    let mut paragraphs = help
        .split("\n\n")
        .map(|paragraph| paragraph.replace('\n', " "));
    let first = paragraphs.next().unwrap_or_default();
    let mut about = sentence(&first);
    for paragraph in paragraphs {
        about.push(' ');
        about.push_str(&paragraph);
    }
    text.push_str(&format!("- `{}`: {about}", written(argument)));
    let defaults: Vec<_> = argument
        .get_default_values()
        .iter()
        .map(|value| format!("`{}`", value.to_string_lossy()))
        .collect();
    if !defaults.is_empty() && argument.get_action().takes_values() {
        text.push_str(&format!(" Default: {}.", defaults.join(", ")));
    }
    let values: Vec<_> = argument
        .get_possible_values()
        .iter()
        .filter(|value| !value.is_hide_set())
        .map(|value| format!("`{}`", value.get_name()))
        .collect();
    if !values.is_empty() && argument.get_action().takes_values() {
        text.push_str(&format!(" One of {}.", values.join(", ")));
    }
    if let Some(variable) = argument.get_env() {
        text.push_str(&format!(" Variable: `{}`.", variable.to_string_lossy()));
    }
    text.push('\n');
}

/// An argument as it is written.
fn written(argument: &Arg) -> String {
    let values: Vec<_> = argument
        .get_value_names()
        .unwrap_or_default()
        .iter()
        .map(|name| format!("<{name}>"))
        .collect();
    let values = values.join(" ");
    if argument.is_positional() {
        return values;
    }
    let short = argument.get_short().map(|short| format!("-{short}"));
    let long = argument.get_long().map(|long| format!("--{long}"));
    let names: Vec<_> = [short, long].into_iter().flatten().collect();
    let names = names.join(", ");
    if argument.get_action().takes_values() {
        format!("{names} {values}")
    } else {
        names
    }
}

fn sentence(text: &str) -> String {
    let text = text.trim();
    if text.is_empty() || text.ends_with('.') {
        text.to_owned()
    } else {
        format!("{text}.")
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn every_command_that_is_shown_is_on_the_page_and_no_hidden_one() {
        let text = page(Cli::command());
        for command in Cli::command().get_subcommands() {
            let name = command.get_name();
            let is_there = text.contains(&format!("\n## `meseta {name}"));
            assert_eq!(is_there, !command.is_hide_set(), "{name}");
        }
        assert!(text.contains("\n## `meseta render envoy`\n"));
        assert!(text.contains("- `--drain-timeout <DURATION>`: "), "{text}");
        assert!(text.contains("Default: `meseta_meter.wasm`."));
        assert!(text.contains("| 3 | "));
    }

    #[test]
    fn every_variable_that_the_program_reads_is_on_the_page() {
        fn visit(directory: &std::path::Path, found: &mut Vec<String>) {
            for entry in std::fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    visit(&path, found);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    let text = std::fs::read_to_string(&path).unwrap();
                    for call in ["env::var(\"", "env::var_os(\"", "variable(\""] {
                        let after = text.split(call).skip(1);
                        let names = after.filter_map(|rest| rest.split('"').next());
                        found.extend(names.map(str::to_owned));
                    }
                }
            }
        }
        let repository = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut found = Vec::new();
        for sources in ["cli/src", "config/src/load", "ext-proc/src"] {
            visit(&repository.join(sources), &mut found);
        }
        found.retain(|name| {
            name.len() > 2 && name.chars().all(|c| c.is_ascii_uppercase() || c == '_')
        });
        assert!(found.contains(&"MESETA_ENVOY".to_owned()), "{found:?}");
        for name in found {
            assert!(VARIABLES.iter().any(|(known, _)| *known == name), "{name}");
        }
    }
}
