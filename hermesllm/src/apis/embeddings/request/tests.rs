use serde_json::json;

use super::*;

const OPENAI: Api = Api::OpenAiEmbeddings;
const COHERE: Api = Api::CohereEmbed;

fn again(api: Api, body: Value) {
    let mut losses = Losses::new();
    let written = translate(api, api, body.clone(), None, &mut losses);
    assert_eq!(written, Ok(body));
    assert!(losses.is_empty(), "{losses:?}");
}

fn way(from: Api, to: Api, body: Value) -> (Value, Vec<String>) {
    let mut losses = Losses::new();
    let written = translate(from, to, body, None, &mut losses).unwrap();
    let losses = losses.as_slice().iter();
    (written, losses.map(|loss| loss.path.to_string()).collect())
}

#[test]
fn requests_come_back_as_they_were() {
    for input in [
        json!("a"),
        json!(["a"]),
        json!(["a", "b"]),
        json!([1, 2]),
        json!([[1], [2, 3]]),
        json!(["a", [1]]),
        json!([{"content": [{"type": "text", "text": "a"}]}]),
        json!([]),
    ] {
        again(OPENAI, json!({"model": "m", "input": input}));
    }
    again(
        OPENAI,
        json!({"model": "m", "input": "a", "dimensions": 3, "encoding_format": "base64",
            "user": "u", "input_type": "query", "truncation": false, "output_dtype": "int8"}),
    );
    again(
        OPENAI,
        json!({"input": "a", "dimensions": -1, "encoding_format": "odd", "output_dimension": 4}),
    );
    again(
        COHERE,
        json!({"model": "m", "texts": ["a"], "images": ["data:,"], "inputs": [{"content": []}],
            "input_type": "image", "embedding_types": ["float", "int8"], "output_dimension": 256,
            "truncate": "START", "max_tokens": 9}),
    );
    again(
        COHERE,
        json!({"texts": ["a"], "embedding_types": ["base64"], "truncate": "ODD"}),
    );
}

#[test]
fn what_cohere_requires_has_a_default() {
    let body = json!({"model": "m", "input": "a", "user": "u", "encoding_format": "base64", "dimensions": 256});
    let (written, losses) = way(OPENAI, COHERE, body);
    assert_eq!(
        written,
        json!({"model": "m", "texts": ["a"], "input_type": "search_document",
            "output_dimension": 256, "truncate": "NONE", "embedding_types": ["float"]})
    );
    assert_eq!(losses, ["/user"]);
}

#[test]
fn what_others_add_to_openais_api_is_understood() {
    let body = json!({"input": ["a"], "input_type": "query", "truncation": true,
        "embedding_types": ["int8"], "output_dimension": 5});
    let (written, losses) = way(OPENAI, COHERE, body);
    assert_eq!(
        written,
        json!({"texts": ["a"], "input_type": "search_query", "truncate": "END",
            "embedding_types": ["int8"], "output_dimension": 5})
    );
    assert!(losses.is_empty(), "{losses:?}");
}

#[test]
fn cohere_to_openai_keeps_texts_and_tells_the_rest() {
    let body = json!({"model": "m", "texts": ["a", "b"], "input_type": "search_query",
        "embedding_types": ["base64"], "truncate": "END", "max_tokens": 5, "output_dimension": 256});
    let (written, losses) = way(COHERE, OPENAI, body);
    assert_eq!(
        written,
        json!({"model": "m", "input": ["a", "b"], "dimensions": 256, "encoding_format": "base64"})
    );
    assert_eq!(losses, ["/input_type", "/truncate", "/max_tokens"]);
    let inputs =
        json!([{"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}]);
    let (written, losses) = way(COHERE, OPENAI, json!({"inputs": inputs}));
    assert_eq!(written["input"], json!(["a\nb"]));
    assert_eq!(losses, ["/inputs/0"]);
}

#[test]
fn an_input_that_cannot_be_embedded_there_is_refused_by_its_place() {
    let image = json!({"content": [{"type": "image_url", "image_url": {"url": "data:,"}}]});
    for (from, to, body, at) in [
        (OPENAI, COHERE, json!({"input": [1, 2]}), "/input"),
        (OPENAI, COHERE, json!({"input": ["a", [1]]}), "/input/1"),
        (
            OPENAI,
            COHERE,
            json!({"input": [{"type": "text"}]}),
            "/input/0",
        ),
        (COHERE, OPENAI, json!({"images": ["data:,"]}), "/images/0"),
        (COHERE, OPENAI, json!({"inputs": [image]}), "/inputs/0"),
        (OPENAI, OPENAI, json!({"input": 1}), "/input"),
        (OPENAI, OPENAI, json!({"model": "m"}), "/input"),
        (COHERE, COHERE, json!({"texts": [1]}), "/texts"),
        (Api::Gemini, COHERE, json!({}), ""),
        (OPENAI, Api::Gemini, json!({"input": "a"}), ""),
    ] {
        let error = translate(from, to, body, None, &mut Losses::new()).unwrap_err();
        assert_eq!(error.at, at);
    }
}

#[test]
fn the_model_is_the_targets_and_the_encoding_the_clients() {
    let body = json!({"model": "alias", "input": "a", "encoding_format": "base64"});
    assert_eq!(encoding(OPENAI, &body), Some(Encoding::Base64));
    assert_eq!(
        encoding(COHERE, &json!({"embedding_types": ["float"]})),
        Some(Encoding::Float)
    );
    assert_eq!(encoding(OPENAI, &json!({})), None);
    let written = translate(OPENAI, COHERE, body, Some("embed-v4.0"), &mut Losses::new());
    assert_eq!(written.unwrap()["model"], "embed-v4.0");
}
