//! Embeddings against every recording of OpenAI's API and of Cohere's.

// A test that skips, or counts, says so where test output is read.
#![allow(clippy::print_stderr)]

mod traffic;

use std::fs;

use hermesllm::apis::embeddings::{request, response, Encoding, Input, Vector};
use hermesllm::apis::SupportedUpstreamAPIs::{self as Api, CohereEmbed, OpenAiEmbeddings};
use hermesllm::representation::Losses;
use serde_json::Value;
use traffic::json::{difference, without_nulls};

struct Recording {
    api: Api,
    name: String,
    status: u16,
    request: Value,
    answer: Value,
}

/// Every recording of the APIs, by whatever provider; `None`, said aloud, without a corpus.
fn recordings() -> Option<Vec<Recording>> {
    let mut recordings = Vec::new();
    for (api, endpoint) in [(OpenAiEmbeddings, "embeddings"), (CohereEmbed, "v2_embed")] {
        for file in traffic::files(&[endpoint])? {
            let mut json: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
            recordings.push(Recording {
                api,
                name: file.file_stem().unwrap().to_str().unwrap().to_owned(),
                status: json["response_status"].as_u64().unwrap() as u16,
                request: json["request_body"].take(),
                answer: json["response_body"].take(),
            });
        }
    }
    assert!(recordings.len() > 40, "a corpus holds more recordings");
    Some(recordings)
}

fn other(api: Api) -> Api {
    match api {
        CohereEmbed => OpenAiEmbeddings,
        _ => CohereEmbed,
    }
}

#[test]
fn every_request_comes_back_as_it_was_and_asks_the_other_api_for_the_same() {
    let Some(recordings) = recordings() else {
        return;
    };
    let (mut count, mut translated, mut refused) = (0, 0, 0);
    for Recording {
        api,
        name,
        request: body,
        ..
    } in recordings
    {
        let mut losses = Losses::new();
        let read = request::read(api, body.clone()).expect(&name);
        let written = request::write(api, read.clone(), &mut losses).expect(&name);
        assert!(losses.is_empty(), "{name}: {losses:?}");
        assert_eq!(
            without_nulls(written),
            without_nulls(body.clone()),
            "{name}"
        );
        count += 1;
        let to = other(api);
        let has_tokens = |at: &Input| matches!(at, Input::Tokens(_));
        match request::translate(api, to, body.clone(), None, &mut losses) {
            Ok(written) => {
                let again = request::read(to, written).expect(&name);
                let inputs = |own: &hermesllm::apis::embeddings::EmbeddingRequest| -> Vec<Input> {
                    own.inputs.iter().map(|input| input.value.clone()).collect()
                };
                assert_eq!(inputs(&again), inputs(&read), "{name}");
                translated += 1;
            }
            Err(error) => {
                assert!(
                    read.inputs.iter().any(|input| has_tokens(&input.value)),
                    "{name}: {error}"
                );
                refused += 1;
            }
        }
        for loss in losses.as_slice() {
            assert!(
                body.pointer(&loss.path).is_some(),
                "{name}: {} leads nowhere",
                loss.path
            );
        }
    }
    eprintln!("{count} requests came back as they were; {translated} were translated, {refused} of tokens refused");
}

#[test]
fn every_answer_comes_back_as_it_was() {
    let Some(recordings) = recordings() else {
        return;
    };
    let (mut count, mut errors) = (0, 0);
    for Recording {
        api,
        name,
        status,
        answer: mut body,
        ..
    } in recordings
    {
        if status >= 400 {
            let error = response::read_error(api, status, &body).expect(&name);
            assert!(!error.message.is_empty(), "{name}");
            let to = other(api);
            let there = response::write_error(to, &error).unwrap();
            let again = response::read_error(to, status, &there).unwrap();
            assert_eq!(again.message, error.message, "{name}");
            errors += 1;
            continue;
        }
        let mut losses = Losses::new();
        let written = response::translate(api, api, body.clone(), None, None, &mut losses);
        assert!(losses.is_empty(), "{name}: {losses:?}");
        if api == OpenAiEmbeddings {
            // Copilot leaves it out.
            let object = body.as_object_mut().unwrap();
            object.entry("object").or_insert("list".into());
        }
        assert_eq!(
            difference(&without_nulls(written.unwrap()), &without_nulls(body), ""),
            None,
            "{name}"
        );
        count += 1;
    }
    eprintln!("{count} answers came back as they were; {errors} errors kept their message");
}

#[test]
fn every_vector_is_the_same_in_the_other_api_and_in_either_encoding() {
    let Some(recordings) = recordings() else {
        return;
    };
    let (mut count, mut as_text) = (0, 0);
    for Recording {
        api,
        name,
        status,
        answer: body,
        ..
    } in recordings
    {
        // Perplexity's base64 is of one byte for each number.
        if status >= 400 || name.contains("perplexity-int8") {
            continue;
        }
        let to = other(api);
        let way = |from, to, body: Value, encoding| {
            let mut losses = Losses::new();
            response::translate(from, to, body, Some("m"), encoding, &mut losses).expect(&name)
        };
        let floats = |api, body: Value| -> Vec<Vec<f32>> {
            let numbers = way(api, api, body, Some(Encoding::Float));
            let read = response::read(api, numbers).expect(&name);
            let vectors = read.vectors.into_iter().map(|own| match own.vector {
                Vector::Floats(numbers) => {
                    numbers.iter().map(|n| n.as_f64().unwrap() as f32).collect()
                }
                other => panic!("{name}: {other:?}"),
            });
            vectors.collect()
        };
        let before = floats(api, body.clone());
        assert!(
            !before.is_empty() && before.iter().all(|own| own.len() > 8),
            "{name}"
        );
        for encoding in [None, Some(Encoding::Float), Some(Encoding::Base64)] {
            let there = way(api, to, body.clone(), encoding);
            if encoding == Some(Encoding::Base64) {
                let read = response::read(to, there.clone()).unwrap();
                let is_text = |own: &Vector| matches!(own, Vector::Base64(_));
                assert!(
                    read.vectors.iter().all(|own| is_text(&own.vector)),
                    "{name}"
                );
                as_text += read.vectors.len();
            }
            assert!(floats(to, there.clone()) == before, "{name}: there");
            let back = way(to, api, there.clone(), encoding);
            assert!(floats(api, back) == before, "{name}: and back");
            let usage =
                |api, body: Value| response::read(api, body).unwrap().usage.input.unwrap_or(0);
            assert_eq!(usage(to, there), usage(api, body.clone()), "{name}");
        }
        count += before.len();
    }
    eprintln!("{count} vectors are the same in the other API, {as_text} of them as base64");
}
