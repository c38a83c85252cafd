use serde_json::json;

use super::*;

const OPENAI: Api = Api::OpenAiEmbeddings;
const COHERE: Api = Api::CohereEmbed;

fn again(api: Api, body: Value) {
    let mut losses = Losses::new();
    let written = translate(api, api, body.clone(), Some("asked"), None, &mut losses);
    assert_eq!(written, Ok(body));
    assert!(losses.is_empty(), "{losses:?}");
}

fn way(from: Api, to: Api, body: Value, encoding: Option<Encoding>) -> (Value, Vec<String>) {
    let mut losses = Losses::new();
    let written = translate(from, to, body, Some("asked"), encoding, &mut losses).unwrap();
    let losses = losses.as_slice().iter();
    (written, losses.map(|loss| loss.path.to_string()).collect())
}

#[test]
fn answers_come_back_as_they_were() {
    again(
        OPENAI,
        json!({"id": "i", "object": "list", "model": "m", "odd": 1,
            "data": [{"object": "embedding", "index": 0, "embedding": [0, 0.5, -0.033966064453125]},
                {"object": "embedding", "index": 1, "embedding": "AACAPw==", "odd": 2},
                {"index": 2, "embedding": {"indices": [1]}}],
            "usage": {"prompt_tokens": 1, "total_tokens": 2, "cost": 0.1}}),
    );
    again(
        OPENAI,
        json!({"object": "list", "data": [], "usage": {"total_tokens": 3}}),
    );
    again(
        COHERE,
        json!({"id": "i", "texts": ["a"], "response_type": "embeddings_by_type", "odd": 1,
            "embeddings": {"float": [[0.5, 1]], "int8": [[1, 2]], "base64": ["AACAPw=="]},
            "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": 1, "image_tokens": 0},
                "warnings": ["w"]}}),
    );
}

#[test]
fn a_client_that_asked_for_base64_gets_it_and_one_that_did_not_gets_numbers() {
    let floats = json!({"id": "i", "embeddings": {"float": [[1, -2.5]]}, "meta": {"billed_units": {"input_tokens": 4, "image_tokens": 3}}});
    let (written, losses) = way(COHERE, OPENAI, floats.clone(), Some(Encoding::Base64));
    assert_eq!(
        written,
        json!({"id": "i", "object": "list", "model": "asked",
            "data": [{"object": "embedding", "index": 0, "embedding": "AACAPwAAIMA="}],
            "usage": {"prompt_tokens": 7, "total_tokens": 7}})
    );
    assert!(losses.is_empty(), "{losses:?}");
    let (written, _) = way(COHERE, OPENAI, floats, None);
    assert_eq!(written["data"][0]["embedding"], json!([1, -2.5]));
    let text = json!({"embeddings": {"base64": ["AACAPwAAIMA="]}});
    let (written, _) = way(COHERE, OPENAI, text, None);
    assert_eq!(written["data"][0]["embedding"], json!([1.0, -2.5]));
}

#[test]
fn vectors_of_other_types_are_told() {
    let body = json!({"embeddings": {"float": [[1]], "int8": [[2]]}, "meta": {"warnings": ["w"]}});
    let (written, losses) = way(COHERE, OPENAI, body, None);
    assert_eq!(written["data"][0]["embedding"], json!([1]));
    assert_eq!(losses, ["/embeddings/int8", "/meta/warnings"]);
    let (written, losses) = way(COHERE, OPENAI, json!({"embeddings": {"int8": [[2]]}}), None);
    assert_eq!(written["data"][0]["embedding"], json!([2]));
    assert_eq!(losses, ["/embeddings/int8"]);
}

#[test]
fn openai_to_cohere_keeps_vectors_by_their_numbers() {
    let body = json!({"model": "m", "data": [{"index": 1, "embedding": [2]}, {"index": 0, "embedding": [1]}],
        "usage": {"prompt_tokens": 3, "total_tokens": 3, "cost": 1}});
    let (written, losses) = way(OPENAI, COHERE, body, None);
    assert_eq!(
        written,
        json!({"id": "", "response_type": "embeddings_by_type", "embeddings": {"float": [[1], [2]]},
            "meta": {"billed_units": {"input_tokens": 3}}})
    );
    assert_eq!(losses, ["/usage/cost"]);
}

#[test]
fn what_is_no_list_of_floats_stays_as_it_is() {
    // 256 bytes of int8, as Perplexity has them, are no floats where they are not four bytes each.
    let body = json!({"data": [{"embedding": "AAAA"}, {"embedding": [1e300]}]});
    let (written, losses) = way(OPENAI, OPENAI, body.clone(), Some(Encoding::Float));
    assert_eq!(written["data"][0]["embedding"], "AAAA");
    assert_eq!(losses, ["/data/0/embedding"]);
    let (written, losses) = way(OPENAI, OPENAI, body, Some(Encoding::Base64));
    assert_eq!(written["data"][1]["embedding"], json!([1e300]));
    assert_eq!(losses, ["/data/1/embedding"]);
}

#[test]
fn errors_keep_their_message() {
    let error = read_error(COHERE, 429, &json!({"id": "i", "message": "slow"})).unwrap();
    let written = write_error(OPENAI, &error).unwrap();
    assert_eq!(written["error"]["message"], "slow");
    assert_eq!(written["error"]["type"], "rate_limit_error");
    let back = read_error(OPENAI, 429, &written).unwrap();
    assert_eq!(write_error(COHERE, &back), Some(json!({"message": "slow"})));
    assert_eq!(read_error(Api::Gemini, 429, &written), None);
}

#[test]
fn nothing_makes_an_answer_unreadable() {
    for body in [
        json!(null),
        json!({"data": [1, {}, {"embedding": ["x"]}], "usage": 1}),
        json!({"embeddings": [[1]], "meta": 1}),
        json!({"embeddings": {"float": {"a": 1}, "int8": 7}, "meta": {"billed_units": []}}),
    ] {
        for (from, to) in [
            (OPENAI, COHERE),
            (COHERE, OPENAI),
            (OPENAI, OPENAI),
            (COHERE, COHERE),
        ] {
            for encoding in [None, Some(Encoding::Float), Some(Encoding::Base64)] {
                way(from, to, body.clone(), encoding);
            }
        }
    }
}
