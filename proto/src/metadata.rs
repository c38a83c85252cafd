//! Dynamic metadata: what the server tells the meter and Envoy's access log.

/// A metadata value. Nothing nested: see the crate documentation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scalar<'a> {
    /// A string.
    Text(&'a str),
    /// A number; counts of tokens fit exactly up to 2^53.
    Number(f64),
    /// A flag.
    Flag(bool),
}

/// What is known of a request once it is routed. Namespace [`RequestMetadata::NAMESPACE`].
///
/// A text that is empty is not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestMetadata<'a> {
    /// The listener's name in `meseta.yaml`.
    pub listener: &'a str,
    /// The endpoint, as in the access log: `chat_completions`, `messages`, …
    pub endpoint: &'a str,
    /// Whose error and event shapes the client reads: `openai` or `anthropic`.
    pub dialect: &'a str,
    /// The provider's name; empty when the answer is our own.
    pub provider: &'a str,
    /// The model that serves, as `provider/model`; empty when the answer is our own.
    pub model: &'a str,
    /// The model the client named, or empty.
    pub requested_model: &'a str,
    /// Whether the client asked for a stream.
    pub stream: bool,
    /// Who calls, as far as that is known.
    pub consumer: &'a str,
    /// What a relayed call has reserved, as the text of `meseta_limits::Reservation`.
    pub reservation: &'a str,
    /// How many tokens the prompt is estimated to have: what the order to the meter says. Stays
    /// charged where no usage is known.
    pub input_tokens: u64,
}

impl<'a> RequestMetadata<'a> {
    /// The metadata namespace.
    pub const NAMESPACE: &'static str = "meseta.request";
    /// Field: contract version, a number.
    pub const VERSION: &'static str = "version";
    /// Field: listener name, text.
    pub const LISTENER: &'static str = "listener";
    /// Field: endpoint, text.
    pub const ENDPOINT: &'static str = "endpoint";
    /// Field: dialect, text.
    pub const DIALECT: &'static str = "dialect";
    /// Field: provider name, text.
    pub const PROVIDER: &'static str = "provider";
    /// Field: serving model, text.
    pub const MODEL: &'static str = "model";
    /// Field: requested model, text.
    pub const REQUESTED_MODEL: &'static str = "requested_model";
    /// Field: stream, a flag.
    pub const STREAM: &'static str = "stream";
    /// Field: consumer, text.
    pub const CONSUMER: &'static str = "consumer";
    /// Field: reservation, text.
    pub const RESERVATION: &'static str = "reservation";
    /// Field: estimated prompt tokens, a number.
    pub const INPUT_TOKENS: &'static str = "input_tokens";

    /// All fields with their values, in a fixed order.
    pub fn fields(&self) -> [(&'static str, Scalar<'a>); 11] {
        [
            (Self::VERSION, Scalar::Number(f64::from(crate::VERSION))),
            (Self::LISTENER, Scalar::Text(self.listener)),
            (Self::ENDPOINT, Scalar::Text(self.endpoint)),
            (Self::DIALECT, Scalar::Text(self.dialect)),
            (Self::PROVIDER, Scalar::Text(self.provider)),
            (Self::MODEL, Scalar::Text(self.model)),
            (Self::REQUESTED_MODEL, Scalar::Text(self.requested_model)),
            (Self::STREAM, Scalar::Flag(self.stream)),
            (Self::CONSUMER, Scalar::Text(self.consumer)),
            (Self::RESERVATION, Scalar::Text(self.reservation)),
            (Self::INPUT_TOKENS, number(self.input_tokens)),
        ]
    }
}

/// Tokens of an exchange, so far or in the end. Namespace [`UsageMetadata::NAMESPACE`].
///
/// Sent with body answers while the answer runs, because nothing can be sent once the client has
/// gone; the last value sent is the one to settle with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UsageMetadata {
    /// Prompt tokens, cached ones included.
    pub input_tokens: u64,
    /// Answer tokens, reasoning included.
    pub output_tokens: u64,
    /// Prompt tokens that the provider read from its cache.
    pub cached_tokens: u64,
    /// Prompt tokens that the provider wrote to its cache.
    pub cache_write_tokens: u64,
    /// Answer tokens spent on reasoning.
    pub reasoning_tokens: u64,
    /// False when the provider reported the figures, true when we estimated them.
    pub estimated: bool,
    /// True on the last value of an exchange.
    pub complete: bool,
    /// How often providers were asked for this exchange, hedges included.
    pub attempts: u32,
}

impl UsageMetadata {
    /// The metadata namespace.
    pub const NAMESPACE: &'static str = "meseta.usage";
    /// Field: contract version, a number.
    pub const VERSION: &'static str = "version";
    /// Field: prompt tokens, a number.
    pub const INPUT_TOKENS: &'static str = "input_tokens";
    /// Field: answer tokens, a number.
    pub const OUTPUT_TOKENS: &'static str = "output_tokens";
    /// Field: cached prompt tokens, a number.
    pub const CACHED_TOKENS: &'static str = "cached_tokens";
    /// Field: prompt tokens written to the cache, a number.
    pub const CACHE_WRITE_TOKENS: &'static str = "cache_write_tokens";
    /// Field: reasoning tokens, a number.
    pub const REASONING_TOKENS: &'static str = "reasoning_tokens";
    /// Field: whether the figures are estimated, a flag.
    pub const ESTIMATED: &'static str = "estimated";
    /// Field: whether this is the last value, a flag.
    pub const COMPLETE: &'static str = "complete";
    /// Field: attempts at providers, a number.
    pub const ATTEMPTS: &'static str = "attempts";

    /// All fields with their values, in a fixed order.
    pub fn fields(&self) -> [(&'static str, Scalar<'static>); 9] {
        [
            (Self::VERSION, Scalar::Number(f64::from(crate::VERSION))),
            (Self::INPUT_TOKENS, number(self.input_tokens)),
            (Self::OUTPUT_TOKENS, number(self.output_tokens)),
            (Self::CACHED_TOKENS, number(self.cached_tokens)),
            (Self::CACHE_WRITE_TOKENS, number(self.cache_write_tokens)),
            (Self::REASONING_TOKENS, number(self.reasoning_tokens)),
            (Self::ESTIMATED, Scalar::Flag(self.estimated)),
            (Self::COMPLETE, Scalar::Flag(self.complete)),
            (Self::ATTEMPTS, number(self.attempts.into())),
        ]
    }
}

/// A count as metadata carries it.
fn number(count: u64) -> Scalar<'static> {
    #[allow(
        clippy::cast_precision_loss,
        reason = "token counts stay far below 2^53"
    )]
    Scalar::Number(count as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_of_a_namespace_has_its_own_name() {
        let request = RequestMetadata {
            listener: "l",
            endpoint: "e",
            dialect: "d",
            provider: "p",
            model: "m",
            requested_model: "r",
            stream: true,
            consumer: "c",
            reservation: "v1",
            input_tokens: 1,
        };
        let mut names: Vec<_> = request.fields().iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), request.fields().len());

        let usage = UsageMetadata::default();
        let mut names: Vec<_> = usage.fields().iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), usage.fields().len());
    }

    #[test]
    fn counts_survive_as_numbers() {
        let usage = UsageMetadata {
            input_tokens: 9_007_199_254_740_991,
            ..UsageMetadata::default()
        };
        assert!(usage
            .fields()
            .contains(&("input_tokens", Scalar::Number(9_007_199_254_740_991.0))));
    }
}
