//! HTTP header names that are ours.
//!
//! Invariant: every internal header starts with [`INTERNAL_PREFIX`], and Envoy's
//! `early_header_mutation` removes that whole prefix from client requests before any filter or
//! route sees them.

/// The prefix of all headers that are ours.
pub const INTERNAL_PREFIX: &str = "x-meseta-";

/// The upstream cluster of this exchange; the route reads it with `cluster_header`.
pub const CLUSTER: &str = "x-meseta-cluster";

/// On answers: the model that served the request, as `provider/model`.
pub const MODEL: &str = "x-meseta-model";

/// On the meter's own refusals, which are final.
pub const METER: &str = "x-meseta-meter";

/// To the meter: what to charge for the request, as the text of `meseta_limits::Order`. The server
/// alone sets it; without it nothing is limited.
pub const CHARGE: &str = "x-meseta-charge";

/// To the meter, beside an order of no tokens: charge nothing, and answer where the subjects stand. For
/// the server's own questions, which go no further than the meter.
pub const EXPLAIN: &str = "x-meseta-explain";

/// From the meter, on answers to what it has let through, and to questions: where the subjects stand, as the text of
/// `meseta_limits::Standings`. For the server alone.
pub const STANDING: &str = "x-meseta-standing";

/// From the meter, on answers to relayed calls: what is reserved, as the text of
/// `meseta_limits::Reservation`. For the server alone.
pub const RESERVATION: &str = "x-meseta-reservation";

/// On Envoy's own answers to the server's calls: response flags and details, with `;` between them.
pub const ENVOY: &str = "x-meseta-envoy";

/// On answers: places in the request that the provider's API has no place for, as JSON Pointers.
pub const LOSS: &str = "x-meseta-loss";

/// On answers that are one document and translated: places of the provider's answer that the client's
/// API has no place for. Of a stream they are not known when the headers go.
pub const ANSWER_LOSS: &str = "x-meseta-answer-loss";

/// On answers to exchanges with limits of ours: what stands before the names of the provider's own
/// limits.
pub const UPSTREAM: &str = "x-meseta-upstream-";

/// On answers: how many attempts there have been, hedges included.
pub const ATTEMPTS: &str = "x-meseta-attempts";

/// Headers that no provider may see: of ours and of Envoy's, what they tell of the client, and what
/// clients say to the proxy alone.
pub const HIDDEN: [&str; 13] = [
    CLUSTER,
    CHARGE,
    MODEL,
    crate::LISTENER_KEY,
    "x-envoy-external-address",
    "x-envoy-internal",
    "x-envoy-expected-rq-timeout-ms",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-arch-ratelimit-selector",
    "x-model-affinity",
    "x-plano-cache",
    "x-plano-max-switch-spend-pct",
];
