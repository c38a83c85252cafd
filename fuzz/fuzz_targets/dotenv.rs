//! `.env` files: what is read is in the file, and a value that is written in quotes reads as it was.
#![no_main]

use libfuzzer_sys::fuzz_target;

// The parser is a module of the binary's, and depends on nothing else there.
#[path = "../../cli/src/dotenv.rs"]
mod dotenv;

fuzz_target!(|input: &str| {
    let parsed = dotenv::parse(input);
    let lines = input.lines().count();
    assert!(parsed.variables.len() + parsed.bad_lines.len() <= lines);
    for (name, _) in &parsed.variables {
        let fits = |c: char| c == '_' || c.is_ascii_alphanumeric();
        assert!(!name.is_empty() && name.chars().all(fits));
        assert!(input.contains(name.as_str()));
    }
    assert!(parsed.bad_lines.is_sorted());
    assert!(parsed
        .bad_lines
        .iter()
        .all(|line| (1..=lines).contains(line)));

    let mut written = String::from("A=\"");
    for c in input.chars() {
        match c {
            '\n' => written.push_str("\\n"),
            '\r' => written.push_str("\\r"),
            '"' | '\\' => written.extend(['\\', c]),
            c => written.push(c),
        }
    }
    written.push('"');
    let read = dotenv::parse(&written).variables;
    assert_eq!(read, [("A".to_owned(), input.to_owned())]);
});
