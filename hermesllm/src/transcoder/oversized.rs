//! Reads an event too large to be held: its `data` goes on in pieces, as it comes.
//!
//! Keeps a field name and the event's name at most, so that even the megabytes of an answer with an image in its last
//! event cost nothing, and its usage and its type are still seen.

use memchr::memchr2;

/// Event names longer than this are cut off: no known one is.
const MAX_NAME: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// In the field name.
    Field,
    /// After the colon of a field that is read.
    Colon(Field),
    Value(Field),
    /// In a line that is not read.
    Skip,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Data,
    Event,
}

/// A reader of the lines of one block.
#[derive(Debug)]
pub(super) struct DataLines {
    state: State,
    field: Vec<u8>,
    name: Vec<u8>,
    data_lines: u64,
}

impl DataLines {
    /// A reader at the start of a block.
    pub(super) fn new() -> Self {
        Self {
            state: State::Field,
            field: Vec::new(),
            name: Vec::new(),
            data_lines: 0,
        }
    }

    /// The `event` field so far.
    pub(super) fn name(&self) -> &[u8] {
        &self.name
    }

    /// Reads the next part of the block; `on_data` gets what its `data` lines hold, a LF between two of them.
    pub(super) fn push(&mut self, part: &[u8], mut on_data: impl FnMut(&[u8])) {
        let mut rest = part;
        while let Some((&byte, after)) = rest.split_first() {
            if matches!(byte, b'\n' | b'\r') {
                self.state = State::Field;
                self.field.clear();
                rest = after;
                continue;
            }
            match self.state {
                State::Field => {
                    rest = after;
                    if byte == b':' {
                        self.state = match self.field.as_slice() {
                            b"data" => State::Colon(Field::Data),
                            b"event" => State::Colon(Field::Event),
                            _ => State::Skip,
                        };
                    } else if self.field.len() < b"event".len() {
                        self.field.push(byte);
                    } else {
                        self.state = State::Skip;
                    }
                }
                State::Colon(field) => {
                    if byte == b' ' {
                        rest = after;
                    }
                    match field {
                        Field::Event => self.name.clear(),
                        Field::Data => {
                            if self.data_lines > 0 {
                                on_data(b"\n");
                            }
                            self.data_lines += 1;
                        }
                    }
                    self.state = State::Value(field);
                }
                State::Value(_) | State::Skip => {
                    let length = memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
                    let (value, after) = rest.split_at_checked(length).unwrap_or((rest, b""));
                    rest = after;
                    match self.state {
                        State::Value(Field::Data) => on_data(value),
                        State::Value(Field::Event) => {
                            let room = MAX_NAME.saturating_sub(self.name.len());
                            self.name.extend(value.iter().take(room));
                        }
                        _ => {}
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_and_the_data_come_out_however_the_block_is_split() {
        let block = b": c\r\nevent: response.completed\r\ndata: {\"a\":\r\nid: 7\r\ndatax: no\r\ndata:1}\r\n\r\n";
        for length in 1..block.len() {
            let mut lines = DataLines::new();
            let mut data = Vec::new();
            for part in block.chunks(length) {
                lines.push(part, |piece| data.extend_from_slice(piece));
            }
            assert_eq!(lines.name(), b"response.completed");
            assert_eq!(data, b"{\"a\":\n1}", "parts of {length}");
        }
    }
}
