use super::*;
use proptest::prelude::*;
use serde_json::json;

use crate::error::ErrorCode;
use crate::translate::collected;

fn options() -> WriteOptions {
    WriteOptions {
        include_usage: true,
        ..WriteOptions::default()
    }
}

fn resumable(from: Api, to: Api) -> StreamTranslator {
    let translator = StreamTranslator::new(from, to, options(), 4 << 20);
    translator.unwrap().resumable()
}

fn chat(delta: &serde_json::Value) -> String {
    let chunk = json!({"id": "c", "model": "m", "choices": [{"index": 0, "delta": delta}]});
    format!("data: {chunk}\n\n")
}

fn text(text: &str) -> String {
    chat(&json!({"content": text}))
}

fn end_of_chat() -> String {
    let stop = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]});
    let usage = json!({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}});
    format!("data: {stop}\n\ndata: {usage}\n\ndata: [DONE]\n\n")
}

fn messages(pieces: &[&str]) -> String {
    let mut events = vec![
        json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "content": [], "usage": {"input_tokens": 20, "output_tokens": 1}}}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
    ];
    for piece in pieces {
        events.push(json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}}));
    }
    events.extend([
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9}}),
        json!({"type": "message_stop"}),
    ]);
    let event = |event: &serde_json::Value| {
        format!(
            "event: {}\ndata: {event}\n\n",
            event["type"].as_str().unwrap()
        )
    };
    events.iter().map(event).collect()
}

fn told(client: Api, out: &[u8]) -> (String, Option<TokenUsage>, bool) {
    let collector = collected(client, out, 1 << 20).unwrap();
    let complete = collector.is_complete();
    let answer = collector.into_answer();
    let parts = answer.choices.iter().flat_map(|choice| &choice.parts);
    let texts = parts.filter_map(|part| match &part.kind {
        crate::representation::PartKind::Text { text, .. } => Some(text.as_str()),
        _ => None,
    });
    (texts.collect(), answer.usage, complete)
}

fn partial(stream: &str) -> Option<String> {
    let mut translator = resumable(Api::OpenAiChat, Api::AnthropicMessages);
    translator.push(stream.as_bytes(), &mut Vec::new());
    translator.partial().map(|partial| partial.text.clone())
}

#[test]
fn one_text_can_be_continued_and_nothing_else() {
    let call = json!({"tool_calls": [{"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}]});
    let second = json!({"choices": [{"index": 1, "delta": {"content": "x"}}]});
    assert_eq!(partial("").as_deref(), Some(""));
    assert_eq!(partial(&text("a")).as_deref(), Some("a"));
    let thought = chat(&json!({"reasoning_content": "hm"}));
    assert_eq!(partial(&thought).as_deref(), Some(""));
    assert_eq!(
        partial(&(thought.clone() + &text("a"))).as_deref(),
        Some("a")
    );
    for behind in [
        chat(&call),
        chat(&json!({"refusal": "no"})),
        thought,
        format!("data: {second}\n\n"),
        end_of_chat(),
        text(&"x".repeat(1 << 20)),
    ] {
        assert_eq!(partial(&(text("a") + &behind)), None, "{:.200}", behind);
    }
}

#[test]
fn an_error_waits_until_it_is_known_that_nobody_goes_on() {
    let broken = text("Hel")
        + "data: {\"error\": {\"message\": \"overloaded\", \"type\": \"server_error\"}}\n\n";
    let begin = |out: &mut Vec<u8>| {
        let mut translator = resumable(Api::OpenAiChat, Api::OpenAiChat);
        translator.push(broken.as_bytes(), out);
        assert!(translator.is_broken());
        assert!(!String::from_utf8_lossy(out).contains("overloaded"));
        translator.push(text("more").as_bytes(), out);
        assert!(!translator.close(out));
        assert_eq!(translator.partial().unwrap().text, "Hel");
        translator
    };
    let mut out = Vec::new();
    assert_eq!(begin(&mut out).finish(&mut out), StreamEnd::Complete);
    assert!(String::from_utf8_lossy(&out).contains("overloaded"));
    let mut out = Vec::new();
    begin(&mut out).fail(&ApiError::new(ErrorCode::Draining, "ours"), &mut out);
    let written = String::from_utf8_lossy(&out).into_owned();
    assert!(
        written.contains("ours") && !written.contains("overloaded"),
        "{written}"
    );
    let mut out = Vec::new();
    let mut translator = begin(&mut out);
    assert!(translator.resume(Api::OpenAiChat, &TokenUsage::default(), &mut out));
    assert!(!translator.is_broken() && !translator.observed().error);
    translator.push((text("lo") + &end_of_chat()).as_bytes(), &mut out);
    assert_eq!(translator.finish(&mut out), StreamEnd::Complete);
    assert_eq!(told(Api::OpenAiChat, &out).0, "Hello");
}

#[test]
fn what_cannot_be_continued_is_told_at_once() {
    let call = json!({"tool_calls": [{"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}]});
    let broken = chat(&call) + "data: {\"error\": {\"message\": \"overloaded\"}}\n\n";
    let mut out = Vec::new();
    let mut translator = resumable(Api::OpenAiChat, Api::OpenAiChat);
    translator.push(broken.as_bytes(), &mut out);
    assert!(!translator.is_broken());
    assert!(String::from_utf8_lossy(&out).contains("overloaded"));
    assert!(!translator.resume(Api::OpenAiChat, &TokenUsage::default(), &mut out));
}

#[test]
fn usage_that_the_client_has_not_asked_for_does_not_pass() {
    let stream = text("Hello") + &end_of_chat();
    for asks in [true, false] {
        let options = WriteOptions {
            include_usage: asks,
            ..WriteOptions::default()
        };
        let translator = StreamTranslator::new(Api::OpenAiChat, Api::OpenAiChat, options, 1 << 20);
        let mut translator = translator.unwrap().resumable();
        let mut out = Vec::new();
        translator.push(stream.as_bytes(), &mut out);
        assert_eq!(translator.finish(&mut out), StreamEnd::Complete);
        let out = String::from_utf8(out).unwrap();
        assert_eq!(out.contains("prompt_tokens"), asks, "{out}");
        assert!(out.ends_with("data: [DONE]\n\n"), "{out}");
        let usage = translator.observed().usage.as_ref().unwrap();
        assert_eq!((usage.input, usage.output), (Some(7), Some(3)));
    }
}

#[test]
fn half_an_event_does_not_pass_before_a_continuation() {
    let mut out = Vec::new();
    let mut translator = resumable(Api::OpenAiChat, Api::OpenAiChat);
    let first = text("Hel");
    let second = text("lo");
    translator.push(
        (first.clone() + &second[..second.len() - 5]).as_bytes(),
        &mut out,
    );
    assert_eq!(out, first.as_bytes());
    assert!(!translator.close(&mut out));
    assert_eq!(translator.partial().unwrap().text, "Hel");
    assert_eq!(translator.finish(&mut out), StreamEnd::Truncated);
    assert!(String::from_utf8_lossy(&out).contains("upstream_truncated"));
}

#[test]
fn what_all_attempts_cost_is_told_at_the_end() {
    let mut out = Vec::new();
    let mut translator = resumable(Api::AnthropicMessages, Api::AnthropicMessages);
    let stream = messages(&["one, "]);
    let cut = stream.find("event: content_block_stop").unwrap();
    translator.push(&stream.as_bytes()[..cut], &mut out);
    let estimated = TokenUsage {
        input: Some(1000),
        output: Some(5),
        ..TokenUsage::default()
    };
    assert!(translator.resume(Api::OpenAiChat, &estimated, &mut out));
    let so_far = |translator: &StreamTranslator| {
        let usage = translator.observed().usage.clone().unwrap();
        (usage.input, usage.output)
    };
    assert_eq!(so_far(&translator), (Some(20), Some(5)));
    translator.push(text("two, ").as_bytes(), &mut out);
    assert!(translator.resume(Api::AnthropicMessages, &estimated, &mut out));
    // Both attempts are in what was known; nothing is estimated twice.
    assert_eq!(so_far(&translator), (Some(20), Some(5)));
    translator.push(messages(&["three"]).as_bytes(), &mut out);
    assert_eq!(translator.finish(&mut out), StreamEnd::Complete);
    let (text, usage, complete) = told(Api::AnthropicMessages, &out);
    assert!(complete);
    assert_eq!(text, "one, two, three");
    let usage = usage.unwrap();
    assert_eq!((usage.input, usage.output), (Some(40), Some(14)));
    assert_eq!(so_far(&translator), (Some(40), Some(14)));
}

#[test]
fn thoughts_before_a_continuation_are_left_out_and_calls_behind_it_are_not() {
    let mut out = Vec::new();
    let mut translator = resumable(Api::AnthropicMessages, Api::OpenAiResponses);
    let stream = messages(&["Let me "]);
    let cut = stream.find("event: content_block_stop").unwrap();
    translator.push(&stream.as_bytes()[..cut], &mut out);
    assert!(translator.resume(Api::OpenAiChat, &TokenUsage::default(), &mut out));
    let call = json!({"tool_calls": [{"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}]});
    let next = chat(&json!({"reasoning_content": "secret"}))
        + &text("look.")
        + &chat(&call)
        + &end_of_chat();
    translator.push(next.as_bytes(), &mut out);
    assert_eq!(translator.finish(&mut out), StreamEnd::Complete);
    let written = String::from_utf8_lossy(&out);
    assert!(!written.contains("secret"));
    assert_eq!(told(Api::OpenAiResponses, &out).0, "Let me look.");
    let answer = collected(Api::OpenAiResponses, &out, 1 << 20)
        .unwrap()
        .into_answer();
    let kinds: Vec<_> = answer.choices[0]
        .parts
        .iter()
        .map(|part| &part.kind)
        .collect();
    assert!(
        matches!(
            kinds[..],
            [
                crate::representation::PartKind::Text { .. },
                crate::representation::PartKind::ToolCall(_)
            ]
        ),
        "{kinds:?}"
    );
}

proptest! {
    #[test]
    fn a_continuation_is_the_same_however_it_is_split(
        begun in "[a-c \n\u{e9}]{0,40}",
        repeats in any::<bool>(),
        more in "[a-c \n\u{e9}]{1,20}",
        step in 1_usize..60,
        from in 0_usize..3,
        client in 0_usize..7,
    ) {
        let client = Api::ALL.into_iter().filter(|api| api.has_codec()).nth(client).unwrap();
        let continuation = format!("{}{more}", if repeats { begun.as_str() } else { "" });
        let next = [
            (Api::OpenAiChat, text(&continuation) + &end_of_chat()),
            (Api::AnthropicMessages, messages(&[&continuation])),
            (Api::OpenAiChat, continuation.chars().map(|c| text(&c.to_string())).collect::<String>() + &end_of_chat()),
        ];
        let (api, next) = &next[from];
        let run = |step: usize| {
            let mut out = Vec::new();
            let mut translator = resumable(Api::OpenAiChat, client);
            translator.push(text(&begun).as_bytes(), &mut out);
            assert!(translator.resume(*api, &TokenUsage::default(), &mut out));
            for piece in next.as_bytes().chunks(step) {
                translator.push(piece, &mut out);
            }
            assert_eq!(translator.finish(&mut out), StreamEnd::Complete);
            out
        };
        let (whole, split) = (run(usize::MAX), run(step));
        prop_assert!(whole == split);
        let (written, _, complete) = told(client, &whole);
        prop_assert!(complete);
        prop_assert!(written.starts_with(&begun), "{written:?}");
        if !repeats && begun.len() < 4 && begun.trim_end() == begun {
            prop_assert_eq!(written, begun + &more);
        }
    }
}
