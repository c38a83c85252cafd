//! Who may ask, and how much: keys, and limits that the server itself executes.

use super::envoy::*;
use super::*;

/// The SHA-256 of `key-of-alice` and of `key-of-bob`.
fn configuration(meter: &str) -> String {
    let hash = |key: &str| {
        use sha2::Digest as _;
        let digest = sha2::Sha256::digest(key);
        let hex = digest.iter().map(|byte| format!("{byte:02x}"));
        format!("sha256:{}", hex.collect::<String>())
    };
    format!(
        r#"
listeners: [{{type: model, name: front, address: 127.0.0.1, port: 0}}]
model_providers:
  - {{model: openai/gpt-4o, access_key: $OPENAI, base_url: "http://127.0.0.1:9/v1"}}
  - {{model: mistral/through, passthrough_auth: true, base_url: "http://127.0.0.1:11/v1"}}
keys:
  - {{name: alice, hash: "{}"}}
  - {{name: bob, hash: "{}", models: [mistral/through]}}
  - {{name: old, hash: "{}", expires: 2020-01-01T00:00:00Z}}
limits:
  - {{name: two, match: {{consumer: "*", model: "openai/*"}}, unit: requests, limit: 2, per: hour}}
  - {{name: tokens, match: {{consumer: "*"}}, unit: tokens, limit: 1000, per: hour}}
server: {{{meter}}}
"#,
        hash("key-of-alice"),
        hash("key-of-bob"),
        hash("key-of-old"),
    )
}

const NATIVE: &str = "meter: native, egress: direct";

async fn connect() -> Envoy {
    Envoy::of(&configuration(NATIVE), None).await
}

const ASK: &str =
    r#"{"model":"gpt-4o","max_tokens":100,"messages":[{"role":"user","content":"hi"}]}"#;

#[tokio::test]
async fn who_is_not_known_gets_nothing_in_the_dialect_of_the_client() {
    for (headers, message) in [
        (&[][..], "a key is needed"),
        (
            &[("authorization", "Bearer key-of-nobody")][..],
            "is not known",
        ),
        (&[("authorization", "Bearer key-of-old")][..], "has expired"),
    ] {
        let mut envoy = connect().await;
        envoy
            .send(request_headers(
                "POST",
                "/v1/chat/completions",
                headers,
                false,
            ))
            .await;
        let (status, body, details) = envoy.immediate().await;
        assert_eq!(status, 401, "{message}");
        assert!(body.contains(message), "{body}");
        assert!(body.contains("invalid_api_key"), "{body}");
        assert!(!body.contains("key-of"), "{body}");
        assert_eq!(details, "meseta_unauthenticated");
    }
    let mut envoy = connect().await;
    envoy
        .send(request_headers("GET", "/v1/models", &[], true))
        .await;
    assert_eq!(envoy.immediate().await.0, 401);
}

#[tokio::test]
async fn each_client_has_its_key_where_its_api_has_it() {
    for (path, name, value) in [
        (
            "/v1/chat/completions",
            "authorization",
            "Bearer key-of-alice",
        ),
        ("/v1/messages", "x-api-key", "key-of-alice"),
        ("/v1/chat/completions", "api-key", "key-of-alice"),
        ("/v1/chat/completions", "x-goog-api-key", "key-of-alice"),
        ("/v1/chat/completions?key=key-of-alice", "x-any", "1"),
    ] {
        let mut envoy = connect().await;
        envoy.post(path, &[(name, value)], ASK).await;
        let (edits, _, metadata) = envoy.upstream().await;
        let field = field(&metadata, "meseta.request", "consumer");
        assert_eq!(field, &text("alice"), "{path} {name}");
        assert_eq!(set(&edits, "authorization"), Some("Bearer sk-openai"));
    }
}

#[tokio::test]
async fn a_key_of_ours_is_never_passed_through() {
    let ask = r#"{"model":"mistral/through","messages":[]}"#;
    let ours = ("x-api-key", "key-of-bob");
    for (headers, sent) in [
        (vec![ours], None),
        (
            vec![ours, ("authorization", "Bearer theirs")],
            Some("Bearer theirs"),
        ),
    ] {
        let mut envoy = connect().await;
        envoy.post("/v1/chat/completions", &headers, ask).await;
        let (edits, _, _) = envoy.upstream().await;
        assert_eq!(set(&edits, "authorization"), sent);
    }
}

#[tokio::test]
async fn a_key_asks_for_its_own_models_and_sees_no_others() {
    let bob = [("authorization", "Bearer key-of-bob")];
    let mut envoy = connect().await;
    envoy.post("/v1/chat/completions", &bob, ASK).await;
    let (status, body, _) = envoy.immediate().await;
    assert_eq!(status, 403);
    assert!(body.contains("model_not_allowed"), "{body}");
    let mut envoy = connect().await;
    envoy
        .send(request_headers("GET", "/v1/models", &bob, true))
        .await;
    let (status, body, _) = envoy.immediate().await;
    assert_eq!(status, 200);
    assert!(
        body.contains("mistral/through") && !body.contains("gpt-4o"),
        "{body}"
    );
}

/// One exchange over the state of another; answered with these tokens, or refused.
async fn ask(
    shared: &Arc<Shared>,
    key: &str,
    answer: Option<(u64, u64)>,
) -> Option<Vec<(String, String)>> {
    let mut envoy = Envoy::over(Arc::clone(shared)).await;
    let key = format!("Bearer {key}");
    envoy
        .post("/v1/chat/completions", &[("authorization", &key)], ASK)
        .await;
    let (first, _) = envoy.answer().await;
    if let Answer::ImmediateResponse(reply) = first {
        assert_eq!(reply.status.unwrap().code, 429);
        let body = String::from_utf8(reply.body).unwrap();
        assert!(body.contains("rate_limit_exceeded"), "{body}");
        assert!(!body.contains("alice") && !body.contains("bob"), "{body}");
        let set = reply.headers.unwrap().set_headers.into_iter();
        let set = set.filter_map(|own| own.header);
        let told = set.map(|own| (own.key, String::from_utf8(own.raw_value).unwrap()));
        return Some(told.collect());
    }
    envoy.body(true).await;
    let Some((input, output)) = answer else {
        return None; // the client goes away
    };
    let theirs = [
        ("content-type", "application/json"),
        ("x-ratelimit-remaining-requests", "9999"),
    ];
    envoy.answer_headers(&theirs, Some("via_upstream")).await;
    let (answer, _) = envoy.answer().await;
    let Answer::ResponseHeaders(headers) = answer else {
        panic!("not response headers");
    };
    let edits = headers.response.unwrap().header_mutation.unwrap();
    assert_eq!(
        set(&edits, "x-meseta-upstream-x-ratelimit-remaining-requests"),
        Some("9999")
    );
    assert!(set(&edits, "ratelimit").is_some() && set(&edits, "ratelimit-policy").is_some());
    let body = format!(
        r#"{{"id":"c","choices":[{{"index":0,"finish_reason":"stop"}}],"usage":{{"prompt_tokens":{input},"completion_tokens":{output}}}}}"#
    );
    envoy.send(response_body(&body, true)).await;
    envoy.body(false).await;
    envoy.to_server = None;
    assert!(envoy.next().await.unwrap().is_none());
    None
}

fn told<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let found = headers.iter().find(|(own, _)| own == name);
    found.map(|(_, value)| value.as_str())
}

#[tokio::test]
async fn what_is_over_a_limit_is_refused_to_its_consumer_alone_and_says_until_when() {
    let shared = shared_of(&configuration(NATIVE), None);
    assert!(ask(&shared, "key-of-alice", Some((5, 5))).await.is_none());
    assert!(ask(&shared, "key-of-alice", Some((5, 5))).await.is_none());
    let refused = ask(&shared, "key-of-alice", None)
        .await
        .expect("two an hour");
    let after: u64 = told(&refused, "retry-after").unwrap().parse().unwrap();
    assert!((1..=1800).contains(&after), "{after}");
    assert_eq!(told(&refused, "x-ratelimit-limit-requests"), Some("2"));
    assert_eq!(told(&refused, "x-ratelimit-remaining-requests"), Some("0"));
    assert!(told(&refused, "ratelimit-policy")
        .unwrap()
        .contains("\"two\""));
    assert!(told(&refused, "x-ratelimit-remaining-tokens").is_some());
}

#[tokio::test]
async fn tokens_are_reserved_and_what_was_not_used_is_given_back() {
    let shared = shared_of(
        &configuration(NATIVE).replace("limit: 2", "limit: 99"),
        None,
    );
    // A hundred and a few are reserved each time; ten are used.
    for _ in 0..20 {
        assert!(ask(&shared, "key-of-alice", Some((5, 5))).await.is_none());
    }
    // Debt: more was used than is allowed in an hour.
    assert!(ask(&shared, "key-of-alice", Some((900, 900)))
        .await
        .is_none());
    let refused = ask(&shared, "key-of-alice", None)
        .await
        .expect("debt blocks");
    assert_eq!(told(&refused, "x-ratelimit-remaining-tokens"), Some("0"));
}

#[tokio::test]
async fn a_client_that_goes_away_keeps_no_more_reserved_than_its_prompt() {
    let shared = shared_of(
        &configuration(NATIVE).replace("limit: 2", "limit: 99"),
        None,
    );
    for _ in 0..40 {
        let refused = ask(&shared, "key-of-alice", None).await;
        assert!(refused.is_none(), "{refused:?}");
        // The exchange ends when its stream is dropped, which is known a moment later.
        let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
        while !shared.running.is_empty() {
            assert!(
                tokio::time::Instant::now() < deadline,
                "an exchange goes on"
            );
            tokio::task::yield_now().await;
        }
    }
}
