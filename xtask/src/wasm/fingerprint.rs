//! The fingerprint of all that decides what the filter's bytes are.
//!
//! In it: the files of the filter's package and of every workspace package that it rests on, the
//! entries of `Cargo.lock` and the features of every package in its dependency tree, the profile
//! and the toolchain. Not in it: the rest of the workspace, so that work on the server never
//! builds the filter anew.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{bail, Context, Result};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::toolchain::Toolchain;
use super::{PACKAGE, PROFILE_SETTINGS, TARGET};

/// The fingerprint in hexadecimal.
///
/// # Errors
/// Cargo's, when it cannot describe the workspace, or a file's.
pub fn of(workspace: &Path, toolchain: &Toolchain) -> Result<String> {
    let tree = Tree::of(&metadata(workspace)?, PACKAGE)?;
    let lock =
        fs::read_to_string(workspace.join("Cargo.lock")).context("cannot read Cargo.lock")?;

    let mut hash = Parts::default();
    hash.add("target", TARGET);
    for setting in PROFILE_SETTINGS {
        hash.add("profile", setting);
    }
    for line in toolchain.identity() {
        hash.add("toolchain", line);
    }
    for input in toolchain.inputs() {
        hash.add_file(&input)?;
    }
    for package in &tree.packages {
        hash.add("package", package);
    }
    for entry in lock_entries(&lock, &tree.names) {
        hash.add("lock", entry);
    }
    for folder in &tree.folders {
        for file in files(folder)? {
            hash.add(
                "file",
                file.strip_prefix(workspace)?.to_string_lossy().as_bytes(),
            );
            hash.add_file(&file)?;
        }
    }
    Ok(hash.finish())
}

/// What cargo says of the workspace and its dependencies on the filter's target.
fn metadata(workspace: &Path) -> Result<Value> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = std::process::Command::new(cargo)
        .current_dir(workspace)
        .args(["metadata", "--format-version=1", "--locked"])
        .args(["--filter-platform", TARGET])
        .output()
        .context("cannot run cargo metadata")?;
    if !output.status.success() {
        bail!(
            "cargo metadata failed:\n{}",
            String::from_utf8_lossy(&output.stderr).trim_end()
        );
    }
    serde_json::from_slice(&output.stdout).context("cargo metadata printed no JSON")
}

/// A package with all that it rests on.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tree {
    /// One line a package: name, version, edition and features.
    packages: BTreeSet<String>,
    /// Name and version of each.
    names: BTreeSet<(String, String)>,
    /// Folders of those in the workspace.
    folders: BTreeSet<PathBuf>,
}

impl Tree {
    fn of(metadata: &Value, root: &str) -> Result<Self> {
        let packages = list(metadata, "packages")?;
        let nodes = list(metadata.get("resolve").unwrap_or(&Value::Null), "nodes")?;
        let root = packages
            .iter()
            .find(|package| text(package, "name") == root)
            .with_context(|| format!("no package {root} in the workspace"))?;

        let mut tree = Self::default();
        let mut seen = BTreeSet::new();
        let mut open = vec![text(root, "id")];
        while let Some(id) = open.pop() {
            if !seen.insert(id) {
                continue;
            }
            let by_id = |list: &'_ [Value]| list.iter().position(|one| text(one, "id") == id);
            let package = by_id(packages).and_then(|at| packages.get(at));
            let node = by_id(nodes).and_then(|at| nodes.get(at));
            let (Some(package), Some(node)) = (package, node) else {
                bail!("cargo metadata does not describe {id}");
            };
            let (name, version) = (text(package, "name"), text(package, "version"));
            let features = node.get("features").unwrap_or(&Value::Null);
            tree.packages.insert(format!(
                "{name} {version} {} {features}",
                text(package, "edition")
            ));
            tree.names.insert((name.to_owned(), version.to_owned()));
            if package.get("source").is_none_or(Value::is_null) {
                let manifest = Path::new(text(package, "manifest_path"));
                tree.folders.extend(manifest.parent().map(Path::to_owned));
            }
            for dependency in list(node, "deps")? {
                // Dependencies for tests alone have only the kind "dev".
                let kinds = list(dependency, "dep_kinds")?;
                if kinds.iter().any(|kind| text(kind, "kind") != "dev") {
                    open.push(text(dependency, "pkg"));
                }
            }
        }
        Ok(tree)
    }
}

fn list<'a>(value: &'a Value, key: &str) -> Result<&'a [Value]> {
    value
        .get(key)
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .with_context(|| format!("cargo metadata has no {key}"))
}

/// A field of text; empty for `null` and for none.
fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// The entries of `Cargo.lock` that pin the packages named.
fn lock_entries<'a>(lock: &'a str, names: &BTreeSet<(String, String)>) -> Vec<&'a str> {
    let field = |entry: &str, key: &str| {
        let prefix = format!("{key} = \"");
        entry
            .lines()
            .find_map(|line| line.strip_prefix(&prefix)?.strip_suffix('"'))
            .unwrap_or_default()
            .to_owned()
    };
    lock.split("[[package]]")
        .map(str::trim)
        .filter(|entry| names.contains(&(field(entry, "name"), field(entry, "version"))))
        .collect()
}

/// All files of a package, in a fixed order, but for its build results.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        let entries =
            fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?;
        for entry in entries {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with('.') || name == "target" {
                continue;
            }
            if path.is_dir() {
                open.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// A hash over parts that cannot run into each other: each goes in with its length.
#[derive(Default)]
struct Parts(Sha256);

impl Parts {
    fn add(&mut self, kind: &str, part: impl AsRef<[u8]>) {
        for bytes in [kind.as_bytes(), part.as_ref()] {
            self.0.update(bytes.len().to_le_bytes());
            self.0.update(bytes);
        }
    }

    fn add_file(&mut self, path: &Path) -> Result<()> {
        let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        self.add("content", bytes);
        Ok(())
    }

    fn finish(self) -> String {
        format!("{:x}", self.0.finalize())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn workspace() -> Value {
        let package = |name: &str, source: Value| {
            json!({"id": name, "name": name, "version": "1.0.0", "edition": "2021", "source": source,
                   "manifest_path": format!("/w/{name}/Cargo.toml")})
        };
        let needs = |name: &str, kind: Value| json!({"pkg": name, "dep_kinds": [{"kind": kind}]});
        json!({
            "packages": [
                package("filter", Value::Null), package("names", Value::Null),
                package("server", Value::Null), package("sdk", json!("registry")),
                package("testing", json!("registry")),
            ],
            "resolve": {"nodes": [
                {"id": "filter", "features": [], "deps": [
                    needs("names", Value::Null), needs("sdk", Value::Null),
                    needs("testing", json!("dev"))]},
                {"id": "names", "features": ["std"], "deps": []},
                {"id": "server", "features": [], "deps": [needs("names", Value::Null)]},
                {"id": "sdk", "features": [], "deps": []},
                {"id": "testing", "features": [], "deps": []},
            ]},
        })
    }

    #[test]
    fn the_tree_holds_what_the_filter_rests_on_and_nothing_else() {
        let tree = Tree::of(&workspace(), "filter").unwrap();
        let names: Vec<_> = tree.names.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["filter", "names", "sdk"]);
        let folders: Vec<_> = tree.folders.iter().map(PathBuf::as_path).collect();
        assert_eq!(folders, [Path::new("/w/filter"), Path::new("/w/names")]);
    }

    #[test]
    fn a_feature_that_is_switched_on_changes_the_tree() {
        let mut changed = workspace();
        changed["resolve"]["nodes"][1]["features"] = json!(["std", "more"]);
        assert_ne!(
            Tree::of(&workspace(), "filter").unwrap(),
            Tree::of(&changed, "filter").unwrap()
        );
    }

    #[test]
    fn only_the_lock_entries_of_the_tree_count() {
        let lock =
            "version = 4\n\n[[package]]\nname = \"sdk\"\nversion = \"1.0.0\"\nchecksum = \"a\"\n\n\
                    [[package]]\nname = \"sdk\"\nversion = \"2.0.0\"\nchecksum = \"b\"\n\n\
                    [[package]]\nname = \"server\"\nversion = \"1.0.0\"\n";
        let names = BTreeSet::from([("sdk".to_owned(), "1.0.0".to_owned())]);
        let entries = lock_entries(lock, &names);
        assert_eq!(entries.len(), 1);
        assert!(entries[0].contains("checksum = \"a\""), "{entries:?}");
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        let mut one = Parts::default();
        one.add("a", "bc");
        let mut other = Parts::default();
        other.add("ab", "c");
        assert_ne!(one.finish(), other.finish());
    }

    #[test]
    fn build_results_and_hidden_files_are_no_input() {
        let folder = tempfile::tempdir().unwrap();
        for path in ["src/b.rs", "src/a.rs", "Cargo.toml", ".swap", "target/x"] {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let found = files(folder.path()).unwrap();
        let names: Vec<_> = found
            .iter()
            .map(|path| path.strip_prefix(folder.path()).unwrap().to_str().unwrap())
            .collect();
        assert_eq!(names, ["Cargo.toml", "src/a.rs", "src/b.rs"]);
    }
}
