//! Streams of Server-Sent Events, read and written again.

use hermesllm::apis::{ReadEvents, WriteEvents};
use hermesllm::representation::{Losses, ProviderStreamResponse};
use hermesllm::sse::{Frame, Framer};
use hermesllm::translate::{Collector, Grammar, Order};

/// Events of a stream: name and data.
pub fn events(stream: &[u8]) -> Vec<(String, String)> {
    let mut events = Vec::new();
    Framer::new(16 << 20).push(stream, |frame| {
        if let Frame::Event(event) = frame {
            if let Some(data) = event.data {
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                events.push((text(event.name), text(&data)));
            }
        }
    });
    events
}

/// Reads events; gives the answer that they add up to, and the stream written again.
pub fn pass(
    mut reader: impl ReadEvents,
    order: Order,
    mut writer: impl WriteEvents,
    events: &[(String, String)],
) -> (Collector, Vec<u8>, Losses) {
    let mut grammar = Grammar::new(order);
    let mut collector = Collector::new();
    let mut out = Vec::new();
    let mut losses = Losses::new();
    let mut sink = |event: ProviderStreamResponse<'_>| {
        collector.event(event.clone());
        writer.event(event, &mut out, &mut losses);
    };
    for (name, data) in events {
        let name = Some(name.as_str()).filter(|name| !name.is_empty());
        reader.event(name, data, &mut |event| grammar.event(event, &mut sink));
    }
    reader.finish(&mut |event| grammar.event(event, &mut sink));
    (collector, out, losses)
}
