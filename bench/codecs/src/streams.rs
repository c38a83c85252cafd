//! A piece of each API's streams, with what comes before it, as the providers send them.

use std::fmt;

use hermesllm::apis::bedrock_converse::frames;
use hermesllm::apis::SupportedUpstreamAPIs as Api;

/// What an event adds to the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece {
    /// A word.
    Text,
    /// A piece with a line break and a quote, which JSON escapes.
    Escaped,
    /// A piece of a tool call's arguments.
    Arguments,
}

impl Piece {
    /// Each of them.
    pub const ALL: [Self; 3] = [Self::Text, Self::Escaped, Self::Arguments];

    /// What is added, as JSON writes it between quotes.
    fn written(self) -> &'static str {
        match self {
            Self::Text => " harbour",
            Self::Escaped => r#":\n\n\"The"#,
            Self::Arguments => r#"\"Ribeira\","#,
        }
    }
}

impl fmt::Display for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Escaped => "escaped",
            Self::Arguments => "arguments",
        })
    }
}

/// The beginning of a stream, and an event that may follow any number of times.
#[derive(Debug, Clone)]
pub struct Stream {
    /// All that comes before the event.
    pub before: Vec<u8>,
    /// The event, with its framing.
    pub event: Vec<u8>,
}

impl Stream {
    /// The stream of an API; `None` where the API has no streams, or none with such pieces.
    pub fn of(api: Api, piece: Piece) -> Option<Self> {
        match api {
            Api::OpenAiChat => Some(chat(piece)),
            Api::OpenAiResponses => Some(responses(piece)),
            Api::OpenAiCompletions => completions(piece),
            Api::AnthropicMessages => Some(messages(piece)),
            Api::Gemini => Some(gemini(piece)),
            Api::BedrockConverse => Some(converse(piece)),
            Api::CohereChat => Some(cohere(piece)),
            Api::OpenAiEmbeddings | Api::CohereEmbed => None,
        }
    }
}

/// Events without names.
fn data(payloads: &[&str]) -> Vec<u8> {
    let events = payloads
        .iter()
        .map(|payload| format!("data: {payload}\n\n"));
    events.collect::<String>().into_bytes()
}

/// Events with names.
fn named(events: &[(&str, &str)]) -> Vec<u8> {
    let written = |(name, payload): &(&str, &str)| format!("event: {name}\ndata: {payload}\n\n");
    events.iter().map(written).collect::<String>().into_bytes()
}

fn chat(piece: Piece) -> Stream {
    let chunk = |delta: &str| {
        format!(
            r#"{{"id":"chatcmpl-CAnkJ8LDKUhbdlXyXx0WbxUWnGJlS","object":"chat.completion.chunk","created":1756757587,"model":"gpt-4.1-mini-2025-04-14","service_tier":"default","system_fingerprint":"fp_4fce0778af","choices":[{{"index":0,"delta":{delta},"logprobs":null,"finish_reason":null}}],"usage":null,"obfuscation":"QHMwBv4fkX"}}"#
        )
    };
    let written = piece.written();
    let (first, delta) = match piece {
        Piece::Text | Piece::Escaped => (
            r#"{"role":"assistant","content":"","refusal":null}"#.to_owned(),
            format!(r#"{{"content":"{written}"}}"#),
        ),
        Piece::Arguments => (
            r#"{"role":"assistant","content":null,"tool_calls":[{"index":0,"id":"call_1vbTWkgh4SHRFIRaEpZKIlCE","type":"function","function":{"name":"find_way","arguments":"["}}],"refusal":null}"#.to_owned(),
            format!(r#"{{"tool_calls":[{{"index":0,"function":{{"arguments":"{written}"}}}}]}}"#),
        ),
    };
    Stream {
        before: data(&[&chunk(&first)]),
        event: data(&[&chunk(&delta)]),
    }
}

fn responses(piece: Piece) -> Stream {
    const CREATED: &str = r#"{"type":"response.created","sequence_number":0,"response":{"id":"resp_68b5fb1cd4a081a1b1d50c9a4a2a0d5f","object":"response","created_at":1756757788,"status":"in_progress","model":"gpt-4.1-mini-2025-04-14","output":[],"usage":null}}"#;
    let written = piece.written();
    let (added, content, name, delta) = match piece {
        Piece::Text | Piece::Escaped => (
            r#"{"type":"response.output_item.added","sequence_number":1,"output_index":0,"item":{"id":"msg_68b5fb1d3a7c81a1","type":"message","status":"in_progress","content":[],"role":"assistant"}}"#,
            Some(
                r#"{"type":"response.content_part.added","sequence_number":2,"item_id":"msg_68b5fb1d3a7c81a1","output_index":0,"content_index":0,"part":{"type":"output_text","annotations":[],"logprobs":[],"text":""}}"#,
            ),
            "response.output_text.delta",
            format!(
                r#"{{"type":"response.output_text.delta","sequence_number":3,"item_id":"msg_68b5fb1d3a7c81a1","output_index":0,"content_index":0,"delta":"{written}","logprobs":[],"obfuscation":"7nGqTdVsbx"}}"#
            ),
        ),
        Piece::Arguments => (
            r#"{"type":"response.output_item.added","sequence_number":1,"output_index":0,"item":{"id":"fc_68b5fb1d3a7c81a1","type":"function_call","status":"in_progress","arguments":"","call_id":"call_1vbTWkgh4SHRFIRa","name":"find_way"}}"#,
            None,
            "response.function_call_arguments.delta",
            format!(
                r#"{{"type":"response.function_call_arguments.delta","sequence_number":3,"item_id":"fc_68b5fb1d3a7c81a1","output_index":0,"delta":"{written}","obfuscation":"7nGqTdVsbx"}}"#
            ),
        ),
    };
    let mut before = vec![
        ("response.created", CREATED),
        ("response.output_item.added", added),
    ];
    before.extend(content.map(|part| ("response.content_part.added", part)));
    Stream {
        before: named(&before),
        event: named(&[(name, &delta)]),
    }
}

fn completions(piece: Piece) -> Option<Stream> {
    let chunk = |text: &str| {
        format!(
            r#"{{"id":"cmpl-CAnqW1sbGgZk2kDXPBsyFIqm5I6VO","object":"text_completion","created":1756757972,"choices":[{{"text":"{text}","index":0,"logprobs":null,"finish_reason":null}}],"model":"gpt-3.5-turbo-instruct:20230824-v2","usage":null}}"#
        )
    };
    match piece {
        Piece::Text | Piece::Escaped => Some(Stream {
            before: data(&[&chunk("The")]),
            event: data(&[&chunk(piece.written())]),
        }),
        // This API calls no tools.
        Piece::Arguments => None,
    }
}

fn messages(piece: Piece) -> Stream {
    const START: &str = r#"{"type":"message_start","message":{"id":"msg_01P7NAsTqQmLkjF9FskLxA2R","type":"message","role":"assistant","model":"claude-sonnet-4-5-20250929","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":27,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":1,"service_tier":"standard"}}}"#;
    let written = piece.written();
    let (block, delta) = match piece {
        Piece::Text | Piece::Escaped => (
            r#"{"type":"text","text":""}"#,
            format!(r#"{{"type":"text_delta","text":"{written}"}}"#),
        ),
        Piece::Arguments => (
            r#"{"type":"tool_use","id":"toolu_01T1x1fJ34qAmk2tNTrN7Up6","name":"find_way","input":{}}"#,
            format!(r#"{{"type":"input_json_delta","partial_json":"{written}"}}"#),
        ),
    };
    let opened = format!(r#"{{"type":"content_block_start","index":0,"content_block":{block}}}"#);
    let delta = format!(r#"{{"type":"content_block_delta","index":0,"delta":{delta}}}"#);
    Stream {
        before: named(&[
            ("message_start", START),
            ("content_block_start", &opened),
            ("ping", r#"{"type":"ping"}"#),
        ]),
        event: named(&[("content_block_delta", &delta)]),
    }
}

fn gemini(piece: Piece) -> Stream {
    let chunk = |part: &str| {
        format!(
            r#"{{"candidates":[{{"content":{{"parts":[{part}],"role":"model"}},"index":0}}],"usageMetadata":{{"promptTokenCount":27,"candidatesTokenCount":9,"totalTokenCount":36,"promptTokensDetails":[{{"modality":"TEXT","tokenCount":27}}]}},"modelVersion":"gemini-2.5-flash","responseId":"1Pu1aIqsJZ-kvdIP2b2I8Ao"}}"#
        )
    };
    let written = piece.written();
    let (first, part) = match piece {
        Piece::Text | Piece::Escaped => (
            r#"{"text":"The"}"#.to_owned(),
            format!(r#"{{"text":"{written}"}}"#),
        ),
        // Pieces of arguments are Vertex AI's, `streamFunctionCallArguments`.
        Piece::Arguments => (
            r#"{"functionCall":{"name":"find_way","willContinue":true}}"#.to_owned(),
            format!(
                r#"{{"functionCall":{{"partialArgs":[{{"jsonPath":"$.from","stringValue":"{written}","willContinue":true}}],"willContinue":true}}}}"#
            ),
        ),
    };
    Stream {
        before: data(&[&chunk(&first)]),
        event: data(&[&chunk(&part)]),
    }
}

fn converse(piece: Piece) -> Stream {
    const PADDING: &str = "abcdefghijklmnopqrs";
    let frame = |out: &mut Vec<u8>, name: &str, payload: &str| {
        frames::write_event(out, name, |out| out.extend_from_slice(payload.as_bytes()));
    };
    let written = piece.written();
    let mut before = Vec::new();
    let started = format!(r#"{{"p":"{PADDING}","role":"assistant"}}"#);
    frame(&mut before, "messageStart", &started);
    let delta = match piece {
        // A text begins with its first piece.
        Piece::Text | Piece::Escaped => format!(r#"{{"text":"{written}"}}"#),
        Piece::Arguments => {
            let opened = format!(
                r#"{{"contentBlockIndex":0,"p":"{PADDING}","start":{{"toolUse":{{"name":"find_way","toolUseId":"tooluse_a1B2c3D4e5F6g7H8"}}}}}}"#
            );
            frame(&mut before, "contentBlockStart", &opened);
            format!(r#"{{"toolUse":{{"input":"{written}"}}}}"#)
        }
    };
    let delta = format!(r#"{{"contentBlockIndex":0,"delta":{delta},"p":"{PADDING}"}}"#);
    let mut event = Vec::new();
    frame(&mut event, "contentBlockDelta", &delta);
    Stream { before, event }
}

fn cohere(piece: Piece) -> Stream {
    const START: &str = r#"{"id":"29f14a5a-11de-4cae-9800-25e4747408ea","type":"message-start","delta":{"message":{"role":"assistant","content":[],"tool_plan":"","tool_calls":[],"citations":[]}}}"#;
    let written = piece.written();
    let (opening, name, delta) = match piece {
        Piece::Text | Piece::Escaped => (
            (
                "content-start",
                r#"{"type":"content-start","index":0,"delta":{"message":{"content":{"type":"text","text":""}}}}"#,
            ),
            "content-delta",
            format!(
                r#"{{"type":"content-delta","index":0,"delta":{{"message":{{"content":{{"text":"{written}"}}}}}}}}"#
            ),
        ),
        Piece::Arguments => (
            (
                "tool-call-start",
                r#"{"type":"tool-call-start","index":0,"delta":{"message":{"tool_calls":{"id":"find_way_8a4jqvfr1wzx","type":"function","function":{"name":"find_way","arguments":""}}}}}"#,
            ),
            "tool-call-delta",
            format!(
                r#"{{"type":"tool-call-delta","index":0,"delta":{{"message":{{"tool_calls":{{"function":{{"arguments":"{written}"}}}}}}}}}}"#
            ),
        ),
    };
    Stream {
        before: named(&[("message-start", START), opening]),
        event: named(&[(name, &delta)]),
    }
}

#[cfg(test)]
mod tests {
    use hermesllm::apis::WriteOptions;
    use hermesllm::translate::StreamTranslator;

    use super::*;

    #[test]
    fn every_event_is_understood_as_what_it_is() {
        let apis = || Api::ALL.into_iter().filter(|api| api.has_codec());
        for (from, to) in apis().flat_map(|from| apis().map(move |to| (from, to))) {
            for piece in Piece::ALL {
                let Some(stream) = Stream::of(from, piece) else {
                    assert_eq!((from, piece), (Api::OpenAiCompletions, Piece::Arguments));
                    continue;
                };
                let way = format!("{from} to {to}, {piece}");
                let options = WriteOptions::default();
                let mut translator = StreamTranslator::new(from, to, options, 1 << 20).unwrap();
                translator.push(&stream.before, &mut Vec::new());
                let before = translator.observed().clone();
                let mut out = Vec::new();
                translator.push(&stream.event, &mut out);
                let after = translator.observed();
                assert!(!after.error, "{way}");
                assert_eq!(after.events, before.events + 1, "{way}");
                // Gemini's pieces name their places: what they add up to is known at the end.
                let waits = from == Api::Gemini && piece == Piece::Arguments;
                let says: String =
                    serde_json::from_str(&format!("\"{}\"", piece.written())).unwrap();
                let added = if waits { 0 } else { says.len() as u64 };
                assert_eq!(after.content_bytes - before.content_bytes, added, "{way}");
                // Nor does it take them, and completions have no place for them.
                let arguments = piece == Piece::Arguments;
                let passes = !arguments || !matches!(to, Api::Gemini | Api::OpenAiCompletions);
                assert_eq!(!out.is_empty(), passes && !waits, "{way}");
            }
        }
    }
}
