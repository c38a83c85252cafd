//! A question to the meter in Envoy, through the egress listener.
//!
//! The filter there answers by itself; no provider is called, as the question names none.

use std::time::Duration;

use meseta_limits::{Order, Standings};
use meseta_proto::headers;

use super::Upstreams;

/// Envoy answers at once, or not at all.
const LIMIT: Duration = Duration::from_secs(2);

/// Why the meter in Envoy has not said where anybody stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AskError {
    /// The server calls providers straight.
    #[error("Envoy counts, and this server has no egress listener to ask it through")]
    NoEgress,
    /// Nobody answers there.
    #[error("Envoy counts, and its egress listener cannot be reached")]
    Unreachable,
    /// Envoy answers, and the filter does not.
    #[error("Envoy counts, and the filter in it does not answer: is it of this version?")]
    NoAnswer,
    /// The filter cannot read what it has counted.
    #[error("Envoy counts, and the filter in it cannot read its counts now")]
    Unavailable,
    /// The answer cannot be read.
    #[error("Envoy counts, and its filter answers in a form that is not known")]
    Unreadable,
}

impl Upstreams {
    /// Where the subjects of an order stand with the meter in Envoy; rules that it does not know (yet)
    /// are not among them. Nothing is charged. The order must be one of no tokens.
    ///
    /// # Errors
    /// [`AskError`].
    pub(crate) async fn ask_meter(&self, order: &Order) -> Result<Standings, AskError> {
        let Self::Envoy(client) = self else {
            return Err(AskError::NoEgress);
        };
        let question = client
            .post("http://meseta.egress/")
            .header(headers::CHARGE, order.to_string())
            .header(headers::EXPLAIN, "1")
            .timeout(LIMIT);
        let answer = question.send().await.map_err(|_| AskError::Unreachable)?;
        if !answer.status().is_success() {
            let is_meters = answer.headers().contains_key(headers::METER);
            return Err(if is_meters {
                AskError::Unavailable
            } else {
                AskError::NoAnswer
            });
        }
        let standing = answer.headers().get(headers::STANDING);
        let standing = standing.ok_or(AskError::NoAnswer)?.to_str();
        let standing = standing.map_err(|_| AskError::Unreadable)?;
        standing.parse().map_err(|_| AskError::Unreadable)
    }
}
