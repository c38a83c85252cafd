//! Files that tests read and that are not part of the repository.

use std::path::{Path, PathBuf};

/// Names and texts of Plano's configuration files; none, and a line that says so, without them.
pub fn planos() -> Vec<(String, String)> {
    let directory = std::env::var_os("MESETA_PLANO_CONFIGS").map_or_else(
        || {
            let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
            repository.join("../shared/reference/plano-configs")
        },
        PathBuf::from,
    );
    let Ok(entries) = std::fs::read_dir(&directory) else {
        eprintln!(
            "skipped: no Plano configurations in {}",
            directory.display()
        );
        return Vec::new();
    };
    let mut files: Vec<(String, String)> = entries
        .filter_map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name()?.to_str()?.to_owned();
            let is_config = name.ends_with(".yaml") && name != "SCHEMA.yaml";
            is_config.then(|| (name, std::fs::read_to_string(&path).unwrap()))
        })
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no files in {}", directory.display());
    files
}
