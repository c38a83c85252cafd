//! Request bodies: a conversation with a tool, as long as it has to be.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use hermesllm::apis::SupportedUpstreamAPIs as Api;
use hermesllm::translate::{self, RequestOptions};
use serde_json::{json, Value};

/// How long a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Size {
    /// A first question.
    Kilobyte,
    /// A conversation that has gone on for long.
    Megabyte,
}

impl Size {
    /// Each of them.
    pub const ALL: [Self; 2] = [Self::Kilobyte, Self::Megabyte];

    fn bytes(self) -> usize {
        match self {
            Self::Kilobyte => 1 << 10,
            Self::Megabyte => 1 << 20,
        }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kilobyte => "1KB",
            Self::Megabyte => "1MB",
        })
    }
}

/// What people and models say: mostly ASCII, with quotes, line breaks and a few other letters.
const SENTENCES: [&str; 6] = [
    "The harbour of Porto is older than most of the bridges that cross the river behind it.",
    "She asked: \"How far is it from the café to the station?\"\n",
    "It depends on the way; along the water it takes some twenty minutes, uphill a little less.\n\n",
    "1. Walk down to the quay.\n2. Turn left at the cellars.\n3. Follow the tram.",
    "Nothing in the timetable says so, but the last tram waits until the boat has landed.",
    "Bring a coat – the wind from the Atlantic is cold even in July.",
];

/// What an assistant writes between two answers of a tool.
const PARAGRAPH: usize = 1500;

/// A request of chat completions of exactly this size.
fn chat(size: Size) -> Result<Value> {
    let mut body = json!({
        "model": "gpt-4.1-mini",
        "messages": [
            {"role": "system", "content": "You are a guide. Answer in a few words."},
            {"role": "user", "content": "How do I get to the river?"},
        ],
        "temperature": 0.2,
        "max_tokens": 512,
        "stream": true,
        "tools": [{
            "type": "function",
            "function": {
                "name": "find_way",
                "description": "Finds the way between two places of a city.",
                "parameters": {
                    "type": "object",
                    "properties": {
                        "from": {"type": "string", "description": "Where it begins."},
                        "to": {"type": "string", "description": "Where it ends."},
                    },
                    "required": ["from", "to"],
                },
            },
        }],
    });
    let mut length = body.to_string().len();
    let mut turn = 0;
    while length + 4 * PARAGRAPH < size.bytes() {
        let turns = turns(turn);
        // Each with the comma before it.
        length += turns
            .iter()
            .map(|own| own.to_string().len() + 1)
            .sum::<usize>();
        messages(&mut body)?.extend(turns);
        turn += 1;
    }
    let last = json!({"role": "user", "content": ""});
    let room = size
        .bytes()
        .saturating_sub(length + last.to_string().len() + 1);
    let content = "and then on to the sea? ".chars().cycle().take(room);
    let content: String = content.collect();
    messages(&mut body)?.push(json!({"role": "user", "content": content}));
    Ok(body)
}

fn messages(body: &mut Value) -> Result<&mut Vec<Value>> {
    let messages = body.get_mut("messages").and_then(Value::as_array_mut);
    messages.context("the conversation has no messages")
}

/// A question, the call of a tool, its result and an answer.
fn turns(number: usize) -> [Value; 4] {
    let id = format!("call_{number:08}");
    let call = json!({"from": "Ribeira", "to": "Foz", "stop": number}).to_string();
    [
        json!({"role": "user", "content": text(number, 200)}),
        json!({
            "role": "assistant",
            "content": null,
            "tool_calls": [{
                "id": id,
                "type": "function",
                "function": {"name": "find_way", "arguments": call},
            }],
        }),
        json!({"role": "tool", "tool_call_id": id, "content": text(number + 1, 600)}),
        json!({"role": "assistant", "content": text(number + 2, PARAGRAPH)}),
    ]
}

/// Sentences that come to about this many bytes.
fn text(from: usize, bytes: usize) -> String {
    let mut text = String::new();
    for sentence in SENTENCES.iter().cycle().skip(from % SENTENCES.len()) {
        if text.len() >= bytes {
            break;
        }
        text.push_str(sentence);
        text.push(' ');
    }
    text
}

/// The body of a request in an API: of the size, but for what the API needs more or fewer words for.
/// Each is made once.
pub(crate) fn body(api: Api, size: Size) -> Result<Bytes> {
    static MADE: Mutex<BTreeMap<(Api, Size), Bytes>> = Mutex::new(BTreeMap::new());
    let known = |key| {
        let made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
        made.get(&key).cloned()
    };
    if let Some(body) = known((api, size)) {
        return Ok(body);
    }
    let body: Bytes = if api == Api::OpenAiChat {
        chat(size)?.to_string().into()
    } else {
        let chat = body(Api::OpenAiChat, size)?;
        let options = RequestOptions::default();
        let translated = translate::request(Api::OpenAiChat, api, &chat, &options);
        translated
            .with_context(|| format!("no body for {api}"))?
            .body
            .into()
    };
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(made.entry((api, size)).or_insert(body).clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_is_as_long_as_it_is_said_to_be() {
        for size in Size::ALL {
            assert_eq!(body(Api::OpenAiChat, size).unwrap().len(), size.bytes());
            for api in Api::ALL.into_iter().filter(|api| api.has_codec()) {
                let length = body(api, size).unwrap().len();
                assert!(length > size.bytes() / 2, "{api}: {length}");
                assert!(length < size.bytes() * 2, "{api}: {length}");
            }
        }
    }
}
