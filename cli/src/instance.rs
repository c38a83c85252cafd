//! One running Meseta and the directory that holds its state: sockets, rendered files, logs, lock and record.
//!
//! Owns the layout of the state directory and its permissions (0700: the sockets in it are the only way into the server
//! and Envoy's admin). Must never write a secret into it.
//! Invariant: one instance per state directory; whoever holds [`Lock`] may write, everyone may read the [`Record`].

use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::failure::Failure;

mod identity;
mod lock;
mod record;

pub use identity::ProcessIdentity;
pub use lock::Lock;
pub use record::{reachable, ListenerRecord, Phase, Record};

/// A Unix socket's path must fit `sun_path` with its closing zero.
const SOCKET_PATH_LIMIT: usize = 107;
/// The server binds under its path and a pid of up to seven digits, and renames.
const SOCKET_SUFFIX: usize = ".4194304".len();

/// The state directory of one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateDir {
    root: PathBuf,
}

impl StateDir {
    /// The directory to use: the one asked for, else `$XDG_STATE_HOME/meseta`, else `~/.local/state/meseta`; made absolute.
    pub fn choose(asked: Option<&Path>) -> Result<Self> {
        let root = match asked {
            Some(path) => path.to_owned(),
            None => default_root(&|name| std::env::var_os(name).map(PathBuf::from)).ok_or_else(
                || {
                    Failure::usage("no place for the state directory: HOME is not set")
                        .hint("pass --state-dir DIR")
                },
            )?,
        };
        let root = std::path::absolute(&root)
            .with_context(|| format!("cannot resolve `{}`", root.display()))?;
        Ok(Self { root })
    }

    /// Creates the directory with mode 0700, or takes away what others may do to one that exists.
    pub fn prepare(&self) -> Result<()> {
        let longest = self.server_socket();
        let length = longest.as_os_str().len() + SOCKET_SUFFIX;
        if length > SOCKET_PATH_LIMIT {
            let text = format!(
                "the state directory's path is too long for a Unix socket: `{}` needs {length} bytes, {SOCKET_PATH_LIMIT} fit",
                longest.display()
            );
            return Err(Failure::usage(text)
                .hint("pass a shorter --state-dir")
                .into());
        }
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(self.logs())
            .and_then(|()| std::fs::create_dir_all(self.xds()))
            .map_err(|error| {
                Failure::run(format!("cannot create `{}`: {error}", self.root.display()))
                    .hint("pass --state-dir DIR, a directory that you may write")
            })?;
        let metadata = std::fs::metadata(&self.root)
            .with_context(|| format!("cannot read `{}`", self.root.display()))?;
        let user = rustix::process::geteuid().as_raw();
        if metadata.uid() != user {
            let text = format!(
                "the state directory `{}` belongs to user {}, not to user {user}",
                self.root.display(),
                metadata.uid()
            );
            return Err(Failure::usage(text).hint("pass another --state-dir").into());
        }
        if metadata.mode() & 0o077 != 0 {
            std::fs::set_permissions(&self.root, std::fs::Permissions::from_mode(0o700))
                .with_context(|| format!("cannot close `{}` to others", self.root.display()))?;
        }
        Ok(())
    }

    /// The directory itself, absolute.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// The file whose lock means that an instance runs or starts here.
    pub fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }

    /// Who runs, and where it listens.
    pub fn record(&self) -> PathBuf {
        self.root.join("instance.json")
    }

    /// The server's gRPC socket.
    pub fn server_socket(&self) -> PathBuf {
        self.root.join("server.sock")
    }

    /// The socket of Envoy's egress listener, unless the configuration has another.
    pub fn egress_socket(&self) -> PathBuf {
        self.root.join("egress.sock")
    }

    /// Envoy's admin socket.
    pub fn envoy_admin_socket(&self) -> PathBuf {
        self.root.join("envoy-admin.sock")
    }

    /// The file that the server writes when it takes exchanges.
    pub fn ready_file(&self) -> PathBuf {
        self.root.join("server.ready")
    }

    /// Envoy's bootstrap, as rendered for this start.
    pub fn bootstrap(&self) -> PathBuf {
        self.root.join("envoy.yaml")
    }

    /// The directory of the files from which Envoy takes listeners and clusters.
    pub fn xds(&self) -> PathBuf {
        self.root.join("xds")
    }

    /// The filter that Envoy loads.
    pub fn filter(&self) -> PathBuf {
        self.root.join("meseta_meter.wasm")
    }

    /// The configuration made from detected providers.
    pub fn detected_config(&self) -> PathBuf {
        self.root.join("detected.yaml")
    }

    /// The Python environment that holds an installed Envoy.
    pub fn envoy_venv(&self) -> PathBuf {
        self.root.join("envoy-venv")
    }

    /// The directory of log files.
    pub fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// One log file: `server`, `envoy`, `access` or `supervisor`.
    pub fn log(&self, name: &str) -> PathBuf {
        self.logs().join(format!("{name}.log"))
    }

    /// Keeps the last run's log as `<name>.log.old` so that a new run begins with an empty one.
    pub fn rotate_log(&self, name: &str) -> Result<()> {
        let log = self.log(name);
        match std::fs::rename(&log, log.with_extension("log.old")) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot rotate `{}`", log.display()))
            }
            _ => Ok(()),
        }
    }

    /// Removes what only a running instance has: sockets, ready file, record. The lock must be held.
    pub fn clear(&self, _held: &Lock) {
        for path in [
            self.server_socket(),
            self.egress_socket(),
            self.envoy_admin_socket(),
            self.ready_file(),
            self.record(),
        ] {
            // Most are gone already, and a leftover is replaced by the next start.
            let _ = std::fs::remove_file(path);
        }
    }

    /// `--state-dir …` where it is not the default directory: what a hint must name to be right.
    pub fn flag(&self) -> String {
        let default = default_root(&|name| std::env::var_os(name).map(PathBuf::from));
        if default.as_deref() == Some(&self.root) {
            String::new()
        } else {
            format!(" --state-dir {}", self.root.display())
        }
    }
}

fn default_root(variable: &dyn Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    // The XDG rule: a relative path in the variable counts as unset.
    let state = variable("XDG_STATE_HOME").filter(|path| path.is_absolute());
    let home = || variable("HOME").filter(|path| path.is_absolute());
    state
        .or_else(|| home().map(|home| home.join(".local/state")))
        .map(|state| state.join("meseta"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_directory_follows_the_xdg_rule() {
        let root = |state: Option<&str>, home: Option<&str>| {
            let (state, home) = (state.map(PathBuf::from), home.map(PathBuf::from));
            default_root(&move |name| match name {
                "XDG_STATE_HOME" => state.clone(),
                _ => home.clone(),
            })
        };
        assert_eq!(root(Some("/s"), Some("/h")), Some("/s/meseta".into()));
        let home = Some(PathBuf::from("/h/.local/state/meseta"));
        assert_eq!(root(None, Some("/h")), home);
        assert_eq!(root(Some("relative"), Some("/h")), home);
        assert_eq!(root(None, None), None);
    }

    #[test]
    fn a_state_directory_is_closed_to_others_even_when_it_was_open() {
        let parent = tempfile::tempdir().unwrap();
        let root = parent.path().join("a/b");
        let state = StateDir::choose(Some(&root)).unwrap();
        state.prepare().unwrap();
        let mode = || std::fs::metadata(&root).unwrap().mode() & 0o777;
        assert_eq!(mode(), 0o700);
        std::fs::set_permissions(&root, std::fs::Permissions::from_mode(0o755)).unwrap();
        state.prepare().unwrap();
        assert_eq!(mode(), 0o700);
    }

    #[test]
    fn a_path_too_long_for_a_socket_is_refused_with_its_length() {
        let long = PathBuf::from("/tmp").join("x".repeat(120));
        let error = StateDir::choose(Some(&long))
            .unwrap()
            .prepare()
            .unwrap_err();
        assert!(
            error.to_string().contains("too long for a Unix socket"),
            "{error}"
        );
        assert!(!long.exists());
    }

    #[test]
    fn rotating_keeps_one_old_log() {
        let directory = tempfile::tempdir().unwrap();
        let state = StateDir::choose(Some(directory.path())).unwrap();
        state.prepare().unwrap();
        state.rotate_log("envoy").unwrap();
        std::fs::write(state.log("envoy"), "first").unwrap();
        state.rotate_log("envoy").unwrap();
        assert!(!state.log("envoy").exists());
        let old = std::fs::read_to_string(state.logs().join("envoy.log.old")).unwrap();
        assert_eq!(old, "first");
    }
}
