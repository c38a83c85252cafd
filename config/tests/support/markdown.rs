//! The repository's own texts: their code blocks, links and headings.

use std::path::{Path, PathBuf};

/// A code block.
#[derive(Debug)]
pub struct Block {
    /// The file, from the repository's root, and the line of the fence.
    pub place: String,
    /// What stands behind the fence's backticks, in words.
    pub fence: Vec<String>,
    /// What is in it, without the fence's indentation.
    pub text: String,
}

/// The repository's root.
pub fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    root.canonicalize().unwrap()
}

/// All files of a kind below a directory of the repository, sorted.
pub fn files(directory: &str, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut left = vec![root().join(directory)];
    while let Some(directory) = left.pop() {
        for entry in std::fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else if path.extension().is_some_and(|is| is == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The path as texts show it.
pub fn shown(path: &Path) -> String {
    let path = path.strip_prefix(root()).unwrap_or(path);
    path.display().to_string()
}

/// The code blocks of a text, and the text without them.
pub fn split(path: &Path) -> (Vec<Block>, String) {
    let text = std::fs::read_to_string(path).unwrap();
    let mut blocks: Vec<Block> = Vec::new();
    let mut prose = String::new();
    // The backticks that end the open block, and its indentation.
    let mut open: Option<(String, usize)> = None;
    for (at, line) in text.lines().enumerate() {
        let bare = line.trim_start();
        let ticks: String = bare.chars().take_while(|c| *c == '`').collect();
        match &open {
            Some((end, _)) if bare.trim_end() == end => open = None,
            Some((_, indent)) => {
                let block = blocks.last_mut().unwrap();
                let cut = line.len() - bare.len();
                block.text.push_str(&line[cut.min(*indent)..]);
                block.text.push('\n');
            }
            None if ticks.len() >= 3 => {
                blocks.push(Block {
                    place: format!("{}:{}", shown(path), at + 1),
                    fence: bare[ticks.len()..]
                        .split_whitespace()
                        .map(str::to_owned)
                        .collect(),
                    text: String::new(),
                });
                open = Some((ticks, line.len() - bare.len()));
            }
            None => {
                prose.push_str(line);
                prose.push('\n');
            }
        }
    }
    assert!(open.is_none(), "{}: a code block has no end", shown(path));
    (blocks, prose)
}
