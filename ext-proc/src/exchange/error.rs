//! Why an exchange has to be broken off.
//!
//! Each of these ends the gRPC stream with an error status, which makes Envoy answer the client
//! with an error instead of letting anything unmodified pass.

use tonic::Status;

use crate::wire::Direction;

/// Why the stream of an exchange ends with an error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ExchangeError {
    /// Envoy is set to a body mode that we do not speak.
    #[error(
        "ext_proc announces {direction} body mode {mode}, this server speaks FULL_DUPLEX_STREAMED only: \
         set processing_mode.{direction}_body_mode to FULL_DUPLEX_STREAMED and \
         processing_mode.{direction}_trailer_mode to SEND \
         (`meseta render envoy --snippet` prints the filter)"
    )]
    BodyMode {
        direction: Direction,
        mode: &'static str,
    },
    /// Envoy did not say which modes it is set to.
    #[error(
        "ext_proc sent no protocol_config: this server needs Envoy 1.37 or newer with \
         processing_mode.request_body_mode and processing_mode.response_body_mode set to \
         FULL_DUPLEX_STREAMED (`meseta render envoy --snippet` prints the filter)"
    )]
    NoProtocolConfig,
    /// Envoy only lets us watch.
    #[error("ext_proc is in observability_mode: set observability_mode to false")]
    ObservabilityMode,
    /// The filter does not say which listener it belongs to, or names one that does not exist.
    #[error(
        "ext_proc names no listener of this configuration: set grpc_service.initial_metadata \
         {key} to the name of a listener (`meseta render envoy --snippet` prints the filter)",
        key = meseta_proto::LISTENER_KEY
    )]
    Listener,
    /// A message without a request in it.
    #[error("ext_proc sent an empty message")]
    EmptyMessage,
    /// A message that does not belong to the state.
    #[error("ext_proc sent {message} while the exchange was {state}")]
    Unexpected {
        state: &'static str,
        message: &'static str,
    },
    /// The upstream's answer cannot be decoded and has begun already.
    #[error("the upstream's answer cannot be decoded")]
    Undecodable,
    /// The upstream's answer has begun and will not be completed.
    #[error("the upstream's answer broke off")]
    Truncated,
    /// Envoy's half of the stream ended in the middle.
    #[error("the ext_proc stream ended before the exchange did")]
    StreamEnded,
    /// The time for draining is over.
    #[error("the server is shutting down")]
    DrainTimeout,
    /// A defect of ours.
    #[error("the exchange failed in the server")]
    Panicked,
}

impl ExchangeError {
    /// The label in metrics and logs.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::BodyMode { .. } => "body_mode",
            Self::NoProtocolConfig => "no_protocol_config",
            Self::ObservabilityMode => "observability_mode",
            Self::Listener => "unknown_listener",
            Self::EmptyMessage => "empty_message",
            Self::Unexpected { .. } => "unexpected_message",
            Self::Undecodable => "undecodable_answer",
            Self::Truncated => "truncated_answer",
            Self::StreamEnded => "stream_ended",
            Self::DrainTimeout => "drain_timeout",
            Self::Panicked => "panic",
        }
    }

    /// The status that the gRPC stream ends with; never OK.
    pub(crate) fn status(&self) -> Status {
        let message = self.to_string();
        match self {
            Self::BodyMode { .. }
            | Self::NoProtocolConfig
            | Self::ObservabilityMode
            | Self::Listener => Status::failed_precondition(message),
            Self::EmptyMessage | Self::Unexpected { .. } => Status::invalid_argument(message),
            Self::Undecodable | Self::Truncated => Status::data_loss(message),
            Self::StreamEnded => Status::aborted(message),
            Self::DrainTimeout => Status::unavailable(message),
            Self::Panicked => Status::internal(message),
        }
    }
}

impl std::fmt::Display for Direction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Request => "request",
            Self::Response | Self::Local => "response",
        })
    }
}
