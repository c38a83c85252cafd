//! Recorded exchanges, for the APIs that have a codec.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::apis::SupportedUpstreamAPIs as Api;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Answer,
    Stream,
    /// An error, or no answer at all.
    Other,
}

pub(super) struct Recording {
    pub(super) id: String,
    pub(super) api: Api,
    pub(super) kind: Kind,
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
    pub(super) request: Option<Value>,
}

impl Recording {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

fn api(endpoint: &str) -> Option<Api> {
    let api = match endpoint {
        "chat_completions" => Api::OpenAiChat,
        "completions" => Api::OpenAiCompletions,
        "responses" => Api::OpenAiResponses,
        "messages" => Api::AnthropicMessages,
        "generate_content" => Api::Gemini,
        "converse" => Api::BedrockConverse,
        "v2_chat" => Api::CohereChat,
        _ => return None,
    };
    api.has_codec().then_some(api)
}

/// All of them; `None`, said aloud, without a corpus.
pub(super) fn all() -> Option<Vec<Recording>> {
    let root = std::env::var_os("MESETA_CORPUS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus"),
        PathBuf::from,
    );
    if !root.is_dir() {
        eprintln!("skipped: no corpus at {}", root.display());
        return None;
    }
    let mut files = Vec::new();
    let mut folders = vec![root];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "json") {
                files.push(path);
            }
        }
    }
    files.sort();
    Some(files.iter().filter_map(|file| recording(file)).collect())
}

fn recording(file: &Path) -> Option<Recording> {
    let value: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    let endpoint = value["endpoint"].as_str()?;
    let api = api(endpoint)?;
    let status = u16::try_from(value["response_status"].as_u64().unwrap_or(0)).unwrap();
    let succeeded = (200..300).contains(&status);
    let (kind, body) = match value["response_format"].as_str() {
        Some("json") if succeeded => (
            match &value["response_body"] {
                // A stream of Gemini's may be one JSON array.
                Value::Array(_) => Kind::Stream,
                Value::Object(body) if !body.contains_key("error") => Kind::Answer,
                _ => Kind::Other,
            },
            serde_json::to_vec(&value["response_body"]).unwrap(),
        ),
        Some("sse") if succeeded => (
            Kind::Stream,
            value["response_stream"].as_str()?.as_bytes().to_vec(),
        ),
        Some("aws-eventstream") if succeeded => (
            Kind::Stream,
            revealed(value["response_stream_base64"].as_str()?),
        ),
        _ => (Kind::Other, Vec::new()),
    };
    let request = value["request_body"].clone();
    Some(Recording {
        id: format!(
            "{}/{endpoint}/{}",
            value["provider"].as_str().unwrap_or_default(),
            value["id"].as_str().unwrap_or_default()
        ),
        api,
        kind,
        status,
        body,
        request: request.is_object().then_some(request),
    })
}

/// Bytes from base64.
fn revealed(text: &str) -> Vec<u8> {
    let digit = |byte: u8| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let digits: Vec<u8> = text.bytes().filter_map(digit).collect();
    let mut bytes = Vec::new();
    for group in digits.chunks(4) {
        let bits = group
            .iter()
            .fold(0_u32, |bits, digit| bits << 6 | u32::from(*digit))
            << (6 * (4 - group.len()));
        let all = bits.to_be_bytes();
        bytes.extend_from_slice(&all[1..group.len()]);
    }
    bytes
}
