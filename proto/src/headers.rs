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

/// On Envoy's own answers to the server's calls: response flags and details, with `;` between them.
pub const ENVOY: &str = "x-meseta-envoy";

/// On answers: places in the request that the provider's API has no place for, as JSON Pointers.
pub const LOSS: &str = "x-meseta-loss";

/// On answers that are one document and translated: places of the provider's answer that the client's
/// API has no place for. Of a stream they are not known when the headers go.
pub const ANSWER_LOSS: &str = "x-meseta-answer-loss";
