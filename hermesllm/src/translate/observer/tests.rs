use super::*;

const FIRST: &str =
    r#"{"candidates":[{"index":0,"content":{"role":"model","parts":[{"text":"Hel"}]}}]}"#;
const LAST: &str = r#"{"candidates":[{"index":0,"content":{"role":"model","parts":[{"text":"lo"}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":2,"totalTokenCount":5}}"#;

fn observed(api: Api, bytes: &[u8], step: usize) -> (Observer, StreamEnd, Vec<u8>) {
    let mut observer = Observer::of_stream(api, 1 << 20);
    for piece in bytes.chunks(step) {
        observer.push(piece);
    }
    let mut out = Vec::new();
    let end = observer.finish(&mut out);
    (observer, end, out)
}

#[test]
fn a_stream_is_understood_in_either_framing_however_it_is_split() {
    let sse = format!("data: {FIRST}\n\ndata: {LAST}\n\n");
    let array = format!("[{FIRST},\n{LAST}]");
    for stream in [sse, array] {
        for step in [1, 7, 1000] {
            let (observer, end, out) = observed(Api::Gemini, stream.as_bytes(), step);
            assert_eq!((end, out.len()), (StreamEnd::Complete, 0));
            let seen = observer.observed();
            assert_eq!((seen.events, seen.content_bytes), (2, 5));
            assert_eq!(seen.usage.as_ref().unwrap().input, Some(3));
            assert_eq!(seen.finish_reason.as_deref(), Some("STOP"));
        }
    }
}

#[test]
fn a_cut_stream_gets_an_error_where_one_can_follow() {
    let (_, end, out) = observed(Api::Gemini, format!("data: {FIRST}\n\n").as_bytes(), 9);
    assert_eq!(end, StreamEnd::Truncated);
    let text = String::from_utf8(out).unwrap();
    assert!(text.starts_with("\n\ndata: {\"error\":"), "{text}");

    for (begin, elements) in [(format!("[{FIRST}"), 2), ("[".to_owned(), 1)] {
        let (_, end, out) = observed(Api::Gemini, begin.as_bytes(), 9);
        assert_eq!(end, StreamEnd::Truncated);
        let whole = [begin.as_bytes(), &out].concat();
        let whole: Vec<serde_json::Value> = serde_json::from_slice(&whole).unwrap();
        assert_eq!(whole.len(), elements);
        assert_eq!(whole.last().unwrap()["error"]["code"], 502);
    }
    // In the middle of an item the array stays broken, which no client takes for an answer.
    let (_, end, out) = observed(Api::Gemini, b"[{\"candidates\":", 9);
    assert_eq!((end, out.len()), (StreamEnd::Truncated, 0));
}

#[test]
fn an_event_that_is_too_large_passes_unread_and_is_no_error() {
    let picture = "A".repeat(1000);
    let large = format!(
        r#"{{"candidates":[{{"content":{{"parts":[{{"inlineData":{{"mimeType":"image/png","data":"{picture}"}}}}]}},"finishReason":"STOP"}}]}}"#
    );
    for stream in [
        format!("data: {FIRST}\n\ndata: {large}\n\n"),
        format!("[{FIRST},{large}]"),
    ] {
        let mut observer = Observer::of_stream(Api::Gemini, 500);
        observer.push(stream.as_bytes());
        let mut out = Vec::new();
        assert_eq!(observer.finish(&mut out), StreamEnd::Complete);
        assert!(out.is_empty());
        let seen = observer.observed();
        assert_eq!((seen.error, seen.events, seen.content_bytes), (false, 2, 3));
    }
}

#[test]
fn an_error_is_one_and_begins_no_answer() {
    let mut observer = Observer::of_error(Api::Gemini);
    observer.push(b"{}");
    assert_eq!(observer.finish(&mut Vec::new()), StreamEnd::Complete);
    let seen = observer.observed();
    assert!(seen.error && !seen.content_started);
}

#[test]
fn a_document_tells_its_usage_and_one_that_is_too_large_tells_nothing() {
    for (most, usage) in [(1000, Some(3)), (10, None)] {
        let mut observer = Observer::of_document(Api::Gemini, most);
        observer.push(LAST.as_bytes());
        let mut out = Vec::new();
        assert_eq!(observer.finish(&mut out), StreamEnd::Complete);
        assert!(out.is_empty());
        let seen = observer.observed();
        assert!(seen.content_started);
        assert_eq!(seen.usage.as_ref().and_then(|usage| usage.input), usage);
    }
}

#[test]
fn what_is_no_stream_is_not_taken_for_one() {
    let error =
        r#"{"error": {"code": 429, "message": "slow down", "status": "RESOURCE_EXHAUSTED"}}"#;
    let (observer, end, out) = observed(Api::Gemini, error.as_bytes(), 3);
    assert_eq!((end, out.len()), (StreamEnd::Complete, 0));
    assert!(observer.observed().error);
    let (observer, _, out) = observed(Api::BedrockConverse, b"no frames at all", 3);
    assert!(out.is_empty());
    assert!(observer.observed().error);
}
