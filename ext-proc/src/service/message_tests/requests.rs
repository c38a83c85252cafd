//! Requests: what goes upstream, and what is answered here.

use super::envoy::*;
use super::*;

#[tokio::test]
async fn a_request_goes_on_edited_only_where_it_must_be() {
    let mut envoy = Envoy::connect().await;
    let client_headers = [
        ("authorization", "Bearer sk-client"),
        ("cookie", "session=1"),
    ];
    envoy
        .post(
            "/v1/chat/completions?beta=1",
            &client_headers,
            r#"{ "x-unknown": [1.0], "model":"fast", "messages":[] }"#,
        )
        .await;
    let (edits, body, metadata) = envoy.upstream().await;
    assert_eq!(
        body,
        r#"{ "x-unknown": [1.0], "model":"gpt-4.1", "messages":[] }"#
    );
    assert_eq!(set(&edits, ":path"), Some("/v1/chat/completions?beta=1"));
    assert_eq!(set(&edits, ":authority"), Some("127.0.0.1:9"));
    assert_eq!(set(&edits, "authorization"), Some("Bearer sk-openai"));
    assert_eq!(
        set(&edits, "content-length"),
        Some(body.len().to_string().as_str())
    );
    assert!(set(&edits, "x-meseta-cluster").is_some());
    assert!(edits.remove_headers.iter().any(|name| name == "cookie"));
    let request = "meseta.request";
    assert_eq!(field(&metadata, request, "model"), &text("openai/gpt-4.1"));
    assert_eq!(field(&metadata, request, "requested_model"), &text("fast"));
    assert_eq!(field(&metadata, request, "listener"), &text("front"));
}

#[tokio::test]
async fn nothing_goes_upstream_before_the_body_is_complete() {
    let mut envoy = Envoy::connect().await;
    envoy
        .send(request_headers("POST", "/v1/chat/completions", &[], false))
        .await;
    envoy
        .send(request_body(r#"{"model":"gpt-4o","messages":["#, false))
        .await;
    let early = tokio::time::timeout(Duration::from_millis(100), envoy.from_server.message()).await;
    assert!(early.is_err(), "answered before the end of the body");
    envoy.send(request_body("]}", false)).await;
    envoy.send(request_body("", true)).await;
    let (_, body, _) = envoy.upstream().await;
    assert_eq!(body, r#"{"model":"gpt-4o","messages":[]}"#);
}

#[tokio::test]
async fn a_request_over_the_limit_is_refused_and_nothing_of_it_goes_on() {
    let mut envoy = Envoy::connect().await;
    let spoofed = [("x-meseta-cluster", "openai_127.0.0.1_9")];
    envoy
        .send(request_headers("POST", "/v1/messages", &spoofed, false))
        .await;
    let chunk = "x".repeat(60 * 1024);
    envoy.send(request_body(&chunk, false)).await;
    envoy.send(request_body(&chunk, false)).await;
    let (status, body, details) = envoy.immediate().await;
    assert_eq!(
        (status, details.as_str()),
        (413, "meseta_payload_too_large")
    );
    assert!(body.contains(r#""type":"error""#), "{body}");
    envoy.send(request_body(&chunk, true)).await;
    envoy.to_server = None;
    assert!(envoy.next().await.unwrap().is_none(), "says nothing more");
}

#[tokio::test]
async fn errors_are_answered_in_the_dialect_of_the_endpoint() {
    for (path, body, status, marker) in [
        ("/v1/chat/completions", "{", 400, r#""code":"#),
        ("/v1/messages", "{", 400, r#""type":"error""#),
        (
            "/v1/chat/completions",
            r#"{"model":"gpt-4oo"}"#,
            404,
            "did you mean",
        ),
        (
            "/v1/embeddings",
            r#"{"model":"claude-sonnet-4-5"}"#,
            400,
            "does not serve the embeddings API",
        ),
        (
            "/v1/messages",
            r#"{"model":"gpt-4o"}"#,
            400,
            "`messages` is missing",
        ),
        (
            "/v1/chat/completions",
            r#"{"model":"openai/a\nb"}"#,
            400,
            "control characters",
        ),
        (
            "/v1/chat/completions",
            r#"{"model":"groq/no-key"}"#,
            503,
            "no credential",
        ),
    ] {
        let mut envoy = Envoy::connect().await;
        envoy.post(path, &[], body).await;
        let (code, text, _) = envoy.immediate().await;
        assert_eq!(code, status, "{path} {body}: {text}");
        assert!(text.contains(marker), "{path} {body}: {text}");
    }
}

#[tokio::test]
async fn only_passthrough_providers_get_the_clients_credential() {
    let mut envoy = Envoy::connect().await;
    let client = [("x-api-key", "sk-client")];
    envoy
        .post(
            "/v1/chat/completions",
            &client,
            r#"{"model":"mistral/own-key"}"#,
        )
        .await;
    let (edits, _, _) = envoy.upstream().await;
    assert_eq!(set(&edits, "authorization"), Some("Bearer sk-client"));

    let mut envoy = Envoy::connect().await;
    envoy
        .post("/v1/chat/completions", &client, r#"{"model":"gpt-4o"}"#)
        .await;
    let (edits, _, _) = envoy.upstream().await;
    assert!(!format!("{edits:?}").contains("sk-client"));
}

#[tokio::test]
async fn the_end_of_a_request_may_be_told_twice() {
    let mut envoy = Envoy::connect().await;
    envoy
        .post("/v1/chat/completions", &[], r#"{"model":"gpt-4o"}"#)
        .await;
    envoy.send(request_body("", true)).await;
    let _ = envoy.upstream().await;
    envoy
        .answer_headers(&[("content-type", "application/json")], None)
        .await;
    let _ = envoy.answer().await;
    envoy.send(response_body("{}", true)).await;
    assert_eq!(envoy.body(false).await.0, "{}");
}

#[tokio::test]
async fn what_the_headers_alone_decide_is_answered_before_the_body() {
    for (method, path, extra, status, marker) in [
        ("GET", "/healthz", &[][..], 200, "ok"),
        ("HEAD", "/v1/models", &[], 200, "openai/gpt-4o"),
        ("GET", "/v1/models/fast", &[], 200, r#""id":"fast""#),
        ("GET", "/v1/models/none", &[], 404, "model_not_found"),
        (
            "GET",
            "/v1/chat/completions",
            &[],
            405,
            "method_not_allowed",
        ),
        ("POST", "/v1/files", &[], 404, "unknown_url"),
        ("POST", "/v1/messages/batches", &[], 404, "not_found_error"),
        (
            "POST",
            "/v1/messages",
            &[("content-type", "text/plain")],
            415,
            "application/json",
        ),
        (
            "POST",
            "/v1/chat/completions",
            &[("content-encoding", "gzip")],
            415,
            "compressed",
        ),
        (
            "POST",
            "/v1/chat/completions",
            &[("content-length", "999999999")],
            413,
            "request_too_large",
        ),
    ] {
        let mut envoy = Envoy::connect().await;
        envoy
            .send(request_headers(method, path, extra, method != "POST"))
            .await;
        let (code, body, _) = envoy.immediate().await;
        assert_eq!(code, status, "{method} {path}: {body}");
        assert!(body.contains(marker), "{method} {path}: {body}");
    }
}

#[tokio::test]
async fn pages_of_this_machine_are_welcome_and_others_are_refused() {
    let asks = ("access-control-request-method", "POST");
    for (method, origin, status) in [
        ("OPTIONS", "http://localhost:3000", 204),
        ("OPTIONS", "https://example.com", 403),
        ("POST", "https://example.com", 403),
    ] {
        let mut envoy = Envoy::connect().await;
        let extra = [("origin", origin), asks];
        envoy
            .send(request_headers(
                method,
                "/v1/chat/completions",
                &extra,
                method == "OPTIONS",
            ))
            .await;
        let (answer, _) = envoy.answer().await;
        let Answer::ImmediateResponse(reply) = answer else {
            panic!("not an immediate response: {answer:?}");
        };
        assert_eq!(reply.status.unwrap().code, status, "{method} {origin}");
        let headers = reply.headers.unwrap();
        let allowed = set(&headers, "access-control-allow-origin");
        assert_eq!(allowed, (status == 204).then_some(origin));
    }
}
