//! A configuration file that is changed: read, edited, checked and replaced, while nobody else of us does the same.
//!
//! Invariant: the file is the old one or the new one, whole, and the new one loads.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{fchown, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::fs::{flock, FlockOperation};

use crate::failure::Failure;
use crate::source::{environment_for, Source};

/// A file, read.
pub struct KeyFile {
    /// As the user names it.
    path: PathBuf,
    text: String,
    source: Source,
}

impl KeyFile {
    /// Reads and loads a file; all its problems are the error.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|error| {
            Failure::usage(format!("cannot read `{}`: {error}", path.display()))
        })?;
        let text = String::from_utf8(bytes)
            .map_err(|_| Failure::usage(format!("`{}` is not UTF-8", path.display())))?;
        let source = Source::load(path, &text, environment_for(path)?)?;
        Ok(Self {
            path: path.to_owned(),
            text,
            source,
        })
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn source(&self) -> &Source {
        &self.source
    }

    /// What the file would be with another text; all problems of that are the error.
    pub fn load(&self, edited: &str) -> Result<Source> {
        Source::load(&self.path, edited, environment_for(&self.path)?)
    }
}

/// The right to change a file, until it is dropped or the process ends.
pub struct Change {
    /// The file itself, where the path is a link.
    real: PathBuf,
    directory: PathBuf,
    _lock: File,
}

impl Change {
    /// Waits for others that change files of the same directory.
    pub fn begin(path: &Path) -> Result<Self> {
        let real = path.canonicalize().map_err(|error| {
            Failure::usage(format!("cannot read `{}`: {error}", path.display()))
        })?;
        let directory = real.parent().unwrap_or(Path::new("/")).to_owned();
        let lock = File::open(&directory)
            .with_context(|| format!("cannot open `{}`", directory.display()))?;
        flock(&lock, FlockOperation::LockExclusive)
            .with_context(|| format!("cannot lock `{}`", directory.display()))?;
        Ok(Self {
            real,
            directory,
            _lock: lock,
        })
    }

    /// Puts a text in the place of the file's, at once, for the same people to read and to write.
    pub fn finish(self, text: &str) -> Result<()> {
        let name = self.real.file_name().unwrap_or_default();
        let mut other = std::ffi::OsString::from(".");
        other.push(name);
        other.push(format!(".{}.new", std::process::id()));
        let new = self.directory.join(other);
        self.write(&new, text).map_err(|error| {
            // What is left of a try is no use to anybody.
            let _ = std::fs::remove_file(&new);
            Failure::run(format!("cannot write `{}`: {error}", self.real.display())).into()
        })
    }

    fn write(&self, new: &Path, text: &str) -> io::Result<()> {
        let old = std::fs::metadata(&self.real)?;
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(new)?;
        file.write_all(text.as_bytes())?;
        let own = file.metadata()?;
        if (own.uid(), own.gid()) != (old.uid(), old.gid()) {
            fchown(&file, Some(old.uid()), Some(old.gid()))?;
        }
        // After the owner: a change of that takes bits away.
        file.set_permissions(old.permissions())?;
        file.sync_all()?;
        std::fs::rename(new, &self.real)?;
        File::open(&self.directory)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{symlink, PermissionsExt as _};

    use super::*;

    #[test]
    fn a_file_is_replaced_with_its_permissions_also_behind_a_link_and_nothing_is_left_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        let (real, link) = (directory.path().join("real"), directory.path().join("link"));
        std::fs::write(&real, "old").unwrap();
        std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o640)).unwrap();
        symlink("real", &link).unwrap();
        Change::begin(&link).unwrap().finish("new").unwrap();
        assert_eq!(std::fs::read_to_string(&real).unwrap(), "new");
        assert_eq!(std::fs::metadata(&real).unwrap().mode() & 0o7777, 0o640);
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2);
    }

    #[test]
    fn one_changes_a_file_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("counted");
        std::fs::write(&path, "").unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..10 {
                        let change = Change::begin(&path).unwrap();
                        let more = std::fs::read_to_string(&path).unwrap() + "x";
                        std::fs::write(&path, &more).unwrap();
                        drop(change);
                    }
                });
            }
        });
        assert_eq!(std::fs::read_to_string(&path).unwrap().len(), 80);
    }
}
