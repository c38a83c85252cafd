//! The ext_proc server: one gRPC stream per HTTP exchange, from Envoy and back.
//!
//! What is where: [`serve`] runs the process; `service` drives streams; `exchange` is the state
//! machine of one exchange, with a room for each half; `wire` builds messages; `decode` undoes
//! content encodings; `generation` is the configuration in service and `reload` replaces it;
//! `outcome` is the account of an exchange, which feeds the log line, `metrics`
//! and `spans`; `admin` is the operators' port.
//!
//! Nothing on the path of a request may panic; what does all the same ends its own stream with an
//! error status and no other.

mod admin;
mod cors;
mod decode;
pub mod envoy_admin;
mod exchange;
mod generation;
mod head;
mod listen;
mod meter;
mod metrics;
mod outcome;
pub mod plain_http;
mod providers;
mod reload;
mod server;
mod service;
mod spans;
mod telemetry;
mod upstream;
mod wire;

pub use reload::{Load, LoadError, Loaded, ReloadOptions, XdsError, XdsOptions};
pub use server::{serve, ServeError, ServeOptions};
pub use telemetry::LOG_VARIABLE;
pub use upstream::ClientError;
