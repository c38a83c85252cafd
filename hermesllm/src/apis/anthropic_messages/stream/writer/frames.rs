//! The framing of events, by hand: most of a stream are deltas.

use serde_json::{json, Map, Value};

/// Deltas that hold one text.
#[derive(Debug, Clone, Copy)]
pub(super) enum TextDelta {
    Text,
    Thinking,
    Signature,
    Json,
}

/// One event.
pub(super) fn event(name: &str, data: &Value, out: &mut Vec<u8>) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    value(data, out);
    out.extend_from_slice(b"\n\n");
}

pub(super) fn message_start(id: &str, model: &str, usage: Map<String, Value>, out: &mut Vec<u8>) {
    let message = json!({
        "type": "message_start",
        "message": {
            "id": id,
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": [],
            "stop_reason": null,
            "stop_sequence": null,
            "usage": usage,
        },
    });
    event("message_start", &message, out);
    out.extend_from_slice(b"event: ping\ndata: {\"type\":\"ping\"}\n\n");
}

/// The start of a block, up to its content.
pub(super) fn begin_start(index: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(
        b"event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":",
    );
    number(index, out);
    out.extend_from_slice(b",\"content_block\":");
}

/// What is added to a block, up to it.
pub(super) fn begin_delta(index: u32, kind: &str, member: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(
        b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":",
    );
    number(index, out);
    out.extend_from_slice(b",\"delta\":{\"type\":\"");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\",\"");
    out.extend_from_slice(member.as_bytes());
    out.extend_from_slice(b"\":");
}

pub(super) fn end_delta(out: &mut Vec<u8>) {
    out.push(b'}');
    end(out);
}

pub(super) fn text_delta(index: u32, delta: TextDelta, added: &str, out: &mut Vec<u8>) {
    let (kind, member) = match delta {
        TextDelta::Text => ("text_delta", "text"),
        TextDelta::Thinking => ("thinking_delta", "thinking"),
        TextDelta::Signature => ("signature_delta", "signature"),
        TextDelta::Json => ("input_json_delta", "partial_json"),
    };
    begin_delta(index, kind, member, out);
    text(added, out);
    end_delta(out);
}

pub(super) fn stop_block(index: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(
        b"event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":",
    );
    number(index, out);
    end(out);
}

pub(super) fn message_stop(out: &mut Vec<u8>) {
    out.extend_from_slice(b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
}

pub(super) fn error(kind: &str, message: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":");
    text(kind, out);
    out.extend_from_slice(b",\"message\":");
    text(message, out);
    out.push(b'}');
    end(out);
}

/// Ends an event.
pub(super) fn end(out: &mut Vec<u8>) {
    // The object's own bracket, then the blank line.
    out.extend_from_slice(b"}\n\n");
}

pub(super) fn value(value: &Value, out: &mut Vec<u8>) {
    // Writing to memory does not fail.
    let _ = serde_json::to_writer(out, value);
}

fn text(text: &str, out: &mut Vec<u8>) {
    let _ = serde_json::to_writer(out, text);
}

fn number(number: u32, out: &mut Vec<u8>) {
    let _ = serde_json::to_writer(out, &number);
}

/// A text as it stands between the quotes of a JSON text.
pub(super) fn escaped(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    let inner = quoted
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    inner.unwrap_or_default().to_owned()
}
