//! Where a configuration comes from: the file asked for, one found in the working directory, or none.
//!
//! Owns the order of names, the `.env` files beside it, and the reading. Must never print or keep a secret outside
//! [`Environment`] and the loaded [`Config`].

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use meseta_config::Config;

use crate::environment::Environment;
use crate::failure::Failure;
use crate::terminal::Terminal;

/// The names that are looked for, in this order.
const NAMES: [&str; 3] = ["meseta.yaml", "plano_config.yaml", "arch_config.yaml"];

/// A configuration that was loaded, and where from.
#[derive(Debug)]
pub struct Source {
    path: PathBuf,
    environment: Environment,
    config: Config,
}

impl Source {
    /// Loads the file asked for or the one found in the working directory; an error when there is none.
    pub fn find(asked: Option<&Path>) -> Result<Self> {
        match discover(asked)? {
            Some(path) => Self::read(&path),
            None => Err(no_file().into()),
        }
    }

    /// Loads a file.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|error| {
            Failure::usage(format!("cannot read `{}`: {error}", path.display()))
        })?;
        let text = String::from_utf8(bytes)
            .map_err(|_| Failure::usage(format!("`{}` is not UTF-8", path.display())))?;
        let environment = environment_for(path)?;
        Self::load(path, &text, environment)
    }

    /// Loads a text that belongs to a path, with an environment that was read before.
    pub fn load(path: &Path, text: &str, environment: Environment) -> Result<Self> {
        let name = path.display().to_string();
        let path = absolute(path)?;
        let source = meseta_config::Source {
            text,
            name: &name,
            env: &|variable| environment.variable(variable),
            dir: path.parent().unwrap_or(Path::new("/")),
            file: &key_file,
        };
        let config = match meseta_config::load(&source) {
            Ok(config) => config,
            Err(problems) => return Err(Failure::problems(name, problems).into()),
        };
        Ok(Self {
            path,
            environment,
            config,
        })
    }

    /// The file, absolute.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The variables it was loaded with.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Every file that it was made from: itself, the `.env` files that count, what it refers to.
    pub fn files(&self) -> Vec<PathBuf> {
        let mut files = vec![self.path.clone()];
        files.extend_from_slice(self.environment.paths());
        files.extend_from_slice(&self.config.files);
        files
    }

    /// The resolved configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Gives the configuration away.
    pub fn into_config(self) -> Config {
        self.config
    }

    /// Whether the certificates of the listeners can be read, for an Envoy that runs here as this user: it would only
    /// say so in its log.
    pub fn check_certificates(&self) -> Result<()> {
        match unreadable(&self.config).as_slice() {
            [] => Ok(()),
            found => Err(Failure::usage(found.join("\n")).into()),
        }
    }

    /// Prints what was wrong with the `.env` files.
    pub fn print_warnings(&self, terminal: &Terminal) {
        for warning in self.environment.warnings() {
            terminal.warning(warning);
        }
    }

    /// Prints what the files and the configuration say without being wrong.
    pub fn print_notices(&self, terminal: &Terminal) {
        self.print_warnings(terminal);
        terminal.notices(&self.config.notices);
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |since| since.as_secs());
        terminal.notices(&self.config.notices_at(now));
    }

    /// Prints which certificates of listeners are not here; Envoy may run elsewhere, where they are.
    pub fn print_unreadable(&self, terminal: &Terminal) {
        for text in unreadable(&self.config) {
            terminal.warning(&text);
        }
    }
}

/// The file asked for, or the first of the known names in the working directory.
pub fn discover(asked: Option<&Path>) -> Result<Option<PathBuf>> {
    if let Some(path) = asked {
        return Ok(Some(path.to_owned()));
    }
    let names = NAMES.iter().map(PathBuf::from);
    Ok(names.into_iter().find(|name| name.is_file()))
}

/// The variables for a file: of the process, of `.env` beside the file, of `.env` in the working directory.
pub fn environment_for(path: &Path) -> Result<Environment> {
    let beside = absolute(path)?;
    let beside = beside.parent().unwrap_or(Path::new("/")).to_owned();
    let here = std::env::current_dir().context("cannot find the working directory")?;
    Ok(Environment::of_process(&[&beside, &here]))
}

/// The most that a file of a key is read: no key is as long, and a path may name anything.
const LONGEST_KEY: u64 = 64 << 10;

/// The content of a file that a configuration refers to. What is no regular file is not opened: a
/// pipe would never end.
fn key_file(path: &Path) -> io::Result<String> {
    let metadata = std::fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is not a regular file",
        ));
    }
    if metadata.len() > LONGEST_KEY {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            "it is longer than any key",
        ));
    }
    let mut content = String::new();
    File::open(path)?
        .take(LONGEST_KEY)
        .read_to_string(&mut content)?;
    Ok(content)
}

/// The certificates and keys of listeners that cannot be read.
fn unreadable(config: &Config) -> Vec<String> {
    let files = config.listeners.iter().flat_map(|listener| {
        let files = listener.tls.iter().flat_map(|tls| tls.files());
        files.map(|(key, path)| (&listener.name, key, path))
    });
    files
        .filter_map(|(name, key, path)| {
            let error = match std::fs::metadata(path) {
                Ok(metadata) if !metadata.is_file() => "is not a regular file".to_owned(),
                Ok(_) => File::open(path).err()?.to_string(),
                Err(error) => error.to_string(),
            };
            let path = path.display();
            Some(format!(
                "listener `{name}`: `tls.{key}` cannot be read: {path}: {error}"
            ))
        })
        .collect()
}

/// There is no file to be found.
pub fn no_file() -> Failure {
    Failure::usage(format!(
        "no configuration file here: looked for {}",
        NAMES.map(|name| format!("`{name}`")).join(", ")
    ))
    .hint("name the file, or run `meseta up` without one to use the providers whose keys are set")
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("cannot resolve `{}`", path.display()))
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn loaded(path: &Path, text: &str) -> Source {
        std::fs::write(path, text).unwrap();
        Source::read(path).unwrap()
    }

    #[test]
    fn a_key_is_read_from_the_file_beside_the_configuration() {
        let directory = tempfile::tempdir().unwrap();
        let key = directory.path().join("key");
        std::fs::write(&key, "sk-1\n").unwrap();
        let text = "model_providers: [{model: openai/x, access_key_file: key}]";
        let source = loaded(&directory.path().join("meseta.yaml"), text);
        let provider = &source.config().providers[0];
        let credential = provider.credential.as_ref().map(|secret| secret.expose());
        assert_eq!(credential, Some("sk-1"));
        assert!(source.files().contains(&key));
    }

    #[test]
    fn a_key_is_read_from_a_regular_file_of_a_keys_length() {
        let directory = tempfile::tempdir().unwrap();
        let kind = |path: &Path| key_file(path).map(|_| ()).unwrap_err().kind();
        assert_eq!(kind(directory.path()), ErrorKind::InvalidInput);
        assert_eq!(kind(Path::new("/dev/zero")), ErrorKind::InvalidInput);
        let long = directory.path().join("long");
        std::fs::write(&long, vec![b'k'; 1 << 20]).unwrap();
        assert_eq!(kind(&long), ErrorKind::FileTooLarge);
        let binary = directory.path().join("binary");
        std::fs::write(&binary, [0xff]).unwrap();
        assert_eq!(kind(&binary), ErrorKind::InvalidData);
        assert_eq!(kind(&directory.path().join("none")), ErrorKind::NotFound);
    }

    #[test]
    fn certificates_that_cannot_be_read_are_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("meseta.yaml");
        let text = "listeners: [{name: front, tls: {certificate: own.crt, key: own.key}}]\n\
                    model_providers: [{model: ollama/x}]\n";
        let source = loaded(&path, text);
        let said = source.check_certificates().unwrap_err().to_string();
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines.len(), 2, "{said}");
        assert!(lines[0].contains("listener `front`: `tls.certificate`"));
        assert!(lines[1].contains("own.key"));
        for name in ["own.crt", "own.key"] {
            std::fs::write(directory.path().join(name), "").unwrap();
        }
        source.check_certificates().unwrap();
        let locked = std::fs::Permissions::from_mode(0o0);
        let key = directory.path().join("own.key");
        std::fs::set_permissions(&key, locked).unwrap();
        // Nothing is closed to root.
        if File::open(&key).is_err() {
            source.check_certificates().unwrap_err();
        }
    }
}
