//! Events, written by hand.

use serde::Serialize;

/// An event that is being written: `event:` and the beginning of its object are there.
pub(super) struct Frame<'o> {
    out: &'o mut Vec<u8>,
}

impl<'o> Frame<'o> {
    /// Begins an event. Names hold nothing that needs an escape.
    pub(super) fn begin(out: &'o mut Vec<u8>, name: &str, sequence: u64) -> Self {
        for piece in [
            b"event: ",
            name.as_bytes(),
            b"\ndata: {\"type\":\"",
            name.as_bytes(),
            b"\",\"sequence_number\":",
        ] {
            out.extend_from_slice(piece);
        }
        let mut frame = Self { out };
        frame.value(&sequence);
        frame
    }

    /// A member.
    pub(super) fn member(mut self, key: &str, value: &(impl Serialize + ?Sized)) -> Self {
        self.out.extend_from_slice(b",\"");
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.value(value);
        self
    }

    /// Ends the event.
    pub(super) fn end(self) {
        self.out.extend_from_slice(b"}\n\n");
    }

    fn value(&mut self, value: &(impl Serialize + ?Sized)) {
        let before = self.out.len();
        // Nothing that is written here can fail; if it did, the object has to stay one.
        if serde_json::to_writer(&mut *self.out, value).is_err() {
            self.out.truncate(before);
            self.out.extend_from_slice(b"null");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_object_whatever_the_text() {
        let mut out = Vec::new();
        Frame::begin(&mut out, "a.b", 7)
            .member("delta", "\"\n")
            .end();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(
            text,
            "event: a.b\ndata: {\"type\":\"a.b\",\"sequence_number\":7,\"delta\":\"\\\"\\n\"}\n\n"
        );
    }
}
