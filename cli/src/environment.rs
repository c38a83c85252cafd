//! The variables a configuration may refer to: the process environment first, then `.env` files.
//!
//! Owns values of secrets for as long as a command loads its configuration: they never reach `Debug`, a message or a log.
//! Remembers which names were asked for, so that processes which need none of them (Envoy) are started without them.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::dotenv;

/// Where a variable of the process environment is looked up.
type Lookup = Box<dyn Fn(&str) -> Option<OsString>>;

/// Process variables with `.env` files behind them.
pub struct Environment {
    process: Lookup,
    files: BTreeMap<String, String>,
    paths: Vec<PathBuf>,
    asked: RefCell<BTreeSet<String>>,
    warnings: Vec<String>,
}

impl Environment {
    /// The environment of this process, completed by the `.env` of each directory; the first directory wins.
    pub fn of_process(directories: &[&Path]) -> Self {
        Self::new(Box::new(|name| std::env::var_os(name)), directories)
    }

    fn new(process: Lookup, directories: &[&Path]) -> Self {
        let mut environment = Self {
            process,
            files: BTreeMap::new(),
            paths: Vec::new(),
            asked: RefCell::default(),
            warnings: Vec::new(),
        };
        let mut seen: Vec<PathBuf> = Vec::new();
        for directory in directories {
            let file = directory.join(".env");
            let identity = file.canonicalize().unwrap_or_else(|_| file.clone());
            if !seen.contains(&identity) {
                environment.read(&file);
                environment.paths.push(file);
                seen.push(identity);
            }
        }
        environment
    }

    fn read(&mut self, file: &Path) {
        let bytes = match std::fs::read(file) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
            Err(error) => {
                let text = format!("{}: not read: {error}", file.display());
                return self.warnings.push(text);
            }
        };
        let Ok(text) = String::from_utf8(bytes) else {
            let text = format!("{}: not read: it is not UTF-8", file.display());
            return self.warnings.push(text);
        };
        let parsed = dotenv::parse(&text);
        for line in parsed.bad_lines {
            self.warnings.push(format!(
                "{}:{line}: ignored: it is not NAME=value",
                file.display()
            ));
        }
        // Within one file the last assignment wins, between files the first file does.
        let newest: BTreeMap<String, String> = parsed.variables.into_iter().collect();
        for (name, value) in newest {
            self.files.entry(name).or_insert(value);
        }
    }

    /// The value of a variable. One that is set to nothing in the process stays so, whatever the files say.
    pub fn variable(&self, name: &str) -> Option<String> {
        self.asked.borrow_mut().insert(name.to_owned());
        match (self.process)(name) {
            Some(value) => value.into_string().ok(),
            None => self.files.get(name).cloned(),
        }
    }

    /// Every name that was asked for or that a file defines: what a process that needs no secret is started without.
    pub fn names(&self) -> BTreeSet<String> {
        let mut names = self.asked.borrow().clone();
        names.extend(self.files.keys().cloned());
        names
    }

    /// The `.env` files that were looked for, whether they are there or not.
    pub fn paths(&self) -> &[PathBuf] {
        &self.paths
    }

    /// What was wrong with the files; names and line numbers only.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment")
            .field("files", &self.files.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(process: &[(&str, &str)], directories: &[&Path]) -> Environment {
        let process: BTreeMap<String, OsString> = process
            .iter()
            .map(|(name, value)| ((*name).to_owned(), OsString::from(value)))
            .collect();
        Environment::new(
            Box::new(move |name| process.get(name).cloned()),
            directories,
        )
    }

    #[test]
    fn the_process_wins_over_files_and_the_first_directory_over_the_second() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(first.path().join(".env"), "A=file\nB=first\nB=later\n").unwrap();
        std::fs::write(second.path().join(".env"), "B=second\nC=second\nE=x\n").unwrap();
        let environment = with(
            &[("A", "process"), ("E", "")],
            &[first.path(), second.path()],
        );
        let read = |name| environment.variable(name);
        assert_eq!(read("A").unwrap(), "process");
        assert_eq!(read("B").unwrap(), "later");
        assert_eq!(read("C").unwrap(), "second");
        assert_eq!(read("E").unwrap(), "");
        assert_eq!(read("D"), None);
        let names: Vec<_> = environment.names().into_iter().collect();
        assert_eq!(names, ["A", "B", "C", "D", "E"]);
    }

    #[test]
    fn a_line_that_is_not_understood_is_named_without_its_text() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(".env"), "A=1\nsk-secret\n").unwrap();
        let environment = with(&[], &[directory.path(), directory.path()]);
        let [warning] = environment.warnings() else {
            panic!("{:?}", environment.warnings())
        };
        assert!(warning.contains(".env:2: ignored"), "{warning}");
        assert!(!warning.contains("secret") && !format!("{environment:?}").contains('1'));
    }
}
