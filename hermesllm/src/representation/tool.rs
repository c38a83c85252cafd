//! Tools, and the choice between them.

use serde_json::Value;

use super::{CacheHint, Extension, Pointer};

/// Something that the model may call.
#[derive(Debug, Clone, PartialEq)]
pub struct Tool {
    /// What it is.
    pub kind: ToolKind,
    /// All tools up to this one are worth caching.
    pub cache: Option<CacheHint>,
    /// Where it was read.
    pub at: Pointer,
    /// Members without a field.
    pub extensions: Vec<Extension>,
}

/// Kinds of tools.
#[derive(Debug, Clone, PartialEq)]
pub enum ToolKind {
    /// The client runs it.
    Function(FunctionTool),
    /// The client runs it, with free text for an argument (OpenAI).
    Custom {
        /// Its name.
        name: String,
        /// What it does.
        description: Option<String>,
        /// The form of its argument (`format`).
        format: Option<Value>,
    },
    /// The provider has it built in: search, code execution, computer use.
    BuiltIn {
        /// The API's own name for it: `web_search_20250305`, `googleSearch`.
        kind: String,
        /// All of it, as it was read.
        value: Value,
    },
}

/// A function of the client's.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FunctionTool {
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: Option<String>,
    /// JSON Schema of its arguments, as it was written, in its order; `None`: it takes none.
    pub parameters: Option<Value>,
    /// JSON Schema of what it returns.
    pub returns: Option<Value>,
    /// Whether the provider guarantees that arguments follow the schema.
    pub strict: Option<bool>,
}

/// Which tools may or must be called.
#[derive(Debug, Clone, PartialEq)]
pub enum ToolChoice {
    /// As the model sees fit.
    Auto,
    /// None.
    None,
    /// At least one, whichever.
    Required,
    /// This function.
    Function(String),
    /// One of these functions; `required`: at least one of them.
    Among {
        /// Their names.
        names: Vec<String>,
        /// At least one has to be called.
        required: bool,
    },
    /// A choice that only its own API has: all of it.
    Other(Value),
}
