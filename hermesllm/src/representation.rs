//! What requests and answers mean, whatever API they were written in.
//!
//! Translation goes through this one representation: each API has a codec that reads its own shapes
//! into it and writes its own shapes from it (`apis/`). It is wider than any one API, so that nothing
//! has to be squeezed through somebody else's chat format.
//!
//! - [`request`]: [`Request`], its turns and settings.
//! - [`content`]: [`Part`]s, of requests and answers alike.
//! - [`tool`]: tools and the choice between them.
//! - [`answer`]: [`ProviderResponse`], stop reasons, usage.
//! - [`event`]: [`ProviderStreamResponse`], the pieces of a streamed answer.
//! - [`loss`]: what an API has no place for.
//!
//! Invariants: everything that a codec reads ends up in a field, in an [`Extension`] or in a
//! [`Loss`]. Each value knows where it came from ([`At`]), so that what is lost is named by its
//! place in the document that the client sent. A codec writes from destructured structs, without
//! `..`: a new field does not compile until every codec has said what becomes of it.

pub mod answer;
pub mod content;
pub mod event;
pub mod loss;
pub mod request;
pub mod tool;

pub use answer::{Choice, ProviderResponse, StopKind, StopReason, TokenUsage};
pub use content::{
    Blob, CacheHint, CacheTtl, Citation, Detail, Part, PartKind, Reasoning, ToolCall, ToolResult,
};
pub use event::{BlockKind, Delta, ProviderStreamResponse};
pub use loss::{Loss, LossKind, Losses};
pub use request::{Effort, OutputFormat, ReasoningConfig, Request, Role, Sampling, Turn};
pub use tool::{FunctionTool, Tool, ToolChoice, ToolKind};

use std::borrow::Cow;

use serde_json::Value;

/// A JSON Pointer (RFC 6901) into the document that was read.
pub type Pointer = Cow<'static, str>;

/// A value and where it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Its place.
    pub at: Pointer,
}

impl<T> At<T> {
    /// A value that was read at a place.
    pub fn new(value: T, at: impl Into<Pointer>) -> Self {
        Self {
            value,
            at: at.into(),
        }
    }
}

/// A setting that may be absent.
pub type Setting<T> = Option<At<T>>;

/// A member that the representation has no field for: it travels under its own name, to APIs that
/// know it by that name, and is a loss anywhere else.
#[derive(Debug, Clone, PartialEq)]
pub struct Extension {
    /// Its name where it was read.
    pub name: String,
    /// What it says.
    pub value: Value,
    /// Where it was read; empty for what means nothing to any other API (bookkeeping of its own).
    pub at: Pointer,
}

impl Extension {
    /// Whether it is a loss to an API that does not know it.
    pub fn matters(&self) -> bool {
        !self.at.is_empty()
    }
}
