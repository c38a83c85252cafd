//! The contracts between Envoy, the ext_proc server and the proxy-wasm filter.
//!
//! Owns every name that two of the three must agree on: dynamic-metadata namespaces and their
//! fields, internal headers, gRPC metadata. Whoever writes or reads one takes it from here; a name
//! written as a literal elsewhere is a defect. Holds no I/O and depends on nothing, so that it
//! also builds for `wasm32-wasip1`.
//!
//! Metadata travels as a *flat* protobuf `Struct`: scalars only, because proxy-wasm reads one
//! property path at a time, and numbers as `f64` (Envoy hands them to a filter as eight
//! little-endian bytes).

pub mod headers;
pub mod metadata;

pub use metadata::{RequestMetadata, Scalar, UsageMetadata};

/// The version of the contracts, sent in every metadata value.
///
/// A reader that meets a higher version than its own ignores fields that it does not know and
/// never fails on them.
pub const VERSION: u32 = 1;

/// The name under which the server reports its health, beside the empty one.
pub const HEALTH_SERVICE: &str = "envoy.service.ext_proc.v3.ExternalProcessor";

/// The gRPC request-metadata key with which Envoy's filter configuration tells the server which
/// listener an exchange came in on. It is set in the rendered configuration and cannot be reached
/// by a client.
pub const LISTENER_KEY: &str = "x-meseta-listener";
