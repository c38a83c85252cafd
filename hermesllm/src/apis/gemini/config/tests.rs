use serde_json::json;

use super::super::members::Reading;
use super::*;

/// Reads a config by itself, for tests.
fn read_alone(config: Value) -> Request {
    let mut request = Request {
        api: Some(crate::apis::gemini::API),
        ..Request::default()
    };
    let config = Members::new(config, "/generationConfig", Reading::Strict).unwrap();
    read(config, &mut request).unwrap();
    request
}

fn write_alone(request: Request, losses: &mut Losses) -> Value {
    let same = request.api == Some(crate::apis::gemini::API);
    let settings = Settings {
        max_output: request.max_output,
        sampling: request.sampling,
        stop: request.stop,
        choices: request.choices,
        logprobs: request.logprobs,
        format: request.format,
        reasoning: request.reasoning,
        modalities: request.modalities,
    };
    let mut body = json!({
        "generationConfig": write(settings, &request.model, same, losses)
    });
    crate::apis::gemini::members::restore(&mut body, "", request.extensions, same, losses);
    body["generationConfig"].take()
}

#[test]
fn what_was_read_is_written_as_it_was() {
    for config in [
        json!({"temperature": 0.5, "topP": 1, "topK": 3.0, "seed": 1, "candidateCount": 1,
            "maxOutputTokens": 5, "stopSequences": ["x"], "presencePenalty": 0.1}),
        json!({"responseMimeType": "application/json"}),
        json!({"responseMimeType": "text/plain"}),
        json!({"responseMimeType": "application/json", "responseSchema": {"type": "STRING"}}),
        json!({"responseMimeType": "application/json", "responseJsonSchema": {"type": "string"}}),
        json!({"responseMimeType": "text/x.enum", "responseSchema": {"type": "STRING"}}),
        json!({"responseLogprobs": true, "logprobs": 3}),
        json!({"responseLogprobs": true}),
        json!({"responseModalities": ["TEXT", "IMAGE"], "speechConfig": {"a": 1}}),
        json!({"thinkingConfig": {"thinkingBudget": 0, "new": 1}}),
    ] {
        let mut losses = Losses::new();
        assert_eq!(write_alone(read_alone(config.clone()), &mut losses), config);
        assert!(losses.is_empty(), "{losses:?}");
    }
}

#[test]
fn a_schema_in_the_form_of_openapi_is_json_schema_for_others() {
    let config = json!({"response_mime_type": "application/json",
        "response_schema": {"type": "OBJECT", "nullable": true}});
    let format = read_alone(config).format.unwrap();
    assert_eq!(format.at, "/generationConfig/response_schema");
    let OutputFormat::Schema { schema, .. } = format.value else {
        panic!("no schema")
    };
    assert_eq!(schema["type"], json!(["object", "null"]));
}

#[test]
fn what_this_api_has_no_place_for_is_told() {
    let number = |text: &str| serde_json::from_str::<Number>(text).unwrap();
    let request = Request {
        sampling: Sampling {
            seed: Some(At::new(number("99999999999"), "/seed")),
            min_p: Some(At::new(number("0.1"), "/min_p")),
            logit_bias: Some(At::new(Map::new(), "/logit_bias")),
            ..Sampling::default()
        },
        stop: Some(At::new(
            ["a", "b", "c", "d", "e", "f", ""].map(str::to_owned).into(),
            "/stop",
        )),
        choices: Some(At::new(1, "/n")),
        modalities: Some(At::new(vec!["text".to_owned()], "/modalities")),
        format: Some(At::new(OutputFormat::Text, "/response_format")),
        ..Request::default()
    };
    let mut losses = Losses::new();
    let written = write_alone(request, &mut losses);
    assert_eq!(written, json!({"stopSequences": ["a", "b", "c", "d", "e"]}));
    let paths: Vec<_> = losses.as_slice().iter().map(|loss| &*loss.path).collect();
    assert_eq!(paths, ["/seed", "/min_p", "/logit_bias", "/stop"]);
}
