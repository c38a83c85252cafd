//! Streams: order, modes and ends.

use super::envoy::*;
use super::*;

#[tokio::test]
async fn another_body_mode_is_refused_with_the_setting_to_change() {
    for (request, response, name) in [
        (
            BodySendMode::Buffered,
            BodySendMode::FullDuplexStreamed,
            "processing_mode.request_body_mode",
        ),
        (
            BodySendMode::FullDuplexStreamed,
            BodySendMode::None,
            "processing_mode.response_body_mode",
        ),
    ] {
        let mut envoy = Envoy::connect().await;
        envoy
            .send_raw(ProcessingRequest {
                protocol_config: Some(modes(request, response)),
                request: Some(request_headers("POST", "/v1/messages", &[], false)),
                ..ProcessingRequest::default()
            })
            .await;
        let status = envoy.status().await;
        assert_eq!(status.code(), Code::FailedPrecondition);
        assert!(status.message().contains(name), "{}", status.message());
    }
}

#[tokio::test]
async fn a_stream_that_names_no_mode_or_only_watches_is_refused() {
    let mut envoy = Envoy::connect().await;
    envoy
        .send_raw(ProcessingRequest {
            request: Some(request_headers("GET", "/v1/models", &[], true)),
            ..ProcessingRequest::default()
        })
        .await;
    assert_eq!(envoy.status().await.code(), Code::FailedPrecondition);

    let mut envoy = Envoy::connect().await;
    envoy
        .send_raw(ProcessingRequest {
            observability_mode: true,
            request: Some(request_headers("GET", "/v1/models", &[], true)),
            ..ProcessingRequest::default()
        })
        .await;
    assert_eq!(envoy.status().await.code(), Code::FailedPrecondition);
}

#[tokio::test]
async fn a_listener_that_does_not_exist_is_refused_and_one_alone_need_not_be_named() {
    let Err(status) = Envoy::connect_as(Some("elsewhere")).await else {
        panic!("an unknown listener was accepted");
    };
    assert_eq!(status.code(), Code::FailedPrecondition);
    let mut envoy = Envoy::connect_as(None).await.unwrap();
    envoy
        .send(request_headers("GET", "/v1/models", &[], true))
        .await;
    let (status, body, _) = envoy.immediate().await;
    assert_eq!(status, 200);
    assert!(
        body.contains(r#""openai/gpt-4o""#) && body.contains(r#""fast""#),
        "{body}"
    );
}

#[tokio::test]
async fn a_message_out_of_order_ends_the_stream_with_an_error_and_is_counted() {
    let mut envoy = Envoy::connect().await;
    envoy
        .send(request_headers("POST", "/v1/messages", &[], false))
        .await;
    envoy.send(response_body("no headers yet", true)).await;
    let status = envoy.status().await;
    assert_eq!(status.code(), Code::InvalidArgument);
    let reason = Reason("unexpected_message");
    let violations = &envoy.shared.metrics.violations;
    assert_eq!(violations.get_or_create(&reason).get(), 1);
}

#[tokio::test]
async fn a_stream_that_envoy_half_closes_too_early_never_ends_with_ok() {
    let mut envoy = Envoy::connect().await;
    envoy
        .send(request_headers("POST", "/v1/chat/completions", &[], false))
        .await;
    envoy.send(request_body(r#"{"model":"#, false)).await;
    envoy.to_server = None;
    assert_eq!(envoy.status().await.code(), Code::Aborted);
}

#[tokio::test]
async fn the_end_of_draining_cuts_running_exchanges_off_with_an_error() {
    let mut envoy = Envoy::connect().await;
    envoy
        .send(request_headers("POST", "/v1/chat/completions", &[], false))
        .await;
    envoy.shared.cut_off.cancel();
    assert_eq!(envoy.status().await.code(), Code::Unavailable);
    envoy.shared.running.close();
    envoy.shared.running.wait().await;
}

#[tokio::test]
async fn a_message_over_the_limit_never_ends_its_stream_with_ok() {
    let mut envoy = Envoy::connect().await;
    let spoofed = [("x-meseta-cluster", "openai_127.0.0.1_9")];
    envoy
        .send(request_headers("POST", "/v1/messages", &spoofed, false))
        .await;
    // The configuration's limit is 100 KiB.
    envoy.send(request_body(&"x".repeat(2 << 20), true)).await;
    let status = envoy
        .next()
        .await
        .expect_err("an error, and no answer before it");
    assert_eq!(status.code(), Code::OutOfRange);
}

/// A machine with a defect.
struct Broken;

impl Machine for Broken {
    fn receive(&mut self, _: ProcessingRequest) -> Result<(), ExchangeError> {
        panic!("a defect");
    }

    fn poll_answer(
        &mut self,
        _cx: &mut Context<'_>,
    ) -> Poll<Result<ProcessingResponse, ExchangeError>> {
        Poll::Pending
    }

    fn is_complete(&self) -> bool {
        false
    }

    fn abort(&mut self) {}

    fn fail(&mut self, _: &ExchangeError) {}
}

#[tokio::test]
async fn a_panic_ends_its_stream_with_an_error_status() {
    use tokio_stream::StreamExt as _;
    let inbound = tokio_stream::once(Ok(ProcessingRequest::default()));
    let mut stream = ExchangeStream::new(inbound, Broken, shared());
    let status = stream.next().await.unwrap().unwrap_err();
    assert_eq!(status.code(), Code::Internal);
    assert!(stream.next().await.is_none());
}
