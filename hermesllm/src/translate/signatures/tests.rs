use serde_json::{json, Value};

use super::*;
use crate::apis::WriteOptions;
use crate::translate::{self, RequestOptions, StreamTranslator};

/// An answer of Gemini's with a signed call.
fn signed() -> Value {
    json!({
        "candidates": [{"index": 0, "finishReason": "STOP", "content": {"role": "model", "parts": [
            {"text": "Hm.", "thought": true},
            {"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "c2ln"},
            {"functionCall": {"name": "g", "args": {}}},
        ]}}],
        "modelVersion": "gemini-x",
    })
}

fn answered(from: Api, to: Api, body: &Value) -> Value {
    let body = body.to_string();
    let options = WriteOptions::default();
    let answer = translate::response(from, to, 200, body.as_bytes(), &options).unwrap();
    serde_json::from_slice(&answer.body).unwrap()
}

fn asked(from: Api, to: Api, body: &Value) -> (Value, Vec<String>) {
    let body = body.to_string();
    let options = RequestOptions::default();
    let request = translate::request(from, to, body.as_bytes(), &options).unwrap();
    let losses = request.losses.as_slice().iter().map(ToString::to_string);
    let losses = losses.collect();
    (serde_json::from_slice(&request.body).unwrap(), losses)
}

/// The next turn of a client of Anthropic's, which sends back what it got.
fn next_turn(content: &Value) -> Value {
    json!({"model": "m", "max_tokens": 5, "messages": [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": content},
    ]})
}

#[test]
fn a_signed_call_comes_back_signed_through_an_api_that_signs_thoughts_alone() {
    let answer = answered(Api::Gemini, Api::AnthropicMessages, &signed());
    let kinds: Vec<_> = answer["content"].as_array().unwrap().iter().collect();
    assert_eq!(kinds.len(), 4, "{answer}");
    assert_eq!(kinds[1]["signature"], Signer::Gemini.mark("c2ln"));
    let (request, _) = asked(
        Api::AnthropicMessages,
        Api::Gemini,
        &next_turn(&answer["content"]),
    );
    let parts = request["contents"][1]["parts"].as_array().unwrap();
    let calls: Vec<_> = parts
        .iter()
        .filter(|part| part.get("functionCall").is_some())
        .map(|part| part.get("thoughtSignature").and_then(Value::as_str))
        .collect();
    assert_eq!(calls, [Some("c2ln"), None], "{request}");
}

#[test]
fn each_provider_gets_its_own_signatures_and_no_other() {
    let answer = answered(Api::Gemini, Api::AnthropicMessages, &signed());
    for other in [Api::BedrockConverse, Api::OpenAiResponses, Api::OpenAiChat] {
        let turn = next_turn(&answer["content"]);
        let (request, losses) = asked(Api::AnthropicMessages, other, &turn);
        assert!(!request.to_string().contains("c2ln"), "{request}");
        assert!(
            losses.iter().any(|loss| loss.contains(FOREIGN)),
            "{losses:?}"
        );
    }
    // What has no mark is of the client's own API.
    let thought = json!([{"type": "thinking", "thinking": "Hm.", "signature": "b3du"}]);
    for (other, goes_on) in [(Api::BedrockConverse, true), (Api::Gemini, false)] {
        let (request, losses) = asked(Api::AnthropicMessages, other, &next_turn(&thought));
        assert_eq!(request.to_string().contains("b3du"), goes_on, "{request}");
        assert_eq!(losses.is_empty(), goes_on, "{losses:?}");
    }
}

#[test]
fn encrypted_thoughts_of_openai_survive_a_client_of_anthropic() {
    let answer = json!({"id": "r", "object": "response", "status": "completed", "output": [
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "c2Vj"}]});
    let answer = answered(Api::OpenAiResponses, Api::AnthropicMessages, &answer);
    let redacted = &answer["content"][0];
    assert_eq!(redacted["data"], Signer::OpenAi.mark("c2Vj"), "{answer}");
    let turn = next_turn(&answer["content"]);
    let (request, _) = asked(Api::AnthropicMessages, Api::OpenAiResponses, &turn);
    assert!(request.to_string().contains("\"c2Vj\""), "{request}");
    let (request, losses) = asked(Api::AnthropicMessages, Api::BedrockConverse, &turn);
    assert!(!request.to_string().contains("c2Vj") && !losses.is_empty());
}

#[test]
fn a_stream_says_the_same_as_a_document() {
    let stream = format!("data: {}\n\n", signed());
    for (to, places) in [
        (Api::AnthropicMessages, 1),
        (Api::BedrockConverse, 1),
        (Api::OpenAiResponses, 2),
    ] {
        let options = WriteOptions::default();
        let mut translator = StreamTranslator::new(Api::Gemini, to, options, 1 << 20).unwrap();
        let mut out = Vec::new();
        translator.push(stream.as_bytes(), &mut out);
        translator.finish(&mut out);
        assert!(translator.losses().is_empty(), "{:?}", translator.losses());
        let text = String::from_utf8_lossy(&out);
        assert_eq!(
            text.matches(&Signer::Gemini.mark("c2ln")).count(),
            places,
            "{text}"
        );
        assert!(
            text.find(&Signer::Gemini.mark("c2ln")) < text.find("\"f\""),
            "{text}"
        );
    }
    // Chat has a place of Gemini's own for it.
    let mut out = Vec::new();
    let options = WriteOptions::default();
    let mut translator =
        StreamTranslator::new(Api::Gemini, Api::OpenAiChat, options, 1 << 20).unwrap();
    translator.push(stream.as_bytes(), &mut out);
    let text = String::from_utf8_lossy(&out);
    assert!(text.contains("\"thought_signature\":\"c2ln\""), "{text}");
}

#[test]
fn a_secret_in_pieces_is_marked_as_a_whole() {
    let mut marking = Marking::between(Api::AnthropicMessages, Api::Gemini).unwrap();
    let mut seen = Vec::new();
    let (choice, block) = (0, 1);
    let piece = |text: &'static str| Event::Delta {
        choice,
        block,
        delta: Delta::Signature(text.into()),
    };
    let kind = BlockKind::Reasoning {
        id: None,
        encrypted: None,
    };
    let start = Event::BlockStart {
        choice,
        block,
        kind,
    };
    let stop = Event::BlockStop { choice, block };
    for event in [start, piece("a"), piece("b"), stop] {
        marking.event(event, &mut |event| {
            if let Event::Delta { delta, .. } = event {
                seen.push(delta.into_owned());
            }
        });
    }
    let whole = Signer::Anthropic.mark("ab");
    assert_eq!(seen, [Delta::Signature(whole.into())]);
    assert!(Marking::between(Api::AnthropicMessages, Api::BedrockConverse).is_none());
    assert!(Marking::between(Api::OpenAiChat, Api::Gemini).is_none());
}

#[test]
fn a_mark_is_known_in_either_alphabet_and_without_padding() {
    for signature in ["c2ln", "+/+/", "~?>~?>", "a"] {
        let marked = Signer::Anthropic.mark(signature);
        let url_safe = marked.replace('+', "-").replace('/', "_");
        for text in [marked.as_str(), &url_safe, marked.trim_end_matches('=')] {
            let expected = (Signer::Anthropic, signature.to_owned());
            assert_eq!(unmarked(text), Some(expected), "{text}");
        }
    }
    for other in [
        "",
        "c2ln",
        "bWVzZXRhL",
        "bWVzZXRhLm5vYm9keTph",
        "bWVzZXRhL!",
    ] {
        assert_eq!(unmarked(other), None, "{other}");
    }
}
