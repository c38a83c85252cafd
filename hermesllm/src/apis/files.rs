//! Files that were uploaded to a provider: others do not have them, whatever their APIs take.

use super::SupportedUpstreamAPIs as Api;
use crate::representation::{Blob, Losses, Part, PartKind, Request};

const ELSEWHERE: &str = "the file was uploaded to another provider";

/// Leaves out of a request what only the provider of its own API has.
pub(super) fn leave_out(request: &mut Request, to: Api, losses: &mut Losses) {
    let is_elsewhere = request.api.is_some_and(|from| family(from) != family(to));
    if is_elsewhere {
        for turn in &mut request.turns {
            parts(&mut turn.parts, losses);
        }
    }
}

fn parts(own: &mut Vec<Part>, losses: &mut Losses) {
    own.retain_mut(|part| {
        let is_elsewhere = match &mut part.kind {
            PartKind::Image { source, .. } | PartKind::Audio { source, .. } => is_file(source),
            PartKind::Video(source) => is_file(source),
            PartKind::Document { source, .. } => {
                if let Blob::Parts(inner) = source {
                    parts(inner, losses);
                }
                is_file(source)
            }
            PartKind::ToolResult(result) => {
                parts(&mut result.parts, losses);
                false
            }
            _ => false,
        };
        if is_elsewhere {
            losses.dropped(part.at.clone(), ELSEWHERE);
        }
        !is_elsewhere
    });
}

fn is_file(source: &Blob) -> bool {
    matches!(source, Blob::File { .. })
}

/// The API by which an API's providers are known: those of OpenAI share their files.
fn family(api: Api) -> Api {
    match api {
        Api::OpenAiResponses | Api::OpenAiCompletions => Api::OpenAiChat,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{json, Value};

    use super::*;

    fn written(to: Api) -> (Value, Losses) {
        let file = json!({"type": "input_file", "file_id": "file-1"});
        let text = json!({"type": "input_text", "text": "What is this?"});
        let message = json!({"role": "user", "content": [text, file]});
        let body = json!({"model": "m", "input": [message]});
        let request = Api::OpenAiResponses.read_request(body).unwrap().unwrap();
        let mut losses = Losses::new();
        let written = to.write_request(request, &mut losses).unwrap();
        (written, losses)
    }

    #[test]
    fn a_file_goes_to_the_apis_of_its_provider_alone() {
        for to in [Api::OpenAiResponses, Api::OpenAiChat] {
            let (body, losses) = written(to);
            assert!(body.to_string().contains("file-1"), "{body}");
            assert!(losses.is_empty());
        }
        for to in [Api::AnthropicMessages, Api::Gemini, Api::BedrockConverse] {
            let (body, losses) = written(to);
            assert!(!body.to_string().contains("file-1"), "{body}");
            let loss = losses.as_slice().first().unwrap();
            assert_eq!(
                (&*loss.path, loss.reason),
                ("/input/0/content/1", ELSEWHERE)
            );
        }
    }
}
