//! Recorded traffic, and what the tests of all codecs do with it. It is in `$MESETA_CORPUS`, else beside
//! the repository.

#[allow(dead_code, reason = "each test uses a part of it")]
pub mod json;
#[allow(dead_code, reason = "only tests of streams use it")]
pub mod streams;

use std::fs;
use std::path::{Path, PathBuf};

/// The recordings of these endpoints, or of all where none is named, by whatever provider, in order;
/// `None`, said aloud, where there is no traffic.
pub fn files(endpoints: &[&str]) -> Option<Vec<PathBuf>> {
    let root = std::env::var_os("MESETA_CORPUS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus"),
        PathBuf::from,
    );
    if !root.is_dir() {
        eprintln!("skipped: no corpus at {}", root.display());
        return None;
    }
    let mut files = Vec::new();
    for provider in children(&root).filter(|path| path.is_dir()) {
        for endpoint in children(&provider).filter(|path| path.is_dir()) {
            let name = endpoint.file_name().and_then(|name| name.to_str());
            if endpoints.is_empty() || endpoints.contains(&name.unwrap()) {
                let is_recording =
                    |path: &PathBuf| path.extension().is_some_and(|end| end == "json");
                files.extend(children(&endpoint).filter(is_recording));
            }
        }
    }
    files.sort();
    Some(files)
}

fn children(folder: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
}
