//! Two answers to the same request, compared: what a mirrored provider would have said.
//!
//! What comes of it holds no word of either answer, so that it may be logged and counted.

use std::collections::HashMap;

use serde_json::Value;

use crate::apis::SupportedUpstreamAPIs as Api;
use crate::representation::{PartKind, ProviderResponse, StopKind};

use super::collected;

/// How two answers differ, in their first choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Difference {
    /// The texts are the same, but for white space at their ends.
    pub same_text: bool,
    /// The same tools are called, in the same order, with arguments that mean the same.
    pub same_tools: bool,
    /// The answers ended for the same reason, in whatever word.
    pub same_finish: bool,
    /// How much the texts have in common: the words that both have, of all words, in percent.
    pub text_similarity: u8,
    /// The lengths of the texts, in bytes.
    pub text_bytes: (u64, u64),
    /// How many tools are called.
    pub tools: (u32, u32),
    /// Output tokens, where they are reported.
    pub output_tokens: (Option<u64>, Option<u64>),
}

/// Compares two answers, each a document or a stream of its API; `None` where one of them is
/// neither, or an error. No more than `max_event_bytes` of one event are held.
pub fn compare(
    one: (Api, &[u8]),
    other: (Api, &[u8]),
    max_event_bytes: usize,
) -> Option<Difference> {
    let one = Said::of(one, max_event_bytes)?;
    let other = Said::of(other, max_event_bytes)?;
    let count = |said: &Said| u32::try_from(said.tools.len()).unwrap_or(u32::MAX);
    Some(Difference {
        same_text: one.text.trim() == other.text.trim(),
        same_tools: one.tools == other.tools,
        same_finish: one.stop == other.stop,
        text_similarity: similarity(&one.text, &other.text),
        text_bytes: (one.text.len() as u64, other.text.len() as u64),
        tools: (count(&one), count(&other)),
        output_tokens: (one.output, other.output),
    })
}

/// What an answer says.
struct Said {
    text: String,
    tools: Vec<(String, Value)>,
    stop: Option<StopKind>,
    output: Option<u64>,
}

impl Said {
    fn of((api, body): (Api, &[u8]), max_event_bytes: usize) -> Option<Self> {
        let answer = match serde_json::from_slice::<Value>(body) {
            Ok(document @ Value::Object(_)) => {
                if api.read_error(200, &document).is_some() {
                    return None;
                }
                api.read_response(document)?.ok()?
            }
            _ => {
                let stream = collected(api, body, max_event_bytes)?;
                if !stream.is_complete() || stream.error().is_some() {
                    return None;
                }
                stream.into_answer()
            }
        };
        Self::of_answer(answer)
    }

    fn of_answer(answer: ProviderResponse) -> Option<Self> {
        let output = answer.usage.and_then(|usage| usage.output);
        let choice = answer.choices.into_iter().next()?;
        let stop = choice.stop.map(|stop| match stop.kind {
            // Some APIs do not tell these apart.
            StopKind::StopSequence => StopKind::End,
            StopKind::Refusal => StopKind::ContentFilter,
            kind => kind,
        });
        let (mut text, mut tools) = (String::new(), Vec::new());
        for part in choice.parts {
            match part.kind {
                PartKind::Text { text: more, .. } | PartKind::Refusal(more) => text.push_str(&more),
                PartKind::ToolCall(call) if !call.by_provider => {
                    let arguments = match serde_json::from_str(&call.arguments) {
                        Ok(Value::Null) => Value::Object(serde_json::Map::new()),
                        Ok(arguments) => arguments,
                        Err(_) if call.arguments.is_empty() => {
                            Value::Object(serde_json::Map::new())
                        }
                        Err(_) => Value::String(call.arguments),
                    };
                    tools.push((call.name, arguments));
                }
                _ => {}
            }
        }
        Some(Self {
            text,
            tools,
            stop,
            output,
        })
    }
}

/// Words in common, of all words (Dice's coefficient), in percent, rounded down: 100 where all are
/// the same, in whatever order, or where there are none.
fn similarity(one: &str, other: &str) -> u8 {
    let mut words: HashMap<&str, usize> = HashMap::new();
    let mut all = 0_usize;
    for word in one.split_whitespace() {
        *words.entry(word).or_default() += 1;
        all += 1;
    }
    let mut common = 0_usize;
    for word in other.split_whitespace() {
        all += 1;
        if let Some(left) = words.get_mut(word).filter(|left| **left > 0) {
            *left -= 1;
            common += 1;
        }
    }
    let percent = common.saturating_mul(200).checked_div(all);
    percent.map_or(100, |percent| u8::try_from(percent).unwrap_or(100))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn answers_of_two_apis_are_compared_by_what_they_say() {
        let chat = |text: &str| {
            json!({"id": "c", "model": "m", "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}], "usage": {"prompt_tokens": 1, "completion_tokens": 5, "total_tokens": 6}}).to_string()
        };
        let stream = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"model\":\"c\",\"content\":[]}}\n\nevent: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"one two three\"}}\n\nevent: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":4}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
        let with = |text: &str| {
            let one = (Api::OpenAiChat, chat(text).into_bytes());
            let other = (Api::AnthropicMessages, stream.as_bytes());
            compare((one.0, &one.1), other, 1 << 20).unwrap()
        };
        let same = with("one two three\n");
        assert!(same.same_text && same.same_tools && same.same_finish);
        assert_eq!(same.text_similarity, 100);
        assert_eq!(same.output_tokens, (Some(5), Some(4)));
        let differs = with("one two four five");
        assert!(!differs.same_text);
        assert_eq!(differs.text_similarity, 57);
        assert_eq!(differs.text_bytes, (17, 13));
        assert_eq!(with("").text_similarity, 0);
        let cut = &stream.as_bytes()[..stream.len() - 60];
        let whole = chat("x");
        let found = compare(
            (Api::AnthropicMessages, cut),
            (Api::OpenAiChat, whole.as_bytes()),
            1 << 20,
        );
        assert_eq!(found, None);
    }

    #[test]
    fn arguments_are_compared_by_what_they_mean() {
        let chat = |arguments: &str| {
            json!({"choices": [{"index": 0, "finish_reason": "tool_calls", "message": {"role": "assistant", "content": null, "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": arguments}}]}}]}).to_string()
        };
        let with = |one: &str, other: &str| {
            let (one, other) = (chat(one), chat(other));
            let api = Api::OpenAiChat;
            compare((api, one.as_bytes()), (api, other.as_bytes()), 1 << 20).unwrap()
        };
        assert!(with("{\"a\":1,\"b\":2}", "{\"b\": 2, \"a\": 1}").same_tools);
        assert!(with("", "{}").same_tools);
        assert!(!with("{\"a\":1}", "{\"a\":2}").same_tools);
        assert_eq!(with("{}", "{}").tools, (1, 1));
    }
}
