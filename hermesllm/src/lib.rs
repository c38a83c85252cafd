//! What is known of model providers and their APIs: pure functions and state machines over bytes.
//!
//! - [`endpoint`], [`dialect`]: which operation a request line means, and whose shapes its client
//!   reads.
//! - [`error`]: one table from error code to every status, type and body.
//! - [`failure`], [`retry_after`]: what a provider's error means, and how long it asks to wait.
//! - [`apis`], [`representation`], [`translate`]: from one API to another; [`capabilities`]: how far.
//! - [`request`]: reads a request body once and edits it without touching any other byte.
//! - [`models`]: the bodies of the model list.
//! - [`providers`]: the catalogue of providers, which is data (`providers/provider_models.yaml`).
//! - [`sse`], [`json_tap`], [`transcoder`], [`usage`]: reads an answer while it passes.
//!
//! Bytes come in, bytes and decisions go out. This crate must never depend on a runtime, a clock,
//! the environment, the file system or a log: it also runs inside the WASM filter, and its tests
//! need nothing but input. Nothing here panics on any input, and no error message holds a secret
//! or a piece of a prompt.

pub mod apis;
pub mod capabilities;
pub mod dialect;
pub mod endpoint;
pub mod error;
pub mod failure;
pub mod json_tap;
pub mod models;
pub mod providers;
pub mod representation;
pub mod request;
pub mod retry_after;
pub mod sse;
pub mod transcoder;
pub mod translate;
pub mod usage;
