//! The routes as an operator and as a web page ask them.

use std::path::Path;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use meseta_targets::{Ask, Failure, FailureKind, HealthPolicy, Verdict};

use super::*;
use crate::admin::testing::{self, config};
use crate::service::Shared;

const CONFIG: &str = "
model_providers:
  - {model: openai/gpt-4o, access_key: $KEY}
  - {model: openai/gpt-4o-mini, access_key: $KEY}
  - {model: groq/*, access_key: $KEY}
model_aliases:
  quick: {target: openai/gpt-4o-mini}
models:
  smart:
    targets:
      - {model: openai/gpt-4o, priority: 1, weight: 3}
      - {model: groq/llama-3.1-8b-instant, priority: 2}
  plain: {targets: [openai/gpt-4o]}
";

fn shared() -> Arc<Shared> {
    testing::shared(config(CONFIG), Some(Path::new("/nowhere/egress.sock")))
}

/// So many attempts fail, in a row.
fn fail(shared: &Shared, target: &str, times: usize) {
    let id = TargetId::new(target);
    let providers = &shared.providers;
    for _ in 0..times {
        let now = providers.now();
        let ticket = providers.health.begin(&id, Ask::default(), now).unwrap();
        let failure = Failure {
            kind: FailureKind::Target,
            reason: "connect",
            retry_after: None,
        };
        let policy = HealthPolicy::default();
        let verdict = Verdict::Failure(failure);
        providers.health.end(&id, ticket, &verdict, &policy, now);
    }
}

async fn ask(shared: &Arc<Shared>, request: Request<Body>) -> (StatusCode, String) {
    let (status, body) = testing::send(shared, request).await;
    (status, String::from_utf8(body.to_vec()).unwrap())
}

async fn get(shared: &Arc<Shared>, path: &str) -> String {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let (status, body) = ask(shared, request).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    body
}

async fn targets(shared: &Arc<Shared>) -> Value {
    serde_json::from_str(&get(shared, "/targets").await).unwrap()
}

async fn post(shared: &Arc<Shared>, change: &str, target: &str) -> (StatusCode, Value) {
    let request = Request::post(format!("/targets/{change}"))
        .header("content-type", "application/json; charset=utf-8")
        .body(Body::from(json!({ "target": target }).to_string()))
        .unwrap();
    let (status, body) = ask(shared, request).await;
    (status, serde_json::from_str(&body).unwrap())
}

#[tokio::test]
async fn targets_of_pools_are_listed_before_anyone_has_called_them() {
    let listed = targets(&shared()).await;
    assert_eq!(
        listed["pools"],
        json!([
            {"name": "smart", "path": "relay", "select": "weighted", "targets": [
                {"target": "openai/gpt-4o", "priority": 1, "weight": 3},
                {"target": "groq/llama-3.1-8b-instant", "priority": 2, "weight": 1},
            ]},
            {"name": "plain", "path": "direct", "select": "weighted", "targets": [
                {"target": "openai/gpt-4o", "priority": 1, "weight": 1},
            ]},
        ])
    );
    assert_eq!(listed["targets"].as_array().unwrap().len(), 2);
    assert_eq!(
        listed["targets"][1],
        json!({
            "target": "openai/gpt-4o",
            "pools": ["smart", "plain"],
            "state": "ready",
            "drained": false,
            "in_flight": 0,
            "consecutive_failures": 0,
            "successes": 0,
            "failures": 0,
            "error_rate": null,
            "first_token_ms": {"mean": null, "p95": null},
            "cooldown_remaining_s": null,
            "last_failure": null,
        })
    );
}

#[tokio::test]
async fn what_attempts_have_shown_is_told_also_of_a_target_of_no_pool() {
    let shared = shared();
    fail(&shared, "groq/any-other", 3);
    let id = TargetId::new("openai/gpt-4o");
    let health = &shared.providers.health;
    let now = shared.providers.now();
    let ticket = health.begin(&id, Ask::default(), now).unwrap();
    let first_token = Some(Duration::from_micros(12_345));
    let verdict = Verdict::Success { first_token };
    health.end(&id, ticket, &verdict, &HealthPolicy::default(), now);
    let listed = targets(&shared).await;
    let [other, _, used] = listed["targets"].as_array().unwrap().as_slice() else {
        panic!("{listed}");
    };
    assert_eq!(other["target"], "groq/any-other");
    assert_eq!(other["pools"], json!([]));
    assert_eq!(other["state"], "cooling_down");
    assert_eq!(other["failures"], 3);
    assert_eq!(other["last_failure"], "connect");
    assert!(other["cooldown_remaining_s"].as_f64().unwrap() > 8.0);
    assert_eq!(used["successes"], 1);
    assert_eq!(used["first_token_ms"]["mean"], 12.345);
}

#[tokio::test]
async fn a_target_is_drained_and_put_back_as_often_as_one_asks() {
    let shared = shared();
    let id = TargetId::new("openai/gpt-4o");
    for _ in 0..2 {
        let (status, told) = post(&shared, "drain", "openai/gpt-4o").await;
        assert_eq!(status, StatusCode::OK, "{told}");
        assert_eq!(
            (&told["state"], &told["drained"]),
            (&json!("drained"), &json!(true))
        );
        // Its own name and the pool that has it alone do not ask.
        assert_eq!(told["direct"], json!(["plain", "openai/gpt-4o"]));
        let now = shared.providers.now();
        assert_eq!(
            shared.providers.health.standing(&id, now).state,
            State::Drained
        );
    }
    for _ in 0..2 {
        let (status, told) = post(&shared, "undrain", "openai/gpt-4o").await;
        assert_eq!((status, &told["state"]), (StatusCode::OK, &json!("ready")));
    }
    // One that never was drained, and one that was called but is not configured.
    let (status, _) = post(&shared, "undrain", "openai/gpt-4o-mini").await;
    assert_eq!(status, StatusCode::OK);
    fail(&shared, "groq/any-other", 1);
    let (status, told) = post(&shared, "drain", "groq/any-other").await;
    assert_eq!((status, &told["failures"]), (StatusCode::OK, &json!(1)));
}

#[tokio::test]
async fn a_name_that_is_no_target_changes_nothing_and_near_ones_are_told() {
    let shared = shared();
    for (wrong, near) in [
        (
            "openai/gpt4o",
            json!(["openai/gpt-4o", "openai/gpt-4o-mini"]),
        ),
        // Other names of targets.
        ("quick", json!(["openai/gpt-4o-mini"])),
        (
            "smart",
            json!(["openai/gpt-4o", "groq/llama-3.1-8b-instant"]),
        ),
        ("gpt-4o", json!(["openai/gpt-4o"])),
        // The wildcard takes it, so that it may be a slip.
        ("groq/llama-3.1-8b", json!(["groq/llama-3.1-8b-instant"])),
        ("nothing", json!([])),
        ("", json!([])),
    ] {
        let (status, told) = post(&shared, "drain", wrong).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{wrong}: {told}");
        assert_eq!(told["near"], near, "{wrong}");
        assert!(told["error"].as_str().unwrap().contains(wrong), "{told}");
    }
    let now = shared.providers.now();
    assert!(shared.providers.health.snapshot(now).is_empty());
}

#[tokio::test]
async fn no_web_page_can_make_a_change() {
    let shared = shared();
    let body = r#"{"target": "openai/gpt-4o"}"#;
    let request = |headers: &[(&str, &str)], body: &'static str| {
        let mut request = Request::post("/targets/drain");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(Body::from(body)).unwrap()
    };
    let json = ("content-type", "application/json");
    for (headers, body, expected) in [
        (&[][..], body, StatusCode::UNSUPPORTED_MEDIA_TYPE),
        (
            &[("content-type", "text/plain")],
            body,
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ),
        (
            &[json, ("origin", "http://localhost")],
            body,
            StatusCode::FORBIDDEN,
        ),
        (&[json, ("origin", "null")], body, StatusCode::FORBIDDEN),
        (&[json], "{}", StatusCode::BAD_REQUEST),
        (&[json], "target=openai/gpt-4o", StatusCode::BAD_REQUEST),
    ] {
        let (status, told) = ask(&shared, request(headers, body)).await;
        assert_eq!(status, expected, "{headers:?}: {told}");
        assert!(told.contains("error"), "{told}");
    }
    let by_get = Request::get("/targets/drain").body(Body::empty()).unwrap();
    assert_eq!(ask(&shared, by_get).await.0, StatusCode::METHOD_NOT_ALLOWED);
    let long = Request::post("/targets/drain")
        .header("content-type", "application/json")
        .body(Body::from("x".repeat(1 << 20)));
    let (status, _) = ask(&shared, long.unwrap()).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    let now = shared.providers.now();
    assert!(shared.providers.health.snapshot(now).is_empty());
}

#[tokio::test]
async fn metrics_have_configured_targets_and_labelled_ones_and_no_others() {
    let shared = shared();
    fail(&shared, "openai/gpt-4o", 3);
    fail(&shared, "groq/labelled", 1);
    fail(&shared, "groq/not-labelled", 1);
    shared.metrics.model_label("groq/labelled");
    let text = get(&shared, "/metrics").await;
    for line in [
        r#"meseta_target_state{target="openai/gpt-4o",state="cooling_down"} 1"#,
        r#"meseta_target_state{target="openai/gpt-4o",state="ready"} 0"#,
        r#"meseta_target_state{target="groq/llama-3.1-8b-instant",state="ready"} 1"#,
        r#"meseta_target_in_flight{target="groq/labelled"} 0"#,
        r#"meseta_target_error_rate{target="openai/gpt-4o"} 1.0"#,
        r#"meseta_target_cooldown_seconds{target="groq/labelled"} 0.0"#,
    ] {
        assert!(text.lines().any(|own| own == line), "{line}: {text}");
    }
    assert!(!text.contains("not-labelled"), "{text}");
    assert!(!text.contains("target_first_token_seconds{"), "{text}");
    assert!(text.ends_with("# EOF\n"));
    assert_eq!(text.matches("# EOF").count(), 1);
    assert!(text.contains("meseta_models_not_labelled_total 0"));

    // A configuration without pools: what was never labelled is gone.
    let next = config("model_providers: [{model: openai/gpt-4o, access_key: $KEY}]");
    let next = shared.generation.load().next(next);
    shared.generation.store(Arc::new(next));
    let text = get(&shared, "/metrics").await;
    assert!(
        !text.contains(r#"target="groq/llama-3.1-8b-instant""#),
        "{text}"
    );
    assert!(text.contains(r#"target="groq/labelled""#), "{text}");
}
