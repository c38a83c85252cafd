//! One log file by name: its last lines, then whatever is appended, truncated or put in its place.
//!
//! Holds no more than a block and one line in memory, however long the file is. Never fails because the file is not there.

use std::fs::{File, Metadata};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// How much is read at once.
const BLOCK: usize = 64 << 10;
/// A longer line is passed on in pieces.
const LONGEST_LINE: usize = 1 << 20;

/// A file that is read to its end, and on from there.
#[derive(Debug)]
pub struct Tail {
    path: PathBuf,
    file: Option<File>,
    /// How far the file was read.
    at: u64,
    /// What was read and not given yet, from `given` on.
    read: Vec<u8>,
    given: usize,
}

impl Tail {
    /// A file whose last lines come first. It need not be there yet.
    pub fn open(path: PathBuf, lines: usize) -> io::Result<Self> {
        let mut file = open(&path)?;
        let at = match &mut file {
            Some(file) => start_of_last(file, lines)?,
            None => 0,
        };
        Ok(Self {
            path,
            file,
            at,
            read: Vec::new(),
            given: 0,
        })
    }

    /// The file's name.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether there was a file so far.
    pub fn is_there(&self) -> bool {
        self.file.is_some()
    }

    /// Appends the next line, ended by a line feed, to `line`; `false` when none is there now. With `all` the end of the
    /// file ends a line as well.
    pub fn line(&mut self, line: &mut Vec<u8>, all: bool) -> io::Result<bool> {
        loop {
            if let Some(length) = self.whole_line() {
                return Ok(self.give(length, line));
            }
            if self.fill()? {
                continue;
            }
            let replaced = self.replaced()?;
            // Between the two looks the former file may have got its last lines.
            if replaced && self.fill()? {
                continue;
            }
            // The rest of a file that was replaced is not completed any more.
            let rest = self.read.len() - self.given;
            if rest > 0 && (replaced || all) {
                return Ok(self.give(rest, line));
            }
            if !(replaced && self.reopen()?) {
                return Ok(false);
            }
        }
    }

    /// The length of the line that is next, when all of it was read.
    fn whole_line(&self) -> Option<usize> {
        let waiting = self.read.get(self.given..).unwrap_or_default();
        let end = waiting.iter().position(|byte| *byte == b'\n');
        match end {
            Some(end) => Some(end + 1),
            None if waiting.len() >= LONGEST_LINE => Some(waiting.len()),
            None => None,
        }
    }

    /// Moves bytes that were read to `line`, with a line feed at their end.
    fn give(&mut self, length: usize, line: &mut Vec<u8>) -> bool {
        let end = self.given + length;
        line.extend_from_slice(self.read.get(self.given..end).unwrap_or_default());
        self.given = end;
        if line.last() != Some(&b'\n') {
            line.push(b'\n');
        }
        true
    }

    /// Reads the next block; `false` at the end of the file.
    fn fill(&mut self) -> io::Result<bool> {
        if self.file.is_none() {
            self.reopen()?;
        }
        let Some(file) = &mut self.file else {
            return Ok(false);
        };
        if file.metadata()?.len() < self.at {
            // Cut short by whoever writes it: from the beginning again.
            self.at = 0;
            self.read.clear();
            self.given = 0;
        }
        self.read.drain(..self.given);
        self.given = 0;
        let before = self.read.len();
        file.seek(SeekFrom::Start(self.at))?;
        file.take(BLOCK as u64).read_to_end(&mut self.read)?;
        let more = self.read.len() - before;
        self.at += more as u64;
        Ok(more > 0)
    }

    /// Whether the name stands for another file than the one that is read.
    fn replaced(&self) -> io::Result<bool> {
        let Some(file) = &self.file else {
            return Ok(false);
        };
        match std::fs::metadata(&self.path) {
            Ok(now) => Ok(!is_same(&file.metadata()?, &now)),
            // Renamed away: it may still grow until another one takes its name.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Takes the file that has the name now, if it is another one. What was read of the former one is given.
    fn reopen(&mut self) -> io::Result<bool> {
        let Some(new) = open(&self.path)? else {
            return Ok(false);
        };
        if let Some(old) = &self.file {
            if is_same(&old.metadata()?, &new.metadata()?) {
                return Ok(false);
            }
        }
        self.file = Some(new);
        self.at = 0;
        Ok(true)
    }
}

fn is_same(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

fn open(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Where the last lines begin. A last line without a line feed counts.
fn start_of_last(file: &mut File, lines: usize) -> io::Result<u64> {
    let length = file.metadata()?.len();
    let mut wanted = lines;
    let mut block = vec![0; BLOCK];
    let mut end = length;
    while end > 0 {
        let start = end.saturating_sub(BLOCK as u64);
        let size = usize::try_from(end - start).unwrap_or(BLOCK);
        let part = block.get_mut(..size).unwrap_or_default();
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(part)?;
        for (index, byte) in part.iter().enumerate().rev() {
            let after = start + index as u64 + 1;
            // The line feed that ends the file begins no line.
            if *byte == b'\n' && after < length {
                wanted = wanted.saturating_sub(1);
            }
            if wanted == 0 {
                return Ok(if lines == 0 { length } else { after });
            }
        }
        end = start;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::io::Write;

    use super::*;

    struct Place {
        _directory: tempfile::TempDir,
        path: PathBuf,
    }

    impl Place {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("x.log");
            Self {
                _directory: directory,
                path,
            }
        }

        fn append(&self, text: &str) {
            let mut options = OpenOptions::new();
            let mut file = options.create(true).append(true).open(&self.path).unwrap();
            file.write_all(text.as_bytes()).unwrap();
        }

        fn tail(&self, lines: usize) -> Tail {
            Tail::open(self.path.clone(), lines).unwrap()
        }
    }

    fn lines(tail: &mut Tail, all: bool) -> Vec<String> {
        let mut lines = Vec::new();
        let mut line = Vec::new();
        while tail.line(&mut line, all).unwrap() {
            lines.push(String::from_utf8(std::mem::take(&mut line)).unwrap());
        }
        lines
    }

    #[test]
    fn the_last_lines_are_found_whatever_the_file_is_like() {
        let cases: [(&str, usize, &[&str]); 8] = [
            ("", 5, &[]),
            ("a\nb\nc\n", 2, &["b\n", "c\n"]),
            ("a\nb\nc\n", 3, &["a\n", "b\n", "c\n"]),
            ("a\nb\nc\n", 9, &["a\n", "b\n", "c\n"]),
            ("a\nb\nc\n", 0, &[]),
            ("a\nb\nc", 2, &["b\n", "c\n"]),
            ("\n\n", 1, &["\n"]),
            ("one", 1, &["one\n"]),
        ];
        for (text, count, expected) in cases {
            let place = Place::new();
            place.append(text);
            assert_eq!(lines(&mut place.tail(count), true), expected, "{text:?}");
        }
    }

    #[test]
    fn lines_are_counted_across_blocks() {
        let place = Place::new();
        let long = "y".repeat(BLOCK / 3);
        let all: Vec<String> = (0..20).map(|n| format!("{n} {long}\n")).collect();
        place.append(&all.concat());
        for count in [1, 4, 20] {
            let last = &all[all.len() - count..];
            assert_eq!(lines(&mut place.tail(count), true), last);
        }
    }

    #[test]
    fn what_is_appended_comes_when_its_line_is_whole() {
        let place = Place::new();
        place.append("old\nnew\n");
        let mut tail = place.tail(1);
        assert_eq!(lines(&mut tail, false), ["new\n"]);
        place.append("be");
        assert!(lines(&mut tail, false).is_empty());
        place.append("gun\nmore\n");
        assert_eq!(lines(&mut tail, false), ["begun\n", "more\n"]);
        assert!(lines(&mut tail, false).is_empty());
    }

    #[test]
    fn a_file_that_appears_is_read_from_its_beginning() {
        let place = Place::new();
        let mut tail = place.tail(1);
        assert!(!tail.is_there() && lines(&mut tail, false).is_empty());
        place.append("first\nsecond\n");
        assert_eq!(lines(&mut tail, false), ["first\n", "second\n"]);
    }

    #[test]
    fn a_rotated_file_is_read_to_its_end_before_the_new_one() {
        let place = Place::new();
        place.append("a\n");
        let mut tail = place.tail(5);
        assert_eq!(lines(&mut tail, false), ["a\n"]);
        std::fs::rename(&place.path, place.path.with_extension("log.old")).unwrap();
        let mut old = OpenOptions::new();
        let old = old.append(true).open(place.path.with_extension("log.old"));
        old.unwrap().write_all(b"late\nlast words").unwrap();
        assert_eq!(lines(&mut tail, false), ["late\n"]);
        place.append("b\n");
        assert_eq!(lines(&mut tail, false), ["last words\n", "b\n"]);
    }

    #[test]
    fn a_file_that_is_cut_short_begins_anew() {
        let place = Place::new();
        place.append("a long line\nrest");
        let mut tail = place.tail(5);
        assert_eq!(lines(&mut tail, false), ["a long line\n"]);
        std::fs::write(&place.path, "short\n").unwrap();
        assert_eq!(lines(&mut tail, false), ["short\n"]);
    }

    #[test]
    fn a_line_without_an_end_is_passed_on_in_pieces() {
        let place = Place::new();
        place.append(&"z".repeat(LONGEST_LINE + BLOCK));
        let mut tail = place.tail(1);
        let pieces = lines(&mut tail, false);
        assert_eq!(pieces.len(), 1);
        assert!(pieces[0].len() <= LONGEST_LINE + BLOCK + 1);
        assert!(tail.read.len() <= LONGEST_LINE + BLOCK);
    }
}
