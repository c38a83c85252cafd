//! Whether files have changed.
//!
//! By looking, not by notification: a look costs a few microseconds, and works alike for files that
//! are written in place, replaced by rename or by a link further up (as Kubernetes does with
//! mounted secrets), on network and overlay file systems.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// What changes when a file does; `None` for one that is not there.
type Stamp = Option<[i64; 6]>;

/// Files, as they were when they were looked at.
#[derive(Debug, Default)]
pub(super) struct Watched {
    files: Vec<PathBuf>,
    known: Vec<Stamp>,
    /// A change that may not be over yet.
    unsettled: Option<Vec<Stamp>>,
}

impl Watched {
    /// Files that are taken to be known as they are now.
    pub(super) fn new(files: Vec<PathBuf>) -> Self {
        Self {
            known: stamps(&files),
            files,
            unsettled: None,
        }
    }

    /// Whether a file has changed since it was known, and not again since the last look: who writes
    /// in place is given time to finish. From then on the files are known as they are.
    pub(super) fn has_changed(&mut self) -> bool {
        let now = stamps(&self.files);
        if now == self.known {
            self.unsettled = None;
            return false;
        }
        if self.unsettled.as_ref() == Some(&now) {
            self.known = now;
            self.unsettled = None;
            return true;
        }
        self.unsettled = Some(now);
        false
    }

    /// Looks at these files from now on. Those that were looked at stay known as they were, so that
    /// no change is lost that came while they were read.
    pub(super) fn follow(&mut self, files: Vec<PathBuf>) {
        let known = files.iter().map(|file| {
            let old = self.files.iter().position(|old| old == file);
            old.and_then(|at| self.known.get(at).copied())
                .unwrap_or_else(|| stamp(file))
        });
        self.known = known.collect();
        self.files = files;
    }
}

fn stamps(files: &[PathBuf]) -> Vec<Stamp> {
    files.iter().map(stamp).collect()
}

fn stamp(file: &PathBuf) -> Stamp {
    let metadata = std::fs::metadata(file).ok()?;
    Some([
        i64::try_from(metadata.ino()).unwrap_or(i64::MAX),
        i64::try_from(metadata.size()).unwrap_or(i64::MAX),
        metadata.mtime(),
        metadata.mtime_nsec(),
        metadata.ctime(),
        metadata.ctime_nsec(),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_counts_once_it_is_over() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("meseta.yaml");
        let mut watched = Watched::new(vec![file.clone()]);
        assert!(!watched.has_changed());
        std::fs::write(&file, "a").unwrap();
        assert!(!watched.has_changed(), "it may go on");
        std::fs::write(&file, "ab").unwrap();
        assert!(!watched.has_changed(), "it went on");
        assert!(watched.has_changed());
        assert!(!watched.has_changed(), "told once");
        std::fs::remove_file(&file).unwrap();
        assert!(!watched.has_changed());
        assert!(watched.has_changed());
    }

    #[test]
    fn a_link_further_up_that_changes_is_a_change() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        for version in ["1", "2"] {
            std::fs::create_dir(path(version)).unwrap();
            std::fs::write(path(version).join("key"), "same").unwrap();
        }
        std::os::unix::fs::symlink("1", path("data")).unwrap();
        let mut watched = Watched::new(vec![path("data/key")]);
        std::os::unix::fs::symlink("2", path("new")).unwrap();
        std::fs::rename(path("new"), path("data")).unwrap();
        assert!(!watched.has_changed());
        assert!(watched.has_changed());
    }

    #[test]
    fn a_file_that_is_followed_from_now_on_is_known_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::fs::write(path("a"), "1").unwrap();
        let mut watched = Watched::new(vec![path("a")]);
        std::fs::write(path("a"), "12").unwrap();
        std::fs::write(path("b"), "1").unwrap();
        watched.follow(vec![path("a"), path("b")]);
        assert!(!watched.has_changed());
        assert!(watched.has_changed(), "the change of `a` was not lost");
    }
}
