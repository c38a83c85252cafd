//! The meter: the proxy-wasm filter that sits after ext_proc in Envoy's chain.
//!
//! Owns what must be decided inside Envoy, without a network in between: it executes the limits that
//! the server orders for a request (`x-meseta-charge`), over state that all workers share, and
//! settles them when the exchange is over.
//!
//! - The logic ([`meter`]) speaks to Envoy through the [`host::Host`] trait only and is tested
//!   natively; the `abi` and `filter` modules, which exist for wasm32 alone, tie it to Envoy.
//! - It never reads a body: a body read into the virtual machine is copied and never given back.
//! - It never traps and never panics: a trap kills the virtual machine of a worker, and every
//!   exchange on it with that. A host call that fails is a value, and the configuration
//!   says what it means for the exchange.
//! - `unsafe` lives in `abi` alone.

#![deny(unsafe_code)]
#![deny(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unreachable,
    clippy::unwrap_used
)]

#[cfg(target_arch = "wasm32")]
mod abi;
pub mod configuration;
pub mod counters;
#[cfg(target_arch = "wasm32")]
mod filter;
pub mod host;
pub mod meter;
pub mod reply;
pub mod store;
pub mod wire;
