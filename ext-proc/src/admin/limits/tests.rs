//! Questions as an operator asks them.

use std::path::Path;
use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;
use meseta_limits::Amounts;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::matching::Charged;
use super::*;
use crate::admin::testing;
use crate::service::Shared;

/// The SHA-256 of `key-of-alice`.
const CONFIG: &str = "
listeners: [{name: front, port: 0}, {name: back, port: 0}]
model_providers:
  - {model: ollama/a}
  - {model: openai/b, access_key: $KEY}
models:
  smart: {targets: [ollama/a, openai/b]}
limits:
  - {name: per-key, unit: tokens, limit: 1000, per: minute, burst: 5000}
  - {name: all, unit: requests, limit: 10, per: day}
  - {name: of-openai, unit: requests, limit: 5, per: second, match: {provider: openai}}
  - {name: teams, unit: requests, limit: 5, per: hour, match: {header: x-team, listener: front}}
  - {name: red, unit: requests, limit: 5, per: hour, match: {header: {x-team: red-secret}}}
  - {name: people, unit: input_tokens, limit: 5, per: month, match: {claim: jwt_payload.sub, model: smart}}
  - {name: bobs, unit: output_tokens, limit: 5000, per: day, match: {consumer: [alice, o*]}}
keys:
  - {name: alice, hash: HASH, limits: [per-key], models: [smart]}
  - {name: old, hash: 'sha256:0000000000000000000000000000000000000000000000000000000000000000', expires: 2001-01-01T00:00:00Z}
server: {meter: METER}
";

fn digest(text: &[u8]) -> Vec<u8> {
    Sha256::digest(text).to_vec()
}

fn shared(meter: &str, egress: Option<&Path>) -> Arc<Shared> {
    let hash: String = digest(b"key-of-alice")
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let text = CONFIG
        .replace("HASH", &format!("'sha256:{hash}'"))
        .replace("METER", meter);
    testing::shared(testing::config(&text), egress)
}

async fn send(shared: &Arc<Shared>, request: Request<Body>) -> (StatusCode, Value) {
    let (status, body) = testing::send(shared, request).await;
    (status, serde_json::from_slice(&body).unwrap())
}

async fn ask(shared: &Arc<Shared>, question: &Value) -> (StatusCode, Value) {
    let request = Request::post("/limits/explain")
        .header("content-type", "application/json")
        .body(Body::from(question.to_string()))
        .unwrap();
    send(shared, request).await
}

/// The rules of a case, each as its name and a few of its fields.
fn told(case: &Value) -> Vec<(String, Value)> {
    let rules = case["rules"].as_array().unwrap().iter();
    rules
        .map(|rule| {
            let name = rule["rule"].as_str().unwrap().to_owned();
            let said = match rule["matches"].as_bool().unwrap() {
                true => json!([
                    rule["subject"]["kind"],
                    rule["subject"]["value"],
                    rule["remaining"]
                ]),
                false => rule["reasons"].clone(),
            };
            (name, said)
        })
        .collect()
}

#[tokio::test]
async fn each_limit_is_told_with_whose_count_it_is_or_why_it_is_none() {
    let shared = shared("native", None);
    let question = json!({
        "key_name": "alice", "model": "smart", "listener": "back", "headers": {"X-Team": "blue"},
        "claims": {"jwt_payload": {"sub": "u-1"}},
    });
    let (status, answer) = ask(&shared, &question).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!(answer["refused"], Value::Null);
    assert_eq!(
        (&answer["consumer"], &answer["by_key"]),
        (&json!("alice"), &json!(true))
    );
    assert_eq!(
        (&answer["pool"], &answer["meter"]),
        (&json!("smart"), &json!("native"))
    );
    let cases = answer["cases"].as_array().unwrap();
    assert_eq!(
        cases.len(),
        2,
        "one target has a limit that the other has not: {answer}"
    );
    assert_eq!(cases[0]["targets"], json!(["ollama/a"]));
    let reason = |part: &str, text: &str| json!([{"part": part, "text": text}]);
    let expected = [
        ("per-key", json!(["consumer", "alice", 5000])),
        ("all", json!(["all", "", 10])),
        ("of-openai", reason("provider", "it is for `openai`")),
        ("teams", reason("listener", "it is for `front`")),
        (
            "red",
            reason("header", "the header `x-team` has another value"),
        ),
        ("people", json!(["claim", "u-1", 5])),
        ("bobs", json!(["consumer", "alice", 5000])),
    ];
    let expected = expected.map(|(name, said)| (name.to_owned(), said));
    assert_eq!(told(&cases[0]), expected);
    assert_eq!(told(&cases[1])[2].1, json!(["all", "", 5]));
    assert_eq!(cases[0]["rules"][0]["burst"], json!(5000));
    assert_eq!(cases[0]["rules"][1]["burst"], Value::Null, "{answer}");
    assert!(!answer.to_string().contains("red-secret"), "{answer}");
}

#[tokio::test]
async fn figures_are_those_of_the_meter_and_asking_changes_none() {
    let shared = shared("native", None);
    let question = json!({"key_name": "alice", "model": "smart", "listener": "front"});
    let (_, answer) = ask(&shared, &question).await;
    assert_eq!(
        answer["cases"][0]["rules"][0]["resets_s"],
        json!(0.0),
        "{answer}"
    );
    let generation = shared.generation.load_full();
    let config = &generation.config;
    let model = config
        .resolve(Some("smart"), &meseta_config::Sender::UNKNOWN)
        .unwrap();
    let target = config.target(&model.targets[0].model).unwrap();
    let asks = Asks {
        consumer: Some("alice"),
        key: config.keys().first(),
        target,
        pool: Some("smart"),
        listener: "front",
        headers: &BTreeMap::new(),
        claims: &serde_json::Map::new(),
    };
    let charges: Vec<(RuleName, u64)> = asks
        .outcomes(config)
        .iter()
        .filter_map(|own| Some((own.limit.rule.name().clone(), own.charged.as_ref()?.hash)))
        .collect();
    let amounts = Amounts {
        requests: 1,
        input_tokens: 1000,
        output_tokens: 500,
    };
    generation.meter.admit(&charges, amounts).unwrap().unwrap();
    for _ in 0..3 {
        let (_, answer) = ask(&shared, &question).await;
        let rules = &answer["cases"][0]["rules"];
        // A bucket fills while the test runs.
        let left = rules[0]["remaining"].as_u64().unwrap();
        assert!((3500..3700).contains(&left), "{answer}");
        let resets = rules[0]["resets_s"].as_f64().unwrap();
        assert!((80.0..=90.0).contains(&resets), "{answer}");
        assert_eq!(rules[1]["remaining"], json!(9), "{answer}");
    }
}

#[tokio::test]
async fn whose_count_is_told_is_whose_count_is_kept() {
    let shared = shared("native", None);
    let config = Arc::clone(&shared.generation.load().config);
    let headers: BTreeMap<String, String> = [("x-team".to_owned(), "red-secret".to_owned())].into();
    let claims = json!({"jwt_payload": {"sub": 7}});
    let keys = [None, config.keys().first()];
    let mut seen = 0;
    for (key, consumer) in keys
        .into_iter()
        .flat_map(|key| [(key, Some("alice")), (key, Some("bob")), (key, None)])
    {
        for model in ["smart", "openai/b", "ollama/a"] {
            let resolved = config
                .resolve(Some(model), &meseta_config::Sender::UNKNOWN)
                .unwrap();
            for seat in resolved.targets.iter() {
                let asks = Asks {
                    consumer,
                    key,
                    target: config.target(&seat.model).unwrap(),
                    pool: resolved.pool.map(|pool| pool.name.as_str()),
                    listener: "front",
                    headers: &headers,
                    claims: claims.as_object().unwrap(),
                };
                for outcome in asks.outcomes(&config) {
                    assert_eq!(outcome.charged.is_none(), !outcome.reasons.is_empty());
                    assert!(outcome.reasons.iter().all(|(part, _)| *part != "value"));
                    let Some(Charged { kind, value, hash }) = outcome.charged else {
                        continue;
                    };
                    let rule = outcome.limit.rule.name().as_str();
                    let digest = digest(format!("{rule}\0{kind}\0{value}").as_bytes());
                    let expected = u64::from_be_bytes(*digest.first_chunk().unwrap());
                    assert_eq!(hash, expected, "{rule} {kind} {value}");
                    seen += 1;
                }
            }
        }
    }
    assert!(seen > 50, "{seen}");
}

#[tokio::test]
async fn what_does_not_come_as_far_as_its_limits_is_told_so() {
    let shared = shared("native", None);
    for (question, expected) in [
        (
            json!({"key_name": "old", "model": "smart"}),
            "the key has expired",
        ),
        (
            json!({"key_name": "alice", "model": "openai/b"}),
            "the key may not ask for this model",
        ),
        (
            json!({"model": "smart"}),
            "a key is needed, or what `consumer` names",
        ),
    ] {
        let mut question = question;
        question["listener"] = json!("front");
        let (status, answer) = ask(&shared, &question).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        assert_eq!(answer["refused"], json!(expected));
    }
}

#[tokio::test]
async fn what_is_not_configured_is_told_with_what_it_resembles() {
    let shared = shared("native", None);
    for (question, error, near) in [
        (
            json!({"key_name": "alic", "model": "smart", "listener": "front"}),
            "no key has the name `alic`",
            json!(["alice"]),
        ),
        (
            json!({"consumer": "bob", "model": "smart", "listener": "front"}),
            "no key has the name `bob`",
            json!([]),
        ),
        (
            json!({"key_name": "alice", "model": "smrt", "listener": "front"}),
            "no model has the name `smrt`",
            json!(["smart"]),
        ),
        (
            json!({"key_name": "alice", "listener": "front"}),
            "no `model` is named",
            json!([]),
        ),
        (
            json!({"key_name": "alice", "model": "smart", "listener": "x"}),
            "no listener has the name `x`",
            json!(["front", "back"]),
        ),
        (
            json!({"key_name": "alice", "model": "smart"}),
            "name one",
            json!(["front", "back"]),
        ),
    ] {
        let (status, answer) = ask(&shared, &question).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{answer}");
        assert!(
            answer["error"].as_str().unwrap().contains(error),
            "{answer}"
        );
        assert_eq!(answer["near"], near, "{answer}");
    }
}

#[tokio::test]
async fn a_question_with_a_key_in_it_is_refused_and_the_key_is_not_said() {
    let shared = shared("native", None);
    for question in [
        json!({"key": "key-of-alice", "model": "smart"}),
        json!({"key_name": "key-of-alice", "model": "smart"}),
        json!({"consumer": "key-of-alice"}),
        json!({"key_name": {"a": "key-of-alice"}}),
        json!({"key_name": "alice", "headers": "key-of-alice"}),
        json!({"key_name": "alice", "headers": {"x-own": "key-of-alice"}}),
        json!({"key_name": "alice", "headers": {"Authorization": "Bearer key-of-alice"}}),
        json!({"key_name": "alice", "claims": {"a": [{"b": "key-of-alice"}]}}),
        json!({"key_name": "alice", "consumer": "bob"}),
    ] {
        let (status, answer) = ask(&shared, &question).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{question}: {answer}");
        assert!(!answer.to_string().contains("key-of-alice"), "{answer}");
    }
}

#[tokio::test]
async fn web_pages_ask_nothing() {
    let shared = shared("native", None);
    let request = || Request::post("/limits/explain");
    for (request, expected) in [
        (
            request()
                .header("content-type", "application/json")
                .header("origin", "http://localhost"),
            StatusCode::FORBIDDEN,
        ),
        (
            request().header("content-type", "text/plain"),
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ),
        (request(), StatusCode::UNSUPPORTED_MEDIA_TYPE),
    ] {
        let (status, _) = send(&shared, request.body(Body::from("{}")).unwrap()).await;
        assert_eq!(status, expected);
    }
}

#[tokio::test]
async fn where_nobody_can_say_it_is_told_who_would_know() {
    let question = json!({"key_name": "alice", "model": "smart", "listener": "front"});
    for (meter, egress, expected) in [
        ("off", None, "nothing is limited: `server.meter` is `off`"),
        (
            "wasm",
            None,
            "Envoy counts, and this server has no egress listener to ask it through",
        ),
        (
            "wasm",
            Some(Path::new("/nowhere/egress.sock")),
            "Envoy counts, and its egress listener cannot be reached",
        ),
    ] {
        let (status, answer) = ask(&shared(meter, egress), &question).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        let case = &answer["cases"][0];
        assert_eq!(case["no_figures"], json!(expected));
        assert_eq!(case["rules"][1]["matches"], json!(true));
        assert_eq!(case["rules"][1]["remaining"], Value::Null);
    }
}

/// An egress listener that answers each question with this; and what it was asked last.
async fn egress(
    directory: &Path,
    answer: &'static str,
) -> (std::path::PathBuf, tokio::sync::mpsc::Receiver<String>) {
    let path = directory.join("egress.sock");
    let _ = std::fs::remove_file(&path);
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let (asked, questions) = tokio::sync::mpsc::channel(8);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut bytes = vec![0; 8192];
            let length = stream.read(&mut bytes).await.unwrap();
            let text = String::from_utf8(bytes[..length].to_vec()).unwrap();
            let _ = asked.send(text).await;
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (path, questions)
}

#[tokio::test]
async fn the_filter_is_asked_through_the_egress_listener() {
    let directory = tempfile::tempdir().unwrap();
    let question = json!({"key_name": "alice", "model": "ollama/a", "listener": "front"});
    let head = "connection: close\r\ncontent-length: 0\r\n";
    for (answer, expected) in [
        (
            "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\nx-meseta-standing: \
             v1;all:requests:10:10:86400000000000:7:1500000000\r\n\r\n",
            Ok((7, 1.5)),
        ),
        ("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\nx-meseta-standing: v9\r\n\r\n", Err("in a form that is not known")),
        ("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n", Err("does not answer")),
        ("HTTP/1.1 503 No\r\nconnection: close\r\ncontent-length: 0\r\n\r\n", Err("does not answer")),
        ("HTTP/1.1 503 No\r\nconnection: close\r\ncontent-length: 0\r\nx-meseta-meter: refused\r\n\r\n", Err("cannot read its counts")),
    ] {
        assert!(answer.contains(head));
        let (socket, mut questions) = egress(directory.path(), answer).await;
        let (status, told) = ask(&shared("wasm", Some(&socket)), &question).await;
        assert_eq!(status, StatusCode::OK, "{told}");
        let case = &told["cases"][0];
        let all = &case["rules"][1];
        match expected {
            Ok((remaining, resets)) => {
                assert_eq!(case["no_figures"], Value::Null, "{told}");
                assert_eq!(all["remaining"], json!(remaining));
                assert_eq!(all["resets_s"], json!(resets));
                assert_eq!(case["rules"][0]["remaining"], Value::Null, "not known yet: {told}");
            }
            Err(reason) => {
                let said = case["no_figures"].as_str().unwrap();
                assert!(said.contains(reason), "{said}");
            }
        }
        let asked = questions.recv().await.unwrap().to_ascii_lowercase();
        assert!(asked.starts_with("post / http/1.1\r\n"), "{asked}");
        assert!(asked.contains("x-meseta-charge: v1;openai;direct;0:0;per-key:"), "{asked}");
        assert!(asked.contains("x-meseta-explain: 1\r\n"), "{asked}");
        assert!(!asked.contains("x-meseta-cluster"), "{asked}");
    }
}
