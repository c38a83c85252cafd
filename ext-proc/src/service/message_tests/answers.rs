//! Answers on their way to the client.

use super::envoy::*;
use super::*;

#[tokio::test]
async fn an_answer_passes_unchanged_and_its_usage_is_published() {
    let mut envoy = Envoy::connect().await;
    envoy
        .post("/v1/chat/completions", &[], r#"{"messages":[]}"#)
        .await;
    let (_, body, _) = envoy.upstream().await;
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&body).unwrap()["model"],
        "gpt-4o"
    );
    envoy
        .answer_headers(
            &[
                ("content-type", "application/json"),
                ("content-length", "95"),
            ],
            Some("via_upstream"),
        )
        .await;
    let (answer, _) = envoy.answer().await;
    let Answer::ResponseHeaders(headers) = answer else {
        panic!("not response headers");
    };
    let edits = headers.response.unwrap().header_mutation.unwrap();
    assert_eq!(set(&edits, "content-length"), Some("95"));
    assert_eq!(set(&edits, "x-meseta-model"), Some("openai/gpt-4o"));
    let (first, rest) = (
        r#"{"id":"c1","choices":[{"index":0,"finish_re"#,
        r#"ason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":5}}"#,
    );
    envoy.send(response_body(first, false)).await;
    envoy.send(response_body(rest, true)).await;
    let (body, metadata) = envoy.body(false).await;
    assert_eq!(body, format!("{first}{rest}"));
    let metadata = metadata.unwrap();
    let usage = "meseta.usage";
    assert_eq!(
        field(&metadata, usage, "input_tokens"),
        &Kind::NumberValue(7.0)
    );
    assert_eq!(
        field(&metadata, usage, "output_tokens"),
        &Kind::NumberValue(5.0)
    );
    assert_eq!(
        field(&metadata, usage, "estimated"),
        &Kind::BoolValue(false)
    );
    assert_eq!(field(&metadata, usage, "complete"), &Kind::BoolValue(true));
    envoy.to_server = None;
    assert!(envoy.next().await.unwrap().is_none(), "ends with OK");
}

#[tokio::test]
async fn a_usage_chunk_that_only_we_asked_for_is_taken_out_again() {
    let mut envoy = Envoy::connect().await;
    envoy
        .post(
            "/v1/chat/completions",
            &[],
            r#"{"model":"gpt-4o","stream":true,"messages":[]}"#,
        )
        .await;
    let (_, body, _) = envoy.upstream().await;
    let sent: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(sent["stream_options"]["include_usage"], true);
    envoy
        .answer_headers(&[("content-type", "text/event-stream")], None)
        .await;
    let _ = envoy.answer().await;
    let content =
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"},\"finish_reason\":\"stop\"}]}\n\n";
    let usage =
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1}}\n\n";
    envoy.send(response_body(content, false)).await;
    envoy.send(response_body(usage, false)).await;
    envoy.send(response_body("data: [DONE]\n\n", true)).await;
    let (body, metadata) = envoy.body(false).await;
    assert_eq!(body, format!("{content}data: [DONE]\n\n"));
    assert_eq!(
        field(&metadata.unwrap(), "meseta.usage", "output_tokens"),
        &Kind::NumberValue(1.0)
    );
}

#[tokio::test]
async fn a_stream_that_ends_without_its_last_event_ends_in_an_error_event() {
    let mut envoy = Envoy::connect().await;
    envoy
        .post(
            "/v1/messages",
            &[],
            r#"{"model":"claude-sonnet-4-5","stream":true,"messages":[]}"#,
        )
        .await;
    let (edits, _, _) = envoy.upstream().await;
    assert_eq!(set(&edits, "x-api-key"), Some("sk-anthropic"));
    envoy
        .answer_headers(&[("content-type", "text/event-stream")], None)
        .await;
    let _ = envoy.answer().await;
    let ping = "event: ping\ndata: {\"type\":\"ping\"}\n\n";
    envoy.send(response_body(ping, true)).await;
    let (body, _) = envoy.body(false).await;
    let added = body.strip_prefix(ping).unwrap();
    assert!(added.starts_with("event: error\n"), "{added}");
    assert!(!added.contains("message_stop"));
}

#[tokio::test]
async fn trailers_end_a_request_and_an_answer_as_well() {
    let mut envoy = Envoy::connect().await;
    envoy
        .send(request_headers("POST", "/v1/chat/completions", &[], false))
        .await;
    envoy
        .send(request_body(r#"{"model":"gpt-4o"}"#, false))
        .await;
    envoy
        .send(Message::RequestTrailers(HttpTrailers::default()))
        .await;
    assert!(matches!(envoy.answer().await.0, Answer::RequestHeaders(_)));
    assert!(matches!(envoy.answer().await.0, Answer::RequestBody(_)));
    assert!(matches!(envoy.answer().await.0, Answer::RequestTrailers(_)));
    envoy
        .answer_headers(&[("content-type", "application/json")], None)
        .await;
    assert!(matches!(envoy.answer().await.0, Answer::ResponseHeaders(_)));
    envoy.send(response_body("{}", false)).await;
    assert!(matches!(envoy.answer().await.0, Answer::ResponseBody(_)));
    envoy
        .send(Message::ResponseTrailers(HttpTrailers::default()))
        .await;
    let mut last = envoy.answer().await.0;
    if matches!(last, Answer::ResponseBody(_)) {
        last = envoy.answer().await.0;
    }
    assert!(matches!(last, Answer::ResponseTrailers(_)));
    envoy.to_server = None;
    assert!(envoy.next().await.unwrap().is_none());
}

#[tokio::test]
async fn envoys_own_answer_to_a_half_sent_request_passes() {
    let mut envoy = Envoy::connect().await;
    envoy
        .send(request_headers("POST", "/v1/chat/completions", &[], false))
        .await;
    envoy
        .answer_headers(&[], Some("request_overall_timeout"))
        .await;
    assert!(matches!(envoy.answer().await.0, Answer::ResponseHeaders(_)));
    envoy.send(response_body("late", true)).await;
    assert_eq!(envoy.body(false).await.0, "late");
}

#[tokio::test]
async fn what_cannot_be_decoded_never_looks_complete() {
    for (content_type, in_stream) in [("application/json", false), ("text/event-stream", true)] {
        let mut envoy = Envoy::connect().await;
        let body = r#"{"model":"gpt-4o","stream":true,"stream_options":{"include_usage":true}}"#;
        envoy.post("/v1/chat/completions", &[], body).await;
        let _ = envoy.upstream().await;
        envoy
            .answer_headers(
                &[("content-type", content_type), ("content-encoding", "gzip")],
                Some("via_upstream"),
            )
            .await;
        let _ = envoy.answer().await;
        envoy.send(response_body("this is not gzip", true)).await;
        if in_stream {
            let (body, _) = envoy.body(false).await;
            assert!(body.contains("\"error\""), "{body}");
            assert!(!body.contains("[DONE]"), "{body}");
        } else {
            assert_eq!(envoy.status().await.code(), Code::DataLoss);
        }
    }
}

#[tokio::test]
async fn envoys_answer_to_a_request_that_no_filter_saw_passes() {
    let mut envoy = Envoy::connect().await;
    envoy
        .send_raw(ProcessingRequest {
            protocol_config: Some(modes(
                BodySendMode::FullDuplexStreamed,
                BodySendMode::FullDuplexStreamed,
            )),
            request: Some(Message::ResponseHeaders(headers(
                &[(":status", "403")],
                false,
            ))),
            ..ProcessingRequest::default()
        })
        .await;
    assert!(matches!(envoy.answer().await.0, Answer::ResponseHeaders(_)));
    envoy.send(response_body("no upgrades", true)).await;
    assert_eq!(envoy.body(false).await.0, "no upgrades");
}
