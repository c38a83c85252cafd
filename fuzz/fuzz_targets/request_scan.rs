//! Requests: what is JSON is read, and an edit changes the members that it names and no other byte.
#![no_main]

use bytes::Bytes;
use hermesllm::endpoint::Endpoint;
use hermesllm::request::{ProviderRequest, RequestEdits, MAX_MODEL_BYTES};
use libfuzzer_sys::fuzz_target;
use meseta_fuzz::divided;
use meseta_fuzz::document::Tree;

/// What `seeds.py` counts on: the places in this list.
const ENDPOINTS: [Endpoint; 6] = [
    Endpoint::ChatCompletions,
    Endpoint::Completions,
    Endpoint::Responses,
    Endpoint::Messages,
    Endpoint::Embeddings,
    Endpoint::CountTokens,
];

/// Names that a provider may have for a model, the awkward ones too.
const MODELS: [&str; 4] = ["m", "a/b", "q\"uo\\te\n", "modèle-\u{1f600}"];

fn is_text(tree: &Tree) -> bool {
    matches!(tree, Tree::Text(text) if text.len() <= MAX_MODEL_BYTES)
}

/// Whether usage can be asked for in this request: it streams, and no value of `stream_options` is
/// something that it cannot be.
fn can_ask(endpoint: Endpoint, tree: &Tree) -> bool {
    let mut options = tree
        .members()
        .iter()
        .filter(|(key, _)| key == "stream_options");
    matches!(endpoint, Endpoint::ChatCompletions | Endpoint::Completions)
        && tree.last("stream") == Some(&Tree::Bool(true))
        && options.all(|(_, value)| matches!(value, Tree::Null | Tree::Map(_)))
}

/// A document without the members that an edit may change.
fn untouched(tree: &Tree, model: bool, options: bool) -> Vec<(String, Tree)> {
    let mut kept = Vec::new();
    for (key, value) in tree.members() {
        match key.as_str() {
            "model" if model => {}
            "stream_options" if options => {
                let others = value.members().iter();
                let others = others.filter(|(key, _)| key != "include_usage").cloned();
                kept.extend(others);
            }
            _ => kept.push((key.clone(), value.clone())),
        }
    }
    kept
}

fuzz_target!(|input: &[u8]| {
    let Some(([endpoint, form, ..], body)) = divided(input) else {
        return;
    };
    let endpoint = ENDPOINTS[usize::from(endpoint) % ENDPOINTS.len()];
    let model = MODELS[usize::from(form) % MODELS.len()];
    let (set, ask) = (form & 16 != 0, form & 32 != 0);
    let parsed = ProviderRequest::parse(endpoint, Bytes::copy_from_slice(body));
    let tree = Tree::read(body);
    let request = match parsed {
        Ok(request) => request,
        Err(_) => {
            let Some(tree) = tree else { return };
            let models = tree.members().iter().filter(|(key, _)| key == "model");
            let mut models = models.map(|(_, value)| value);
            assert!(
                !matches!(tree, Tree::Map(_))
                    || !models.all(|value| *value == Tree::Null || is_text(value)),
                "a request that is one was refused"
            );
            return;
        }
    };
    assert_eq!(request.body_len(), body.len());
    assert!(request.prompt_bytes() <= body.len());
    let same = request.edit(&RequestEdits::default());
    assert!(same.to_vec() == body, "without an edit nothing changes");
    let edits = RequestEdits {
        model: set.then_some(model),
        ask_usage: ask,
    };
    let edited = request.edit(&edits);
    assert_eq!(edited.len(), edited.to_vec().len());
    let bytes = edited.to_vec();
    let again = ProviderRequest::parse(endpoint, Bytes::from(bytes.clone()))
        .expect("an edited request is a request");
    let wanted = if set { Some(model) } else { request.model() };
    assert_eq!(again.model(), wanted);
    assert_eq!(again.stream(), request.stream());
    assert_eq!(again.max_output_tokens(), request.max_output_tokens());
    let twice = again.edit(&edits).to_vec();
    assert!(twice == bytes, "what has been edited needs no edit");

    // What nests too deep for a tree, or has half a surrogate pair, is seen by the reader alone.
    let Some(tree) = tree else { return };
    let after = Tree::read(&bytes).expect("JSON in, JSON out");
    assert_eq!(untouched(&after, set, ask), untouched(&tree, set, ask));
    let stream = tree.last("stream") == Some(&Tree::Bool(true));
    assert_eq!(request.stream(), stream);
    if set {
        let mut models = after.members().iter().filter(|(key, _)| key == "model");
        assert!(models.all(|(_, value)| *value == Tree::Text(model.to_owned())));
    }
    if ask && can_ask(endpoint, &tree) {
        assert!(again.include_usage());
    }
});
