use proptest::prelude::*;

use super::*;
use crate::dialect::Dialect;

fn options(endpoint: Endpoint) -> TranscoderOptions {
    TranscoderOptions {
        endpoint,
        kind: BodyKind::EventStream,
        status: 200,
        strip_usage_chunk: false,
        estimated_input: 11,
        max_event_bytes: 1 << 20,
    }
}

/// What the client gets for `body` in chunks of `length` bytes, how it ended, and the transcoder.
fn passed(options: TranscoderOptions, body: &str, length: usize) -> (String, Ending, Transcoder) {
    let mut transcoder = Transcoder::identity(options);
    let mut out = Vec::new();
    for chunk in body.as_bytes().chunks(length) {
        transcoder.push(Bytes::copy_from_slice(chunk), &mut out);
    }
    let ending = transcoder.finish(&mut out);
    let text = String::from_utf8(out.concat()).unwrap();
    (text, ending, transcoder)
}

const CHUNK: &str = "data: {\"id\":\"c1\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hello\"},\"finish_reason\":null}],\"usage\":null}\n\n";
const LAST: &str =
    "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const USAGE: &str = "data: {\"id\":\"c1\",\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\n\n";
const DONE: &str = "data: [DONE]\n\n";

#[test]
fn content_types_name_the_kind_of_a_body() {
    for (value, kind) in [
        (
            Some("text/event-stream; charset=utf-8"),
            BodyKind::EventStream,
        ),
        (Some("Text/Event-Stream"), BodyKind::EventStream),
        (Some("application/json"), BodyKind::Json),
        (Some("application/problem+json;v=1"), BodyKind::Json),
        (Some("application/x-ndjson"), BodyKind::Opaque),
        (Some("json"), BodyKind::Opaque),
        (None, BodyKind::Opaque),
    ] {
        assert_eq!(BodyKind::of_content_type(value), kind, "{value:?}");
    }
}

#[test]
fn a_chunk_goes_on_uncopied_with_the_push_that_brought_it() {
    for kind in [BodyKind::EventStream, BodyKind::Json, BodyKind::Opaque] {
        let mut transcoder = Transcoder::identity(TranscoderOptions {
            kind,
            ..options(Endpoint::ChatCompletions)
        });
        let chunk = Bytes::from_static(b"data: {\"half");
        let mut out = Vec::new();
        transcoder.push(chunk.clone(), &mut out);
        assert_eq!(out, std::slice::from_ref(&chunk));
        assert_eq!(out[0].as_ptr(), chunk.as_ptr());
    }
}

#[test]
fn stripping_leaves_out_the_usage_chunk_alone_however_the_stream_is_split() {
    let crlf = |text: &str| text.replace('\n', "\r\n");
    let cr = |text: &str| text.replace('\n', "\r");
    let lf = |text: &str| text.to_owned();
    let stripping = TranscoderOptions {
        strip_usage_chunk: true,
        ..options(Endpoint::ChatCompletions)
    };
    for ends in [&lf as &dyn Fn(&str) -> String, &crlf, &cr] {
        let stream = ends(&[": hi\n\n", CHUNK, LAST, USAGE, DONE].concat());
        let expected = ends(&[": hi\n\n", CHUNK, LAST, DONE].concat());
        for length in 1..=stream.len() {
            let (text, ending, transcoder) = passed(stripping, &stream, length);
            assert_eq!(text, expected, "chunks of {length}");
            assert_eq!(ending, Ending::Complete);
            assert_eq!(transcoder.progress().usage.input, 3);
        }
    }
}

#[test]
fn stripping_passes_an_event_on_the_moment_it_is_complete_and_ready_ones_in_one_piece() {
    let mut transcoder = Transcoder::identity(TranscoderOptions {
        strip_usage_chunk: true,
        ..options(Endpoint::ChatCompletions)
    });
    let mut out = Vec::new();
    let chunk = Bytes::from([CHUNK, CHUNK, "data: {"].concat());
    transcoder.push(chunk.clone(), &mut out);
    assert_eq!(out.len(), 1);
    assert_eq!(out[0].len(), 2 * CHUNK.len());
    assert_eq!(out[0].as_ptr(), chunk.as_ptr());
    out.clear();
    transcoder.push(Bytes::from_static(b"}\n"), &mut out);
    assert!(out.is_empty());
    transcoder.push(Bytes::from_static(b"\n"), &mut out);
    assert_eq!(out, ["data: {}\n\n"]);
}

#[test]
fn an_event_beyond_the_bound_is_passed_on_and_still_read() {
    let image = "A".repeat(5000);
    let stream = format!(
        "event: response.created\ndata: {{\"type\":\"response.created\",\"response\":{{\"id\":\"r1\",\"status\":\"in_progress\"}}}}\n\nevent: response.completed\ndata: {{\"type\":\"response.completed\",\"response\":{{\"output\":[{{\"result\":\"{image}\"}}],\"status\":\"completed\",\"usage\":{{\"input_tokens\":5,\"output_tokens\":7}}}}}}\n\n"
    );
    for length in [1, 7, 64, stream.len()] {
        let (text, ending, transcoder) = passed(
            TranscoderOptions {
                max_event_bytes: 200,
                ..options(Endpoint::Responses)
            },
            &stream,
            length,
        );
        assert_eq!(text, stream);
        assert_eq!(ending, Ending::Complete);
        assert_eq!(transcoder.oversized_events(), 1);
        let progress = transcoder.progress();
        assert_eq!((progress.usage.input, progress.usage.output), (5, 7));
        assert_eq!(progress.finish_reason, Some("completed"));
    }
    let cut = &stream[..stream.len() - 10];
    let (_, ending, _) = passed(
        TranscoderOptions {
            max_event_bytes: 200,
            ..options(Endpoint::Responses)
        },
        cut,
        50,
    );
    assert_eq!(ending, Ending::Truncated);
}

#[test]
fn an_oversized_event_does_not_wait_when_stripping() {
    let big = format!(
        "data: {{\"choices\":[{{\"delta\":{{\"content\":\"{}\"}}}}]}}\n\n",
        "x".repeat(500)
    );
    let stream = [&big, LAST, USAGE, DONE].concat();
    let expected = [&big, LAST, DONE].concat();
    for length in [1, 30, 200, stream.len()] {
        let bounded = TranscoderOptions {
            strip_usage_chunk: true,
            max_event_bytes: 150,
            ..options(Endpoint::ChatCompletions)
        };
        let (text, ending, transcoder) = passed(bounded, &stream, length);
        assert_eq!(text, expected);
        assert_eq!(ending, Ending::Complete);
        assert_eq!(transcoder.oversized_events(), 1);
    }
}

#[test]
fn a_stream_that_ends_early_gets_an_error_event_of_its_own() {
    for (endpoint, stream) in [
        (Endpoint::ChatCompletions, CHUNK.to_owned()),
        (Endpoint::ChatCompletions, String::new()),
        (Endpoint::ChatCompletions, CHUNK[..40].to_owned()),
        (Endpoint::ChatCompletions, format!("{CHUNK}: ping")),
        (Endpoint::Completions, "data: {\"choices\":[{\"text\":\"a\",\"finish_reason\":null}]}\n".to_owned()),
        (Endpoint::Messages, "event: message_start\r\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\"}}\r\n\r\nevent: mess".to_owned()),
        (Endpoint::Responses, "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":4}\n\n".to_owned()),
    ] {
        let (text, ending, transcoder) = passed(options(endpoint), &stream, 9);
        assert_eq!(ending, Ending::Truncated, "{stream}");
        assert!(transcoder.progress().error);
        let appended = text.strip_prefix(&stream).expect("the provider's bytes first");
        let mut framer = Framer::new(10_000);
        let mut last = (Vec::new(), Vec::new());
        let mut note = |frame: Frame<'_>| match frame {
            Frame::Event(event) => last = (event.name.to_vec(), event.data.unwrap_or_default().into_owned()),
            Frame::Oversized { .. } => panic!("small"),
        };
        framer.push(text.as_bytes(), &mut note);
        assert!(!framer.is_inside_block());
        let error: serde_json::Value = serde_json::from_slice(&last.1).expect(appended);
        match endpoint {
            Endpoint::Responses => {
                assert_eq!(last.0, b"error");
                assert_eq!(error["type"], "error");
                assert_eq!(error["sequence_number"], 5);
            }
            _ => {
                assert_eq!(last.0.is_empty(), endpoint.dialect() == Dialect::OpenAi);
                assert!(error["error"]["message"].is_string());
            }
        }
    }
}

#[test]
fn a_half_event_that_still_waited_is_dropped_for_the_error_event() {
    let stripping = TranscoderOptions {
        strip_usage_chunk: true,
        ..options(Endpoint::ChatCompletions)
    };
    let (text, ending, _) = passed(stripping, &[CHUNK, &CHUNK[..50]].concat(), 8);
    assert_eq!(ending, Ending::Truncated);
    let appended = text.strip_prefix(CHUNK).unwrap();
    assert!(appended.starts_with("data: {\"error\""), "{appended}");
    let (text, ending, _) = passed(stripping, &[CHUNK, CHUNK.trim_end()].concat(), 8);
    assert_eq!(ending, Ending::Truncated);
    let appended = text.strip_prefix(&[CHUNK, CHUNK].concat()).unwrap();
    assert!(appended.starts_with("data: {\"error\""), "{appended}");
}

#[test]
fn a_stream_is_complete_with_a_reason_for_every_choice_or_an_error() {
    let two = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}},{\"index\":1,\"delta\":{\"content\":\"b\"}}]}\n\n";
    let end = |index: u32| {
        format!("data: {{\"choices\":[{{\"finish_reason\":\"stop\",\"index\":{index}}}]}}\n\n")
    };
    for (stream, expected) in [
        ([two, &end(0), &end(1)].concat(), Ending::Complete),
        ([two, &end(1)].concat(), Ending::Truncated),
        ([two, DONE].concat(), Ending::Complete),
        ([two, DONE.trim_end()].concat(), Ending::Complete),
        (
            [two, "data: {\"error\":{\"message\":\"no\"}}\n\n"].concat(),
            Ending::Complete,
        ),
        (
            [two, "data: {\"error\":null}\n\n"].concat(),
            Ending::Truncated,
        ),
        (
            [
                two,
                "data: {\"choices\":[{\"index\":0,\"finish_reason\":\"\"}]}\n\n",
            ]
            .concat(),
            Ending::Truncated,
        ),
        // A reason in an event that is no JSON proves nothing.
        (
            "data: {\"choices\":[{\"index\":0,\"finish_reason\":\"stop\"}]\n\n".to_owned(),
            Ending::Truncated,
        ),
    ] {
        let (_, ending, _) = passed(options(Endpoint::ChatCompletions), &stream, 10);
        assert_eq!(ending, expected, "{stream}");
    }
}

#[test]
fn an_answer_that_is_no_success_is_never_truncated_and_costs_nothing() {
    let refused = TranscoderOptions {
        status: 500,
        ..options(Endpoint::Messages)
    };
    let (text, ending, transcoder) = passed(refused, "data: {\"error\":{}}\n\n", 5);
    assert_eq!(
        (text.as_str(), ending),
        ("data: {\"error\":{}}\n\n", Ending::Complete)
    );
    let progress = transcoder.progress();
    assert_eq!(
        (progress.usage, progress.estimated),
        (Usage::default(), false)
    );
    assert!(progress.error);
}

#[test]
fn usage_is_estimated_until_the_provider_reports() {
    let mut transcoder = Transcoder::identity(options(Endpoint::ChatCompletions));
    let mut out = Vec::new();
    let mut seen = Vec::new();
    for event in [
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n",
        CHUNK,
        CHUNK,
        LAST,
        USAGE,
    ] {
        transcoder.push(Bytes::copy_from_slice(event.as_bytes()), &mut out);
        let progress = transcoder.progress();
        seen.push((
            progress.content_started,
            progress.usage.input,
            progress.usage.output,
            progress.estimated,
            progress.events,
        ));
    }
    assert_eq!(
        seen,
        [
            (false, 11, 0, true, 1),
            (true, 11, 2, true, 2),
            (true, 11, 3, true, 3),
            (true, 11, 3, true, 4),
            (true, 3, 2, false, 5),
        ]
    );
    let progress = transcoder.progress();
    assert_eq!(
        (
            progress.model,
            progress.response_id,
            progress.finish_reason,
            progress.error
        ),
        (Some("m"), Some("c1"), Some("stop"), false)
    );
}

#[test]
fn a_message_reports_its_input_first_and_its_output_last() {
    let mut transcoder = Transcoder::identity(options(Endpoint::Messages));
    let mut out = Vec::new();
    let mut seen = Vec::new();
    for data in [
        r#"{"type":"message_start","message":{"id":"m1","model":"claude","usage":{"input_tokens":5,"cache_read_input_tokens":2,"output_tokens":1}}}"#,
        r#"{"type":"ping"}"#,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"0123456789"}}"#,
        r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":9}}"#,
        r#"{"type":"message_stop"}"#,
    ] {
        transcoder.push(Bytes::from(format!("data: {data}\n\n")), &mut out);
        let progress = transcoder.progress();
        seen.push((
            progress.content_started,
            progress.usage.input,
            progress.usage.output,
            progress.estimated,
        ));
    }
    assert_eq!(
        seen,
        [
            (false, 7, 1, true),
            (false, 7, 1, true),
            (false, 7, 1, true),
            (true, 7, 3, true),
            (true, 7, 9, false),
            (true, 7, 9, false),
        ]
    );
    assert_eq!(transcoder.progress().finish_reason, Some("end_turn"));
    assert_eq!(transcoder.finish(&mut out), Ending::Complete);
}

#[test]
fn a_count_of_tokens_is_its_input() {
    let counted = TranscoderOptions {
        kind: BodyKind::Json,
        ..options(Endpoint::CountTokens)
    };
    let (_, _, transcoder) = passed(counted, "{\"input_tokens\":2095}", 4);
    let progress = transcoder.progress();
    assert_eq!((progress.usage.input, progress.estimated), (2095, false));
}

#[test]
fn bytes_that_are_no_stream_pass_through() {
    let noise: Vec<u8> = (0..=255u8).cycle().take(2000).collect();
    for endpoint in Endpoint::ALL {
        for kind in [BodyKind::EventStream, BodyKind::Json, BodyKind::Opaque] {
            let mut transcoder = Transcoder::identity(TranscoderOptions {
                kind,
                strip_usage_chunk: true,
                max_event_bytes: 300,
                ..options(endpoint)
            });
            let mut out = Vec::new();
            for chunk in noise.chunks(77) {
                transcoder.push(Bytes::copy_from_slice(chunk), &mut out);
            }
            transcoder.finish(&mut out);
            assert!(out.concat().starts_with(&noise[..1500]));
        }
    }
}

fn any_stream() -> impl Strategy<Value = String> {
    let token = prop_oneof![
        Just("\n"),
        Just("\r"),
        Just("\r\n"),
        Just("\r\n\r\n"),
        Just(": comment"),
        Just(CHUNK),
        Just(CHUNK.trim_end()),
        Just(LAST),
        Just(USAGE),
        Just(USAGE),
        Just(USAGE.trim_end()),
        Just(USAGE.trim_end()),
        Just(DONE.trim_end()),
        Just("data: {\"choices\":[],"),
        Just("data: \"usage\":{\"prompt_tokens\":1}}"),
    ];
    prop::collection::vec(token, 0..16).prop_map(|tokens| tokens.concat())
}

proptest! {
    #[test]
    fn any_split_gives_the_same_bytes_the_same_ending_and_the_same_reading(
        stream in any_stream(),
        length in 1usize..40,
        strip_usage_chunk in any::<bool>(),
        max_event_bytes in prop_oneof![Just(60usize), Just(1 << 20)],
    ) {
        let options = TranscoderOptions {
            strip_usage_chunk,
            max_event_bytes,
            ..options(Endpoint::ChatCompletions)
        };
        let (text, ending, transcoder) = passed(options, &stream, length);
        let (whole_text, whole_ending, whole) = passed(options, &stream, stream.len().max(1));
        prop_assert_eq!(ending, whole_ending);
        prop_assert_eq!(transcoder.progress(), whole.progress());
        prop_assert_eq!(&text, &whole_text);
        if !strip_usage_chunk {
            prop_assert!(text.starts_with(&stream));
        }
    }
}
