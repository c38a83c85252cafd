//! The configuration: text and environment in, one immutable [`Config`] or all problems out; and
//! what follows from it for Envoy.
//!
//! - [`load`]: reads `meseta.yaml` or a file of Plano's schema. Every problem is found in one go.
//! - [`Config`]: the resolved result. [`Config::resolve`] finds the provider of a model.
//! - [`bootstrap`], [`snippet`]: the Envoy configuration that belongs to it.
//! - [`detected`]: a configuration made from what the environment has.
//! - [`json_schema`], [`reference`]: the language of the configuration, for editors and readers.
//!
//! No files, no environment, no clock, no network: all of it comes in by argument. A secret is
//! held in [`Provider::credential`] and in header values only; it is never rendered, printed or
//! put into a message. Nothing here panics on any input.

#![deny(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unreachable,
    clippy::unwrap_used
)]

pub mod address;
mod config;
mod consumer;
mod detected;
mod limit;
mod load;
mod near;
mod pattern;
mod pool;
mod problem;
mod provider;
mod redacted;
pub mod render;
mod resolve;
mod schema;
mod secret;
mod units;

pub use address::{AddressError, AdminAddress, ListenAddress};
pub use config::{
    Config, Cors, Egress, Listener, LogFormat, LogFormatError, MeterFailure, MeterPlace, Server,
    Tls, Tracing, Upstream,
};
pub use consumer::{ConsumerKey, ConsumerSource, JWT_METADATA};
pub use detected::detected;
pub use limit::{Limit, LimitFacts, LimitField, LimitMatch, Subject, METER_SHARDS};
pub use load::{load, Source};
pub use pattern::Pattern;
pub use pool::{
    Conditions, Cooldown, Destination, Failover, Hedge, Mirror, ModelRef, Policy, Pool, PoolTarget,
    Rule, Select, Sender, Sticky, Timeouts, UpstreamPath,
};
pub use problem::{Notice, NoticeKind, Problem, Problems};
pub use provider::{OnLoss, OnLossError, Provider, Scheme};
pub use render::{bootstrap, dynamic_bootstrap, snippet, AccessLog, EgressSocket, RenderOptions};
pub use resolve::{ListedModel, ResolveError, Resolved, Target};
pub use schema::{json_schema, reference};
pub use secret::Secret;
pub use units::{parse_duration, parse_size, parse_time, UnitError};
