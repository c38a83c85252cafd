//! Every recorded request is read, edited and edited back: nothing but `model` and
//! `stream_options` changes, byte for byte.
//!
//! The recordings are in `$MESETA_CORPUS`, else beside the repository; without them the tests say
//! that they were skipped.
#![allow(clippy::print_stderr)] // A test that is skipped has to be seen.

mod traffic;

use std::collections::BTreeMap;
use std::path::PathBuf;

use bytes::Bytes;
use hermesllm::endpoint::Endpoint;
use hermesllm::request::{ProviderRequest, RequestEdits};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::Value;

const OTHER: &str = "another/\"model\"";

/// What is read of a recording.
#[derive(Deserialize)]
struct Recording<'a> {
    endpoint: String,
    #[serde(borrow)]
    request_body: Option<&'a RawValue>,
    request_body_text: Option<String>,
}

/// A request as it was sent, or as near to it as the recording is.
struct Request {
    file: PathBuf,
    endpoint: Endpoint,
    text: String,
}

impl Request {
    fn parse(&self) -> ProviderRequest {
        parse(self.endpoint, &self.text)
    }
}

fn parse(endpoint: Endpoint, text: &str) -> ProviderRequest {
    ProviderRequest::parse(endpoint, Bytes::copy_from_slice(text.as_bytes())).unwrap()
}

fn edited(request: &ProviderRequest, model: Option<&str>, ask_usage: bool) -> String {
    let body = request.edit(&RequestEdits { model, ask_usage });
    let bytes = body.to_vec();
    assert_eq!(bytes.len(), body.len());
    String::from_utf8(bytes).unwrap()
}

/// Every recorded request of an endpoint that is served.
fn requests() -> Option<Vec<Request>> {
    let found = traffic::files(&[])?;
    let mut requests = Vec::new();
    for file in found {
        let text = std::fs::read_to_string(&file).unwrap();
        let Ok(recording) = serde_json::from_str::<Recording<'_>>(&text) else {
            continue;
        };
        let own = Endpoint::named(&recording.endpoint)
            .filter(|own| own.stream_by_path().is_none() && own.is_of_clients());
        let Some(endpoint) = own else {
            continue;
        };
        let body = recording.request_body.map(RawValue::get);
        let texts = body.filter(|body| body.starts_with('{')).map(str::to_owned);
        for text in texts.into_iter().chain(recording.request_body_text) {
            // As it is in the recording, and as libraries write it.
            let compact = serde_json::from_str::<Value>(&text).map(|value| value.to_string());
            for text in std::iter::once(text).chain(compact) {
                requests.push(Request {
                    file: file.clone(),
                    endpoint,
                    text,
                });
            }
        }
    }
    // The corpus has 800 and more of them: fewer mean that they are not found.
    assert!(requests.len() > 800, "{} requests", requests.len());
    Some(requests)
}

#[test]
fn a_recorded_request_changes_at_the_model_and_nowhere_else() {
    let Some(requests) = requests() else { return };
    let literal = Value::from(OTHER).to_string();
    let mut endpoints: BTreeMap<&str, usize> = BTreeMap::new();
    for recorded in &requests {
        let request = recorded.parse();
        let text = &recorded.text;
        let file = recorded.file.display();
        let value: Value = serde_json::from_str(text).unwrap();
        assert_eq!(request.model(), value["model"].as_str(), "{file}");
        assert_eq!(request.stream(), value["stream"] == true, "{file}");

        let changed = edited(&request, Some(OTHER), false);
        let at = changed.find(&literal).unwrap();
        let (before, after) = (&changed[..at], &changed[at + literal.len()..]);
        if value.get("model").is_some() {
            assert!(text.starts_with(before), "{file}");
            assert!(text.ends_with(after), "{file}");
            let replaced = &text[before.len()..text.len() - after.len()];
            let replaced: Option<String> = serde_json::from_str(replaced).unwrap();
            assert_eq!(replaced.as_deref(), request.model(), "{file}");
            if let Some(model) = request.model() {
                // Back again, and it is the same.
                let back = edited(&parse(recorded.endpoint, &changed), Some(model), false);
                assert_eq!(back, *text, "{file}");
            }
        } else {
            let before = before.strip_suffix("\"model\":").unwrap();
            let after = after.strip_prefix(',').unwrap();
            assert_eq!(format!("{before}{after}"), *text, "{file}");
        }
        assert_eq!(edited(&request, request.model(), false), *text, "{file}");
        assert_eq!(edited(&request, None, false), *text, "{file}");
        *endpoints.entry(recorded.endpoint.as_str()).or_default() += 1;
    }
    eprintln!("{endpoints:?}");
    assert_eq!(endpoints.len(), 6, "{endpoints:?}");
}

#[test]
fn a_recorded_request_is_asked_for_usage_and_nothing_else() {
    let Some(requests) = requests() else { return };
    let (mut inserted, mut unchanged, mut set) = (0, 0, 0);
    for recorded in &requests {
        let request = recorded.parse();
        let text = &recorded.text;
        let file = recorded.file.display();
        let asked = edited(&request, request.model(), true);
        let mut value: Value = serde_json::from_str(text).unwrap();
        let takes_it = matches!(
            recorded.endpoint,
            Endpoint::ChatCompletions | Endpoint::Completions
        );
        if !takes_it || !request.stream() || request.include_usage() {
            assert_eq!(asked, *text, "{file}");
            unchanged += 1;
            continue;
        }
        if value.get("stream_options").is_none() {
            let member = r#","stream_options":{"include_usage":true}"#;
            assert_eq!(asked.replacen(member, "", 1), *text, "{file}");
            inserted += 1;
        } else {
            set += 1;
        }
        assert!(parse(recorded.endpoint, &asked).include_usage(), "{file}");
        value["stream_options"]["include_usage"] = Value::Bool(true);
        assert_eq!(
            serde_json::from_str::<Value>(&asked).unwrap(),
            value,
            "{file}"
        );
    }
    eprintln!("inserted {inserted}, set {set}, unchanged {unchanged}");
    assert!(inserted > 0 && set > 0 && unchanged > 0);
}

#[test]
fn the_prompt_of_a_recorded_request_has_a_length() {
    let Some(requests) = requests() else { return };
    for recorded in &requests {
        let request = recorded.parse();
        let value: Value = serde_json::from_str(&recorded.text).unwrap();
        let prompts = ["messages", "input", "prompt"];
        if prompts.iter().any(|key| value.get(key).is_some()) {
            let file = recorded.file.display();
            assert!(request.prompt_bytes() > 0, "{file}");
            assert!(request.prompt_bytes() < request.body_len(), "{file}");
        }
    }
}
